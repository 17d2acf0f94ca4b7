//! The ten-second summary for a terminal: verdict, coverage, gaps, counts, the worst handful.

use overdue_core::{Code, Finding, Severity, Subject};

use crate::clean::visible;
use crate::input::{ReportInput, Stand};
use crate::letter::coverage_text;
use crate::steps::StepBook;
use crate::view::{self, Teller};
use crate::words;

/// Groups of gaps told; the rest is counted.
const GAPS_MAX: usize = 3;
/// Findings told.
const WORST_MAX: usize = 4;
/// Narrower than this nothing can be laid out; wider lines are hard to read.
const WIDTH: std::ops::RangeInclusive<usize> = 40..=120;

/// Writes the summary, each line at most `width` columns where its words allow it.
///
/// Every name in it is cleaned: the only escape codes are our own colours, and only with `color`.
pub fn summary_text(input: &ReportInput<'_>, width: usize, color: bool) -> String {
    let width = width.clamp(*WIDTH.start(), *WIDTH.end());
    let steps = StepBook::default();
    let teller = Teller { now: input.assessment.now, zone: input.zone, inventory: input.inventory, steps: &steps };
    let mut page = Page { out: String::new(), width, color };

    let (word, paint) = match input.stand() {
        Stand::Clean => ("CLEAN", Paint::Green),
        Stand::Findings => ("FINDINGS", Paint::Red),
        Stand::Partial => ("NOT COMPLETE", Paint::Red),
    };
    let head = format!("{} · {}", visible(&input.run.job, 60), words::moment(input.assessment.now, input.zone));
    page.line(0, &[(Paint::Bold, "Overdue"), (Paint::Dim, &format!(" · {head}"))]);
    page.blank();
    page.wrapped(word, paint, &format!("{}.", input.verdict()));
    page.wrapped("Looked at", Paint::Bold, &format!("{}.", coverage_text(&input.assessment.coverage)));
    gaps(&mut page, &teller, input);
    counts(&mut page, input);
    worst(&mut page, &teller, input);
    page.out
}

fn gaps(page: &mut Page, teller: &Teller<'_>, input: &ReportInput<'_>) {
    let coverage = &input.assessment.coverage;
    let groups = teller.gaps(&input.assessment.gaps);
    let failed: Vec<_> = coverage.targets.iter().filter(|target| matches!(target.state.as_str(), "failed" | "listed")).collect();
    if groups.is_empty() && failed.is_empty() {
        return;
    }
    page.blank();
    page.line(0, &[(Paint::Bold, "Could not see")]);
    for group in groups.iter().take(GAPS_MAX) {
        let permission = if group.permission.is_empty() { String::new() } else { format!(", needs {}", group.permission) };
        let mut text = format!("{} × {}, {}{permission}", group.count, group.reason, group.account);
        if let Some(subject) = group.subjects.first() {
            text.push_str(&format!(": {subject}"));
        }
        page.item(Paint::Yellow, "!", &text);
        if !group.mend.is_empty() {
            page.indented(Paint::Dim, group.mend.as_str());
        }
    }
    let rest = view::more(groups.len(), GAPS_MAX, "kind of gap", "kinds of gaps");
    if !rest.is_empty() {
        page.indented(Paint::Dim, rest.as_str());
    }
    // A failed target mostly has a gap that says the same; it is named here only when it has none.
    let silent: Vec<String> = failed
        .iter()
        .map(|target| target.target.id().as_str().to_owned())
        .filter(|id| !input.assessment.gaps.iter().any(|gap| gap.target.as_str() == id))
        .collect();
    if let Some(first) = silent.first() {
        let more = view::more(silent.len(), 1, "target", "targets");
        page.item(Paint::Yellow, "!", format!("not read to the end: {} {more}", visible(first, 200)).trim_end());
    }
}

fn counts(page: &mut Page, input: &ReportInput<'_>) {
    let counts: Vec<String> = Code::ALL
        .into_iter()
        .map(|code| (code, input.assessment.open().filter(|finding| finding.has(code)).count()))
        .filter(|(_, n)| *n > 0)
        .map(|(code, n)| format!("{code} {}", words::number(n as u64)))
        .collect();
    if counts.is_empty() {
        return;
    }
    page.blank();
    page.wrapped("By verdict", Paint::Bold, &counts.join(" · "));
    let accepted = input.assessment.findings.len() - input.assessment.open().count();
    if accepted > 0 {
        page.indented(Paint::Dim, &format!("{} not counted", words::count(accepted, "accepted risk", "accepted risks")));
    }
}

