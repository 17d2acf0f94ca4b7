//! Zip archives (jar, whl, docx, function packages), read from front to end by their local headers.
//!
//! The directory at the end is not needed: a deflated entry says itself where it ends, so archives written as a stream
//! are read as well, archives of any size need no memory, and entries that overlap are read once. The directory is
//! counted, though: one that lists more than there is, is a gap.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use overdue_core::GapReason;

use super::codec::{fault, settle, window_bytes, xz_decoder, zstd_decoder};
use super::meter::Meter;
use super::scan_reader;
use super::source::Source;
use super::tar::counted;
use crate::session::{Place, Session};

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const DESCRIPTOR: &[u8] = b"PK\x07\x08";

/// A signing block of Android packages stands between the entries and the directory and ends so.
const APK_BLOCK_END: &[u8] = b"APK Sig Block 42";

/// Scans every entry.
pub(crate) fn scan(session: &mut Session<'_>, place: &Place, reader: &mut dyn Read) -> io::Result<()> {
    let mut source = Source::new(reader);
    let outcome = records(session, place, &mut source);
    settle(session, place, &source, None, outcome)
}

/// What was seen of an archive.
#[derive(Default)]
struct Seen {
    entries: u64,
    listed: u64,
    end: bool,
}

fn records(session: &mut Session<'_>, place: &Place, source: &mut Source<'_>) -> io::Result<()> {
    let mut seen = Seen::default();
    loop {
        if session.budget.is_spent() {
            return Ok(());
        }
        let head = source.peek(46)?.to_vec();
        let u16_at = |at: usize| head.get(at..at + 2).map_or(0, |two| u64::from(u16::from_le_bytes([two[0], two[1]])));
        let whole = match head.get(..4) {
            None => break,
            Some(LOCAL) if head.len() >= 30 => {
                seen.entries += 1;
                if !counted(session) {
                    return Ok(());
                }
                entry(session, place, source, &head)?
            }
            Some(CENTRAL) if head.len() >= 46 => {
                seen.listed += 1;
                source.skip(46 + u16_at(28) + u16_at(30) + u16_at(32))?
            }
            Some(END) if head.len() >= 22 => {
                seen.end = true;
                source.skip(22 + u16_at(20))?
            }
            Some(b"PK\x06\x06") => {
                let size = head.get(4..12).map_or(0, |eight| u64::from_le_bytes(eight.try_into().unwrap_or_default()));
                source.skip(12u64.saturating_add(size))?
            }
            Some(b"PK\x06\x07") => source.skip(20)?,
            Some(b"PK\x06\x08") => source.skip(8 + u16_at(4) + (u16_at(6) << 16))?,
            Some(b"PK\x05\x05") => source.skip(6 + u16_at(4))?,
            // The mark of a split archive, at its very start.
            Some(DESCRIPTOR) if head.get(4..8) == Some(LOCAL) => source.skip(4)?,
            // A record that is cut: there is nothing after it, and looking for the next would find this one again.
            Some(LOCAL | CENTRAL | END) => break,
            Some(_) if seen.end => {
                return trailing(session, place, source);
            }
            Some(_) => resync(session, place, source)?,
        };
        if !whole {
            break;
        }
    }
    if session.budget.is_spent() {
        // A limit ended it, and says so.
        return Ok(());
    }
    if !seen.end {
        session.gap(&place.path, GapReason::Corrupt, "the archive ends before its directory does");
    } else if seen.listed > seen.entries {
        let what = format!("the directory lists {} entries, the archive holds {}", seen.listed, seen.entries);
        session.gap(&place.path, GapReason::Corrupt, what);
    }
    Ok(())
}

/// Bytes after the end are looked at plainly.
fn trailing(session: &mut Session<'_>, place: &Place, source: &mut Source<'_>) -> io::Result<()> {
    let packed = source.taken();
    let mut meter = Meter::new(session, packed, source);
    crate::engine::scan_stream(session, place, &mut meter)
}

/// Looks for the next record in bytes that are none. False at the end.
fn resync(session: &mut Session<'_>, place: &Place, source: &mut Source<'_>) -> io::Result<bool> {
    let mut signed = false;
    let mut skipped = 0u64;
    let found = loop {
        let ahead = source.ahead(1 << 10)?;
        if ahead.len() < 4 {
            break false;
        }
        let at = memchr::memmem::find_iter(ahead, b"PK")
            .find(|&at| ahead.get(at..at + 4).is_some_and(|four| [LOCAL, CENTRAL, END].contains(&four)));
        // A record's first bytes may be the last ones here.
        let step = at.unwrap_or(ahead.len() - 3);
        signed = if step >= APK_BLOCK_END.len() { ahead[..step].ends_with(APK_BLOCK_END) } else { signed && step == 0 };
        source.consume(step);
        skipped += step as u64;
        if at.is_some() {
            break true;
        }
    };
    if !signed {
        session.gap(
            &place.path,
            GapReason::Corrupt,
            format!("{skipped} bytes between two records are no record; an entry may be hidden or lost in them"),
        );
    }
    Ok(found)
}

