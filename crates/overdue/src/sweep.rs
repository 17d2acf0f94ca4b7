//! A sweep: every target of a run, from the ledger's first line to its last.
//!
//! Targets are in the ledger before anything is fetched. Each page is committed whole: what was seen, what was found in
//! it and what could not be seen, in one transaction. A kill between two pages loses the page in flight, and the run goes
//! on at that target; a target that has ended is never looked at again in this run. What a provider refuses, breaks or
//! hides becomes a gap; only a failing store ends a sweep.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::StreamExt as _;
use jiff::Timestamp;
use overdue_core::{
    Artifact, ArtifactId, ArtifactKind, ContentKey, Cursor, Detection, Gap, GapReason, ProviderKind, Target, TargetCounts, TargetId,
    TargetState,
};
use overdue_detect::{Scanned, Scanner};
use overdue_providers::{Body, Discovery, Listed, Provider};
use overdue_store::{Outcome, PageCommit, Run, ScannedContent, SeenArtifact, Store};
use tokio::sync::{OnceCell, Semaphore};

use crate::progress::Progress;
use crate::values;

/// Targets looked at in the same moment. They wait on the network, so more than there are cores.
const TARGETS_AT_ONCE: usize = 16;
/// Artifacts of one target in flight: enough to hide one round trip, few enough to bound memory.
const ARTIFACTS_AT_ONCE: usize = 8;
/// Pages of one target before its listing is taken for endless.
const PAGES_MAX: usize = 1_000_000;

/// What a sweep works with.
pub(crate) struct Sweep {
    pub(crate) store: Arc<Store>,
    pub(crate) scanner: Scanner,
    /// Names the rules: contents scanned with others are scanned again.
    pub(crate) ruleset: String,
    pub(crate) run: Run,
    pub(crate) progress: Arc<Progress>,
    /// Scans in the same moment: one per core.
    scans: Semaphore,
    /// Contents of this run that several artifacts may share: fetched once.
    shared: tokio::sync::Mutex<HashMap<ContentKey, Arc<OnceCell<Arc<Scan>>>>>,
}

/// What reading and scanning one content gave.
struct Scan {
    detections: Vec<Detection>,
    gaps: Vec<Gap>,
    bytes: u64,
    /// Everything was read; else what was found is a part.
    complete: bool,
    /// Nothing could be read at all.
    unreadable: bool,
}

