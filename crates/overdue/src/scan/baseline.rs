//! The baseline: secrets that a person has accepted, with a reason, a name and an end.
//!
//! It is a file of the repository, `.overdue-baseline.toml`, made by `overdue scan --accept`. An entry knows its secret by a
//! fingerprint under the file's own key, so it holds when code moves or history is rewritten, and it names no line. The
//! file lies beside the code that holds the secret; who has both can tell which secret it is, as before. An entry that has
//! ended suppresses nothing and is told; so is one that matches nothing. A credential that an inventory knows as live is
//! never accepted.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use overdue_detect::FingerprintKey;
use overdue_report::gate::GateFinding;
use serde::Deserialize;

use super::is_live;
use crate::fingerprint_key;
use crate::places::write_whole;

/// How long an acceptance lasts when nobody says.
const DAYS_DEFAULT: i64 = 90;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    key: String,
    #[serde(default)]
    accepted: Vec<toml::Spanned<Entry>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    rule: String,
    fingerprint: String,
    /// Where it was; for people.
    #[serde(default)]
    file: String,
    reason: String,
    author: String,
    until: toml::value::Datetime,
}

/// A baseline that was read.
pub(super) struct Baseline {
    path: PathBuf,
    key: FingerprintKey,
    /// The file as it is, so that comments and order stay.
    text: String,
    entries: Vec<Accepted>,
}

struct Accepted {
    entry: Entry,
    line: usize,
    /// The last day it holds.
    until: Date,
    matched: bool,
}

