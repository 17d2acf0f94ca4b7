//! 7z archives, in memory: what says where everything lies stands at their end.
//!
//! The format is read here and the bytes are unpacked by the decoders that other archives have, each with its limit on
//! history, so that no further decoder needs to be trusted with strangers' bytes. PPMd and BCJ2 are not opened: gaps.

use std::io::{self, Read};

use overdue_core::GapReason;
use xz2::stream::{Filters, Stream};

use super::codec::{fault, window_bytes, zstd_decoder};
use super::held::{Filled, Held};
use super::meter::Meter;
use super::source::Source;
use super::tar::counted;
use super::{Resumed, scan_reader};
use crate::engine::{scan_slice, scan_stream};
use crate::session::{Place, Session};

/// The header every archive begins with.
const START_BYTES: usize = 32;
/// A solid block of more coders than this is refused; 7-Zip itself writes at most four.
const CODERS_MAX: u64 = 8;
/// The largest directory: of some hundred thousand files.
const DIRECTORY_BYTES_MAX: usize = 16 << 20;
/// Blocks, and all else a directory counts.
const FOLDERS_MAX: u64 = 1 << 18;
const COUNT_MAX: u64 = 1 << 20;

/// Scans every entry.
pub(super) fn scan(session: &mut Session<'_>, place: &Place, reader: &mut dyn Read) -> io::Result<()> {
    let mut held = Held::new(session);
    let filled = held.fill(reader, u64::MAX);
    if matches!(filled, Ok(Filled::Full)) {
        let what =
            format!("a 7z archive of more than {} bytes (seekable_bytes_max), which is not opened", session.limits.seekable_bytes_max);
        session.gap(&place.path, GapReason::TooLarge, what);
        return scan_stream(session, place, &mut Resumed { head: &held, error: None, reader });
    }
    if !session.budget.is_spent()
        && let Err((reason, detail)) = open(session, place, &held)
    {
        session.gap(&place.path, reason, format!("{detail}; its bytes were scanned as they are"));
        scan_slice(session, place, &held);
    }
    filled.map(|_| ())
}

type Fault = (GapReason, String);

fn damaged() -> Fault {
    (GapReason::Corrupt, "the archive's directory is damaged, or larger than any honest one".to_owned())
}

fn open(session: &mut Session<'_>, place: &Place, bytes: &[u8]) -> Result<(), Fault> {
    let number = |at: usize| bytes.get(at..at + 8).and_then(|eight| usize::try_from(u64::from_le_bytes(eight.try_into().ok()?)).ok());
    let (offset, size) = number(12).zip(number(20)).ok_or_else(damaged)?;
    if size == 0 {
        return Ok(());
    }
    let start = offset.checked_add(START_BYTES).ok_or_else(damaged)?;
    let mut header: &[u8] = bytes.get(start..start.saturating_add(size)).ok_or_else(damaged)?;
    let mut unpacked = Held::new(session);
    if header.first() == Some(&0x17) {
        // A directory that is packed itself.
        let mut input = Input { rest: &header[1..] };
        let streams = input.streams().ok_or_else(damaged)?;
        let folder = streams.folders.first().ok_or_else(damaged)?;
        let packed = streams.packed(bytes, streams.start, 0).ok_or_else(damaged)?;
        let mut reader = packed;
        let mut source = Source::new(&mut reader);
        let taken = source.taken();
        let decoder = folder.decoder(&mut source, window_bytes(session, place))?;
        let mut meter = Meter::new(session, taken, decoder.take(folder.size()));
        unpacked.fill(&mut meter, DIRECTORY_BYTES_MAX as u64).map_err(|_| damaged())?;
        header = &unpacked;
    }
    if header.len() >= DIRECTORY_BYTES_MAX {
        return Err(damaged());
    }
    let mut input = Input { rest: header };
    let (streams, names) = input.directory().ok_or_else(damaged)?;
    let mut names = names.into_iter();
    let (mut offset, mut stream) = (streams.start, 0);
    for folder in &streams.folders {
        if session.budget.is_spent() {
            return Ok(());
        }
        let entries: Vec<(Vec<u8>, &Part)> = folder.parts.iter().map(|part| (names.next().unwrap_or_default(), part)).collect();
        block(session, place, folder, streams.packed(bytes, offset, stream), &entries);
        for size in streams.sizes.iter().skip(stream).take(folder.inputs) {
            offset = offset.saturating_add(*size);
        }
        stream += folder.inputs;
    }
    Ok(())
}

