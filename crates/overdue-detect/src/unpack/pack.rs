//! Git's packs: every object of a repository one after the other.
//!
//! Objects are scanned as they come; one that is written as the difference to another is put together from it. That one is
//! still in memory, or is made again where the whole pack is: one that fits in half of `seekable_bytes_max`. Where neither
//! is so, the bytes the difference brings along are scanned, and that is a gap. An object's place is its id, with which
//! `git show` and `git log --find-object` go on.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read};
use std::rc::Rc;

use overdue_core::GapReason;
use sha1::{Digest, Sha1};

use super::codec::{fault, settle};
use super::held::{Filled, Held};
use super::meter::Meter;
use super::scan_reader;
use super::source::Source;
use super::tar::{counted, rest};
use super::{Resumed, scan_bytes};
use crate::engine::scan_slice;
use crate::session::{Place, Session};

/// The largest object that is held in memory, to be named and to be a base, as a part of `seekable_bytes_max`.
const OBJECT_PART: u64 = 16;
/// The longest chain of differences that is made again; git's own longest is 250 unless it is told otherwise.
const CHAIN_MAX: usize = 1024;
/// What a held object costs besides its bytes.
const OBJECT_OVERHEAD_BYTES: u64 = 128;
/// A pack ends in its checksum, of SHA-1 or of SHA-256.
const CHECKSUM_BYTES_MAX: usize = 32;
/// An object's kind and size, and which object it is the difference to.
const HEADER_BYTES_MAX: usize = 48;

type Id = [u8; 20];

/// Whether a pack begins here.
pub(super) fn is_header(head: &[u8]) -> bool {
    matches!(head, [b'P', b'A', b'C', b'K', 0, 0, 0, 2 | 3, ..])
}

/// Scans every object.
pub(super) fn scan(session: &mut Session<'_>, place: &Place, reader: &mut dyn Read) -> io::Result<()> {
    let mut pack = Held::new(session);
    let (outcome, whole) = match pack.fill(reader, session.limits.seekable_bytes_max / 2) {
        Ok(filled) => (Ok(()), filled == Filled::Whole),
        Err(error) => (Err(error), true),
    };
    if whole {
        let mut bytes = &*pack;
        let mut source = Source::new(&mut bytes);
        let scanned = objects(session, place, &mut source, Some(&pack));
        settle(session, place, &source, None, scanned)?;
        return outcome;
    }
    let mut rest = Spilled { pack: Some(pack), at: 0, reader };
    let mut source = Source::new(&mut rest);
    let outcome = objects(session, place, &mut source, None);
    settle(session, place, &source, None, outcome)
}

/// A pack that turned out too large to hold: what was read of it, let go once it was given, then the rest.
struct Spilled<'r> {
    pack: Option<Held>,
    at: usize,
    reader: &'r mut dyn Read,
}

impl Read for Spilled<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Some(pack) = &self.pack {
            let n = (&pack[self.at..]).read(out)?;
            self.at += n;
            if n > 0 || out.is_empty() {
                return Ok(n);
            }
            self.pack = None;
        }
        self.reader.read(out)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Commit,
    Tree,
    Blob,
    Tag,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }
}

/// What an object's header says.
enum Form {
    Whole(Kind),
    /// The difference to the object so many bytes before.
    Before(u64),
    /// The difference to the object of this id.
    Named(Id),
}

/// An object that others may build on. Of a tree only that it is one.
struct Base {
    kind: Kind,
    bytes: Held,
}

impl Base {
    fn new(kind: Kind, mut bytes: Held) -> Self {
        if kind == Kind::Tree {
            bytes.clear();
        }
        Self { kind, bytes }
    }
}

/// Objects in memory, the oldest of which are let go first.
#[derive(Default)]
struct Bases {
    by_offset: HashMap<u64, Rc<Base>>,
    by_id: HashMap<Id, u64>,
    order: VecDeque<(u64, Option<Id>)>,
    bytes: u64,
}

impl Bases {
    /// Where the object stands that this one is the difference to.
    fn offset(&self, form: &Form, here: u64) -> Option<u64> {
        match form {
            Form::Whole(_) => None,
            Form::Before(back) => here.checked_sub(*back),
            Form::Named(id) => self.by_id.get(id).copied(),
        }
    }

