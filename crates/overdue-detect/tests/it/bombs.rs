//! Bombs: every limit ends in a gap, and nothing costs more than it may.

use overdue_detect::{Limits, Scanned};

use crate::containers::header_of;
use crate::kit::{deflated, env, gaps, gzip, scan, scanner_with, seen, tar, token};

const PAT: &str = "github.pat";

fn bounded(limits: &Limits, bytes: &[u8]) -> Scanned {
    let scanner = scanner_with(limits.clone());
    let scanned = scanner.scan_bytes("x", bytes);
    let streamed = scanner.scan_reader("x", None, &mut &bytes[..]);
    assert!(streamed.bytes <= scanned.bytes, "a limit stops the reading");
    assert_eq!(scanned, Scanned { bytes: scanned.bytes, ..streamed });
    scanned
}

#[test]
fn a_thousand_to_one() {
    let limits = Limits { ratio_free_bytes: 1 << 20, ..Limits::default() };
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!(bomb.len() < (64 << 20) / 900);
    let archive = tar(&[("a.env", &env(&token(1))), ("bomb.gz", &bomb), ("b.env", &env(&token(2)))]);
    let started = std::time::Instant::now();
    let scanned = bounded(&limits, &archive);
    assert_eq!(seen(&scanned), [(PAT, "a.env", Some(2)), (PAT, "b.env", Some(2))]);
    assert_eq!(gaps(&scanned), [("too-large", "bomb.gz")]);
    assert!(scanned.gaps[0].detail.contains("ratio_max"), "{:?}", scanned.gaps);
    // In a zip the same, by the same limit.
    let scanned = bounded(&limits, &deflated(&[("a.env", &env(&token(1))), ("zeros", &vec![0; 8 << 20]), ("b.env", &env(&token(2)))]));
    assert_eq!(seen(&scanned), [(PAT, "a.env", Some(2)), (PAT, "b.env", Some(2))]);
    assert_eq!(gaps(&scanned), [("too-large", "zeros")]);
    assert!(started.elapsed().as_secs() < 20);
}

#[test]
fn too_deep() {
    let mut packed = env(&token(1));
    for _ in 0..12 {
        packed = gzip(&packed);
    }
    let scanned = scan("x.gz", &packed);
    assert_eq!(seen(&scanned), []);
    assert_eq!(gaps(&scanned), [("too-deep", "")]);
    assert!(scanned.gaps[0].detail.contains("archive_depth_max"));
    // Eight are opened.
    let mut packed = env(&token(1));
    for _ in 0..8 {
        packed = gzip(&packed);
    }
    assert_eq!(seen(&scan("x.gz", &packed)), [(PAT, "", Some(2))]);
}

#[test]
fn too_many_and_too_much() {
    let limits = Limits { entries_max: 100, ..Limits::default() };
    let names: Vec<String> = (0..300).map(|n| format!("{n}.txt")).collect();
    let secret = env(&token(1));
    let mut entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    entries.insert(50, ("early.env", &secret));
    entries.insert(250, ("late.env", &secret));
    for archive in [tar(&entries), deflated(&entries)] {
        let scanned = bounded(&limits, &archive);
        assert_eq!(seen(&scanned), [(PAT, "early.env", Some(2))]);
        assert_eq!(gaps(&scanned), [("too-many", "")]);
    }

    let limits = Limits { total_bytes_max: 1 << 20, ..Limits::default() };
    let words = b"many words about nothing much\n".repeat(20_000);
    let scanned = bounded(&limits, &deflated(&[("a.env", &secret), ("b.txt", &words), ("c.txt", &words), ("d.env", &secret)]));
    assert_eq!(seen(&scanned), [(PAT, "a.env", Some(2))]);
    assert_eq!(gaps(&scanned), [("too-large", "")]);

    let limits = Limits { entry_bytes_max: 100_000, ..Limits::default() };
    let scanned = bounded(&limits, &deflated(&[("a.env", &secret), ("b.txt", &words), ("d.env", &secret)]));
    assert_eq!(seen(&scanned), [(PAT, "a.env", Some(2)), (PAT, "d.env", Some(2))]);
    assert_eq!(gaps(&scanned), [("too-large", "b.txt")]);

    let limits = Limits { detections_max: 5, gaps_max: 2, ..Limits::default() };
    let many: String = (0..50).map(|seed| format!("{}\n", token(seed))).collect();
    let scanned = bounded(&limits, many.as_bytes());
    assert_eq!((scanned.detections.len(), gaps(&scanned)), (5, vec![("too-many", "")]));
}

