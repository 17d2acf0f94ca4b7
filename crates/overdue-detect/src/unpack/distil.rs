//! Text put together from pieces, beside the bytes it is taken from.
//!
//! A token that a word processor keeps in three runs, or a page description in kerned pieces, stands nowhere in the bytes.
//! The bytes are scanned as they stream by, and a [`Distiller`] that sees the same bytes says what one reads in them; that
//! text is scanned after them. A secret that is in both is told once, by its place in the text.

use std::io::{self, Read};

use overdue_core::GapReason;

use super::held::Held;
use crate::engine::{scan_slice, scan_stream};
use crate::session::{Place, Session};

/// Makes text of bytes that come in pieces of any size.
pub(super) trait Distiller {
    /// Sees the next bytes, and adds to the text.
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>);
}

/// Scans what comes, and the text in it. An error is the reader's; what came before it was scanned.
pub(super) fn scan(
    session: &mut Session<'_>,
    place: &Place,
    how: &str,
    distiller: &mut dyn Distiller,
    reader: &mut dyn Read,
) -> io::Result<()> {
    let before = session.mark();
    let mut tee = Tee { reader, distiller, piece: Vec::new(), text: Held::new(session), full: false };
    let outcome = scan_stream(session, place, &mut tee);
    let Tee { text, full, .. } = tee;
    if full {
        let what = format!("holds more text than {} bytes (seekable_bytes_max)", session.limits.seekable_bytes_max);
        session.gap(&place.path, GapReason::TooLarge, what);
    }
    let between = session.mark();
    session.budget.spend_unpacked(text.len() as u64, session.limits);
    if !session.budget.is_spent() {
        scan_slice(session, &place.wrapped(how), &text);
    }
    session.prefer_later(before, between);
    outcome
}

/// Gives bytes on as they are, and lets a distiller see them.
struct Tee<'t> {
    reader: &'t mut dyn Read,
    distiller: &'t mut dyn Distiller,
    piece: Vec<u8>,
    text: Held,
    full: bool,
}

impl Read for Tee<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(out)?;
        if !self.full {
            self.distiller.feed(&out[..n], &mut self.piece);
            self.full = !self.text.push(&self.piece);
            self.piece.clear();
        }
        Ok(n)
    }
}
