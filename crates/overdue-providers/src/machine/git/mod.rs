//! Git repositories, by their objects.
//!
//! Every blob, commit and tag of a repository's object database is listed once, whether a branch reaches it or not: a
//! token in a deleted branch is still there for whoever clones the folder. Objects are read straight from packs and loose
//! files. There is no checkout, no filter, no hook, no helper program and no configuration that could name one: nothing
//! here can start a process, and nothing is written. A pack that is damaged costs its own objects; the rest goes on.
//!
//! Callers may rely on: one [`Repository`] is one look at the database (its packs stay open when git repacks meanwhile);
//! what it could not see is in its gaps, each with what to do about it.

mod changes;
mod history;
mod idset;
mod layout;
mod loose;
mod pack;
mod refs;

use std::collections::{BTreeSet, HashSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use gix_hash::{ObjectId, oid};
use gix_object::Kind;
use overdue_core::{Cursor, Gap, GapReason, TargetId};

use super::names;
use super::open::{io_gap, read_small};
use crate::{Body, Fault};
use loose::{Loose, LooseScan};
use pack::{Pack, Work};

pub use changes::{Changed, ChangesError, Scope, changes};
pub(super) use layout::{Found, common_dir, common_of, is_bare, look_at_dot_git, place_of};
pub(super) use pack::Shared;

/// Objects a page lists.
const PAGE_OBJECTS: usize = 4_096;
/// An object that stands by itself is streamed; longer than this it is a gap, as a file would be.
const OBJECT_BYTES_MAX: u64 = super::FILE_BYTES_MAX;
/// Up to this size an object is handed over in memory, above it is streamed.
const STREAM_FROM_BYTES: u64 = 4 * 1024 * 1024;
/// Up to this size an object, and all it is built on, is unfolded where it is asked for: about as long as waking a thread.
pub(super) const AT_HAND_BYTES_MAX: u64 = 64 * 1024;
/// What a stream reads at once.
const STREAM_BUFFER_BYTES: u64 = 128 * 1024;
/// Git follows alternates of alternates this deep.
const ALTERNATES_DEPTH_MAX: usize = 5;
/// Far above what a busy server piles up between two repacks, and low enough to map them all.
const PACKS_MAX: usize = 20_000;
/// A list of shallow commits or alternates: 40 bytes or a path a line.
const LIST_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Why an object could not be read.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("it is not in the object database")]
    Missing,
    #[error("{0}")]
    Corrupt(String),
    #[error("it is larger than the limit: {0} bytes")]
    TooLarge(u64),
    #[error("{0}")]
    Io(io::Error),
}

/// An object of the listing.
pub(super) struct Object {
    pub(super) id: ObjectId,
    /// What it is, where it is no blob.
    pub(super) note: Option<&'static str>,
    pub(super) size: Option<u64>,
    /// The store it lies in, where that is not the repository's own.
    pub(super) borrowed_from: Option<PathBuf>,
}

/// One page of the listing.
#[derive(Default)]
pub(super) struct ObjectPage {
    pub(super) objects: Vec<Object>,
    pub(super) gaps: Vec<Gap>,
    pub(super) next: Option<Cursor>,
}

/// An `objects` folder.
struct Store {
    objects: PathBuf,
    /// The repository's own, not an alternate's.
    own: bool,
    /// False for an alternate that is another target's own: it is listed there.
    listed: bool,
}

/// One look at a repository's object database.
pub(super) struct Repository {
    target: TargetId,
    /// Its name in artifacts.
    name: String,
    common: PathBuf,
    hash: gix_hash::Kind,
    promisor: bool,
    is_shallow: bool,
    reftable: bool,
    stores: Vec<Store>,
    packs: Vec<Pack>,
    loose: OnceLock<Vec<LooseScan>>,
    history: OnceLock<history::History>,
    /// What opening it could not see. Said with the first page.
    gaps: Vec<Gap>,
    shared: Arc<Shared>,
    works: Mutex<Vec<Work>>,
}

/// Where a listing stands.
enum Position {
    Pack { number: usize, at: usize },
    Loose { store: usize, after: Option<ObjectId> },
    Check,
}

