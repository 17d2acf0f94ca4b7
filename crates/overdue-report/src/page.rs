//! The HTML report: one file that needs nothing else, runs nothing, and can be forwarded.
//!
//! It opens with the verdict and with what could not be seen. Rows are rendered one by one, so memory follows the file,
//! not the number of fields in it.

use std::collections::{BTreeMap, BTreeSet};

use overdue_core::{AccountId, Code, Finding, Gap, Judged, ProviderKind, Severity, Staleness, Status};
use serde::Serialize;

use crate::clean::{Shown, visible};
use crate::input::{ReportInput, Stand};
use crate::letter::coverage_text;
use crate::templates::{RenderError, Templates};
use crate::view::{self, FindingView, GapView, TargetView, Teller};
use crate::words;

/// The worst ones, told at the top.
const WORST_MAX: usize = 10;
/// Findings told with all their places. A page of 2,000 has about 6 MB, which browsers still open at once.
const FINDINGS_MAX: usize = 2_000;
/// Rows of the table of all credentials.
const CREDENTIALS_MAX: usize = 10_000;
/// Rows of the tables of owners, accounts and targets.
const TABLE_ROWS_MAX: usize = 500;

/// What stands before the findings.
#[derive(Debug, Serialize)]
pub(crate) struct TopView {
    title: Shown,
    job: Shown,
    run: Shown,
    started: Shown,
    ended: Shown,
    status: Shown,
    zone: Shown,
    /// `clean`, `findings`, `partial`
    stand: Shown,
    stand_word: Shown,
    verdict: Shown,
    tiles: Vec<TileView>,
    complete: bool,
    coverage: Shown,
    gap_count: Shown,
    gaps: Vec<GapView>,
    failed: Vec<TargetView>,
    skipped: Vec<TargetView>,
    targets: Vec<TargetRow>,
    targets_more: Shown,
    worst: Vec<FindingView>,
    codes: Vec<CodeRow>,
    ages: Vec<AgeRow>,
    ages_summary: Shown,
    owners: Vec<OwnerRow>,
    owners_more: Shown,
    owned_share: Shown,
    accounts: Vec<AccountRow>,
    accounts_more: Shown,
    finding_count: Shown,
    has_findings: bool,
    exempt_count: Shown,
}

#[derive(Debug, Serialize)]
struct TileView {
    number: Shown,
    label: Shown,
    /// `bad`, `warn`, `calm`
    tone: Shown,
}

#[derive(Debug, Serialize)]
struct TargetRow {
    name: Shown,
    state: Shown,
    credentials: Shown,
    artifacts: Shown,
    read: Shown,
    unchanged: Shown,
    gaps: Shown,
    bytes: Shown,
}

#[derive(Debug, Serialize)]
struct CodeRow {
    code: Shown,
    meaning: Shown,
    count: Shown,
    /// Width of its bar, 0 to 100.
    share: Shown,
    tone: Shown,
}

/// One bar of the histogram: its parts from left to right, in hundredths of the longest bar.
#[derive(Debug, Serialize)]
struct AgeRow {
    label: Shown,
    count: Shown,
    overdue: Shown,
    parts: Vec<AgePart>,
}

#[derive(Debug, Serialize)]
struct AgePart {
    tone: Shown,
    x: Shown,
    width: Shown,
}

#[derive(Debug, Serialize)]
struct OwnerRow {
    owner: Shown,
    count: Shown,
    critical: Shown,
    worst: Shown,
    tally: Shown,
}

#[derive(Debug, Serialize)]
struct AccountRow {
    account: Shown,
    provider: Shown,
    targets: Shown,
    unread: Shown,
    gaps: Shown,
    credentials: Shown,
    overdue: Shown,
    findings: Shown,
}

/// What stands between findings and credentials, and after them.
#[derive(Debug, Serialize)]
pub(crate) struct BetweenView {
    findings_rest: Shown,
    credential_count: Shown,
    has_credentials: bool,
}

/// One row of the table of all credentials.
#[derive(Debug, Serialize)]
pub(crate) struct CredentialRow {
    kind: Shown,
    id: Shown,
    name: Shown,
    account: Shown,
    region: Shown,
    status: Shown,
    age: Shown,
    /// `overdue`, `due soon`, `current`, `unknown`
    standing: Shown,
    standing_code: Shown,
    due: Shown,
    last_used: Shown,
    owner: Shown,
}

