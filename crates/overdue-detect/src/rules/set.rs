//! The set of rules a scanner runs.

use overdue_core::RuleFacts;
use sha2::{Digest, Sha256};

use super::check::{self, RuleProblem};
use super::foreign::{Foreign, ForeignRules};
use super::rule::{Rule, Trigger};
use super::{builtin, file};
use crate::engine::Prefilter;
use crate::fingerprint::hex;

/// Counts changes of the scanner that make it find other things with the same rules. Raise it with each, so that
/// everything is read again.
const SCANNER_VERSION: u32 = 3;

/// Shorter literals begin too much that is no token of theirs.
const CHECKED_PREFIX_MIN: usize = 4;

/// Rules, checked and ready to run.
pub struct RuleSet {
    pub(crate) rules: Vec<Rule>,
    pub(crate) prefilter: Prefilter,
    /// Rules of another scanner's configuration.
    pub(crate) foreign: ForeignRules,
    /// How tokens begin whose checksum tells: one that fails it is made up, whatever it is assigned to.
    checked_prefixes: Vec<String>,
    digest: String,
}

/// All that is wrong with some rule files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct RuleError {
    /// Each thing that is wrong, with its place and its mend.
    pub problems: Vec<RuleProblem>,
}

/// A made-up text that a rule finds something in, for tests that need a secret of each kind.
#[derive(Clone, PartialEq, Eq)]
pub struct Example {
    /// The text.
    pub text: String,
    /// The confidential part of it, as written there.
    pub secret: String,
    /// The public id that the detection brings, if any.
    pub public_id: Option<String>,
}

impl RuleSet {
    /// The rules that come with the program.
    pub fn builtin() -> Result<Self, RuleError> {
        Self::parse(&builtin::FILES)
    }

    /// Rules from files: pairs of a name, for messages, and a text.
    ///
    /// ```
    /// use overdue_detect::RuleSet;
    /// let error = RuleSet::parse(&[("mine.toml", "[[rule]]\nid = \"acme.key\"\ncolour = \"red\"")]).err().expect("refused");
    /// assert!(error.to_string().starts_with("mine.toml:3: "), "{error}");
    /// ```
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, RuleError> {
        let rules = file::read(files).map_err(|problems| RuleError { problems })?;
        Self::assemble(rules, Vec::new(), files)
    }

    /// The built-in rules, and rules from files of the same form. A block that has the id of a built-in rule says
    /// `replaces = true`; without that the id is taken.
    ///
    /// ```
    /// use overdue_detect::RuleSet;
    /// let mine = r#"
    /// [[rule]]
    /// id = "acme.key"
    /// title = "Acme key"
    /// service = "Acme"
    /// prefixes = ["acme_"]
    /// pattern = 'acme_[a-z0-9]{32}'
    /// "#;
    /// let rules = RuleSet::with_rules(&[("mine.toml", mine)])?;
    /// assert_ne!(rules.digest(), RuleSet::builtin()?.digest());
    ///
    /// let taken = RuleSet::with_rules(&[("mine.toml", &mine.replace("acme.key", "github.pat"))]).err().expect("refused");
    /// assert!(taken.to_string().contains("replaces = true"), "{taken}");
    /// # Ok::<(), overdue_detect::RuleError>(())
    /// ```
    pub fn with_rules(files: &[(&str, &str)]) -> Result<Self, RuleError> {
        let all: Vec<(&str, &str)> = builtin::FILES.iter().chain(files).copied().collect();
        Self::parse(&all)
    }

    /// A set of rules that were read; `files` are what they were read from.
    pub(crate) fn assemble(rules: Vec<Rule>, foreign: Vec<Foreign>, files: &[(&str, &str)]) -> Result<Self, RuleError> {
        let prefilter = Prefilter::new(&rules);
        let foreign = ForeignRules::new(foreign).map_err(|what| RuleError {
            problems: vec![RuleProblem {
                file: files.first().map_or_else(String::new, |file| file.0.to_owned()),
                line: 1,
                rule: String::new(),
                what,
                mend: "use fewer or shorter literals".to_owned(),
            }],
        })?;
        let mut digest = Sha256::new();
        digest.update(SCANNER_VERSION.to_le_bytes());
        for (name, text) in files {
            for part in [name, text] {
                digest.update((part.len() as u64).to_le_bytes());
                digest.update(part.as_bytes());
            }
        }
        let checked_prefixes = rules
            .iter()
            .filter(|rule| rule.trigger == Trigger::Prefix && rule.checksum.is_some() && !rule.checksum_lenient)
            .flat_map(|rule| rule.literals.iter().filter(|literal| literal.len() >= CHECKED_PREFIX_MIN).cloned())
            .collect();
        Ok(Self { rules, prefilter, foreign, checked_prefixes, digest: hex(&digest.finalize()[..8]) })
    }

    /// Names this set of rules and this version of the scanner: with another digest, what was scanned is scanned again.
    pub fn digest(&self) -> String {
        self.digest.clone()
    }

    /// What a report wants to know about each rule, in the order of the files.
    pub fn facts(&self) -> Vec<RuleFacts> {
        self.rules
            .iter()
            .map(|rule| RuleFacts {
                id: rule.id.clone(),
                title: rule.title.clone(),
                service: rule.service.clone(),
                revoke: rule.revoke.clone(),
                id_only: rule.id_only,
            })
            .collect()
    }

    /// Proves the rules by their own examples. Empty when all is well.
    pub fn check(&self) -> Vec<RuleProblem> {
        check::check(self)
    }

    /// A made-up text in which `rule` finds a secret; another one for each `seed`. `None` when there is no such rule.
    pub fn example(&self, rule: &str, seed: u64) -> Option<Example> {
        check::example(self, rule, seed)
    }

    /// Whether `value` begins like a token of a rule that judges by a checksum. If it were one, that rule would say so.
    pub(crate) fn is_checked_form(&self, value: &[u8]) -> bool {
        self.checked_prefixes.iter().any(|prefix| value.starts_with(prefix.as_bytes()))
    }

    pub(crate) fn rule(&self, index: usize) -> &Rule {
        &self.rules[index]
    }
}

impl std::fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RuleSet({} rules, {})", self.rules.len(), self.digest)
    }
}
