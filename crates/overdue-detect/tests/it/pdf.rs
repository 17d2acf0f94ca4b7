//! PDF: packed streams, kerned pieces, numbered glyphs, embedded files.

use overdue_detect::Limits;

use crate::git::zlib;
use crate::kit::{deflated, env, gaps, scan, scanner_with, seen, token};

const PAT: &str = "github.pat";

fn object(number: u32, dictionary: &str, stream: &[u8]) -> Vec<u8> {
    let head = format!("{number} 0 obj\n<< {dictionary} /Length {} >>\nstream\n", stream.len());
    [head.as_bytes(), stream, b"\nendstream\nendobj\n"].concat()
}

fn document(objects: &[Vec<u8>], trailer: &str) -> Vec<u8> {
    [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec(), objects.concat(), format!("trailer\n<< {trailer} >>\nstartxref\n9\n%%EOF\n").into_bytes()]
        .concat()
}

/// Shows the token in kerned pieces.
fn page(token: &str) -> Vec<u8> {
    let (a, rest) = token.split_at(2);
    let (b, c) = rest.split_at(9);
    let hex: String = c.bytes().map(|byte| format!("{byte:02X}")).collect();
    format!("q BT /F1 9 Tf 72 700 Td (Keys:) Tj 0 -12 Td [({a}) 3 ({b}) -12.5 <{hex}>] TJ ET Q\n").into_bytes()
}

/// The token in glyphs that only a map knows.
fn numbered(token: &str, width: usize) -> (Vec<u8>, Vec<u8>) {
    let glyph = |byte: u8| format!("{:0digits$X}", u32::from(byte) * 3 % 251 + 1, digits = 2 * width);
    let shown: String = token.bytes().map(glyph).collect();
    let pairs: String = (b'0'..=b'z').map(|byte| format!("<{}> <{byte:04X}>\n", glyph(byte))).collect();
    let map = format!("/CIDInit /ProcSet findresource begin\nbegincmap\n75 beginbfchar\n{pairs}endbfchar\nendcmap\n");
    (format!("BT /F2 9 Tf 72 700 Td <{shown}> Tj ET").into_bytes(), map.into_bytes())
}

pub(crate) fn example() -> Vec<u8> {
    let (glyphs, map) = numbered(&token(7), 2);
    document(
        &[
            object(4, "/Filter /FlateDecode", &zlib(&page(&token(1)))),
            object(5, "", &page(&token(2))),
            object(6, "/Type /ObjStm /N 1 /Filter [/FlateDecode]", &zlib(format!("7 0 << /Title (a \\({}\\)) >>", token(3)).as_bytes())),
            object(8, "/Type /EmbeddedFile /Filter /FlateDecode", &zlib(&deflated(&[("a/.env", &env(&token(4)))]))),
            object(9, "/Filter /FlateDecode", &zlib(&glyphs)),
            object(10, "/Filter /FlateDecode", &zlib(&map)),
            format!("11 0 obj\n<< /Author ({}) /A << /URI (x\\{:03o}{}) >> >>\nendobj\n", token(5), b'g', &token(6)[1..])
                .replace("x\\", "x \\")
                .into_bytes(),
        ],
        "/Root 1 0 R",
    )
}

#[test]
fn text_is_read_as_one_sees_it() {
    let scanned = scan("x.pdf", &example());
    assert_eq!(gaps(&scanned), [], "{:?}", scanned.gaps);
    let expected = [
        (PAT, "", None),
        (PAT, "", None),
        (PAT, "object 4", None),
        (PAT, "object 5", None),
        (PAT, "object 6", None),
        (PAT, "object 8!/a/.env", Some(2)),
        (PAT, "object 9", None),
    ];
    assert_eq!(seen(&scanned), expected, "{:?}", scanned.detections);
    // A step along the line may be a space, or nothing: a browser steps in the middle of words.
    let (split, word) = (token(1), token(2));
    let (a, b) = split.split_at(17);
    let stepping = format!("BT 1 0 0 1 72 700 Tm ({a}) Tj 94.7 0 Td ({b}) Tj 0 -12 Td (see) Tj 20 0 Td ({word}) Tj 90 0 Td (here) Tj ET");
    let scanned = scan("x.pdf", &document(&[object(1, "/Filter/FlateDecode", &zlib(stepping.as_bytes()))], ""));
    assert_eq!(seen(&scanned), [(PAT, "object 1", None), (PAT, "object 1", None)]);
    // One byte a glyph.
    let (glyphs, map) = numbered(&token(1), 1);
    let scanned = scan("x.pdf", &document(&[object(1, "", &glyphs), object(2, "/Filter/FlateDecode", &zlib(&map))], ""));
    assert_eq!(seen(&scanned), [(PAT, "object 1", None)]);
}

#[test]
fn damaged_and_encrypted_ones_are_gaps() {
    let packed = zlib(
        &[page(&token(1)), (0..4000u32).flat_map(|n| format!("0 -12 Td ({}) Tj ", n.wrapping_mul(2_654_435_761)).into_bytes()).collect()]
            .concat(),
    );
    let mut broken = packed.clone();
    let end = broken.len();
    broken[end - 12..end - 8].fill(0xff);
    let objects = [object(1, "/Filter /FlateDecode", &broken), object(2, "/Filter /FlateDecode", &zlib(&page(&token(2))))];
    let scanned = scan("x.pdf", &document(&objects, "/Root 1 0 R"));
    assert_eq!(seen(&scanned), [(PAT, "object 1", None), (PAT, "object 2", None)]);
    assert_eq!(gaps(&scanned), [("corrupt", "")]);
    let scanned = scan("x.pdf", &document(&objects, "/Root 1 0 R /Encrypt 9 0 R"));
    assert_eq!(gaps(&scanned), [("encrypted", "")]);
    let scanned = scan("x.pdf", &document(&[object(3, "/Filter /LZWDecode", b"??")], ""));
    assert_eq!(gaps(&scanned), [("unsupported", "")]);
    let whole = document(&[object(1, "/Filter /FlateDecode", &packed)], "");
    let scanned = scan("x.pdf", &whole[..whole.len() / 2]);
    assert_eq!(gaps(&scanned), [("corrupt", "")]);
}

#[test]
fn a_page_that_explodes_is_a_gap_and_the_next_one_is_read() {
    let limits = Limits { ratio_free_bytes: 1 << 20, ..Limits::default() };
    let objects = [
        object(1, "/Filter /FlateDecode", &zlib(&vec![b' '; 32 << 20])),
        object(2, "/Filter [/FlateDecode/FlateDecode]", &zlib(&zlib(&page(&token(2))))),
    ];
    let scanned = scanner_with(limits).scan_bytes("x.pdf", &document(&objects, ""));
    assert_eq!(gaps(&scanned), [("too-large", "object 1")]);
    assert_eq!(seen(&scanned), [(PAT, "object 2", None)]);
    // More text than may be held: plain text is still read where it is in one piece.
    let objects = [object(1, "/Filter /FlateDecode", &zlib(&page(&token(1)).repeat(3000))), object(2, "", &page(&token(2)))];
    let scanned = scanner_with(Limits { seekable_bytes_max: 10_000, ..Limits::default() }).scan_bytes("x.pdf", &document(&objects, ""));
    assert_eq!(gaps(&scanned), [("too-large", "")]);
    assert_eq!(seen(&scanned), [(PAT, "object 1", None), (PAT, "object 2", None)]);
}