/// The end.
#[derive(Debug, Serialize)]
pub(crate) struct EndView {
    credentials_rest: Shown,
    codes: Vec<CodeRow>,
    run: Shown,
    written: Shown,
    version: Shown,
}

/// Writes the whole report as one HTML file.
///
/// # Errors
/// When a template of the user's own fails on this data.
pub fn render_html_report(templates: &Templates, input: &ReportInput<'_>) -> Result<String, RenderError> {
    let teller = Teller { now: input.assessment.now, zone: input.zone, inventory: input.inventory, steps: &templates.steps };
    let mut page = templates.render_html("report/top", &top(&teller, input))?;
    let findings = ordered(input);
    for (number, finding) in (1..).zip(findings.iter().take(FINDINGS_MAX)) {
        page.push_str(&templates.render_html("report/finding", &teller.finding(number, finding, true))?);
    }
    page.push_str(&templates.render_html("report/between", &between(input, findings.len()))?);
    for judged in input.assessment.credentials.iter().take(CREDENTIALS_MAX) {
        page.push_str(&templates.render_html("report/credential", &credential(&teller, judged))?);
    }
    page.push_str(&templates.render_html("report/end", &end(input))?);
    Ok(page)
}

/// Open findings, worst first, then those an exemption covers.
fn ordered<'a>(input: &ReportInput<'a>) -> Vec<&'a Finding> {
    let mut findings: Vec<&Finding> = input.assessment.open().collect();
    findings.extend(input.assessment.findings.iter().filter(|finding| finding.exempt.is_some()));
    findings
}

pub(crate) fn top(teller: &Teller<'_>, input: &ReportInput<'_>) -> TopView {
    let assessment = input.assessment;
    let coverage = &assessment.coverage;
    let (owners, owners_more) = owners(input);
    let (accounts, accounts_more) = accounts(input);
    let (ages, ages_summary) = ages(&assessment.credentials);
    let exempt = assessment.findings.len() - assessment.open().count();
    let open = assessment.open().count();
    let owned = assessment.credentials.iter().filter(|judged| judged.owner.is_some()).count();
    TopView {
        title: if input.title.trim().is_empty() { "Credential audit".into() } else { Shown::name(input.title) },
        job: Shown::name(&input.run.job),
        run: Shown::name(&input.run.id),
        started: Shown::line(&words::moment(input.run.started_at, input.zone)),
        ended: input.run.ended_at.map(|at| Shown::line(&words::moment(at, input.zone))).unwrap_or_default(),
        status: input.run.status.as_str().into(),
        zone: Shown::line(input.zone.iana_name().unwrap_or("")),
        stand: match input.stand() {
            Stand::Clean => "clean",
            Stand::Findings => "findings",
            Stand::Partial => "partial",
        }
        .into(),
        stand_word: match input.stand() {
            Stand::Clean => "Clean",
            Stand::Findings => "Action needed",
            Stand::Partial => "Not complete",
        }
        .into(),
        verdict: Shown::line(&input.verdict()),
        tiles: tiles(input),
        complete: input.complete(),
        coverage: Shown::line(&coverage_text(coverage)),
        gap_count: Shown::line(&words::count(assessment.gaps.len(), "gap", "gaps")),
        gaps: teller.gaps(&assessment.gaps),
        failed: teller.targets(coverage, &["failed", "listed"]),
        skipped: teller.targets(coverage, &["skipped"]),
        targets: coverage.targets.iter().take(TABLE_ROWS_MAX).map(target_row).collect(),
        targets_more: view::more(coverage.targets.len(), TABLE_ROWS_MAX, "target", "targets"),
        worst: (1..).zip(assessment.open().take(WORST_MAX)).map(|(n, finding)| teller.finding(n, finding, false)).collect(),
        codes: code_rows(input, true),
        ages,
        ages_summary,
        owners,
        owners_more,
        owned_share: Shown::line(&match assessment.credentials.len() {
            0 => String::new(),
            all => format!(
                "{} of {} have an owner ({} %)",
                words::number(owned as u64),
                words::count(all, "credential", "credentials"),
                owned * 100 / all
            ),
        }),
        accounts,
        accounts_more,
        finding_count: Shown::line(&words::count(open, "finding", "findings")),
        has_findings: !assessment.findings.is_empty(),
        exempt_count: if exempt == 0 { Shown::default() } else { Shown::line(&words::count(exempt, "accepted risk", "accepted risks")) },
    }
}

