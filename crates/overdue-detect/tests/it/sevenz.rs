//! 7z archives: solid blocks, packed directories, and what is not opened.

use std::io::{Read, Write};

use overdue_detect::Limits;
use xz2::stream::{Filters, LzmaOptions, Stream};

use crate::kit::{deflated, env, gaps, scan, scanner_with, seen, token};

const PAT: &str = "github.pat";

/// How a block is packed.
#[derive(Clone, Copy)]
pub(crate) enum Method {
    Copy,
    Lzma,
    Lzma2,
    X86Lzma,
    X86Lzma2,
    Ppmd,
    Aes,
}

fn packed(method: Method, bytes: &[u8]) -> Vec<u8> {
    let mut options = LzmaOptions::new_preset(1).expect("a preset");
    options.dict_size(1 << 16);
    let mut filters = Filters::new();
    match method {
        Method::Lzma => _ = filters.lzma1(&options),
        Method::Lzma2 => _ = filters.lzma2(&options),
        Method::X86Lzma => _ = filters.x86().lzma1(&options),
        Method::X86Lzma2 => _ = filters.x86().lzma2(&options),
        _ => return bytes.to_vec(),
    }
    let mut out = Vec::new();
    let stream = Stream::new_raw_encoder(&filters).expect("an encoder");
    xz2::bufread::XzEncoder::new_stream(bytes, stream).read_to_end(&mut out).expect("memory");
    out
}

fn number(value: usize) -> Vec<u8> {
    if value < 0x80 { vec![value as u8] } else { [&[0xf0][..], &(value as u32).to_le_bytes()].concat() }
}

/// A block's coders, the dictionary one of 64 KiB.
fn folder(method: Method) -> Vec<u8> {
    match method {
        Method::Copy => vec![1, 1, 0],
        Method::Lzma => [&[1, 0x23, 3, 1, 1, 5, 0x5d][..], &(1u32 << 16).to_le_bytes()].concat(),
        Method::Lzma2 => vec![1, 0x21, 0x21, 1, 8],
        Method::X86Lzma => vec![2, 4, 3, 3, 1, 3, 0x23, 3, 1, 1, 5, 0x5d, 0, 0, 1, 0, 0, 1],
        Method::X86Lzma2 => vec![2, 4, 3, 3, 1, 3, 0x21, 0x21, 1, 8, 0, 1],
        Method::Ppmd => vec![1, 0x23, 3, 4, 1, 5, 6, 0, 0, 0, 1],
        Method::Aes => vec![1, 0x24, 6, 0xf1, 7, 1, 2, 0x53, 0],
    }
}

fn coders(method: Method) -> usize {
    if matches!(method, Method::X86Lzma | Method::X86Lzma2) { 2 } else { 1 }
}

/// Blocks of entries that are packed together.
type Block<'a> = (Method, &'a [(&'a str, &'a [u8])]);

