//! For programs: docs/schema/scan-v1.json.

use jiff::Timestamp;
use overdue_core::Confidence;
use serde::Serialize;

use super::{GateFinding, GateReport};
use crate::json::write_json;

/// Names the layout.
pub const SCAN_SCHEMA: &str = "overdue-scan-v1";

#[derive(Serialize)]
struct ReportOut<'a> {
    schema: &'static str,
    version: &'a str,
    scope: &'a str,
    complete: bool,
    summary: SummaryOut,
    findings: Vec<FindingOut<'a>>,
    accepted: Vec<FindingOut<'a>>,
    gaps: Vec<GapOut<'a>>,
    idle: &'a [String],
}

#[derive(Serialize)]
struct SummaryOut {
    findings: usize,
    accepted: usize,
    gaps: usize,
    files: u64,
    bytes: u64,
    millis: u64,
}

#[derive(Serialize)]
struct FindingOut<'a> {
    id: &'a str,
    rule: &'a str,
    title: &'a str,
    service: &'a str,
    severity: &'static str,
    confidence: &'static str,
    file: &'a str,
    path: &'a str,
    line: Option<u32>,
    column: Option<u32>,
    decoded: &'a str,
    preview: &'a str,
    fingerprint: &'a str,
    public_id: Option<&'a str>,
    expires_at: Option<Timestamp>,
    commit: Option<&'a str>,
    author: Option<&'a str>,
    committed_at: Option<Timestamp>,
    credential: Option<String>,
    accepted: Option<&'a str>,
    note: Option<&'a str>,
    revoke: &'a [String],
}

#[derive(Serialize)]
struct GapOut<'a> {
    subject: &'a str,
    reason: &'static str,
    detail: &'a str,
    mend: &'a str,
}

/// The whole report as JSON, with a line break at its end.
pub fn scan_json(report: &GateReport) -> Vec<u8> {
    let out = ReportOut {
        schema: SCAN_SCHEMA,
        version: &report.version,
        scope: &report.scope,
        complete: report.gaps.is_empty(),
        summary: SummaryOut {
            findings: report.findings.len(),
            accepted: report.accepted.len(),
            gaps: report.gaps.len(),
            files: report.files,
            bytes: report.bytes,
            millis: report.millis,
        },
        findings: report.findings.iter().map(finding).collect(),
        accepted: report.accepted.iter().map(finding).collect(),
        gaps: report
            .gaps
            .iter()
            .map(|gap| GapOut { subject: &gap.subject, reason: gap.reason.as_str(), detail: &gap.detail, mend: &gap.mend })
            .collect(),
        idle: &report.idle,
    };
    let mut json = Vec::new();
    // Writing to memory cannot fail.
    let _ = write_json(&out, &mut json);
    json
}

fn finding(finding: &GateFinding) -> FindingOut<'_> {
    let detection = &finding.detection;
    let commit = finding.placement.as_ref().filter(|placement| !placement.commit.is_empty());
    FindingOut {
        id: &finding.id,
        rule: detection.rule.as_str(),
        title: &finding.title,
        service: &finding.service,
        severity: finding.severity.as_str(),
        confidence: match detection.confidence {
            Confidence::Certain => "certain",
            Confidence::Likely => "likely",
        },
        file: &finding.file,
        path: &detection.path,
        line: detection.line,
        column: detection.column,
        decoded: &detection.decoded,
        preview: &detection.preview,
        fingerprint: detection.fingerprint.as_str(),
        public_id: detection.public_id.as_deref(),
        expires_at: detection.expires_at_unix.and_then(|at| Timestamp::from_second(at).ok()),
        commit: commit.map(|placement| placement.commit.as_str()),
        author: commit.map(|placement| placement.author.as_str()),
        committed_at: commit.and_then(|placement| placement.committed_at),
        credential: finding.known.as_ref().map(|credential| credential.id.to_string()),
        accepted: finding.accepted.as_deref(),
        note: finding.note.as_deref(),
        revoke: &finding.revoke,
    }
}
