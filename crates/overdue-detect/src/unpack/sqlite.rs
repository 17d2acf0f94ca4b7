//! SQLite databases: values put together from the pages they are spread over.
//!
//! A value longer than a page goes on in other pages, each of which begins with four bytes of its own; a token across that
//! border stands nowhere in the file. Each row's texts are scanned as one text, so that an id in one column meets its secret
//! in the next, and each blob as an artifact of its own, under the name of its table. The file as it is is scanned besides:
//! deleted rows lie in it until somebody vacuums.
//!
//! Pages are read where they lie and each is read once, whatever points to it. A page that makes no sense is passed over; one
//! that a table needs is a gap.

use std::io::{self, Read};

use overdue_core::GapReason;
use zeroize::Zeroize;

use super::held::{Filled, Held};
use super::tar::counted;
use super::{Resumed, scan_reader};
use crate::decode::Utf16Reader;
use crate::engine::{scan_slice, scan_stream};
use crate::session::{Place, Session};

pub(super) const MAGIC: &[u8] = b"SQLite format 3\0";
const FILE_HEADER: usize = 100;
const PAGE_BYTES_MIN: usize = 512;

/// Kinds of pages of trees.
const INDEX_INNER: u8 = 2;
const TABLE_INNER: u8 = 5;
const INDEX_LEAF: u8 = 10;
const TABLE_LEAF: u8 = 13;

/// A text of at most this many bytes is scanned together with the rest of its row.
const SHORT_BYTES_MAX: u64 = 64 << 10;
/// A row's texts are scanned when this many bytes have come together.
const ROWS_BYTES: usize = 256 << 10;
/// SQLite itself allows 2,000 columns, 32,767 at most.
const COLUMNS_MAX: usize = 32_767;
/// More tables and indexes than this go without their names.
const TREES_MAX: usize = 1 << 16;
const TREE_NAME_BYTES_MAX: u64 = 256;

/// Scans the file as it is, then its values.
pub(super) fn scan(session: &mut Session<'_>, place: &Place, reader: &mut dyn Read) -> io::Result<()> {
    let mut held = Held::new(session);
    let filled = held.fill(reader, u64::MAX);
    if matches!(filled, Ok(Filled::Full)) {
        let what = format!(
            "a database of more than {} bytes (seekable_bytes_max): scanned as it is, without putting together what is spread over pages",
            session.limits.seekable_bytes_max
        );
        session.gap(&place.path, GapReason::TooLarge, what);
        return scan_stream(session, place, &mut Resumed { head: &held, error: None, reader });
    }
    let before = session.mark();
    scan_slice(session, place, &held);
    let between = session.mark();
    Database::read(session, place, &held);
    session.prefer_later(before, between);
    filled.map(|_| ())
}

/// What a file says of itself, and what was read of it.
struct Database<'d> {
    bytes: &'d [u8],
    page_bytes: usize,
    /// A page without what is kept free at its end.
    usable: usize,
    /// Texts are UTF-16, and whether little endian.
    utf16: Option<bool>,
    /// By page: its tree, as an index into the names.
    owner: Vec<Option<u32>>,
    /// By page: read as the rest of a value.
    claimed: Vec<bool>,
    names: Vec<String>,
    damaged: u64,
}

/// A cell of a page.
struct Cell<'d> {
    /// The beginning of its row.
    local: &'d [u8],
    /// Bytes of the row that are elsewhere, and the page they go on in.
    left: usize,
    next: usize,
    /// Bytes it takes of its page.
    taken: usize,
}

/// A row's bytes, in the pieces they lie in.
struct Payload<'d> {
    pieces: Vec<&'d [u8]>,
    /// The piece that is read next.
    at: usize,
}

impl Read for Payload<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(piece) = self.pieces.get_mut(self.at) {
            if !piece.is_empty() {
                return piece.read(out);
            }
            self.at += 1;
        }
        Ok(0)
    }
}

impl Payload<'_> {
    fn byte(&mut self) -> Option<u8> {
        let mut one = [0];
        (self.read(&mut one).ok()? == 1).then_some(one[0])
    }

    /// A number, and how many bytes it takes.
    fn varint(&mut self) -> Option<(u64, u64)> {
        let mut value = 0u64;
        for length in 1..=8 {
            let byte = self.byte()?;
            value = value << 7 | u64::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Some((value, length));
            }
        }
        Some((value << 8 | u64::from(self.byte()?), 9))
    }

    /// The kinds of the columns.
    fn columns(&mut self) -> Option<Vec<u64>> {
        let (length, mut read) = self.varint()?;
        let mut kinds = Vec::new();
        while read < length {
            let (kind, bytes) = self.varint()?;
            read += bytes;
            kinds.push(kind);
            if kinds.len() > COLUMNS_MAX {
                return None;
            }
        }
        (read == length).then_some(kinds)
    }
}