impl Repository {
    /// Opens the repository that a target names. `elsewhere` are `objects` folders that other targets list.
    pub(super) fn open(target: &TargetId, name: &str, shared: Arc<Shared>, elsewhere: &HashSet<PathBuf>) -> Result<Self, Box<Gap>> {
        let place = names::path_of(name);
        let common = match common_of(&place) {
            Found::Repository(common) => common,
            Found::Broken(why) => return Err(Box::new(broken(target, name, why))),
            Found::Nothing if place.symlink_metadata().is_ok() => {
                return Err(Box::new(broken(target, name, "there is no git repository".into())));
            }
            Found::Nothing => {
                let gap = broken(target, name, "it was there a moment ago".into());
                return Err(Box::new(Gap { reason: GapReason::Vanished, mend: "nothing, if it was removed or moved".into(), ..gap }));
            }
        };
        let facts = layout::Facts::read(&common);
        let hash = match facts.object_format.as_deref() {
            None => guess_hash(&common.join("objects")),
            Some("sha1") => gix_hash::Kind::Sha1,
            Some("sha256") => gix_hash::Kind::Sha256,
            Some(other) => {
                let gap = broken(target, name, format!("its objects are named by `{other}`, which is neither sha1 nor sha256"));
                let mend = "report which git made it".to_owned();
                return Err(Box::new(Gap { reason: GapReason::Unsupported, mend, ..gap }));
            }
        };
        let mut repository = Self {
            target: target.clone(),
            name: name.to_owned(),
            hash,
            promisor: facts.promisor,
            is_shallow: false,
            reftable: facts.ref_storage.as_deref() == Some("reftable"),
            stores: Vec::new(),
            packs: Vec::new(),
            loose: OnceLock::new(),
            history: OnceLock::new(),
            gaps: Vec::new(),
            shared,
            works: Mutex::default(),
            common,
        };
        repository.find_stores(elsewhere);
        for store in 0..repository.stores.len() {
            repository.find_packs(store);
        }
        repository.look_for_shallow();
        Ok(repository)
    }

