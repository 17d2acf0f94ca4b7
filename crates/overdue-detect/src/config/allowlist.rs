//! Allowlists: what a configuration says is no secret, and why a find is allowed.
//!
//! Promise: nothing allowed is lost. A find that a list or a marker allows is in [`crate::Scanned::allowed`] with the list
//! that allowed it. What a list says of the secret, the match and the line is judged while the secret is at hand, inside
//! this crate; what it says of paths and commits, when the find is reported.

use std::fmt;

use overdue_core::{Detection, RuleId};

use super::go_regex::GoRegex;
use super::inline::Marker;
use super::names;
use crate::rules::RuleSet;

/// What an allowlist's expressions are tried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Secret,
    Match,
    Line,
}

/// One list, checked: it has at least one criterion.
#[derive(Debug, Clone)]
pub(crate) struct Allowlist {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) description: String,
    /// Every kind of criterion it has must hold, instead of any.
    pub(crate) all: bool,
    /// In lower case.
    pub(crate) commits: Vec<String>,
    pub(crate) paths: Vec<GoRegex>,
    pub(crate) target: Target,
    pub(crate) regexes: Vec<GoRegex>,
    /// In lower case.
    pub(crate) stopwords: Vec<String>,
}

impl Allowlist {
    /// Whether what it says of the content holds; a list that says nothing of it has nothing against it only when all
    /// criteria must hold.
    fn allows_content(&self, secret: &[u8], matched: &[u8], line: &[u8]) -> bool {
        let text = match self.target {
            Target::Secret => secret,
            Target::Match => matched,
            Target::Line => line,
        };
        let by_regex = || self.regexes.iter().any(|regex| regex.is_match(text));
        let by_word = || self.stopwords.iter().any(|word| crate::noise::contains_ignoring_case(secret, word.as_bytes()));
        if self.all { (self.regexes.is_empty() || by_regex()) && (self.stopwords.is_empty() || by_word()) } else { by_regex() || by_word() }
    }

    fn allows_path(&self, path: &str) -> bool {
        !path.is_empty() && self.paths.iter().any(|regex| regex.is_match(path.as_bytes()))
    }

    fn allows_commit(&self, commit: Option<&str>) -> bool {
        commit.is_some_and(|commit| self.commits.iter().any(|known| known.eq_ignore_ascii_case(commit)))
    }

    fn speaks_of_content(&self) -> bool {
        !self.regexes.is_empty() || !self.stopwords.is_empty()
    }

    /// Whether it allows, `content` being what [`Self::allows_content`] said.
    fn allows(&self, content: bool, path: &str, commit: Option<&str>) -> bool {
        if self.all {
            content && (self.paths.is_empty() || self.allows_path(path)) && (self.commits.is_empty() || self.allows_commit(commit))
        } else {
            content || self.allows_path(path) || self.allows_commit(commit)
        }
    }
}

/// Whose finds a list is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everyone's.
    All,
    /// Those of these rules, by our ids.
    Rules(Vec<RuleId>),
}

/// The allowlists of a configuration.
#[derive(Clone, Default)]
pub struct Allowlists {
    pub(crate) lists: Vec<(Scope, Allowlist)>,
}

impl Allowlists {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Why a file need not be read at all: a list for all rules allows its path or its commit. `path` is written with `/`,
    /// from the root of what is scanned.
    pub fn skips(&self, path: &str, commit: Option<&str>) -> Option<AllowedBy> {
        self.lists
            .iter()
            .filter(|(scope, list)| *scope == Scope::All && !(list.all && list.speaks_of_content()))
            .find(|(_, list)| list.allows(list.all, path, commit))
            .map(|(_, list)| AllowedBy::of(list))
    }
}

impl fmt::Debug for Allowlists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Allowlists({})", self.lists.len())
    }
}

/// A find that something allows: listed, and no finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// What was found.
    pub detection: Detection,
    /// What allows it.
    pub by: AllowedBy,
}

/// What allows a find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedBy {
    /// A marker on its line.
    Marker {
        /// Which: `gitleaks:allow`.
        marker: &'static str,
        /// The words after an `overdue:allow`.
        reason: Option<String>,
    },
    /// An allowlist of a configuration.
    Allowlist {
        /// The file it is in.
        file: String,
        /// The line it begins at.
        line: usize,
        /// What it says of itself; may be empty.
        description: String,
    },
}

