//! The report for programs, `overdue-report/1`: wire structs of its own, so that a change inside never changes it.
//!
//! docs/schema/report-v1.json describes every field. Names are exact here, not made pretty: programs join on them. The
//! writer escapes whatever a terminal could obey, so the same bytes may be looked at.

use std::collections::BTreeMap;
use std::io;

use jiff::Timestamp;
use overdue_core::{
    Account, ArtifactId, ArtifactKind, Code, Confidence, Credential, Detection, Evidence, Exposure, Finding, Gap, IssuedAt, Join, Judged,
    LastUsed, OwnerClaim, Status, Subject, TargetCount, TargetState, join,
};
use serde::Serialize;
use serde_json::Value;

use crate::clean::is_active;
use crate::input::ReportInput;

/// The schema's name, in every report.
pub const REPORT_SCHEMA: &str = "overdue-report/1";

#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    title: &'a str,
    /// The moment everything was judged at.
    assessed_at: Timestamp,
    run: Run<'a>,
    summary: Summary,
    coverage: CoverageOut<'a>,
    gaps: Vec<GapOut<'a>>,
    accounts: Vec<AccountOut<'a>>,
    credentials: Vec<CredentialOut<'a>>,
    findings: Vec<FindingOut<'a>>,
    detections: Vec<DetectionOut<'a>>,
    rules: Vec<RuleOut<'a>>,
}

#[derive(Serialize)]
struct Run<'a> {
    job: &'a str,
    id: &'a str,
    status: &'static str,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
    exit_code: u8,
}

#[derive(Serialize)]
struct Summary {
    verdict: String,
    complete: bool,
    open_findings: usize,
    accepted_findings: usize,
    by_severity: SeverityCounts,
    by_code: Vec<CodeCount>,
}

#[derive(Default, Serialize)]
struct SeverityCounts {
    critical: usize,
    high: usize,
    medium: usize,
    low: usize,
}

#[derive(Serialize)]
struct CodeCount {
    code: &'static str,
    count: usize,
}

#[derive(Serialize)]
struct CoverageOut<'a> {
    complete: bool,
    totals: Totals,
    targets: Vec<TargetOut<'a>>,
}

#[derive(Serialize)]
struct Totals {
    targets: usize,
    listed: usize,
    scanned: usize,
    skipped: usize,
    failed: usize,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize)]
struct Counts {
    credentials: u64,
    artifacts: u64,
    artifacts_scanned: u64,
    artifacts_unchanged: u64,
    artifacts_with_gaps: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct TargetOut<'a> {
    target: String,
    provider: &'static str,
    account: &'a str,
    region: Option<&'a str>,
    kind: &'static str,
    name: &'a str,
    state: &'static str,
    reason: Option<&'static str>,
    why: &'a str,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize)]
struct GapOut<'a> {
    target: &'a str,
    subject: &'a str,
    reason: &'static str,
    detail: &'a str,
    permission: &'a str,
    mend: &'a str,
    open_ended: bool,
}

#[derive(Serialize)]
struct AccountOut<'a> {
    provider: &'static str,
    account: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct CredentialOut<'a> {
    key: String,
    provider: &'static str,
    account: &'a str,
    region: Option<&'a str>,
    kind: &'static str,
    public_id: &'a str,
    name: &'a str,
    principal: PrincipalOut<'a>,
    status: &'static str,
    issued_at: IssuedOut<'a>,
    age_days: Option<i64>,
    last_used: LastUsedOut<'a>,
    expires_at: Option<Timestamp>,
    staleness: &'static str,
    due_at: Option<Timestamp>,
    owner: Option<OwnerOut<'a>>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct PrincipalOut<'a> {
    arn: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct IssuedOut<'a> {
    at: Option<Timestamp>,
    source: Option<&'a str>,
    kind: &'static str,
}

#[derive(Serialize)]
struct LastUsedOut<'a> {
    state: &'static str,
    at: Option<Timestamp>,
    service: Option<&'a str>,
    region: Option<&'a str>,
    source: Option<&'a str>,
    lag_seconds: Option<i64>,
    why: Option<&'a str>,
}

#[derive(Serialize)]
struct OwnerOut<'a> {
    name: &'a str,
    address: Option<&'a str>,
    source: &'static str,
    evidence: &'a str,
}

#[derive(Serialize)]
struct FindingOut<'a> {
    key: &'a str,
    severity: &'static str,
    verdicts: Vec<VerdictOut<'a>>,
    subject: SubjectOut<'a>,
    owner: Option<OwnerOut<'a>>,
    age_days: Option<i64>,
    staleness: &'static str,
    due_at: Option<Timestamp>,
    places: Vec<String>,
    accepted: Option<AcceptedOut<'a>>,
}

