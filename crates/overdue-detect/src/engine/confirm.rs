//! Confirmation: a rule looks closely at the place where one of its literals stands.

use overdue_core::Confidence;

use super::found::{Found, Match, found, is_plausible, public_prefix};
use super::prefilter::{Hit, Owner};
use super::{Text, assignment, boundary, context, jwt, pair, pem, service_account, url};
use crate::rules::pattern::{Pattern, PatternMatch};
use crate::rules::rule::{Matcher, Rule, Trigger};
use crate::session::Session;

/// How often an infix rule may try again in its window: matches that begin too early and miss the literal.
const INFIX_TRIES_MAX: usize = 16;

/// Asks every rule that owns the literal at `hit`, and adds what they find.
pub(crate) fn confirm(session: &Session<'_>, text: Text<'_>, base: u64, hit: Hit, finds: &mut Vec<Found>) {
    for owner in session.rules.prefilter.owners(hit) {
        ask(session, text, base, hit, owner, finds);
    }
}

/// Asks one rule.
pub(super) fn ask(session: &Session<'_>, text: Text<'_>, base: u64, hit: Hit, owner: &Owner, finds: &mut Vec<Found>) {
    if owner.exact.as_ref().is_some_and(|exact| text.buf[hit.start..hit.end] != exact[..]) {
        return;
    }
    let rule = session.rules.rule(owner.rule);
    if rule.text_only && text.binary {
        return;
    }
    match &rule.matcher {
        Matcher::Pattern(pattern) => match rule.trigger {
            Trigger::Prefix => prefix(session, text, base, hit, (owner.rule, rule), pattern, finds),
            Trigger::Infix => infix(session, text, base, hit, (owner.rule, rule), pattern, finds),
            Trigger::Near => near(session, text, base, hit, (owner.rule, rule), pattern, finds),
            Trigger::Fallback => {}
        },
        Matcher::Pem => finish(session, text, base, owner.rule, pem::find(text.buf, hit.start), finds),
        Matcher::Jwt => finish(session, text, base, owner.rule, jwt::find(text.buf, hit.start), finds),
        Matcher::Url { database } => finish(session, text, base, owner.rule, url::find(text.buf, hit.start, *database), finds),
        Matcher::ServiceAccount => finish(session, text, base, owner.rule, service_account::find(text.buf, hit.end), finds),
        Matcher::Assignment => {
            session.budget.spend_work(assignment::REACH, session.limits);
            let one = assignment::find(text, hit).filter(|one| !session.rules.is_checked_form(&text.buf[one.secret.clone()]));
            finish(session, text, base, owner.rule, one, finds);
        }
        Matcher::None => {}
    }
}

fn finish(session: &Session<'_>, text: Text<'_>, base: u64, index: usize, one: Option<Match>, finds: &mut Vec<Found>) {
    if let Some(one) = one
        && !is_known(base, index, &one, finds)
    {
        session.budget.spend_work(one.secret.len(), session.limits);
        finds.push(found(session, text, base, index, one));
    }
}

/// Whether the same match was just found by way of another literal or another hit.
fn is_known(base: u64, index: usize, one: &Match, finds: &[Found]) -> bool {
    let start = base + one.secret.start as u64;
    finds.iter().rev().take(16).any(|known| known.rule == index && known.start == start)
}

fn prefix(
    session: &Session<'_>,
    text: Text<'_>,
    base: u64,
    hit: Hit,
    (index, rule): (usize, &Rule),
    pattern: &Pattern,
    finds: &mut Vec<Found>,
) {
    if !boundary::begins(text.buf, hit.start) {
        return;
    }
    let end = (hit.start + pattern.len_max + 1).min(text.buf.len());
    session.budget.spend_work(end - hit.start, session.limits);
    let Some(matched) = pattern.find_at(&text.buf[hit.start..end], 0) else { return };
    accept(session, text, base, (index, rule), &shifted(matched, hit.start), finds);
}

