//! Small makers of nouns, and one moment everything counts from.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use overdue_core::{
    AccountId, Artifact, ArtifactId, ArtifactKind, Confidence, ContentKey, Credential, CredentialId, CredentialKind, Detection, Evidence,
    Exposure, Fingerprint, IssuedAt, LastUsed, Principal, ProviderKind, RuleId, Status, Target, TargetCounts, TargetId, TargetKind,
    TargetState,
};
use overdue_store::{BeginRun, NewRun, Outcome, PageCommit, Run, RunKind, ScannedContent, SeenArtifact, Store};

pub(crate) const RULES: &str = "rules-1";

/// The moment `seconds` after the tests' beginning of time.
pub(crate) fn at(seconds: i64) -> Timestamp {
    "2026-11-24T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

pub(crate) fn url(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("store.db").display())
}

pub(crate) async fn store(folder: &Path) -> Store {
    Store::open(&url(folder), at(0)).await.unwrap()
}

pub(crate) fn alive(_: &str) -> bool {
    false
}

pub(crate) fn dead(_: &str) -> bool {
    true
}

pub(crate) fn new_run(occurrence: &str, seconds: i64) -> NewRun {
    NewRun {
        job: "weekly".into(),
        occurrence: occurrence.into(),
        due_at: at(seconds),
        kind: RunKind::Scheduled,
        holder: "host/1/100".into(),
        now: at(seconds),
        lease_until: at(seconds + 60),
    }
}

pub(crate) async fn begin(store: &Store, occurrence: &str, seconds: i64) -> Run {
    match store.begin_run(new_run(occurrence, seconds), &alive).await.unwrap() {
        BeginRun::Started(run) => run,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn target(name: &str) -> Target {
    Target {
        provider: ProviderKind::Machine,
        account: AccountId::new("host"),
        region: None,
        kind: TargetKind::Files,
        name: name.to_owned(),
    }
}

/// Begins a run over `targets`.
pub(crate) async fn begin_over(store: &Store, occurrence: &str, seconds: i64, targets: &[&str]) -> Run {
    let run = begin(store, occurrence, seconds).await;
    let targets: Vec<(Target, TargetState)> = targets.iter().map(|name| (target(name), TargetState::Listed)).collect();
    store.add_targets(run, &targets).await.unwrap();
    run
}

pub(crate) async fn finish(store: &Store, run: Run, name: &str, complete: bool, seconds: i64) {
    store.finish_target(run, &target(name).id(), &TargetState::Scanned, complete, at(seconds)).await.unwrap();
}

pub(crate) fn key(text: &str) -> ContentKey {
    ContentKey(text.to_owned())
}

pub(crate) fn artifact(name: &str) -> Artifact {
    Artifact {
        id: ArtifactId { provider: ProviderKind::Machine, account: AccountId::new("host"), region: None, name: name.to_owned() },
        kind: ArtifactKind::File,
        content: None,
        size_bytes: None,
        modified_at: None,
        tags: BTreeMap::new(),
        notes: Vec::new(),
        latest: true,
    }
}

pub(crate) fn blob(repository: &str, blob: &str) -> Artifact {
    Artifact { kind: ArtifactKind::GitBlob, ..artifact(&format!("git:{repository}#{blob}")) }
}

pub(crate) fn seen(artifact: Artifact, content: &str, outcome: Outcome) -> SeenArtifact {
    SeenArtifact { artifact, content: key(content), outcome, placements: None }
}

pub(crate) fn detection(secret: &str) -> Detection {
    Detection {
        rule: RuleId::new("aws.access-key"),
        fingerprint: Fingerprint::from_hex(format!("{secret:0>32}")),
        preview: "AKIA…".into(),
        public_id: None,
        path: String::new(),
        line: Some(3),
        column: Some(7),
        decoded: String::new(),
        confidence: Confidence::Certain,
        expires_at_unix: None,
    }
}

pub(crate) fn scan(content: &str, secrets: &[&str], complete: bool) -> ScannedContent {
    ScannedContent {
        key: key(content),
        ruleset: RULES.into(),
        detections: secrets.iter().map(|secret| detection(secret)).collect(),
        complete,
    }
}

pub(crate) fn page(target: &TargetId, number: u32, seconds: i64) -> PageCommit {
    PageCommit {
        target: target.clone(),
        page: number,
        credentials: Vec::new(),
        artifacts: Vec::new(),
        contents: Vec::new(),
        gaps: Vec::new(),
        counts: TargetCounts::default(),
        now: at(seconds),
    }
}

pub(crate) fn credential(public_id: &str, issued_at: IssuedAt) -> Credential {
    Credential {
        id: CredentialId {
            account: AccountId::new("111111111111"),
            kind: CredentialKind::AwsIamAccessKey,
            public_id: public_id.to_owned(),
        },
        region: None,
        name: "ci".into(),
        principal: Principal { arn: "arn:aws:iam::111111111111:user/ci".into(), name: "ci".into() },
        status: Status::Active,
        issued_at,
        last_used: LastUsed::Untracked,
        expires_at: None,
        tags: BTreeMap::new(),
        notes: Vec::new(),
        value: None,
    }
}

pub(crate) fn evidence() -> Evidence {
    Evidence { source: "iam:GetCredentialReport".into(), lag: SignedDuration::from_hours(4) }
}

/// The open exposures of a run as `artifact fingerprint`, sorted.
pub(crate) async fn open(store: &Store, run: Run) -> Vec<String> {
    let inventory = store.inventory(run.id).await.unwrap();
    let mut lines: Vec<String> = inventory.exposures.iter().map(line).collect();
    lines.sort();
    lines
}

fn line(exposure: &Exposure) -> String {
    format!("{} {}", exposure.artifact.name, exposure.detection.fingerprint.as_str().trim_start_matches('0'))
}