    /// The object that this one is the difference to, made again from the pack where it was let go.
    fn find(&mut self, session: &Session<'_>, pack: Option<&[u8]>, form: &Form, here: u64) -> Option<Rc<Base>> {
        let mut at = self.offset(form, here)?;
        let mut chain = Vec::new();
        let mut base = loop {
            if let Some(base) = self.by_offset.get(&at) {
                break Rc::clone(base);
            }
            let bytes = pack?.get(usize::try_from(at).ok()?..)?;
            let (form, length) = parsed(&bytes[..bytes.len().min(HEADER_BYTES_MAX)])?;
            let packed = bytes.get(length..)?;
            match form {
                Form::Whole(Kind::Tree) => break Rc::new(Base { kind: Kind::Tree, bytes: Held::new(session) }),
                Form::Whole(kind) => {
                    let base = Rc::new(Base { kind, bytes: inflated(session, packed)? });
                    self.keep(at, None, &base, bases_max(session, pack));
                    break base;
                }
                _ => {
                    chain.push((at, packed));
                    at = self.offset(&form, at)?;
                }
            }
            (chain.len() <= CHAIN_MAX).then_some(())?;
        };
        while let Some((at, packed)) = chain.pop().filter(|_| base.kind != Kind::Tree) {
            let mut bytes = Held::new(session);
            apply(&base.bytes, &inflated(session, packed)?, &mut bytes, object_max(session))?;
            session.budget.spend_unpacked(bytes.len() as u64, session.limits);
            base = Rc::new(Base { kind: base.kind, bytes });
            self.keep(at, None, &base, bases_max(session, pack));
        }
        Some(base)
    }

    fn keep(&mut self, offset: u64, id: Option<Id>, base: &Rc<Base>, most: u64) {
        let size = base.bytes.len() as u64 + OBJECT_OVERHEAD_BYTES;
        while self.bytes + size > most && self.drop_oldest() {}
        if self.bytes + size <= most {
            self.bytes += size;
            self.by_offset.insert(offset, Rc::clone(base));
            self.order.push_back((offset, id));
            if let Some(id) = id {
                self.by_id.insert(id, offset);
            }
        }
    }

    fn drop_oldest(&mut self) -> bool {
        let Some((offset, id)) = self.order.pop_front() else { return false };
        if let Some(base) = self.by_offset.remove(&offset) {
            self.bytes = self.bytes.saturating_sub(base.bytes.len() as u64 + OBJECT_OVERHEAD_BYTES);
        }
        if let Some(id) = id.filter(|id| self.by_id.get(id) == Some(&offset)) {
            self.by_id.remove(&id);
        }
        true
    }
}

/// The largest object that is held.
fn object_max(session: &Session<'_>) -> u64 {
    session.limits.seekable_bytes_max / OBJECT_PART
}

/// What all bases may take: half of what may be held, less where the pack itself takes half.
fn bases_max(session: &Session<'_>, pack: Option<&[u8]>) -> u64 {
    session.limits.seekable_bytes_max / if pack.is_some() { 4 } else { 2 }
}

/// A packed object of the pack in memory; `None` where it is damaged or too large.
fn inflated(session: &Session<'_>, packed: &[u8]) -> Option<Held> {
    let mut bytes = Held::new(session);
    let filled = bytes.fill(&mut flate2::bufread::ZlibDecoder::new(packed), object_max(session)).ok()?;
    session.budget.spend_unpacked(bytes.len() as u64, session.limits);
    (filled == Filled::Whole && !session.budget.is_spent()).then_some(bytes)
}

