//! Patterns: bounded regular expressions over bytes.
//!
//! Promise: a pattern that exists matches at most [`Pattern::len_max`] bytes, so a bounded window round a hit is enough,
//! and the engine behind it takes time linear in that window. It is compiled when first needed: a run over one line of
//! text does not pay for the rules it never looks at.

use std::ops::Range;
use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};

/// Longest match a rule may have; the longest honest token is a session token of about a kilobyte.
pub(crate) const PATTERN_BYTES_MAX: usize = 4096;

/// A pattern, compiled on first use.
#[derive(Debug)]
pub(crate) struct Pattern {
    source: String,
    anchored: bool,
    groups: bool,
    /// The most bytes a match has.
    pub(crate) len_max: usize,
    regex: OnceLock<Option<Regex>>,
}

/// Where a pattern matched.
pub(crate) struct PatternMatch {
    /// All of it.
    pub(crate) whole: Range<usize>,
    /// Group `secret`, or all of it.
    pub(crate) secret: Range<usize>,
    /// Group `id`.
    pub(crate) id: Option<Range<usize>>,
}

impl Pattern {
    /// Checks a pattern. `anchored`: it will be asked for a match at a place, not for one somewhere.
    pub(crate) fn parse(source: &str, anchored: bool) -> Result<Self, String> {
        let hir = regex_syntax::ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .build()
            .parse(source)
            .map_err(|error| format!("the pattern is not a regular expression: {error}"))?;
        let properties = hir.properties();
        let Some(len_max) = properties.maximum_len() else {
            return Err("the pattern has an unbounded repeat (`*`, `+` or `{n,}`); give every repeat an upper bound".to_owned());
        };
        if len_max > PATTERN_BYTES_MAX {
            return Err(format!("the pattern can match {len_max} bytes, more than the limit of {PATTERN_BYTES_MAX}; lower its repeats"));
        }
        if properties.minimum_len().unwrap_or(0) < 4 {
            return Err("the pattern can match fewer than 4 bytes; nothing that short is a secret".to_owned());
        }
        Ok(Self { source: source.to_owned(), anchored, groups: properties.explicit_captures_len() > 0, len_max, regex: OnceLock::new() })
    }

    /// The compiled form. `None` cannot happen for a pattern that parsed, unless it is over the size limit, which
    /// `RuleSet::check` reports.
    pub(crate) fn compiled(&self) -> Option<&Regex> {
        self.regex
            .get_or_init(|| {
                let source = if self.anchored { format!(r"\A(?:{})", self.source) } else { self.source.clone() };
                RegexBuilder::new(&source).unicode(false).size_limit(16 << 20).dfa_size_limit(4 << 20).build().ok()
            })
            .as_ref()
    }

    /// The first match at or after `from`, with places relative to `text`.
    pub(crate) fn find_at(&self, text: &[u8], from: usize) -> Option<PatternMatch> {
        let regex = self.compiled()?;
        if !self.groups {
            let whole = regex.find_at(text, from)?.range();
            return Some(PatternMatch { secret: whole.clone(), whole, id: None });
        }
        // The plain search first: it is many times faster, and mostly says no.
        if !regex.is_match_at(text, from) {
            return None;
        }
        let captures = regex.captures_at(text, from)?;
        let whole = captures.get(0)?.range();
        let secret = captures.name("secret").map_or_else(|| whole.clone(), |group| group.range());
        Some(PatternMatch { whole, secret, id: captures.name("id").map(|group| group.range()) })
    }
}
