//! The prefilter: where in a text a rule is to be looked at, in one pass over it.
//!
//! Promise: every place where the literal of a rule stands is given to that rule, unless the rule could not match there;
//! how many rules there are hardly matters for the pass. It looks in two ways, block by block:
//!
//! - **At the starts of long tokens.** A rule whose matches begin with at least [`LONG`] characters of the kind that tokens
//!   consist of is looked at only where so many stand, and only where a token may begin. There are few such places, so three
//!   bytes are enough to tell: `MTA` may be a literal.
//! - **At pieces of up to four bytes**, in any case, for all other literals: words like `password` and `datadog`, and what
//!   stands inside a match. Of each literal the rarest piece is known. [`Shapes`] say of 64 places at once where one may
//!   begin, and a table says of the few that are left whether one does.
//!
//! What is found there is compared in full, and given on as a [`Hit`]. An automaton over all literals, which this replaced at
//! a small part of its cost, is kept in the tests and must not find more.

use super::blocks::{self, BLOCK, Looker, Pass, Window};
use super::shapes::{PIECE, Shapes};
use crate::rules::rule::{Matcher, Rule, Trigger};

/// The least number of token bytes with which a match begins that is looked for at the starts of long tokens.
const LONG: usize = 15;
/// Literals that are known by one piece: each is compared wherever the piece stands, and `key` stands everywhere.
const SHARED_MAX: usize = 4;
/// Spreads pieces over the tables; an odd number without a pattern.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
/// A letter in any case becomes the small one. Some signs become others, which the full comparison sorts out.
const FOLD: u32 = 0x2020_2020;

/// Literals of all rules, and whose each is.
pub(crate) struct Prefilter {
    literals: Vec<Literal>,
    /// What the pieces look like.
    shapes: Shapes,
    /// The pieces of literals, in any case.
    pieces: Pieces<2048>,
    /// First bytes of literals with which long tokens begin, as written.
    heads: Pieces<256>,
    /// Literals too short for pieces. No built-in rule has one.
    short: Vec<usize>,
    /// Bytes of the longest literal.
    longest: usize,
}

struct Literal {
    /// As written, or in lower case when any case will do.
    text: Vec<u8>,
    /// Looked for at the starts of long tokens alone.
    at_starts: bool,
    owners: Vec<Owner>,
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
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut literals: Vec<Literal> = Vec::new();
        let mut index = std::collections::HashMap::new();
        for (rule, facts) in rules.iter().enumerate() {
            for literal in &facts.literals {
                let at_starts = begins_a_long_token(facts, literal);
                let text = if at_starts { literal.clone() } else { literal.to_ascii_lowercase() };
                let at = *index.entry((at_starts, text.clone())).or_insert_with(|| {
                    literals.push(Literal { text: text.into_bytes(), at_starts, owners: Vec::new() });
                    literals.len() - 1
                });
                let exact = (facts.trigger != Trigger::Near).then(|| literal.as_bytes().to_vec());
                literals[at].owners.push(Owner { rule, exact });
            }
        }
        let (mut heads, mut pieces) = (Pieces::new(), Pieces::new());
        let mut short = Vec::new();
        // Pieces, and how many literals are known by each.
        let mut rarest: Vec<(&[u8], usize)> = Vec::new();
        let mut number_of: std::collections::HashMap<&[u8], usize> = std::collections::HashMap::new();
        // The short ones first: their pieces stand in many of the longer ones, of which some then need none of their own.
        let mut order: Vec<usize> = (0..literals.len()).collect();
        order.sort_by_key(|&at| (literals[at].text.len(), at));
        for at in order {
            let text = literals[at].text.as_slice();
            if literals[at].at_starts {
                heads.add(head_of(text), at, 0);
            } else if text.len() < 3 {
                short.push(at);
            } else {
                let parts = [3, PIECE].into_iter().flat_map(|length| text.windows(length).enumerate());
                let known = parts
                    .filter_map(|(offset, part)| Some((*number_of.get(part)?, offset)))
                    .filter(|&(number, _)| rarest[number].1 < SHARED_MAX)
                    .min();
                let (piece, offset) = match known {
                    Some((number, offset)) => {
                        rarest[number].1 += 1;
                        (rarest[number].0, offset)
                    }
                    None => {
                        let (piece, offset) = rarest_piece(text);
                        number_of.insert(piece, rarest.len());
                        rarest.push((piece, 1));
                        (piece, offset)
                    }
                };
                for key in keys_of(piece) {
                    pieces.add(key, at, offset as u8);
                }
            }
        }
        heads.settle();
        pieces.settle();
        let shapes = Shapes::new(&rarest.iter().map(|(piece, _)| *piece).collect::<Vec<_>>());
        let longest = literals.iter().map(|literal| literal.text.len()).max().unwrap_or(0);
        Self { shapes, pieces, heads, short, longest, literals }
    }

    /// Hands every hit that begins in `from..to` to `look`, in about the order of the text.
    pub(crate) fn each_hit(&self, buf: &[u8], from: usize, to: usize, look: &mut dyn FnMut(Hit)) {
        blocks::pass(Search { prefilter: self, buf, from, to, look });
        let end = (to + 2).min(buf.len());
        for &literal in &self.short {
            for start in from..to.min(end.saturating_sub(1)) {
                if buf[start..end].get(..2).is_some_and(|there| there.eq_ignore_ascii_case(&self.literals[literal].text)) {
                    look(Hit { literal, start, end: start + 2 });
                }
            }
        }
    }

    pub(crate) fn owners(&self, hit: Hit) -> &[Owner] {
        &self.literals[hit.literal].owners
    }
}