/// Scans the objects of the pack that begins here; `pack` is all of it, where it is in memory.
fn objects(session: &mut Session<'_>, place: &Place, source: &mut Source<'_>, pack: Option<&[u8]>) -> io::Result<()> {
    let taken = source.taken();
    let start = taken.get();
    let head = source.bytes(12)?.unwrap_or_default();
    let declared = head.get(8..12).map_or(0, |four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]));
    let mut bases = Bases::default();
    let (mut apart, mut lost) = (0u64, false);
    let mut fault = head.is_empty().then_some("the pack ends in its header");
    for _ in 0..declared {
        if session.budget.is_spent() {
            break;
        }
        if source.peek(CHECKSUM_BYTES_MAX + 1)?.len() <= 20 {
            fault = Some("the pack ends before its last object does");
            break;
        }
        let offset = taken.get() - start;
        let Some(form) = header(source)? else {
            fault = Some("an object's header makes no sense; what follows was scanned as it is");
            break;
        };
        if !counted(session) {
            break;
        }
        match object(session, place, source, &mut bases, pack, (offset, &form))? {
            Outcome::Scanned => {}
            Outcome::Apart => apart += 1,
            // Where the next object begins is lost with this one's end.
            Outcome::Lost => {
                lost = true;
                break;
            }
        }
    }
    if apart > 0 {
        let what = format!("{apart} objects are differences to others that are not at hand; the bytes they bring along were scanned");
        session.gap(&place.path, GapReason::Unsupported, what);
    }
    drop(bases);
    if session.budget.is_spent() {
        return Ok(());
    }
    if fault.is_none() && !lost && source.peek(CHECKSUM_BYTES_MAX + 1)?.len() > CHECKSUM_BYTES_MAX {
        fault = Some("goes on after its last object; what follows was scanned as it is");
    }
    if let Some(fault) = fault {
        session.gap(&place.path, GapReason::Corrupt, fault);
    }
    rest(session, place, source)
}

/// Takes an object's header. `None`: it is none.
fn header(source: &mut Source<'_>) -> io::Result<Option<Form>> {
    let parsed = parsed(source.peek(HEADER_BYTES_MAX)?);
    if let Some((_, length)) = parsed {
        source.skip(length as u64)?;
    }
    Ok(parsed.map(|(form, _)| form))
}

/// An object's header, and its length.
fn parsed(ahead: &[u8]) -> Option<(Form, usize)> {
    let mut at = 0;
    let kind = ahead.first()? >> 4 & 7;
    // The size, which the object itself says best.
    while ahead.get(at).is_some_and(|byte| byte & 0x80 != 0) {
        at += 1;
    }
    at += 1;
    let form = match kind {
        1 => Form::Whole(Kind::Commit),
        2 => Form::Whole(Kind::Tree),
        3 => Form::Whole(Kind::Blob),
        4 => Form::Whole(Kind::Tag),
        6 => {
            let mut back = 0u64;
            loop {
                let byte = *ahead.get(at)?;
                at += 1;
                back = back.checked_mul(128)? | u64::from(byte & 0x7f);
                if byte & 0x80 == 0 {
                    break;
                }
                back += 1;
            }
            Form::Before(back)
        }
        7 => {
            let id = ahead.get(at..at + 20)?;
            at += 20;
            Form::Named(id.try_into().unwrap_or_default())
        }
        _ => return None,
    };
    (at < ahead.len()).then_some((form, at))
}

enum Outcome {
    Scanned,
    /// A difference, scanned without what it is the difference to.
    Apart,
    Lost,
}

fn object(
    session: &mut Session<'_>,
    place: &Place,
    source: &mut Source<'_>,
    bases: &mut Bases,
    pack: Option<&[u8]>,
    (offset, form): (u64, &Form),
) -> io::Result<Outcome> {
    let whole_max = object_max(session);
    let by_offset = place.entry(format!("@{offset}").as_bytes());
    let mut bytes = Held::new(session);
    // Bases give way to what is read now.
    while bytes.room() < 3 * whole_max && bases.drop_oldest() {}
    let packed = source.taken();
    let mut meter = Meter::new(session, packed, flate2::bufread::ZlibDecoder::new(&mut *source));
    let mut outcome = bytes.fill(&mut meter, whole_max);
    let mut apart = false;
    if matches!(outcome, Ok(Filled::Full)) {
        let scanned = match form {
            Form::Whole(Kind::Tree) => Ok(()),
            Form::Whole(_) => scan_reader(session, &by_offset, None, &mut Resumed { head: &bytes, error: None, reader: &mut meter }),
            _ => {
                apart = true;
                crate::engine::scan_stream(session, &by_offset, &mut Resumed { head: &bytes, error: None, reader: &mut meter })
            }
        };
        outcome = scanned.and_then(|()| meter.drain()).map(|()| Filled::Full);
    } else {
        let made = made(session, bases, pack, (offset, form), bytes);
        match made {
            Ok((kind, object)) => {
                let id = id(kind, &object);
                if kind != Kind::Tree {
                    scan_bytes(session, &place.entry(hex(&id).as_bytes()), &object);
                }
                if outcome.is_ok() {
                    bases.keep(offset, Some(id), &Rc::new(Base::new(kind, object)), bases_max(session, pack));
                }
            }
            Err(difference) => {
                apart = true;
                scan_slice(session, &by_offset, &brought_along(&difference));
            }
        }
    }
    let hit = meter.hit.take();
    drop(meter);
    if let Some(error) = source.error() {
        return Err(error);
    }
    if session.budget.is_spent() {
        return Ok(Outcome::Lost);
    }
    if let Some(stop) = hit {
        session.gap(&by_offset.path, stop.reason, format!("{}; the rest of the pack was scanned as it is", stop.detail));
        return Ok(Outcome::Lost);
    }
    if let Err(error) = outcome {
        let (reason, detail) = fault(&error);
        session.gap(&by_offset.path, reason, format!("{detail}; the rest of the pack was scanned as it is"));
        return Ok(Outcome::Lost);
    }
    Ok(if apart { Outcome::Apart } else { Outcome::Scanned })
}

