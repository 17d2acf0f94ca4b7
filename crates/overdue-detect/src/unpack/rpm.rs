//! RPM packages: two headers, in one of which scripts stand, then a packed cpio archive.

use std::io::{self, Read};

use overdue_core::GapReason;

use super::codec::settle;
use super::scan_reader;
use super::source::Source;
use crate::engine::scan_slice;
use crate::session::{Place, Session};

const LEAD_BYTES: u64 = 96;
const HEADER_MAGIC: &[u8] = &[0x8e, 0xad, 0xe8, 1];
/// Headers of large packages have some MiB; rpm itself refuses 256.
const HEADER_BYTES_MAX: u64 = 32 << 20;

/// Scans the headers as they are, and what is packed.
pub(super) fn scan(session: &mut Session<'_>, place: &Place, reader: &mut dyn Read) -> io::Result<()> {
    let mut source = Source::new(reader);
    let outcome = parts(session, place, &mut source);
    settle(session, place, &source, None, outcome)
}

fn parts(session: &mut Session<'_>, place: &Place, source: &mut Source<'_>) -> io::Result<()> {
    source.skip(LEAD_BYTES)?;
    for padded in [true, false] {
        let head = source.peek(16)?.to_vec();
        let number = |at: usize| head.get(at..at + 4).map_or(0, |four| u64::from(u32::from_be_bytes([four[0], four[1], four[2], four[3]])));
        let length = 16 + 16 * number(8) + number(12);
        if !head.starts_with(HEADER_MAGIC) || length > HEADER_BYTES_MAX {
            session.gap(&place.path, GapReason::Corrupt, "a damaged header; what follows was scanned as it is");
            return super::tar::rest(session, place, source);
        }
        let Some(header) = source.bytes(length as usize)? else {
            session.gap(&place.path, GapReason::Corrupt, "the package ends in its header");
            return Ok(());
        };
        scan_slice(session, &Place { binary: true, ..place.clone() }, &header);
        if padded {
            source.skip(length.next_multiple_of(8) - length)?;
        }
    }
    scan_reader(session, &place.decompressed("rpm"), None, source)
}
