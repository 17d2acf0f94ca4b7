//! Which repositories lie under the paths of a job, and what else there is to read.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use overdue_core::{Account, Gap, GapReason, MachineRead, Target, TargetKind, TargetState};

use super::files::{self, PSEUDO_FOLDERS, walk_gap};
use super::git::{self, Found};
use super::open::io_gap;
use super::{Inner, names};
use crate::Discovery;

/// Folders in which other systems keep a history.
const OTHER_HISTORIES: [(&str, &str); 3] = [(".hg", "Mercurial"), (".bzr", "Bazaar"), ("_darcs", "darcs")];

/// What discovery found, and the `objects` folders of the repositories among it.
pub(super) struct Discovered {
    pub(super) discovery: Discovery,
    pub(super) objects: HashSet<PathBuf>,
}

/// Looks through all paths.
pub(super) fn discover(inner: &Inner) -> Discovered {
    let facts = &inner.facts;
    let reads = |read| inner.audit.read.contains(&read);
    let listing = facts.target(TargetKind::Discovery, String::new());
    let mut found = Discovery {
        accounts: vec![Account {
            provider: overdue_core::ProviderKind::Machine,
            id: facts.account.clone(),
            name: facts.account.as_str().to_owned(),
            tags: BTreeMap::new(),
            contacts: Vec::new(),
        }],
        ..Discovery::default()
    };
    let mut objects: HashSet<PathBuf> = HashSet::new();
    if reads(MachineRead::Git) || reads(MachineRead::Files) {
        let roots = roots(inner, &listing, &mut found);
        if reads(MachineRead::Git) {
            let mut repositories =
                Repositories { inner, listing: &listing, places: BTreeMap::new(), gaps: Vec::new(), remarks: Vec::new() };
            for root in &roots {
                // Where files are read too, their listing says which folders could not be opened.
                let before = (repositories.places.len(), repositories.gaps.len());
                repositories.look_under(root, !reads(MachineRead::Files));
                // A moved checkout must not read as a clean one. Where files are read too, something was looked at.
                if !reads(MachineRead::Files) && before == (repositories.places.len(), repositories.gaps.len()) {
                    let why = "there is no git repository here or below".to_owned();
                    repositories.gaps.push(missing(&listing, root, why));
                }
                if let Some(around) = around(root)
                    && !repositories.places.contains_key(&around)
                {
                    found.remarks.push(format!(
                        "{} lies in the repository {}, whose history was not read: give that path to read it",
                        names::name_of(root),
                        names::name_of(&git::place_of(&around))
                    ));
                }
            }
            found.gaps.append(&mut repositories.gaps);
            found.remarks.append(&mut repositories.remarks);
            for (common, place) in repositories.places {
                objects.insert(common.join("objects").canonicalize().unwrap_or_else(|_| common.join("objects")));
                found.targets.push(facts.target(TargetKind::Repository, names::name_of(&place)));
            }
        }
        if reads(MachineRead::Files) {
            found.targets.extend(roots.iter().map(|root| facts.target(TargetKind::Files, names::name_of(root))));
        }
    }
    if reads(MachineRead::CredentialFiles) {
        found.targets.push(facts.target(TargetKind::CredentialFiles, String::new()));
        if facts.home.is_none() {
            found.remarks.push(
                "there is no home folder, so only credential files named by the environment and the machine's own were looked for".into(),
            );
        }
    }
    if reads(MachineRead::Environment) {
        found.targets.push(facts.target(TargetKind::Environment, String::new()));
    }
    found.targets.sort();
    found.targets.dedup();
    found.done.push((listing, TargetState::Scanned));
    Discovered { discovery: found, objects }
}