/// Scans the entries of one solid block; damage in it ends it.
fn block(session: &mut Session<'_>, place: &Place, folder: &Folder, packed: Option<&[u8]>, entries: &[(Vec<u8>, &Part)]) {
    let Some((first, _)) = entries.first() else { return };
    let Some(mut packed) = packed else {
        session.gap(&place.entry(first).path, GapReason::Corrupt, "the archive ends before the entry does");
        return;
    };
    let mut source = Source::new(&mut packed);
    let taken = source.taken();
    let mut decoder = match folder.decoder(&mut source, window_bytes(session, place)) {
        Ok(decoder) => decoder,
        Err((reason, detail)) => {
            let others = entries.len() - 1;
            session.gap(&place.entry(first).path, reason, format!("{detail} (and {others} entries packed together with it)"));
            return;
        }
    };
    for (at, (name, part)) in entries.iter().enumerate() {
        if session.budget.is_spent() || !counted(session) {
            return;
        }
        let inner = place.entry(name);
        let mut meter = Meter::new(session, taken.clone(), decoder.by_ref().take(part.size));
        let scanned = scan_reader(session, &inner, Some(part.size), &mut meter);
        let outcome = scanned.and_then(|()| meter.drain());
        let gap = match (meter.hit.take(), outcome) {
            (Some(stop), _) => Some((stop.reason, stop.detail)),
            (None, Err(error)) => Some(fault(&error)),
            (None, Ok(())) if meter.out() < part.size => Some((GapReason::Corrupt, "the archive ends before the entry does".to_owned())),
            (None, Ok(())) => None,
        };
        if let Some((reason, detail)) = gap {
            if !session.budget.is_spent() {
                let others = entries.len() - at - 1;
                session.gap(&inner.path, reason, format!("{detail} (and {others} entries packed behind it)"));
            }
            return;
        }
        if part.crc.is_some_and(|crc| crc != meter.crc()) {
            session.gap(&inner.path, GapReason::Corrupt, "its checksum is another");
        }
    }
}

/// Where packed bytes lie, and how they are packed.
#[derive(Default)]
struct Streams {
    start: u64,
    sizes: Vec<u64>,
    folders: Vec<Folder>,
}

impl Streams {
    /// The bytes of a packed stream.
    fn packed<'b>(&self, bytes: &'b [u8], offset: u64, stream: usize) -> Option<&'b [u8]> {
        let start = usize::try_from(offset).ok()?.checked_add(START_BYTES)?;
        let size = usize::try_from(*self.sizes.get(stream)?).ok()?;
        // What is there of a stream that goes on past the end is read.
        bytes.get(start..start.checked_add(size)?.min(bytes.len()))
    }
}

/// A block of entries that are packed together.
#[derive(Default)]
struct Folder {
    coders: Vec<Coder>,
    /// Packed streams it is made of.
    inputs: usize,
    /// Which input takes which output.
    bonds: Vec<(u64, u64)>,
    sizes: Vec<u64>,
    crc: Option<u32>,
    parts: Vec<Part>,
}

struct Coder {
    method: Vec<u8>,
    properties: Vec<u8>,
    simple: bool,
}

/// One entry of a block.
struct Part {
    size: u64,
    crc: Option<u32>,
}

impl Folder {
    /// The size of what comes out of the last coder.
    fn size(&self) -> u64 {
        let bound = |output: usize| self.bonds.iter().any(|bond| bond.1 == output as u64);
        self.sizes.iter().enumerate().find(|(output, _)| !bound(*output)).map_or(0, |(_, size)| *size)
    }