#[derive(Serialize)]
struct VerdictOut<'a> {
    code: &'static str,
    days: i64,
    text: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum SubjectOut<'a> {
    Credential { credential: String, kind: &'static str, account: &'a str, public_id: &'a str, name: &'a str },
    Secret { rule: &'a str, title: &'a str, preview: &'a str, public_id: Option<&'a str>, names_account: Option<&'a str> },
    Exemption { names: &'a str },
    Schedule { job: &'a str },
}

#[derive(Serialize)]
struct AcceptedOut<'a> {
    reason: &'a str,
    until: Timestamp,
}

#[derive(Serialize)]
struct DetectionOut<'a> {
    rule: &'a str,
    fingerprint: &'a str,
    preview: &'a str,
    public_id: Option<&'a str>,
    confidence: &'static str,
    provider: &'static str,
    account: &'a str,
    region: Option<&'a str>,
    artifact: &'a str,
    blob: Option<&'a str>,
    artifact_kind: &'static str,
    path: &'a str,
    inner: &'a str,
    line: Option<u32>,
    column: Option<u32>,
    decoded: &'a str,
    commit: Option<&'a str>,
    author: Option<&'a str>,
    committed_at: Option<Timestamp>,
    at_tip: Option<bool>,
    latest: bool,
    modified_at: Option<Timestamp>,
    first_seen_at: Timestamp,
    last_read_at: Timestamp,
    expires_at: Option<Timestamp>,
    credential: Option<String>,
    finding: Option<&'a str>,
}

#[derive(Serialize)]
struct RuleOut<'a> {
    rule: &'a str,
    title: &'a str,
    service: &'a str,
    revoke: &'a [String],
    id_only: bool,
}

/// The report as a value.
///
/// # Errors
/// Never with the types it is made of.
pub fn report_json(input: &ReportInput<'_>) -> serde_json::Result<Value> {
    serde_json::to_value(report(input))
}

/// Writes the report, one field a line. Characters a terminal could obey are escaped; the values stay exact.
///
/// # Errors
/// When `out` fails.
pub fn write_report_json(input: &ReportInput<'_>, out: impl io::Write) -> io::Result<()> {
    write_json(&report(input), out)
}

/// Writes any value the way reports are written, with a line break at its end. For the lists of other commands.
///
/// # Errors
/// When `out` fails, or `value` is no JSON (a map with keys that are no text).
pub fn write_json(value: &impl Serialize, mut out: impl io::Write) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Tame(serde_json::ser::PrettyFormatter::new()));
    value.serialize(&mut serializer).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

/// The pretty writer, with everything a terminal could obey as `\u` escapes.
struct Tame(serde_json::ser::PrettyFormatter<'static>);

impl serde_json::ser::Formatter for Tame {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut written = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| is_active(*c)) {
            out.write_all(&fragment.as_bytes()[written..at])?;
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}")?;
            }
            written = at + c.len_utf8();
        }
        out.write_all(&fragment.as_bytes()[written..])
    }
    fn begin_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_array(out)
    }
    fn end_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array(out)
    }
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(out, first)
    }
    fn end_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array_value(out)
    }
    fn begin_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }
    fn end_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }
    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }
    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object_value(out)
    }
    fn end_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }
}

fn report<'a>(input: &ReportInput<'a>) -> Report<'a> {
    let assessment = input.assessment;
    let coverage = &assessment.coverage;
    let mut by_severity = SeverityCounts::default();
    for finding in assessment.open() {
        match finding.severity {
            overdue_core::Severity::Critical => by_severity.critical += 1,
            overdue_core::Severity::High => by_severity.high += 1,
            overdue_core::Severity::Medium => by_severity.medium += 1,
            overdue_core::Severity::Low => by_severity.low += 1,
        }
    }
    let open = assessment.open().count();
    let count = |code: Code| assessment.open().filter(|finding| finding.has(code)).count();
    Report {
        schema: REPORT_SCHEMA,
        title: input.title,
        assessed_at: assessment.now,
        run: Run {
            job: &input.run.job,
            id: &input.run.id,
            status: input.run.status.as_str(),
            started_at: input.run.started_at,
            ended_at: input.run.ended_at,
            exit_code: input.run.exit_code,
        },
        summary: Summary {
            verdict: input.verdict(),
            complete: input.complete(),
            open_findings: open,
            accepted_findings: assessment.findings.len() - open,
            by_severity,
            by_code: Code::ALL
                .into_iter()
                .map(|code| CodeCount { code: code.as_str(), count: count(code) })
                .filter(|row| row.count > 0)
                .collect(),
        },
        coverage: CoverageOut {
            complete: input.complete(),
            totals: Totals {
                targets: coverage.targets.len(),
                listed: coverage.count("listed"),
                scanned: coverage.count("scanned"),
                skipped: coverage.count("skipped"),
                failed: coverage.count("failed"),
                counts: counts(&coverage.total()),
            },
            targets: coverage.targets.iter().map(target).collect(),
        },
        gaps: assessment.gaps.iter().map(gap).collect(),
        accounts: input.inventory.accounts.iter().map(account).collect(),
        credentials: assessment.credentials.iter().map(credential).collect(),
        findings: assessment.findings.iter().map(finding).collect(),
        detections: detections(input),
        rules: input
            .inventory
            .rules
            .values()
            .filter(|rule| input.inventory.exposures.iter().any(|exposure| exposure.detection.rule == rule.id))
            .map(|rule| RuleOut {
                rule: rule.id.as_str(),
                title: &rule.title,
                service: &rule.service,
                revoke: &rule.revoke,
                id_only: rule.id_only,
            })
            .collect(),
    }
}

