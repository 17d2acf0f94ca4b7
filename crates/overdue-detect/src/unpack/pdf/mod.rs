//! PDF: streams inflated, text put together as one reads it, embedded files opened.
//!
//! No reader of the whole format: the file is read from front to end, streams are known by their keyword and end at theirs,
//! lengths and tables of contents are not asked. What stands between streams is scanned as it is, and its strings as text.
//! A page's text is joined from the pieces it is shown in. Fonts that number their glyphs say what they mean in a map which
//! often comes last, so the numbers are kept until the end and read by every map there is.

mod cmap;
mod filters;
mod text;

use std::io::{self, BufRead, Read};

use overdue_core::GapReason;

use self::cmap::Map;
use self::text::{Mode, PageText, Steps, readable, written};
use super::codec::settle;
use super::held::Held;
use super::meter::Meter;
use super::source::Source;
use super::tar::counted;
use super::{Resumed, distil, scan_reader};
use crate::engine::{scan_slice, scan_stream};
use crate::session::{Place, Session};

/// What stands between streams is scanned when so many bytes have come together.
const BETWEEN_BYTES: usize = 256 << 10;
/// How much of it is looked at again with what follows, and how far back a stream's dictionary begins.
const OVERLAP_BYTES: usize = 32 << 10;
/// How much of a stream is read to know a map of glyphs.
const HEAD_BYTES: u64 = 64 << 10;
/// More maps than this are not asked.
const MAPS_MAX: usize = 32;

pub(super) fn is_header(head: &[u8]) -> bool {
    head.starts_with(b"%PDF-")
}

/// Scans all there is.
pub(super) fn scan(session: &mut Session<'_>, place: &Place, reader: &mut dyn Read) -> io::Result<()> {
    let mut source = Source::new(reader);
    let mut seen =
        Seen { shown: Held::new(session), pages: Vec::new(), maps: Vec::new(), damaged: 0, unread: 0, encrypted: false, full: false };
    let outcome = parts(session, place, &mut source, &mut seen);
    if !session.budget.is_spent() {
        seen.read_by_maps(session, place);
        seen.tell(session, place);
    }
    settle(session, place, &source, None, outcome)
}

/// What is only known at the end.
struct Seen {
    /// What was shown on all pages, in glyphs.
    shown: Held,
    pages: Vec<Page>,
    maps: Vec<Map>,
    damaged: u64,
    unread: u64,
    encrypted: bool,
    full: bool,
}

/// A page of which the glyphs were kept.
struct Page {
    place: Place,
    /// Where they begin.
    start: usize,
    has_steps: bool,
}

/// Scans what was shown on a page.
fn read(session: &mut Session<'_>, page: &Place, shown: &[u8], has_steps: bool, meaning: impl Fn(&[u8], &mut Vec<u8>)) {
    let both = [Steps::Spaces, Steps::Nothing];
    for steps in &both[..1 + usize::from(has_steps)] {
        let text = written(shown, *steps, &meaning);
        session.budget.spend_unpacked(text.len() as u64, session.limits);
        if session.budget.is_spent() {
            return;
        }
        let mark = session.mark();
        scan_slice(session, &page.wrapped("pdf text"), &text);
        session.forget_lines(mark, &page.path);
    }
}

impl Seen {
    fn read_by_maps(&self, session: &mut Session<'_>, place: &Place) {
        for (at, page) in self.pages.iter().enumerate() {
            let end = self.pages.get(at + 1).map_or(self.shown.len(), |next| next.start);
            for map in &self.maps {
                read(session, &page.place, &self.shown[page.start..end], page.has_steps, |glyphs, text| map.read(glyphs, text));
            }
        }
        if self.maps.len() >= MAPS_MAX {
            session.gap(&place.path, GapReason::TooMany, format!("{MAPS_MAX} fonts number their glyphs; those of more were not read"));
        }
    }

    fn tell(&self, session: &mut Session<'_>, place: &Place) {
        if self.encrypted {
            session.gap(&place.path, GapReason::Encrypted, "the document is encrypted; its bytes were scanned as they are");
        } else if self.damaged > 0 {
            session.gap(
                &place.path,
                GapReason::Corrupt,
                format!("{} damaged streams; what came before the damage was scanned", self.damaged),
            );
        }
        if self.unread > 0 {
            let what = format!("{} streams are packed in a way that is not opened; their bytes were scanned as they are", self.unread);
            session.gap(&place.path, GapReason::Unsupported, what);
        }
        if self.full {
            let what = format!(
                "shows more text than is put together, {} bytes in all (seekable_bytes_max) and 8 MiB a page; its bytes were scanned as they are",
                session.limits.seekable_bytes_max
            );
            session.gap(&place.path, GapReason::TooLarge, what);
        }
    }
}

