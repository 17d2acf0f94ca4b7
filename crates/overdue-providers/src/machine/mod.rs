//! This machine, seen read-only: git repositories with all their history, files, credential files, the environment.
//!
//! Callers may rely on: nothing is written, no process is started, no network is used, and nothing is read from the
//! environment or the clock ([`MachineFacts`] says what the program found there). What cannot be read is a gap that names
//! it; a path, a file or an object is never silently left out.
//!
//! - `discovery`: which repositories lie under the paths of a job
//! - `git`: a repository's objects, and where they stand in its history
//! - `files`: every file under a path
//! - `credential_files` and `places`: where tools keep credentials
//! - `names`, `open`: paths as text, and opening files that others may have planted

mod credential_files;
mod discovery;
mod files;
mod git;
mod names;
mod open;
mod places;
#[cfg(all(test, unix))]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use overdue_core::{
    AccountId, Artifact, ArtifactId, ArtifactKind, ContentKey, Credential, Cursor, Gap, GapReason, MachineAudit, Page, Placement,
    ProviderKind, Target, TargetKind,
};

use crate::{Body, Discovery, Listed, Provider};
use files::{Listing, Skips};
pub use files::{file_gap, open_file, walk_in_parallel};
pub use git::{Changed, ChangesError, Scope, changes};
use git::{Repository, Shared};
use open::Links;

/// A file longer than this is a gap: at 60 MB/s more than half a minute, and far above any text.
const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Objects kept in memory because others are built on them, over all repositories.
const BASES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Repositories kept open. More than are looked at in the same moment.
const REPOSITORIES_MAX: usize = 32;
/// Listings of files kept between two pages.
const LISTINGS_MAX: usize = 64;

/// What only the program may read, since nothing in this crate reads the environment.
#[derive(Default)]
pub struct MachineFacts {
    /// The machine's name: the account id.
    pub host: String,
    /// The home folder of the user the program runs as.
    pub home: Option<PathBuf>,
    /// The environment, name and value.
    pub environment: Vec<(String, String)>,
    /// Paths never read: the program's own store, keys, reports and outbox.
    pub skip: Vec<PathBuf>,
}

/// This machine.
#[derive(Clone)]
pub struct Machine(Arc<Inner>);

/// A repository, once somebody has opened it.
type Opened = Arc<OnceLock<Result<Arc<Repository>, Box<Gap>>>>;

struct Inner {
    audit: MachineAudit,
    facts: Facts,
    skips: Skips,
    shared: Arc<Shared>,
    /// `objects` folders that some target of this run lists. Set by discovery.
    objects: OnceLock<HashSet<PathBuf>>,
    /// Those asked for last stand last.
    repositories: Mutex<Vec<(String, Opened)>>,
    listings: Mutex<HashMap<(String, String), Listing>>,
}

/// What parts of this module share. No Debug: the environment may hold secrets.
struct Facts {
    account: AccountId,
    home: Option<PathBuf>,
    environment: Vec<(String, String)>,
}

impl Facts {
    fn target(&self, kind: TargetKind, name: String) -> Target {
        Target { provider: ProviderKind::Machine, account: self.account.clone(), region: None, kind, name }
    }

    fn artifact(&self, name: String) -> ArtifactId {
        ArtifactId { provider: ProviderKind::Machine, account: self.account.clone(), region: None, name }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

impl Machine {
    /// This machine, read as `audit` asks.
    pub fn new(audit: MachineAudit, facts: MachineFacts) -> Self {
        let MachineFacts { host, home, environment, skip } = facts;
        Self(Arc::new(Inner {
            audit,
            skips: Skips::new(&skip),
            facts: Facts { account: AccountId::new(host), home, environment },
            shared: Arc::new(Shared::new(BASES_BYTES_MAX)),
            objects: OnceLock::new(),
            repositories: Mutex::default(),
            listings: Mutex::default(),
        }))
    }

    /// Runs something that reads disks on a thread that may wait.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> T + Send + 'static) -> Result<T, String> {
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || work(&inner)).await.map_err(|error| error.to_string())
    }
}

