//! Facts in words. Whatever comes out of here is one line that still goes through [`crate::clean::Shown`].

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use overdue_core::{Account, AccountId, Code, Evidence, Finding, IssuedAt, LastUsed, Owner, OwnerClaim, Staleness, days_text};

use crate::clean::visible;

/// A number with separators: `1,204`.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 gap`, `1,204 gaps`.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", number(n as u64), if n == 1 { one } else { many })
}

/// `1.2 GiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} bytes") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// `24 Nov 2026`.
pub(crate) fn day(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%-d %b %Y").to_string()
}

/// `24 Nov 2026, 07:12 CET`.
pub(crate) fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%-d %b %Y, %H:%M %Z").to_string()
}

/// Days on the calendar of `zone` from `now` to `at`; negative in the past.
fn calendar_days(at: Timestamp, now: Timestamp, zone: &TimeZone) -> i64 {
    let at = at.to_zoned(zone.clone()).date();
    let now = now.to_zoned(zone.clone()).date();
    at.since((jiff::Unit::Day, now)).map_or(0, |span| i64::from(span.get_days()))
}

/// `today`, `yesterday`, `21 days ago`, `tomorrow`, `in 3 days`.
pub(crate) fn relative(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    match calendar_days(at, now, zone) {
        0 => "today".to_owned(),
        -1 => "yesterday".to_owned(),
        1 => "tomorrow".to_owned(),
        days if days < 0 => format!("{} ago", days_text(-days)),
        days => format!("in {}", days_text(days)),
    }
}

fn evidence(evidence: &Evidence) -> String {
    let source = visible(&evidence.source, 100);
    match lag(evidence.lag) {
        Some(lag) => format!("{source}, up to {lag} behind"),
        None => source,
    }
}

fn lag(lag: SignedDuration) -> Option<String> {
    let minutes = lag.as_mins();
    let unit = |n: i64, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    match minutes {
        i64::MIN..=0 => None,
        1..=119 => Some(unit(minutes, "minute")),
        120..=2_879 => Some(unit(minutes / 60, "hour")),
        _ => Some(days_text(minutes / 1_440)),
    }
}

/// How old, since when, and who says so.
pub(crate) fn age(issued: &IssuedAt, age_days: Option<i64>, zone: &TimeZone) -> String {
    let days = days_text(age_days.unwrap_or(0));
    match issued {
        IssuedAt::At { at, evidence: by } => format!("{days}, since {} ({})", day(*at, zone), evidence(by)),
        IssuedAt::FirstSeen { at } => {
            format!("At least {days}: first seen by us on {}; the provider gives no date", day(*at, zone))
        }
        IssuedAt::Untold => "Unknown: the provider gives no date, and this is our first sight of it".to_owned(),
    }
}

/// Last use with its source and lag. What is unknown is said to be unknown, and why.
pub(crate) fn last_used(used: &LastUsed, now: Timestamp, zone: &TimeZone) -> String {
    match used {
        LastUsed::At { at, by, evidence: source } => {
            let by = by.as_ref().map_or_else(String::new, |by| {
                let region = by.region.as_ref().map_or_else(String::new, |region| format!(" in {}", visible(region.as_str(), 60)));
                format!(" by {}{region}", visible(&by.service, 100))
            });
            let when = relative(*at, now, zone);
            let mut letters = when.chars();
            let when = letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect());
            format!("{when}, {}{by} ({})", day(*at, zone), evidence(source))
        }
        LastUsed::NeverSince { since, evidence: source } => {
            format!("Not once since {} ({})", day(*since, zone), evidence(source))
        }
        LastUsed::Untracked => "Unknown: the provider keeps no last use for this kind".to_owned(),
        LastUsed::Unreadable { why } => format!("Unknown: it could not be read ({})", visible(why, 300)),
    }
}

/// The same for a table or a terminal: `used yesterday`, `never used`, `use unknown`.
pub(crate) fn last_used_short(used: &LastUsed, now: Timestamp, zone: &TimeZone) -> String {
    match used {
        LastUsed::At { at, .. } => format!("used {}", relative(*at, now, zone)),
        LastUsed::NeverSince { .. } => "not used since made".to_owned(),
        LastUsed::Untracked => "use not tracked".to_owned(),
        LastUsed::Unreadable { .. } => "use unknown".to_owned(),
    }
}

/// When rotation is or was due.
pub(crate) fn due(staleness: Staleness, now: Timestamp, zone: &TimeZone) -> String {
    match staleness {
        Staleness::Overdue { since } => format!("Was due on {}, {}", day(since, zone), relative(since, now, zone)),
        Staleness::DueSoon { due_at } | Staleness::Current { due_at } => {
            format!("{}, {}", day(due_at, zone), relative(due_at, now, zone))
        }
        Staleness::Unknown => String::new(),
    }
}

/// `prod (111111111111)`; the number alone where the account has no name.
pub(crate) fn account(id: &AccountId, accounts: &[Account]) -> String {
    let number = visible(id.as_str(), 100);
    match accounts.iter().find(|account| account.id == *id).map(|account| account.name.trim()) {
        Some(name) if !name.is_empty() && name != id.as_str() => format!("{} ({number})", visible(name, 100)),
        _ => number,
    }
}

