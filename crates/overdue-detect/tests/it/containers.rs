//! Containers are opened, and what cannot be is a gap.

use zip::CompressionMethod::{Deflated, Stored, Zstd};

use crate::kit::{bzip2, deflated, env, gaps, gzip, scan, seen, tar, token, xz, zip, zstd};

const PAT: &str = "github.pat";

#[test]
fn zips_of_all_kinds() {
    let secret = env(&token(1));
    let entries: [(&str, &[u8]); 3] = [("README", b"nothing"), ("conf/.env", &secret), ("end.txt", b"nothing either")];
    for (method, streamed) in [(Deflated, false), (Stored, false), (Zstd, false), (Deflated, true), (Stored, true)] {
        let scanned = scan("code.zip", &zip(&entries, method, streamed));
        assert_eq!(seen(&scanned), [(PAT, "conf/.env", Some(2))], "{method:?} {streamed}");
        assert_eq!(gaps(&scanned), [], "{method:?} {streamed}: {:?}", scanned.gaps);
    }
    assert_eq!(gaps(&scan("empty.zip", &deflated(&[]))), []);
}

#[test]
fn a_zip_that_holds_zip_signatures() {
    // An archive stored in an archive that is streamed: only sizes tell where it ends.
    let secret = env(&token(1));
    let inner = zip(&[("a.env", &secret)], Deflated, true);
    let scanned = scan("outer.zip", &zip(&[("inner.zip", &inner), ("b.env", &env(&token(2)))], Stored, true));
    assert_eq!(seen(&scanned), [(PAT, "b.env", Some(2)), (PAT, "inner.zip!/a.env", Some(2))]);
    assert_eq!(gaps(&scanned), []);
}

#[test]
fn compressions_of_one_file_add_no_path() {
    let secret = env(&token(1));
    for (name, packed) in
        [("a.env.gz", gzip(&secret)), ("a.env.zst", zstd(&secret)), ("a.env.xz", xz(&secret)), ("a.env.bz2", bzip2(&secret))]
    {
        let scanned = scan(name, &packed);
        assert_eq!(seen(&scanned), [(PAT, "", Some(2))], "{name}");
        assert_eq!(gaps(&scanned), [], "{name}");
    }
    // Two members in one file are one text.
    let two = [gzip(b"first\n"), gzip(&secret)].concat();
    assert_eq!(seen(&scan("two.gz", &two)), [(PAT, "", Some(3))]);
}

#[test]
fn tar_and_its_compressions_are_one_nesting() {
    let secret = env(&token(1));
    let long = format!("{}/a.env", "deep/".repeat(40));
    let archive = tar(&[("README", b"nothing"), ("conf/a.env", &secret), (&long, &env(&token(2)))]);
    for (name, packed) in [
        ("x.tar", archive.clone()),
        ("x.tgz", gzip(&archive)),
        ("x.tar.zst", zstd(&archive)),
        ("x.tar.xz", xz(&archive)),
        ("x.tar.bz2", bzip2(&archive)),
    ] {
        let scanned = scan(name, &packed);
        assert_eq!(seen(&scanned), [(PAT, "conf/a.env", Some(2)), (PAT, long.as_str(), Some(2))], "{name}");
        assert_eq!(gaps(&scanned), [], "{name}");
    }
}

#[test]
fn archives_in_archives() {
    let secret = env(&token(1));
    let jar = deflated(&[("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\n"), ("npm/.npmrc", &secret)]);
    let zip = deflated(&[("lib/app.jar", &jar), ("log.gz", &gzip(&secret))]);
    let scanned = scan("bundle.tar.gz", &gzip(&tar(&[("all.zip", &zip), ("more.tgz", &gzip(&tar(&[("b.env", &secret)])))])));
    let expected =
        [(PAT, "all.zip!/lib/app.jar!/npm/.npmrc", Some(2)), (PAT, "all.zip!/log.gz", Some(2)), (PAT, "more.tgz!/b.env", Some(2))];
    assert_eq!(seen(&scanned), expected);
    assert_eq!(gaps(&scanned), []);
    assert!(scanned.detections.iter().all(|one| one.fingerprint == scanned.detections[0].fingerprint));
}

