//! Pairs: a public id and the secret that belongs to it.
//!
//! In a file with many ids and many secrets each id takes the secret that is nearest to it and nearer to no other id. A
//! new section, a blank line or a closing brace between the two makes them strangers.

use super::Text;
use super::boundary::is_word;
use super::context;
use super::found::{Found, Match, found, is_plausible};
use crate::rules::pattern::PatternMatch;
use crate::rules::rule::{Matcher, Pair, Rule};
use crate::session::Session;

/// What a border between an id and a secret costs, in bytes of distance.
const BORDER: usize = 600;
/// What a secret before its id costs: almost everybody writes the id first, so that in a list of pairs a secret belongs to
/// the id before it, even when the next one stands a few bytes nearer.
const REVERSED: usize = 64;

/// Looks for the secret of the id that `matched`. Without one, the pair's fallback rule reports the id.
pub(crate) fn find(
    session: &Session<'_>,
    text: Text<'_>,
    base: u64,
    (index, rule): (usize, &Rule),
    matched: &PatternMatch,
    finds: &mut Vec<Found>,
) -> bool {
    let Some(pair) = &rule.pair else { return false };
    let id_place = matched.id.clone().unwrap_or_else(|| matched.secret.clone());
    let id = &text.buf[id_place.clone()];
    let start = id_place.start.saturating_sub(pair.before);
    let end = (id_place.end + pair.after).min(text.buf.len());
    session.budget.spend_work(end - start, session.limits);
    let ids = ids_in(text.buf, start, end, rule);
    let mut best: Option<(usize, std::ops::Range<usize>)> = None;
    for secret in secrets_in(text.buf, start, end, pair) {
        let cost = |id: &std::ops::Range<usize>| distance(text.buf, id, &secret);
        let mine = cost(&id_place);
        let stolen = ids.iter().any(|other| text.buf[other.clone()] != *id && cost(other) < mine);
        if !stolen && best.as_ref().is_none_or(|(cost, _)| mine < *cost) {
            best = Some((mine, secret));
        }
    }
    let public_id = Some(String::from_utf8_lossy(id).into_owned());
    let id_at = id_place.start;
    let (index, secret) = match (best, pair.alone) {
        (Some((_, secret)), _) => (index, secret),
        (None, Some(alone)) => (alone, id_place),
        (None, None) => return false,
    };
    let start = base + secret.start as u64;
    if !finds.iter().rev().take(64).any(|known| known.rule == index && known.start == start && known.public_id == public_id) {
        finds.push(found(session, text, base, index, Match { public_id, id_at: Some(id_at), ..Match::of(secret) }));
    }
    true
}

fn ids_in(buf: &[u8], start: usize, end: usize, rule: &Rule) -> Vec<std::ops::Range<usize>> {
    let Matcher::Pattern(pattern) = &rule.matcher else { return Vec::new() };
    let mut ids = Vec::new();
    for literal in &rule.literals {
        for at in memchr::memmem::find_iter(&buf[start..end], literal.as_bytes()) {
            let at = start + at;
            if let Some(matched) = pattern.find_at(&buf[at..(at + pattern.len_max).min(buf.len())], 0)
                && matched.whole.start == 0
            {
                let id = matched.id.unwrap_or(matched.secret);
                ids.push(at + id.start..at + id.end);
            }
        }
    }
    ids
}

fn secrets_in(buf: &[u8], start: usize, end: usize, pair: &Pair) -> Vec<std::ops::Range<usize>> {
    let joins = |byte: u8| is_word(byte) || matches!(byte, b'+' | b'/' | b'-');
    let window = &buf[start..end];
    let mut secrets = Vec::new();
    let mut from = 0;
    while let Some(matched) = pair.secret.find_at(window, from) {
        let secret = start + matched.secret.start..start + matched.secret.end;
        from = matched.secret.end.max(matched.secret.start + 1);
        let left = secret.start == 0
            || !joins(buf[secret.start - 1])
            || super::boundary::begins(buf, secret.start) && buf[secret.start - 1] == b'n';
        let right = buf.get(secret.end).is_none_or(|&byte| !joins(byte) && byte != b'=');
        if !left || !right {
            // A match in the middle of a longer run hides what comes later in it only up to the run's end.
            while from < window.len() && joins(window[from]) {
                from += 1;
            }
            continue;
        }
        if !is_plausible(&buf[secret.clone()], 0, pair.needs, pair.entropy_min) {
            continue;
        }
        if !pair.names.is_empty() {
            let intro = context::intro(buf, secret.start);
            let partner = context::partner(buf, &intro, secret.start).unwrap_or(0..0);
            let holds = |name: &[u8]| pair.names.iter().any(|word| crate::noise::contains_ignoring_case(name, word.as_bytes()));
            if !holds(&buf[intro.name]) && !holds(&buf[partner]) {
                continue;
            }
        }
        secrets.push(secret);
    }
    secrets
}

fn distance(buf: &[u8], id: &std::ops::Range<usize>, secret: &std::ops::Range<usize>) -> usize {
    let between = if secret.start >= id.end {
        &buf[id.end..secret.start]
    } else if secret.end <= id.start {
        &buf[secret.end..id.start]
    } else {
        return 0;
    };
    let blank = memchr::memmem::find(between, b"\n\n").is_some() || memchr::memmem::find(between, b"\r\n\r\n").is_some();
    let section = between.contains(&b'}') || memchr::memmem::find(between, b"\n[").is_some();
    let reversed = secret.end <= id.start;
    between.len() + REVERSED * usize::from(reversed) + BORDER * (usize::from(blank) + usize::from(section))
}