    /// The coders in the order in which bytes pass through them.
    fn order(&self) -> Option<Vec<&Coder>> {
        let input = (0..self.coders.len()).find(|&at| !self.bonds.iter().any(|bond| bond.0 == at as u64))?;
        let mut order = vec![self.coders.get(input)?];
        let mut output = input as u64;
        while let Some(bond) = self.bonds.iter().find(|bond| bond.1 == output) {
            if order.len() >= self.coders.len() {
                return None;
            }
            order.push(self.coders.get(usize::try_from(bond.0).ok()?)?);
            output = bond.0;
        }
        (order.len() == self.coders.len()).then_some(order)
    }

    fn decoder<'s>(&self, source: &'s mut Source<'_>, window: u64) -> Result<Box<dyn Read + 's>, Fault> {
        let unsupported = |what: &str| (GapReason::Unsupported, format!("packed with {what}, which is not opened"));
        if self.coders.iter().any(|coder| coder.method.starts_with(&[6, 0xf1, 7])) {
            return Err((GapReason::Encrypted, "the entry is encrypted".to_owned()));
        }
        if self.inputs != 1 || self.coders.iter().any(|coder| !coder.simple) {
            return Err(unsupported("BCJ2"));
        }
        let order = self.order().ok_or_else(damaged)?;
        let mut reader: Box<dyn Read + 's> = Box::new(source);
        let mut coders = order.into_iter().peekable();
        while let Some(coder) = coders.next() {
            let below = io::BufReader::new(reader);
            reader = match coder.method.as_slice() {
                [0] => Box::new(below),
                [0x21] | [3, 1, 1] => {
                    if history(coder).ok_or_else(damaged)? > window {
                        return Err((GapReason::TooLarge, "needs a larger window of history than window_bytes_max allows".to_owned()));
                    }
                    // The filters that are undone after it belong to the same stream.
                    let mut after = Vec::new();
                    while let Some(filter) = coders.next_if(|coder| is_filter(&coder.method)) {
                        after.push(filter);
                    }
                    let stream = lzma(coder, &after).map_err(|_| damaged())?;
                    if after.is_empty() || coder.method == [0x21] {
                        Box::new(xz2::bufread::XzDecoder::new_stream(below, stream))
                    } else {
                        // LZMA does not say where it ends, and a filter keeps its last bytes until it is told; a few bytes
                        // more push them out, and what they make themselves is behind the last entry.
                        Box::new(xz2::bufread::XzDecoder::new_stream(below.chain(&[0; 64][..]), stream))
                    }
                }
                [4, 1, 8] => Box::new(flate2::bufread::DeflateDecoder::new(below)),
                [4, 1, 9] => Box::new(deflate64::Deflate64Decoder::with_buffer(below)),
                [4, 2, 2] => Box::new(bzip2::bufread::MultiBzDecoder::new(below)),
                [4, 0xf7, 0x11, 1] => zstd_decoder(below, window).map_err(|_| damaged())?,
                [3, 4, 1] => return Err(unsupported("PPMd")),
                other => return Err(unsupported(&format!("method {other:02x?}"))),
            };
        }
        Ok(reader)
    }
}

fn is_filter(method: &[u8]) -> bool {
    matches!(method, [3..=8 | 10] | [3, 3, 1, 3] | [3, 3, 2, 5] | [3, 3, 4, 1] | [3, 3, 5, 1] | [3, 3, 7, 1] | [3, 3, 8, 5])
}

/// The history that LZMA or LZMA2 asks for.
fn history(coder: &Coder) -> Option<u64> {
    match (coder.method.as_slice(), coder.properties.as_slice()) {
        ([0x21], [bits @ 0..=39, ..]) => Some((2 | u64::from(bits & 1)) << (bits / 2 + 11)),
        ([0x21], [40, ..]) => Some(u64::from(u32::MAX)),
        ([3, 1, 1], [_, a, b, c, d, ..]) => Some(u64::from(u32::from_le_bytes([*a, *b, *c, *d]))),
        _ => None,
    }
}

