//! Tar archives: v7, ustar, GNU and PAX, read from front to end.
//!
//! Links, devices and folders hold nothing and are passed over. A damaged header is a gap, and the next good one is looked
//! for. An archive that follows the end of another is read too: that is where things are hidden.

use std::io::{self, Read};

use overdue_core::GapReason;

use super::codec::settle;
use super::meter::Meter;
use super::scan_reader;
use super::source::Source;
use crate::session::{Place, Session};

const BLOCK: usize = 512;
/// The longest name and the longest PAX record kept; Linux allows names of 4 KiB.
const NAME_BYTES_MAX: u64 = 64 << 10;

/// Whether the bytes begin with a tar header: its checksum holds.
pub(crate) fn is_header(head: &[u8]) -> bool {
    let Some(header) = head.get(..BLOCK) else { return false };
    let Some(declared) = number(&header[148..156]) else { return false };
    let sum: u64 = header.iter().enumerate().map(|(at, &byte)| if (148..156).contains(&at) { 32 } else { u64::from(byte) }).sum();
    sum == declared && sum > 8 * 32 && number(&header[124..136]).is_some()
}

/// Octal digits, or the big-endian number that GNU writes when they do not suffice.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let mut value = u64::from(field[0] & 0x3f);
        for &byte in &field[1..] {
            value = value.checked_mul(256)?.checked_add(u64::from(byte))?;
        }
        return Some(value);
    }
    let digits = field.split(|&byte| byte == 0).next()?.trim_ascii();
    if digits.is_empty() {
        return Some(0);
    }
    digits.iter().try_fold(0u64, |value, &digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

fn until_zero(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// What an extension record said about the entry after it.
#[derive(Default)]
struct Extension {
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

/// Scans every entry.
pub(crate) fn scan(session: &mut Session<'_>, place: &Place, reader: &mut dyn Read) -> io::Result<()> {
    let mut source = Source::new(reader);
    let outcome = entries(session, place, &mut source);
    settle(session, place, &source, None, outcome)
}

fn entries(session: &mut Session<'_>, place: &Place, source: &mut Source<'_>) -> io::Result<()> {
    let mut extension = Extension::default();
    let mut damaged = false;
    let mut ended = false;
    loop {
        if session.budget.is_spent() {
            return Ok(());
        }
        let head = source.peek(BLOCK)?;
        if head.len() < BLOCK {
            if !ended {
                session.gap(&place.path, GapReason::Corrupt, "the archive ends without its end mark");
            }
            return Ok(());
        }
        if head.iter().all(|&byte| byte == 0) {
            ended = true;
            source.skip(BLOCK as u64)?;
            continue;
        }
        if !is_header(head) {
            if ended {
                // Padding or other matter after the end: look at it, plainly.
                return rest(session, place, source);
            }
            if !std::mem::replace(&mut damaged, true) {
                session.gap(&place.path, GapReason::Corrupt, "a damaged header; entries may be missing up to the next good one");
            }
            source.skip(BLOCK as u64)?;
            continue;
        }
        (damaged, ended) = (false, false);
        let header = head.to_vec();
        source.skip(BLOCK as u64)?;
        let declared = number(&header[124..136]).unwrap_or(0);
        match header[156] {
            b'L' => extension.name = long(source, declared)?.map(|name| until_zero(&name).to_vec()),
            b'x' => {
                if let Some(records) = long(source, declared)? {
                    pax(&records, &mut extension);
                }
            }
            b'g' | b'K' | b'V' => _ = source.skip(padded(declared))?,
            kind => {
                let Extension { name, size } = std::mem::take(&mut extension);
                let size = size.unwrap_or(declared);
                let name = name.unwrap_or_else(|| header_name(&header));
                if kind == b'S' {
                    // The map of a sparse file goes on in blocks of its own.
                    let mut more = header[482] != 0;
                    while more {
                        let Some(block) = source.bytes(BLOCK)? else { break };
                        more = block[504] != 0;
                    }
                }
                // Links, devices, folders and pipes hold nothing, whatever size they declare.
                let holds = !matches!(kind, b'1'..=b'6');
                if !counted(session) {
                    return Ok(());
                }
                if holds && size > 0 && !entry(session, &place.entry(&name), source, size)? {
                    session.gap(&place.path, GapReason::Corrupt, "the archive ends in the middle of an entry");
                    return Ok(());
                }
            }
        }
    }
}

/// Counts an entry; false when that was one too many.
pub(super) fn counted(session: &Session<'_>) -> bool {
    let entries = session.budget.entries.get() + 1;
    session.budget.entries.set(entries);
    if entries > session.limits.entries_max {
        session.budget.stop(GapReason::TooMany, format!("more than {} archive entries (entries_max)", session.limits.entries_max));
    }
    entries <= session.limits.entries_max
}

/// Scans `size` bytes of the source as one entry, and skips to the next block. False when the source ended first.
fn entry(session: &mut Session<'_>, place: &Place, source: &mut Source<'_>, size: u64) -> io::Result<bool> {
    let whole = stored(session, place, source, size)?;
    Ok(whole && source.skip(padded(size) - size)?)
}

/// Scans `size` bytes that stand there as they are. False when the source ended first.
pub(super) fn stored(session: &mut Session<'_>, place: &Place, source: &mut Source<'_>, size: u64) -> io::Result<bool> {
    let packed = source.taken();
    let before = packed.get();
    let mut meter = Meter::new(session, packed.clone(), source.by_ref().take(size));
    let outcome = scan_reader(session, place, Some(size), &mut meter);
    let hit = meter.hit.take();
    drop(meter);
    if let Some(stop) = hit {
        session.gap(&place.path, stop.reason, stop.detail);
    } else {
        outcome?;
    }
    source.skip(size.saturating_sub(packed.get() - before))
}

fn padded(size: u64) -> u64 {
    size.checked_next_multiple_of(BLOCK as u64).unwrap_or(u64::MAX)
}

/// The body of an extension record; `None` when it is longer than any honest one.
fn long(source: &mut Source<'_>, size: u64) -> io::Result<Option<Vec<u8>>> {
    if size > NAME_BYTES_MAX {
        source.skip(padded(size))?;
        return Ok(None);
    }
    let body = source.bytes(size as usize)?;
    source.skip(padded(size) - size)?;
    Ok(body)
}

fn header_name(header: &[u8]) -> Vec<u8> {
    let name = until_zero(&header[..100]);
    let prefix = until_zero(&header[345..500]);
    // The prefix is ustar's; GNU uses the place for times.
    if &header[257..263] == b"ustar\0" && !prefix.is_empty() { [prefix, b"/", name].concat() } else { name.to_vec() }
}

/// Records of the form `LENGTH KEY=VALUE\n`.
fn pax(mut records: &[u8], extension: &mut Extension) {
    while let Some(space) = records.iter().position(|&byte| byte == b' ') {
        let length = std::str::from_utf8(&records[..space]).ok().and_then(|text| text.parse::<usize>().ok());
        let Some(record) = length.and_then(|length| records.get(space + 1..length)) else { return };
        records = &records[space + 1 + record.len()..];
        let record = record.strip_suffix(b"\n").unwrap_or(record);
        let Some(equals) = record.iter().position(|&byte| byte == b'=') else { continue };
        let value = &record[equals + 1..];
        match &record[..equals] {
            b"path" | b"GNU.sparse.name" => extension.name = Some(value.to_vec()),
            b"size" => extension.size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
            _ => {}
        }
    }
}

/// Scans what follows an archive, plainly.
pub(super) fn rest(session: &mut Session<'_>, place: &Place, source: &mut Source<'_>) -> io::Result<()> {
    let packed = source.taken();
    let mut meter = Meter::new(session, packed, source);
    crate::engine::scan_stream(session, place, &mut meter)
}