impl Baseline {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the baseline {}", path.display()))?;
        Self::parse(path, text)
    }

    /// For `--accept`: the file, or a new one.
    pub(super) fn read_or_new(path: &Path) -> Result<Option<Self>> {
        if path.exists() {
            return Self::read(path).map(Some);
        }
        let text = format!(
            "# Secrets that `overdue scan` does not report, each with a reason and an end. Made by `overdue scan --accept`;\n\
             # edit reasons and dates by hand. Fingerprints are made with this key: keep it with them.\nkey = \"{}\"\n",
            fingerprint_key::random_hex()?
        );
        Self::parse(path, text).map(Some)
    }

    fn parse(path: &Path, text: String) -> Result<Self> {
        let line_of = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
        let raw: Raw = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(span.start));
            anyhow::anyhow!("{}:{line}: {}; `overdue scan --accept` writes entries as they must be", path.display(), error.message())
        })?;
        let key = fingerprint_key::parse(raw.key.as_bytes()).with_context(|| format!("{}: `key`", path.display()))?;
        let mut entries = Vec::new();
        for spanned in raw.accepted {
            let line = line_of(spanned.span().start);
            let entry = spanned.into_inner();
            let Some(until) = entry.until.date.and_then(|date| date.to_string().parse().ok()) else {
                bail!("{}:{line}: `until` needs a date, such as 2027-01-31", path.display());
            };
            if entry.reason.trim().is_empty() || entry.author.trim().is_empty() {
                bail!("{}:{line}: an accepted secret needs a `reason` and an `author`", path.display());
            }
            entries.push(Accepted { entry, line, until, matched: false });
        }
        Ok(Self { path: path.to_owned(), key, text, entries })
    }

    pub(super) fn key(&self) -> FingerprintKey {
        self.key.clone()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Marks what is accepted.
    pub(super) fn apply(&mut self, findings: &mut [GateFinding], now: Timestamp) {
        for finding in findings.iter_mut().filter(|finding| finding.accepted.is_none()) {
            let same = |one: &&mut Accepted| {
                one.entry.rule == finding.detection.rule.as_str() && one.entry.fingerprint == finding.detection.fingerprint.as_str()
            };
            let Some(one) = self.entries.iter_mut().find(same) else { continue };
            one.matched = true;
            if is_live(finding) {
                finding.note = Some("The baseline has it, but a live credential cannot be accepted: rotate it".to_owned());
            } else if !has_ended(one.until, now) {
                finding.accepted = Some(format!("baseline, until {}: {} ({})", one.until, one.entry.reason, one.entry.author));
            }
        }
    }

    /// Entries that do nothing any more, in words.
    pub(super) fn idle(&self, now: Timestamp) -> Vec<String> {
        let place = |one: &Accepted| {
            let was = if one.entry.file.is_empty() { String::new() } else { format!(" (was in {})", one.entry.file) };
            format!("{}:{}{was}", self.path.display(), one.line)
        };
        self.entries
            .iter()
            .filter_map(|one| match (one.matched, has_ended(one.until, now)) {
                (_, true) => Some(format!("{}: ended on {}; rotate the secret, or give it a new date", place(one), one.until)),
                (false, false) => Some(format!("{}: matches nothing any more; delete it", place(one))),
                (true, false) => None,
            })
            .collect()
    }

    /// Adds what is not accepted yet, and writes the file. Returns how many.
    pub(super) fn accept(
        &mut self,
        findings: &[GateFinding],
        reason: &str,
        author: &str,
        until: Option<Date>,
        now: Timestamp,
    ) -> Result<usize> {
        let today = now.to_zoned(TimeZone::UTC).date();
        let until = match until {
            Some(until) if until < today => bail!("--until {until} has passed"),
            Some(until) => until,
            None => today.checked_add(SignedDuration::from_hours(24 * DAYS_DEFAULT))?,
        };
        let mut text = self.text.clone();
        let mut fresh: Vec<(&str, &str)> = Vec::new();
        for finding in findings.iter().filter(|finding| finding.accepted.is_none() && !is_live(finding)) {
            let known = (finding.detection.rule.as_str(), finding.detection.fingerprint.as_str());
            if fresh.contains(&known) {
                continue;
            }
            fresh.push(known);
            let quoted = |value: &str| toml::Value::String(value.to_owned()).to_string();
            text.push_str(&format!(
                "\n[[accepted]]\nrule = {}\nfingerprint = \"{}\"\nfile = {}\nreason = {}\nauthor = {}\nuntil = {until}\n",
                quoted(known.0),
                known.1,
                quoted(&finding.place()),
                quoted(reason),
                quoted(author)
            ));
        }
        let added = fresh.len();
        *self = Self::parse(&self.path, text)?;
        write_whole(&self.path, self.text.as_bytes())?;
        Ok(added)
    }
}

fn has_ended(until: Date, now: Timestamp) -> bool {
    now.to_zoned(TimeZone::UTC).date() > until
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "key = \"0000000000000000000000000000000000000000000000000000000000000000\"\n";

    fn refused(text: &str) -> String {
        match Baseline::parse(Path::new("b.toml"), format!("{KEY}{text}")) {
            Ok(_) => panic!("{text} was taken"),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn a_faulty_baseline_is_told_by_its_line() {
        let entry = "[[accepted]]\nrule = \"x\"\nfingerprint = \"aa\"\n";
        assert!(refused(&format!("{entry}reason = \"r\"\nauthor = \"a\"\n")).starts_with("b.toml:2: missing field `until`"));
        assert!(refused(&format!("{entry}reason = \" \"\nauthor = \"a\"\nuntil = 2027-01-01\n")).contains("b.toml:2: an accepted secret"));
        assert!(refused(&format!("{entry}reason = \"r\"\nauthor = \"a\"\nuntil = 10:00:00\n")).contains("needs a date"));
        assert!(refused("oops = 1\n").contains("b.toml:2: unknown field `oops`"));
    }

    #[test]
    fn it_holds_to_the_end_of_its_last_day() {
        let until: Date = "2026-03-01".parse().expect("a date");
        assert!(!has_ended(until, "2026-03-01T23:59:59Z".parse().expect("a time")));
        assert!(has_ended(until, "2026-03-02T00:00:00Z".parse().expect("a time")));
    }
}