fn counts(counts: &overdue_core::TargetCounts) -> Counts {
    Counts {
        credentials: counts.credentials,
        artifacts: counts.artifacts,
        artifacts_scanned: counts.scanned,
        artifacts_unchanged: counts.unchanged,
        artifacts_with_gaps: counts.gaps,
        bytes: counts.bytes,
    }
}

fn target(target: &TargetCount) -> TargetOut<'_> {
    let (reason, why) = match &target.state {
        TargetState::Skipped { why } => (None, why.as_str()),
        TargetState::Failed { reason, why } => (Some(reason.as_str()), why.as_str()),
        TargetState::Listed | TargetState::Scanned => (None, ""),
    };
    TargetOut {
        target: target.target.id().as_str().to_owned(),
        provider: target.target.provider.as_str(),
        account: target.target.account.as_str(),
        region: target.target.region.as_ref().map(|region| region.as_str()),
        kind: target.target.kind.as_str(),
        name: &target.target.name,
        state: target.state.as_str(),
        reason,
        why,
        counts: counts(&target.counts),
    }
}

fn gap(gap: &Gap) -> GapOut<'_> {
    GapOut {
        target: gap.target.as_str(),
        subject: &gap.subject,
        reason: gap.reason.as_str(),
        detail: &gap.detail,
        permission: &gap.permission,
        mend: &gap.mend,
        open_ended: gap.open_ended,
    }
}

fn account(account: &Account) -> AccountOut<'_> {
    AccountOut { provider: account.provider.as_str(), account: account.id.as_str(), name: &account.name }
}

fn owner(claim: &OwnerClaim) -> OwnerOut<'_> {
    OwnerOut { name: &claim.owner.name, address: claim.owner.address.as_deref(), source: claim.source.as_str(), evidence: &claim.evidence }
}

fn credential(judged: &Judged) -> CredentialOut<'_> {
    let Judged { credential, owner: claim, age_days, staleness } = judged;
    CredentialOut {
        key: credential.id.to_string(),
        provider: credential.id.kind.provider().as_str(),
        account: credential.id.account.as_str(),
        region: credential.region.as_ref().map(|region| region.as_str()),
        kind: credential.id.kind.as_str(),
        public_id: &credential.id.public_id,
        name: &credential.name,
        principal: PrincipalOut { arn: &credential.principal.arn, name: &credential.principal.name },
        status: match credential.status {
            Status::Active => "active",
            Status::Inactive => "inactive",
        },
        issued_at: match &credential.issued_at {
            IssuedAt::At { at, evidence } => IssuedOut { at: Some(*at), source: Some(&evidence.source), kind: "told" },
            IssuedAt::FirstSeen { at } => IssuedOut { at: Some(*at), source: None, kind: "first-seen" },
            IssuedAt::Untold => IssuedOut { at: None, source: None, kind: "untold" },
        },
        age_days: *age_days,
        last_used: last_used(&credential.last_used),
        expires_at: credential.expires_at,
        staleness: staleness.as_str(),
        due_at: staleness.due_at(),
        owner: claim.as_ref().map(owner),
        notes: &credential.notes,
    }
}

fn last_used(used: &LastUsed) -> LastUsedOut<'_> {
    let nothing = |state| LastUsedOut { state, at: None, service: None, region: None, source: None, lag_seconds: None, why: None };
    let told = |state, at: &Timestamp, evidence: &'_ Evidence| (state, *at, evidence.lag.as_secs());
    match used {
        LastUsed::At { at, by, evidence } => {
            let (state, at, lag) = told("at", at, evidence);
            LastUsedOut {
                at: Some(at),
                service: by.as_ref().map(|by| by.service.as_str()),
                region: by.as_ref().and_then(|by| by.region.as_ref()).map(|region| region.as_str()),
                source: Some(&evidence.source),
                lag_seconds: Some(lag),
                ..nothing(state)
            }
        }
        LastUsed::NeverSince { since, evidence } => {
            let (state, at, lag) = told("never-since", since, evidence);
            LastUsedOut { at: Some(at), source: Some(&evidence.source), lag_seconds: Some(lag), ..nothing(state) }
        }
        LastUsed::Untracked => nothing("untracked"),
        LastUsed::Unreadable { why } => LastUsedOut { why: Some(why), ..nothing("unreadable") },
    }
}

