//! One pack: which objects it holds, in the order they lie in it, and their bytes.
//!
//! Indices and entry headers are parsed by gitoxide. Packs are read, not mapped: somebody who cuts a mapped file short ends
//! the process that mapped it, and whoever may write to one repository of many must not be able to end the audit of all.
//! Deltas are resolved here, because an audit reads every object once, in pack order, and wants each base kept exactly as
//! long as something builds on it. Every size in a pack is a claim by whoever made it: it is checked against a limit and
//! against what the packed bytes could possibly unfold to before memory is set aside.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use gix_hash::{ObjectId, oid};
use gix_object::Kind;
use gix_pack::data::entry::Header;
use gix_zlib::{Inflate, Status};

use super::super::open::{Links, open_regular};
use super::ReadError;

/// Packs held open at once, over all repositories: well below the 1,024 files a process usually may have.
const OPEN_PACKS_MAX: usize = 200;
/// An index up to this size (four million objects) is read; a larger one is mapped.
const INDEX_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// The longest header of an entry: kind, size and the name of a base.
const HEADER_BYTES_MAX: u64 = 64;
/// What is read at once when going through all headers.
const WINDOW_BYTES: u64 = 256 * 1024;
/// The least that is read of a pack at once.
const PIECE_BYTES: u64 = 16 * 1024;
/// A packed entry up to this size is read at once, header and all.
const ENTRY_BYTES: u64 = 1024 * 1024;
/// Deltas held at once on the way down to a base.
const DELTAS_BYTES_MAX: usize = 256 * 1024 * 1024;
/// An object built by a delta has to be in memory, with its base: more than this is a gap.
pub(super) const DELTA_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// What one page of a listing touches beforehand; a page of sources is a few MiB.
const READ_AHEAD_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// All that is unfolded on the way to one object: 50 deltas upon each other, 128 MiB each, is the worst git makes.
const DELTA_WORK_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// Deltas upon deltas. Git makes 50, and refuses to make more than 4,095.
const DELTA_CHAIN_MAX: usize = 4_096;
/// Deflate cannot do better than 1032:1; a header that claims more lies.
const DEFLATE_RATIO_MAX: u64 = 1_040;

/// The most a delta can give is 16 MiB for each copy of four bytes.
const DELTA_RATIO_MAX: u64 = 4 * 1024 * 1024;

const NO_BASE: &str = "its delta base is not in the pack";

/// Flags of an entry, beside its kind in the low bits.
const KIND: u8 = 0x07;
const IS_BASE: u8 = 0x08;
const DAMAGED: u8 = 0x10;

/// What unfolding needs and is worth keeping from one object to the next.
#[derive(Default)]
pub(super) struct Work {
    inflate: Inflate,
    packed: Vec<u8>,
    /// Of which pack `packed` is a piece, and where it begins there.
    piece: Option<(u64, u64)>,
}

/// A pack and its index.
pub(super) struct Pack {
    /// Number in what is shared: no two packs of a process have one.
    id: u64,
    pub(super) path: PathBuf,
    index: Index,
    shared: Arc<Shared>,
    hash: gix_hash::Kind,
    length: u64,
    /// As its header says.
    objects: u32,
    /// False for a pack of an alternate that another target lists.
    pub(super) listed: bool,
    order: OnceLock<Order>,
}

/// An index, in memory where it fits.
enum Index {
    Read(gix_pack::index::File<Vec<u8>>),
    Mapped(gix_pack::index::File),
}

impl Index {
    fn open(path: &Path, hash: gix_hash::Kind) -> Result<Self, String> {
        let (mut file, facts) = open_regular(path, Links::Follow).map_err(|error| format!("its index: {error}"))?;
        if facts.len() > INDEX_BYTES_MAX {
            return gix_pack::index::File::at(path, hash).map(Self::Mapped).map_err(|error| chain(&error));
        }
        let mut bytes = Vec::with_capacity(facts.len() as usize);
        io::Read::read_to_end(&mut io::Read::take(&mut file, INDEX_BYTES_MAX), &mut bytes)
            .map_err(|error| format!("its index: {error}"))?;
        gix_pack::index::File::from_data(bytes, path.to_owned(), hash).map(Self::Read).map_err(|error| chain(&error))
    }

    fn count(&self) -> u32 {
        match self {
            Self::Read(index) => index.num_objects(),
            Self::Mapped(index) => index.num_objects(),
        }
    }

