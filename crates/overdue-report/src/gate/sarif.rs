//! SARIF 2.1.0 (OASIS, 2020), as code scanning services read it.
//!
//! `partialFingerprints` hold the finding's own id, which survives moved lines. Accepted findings are in it with a
//! suppression; a gap is a notification of the run, and a run with one was not successful.

use std::collections::BTreeMap;

use overdue_core::{Confidence, Severity};
use serde_json::{Value, json};

use super::{GateFinding, GateReport};
use crate::json::write_json;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The report as SARIF, with a line break at its end.
pub fn sarif_json(report: &GateReport) -> Vec<u8> {
    let all: Vec<&GateFinding> = report.findings.iter().chain(&report.accepted).collect();
    let mut rules: BTreeMap<&str, Value> = BTreeMap::new();
    for finding in &all {
        rules.entry(finding.detection.rule.as_str()).or_insert_with(|| rule(finding));
    }
    let numbers: BTreeMap<&str, usize> = rules.keys().enumerate().map(|(number, id)| (*id, number)).collect();
    let results: Vec<Value> = all.iter().map(|finding| result(finding, numbers[finding.detection.rule.as_str()])).collect();
    let notifications: Vec<Value> = report
        .gaps
        .iter()
        .map(|gap| {
            json!({
                "level": "error",
                "message": { "text": format!("Not seen: {}: {} ({}). {}", gap.subject, gap.detail, gap.reason.as_str(), gap.mend) },
            })
        })
        .collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "overdue", "version": report.version, "semanticVersion": report.version,
                "rules": rules.values().collect::<Vec<_>>(),
            } },
            "invocations": [{ "executionSuccessful": report.gaps.is_empty(), "toolExecutionNotifications": notifications }],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    let mut out = Vec::new();
    // Writing to memory cannot fail.
    let _ = write_json(&log, &mut out);
    out
}

fn rule(finding: &GateFinding) -> Value {
    let help = if finding.revoke.is_empty() { "Revoke it at the service it opens.".to_owned() } else { finding.revoke.join(" ") };
    json!({
        "id": finding.detection.rule.as_str(),
        "name": finding.detection.rule.as_str(),
        "shortDescription": { "text": finding.title },
        "fullDescription": { "text": format!("{} in a file that others can read.", finding.title) },
        "help": { "text": help },
        "properties": { "tags": ["security", "secret"], "precision": precision(finding), "security-severity": score(finding.severity) },
    })
}

fn precision(finding: &GateFinding) -> &'static str {
    match finding.detection.confidence {
        Confidence::Certain => "very-high",
        Confidence::Likely => "medium",
    }
}

/// As CVSS scores are cut into words: over 9 critical, over 7 high, over 4 medium.
const fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
    }
}

fn result(finding: &GateFinding, rule_index: usize) -> Value {
    let detection = &finding.detection;
    let mut physical = json!({ "artifactLocation": { "uri": uri(&finding.file) } });
    // A line inside an archive is not a line of the file.
    if let Some(line) = detection.line.filter(|_| detection.path.is_empty() && detection.decoded.is_empty()) {
        physical["region"] = match detection.column {
            Some(column) => json!({ "startLine": line, "startColumn": column }),
            None => json!({ "startLine": line }),
        };
    }
    let mut location = json!({ "physicalLocation": physical });
    if !detection.path.is_empty() {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": finding.place(), "kind": "member" }]);
    }
    let mut text = format!("{}: {}. {}.", finding.title, detection.preview, finding.why());
    if let Some(note) = &finding.note {
        text.push_str(&format!(" {note}."));
    }
    let mut result = json!({
        "ruleId": detection.rule.as_str(),
        "ruleIndex": rule_index,
        "level": match finding.severity {
            Severity::Critical | Severity::High => "error",
            Severity::Medium => "warning",
            Severity::Low => "note",
        },
        "message": { "text": text },
        "locations": [location],
        "partialFingerprints": { "overdue/v1": finding.id },
    });
    if let Some(placement) = finding.placement.as_ref().filter(|placement| !placement.commit.is_empty()) {
        result["properties"] = json!({ "commit": placement.commit, "author": placement.author });
    }
    if let Some(why) = &finding.accepted {
        result["suppressions"] = json!([{ "kind": "external", "justification": why }]);
    }
    result
}

/// A path as a relative URI reference: what is not unreserved is percent-encoded, and `\` is a separator on Windows.
fn uri(path: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            _ => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    out
}
