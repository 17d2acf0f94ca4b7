//! One pack: which objects it holds, in the order they lie in it, and their bytes.
//!
//! The index and the entry headers are parsed by gitoxide; deltas are resolved here, because an audit reads every object
//! once, in pack order, and wants each base kept exactly as long as something builds on it. Every size in a pack is a
//! claim by whoever made it: it is checked against a limit and against what the packed bytes could possibly unfold to
//! before memory is set aside.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use bytes::Bytes;
use gix_hash::{ObjectId, oid};
use gix_object::Kind;
use gix_pack::data::entry::Header;
use gix_zlib::Inflate;

use super::ReadError;

/// An object built by a delta has to be in memory, with its base: more than this is a gap.
pub(super) const DELTA_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// All that is unfolded on the way to one object: 50 deltas upon each other, 128 MiB each, is the worst git makes.
const DELTA_WORK_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// Deltas upon deltas. Git makes 50, and refuses to make more than 4,095.
const DELTA_CHAIN_MAX: usize = 4_096;
/// Deflate cannot do better than 1032:1; a header that claims more lies.
const DEFLATE_RATIO_MAX: u64 = 1_040;

/// Flags of an entry, beside its kind in the low bits.
const KIND: u8 = 0x07;
const IS_BASE: u8 = 0x08;
const DAMAGED: u8 = 0x10;

/// A pack and its index.
pub(super) struct Pack {
    /// Number in the shared cache: no two packs of a process share one.
    id: u64,
    pub(super) path: PathBuf,
    pub(super) index: gix_pack::index::File,
    pub(super) data: gix_pack::data::File,
    /// False for a pack of an alternate that another target lists.
    pub(super) listed: bool,
    order: OnceLock<Order>,
}

/// How an entry stands in its pack.
enum Link {
    /// By itself.
    Whole(Kind),
    /// As a delta upon the entry at this position.
    On(usize),
}

/// A pack's objects in the order they lie in it.
pub(super) struct Order {
    /// Where each begins, ascending.
    offsets: Vec<u64>,
    /// Its number in the index.
    entries: Vec<u32>,
    flags: Vec<u8>,
    /// How many cannot be read at all.
    pub(super) damaged: u64,
    /// What is wrong with the first of them, and with the pack as a whole.
    pub(super) damage: Option<String>,
}

impl Pack {
    pub(super) fn open(id: u64, path: &Path, hash: gix_hash::Kind, listed: bool) -> Result<Self, String> {
        let index = gix_pack::index::File::at(path.with_extension("idx"), hash).map_err(|error| chain(&error))?;
        let data = gix_pack::data::File::at(path, hash).map_err(|error| chain(&error))?.with_alloc_limit_bytes(Some(DELTA_BYTES_MAX as usize));
        Ok(Self { id, path: path.to_owned(), index, data, listed, order: OnceLock::new() })
    }