#[test]
fn an_encrypted_entry_is_a_gap_and_the_rest_is_read() {
    let (a, b) = (env(&token(1)), env(&token(2)));
    for method in [Stored, Deflated] {
        let mut bytes = zip(&[("a.env", &a), ("locked.env", b"0123456789ab"), ("b.env", &b)], method, false);
        let at = header_of(&bytes, b"locked.env");
        bytes[at + 6] |= 1;
        let scanned = scan("x.zip", &bytes);
        assert_eq!(seen(&scanned), [(PAT, "a.env", Some(2)), (PAT, "b.env", Some(2))]);
        assert_eq!(gaps(&scanned), [("encrypted", "locked.env")]);
    }
}

/// Where the local header of the entry begins.
pub(crate) fn header_of(zip: &[u8], name: &[u8]) -> usize {
    zip.windows(name.len()).position(|window| window == name).expect("the entry") - 30
}

#[test]
fn what_is_damaged_is_a_gap_and_what_came_before_is_kept() {
    let (a, b) = (env(&token(1)), env(&token(2)));
    let filler: Vec<u8> = (0..40_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let whole = deflated(&[("a.env", &a), ("filler.bin", &filler), ("b.env", &b)]);

    let scanned = scan("cut.zip", &whole[..whole.len() / 2]);
    assert_eq!(seen(&scanned), [(PAT, "a.env", Some(2))]);
    assert!(gaps(&scanned).iter().all(|(reason, _)| *reason == "corrupt") && !scanned.gaps.is_empty(), "{:?}", scanned.gaps);

    let mut broken = whole;
    let at = header_of(&broken, b"filler.bin") + 30 + 5000;
    broken[at..at + 64].fill(0xff);
    let scanned = scan("broken.zip", &broken);
    assert_eq!(seen(&scanned), [(PAT, "a.env", Some(2)), (PAT, "b.env", Some(2))]);
    assert_eq!(gaps(&scanned), [("corrupt", "filler.bin")]);

    // A compressed text that ends too early: what was unpacked before is looked at.
    let text = [a.as_slice(), &filler.iter().map(|byte| b'a' + byte % 26).collect::<Vec<_>>()].concat();
    for (name, packed) in [("x.gz", gzip(&text)), ("x.zst", zstd(&text)), ("x.xz", xz(&text))] {
        let scanned = scan(name, &packed[..packed.len() - 20]);
        let kept = seen(&scanned);
        assert!(kept == [(PAT, "", Some(2))] || name != "x.gz" && kept.is_empty(), "{name}: {kept:?}");
        assert_eq!(gaps(&scanned), [("corrupt", "")], "{name}");
    }

    let archive = tar(&[("a.env", &a), ("filler.bin", &filler), ("b.env", &b)]);
    let scanned = scan("cut.tar", &archive[..100_000]);
    assert_eq!(seen(&scanned), [(PAT, "a.env", Some(2))]);
    assert_eq!(gaps(&scanned), [("corrupt", "")]);

    // A damaged header: the next good one is found.
    let mut broken = archive;
    broken[1024 + 3] ^= 0x55;
    let scanned = scan("broken.tar", &broken);
    assert_eq!(seen(&scanned), [(PAT, "a.env", Some(2)), (PAT, "b.env", Some(2))]);
    assert_eq!(gaps(&scanned), [("corrupt", "")]);
}

#[test]
fn what_is_not_opened_says_so() {
    let scanned = scan("x.rar", b"Rar!\x1a\x07\x01\x00 and so on");
    assert_eq!(gaps(&scanned), [("unsupported", "")]);
}

#[test]
fn packages_and_rarer_compressions() {
    let secret = env(&token(1));
    let archive = cpio(&[("./etc/app.env", &secret), ("./etc/empty", b"")]);
    let expected = [(PAT, "./etc/app.env", Some(2))];
    for (name, bytes) in [
        ("x.cpio", archive.clone()),
        ("x.cpio.lz4", lz4(&archive)),
        ("x.rpm", rpm(b"", &gzip(&archive))),
        ("x.rpm", rpm(b"", &zstd(&archive))),
        // A RAM disk: microcode in a plain archive, all else in a packed one behind it.
        ("initrd.img", [cpio(&[("kernel/x86/microcode", b"code")]), vec![0; 512], zstd(&archive)].concat()),
    ] {
        assert_eq!(seen(&scan(name, &bytes)), expected, "{name}");
        assert_eq!(gaps(&scan(name, &bytes)), [], "{name}");
    }
    let script = format!("curl -H 'PRIVATE-TOKEN: {}'", token(2));
    assert_eq!(seen(&scan("x.rpm", &rpm(script.as_bytes(), &gzip(&archive)))), [(PAT, "", None), (PAT, "./etc/app.env", Some(2))]);
    let two = [lz4(b"first\n"), lz4(&secret)].concat();
    assert_eq!(seen(&scan("a.env.lz4", &two)), [(PAT, "", Some(3))]);

    assert_eq!(gaps(&scan("x.cpio", &archive[..archive.len() - 200])), [("corrupt", "")]);
    assert_eq!(gaps(&scan("x.rpm", &rpm(b"", b"")[..120])), [("corrupt", "")]);
    let packed = lz4(&secret.repeat(2000));
    assert_eq!(gaps(&scan("x.lz4", &packed[..packed.len() / 2])), [("corrupt", "")]);

    // Brotli has no magic: it is known by its name, and by decoding.
    assert_eq!(seen(&scan("site.tar", &tar(&[("app.js.br", &brotli(&secret))]))), [(PAT, "app.js.br", Some(2))]);
    assert_eq!(seen(&scan("plain.br", &secret)), [(PAT, "", Some(2))]);
}

/// A stored stream of brotli: one block as it is, and the end.
fn brotli(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u32 - 1;
    // Window bits 0; not the last block; a length of four nibbles; stored.
    let head = length << 4 | 1 << 20;
    [&head.to_le_bytes()[..3], bytes, &[3]].concat()
}

pub(crate) fn lz4(bytes: &[u8]) -> Vec<u8> {
    // Blocks as they are, each with its length.
    let mut out = vec![4, 0x22, 0x4d, 0x18, 0x60, 0x40];
    out.push((twox(&out[4..6]) >> 8) as u8);
    for block in bytes.chunks(60_000) {
        out.extend((block.len() as u32 | 1 << 31).to_le_bytes());
        out.extend(block);
    }
    out.extend([0; 4]);
    out
}

/// XXH32 of fewer than four bytes.
fn twox(bytes: &[u8]) -> u32 {
    let mut hash = 0x165667b1u32.wrapping_add(bytes.len() as u32);
    for byte in bytes {
        hash = hash.wrapping_add(u32::from(*byte).wrapping_mul(0x165667b1)).rotate_left(11).wrapping_mul(0x9e3779b1);
    }
    hash = (hash ^ hash >> 15).wrapping_mul(0x85ebca77);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2ae3d);
    hash ^ hash >> 16
}

pub(crate) fn cpio(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in entries.iter().chain([&("TRAILER!!!", &b""[..])]) {
        let fields = [1, 0o100_644, 0, 0, 1, 0, bytes.len(), 0, 0, 0, 0, name.len() + 1, 0];
        out.extend(b"070701");
        fields.iter().for_each(|field| out.extend(format!("{field:08X}").bytes()));
        out.extend(name.bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(*bytes);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

pub(crate) fn rpm(script: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0xed, 0xab, 0xee, 0xdb, 3, 0];
    out.resize(96, 0);
    for store in [&b"sig"[..], script] {
        out.extend([0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0]);
        out.extend(1u32.to_be_bytes());
        out.extend((store.len() as u32).to_be_bytes());
        out.extend([0; 16]);
        out.extend(store);
        if store == b"sig" {
            out.resize(out.len().next_multiple_of(8), 0);
        }
    }
    out.extend(payload);
    out
}
