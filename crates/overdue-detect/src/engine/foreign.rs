//! Where the rules of another scanner look.
//!
//! A text is cut in blocks of [`BLOCK`] bytes, counted from its beginning. A rule reads a block when one of its keywords
//! begins in it or in one of its two neighbours, or when it has no keywords. It finds what begins in the block and ends
//! no more than [`SPILL`] bytes after it, one match after the other without overlap, across blocks as within one. So
//! every byte is read at most twice by each rule, and where the chunks of a text end makes no difference.

use super::found::{Found, Match, found};
use super::{LOOKAHEAD, Text};
use crate::noise;
use crate::rules::foreign::ForeignRules;
use crate::session::{Place, Session};

/// How much a rule reads at a time. A keyword is near when it stands less than this away, and far from twice this on.
const BLOCK: u64 = 16 << 10;
/// How far past its block a match may go: the longest private key.
const SPILL: u64 = 16 << 10;

// What a block needs after it is there whenever the hits up to the end of the next one were looked at.
const _: () = assert!(SPILL <= BLOCK + LOOKAHEAD as u64);

/// How far these rules have come in a text.
#[derive(Default)]
pub(crate) struct Progress {
    /// The next block to read.
    block: u64,
    /// Rules whose keyword begins in a block: the one before the next, the next, and so on.
    armed: std::collections::BTreeMap<u64, Vec<bool>>,
    /// For each rule, where its last match ended.
    resume: Vec<u64>,
    /// For each rule, whether it looks into files of this path; worked out when first asked.
    wanted: Vec<bool>,
}

impl Progress {
    /// The first byte that is still needed, seen from `base`.
    pub(crate) fn earliest(&self, base: u64, done: usize) -> usize {
        if self.resume.is_empty() { done } else { done.min((self.block * BLOCK).saturating_sub(base) as usize) }
    }

    /// Goes on to `limit`, the hits of whose bytes from `done` on are new.
    #[expect(clippy::too_many_arguments, reason = "the state of one step of one window, handed on as it is")]
    pub(crate) fn step(
        &mut self,
        session: &Session<'_>,
        place: &Place,
        text: Text<'_>,
        base: u64,
        (done, limit): (usize, usize),
        at_end: bool,
        finds: &mut Vec<Found>,
    ) {
        let rules = &session.rules.foreign;
        if text.binary || !rules.read_texts() {
            return;
        }
        if self.resume.is_empty() {
            let path = session.path_of(place);
            self.resume = vec![0; rules.list.len()];
            self.wanted = rules.list.iter().map(|rule| rule.path.as_ref().is_none_or(|wanted| wanted.is_match(path.as_bytes()))).collect();
        }
        for (at, owners) in rules.keywords(text.buf, done, limit) {
            let armed = self.armed.entry((base + at as u64) / BLOCK).or_insert_with(|| vec![false; rules.list.len()]);
            owners.iter().for_each(|&rule| armed[rule] = true);
        }
        let (end, known) = (base + text.buf.len() as u64, base + limit as u64);
        while self.block * BLOCK < end && (at_end || (self.block + 2) * BLOCK <= known) && !session.budget.is_spent() {
            self.read(session, rules, text, base, finds);
            self.block += 1;
            self.armed = self.armed.split_off(&self.block.saturating_sub(1));
        }
    }

    fn read(&mut self, session: &Session<'_>, rules: &ForeignRules, text: Text<'_>, base: u64, finds: &mut Vec<Found>) {
        let start = self.block * BLOCK;
        let near: Vec<&Vec<bool>> = self.armed.range(self.block.saturating_sub(1)..=self.block + 1).map(|(_, armed)| armed).collect();
        let last = ((start + BLOCK - base) as usize).min(text.buf.len());
        let end = (last + SPILL as usize).min(text.buf.len());
        for (index, rule) in rules.list.iter().enumerate() {
            let Some(regex) = rule.regex.as_ref().filter(|_| self.wanted[index]) else { continue };
            if !rule.keywords.is_empty() && !near.iter().any(|armed| armed[index]) {
                continue;
            }
            let mut from = (start.max(self.resume[index]) - base) as usize;
            session.budget.spend_work(end.saturating_sub(from), session.limits);
            while from < last {
                // The plain search first: it is many times faster, and mostly says no.
                let Some(whole) = regex.regex().find_at(&text.buf[..end], from).filter(|whole| whole.start() < last) else { break };
                let whole = whole.range();
                from = whole.end.max(whole.start + 1);
                if let Some(one) = matched(rule, text.buf, whole, end) {
                    finds.push(found(session, text, base, rule.rule, one));
                }
                if session.budget.is_spent() || finds.len() > 2 * session.limits.detections_max {
                    break;
                }
            }
            self.resume[index] = self.resume[index].max(base + from as u64);
        }
    }
}