fn parts(session: &mut Session<'_>, place: &Place, source: &mut Source<'_>, seen: &mut Seen) -> io::Result<()> {
    const KEYWORD: &[u8] = b"stream";
    let mut between = Vec::new();
    // What was scanned already, and where the last stream ended.
    let (mut overlap, mut ended) = (0, 0);
    loop {
        let ahead = source.ahead(1 << 10)?;
        if ahead.is_empty() || session.budget.is_spent() {
            break;
        }
        let at_end = ahead.len() < 1 << 10;
        let found = memchr::memmem::find(ahead, KEYWORD).filter(|&at| at + KEYWORD.len() + 2 <= ahead.len() || at_end);
        // The keyword may begin in the last bytes here.
        let step = found.map_or(if at_end { ahead.len() } else { ahead.len() - KEYWORD.len() - 2 }, |at| at + KEYWORD.len());
        between.extend_from_slice(&ahead[..step]);
        let newline = match &ahead[step..] {
            [b'\r', b'\n', ..] => 2,
            [b'\n' | b'\r', ..] => 1,
            _ => 0,
        };
        let begins = found.is_some() && newline > 0 && !between.ends_with(b"endstream");
        source.consume(step);
        if begins {
            source.skip(newline)?;
            let dictionary = Dictionary::of(&between[ended..], source.taken().get());
            seen.encrypted |= dictionary.is_encrypted();
            if !stream(session, place, source, seen, &dictionary)? {
                return Ok(());
            }
            between.push(b'\n');
            ended = between.len();
        }
        if between.len() >= BETWEEN_BYTES {
            seen.encrypted |= encrypts(&between);
            flush(session, place, &between);
            overlap = OVERLAP_BYTES;
            let gone = between.len() - overlap;
            between.drain(..gone);
            ended = ended.saturating_sub(gone);
        }
    }
    if between.len() > overlap {
        seen.encrypted |= encrypts(&between);
        flush(session, place, &between);
    }
    Ok(())
}

/// Scans what stands between streams, and its strings as text.
fn flush(session: &mut Session<'_>, place: &Place, between: &[u8]) {
    let mark = session.mark();
    scan_slice(session, place, between);
    let mut strings = Vec::new();
    distil::Distiller::feed(&mut PageText::new(Mode::Strings), between, &mut strings);
    scan_slice(session, &place.wrapped("pdf text"), &strings);
    session.forget_lines(mark, &place.path);
}

/// Whether a trailer says that the document is encrypted.
fn encrypts(text: &[u8]) -> bool {
    const NAME: &[u8] = b"/Encrypt";
    memchr::memmem::find_iter(text, NAME).any(|at| matches!(text[at + NAME.len()..].trim_ascii_start(), [b'0'..=b'9' | b'<', ..]))
}

/// What stands before a stream.
struct Dictionary<'b> {
    text: &'b [u8],
    name: String,
}

impl<'b> Dictionary<'b> {
    fn of(between: &'b [u8], offset: u64) -> Self {
        let from = between.len().saturating_sub(OVERLAP_BYTES);
        let text = &between[from..];
        let Some(at) = memchr::memmem::rfind(text, b" obj") else { return Self { text, name: format!("stream at {offset}") } };
        // `12 0 obj`
        let mut words = text[..at].rsplit(|byte| byte.is_ascii_whitespace());
        let number = words.nth(1).filter(|word| (1..=10).contains(&word.len()) && word.iter().all(u8::is_ascii_digit));
        let name = number.map_or_else(|| format!("stream at {offset}"), |number| format!("object {}", String::from_utf8_lossy(number)));
        Self { text: &text[at..], name }
    }

    fn says(&self, name: &str) -> bool {
        memchr::memmem::find_iter(self.text, name.as_bytes())
            .any(|at| self.text.get(at + name.len()).is_none_or(|byte| !byte.is_ascii_alphanumeric()))
    }

    fn is_encrypted(&self) -> bool {
        self.says("/XRef") && encrypts(self.text)
    }