impl Sweep {
    pub(crate) fn new(store: Arc<Store>, scanner: Scanner, ruleset: String, run: Run, progress: Arc<Progress>) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self { store, scanner, ruleset, run, progress, scans: Semaphore::new(cores), shared: tokio::sync::Mutex::default() }
    }

    /// Looks at everything `providers` give, until `deadline`. The answer holds remarks for a person.
    /// `unreachable` holds what of the job could not be reached at all.
    pub(crate) async fn run(
        &self,
        providers: &[Arc<dyn Provider>],
        unreachable: Discovery,
        deadline: tokio::time::Instant,
        now: fn() -> Timestamp,
    ) -> Result<Vec<String>> {
        let mut remarks = Vec::new();
        let mut known_gaps = self.enter(&unreachable, now()).await?;
        let mut broken: Vec<Gap> = unreachable.gaps.into_iter().filter(|gap| gap.open_ended).collect();
        let mut owner_of_target: BTreeMap<TargetId, usize> = BTreeMap::new();
        for (index, found) in futures::future::join_all(providers.iter().map(|provider| provider.discover())).await.into_iter().enumerate()
        {
            for target in &found.targets {
                owner_of_target.insert(target.id(), index);
            }
            known_gaps.extend(self.enter(&found, now()).await?);
            remarks.extend(found.remarks);
            broken.extend(found.gaps.into_iter().filter(|gap| gap.open_ended));
        }
        self.keep_what_was_hidden(&broken).await?;
        let open = fair(self.store.open_targets(self.run.id).await?);
        self.progress.expect(&open);
        let mut work = futures::stream::iter(open)
            .map(|target| {
                let provider = owner_of_target.get(&target.id()).and_then(|index| providers.get(*index));
                let gaps = known_gaps.remove(&target.id()).unwrap_or_default();
                async move {
                    let ended = self.target(provider.map(Arc::as_ref), &target, gaps, deadline, now).await;
                    self.progress.ended(&target);
                    ended.with_context(|| format!("in {}", target.id()))
                }
            })
            .buffer_unordered(TARGETS_AT_ONCE);
        while let Some(ended) = work.next().await {
            ended?;
        }
        Ok(remarks)
    }

    /// Enters what discovery found in the ledger, before anything is fetched. Returns the gaps it has of targets that are
    /// still to be looked at: their own pass commits them.
    async fn enter(&self, found: &Discovery, now: Timestamp) -> Result<BTreeMap<TargetId, Vec<Gap>>> {
        self.store.add_accounts(self.run, &found.accounts).await?;
        let mut gaps: BTreeMap<TargetId, Vec<Gap>> = BTreeMap::new();
        for gap in &found.gaps {
            gaps.entry(gap.target.clone()).or_default().push(gap.clone());
        }
        // One that has a gap enters as listed, gets its gap, and ends then.
        let done = found
            .done
            .iter()
            .map(|(target, state)| (target.clone(), if gaps.contains_key(&target.id()) { TargetState::Listed } else { state.clone() }));
        let listed = found.targets.iter().map(|target| (target.clone(), TargetState::Listed));
        let rows: Vec<(Target, TargetState)> = done.chain(listed).collect();
        self.store.add_targets(self.run, &rows).await?;
        let open: HashSet<TargetId> = self.store.open_targets(self.run.id).await?.iter().map(Target::id).collect();
        for (target, state) in &found.done {
            let Some(gaps) = gaps.remove(&target.id()) else { continue };
            if open.contains(&target.id()) {
                let complete = *state == TargetState::Scanned && gaps.iter().all(|gap| !gap.open_ended);
                let counts = TargetCounts { gaps: gaps.len() as u64, ..TargetCounts::default() };
                let page = PageCommit { gaps, counts, ..empty_page(target.id(), 0, now) };
                self.store.commit_page(self.run, &page).await?;
                self.store.finish_target(self.run, &target.id(), state, complete, now).await?;
            }
        }
        Ok(gaps)
    }

    /// Where discovery broke off, what an earlier run looked at there is not gone: it is in the ledger as failed, and what
    /// was found there stays open.
    async fn keep_what_was_hidden(&self, broken: &[Gap]) -> Result<()> {
        if broken.is_empty() {
            return Ok(());
        }
        let hidden: Vec<(Target, TargetState)> = self
            .store
            .earlier_targets(self.run.id)
            .await?
            .into_iter()
            .filter_map(|target| {
                let account = format!("{}/{}/", target.provider, target.account);
                let everywhere = format!("{}/", target.provider);
                let gap = broken.iter().find(|gap| {
                    let at = gap.target.as_str();
                    at.starts_with(&account) || (at.starts_with(&everywhere) && at.contains("/discovery"))
                })?;
                let why = format!("not listed this time: {}", gap.detail);
                Some((target, TargetState::Failed { reason: gap.reason, why }))
            })
            .collect();
        Ok(self.store.add_targets(self.run, &hidden).await?)
    }

    async fn target(
        &self,
        provider: Option<&dyn Provider>,
        target: &Target,
        known_gaps: Vec<Gap>,
        deadline: tokio::time::Instant,
        now: fn() -> Timestamp,
    ) -> Result<()> {
        let Some(provider) = provider else {
            // Listed by the part of this run before a kill, and gone since: a deleted bucket, a moved repository.
            let state = TargetState::Failed { reason: GapReason::Vanished, why: "it was listed, and is no longer there".into() };
            return Ok(self.store.finish_target(self.run, &target.id(), &state, false, now()).await?);
        };
        self.store.restart_target(self.run, &target.id()).await?;
        let (state, complete) = match tokio::time::timeout_at(deadline, self.pages(provider, target, known_gaps, now)).await {
            Ok(ended) => ended?,
            Err(_) => {
                let why = "the run's deadline passed first".to_owned();
                (TargetState::Failed { reason: GapReason::Deadline, why }, false)
            }
        };
        Ok(self.store.finish_target(self.run, &target.id(), &state, complete, now()).await?)
    }

    /// All pages of a target: how it ended, and whether its listing is complete.
    async fn pages(
        &self,
        provider: &dyn Provider,
        target: &Target,
        known_gaps: Vec<Gap>,
        now: fn() -> Timestamp,
    ) -> Result<(TargetState, bool)> {
        let mut pass = Pass { target, number: 0, broken: None, found_in: BTreeMap::new() };
        let page = PageCommit { gaps: known_gaps, ..pass.page(now()) };
        self.commit(&mut pass, page).await?;
        let mut cursor: Option<Cursor> = None;
        for turn in 0.. {
            let mut page = provider.credentials(target, cursor.as_ref()).await;
            page.gaps.extend(values::read(&self.store, &self.scanner, provider, target, &mut page.items, now).await?);
            let counts = TargetCounts { credentials: page.items.len() as u64, ..TargetCounts::default() };
            let commit = PageCommit { credentials: page.items, gaps: page.gaps, counts, ..pass.page(now()) };
            self.commit(&mut pass, commit).await?;
            cursor = page.next;
            if cursor.is_none() || pass.endless(turn) {
                break;
            }
        }
        cursor = None;
        for turn in 0.. {
            let page = provider.artifacts(target, cursor.as_ref()).await;
            self.artifacts(provider, &mut pass, page.items, page.gaps, now).await?;
            cursor = page.next;
            if cursor.is_none() || pass.endless(turn) {
                break;
            }
        }
        self.place(provider, &mut pass, now).await?;
        Ok(match pass.broken {
            None => (TargetState::Scanned, true),
            Some(gap) => (TargetState::Failed { reason: gap.reason, why: format!("{}: {}", gap.subject, gap.detail) }, false),
        })
    }

    /// Commits a page, if there is anything in it.
    async fn commit(&self, pass: &mut Pass<'_>, mut page: PageCommit) -> Result<()> {
        page.counts.gaps = page.gaps.len() as u64;
        let empty = page.credentials.is_empty() && page.artifacts.is_empty() && page.contents.is_empty() && page.gaps.is_empty();
        if empty && page.counts == TargetCounts::default() {
            return Ok(());
        }
        if pass.broken.is_none() {
            pass.broken = page.gaps.iter().find(|gap| gap.open_ended).cloned();
        }
        self.store.commit_page(self.run, &page).await?;
        pass.number += 1;
        self.progress.saw(pass.target, page.counts);
        Ok(())
    }

    /// One page of artifacts: what did not change is noted, the rest is read and scanned.
    async fn artifacts(
        &self,
        provider: &dyn Provider,
        pass: &mut Pass<'_>,
        listed: Vec<Listed>,
        gaps: Vec<Gap>,
        now: fn() -> Timestamp,
    ) -> Result<()> {
        let target = pass.target;
        let keys: Vec<ContentKey> = listed.iter().filter_map(|listed| listed.artifact.content.clone()).collect();
        let known: HashSet<ContentKey> = self.store.scanned_contents(&keys, &self.ruleset).await?;
        let unchanged: Vec<ContentKey> = known.iter().cloned().collect();
        let with_detections: HashSet<ContentKey> = self.store.contents_with_detections(&unchanged).await?;
        let mut counts = TargetCounts { artifacts: listed.len() as u64, ..TargetCounts::default() };
        let mut page = PageCommit { gaps, ..pass.page(now()) };
        let mut fresh = Vec::new();
        for listed in listed {
            match &listed.artifact.content {
                Some(content) if known.contains(content) => {
                    counts.unchanged += 1;
                    // A clean content needs no place in the store; a repository has a million of them.
                    if with_detections.contains(content) {
                        let content = content.clone();
                        pass.found(&listed.artifact, &content);
                        page.artifacts.push(SeenArtifact {
                            artifact: listed.artifact,
                            content,
                            outcome: Outcome::Unchanged,
                            placements: None,
                        });
                    }
                }
                _ => fresh.push(listed),
            }
        }
        let mut scans = futures::stream::iter(fresh)
            .map(|Listed { artifact, body }| async move {
                let scan = self.content(provider, target, &artifact, body).await;
                (artifact, scan)
            })
            .buffer_unordered(ARTIFACTS_AT_ONCE);
        let mut contents: HashMap<ContentKey, ScannedContent> = HashMap::new();
        while let Some((artifact, (scan, first))) = scans.next().await {
            let content = artifact.content.clone().unwrap_or_else(|| ContentKey(format!("inline:{}", artifact.id)));
            if first {
                counts.bytes += scan.bytes;
            }
            for gap in &scan.gaps {
                page.gaps.push(if first { gap.clone() } else { Gap { subject: artifact.id.to_string(), ..gap.clone() } });
            }
            if !scan.detections.is_empty() {
                pass.found(&artifact, &content);
            }
            let outcome = if scan.unreadable { Outcome::Unreadable } else { Outcome::Read };
            if !scan.unreadable {
                counts.scanned += 1;
                contents.entry(content.clone()).or_insert_with(|| ScannedContent {
                    key: content.clone(),
                    ruleset: self.ruleset.clone(),
                    detections: scan.detections.clone(),
                    complete: scan.complete,
                });
            }
            page.artifacts.push(SeenArtifact { artifact, content, outcome, placements: None });
        }
        drop(scans);
        page.contents = contents.into_values().collect();
        page.counts = counts;
        self.commit(pass, page).await
    }

    /// Reads and scans an artifact, or takes the answer of another one with the same content. The flag is true for the
    /// one that did the work.
    async fn content(&self, provider: &dyn Provider, target: &Target, artifact: &Artifact, body: Option<Body>) -> (Arc<Scan>, bool) {
        let shareable = artifact.content.as_ref().filter(|_| provider.kind() == ProviderKind::Aws && body.is_none());
        let Some(key) = shareable else { return (Arc::new(self.read(provider, target, artifact, body).await), true) };
        let cell = self.shared.lock().await.entry(key.clone()).or_default().clone();
        let mut first = false;
        let scan = cell
            .get_or_init(|| {
                first = true;
                async { Arc::new(self.read(provider, target, artifact, body).await) }
            })
            .await
            .clone();
        (scan, first)
    }

    async fn read(&self, provider: &dyn Provider, target: &Target, artifact: &Artifact, body: Option<Body>) -> Scan {
        let body = match body {
            Some(body) => body,
            None => match provider.fetch(target, artifact).await {
                Ok(body) => body,
                Err(gap) => return Scan { detections: Vec::new(), gaps: vec![gap], bytes: 0, complete: false, unreadable: true },
            },
        };
        let Ok(_turn) = self.scans.acquire().await else { return lost(target, artifact, "the program is stopping") };
        let scanner = self.scanner.clone();
        let name = artifact.id.name.clone();
        let (scanned, fault) = match tokio::task::spawn_blocking(move || scan(&scanner, &name, body)).await {
            Ok(scanned) => scanned,
            Err(_) => return lost(target, artifact, "the scanner failed on it; please report this"),
        };
        let mut gaps: Vec<Gap> = scanned
            .gaps
            .iter()
            .map(|part| {
                let subject = if part.path.is_empty() { artifact.id.to_string() } else { format!("{}!/{}", artifact.id, part.path) };
                gap(target, &subject, part.reason, &part.detail)
            })
            .collect();
        let broken_off = fault.is_some() || scanned.read_error.is_some();
        match (fault, scanned.read_error) {
            (Some(fault), _) => gaps.push(fault),
            (None, Some(error)) => gaps.push(gap(target, &artifact.id.to_string(), GapReason::Truncated, &error)),
            (None, None) => {}
        }
        // The gaps of a content are not kept, so one with a gap is read again in each run, and never called unchanged.
        Scan {
            detections: scanned.detections,
            complete: gaps.is_empty(),
            gaps,
            bytes: scanned.bytes,
            unreadable: broken_off && scanned.bytes == 0,
        }
    }

    /// Finds where blobs with detections stand in history. Asked anew in each run: a branch may have moved on.
    async fn place(&self, provider: &dyn Provider, pass: &mut Pass<'_>, now: fn() -> Timestamp) -> Result<()> {
        let blobs: Vec<ArtifactId> = pass
            .found_in
            .values()
            .filter(|(artifact, _)| artifact.kind == ArtifactKind::GitBlob)
            .map(|(artifact, _)| artifact.id.clone())
            .collect();
        if blobs.is_empty() {
            return Ok(());
        }
        let (mut placements, gaps) = provider.place(pass.target, &blobs).await;
        let artifacts = blobs
            .iter()
            .filter_map(|id| {
                let (artifact, content) = pass.found_in.get(id)?.clone();
                Some(SeenArtifact { artifact, content, outcome: Outcome::Unchanged, placements: Some(placements.remove(id)?) })
            })
            .collect();
        let page = PageCommit { artifacts, gaps, ..pass.page(now()) };
        self.commit(pass, page).await
    }
}