fn infix(
    session: &Session<'_>,
    text: Text<'_>,
    base: u64,
    hit: Hit,
    (index, rule): (usize, &Rule),
    pattern: &Pattern,
    finds: &mut Vec<Found>,
) {
    let start = hit.end.saturating_sub(pattern.len_max);
    let end = (hit.start + pattern.len_max + 1).min(text.buf.len());
    session.budget.spend_work(end - start, session.limits);
    let window = &text.buf[start..end];
    let mut from = 0;
    for _ in 0..INFIX_TRIES_MAX {
        let Some(matched) = pattern.find_at(window, from) else { return };
        from = matched.whole.start + 1;
        let matched = shifted(matched, start);
        if matched.whole.start > hit.start {
            return;
        }
        if matched.whole.end >= hit.end
            && boundary::begins(text.buf, matched.whole.start)
            && accept(session, text, base, (index, rule), &matched, finds)
        {
            return;
        }
    }
}

fn near(
    session: &Session<'_>,
    text: Text<'_>,
    base: u64,
    hit: Hit,
    (index, rule): (usize, &Rule),
    pattern: &Pattern,
    finds: &mut Vec<Found>,
) {
    let start = hit.start.saturating_sub(rule.before);
    let last = hit.end + rule.after;
    let end = (last + pattern.len_max + 1).min(text.buf.len());
    let start = if rule.before == 0 { hit.end } else { start };
    session.budget.spend_work(end - start, session.limits);
    let window = &text.buf[start..end];
    let fits = |at| rule.any_name || context::fits(text.buf, at, &rule.names, &rule.literals);
    let mut from = 0;
    while let Some(matched) = pattern.find_at(window, from) {
        from = matched.whole.end.max(matched.whole.start + 1);
        let matched = shifted(matched, start);
        if matched.whole.start > last {
            break;
        }
        let clear_of_keyword = matched.secret.end <= hit.start || matched.secret.start >= hit.end;
        if clear_of_keyword
            && boundary::begins(text.buf, matched.whole.start)
            && fits(matched.whole.start)
            && accept(session, text, base, (index, rule), &matched, finds)
            && rule.before == 0
        {
            return;
        }
    }
    // `value: …` with `name: DD_API_KEY` below it: the only place before a keyword where everybody's secret may stand.
    if rule.before == 0
        && let Some(value) = assignment::value_before(text, hit)
        && let Some(matched) = pattern.find_at(&text.buf[value.start..(value.end + 1).min(text.buf.len())], 0)
        && matched.whole.start == 0
        && fits(value.start)
    {
        accept(session, text, base, (index, rule), &shifted(matched, value.start), finds);
    }
}

fn shifted(matched: PatternMatch, by: usize) -> PatternMatch {
    let shift = |range: std::ops::Range<usize>| range.start + by..range.end + by;
    PatternMatch { whole: shift(matched.whole), secret: shift(matched.secret), id: matched.id.map(shift) }
}

/// Judges a match of a rule's pattern; true when it was kept.
fn accept(
    session: &Session<'_>,
    text: Text<'_>,
    base: u64,
    (index, rule): (usize, &Rule),
    matched: &PatternMatch,
    finds: &mut Vec<Found>,
) -> bool {
    if !boundary::ends(text.buf, matched.whole.end) {
        return false;
    }
    let bytes = &text.buf[matched.secret.clone()];
    if !is_plausible(bytes, public_prefix(rule, bytes).len(), rule.needs, rule.entropy_min) {
        return false;
    }
    let mut confidence = None;
    if let Some(checksum) = rule.checksum
        && !checksum.holds(&text.buf[matched.whole.clone()])
    {
        if !rule.checksum_lenient {
            return false;
        }
        confidence = Some(Confidence::Likely);
    }
    let public_id = matched.id.as_ref().map(|id| String::from_utf8_lossy(&text.buf[id.clone()]).into_owned());
    if rule.pair.is_some() {
        return pair::find(session, text, base, (index, rule), matched, finds);
    }
    let one = Match {
        public_id: if rule.id_only { Some(String::from_utf8_lossy(bytes).into_owned()) } else { public_id },
        confidence,
        ..Match::of(matched.secret.clone())
    };
    if !is_known(base, index, &one, finds) {
        finds.push(found(session, text, base, index, one));
    }
    true
}
