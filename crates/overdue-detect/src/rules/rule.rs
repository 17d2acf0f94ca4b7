//! A checked rule: what the scanner runs. One that exists has a trigger, a bounded pattern and a rank.

use overdue_core::{Confidence, RuleId};

use super::checksum::Checksum;
use super::pattern::Pattern;

/// One kind of credential and how it is recognised.
pub(crate) struct Rule {
    pub(crate) id: RuleId,
    pub(crate) title: String,
    pub(crate) service: String,
    pub(crate) revoke: Vec<String>,
    pub(crate) reference: String,
    /// Where it is written, for messages.
    pub(crate) file: String,
    /// Line of its `id`, for messages.
    pub(crate) line: usize,
    /// Which of the files that were read together it is from.
    pub(crate) source: usize,
    pub(crate) confidence: Confidence,
    /// The match is a public id alone.
    pub(crate) id_only: bool,
    /// Not looked for in binary content, where its shape turns up by chance.
    pub(crate) text_only: bool,
    pub(crate) trigger: Trigger,
    pub(crate) matcher: Matcher,
    /// The cheap literals that trigger it, as written.
    pub(crate) literals: Vec<String>,
    /// Bytes before a keyword in which the secret may stand.
    pub(crate) before: usize,
    /// Bytes after a keyword in which the secret may stand.
    pub(crate) after: usize,
    /// Words of which the name before the secret must hold one; empty for the usual words. See `context`.
    pub(crate) names: Vec<String>,
    /// Any name will do, or none.
    pub(crate) any_name: bool,
    pub(crate) checksum: Option<Checksum>,
    /// Report a match whose checksum does not hold, as likely, instead of dropping it.
    pub(crate) checksum_lenient: bool,
    /// Shannon entropy floor in bits a byte.
    pub(crate) entropy_min: f32,
    pub(crate) needs: Needs,
    pub(crate) pair: Option<Pair>,
    pub(crate) public_prefix: Option<String>,
    /// Who wins when two rules match the same bytes: the higher.
    pub(crate) rank: u16,
    pub(crate) matches: Vec<String>,
    pub(crate) ignores: Vec<String>,
}

/// What makes the scanner look at a rule, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// The match begins with one of the literals.
    Prefix,
    /// One of the literals stands inside the match.
    Infix,
    /// One of the literals stands near the secret, in any case.
    Near,
    /// Nothing: another rule's pair falls back to it.
    Fallback,
}

/// How a triggered rule is confirmed.
#[derive(Debug)]
pub(crate) enum Matcher {
    /// By its pattern.
    Pattern(Pattern),
    /// A PEM or similar armoured private key.
    Pem,
    /// Three base64url parts, the first two JSON.
    Jwt,
    /// `scheme://user:password@host`, for schemes of databases or for all the others.
    Url {
        /// Databases and brokers, or everything else.
        database: bool,
    },
    /// The JSON of a Google service account key.
    ServiceAccount,
    /// A name that says secret, and a value that looks like one.
    Assignment,
    /// Not matched by itself.
    None,
}

/// What characters the secret must have at least one of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Needs {
    pub(crate) digit: bool,
    pub(crate) upper: bool,
    pub(crate) lower: bool,
}

/// The secret that belongs to a public id near by.
pub(crate) struct Pair {
    /// What the secret looks like.
    pub(crate) secret: Pattern,
    pub(crate) before: usize,
    pub(crate) after: usize,
    /// Words of which the name before the secret must hold one; empty for any or no name.
    pub(crate) names: Vec<String>,
    pub(crate) entropy_min: f32,
    pub(crate) needs: Needs,
    /// Index of the rule that is reported when no secret is near.
    pub(crate) alone: Option<usize>,
}

impl Rule {
    /// Bytes before and after a hit on a literal that may matter to this rule. The scanner keeps that much at hand.
    pub(crate) fn reach(&self) -> (usize, usize) {
        let pattern = match &self.matcher {
            Matcher::Pattern(pattern) => pattern.len_max,
            _ => 0,
        };
        let (pair_before, pair_after) = self.pair.as_ref().map_or((0, 0), |pair| (pair.before, pair.after + pair.secret.len_max));
        (self.before + pattern + pair_before, self.after + pattern + pair_after)
    }
}

/// The ranks the resolver asks about by name.
pub(crate) mod rank_of {
    /// A guess by name and value.
    pub(crate) const ASSIGNMENT: u16 = 100;
    /// A password in a URL.
    pub(crate) const URL: u16 = 150;
    /// A rule of another scanner: it knows more than a word near by, and less than a form.
    pub(crate) const FOREIGN: u16 = 290;
    /// Everything from here on knows the kind by its own form.
    pub(crate) const FORM: u16 = 300;
}
