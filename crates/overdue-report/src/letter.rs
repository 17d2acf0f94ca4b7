//! Letters: one owner's findings, or the security team's coverage, in words.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use overdue_core::{Assessment, Code, Coverage, Finding, Inventory, Letter, LetterKind, Subject};
use serde::Serialize;

use crate::clean::{Shown, header_text};
use crate::templates::{RenderError, Templates};
use crate::view::{self, FindingView, GapView, TargetView, Teller};
use crate::words;

/// Findings told in full, the worst first: about 8 KB each, and Gmail cuts a letter at 102 KB.
const FULL_MAX: usize = 8;
/// Findings told in one line each after those.
const BRIEF_MAX: usize = 200;
/// Owners in the security team's table.
const OWNERS_MAX: usize = 200;
/// Characters of a subject. Mail programs show about 60 on a phone, and the number stands first.
const SUBJECT_CHARS_MAX: usize = 200;

/// Around a letter.
#[derive(Clone, Copy, Debug)]
pub struct LetterContext<'a> {
    /// The job's name.
    pub job: &'a str,
    /// The period the letter is for, `2026-W48`.
    pub period: &'a str,
    /// The moment of writing.
    pub now: Timestamp,
    /// The zone dates are told in.
    pub zone: &'a TimeZone,
    /// What the letter was composed from: coverage, and the totals of all owners.
    pub assessment: &'a Assessment,
    /// Names of accounts, and what rules say.
    pub inventory: &'a Inventory,
    /// Folder under `templates/`: `rotation-due` for owners, `security-report` for the security team, or one's own.
    pub template: &'a str,
}

/// A letter in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The same in HTML, its style inlined.
    pub html: String,
    /// Verdict codes in it, gravest first: people filter mail on them.
    pub codes: Vec<Code>,
}

/// What a letter's templates see.
#[derive(Debug, Serialize)]
pub(crate) struct LetterView {
    job: Shown,
    period: Shown,
    date: Shown,
    to: Shown,
    /// `3 credentials need you: 1 exposed, 2 overdue by up to 211 days`
    headline: Shown,
    /// `1 exposed, 2 overdue by up to 211 days`
    tally: Shown,
    /// How many need someone now, and the noun that goes with it.
    due_count: Shown,
    due_noun: Shown,
    has_findings: bool,
    findings: Vec<FindingView>,
    /// The next ones, in a line each.
    brief: Vec<BriefView>,
    /// `and 300 more`, or empty.
    rest: Shown,
    /// Everything was read.
    complete: bool,
    coverage: Shown,
    gap_count: Shown,
    gaps: Vec<GapView>,
    failed: Vec<TargetView>,
    skipped: Vec<TargetView>,
    owners: Vec<OwnerView>,
    owners_more: Shown,
    codes: Shown,
}

#[derive(Debug, Serialize)]
struct BriefView {
    title: Shown,
    headline: Shown,
    account: Shown,
    codes: Shown,
}

#[derive(Debug, Serialize)]
struct OwnerView {
    owner: Shown,
    count: Shown,
    tally: Shown,
}

/// Writes one letter.
///
/// # Errors
/// When there is no such template, or it fails on this letter; other letters are not concerned.
pub fn render_letter(templates: &Templates, letter: &Letter, context: &LetterContext<'_>) -> Result<Rendered, RenderError> {
    templates.has_letter(context.template)?;
    let view = letter_view(templates, letter, context);
    let name = |part: &str| format!("{}/{part}", context.template);
    let subject = templates.render_text(&name("subject"), &view)?;
    let text = templates.render_text(&name("text"), &view)?;
    let html = templates.render_html(&name("html"), &view)?;
    let html = inline(&html).map_err(|what| RenderError::Failed { template: name("html"), what })?;
    let mut codes = view::codes(letter.findings.iter());
    if letter.kind == LetterKind::Security && !letter.gaps.is_empty() {
        codes.insert(0, Code::CoverageGap);
    }
    Ok(Rendered { subject: header_text(&subject, SUBJECT_CHARS_MAX), text: tidy(&text), html, codes })
}