/// The paths of the job as they really are: absolute, each once, none inside another.
fn roots(inner: &Inner, listing: &Target, found: &mut Discovery) -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = Vec::new();
    for path in &inner.audit.paths {
        match path.canonicalize() {
            Ok(real) if inner.skips.holds(&real) => {
                found.remarks.push(format!("{} is where overdue itself keeps its data, and is left out", names::name_of(&real)));
            }
            Ok(real) => {
                let readable = match real.metadata() {
                    Ok(facts) if facts.is_dir() || facts.is_file() => Ok(()),
                    Ok(_) => Err(Gap {
                        reason: GapReason::Unsupported,
                        mend: "name a file or a folder".into(),
                        ..missing(listing, path, "it is neither a file nor a folder".into())
                    }),
                    Err(error) => Err(io_gap(&listing.id(), names::name_of(path), &error, true)),
                };
                match readable {
                    Ok(()) => roots.push(real),
                    Err(gap) => found.gaps.push(gap),
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                found.gaps.push(io_gap(&listing.id(), names::name_of(path), &error, true));
            }
            Err(error) => found.gaps.push(missing(listing, path, error.to_string())),
        }
    }
    roots.sort();
    roots.dedup();
    let mut outer: Vec<PathBuf> = Vec::new();
    for root in roots {
        // Sorted, so a folder stands before what is in it.
        match outer.iter().find(|outer| root.starts_with(outer)) {
            Some(outer) => found.remarks.push(format!("{} is read as part of {}", names::name_of(&root), names::name_of(outer))),
            None => outer.push(root),
        }
    }
    for folder in PSEUDO_FOLDERS {
        if let Some(root) = outer.iter().find(|root| Path::new(folder).starts_with(root) && root.as_path() != Path::new(folder)) {
            found.remarks.push(format!("{folder} under {} belongs to the kernel and is left out", names::name_of(root)));
        }
    }
    outer
}

fn missing(listing: &Target, path: &Path, why: String) -> Gap {
    Gap {
        target: listing.id(),
        subject: names::name_of(path),
        reason: GapReason::Missing,
        detail: why,
        permission: String::new(),
        mend: "correct the path, or take it out of the job".into(),
        open_ended: true,
    }
}

/// The repository a folder lies in, where it is not that repository's own place.
fn around(root: &Path) -> Option<PathBuf> {
    root.ancestors().skip(1).find_map(|folder| match git::look_at_dot_git(&folder.join(".git")) {
        Found::Repository(common) => Some(common),
        _ => None,
    })
}

struct Repositories<'a> {
    inner: &'a Inner,
    listing: &'a Target,
    /// By common folder, canonical: so a worktree, a link and the main work tree are one.
    places: BTreeMap<PathBuf, PathBuf>,
    gaps: Vec<Gap>,
    remarks: Vec<String>,
}

impl Repositories<'_> {
    fn look_under(&mut self, root: &Path, tell_errors: bool) {
        for entry in files::walk(root, &self.inner.skips, None, is_object_folder) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    if tell_errors {
                        self.gaps.push(walk_gap(&self.listing.id(), &error));
                    }
                    continue;
                }
            };
            let path = entry.path();
            if path.file_name().is_some_and(|name| name == ".git") {
                self.add(path, git::look_at_dot_git(path));
            } else if !entry.file_type().is_some_and(|kind| kind.is_dir()) {
                continue;
            } else if let Some((_, system)) = OTHER_HISTORIES.iter().find(|(name, _)| path.file_name().is_some_and(|found| found == *name))
            {
                self.remarks.push(format!("{} holds a history of {system}, which was not read: only git's is", names::name_of(path)));
            } else if git::is_bare(path) {
                self.add(path, git::common_dir(path));
            }
        }
    }

    fn add(&mut self, path: &Path, found: Found) {
        match found {
            Found::Repository(common) => {
                if !self.places.contains_key(&common) && !self.inner.skips.holds(&common) {
                    let place = git::place_of(&common);
                    self.places.insert(common, place);
                }
            }
            Found::Broken(why) => self.gaps.push(Gap {
                target: self.listing.id(),
                subject: names::name_of(path),
                reason: GapReason::Corrupt,
                detail: format!("not a git repository: {why}"),
                permission: String::new(),
                mend: "clone it again, or remove what is left of it".into(),
                open_ended: true,
            }),
            Found::Nothing => {}
        }
    }
}

/// Below `objects` of a repository there are no repositories, and there may be very many files.
fn is_object_folder(path: &Path, is_folder: bool) -> bool {
    is_folder && path.file_name().is_some_and(|name| name == "objects") && path.parent().is_some_and(git::is_bare)
}
