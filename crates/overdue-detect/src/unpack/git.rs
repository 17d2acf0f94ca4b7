//! What git leaves in archives: loose objects and bundles. Packs are in [`super::pack`].
//!
//! A loose object is a zlib stream, which has no magic worth the name: it is known by its place in `objects/` as well.

use std::io::{self, Read};

use overdue_core::GapReason;

use super::codec::settle;
use super::meter::Meter;
use super::source::Source;
use super::{Resumed, pack, scan_reader};
use crate::engine::scan_slice;
use crate::session::{Place, Session};

/// The longest list of names that a bundle begins with.
const BUNDLE_HEAD_BYTES_MAX: usize = 4 << 20;
/// What an object says of itself: its kind and its size.
const HEAD_BYTES_MAX: u64 = 64;

/// Whether a bundle begins here.
pub(super) fn is_bundle(head: &[u8]) -> bool {
    head.starts_with(b"# v2 git bundle\n") || head.starts_with(b"# v3 git bundle\n")
}

/// Whether an artifact of this name that begins so is a loose object.
pub(super) fn is_loose(name: &str, head: &[u8]) -> bool {
    let mut parts = name.rsplit(['/', '\\']);
    let (file, folder, objects) = (parts.next(), parts.next(), parts.next());
    let hex = |text: Option<&str>, lengths: &[usize]| {
        text.is_some_and(|text| lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let zlib = matches!(head, [method, flags, ..] if method & 0x8f == 8 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0);
    zlib && hex(file, &[38, 62]) && hex(folder, &[2]) && objects == Some("objects")
}

/// Scans the object, behind what it says it is.
pub(super) fn loose(session: &mut Session<'_>, place: &Place, reader: &mut dyn Read) -> io::Result<()> {
    let mut source = Source::new(reader);
    let packed = source.taken();
    let inner = place.decompressed("git");
    let mut meter = Meter::new(session, packed, flate2::bufread::ZlibDecoder::new(&mut source));
    let mut head = Vec::new();
    let began = (&mut meter).take(HEAD_BYTES_MAX).read_to_end(&mut head);
    // `blob 12`, a zero, and the content. Trees hold names and ids alone.
    let is_head = |head: &[u8]| [&b"blob "[..], b"commit ", b"tag ", b"tree "].iter().any(|kind| head.starts_with(kind));
    let content = memchr::memchr(0, &head).filter(|_| is_head(&head)).map_or(0, |at| at + 1);
    let scanned = match began {
        Ok(_) if head.starts_with(b"tree ") => Ok(()),
        began => scan_reader(session, &inner, None, &mut Resumed { head: &head[content..], error: began.err(), reader: &mut meter }),
    };
    let outcome = scanned.and_then(|()| meter.drain());
    let hit = meter.hit.take().map(|stop| (stop.reason, stop.detail));
    drop(meter);
    settle(session, place, &source, hit, outcome)
}

/// Scans the names, then the pack that follows them.
pub(super) fn bundle(session: &mut Session<'_>, place: &Place, reader: &mut dyn Read) -> io::Result<()> {
    let mut source = Source::new(reader);
    let outcome = parts(session, place, &mut source);
    settle(session, place, &source, None, outcome)
}

fn parts(session: &mut Session<'_>, place: &Place, source: &mut Source<'_>) -> io::Result<()> {
    let mut names = Vec::new();
    // An empty line ends the names.
    while !names.ends_with(b"\n\n") && names.len() < BUNDLE_HEAD_BYTES_MAX {
        let ahead = source.ahead(1)?;
        if ahead.is_empty() {
            break;
        }
        let step = memchr::memchr(b'\n', ahead).map_or(ahead.len(), |at| at + 1);
        names.extend_from_slice(&ahead[..step]);
        io::BufRead::consume(source, step);
    }
    scan_slice(session, place, &names);
    if pack::is_header(source.peek(12)?) {
        return pack::scan(session, place, source);
    }
    session.gap(&place.path, GapReason::Corrupt, "the bundle holds no pack that is understood; its bytes were scanned as they are");
    super::tar::rest(session, place, source)
}
