//! Texts of any length, in chunks that overlap.
//!
//! Promise: the finds in a text are the same whatever chunks it comes in. A hit is looked at once, when [`LOOKAHEAD`] bytes
//! after it (or the end) have been read, while [`LOOKBEHIND`] bytes before it are still at hand; encoded runs are taken
//! from where they begin, and wait until they end.

use std::io::Read;

use overdue_core::{Detection, GapReason};
use zeroize::Zeroize;

use super::confirm::confirm;
use super::found::Found;
use super::lines::Lines;
use super::resolve::resolve;
use super::{LOOKAHEAD, LOOKBEHIND, Syntax, Text, foreign};
use crate::config;
use crate::decode::{self, Cursors};
use crate::session::{Place, Session};

/// New bytes read at a time: large enough that the overlap costs little, small enough to stay in the processor's cache.
const CHUNK: usize = 256 << 10;
/// Where a zero byte makes a text binary, as git has it.
const BINARY_HEAD: usize = 8 << 10;

/// Scans a text that is in memory, and adds its detections to the session.
pub(crate) fn scan_slice(session: &mut Session<'_>, place: &Place, bytes: &[u8]) {
    let finds = find_in_slice(session, place, bytes);
    report(session, place, finds);
}

/// The finds in a text that is in memory.
pub(crate) fn find_in_slice(session: &mut Session<'_>, place: &Place, bytes: &[u8]) -> Vec<Found> {
    let mut window = Window::new(place, bytes);
    window.step(session, place, bytes, true);
    window.finish(session, place)
}

/// Scans a text that comes from a reader. An error of the reader ends the text there; whose error it was, the caller asks
/// the session. Returns the error.
pub(crate) fn scan_stream(session: &mut Session<'_>, place: &Place, reader: &mut dyn Read) -> std::io::Result<()> {
    let mut buf: Vec<u8> = Vec::new();
    let mut outcome = Ok(());
    let mut window: Option<Window> = None;
    loop {
        let done = window.as_ref().map_or(0, |window| window.done);
        let wanted = (done + CHUNK + LOOKAHEAD).saturating_sub(buf.len()).max(CHUNK / 4);
        let before = buf.len();
        let mut at_end = false;
        match (&mut *reader).take(wanted as u64).read_to_end(&mut buf) {
            Ok(read) => at_end = read < wanted,
            Err(error) => outcome = Err(error),
        }
        at_end |= outcome.is_err() || session.budget.is_spent();
        debug_assert!(buf.len() >= before);
        let window = window.get_or_insert_with(|| Window::new(place, &buf));
        window.step(session, place, &buf, at_end);
        if at_end {
            break;
        }
        let drop = window.forget();
        window.lines.advance(&buf[..drop]);
        buf.copy_within(drop.., 0);
        buf.truncate(buf.len() - drop);
    }
    if let Some(window) = window {
        if window.any {
            buf.zeroize();
        }
        let finds = window.finish(session, place);
        report(session, place, finds);
    }
    outcome
}

/// The part of a text that is at hand, and how far each stage has come in it.
struct Window {
    /// Offset in the text of the first byte at hand.
    base: u64,
    /// Hits that begin before this place were looked at.
    done: usize,
    cursors: Cursors,
    /// Counted up to the first byte at hand.
    lines: Lines,
    binary: bool,
    syntax: Syntax,
    finds: Vec<Found>,
    /// Whether anything was found at all.
    any: bool,
    overflow: bool,
    foreign: foreign::Progress,
    markers: config::Seen,
}

impl Window {
    fn new(place: &Place, head: &[u8]) -> Self {
        Self {
            base: 0,
            done: 0,
            cursors: Cursors::default(),
            lines: Lines::default(),
            binary: place.binary || memchr::memchr(0, &head[..head.len().min(BINARY_HEAD)]).is_some(),
            syntax: Syntax::of(&place.name),
            finds: Vec::new(),
            any: false,
            overflow: false,
            foreign: foreign::Progress::default(),
            markers: config::Seen::default(),
        }
    }