/// The secret in a match, when there is one that is random enough.
fn matched(rule: &crate::rules::foreign::Foreign, buf: &[u8], whole: std::ops::Range<usize>, end: usize) -> Option<Match> {
    let regex = rule.regex.as_ref()?;
    let secret = if regex.groups == 0 {
        whole.clone()
    } else {
        let captures = regex.regex().captures_at(&buf[..end], whole.start)?;
        let group = |group: usize| captures.get(group).map(|found| found.range()).filter(|range| !range.is_empty());
        if rule.secret_group > 0 { group(rule.secret_group)? } else { (1..=regex.groups).find_map(group).unwrap_or_else(|| whole.clone()) }
    };
    // A match that takes in the ends of lines around it stands on the line of what is between them.
    let trim = |range: std::ops::Range<usize>| {
        let text = &buf[range.clone()];
        let before = text.iter().take_while(|&&byte| byte == b'\n').count();
        let after = text[before..].iter().rev().take_while(|&&byte| byte == b'\n').count();
        range.start + before..range.end - after
    };
    let (whole, secret) = (trim(whole), trim(secret));
    if secret.is_empty() || rule.entropy_above > 0.0 && noise::entropy(&buf[secret.clone()]) <= rule.entropy_above {
        return None;
    }
    Some(Match { id_at: Some(whole.start), whole: Some(whole), ..Match::of(secret) })
}

/// Drops the finds that lack what their rule requires near them, and those that only count for others.
pub(crate) fn settle(session: &Session<'_>, place: &Place, finds: &mut Vec<Found>) {
    let rules = &session.rules.foreign;
    if rules.list.iter().all(|rule| rule.required.is_empty() && !rule.skip_report) {
        return;
    }
    let near = |wanted: Option<u32>, a: Option<u32>, b: Option<u32>| match (wanted, a, b) {
        (None, _, _) => true,
        (Some(most), Some(a), Some(b)) => a.abs_diff(b) <= most,
        // Without lines nothing is near.
        (Some(_), _, _) => false,
    };
    let path = session.path_of(place);
    // A rule about paths alone finds the file, which is near everything in it.
    let by_path = |index: usize| {
        rules
            .of(index)
            .is_some_and(|rule| rule.regex.is_none() && rule.path.as_ref().is_some_and(|wanted| wanted.is_match(path.as_bytes())))
    };
    let keep: Vec<bool> = finds
        .iter()
        .map(|find| {
            // What was decoded was settled there.
            let Some(rule) = rules.of(find.rule).filter(|_| find.decoded.is_empty()) else { return true };
            !rule.skip_report
                && rule.required.iter().all(|required| {
                    required.lines.is_none() && required.columns.is_none() && required.rules.iter().any(|&index| by_path(index))
                        || finds.iter().any(|other| {
                            required.rules.contains(&other.rule)
                                && near(required.lines, find.line, other.line)
                                && near(required.columns, find.column, other.column)
                        })
                })
        })
        .collect();
    let mut keep = keep.into_iter();
    finds.retain(|_| keep.next().unwrap_or(true));
}

/// Reports the file itself where a rule about paths alone asks for it.
pub(crate) fn file_itself(session: &mut Session<'_>, place: &Place) {
    if session.rules.foreign.list.iter().all(|rule| rule.regex.is_some()) || place.decode_depth > 0 {
        return;
    }
    let path = session.path_of(place);
    let rules = session.rules;
    for rule in rules.foreign.list.iter().filter(|rule| rule.regex.is_none() && !rule.skip_report) {
        if rule.path.as_ref().is_some_and(|wanted| !path.is_empty() && wanted.is_match(path.as_bytes())) {
            session.note_file(rule.rule, place, &path);
        }
    }
}
