//! Where blobs stand: at which path, brought by which commit, and whether a branch still holds them there.
//!
//! All commits are read once, oldest first, those that refs reach before those that nothing reaches any more. Each tree
//! is opened once for each folder it stood in, so a history of many commits that each change little costs little. A
//! hostile history can name more folders than fit anywhere (a tree of ten entries that all are the next tree, ten deep):
//! the walk stops at a limit and says so.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use super::pack::Work;
use gix_hash::{ObjectId, oid};
use gix_object::{CommitRefIter, Kind, TagRefIter, TreeRefIter};
use jiff::Timestamp;
use overdue_core::{Gap, GapReason, Placement};

use super::idset::{IdSet, Wanted};
use super::{Repository, refs};

/// Folders of all times in one walk. Large public repositories have some hundred thousand.
const FOLDERS_MAX: usize = 2_000_000;
/// Of them, in one commit that were in none before. One hostile commit must not use up the rest. (Tests build one.)
const FOLDERS_NEW_MAX: usize = if cfg!(test) { 30_000 } else { 300_000 };
/// Trees opened in one walk, each once for each folder it stood in. At 10 µs each, minutes.
const TREES_MAX: usize = 30_000_000;
/// Folders in folders; a path this deep is longer than any file system takes.
const DEPTH_MAX: u32 = 2_048;
/// Places named for one blob: where branches still hold it first, then the oldest.
const PLACES_MAX: usize = 32;
/// A tag of a tag of a tag.
const TAG_CHAIN_MAX: usize = 16;
/// Of an author's name and address, letters kept.
const AUTHOR_LETTERS_MAX: usize = 256;

/// A commit, as far as walking needs it.
pub(super) struct Commit {
    id: ObjectId,
    pub(super) tree: ObjectId,
    parents: Vec<u32>,
    seconds: i64,
    /// A ref reaches it.
    reached: bool,
    /// A branch reaches it.
    on_branch: bool,
    /// All its parents are here.
    is_whole: bool,
}

/// All commits of a repository.
pub(super) struct History {
    /// Oldest first; what refs reach before what they do not.
    commits: Vec<Commit>,
    numbers: HashMap<ObjectId, u32>,
    /// Trees that branches hold now.
    tips: Vec<ObjectId>,
    /// Objects that refs name themselves.
    named: HashSet<ObjectId>,
    unreadable: u64,
}

impl History {
    pub(super) fn commits(&self) -> &[Commit] {
        &self.commits
    }