    /// Looks at all hits that have enough text after them.
    fn step(&mut self, session: &mut Session<'_>, place: &Place, buf: &[u8], at_end: bool) {
        let limit = if at_end { buf.len() } else { buf.len().saturating_sub(LOOKAHEAD).max(self.done) };
        let text = Text { buf, binary: self.binary, syntax: self.syntax };
        let mut fresh = Vec::new();
        let rules = session.rules;
        rules.prefilter.each_hit(buf, self.done, limit, &mut |hit| confirm(session, text, self.base, hit, &mut fresh));
        self.foreign.step(session, place, text, self.base, (self.done, limit), at_end, &mut fresh);
        if !self.binary && place.decode_depth == 0 && session.allow.is_some_and(|allow| allow.unused_markers) {
            self.markers.look(buf, self.base, self.done, limit, self.lines);
        }
        self.done = limit;
        decode::step(session, place, text, self.base, limit, at_end, &mut self.cursors, &mut fresh);
        if fresh.is_empty() {
            return;
        }
        self.any = true;
        if !self.binary {
            self.number(buf, &mut fresh);
            if session.allow.is_some_and(|allow| allow.markers) {
                config::mark(buf, self.base, &mut fresh);
            }
        }
        let room = session.limits.detections_max;
        if self.finds.len() + fresh.len() > 2 * room {
            self.finds.append(&mut fresh);
            self.finds = resolve(std::mem::take(&mut self.finds));
            self.overflow |= self.finds.len() > room;
            self.finds.truncate(room);
        } else {
            self.finds.append(&mut fresh);
        }
    }

    /// Gives the new finds their lines and columns.
    fn number(&self, buf: &[u8], fresh: &mut [Found]) {
        fresh.sort_by_key(|find| find.at);
        let mut lines = self.lines;
        for find in fresh {
            let from = (lines.at() - self.base) as usize;
            let to = (find.at - self.base) as usize;
            lines.advance(&buf[from..to]);
            let (line, column) = lines.here();
            (find.line, find.column) = (Some(line), Some(column));
        }
    }

    /// How many bytes at the start are needed no more.
    fn forget(&mut self) -> usize {
        let needed = self.foreign.earliest(self.base, self.cursors.earliest(self.done));
        let drop = needed.saturating_sub(LOOKBEHIND);
        self.base += drop as u64;
        self.done -= drop;
        self.cursors.shift(drop);
        drop
    }

    fn finish(mut self, session: &mut Session<'_>, place: &Place) -> Vec<Found> {
        session.unused_markers.extend(self.markers.unused(&place.path, &self.finds));
        foreign::settle(session, place, &mut self.finds);
        let mut finds = resolve(self.finds);
        let room = session.limits.detections_max;
        if self.overflow || finds.len() > room {
            finds.truncate(room);
            session.gap(&place.path, GapReason::TooMany, format!("more than {room} detections in one file (detections_max)"));
        }
        finds
    }
}

fn report(session: &mut Session<'_>, place: &Place, finds: Vec<Found>) {
    for find in finds {
        let decoded = match (place.decoded.is_empty(), find.decoded.is_empty()) {
            (_, true) => place.decoded.clone(),
            (true, false) => find.decoded,
            (false, false) => format!("{} > {}", place.decoded, find.decoded),
        };
        let (rule, judged) = (find.rule, find.judged);
        let detection = Detection {
            rule: session.rules.rule(rule).id.clone(),
            fingerprint: find.fingerprint,
            preview: find.preview,
            public_id: find.public_id,
            path: place.path.clone(),
            line: find.line,
            column: find.column,
            decoded,
            confidence: find.confidence,
            expires_at_unix: find.expires_at_unix,
        };
        session.note(rule, &judged, place, detection);
    }
}
