//! Git inside archives: loose objects, packs with their differences, bundles.

use std::io::Write;

use overdue_detect::Limits;

use crate::kit::{env, gaps, scan, scanner_with, seen, tar, token};

const PAT: &str = "github.pat";

pub(crate) fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn size(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A pack under construction, and where its last object begins.
pub(crate) struct Pack {
    bytes: Vec<u8>,
    count: u32,
    last: usize,
}

impl Pack {
    pub(crate) fn new() -> Self {
        Self { bytes: b"PACK\0\0\0\x02\0\0\0\0".to_vec(), count: 0, last: 0 }
    }

    fn add(&mut self, kind: u8, length: usize, middle: &[u8], content: &[u8]) {
        self.last = self.bytes.len();
        self.count += 1;
        let more = length >> 4;
        self.bytes.push(kind << 4 | (length & 15) as u8 | if more > 0 { 0x80 } else { 0 });
        if more > 0 {
            self.bytes.extend(size(more));
        }
        self.bytes.extend(middle);
        self.bytes.extend(zlib(content));
    }

    pub(crate) fn object(&mut self, kind: u8, content: &[u8]) {
        self.add(kind, content.len(), &[], content);
    }

    /// A difference to the last object.
    fn before(&mut self, delta: &[u8]) {
        self.to(self.last, delta);
    }

    /// A difference to the object at this place.
    fn to(&mut self, offset: usize, delta: &[u8]) {
        let mut back = self.bytes.len() - offset;
        let mut bytes = vec![(back & 0x7f) as u8];
        while back > 0x7f {
            back = (back >> 7) - 1;
            bytes.insert(0, (back & 0x7f) as u8 | 0x80);
        }
        self.add(6, delta.len(), &bytes, delta);
    }

    fn named(&mut self, id: &[u8], delta: &[u8]) {
        self.add(7, delta.len(), id, delta);
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes[8..12].copy_from_slice(&self.count.to_be_bytes());
        // Nobody checks the checksum.
        self.bytes.extend([0xab; 20]);
        self.bytes
    }
}

/// Copies `head` bytes of a base, inserts, copies the rest from `tail` on.
fn delta(base: &[u8], head: usize, inserted: &[u8], tail: usize) -> Vec<u8> {
    let mut out = [size(base.len()), size(head + inserted.len() + base.len() - tail)].concat();
    let mut copy = |at: usize, length: usize| {
        out.extend([0x80 | 1 | 2 | 0x10 | 0x20, at as u8, (at >> 8) as u8, length as u8, (length >> 8) as u8]);
    };
    copy(0, head);
    out.push(inserted.len() as u8);
    out.extend(inserted);
    out.extend([0x80 | 1 | 2 | 0x10 | 0x20, tail as u8, (tail >> 8) as u8, (base.len() - tail) as u8, ((base.len() - tail) >> 8) as u8]);
    out
}

fn id_of(content: &[u8]) -> Vec<u8> {
    use sha1::Digest;
    sha1::Sha1::digest([format!("blob {}\0", content.len()).as_bytes(), content].concat()).to_vec()
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn example() -> Vec<u8> {
    let mut pack = Pack::new();
    let base = [env(&token(1)), b"# more\n".repeat(20)].concat();
    pack.object(1, format!("tree 0\nauthor a\n\nuse {} for now\n", token(9)).as_bytes());
    pack.object(2, b"100644 a\0aaaaaaaaaaaaaaaaaaaa");
    pack.object(3, &base);
    // Half a token comes from the base, half from the difference.
    let half = 20 + 20;
    pack.before(&delta(&base, half, &token(2).as_bytes()[20..], base.len() - 50));
    pack.named(&id_of(&base), &delta(&base, 11, format!("\nNEW={}\n", token(3)).as_bytes(), base.len() - 30));
    pack.finish()
}

#[test]
fn objects_and_differences_of_a_pack() {
    let mut pack = Pack::new();
    let base = [env(&token(1)), b"# more\n".repeat(20)].concat();
    let split = token(2);
    let (head, tail) = split.split_at(20);
    let with_half = [format!("# settings\nGITHUB={head}").into_bytes(), b"\nfiller filler filler\n".to_vec()].concat();
    pack.object(3, &base);
    pack.named(&id_of(&base), &delta(&base, 11, format!("NEW={}\n", token(3)).as_bytes(), base.len() - 30));
    pack.object(3, &with_half);
    pack.before(&delta(&with_half, 18 + 20, tail.as_bytes(), 18 + 20));
    pack.before(b"\x00\x00");
    let bytes = pack.finish();
    let (first, second, third) = (
        hex(&id_of(&base)),
        hex(&id_of(&[&base[..11], format!("NEW={}\n", token(3)).as_bytes(), &base[base.len() - 30..]].concat())),
        hex(&id_of(&[&with_half[..38], tail.as_bytes(), &with_half[38..]].concat())),
    );
    let scanned = scan("p.pack", &bytes);
    assert_eq!(gaps(&scanned), [], "{:?}", scanned.gaps);
    let mut expected = vec![(PAT, first.as_str(), Some(2)), (PAT, second.as_str(), Some(2)), (PAT, third.as_str(), Some(2))];
    expected.sort();
    assert_eq!(seen(&scanned), expected);
    let inside = scan("repo.tar", &tar(&[(".git/objects/pack/p.pack", &bytes)]));
    assert!(inside.detections.iter().all(|one| one.path.starts_with(".git/objects/pack/p.pack!/")));
    assert_eq!(inside.detections.len(), 3);
}

#[test]
fn a_difference_to_what_is_not_at_hand_is_a_gap_and_its_own_bytes_are_scanned() {
    let mut pack = Pack::new();
    let base = b"something else that is long enough\n".repeat(4);
    for seed in 1..=3 {
        pack.named(&[7; 20], &delta(&base, 10, format!("\nNEW={}\n", token(seed)).as_bytes(), 30));
    }
    let scanned = scan("thin.pack", &pack.finish());
    assert_eq!(seen(&scanned).len(), 3);
    assert!(seen(&scanned).iter().all(|one| one.1.starts_with('@')));
    assert_eq!(gaps(&scanned), [("unsupported", "")]);
    assert!(scanned.gaps[0].detail.starts_with("3 objects"), "{:?}", scanned.gaps);
}

#[test]
fn a_base_that_was_let_go_is_made_again_while_the_pack_is_in_memory() {
    let mut pack = Pack::new();
    let split = token(1);
    let base = [format!("GITHUB={}", &split[..20]).into_bytes(), b"\nfiller filler filler\n".to_vec()].concat();
    pack.object(3, &base);
    let second = delta(&base, 27, b"-", 27);
    pack.before(&second);
    let second_at = pack.last;
    for seed in 0..10u32 {
        let filler: Vec<u8> = (0..2500u32).flat_map(|n| (n + seed).wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        pack.object(3, &filler);
    }
    // To the second object, in which a dash stands where the rest of the token belongs.
    let length = base.len() + 1;
    let last = [size(length), size(length + 19)].concat();
    let last = [&last[..], &[0x90, 27, 20], &split.as_bytes()[20..], &[0x91, 28, (length - 28) as u8]].concat();
    pack.to(second_at, &last);
    let bytes = pack.finish();
    let scanned = scanner_with(Limits { seekable_bytes_max: 256 << 10, ..Limits::default() }).scan_bytes("p.pack", &bytes);
    assert_eq!(gaps(&scanned), [], "{:?}", scanned.gaps);
    assert_eq!(scanned.detections.len(), 1);
    assert_eq!((scanned.detections[0].rule.as_str(), scanned.detections[0].line), (PAT, Some(1)));
    // Too large to hold: a gap, and what the difference brings along.
    let scanned = scanner_with(Limits { seekable_bytes_max: 180 << 10, ..Limits::default() }).scan_bytes("p.pack", &bytes);
    assert_eq!(gaps(&scanned), [("unsupported", "")]);
}

#[test]
fn bundles_and_loose_objects() {
    let mut pack = Pack::new();
    pack.object(3, &env(&token(1)));
    let pack = pack.finish();
    for head in ["# v2 git bundle\n", "# v3 git bundle\n@object-format=sha1\n"] {
        let bundle = [head.as_bytes(), b"-aaaa note\nbbbb refs/heads/main\n\n", &pack].concat();
        let scanned = scan("x.bundle", &bundle);
        assert_eq!(seen(&scanned), [(PAT, hex(&id_of(&env(&token(1)))).as_str(), Some(2))]);
        assert_eq!(gaps(&scanned), []);
        assert!(!scan("x.bundle", &bundle[..60]).gaps.is_empty());
    }
    let blob = env(&token(1));
    let loose = zlib(&[format!("blob {}\0", blob.len()).as_bytes(), &blob].concat());
    let tree = zlib(b"tree 33\x00100644 a\0aaaaaaaaaaaaaaaaaaaa");
    let path = format!("repo/.git/objects/ab/{}", "c".repeat(38));
    let tree_path = format!("repo/.git/objects/ab/{}", "d".repeat(38));
    let scanned = scan("repo.tar", &tar(&[(&path, &loose), (&tree_path, &tree), ("x/notes", &loose)]));
    assert_eq!(seen(&scanned), [(PAT, path.as_str(), Some(2))]);
    assert_eq!(gaps(&scanned), []);
    let scanned = scan("repo.tar", &tar(&[(&path, &loose[..loose.len() - 9])]));
    assert_eq!(gaps(&scanned), [("corrupt", path.as_str())]);
}

#[test]
fn packs_that_lie_or_explode() {
    let whole = example();
    let scanned = scan("p.pack", &whole[..whole.len() / 2]);
    assert!(gaps(&scanned).iter().any(|gap| gap.0 == "corrupt"), "{:?}", scanned.gaps);
    // Fewer objects than there are, and more.
    for (count, expected) in [(2u8, "goes on"), (99, "ends before")] {
        let mut lie = whole.clone();
        lie[11] = count;
        let scanned = scan("p.pack", &lie);
        assert!(scanned.gaps.iter().any(|gap| gap.detail.contains(expected)), "{:?}", scanned.gaps);
    }
    // A difference that copies its base over and over makes at most so much.
    let mut pack = Pack::new();
    pack.object(3, &vec![b'x'; 60_000]);
    let copies = [size(60_000), size(1 << 30), [0x80 | 0x10 | 0x20, 0x60, 0xea].repeat(20_000)].concat();
    for _ in 0..20 {
        pack.named(&id_of(&vec![b'x'; 60_000]), &copies);
    }
    let scanned = scanner_with(Limits { total_bytes_max: 64 << 20, ..Limits::default() }).scan_bytes("p.pack", &pack.finish());
    assert_eq!(gaps(&scanned), [("unsupported", "")]);
    let mut pack = Pack::new();
    pack.object(3, &vec![0; 64 << 20]);
    pack.object(3, &env(&token(1)));
    let limits = Limits { ratio_free_bytes: 1 << 20, ..Limits::default() };
    let scanned = scanner_with(limits).scan_bytes("p.pack", &pack.finish());
    assert_eq!(gaps(&scanned), [("too-large", "@12")]);
}
