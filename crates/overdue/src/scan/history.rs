//! Git: every object of a repository once, or what a change adds. Read by the machine provider; git itself is not asked.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use futures::StreamExt as _;
use overdue_core::{Artifact, ArtifactId, GapReason, MachineAudit, MachineRead, Target, TargetKind};
use overdue_detect::Scanned;
use overdue_providers::machine::{Changed, Machine, MachineFacts, Scope, changes};
use overdue_providers::{Body, Listed, Provider as _};

use super::{Look, gap_of};

/// Objects scanned by one task.
const BATCH: usize = 64;

/// Scans what a change adds. A secret that the same file, or a removed one, held before is not new.
pub(super) fn changed(look: &Look, start: &Path, scope: &Scope) -> Result<()> {
    // Git names the folder of a push that is still being judged to the hooks that judge it.
    let incoming = std::env::var_os("GIT_OBJECT_DIRECTORY").map(PathBuf::from);
    let (changes, gaps) = changes(start, scope, incoming.as_deref())?;
    gaps.into_iter().for_each(|gap| look.missed(gap));
    for Changed { path, new, old, placement } in changes {
        let commit = placement.as_ref().map(|placement| placement.commit.clone());
        if look.leaves_out(Path::new(&path), commit.as_deref()) {
            continue;
        }
        let bytes = match new {
            Ok(bytes) => bytes,
            Err(gap) => {
                look.missed(gap);
                continue;
            }
        };
        let mut scanned = look.scanner.scan_bytes_of(&path, commit.as_deref(), &bytes);
        if !scanned.detections.is_empty() {
            let was: HashSet<(_, _)> = old
                .iter()
                .flat_map(|old| look.scanner.scan_bytes(&path, old).detections)
                .map(|detection| (detection.rule, detection.fingerprint))
                .collect();
            scanned.detections.retain(|detection| !was.contains(&(detection.rule.clone(), detection.fingerprint.clone())));
        }
        look.saw(&path, scanned, Some(&bytes), placement.as_ref());
    }
    Ok(())
}