    /// The repository's own `objects` folder and those it borrows from.
    fn find_stores(&mut self, elsewhere: &HashSet<PathBuf>) {
        let own = self.common.join("objects");
        let own = own.canonicalize().unwrap_or(own);
        let mut seen: BTreeSet<PathBuf> = BTreeSet::from([own.clone()]);
        let mut open = vec![(own, 0_usize)];
        while let Some((objects, depth)) = open.pop() {
            let list = objects.join("info").join("alternates");
            let lines = match read_small(&list, LIST_BYTES_MAX) {
                Ok(lines) => lines,
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Vec::new(),
                Err(error) => {
                    self.gaps.push(io_gap(&self.target, names::name_of(&list), &error, true));
                    Vec::new()
                }
            };
            for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#")) {
                // A path with odd bytes is written in quotes, as C would write it.
                let line = unquote(line);
                let alternate = objects.join(layout::path_from_bytes(&line));
                match alternate.canonicalize() {
                    Ok(found) if depth + 1 > ALTERNATES_DEPTH_MAX => {
                        let detail =
                            format!("alternates lead more than {ALTERNATES_DEPTH_MAX} steps away, further than git itself follows");
                        self.gap(names::name_of(&found), GapReason::TooDeep, detail, "shorten the chain of info/alternates files", true);
                    }
                    Ok(found) => {
                        if seen.insert(found.clone()) {
                            open.push((found, depth + 1));
                        }
                    }
                    Err(error) => {
                        let subject = format!("objects borrowed from {}", names::name_of(&alternate));
                        let detail = format!("{} names a folder that cannot be opened: {error}", names::name_of(&list));
                        let reason = if error.kind() == io::ErrorKind::PermissionDenied { GapReason::Denied } else { GapReason::Corrupt };
                        self.gap(
                            subject,
                            reason,
                            detail,
                            "put the other repository back, or clone this one anew without --reference",
                            true,
                        );
                    }
                }
            }
            let listed = depth == 0 || !elsewhere.contains(&objects);
            self.stores.push(Store { objects, own: depth == 0, listed });
        }
    }

    /// Takes another folder of objects to the repository's own.
    fn borrow(&mut self, objects: PathBuf) {
        if !self.stores.iter().any(|store| store.objects == objects) {
            self.stores.push(Store { objects, own: false, listed: true });
            self.find_packs(self.stores.len() - 1);
        }
    }

    fn find_packs(&mut self, store: usize) {
        let Store { objects, listed, .. } = &self.stores[store];
        let (folder, listed) = (objects.join("pack"), *listed);
        let mut files: BTreeSet<PathBuf> = BTreeSet::new();
        match std::fs::read_dir(&folder) {
            Ok(entries) => {
                for entry in entries {
                    match entry {
                        Ok(entry) => {
                            files.insert(entry.path());
                        }
                        Err(error) => self.gaps.push(io_gap(&self.target, names::name_of(&folder), &error, true)),
                    }
                }
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => self.gaps.push(io_gap(&self.target, names::name_of(&folder), &error, true)),
        }
        let mut left_over = Vec::new();
        for path in &files {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with("tmp_pack_") && path.metadata().is_ok_and(|facts| facts.len() > 32) {
                left_over.push(name);
                continue;
            }
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("pack") => self.add_pack(path, &files, listed),
                Some("idx") if !files.contains(&path.with_extension("pack")) && listed => {
                    let count = self.index_count(path);
                    self.gap(
                        format!("pack {}", names::name_of(&path.with_extension("pack"))),
                        GapReason::Corrupt,
                        format!("its index is there, the pack itself is not{count}"),
                        "fetch or clone the repository again",
                        count.is_empty(),
                    );
                }
                Some("promisor") => self.promisor = true,
                _ => {}
            }
        }
        if let Some(first) = left_over.first().filter(|_| listed) {
            self.gap(
                format!("{} in {}", first, names::name_of(&folder)),
                GapReason::Corrupt,
                format!("{} left over from a fetch or clone that was broken off; what they hold was not read", packs_text(left_over.len())),
                "fetch or clone again, then remove it",
                true,
            );
        }
    }

    fn add_pack(&mut self, path: &Path, files: &BTreeSet<PathBuf>, listed: bool) {
        let subject = format!("pack {}", names::name_of(path));
        if self.packs.len() >= PACKS_MAX {
            if self.packs.len() == PACKS_MAX && !self.gaps.iter().any(|gap| gap.reason == GapReason::TooMany) {
                self.gap(subject, GapReason::TooMany, format!("more than {PACKS_MAX} packs"), "run `git gc` in it", true);
            }
            return;
        }
        if !files.contains(&path.with_extension("idx")) {
            if listed {
                let mend = "run `git index-pack` on it, or fetch or clone the repository again";
                self.gap(subject, GapReason::Corrupt, "it has no index, so git does not read it either".into(), mend, true);
            }
            return;
        }
        for file in [path, &path.with_extension("idx")] {
            match super::open::open_regular(file, super::open::Links::Follow) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    let detail = format!("{}: {error}", names::name_of(file));
                    self.gap(subject, GapReason::Corrupt, detail, "fetch or clone the repository again", true);
                    return;
                }
                Err(error) => {
                    self.gaps.push(io_gap(&self.target, subject, &error, true));
                    return;
                }
            }
        }
        static NEXT: AtomicU64 = AtomicU64::new(0);
        match Pack::open(NEXT.fetch_add(1, Ordering::Relaxed), path, self.hash, listed, self.shared.clone()) {
            Ok(pack) => self.packs.push(pack),
            Err(why) => {
                let count = self.index_count(&path.with_extension("idx"));
                let mend = "fetch or clone the repository again; `git fsck` tells more";
                self.gap(subject, GapReason::Corrupt, format!("it cannot be read: {why}{count}"), mend, count.is_empty());
            }
        }
    }

    /// `, N objects`, as far as an index can be read.
    fn index_count(&self, index: &Path) -> String {
        pack::index_count(index, self.hash).map_or_else(String::new, |count| format!(", {count} objects"))
    }

    fn look_for_shallow(&mut self) {
        let path = self.common.join("shallow");
        match read_small(&path, LIST_BYTES_MAX) {
            Ok(bytes) => {
                let cut = bytes.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
                self.is_shallow = cut > 0;
                if cut > 0 {
                    self.gap(
                        format!("history of {}", self.name),
                        GapReason::Truncated,
                        format!("a shallow clone: history is cut at {cut} commit{}", if cut == 1 { "" } else { "s" }),
                        "run `git fetch --unshallow` in it",
                        true,
                    );
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.gaps.push(io_gap(&self.target, names::name_of(&path), &error, true)),
        }
    }

    fn gap(&mut self, subject: String, reason: GapReason, detail: String, mend: &str, open_ended: bool) {
        let gap = self.gap_of(subject, reason, detail, mend, open_ended);
        self.gaps.push(gap);
    }

    fn gap_of(&self, subject: String, reason: GapReason, detail: String, mend: &str, open_ended: bool) -> Gap {
        Gap { target: self.target.clone(), subject, reason, detail, permission: String::new(), mend: mend.to_owned(), open_ended }
    }

    fn loose(&self) -> &[LooseScan] {
        self.loose.get_or_init(|| self.stores.iter().map(|store| loose::scan(&store.objects, self.hash)).collect())
    }

    /// One page of the listing: packs in pack order, then loose objects, then what all of them together lack.
    pub(super) fn page(&self, cursor: Option<&Cursor>) -> ObjectPage {
        let mut page = ObjectPage::default();
        let mut position = match cursor {
            None => {
                page.gaps.extend(self.gaps.iter().cloned());
                Position::Pack { number: 0, at: 0 }
            }
            Some(cursor) => match self.position_of(&cursor.0) {
                Some(position) => position,
                None => {
                    let detail = "it was repacked while it was read".to_owned();
                    page.gaps.push(self.gap_of(format!("objects of {}", self.name), GapReason::BrokenListing, detail, "run again", true));
                    return page;
                }
            },
        };
        let mut work = self.work();
        loop {
            if page.objects.len() >= PAGE_OBJECTS {
                page.next = Some(self.cursor_of(&position));
                break;
            }
            position = match position {
                Position::Pack { number, at } => match self.packs.get(number) {
                    None => Position::Loose { store: 0, after: None },
                    Some(pack) if !pack.listed => Position::Pack { number: number + 1, at: 0 },
                    Some(pack) => self.page_of_pack(&mut page, pack, number, at, &mut work),
                },
                Position::Loose { store, after } => match self.stores.get(store) {
                    None => Position::Check,
                    Some(found) if !found.listed => Position::Loose { store: store + 1, after: None },
                    Some(_) => self.page_of_loose(&mut page, store, after),
                },
                Position::Check => {
                    self.look_for_lacks(&mut page.gaps);
                    break;
                }
            };
        }
        self.give_back(work);
        page
    }

    fn page_of_pack(&self, page: &mut ObjectPage, pack: &Pack, number: usize, at: usize, work: &mut Work) -> Position {
        let order = pack.order();
        if at == 0
            && let Some(damage) = &order.damage
        {
            let detail = match order.damaged {
                0 => damage.clone(),
                count => format!("{count} of its {} objects cannot be read: {damage}", order.len()),
            };
            let mend = "fetch or clone the repository again; `git fsck` tells more";
            page.gaps.push(self.gap_of(
                format!("pack {}", names::name_of(&pack.path)),
                GapReason::Corrupt,
                detail,
                mend,
                order.damaged == 0,
            ));
        }
        let borrowed_from = self.borrowed(&pack.path);
        let mut position = at;
        while position < order.len() && page.objects.len() < PAGE_OBJECTS {
            if let Some((id, kind, offset)) = pack.at(position)
                && kind != Kind::Tree
                && !self.packs[..number].iter().any(|earlier| earlier.listed && earlier.lists(&id))
            {
                let size = pack.size_of(offset, work).ok();
                page.objects.push(Object { id, note: note(kind), size, borrowed_from: borrowed_from.clone() });
            }
            position += 1;
        }
        pack.read_ahead(at, position, work);
        if position < order.len() { Position::Pack { number, at: position } } else { Position::Pack { number: number + 1, at: 0 } }
    }

    fn page_of_loose(&self, page: &mut ObjectPage, store: usize, after: Option<ObjectId>) -> Position {
        let Some(scan) = self.loose().get(store) else { return Position::Check };
        if after.is_none() {
            page.gaps.extend(scan.refused.iter().map(|(path, error)| io_gap(&self.target, names::name_of(path), error, path.is_dir())));
            if let Some((path, why)) = scan.damaged.first() {
                page.gaps.push(self.gap_of(
                    format!("loose object {}", names::name_of(path)),
                    GapReason::Corrupt,
                    match scan.damaged.len() {
                        1 => why.clone(),
                        count => format!("it and {} others cannot be read: {why}", count - 1),
                    },
                    "fetch the objects again; `git fsck` lists them",
                    false,
                ));
            }
        }
        let from = after.map_or(0, |after| scan.objects.partition_point(|object| object.id <= after));
        let borrowed_from = self.stores.get(store).filter(|store| !store.own).map(|store| store.objects.clone());
        let mut last = None;
        for Loose { id, kind, size } in scan.objects.iter().skip(from) {
            if page.objects.len() >= PAGE_OBJECTS {
                return last
                    .or(after)
                    .map_or(Position::Loose { store, after: None }, |after| Position::Loose { store, after: Some(after) });
            }
            last = Some(*id);
            let listed_before = self.packs.iter().any(|pack| pack.listed && pack.lists(id))
                || (0..store).any(|earlier| self.stores[earlier].listed && self.loose_at(earlier, id).is_some());
            if *kind != Kind::Tree && !listed_before {
                page.objects.push(Object { id: *id, note: note(*kind), size: Some(*size), borrowed_from: borrowed_from.clone() });
            }
        }
        Position::Loose { store: store + 1, after: None }
    }

    fn loose_at(&self, store: usize, id: &oid) -> Option<&Loose> {
        let objects = &self.loose().get(store)?.objects;
        objects.binary_search_by(|object| object.id.as_ref().cmp(id)).ok().map(|at| &objects[at])
    }

    /// The alternate a file lies in; `None` for the repository's own.
    fn borrowed(&self, file: &Path) -> Option<PathBuf> {
        self.stores.iter().find(|store| !store.own && file.starts_with(&store.objects)).map(|store| store.objects.clone())
    }

    fn cursor_of(&self, position: &Position) -> Cursor {
        Cursor(match position {
            Position::Pack { number, at } => {
                format!("pack {number} {at} {}", self.packs.get(*number).map(Pack::stem).unwrap_or_default())
            }
            Position::Loose { store, after } => format!("loose {store} {}", after.map(|id| id.to_string()).unwrap_or_default()),
            Position::Check => "check".to_owned(),
        })
    }

    fn position_of(&self, cursor: &str) -> Option<Position> {
        let mut parts = cursor.splitn(4, ' ');
        match (parts.next()?, parts.next(), parts.next(), parts.next()) {
            ("pack", Some(number), Some(at), Some(stem)) => {
                let number: usize = number.parse().ok()?;
                let expected = self.packs.get(number).map(Pack::stem).unwrap_or_default();
                (expected == stem).then_some(Position::Pack { number, at: at.parse().ok()? })
            }
            ("loose", Some(store), Some(after), None) => {
                let after = if after.is_empty() { None } else { Some(ObjectId::from_hex(after.as_bytes()).ok()?) };
                Some(Position::Loose { store: store.parse().ok()?, after })
            }
            ("check", ..) => Some(Position::Check),
            _ => None,
        }
    }

    /// What the listing as a whole shows to be absent: heads of branches, and what a partial clone kept back.
    fn look_for_lacks(&self, gaps: &mut Vec<Gap>) {
        let refs = refs::read(self);
        for (path, error) in &refs.refused {
            // Branches only say where a thing stands; the objects were all listed. So this hides no object.
            gaps.push(io_gap(&self.target, names::name_of(path), error, false));
        }
        let lost: Vec<&refs::Ref> = refs.refs.iter().filter(|reference| !self.contains(&reference.id)).collect();
        let partial = if self.promisor { self.kept_back() } else { 0 };
        let torn = if self.promisor || self.is_shallow { 0 } else { self.history().torn(self) };
        if partial > 0 {
            gaps.push(self.gap_of(
                format!("objects of {}", self.name),
                GapReason::Truncated,
                format!("a partial clone: the server kept back at least {partial} object{}", if partial == 1 { "" } else { "s" }),
                "clone it without --filter, or run `git backfill` in it",
                true,
            ));
        } else if let Some(first) = lost.first()
            && !self.is_damaged()
        {
            let names = first.name.clone();
            gaps.push(self.gap_of(
                format!("objects of {}", self.name),
                GapReason::Corrupt,
                match lost.len() {
                    1 => format!("{names} names an object that is not there"),
                    count => format!("{names} and {} other refs name objects that are not there", count - 1),
                },
                "fetch or clone the repository again; `git fsck` tells more",
                true,
            ));
        } else if torn > 0 && !self.is_damaged() {
            gaps.push(self.gap_of(
                format!("history of {}", self.name),
                GapReason::Corrupt,
                match torn {
                    1 => "a commit names a parent or a folder that is not there".to_owned(),
                    _ => format!("{torn} commits name a parent or a folder that is not there"),
                },
                "fetch or clone the repository again; `git fsck` tells more",
                true,
            ));
        }
    }

    /// Whether some pack, loose object or alternate was already said to be damaged: then that is why things are not there.
    fn is_damaged(&self) -> bool {
        self.gaps.iter().any(|gap| matches!(gap.reason, GapReason::Corrupt | GapReason::Denied))
            || self.packs.iter().any(|pack| pack.order().damage.is_some())
            || self.loose().iter().any(|scan| !scan.damaged.is_empty() || !scan.refused.is_empty())
    }

    /// How many objects trees and commits name that are not here.
    fn kept_back(&self) -> u64 {
        let mut work = self.work();
        let mut seen = idset::IdSet::new();
        let mut missing = 0;
        let mut note = |id: &oid| {
            if seen.insert(id, 0) && !self.contains(id) {
                missing += 1;
            }
        };
        for commit in self.history().commits() {
            note(&commit.tree);
        }
        self.each_of_kind(Kind::Tree, |id| {
            if let Ok((_, bytes)) = self.read(id, &mut work) {
                for entry in gix_object::TreeRefIter::from_bytes(&bytes, self.hash).flatten() {
                    // A submodule's commit is in another repository.
                    if !entry.mode.is_commit() {
                        note(entry.oid);
                    }
                }
            }
        });
        self.give_back(work);
        missing
    }

    /// Calls for every object of a kind, in packs and loose, alternates included. Some may come twice.
    fn each_of_kind(&self, wanted: Kind, mut call: impl FnMut(&oid)) {
        for pack in &self.packs {
            for position in 0..pack.order().len() {
                if let Some((id, kind, _)) = pack.at(position)
                    && kind == wanted
                {
                    call(&id);
                }
            }
        }
        for scan in self.loose() {
            for object in scan.objects.iter().filter(|object| object.kind == wanted) {
                call(&object.id);
            }
        }
    }

    fn contains(&self, id: &oid) -> bool {
        id.kind() == self.hash
            && (self.packs.iter().any(|pack| pack.offset_of(id).is_some())
                || (0..self.stores.len()).any(|store| self.loose_at(store, id).is_some()))
    }

    fn history(&self) -> &history::History {
        self.history.get_or_init(|| history::History::read(self))
    }

    /// The bytes of an object, whole. The first copy that can be read is taken; else the first error tells why.
    fn read(&self, id: &oid, work: &mut Work) -> Result<(Kind, Bytes), ReadError> {
        let mut first_error = None;
        for pack in &self.packs {
            let Some(offset) = pack.offset_of(id) else { continue };
            match pack.object(offset, work, pack::DELTA_BYTES_MAX) {
                Ok(found) => return Ok(found),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        for store in &self.stores {
            match loose::Stream::open(&loose::path_of(&store.objects, id)) {
                Ok(stream) if stream.size > pack::DELTA_BYTES_MAX => first_error = first_error.or(Some(ReadError::TooLarge(stream.size))),
                Ok(mut stream) => {
                    let mut bytes = Vec::with_capacity(stream.size.min(STREAM_FROM_BYTES) as usize);
                    match stream.read_to_end(&mut bytes) {
                        Ok(_) => return Ok((stream.kind, Bytes::from(bytes))),
                        Err(error) => first_error = first_error.or(Some(ReadError::Corrupt(error.to_string()))),
                    }
                }
                Err(ReadError::Io(error)) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or(ReadError::Missing))
    }

    /// A small packed object, unfolded here and now, if that takes no longer than handing the work to another thread would:
    /// its pack's bytes were touched when it was listed.
    pub(super) fn at_hand(&self, hex: &str) -> Option<Bytes> {
        let id = ObjectId::from_hex(hex.as_bytes()).ok()?;
        let (pack, offset) = self.packs.iter().find_map(|pack| pack.offset_of(&id).map(|offset| (pack, offset)))?;
        if !pack.is_ordered() {
            return None;
        }
        let mut work = self.work();
        let read = pack.object(offset, &mut work, AT_HAND_BYTES_MAX);
        self.give_back(work);
        // Whatever went wrong is told by who reads it properly.
        read.ok().map(|(_, bytes)| bytes)
    }

    /// Opens an object for the scanner: small ones whole, large ones as a stream.
    pub(super) fn body(self: &Arc<Self>, hex: &str) -> Result<Body, Box<Gap>> {
        let Ok(id) = ObjectId::from_hex(hex.as_bytes()) else {
            let detail = "it is no object id of this repository".to_owned();
            return Err(Box::new(self.gap_of(self.object_name(hex), GapReason::Internal, detail, "please report this", false)));
        };
        if let Some(stream) = self.stream(&id)? {
            return Ok(stream);
        }
        let mut work = self.work();
        let read = self.read(&id, &mut work);
        self.give_back(work);
        read.map(|(_, bytes)| Body::Bytes(bytes)).map_err(|error| Box::new(self.object_gap(&id, error)))
    }

    /// A stream for a large object that stands by itself: undeltified in a pack, or loose.
    fn stream(self: &Arc<Self>, id: &oid) -> Result<Option<Body>, Box<Gap>> {
        let mut size = 0;
        let mut source: Option<Box<dyn Read + Send>> = None;
        let mut work = self.work();
        for (number, pack) in self.packs.iter().enumerate() {
            let Some(offset) = pack.offset_of(id) else { continue };
            match pack.standing_alone(offset, &mut work) {
                Some((at, length)) if length >= STREAM_FROM_BYTES => {
                    size = length;
                    source = Some(Box::new(PackedStream::new(self.clone(), number, at, length)));
                }
                _ => return Ok(None),
            }
            break;
        }
        self.give_back(work);
        if source.is_none() {
            for store in &self.stores {
                if let Ok(stream) = loose::Stream::open(&loose::path_of(&store.objects, id)) {
                    if stream.size < STREAM_FROM_BYTES {
                        return Ok(None);
                    }
                    size = stream.size;
                    source = Some(Box::new(stream));
                    break;
                }
            }
        }
        let Some(source) = source else { return Ok(None) };
        if size > OBJECT_BYTES_MAX {
            return Err(Box::new(self.object_gap(id, ReadError::TooLarge(size))));
        }
        let fault = Fault::default();
        let reader = Watched { source, fault: fault.clone(), repository: self.clone(), id: id.to_owned() };
        Ok(Some(Body::Reader { reader: Box::new(reader), size_bytes: Some(size), fault }))
    }

    fn object_name(&self, hex: &str) -> String {
        format!("object {hex} of {}", self.name)
    }

    fn object_gap(&self, id: &oid, error: ReadError) -> Gap {
        let subject = self.object_name(&id.to_hex().to_string());
        match error {
            ReadError::Io(error) => io_gap(&self.target, subject, &error, false),
            ReadError::TooLarge(size) => {
                let detail = format!(
                    "it unfolds to {size} bytes; objects built by deltas are read up to {} bytes, others up to {OBJECT_BYTES_MAX}",
                    pack::DELTA_BYTES_MAX
                );
                self.gap_of(subject, GapReason::TooLarge, detail, "look at it by hand", false)
            }
            error @ (ReadError::Missing | ReadError::Corrupt(_)) => {
                let mend = "fetch or clone the repository again; `git fsck` tells more";
                self.gap_of(subject, GapReason::Corrupt, error.to_string(), mend, false)
            }
        }
    }

    fn work(&self) -> Work {
        self.works.lock().ok().and_then(|mut works| works.pop()).unwrap_or_default()
    }

    fn give_back(&self, work: Work) {
        if let Ok(mut works) = self.works.lock()
            && works.len() < 16
        {
            works.push(work);
        }
    }
}

/// An undeltified object of a pack, unfolding as it is read.
struct PackedStream {
    repository: Arc<Repository>,
    pack: usize,
    /// Where the packed bytes go on that are not in `packed`.
    at: u64,
    packed: Vec<u8>,
    /// Of `packed`, what is unfolded already.
    taken: usize,
    left: u64,
    inflate: gix_zlib::Decompress,
    ended: bool,
}

impl PackedStream {
    fn new(repository: Arc<Repository>, pack: usize, at: u64, size: u64) -> Self {
        Self { repository, pack, at, packed: Vec::new(), taken: 0, left: size, inflate: gix_zlib::Decompress::new(), ended: false }
    }
}

impl Read for PackedStream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let broken = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        while !self.ended && !out.is_empty() {
            if self.taken == self.packed.len() {
                let pack = &self.repository.packs[self.pack];
                pack.read_at(self.at, STREAM_BUFFER_BYTES, &mut self.packed).map_err(|error| broken(error.to_string()))?;
                self.at += self.packed.len() as u64;
                self.taken = 0;
            }
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(&self.packed[self.taken..], out, gix_zlib::FlushDecompress::None)
                .map_err(|error| broken(pack::chain(&error)))?;
            let taken = (self.inflate.total_in() - before_in) as usize;
            let written = self.inflate.total_out() - before_out;
            self.taken += taken;
            self.left = self.left.checked_sub(written).ok_or_else(|| broken("it is longer than its header says".into()))?;
            if status == gix_zlib::Status::StreamEnd {
                self.ended = true;
            } else if taken == 0 && written == 0 {
                return Err(broken("its packed bytes make no sense".into()));
            }
            if written > 0 {
                return Ok(written as usize);
            }
        }
        if self.ended && self.left > 0 && !out.is_empty() {
            return Err(broken("it is shorter than its header says".into()));
        }
        Ok(0)
    }
}

/// Notes why a stream broke off.
struct Watched {
    source: Box<dyn Read + Send>,
    fault: Fault,
    repository: Arc<Repository>,
    id: ObjectId,
}

impl Read for Watched {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.source.read(out).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.fault.set(self.repository.object_gap(&self.id, ReadError::Corrupt(error.to_string())));
            }
        })
    }
}

