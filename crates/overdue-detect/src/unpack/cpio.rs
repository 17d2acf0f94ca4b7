//! cpio archives of the new kind: what an RPM and an initial RAM disk hold.

use std::io::{self, Read};

use overdue_core::GapReason;

use super::codec::settle;
use super::scan_reader;
use super::source::Source;
use super::tar::{counted, stored};
use crate::session::{Place, Session};

const HEADER: usize = 110;
/// Linux allows names of 4 KiB.
const NAME_BYTES_MAX: u64 = 64 << 10;

/// Whether an archive begins here: its magic, and nothing but hex digits after it.
pub(super) fn is_header(head: &[u8]) -> bool {
    let magic = head.starts_with(b"070701") || head.starts_with(b"070702");
    magic && head.len() >= 40 && head[6..head.len().min(HEADER)].iter().all(u8::is_ascii_hexdigit)
}

/// Scans every entry.
pub(super) fn scan(session: &mut Session<'_>, place: &Place, reader: &mut dyn Read) -> io::Result<()> {
    let mut source = Source::new(reader);
    let outcome = entries(session, place, &mut source);
    settle(session, place, &source, None, outcome)
}

fn entries(session: &mut Session<'_>, place: &Place, source: &mut Source<'_>) -> io::Result<()> {
    loop {
        let header = source.peek(HEADER)?.to_vec();
        if session.budget.is_spent() {
            return Ok(());
        }
        if header.len() < HEADER || !is_header(&header) {
            session.gap(&place.path, GapReason::Corrupt, "a damaged header, or no end mark; what follows was scanned as it is");
            return super::tar::rest(session, place, source);
        }
        let field = |at: usize| {
            let digits = std::str::from_utf8(&header[6 + 8 * at..14 + 8 * at]).unwrap_or_default();
            u64::from_str_radix(digits, 16).unwrap_or(0)
        };
        let (size, name_size) = (field(6), field(11));
        source.skip(HEADER as u64)?;
        let name = if name_size <= NAME_BYTES_MAX { source.bytes(name_size as usize)? } else { None };
        let padding = |length: u64| length.next_multiple_of(4) - length;
        let Some(name) = name else {
            session.gap(&place.path, GapReason::Corrupt, "the archive ends in the middle of a name");
            return Ok(());
        };
        source.skip(padding(HEADER as u64 + name_size))?;
        let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
        if name == b"TRAILER!!!" && size == 0 {
            return after(session, place, source);
        }
        if !counted(session) {
            return Ok(());
        }
        if size > 0 && !(stored(session, &place.entry(name), source, size)? && source.skip(padding(size))?) {
            session.gap(&place.path, GapReason::Corrupt, "the archive ends in the middle of an entry");
            return Ok(());
        }
    }
}

/// What follows the end: padding, and in a RAM disk another archive, often a packed one.
fn after(session: &mut Session<'_>, place: &Place, source: &mut Source<'_>) -> io::Result<()> {
    loop {
        let ahead = source.ahead(1)?;
        let zeros = ahead.iter().take_while(|&&byte| byte == 0).count();
        let more = ahead.len() > zeros;
        source.skip(zeros as u64)?;
        if more {
            return scan_reader(session, &place.decompressed("cpio"), None, source);
        }
        if zeros == 0 {
            return Ok(());
        }
    }
}