/// One pass over a target.
struct Pass<'t> {
    target: &'t Target,
    /// Pages committed so far.
    number: u32,
    /// The first gap that hides how much was not seen: the listing is not complete.
    broken: Option<Gap>,
    /// Artifacts in which something was found.
    found_in: BTreeMap<ArtifactId, (Artifact, ContentKey)>,
}

impl Pass<'_> {
    fn page(&self, now: Timestamp) -> PageCommit {
        empty_page(self.target.id(), self.number, now)
    }

    fn found(&mut self, artifact: &Artifact, content: &ContentKey) {
        if artifact.kind == ArtifactKind::GitBlob {
            self.found_in.insert(artifact.id.clone(), (artifact.clone(), content.clone()));
        }
    }

    /// Whether the listing has had so many turns that it will not end; notes the gap.
    fn endless(&mut self, turn: usize) -> bool {
        let endless = turn >= PAGES_MAX;
        if endless {
            self.broken.get_or_insert(gap(self.target, "its listing", GapReason::BrokenListing, &format!("more than {PAGES_MAX} pages")));
        }
        endless
    }
}

fn empty_page(target: TargetId, page: u32, now: Timestamp) -> PageCommit {
    PageCommit {
        target,
        page,
        credentials: Vec::new(),
        artifacts: Vec::new(),
        contents: Vec::new(),
        gaps: Vec::new(),
        counts: TargetCounts::default(),
        now,
    }
}