    pub(super) fn stem(&self) -> String {
        self.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Where an object of this pack begins.
    pub(super) fn offset_of(&self, id: &oid) -> Option<u64> {
        self.index.lookup(id).map(|entry| self.index.pack_offset_at_index(entry))
    }

    /// Whether listing this pack lists that object.
    pub(super) fn lists(&self, id: &oid) -> bool {
        let Some(offset) = self.offset_of(id) else { return false };
        let order = self.order();
        order.position(offset).is_some_and(|position| order.flags[position] & DAMAGED == 0)
    }

    /// The objects in pack order, found once.
    pub(super) fn order(&self) -> &Order {
        self.order.get_or_init(|| self.find_order())
    }

    fn find_order(&self) -> Order {
        let count = self.index.num_objects();
        let mut pairs: Vec<(u64, u32)> = (0..count).map(|entry| (self.index.pack_offset_at_index(entry), entry)).collect();
        pairs.sort_unstable();
        let offsets: Vec<u64> = pairs.iter().map(|pair| pair.0).collect();
        let entries: Vec<u32> = pairs.into_iter().map(|pair| pair.1).collect();
        let mut order = Order { flags: vec![0; offsets.len()], offsets, entries, damaged: 0, damage: None };
        if self.data.num_objects() != count {
            order.damage = Some(format!("it says it holds {} objects, its index {count}", self.data.num_objects()));
        }
        let whole = self.trailer_matches();
        if !whole {
            order.damage = Some("it is not the pack its index was made for: cut short, or changed".into());
        }
        let end = self.data.pack_end() as u64;
        // Deltas whose base has no kind yet: it lies behind them, or waits itself.
        let mut waiting: Vec<(usize, usize)> = Vec::new();
        for position in 0..order.offsets.len() {
            match self.link(&order, position, end) {
                Err(why) => order.mark_damaged(position, &why),
                Ok(Link::Whole(kind)) => order.flags[position] |= kind_bits(kind),
                Ok(Link::On(base)) => {
                    order.flags[base] |= IS_BASE;
                    if !order.inherit(position, base) {
                        waiting.push((position, base));
                    }
                }
            }
        }
        // Each round settles at least one level of a chain; a round that settles nothing leaves only circles.
        let mut before = usize::MAX;
        while waiting.len() < before {
            before = waiting.len();
            waiting.retain(|&(position, base)| !order.inherit(position, base));
        }
        for (position, _) in waiting {
            order.mark_damaged(position, "its delta chain goes in a circle");
        }
        if !whole {
            self.mark_cut(&mut order, end);
        }
        order
    }

    /// What the entry at a position is, or is built on.
    fn link(&self, order: &Order, position: usize, end: u64) -> Result<Link, String> {
        let offset = order.offsets[position];
        if offset >= end {
            return Err("it begins behind the end of the pack".into());
        }
        let entry = self.data.entry(offset).map_err(|error| chain(&error))?;
        let base = match entry.header {
            Header::OfsDelta { base_distance } => Header::verified_base_pack_offset(offset, base_distance),
            Header::RefDelta { base_id } => self.offset_of(&base_id),
            header => return header.as_kind().map(Link::Whole).ok_or_else(|| "it has no kind".into()),
        };
        base.and_then(|base| order.position(base)).map(Link::On).ok_or_else(|| "its delta base is not in the pack".into())
    }

    /// In a pack that was cut short, the last entry that begins in it may go on behind the cut.
    fn mark_cut(&self, order: &mut Order, end: u64) {
        let Some(last) = order.offsets.partition_point(|&offset| offset < end).checked_sub(1) else { return };
        let mut inflate = Inflate::default();
        let mut bytes = Vec::new();
        let readable = self.data.entry(order.offsets[last]).is_ok_and(|entry| {
            let size = entry.decompressed_size;
            self.plausible(&entry).is_ok() && size <= DELTA_BYTES_MAX && {
                bytes.resize(size as usize, 0);
                self.data.decompress_entry(&entry, &mut inflate, &mut bytes).is_ok()
            }
        });
        if !readable {
            order.mark_damaged(last, "its bytes end with the pack");
        }
        // What is built on a damaged entry is damaged too.
        let mut before = u64::MAX;
        while order.damaged != before {
            before = order.damaged;
            for position in 0..order.offsets.len() {
                if order.flags[position] & DAMAGED == 0
                    && let Ok(Link::On(base)) = self.link(order, position, end)
                    && order.flags[base] & DAMAGED != 0
                {
                    order.mark_damaged(position, "its delta base is damaged");
                }
            }
        }
    }

    fn trailer_matches(&self) -> bool {
        let end = self.data.pack_end() as u64;
        self.data.entry_slice(end..self.data.data_len() as u64).is_some_and(|trailer| trailer == self.index.pack_checksum().as_slice())
    }

    /// An entry's declared size against what its packed bytes could give.
    fn plausible(&self, entry: &gix_pack::data::Entry) -> Result<(), ReadError> {
        let packed = (self.data.data_len() as u64).saturating_sub(entry.data_offset);
        if entry.decompressed_size > packed.saturating_mul(DEFLATE_RATIO_MAX) {
            return Err(ReadError::Corrupt(format!("it claims {} bytes, more than the pack could hold", entry.decompressed_size)));
        }
        Ok(())
    }

    /// Kind and size of the object at an offset, without its bytes.
    pub(super) fn size_of(&self, offset: u64, inflate: &mut Inflate) -> Result<u64, ReadError> {
        let entry = self.entry(offset)?;
        if !entry.header.is_delta() {
            self.plausible(&entry)?;
            return Ok(entry.decompressed_size);
        }
        // Both sizes of a delta stand in its first twenty bytes.
        let mut head = [0_u8; 20];
        let length = entry.decompressed_size.min(head.len() as u64) as usize;
        let packed = self.packed(&entry)?;
        inflate.reset();
        let (_, _, written) = inflate.prefix(packed, &mut head[..length]).map_err(|error| ReadError::Corrupt(chain(&error)))?;
        let mut rest = &head[..written];
        read_size(&mut rest)?;
        read_size(&mut rest)
    }

    pub(super) fn entry(&self, offset: u64) -> Result<gix_pack::data::Entry, ReadError> {
        self.data.entry(offset).map_err(|error| ReadError::Corrupt(chain(&error)))
    }

    /// The packed bytes from an entry's data to the end of the pack.
    pub(super) fn packed(&self, entry: &gix_pack::data::Entry) -> Result<&[u8], ReadError> {
        let end = self.data.data_len() as u64;
        self.data
            .entry_slice(entry.data_offset.min(end)..end)
            .filter(|packed| !packed.is_empty())
            .ok_or_else(|| ReadError::Corrupt("it begins behind the end of the pack".into()))
    }

    fn inflate(&self, entry: &gix_pack::data::Entry, inflate: &mut Inflate) -> Result<Vec<u8>, ReadError> {
        if entry.decompressed_size > DELTA_BYTES_MAX {
            return Err(ReadError::TooLarge(entry.decompressed_size));
        }
        self.plausible(entry)?;
        let mut bytes = vec![0; entry.decompressed_size as usize];
        self.data.decompress_entry(entry, inflate, &mut bytes).map_err(|error| ReadError::Corrupt(chain(&error)))?;
        Ok(bytes)
    }

    /// The object at an offset, with its kind.
    pub(super) fn object(&self, offset: u64, inflate: &mut Inflate, bases: &Bases) -> Result<(Kind, Bytes), ReadError> {
        let order = self.order();
        let kind = order
            .position(offset)
            .and_then(|position| kind_of(order.flags[position]))
            .ok_or_else(|| ReadError::Corrupt("its entry in the pack is damaged".into()))?;
        let mut deltas: Vec<(u64, gix_pack::data::Entry)> = Vec::new();
        let mut at = offset;
        let mut bytes = loop {
            if let Some(bytes) = bases.get(self.id, at) {
                break bytes;
            }
            let entry = self.entry(at)?;
            let base = match entry.header {
                Header::OfsDelta { base_distance } => Header::verified_base_pack_offset(at, base_distance),
                Header::RefDelta { base_id } => self.offset_of(&base_id),
                _ => {
                    let bytes = Bytes::from(self.inflate(&entry, inflate)?);
                    self.keep(order, at, &bytes, bases);
                    break bytes;
                }
            };
            deltas.push((at, entry));
            if deltas.len() > DELTA_CHAIN_MAX {
                return Err(ReadError::Corrupt(format!("more than {DELTA_CHAIN_MAX} deltas upon each other")));
            }
            at = base.ok_or_else(|| ReadError::Corrupt("its delta base is not in the pack".into()))?;
        };
        let mut work = 0;
        while let Some((at, entry)) = deltas.pop() {
            let delta = self.inflate(&entry, inflate)?;
            bytes = Bytes::from(apply(&bytes, &delta)?);
            work += (delta.len() + bytes.len()) as u64;
            if work > DELTA_WORK_BYTES_MAX {
                return Err(ReadError::TooLarge(work));
            }
            self.keep(order, at, &bytes, bases);
        }
        Ok((kind, bytes))
    }

    fn keep(&self, order: &Order, offset: u64, bytes: &Bytes, bases: &Bases) {
        if order.position(offset).is_some_and(|position| order.flags[position] & IS_BASE != 0) {
            bases.put(self.id, offset, bytes.clone());
        }
    }

    /// The object at a position of the order, unless it is damaged.
    pub(super) fn at(&self, position: usize) -> Option<(ObjectId, Kind, u64)> {
        let order = self.order();
        let kind = kind_of(order.flags[position])?;
        Some((self.index.oid_at_index(order.entries[position]).to_owned(), kind, order.offsets[position]))
    }
}

impl Order {
    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    fn position(&self, offset: u64) -> Option<usize> {
        self.offsets.binary_search(&offset).ok()
    }