/// One search of one stretch of text.
struct Search<'a> {
    prefilter: &'a Prefilter,
    buf: &'a [u8],
    from: usize,
    to: usize,
    look: &'a mut dyn FnMut(Hit),
}

/// What is known of a block when the next one is looked at.
struct Before {
    at: usize,
    /// Token bytes.
    token: u64,
    /// Where a token may begin.
    begins: u64,
}

impl Pass for Search<'_> {
    type Outcome = ();

    #[inline(always)]
    fn over(mut self, look: impl Looker) {
        let buf = self.buf;
        let end = (self.to + self.prefilter.longest).min(buf.len());
        let mut spare: Window = [0; size_of::<Window>()];
        let mut word_before = u64::from(self.from > 0 && super::boundary::is_word(buf[self.from - 1]));
        // What an escape that ends in the next block leaves behind for it.
        let mut escaped = marks_before(buf, self.from);
        let mut before = Before { at: 0, token: 0, begins: 0 };
        let mut at = self.from;
        // One block more than there is: a long token is known when the block after its start is.
        while at < end + BLOCK {
            let window = window_at(buf, at, &mut spare);
            let masks = look.masks(window.first_chunk().unwrap_or(&[0; BLOCK]));
            let starts = before.begins & long_runs(before.token, masks.token);
            if starts != 0 {
                self.at_starts(before.at, starts);
            }
            let (here, later) = after_escapes(masks.mark);
            let begins = masks.word & !(masks.word << 1 | word_before) | here | escaped;
            before = Before { at, token: masks.token, begins };
            (word_before, escaped) = (masks.word >> (BLOCK - 1), later);
            let mut places = look.pieces(window, &self.prefilter.shapes);
            while places != 0 {
                let place = places.trailing_zeros() as usize;
                places &= places - 1;
                let key = key_at(window, place);
                if self.prefilter.pieces.bit(key) & 1 != 0 {
                    self.at_piece(at + place, key);
                }
            }
            at += BLOCK;
        }
    }
}