    fn offset(&self, entry: u32) -> u64 {
        match self {
            Self::Read(index) => index.pack_offset_at_index(entry),
            Self::Mapped(index) => index.pack_offset_at_index(entry),
        }
    }

    fn id(&self, entry: u32) -> ObjectId {
        match self {
            Self::Read(index) => index.oid_at_index(entry).to_owned(),
            Self::Mapped(index) => index.oid_at_index(entry).to_owned(),
        }
    }

    fn lookup(&self, id: &oid) -> Option<u32> {
        match self {
            Self::Read(index) => index.lookup(id),
            Self::Mapped(index) => index.lookup(id),
        }
    }

    fn pack_checksum(&self) -> ObjectId {
        match self {
            Self::Read(index) => index.pack_checksum(),
            Self::Mapped(index) => index.pack_checksum(),
        }
    }
}

/// How many objects an index names; `None`: it cannot be read.
pub(super) fn index_count(path: &Path, hash: gix_hash::Kind) -> Option<u32> {
    Index::open(path, hash).ok().map(|index| index.count())
}

/// An entry of a pack: its header, and where its packed bytes lie in [`Work`].
struct Packed {
    entry: gix_pack::data::Entry,
    offset: u64,
    /// How much of it was loaded.
    loaded: u64,
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
    pub(super) fn open(id: u64, path: &Path, hash: gix_hash::Kind, listed: bool, shared: Arc<Shared>) -> Result<Self, String> {
        let index = Index::open(&path.with_extension("idx"), hash)?;
        let (file, facts) = open_regular(path, Links::Follow).map_err(|error| error.to_string())?;
        let smallest = (gix_pack::data::header::SIZE + hash.len_in_bytes()) as u64;
        if facts.len() < smallest {
            return Err(format!("{} bytes are less than an empty pack has", facts.len()));
        }
        let mut header = [0; gix_pack::data::header::SIZE];
        read_exact_at(&file, &mut header, 0).map_err(|error| error.to_string())?;
        let (_, objects) = gix_pack::data::header::decode(&header).map_err(|error| chain(&error))?;
        shared.keep_open(id, Arc::new(file));
        Ok(Self { id, path: path.to_owned(), index, shared, hash, length: facts.len(), objects, listed, order: OnceLock::new() })
    }

    pub(super) fn stem(&self) -> String {
        self.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Where the checksum begins that ends a pack.
    fn end(&self) -> u64 {
        self.length - self.hash.len_in_bytes() as u64
    }

    fn file(&self) -> Result<Arc<File>, ReadError> {
        if let Some(file) = self.shared.open_file(self.id) {
            return Ok(file);
        }
        let (file, facts) = open_regular(&self.path, Links::Follow).map_err(ReadError::Io)?;
        if facts.len() != self.length {
            return Err(ReadError::Corrupt("its pack was replaced while it was read".into()));
        }
        let file = Arc::new(file);
        self.shared.keep_open(self.id, file.clone());
        Ok(file)
    }

    /// Reads bytes of the pack, up to where its checksum begins.
    pub(super) fn read_at(&self, offset: u64, length: u64, out: &mut Vec<u8>) -> Result<(), ReadError> {
        let length = length.min(self.end().saturating_sub(offset));
        if length == 0 {
            return Err(ReadError::Corrupt("it begins behind the end of the pack".into()));
        }
        out.resize(length as usize, 0);
        read_exact_at(&*self.file()?, out, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ReadError::Corrupt("its pack was cut short while it was read".into()),
            _ => ReadError::Io(error),
        })
    }

    /// Sees to it that these bytes, or those up to the end, are in `work`, and tells where. Reads a little more than was
    /// asked for: in pack order the next object lies right behind.
    fn load(&self, offset: u64, length: u64, work: &mut Work) -> Result<std::ops::Range<usize>, ReadError> {
        let length = length.min(self.end().saturating_sub(offset));
        let held = match work.piece {
            Some((pack, start)) if pack == self.id && start <= offset && offset + length <= start + work.packed.len() as u64 => start,
            _ => {
                work.piece = None;
                self.read_at(offset, length.max(PIECE_BYTES), &mut work.packed)?;
                work.piece = Some((self.id, offset));
                offset
            }
        };
        let start = (offset - held) as usize;
        if length == 0 {
            Err(ReadError::Corrupt("it begins behind the end of the pack".into()))
        } else {
            Ok(start..start + length as usize)
        }
    }