/// `Payments <pay@example.com>`, the address alone where it is also the name.
pub(crate) fn owner(claim: &OwnerClaim) -> String {
    let name = person(&claim.owner);
    match &claim.owner.address {
        Some(address) if name.eq_ignore_ascii_case(address) || name.is_empty() => visible(address, 260),
        Some(address) => format!("{name} <{}>", visible(address, 260)),
        None => format!("{name} (no address known)"),
    }
}

/// A name to call somebody by: a commit's `Ann Lee <ann@example.com>` is Ann Lee.
pub(crate) fn person(owner: &Owner) -> String {
    let name = owner.name.trim();
    let short = match (&owner.address, name.strip_suffix('>').and_then(|name| name.rsplit_once('<'))) {
        (Some(address), Some((before, inner))) if inner.trim().eq_ignore_ascii_case(address) && !before.trim().is_empty() => before.trim(),
        _ => name,
    };
    visible(short, 100)
}

/// `1 exposed, 2 overdue by up to 211 days`: findings by the gravest thing that is the matter with each, gravest first.
/// Each is counted once.
pub(crate) fn tally<'a>(findings: impl Iterator<Item = &'a Finding>) -> String {
    let mut by_code: std::collections::BTreeMap<Code, (usize, i64)> = std::collections::BTreeMap::new();
    for finding in findings {
        // What is due now says more than what is due soon.
        let pressing = finding.verdicts.iter().find(|verdict| verdict.code != Code::RotationDueSoon);
        if let Some(verdict) = pressing.or(finding.verdicts.first()) {
            let entry = by_code.entry(verdict.code).or_insert((0, if verdict.code == Code::RotationDueSoon { i64::MAX } else { 0 }));
            entry.0 += 1;
            entry.1 = if verdict.code == Code::RotationDueSoon { entry.1.min(verdict.days) } else { entry.1.max(verdict.days) };
        }
    }
    let parts: Vec<String> = by_code.into_iter().map(|(code, (n, days))| tally_part(code, n, days)).collect();
    parts.join(", ")
}

/// `exposed, overdue by 323 days`: everything that is the matter with one finding.
pub(crate) fn all_of(finding: &Finding) -> String {
    let parts: Vec<String> = finding
        .verdicts
        .iter()
        .map(|verdict| {
            let text = tally_part(verdict.code, 1, verdict.days);
            text.strip_prefix("1 ").map(str::to_owned).unwrap_or(text)
        })
        .take(3)
        .collect();
    parts.join(", ")
}

fn tally_part(code: Code, n: usize, days: i64) -> String {
    let upto = |days: i64| if n == 1 { days_text(days) } else { format!("up to {}", days_text(days)) };
    let n_text = number(n as u64);
    match code {
        Code::Exposed => format!("{n_text} exposed"),
        Code::ExposedUnknown => format!("{n_text} found in the open"),
        Code::RotationOverdue if days == 0 => format!("{n_text} due today"),
        Code::RotationOverdue => format!("{n_text} overdue by {}", upto(days)),
        Code::RotationDueSoon if n == 1 => format!("1 due in {}", days_text(days)),
        Code::RotationDueSoon => format!("{n_text} due soon, the first in {}", days_text(days)),
        Code::Unused => format!("{n_text} unused for {}", upto(days)),
        Code::NeverUsed => format!("{n_text} never used"),
        Code::ExpiredInPlace => format!("{n_text} dead but still in place"),
        Code::Shared => format!("{n_text} shared"),
        Code::StaleVersion => format!("{n_text} in old versions"),
        Code::Ownerless => format!("{n_text} without an owner"),
        Code::CoverageGap => count(n, "coverage gap", "coverage gaps"),
        Code::MissedRun => count(n, "missed run", "missed runs"),
        Code::ExemptionUnused => count(n, "exemption to tidy up", "exemptions to tidy up"),
    }
}

/// The first letter of a sentence.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn time_in_words() {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let now = at("2026-11-24T06:12:00Z");
        let cases = [
            ("2026-11-24T00:00:00Z", "today"),
            ("2026-11-22T23:30:00Z", "yesterday"), // half past midnight of the 23rd in Berlin
            ("2026-11-03T12:00:00Z", "21 days ago"),
            ("2026-11-25T12:00:00Z", "tomorrow"),
            ("2026-12-24T12:00:00Z", "in 30 days"),
        ];
        for (given, wanted) in cases {
            assert_eq!(relative(at(given), now, &zone), wanted, "{given}");
        }
        assert_eq!(moment(now, &zone), "24 Nov 2026, 07:12 CET");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(lag(SignedDuration::from_hours(4)).as_deref(), Some("4 hours"));
        assert_eq!(lag(SignedDuration::from_hours(24)).as_deref(), Some("24 hours"));
        assert_eq!(lag(SignedDuration::ZERO), None);
        assert_eq!(bytes(1_300_000), "1.2 MiB");
    }
}