impl Search<'_> {
    fn give(&mut self, literal: usize, start: usize) {
        if start >= self.from && start < self.to {
            let end = start + self.prefilter.literals[literal].text.len();
            (self.look)(Hit { literal, start, end });
        }
    }

    /// Compares the literals that have a piece like that at `at`.
    #[cold]
    #[inline(never)]
    fn at_piece(&mut self, at: usize, key: u32) {
        let Self { prefilter, buf, .. } = *self;
        for entry in prefilter.pieces.entries(key) {
            let Some(start) = at.checked_sub(usize::from(entry.offset)) else { continue };
            let text = &prefilter.literals[entry.literal as usize].text;
            if buf.get(start..start + text.len()).is_some_and(|there| there.eq_ignore_ascii_case(text)) {
                self.give(entry.literal as usize, start);
            }
        }
    }

    /// Compares the literals with which the long tokens begin that begin at `starts`, bits of the block at `at`.
    #[inline]
    fn at_starts(&mut self, at: usize, mut starts: u64) {
        let Self { prefilter, buf, .. } = *self;
        while starts != 0 {
            let start = at + starts.trailing_zeros() as usize;
            starts &= starts - 1;
            let head = head_of(&buf[start..]);
            if prefilter.heads.bit(head) & 1 != 0 {
                for entry in prefilter.heads.entries(head) {
                    if buf[start..].starts_with(&prefilter.literals[entry.literal as usize].text) {
                        self.give(entry.literal as usize, start);
                    }
                }
            }
        }
    }
}

/// The block at `at` and what follows, with zeros for what lies behind the end.
#[inline(always)]
fn window_at<'a>(buf: &'a [u8], at: usize, spare: &'a mut Window) -> &'a Window {
    match buf.get(at..).and_then(<[u8]>::first_chunk) {
        Some(window) => window,
        None => {
            let rest = buf.get(at..).unwrap_or_default();
            spare.fill(0);
            spare[..rest.len()].copy_from_slice(rest);
            spare
        }
    }
}

/// Whether the rule can only match where a token begins that is long.
fn begins_a_long_token(rule: &Rule, literal: &str) -> bool {
    if rule.trigger != Trigger::Prefix || literal.len() < 3 || !super::boundary::is_word(literal.as_bytes()[0]) {
        return false;
    }
    match &rule.matcher {
        Matcher::Pattern(pattern) => pattern.token_lead >= LONG,
        // `{"alg":""}` and `{}` are 18 characters with the dot.
        Matcher::Jwt => true,
        _ => false,
    }
}

/// Which bits of `token` have [`LONG`] ones from there on, those of the next block included.
#[inline(always)]
fn long_runs(token: u64, next: u64) -> u64 {
    const { assert!(LONG >= 8 && LONG <= 16) };
    let mut runs = u128::from(token) | u128::from(next) << BLOCK;
    runs &= runs >> 1;
    runs &= runs >> 2;
    runs &= runs >> 4;
    (runs & runs >> (LONG - 8)) as u64
}

/// Where a token may begin after an escape that begins at one of the marks: `\n` has two characters, `%41` three, `\x41` four
/// and `\u0041` six. In this block, and in the next one.
#[inline(always)]
fn after_escapes(marks: u64) -> (u64, u64) {
    let here = marks << 2 | marks << 3 | marks << 4 | marks << 6;
    let later = marks >> 62 | marks >> 61 | marks >> 60 | marks >> 58;
    (here, later)
}

/// The same for the marks right before `at`.
fn marks_before(buf: &[u8], at: usize) -> u64 {
    let before = &buf[at.saturating_sub(6)..at];
    let marks = before.iter().rev().enumerate().filter(|(_, byte)| matches!(byte, b'\\' | b'%'));
    after_escapes(marks.fold(0, |marks, (back, _)| marks | 1 << (BLOCK - 1 - back))).1
}

/// The first three of the bytes.
#[inline(always)]
fn head_of(text: &[u8]) -> u32 {
    match *text {
        [a, b, c, ..] => u32::from_le_bytes([a, b, c, 0]),
        _ => 0,
    }
}

#[inline(always)]
fn key_at(window: &Window, place: usize) -> u32 {
    u32::from_le_bytes([window[place], window[place + 1], window[place + 2], window[place + 3]]) | FOLD
}

/// What a piece may look like: one of three bytes is followed by anything.
fn keys_of(piece: &[u8]) -> Vec<u32> {
    match *piece {
        [a, b, c, d, ..] => vec![u32::from_le_bytes([a, b, c, d]) | FOLD],
        [a, b, c] => (0..=u8::MAX).filter(|any| any & 0x20 != 0).map(|any| u32::from_le_bytes([a, b, c, any]) | FOLD).collect(),
        _ => Vec::new(),
    }
}

