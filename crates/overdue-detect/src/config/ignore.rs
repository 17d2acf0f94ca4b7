//! `.gitleaksignore`: finds that were looked at and set aside, one a line.
//!
//! An entry is `file:rule:line`, or `commit:file:rule:line` for one commit alone; `#` begins a comment. The rule is theirs
//! or ours. An entry of theirs covers our find on the same line of the same file when the two rules look for the same kind
//! (a table says which); an entry of `generic-api-key`, which guesses by name, covers whatever we call likely there.
//!
//! Every entry remembers whether it was used: one that covers nothing can be told, and removed.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use overdue_core::{Confidence, Detection};

use super::fields::problem;
use super::names;
use crate::rules::RuleProblem;

/// The entries of one or more ignore files.
#[derive(Debug, Default)]
pub struct Ignores {
    entries: Vec<Entry>,
}

/// One entry of an ignore file.
pub struct Entry {
    /// The file it is in.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The commit it is for; `None` for all.
    pub commit: Option<String>,
    /// The path it is for, with `/`.
    pub path: String,
    /// The rule it is for, as written.
    pub rule: String,
    /// The line of the find; 0 for one that has none.
    pub at: u32,
    used: AtomicBool,
}

impl Entry {
    /// Whether it has covered anything so far.
    pub fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    fn covers(&self, path: &str, commit: Option<&str>, detection: &Detection) -> bool {
        let its_commit = match (&self.commit, commit) {
            (None, _) => true,
            (Some(wanted), Some(commit)) => wanted.eq_ignore_ascii_case(commit),
            (Some(_), None) => false,
        };
        let its_rule =
            names::names(&self.rule, detection.rule.as_str()) || self.rule == names::GENERIC && detection.confidence == Confidence::Likely;
        its_commit && self.at == detection.line.unwrap_or(0) && its_rule && self.path == full_path(path, &detection.path)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {self}", self.file, self.line)
    }
}

/// As it is written in the file.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(commit) = &self.commit {
            write!(f, "{commit}:")?;
        }
        write!(f, "{}:{}:{}", self.path, self.rule, self.at)
    }
}

/// The path of something inside an artifact, as gitleaks writes it: `outer.zip!inner/file`.
pub(crate) fn full_path(path: &str, inside: &str) -> String {
    let path = normal(path);
    if inside.is_empty() { path } else { format!("{path}!{}", inside.replace("!/", "!")) }
}

fn normal(path: &str) -> String {
    let path = path.replace('\\', "/");
    path.strip_prefix("./").map(str::to_owned).unwrap_or(path)
}

impl Ignores {
    /// Reads a file. What is no entry is a warning that names its line.
    pub fn read(name: &str, text: &str) -> (Self, Vec<RuleProblem>) {
        let mut ignores = Self::default();
        let mut warnings = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let written = line.trim_start_matches('\u{feff}').trim();
            if written.is_empty() || written.starts_with('#') {
                continue;
            }
            match entry(name, index + 1, written) {
                Some(entry) => ignores.entries.push(entry),
                None => warnings.push(problem(
                    name,
                    index + 1,
                    "",
                    "this is no entry, and ignores nothing",
                    "write `file:rule:line`, or `commit:file:rule:line`",
                )),
            }
        }
        (ignores, warnings)
    }

    /// Adds the entries of another file.
    pub fn extend(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    /// The entry that covers a detection, which is marked as used. `path` is the artifact's, from the root of what is
    /// scanned; `commit` the one it was found in, where a history is read.
    ///
    /// An entry for one commit covers nothing where no commit is given, as in gitleaks.
    pub fn covering(&self, path: &str, commit: Option<&str>, detection: &Detection) -> Option<&Entry> {
        let mut covering = None;
        // All that cover it are used: a copy of an entry is not told to be removed in one place and kept in the other.
        for entry in self.entries.iter().filter(|entry| entry.covers(path, commit, detection)) {
            entry.used.store(true, Ordering::Relaxed);
            covering = covering.or(Some(entry));
        }
        covering
    }

    /// Entries that covered nothing. `history`: whether commits were read; if not, entries for one commit are not judged.
    pub fn unused(&self, history: bool) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| !entry.is_used() && (history || entry.commit.is_none()))
    }

    /// All entries, in the order of their files.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