/// What a local header says.
struct Header {
    flags: u64,
    method: u64,
    crc: u32,
    packed: u64,
    size: u64,
    zip64: bool,
}

impl Header {
    fn read(head: &[u8], extra: &[u8]) -> Self {
        let u16_at = |at: usize| u64::from(u16::from_le_bytes([head[at], head[at + 1]]));
        let u32_at = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let mut header = Self {
            flags: u16_at(6),
            method: u16_at(8),
            crc: u32_at(14),
            packed: u64::from(u32_at(18)),
            size: u64::from(u32_at(22)),
            zip64: false,
        };
        let mut fields = extra;
        while let [a, b, c, d, rest @ ..] = fields {
            let (kind, length) = (u16::from_le_bytes([*a, *b]), usize::from(u16::from_le_bytes([*c, *d])));
            let Some(body) = rest.get(..length) else { break };
            if kind == 1 {
                header.zip64 = true;
                let mut numbers = body.chunks_exact(8).map(|eight| u64::from_le_bytes(eight.try_into().unwrap_or_default()));
                if header.size == u64::from(u32::MAX) {
                    header.size = numbers.next().unwrap_or(header.size);
                }
                if header.packed == u64::from(u32::MAX) {
                    header.packed = numbers.next().unwrap_or(header.packed);
                }
            }
            fields = &rest[length..];
        }
        header
    }

    /// Sizes and checksum follow the data.
    fn is_streamed(&self) -> bool {
        self.flags & 8 != 0
    }

    /// The packed size is known beforehand.
    fn packed_known(&self) -> Option<u64> {
        (!self.is_streamed() || self.packed > 0 && self.packed != u64::from(u32::MAX)).then_some(self.packed)
    }

    fn is_encrypted(&self) -> bool {
        self.flags & 1 != 0 || self.method == 99
    }
}

/// Scans one entry. False when the archive ends in it.
fn entry(session: &mut Session<'_>, place: &Place, source: &mut Source<'_>, head: &[u8]) -> io::Result<bool> {
    let (name_length, extra_length) =
        (usize::from(u16::from_le_bytes([head[26], head[27]])), usize::from(u16::from_le_bytes([head[28], head[29]])));
    source.skip(30)?;
    let (Some(name), Some(extra)) = (source.bytes(name_length)?, source.bytes(extra_length)?) else { return Ok(false) };
    let header = Header::read(head, &extra);
    let inner = place.entry(&name);
    if header.is_encrypted() {
        session.gap(&inner.path, GapReason::Encrypted, "the entry is encrypted");
        return pass_over(session, place, source, &header);
    }
    let packed = source.taken();
    let before = packed.get();
    let known = header.packed_known();
    let read = {
        let limited = source.by_ref().take(known.unwrap_or(u64::MAX));
        let window = window_bytes(session, &inner);
        let decoder: io::Result<Box<dyn Read + '_>> = match header.method {
            0 if known.is_none() => Ok(Box::new(Streamed { source: limited.into_inner(), given: 0, ended: false })),
            0 => Ok(Box::new(limited)),
            8 => Ok(Box::new(flate2::bufread::DeflateDecoder::new(limited))),
            9 => Ok(Box::new(deflate64::Deflate64Decoder::with_buffer(limited))),
            12 => Ok(Box::new(bzip2::bufread::BzDecoder::new(limited))),
            93 => zstd_decoder(limited, window),
            95 => xz_decoder(limited, window),
            other => {
                session.gap(&inner.path, GapReason::Unsupported, format!("compression method {other} is not opened"));
                return pass_over(session, place, source, &header);
            }
        };
        match decoder {
            Err(error) => Read1 { out: 0, crc: 0, complete: false, hit: None, outcome: Err(error) },
            Ok(decoder) => read(session, &inner, packed.clone(), decoder, known.is_none()),
        }
    };
    if let Some(error) = source.error() {
        return Err(error);
    }
    if session.budget.is_spent() {
        return Ok(false);
    }
    let taken = packed.get() - before;
    let faulty = read.hit.is_some() || read.outcome.is_err();
    if let Some((reason, detail)) = read.hit {
        session.gap(&inner.path, reason, detail);
    } else if let Err(error) = read.outcome {
        let (reason, detail) = fault(&error);
        session.gap(&inner.path, reason, detail);
    }
    if let Some(known) = known
        && !source.skip(known.saturating_sub(taken))?
    {
        session.gap(&inner.path, GapReason::Corrupt, "the archive ends in the middle of the entry");
        return Ok(false);
    }
    if faulty && known.is_none() {
        // Where the entry ends is lost with it.
        return resync_quietly(source);
    }
    let (mut crc, mut size) = (header.crc, header.size);
    if header.is_streamed() {
        match descriptor(source, header.zip64)? {
            Some(told) => (crc, size) = told,
            None => return Ok(true),
        }
    }
    if read.complete && !faulty && (crc != read.crc || size != read.out) {
        let what = if size != read.out {
            format!("says that it unpacks to {size} bytes, and unpacks to {}", read.out)
        } else {
            "its checksum is another".to_owned()
        };
        session.gap(&inner.path, GapReason::Corrupt, what);
    }
    Ok(true)
}