fn scan(scanner: &Scanner, name: &str, body: Body) -> (Scanned, Option<Gap>) {
    match body {
        Body::Bytes(bytes) => (scanner.scan_bytes(name, &bytes), None),
        Body::Variables(variables) => (scanner.scan_variables(&variables), None),
        Body::Reader { mut reader, size_bytes, fault } => {
            let scanned = scanner.scan_reader(name, size_bytes, &mut reader);
            let fault = fault.take();
            (scanned, fault)
        }
    }
}

fn lost(target: &Target, artifact: &Artifact, why: &str) -> Scan {
    let gaps = vec![gap(target, &artifact.id.to_string(), GapReason::Internal, why)];
    Scan { detections: Vec::new(), gaps, bytes: 0, complete: false, unreadable: true }
}

fn gap(target: &Target, subject: &str, reason: GapReason, detail: &str) -> Gap {
    Gap {
        target: target.id(),
        subject: subject.to_owned(),
        reason,
        detail: detail.to_owned(),
        permission: String::new(),
        mend: mend(reason).to_owned(),
        open_ended: false,
    }
}

/// What a person can do about a gap that the scanner left.
pub(crate) const fn mend(reason: GapReason) -> &'static str {
    match reason {
        GapReason::TooLarge | GapReason::TooDeep | GapReason::TooMany => {
            "look at it by hand, or raise the limit the detail names; what was found before the limit is kept"
        }
        GapReason::Encrypted => "unpack it with its password and scan the result, or move it out of what is audited",
        GapReason::Corrupt => "replace or remove the damaged file",
        GapReason::Truncated => "run again; if it stays, the provider sends fewer bytes than it declares",
        GapReason::Internal => "report it with the name of the artifact; nothing else was affected",
        GapReason::BrokenListing => "run again later; if it stays, tell the provider",
        _ => "run again later",
    }
}

/// Takes turns between accounts, so that one large account holds nobody up.
fn fair(targets: Vec<Target>) -> Vec<Target> {
    let mut queues: BTreeMap<(ProviderKind, String), std::collections::VecDeque<Target>> = BTreeMap::new();
    for target in targets {
        queues.entry((target.provider, target.account.to_string())).or_default().push_back(target);
    }
    let mut order = Vec::new();
    while !queues.is_empty() {
        queues.retain(|_, queue| {
            order.extend(queue.pop_front());
            !queue.is_empty()
        });
    }
    order
}

#[cfg(test)]
mod tests {
    use overdue_core::{AccountId, TargetKind};

    use super::*;

    #[test]
    fn accounts_take_turns() {
        let target = |account: &str, name: &str| Target {
            provider: ProviderKind::Aws,
            account: AccountId::new(account),
            region: None,
            kind: TargetKind::Objects,
            name: name.into(),
        };
        let order = fair(vec![target("1", "a"), target("1", "b"), target("1", "c"), target("2", "d")]);
        assert_eq!(order.iter().map(|target| target.name.as_str()).collect::<Vec<_>>(), ["a", "d", "b", "c"]);
    }
}