#[test]
fn sizes_are_not_believed() {
    let (a, b) = (env(&token(1)), env(&token(2)));
    // A zip entry that says it is small, and one that says it is huge.
    for lie in [10u32, 0xffff_fff0] {
        let mut bytes = deflated(&[("lie.env", &a), ("b.env", &b)]);
        let at = header_of(&bytes, b"lie.env");
        bytes[at + 22..at + 26].copy_from_slice(&lie.to_le_bytes());
        let scanned = scan("x.zip", &bytes);
        assert_eq!(seen(&scanned), [(PAT, "b.env", Some(2)), (PAT, "lie.env", Some(2))]);
        assert_eq!(gaps(&scanned), [("corrupt", "lie.env")]);
    }
    // One whose packed size goes past the end.
    let mut bytes = deflated(&[("lie.env", &a)]);
    let at = header_of(&bytes, b"lie.env");
    bytes[at + 18..at + 22].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
    let scanned = scan("x.zip", &bytes);
    assert_eq!(seen(&scanned), [(PAT, "lie.env", Some(2))]);
    assert!(gaps(&scanned).contains(&("corrupt", "lie.env")), "{:?}", scanned.gaps);
    // A tar entry of eight gigabytes.
    let mut bytes = tar(&[("a.env", &a), ("lie.env", &b)]);
    let header = &mut bytes[1024..1536];
    header[124..136].copy_from_slice(b"77777777777\0");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let scanned = scan("x.tar", &bytes);
    assert_eq!(scanned.detections.len(), 2);
    assert_eq!(gaps(&scanned), [("corrupt", "")]);
    // A directory that lists an entry which is not there.
    let mut bytes = deflated(&[("a.env", &a), ("gone.env", &b)]);
    let at = header_of(&bytes, b"gone.env");
    bytes[at..at + 4].copy_from_slice(b"ZZZZ");
    let scanned = scan("x.zip", &bytes);
    assert_eq!(seen(&scanned), [(PAT, "a.env", Some(2))]);
    assert!(!scanned.gaps.is_empty() && gaps(&scanned).iter().all(|gap| gap.0 == "corrupt"), "{:?}", scanned.gaps);
}

#[test]
fn any_bytes_are_survived() {
    // Each archive, cut at many places and with one byte changed at many places: never a panic, always an answer.
    let secret = env(&token(1));
    let inner = deflated(&[("a.env", &secret)]);
    let archives = [
        deflated(&[("a.env", &secret), ("i.zip", &inner)]),
        crate::kit::zip(&[("a.env", &secret), ("i.zip", &inner)], zip::CompressionMethod::Stored, true),
        tar(&[("a.env", &secret), ("i.zip", &inner)]),
        gzip(&tar(&[("a.env", &secret)])),
        crate::kit::zstd(&secret),
        crate::kit::xz(&secret),
        crate::kit::bzip2(&secret),
        crate::databases::example(),
        crate::git::example(),
        crate::pdf::example(),
        crate::sevenz::example(),
        crate::containers::lz4(&secret),
        crate::containers::rpm(b"", &gzip(&crate::containers::cpio(&[("a.env", &secret)]))),
    ];
    let scanner = scanner_with(Limits { total_bytes_max: 8 << 20, ..Limits::default() });
    for archive in archives {
        for at in (0..archive.len()).step_by(1 + archive.len() / 60) {
            scanner.scan_bytes("x", &archive[..at]);
            for change in [0x01, 0x80, 0xff] {
                let mut changed = archive.clone();
                changed[at] ^= change;
                scanner.scan_bytes("x", &changed);
            }
        }
    }
}