impl AllowedBy {
    fn of(list: &Allowlist) -> Self {
        Self::Allowlist { file: list.file.clone(), line: list.line, description: list.description.clone() }
    }
}

impl fmt::Display for AllowedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Marker { marker, reason: None } => f.write_str(marker),
            Self::Marker { marker, reason: Some(reason) } => write!(f, "{marker}: {reason}"),
            Self::Allowlist { file, line, description } if description.is_empty() => write!(f, "allowlist at {file}:{line}"),
            Self::Allowlist { file, line, description } => write!(f, "allowlist at {file}:{line}: {description}"),
        }
    }
}

/// What a scanner honours. Nothing unless it is told to: an audit must not be silenced by a comment.
///
/// ```
/// use overdue_detect::Allow;
/// let allow = Allow::nothing().markers().unused_markers();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Allow {
    pub(crate) markers: bool,
    pub(crate) unused_markers: bool,
    pub(crate) lists: Allowlists,
}

impl Allow {
    /// Everything that is found is a detection.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Honours markers beside a secret: `overdue:allow`, `gitleaks:allow` and their kin.
    #[must_use]
    pub fn markers(mut self) -> Self {
        self.markers = true;
        self
    }

    /// Honours markers, and lists those that allow nothing in [`crate::Scanned::unused_markers`].
    #[must_use]
    pub fn unused_markers(mut self) -> Self {
        self.markers = true;
        self.unused_markers = true;
        self
    }

    /// Honours allowlists.
    #[must_use]
    pub fn lists(mut self, lists: Allowlists) -> Self {
        self.lists = lists;
        self
    }
}

/// What a scanner honours, worked out for its rules.
pub(crate) struct Honoured {
    pub(crate) markers: bool,
    pub(crate) unused_markers: bool,
    lists: Vec<Allowlist>,
    /// For each rule, the lists that are asked.
    asked: Vec<Vec<usize>>,
}

/// What was noted of a find while its secret and its line were at hand.
#[derive(Clone, Default)]
pub(crate) struct Judged {
    /// The lists whose say on the content holds.
    content: Vec<usize>,
    pub(crate) marker: Option<Marker>,
    /// Where its lines are.
    pub(crate) lines: std::ops::Range<u64>,
}

impl Honoured {
    pub(crate) fn new(allow: Allow, rules: &RuleSet) -> Self {
        let speaks = |scope: &Scope, rule: &str| match scope {
            Scope::All => true,
            Scope::Rules(ids) => ids.iter().any(|id| names::names(id.as_str(), rule)),
        };
        let asked = rules.rules.iter().map(|rule| {
            let of_rule = allow.lists.lists.iter().enumerate().filter(|(_, (scope, _))| speaks(scope, rule.id.as_str()));
            of_rule.map(|(index, _)| index).collect()
        });
        let asked = asked.collect();
        let lists = allow.lists.lists.into_iter().map(|(_, list)| list).collect();
        Self { markers: allow.markers, unused_markers: allow.unused_markers, lists, asked }
    }

    /// Notes which lists the content speaks for.
    pub(crate) fn judge(&self, rule: usize, secret: &[u8], matched: &[u8], line: &[u8]) -> Judged {
        let asked = self.asked[rule].iter().copied();
        let content = asked.filter(|&list| self.lists[list].allows_content(secret, matched, line)).collect();
        Judged { content, ..Judged::default() }
    }

    /// The same for a find that is the file itself and has no content.
    pub(crate) fn judge_file(&self, rule: usize) -> Judged {
        let asked = self.asked[rule].iter().copied();
        let content = asked.filter(|&list| self.lists[list].all && !self.lists[list].speaks_of_content()).collect();
        Judged { content, ..Judged::default() }
    }

    /// What allows a find of `rule`, if anything does.
    pub(crate) fn verdict(&self, rule: usize, judged: &Judged, path: &str, commit: Option<&str>) -> Option<AllowedBy> {
        if let Some(marker) = &judged.marker {
            return Some(AllowedBy::Marker { marker: marker.kind, reason: marker.reason.clone() });
        }
        let mut asked = self.asked[rule].iter().copied();
        let list = asked.find(|&list| self.lists[list].allows(judged.content.contains(&list), path, commit))?;
        Some(AllowedBy::of(&self.lists[list]))
    }
}
