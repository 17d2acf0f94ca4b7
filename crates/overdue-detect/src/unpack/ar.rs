//! `ar` archives: static libraries and Debian packages.

use std::io::{self, Read};

use overdue_core::GapReason;

use super::codec::settle;
use super::source::Source;
use super::tar::{counted, stored};
use crate::session::{Place, Session};

/// `!<arch>\n`, then headers of this size.
const MAGIC: u64 = 8;
const HEADER: usize = 60;

/// Scans every entry.
pub(crate) fn scan(session: &mut Session<'_>, place: &Place, reader: &mut dyn Read) -> io::Result<()> {
    let mut source = Source::new(reader);
    let outcome = entries(session, place, &mut source);
    settle(session, place, &source, None, outcome)
}

fn entries(session: &mut Session<'_>, place: &Place, source: &mut Source<'_>) -> io::Result<()> {
    source.skip(MAGIC)?;
    let mut long_names: Vec<u8> = Vec::new();
    loop {
        let header = source.peek(HEADER)?.to_vec();
        if header.iter().all(u8::is_ascii_whitespace) || session.budget.is_spent() {
            return Ok(());
        }
        let size = (header.len() == HEADER && header.ends_with(b"`\n"))
            .then(|| std::str::from_utf8(&header[48..58]).ok().and_then(|text| text.trim().parse::<u64>().ok()))
            .flatten();
        let Some(size) = size else {
            session.gap(&place.path, GapReason::Corrupt, "a damaged header; what follows it was not read");
            return Ok(());
        };
        source.skip(HEADER as u64)?;
        let field = header[..16].trim_ascii_end();
        if !counted(session) {
            return Ok(());
        }
        let whole = if field == b"//" && size <= 1 << 20 {
            long_names = source.bytes(size as usize)?.unwrap_or_default();
            true
        } else {
            let name = match field {
                [b'/', digits @ ..] if !digits.is_empty() => {
                    let at = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<usize>().ok()).unwrap_or(usize::MAX);
                    long_names.get(at..).unwrap_or_default().split(|byte| matches!(byte, b'/' | b'\n')).next().unwrap_or_default().to_vec()
                }
                _ => field.strip_suffix(b"/").unwrap_or(field).to_vec(),
            };
            stored(session, &place.entry(&name), source, size)?
        };
        // Entries begin at even places.
        if !whole || (size % 2 == 1 && !source.skip(1)?) {
            if !whole {
                session.gap(&place.path, GapReason::Corrupt, "the archive ends in the middle of an entry");
            }
            return Ok(());
        }
    }
}