fn lzma(coder: &Coder, after: &[&Coder]) -> Result<Stream, xz2::stream::Error> {
    let mut filters = Filters::new();
    for filter in after.iter().rev() {
        match filter.method.as_slice() {
            [3] => filters.delta_properties(&filter.properties)?,
            [4] | [3, 3, 1, 3] => filters.x86(),
            [5] | [3, 3, 2, 5] => filters.powerpc(),
            [6] | [3, 3, 4, 1] => filters.ia64(),
            [7] | [3, 3, 5, 1] => filters.arm(),
            [8] | [3, 3, 7, 1] => filters.arm_thumb(),
            [10] => filters.arm64(),
            _ => filters.sparc(),
        };
    }
    if coder.method == [0x21] {
        filters.lzma2_properties(&coder.properties)?;
    } else {
        filters.lzma1_properties(&coder.properties)?;
    }
    Stream::new_raw_decoder(&filters)
}

/// The directory's own bytes. Every count is checked by what must follow it, never by what it says.
struct Input<'b> {
    rest: &'b [u8],
}

impl<'b> Input<'b> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    fn bytes(&mut self, length: u64) -> Option<&'b [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(bytes)
    }

    /// A number: the first byte's leading ones say how many bytes follow.
    fn number(&mut self) -> Option<u64> {
        let first = self.byte()?;
        let more = first.leading_ones();
        let mut value = 0;
        for at in 0..more {
            value |= u64::from(self.byte()?) << (8 * at);
        }
        if more < 7 {
            value |= (u64::from(first) & ((1 << (7 - more)) - 1)) << (8 * more);
        }
        Some(value)
    }

    fn numbers(&mut self, count: u64) -> Option<Vec<u64>> {
        (count <= COUNT_MAX).then_some(())?;
        (0..count).map(|_| self.number()).collect()
    }

    fn bits(&mut self, count: u64) -> Option<Vec<bool>> {
        let bytes = self.bytes(count.div_ceil(8)).filter(|_| count <= COUNT_MAX)?;
        Some((0..count as usize).map(|at| bytes[at / 8] & (0x80 >> (at % 8)) != 0).collect())
    }

    /// Checksums, of those that have one.
    fn digests(&mut self, count: u64) -> Option<Vec<Option<u32>>> {
        (count <= COUNT_MAX).then_some(())?;
        let all = self.byte()? != 0;
        let defined = if all { None } else { Some(self.bits(count)?) };
        (0..count as usize)
            .map(|at| {
                let defined = defined.as_ref().is_none_or(|bits| bits[at]);
                if defined { self.bytes(4).map(|four| Some(u32::from_le_bytes(four.try_into().unwrap_or_default()))) } else { Some(None) }
            })
            .collect()
    }

    /// Blocks, and the names of the entries in them.
    fn directory(&mut self) -> Option<(Streams, Vec<Vec<u8>>)> {
        (self.byte()? == 1).then_some(())?;
        let (mut streams, mut names) = (Streams::default(), Vec::new());
        loop {
            match self.byte()? {
                0 => return Some((streams, names)),
                2 => {
                    while self.number()? != 0 {
                        let size = self.number()?;
                        self.bytes(size)?;
                    }
                }
                3 => _ = self.streams()?,
                4 => streams = self.streams()?,
                5 => names = self.files()?,
                _ => return None,
            }
        }
    }

    fn streams(&mut self) -> Option<Streams> {
        let mut streams = Streams::default();
        let mut told = false;
        loop {
            match self.byte()? {
                0 => break,
                6 => {
                    streams.start = self.number()?;
                    let count = self.number()?;
                    loop {
                        match self.byte()? {
                            0 => break,
                            9 => streams.sizes = self.numbers(count)?,
                            10 => _ = self.digests(count)?,
                            _ => return None,
                        }
                    }
                }
                7 => streams.folders = self.folders()?,
                8 => {
                    told = true;
                    self.parts(&mut streams.folders)?;
                }
                _ => return None,
            }
        }
        if !told {
            for folder in &mut streams.folders {
                folder.parts = vec![Part { size: folder.size(), crc: folder.crc }];
            }
        }
        Some(streams)
    }

    fn folders(&mut self) -> Option<Vec<Folder>> {
        (self.byte()? == 11).then_some(())?;
        let count = self.number().filter(|count| *count <= FOLDERS_MAX)?;
        // Blocks that are described elsewhere are nobody's.
        (self.byte()? == 0).then_some(())?;
        let mut folders = (0..count).map(|_| self.folder()).collect::<Option<Vec<_>>>()?;
        loop {
            match self.byte()? {
                0 => return Some(folders),
                12 => {
                    for folder in &mut folders {
                        folder.sizes = self.numbers(folder.coders.len() as u64)?;
                    }
                }
                10 => {
                    let digests = self.digests(count)?;
                    folders.iter_mut().zip(digests).for_each(|(folder, crc)| folder.crc = crc);
                }
                _ => return None,
            }
        }
    }

    fn folder(&mut self) -> Option<Folder> {
        let count = self.number().filter(|count| (1..=CODERS_MAX).contains(count))?;
        let mut folder = Folder::default();
        let (mut inputs, mut outputs) = (0u64, 0u64);
        for _ in 0..count {
            let flags = self.byte()?;
            let method = self.bytes(u64::from(flags & 15))?.to_vec();
            let simple = flags & 0x10 == 0;
            let (takes, gives) = if simple { (1, 1) } else { (self.number()?, self.number()?) };
            // One output a coder: nobody ever wrote another.
            (takes <= 4 && gives == 1).then_some(())?;
            inputs += takes;
            outputs += gives;
            let size = if flags & 0x20 == 0 { 0 } else { self.number()? };
            let properties = self.bytes(size)?.to_vec();
            folder.coders.push(Coder { method, properties, simple });
        }
        for _ in 1..outputs {
            folder.bonds.push((self.number()?, self.number()?));
        }
        folder.inputs = inputs.checked_sub(outputs - 1)? as usize;
        if folder.inputs > 1 {
            self.numbers(folder.inputs as u64)?;
        }
        Some(folder)
    }

    /// How the blocks are cut in entries.
    fn parts(&mut self, folders: &mut [Folder]) -> Option<()> {
        let mut counts = vec![1; folders.len()];
        let mut kind = self.byte()?;
        if kind == 13 {
            counts = self.numbers(folders.len() as u64)?;
            kind = self.byte()?;
        }
        let total = counts.iter().try_fold(0u64, |sum, &count| sum.checked_add(count))?;
        (total <= COUNT_MAX).then_some(())?;
        for (folder, &count) in folders.iter_mut().zip(&counts) {
            let mut left = folder.size();
            // Sizes of all but the last one stand here.
            if kind == 9 {
                for size in (1..count).map(|_| self.number()) {
                    let size = size?;
                    left = left.saturating_sub(size);
                    folder.parts.push(Part { size, crc: None });
                }
            } else if count > 1 {
                return None;
            }
            if count > 0 {
                folder.parts.push(Part { size: left, crc: if count == 1 { folder.crc } else { None } });
            }
        }
        if kind == 9 {
            kind = self.byte()?;
        }
        while kind != 0 {
            (kind == 10).then_some(())?;
            let mut unknown: Vec<&mut Part> =
                folders.iter_mut().flat_map(|folder| &mut folder.parts).filter(|part| part.crc.is_none()).collect();
            let digests = self.digests(unknown.len() as u64)?;
            unknown.iter_mut().zip(digests).for_each(|(part, crc)| part.crc = crc);
            kind = self.byte()?;
        }
        Some(())
    }

    /// The names of the files that hold anything.
    fn files(&mut self) -> Option<Vec<Vec<u8>>> {
        let count = self.number().filter(|count| *count <= COUNT_MAX)?;
        let (mut names, mut empty) = (Vec::new(), Vec::new());
        loop {
            let kind = self.number()?;
            if kind == 0 {
                break;
            }
            let size = self.number()?;
            let mut body = Input { rest: self.bytes(size)? };
            match kind {
                14 => empty = body.bits(count)?,
                17 if body.byte()? == 0 => {
                    let units: Vec<u16> = body.rest.chunks_exact(2).map(|two| u16::from_le_bytes([two[0], two[1]])).collect();
                    names = units
                        .split(|&unit| unit == 0)
                        .take(count as usize)
                        .map(|name| String::from_utf16_lossy(name).into_bytes())
                        .collect();
                }
                _ => {}
            }
        }
        let holds = |at: usize| !empty.get(at).copied().unwrap_or(false);
        Some(names.into_iter().enumerate().filter(|(at, _)| holds(*at)).map(|(_, name)| name).collect())
    }
}
