//! JUnit XML, which every CI server reads: one test case a finding, an error for each gap, one passing case when clean.

use super::{GateFinding, GateReport};
use crate::clean::visible;

/// The report as JUnit XML.
pub fn junit_xml(report: &GateReport) -> String {
    let (failures, errors) = (report.findings.len(), report.gaps.len());
    let tests = (failures + errors).max(1);
    let seconds = report.millis as f64 / 1e3;
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let counts = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{seconds:.3}\"");
    out.push_str(&format!("<testsuites name=\"overdue scan\" {counts}>\n  <testsuite name=\"overdue scan\" {counts}>\n"));
    for finding in &report.findings {
        out.push_str(&one(finding));
    }
    for gap in &report.gaps {
        out.push_str(&format!(
            "    <testcase classname=\"not seen\" name=\"{}\"><error type=\"{}\" message=\"{}\">{}</error></testcase>\n",
            escape(&gap.subject),
            gap.reason.as_str(),
            escape(&gap.detail),
            escape(&gap.mend)
        ));
    }
    if failures + errors == 0 {
        out.push_str("    <testcase classname=\"overdue scan\" name=\"no secret found\"/>\n");
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn one(finding: &GateFinding) -> String {
    let text = format!("{}\n{}.\n{}", finding.detection.preview, finding.why(), finding.revoke.join(" "));
    format!(
        "    <testcase classname=\"{}\" name=\"{}\"><failure type=\"{}\" message=\"{}\">{}</failure></testcase>\n",
        escape(&finding.place()),
        escape(&format!("{} {}", finding.detection.rule, finding.link())),
        finding.severity.as_str(),
        escape(&finding.title),
        escape(&text)
    )
}

/// Text for an element or an attribute. What XML 1.0 cannot hold was made visible before.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split('\n') {
        if !out.is_empty() {
            out.push_str("&#10;");
        }
        for c in visible(line, 1_000).chars() {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&apos;"),
                _ => out.push(c),
            }
        }
    }
    out
}