/// The piece by which a literal is known, and where in it that begins.
fn rarest_piece(text: &[u8]) -> (&[u8], usize) {
    let pieces = text.windows(PIECE.min(text.len())).enumerate();
    pieces.max_by_key(|(at, piece)| (rarity(piece), std::cmp::Reverse(*at))).map_or((text, 0), |(at, piece)| (piece, at))
}

/// How rare a piece is in text and code.
fn rarity(piece: &[u8]) -> u32 {
    const FREQUENT: [&str; 40] = [
        "access",
        "account",
        "algorithm",
        "api",
        "api.",
        "app",
        "assert",
        "async",
        "aws_s",
        "class",
        "client",
        "cloud",
        "code",
        "commerce",
        "crypt",
        "default",
        "encryption",
        "entry",
        "https://",
        "initial",
        "key",
        "last",
        "line ",
        "machine",
        "macro",
        "manage",
        "master",
        "node",
        "password",
        "private",
        "push",
        "registry",
        "server",
        "service",
        "signal",
        "sign",
        "storage",
        "string",
        "token",
        "user",
    ];
    let surprise = |pair: &[u8]| match crate::noise::pair_surprise(pair[0], pair[1]) {
        Some(bits) => bits,
        // The same sign twice is a line drawn across.
        None if pair[0] == pair[1] => 0,
        None => 4,
    };
    let piece = piece.to_ascii_lowercase();
    let sum = piece.windows(2).map(surprise).sum::<u32>();
    if FREQUENT.iter().any(|word| memchr::memmem::find(word.as_bytes(), &piece).is_some()) { sum / 3 } else { sum }
}

/// A set of pieces and what each is a piece of. Almost every question is answered by two bits of one word.
struct Pieces<const WORDS: usize> {
    bits: Box<[u64; WORDS]>,
    /// Those of one list stand together.
    entries: Vec<(u32, Entry)>,
    /// Where the entries of each list begin.
    begins: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    literal: u32,
    /// Where in the literal the piece begins.
    offset: u8,
}

/// How many lists the entries are parted in.
const LISTS: usize = 1 << 12;

impl<const WORDS: usize> Pieces<WORDS> {
    fn new() -> Self {
        const { assert!(WORDS.is_power_of_two()) };
        Self { bits: Box::new([0; WORDS]), entries: Vec::new(), begins: Vec::new() }
    }

    fn add(&mut self, piece: u32, literal: usize, offset: u8) {
        let (word, [one, other]) = Self::place(piece);
        self.bits[word] |= 1 << (one & 63) | 1 << (other & 63);
        self.entries.push((piece, Entry { literal: literal as u32, offset }));
    }

    /// Makes the entries ready to be asked for.
    fn settle(&mut self) {
        self.entries.sort_unstable_by_key(|&(piece, entry)| (Self::list(piece), piece, entry));
        self.begins = vec![0; LISTS + 1];
        for &(piece, _) in &self.entries {
            self.begins[Self::list(piece) + 1] += 1;
        }
        for at in 1..self.begins.len() {
            self.begins[at] += self.begins[at - 1];
        }
    }

    /// The word and the two bits in it that stand for a piece.
    #[inline(always)]
    fn place(piece: u32) -> (usize, [u64; 2]) {
        let spread = u64::from(piece).wrapping_mul(SPREAD);
        let word = (spread >> (64 - WORDS.ilog2())) as usize;
        (word, [spread >> 47, spread >> 41])
    }

    fn list(piece: u32) -> usize {
        (u64::from(piece).wrapping_mul(SPREAD) >> (64 - LISTS.ilog2())) as usize
    }

    /// The lowest bit says whether the piece may be known; the others mean nothing.
    #[inline(always)]
    fn bit(&self, piece: u32) -> u64 {
        let (word, [one, other]) = Self::place(piece);
        let word = self.bits[word];
        word >> (one & 63) & word >> (other & 63)
    }

    fn entries(&self, piece: u32) -> impl Iterator<Item = Entry> + '_ {
        let list = Self::list(piece);
        let all = &self.entries[self.begins[list] as usize..self.begins[list + 1] as usize];
        all.iter().filter(move |entry| entry.0 == piece).map(|entry| entry.1)
    }
}

#[cfg(test)]
mod tests {
    use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