    /// Where an object of this pack begins.
    pub(super) fn offset_of(&self, id: &oid) -> Option<u64> {
        self.index.lookup(id).map(|entry| self.index.offset(entry))
    }

    /// Whether listing this pack lists that object.
    pub(super) fn lists(&self, id: &oid) -> bool {
        let Some(offset) = self.offset_of(id) else { return false };
        let order = self.order();
        order.position(offset).is_some_and(|position| order.flags[position] & DAMAGED == 0)
    }

    /// Whether the order is known already, so that asking for an object costs no more than the object.
    pub(super) fn is_ordered(&self) -> bool {
        self.order.get().is_some()
    }

    /// Reads the bytes between two positions once, so that whoever unfolds them does not wait for the disk.
    pub(super) fn read_ahead(&self, from: usize, to: usize, work: &mut Work) {
        let order = self.order();
        let start = order.offsets.get(from).copied().unwrap_or(u64::MAX);
        let stop = order.offsets.get(to).copied().unwrap_or(self.end()).min(start.saturating_add(READ_AHEAD_BYTES_MAX));
        let mut at = start;
        work.piece = None;
        while at < stop && self.read_at(at, WINDOW_BYTES.min(stop - at), &mut work.packed).is_ok() {
            at += WINDOW_BYTES;
        }
    }

    /// The objects in pack order, found once.
    pub(super) fn order(&self) -> &Order {
        self.order.get_or_init(|| self.find_order())
    }