impl Inner {
    /// The open repository of a target. Opened once, whoever else asks.
    fn repository(&self, target: &Target) -> Result<Arc<Repository>, Box<Gap>> {
        let slot = {
            let mut open = self.repositories.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match open.iter().position(|(name, _)| *name == target.name) {
                Some(at) => {
                    let entry = open.remove(at);
                    let slot = entry.1.clone();
                    open.push(entry);
                    slot
                }
                None => {
                    if open.len() >= REPOSITORIES_MAX {
                        open.remove(0);
                    }
                    let slot = Arc::new(OnceLock::new());
                    open.push((target.name.clone(), slot.clone()));
                    slot
                }
            }
        };
        slot.get_or_init(|| {
            let none = HashSet::new();
            Repository::open(&target.id(), &target.name, self.shared.clone(), self.objects.get().unwrap_or(&none)).map(Arc::new)
        })
        .clone()
    }

    /// A small object of a repository that is open already. Never waits for a disk.
    fn at_hand(&self, target: &Target, artifact: &Artifact) -> Option<Body> {
        if target.kind != TargetKind::Repository || artifact.size_bytes.is_none_or(|size| size > git::AT_HAND_BYTES_MAX) {
            return None;
        }
        let slot = self.repositories.lock().ok()?.iter().find(|(name, _)| *name == target.name)?.1.clone();
        let repository = slot.get()?.as_ref().ok()?;
        let (_, hex) = artifact.id.name.rsplit_once('#')?;
        // A fault in unfolding must not end the task that asked: it is met again, and told, on a thread of its own.
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| repository.at_hand(hex))).ok()?.map(Body::Bytes)
    }

    fn objects(&self, target: &Target, cursor: Option<&Cursor>) -> Page<Listed> {
        let repository = match self.repository(target) {
            Ok(repository) => repository,
            Err(gap) => return Page::gap(*gap),
        };
        let page = repository.page(cursor);
        let items = page.objects.into_iter().map(|object| {
            let mut notes: Vec<String> = object.note.map(str::to_owned).into_iter().collect();
            notes.extend(object.borrowed_from.map(|objects| format!("borrowed from {}", names::name_of(&objects))));
            let artifact = Artifact {
                id: self.facts.artifact(format!("git:{}#{}", target.name, object.id)),
                kind: ArtifactKind::GitBlob,
                content: Some(ContentKey(format!("git:{}", object.id))),
                size_bytes: object.size,
                modified_at: None,
                tags: BTreeMap::new(),
                notes,
                latest: true,
            };
            Listed { artifact, body: None }
        });
        Page { items: items.collect(), gaps: page.gaps, next: page.next }
    }

    fn files(&self, target: &Target, cursor: Option<&Cursor>) -> Page<Listed> {
        let key = (target.name.clone(), cursor.map(|cursor| cursor.0.clone()).unwrap_or_default());
        let kept = self.listings.lock().ok().and_then(|mut listings| if cursor.is_some() { listings.remove(&key) } else { None });
        let mut listing = kept.unwrap_or_else(|| {
            Listing::new(&target.id(), &names::path_of(&target.name), &self.skips, cursor.map(|cursor| names::path_of(&cursor.0)))
        });
        let page = listing.page(&self.facts);
        let next = page.last.map(|last| Cursor(names::name_of(&last)));
        if let Some(next) = &next
            && let Ok(mut listings) = self.listings.lock()
        {
            // One that is dropped here is walked again from the start, and goes on where it stood.
            if listings.len() >= LISTINGS_MAX
                && let Some(any) = listings.keys().next().cloned()
            {
                listings.remove(&any);
            }
            listings.insert((target.name.clone(), next.0.clone()), listing);
        }
        let items = page.artifacts.into_iter().map(|artifact| Listed { artifact, body: None });
        Page { items: items.collect(), gaps: page.gaps, next }
    }

    fn credential_files(&self, target: &Target) -> Page<Listed> {
        let (artifacts, gaps) = credential_files::list(&target.id(), &self.facts, &self.skips);
        Page { items: artifacts.into_iter().map(|artifact| Listed { artifact, body: None }).collect(), gaps, next: None }
    }

    fn environment(&self) -> Page<Listed> {
        let artifact = Artifact {
            id: self.facts.artifact("environment".to_owned()),
            kind: ArtifactKind::Environment,
            content: None,
            size_bytes: None,
            modified_at: None,
            tags: BTreeMap::new(),
            notes: Vec::new(),
            latest: true,
        };
        Page::whole(vec![Listed { artifact, body: Some(Body::Variables(self.facts.environment.clone())) }])
    }

    fn body(&self, target: &Target, artifact: &Artifact) -> Result<Body, Box<Gap>> {
        let name = artifact.id.name.as_str();
        match target.kind {
            TargetKind::Repository => {
                let hex = name.rsplit_once('#').map(|(_, hex)| hex).unwrap_or_default();
                self.repository(target)?.body(hex)
            }
            TargetKind::Files => files::body(&target.id(), name.trim_start_matches("file:"), Links::Refuse),
            TargetKind::CredentialFiles => files::body(&target.id(), name.trim_start_matches("file:"), Links::Follow),
            TargetKind::Environment => Ok(Body::Variables(self.facts.environment.clone())),
            _ => Err(Box::new(failed(target, name.to_owned(), "this target has no artifacts on a machine".into()))),
        }
    }
}