    /// Ids of all commits.
    pub(super) fn ids(&self) -> impl Iterator<Item = ObjectId> + '_ {
        self.commits.iter().map(|commit| commit.id)
    }

    /// The number of a commit; parents have lower ones than their children.
    pub(super) fn number(&self, id: &ObjectId) -> Option<u32> {
        self.numbers.get(id).copied()
    }

    pub(super) fn id(&self, number: u32) -> ObjectId {
        self.commits[number as usize].id
    }

    pub(super) fn tree(&self, number: u32) -> ObjectId {
        self.commits[number as usize].tree
    }

    pub(super) fn parents(&self, number: u32) -> &[u32] {
        &self.commits[number as usize].parents
    }

    /// Commits that refs name.
    pub(super) fn at_refs(&self) -> Vec<u32> {
        self.named.iter().filter_map(|id| self.number(id)).collect()
    }

    /// Some commits and all before them, by number.
    pub(super) fn before(&self, from: &[u32]) -> Vec<u32> {
        let mut seen = vec![false; self.commits.len()];
        let mut open = from.to_vec();
        while let Some(number) = open.pop() {
            if !std::mem::replace(&mut seen[number as usize], true) {
                open.extend_from_slice(&self.commits[number as usize].parents);
            }
        }
        (0..).zip(seen).filter(|(_, seen)| *seen).map(|(number, _)| number).collect()
    }

    /// How many reached commits lack a parent or their root folder: then part of the database is gone.
    pub(super) fn torn(&self, repository: &Repository) -> usize {
        let is_torn = |commit: &&Commit| commit.reached && !(commit.is_whole && repository.contains(&commit.tree));
        self.commits.iter().filter(is_torn).count()
    }

    /// Reads all commit objects of a repository, and orders them.
    pub(super) fn read(repository: &Repository) -> Self {
        let mut work = repository.work();
        let mut numbers: HashMap<ObjectId, u32> = HashMap::new();
        let mut commits: Vec<Commit> = Vec::new();
        let mut parents_of: Vec<Vec<ObjectId>> = Vec::new();
        let mut unreadable = 0;
        repository.each_of_kind(Kind::Commit, |id| {
            if numbers.contains_key(id) {
                return;
            }
            let read = repository.read(id, &mut work).ok();
            let Some((commit, parents)) = read.and_then(|(_, bytes)| parse(id, &bytes, repository.hash)) else {
                unreadable += 1;
                return;
            };
            if let Ok(number) = u32::try_from(commits.len()) {
                numbers.insert(id.to_owned(), number);
                commits.push(commit);
                parents_of.push(parents);
            }
        });
        for (commit, parents) in commits.iter_mut().zip(parents_of) {
            commit.is_whole = parents.iter().all(|parent| numbers.contains_key(parent));
            commit.parents = parents.iter().filter_map(|parent| numbers.get(parent).copied()).collect();
        }
        let refs = refs::read(repository).refs;
        let named = refs.iter().map(|reference| reference.id).collect();
        let mut tips = Vec::new();
        for reference in &refs {
            let Some(number) = peel(repository, reference.id, &mut work).and_then(|id| numbers.get(&id).copied()) else { continue };
            if reference.is_branch {
                tips.push(commits[number as usize].tree);
                reach(&mut commits, number, |commit| std::mem::replace(&mut commit.on_branch, true));
            }
            reach(&mut commits, number, |commit| std::mem::replace(&mut commit.reached, true));
        }
        tips.sort_unstable();
        tips.dedup();
        repository.give_back(work);
        let mut history = Self { commits, numbers, tips, named, unreadable };
        history.sort();
        history
    }

    /// Parents before children, by date where that leaves a choice; reached ones first.
    fn sort(&mut self) {
        let mut open_parents: Vec<u32> = vec![0; self.commits.len()];
        let mut children: Vec<Vec<u32>> = vec![Vec::new(); self.commits.len()];
        for (number, commit) in self.commits.iter().enumerate() {
            for &parent in &commit.parents {
                children[parent as usize].push(number as u32);
                open_parents[number] += 1;
            }
        }
        let key = |number: u32| {
            let commit = &self.commits[number as usize];
            Reverse((!commit.reached, commit.seconds, number))
        };
        // A reached commit has only reached parents, so it never waits for one that is not.
        let mut ready: BinaryHeap<_> =
            (0..self.commits.len() as u32).filter(|&number| open_parents[number as usize] == 0).map(key).collect();
        let mut order: Vec<u32> = Vec::with_capacity(self.commits.len());
        while let Some(Reverse((_, _, number))) = ready.pop() {
            order.push(number);
            for &child in &children[number as usize] {
                open_parents[child as usize] -= 1;
                if open_parents[child as usize] == 0 {
                    ready.push(key(child));
                }
            }
        }
        // Ids are digests, so commits cannot go in a circle; in a forged database they may, and are then left at the end.
        if order.len() < self.commits.len() {
            let placed: HashSet<u32> = order.iter().copied().collect();
            order.extend((0..self.commits.len() as u32).filter(|number| !placed.contains(number)));
        }
        let mut rank: Vec<u32> = vec![0; order.len()];
        for (at, &number) in order.iter().enumerate() {
            rank[number as usize] = at as u32;
        }
        let mut taken: Vec<Option<Commit>> = std::mem::take(&mut self.commits).into_iter().map(Some).collect();
        self.commits = order.iter().filter_map(|&number| taken[number as usize].take()).collect();
        for commit in &mut self.commits {
            for parent in &mut commit.parents {
                *parent = rank[*parent as usize];
            }
        }
        for number in self.numbers.values_mut() {
            *number = rank[*number as usize];
        }
    }
}

/// Marks a commit and all before it. `mark` tells whether it was marked already.
fn reach(commits: &mut [Commit], from: u32, mark: impl Fn(&mut Commit) -> bool) {
    let mut open = vec![from];
    while let Some(number) = open.pop() {
        if !mark(&mut commits[number as usize]) {
            open.extend_from_slice(&commits[number as usize].parents);
        }
    }
}

fn parse(id: &oid, bytes: &[u8], hash: gix_hash::Kind) -> Option<(Commit, Vec<ObjectId>)> {
    let mut fields = CommitRefIter::from_bytes(bytes, hash);
    let tree = fields.tree_id().ok()?;
    let parents = CommitRefIter::from_bytes(bytes, hash).parent_ids().collect();
    let seconds = CommitRefIter::from_bytes(bytes, hash).committer().map_or(0, |signature| signature.seconds());
    Some((Commit { id: id.to_owned(), tree, parents: Vec::new(), seconds, reached: false, on_branch: false, is_whole: true }, parents))
}

