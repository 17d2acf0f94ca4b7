//! Rules that were written for another scanner: a regular expression over whatever stands near a keyword.
//!
//! They have no bounded pattern, no boundaries and no checksum, so they do not go through the rules' own stages. See
//! `engine::foreign` for where they look.

use aho_corasick::AhoCorasick;

use crate::config::GoRegex;

/// One such rule. Its id and its words are in [`super::rule::Rule`].
pub(crate) struct Foreign {
    /// Index of the rule in the set.
    pub(crate) rule: usize,
    /// What to look for; `None` for a rule about the file's path alone.
    pub(crate) regex: Option<GoRegex>,
    /// Only in files of such a path.
    pub(crate) path: Option<GoRegex>,
    /// One of them stands near; empty when none need. Lower case.
    pub(crate) keywords: Vec<String>,
    /// The group that is the secret; 0 for the first that holds something, or all of the match.
    pub(crate) secret_group: usize,
    /// The secret's entropy in bits a byte is above this; 0 for no such demand.
    pub(crate) entropy_above: f32,
    /// Found only where another rule finds something near.
    pub(crate) required: Vec<Nearby>,
    /// Its finds count for `required` alone.
    pub(crate) skip_report: bool,
}

/// What has to be found near a find.
pub(crate) struct Nearby {
    /// Indices of rules of which one has to find something.
    pub(crate) rules: Vec<usize>,
    /// No more lines away than this.
    pub(crate) lines: Option<u32>,
    /// No more columns away than this.
    pub(crate) columns: Option<u32>,
}

/// All such rules of a set, and the automaton over their keywords.
#[derive(Default)]
pub(crate) struct ForeignRules {
    pub(crate) list: Vec<Foreign>,
    automaton: Option<AhoCorasick>,
    /// For each keyword, the rules (by their place in `list`) that have it.
    owners: Vec<Vec<usize>>,
    keyword_len_max: usize,
}

impl ForeignRules {
    pub(crate) fn new(list: Vec<Foreign>) -> Result<Self, String> {
        let mut keywords: Vec<&str> = Vec::new();
        let mut owners: Vec<Vec<usize>> = Vec::new();
        for (index, rule) in list.iter().enumerate() {
            for keyword in &rule.keywords {
                let at = keywords.iter().position(|known| known == keyword).unwrap_or_else(|| {
                    keywords.push(keyword);
                    owners.push(Vec::new());
                    owners.len() - 1
                });
                owners[at].push(index);
            }
        }
        let keyword_len_max = keywords.iter().map(|keyword| keyword.len()).max().unwrap_or(0);
        let automaton = if keywords.is_empty() {
            None
        } else {
            let built = AhoCorasick::builder().ascii_case_insensitive(true).build(&keywords);
            Some(built.map_err(|error| format!("the keywords of all rules make no automaton: {error}"))?)
        };
        Ok(Self { list, automaton, owners, keyword_len_max })
    }

    /// Whether any of them reads a text.
    pub(crate) fn read_texts(&self) -> bool {
        self.list.iter().any(|rule| rule.regex.is_some())
    }

    /// Every keyword that begins in `from..to`: where, and the rules that have it.
    pub(crate) fn keywords<'a>(&'a self, buf: &'a [u8], from: usize, to: usize) -> impl Iterator<Item = (usize, &'a [usize])> + 'a {
        let end = (to + self.keyword_len_max).min(buf.len());
        self.automaton
            .iter()
            .flat_map(move |automaton| automaton.find_overlapping_iter(&buf[from..end]))
            .map(move |hit| (from + hit.start(), self.owners[hit.pattern().as_usize()].as_slice()))
            .filter(move |(at, _)| *at < to)
    }

    /// The rule at this index of the set, if it is one of these.
    pub(crate) fn of(&self, rule: usize) -> Option<&Foreign> {
        self.list.iter().find(|foreign| foreign.rule == rule)
    }
}