    /// The names after `/Filter`.
    fn filters(&self) -> Vec<&'b [u8]> {
        let after = |key: &str| {
            memchr::memmem::find_iter(self.text, key.as_bytes())
                .map(|at| at + key.len())
                .find(|&at| self.text.get(at).is_some_and(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'[')))
        };
        let Some(at) = after("/Filter") else { return Vec::new() };
        let value = self.text[at..].trim_ascii_start();
        let value = match value {
            [b'[', list @ ..] => list.split(|&byte| byte == b']').next().unwrap_or_default(),
            [b'/', name @ ..] => {
                let end = name.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(name.len());
                &value[..=end]
            }
            _ => &[],
        };
        value.split(|&byte| byte == b'/').skip(1).map(<[u8]>::trim_ascii).collect()
    }
}

/// Scans a stream, up to behind its end. False when nothing more can be read.
fn stream(
    session: &mut Session<'_>,
    place: &Place,
    source: &mut Source<'_>,
    seen: &mut Seen,
    dictionary: &Dictionary<'_>,
) -> io::Result<bool> {
    if !counted(session) {
        return Ok(false);
    }
    let inner = place.entry(dictionary.name.as_bytes());
    let packed = source.taken();
    let mut body = Body { source, clear: 0, ended: false };
    let (decoder, unread) = filters::chain(Box::new(&mut body), &dictionary.filters());
    seen.unread += u64::from(unread);
    let mut meter = Meter::new(session, packed, decoder);
    let scanned = content(session, &inner, seen, dictionary, &mut meter);
    let outcome = scanned.and_then(|()| meter.drain());
    let hit = meter.hit.take();
    drop(meter);
    // Up to the end, whatever became of what is inside.
    let drained = io::copy(&mut body, &mut io::sink());
    if let Some(error) = source.error() {
        return Err(error);
    }
    drained?;
    if session.budget.is_spent() {
        return Ok(false);
    }
    if let Some(stop) = hit {
        session.gap(&inner.path, stop.reason, stop.detail);
    } else if outcome.is_err() {
        seen.damaged += 1;
    }
    Ok(true)
}

fn content(session: &mut Session<'_>, inner: &Place, seen: &mut Seen, dictionary: &Dictionary<'_>, meter: &mut dyn Read) -> io::Result<()> {
    if dictionary.says("/XRef") {
        return Ok(());
    }
    if dictionary.says("/EmbeddedFile") {
        return scan_reader(session, inner, None, meter);
    }
    let mark = session.mark();
    if dictionary.says("/Image") {
        let outcome = scan_stream(session, inner, meter);
        session.forget_lines(mark, &inner.path);
        return outcome;
    }
    let mut head = Vec::new();
    let error = (&mut *meter).take(HEAD_BYTES).read_to_end(&mut head).err();
    if memchr::memmem::find(&head, b"begincmap").is_some() && seen.maps.len() < MAPS_MAX {
        seen.maps.extend(Map::of(&head));
    }
    let mode = if dictionary.says("/ObjStm") { Mode::Strings } else { Mode::Page };
    let mut page = PageText::new(mode);
    let outcome = distil::scan(session, inner, "pdf text", &mut page, &mut Resumed { head: &head, error, reader: meter });
    session.forget_lines(mark, &inner.path);
    let shown = page.into_shown();
    if !shown.bytes.is_empty() {
        read(session, inner, &shown.bytes, shown.has_steps, |glyphs, text| text.extend(readable(glyphs)));
        let start = seen.shown.len();
        seen.full |= shown.cut || !seen.shown.push(&shown.bytes);
        seen.pages.push(Page { place: inner.clone(), start, has_steps: shown.has_steps });
    }
    outcome
}

/// The bytes of a stream: up to the keyword that ends it, whatever length it declares.
struct Body<'s, 'r> {
    source: &'s mut Source<'r>,
    /// Bytes ahead that are known to be the stream's.
    clear: usize,
    ended: bool,
}

impl BufRead for Body<'_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        const END: &[u8] = b"endstream";
        if self.ended {
            return Ok(&[]);
        }
        let ahead = self.source.ahead(32)?;
        if self.clear == 0 {
            self.clear = match memchr::memmem::find(ahead, END) {
                Some(at) => at,
                // The keyword may begin in the last bytes here.
                None if ahead.len() >= 32 => ahead.len() - END.len() + 1,
                None => ahead.len(),
            };
            self.ended = self.clear == 0;
        }
        Ok(&ahead[..self.clear.min(ahead.len())])
    }

    fn consume(&mut self, n: usize) {
        self.clear = self.clear.saturating_sub(n);
        self.source.consume(n);
    }
}

impl Read for Body<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let here = self.fill_buf()?;
        let n = here.len().min(out.len());
        out[..n].copy_from_slice(&here[..n]);
        self.consume(n);
        Ok(n)
    }
}