/// The commit a ref means: itself, or what its tag names.
pub(super) fn peel(repository: &Repository, mut id: ObjectId, work: &mut Work) -> Option<ObjectId> {
    for _ in 0..TAG_CHAIN_MAX {
        match repository.read(&id, work).ok()? {
            (Kind::Commit, _) => return Some(id),
            (Kind::Tag, bytes) => id = TagRefIter::from_bytes(&bytes, repository.hash).target_id().ok()?,
            _ => return None,
        }
    }
    None
}

/// Folders and files of all times, each named once.
struct Paths {
    /// Parent and name; number 0 is the root.
    nodes: Vec<(u32, Box<[u8]>)>,
    depths: Vec<u32>,
    numbers: HashMap<u64, u32>,
    hasher: RandomState,
}

impl Paths {
    fn new() -> Self {
        Self { nodes: vec![(0, Box::default())], depths: vec![0], numbers: HashMap::new(), hasher: RandomState::new() }
    }

    fn number(&mut self, parent: u32, name: &[u8]) -> u32 {
        // 64 keyed bits over a few million paths: they do not meet, and nobody outside can make them.
        let key = self.hasher.hash_one((parent, name));
        *self.numbers.entry(key).or_insert_with(|| {
            self.nodes.push((parent, name.into()));
            self.depths.push(self.depths[parent as usize] + 1);
            (self.nodes.len() - 1) as u32
        })
    }

    fn text(&self, mut number: u32) -> String {
        let mut parts: Vec<&[u8]> = Vec::new();
        while number != 0 {
            let (parent, name) = &self.nodes[number as usize];
            parts.push(name);
            number = *parent;
        }
        parts.reverse();
        String::from_utf8_lossy(&parts.join(&b'/')).into_owned()
    }
}

/// A walk over trees that looks for some blobs.
struct Walk<'a> {
    repository: &'a Repository,
    wanted: Wanted<'a>,
    paths: Paths,
    missing: u64,
    trees: usize,
    /// A limit was met: some of it was not looked at.
    cut: Option<String>,
    /// It was the limit of the whole walk.
    stopped: bool,
}

impl Walk<'_> {
    /// Opens a root tree and every folder under it that was not seen, and calls for each wanted blob.
    fn tree(&mut self, root: ObjectId, seen: &mut IdSet, work: &mut Work, mut found: impl FnMut(&oid, u32)) {
        if self.stopped || !seen.insert(&root, 0) {
            return;
        }
        let folders_before = self.paths.nodes.len();
        let mut open = vec![(root, 0)];
        while let Some((id, folder)) = open.pop() {
            self.trees += 1;
            let Ok((Kind::Tree, bytes)) = self.repository.read(&id, work) else {
                self.missing += 1;
                continue;
            };
            for entry in TreeRefIter::from_bytes(&bytes, self.repository.hash) {
                let Ok(entry) = entry else {
                    self.missing += 1;
                    break;
                };
                if entry.mode.is_tree() {
                    let path = self.paths.number(folder, entry.filename);
                    if seen.insert(entry.oid, path) {
                        open.push((entry.oid.to_owned(), path));
                    }
                } else if !entry.mode.is_commit() && self.wanted.contains(entry.oid) {
                    found(entry.oid, self.paths.number(folder, entry.filename));
                }
            }
            let cut = if self.paths.nodes.len() > FOLDERS_MAX {
                self.stopped = true;
                format!("more than {FOLDERS_MAX} folders")
            } else if self.trees > TREES_MAX {
                self.stopped = true;
                format!("more than {TREES_MAX} trees")
            } else if self.paths.nodes.len() - folders_before > FOLDERS_NEW_MAX {
                format!("more than {FOLDERS_NEW_MAX} new folders in one commit")
            } else if self.paths.depths[folder as usize] > DEPTH_MAX {
                format!("folders more than {DEPTH_MAX} deep")
            } else {
                continue;
            };
            self.cut.get_or_insert(cut);
            return;
        }
    }
}

impl Repository {
    /// Where these objects stand in history. Each gets at least one placement; one without a commit means: no commit
    /// reaches it.
    pub(in crate::machine) fn place(&self, hexes: &[&str]) -> (BTreeMap<String, Vec<Placement>>, Vec<Gap>) {
        let history = self.history();
        let mut work = self.work();
        let mut placements: BTreeMap<String, Vec<Placement>> = BTreeMap::new();
        let mut blobs: HashSet<ObjectId> = HashSet::new();
        for hex in hexes {
            let id = ObjectId::from_hex(hex.as_bytes()).ok();
            match id.map(|id| (id, self.read(&id, &mut work))) {
                Some((id, Ok((Kind::Commit, bytes)))) => {
                    let on_branch = history.numbers.get(&id).is_some_and(|&number| history.commits[number as usize].on_branch);
                    let signature = CommitRefIter::from_bytes(&bytes, self.hash).author().ok();
                    placements.insert((*hex).to_owned(), vec![placement("(commit message)".into(), &id, signature, on_branch)]);
                }
                Some((id, Ok((Kind::Tag, bytes)))) => {
                    let signature = TagRefIter::from_bytes(&bytes, self.hash).tagger().ok().flatten();
                    placements
                        .insert((*hex).to_owned(), vec![placement("(tag message)".into(), &id, signature, history.named.contains(&id))]);
                }
                Some((id, _)) => {
                    blobs.insert(id);
                }
                None => {}
            }
        }
        let mut gaps = Vec::new();
        if !blobs.is_empty() {
            let (found, stopped) = self.place_blobs(history, &blobs, &mut work);
            for (id, places) in found {
                placements.insert(id.to_string(), places);
            }
            gaps.extend(stopped);
        }
        self.give_back(work);
        for hex in hexes {
            placements.entry((*hex).to_owned()).or_insert_with(|| vec![nowhere()]);
        }
        (placements, gaps)
    }

