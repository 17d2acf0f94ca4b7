//! The files of [`super::places`] that exist here.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use globset::GlobBuilder;
use overdue_core::{Artifact, ArtifactKind, Gap, TargetId};

use super::files::{Skips, artifact};
use super::open::{Links, io_gap, open_regular};
use super::places::{Base, MOVED, Moves, PLACES, is_harmless_ssh};
use super::{FILE_BYTES_MAX, Facts, names};

/// Entries of a folder that a pattern is tried on.
const ENTRIES_MAX: usize = 100_000;

/// Files by the path they really have: the path they were found at, and the tools that use them.
type Found<'a> = BTreeMap<PathBuf, (PathBuf, Vec<&'a str>)>;

/// Every well-known credential file that is there, each once, with the tools that use it in its notes.
pub(super) fn list(target: &TargetId, facts: &Facts, skips: &Skips) -> (Vec<Artifact>, Vec<Gap>) {
    let mut found: Found<'_> = BTreeMap::new();
    let mut gaps = BTreeMap::new();
    for (tool, base, pattern) in PLACES {
        let Some(folder) = folder(*base, facts) else { continue };
        if *base == Base::Root {
            let (mut readable, mut refused) = (Found::new(), BTreeMap::new());
            look(&folder, pattern, tool, &mut readable, &mut refused, target);
            readable.retain(|path, _| open_regular(path, Links::Follow).is_ok());
            for (path, (found_at, tools)) in readable {
                found.entry(path).or_insert_with(|| (found_at, Vec::new())).1.extend(tools);
            }
        } else {
            look(&folder, pattern, tool, &mut found, &mut gaps, target);
        }
    }
    for (variable, tool, moves) in MOVED {
        let Some(value) = facts.variable(variable).filter(|value| !value.is_empty()) else { continue };
        match moves {
            Moves::File => look_at(&at_home(facts, value.into()), tool, &mut found, &mut gaps, target),
            Moves::Files => {
                for path in std::env::split_paths(value) {
                    look_at(&at_home(facts, path), tool, &mut found, &mut gaps, target);
                }
            }
            Moves::Folder(patterns) => {
                for pattern in *patterns {
                    look(&at_home(facts, value.into()), pattern, tool, &mut found, &mut gaps, target);
                }
            }
        }
    }
    let mut gaps: Vec<Gap> = gaps.into_values().collect();
    let mut artifacts = Vec::new();
    for (path, (found_at, mut tools)) in found {
        if skips.holds(&path) {
            continue;
        }
        tools.dedup();
        match artifact(facts, ArtifactKind::CredentialFile, &path) {
            Ok(mut artifact) if artifact.size_bytes.is_none_or(|size| size <= FILE_BYTES_MAX) => {
                artifact.notes = tools.into_iter().map(str::to_owned).collect();
                if found_at != path {
                    artifact.notes.push(format!("linked from {}", names::name_of(&found_at)));
                }
                artifact.notes.extend(open_to_others(&path));
                artifacts.push(artifact);
            }
            // Fetching it says how large it is.
            Ok(artifact) => artifacts.push(artifact),
            Err(error) => gaps.push(io_gap(target, names::name_of(&path), &error, false)),
        }
    }
    (artifacts, gaps)
}

fn folder(base: Base, facts: &Facts) -> Option<PathBuf> {
    let home = facts.home.as_deref();
    let moved = |variable: &str, usual: &str| {
        let value = facts.variable(variable).filter(|value| Path::new(value).is_absolute());
        value.map(PathBuf::from).or_else(|| home.map(|home| home.join(usual)))
    };
    match base {
        Base::Home => home.map(Path::to_owned),
        Base::Config => moved("XDG_CONFIG_HOME", ".config"),
        Base::Data => moved("XDG_DATA_HOME", ".local/share"),
        Base::Root => Some(PathBuf::from("/")),
    }
}

/// Some tools let `~` stand for the home folder in variables.
fn at_home(facts: &Facts, path: PathBuf) -> PathBuf {
    match (path.strip_prefix("~"), &facts.home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    }
}

/// Finds what a pattern means under a folder.
fn look<'a>(base: &Path, pattern: &str, tool: &'a str, found: &mut Found<'a>, gaps: &mut BTreeMap<PathBuf, Gap>, target: &TargetId) {
    let mut open = vec![base.to_owned()];
    for part in pattern.split('/') {
        if !part.contains('*') {
            open.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let Ok(glob) = GlobBuilder::new(part).literal_separator(true).build() else { return };
        let glob = glob.compile_matcher();
        let mut next = Vec::new();
        for folder in open {
            match std::fs::read_dir(&folder) {
                Ok(entries) => {
                    let entries = entries.take(ENTRIES_MAX).flatten().map(|entry| entry.path());
                    next.extend(entries.filter(|path| path.file_name().is_some_and(|name| glob.is_match(Path::new(name)))));
                }
                Err(error) if is_absence(&error) => {}
                Err(error) => {
                    gaps.entry(folder.clone()).or_insert_with(|| io_gap(target, names::name_of(&folder), &error, true));
                }
            }
        }
        open = next;
    }
    for path in open {
        look_at(&path, tool, found, gaps, target);
    }
}

fn look_at<'a>(path: &Path, tool: &'a str, found: &mut Found<'a>, gaps: &mut BTreeMap<PathBuf, Gap>, target: &TargetId) {
    if tool == "SSH" && path.file_name().is_some_and(|name| is_harmless_ssh(&name.to_string_lossy())) {
        return;
    }
    // Tools follow links to their files, and many people keep them elsewhere and link them.
    match std::fs::metadata(path) {
        Ok(facts) if facts.is_file() => {
            let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            found.entry(real).or_insert_with(|| (path.to_owned(), Vec::new())).1.push(tool);
        }
        Ok(_) => {}
        Err(error) if is_absence(&error) => {}
        Err(error) => {
            gaps.entry(path.to_owned()).or_insert_with(|| io_gap(target, names::name_of(path), &error, false));
        }
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether others than its owner may read a file: its own mode, and that of every folder above it.
fn open_to_others(path: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| path.metadata().map_or(0, |facts| facts.permissions().mode());
        let open_above = |bit: u32| path.ancestors().skip(1).all(|folder| mode(folder) & bit != 0);
        let own = mode(path);
        if own & 0o004 != 0 && open_above(0o001) {
            Some("readable by everyone on this machine".to_owned())
        } else if own & 0o040 != 0 && path.ancestors().skip(1).all(|folder| mode(folder) & 0o011 != 0) {
            Some("readable by its group".to_owned())
        } else {
            None
        }
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}
