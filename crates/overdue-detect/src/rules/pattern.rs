//! Patterns: bounded regular expressions over bytes.
//!
//! Promise: a pattern that exists matches at most [`Pattern::len_max`] bytes, so a bounded window round a hit is enough,
//! and the engine behind it takes time linear in that window. It is compiled when first needed: a run over one line of
//! text does not pay for the rules it never looks at.

use std::ops::Range;
use std::sync::OnceLock;

use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::engine::is_token_byte;

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
    /// Every match begins with at least so many bytes of the kind that tokens consist of, see `is_token_byte`.
    pub(crate) token_lead: usize,
    /// What every match holds somewhere after its beginning: without it there is no need to look for one.
    needle: Option<Box<Finder<'static>>>,
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
        let groups = properties.explicit_captures_len() > 0;
        let token_lead = token_lead(&hir).0;
        let needle = needle(&hir).map(|needle| Box::new(Finder::new(needle).into_owned()));
        Ok(Self { source: source.to_owned(), anchored, groups, len_max, token_lead, needle, regex: OnceLock::new() })
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
        if let Some(needle) = &self.needle {
            needle.find(text.get(from..)?)?;
        }
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

/// The longest text that every match holds, its beginning aside, which brought the scanner here.
fn needle(hir: &Hir) -> Option<&[u8]> {
    let HirKind::Concat(parts) = hir.kind() else { return None };
    let literals = parts.iter().skip(1).filter_map(|part| match part.kind() {
        HirKind::Literal(literal) => Some(&*literal.0),
        _ => None,
    });
    literals.max_by_key(|literal| literal.len()).filter(|literal| literal.len() >= NEEDLE_BYTES_MIN)
}

/// Shorter texts stand everywhere.
const NEEDLE_BYTES_MIN: usize = 3;

/// With how many token bytes each match begins at least, and whether it has no others.
fn token_lead(hir: &Hir) -> (usize, bool) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => (0, true),
        HirKind::Literal(literal) => {
            let lead = literal.0.iter().take_while(|&&byte| is_token_byte(byte)).count();
            (lead, lead == literal.0.len())
        }
        HirKind::Class(class) => {
            let fits = match class {
                Class::Bytes(class) => class.iter().all(|range| (range.start()..=range.end()).all(is_token_byte)),
                Class::Unicode(class) => {
                    class.iter().all(|range| (range.start()..=range.end()).all(|c| u8::try_from(c).is_ok_and(is_token_byte)))
                }
            };
            (usize::from(fits), fits)
        }
        HirKind::Repetition(repetition) => {
            let (lead, whole) = token_lead(&repetition.sub);
            match repetition.min {
                0 => (0, whole),
                least if whole => (lead * least as usize, true),
                _ => (lead, false),
            }
        }
        HirKind::Capture(capture) => token_lead(&capture.sub),
        HirKind::Concat(parts) => {
            let mut lead = 0;
            for part in parts {
                let (more, whole) = token_lead(part);
                lead += more;
                if !whole {
                    return (lead, false);
                }
            }
            (lead, true)
        }
        HirKind::Alternation(parts) => {
            parts.iter().map(token_lead).fold((usize::MAX, true), |(lead, whole), one| (lead.min(one.0), whole && one.1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_match_begins() {
        for (source, lead) in [
            ("ghp_[A-Za-z0-9]{36}", 40),
            ("https://[a-z]{20}", 5),
            ("(?:abcd|ab/c)[a-z]{4}", 2),
            ("(?P<secret>[a-z]{2,9}-[0-9]{3})[+/]?x", 6),
            ("a{2,3}b?[a-z/]{9}zzzz", 2),
            ("[a-z ]{9}", 0),
            (r"(?:a-){2}\\.[a-z]{4}", 4),
            (r"(?:a/){2}[a-z]{4}", 1),
        ] {
            assert_eq!(Pattern::parse(source, true).expect("good").token_lead, lead, "{source}");
        }
    }
}