fn tiles(input: &ReportInput<'_>) -> Vec<TileView> {
    let with = |code: Code| input.assessment.open().filter(|finding| finding.has(code)).count();
    let tile = |n: usize, label: &'static str, tone: &'static str| TileView {
        number: Shown::line(&words::number(n as u64)),
        label: label.into(),
        tone: if n == 0 { "calm" } else { tone }.into(),
    };
    vec![
        tile(with(Code::Exposed), "exposed and live", "bad"),
        tile(with(Code::ExposedUnknown), "found in the open", "bad"),
        tile(with(Code::RotationOverdue), "overdue", "warn"),
        tile(with(Code::Unused) + with(Code::NeverUsed), "unused", "warn"),
        tile(with(Code::Ownerless), "without an owner", "warn"),
        tile(input.assessment.gaps.len(), "coverage gaps", "bad"),
    ]
}

fn target_row(target: &overdue_core::TargetCount) -> TargetRow {
    let n = |n: u64| Shown::line(&words::number(n));
    TargetRow {
        name: Shown::id(target.target.id().as_str()),
        state: target.state.as_str().into(),
        credentials: n(target.counts.credentials),
        artifacts: n(target.counts.artifacts),
        read: n(target.counts.scanned),
        unchanged: n(target.counts.unchanged),
        gaps: n(target.counts.gaps),
        bytes: Shown::line(&words::bytes(target.counts.bytes)),
    }
}

/// Codes with the number of open findings that carry each. A finding may carry several.
fn code_rows(input: &ReportInput<'_>, only_met: bool) -> Vec<CodeRow> {
    let counts: Vec<(Code, usize)> =
        Code::ALL.into_iter().map(|code| (code, input.assessment.open().filter(|finding| finding.has(code)).count())).collect();
    let most = counts.iter().map(|(_, n)| *n).max().unwrap_or(0).max(1);
    counts
        .into_iter()
        .filter(|(_, n)| !only_met || *n > 0)
        .map(|(code, n)| CodeRow {
            code: code.as_str().into(),
            meaning: code.meaning().into(),
            count: Shown::line(&words::number(n as u64)),
            share: hundredths(n, most),
            tone: match code {
                Code::Exposed | Code::ExposedUnknown | Code::CoverageGap | Code::MissedRun => "bad",
                Code::RotationOverdue | Code::Unused | Code::NeverUsed | Code::StaleVersion => "warn",
                _ => "calm",
            }
            .into(),
        })
        .collect()
}

/// `n` of `most` as a number from 0 to 100 with one decimal; never 0 for something that is there.
fn hundredths(n: usize, most: usize) -> Shown {
    let share = if n == 0 { 0.0 } else { (n as f64 * 100.0 / most as f64).max(0.6) };
    Shown::line(&format!("{share:.1}"))
}

/// Ages of active credentials in bands a person thinks in.
const BANDS: [(i64, &str); 8] = [
    (30, "up to 30 days"),
    (60, "31 to 60 days"),
    (90, "61 to 90 days"),
    (180, "91 to 180 days"),
    (365, "181 to 365 days"),
    (730, "1 to 2 years"),
    (1_825, "2 to 5 years"),
    (i64::MAX, "over 5 years"),
];