pub(crate) fn letter_view(templates: &Templates, letter: &Letter, context: &LetterContext<'_>) -> LetterView {
    view_with(&templates.steps, letter, context)
}

pub(crate) fn view_with(steps: &crate::steps::StepBook, letter: &Letter, context: &LetterContext<'_>) -> LetterView {
    let teller = Teller { now: context.now, zone: context.zone, inventory: context.inventory, steps };
    let tally = words::tally(letter.findings.iter());
    let coverage = &context.assessment.coverage;
    // What others have, and what could not be read, is the security team's business alone.
    let security = letter.kind == LetterKind::Security;
    let (owners, owners_more) = if security { owners(context.assessment) } else { Default::default() };
    let targets = |states: &[&str]| if security { teller.targets(coverage, states) } else { Vec::new() };
    let due = letter.due_count();
    let codes: Vec<&str> = view::codes(letter.findings.iter()).into_iter().map(Code::as_str).collect();
    LetterView {
        job: Shown::name(context.job),
        period: Shown::name(context.period),
        date: Shown::line(&context.now.to_zoned(context.zone.clone()).strftime("%A, %-d %B %Y").to_string()),
        to: Shown::name(&words::person(&letter.to)),
        headline: headline(letter, context.assessment),
        tally: Shown::line(&tally),
        due_count: Shown::line(&words::number(due as u64)),
        due_noun: if due == 1 { "credential" } else { "credentials" }.into(),
        has_findings: !letter.findings.is_empty(),
        findings: (1..).zip(letter.findings.iter().take(FULL_MAX)).map(|(n, finding)| teller.finding(n, finding, true)).collect(),
        brief: letter.findings.iter().skip(FULL_MAX).take(BRIEF_MAX).map(|finding| brief(&teller, finding)).collect(),
        rest: view::more(letter.findings.len(), FULL_MAX + BRIEF_MAX, "finding", "findings"),
        complete: context.assessment.complete() && !coverage.targets.is_empty(),
        coverage: Shown::line(&coverage_text(coverage)),
        gap_count: Shown::line(&words::count(letter.gaps.len(), "gap", "gaps")),
        gaps: teller.gaps(&letter.gaps),
        failed: targets(&["failed", "listed"]),
        skipped: targets(&["skipped"]),
        owners,
        owners_more,
        codes: Shown::line(&codes.join(", ")),
    }
}

/// The number first, then what is the matter.
fn headline(letter: &Letter, assessment: &Assessment) -> Shown {
    let text = match letter.kind {
        LetterKind::Owner => owner_headline(&letter.findings),
        LetterKind::Security => security_headline(letter, assessment),
    };
    Shown::line(&text)
}

fn owner_headline(findings: &[Finding]) -> String {
    let (due, soon): (Vec<&Finding>, Vec<&Finding>) =
        findings.iter().partition(|finding| finding.verdicts.iter().any(|verdict| verdict.code != Code::RotationDueSoon));
    let later = words::tally(soon.iter().copied());
    let number = words::count(due.len(), "credential", "credentials");
    match (due.as_slice(), soon.len()) {
        ([], 0) => "Nothing of yours is due".to_owned(),
        ([], n) => format!("{} will need you: {later}", words::count(n, "credential", "credentials")),
        ([one], 0) => format!("{number} needs you: {}", words::all_of(one)),
        (many, soon) => {
            let needs = if many.len() == 1 { "needs" } else { "need" };
            let later = if soon == 0 { String::new() } else { format!("; {}", later.replacen(" due", " more due", 1)) };
            format!("{number} {needs} you: {}{later}", words::tally(many.iter().copied()))
        }
    }
}

