//! The machine, looked at whole: real repositories made by the `git` program, real files, all through the provider.

mod files;
mod git;
mod hostile;
mod measure;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use overdue_core::{Artifact, ArtifactId, ArtifactKind, Gap, GapReason, MachineAudit, MachineRead, Placement, Target, TargetKind};
use tempfile::TempDir;

use super::{Machine, MachineFacts};
use crate::{Body, Listed, Provider as _};

/// A folder of a test's own, with a `git` that knows nothing of this machine's configuration.
pub(super) struct Sandbox {
    root: TempDir,
    /// Seconds of the next commit: each is an hour younger than the one before.
    clock: std::cell::Cell<u64>,
}

impl Sandbox {
    pub(super) fn new() -> Self {
        Self { root: TempDir::new().expect("a temporary folder"), clock: std::cell::Cell::new(1_700_000_000) }
    }

    /// The folder, by its real name.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().expect("it is there").join(name)
    }

    pub(super) fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(program);
        let home = self.path("home");
        fs::create_dir_all(&home).expect("a home");
        let date = format!("{} +0000", self.clock.get());
        command
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs([("HOME", home.as_os_str())])
            .envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_TERMINAL_PROMPT", "0"), ("LC_ALL", "C")])
            .envs([("GIT_AUTHOR_NAME", "Ada Author"), ("GIT_AUTHOR_EMAIL", "ada@example.com"), ("GIT_AUTHOR_DATE", &date)])
            .envs([("GIT_COMMITTER_NAME", "Cy Committer"), ("GIT_COMMITTER_EMAIL", "cy@example.com"), ("GIT_COMMITTER_DATE", &date)])
            .stdin(Stdio::null());
        command
    }

    /// Runs git in a folder of the sandbox and gives what it printed.
    pub(super) fn git(&self, folder: &str, arguments: &str) -> String {
        self.git_args(folder, &arguments.split(' ').collect::<Vec<_>>())
    }

    pub(super) fn git_args(&self, folder: &str, arguments: &[&str]) -> String {
        let fixed =
            ["-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", "-c", "advice.detachedHead=false", "-c", "gc.auto=0"];
        let output = self.command("git", &self.path(folder)).args(fixed).args(arguments).output().expect("git runs");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(path, content).expect("written");
    }

    pub(super) fn init(&self, folder: &str) {
        fs::create_dir_all(self.path(folder)).expect("a folder");
        self.git(folder, "init -q");
    }

    /// Commits everything there and gives the commit's id.
    pub(super) fn commit(&self, folder: &str, message: &str) -> String {
        self.clock.set(self.clock.get() + 3_600);
        self.git(folder, "add -A");
        self.git_args(folder, &["commit", "-q", "--allow-empty", "-m", message]);
        self.git(folder, "rev-parse HEAD")
    }

    /// Writes a file and commits it.
    pub(super) fn add(&self, folder: &str, file: &str, content: &str) -> String {
        self.write(&format!("{folder}/{file}"), content);
        self.commit(folder, &format!("add {file}"))
    }

    /// What git itself says is in a repository's object database, trees left out: id and kind.
    pub(super) fn objects(&self, folder: &str) -> BTreeMap<String, String> {
        let lines = self.git(folder, "cat-file --batch-all-objects --batch-check");
        let pairs = lines.lines().filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?.to_owned(), words.next()?.to_owned()))
        });
        pairs.filter(|(_, kind)| kind != "tree" && kind != "missing").collect()
    }

    /// Puts an object into a repository and gives its id.
    pub(super) fn hash_object(&self, folder: &str, kind: &str, content: &[u8]) -> String {
        let mut child = self
            .command("git", &self.path(folder))
            .args(["hash-object", "-t", kind, "-w", "--literally", "--stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("git runs");
        child.stdin.take().expect("a pipe").write_all(content).expect("written");
        let output = child.wait_with_output().expect("git ends");
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub(super) fn machine(&self, paths: &[&str], read: &[MachineRead]) -> Machine {
        self.machine_with(paths, read, MachineFacts { host: "host".into(), home: Some(self.path("home")), ..MachineFacts::default() })
    }

    pub(super) fn machine_with(&self, paths: &[&str], read: &[MachineRead], facts: MachineFacts) -> Machine {
        let paths = paths.iter().map(|path| self.path(path)).collect();
        Machine::new(MachineAudit { paths, read: read.iter().copied().collect() }, facts)
    }

    /// All objects of the one repository under a path.
    pub(super) async fn repository(&self, path: &str) -> Seen {
        see(&self.machine(&[path], &[MachineRead::Git])).await
    }
}

/// All that a machine showed.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) targets: Vec<Target>,
    pub(super) artifacts: Vec<(Target, Artifact)>,
    /// By artifact name; what could not be read is not in it.
    pub(super) bytes: BTreeMap<String, Vec<u8>>,
    pub(super) gaps: Vec<Gap>,
    pub(super) remarks: Vec<String>,
}

impl Seen {
    /// Object ids of all git artifacts.
    pub(super) fn ids(&self) -> BTreeSet<String> {
        let ids = self.artifacts.iter().filter(|(_, artifact)| artifact.kind == ArtifactKind::GitBlob);
        ids.filter_map(|(_, artifact)| artifact.id.name.rsplit_once('#').map(|(_, id)| id.to_owned())).collect()
    }

    /// The content of the object with this id.
    pub(super) fn object(&self, id: &str) -> Option<&[u8]> {
        self.bytes.iter().find(|(name, _)| name.ends_with(&format!("#{id}"))).map(|(_, bytes)| bytes.as_slice())
    }

    pub(super) fn holds(&self, text: &str) -> bool {
        self.bytes.values().any(|bytes| String::from_utf8_lossy(bytes).contains(text))
    }

    /// Names of the targets of a kind.
    pub(super) fn names(&self, kind: TargetKind) -> Vec<&str> {
        self.targets.iter().filter(|target| target.kind == kind).map(|target| target.name.as_str()).collect()
    }

    /// The only gap there is.
    pub(super) fn one_gap(&self) -> &Gap {
        assert_eq!(self.gaps.len(), 1, "{:#?}", self.gaps);
        let gap = &self.gaps[0];
        assert!(!gap.mend.is_empty() && !gap.detail.is_empty() && !gap.subject.is_empty(), "{gap:#?}");
        gap
    }
}

/// Discovers, lists and reads everything, and checks what must hold for any listing.
pub(super) async fn see(machine: &Machine) -> Seen {
    let found = machine.discover().await;
    let mut seen = Seen { targets: found.targets.clone(), gaps: found.gaps, remarks: found.remarks, ..Seen::default() };
    for target in &found.targets {
        let mut cursor = None;
        let mut names = BTreeSet::new();
        loop {
            let page = machine.artifacts(target, cursor.as_ref()).await;
            seen.gaps.extend(page.gaps);
            for Listed { artifact, body } in page.items {
                assert!(names.insert(artifact.id.name.clone()), "{} is listed twice", artifact.id.name);
                let body = match body {
                    Some(body) => Ok(body),
                    None => machine.fetch(target, &artifact).await,
                };
                match body.map(bytes_of) {
                    Ok(Ok(bytes)) => {
                        if let Some(size) = artifact.size_bytes.filter(|_| artifact.kind == ArtifactKind::GitBlob) {
                            assert_eq!(size, bytes.len() as u64, "{}", artifact.id.name);
                        }
                        seen.bytes.insert(artifact.id.name.clone(), bytes);
                    }
                    Ok(Err(gap)) => seen.gaps.push(*gap),
                    Err(gap) => seen.gaps.push(gap),
                }
                seen.artifacts.push((target.clone(), artifact));
            }
            assert!(page.next.is_none() || page.next != cursor, "a listing that stands still");
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert!(machine.credentials(target, None).await.items.is_empty());
    }
    seen
}

fn bytes_of(body: Body) -> Result<Vec<u8>, Box<Gap>> {
    match body {
        Body::Bytes(bytes) => Ok(bytes.to_vec()),
        Body::Variables(variables) => {
            Ok(variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect::<String>().into_bytes())
        }
        Body::Reader { mut reader, fault, .. } => {
            let mut bytes = Vec::new();
            match reader.read_to_end(&mut bytes) {
                Ok(_) => Ok(bytes),
                Err(error) => Err(Box::new(fault.take().unwrap_or_else(|| panic!("a reader that broke off without a fault: {error}")))),
            }
        }
    }
}

/// Where objects of a repository stand.
pub(super) async fn place(machine: &Machine, seen: &Seen, ids: &[&str]) -> (Vec<Vec<Placement>>, Vec<Gap>) {
    let target = seen.targets.iter().find(|target| target.kind == TargetKind::Repository).expect("a repository");
    let artifact = |id: &str| -> ArtifactId {
        let found = seen.artifacts.iter().find(|(_, artifact)| artifact.id.name.ends_with(&format!("#{id}")));
        found.map(|(_, artifact)| artifact.id.clone()).unwrap_or_else(|| panic!("{id} is not listed"))
    };
    let wanted: Vec<ArtifactId> = ids.iter().map(|id| artifact(id)).collect();
    let (mut placements, gaps) = machine.place(target, &wanted).await;
    (wanted.iter().map(|id| placements.remove(id).expect("every object is placed")).collect(), gaps)
}