/// Scans every object of every repository under the paths, whether a branch reaches it or not.
pub(super) async fn whole(look: &Arc<Look>, paths: &[PathBuf]) -> Result<()> {
    let audit = MachineAudit { paths: paths.to_vec(), read: [MachineRead::Git].into_iter().collect() };
    let machine = Arc::new(Machine::new(audit, MachineFacts { host: "here".into(), ..MachineFacts::default() }));
    let found = machine.discover().await;
    let repositories: Vec<Target> = found.targets.into_iter().filter(|target| target.kind == TargetKind::Repository).collect();
    if repositories.is_empty() && found.gaps.is_empty() {
        bail!("no git repository under {}", paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "));
    }
    found.gaps.into_iter().for_each(|gap| look.missed(gap));
    let mut scanned_before: HashSet<String> = HashSet::new();
    for target in &repositories {
        repository(look, &machine, target, repositories.len() > 1, &mut scanned_before).await;
    }
    Ok(())
}

async fn repository(look: &Arc<Look>, machine: &Arc<Machine>, target: &Target, several: bool, scanned_before: &mut HashSet<String>) {
    let mut found: BTreeMap<ArtifactId, Artifact> = BTreeMap::new();
    let mut cursor = None;
    loop {
        let page = machine.artifacts(target, cursor.as_ref()).await;
        page.gaps.into_iter().for_each(|gap| look.missed(gap));
        // A blob that two repositories hold is scanned once, and told where it was met first.
        let fresh: Vec<Listed> = page
            .items
            .into_iter()
            .filter(|listed| listed.artifact.content.as_ref().is_none_or(|key| scanned_before.insert(key.0.clone())))
            .collect();
        // Waking a thread costs as much as scanning a small object, so they are scanned by the batch.
        let mut batches: Vec<Vec<Listed>> = Vec::new();
        let mut fresh = fresh.into_iter().peekable();
        while fresh.peek().is_some() {
            batches.push(fresh.by_ref().take(BATCH).collect());
        }
        let mut scans =
            futures::stream::iter(batches).map(|batch| scanned(look, machine, target, batch)).buffer_unordered(look.threads + 1);
        while let Some(batch) = scans.next().await {
            for (artifact, mut scanned) in batch {
                // Gaps and counts now; what was found when it is known where it stands, since a path tells the syntax.
                if !scanned.detections.is_empty() || !scanned.allowed.is_empty() {
                    found.insert(artifact.id.clone(), artifact.clone());
                }
                scanned.detections.clear();
                scanned.allowed.clear();
                scanned.unused_markers.clear();
                look.saw(&artifact.id.name, scanned, None, None);
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let ids: Vec<ArtifactId> = found.keys().cloned().collect();
    let (mut places, gaps) = machine.place(target, &ids).await;
    gaps.into_iter().for_each(|gap| look.missed(gap));
    for (id, artifact) in found {
        let placement = places.remove(&id).and_then(|places| places.into_iter().next());
        let object = id.name.rsplit_once('#').map_or("", |(_, hex)| hex);
        let path = match &placement {
            Some(placement) if !placement.path.is_empty() => placement.path.clone(),
            _ => format!("object {object}"),
        };
        let commit = placement.as_ref().map(|placement| placement.commit.clone()).filter(|commit| !commit.is_empty());
        if look.leaves_out(Path::new(&path), commit.as_deref()) {
            continue;
        }
        let again = match machine.fetch(target, &artifact).await {
            Ok(body) => at_its_path(look, &path, commit.as_deref(), body),
            Err(gap) => {
                look.missed(gap);
                continue;
            }
        };
        let file = if several { format!("{}/{path}", target.name) } else { path };
        // It was counted, and its gaps were told, when it was first read.
        look.note(&file, Scanned { gaps: Vec::new(), unused_markers: Vec::new(), ..again }, None, placement.as_ref());
    }
}

/// Scans a content again by the path and commit it was found at.
fn at_its_path(look: &Look, path: &str, commit: Option<&str>, body: Body) -> Scanned {
    match body {
        Body::Bytes(bytes) => look.scanner.scan_bytes_of(path, commit, &bytes),
        Body::Variables(variables) => look.scanner.scan_variables(&variables),
        Body::Reader { mut reader, size_bytes, .. } => look.scanner.scan_reader_of(path, commit, size_bytes, &mut reader),
    }
}

/// Fetches and scans a batch of objects.
async fn scanned(look: &Arc<Look>, machine: &Machine, target: &Target, batch: Vec<Listed>) -> Vec<(Artifact, Scanned)> {
    let mut bodies = Vec::with_capacity(batch.len());
    for Listed { artifact, body } in batch {
        let body = match body {
            Some(body) => Ok(body),
            None => machine.fetch(target, &artifact).await,
        };
        match body {
            Ok(body) => bodies.push((artifact, body)),
            Err(gap) => look.missed(gap),
        }
    }
    let names: Vec<String> = bodies.iter().map(|(artifact, _)| artifact.id.name.clone()).collect();
    let worker = look.clone();
    let scan = tokio::task::spawn_blocking(move || -> Vec<(Artifact, Scanned)> {
        let one = |(artifact, body): (Artifact, Body)| {
            let scanned = match body {
                Body::Bytes(bytes) => worker.scanner.scan_bytes(&artifact.id.name, &bytes),
                Body::Variables(variables) => worker.scanner.scan_variables(&variables),
                Body::Reader { mut reader, size_bytes, fault } => {
                    let scanned = worker.scanner.scan_reader(&artifact.id.name, size_bytes, &mut reader);
                    fault.take().into_iter().for_each(|gap| worker.missed(gap));
                    scanned
                }
            };
            (artifact, scanned)
        };
        bodies.into_iter().map(one).collect()
    });
    scan.await.unwrap_or_else(|_| {
        let why = "the scanner failed on it or on one beside it; please report this";
        names.into_iter().for_each(|name| look.missed(gap_of(name, GapReason::Internal, why.to_owned())));
        Vec::new()
    })
}
