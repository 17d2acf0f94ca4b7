//! Files, credential files and the environment.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn file_names(seen: &Seen, sandbox: &Sandbox) -> BTreeSet<String> {
    let root = format!("file:{}/", sandbox.path("").display().to_string().trim_end_matches('/'));
    seen.artifacts.iter().filter_map(|(_, artifact)| artifact.id.name.strip_prefix(&root).map(str::to_owned)).collect()
}

#[tokio::test]
async fn every_file_but_gits_objects_and_our_own() {
    let sandbox = Sandbox::new();
    sandbox.init("top/repo");
    sandbox.add("top/repo", "tracked.txt", "tracked\n");
    sandbox.git("top/repo", "repack -q -a -d");
    sandbox.add("top/repo", "src/more.txt", "more\n");
    sandbox.write("top/repo/.gitignore", "ignored\n");
    sandbox.write("top/repo/ignored", "secret-ignored");
    sandbox.write("top/repo/.env", "secret-hidden");
    sandbox.write("top/repo/target/node_modules/x", "secret-built");
    sandbox.write("top/repo/.git/objects/ab/stranger.txt", "secret-among-objects");
    sandbox.write("top/repo/.git/objects/pack/notes.txt", "secret-among-packs");
    sandbox.write("top/repo/.git/lfs/objects/ab/cd/abcdef", "secret-in-lfs");
    sandbox.write("top/objects/ab/cdefabcdefabcdefabcdefabcdefabcdefabcd", "secret-in-lookalike");
    sandbox.write("top/store/overdue.db", "own");
    // A report that is not there yet when its path is told, by a way that leads over a link.
    symlink(sandbox.path("top"), sandbox.path("way")).expect("a link");
    let report = sandbox.path("way/report.html");
    let facts = MachineFacts { host: "host".into(), skip: vec![sandbox.path("top/store"), report], ..MachineFacts::default() };
    let machine = sandbox.machine_with(&["top"], &[MachineRead::Files], facts);
    sandbox.write("top/report.html", "own");
    let seen = see(&machine).await;
    assert_eq!(seen.gaps, []);
    for secret in ["ignored", "hidden", "built", "among-objects", "among-packs", "in-lfs", "in-lookalike"] {
        assert!(seen.holds(&format!("secret-{secret}")), "{secret}");
    }
    let names = file_names(&seen, &sandbox);
    assert!(names.contains("top/repo/.git/config") && names.contains("top/repo/.git/HEAD"), "{names:#?}");
    assert!(!names.iter().any(|name| name.contains("store") || name.ends_with("report.html")), "{names:#?}");
    let objects = names.iter().filter(|name| name.contains(".git/objects/") && !name.ends_with(".txt"));
    assert_eq!(objects.cloned().collect::<Vec<_>>(), ["top/repo/.git/objects/info/packs"]);
    let artifact = &seen.artifacts.iter().find(|(_, artifact)| artifact.id.name.ends_with("/.env")).expect("listed").1;
    assert_eq!((artifact.kind, artifact.size_bytes, artifact.latest), (ArtifactKind::File, Some(13), true));
    assert!(artifact.modified_at.is_some());
}

#[tokio::test]
async fn paths_of_every_kind() {
    let sandbox = Sandbox::new();
    sandbox.write("a/one.txt", "one");
    sandbox.write("a/b/two.txt", "two");
    sandbox.write("c.txt", "three");
    symlink(sandbox.path("a"), sandbox.path("link")).expect("a link");
    let machine = sandbox.machine(&["a", "a/b", "link", "c.txt", "nowhere", "a/one.txt/below"], &[MachineRead::Files, MachineRead::Git]);
    let seen = see(&machine).await;
    assert_eq!(seen.names(TargetKind::Files), [sandbox.path("a").to_str().expect("text"), sandbox.path("c.txt").to_str().expect("text")]);
    assert_eq!(file_names(&seen, &sandbox), ["a/b/two.txt", "a/one.txt", "c.txt"].map(str::to_owned).into());
    let missing: Vec<_> =
        seen.gaps.iter().map(|gap| (gap.reason, gap.subject.rsplit('/').next().unwrap_or_default(), gap.open_ended)).collect();
    assert_eq!(missing, [(GapReason::Missing, "nowhere", true), (GapReason::Missing, "below", true)]);
    assert!(seen.gaps.iter().all(|gap| gap.target.as_str() == "machine/host/-/discovery" && gap.mend.contains("correct the path")));
    assert!(seen.remarks.iter().any(|remark| remark.contains("is read as part of")), "{:?}", seen.remarks);
}