    fn place_blobs(
        &self,
        history: &History,
        blobs: &HashSet<ObjectId>,
        work: &mut Work,
    ) -> (HashMap<ObjectId, Vec<Placement>>, Option<Gap>) {
        let mut walk = Walk {
            repository: self,
            wanted: Wanted::new(blobs),
            paths: Paths::new(),
            missing: history.unreadable,
            trees: 0,
            cut: None,
            stopped: false,
        };
        let mut at_tip: HashSet<(ObjectId, u32)> = HashSet::new();
        let mut seen = IdSet::new();
        for tip in &history.tips {
            walk.tree(*tip, &mut seen, work, |id, path| {
                at_tip.insert((id.to_owned(), path));
            });
        }
        seen.clear();
        // By object and path: the number of the commit that brought it.
        let mut brought: HashMap<(ObjectId, u32), usize> = HashMap::new();
        for (number, commit) in history.commits.iter().enumerate() {
            walk.tree(commit.tree, &mut seen, work, |id, path| {
                brought.entry((id.to_owned(), path)).or_insert(number);
            });
        }
        let mut by_blob: HashMap<ObjectId, Vec<(bool, usize, u32)>> = HashMap::new();
        for ((id, path), number) in brought {
            by_blob.entry(id).or_default().push((!at_tip.contains(&(id, path)), number, path));
        }
        let mut authors: HashMap<usize, Placement> = HashMap::new();
        let placements = by_blob
            .into_iter()
            .map(|(id, mut places)| {
                places.sort_unstable();
                places.truncate(PLACES_MAX);
                let places = places.into_iter().map(|(gone, number, path)| {
                    let commit = authors.entry(number).or_insert_with(|| self.brought_by(&history.commits[number].id, work));
                    Placement { path: walk.paths.text(path), at_tip: !gone, ..commit.clone() }
                });
                (id, places.collect())
            })
            .collect();
        let gap = match (&walk.cut, walk.missing) {
            (Some(limit), _) => {
                Some((GapReason::TooMany, format!("its history has {limit}; for some findings path and commit are not known")))
            }
            (None, 0) => None,
            (None, missing) => Some((
                GapReason::Corrupt,
                format!("{missing} commits or folders of its history cannot be read; for some findings path and commit may not be known"),
            )),
        };
        let mend = "fetch or clone the repository again; `git fsck` tells more";
        let gap = gap
            .filter(|_| !self.promisor)
            .map(|(reason, detail)| self.gap_of(format!("history of {}", self.name), reason, detail, mend, false));
        (placements, gap)
    }

    fn brought_by(&self, commit: &oid, work: &mut Work) -> Placement {
        match self.read(commit, work) {
            Ok((_, bytes)) => placement(String::new(), commit, CommitRefIter::from_bytes(&bytes, self.hash).author().ok(), false),
            Err(_) => Placement { commit: commit.to_hex().to_string(), ..nowhere() },
        }
    }
}

pub(super) fn placement(path: String, commit: &oid, signature: Option<gix_actor::SignatureRef<'_>>, at_tip: bool) -> Placement {
    let mut placement = Placement { path, commit: commit.to_hex().to_string(), at_tip, ..nowhere() };
    if let Some(signature) = signature {
        let signature = signature.trim();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(AUTHOR_LETTERS_MAX).collect::<String>();
        placement.author_address = text(signature.email);
        placement.author = format!("{} <{}>", text(signature.name), placement.author_address);
        placement.committed_at = signature.time().ok().and_then(|time| Timestamp::from_second(time.seconds).ok());
    }
    placement
}

const fn nowhere() -> Placement {
    Placement {
        path: String::new(),
        commit: String::new(),
        author: String::new(),
        author_address: String::new(),
        committed_at: None,
        at_tip: false,
    }
}
