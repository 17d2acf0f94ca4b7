//! The prefilter: one automaton over all literals of all rules.
//!
//! A dense automaton costs the same for each byte however many literals it knows, about 0.5 GB/s; the contiguous NFA of
//! the same crate is three times slower and a regular expression over all rules a thousand times (measured, see
//! docs/design.md). Literals are matched in any case; whether the case fits is asked at the hit.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::rules::rule::{Rule, Trigger};

/// Literals of all rules, and whose each is.
pub(crate) struct Prefilter {
    automaton: AhoCorasick,
    owners: Vec<Vec<Owner>>,
    longest: usize,
}

/// A rule that wants to be asked where a literal stands.
pub(crate) struct Owner {
    pub(crate) rule: usize,
    /// The literal as it must be written; `None` when any case will do.
    pub(crate) exact: Option<Vec<u8>>,
}

/// Where a literal stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit {
    pub(crate) literal: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Prefilter {
    pub(crate) fn new(rules: &[Rule]) -> Result<Self, String> {
        let mut literals: Vec<String> = Vec::new();
        let mut owners: Vec<Vec<Owner>> = Vec::new();
        let mut index = std::collections::HashMap::new();
        for (rule, facts) in rules.iter().enumerate() {
            for literal in &facts.literals {
                let folded = literal.to_ascii_lowercase();
                let at = *index.entry(folded.clone()).or_insert_with(|| {
                    literals.push(folded);
                    owners.push(Vec::new());
                    owners.len() - 1
                });
                let exact = (facts.trigger != Trigger::Near).then(|| literal.as_bytes().to_vec());
                owners[at].push(Owner { rule, exact });
            }
        }
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::DFA))
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(&literals)
            .map_err(|error| format!("the literals of all rules make no automaton: {error}"))?;
        let longest = literals.iter().map(String::len).max().unwrap_or(0);
        Ok(Self { automaton, owners, longest })
    }

    /// Every place in `from..to` where a literal begins, in order of its end.
    pub(crate) fn hits<'a>(&'a self, buf: &'a [u8], from: usize, to: usize) -> impl Iterator<Item = Hit> + 'a {
        let end = (to + self.longest).min(buf.len());
        self.automaton
            .find_overlapping_iter(&buf[from..end])
            .map(move |hit| Hit { literal: hit.pattern().as_usize(), start: from + hit.start(), end: from + hit.end() })
            .filter(move |hit| hit.start < to)
    }

    pub(crate) fn owners(&self, hit: Hit) -> &[Owner] {
        &self.owners[hit.literal]
    }
}