/// The object that was meant. What the pack holds of it comes back where that is a difference to what is not at hand.
fn made(
    session: &mut Session<'_>,
    bases: &mut Bases,
    pack: Option<&[u8]>,
    (offset, form): (u64, &Form),
    bytes: Held,
) -> Result<(Kind, Held), Held> {
    if let Form::Whole(kind) = form {
        return Ok((*kind, bytes));
    }
    let Some(base) = bases.find(session, pack, form, offset) else { return Err(bytes) };
    let mut object = Held::new(session);
    if base.kind != Kind::Tree && apply(&base.bytes, &bytes, &mut object, object_max(session)).is_none() {
        return Err(bytes);
    }
    session.budget.spend_unpacked(object.len() as u64, session.limits);
    Ok((base.kind, object))
}

fn hex(id: &Id) -> String {
    id.iter().fold(String::with_capacity(40), |mut text, byte| {
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or_default());
        text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or_default());
        text
    })
}

/// An object's id.
fn id(kind: Kind, bytes: &[u8]) -> Id {
    let mut hasher = Sha1::new();
    hasher.update(format!("{} {}\0", kind.name(), bytes.len()));
    hasher.update(bytes);
    hasher.finalize().into()
}

/// One step of a difference.
enum Step<'d> {
    Copy(usize, usize),
    Insert(&'d [u8]),
}

/// The steps of a difference, after the two sizes it begins with; they end where it makes no sense.
fn steps(delta: &[u8]) -> impl Iterator<Item = Step<'_>> {
    let mut rest = delta;
    for _ in 0..2 {
        let size = rest.iter().position(|byte| byte & 0x80 == 0).map_or(rest.len(), |at| at + 1);
        rest = &rest[size..];
    }
    std::iter::from_fn(move || {
        let (&op, mut after) = rest.split_first()?;
        if op & 0x80 == 0 {
            let inserted = after.get(..usize::from(op)).filter(|_| op > 0)?;
            rest = &after[inserted.len()..];
            return Some(Step::Insert(inserted));
        }
        let mut numbers = [0usize; 2];
        for bit in 0..7 {
            if op >> bit & 1 != 0 {
                let (&byte, more) = after.split_first()?;
                after = more;
                if bit < 4 { numbers[0] |= usize::from(byte) << (8 * bit) } else { numbers[1] |= usize::from(byte) << (8 * (bit - 4)) }
            }
        }
        rest = after;
        Some(Step::Copy(numbers[0], if numbers[1] == 0 { 1 << 16 } else { numbers[1] }))
    })
}

/// Puts an object together; `None` when the difference is not one to this base, or makes too much.
fn apply(base: &[u8], delta: &[u8], out: &mut Held, most: u64) -> Option<()> {
    for step in steps(delta) {
        let piece = match step {
            Step::Copy(at, length) => base.get(at..at.checked_add(length)?)?,
            Step::Insert(bytes) => bytes,
        };
        (out.len() as u64 + piece.len() as u64 <= most && out.push(piece)).then_some(())?;
    }
    Some(())
}

/// The bytes that a difference brings along, a line each.
fn brought_along(delta: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(delta.len());
    for step in steps(delta) {
        if let Step::Insert(bytes) = step {
            out.extend_from_slice(bytes);
        }
        if matches!(step, Step::Copy(..)) && !out.ends_with(b"\n") {
            out.push(b'\n');
        }
    }
    out
}
