//! Git: every object of a repository once, or what a change adds. Read by the machine provider; git itself is not asked.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use futures::StreamExt as _;
use overdue_core::{ArtifactId, Detection, MachineAudit, MachineRead, Target, TargetKind};
use overdue_detect::Scanned;
use overdue_providers::machine::{Changed, Machine, MachineFacts, Scope, changes};
use overdue_providers::{Body, Listed, Provider as _};

use super::{Look, gap_of};

/// Objects in flight.
const OBJECTS_AT_ONCE: usize = 32;

/// Scans what a change adds. A secret that the same file, or a removed one, held before is not new.
pub(super) fn changed(look: &Look, start: &Path, scope: &Scope) -> Result<()> {
    // Git names the folder of a push that is still being judged to the hooks that judge it.
    let incoming = std::env::var_os("GIT_OBJECT_DIRECTORY").map(PathBuf::from);
    let (changes, gaps) = changes(start, scope, incoming.as_deref())?;
    gaps.into_iter().for_each(|gap| look.missed(gap));
    for Changed { path, new, old, placement } in changes {
        if look.exclude.is_match(&path) {
            continue;
        }
        let bytes = match new {
            Ok(bytes) => bytes,
            Err(gap) => {
                look.missed(gap);
                continue;
            }
        };
        let mut scanned = look.scanner.scan_bytes(&path, &bytes);
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
    let turns = Arc::new(tokio::sync::Semaphore::new(look.threads));
    let mut found: BTreeMap<ArtifactId, Vec<Detection>> = BTreeMap::new();
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
        let mut scans = futures::stream::iter(fresh)
            .map(|Listed { artifact, body }| {
                let turns = turns.clone();
                async move {
                    let body = match body {
                        Some(body) => Ok(body),
                        None => machine.fetch(target, &artifact).await,
                    };
                    let scanned = match body {
                        Ok(body) => object(look, &artifact.id.name, body, &turns).await,
                        Err(gap) => {
                            look.missed(gap);
                            Scanned::default()
                        }
                    };
                    (artifact.id, scanned)
                }
            })
            .buffer_unordered(OBJECTS_AT_ONCE);
        while let Some((id, mut scanned)) = scans.next().await {
            let detections = std::mem::take(&mut scanned.detections);
            // Gaps and counts now; detections when it is known where they stand.
            look.saw(&id.name, scanned, None, None);
            if !detections.is_empty() {
                found.insert(id, detections);
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
    let mut seen = look.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for (id, detections) in found {
        let placement = places.remove(&id).and_then(|places| places.into_iter().next());
        let path = placement.as_ref().map(|placement| placement.path.clone()).unwrap_or_default();
        let object = id.name.rsplit_once('#').map_or("", |(_, hex)| hex);
        let path = if path.is_empty() { format!("object {object}") } else { path };
        let file = if several { format!("{}/{path}", target.name) } else { path };
        if look.exclude.is_match(&file) {
            continue;
        }
        let one = |detection| super::Found { file: file.clone(), detection, placement: placement.clone(), before: Vec::new() };
        seen.found.extend(detections.into_iter().map(one));
    }
}

async fn object(look: &Arc<Look>, name: &str, body: Body, turns: &Arc<tokio::sync::Semaphore>) -> Scanned {
    let Ok(_turn) = turns.acquire().await else { return Scanned::default() };
    let (worker, object) = (look.clone(), name.to_owned());
    let scan = tokio::task::spawn_blocking(move || match body {
        Body::Bytes(bytes) => (worker.scanner.scan_bytes(&object, &bytes), None),
        Body::Variables(variables) => (worker.scanner.scan_variables(&variables), None),
        Body::Reader { mut reader, size_bytes, fault } => {
            let scanned = worker.scanner.scan_reader(&object, size_bytes, &mut reader);
            (scanned, fault.take())
        }
    });
    match scan.await {
        Ok((scanned, fault)) => {
            fault.into_iter().for_each(|gap| look.missed(gap));
            scanned
        }
        Err(_) => {
            look.missed(gap_of(name.to_owned(), overdue_core::GapReason::Internal, "the scanner failed on it; please report this".into()));
            Scanned::default()
        }
    }
}