    /// Gives a delta the kind of its base. False: the base has none yet.
    fn inherit(&mut self, position: usize, base: usize) -> bool {
        if self.flags[base] & DAMAGED != 0 {
            self.mark_damaged(position, "its delta base is damaged");
        }
        self.flags[position] |= self.flags[base] & KIND;
        self.flags[base] & (KIND | DAMAGED) != 0
    }

    fn mark_damaged(&mut self, position: usize, why: &str) {
        if self.flags[position] & DAMAGED == 0 {
            self.flags[position] |= DAMAGED;
            self.damaged += 1;
            self.damage.get_or_insert_with(|| why.to_owned());
        }
    }
}

/// Applies a delta to its base.
fn apply(base: &[u8], mut delta: &[u8]) -> Result<Vec<u8>, ReadError> {
    let broken = |why: &str| ReadError::Corrupt(format!("its delta {why}"));
    let base_size = read_size(&mut delta)?;
    if base_size != base.len() as u64 {
        return Err(broken("is for another base"));
    }
    let size = read_size(&mut delta)?;
    if size > DELTA_BYTES_MAX {
        return Err(ReadError::TooLarge(size));
    }
    // A copy of four bytes or less can give 16 MiB: nothing smaller bounds the result than the limit above.
    let size = size as usize;
    let mut result = Vec::with_capacity(size);
    while let Some((&command, rest)) = delta.split_first() {
        delta = rest;
        let piece = if command & 0x80 != 0 {
            let mut next = |bit: u8, shift: u32| -> Option<usize> {
                if command & bit == 0 {
                    return Some(0);
                }
                let (&byte, rest) = delta.split_first()?;
                delta = rest;
                Some(usize::from(byte) << shift)
            };
            let mut parts = || {
                let offset = next(0x01, 0)? | next(0x02, 8)? | next(0x04, 16)? | next(0x08, 24)?;
                Some((offset, next(0x10, 0)? | next(0x20, 8)? | next(0x40, 16)?))
            };
            let (offset, length) = parts().ok_or_else(|| broken("ends within a command"))?;
            let length = if length == 0 { 0x10000 } else { length };
            base.get(offset..offset + length).ok_or_else(|| broken("copies from outside its base"))?
        } else if command != 0 {
            let piece = delta.get(..usize::from(command)).ok_or_else(|| broken("ends within a command"))?;
            delta = &delta[usize::from(command)..];
            piece
        } else {
            return Err(broken("has an unknown command"));
        };
        if result.len() + piece.len() > size {
            return Err(broken("gives more bytes than it promises"));
        }
        result.extend_from_slice(piece);
    }
    if result.len() == size { Ok(result) } else { Err(broken("gives fewer bytes than it promises")) }
}

fn read_size(bytes: &mut &[u8]) -> Result<u64, ReadError> {
    let mut size = 0_u64;
    for shift in (0..64).step_by(7) {
        let Some((&byte, rest)) = bytes.split_first() else { break };
        *bytes = rest;
        size |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(size);
        }
    }
    Err(ReadError::Corrupt("its delta has no size".into()))
}