fn ages(credentials: &[Judged]) -> (Vec<AgeRow>, Shown) {
    // By band: current, due soon, overdue, unknown standing.
    let mut bands = [[0_usize; 4]; BANDS.len() + 1];
    let mut active = 0;
    for judged in credentials.iter().filter(|judged| judged.credential.status == Status::Active) {
        active += 1;
        let band = judged.age_days.map_or(BANDS.len(), |age| BANDS.iter().position(|(upto, _)| age <= *upto).unwrap_or(BANDS.len()));
        bands[band][match judged.staleness {
            Staleness::Current { .. } => 0,
            Staleness::DueSoon { .. } => 1,
            Staleness::Overdue { .. } => 2,
            Staleness::Unknown => 3,
        }] += 1;
    }
    if active == 0 {
        return (Vec::new(), "No active credential was seen".into());
    }
    let most = bands.iter().map(|band| band.iter().sum::<usize>()).max().unwrap_or(1).max(1);
    let overdue: usize = bands.iter().map(|band| band[2]).sum();
    let rows = bands
        .iter()
        .enumerate()
        .map(|(i, band)| {
            let mut x = 0.0;
            let parts = ["calm", "soon", "warn", "unknown"]
                .into_iter()
                .zip(band)
                .filter(|(_, n)| **n > 0)
                .map(|(tone, n)| {
                    let width = (*n as f64 * 100.0 / most as f64).max(0.6);
                    let part =
                        AgePart { tone: tone.into(), x: Shown::line(&format!("{x:.1}")), width: Shown::line(&format!("{width:.1}")) };
                    x += width;
                    part
                })
                .collect();
            AgeRow {
                label: BANDS.get(i).map_or("age unknown", |(_, label)| label).into(),
                count: Shown::line(&words::number(band.iter().sum::<usize>() as u64)),
                overdue: Shown::line(&words::number(band[2] as u64)),
                parts,
            }
        })
        .collect();
    let summary = format!("{}, {} overdue", words::count(active, "active credential", "active credentials"), words::number(overdue as u64));
    (rows, Shown::line(&summary))
}

fn owners(input: &ReportInput<'_>) -> (Vec<OwnerRow>, Shown) {
    let mut by_owner: BTreeMap<String, Vec<&Finding>> = BTreeMap::new();
    for finding in input.assessment.open() {
        by_owner.entry(finding.owner.as_ref().map_or_else(|| "Nobody".to_owned(), words::owner)).or_default().push(finding);
    }
    let mut owners: Vec<_> = by_owner.into_iter().collect();
    owners.sort_by(|(a_name, a), (b_name, b)| b.len().cmp(&a.len()).then_with(|| a_name.cmp(b_name)));
    let more = view::more(owners.len(), TABLE_ROWS_MAX, "owner", "owners");
    let rows = owners
        .into_iter()
        .take(TABLE_ROWS_MAX)
        .map(|(owner, findings)| OwnerRow {
            owner: Shown::line(&owner),
            count: Shown::line(&words::number(findings.len() as u64)),
            critical: Shown::line(&words::number(findings.iter().filter(|finding| finding.severity == Severity::Critical).count() as u64)),
            worst: findings.iter().map(|finding| finding.severity).max().map_or("low", Severity::as_str).into(),
            tally: Shown::line(&words::tally(findings.into_iter())),
        })
        .collect();
    (rows, more)
}

/// The account of a gap, from its target's key.
fn gap_account(gap: &Gap) -> Option<(&str, &str)> {
    let mut parts = gap.target.as_str().splitn(3, '/');
    Some((parts.next()?, parts.next()?))
}

fn accounts(input: &ReportInput<'_>) -> (Vec<AccountRow>, Shown) {
    let assessment = input.assessment;
    let mut ids: BTreeSet<(ProviderKind, &AccountId)> =
        input.inventory.accounts.iter().map(|account| (account.provider, &account.id)).collect();
    ids.extend(assessment.coverage.targets.iter().map(|target| (target.target.provider, &target.target.account)));
    ids.extend(assessment.credentials.iter().map(|judged| (judged.credential.id.kind.provider(), &judged.credential.id.account)));
    let mut findings_of: BTreeMap<&AccountId, usize> = BTreeMap::new();
    for finding in assessment.open() {
        if let Some(account) = account_of(finding) {
            *findings_of.entry(account).or_default() += 1;
        }
    }
    let mut credentials_of: BTreeMap<&AccountId, (usize, usize)> = BTreeMap::new();
    for judged in &assessment.credentials {
        let entry = credentials_of.entry(&judged.credential.id.account).or_default();
        entry.0 += 1;
        entry.1 += usize::from(matches!(judged.staleness, Staleness::Overdue { .. }));
    }
    let more = view::more(ids.len(), TABLE_ROWS_MAX, "account", "accounts");
    let n = |n: usize| Shown::line(&words::number(n as u64));
    let rows = ids
        .into_iter()
        .take(TABLE_ROWS_MAX)
        .map(|(provider, id)| {
            let targets =
                assessment.coverage.targets.iter().filter(|target| target.target.provider == provider && target.target.account == *id);
            let unread = targets.clone().filter(|target| matches!(target.state.as_str(), "failed" | "listed")).count();
            let (credentials, overdue) = credentials_of.get(id).copied().unwrap_or_default();
            AccountRow {
                account: Shown::line(&words::account(id, &input.inventory.accounts)),
                provider: provider.as_str().into(),
                targets: n(targets.count()),
                unread: n(unread),
                gaps: n(assessment.gaps.iter().filter(|gap| gap_account(gap) == Some((provider.as_str(), id.as_str()))).count()),
                credentials: n(credentials),
                overdue: n(overdue),
                findings: n(findings_of.get(id).copied().unwrap_or(0)),
            }
        })
        .collect();
    (rows, more)
}