fn broken(target: &TargetId, name: &str, why: String) -> Gap {
    Gap {
        target: target.clone(),
        subject: format!("repository {name}"),
        reason: GapReason::Corrupt,
        detail: why,
        permission: String::new(),
        mend: "clone it again, or remove what is left of it".into(),
        open_ended: true,
    }
}

const fn note(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Commit => Some("commit message"),
        Kind::Tag => Some("tag message"),
        Kind::Blob | Kind::Tree => None,
    }
}

fn packs_text(count: usize) -> String {
    if count == 1 { "1 pack".to_owned() } else { format!("{count} packs") }
}

/// Where the configuration does not say, the names of objects do: a repository without `extensions.objectFormat` that
/// holds 64-digit names lost its configuration, not its objects.
fn guess_hash(objects: &Path) -> gix_hash::Kind {
    let long = |folder: &Path, length: usize| {
        std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .take(64)
            .any(|entry| Path::new(&entry.file_name()).file_stem().is_some_and(|stem| stem.len() == length))
    };
    if long(&objects.join("pack"), "pack-".len() + 64) {
        return gix_hash::Kind::Sha256;
    }
    let first_loose = std::fs::read_dir(objects).into_iter().flatten().flatten().find(|entry| entry.file_name().len() == 2);
    if first_loose.is_some_and(|folder| long(&folder.path(), 62)) { gix_hash::Kind::Sha256 } else { gix_hash::Kind::Sha1 }
}

/// A line of `info/alternates`, which git may have quoted as C would.
fn unquote(line: &[u8]) -> Vec<u8> {
    let Some(inner) = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")) else { return line.to_vec() };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => bytes.push(b'\n'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'r') => bytes.push(b'\r'),
            Some(digit @ b'0'..=b'3') => {
                let mut value = digit - b'0';
                for _ in 0..2 {
                    match rest.next() {
                        Some(digit @ b'0'..=b'7') => value = (value << 3) | (digit - b'0'),
                        _ => return line.to_vec(),
                    }
                }
                bytes.push(value);
            }
            Some(other) => bytes.push(other),
            None => return line.to_vec(),
        }
    }
    bytes
}