    fn find_order(&self) -> Order {
        let count = self.index.count();
        let mut pairs: Vec<(u64, u32)> = (0..count).map(|entry| (self.index.offset(entry), entry)).collect();
        pairs.sort_unstable();
        let offsets: Vec<u64> = pairs.iter().map(|pair| pair.0).collect();
        let entries: Vec<u32> = pairs.into_iter().map(|pair| pair.1).collect();
        let mut order = Order { flags: vec![0; offsets.len()], offsets, entries, damaged: 0, damage: None };
        if self.objects != count {
            order.damage = Some(format!("it says it holds {} objects, its index {count}", self.objects));
        }
        let whole = self.trailer_matches();
        if !whole {
            order.damage = Some("it is not the pack its index was made for: cut short, or changed".into());
        }
        // Deltas whose base has no kind yet: it lies behind them, or waits itself.
        let mut waiting: Vec<(usize, usize)> = Vec::new();
        let mut window = Window::default();
        for position in 0..order.offsets.len() {
            match self.link(&order, position, &mut window) {
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
            self.mark_cut(&mut order);
        }
        order
    }

    /// What the entry at a position is, or is built on.
    fn link(&self, order: &Order, position: usize, window: &mut Window) -> Result<Link, String> {
        let offset = order.offsets[position];
        let sparse = order.offsets.get(position + 1).is_some_and(|next| next - offset > WINDOW_BYTES / 4);
        let bytes = window.at(self, offset, sparse).map_err(|error| error.to_string())?;
        let entry = gix_pack::data::Entry::from_bytes(bytes, offset, self.hash).map_err(|error| chain(&error))?;
        match entry.header.as_kind() {
            Some(kind) => Ok(Link::Whole(kind)),
            None => self.base_of(&entry, offset).and_then(|base| order.position(base)).map(Link::On).ok_or_else(|| NO_BASE.into()),
        }
    }

    /// Where the base of a delta begins.
    fn base_of(&self, entry: &gix_pack::data::Entry, offset: u64) -> Option<u64> {
        match entry.header {
            Header::OfsDelta { base_distance } => Header::verified_base_pack_offset(offset, base_distance),
            Header::RefDelta { base_id } => self.offset_of(&base_id),
            _ => None,
        }
    }

    /// In a pack that was cut short, the last entry that begins in it may go on behind the cut.
    fn mark_cut(&self, order: &mut Order) {
        let end = self.end();
        let Some(last) = order.offsets.partition_point(|&offset| offset < end).checked_sub(1) else { return };
        let mut work = Work::default();
        let unfolded =
            self.packed(order, order.offsets[last], &mut work).and_then(|packed| self.unfold(&packed, &mut work, DELTA_BYTES_MAX));
        if unfolded.is_err() {
            order.mark_damaged(last, "its bytes end with the pack");
        }
        // What is built on a damaged entry is damaged too.
        let mut before = u64::MAX;
        while order.damaged != before {
            before = order.damaged;
            let mut window = Window::default();
            for position in 0..order.offsets.len() {
                if order.flags[position] & DAMAGED == 0
                    && let Ok(Link::On(base)) = self.link(order, position, &mut window)
                    && order.flags[base] & DAMAGED != 0
                {
                    order.mark_damaged(position, "its delta base is damaged");
                }
            }
        }
    }

    fn trailer_matches(&self) -> bool {
        let mut trailer = vec![0; self.hash.len_in_bytes()];
        let read = self.file().is_ok_and(|file| read_exact_at(&file, &mut trailer, self.end()).is_ok());
        read && trailer == self.index.pack_checksum().as_slice()
    }

    /// An entry's declared size against what its packed bytes could give.
    fn plausible(&self, entry: &gix_pack::data::Entry) -> Result<(), ReadError> {
        let packed = self.end().saturating_sub(entry.data_offset);
        if entry.decompressed_size > packed.saturating_mul(DEFLATE_RATIO_MAX) {
            return Err(ReadError::Corrupt(format!("it claims {} bytes, more than the pack could hold", entry.decompressed_size)));
        }
        Ok(())
    }

    /// The size of the object at an offset, without its bytes.
    pub(super) fn size_of(&self, offset: u64, work: &mut Work) -> Result<u64, ReadError> {
        // Both sizes of a delta stand in its first twenty bytes.
        let held = self.load(offset, HEADER_BYTES_MAX + 64, work)?;
        let entry = gix_pack::data::Entry::from_bytes(&work.packed[held.clone()], offset, self.hash)
            .map_err(|error| ReadError::Corrupt(chain(&error)))?;
        if !entry.header.is_delta() {
            self.plausible(&entry)?;
            return Ok(entry.decompressed_size);
        }
        let mut head = [0_u8; 20];
        let length = entry.decompressed_size.min(head.len() as u64) as usize;
        let packed = work.packed[held].get((entry.data_offset - offset) as usize..).unwrap_or_default();
        work.inflate.reset();
        let (_, _, written) = work.inflate.prefix(packed, &mut head[..length]).map_err(|error| ReadError::Corrupt(chain(&error)))?;
        let mut rest = &head[..written];
        read_size(&mut rest)?;
        read_size(&mut rest)
    }

    /// Where the packed bytes of an object lie, and how long it is, if it stands by itself: for a stream.
    pub(super) fn standing_alone(&self, offset: u64, work: &mut Work) -> Option<(u64, u64)> {
        let held = self.load(offset, HEADER_BYTES_MAX, work).ok()?;
        let entry = gix_pack::data::Entry::from_bytes(&work.packed[held], offset, self.hash).ok()?;
        (!entry.header.is_delta() && self.plausible(&entry).is_ok()).then_some((entry.data_offset, entry.decompressed_size))
    }

    /// Reads an entry, or as much of it as is usually all.
    fn packed(&self, order: &Order, offset: u64, work: &mut Work) -> Result<Packed, ReadError> {
        let next = order.offsets.get(order.offsets.partition_point(|&other| other <= offset)).copied().unwrap_or(self.end());
        let held = self.load(offset, next.saturating_sub(offset).clamp(HEADER_BYTES_MAX, ENTRY_BYTES), work)?;
        let loaded = held.len() as u64;
        let entry =
            gix_pack::data::Entry::from_bytes(&work.packed[held], offset, self.hash).map_err(|error| ReadError::Corrupt(chain(&error)))?;
        Ok(Packed { entry, offset, loaded })
    }

    /// Unfolds an entry.
    fn unfold(&self, packed: &Packed, work: &mut Work, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
        let Packed { entry, offset, loaded } = packed;
        self.plausible(entry)?;
        let size = entry.decompressed_size;
        if size > bytes_max {
            return Err(ReadError::TooLarge(size));
        }
        let mut bytes = vec![0; size as usize];
        let mut unfolds = |work: &mut Work, length: u64| {
            let held = self.load(*offset, length, work)?;
            let data = work.packed[held].get((entry.data_offset - offset) as usize..).unwrap_or_default();
            work.inflate.reset();
            match work.inflate.once(data, &mut bytes) {
                Ok((Status::StreamEnd, _, written)) if written == bytes.len() => Ok(()),
                Ok(_) => Err(ReadError::Corrupt("its packed bytes are not as long as its header says".into())),
                Err(error) => Err(ReadError::Corrupt(chain(&error))),
            }
        };
        // What is loaded ends where the next entry begins, or at a limit; an index may name that wrongly, and a large entry
        // goes on. Deflate never needs more than this beyond what it unfolds to.
        let longest = size + size / 512 + 2 * HEADER_BYTES_MAX;
        match unfolds(work, *loaded) {
            Err(_) if *loaded < longest.min(self.end().saturating_sub(*offset)) => unfolds(work, longest)?,
            other => other?,
        }
        Ok(bytes)
    }

    /// The object at an offset, with its kind. Nothing on the way to it may be longer than `bytes_max`.
    pub(super) fn object(&self, offset: u64, work: &mut Work, bytes_max: u64) -> Result<(Kind, Bytes), ReadError> {
        let order = self.order();
        let kind = order
            .position(offset)
            .and_then(|position| kind_of(order.flags[position]))
            .ok_or_else(|| ReadError::Corrupt("its entry in the pack is damaged".into()))?;
        let mut deltas: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut deltas_bytes = 0;
        let mut at = offset;
        let mut bytes = loop {
            if let Some(bytes) = self.shared.base(self.id, at) {
                break bytes;
            }
            let packed = self.packed(order, at, work)?;
            let unfolded = self.unfold(&packed, work, bytes_max)?;
            if !packed.entry.header.is_delta() {
                let bytes = Bytes::from(unfolded);
                self.keep(order, at, &bytes);
                break bytes;
            }
            deltas_bytes += unfolded.len();
            deltas.push((at, unfolded));
            if deltas.len() > DELTA_CHAIN_MAX {
                return Err(ReadError::Corrupt(format!("more than {DELTA_CHAIN_MAX} deltas upon each other")));
            }
            if deltas_bytes > DELTAS_BYTES_MAX {
                return Err(ReadError::TooLarge(deltas_bytes as u64));
            }
            at = self.base_of(&packed.entry, at).ok_or_else(|| ReadError::Corrupt(NO_BASE.into()))?;
        };
        let mut unfolded_bytes = 0;
        while let Some((at, delta)) = deltas.pop() {
            bytes = Bytes::from(apply(&bytes, &delta, bytes_max)?);
            unfolded_bytes += (delta.len() + bytes.len()) as u64;
            if unfolded_bytes > DELTA_WORK_BYTES_MAX {
                return Err(ReadError::TooLarge(unfolded_bytes));
            }
            self.keep(order, at, &bytes);
        }
        Ok((kind, bytes))
    }

    fn keep(&self, order: &Order, offset: u64, bytes: &Bytes) {
        if order.position(offset).is_some_and(|position| order.flags[position] & IS_BASE != 0) {
            self.shared.keep_base(self.id, offset, bytes.clone());
        }
    }

    /// The object at a position of the order, unless it is damaged.
    pub(super) fn at(&self, position: usize) -> Option<(ObjectId, Kind, u64)> {
        let order = self.order();
        let kind = kind_of(order.flags[position])?;
        Some((self.index.id(order.entries[position]), kind, order.offsets[position]))
    }
}

/// A piece of a pack that headers are looked at in, one after the other.
#[derive(Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// The bytes at an offset, as many as a header can have. `sparse`: the next one is far away.
    fn at(&mut self, pack: &Pack, offset: u64, sparse: bool) -> Result<&[u8], ReadError> {
        let end = self.start + self.bytes.len() as u64;
        if offset < self.start || offset + HEADER_BYTES_MAX.min(pack.end().saturating_sub(offset).max(1)) > end {
            self.bytes.clear();
            self.start = offset;
            pack.read_at(offset, if sparse { HEADER_BYTES_MAX } else { WINDOW_BYTES }, &mut self.bytes)?;
        }
        Ok(&self.bytes[(offset - self.start) as usize..])
    }
}

