//! Decoders: secrets that do not stand there in plain.
//!
//! Base64 and hex runs, `%41`, `\u0041` and `\/`, UTF-16 in the middle of bytes. Each decoder finds where its encoding
//! begins and ends, decodes that much, and has the engine look at it; what is found there has the place of the encoded
//! run. Decoded text is decoded again, up to a limit.
//!
//! Every run is taken whole or cut at a place that depends on the run alone, never on where a chunk ended.

mod escapes;
mod percent;
mod runs;
mod wide;

pub(crate) use wide::{Utf16Reader, sniff_utf16};

use overdue_core::GapReason;
use zeroize::Zeroize;

use crate::engine::{Found, Text, find_in_slice};
use crate::session::{Place, Session};
use crate::unpack;

/// How far each decoder has come in the text at hand.
#[derive(Default)]
pub(crate) struct Cursors {
    runs: usize,
    escapes: usize,
    percent: usize,
    wide: usize,
    /// A run at the depth limit was told.
    too_deep: bool,
}

impl Cursors {
    /// The first byte that is still needed, given that the rules are done up to `done`.
    pub(crate) fn earliest(&self, done: usize) -> usize {
        done.min(self.runs).min(self.escapes).min(self.percent).min(self.wide)
    }

    /// The first `by` bytes are gone.
    pub(crate) fn shift(&mut self, by: usize) {
        for cursor in [&mut self.runs, &mut self.escapes, &mut self.percent, &mut self.wide] {
            *cursor -= by;
        }
    }
}

/// Something encoded, decoded.
pub(crate) struct Decoded {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) how: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// What a decoder says when it is asked for its next run.
pub(crate) enum Next {
    /// One that decodes to something.
    Decoded(Decoded),
    /// None that begins before the limit: go on from here next time.
    Nothing(usize),
    /// One that goes on past the text at hand: ask again from here when there is more.
    Wait(usize),
}

/// A stretch of text to decode in.
#[derive(Clone, Copy)]
pub(crate) struct Stretch<'a> {
    pub(crate) buf: &'a [u8],
    /// Runs that begin at or after this place are for the next time.
    pub(crate) limit: usize,
    /// Nothing follows the text at hand.
    pub(crate) at_end: bool,
    /// The longest run; longer ones are taken in pieces.
    pub(crate) run_max: usize,
}

/// Lets every decoder go on up to `limit`.
#[expect(clippy::too_many_arguments, reason = "the state of one step of one window, handed on as it is")]
pub(crate) fn step(
    session: &mut Session<'_>,
    place: &Place,
    text: Text<'_>,
    base: u64,
    limit: usize,
    at_end: bool,
    cursors: &mut Cursors,
    finds: &mut Vec<Found>,
) {
    let stretch = Stretch { buf: text.buf, limit, at_end, run_max: session.limits.buffer_bytes_max.max(1 << 17) };
    let too_deep = place.decode_depth >= session.limits.decode_depth_max;
    let mut run = |cursor: &mut usize, told: &mut bool, next: fn(&Stretch<'_>, usize) -> Next| {
        loop {
            if session.budget.is_spent() {
                *cursor = limit;
                return;
            }
            match next(&stretch, *cursor) {
                Next::Decoded(decoded) => {
                    *cursor = decoded.end;
                    if !too_deep {
                        look_into(session, place, text, base, decoded, finds);
                    } else if !*told && decoded.how == "base64" && decoded.bytes.len() > 64 {
                        *told = true;
                        let what =
                            format!("encodings inside one another, more than {} (decode_depth_max)", session.limits.decode_depth_max);
                        session.gap(&place.path, GapReason::TooDeep, what);
                    }
                }
                Next::Nothing(at) | Next::Wait(at) => {
                    *cursor = at;
                    return;
                }
            }
        }
    };
    run(&mut cursors.runs, &mut cursors.too_deep, runs::next);
    run(&mut cursors.escapes, &mut cursors.too_deep, escapes::next);
    run(&mut cursors.percent, &mut cursors.too_deep, percent::next);
    run(&mut cursors.wide, &mut cursors.too_deep, wide::next);
}

fn look_into(session: &mut Session<'_>, place: &Place, text: Text<'_>, base: u64, mut decoded: Decoded, finds: &mut Vec<Found>) {
    session.budget.spend_unpacked(decoded.bytes.len() as u64, session.limits);
    let inner = place.decoded(decoded.how, text.binary);
    if unpack::is_container(&decoded.bytes) {
        // An archive in base64 is an artifact of its own: its finds have paths and lines of their own.
        unpack::scan_bytes(session, &inner, &decoded.bytes);
        return;
    }
    let found = find_in_slice(session, &inner, &decoded.bytes);
    if !found.is_empty() {
        decoded.bytes.zeroize();
    }
    let (start, end) = (base + decoded.start as u64, base + decoded.end as u64);
    finds.extend(found.into_iter().map(|find| Found {
        start,
        end,
        at: start,
        decoded: if find.decoded.is_empty() { decoded.how.to_owned() } else { format!("{} > {}", decoded.how, find.decoded) },
        line: None,
        column: None,
        ..find
    }));
}