#[async_trait]
impl Provider for Machine {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Machine
    }

    async fn discover(&self) -> Discovery {
        match self.blocking(discovery::discover).await {
            Ok(found) => {
                // A second discovery of the same machine finds the same; the first one stays.
                let _ = self.0.objects.set(found.objects);
                found.discovery
            }
            Err(why) => {
                let listing = self.0.facts.target(TargetKind::Discovery, String::new());
                let gap = failed(&listing, "which repositories and folders there are".into(), why.clone());
                let state = overdue_core::TargetState::Failed { reason: GapReason::Internal, why };
                Discovery { done: vec![(listing, state)], gaps: vec![gap], ..Discovery::default() }
            }
        }
    }

    async fn credentials(&self, _target: &Target, _cursor: Option<&Cursor>) -> Page<Credential> {
        // A machine hands out no credentials that this version knows.
        Page::default()
    }

    async fn artifacts(&self, target: &Target, cursor: Option<&Cursor>) -> Page<Listed> {
        let (wanted, cursor) = (target.clone(), cursor.cloned());
        let page = self.blocking(move |inner| match wanted.kind {
            TargetKind::Repository => inner.objects(&wanted, cursor.as_ref()),
            TargetKind::Files => inner.files(&wanted, cursor.as_ref()),
            TargetKind::CredentialFiles => inner.credential_files(&wanted),
            TargetKind::Environment => inner.environment(),
            _ => Page::default(),
        });
        page.await.unwrap_or_else(|why| Page::gap(failed(target, format!("{} {}", target.kind, target.name), why)))
    }

    async fn fetch(&self, target: &Target, artifact: &Artifact) -> Result<Body, Gap> {
        if let Some(body) = self.0.at_hand(target, artifact) {
            return Ok(body);
        }
        let (wanted, which) = (target.clone(), artifact.clone());
        let body = self.blocking(move |inner| inner.body(&wanted, &which));
        match body.await {
            Ok(body) => body.map_err(|gap| *gap),
            Err(why) => Err(Gap { open_ended: false, ..failed(target, artifact.id.name.clone(), why) }),
        }
    }

    async fn place(&self, target: &Target, artifacts: &[ArtifactId]) -> (BTreeMap<ArtifactId, Vec<Placement>>, Vec<Gap>) {
        if target.kind != TargetKind::Repository {
            return (BTreeMap::new(), Vec::new());
        }
        let (wanted, ids) = (target.clone(), artifacts.to_vec());
        let placed = self.blocking(move |inner| {
            let repository = match inner.repository(&wanted) {
                Ok(repository) => repository,
                Err(gap) => return (BTreeMap::new(), vec![*gap]),
            };
            let by_hex: BTreeMap<&str, &ArtifactId> =
                ids.iter().filter_map(|id| id.name.rsplit_once('#').map(|(_, hex)| (hex, id))).collect();
            let hexes: Vec<&str> = by_hex.keys().copied().collect();
            let (placements, gaps) = repository.place(&hexes);
            let placements = placements.into_iter().filter_map(|(hex, places)| by_hex.get(hex.as_str()).map(|id| ((*id).clone(), places)));
            (placements.collect(), gaps)
        });
        placed.await.unwrap_or_else(|why| {
            (BTreeMap::new(), vec![Gap { open_ended: false, ..failed(target, "where findings stand in history".into(), why) }])
        })
    }
}

/// The gap left where the program itself failed.
fn failed(target: &Target, subject: String, why: String) -> Gap {
    Gap {
        target: target.id(),
        subject,
        reason: GapReason::Internal,
        detail: why,
        permission: String::new(),
        mend: "please report it; the rest was read".into(),
        open_ended: true,
    }
}
