//! Finds: a match is judged and its secret turned into a fingerprint and a preview, here and nowhere else.

use std::ops::Range;

use overdue_core::{Confidence, Fingerprint};

use super::{Text, context};
use crate::config::{Judged, lines_of};
use crate::noise;
use crate::rules::rule::{Needs, Rule, Trigger};
use crate::secret::Secret;
use crate::session::Session;

/// A confirmed match. The confidential bytes are already gone.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) rule: usize,
    pub(crate) rank: u16,
    /// Where the secret stands, from the start of the text (of the outer text, for one found in something decoded).
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Where a report says it stands: at the public id for a pair, else where the secret starts.
    pub(crate) at: u64,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) preview: String,
    pub(crate) public_id: Option<String>,
    pub(crate) confidence: Confidence,
    pub(crate) expires_at_unix: Option<i64>,
    /// Encodings between the outer text and it.
    pub(crate) decoded: String,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
    /// What allowlists and markers say of it.
    pub(crate) judged: Judged,
}

/// A match that a rule vouches for.
pub(crate) struct Match {
    /// Where the secret stands in the text.
    pub(crate) secret: Range<usize>,
    /// Where its public id stands, when a report is to say that place instead.
    pub(crate) id_at: Option<usize>,
    /// The secret, where it is not what stands there: a key without its line breaks.
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) public_id: Option<String>,
    /// What to show of it instead of the rule's prefix.
    pub(crate) label: Option<String>,
    pub(crate) confidence: Option<Confidence>,
    pub(crate) expires_at_unix: Option<i64>,
    /// All that the rule matched, where that is not the value with the name before it.
    pub(crate) whole: Option<Range<usize>>,
}

impl Match {
    /// A match of these bytes and no more.
    pub(crate) fn of(secret: Range<usize>) -> Self {
        Self { secret, id_at: None, bytes: None, public_id: None, label: None, confidence: None, expires_at_unix: None, whole: None }
    }
}

/// Whether the bytes of a match can be a secret of this rule: makeup, entropy, no placeholder.
pub(crate) fn is_plausible(bytes: &[u8], public_prefix: usize, needs: Needs, entropy_min: f32) -> bool {
    let makeup = noise::Makeup::of(bytes);
    let hidden = &bytes[public_prefix.min(bytes.len())..];
    (!needs.digit || makeup.digit > 0)
        && (!needs.lower || makeup.lower > 0)
        && (!needs.upper || makeup.upper > 0)
        && (entropy_min <= 0.0 || noise::entropy(hidden) >= entropy_min)
        && !noise::is_placeholder(hidden)
}

/// Turns a match into a find. The secret lives in this function only.
pub(crate) fn found(session: &Session<'_>, text: Text<'_>, base: u64, index: usize, found: Match) -> Found {
    let rule = session.rules.rule(index);
    let start = base + found.secret.start as u64;
    let end = base + found.secret.end as u64;
    let at = found.id_at.map_or(start, |at| base + at as u64);
    let place = found.secret.clone();
    let secret = match found.bytes {
        Some(bytes) => Secret::from_vec(bytes),
        None => Secret::from_slice(&text.buf[found.secret]),
    };
    let judged = session.allow.map_or_else(Judged::default, |allow| {
        let whole = found.whole.unwrap_or_else(|| context::intro(text.buf, place.start).name.start.min(place.start)..place.end);
        let line = lines_of(text.buf, whole.start, place.start, whole.end);
        allow.judge(index, secret.expose(), &text.buf[whole], &text.buf[line])
    });
    Found {
        rule: index,
        rank: rule.rank,
        start,
        end,
        at,
        fingerprint: session.key.of_secret(&secret),
        preview: found.label.unwrap_or_else(|| preview(rule, &secret)),
        public_id: found.public_id,
        confidence: found.confidence.unwrap_or(rule.confidence),
        expires_at_unix: found.expires_at_unix,
        decoded: String::new(),
        line: None,
        column: None,
        judged,
    }
}

/// The bits that a preview must leave hidden to tell even a length.
const HIDDEN_BITS_MIN: f32 = 64.0;

/// The rule's public prefix and the length; of a short secret, whose length would help to guess it, nothing.
fn preview(rule: &Rule, secret: &Secret) -> String {
    let bytes = secret.expose();
    let prefix = public_prefix(rule, bytes);
    let hidden = &bytes[prefix.len()..];
    let makeup = noise::Makeup::of(hidden);
    let alphabet = [(makeup.lower, 26.0), (makeup.upper, 26.0), (makeup.digit, 10.0), (makeup.symbol, 10.0)];
    let letters: f32 = alphabet.iter().filter(|(count, _)| *count > 0).map(|(_, size)| size).sum::<f32>();
    if hidden.len() as f32 * letters.max(2.0).log2() < HIDDEN_BITS_MIN {
        return "… (short)".to_owned();
    }
    if rule.id_only {
        // A public id is no secret: it is what a person looks for.
        return String::from_utf8_lossy(bytes).into_owned();
    }
    format!("{prefix}… ({} chars)", bytes.len())
}

/// How much of the bytes the rule calls public: what it says, or else the literal it was triggered by.
pub(crate) fn public_prefix<'r>(rule: &'r Rule, bytes: &[u8]) -> &'r str {
    let literals = if rule.trigger == Trigger::Prefix { rule.literals.as_slice() } else { &[] };
    rule.public_prefix
        .iter()
        .chain(literals)
        .filter(|prefix| bytes.starts_with(prefix.as_bytes()))
        .map(String::as_str)
        .max_by_key(|prefix| prefix.len())
        .unwrap_or("")
}
