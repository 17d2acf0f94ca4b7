//! Unpacking: archives and compressions, opened as they stream by.
//!
//! Promise: a container is known by its first bytes, and by its name only where those say nothing ([`named`]); it is read
//! once from front to end, or in memory up to a limit where it must be sought in; nothing is written to disk; nothing it says
//! of sizes is believed. What cannot be opened, what is damaged and what goes over a limit is a gap, and everything before it
//! was looked at.

mod ar;
mod codec;
mod cpio;
mod distil;
mod git;
mod held;
mod meter;
mod office;
mod pack;
mod pdf;
mod rpm;
mod sevenz;
mod source;
mod sqlite;
mod tar;
mod zip;

use std::io::{self, Read};

use overdue_core::GapReason;

use crate::decode::{Utf16Reader, sniff_utf16};
use crate::engine::{scan_slice, scan_stream};
use crate::session::{Place, Session};

/// How much of an artifact is read to know what it is. Whatever is shorter than this is scanned where it lies.
const HEAD_BYTES: usize = 64 << 10;

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    Zip,
    Tar,
    Ar,
    Gzip,
    Zstd,
    Xz,
    Lzip,
    Bzip2,
    Lz4,
    Brotli,
    SevenZ,
    Cpio,
    Rpm,
    Pdf,
    Sqlite,
    GitPack,
    GitBundle,
    GitLoose,
    Office(office::Dialect),
    /// Known and not opened, by its name.
    Closed(&'static str),
}

fn sniff(head: &[u8]) -> Option<Container> {
    match head {
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Container::Zip),
        // A split archive that is in one piece.
        [b'P', b'K', 7, 8, b'P', b'K', 3, 4, ..] => Some(Container::Zip),
        [0x1f, 0x8b, 8, flags, ..] if flags & 0xe0 == 0 => Some(Container::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Container::Zstd),
        // A skippable frame, which comes first in seekable files.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Container::Zstd),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Container::Xz),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Some(Container::Bzip2),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => Some(Container::Bzip2),
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => Some(Container::SevenZ),
        [b'R', b'a', b'r', b'!', 0x1a, 7, ..] => Some(Container::Closed("rar")),
        [4, 0x22, 0x4d, 0x18, ..] => Some(Container::Lz4),
        [0xed, 0xab, 0xee, 0xdb, ..] => Some(Container::Rpm),
        [b'M', b'S', b'C', b'F', 0, 0, 0, 0, ..] => Some(Container::Closed("cabinet")),
        [b'L', b'Z', b'I', b'P', 1, ..] => Some(Container::Lzip),
        _ if head.starts_with(sqlite::MAGIC) => Some(Container::Sqlite),
        _ if cpio::is_header(head) => Some(Container::Cpio),
        _ if pdf::is_header(head) => Some(Container::Pdf),
        _ if pack::is_header(head) => Some(Container::GitPack),
        _ if git::is_bundle(head) => Some(Container::GitBundle),
        _ if head.starts_with(b"!<arch>\n") => Some(Container::Ar),
        _ if tar::is_header(head) => Some(Container::Tar),
        _ => None,
    }
}

/// What the name says, of what has no first bytes of its own.
fn named(place: &Place, head: &[u8]) -> Option<Container> {
    if git::is_loose(&place.name, head) {
        return Some(Container::GitLoose);
    }
    if codec::is_brotli(&place.name, head) {
        return Some(Container::Brotli);
    }
    office::dialect(place).map(Container::Office)
}

/// Whether the bytes begin like something that is opened.
pub(crate) fn is_container(head: &[u8]) -> bool {
    sniff(head).is_some()
}

/// Scans what is in memory.
pub(crate) fn scan_bytes(session: &mut Session<'_>, place: &Place, bytes: &[u8]) {
    if sniff(bytes).is_none() && named(place, bytes).is_none() && sniff_utf16(bytes).is_none() {
        scan_slice(session, place, bytes);
    } else {
        // A slice has no faults of its own.
        let _ = scan_reader(session, place, None, &mut &bytes[..]);
    }
}