/// What came of reading an entry.
struct Read1 {
    out: u64,
    crc: u32,
    /// All of it was read.
    complete: bool,
    hit: Option<(GapReason, String)>,
    outcome: io::Result<()>,
}

fn read(session: &mut Session<'_>, place: &Place, packed: Rc<Cell<u64>>, decoder: Box<dyn Read + '_>, to_the_end: bool) -> Read1 {
    let mut meter = Meter::new(session, packed, decoder);
    let mut outcome = scan_reader(session, place, None, &mut meter);
    // An archive inside may end before the entry does.
    if outcome.is_ok() && (to_the_end || !meter.ended) {
        outcome = meter.drain();
    }
    Read1 {
        out: meter.out(),
        crc: meter.crc(),
        complete: meter.ended,
        hit: meter.hit.take().map(|stop| (stop.reason, stop.detail)),
        outcome,
    }
}

/// Skips an entry that is not read.
fn pass_over(session: &mut Session<'_>, place: &Place, source: &mut Source<'_>, header: &Header) -> io::Result<bool> {
    match header.packed_known() {
        Some(known) => {
            let whole = source.skip(known)?;
            if whole && header.is_streamed() {
                descriptor(source, header.zip64)?;
            }
            if !whole {
                session.gap(&place.path, GapReason::Corrupt, "the archive ends in the middle of an entry");
            }
            Ok(whole)
        }
        None => resync_quietly(source),
    }
}

/// Looks for the next header after an entry whose end is unknown; the entry's own gap says why.
fn resync_quietly(source: &mut Source<'_>) -> io::Result<bool> {
    loop {
        let ahead = source.ahead(1 << 10)?;
        if ahead.len() < 4 {
            return Ok(false);
        }
        let at = memchr::memmem::find_iter(ahead, b"PK")
            .find(|&at| ahead.get(at..at + 4).is_some_and(|four| [LOCAL, CENTRAL, END].contains(&four)));
        let step = at.unwrap_or(ahead.len() - 3);
        source.consume(step);
        if at.is_some() {
            return Ok(true);
        }
    }
}

/// Reads the checksum and the size that follow a streamed entry. `None` when nothing there makes sense.
fn descriptor(source: &mut Source<'_>, zip64: bool) -> io::Result<Option<(u32, u64)>> {
    let ahead = source.peek(28)?.to_vec();
    let signature = if ahead.starts_with(DESCRIPTOR) { 4 } else { 0 };
    let record_at = |at: usize| ahead.get(at..at + 2).is_none_or(|two| two == b"PK");
    // Sizes of 4 bytes or of 8: what follows must be a record.
    let wide = if record_at(signature + 12) && !record_at(signature + 20) { false } else { zip64 || !record_at(signature + 12) };
    let length = signature + if wide { 20 } else { 12 };
    if ahead.len() < length || !record_at(length) {
        return Ok(None);
    }
    source.skip(length as u64)?;
    let crc = u32::from_le_bytes([ahead[signature], ahead[signature + 1], ahead[signature + 2], ahead[signature + 3]]);
    let at = signature + if wide { 12 } else { 8 };
    let size = if wide {
        u64::from_le_bytes(ahead[at..at + 8].try_into().unwrap_or_default())
    } else {
        u64::from(u32::from_le_bytes([ahead[at], ahead[at + 1], ahead[at + 2], ahead[at + 3]]))
    };
    Ok(Some((crc, size)))
}

/// A stored entry of unknown size: it ends before a descriptor that says just as many bytes as there were.
struct Streamed<'s, 'r> {
    source: &'s mut Source<'r>,
    given: u64,
    ended: bool,
}

impl Read for Streamed<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ended || out.is_empty() {
            return Ok(0);
        }
        let ahead = self.source.ahead(32)?;
        let plain = match memchr::memmem::find(ahead, DESCRIPTOR) {
            Some(0) => {
                let u32_at =
                    |at: usize| ahead.get(at..at + 4).map(|four| u64::from(u32::from_le_bytes(four.try_into().unwrap_or_default())));
                let u64_at = |at: usize| ahead.get(at..at + 8).map(|eight| u64::from_le_bytes(eight.try_into().unwrap_or_default()));
                let narrow = u32_at(8) == Some(self.given) && u32_at(12) == Some(self.given);
                let wide = u64_at(8) == Some(self.given) && u64_at(16) == Some(self.given);
                if narrow || wide {
                    self.ended = true;
                    return Ok(0);
                }
                4
            }
            Some(at) => at,
            // Its first bytes may be the last ones here.
            None if ahead.len() >= 32 => ahead.len() - 3,
            None => ahead.len(),
        };
        let n = plain.min(out.len()).min(ahead.len());
        out[..n].copy_from_slice(&ahead[..n]);
        self.source.consume(n);
        self.given += n as u64;
        self.ended = n == 0;
        Ok(n)
    }
}
