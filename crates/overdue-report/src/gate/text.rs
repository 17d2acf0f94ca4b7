//! For a person at a terminal.

use overdue_core::Severity;

use super::{GateFinding, GateReport};
use crate::clean::visible;
use crate::view::reason_title;
use crate::words;

/// Gaps shown one by one.
const GAPS_MAX: usize = 20;
/// Acceptances that do nothing, shown one by one.
const IDLE_MAX: usize = 10;

/// Findings with what they are, why they matter and what to do; gaps; one line that sums up. `colour`: for a terminal.
pub fn gate_text(report: &GateReport, colour: bool) -> String {
    let paint = |code: &str, text: &str| if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let mut out = String::new();
    for finding in &report.findings {
        one(&mut out, finding, &paint);
    }
    for gap in report.gaps.iter().take(GAPS_MAX) {
        out.push_str(&format!(
            "{} {}: {} ({}); {}\n",
            paint("33", "not seen"),
            visible(&gap.subject, 400),
            visible(&gap.detail, 400),
            reason_title(gap.reason),
            visible(&gap.mend, 300)
        ));
    }
    if report.gaps.len() > GAPS_MAX {
        out.push_str(&format!("and {} more not seen\n", words::number((report.gaps.len() - GAPS_MAX) as u64)));
    }
    for idle in report.idle.iter().take(IDLE_MAX) {
        out.push_str(&format!("{} {}\n", paint("2", "unused"), visible(idle, 400)));
    }
    if report.idle.len() > IDLE_MAX {
        out.push_str(&format!("and {} more that allow nothing\n", words::number((report.idle.len() - IDLE_MAX) as u64)));
    }
    let mut parts = vec![match report.findings.len() {
        0 => "no secret found".to_owned(),
        n => words::count(n, "secret found", "secrets found"),
    }];
    if !report.accepted.is_empty() {
        parts.push(format!("{} accepted", words::number(report.accepted.len() as u64)));
    }
    if !report.gaps.is_empty() {
        parts.push(format!("{} not seen", words::number(report.gaps.len() as u64)));
    }
    out.push_str(&format!(
        "{} in {}: {}, {}, {} ms\n",
        paint("1", &parts.join(", ")),
        visible(&report.scope, 200),
        words::count(usize::try_from(report.files).unwrap_or(usize::MAX), "file", "files"),
        size(report.bytes),
        words::number(report.millis)
    ));
    out
}

fn one(out: &mut String, finding: &GateFinding, paint: &dyn Fn(&str, &str) -> String) {
    let code = match finding.severity {
        Severity::Critical | Severity::High => "31",
        Severity::Medium => "33",
        Severity::Low => "2",
    };
    out.push_str(&format!(
        "{} {} {} ({})\n",
        paint("1", &visible(&finding.link(), 600)),
        paint(code, finding.severity.as_str()),
        visible(&finding.title, 120),
        visible(finding.detection.rule.as_str(), 120)
    ));
    let mut facts = vec![visible(&finding.detection.preview, 120)];
    if let Some(id) = finding.detection.public_id.as_deref().filter(|id| *id != finding.detection.preview) {
        facts.push(format!("id {}", visible(id, 120)));
    }
    if !finding.detection.decoded.is_empty() {
        facts.push(format!("written in {}", visible(&finding.detection.decoded, 60)));
    }
    if let Some(placement) = finding.placement.as_ref().filter(|placement| !placement.commit.is_empty()) {
        facts.push(format!(
            "commit {} by {}{}",
            visible(placement.commit.get(..12).unwrap_or(&placement.commit), 40),
            visible(&placement.author, 120),
            placement.committed_at.map(|at| format!(", {}", at.strftime("%Y-%m-%d"))).unwrap_or_default()
        ));
    }
    out.push_str(&format!("    {}\n", facts.join(" · ")));
    out.push_str(&format!("    {}\n", visible(&finding.why(), 300)));
    if !finding.revoke.is_empty() {
        out.push_str(&format!("    Do: {}\n", visible(&finding.revoke.join(" "), 600)));
    }
    if let Some(note) = &finding.note {
        out.push_str(&format!("    {}\n", visible(note, 300)));
    }
}

/// `12.3 MB`.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => words::count(usize::try_from(bytes).unwrap_or(0), "byte", "bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