fn entry(file: &str, line: usize, written: &str) -> Option<Entry> {
    // From the end, since a path may hold a colon.
    let mut parts = written.rsplitn(3, ':');
    let (at, rule, place) = (parts.next()?, parts.next()?, parts.next()?);
    let is_commit = |text: &str| (7..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    let (commit, path) = match place.split_once(':') {
        Some((commit, path)) if is_commit(commit) => (Some(commit.to_ascii_lowercase()), path),
        _ => (None, place),
    };
    let (path, rule) = (normal(path.trim()), rule.trim().to_owned());
    if path.is_empty() || rule.is_empty() {
        return None;
    }
    Some(Entry { file: file.to_owned(), line, commit, path, rule, at: at.trim().parse().ok()?, used: AtomicBool::new(false) })
}

#[cfg(test)]
mod tests {
    use overdue_core::{Fingerprint, RuleId};

    use super::*;

    fn detection(rule: &str, path: &str, line: Option<u32>, confidence: Confidence) -> Detection {
        Detection {
            rule: RuleId::new(rule),
            fingerprint: Fingerprint::from_hex("00".repeat(16)),
            preview: String::new(),
            public_id: None,
            path: path.to_owned(),
            line,
            column: None,
            decoded: String::new(),
            confidence,
            expires_at_unix: None,
        }
    }

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn entries_in_both_forms() {
        let text =
            format!("# set aside\n\nsrc/a.py:github-pat:7\n{COMMIT}:.\\src\\b.py:aws-access-token:1 \nC:/x.py:jwt:2\nnonsense\na:b:c\n");
        let (ignores, warnings) = Ignores::read(".gitleaksignore", &text);
        let written: Vec<String> = ignores.entries().iter().map(ToString::to_string).collect();
        assert_eq!(written, ["src/a.py:github-pat:7", &format!("{COMMIT}:src/b.py:aws-access-token:1"), "C:/x.py:jwt:2"]);
        let lines: Vec<usize> = warnings.iter().map(|warning| warning.line).collect();
        assert_eq!(lines, [6, 7]);
        assert!(warnings[0].to_string().starts_with(".gitleaksignore:6: "), "{}", warnings[0]);
    }

    #[test]
    fn what_an_entry_covers() {
        use Confidence::{Certain, Likely};
        for (entry, rule, inside, line, sure, commit, expected) in [
            ("a.py:github-pat:7", "github.pat", "", Some(7), Certain, None, true),
            ("a.py:github.pat:7", "github.pat", "", Some(7), Certain, None, true),
            ("a.py:github-pat:7", "github.pat", "", Some(8), Certain, None, false),
            ("a.py:github-pat:7", "github.oauth-token", "", Some(7), Certain, None, false),
            ("b.py:github-pat:7", "github.pat", "", Some(7), Certain, None, false),
            ("a.py:generic-api-key:7", "datadog.api-key", "", Some(7), Likely, None, true),
            ("a.py:generic-api-key:7", "github.pat", "", Some(7), Certain, None, false),
            ("a.py:acme-token:7", "acme-token", "", Some(7), Certain, None, true),
            ("a.py!in/b.tar!c:jwt:7", "jwt.token", "in/b.tar!/c", Some(7), Certain, None, true),
            ("a.py:pkcs12-file:0", "pkcs12-file", "", None, Certain, None, true),
            (&format!("{COMMIT}:a.py:github-pat:7"), "github.pat", "", Some(7), Certain, Some(COMMIT), true),
            (&format!("{COMMIT}:a.py:github-pat:7"), "github.pat", "", Some(7), Certain, None, false),
            ("a.py:github-pat:7", "github.pat", "", Some(7), Certain, Some(COMMIT), true),
        ] {
            let (ignores, _) = Ignores::read("x", entry);
            let covered = ignores.covering("./a.py", commit, &detection(rule, inside, line, sure)).is_some();
            assert_eq!(covered, expected, "{entry} and {rule} at {line:?}");
            assert_eq!(ignores.unused(true).count(), usize::from(!expected), "{entry}");
        }
    }

    #[test]
    fn an_entry_for_a_commit_is_not_judged_without_a_history() {
        let (mut ignores, _) = Ignores::read("x", &format!("{COMMIT}:a.py:jwt:1"));
        ignores.extend(Ignores::read("y", "a.py:jwt:1").0);
        assert_eq!(ignores.unused(true).count(), 2);
        assert_eq!(ignores.unused(false).count(), 1);
    }
}