/// Scans what comes from a reader. An error is the reader's own; all else is in the session. `size_hint` only saves memory.
pub(crate) fn scan_reader(session: &mut Session<'_>, place: &Place, size_hint: Option<u64>, reader: &mut dyn Read) -> io::Result<()> {
    let expected = size_hint.unwrap_or(HEAD_BYTES as u64).min(HEAD_BYTES as u64) as usize;
    let mut head = Vec::with_capacity(expected.max(1024) + 1);
    let outcome = (&mut *reader).take(HEAD_BYTES as u64).read_to_end(&mut head);
    let whole = head.len() < HEAD_BYTES;
    let container = sniff(&head).or_else(|| named(place, &head));
    let wide = sniff_utf16(&head);
    if container.is_none() && wide.is_none() && (whole || outcome.is_err()) {
        scan_slice(session, place, &head);
        return outcome.map(|_| ());
    }
    let mut rest = Resumed { head: &head, error: outcome.err(), reader };
    match container {
        Some(container) => open(session, place, container, &mut rest),
        None => match wide {
            Some(little) => {
                let place = place.wrapped(if little { "utf-16le" } else { "utf-16be" });
                scan_stream(session, &place, &mut Utf16Reader::new(&mut rest, little))
            }
            None => scan_stream(session, place, &mut rest),
        },
    }
}

/// What was read to know it, then the rest.
struct Resumed<'r> {
    head: &'r [u8],
    error: Option<io::Error>,
    reader: &'r mut dyn Read,
}

impl Read for Resumed<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if !self.head.is_empty() {
            return self.head.read(out);
        }
        match self.error.take() {
            Some(error) => Err(error),
            None => self.reader.read(out),
        }
    }
}

fn open(session: &mut Session<'_>, place: &Place, container: Container, reader: &mut dyn Read) -> io::Result<()> {
    if let Container::Closed(name) = container {
        session.gap(
            &place.path,
            GapReason::Unsupported,
            format!("a {name} archive, which is not opened; its bytes were scanned as they are"),
        );
        return scan_stream(session, place, reader);
    }
    // A part of a document is in no archive of its own.
    if place.archive_depth >= session.limits.archive_depth_max && !matches!(container, Container::Office(_)) {
        let what = format!("archives inside one another, more than {} (archive_depth_max)", session.limits.archive_depth_max);
        session.gap(&place.path, GapReason::TooDeep, what);
        return scan_stream(session, place, reader);
    }
    match container {
        Container::Zip => zip::scan(session, place, reader),
        Container::Tar => tar::scan(session, place, reader),
        Container::Ar => ar::scan(session, place, reader),
        Container::Gzip => codec::scan(session, place, codec::Codec::Gzip, reader),
        Container::Zstd => codec::scan(session, place, codec::Codec::Zstd, reader),
        Container::Xz => codec::scan(session, place, codec::Codec::Xz, reader),
        Container::Lzip => codec::scan(session, place, codec::Codec::Lzip, reader),
        Container::Bzip2 => codec::scan(session, place, codec::Codec::Bzip2, reader),
        Container::Lz4 => codec::scan(session, place, codec::Codec::Lz4, reader),
        Container::Brotli => codec::scan(session, place, codec::Codec::Brotli, reader),
        Container::SevenZ => sevenz::scan(session, place, reader),
        Container::Cpio => cpio::scan(session, place, reader),
        Container::Rpm => rpm::scan(session, place, reader),
        Container::Pdf => pdf::scan(session, place, reader),
        Container::Sqlite => sqlite::scan(session, place, reader),
        Container::GitPack => pack::scan(session, place, reader),
        Container::GitBundle => git::bundle(session, place, reader),
        Container::GitLoose => git::loose(session, place, reader),
        Container::Office(dialect) => office::scan(session, place, dialect, reader),
        Container::Closed(_) => Ok(()),
    }
}