fn worst(page: &mut Page, teller: &Teller<'_>, input: &ReportInput<'_>) {
    let open: Vec<&Finding> = input.assessment.open().collect();
    if open.is_empty() {
        return;
    }
    page.blank();
    page.line(0, &[(Paint::Bold, "Worst first")]);
    for finding in open.iter().take(WORST_MAX) {
        let paint = match finding.severity {
            Severity::Critical | Severity::High => Paint::Red,
            Severity::Medium => Paint::Yellow,
            Severity::Low => Paint::Dim,
        };
        page.item(paint, finding.severity.as_str(), view::title(finding).as_str());
        let mut facts: Vec<String> = finding.verdicts.iter().take(2).map(|verdict| visible(&verdict.text, 200)).collect();
        let idle = finding.has(Code::Unused) || finding.has(Code::NeverUsed);
        if let (Subject::Credential(credential), false) = (&finding.subject, idle) {
            facts.push(words::last_used_short(&credential.last_used, input.assessment.now, input.zone));
        }
        facts.push(
            finding.owner.as_ref().map_or_else(|| "owner unknown".to_owned(), |claim| format!("owner {}", words::person(&claim.owner))),
        );
        page.indented(Paint::None, &facts.join(" · "));
        if let Some(first) = finding.exposures.first() {
            let more = view::more(finding.exposures.len(), 1, "place", "places");
            page.indented(Paint::Dim, format!("{} {more}", teller.place(first)).trim_end());
        }
    }
    let rest = view::more(open.len(), WORST_MAX, "finding in the report", "findings in the report");
    if !rest.is_empty() {
        page.indented(Paint::Dim, rest.as_str());
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Paint {
    None,
    Bold,
    Dim,
    Red,
    Yellow,
    Green,
}

impl Paint {
    const fn code(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Bold => "\u{1b}[1m",
            Self::Dim => "\u{1b}[2m",
            Self::Red => "\u{1b}[1;31m",
            Self::Yellow => "\u{1b}[33m",
            Self::Green => "\u{1b}[1;32m",
        }
    }
}

struct Page {
    out: String,
    width: usize,
    color: bool,
}

/// Columns before the text of items and labels.
const INDENT: usize = 2;
/// A line that belongs to the item above it.
const INNER: usize = 4;

impl Page {
    fn blank(&mut self) {
        self.out.push('\n');
    }

    fn paint(&mut self, paint: Paint, text: &str) {
        if self.color && paint != Paint::None {
            self.out.push_str(paint.code());
            self.out.push_str(text);
            self.out.push_str("\u{1b}[0m");
        } else {
            self.out.push_str(text);
        }
    }

    fn line(&mut self, indent: usize, pieces: &[(Paint, &str)]) {
        self.out.extend(std::iter::repeat_n(' ', indent));
        for (paint, text) in pieces {
            self.paint(*paint, text);
        }
        self.out.push('\n');
    }

    /// A label, then words, wrapped under one another.
    fn wrapped(&mut self, label: &str, paint: Paint, text: &str) {
        let lines = wrap(text, self.width.saturating_sub(INDENT), self.width.saturating_sub(label.chars().count() + 2));
        for (i, line) in lines.iter().enumerate() {
            if i == 0 {
                self.line(0, &[(paint, label), (Paint::None, "  "), (Paint::None, line)]);
            } else {
                self.line(INDENT, &[(Paint::None, line)]);
            }
        }
    }

    fn item(&mut self, paint: Paint, mark: &str, text: &str) {
        let lines = wrap(text, self.width.saturating_sub(INNER), self.width.saturating_sub(INDENT + mark.chars().count() + 1));
        for (i, line) in lines.iter().enumerate() {
            if i == 0 {
                self.line(INDENT, &[(paint, mark), (Paint::None, " "), (Paint::None, line)]);
            } else {
                self.line(INNER, &[(Paint::None, line)]);
            }
        }
    }

    fn indented(&mut self, paint: Paint, text: &str) {
        for line in wrap(text, self.width.saturating_sub(INNER), self.width.saturating_sub(INNER)) {
            self.line(INNER, &[(paint, &line)]);
        }
    }
}

/// Breaks at spaces. A word longer than a line stays whole: an id that is cut cannot be copied.
fn wrap(text: &str, width: usize, first_width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut room = first_width;
    for word in text.split(' ') {
        let length = word.chars().count();
        let is_new = lines.last().is_none_or(String::is_empty);
        if !is_new && length + 1 > room {
            lines.push(String::new());
            room = width;
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
                room = room.saturating_sub(1);
            }
            line.push_str(word);
            room = room.saturating_sub(length);
        }
    }
    lines
}

#[cfg(test)]
mod tests;