#[tokio::test]
async fn pages_of_files_go_on_where_they_stood() {
    let sandbox = Sandbox::new();
    // Names whose order as text differs from their order as paths: `a`, `a-b`, `a/x`, `a.txt`.
    for folder in ["a", "a-b", "a.d", "b"] {
        for number in 0..700 {
            sandbox.write(&format!("top/{folder}/{number}"), format!("{folder} {number}"));
        }
    }
    let machine = sandbox.machine(&["top"], &[MachineRead::Files]);
    let seen = see(&machine).await;
    assert_eq!((file_names(&seen, &sandbox).len(), seen.gaps.len()), (2_800, 0));
    // A machine that has forgotten its listings, at every page.
    let target = seen.targets[0].clone();
    let mut cursor = None;
    let mut names = Vec::new();
    loop {
        let page = sandbox.machine(&["top"], &[MachineRead::Files]).artifacts(&target, cursor.as_ref()).await;
        names.extend(page.items.into_iter().map(|listed| listed.artifact.id.name));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let unique: BTreeSet<&String> = names.iter().collect();
    assert_eq!((names.len(), unique.len()), (2_800, 2_800));
}

#[tokio::test]
async fn what_changes_or_cannot_be_read() {
    let sandbox = Sandbox::new();
    for name in ["gone", "linked", "shorter", "same"] {
        sandbox.write(&format!("top/{name}"), "0123456789");
    }
    let sparse = fs::File::create(sandbox.path("top/sparse")).expect("created");
    sparse.set_len(super::super::FILE_BYTES_MAX + 1).expect("sparse");
    let machine = sandbox.machine(&["top"], &[MachineRead::Files]);
    let target = machine.discover().await.targets[0].clone();
    let page = machine.artifacts(&target, None).await;
    assert_eq!(page.items.len(), 4);
    assert_eq!(page.gaps.iter().map(|gap| (gap.reason, gap.open_ended)).collect::<Vec<_>>(), [(GapReason::TooLarge, false)]);
    let artifact = |name: &str| page.items.iter().find(|listed| listed.artifact.id.name.ends_with(name)).expect("listed").artifact.clone();
    let reason = async |name: &str| machine.fetch(&target, &artifact(name)).await.map(|_| ()).map_err(|gap| gap.reason);
    fs::remove_file(sandbox.path("top/gone")).expect("removed");
    assert_eq!(reason("gone").await, Err(GapReason::Vanished));
    fs::remove_file(sandbox.path("top/linked")).expect("removed");
    symlink("/etc/passwd", sandbox.path("top/linked")).expect("a link");
    assert_eq!(reason("linked").await, Err(GapReason::Vanished), "a link put in a file's place is not followed");
    let body = machine.fetch(&target, &artifact("shorter")).await.unwrap_or_else(|gap| panic!("{gap:?}"));
    fs::write(sandbox.path("top/shorter"), "01").expect("written");
    assert_eq!(bytes_of(body).expect_err("it is shorter now").reason, GapReason::Truncated);

    // The key holds while the file does, and changes though size and modification time were set back.
    let key = artifact("same").content;
    assert_eq!(
        machine
            .artifacts(&target, None)
            .await
            .items
            .iter()
            .find(|listed| listed.artifact.id.name.ends_with("same"))
            .expect("listed")
            .artifact
            .content,
        key
    );
    let status = sandbox
        .command("sh", &sandbox.path("top"))
        .args(["-c", "touch -r same ../stamp && printf abcdefghij > same && touch -r ../stamp same"])
        .status();
    assert!(status.expect("sh runs").success());
    let after = machine
        .artifacts(&target, None)
        .await
        .items
        .into_iter()
        .find(|listed| listed.artifact.id.name.ends_with("same"))
        .expect("listed")
        .artifact;
    assert_ne!(after.content, key);
}

/// Permissions do not bind root, so the fault is a path too long to open.
#[tokio::test]
async fn a_folder_that_cannot_be_opened_is_a_gap() {
    let sandbox = Sandbox::new();
    sandbox.write("top/a.txt", "secret-a");
    let script = "n=$(printf 'x%.0s' $(seq 200)); cd top; for i in $(seq 30); do mkdir $n && cd $n; done; echo deep > deep.txt";
    let status = sandbox.command("bash", &sandbox.path("")).args(["-c", script]).status();
    assert!(status.expect("bash runs").success());
    for reads in [&[MachineRead::Files, MachineRead::Git][..], &[MachineRead::Git]] {
        let seen = see(&sandbox.machine(&["top"], reads)).await;
        let gap = seen.one_gap();
        assert_eq!((gap.reason, gap.open_ended), (GapReason::TooDeep, true), "{gap:?}");
        assert_eq!(seen.holds("secret-a"), reads.contains(&MachineRead::Files));
    }
    let status = sandbox
        .command("bash", &sandbox.path(""))
        .args(["-c", "cd top; for i in $(seq 30); do cd x*; done; cd / ; rm -rf \"$0\"/top/x*", sandbox.path("").to_str().expect("text")])
        .status();
    assert!(status.is_ok());
}

#[tokio::test]
async fn a_folder_we_may_not_open_is_a_gap() {
    let sandbox = Sandbox::new();
    sandbox.write("top/a.txt", "secret-a");
    sandbox.write("top/closed/b.txt", "secret-b");
    sandbox.write("top/closed-file", "secret-c");
    for path in ["top/closed", "top/closed-file"] {
        fs::set_permissions(sandbox.path(path), fs::Permissions::from_mode(0o000)).expect("closed");
    }
    if fs::read_dir(sandbox.path("top/closed")).is_ok() {
        return; // Root: permissions do not bind it.
    }
    let seen = see(&sandbox.machine(&["top"], &[MachineRead::Files])).await;
    assert_eq!(
        seen.gaps.iter().map(|gap| (gap.reason, gap.open_ended)).collect::<Vec<_>>(),
        [(GapReason::Denied, true), (GapReason::Denied, false)]
    );
    assert!(seen.gaps.iter().all(|gap| !gap.permission.is_empty()));
    fs::set_permissions(sandbox.path("top/closed"), fs::Permissions::from_mode(0o700)).expect("opened");
}

#[tokio::test]
async fn credential_files() {
    let sandbox = Sandbox::new();
    let files = [
        ".aws/credentials",
        ".aws/sso/cache/abc.json",
        ".config/gcloud/application_default_credentials.json",
        ".config/gcloud/legacy_credentials/a@b.c/adc.json",
        ".azure/msal_token_cache.json",
        ".kube/config",
        ".docker/config.json",
        ".npmrc",
        ".pypirc",
        ".cargo/credentials.toml",
        ".netrc",
        ".ssh/id_ed25519",
        ".ssh/work/key.pem",
        ".config/gh/hosts.yml",
        ".terraform.d/credentials.tfrc.json",
        ".vault-token",
        ".pgpass",
        ".git-credentials",
        ".m2/settings.xml",
        ".cache/huggingface/token",
        ".bash_history",
    ];
    let not_theirs =
        [".ssh/id_ed25519.pub", ".ssh/known_hosts", ".ssh/config", ".kube/cache/discovery", "notes.txt", ".aws/sso/cache/readme.md"];
    for file in files.iter().chain(&not_theirs) {
        sandbox.write(&format!("home/{file}"), format!("content of {file}"));
    }
    sandbox.write("moved/aws", "moved aws");
    sandbox.write("moved/kube-1", "moved kube 1");
    sandbox.write("moved/kube-2", "moved kube 2");
    sandbox.write("moved/docker/config.json", "moved docker");
    sandbox.write("moved/real-netrc", "linked");
    fs::remove_file(sandbox.path("home/.netrc")).expect("removed");
    symlink(sandbox.path("moved/real-netrc"), sandbox.path("home/.netrc")).expect("a link");
    fs::set_permissions(sandbox.path("home/.npmrc"), fs::Permissions::from_mode(0o600)).expect("mode");
    let path = |name: &str| sandbox.path(name).display().to_string();
    let environment = [
        ("AWS_SHARED_CREDENTIALS_FILE", path("moved/aws")),
        ("KUBECONFIG", format!("{}:{}:{}", path("moved/kube-1"), path("moved/kube-2"), path("home/.kube/config"))),
        ("DOCKER_CONFIG", path("moved/docker")),
        ("PGPASSFILE", path("moved/nowhere")),
        ("CARGO_HOME", String::new()),
    ];
    let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let facts = MachineFacts { host: "host".into(), home: Some(sandbox.path("home")), environment, skip: Vec::new() };
    let seen = see(&sandbox.machine_with(&[], &[MachineRead::CredentialFiles], facts)).await;
    assert_eq!(seen.gaps, []);
    let names = file_names(&seen, &sandbox);
    let moved = ["moved/aws", "moved/kube-1", "moved/kube-2", "moved/docker/config.json", "moved/real-netrc"];
    let expected: BTreeSet<String> =
        files.iter().filter(|file| **file != ".netrc").map(|file| format!("home/{file}")).chain(moved.map(str::to_owned)).collect();
    assert_eq!(names, expected);
    let notes = |name: &str| -> Vec<String> {
        seen.artifacts.iter().find(|(_, artifact)| artifact.id.name.ends_with(name)).expect("listed").1.notes.clone()
    };
    assert_eq!(notes("/.aws/credentials")[0], "AWS CLI");
    assert!(notes("moved/real-netrc").iter().any(|note| note.starts_with("linked from") && note.ends_with("home/.netrc")));
    assert_eq!(notes("/.npmrc"), ["npm"]);
    assert!(seen.artifacts.iter().all(|(_, artifact)| artifact.kind == ArtifactKind::CredentialFile));
    assert!(seen.holds("content of .ssh/work/key.pem") && seen.holds("moved kube 2") && seen.holds("linked"));
}

#[tokio::test]
async fn the_environment_is_one_artifact() {
    let sandbox = Sandbox::new();
    let facts = MachineFacts {
        host: "host".into(),
        environment: vec![("TOKEN".into(), "secret-in-environment".into())],
        ..MachineFacts::default()
    };
    let machine = sandbox.machine_with(&[], &[MachineRead::Environment], facts);
    let seen = see(&machine).await;
    assert_eq!(seen.artifacts.len(), 1);
    let artifact = &seen.artifacts[0].1;
    assert_eq!((artifact.id.name.as_str(), artifact.kind, &artifact.content), ("environment", ArtifactKind::Environment, &None));
    assert_eq!(seen.bytes["environment"], b"TOKEN=secret-in-environment\n");
    assert_eq!(artifact.id.to_string(), "machine/host/environment");
}