/// The account a finding is counted under: its credential's, else that of the first place it lies in.
fn account_of(finding: &Finding) -> Option<&AccountId> {
    match &finding.subject {
        overdue_core::Subject::Credential(credential) => Some(&credential.id.account),
        _ => finding.exposures.first().map(|exposure| &exposure.artifact.account),
    }
}

pub(crate) fn between(input: &ReportInput<'_>, findings: usize) -> BetweenView {
    BetweenView {
        findings_rest: rest(findings, FINDINGS_MAX, "finding", "findings"),
        credential_count: Shown::line(&words::count(input.assessment.credentials.len(), "credential", "credentials")),
        has_credentials: !input.assessment.credentials.is_empty(),
    }
}

fn rest(all: usize, max: usize, one: &str, many: &str) -> Shown {
    match all.saturating_sub(max) {
        0 => Shown::default(),
        n => Shown::line(&format!(
            "{} not in this page; the JSON report holds every one",
            words::count(n, &format!("more {one} is"), &format!("more {many} are"))
        )),
    }
}

pub(crate) fn credential(teller: &Teller<'_>, judged: &Judged) -> CredentialRow {
    let credential = &judged.credential;
    CredentialRow {
        kind: Shown::name(&words::capital(credential.id.kind.title())),
        id: Shown::id(&credential.id.public_id),
        name: if same_name(&credential.name, &credential.id.public_id) { Shown::default() } else { Shown::name(&credential.name) },
        account: Shown::line(&words::account(&credential.id.account, &teller.inventory.accounts)),
        region: credential.region.as_ref().map(|region| Shown::name(region.as_str())).unwrap_or_default(),
        status: match credential.status {
            Status::Active => "active",
            Status::Inactive => "inactive",
        }
        .into(),
        age: Shown::line(&match (judged.age_days, &credential.issued_at) {
            (Some(days), overdue_core::IssuedAt::FirstSeen { .. }) => format!("{}+ days", words::number(days.unsigned_abs())),
            (Some(days), _) => format!("{} days", words::number(days.unsigned_abs())),
            (None, _) => "unknown".to_owned(),
        }),
        standing: match judged.staleness {
            Staleness::Current { .. } => "current",
            Staleness::DueSoon { .. } => "due soon",
            Staleness::Overdue { .. } => "overdue",
            Staleness::Unknown if credential.status == Status::Inactive => "inactive",
            Staleness::Unknown => "unknown",
        }
        .into(),
        standing_code: judged.staleness.as_str().into(),
        due: judged.staleness.due_at().map(|at| Shown::line(&words::day(at, teller.zone))).unwrap_or_default(),
        last_used: Shown::line(&words::last_used_short(&credential.last_used, teller.now, teller.zone)),
        owner: judged.owner.as_ref().map_or_else(|| "nobody".into(), |claim| Shown::line(&words::owner(claim))),
    }
}

fn same_name(name: &str, id: &str) -> bool {
    name == id || id.strip_prefix("user/") == Some(name)
}

pub(crate) fn end(input: &ReportInput<'_>) -> EndView {
    EndView {
        credentials_rest: rest(input.assessment.credentials.len(), CREDENTIALS_MAX, "credential", "credentials"),
        codes: code_rows(input, false),
        run: Shown::name(&input.run.id),
        written: Shown::line(&words::moment(input.assessment.now, input.zone)),
        version: Shown::line(&visible(env!("CARGO_PKG_VERSION"), 40)),
    }
}