/// Objects that others are built on, kept for a while: shared by all packs, at most so many bytes.
///
/// Two generations: what was asked for lately is in the young one; when that is full, the old one is forgotten.
pub(in crate::machine) struct Bases {
    bytes_max: usize,
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<(u64, u64), Bytes>,
    old: HashMap<(u64, u64), Bytes>,
    young_bytes: usize,
}

impl Bases {
    pub(in crate::machine) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, generations: Mutex::default() }
    }

    fn get(&self, pack: u64, offset: u64) -> Option<Bytes> {
        let mut generations = self.generations.lock().ok()?;
        let key = (pack, offset);
        if let Some(bytes) = generations.young.get(&key) {
            return Some(bytes.clone());
        }
        let bytes = generations.old.remove(&key)?;
        self.insert(&mut generations, key, bytes.clone());
        Some(bytes)
    }

    fn put(&self, pack: u64, offset: u64, bytes: Bytes) {
        if let Ok(mut generations) = self.generations.lock() {
            self.insert(&mut generations, (pack, offset), bytes);
        }
    }

    fn insert(&self, generations: &mut Generations, key: (u64, u64), bytes: Bytes) {
        // One object may not push out everything else.
        if bytes.len() > self.bytes_max / 8 {
            return;
        }
        generations.young_bytes += bytes.len() + 64;
        generations.young.insert(key, bytes);
        if generations.young_bytes > self.bytes_max / 2 {
            generations.old = std::mem::take(&mut generations.young);
            generations.young_bytes = 0;
        }
    }
}

