//! What a change adds: the files staged for the next commit, or those that commits since a revision brought.
//!
//! Read from the index and the object database alone; git itself is not asked, so no hook, filter or configuration of the
//! repository runs. Beside each new content stand the contents it took the place of, so that a gate can tell a secret that
//! is new from one that was there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use gix_hash::ObjectId;
use gix_object::{CommitRefIter, Kind, TreeRefIter};
use overdue_core::{AccountId, Gap, Placement, ProviderKind, Target, TargetKind};

use super::super::open::read_small;
use super::history::{History, peel, placement};
use super::pack::Work;
use super::{Found, Repository, Shared, common_dir, names, refs};

/// An index of a million files has some hundred MB.
const INDEX_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Removed files a new one is compared with, since it may be one of them under another name.
const MOVED_MAX: usize = 64;
/// Objects kept in memory because others are built on them.
const BASES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Folders in folders.
const DEPTH_MAX: usize = 512;

/// Which change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What the index holds and `HEAD` does not.
    Staged {
        /// The index, where it is not the repository's own: git gives a hook of `git commit -a` another one.
        index: Option<PathBuf>,
    },
    /// What commits brought that `to` has and `from` does not. Each is a branch, a tag, a commit id or its start, and may
    /// have `~N` or `^` after it. A `from` of zeros, which a server's hook gets for a new branch, stands for every ref.
    Since {
        /// What was there.
        from: String,
        /// What is new, `HEAD` for most.
        to: String,
    },
}

/// One file with a new content.
pub struct Changed {
    /// Path in the repository.
    pub path: String,
    /// The content. The error is the gap it leaves.
    pub new: Result<Bytes, Gap>,
    /// What it took the place of; where its path is new, files that were removed, since it may be one of them.
    pub old: Vec<Bytes>,
    /// The commit that brought it; `None` for what is staged.
    pub placement: Option<Placement>,
}

/// Why there is no answer at all.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    /// No repository at or above the path.
    #[error("{0}: no git repository here or above; --staged and --history --since look at one")]
    NoRepository(PathBuf),
    /// It is there and cannot be read.
    #[error("{0}: the repository cannot be read: {1}")]
    Broken(PathBuf, String),
    /// The index cannot be read.
    #[error("{0}: the index cannot be read: {1}")]
    Index(PathBuf, String),
    /// No such revision.
    #[error("`{0}` names no commit of this repository; in CI, fetch it first (a shallow clone of depth 1 has no history)")]
    Revision(String),
}

/// What a change adds, by path. Objects that cannot be read are gaps of their own. `incoming`: another folder of objects, such
/// as the one where a server keeps a push until its hooks have agreed.
pub fn changes(start: &Path, scope: &Scope, incoming: Option<&Path>) -> Result<(Vec<Changed>, Vec<Gap>), ChangesError> {
    let (git_dir, common) = find(start)?;
    let place = super::place_of(&common);
    let name = names::name_of(&place);
    let target = Target {
        provider: ProviderKind::Machine,
        account: AccountId::new("here"),
        region: None,
        kind: TargetKind::Repository,
        name: name.clone(),
    };
    let mut repository = Repository::open(&target.id(), &name, Arc::new(Shared::new(BASES_BYTES_MAX)), &HashSet::new())
        .map_err(|gap| ChangesError::Broken(place, gap.detail))?;
    if let Some(objects) = incoming.and_then(|objects| objects.canonicalize().ok()) {
        repository.borrow(objects);
    }
    let mut look = Look { repository: &repository, work: repository.work(), missing: 0 };
    let (changed, shallow) = match scope {
        Scope::Staged { index } => (look.staged(&git_dir, index.as_deref())?, false),
        Scope::Since { from, to } => (look.since(&git_dir, from, to)?, true),
    };
    // What is staged needs HEAD alone, so a cut history hides nothing of it.
    let mut gaps: Vec<Gap> =
        repository.gaps.iter().filter(|gap| shallow || gap.reason != overdue_core::GapReason::Truncated).cloned().collect();
    if look.missing > 0 {
        gaps.push(repository.gap_of(
            format!("folders of {name}"),
            overdue_core::GapReason::Corrupt,
            format!("{} could not be read, so a change in them was not seen", look.missing),
            "fetch or clone the repository again; `git fsck` tells more",
            true,
        ));
    }
    Ok((changed, gaps))
}

