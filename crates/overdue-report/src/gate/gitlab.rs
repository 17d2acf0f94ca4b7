//! GitLab's secret detection report, schema 15.
//!
//! Source: docs.gitlab.com, "Secret detection report JSON", and the schema beside it (security-report-schemas).

use jiff::Timestamp;
use overdue_core::Severity;
use serde_json::{Value, json};

use super::{GateFinding, GateReport};
use crate::json::write_json;

const SCHEMA_VERSION: &str = "15.2.1";

/// The report for a job's `artifacts:reports:secret_detection`. `now` is the end of the scan.
pub fn gitlab_json(report: &GateReport, now: Timestamp) -> Vec<u8> {
    let started = now.checked_sub(jiff::SignedDuration::from_millis(i64::try_from(report.millis).unwrap_or(0))).unwrap_or(now);
    let tool = json!({ "id": "overdue", "name": "Overdue", "version": report.version, "vendor": { "name": "Overdue" } });
    let messages: Vec<Value> = report
        .gaps
        .iter()
        .map(|gap| json!({ "level": "warn", "value": format!("not seen: {}: {} ({})", gap.subject, gap.detail, gap.reason.as_str()) }))
        .collect();
    let out = json!({
        "version": SCHEMA_VERSION,
        "scan": {
            "analyzer": tool, "scanner": tool, "type": "secret_detection",
            "start_time": moment(started), "end_time": moment(now),
            "status": if report.gaps.is_empty() { "success" } else { "failure" },
            "messages": messages,
        },
        "vulnerabilities": report.findings.iter().map(vulnerability).collect::<Vec<_>>(),
    });
    let mut json = Vec::new();
    // Writing to memory cannot fail.
    let _ = write_json(&out, &mut json);
    json
}

fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

fn vulnerability(finding: &GateFinding) -> Value {
    let detection = &finding.detection;
    let line = detection.line.unwrap_or(1);
    let commit = finding.placement.as_ref().filter(|placement| !placement.commit.is_empty());
    let sha = commit.map_or("0000000", |placement| placement.commit.as_str());
    let mut location = json!({ "file": finding.place(), "commit": { "sha": sha }, "start_line": line, "end_line": line });
    if let Some(placement) = commit {
        location["commit"]["author"] = json!(placement.author);
        if let Some(at) = placement.committed_at {
            location["commit"]["date"] = json!(at.to_string());
        }
    }
    json!({
        "id": finding.id,
        "name": finding.title,
        "description": format!("{}. {}.", detection.preview, finding.why()),
        "severity": match finding.severity {
            Severity::Critical => "Critical",
            Severity::High => "High",
            Severity::Medium => "Medium",
            Severity::Low => "Low",
        },
        "solution": finding.revoke.join(" "),
        "location": location,
        "identifiers": [{
            "type": "overdue_rule_id", "name": format!("Overdue rule {}", detection.rule), "value": detection.rule.as_str(),
        }],
    })
}
