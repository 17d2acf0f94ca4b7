//! Workflow commands of GitHub Actions: each finding at its line in the pull request.
//!
//! Source: docs.github.com, "Workflow commands for GitHub Actions". `%`, line ends and, in a property, `:` and `,` are
//! escaped, so no file name can begin a command of its own.

use overdue_core::Severity;

use super::{GateFinding, GateReport};
use crate::clean::visible;

/// One command a line.
pub fn annotations(report: &GateReport) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        out.push_str(&one(finding));
    }
    for gap in &report.gaps {
        let text = format!("{}: {}; {}", visible(&gap.subject, 300), visible(&gap.detail, 300), visible(&gap.mend, 300));
        out.push_str(&format!("::error title=overdue%3A not seen::{}\n", data(&text)));
    }
    for idle in &report.idle {
        out.push_str(&format!("::notice title=overdue%3A unused::{}\n", data(&visible(idle, 300))));
    }
    out
}

fn one(finding: &GateFinding) -> String {
    let level = if finding.severity >= Severity::Medium { "error" } else { "warning" };
    let mut properties = vec![format!("file={}", property(&visible(&finding.file, 600)))];
    if let Some(line) = finding.detection.line.filter(|_| finding.detection.path.is_empty()) {
        properties.push(format!("line={line}"));
        properties.extend(finding.detection.column.map(|column| format!("col={column}")));
    }
    properties.push(format!("title={}", property(&format!("{} ({})", visible(&finding.title, 120), finding.detection.rule))));
    let steps = visible(&finding.revoke.join(" "), 600);
    let text = format!("{}: {}. {}. {steps}", visible(&finding.place(), 300), visible(&finding.detection.preview, 120), finding.why());
    format!("::{level} {}::{}\n", properties.join(","), data(text.trim_end()))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