fn security_headline(letter: &Letter, assessment: &Assessment) -> String {
    let failed = assessment.coverage.count("failed") + assessment.coverage.count("listed");
    let mut parts = Vec::new();
    if !letter.gaps.is_empty() {
        parts.push(words::count(letter.gaps.len(), "coverage gap", "coverage gaps"));
    }
    if failed > 0 {
        parts.push(format!("{} not read to the end", words::count(failed, "target", "targets")));
    }
    if assessment.coverage.targets.is_empty() {
        parts.push("nothing was looked at".to_owned());
    }
    if parts.is_empty() {
        parts.push("everything was looked at".to_owned());
    }
    let exemptions = letter.findings.iter().filter(|finding| matches!(finding.subject, Subject::Exemption { .. })).count();
    let schedules = letter.findings.iter().filter(|finding| matches!(finding.subject, Subject::Schedule { .. })).count();
    match letter.findings.len() - exemptions - schedules {
        0 => parts.push("every finding has an owner".to_owned()),
        n => parts.push(format!("{} that nobody owns", words::count(n, "finding", "findings"))),
    }
    if schedules > 0 {
        parts.push("the schedule was not kept".to_owned());
    }
    if exemptions > 0 {
        parts.push(words::count(exemptions, "exemption to tidy up", "exemptions to tidy up"));
    }
    words::capital(&parts.join(", "))
}

fn brief(teller: &Teller<'_>, finding: &Finding) -> BriefView {
    let full = teller.finding(0, finding, false);
    BriefView { title: full.title, headline: full.headline, account: full.account, codes: full.codes }
}

/// What was looked at, in one sentence.
pub(crate) fn coverage_text(coverage: &Coverage) -> String {
    if coverage.targets.is_empty() {
        return "Nothing was looked at: the job listed no target".to_owned();
    }
    let total = coverage.total();
    let states: Vec<String> = [("scanned", "scanned"), ("skipped", "skipped"), ("failed", "failed"), ("listed", "not reached")]
        .into_iter()
        .filter_map(|(state, word)| match coverage.count(state) {
            0 => None,
            n => Some(format!("{} {word}", words::number(n as u64))),
        })
        .collect();
    format!(
        "{}: {}; {}, {} ({} read, {} unchanged since they were last read{})",
        words::count(coverage.targets.len(), "target", "targets"),
        states.join(", "),
        words::count(usize::try_from(total.credentials).unwrap_or(usize::MAX), "credential", "credentials"),
        words::count(usize::try_from(total.artifacts).unwrap_or(usize::MAX), "artifact", "artifacts"),
        words::number(total.scanned),
        words::number(total.unchanged),
        if total.gaps == 0 { String::new() } else { format!(", {} with a gap", words::number(total.gaps)) },
    )
}

/// Open findings by owner, the most first.
fn owners(assessment: &Assessment) -> (Vec<OwnerView>, Shown) {
    let mut by_owner: BTreeMap<String, Vec<&Finding>> = BTreeMap::new();
    for finding in assessment.open() {
        let owner = finding.owner.as_ref().map_or_else(|| "Nobody".to_owned(), words::owner);
        by_owner.entry(owner).or_default().push(finding);
    }
    let mut owners: Vec<_> = by_owner.into_iter().collect();
    owners.sort_by(|(a_name, a), (b_name, b)| b.len().cmp(&a.len()).then_with(|| a_name.cmp(b_name)));
    let more = view::more(owners.len(), OWNERS_MAX, "owner", "owners");
    let views = owners
        .into_iter()
        .take(OWNERS_MAX)
        .map(|(owner, findings)| OwnerView {
            owner: Shown::line(&owner),
            count: Shown::line(&words::number(findings.len() as u64)),
            tally: Shown::line(&words::tally(findings.into_iter())),
        })
        .collect();
    (views, more)
}

/// Puts the style sheet's rules into the elements, since many mail programs drop the sheet. A sheet with
/// `data-css-inline="keep"` stays: rules for dark mode and narrow screens have no other place.
fn inline(html: &str) -> Result<String, String> {
    let options = css_inline::InlineOptions { load_remote_stylesheets: false, ..css_inline::InlineOptions::default() };
    css_inline::CSSInliner::new(options).inline(html).map_err(|error| error.to_string())
}

/// At most one empty line in a row, none at the ends, no blanks at the end of a line.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut blank = true;
    for line in text.lines().map(str::trim_end) {
        if line.is_empty() {
            blank = true;
            continue;
        }
        if blank && !out.is_empty() {
            out.push('\n');
        }
        blank = false;
        out.push_str(line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests;