pub(crate) fn archive(blocks: &[Block<'_>], packed_directory: bool) -> Vec<u8> {
    let mut body = Vec::new();
    let (mut sizes, mut folders, mut unpacked, mut counts, mut parts, mut sums, mut names) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new(), vec![0]);
    let mut files = 0;
    for (method, entries) in blocks {
        let content: Vec<u8> = entries.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
        let stream = packed(*method, &content);
        sizes.extend(number(stream.len()));
        body.extend(stream);
        folders.extend(folder(*method));
        (0..coders(*method)).for_each(|_| unpacked.extend(number(content.len())));
        counts.extend(number(entries.len()));
        entries[..entries.len() - 1].iter().for_each(|(_, bytes)| parts.extend(number(bytes.len())));
        for (name, bytes) in *entries {
            sums.extend(crc32fast::hash(bytes).to_le_bytes());
            names.extend(name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
            files += 1;
        }
    }
    let streams = |sizes: &[u8], start: usize, count: usize, folders: &[u8], unpacked: &[u8]| {
        [&[6][..], &number(start), &number(count), &[9], sizes, &[0, 7, 11], &number(count), &[0], folders, &[12], unpacked, &[0]].concat()
    };
    let mut directory = vec![1, 4];
    directory.extend(streams(&sizes, 0, blocks.len(), &folders, &unpacked));
    directory.extend([&[8, 13][..], &counts, &[9], &parts, &[10, 1], &sums, &[0, 0]].concat());
    directory.extend([&[5][..], &number(files), &[17], &number(names.len()), &names, &[0, 0]].concat());
    if packed_directory {
        let start = body.len();
        let stream = packed(Method::Lzma, &directory);
        let size = number(directory.len());
        directory = [&[0x17][..], &streams(&number(stream.len()), start, 1, &folder(Method::Lzma), &size), &[0]].concat();
        body.extend(stream);
    }
    let mut start = Vec::new();
    start.extend((body.len() as u64).to_le_bytes());
    start.extend((directory.len() as u64).to_le_bytes());
    start.extend(crc32fast::hash(&directory).to_le_bytes());
    let mut out = b"7z\xbc\xaf\x27\x1c\x00\x04".to_vec();
    out.extend(crc32fast::hash(&start).to_le_bytes());
    out.write_all(&[start, body, directory].concat()).expect("memory");
    out
}

pub(crate) fn example() -> Vec<u8> {
    let inner = deflated(&[("b.env", &env(&token(2)))]);
    archive(&[(Method::Lzma2, &[("a/.env", &env(&token(1))), ("x.zip", &inner)]), (Method::Lzma, &[("c.env", &env(&token(3)))])], true)
}

#[test]
fn blocks_of_all_kinds() {
    let expected = [(PAT, "a/.env", Some(2)), (PAT, "c.env", Some(2)), (PAT, "x.zip!/b.env", Some(2))];
    let scanned = scan("x.7z", &example());
    assert_eq!(gaps(&scanned), [], "{:?}", scanned.gaps);
    assert_eq!(seen(&scanned), expected);
    for method in [Method::Copy, Method::Lzma, Method::Lzma2, Method::X86Lzma, Method::X86Lzma2] {
        for packed_directory in [false, true] {
            let bytes =
                archive(&[(method, &[("README", b"nothing"), ("a.env", &env(&token(1))), ("end", b"the end of it")])], packed_directory);
            let scanned = scan("x.7z", &bytes);
            assert_eq!(gaps(&scanned), [], "{:?}", scanned.gaps);
            assert_eq!(seen(&scanned), [(PAT, "a.env", Some(2))]);
        }
    }
    assert_eq!(gaps(&scan("empty.7z", &[b"7z\xbc\xaf\x27\x1c\x00\x04".to_vec(), vec![0; 24]].concat())), []);
}

#[test]
fn what_is_not_opened_or_damaged_is_a_gap_and_other_blocks_are_read() {
    for (method, reason) in [(Method::Ppmd, "unsupported"), (Method::Aes, "encrypted")] {
        let bytes =
            archive(&[(method, &[("locked", b"0123456789"), ("too", b"0")]), (Method::Lzma2, &[("a.env", &env(&token(1)))])], false);
        let scanned = scan("x.7z", &bytes);
        assert_eq!(gaps(&scanned), [(reason, "locked")]);
        assert!(scanned.gaps[0].detail.contains("1 entries"), "{:?}", scanned.gaps);
        assert_eq!(seen(&scanned), [(PAT, "a.env", Some(2))]);
    }
    let filler: Vec<u8> = (0..20_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let mut bytes = archive(
        &[
            (Method::Lzma2, &[("a.env", &env(&token(1))), ("filler", &filler), ("lost", b"1")]),
            (Method::Copy, &[("b.env", &env(&token(2)))]),
        ],
        false,
    );
    let whole = bytes.clone();
    bytes[40_000] ^= 0xff;
    let scanned = scan("x.7z", &bytes);
    assert_eq!(gaps(&scanned), [("corrupt", "filler")]);
    // Cut: the directory is lost with the end.
    let scanned = scan("x.7z", &whole[..whole.len() - 10]);
    assert_eq!(gaps(&scanned), [("corrupt", "")]);
    // What was stored as it is, is still found as it is.
    assert!(seen(&scanned).contains(&(PAT, "", None)));
}

#[test]
fn limits_end_in_gaps() {
    let bytes = example();
    let scanned = scanner_with(Limits { seekable_bytes_max: 100, ..Limits::default() }).scan_bytes("x.7z", &bytes);
    assert_eq!(gaps(&scanned), [("too-large", "")]);
    // A window larger than allowed.
    let scanned = scanner_with(Limits { window_bytes_max: 1 << 12, ..Limits::default() }).scan_bytes("x.7z", &bytes);
    assert!(gaps(&scanned).iter().all(|gap| gap.0 == "too-large") && !scanned.gaps.is_empty(), "{:?}", scanned.gaps);
    // A thousand to one, and an entry that says it is larger than it is.
    let zeros = vec![0; 16 << 20];
    let bytes =
        archive(&[(Method::Lzma2, &[("a.env", &env(&token(1))), ("zeros", &zeros)]), (Method::Copy, &[("b.env", &env(&token(2)))])], true);
    let scanned = scanner_with(Limits { ratio_free_bytes: 1 << 20, ..Limits::default() }).scan_bytes("x.7z", &bytes);
    assert_eq!(gaps(&scanned), [("too-large", "zeros")]);
    assert_eq!(seen(&scanned), [(PAT, "a.env", Some(2)), (PAT, "b.env", Some(2))]);
}