    use super::*;
    use crate::engine::confirm::ask;
    use crate::engine::resolve::resolve;
    use crate::engine::{Found, Syntax, Text};
    use crate::rules::RuleSet;
    use crate::rules::generator::{Random, expand};
    use crate::session::Session;

    /// The automaton over all literals that stood here before: every place of every literal, in any case.
    struct Reference {
        automaton: AhoCorasick,
        owners: Vec<Owner>,
    }

    impl Reference {
        fn new(rules: &[Rule]) -> Self {
            let mut literals = Vec::new();
            let mut owners = Vec::new();
            for (rule, facts) in rules.iter().enumerate() {
                for literal in &facts.literals {
                    literals.push(literal.to_ascii_lowercase());
                    owners.push(Owner { rule, exact: (facts.trigger != Trigger::Near).then(|| literal.as_bytes().to_vec()) });
                }
            }
            let automaton = AhoCorasick::builder()
                .kind(Some(AhoCorasickKind::DFA))
                .match_kind(MatchKind::Standard)
                .ascii_case_insensitive(true)
                .build(&literals)
                .expect("an automaton");
            Self { automaton, owners }
        }
    }

    /// Compares what is found by way of the prefilter with what the automaton leads to. Gives back how many finds there are.
    fn compare(rules: &RuleSet, reference: &Reference, bytes: &[u8], about: &str) -> usize {
        let key = crate::FingerprintKey::from_bytes([0; 32]);
        let limits = crate::Limits::default();
        let session = Session::new(rules, &key, &limits);
        let mut total = 0;
        for syntax in [Syntax::Code, Syntax::Config] {
            let text = Text { buf: bytes, binary: false, syntax };
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            for hit in reference.automaton.find_overlapping_iter(bytes) {
                let at = Hit { literal: 0, start: hit.start(), end: hit.end() };
                ask(&session, text, 0, at, &reference.owners[hit.pattern().as_usize()], &mut expected);
            }
            rules.prefilter.each_hit(bytes, 0, bytes.len(), &mut |hit| {
                crate::engine::confirm::confirm(&session, text, 0, hit, &mut found);
            });
            let facts = |finds: Vec<Found>| -> Vec<String> {
                let resolved = resolve(finds).into_iter();
                resolved.map(|one| format!("{} {}..{} {} {:?}", one.rule, one.start, one.end, one.fingerprint, one.public_id)).collect()
            };
            let (expected, found) = (facts(expected), facts(found));
            assert_eq!(found, expected, "{about}: {}", String::from_utf8_lossy(bytes));
            total += found.len();
        }
        total
    }

    /// What may stand before a token.
    const BEFORE: [&str; 16] = ["", "\n", " ", "\"", "'", "=", ": ", "\\n", "\\\\n", "%3D", "\\u003d", "\\x3d", "/", "-", "x", "(\t"];

    #[test]
    fn every_example_is_found_wherever_it_stands() {
        let rules = RuleSet::builtin().expect("the built-in rules");
        let reference = Reference::new(&rules.rules);
        let mut random = Random::new("places", 1);
        let mut total = 0;
        for rule in &rules.rules {
            for template in rule.matches.iter().chain(&rule.ignores) {
                for shift in 0..64 {
                    let example = expand(template, &mut random).expect("an example");
                    let mut text = vec![b'.'; shift];
                    text.extend_from_slice(BEFORE[random.below(BEFORE.len())].as_bytes());
                    text.extend_from_slice(example.as_bytes());
                    if shift % 2 == 0 {
                        text.extend_from_slice(b"\" and so on, to the end of the line\n");
                    }
                    total += compare(&rules, &reference, &text, rule.id.as_str());
                }
            }
        }
        assert!(total > 10_000, "{total}");
    }

