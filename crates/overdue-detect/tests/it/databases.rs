//! SQLite files: values over several pages, blobs that are archives, deleted rows.

use overdue_detect::Limits;

use crate::kit::{deflated, env, gaps, scan, scanner_with, seen, token};

const PAT: &str = "github.pat";
const PAGE: usize = 512;

pub(crate) enum Value<'v> {
    Number(u8),
    Text(&'v [u8]),
    Blob(&'v [u8]),
}
use Value::{Blob, Number, Text};

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = vec![(value & 0x7f) as u8];
    while value > 0x7f {
        value >>= 7;
        bytes.insert(0, (value & 0x7f) as u8 | 0x80);
    }
    bytes
}

/// How much of a row of so many bytes stands in its own page.
fn local(length: usize) -> usize {
    let (least, most) = ((PAGE - 12) * 32 / 255 - 23, PAGE - 35);
    if length <= most {
        return length;
    }
    let wanted = least + (length - least) % (PAGE - 4);
    if wanted <= most { wanted } else { least }
}

fn record(values: &[Value<'_>]) -> Vec<u8> {
    let (mut kinds, mut body) = (Vec::new(), Vec::new());
    for value in values {
        let (kind, bytes) = match value {
            Number(number) => (1, std::slice::from_ref(number)),
            Text(text) => (13 + 2 * text.len() as u64, *text),
            Blob(blob) => (12 + 2 * blob.len() as u64, *blob),
        };
        kinds.extend(varint(kind));
        body.extend(bytes);
    }
    [varint(kinds.len() as u64 + 1), kinds, body].concat()
}

/// A database with pages of 512 bytes, one table a leaf page.
pub(crate) struct Database {
    pages: Vec<Vec<u8>>,
    schema: Vec<Vec<u8>>,
}

impl Database {
    pub(crate) fn new() -> Self {
        Self { pages: vec![Vec::new()], schema: Vec::new() }
    }

    /// A row's cell; what does not fit goes on in pages of its own.
    fn cell(&mut self, row: u8, values: &[Value<'_>]) -> Vec<u8> {
        let payload = record(values);
        let mut cell = [varint(payload.len() as u64), vec![row]].concat();
        let local = local(payload.len());
        if local == payload.len() {
            cell.extend(payload);
            return cell;
        }
        cell.extend(&payload[..local]);
        cell.extend((self.pages.len() as u32 + 1).to_be_bytes());
        let pieces: Vec<&[u8]> = payload[local..].chunks(PAGE - 4).collect();
        for (at, piece) in pieces.iter().enumerate() {
            let next = if at + 1 < pieces.len() { self.pages.len() as u32 + 2 } else { 0 };
            let mut page = next.to_be_bytes().to_vec();
            page.extend(*piece);
            page.resize(PAGE, 0);
            self.pages.push(page);
        }
        cell
    }

    fn leaf(start: usize, cells: &[Vec<u8>]) -> Vec<u8> {
        let mut page = vec![0; PAGE];
        page[start] = 13;
        page[start + 3..start + 5].copy_from_slice(&(cells.len() as u16).to_be_bytes());
        let mut end = PAGE;
        for (at, cell) in cells.iter().enumerate() {
            end -= cell.len();
            page[end..end + cell.len()].copy_from_slice(cell);
            page[start + 8 + 2 * at..start + 10 + 2 * at].copy_from_slice(&(end as u16).to_be_bytes());
        }
        page
    }

    /// Adds a table, its rows over as many leaves as there are groups.
    pub(crate) fn table(&mut self, name: &str, leaves: &[&[&[Value<'_>]]]) {
        let mut numbers = Vec::new();
        for rows in leaves {
            let cells: Vec<Vec<u8>> = rows.iter().enumerate().map(|(row, values)| self.cell(row as u8 + 1, values)).collect();
            self.pages.push(Self::leaf(0, &cells));
            numbers.push(self.pages.len() as u32);
        }
        if numbers.len() > 1 {
            let (last, others) = numbers.split_last().expect("leaves");
            let cells: Vec<Vec<u8>> = others.iter().map(|number| [&number.to_be_bytes()[..], &[1]].concat()).collect();
            // A header of an inner page is four bytes longer than a leaf's.
            let mut page = Self::leaf(4, &cells);
            page[..8].copy_from_slice(&[5, 0, 0, 0, cells.len() as u8, 0, 0, 0]);
            page[8..12].copy_from_slice(&last.to_be_bytes());
            self.pages.push(page);
        }
        let root = self.pages.len() as u8;
        let sql = format!("CREATE TABLE {name} (a, b)");
        let schema = [Text(b"table"), Text(name.as_bytes()), Text(name.as_bytes()), Number(root), Text(sql.as_bytes())];
        let cell = self.cell(self.schema.len() as u8 + 1, &schema);
        self.schema.push(cell);
    }

    /// A page that belongs to nothing.
    pub(crate) fn free(&mut self, rows: &[&[Value<'_>]]) {
        let cells: Vec<Vec<u8>> = rows.iter().map(|values| self.cell(1, values)).collect();
        self.pages.push(Self::leaf(0, &cells));
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut first = Self::leaf(100, &self.schema);
        first[..16].copy_from_slice(b"SQLite format 3\0");
        first[16..18].copy_from_slice(&(PAGE as u16).to_be_bytes());
        first[59] = 1;
        [first, self.pages[1..].concat()].concat()
    }
}

/// A text of 1500 bytes in a second column, with a token of which ten bytes stand on one page and the rest on the next.
fn across(token: &str) -> Vec<u8> {
    // Five bytes stand before the text.
    let mut text = vec![b'.'; local(1505) + PAGE - 4 - 10 - 5 - 1];
    text.extend(format!(" {token} ").bytes());
    text.resize(1500, b'.');
    text
}

pub(crate) fn example() -> Vec<u8> {
    let archive = deflated(&[("conf/.env", &env(&token(3)))]);
    let (long, short) = (across(&token(1)), format!("GITHUB={}", token(2)));
    let mut database = Database::new();
    database.table("notes", &[&[&[Number(1), Text(&long)]], &[&[Number(2), Text(short.as_bytes())], &[Number(3), Text(b"none")]]]);
    database.table("files", &[&[&[Text(b"a.zip"), Blob(&archive)]]]);
    database.free(&[&[Number(1), Text(token(4).as_bytes())]]);
    database.bytes()
}

#[test]
fn values_are_put_together_and_told_by_their_table() {
    let bytes = example();
    let plain = token(1);
    assert!(!bytes.windows(plain.len()).any(|window| window == plain.as_bytes()), "the first token stands nowhere in one piece");
    let scanned = scan("app.db", &bytes);
    assert_eq!(gaps(&scanned), [], "{:?}", scanned.gaps);
    let expected = [(PAT, "deleted", None), (PAT, "files!/conf/.env", Some(2)), (PAT, "notes", None), (PAT, "notes", None)];
    assert_eq!(seen(&scanned), expected);
}

#[test]
fn a_damaged_page_is_a_gap_and_the_rest_is_read() {
    let whole = example();
    // Cut in the last value's pages, and in the middle.
    let scanned = scan("app.db", &whole[..PAGE * 4]);
    assert!(gaps(&scanned).contains(&("corrupt", "")), "{:?}", scanned.gaps);
    // A table's page that is no page.
    let mut broken = whole.clone();
    let leaf = (1..whole.len() / PAGE).find(|page| broken[page * PAGE] == 13).expect("a leaf") * PAGE;
    broken[leaf] = 77;
    let scanned = scan("app.db", &broken);
    assert_eq!(gaps(&scanned), [("corrupt", "")]);
    assert!(seen(&scanned).contains(&(PAT, "files!/conf/.env", Some(2))));
    // No header at all: as it is.
    let mut broken = whole;
    broken[16] = 3;
    let scanned = scan("app.db", &broken);
    assert_eq!(gaps(&scanned), [("corrupt", "")]);
    assert!(seen(&scanned).contains(&(PAT, "", None)));
}

#[test]
fn one_that_is_too_large_is_scanned_as_it_is() {
    let scanned = scanner_with(Limits { seekable_bytes_max: 2000, ..Limits::default() }).scan_bytes("app.db", &example());
    assert_eq!(gaps(&scanned), [("too-large", "")]);
    assert_eq!(seen(&scanned), [(PAT, "", None), (PAT, "", None)]);
}

#[test]
fn pages_that_point_at_one_another_are_read_once() {
    // Every cell of a page the same, with a value that goes on in itself.
    let mut database = Database::new();
    database.table("t", &[&[&[Text(&vec![b'x'; 3000])]]]);
    let mut bytes = database.bytes();
    for page in 1..bytes.len() / PAGE {
        let at = page * PAGE;
        if bytes[at] == 13 {
            bytes[at + 3..at + 5].copy_from_slice(&200u16.to_be_bytes());
            let cell = bytes[at + 8..at + 10].to_vec();
            for pointer in 0..200 {
                let at = at + 8 + 2 * pointer;
                bytes[at..at + 2].copy_from_slice(&cell);
            }
        } else {
            bytes[at..at + 4].copy_from_slice(&(page as u32 + 1).to_be_bytes());
        }
    }
    let scanned = scan("app.db", &bytes);
    assert_eq!(gaps(&scanned), [("corrupt", "")]);
}