/// The git folder (a worktree's own) and the common folder of the repository that a path is in.
fn find(start: &Path) -> Result<(PathBuf, PathBuf), ChangesError> {
    let nothing = || ChangesError::NoRepository(start.to_owned());
    let start = start.canonicalize().map_err(|_| nothing())?;
    for folder in start.ancestors() {
        let dot_git = folder.join(".git");
        let git_dir = match super::layout::git_dir_of(&dot_git) {
            Some(git_dir) => git_dir,
            None if super::is_bare(folder) => folder.to_owned(),
            None => continue,
        };
        return match common_dir(&git_dir) {
            Found::Repository(common) => Ok((git_dir, common)),
            Found::Broken(why) => Err(ChangesError::Broken(folder.to_owned(), why)),
            Found::Nothing => continue,
        };
    }
    Err(nothing())
}

/// Files of a tree, by path.
type Files = HashMap<Vec<u8>, ObjectId>;

struct Look<'r> {
    repository: &'r Repository,
    work: Work,
    missing: u64,
}

impl Look<'_> {
    fn staged(&mut self, git_dir: &Path, index: Option<&Path>) -> Result<Vec<Changed>, ChangesError> {
        let path = index.map_or_else(|| git_dir.join("index"), Path::to_owned);
        let entries = match read_small(&path, INDEX_BYTES_MAX) {
            Ok(bytes) => index_entries(&bytes, self.repository.hash).map_err(|why| ChangesError::Index(path, why))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(ChangesError::Index(path, error.to_string())),
        };
        let mut before = Files::new();
        // A repository without a commit has no HEAD, and everything staged is new.
        if let Some(tree) = self.head(git_dir).and_then(|commit| self.tree_of(commit)) {
            self.flatten(tree, &mut before);
        }
        let removed: Vec<ObjectId> = before.iter().filter(|(path, _)| !entries.contains_key(*path)).map(|(_, id)| *id).collect();
        let known: HashSet<ObjectId> = before.values().copied().collect();
        let fresh: Vec<(Vec<u8>, ObjectId)> = entries.into_iter().filter(|(_, id)| !known.contains(id)).collect();
        Ok(fresh.into_iter().map(|(path, id)| self.changed(&path, id, &before, &removed, None)).collect())
    }

    fn since(&mut self, git_dir: &Path, from: &str, to: &str) -> Result<Vec<Changed>, ChangesError> {
        let repository = self.repository;
        let history: &History = repository.history();
        let mut number = |text: &str| {
            let id = self.resolve(git_dir, text).ok_or_else(|| ChangesError::Revision(text.to_owned()))?;
            history.number(&id).ok_or_else(|| ChangesError::Revision(text.to_owned()))
        };
        let head = number(to)?;
        let is_zero = from.len() >= 40 && from.bytes().all(|byte| byte == b'0');
        let from: Vec<u32> = if is_zero { history.at_refs() } else { vec![number(from)?] };
        let old = history.before(&from);
        let new: Vec<u32> = history.before(&[head]).into_iter().filter(|number| old.binary_search(number).is_err()).collect();
        let mut before = Files::new();
        let mut seen: HashSet<(ObjectId, Vec<u8>)> = HashSet::new();
        let mut known: HashSet<ObjectId> = HashSet::new();
        // The revision itself, and the commits that the new ones were built on.
        let bases: Vec<u32> =
            new.iter().flat_map(|&number| history.parents(number)).copied().filter(|parent| new.binary_search(parent).is_err()).collect();
        for base in from.into_iter().chain(bases) {
            self.walk(history.tree(base), &mut seen, &mut |path, id| {
                known.insert(id);
                before.entry(path).or_insert(id);
            });
        }
        let mut now = Files::new();
        self.flatten(history.tree(head), &mut now);
        let removed: Vec<ObjectId> = before.iter().filter(|(path, _)| !now.contains_key(*path)).map(|(_, id)| *id).collect();
        let mut changed = Vec::new();
        // Parents have lower numbers than their children, so the commit that brought a content comes first.
        for &number in &new {
            let mut fresh = Vec::new();
            self.walk(history.tree(number), &mut seen, &mut |path, id| fresh.push((path, id)));
            for (path, id) in fresh {
                if known.insert(id) {
                    let placement = self.commit_placement(history.id(number), &path, now.get(&path) == Some(&id));
                    changed.push(self.changed(&path, id, &before, &removed, Some(placement)));
                }
            }
        }
        changed.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(changed)
    }

    fn changed(&mut self, path: &[u8], id: ObjectId, before: &Files, removed: &[ObjectId], placement: Option<Placement>) -> Changed {
        let new = match self.repository.read(&id, &mut self.work) {
            Ok((_, bytes)) => Ok(bytes),
            Err(error) => Err(self.repository.object_gap(&id, error)),
        };
        let olds: Vec<ObjectId> = match before.get(path) {
            Some(old) => vec![*old],
            None => removed.iter().take(MOVED_MAX).copied().collect(),
        };
        let old = olds.iter().filter_map(|id| self.repository.read(id, &mut self.work).ok().map(|(_, bytes)| bytes)).collect();
        Changed { path: String::from_utf8_lossy(path).into_owned(), new, old, placement }
    }

    fn commit_placement(&mut self, commit: ObjectId, path: &[u8], at_tip: bool) -> Placement {
        let bytes = self.repository.read(&commit, &mut self.work).map(|(_, bytes)| bytes).unwrap_or_default();
        let signature = CommitRefIter::from_bytes(&bytes, self.repository.hash).author().ok();
        placement(String::from_utf8_lossy(path).into_owned(), &commit, signature, at_tip)
    }

    fn tree_of(&mut self, commit: ObjectId) -> Option<ObjectId> {
        let (_, bytes) = self.repository.read(&commit, &mut self.work).ok()?;
        CommitRefIter::from_bytes(&bytes, self.repository.hash).tree_id().ok()
    }

    fn flatten(&mut self, tree: ObjectId, files: &mut Files) {
        self.walk(tree, &mut HashSet::new(), &mut |path, id| {
            files.insert(path, id);
        });
    }

    /// Calls for each file under a tree that was not seen at its path before.
    fn walk(&mut self, root: ObjectId, seen: &mut HashSet<(ObjectId, Vec<u8>)>, found: &mut dyn FnMut(Vec<u8>, ObjectId)) {
        let mut open = vec![(root, Vec::new(), 0)];
        while let Some((id, folder, depth)) = open.pop() {
            if !seen.insert((id, folder.clone())) {
                continue;
            }
            let Ok((Kind::Tree, bytes)) = self.repository.read(&id, &mut self.work) else {
                self.missing += 1;
                continue;
            };
            for entry in TreeRefIter::from_bytes(&bytes, self.repository.hash) {
                let Ok(entry) = entry else {
                    self.missing += 1;
                    break;
                };
                let mut path = folder.clone();
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(entry.filename);
                if entry.mode.is_tree() {
                    if depth < DEPTH_MAX {
                        open.push((entry.oid.to_owned(), path, depth + 1));
                    } else {
                        self.missing += 1;
                    }
                } else if !entry.mode.is_commit() && seen.insert((entry.oid.to_owned(), path.clone())) {
                    found(path, entry.oid.to_owned());
                }
            }
        }
    }

    fn head(&mut self, git_dir: &Path) -> Option<ObjectId> {
        self.resolve(git_dir, "HEAD")
    }

    /// The commit a revision names.
    fn resolve(&mut self, git_dir: &Path, revision: &str) -> Option<ObjectId> {
        let cut = revision.find(['~', '^']).unwrap_or(revision.len());
        let (name, steps) = revision.split_at(cut);
        let mut id = peel(self.repository, self.named(git_dir, name)?, &mut self.work)?;
        let mut rest = steps;
        while let Some(mark) = rest.chars().next() {
            rest = &rest[1..];
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let number: usize = if digits == 0 { 1 } else { rest[..digits].parse().ok()? };
            rest = &rest[digits..];
            match mark {
                '~' => {
                    for _ in 0..number {
                        id = self.parent(id, 0)?;
                    }
                }
                '^' if number > 0 => id = self.parent(id, number - 1)?,
                '^' => {}
                _ => return None,
            }
        }
        Some(id)
    }

    fn parent(&mut self, commit: ObjectId, number: usize) -> Option<ObjectId> {
        let (_, bytes) = self.repository.read(&commit, &mut self.work).ok()?;
        CommitRefIter::from_bytes(&bytes, self.repository.hash).parent_ids().nth(number)
    }

    fn named(&self, git_dir: &Path, name: &str) -> Option<ObjectId> {
        let all = refs::read(self.repository).refs;
        let by_name = |wanted: &str| all.iter().find(|reference| reference.name == wanted).map(|reference| reference.id);
        if matches!(name, "HEAD" | "@" | "") {
            // A worktree has a HEAD of its own.
            let line = read_small(&git_dir.join("HEAD"), 64 * 1024).ok()?;
            let text = String::from_utf8_lossy(line.trim_ascii()).into_owned();
            return match text.strip_prefix("ref:") {
                Some(reference) => by_name(reference.trim()),
                None => ObjectId::from_hex(text.as_bytes()).ok(),
            };
        }
        let places = ["", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"];
        if let Some(id) = places.iter().find_map(|place| by_name(&format!("{place}{name}"))) {
            return Some(id);
        }
        if let Some(id) = by_name(&format!("refs/remotes/{name}/HEAD")) {
            return Some(id);
        }
        if let Ok(id) = ObjectId::from_hex(name.as_bytes()) {
            return Some(id);
        }
        // The start of an id, of one commit alone.
        let is_start = name.len() >= 4 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let name = name.to_ascii_lowercase();
        let mut found = self.repository.history().ids().filter(|id| is_start && id.to_string().starts_with(&name));
        match (found.next(), found.next()) {
            (Some(id), None) => Some(id),
            _ => None,
        }
    }
}