    /// Words and signs at random: pieces of literals, whole ones, tokens, quotes, escapes.
    fn soup(random: &mut Random, rules: &[Rule], length: usize) -> Vec<u8> {
        const SIGNS: &[u8] = b"=:\"' \n\\%-_./+,;(){}[]<>@&\t\0\xff";
        let mut text = Vec::new();
        while text.len() < length {
            let rule = &rules[random.below(rules.len())];
            match random.below(8) {
                0 | 1 if !rule.literals.is_empty() => {
                    let literal = &rule.literals[random.below(rule.literals.len())];
                    match random.below(4) {
                        0 => text.extend(literal.to_ascii_uppercase().bytes()),
                        1 => text.extend(literal.bytes().take(1 + random.below(literal.len()))),
                        _ => text.extend(literal.bytes()),
                    }
                }
                2 => {
                    let template = &rule.matches[random.below(rule.matches.len())];
                    text.extend(expand(template, random).expect("an example").bytes());
                }
                3 => text.extend((0..random.below(50)).map(|_| crate::rules::checksum::BASE62[random.below(62)])),
                4 => text.extend(BEFORE[random.below(BEFORE.len())].bytes()),
                5 => text.extend((0..random.below(20)).map(|_| random.below(256) as u8)),
                _ => text.extend((0..1 + random.below(3)).map(|_| SIGNS[random.below(SIGNS.len())])),
            }
        }
        text
    }

    #[test]
    fn soup_gives_the_same_finds() {
        let rules = RuleSet::builtin().expect("the built-in rules");
        let reference = Reference::new(&rules.rules);
        let mut random = Random::new("soup", 1);
        let mut total = 0;
        for round in 0..3000 {
            let text = soup(&mut random, &rules.rules, 1 + round);
            total += compare(&rules, &reference, &text, "soup");
        }
        assert!(total > 10_000, "{total}");
    }

    #[test]
    fn a_text_in_parts_has_the_same_hits() {
        let rules = RuleSet::builtin().expect("the built-in rules");
        let mut random = Random::new("parts", 1);
        for _ in 0..300 {
            let text = soup(&mut random, &rules.rules, 600);
            let hits = |from: usize, to: usize| {
                let mut hits = Vec::new();
                rules.prefilter.each_hit(&text, from, to, &mut |hit| hits.push((hit.start, hit.end, hit.literal)));
                hits.sort_unstable();
                let all = hits.len();
                hits.dedup();
                assert_eq!(hits.len(), all, "none twice");
                hits
            };
            let whole = hits(0, text.len());
            let mut anywhere = Vec::new();
            let look = &mut |hit: Hit| anywhere.push((hit.start, hit.end, hit.literal));
            Search { prefilter: &rules.prefilter, buf: &text, from: 0, to: text.len(), look }.over(blocks::Anywhere);
            anywhere.sort_unstable();
            assert_eq!(anywhere, whole, "on a processor that can do less");
            for _ in 0..40 {
                let cut = random.below(text.len() + 1);
                let parts = [hits(0, cut), hits(cut, text.len())].concat();
                assert_eq!(parts, whole, "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_literal_of_any_length_is_found_at_any_place() {
        let rule = |literals: &str, kind: &str| {
            format!(
                "[[rule]]\nid = \"a.{kind}\"\ntitle = \"t\"\nservice = \"s\"\n{kind} = {literals}\npattern = '[A-Za-z0-9]{{4,9}}'\n\
                 revoke = []\nreference = \"\"\nmatches = []\nignores = []\n"
            )
        };
        let literals = r#"["ab", "abc", "q-x", "abcd", "_key", "abcde", "abcdef", "secret_access_key"]"#;
        let text = [rule(literals, "infixes"), rule(literals, "keywords")].concat();
        let rules = RuleSet::parse(&[("x.toml", &text)]).expect("rules");
        for short in ["", "a", "b"] {
            rules.prefilter.each_hit(short.as_bytes(), 0, short.len(), &mut |hit| panic!("{hit:?}"));
        }
        for literal in ["ab", "abc", "q-x", "abcd", "_key", "abcde", "abcdef", "secret_access_key"] {
            for shift in 0..140 {
                for (shape, after) in [(literal.to_owned(), 0), (literal.to_ascii_uppercase(), 70), (literal.to_owned(), 3)] {
                    let mut text = vec![b' '; shift];
                    text.extend_from_slice(shape.as_bytes());
                    text.resize(text.len() + after, b'\n');
                    let mut found = false;
                    rules
                        .prefilter
                        .each_hit(&text, 0, text.len(), &mut |hit| found |= hit.start == shift && hit.end == shift + literal.len());
                    assert!(found, "{literal} at {shift}");
                }
            }
        }
    }
}