/// What a column of this kind holds, and in how many bytes.
enum Column {
    Number(u64),
    Text(u64),
    Blob(u64),
}

impl Column {
    fn of(kind: u64) -> Self {
        match kind {
            0..=4 => Self::Number(kind),
            5 => Self::Number(6),
            6 | 7 => Self::Number(8),
            8..=11 => Self::Number(0),
            odd if odd % 2 == 1 => Self::Text((odd - 13) / 2),
            even => Self::Blob((even - 12) / 2),
        }
    }
}

impl<'d> Database<'d> {
    /// `None` where the header makes no sense.
    fn of(bytes: &'d [u8]) -> Option<Self> {
        let header = bytes.get(..FILE_HEADER)?;
        let page_bytes = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 1 << 16,
            other => usize::from(other),
        };
        let usable = page_bytes.checked_sub(usize::from(header[20]))?;
        if !page_bytes.is_power_of_two() || page_bytes < PAGE_BYTES_MIN || usable < 480 {
            return None;
        }
        let utf16 = match header[59] {
            2 => Some(true),
            3 => Some(false),
            _ => None,
        };
        let pages = bytes.len().div_ceil(page_bytes);
        let (owner, claimed) = (vec![None; pages + 1], vec![false; pages + 1]);
        let mut database = Self { bytes, page_bytes, usable, utf16, owner, claimed, names: vec!["sqlite_schema".to_owned()], damaged: 0 };
        database.walk(1, 0);
        if u32::from_be_bytes([header[52], header[53], header[54], header[55]]) != 0 {
            // Maps of pointers look like pages of trees and are none.
            let stride = usable / 5 + 1;
            (2..=pages).step_by(stride).for_each(|page| database.claimed[page] = true);
        }
        Some(database)
    }

    fn page(&self, number: usize) -> &'d [u8] {
        let start = number.saturating_sub(1).saturating_mul(self.page_bytes).min(self.bytes.len());
        &self.bytes[start..(start + self.page_bytes).min(self.bytes.len())]
    }

    /// Where the header of a page's tree begins.
    fn start(number: usize) -> usize {
        if number == 1 { FILE_HEADER } else { 0 }
    }

    /// The kind of a page, and where its cells lie.
    fn cells(&self, number: usize) -> Option<(u8, Vec<usize>)> {
        let page = self.page(number);
        let start = Self::start(number);
        let head = page.get(start..start + 12).or_else(|| page.get(start..start + 8))?;
        let kind = head[0];
        let pointers = match kind {
            TABLE_LEAF | INDEX_LEAF => start + 8,
            TABLE_INNER | INDEX_INNER => start + 12,
            _ => return None,
        };
        let count = usize::from(u16::from_be_bytes([head[3], head[4]]));
        let pointers = page.get(pointers..pointers + 2 * count)?;
        Some((kind, pointers.chunks_exact(2).map(|two| usize::from(u16::from_be_bytes([two[0], two[1]]))).collect()))
    }

    /// Gives every page of the tree its owner.
    fn walk(&mut self, root: usize, owner: u32) {
        let mut pages = Vec::new();
        self.own(root, owner, &mut pages);
        while let Some(number) = pages.pop() {
            let Some((kind, cells)) = self.cells(number) else {
                self.damaged += 1;
                continue;
            };
            if kind == TABLE_INNER || kind == INDEX_INNER {
                let page = self.page(number);
                let child =
                    |at: usize| page.get(at..at + 4).map_or(0, |four| u32::from_be_bytes(four.try_into().unwrap_or_default()) as usize);
                self.own(child(Self::start(number) + 8), owner, &mut pages);
                cells.into_iter().for_each(|at| self.own(child(at), owner, &mut pages));
            }
        }
    }

    /// Makes a page the owner's, once.
    fn own(&mut self, number: usize, owner: u32, pages: &mut Vec<usize>) {
        match self.owner.get_mut(number) {
            Some(free @ None) if number > 0 => {
                *free = Some(owner);
                pages.push(number);
            }
            _ => self.damaged += 1,
        }
    }

    /// Reads a cell. `None`: it makes no sense.
    fn cell(&self, page: &'d [u8], kind: u8, at: usize) -> Option<Cell<'d>> {
        let mut head = Payload { pieces: vec![page.get(at..)?], at: 0 };
        let mut taken = 0;
        if kind == INDEX_INNER {
            for _ in 0..4 {
                head.byte()?;
            }
            taken += 4;
        }
        let (length, bytes) = head.varint()?;
        taken += bytes as usize;
        if kind == TABLE_LEAF {
            taken += head.varint()?.1 as usize;
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let most = if kind == TABLE_LEAF { self.usable - 35 } else { (self.usable - 12) * 64 / 255 - 23 };
        let length = usize::try_from(length).ok()?;
        let rest = page.get(at + taken..)?;
        if length <= most {
            return Some(Cell { local: rest.get(..length)?, left: 0, next: 0, taken: taken + length });
        }
        let wanted = least + (length - least) % (self.usable - 4);
        let local = if wanted <= most { wanted } else { least };
        let next = u32::from_be_bytes(rest.get(local..local + 4)?.try_into().ok()?) as usize;
        Some(Cell { local: rest.get(..local)?, left: length - local, next, taken: taken + local + 4 })
    }

    /// The next piece of a value that goes on in this page, and the page after it.
    fn link(&self, number: usize) -> Option<(&'d [u8], usize)> {
        let free = number != 0 && self.claimed.get(number) == Some(&false) && self.owner[number].is_none();
        let page = self.page(number);
        let next = u32::from_be_bytes(page.get(..4).filter(|_| free)?.try_into().ok()?) as usize;
        Some((&page[4..page.len().min(self.usable)], next))
    }

    /// The whole value of a cell. The pages it goes on in are taken, for nobody else to read.
    fn payload(&mut self, cell: &Cell<'d>) -> Payload<'d> {
        let mut pieces = vec![cell.local];
        let (mut next, mut left) = (cell.next, cell.left);
        while left > 0 {
            let Some((piece, after)) = self.link(next).filter(|(piece, _)| !piece.is_empty()) else {
                // What there is of the value is looked at.
                self.damaged += 1;
                break;
            };
            self.claimed[next] = true;
            next = after;
            let piece = &piece[..piece.len().min(left)];
            left -= piece.len();
            pieces.push(piece);
        }
        Payload { pieces, at: 0 }
    }

    /// The trees that the schema names.
    fn tables(&mut self) {
        let mut roots = Vec::new();
        for number in (1..self.owner.len()).filter(|&page| self.owner[page] == Some(0)) {
            let Some((TABLE_LEAF, cells)) = self.cells(number) else { continue };
            let page = self.page(number);
            let mut budget = page.len();
            for cell in cells.into_iter().filter_map(|at| self.cell(page, TABLE_LEAF, at)) {
                if cell.taken > budget || roots.len() >= TREES_MAX {
                    break;
                }
                budget -= cell.taken;
                roots.extend(self.root(&cell).filter(|(_, page)| *page != 0));
            }
        }
        for (name, page) in roots {
            self.names.push(name);
            self.walk(page, self.names.len() as u32 - 1);
        }
    }

    /// The table and the first page of a tree, by its row in the schema: type, name, table, page, definition.
    fn root(&self, cell: &Cell<'d>) -> Option<(String, usize)> {
        let mut pieces = vec![cell.local];
        if let Some((piece, _)) = self.link(cell.next) {
            pieces.push(piece);
        }
        let mut payload = Payload { pieces, at: 0 };
        let kinds = payload.columns()?;
        let mut name = String::new();
        for (at, &kind) in kinds.iter().enumerate().take(4) {
            let mut bytes = Vec::new();
            let (Column::Number(length) | Column::Text(length) | Column::Blob(length)) = Column::of(kind);
            payload.by_ref().take(length.min(TREE_NAME_BYTES_MAX)).read_to_end(&mut bytes).ok()?;
            match at {
                2 => name = String::from_utf8_lossy(&self.text(bytes)).into_owned(),
                3 => {
                    let constant = usize::from(kind == 9);
                    return Some((name, bytes.iter().take(8).fold(constant, |value, &byte| value << 8 | usize::from(byte))));
                }
                _ => {}
            }
        }
        None
    }

    /// A text as UTF-8.
    fn text(&self, bytes: Vec<u8>) -> Vec<u8> {
        let Some(little) = self.utf16 else { return bytes };
        let unit = |two: &[u8]| if little { u16::from_le_bytes([two[0], two[1]]) } else { u16::from_be_bytes([two[0], two[1]]) };
        let units: Vec<u16> = bytes.chunks_exact(2).map(unit).collect();
        String::from_utf16_lossy(&units).into_bytes()
    }

    /// Scans the values of all pages, deleted ones too.
    fn read(session: &mut Session<'_>, place: &Place, bytes: &'d [u8]) {
        let Some(mut database) = Self::of(bytes) else {
            session.gap(&place.path, GapReason::Corrupt, "the database's header is damaged; its bytes were scanned as they are");
            return;
        };
        database.tables();
        // Pages of tables first, so that what is left over of others claims nothing of theirs.
        for owned in [true, false] {
            for number in 1..database.owner.len() {
                if database.owner[number].is_some() == owned && (owned || !database.claimed[number]) {
                    if session.budget.is_spent() {
                        return;
                    }
                    database.rows(session, place, number);
                }
            }
        }
        if database.damaged > 0 {
            let what = format!("{} damaged pages or values; their bytes were scanned as they are", database.damaged);
            session.gap(&place.path, GapReason::Corrupt, what);
        }
    }

    /// Scans the rows of one page.
    fn rows(&mut self, session: &mut Session<'_>, place: &Place, number: usize) {
        let Some((kind, cells)) = self.cells(number) else { return };
        if kind == TABLE_INNER {
            return;
        }
        let owner = self.owner[number];
        let inner = place.entry(owner.map_or("deleted", |owner| self.names[owner as usize].as_str()).as_bytes());
        let page = self.page(number);
        let (mut texts, mut budget) = (Vec::new(), page.len());
        let damaged = self.damaged;
        for at in cells {
            // Cells that overlap would be a way to have the same bytes read over and over.
            match self.cell(page, kind, at).filter(|cell| cell.taken <= budget) {
                Some(cell) => {
                    budget -= cell.taken;
                    let mut payload = self.payload(&cell);
                    if self.row(session, &inner, &mut payload, &mut texts).is_none() {
                        self.damaged += 1;
                    }
                }
                None => self.damaged += 1,
            }
            if texts.len() > ROWS_BYTES {
                flush(session, &inner, &mut texts);
            }
        }
        flush(session, &inner, &mut texts);
        if owner.is_none() {
            // A page in no table may hold anything.
            self.damaged = damaged;
        }
    }

    /// Adds the short texts of a row to `texts`, and scans what is longer or a blob. `None` when the row makes no sense.
    fn row(&self, session: &mut Session<'_>, place: &Place, payload: &mut Payload<'_>, texts: &mut Vec<u8>) -> Option<()> {
        for kind in payload.columns()? {
            let column = Column::of(kind);
            let (Column::Number(length) | Column::Text(length) | Column::Blob(length)) = column;
            let mut value = payload.by_ref().take(length);
            match column {
                Column::Number(_) => {
                    io::copy(&mut value, &mut io::sink()).ok()?;
                }
                Column::Text(length) if length <= SHORT_BYTES_MAX => {
                    let mut bytes = Vec::new();
                    value.read_to_end(&mut bytes).ok()?;
                    texts.extend(self.text(bytes));
                    texts.push(b'\n');
                }
                Column::Text(length) | Column::Blob(length) if length > 0 => {
                    let mark = session.mark();
                    session.budget.spend_unpacked(length.min(self.bytes.len() as u64), session.limits);
                    if !counted(session) {
                        return Some(());
                    }
                    match self.utf16 {
                        Some(little) if matches!(column, Column::Text(_)) => {
                            let place = place.wrapped(if little { "utf-16le" } else { "utf-16be" });
                            scan_stream(session, &place, &mut Utf16Reader::new(&mut value, little)).ok()?;
                        }
                        _ => scan_reader(session, place, Some(length), &mut value).ok()?,
                    }
                    session.forget_lines(mark, &place.path);
                    io::copy(&mut value, &mut io::sink()).ok()?;
                }
                Column::Text(_) | Column::Blob(_) => {}
            }
            if value.limit() > 0 {
                // The row ends before its values do.
                return None;
            }
        }
        Some(())
    }
}

/// Scans the texts that came together.
fn flush(session: &mut Session<'_>, place: &Place, texts: &mut Vec<u8>) {
    if texts.is_empty() || session.budget.is_spent() {
        return;
    }
    let mark = session.mark();
    session.budget.spend_unpacked(texts.len() as u64, session.limits);
    scan_slice(session, place, texts);
    session.forget_lines(mark, &place.path);
    texts.zeroize();
}