fn finding(finding: &Finding) -> FindingOut<'_> {
    FindingOut {
        key: &finding.key,
        severity: finding.severity.as_str(),
        verdicts: finding
            .verdicts
            .iter()
            .map(|verdict| VerdictOut { code: verdict.code.as_str(), days: verdict.days, text: &verdict.text })
            .collect(),
        subject: subject(&finding.subject),
        owner: finding.owner.as_ref().map(owner),
        age_days: finding.age_days,
        staleness: finding.staleness.as_str(),
        due_at: finding.staleness.due_at(),
        places: finding.exposures.iter().map(Exposure::place_text).collect(),
        accepted: finding.exempt.as_ref().map(|exemption| AcceptedOut { reason: &exemption.reason, until: exemption.until }),
    }
}

fn subject(subject: &Subject) -> SubjectOut<'_> {
    match subject {
        Subject::Credential(credential) => {
            let Credential { id, name, .. } = credential.as_ref();
            SubjectOut::Credential {
                credential: id.to_string(),
                kind: id.kind.as_str(),
                account: id.account.as_str(),
                public_id: &id.public_id,
                name,
            }
        }
        Subject::Secret { rule, title, preview, public_id, names_account } => SubjectOut::Secret {
            rule: rule.as_str(),
            title,
            preview,
            public_id: public_id.as_deref(),
            names_account: names_account.as_ref().map(|account| account.as_str()),
        },
        Subject::Exemption { credential } => SubjectOut::Exemption { names: credential },
        Subject::Schedule { job } => SubjectOut::Schedule { job },
    }
}

/// Every open exposure, in a finding or not: a live key in its tool's own file is no finding, but it was seen.
fn detections<'a>(input: &ReportInput<'a>) -> Vec<DetectionOut<'a>> {
    let mut finding_of: BTreeMap<(&ArtifactId, &Detection), &str> = BTreeMap::new();
    for finding in &input.assessment.findings {
        finding_of.extend(finding.exposures.iter().map(|exposure| ((&exposure.artifact, &exposure.detection), finding.key.as_str())));
    }
    let joins = join(input.inventory);
    input
        .inventory
        .exposures
        .iter()
        .zip(joins)
        .map(|(exposure, tie)| {
            let credential = match tie {
                Join::Credential(credential) | Join::Stored(credential) => Some(credential.id.to_string()),
                Join::Account | Join::Unknown => None,
            };
            detection(exposure, credential, finding_of.get(&(&exposure.artifact, &exposure.detection)).copied())
        })
        .collect()
}

fn detection<'a>(exposure: &'a Exposure, credential: Option<String>, finding: Option<&'a str>) -> DetectionOut<'a> {
    let Exposure { detection, artifact, placement, .. } = exposure;
    let git = exposure.artifact_kind == ArtifactKind::GitBlob;
    let (name, blob) = match artifact.name.rsplit_once('#').filter(|_| git) {
        Some((repository, blob)) => (repository, Some(blob)),
        None => (artifact.name.as_str(), None),
    };
    let commit = placement.as_ref().filter(|placement| !placement.commit.is_empty());
    DetectionOut {
        rule: detection.rule.as_str(),
        fingerprint: detection.fingerprint.as_str(),
        preview: &detection.preview,
        public_id: detection.public_id.as_deref(),
        confidence: match detection.confidence {
            Confidence::Likely => "likely",
            Confidence::Certain => "certain",
        },
        provider: artifact.provider.as_str(),
        account: artifact.account.as_str(),
        region: artifact.region.as_ref().map(|region| region.as_str()),
        artifact: name,
        blob,
        artifact_kind: exposure.artifact_kind.as_str(),
        path: if git { placement.as_ref().map_or("", |placement| placement.path.as_str()) } else { &detection.path },
        inner: if git { &detection.path } else { "" },
        line: detection.line,
        column: detection.column,
        decoded: &detection.decoded,
        commit: commit.map(|placement| placement.commit.as_str()),
        author: commit.map(|placement| placement.author.as_str()),
        committed_at: commit.and_then(|placement| placement.committed_at),
        at_tip: placement.as_ref().map(|placement| placement.at_tip),
        latest: exposure.latest,
        modified_at: exposure.modified_at,
        first_seen_at: exposure.first_seen_at,
        last_read_at: exposure.last_read_at,
        expires_at: detection.expires_at_unix.and_then(|at| Timestamp::from_second(at).ok()),
        credential,
        finding,
    }
}

#[cfg(test)]
mod tests;