/// Reads exactly these bytes of a file, wherever others read in it.
fn read_exact_at(file: &File, out: &mut [u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    {
        std::os::unix::fs::FileExt::read_exact_at(file, out, offset)
    }
    #[cfg(not(unix))]
    {
        use std::io::{Read as _, Seek as _};
        let mut file = file.try_clone()?;
        file.seek(io::SeekFrom::Start(offset))?;
        file.read_exact(out)
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
fn apply(base: &[u8], mut delta: &[u8], bytes_max: u64) -> Result<Vec<u8>, ReadError> {
    let broken = |why: &str| ReadError::Corrupt(format!("its delta {why}"));
    let base_size = read_size(&mut delta)?;
    if base_size != base.len() as u64 {
        return Err(broken("is for another base"));
    }
    let size = read_size(&mut delta)?;
    if size > (delta.len() as u64).saturating_mul(DELTA_RATIO_MAX) {
        return Err(broken("promises more bytes than it could give"));
    }
    if size > bytes_max {
        return Err(ReadError::TooLarge(size));
    }
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

/// What all packs of a process share: their open files, and objects that others are built on, at most so many bytes.
///
/// Objects stand in two generations: what was asked for lately is in the young one; when that is full, the old one is
/// forgotten.
pub(in crate::machine) struct Shared {
    bases_bytes_max: usize,
    bases: Mutex<Generations>,
    files: Mutex<HashMap<u64, Arc<File>>>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<(u64, u64), Bytes>,
    old: HashMap<(u64, u64), Bytes>,
    young_bytes: usize,
}

impl Shared {
    pub(in crate::machine) fn new(bases_bytes_max: usize) -> Self {
        Self { bases_bytes_max, bases: Mutex::default(), files: Mutex::default() }
    }

    fn open_file(&self, pack: u64) -> Option<Arc<File>> {
        self.files.lock().ok()?.get(&pack).cloned()
    }

    fn keep_open(&self, pack: u64, file: Arc<File>) {
        let Ok(mut files) = self.files.lock() else { return };
        if files.len() >= OPEN_PACKS_MAX
            && let Some(&any) = files.keys().next()
        {
            files.remove(&any);
        }
        files.insert(pack, file);
    }

    fn close(&self, pack: u64) {
        if let Ok(mut files) = self.files.lock() {
            files.remove(&pack);
        }
    }

    fn base(&self, pack: u64, offset: u64) -> Option<Bytes> {
        let mut generations = self.bases.lock().ok()?;
        let key = (pack, offset);
        if let Some(bytes) = generations.young.get(&key) {
            return Some(bytes.clone());
        }
        let bytes = generations.old.remove(&key)?;
        self.insert(&mut generations, key, bytes.clone());
        Some(bytes)
    }

    fn keep_base(&self, pack: u64, offset: u64, bytes: Bytes) {
        if let Ok(mut generations) = self.bases.lock() {
            self.insert(&mut generations, (pack, offset), bytes);
        }
    }

    fn insert(&self, generations: &mut Generations, key: (u64, u64), bytes: Bytes) {
        // One object may not push out everything else.
        if bytes.len() > self.bases_bytes_max / 8 {
            return;
        }
        generations.young_bytes += bytes.len() + 64;
        generations.young.insert(key, bytes);
        if generations.young_bytes > self.bases_bytes_max / 2 {
            generations.old = std::mem::take(&mut generations.young);
            generations.young_bytes = 0;
        }
    }
}

impl Drop for Pack {
    fn drop(&mut self) {
        self.shared.close(self.id);
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
        let result = |delta: &[u8]| apply(base, delta, DELTA_BYTES_MAX).map_err(|error| error.to_string());
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
            (&[12, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x80], "its delta promises more bytes than it could give"),
            (&[&[12, 0xff, 0xff, 0xff, 0x7f][..], &[0x80; 100]].concat(), "it is larger than"),
        ] {
            let error = result(delta).expect_err("a broken delta");
            assert!(error.contains(why), "{error} / {why}");
        }
    }

    #[test]
    fn bases_stay_within_their_bytes() {
        let shared = Shared::new(1024);
        for offset in 0..100 {
            shared.keep_base(1, offset, Bytes::from(vec![0; 100]));
        }
        assert!(shared.base(1, 99).is_some());
        assert!(shared.base(1, 0).is_none());
        assert!(shared.base(2, 99).is_none());
        shared.keep_base(1, 1000, Bytes::from(vec![0; 1000]));
        assert!(shared.base(1, 1000).is_none(), "too large to keep");
        let generations = shared.bases.lock().expect("not poisoned");
        let held: usize = generations.young.values().chain(generations.old.values()).map(Bytes::len).sum();
        assert!(held <= 1024, "{held}");
    }
}