const fn kind_bits(kind: Kind) -> u8 {
    match kind {
        Kind::Commit => 1,
        Kind::Tree => 2,
        Kind::Blob => 3,
        Kind::Tag => 4,
    }
}

const fn kind_of(flags: u8) -> Option<Kind> {
    if flags & DAMAGED != 0 {
        return None;
    }
    match flags & KIND {
        1 => Some(Kind::Commit),
        2 => Some(Kind::Tree),
        3 => Some(Kind::Blob),
        4 => Some(Kind::Tag),
        _ => None,
    }
}

/// An error of gitoxide in one line, causes included.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text.replace('\n', "; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deltas() {
        let base = b"hello, world";
        let result = |delta: &[u8]| apply(base, delta).map_err(|error| error.to_string());
        assert_eq!(result(&[12, 5, 0x90, 5]).as_deref(), Ok(b"hello".as_slice()));
        assert_eq!(result(&[12, 7, 0x91, 7, 5, 2, b'!', b'?']).as_deref(), Ok(b"world!?".as_slice()));
        for (delta, why) in [
            (&[11, 5, 0x90, 5][..], "its delta is for another base"),
            (&[12, 5, 0x91, 10, 5], "its delta copies from outside its base"),
            (&[12, 5, 0x90], "its delta ends within a command"),
            (&[12, 5, 6, b'a'], "its delta ends within a command"),
            (&[12, 5, 0], "its delta has an unknown command"),
            (&[12, 4, 0x90, 5], "its delta gives more bytes than it promises"),
            (&[12, 6, 0x90, 5], "its delta gives fewer bytes than it promises"),
            (&[12], "its delta has no size"),
            (&[12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "its delta has no size"),
            (&[12, 0xff, 0xff, 0xff, 0xff, 0x7f], "it is larger than"),
        ] {
            let error = result(delta).expect_err("a broken delta");
            assert!(error.contains(why), "{error} / {why}");
        }
    }

    #[test]
    fn bases_stay_within_their_bytes() {
        let bases = Bases::new(1024);
        for offset in 0..100 {
            bases.put(1, offset, Bytes::from(vec![0; 100]));
        }
        assert!(bases.get(1, 99).is_some());
        assert!(bases.get(1, 0).is_none());
        assert!(bases.get(2, 99).is_none());
        bases.put(1, 1000, Bytes::from(vec![0; 1000]));
        assert!(bases.get(1, 1000).is_none(), "too large to keep");
        let generations = bases.generations.lock().expect("not poisoned");
        let held: usize = generations.young.values().chain(generations.old.values()).map(Bytes::len).sum();
        assert!(held <= 1024, "{held}");
    }
}