/// Files of an index, by path. Source: git's `gitformat-index`.
fn index_entries(bytes: &[u8], hash: gix_hash::Kind) -> Result<BTreeMap<Vec<u8>, ObjectId>, String> {
    const STAT: usize = 40;
    let number = |at: usize| bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes);
    let cut_short = || "it is cut short".to_owned();
    if bytes.get(..4) != Some(b"DIRC") {
        return Err("it does not begin as one".to_owned());
    }
    let version = number(4).ok_or_else(cut_short)?;
    if !(2..=4).contains(&version) {
        return Err(format!("it has version {version}; 2, 3 and 4 are read"));
    }
    let count = number(8).ok_or_else(cut_short)?;
    let width = hash.len_in_bytes();
    let mut entries = BTreeMap::new();
    let mut at = 12;
    let mut last: Vec<u8> = Vec::new();
    for _ in 0..count {
        let start = at;
        let mode = number(at + 24).ok_or_else(cut_short)?;
        let id = bytes.get(at + STAT..at + STAT + width).ok_or_else(cut_short)?;
        let id = ObjectId::try_from(id).map_err(|error| error.to_string())?;
        at += STAT + width;
        let flags = bytes.get(at..at + 2).ok_or_else(cut_short)?;
        let flags = u16::from_be_bytes([flags[0], flags[1]]);
        at += 2;
        let mut to_be_added = false;
        if flags & 0x4000 != 0 {
            let more = bytes.get(at..at + 2).ok_or_else(cut_short)?;
            to_be_added = more[0] & 0x20 != 0;
            at += 2;
        }
        let path = if version == 4 {
            // How much of the last path's end goes, then what comes in its place.
            let mut strip: usize = 0;
            let mut byte = *bytes.get(at).ok_or_else(cut_short)?;
            at += 1;
            strip |= usize::from(byte & 0x7f);
            while byte & 0x80 != 0 {
                byte = *bytes.get(at).ok_or_else(cut_short)?;
                at += 1;
                strip = (strip.checked_add(1).ok_or_else(cut_short)? << 7) | usize::from(byte & 0x7f);
                if strip > bytes.len() {
                    return Err("a path takes more from the one before than that has".to_owned());
                }
            }
            let end = at + memchr_zero(bytes.get(at..).unwrap_or_default()).ok_or_else(cut_short)?;
            let kept = last.len().checked_sub(strip).ok_or("a path takes more from the one before than that has")?;
            last.truncate(kept);
            last.extend_from_slice(&bytes[at..end]);
            at = end + 1;
            last.clone()
        } else {
            let end = at + memchr_zero(bytes.get(at..).unwrap_or_default()).ok_or_else(cut_short)?;
            let path = bytes[at..end].to_vec();
            // Filled with zeros to a multiple of eight, at least one.
            at = start + ((end - start) / 8 + 1) * 8;
            path
        };
        let stage = (flags >> 12) & 3;
        let is_file = mode & 0o170_000 == 0o100_000;
        // Both sides of a conflict are here; the later stage is what the other side brings.
        if is_file && !to_be_added && (stage == 0 || !entries.contains_key(&path)) {
            entries.insert(path, id);
        }
    }
    Ok(entries)
}

fn memchr_zero(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use super::index_entries;

    #[test]
    fn a_broken_index_is_an_error_and_no_crash() {
        let kind = gix_hash::Kind::Sha1;
        for bytes in [&b""[..], b"DIRC", b"DIRC\0\0\0\x09\0\0\0\0", b"DIRC\0\0\0\x02\0\0\0\x05abc", b"NOPE\0\0\0\x02\0\0\0\0"] {
            assert!(index_entries(bytes, kind).is_err(), "{bytes:?}");
        }
        assert!(index_entries(b"DIRC\0\0\0\x02\0\0\0\0", kind).expect("an empty one").is_empty());
        let mut long = b"DIRC\0\0\0\x04\xff\xff\xff\xff".to_vec();
        long.extend([0xff; 4096]);
        assert!(index_entries(&long, kind).is_err());
    }
}
