//! Any bytes behind the first bytes of a container: each is opened as far as it goes, within its limits, and ends.
#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;

const BEGINNINGS: [&[u8]; 9] = [
    b"",
    b"PK\x03\x04",
    b"!<arch>\n",
    b"7z\xbc\xaf\x27\x1c",
    b"%PDF-1.7\n",
    b"SQLite format 3\0",
    b"PACK\0\0\0\x02",
    b"# v2 git bundle\n",
    b"070701",
];

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else { return };
    let mut bytes = BEGINNINGS[usize::from(first) % BEGINNINGS.len()].to_vec();
    bytes.extend_from_slice(rest);
    let scanned = common::SCANNER.scan_bytes("a", &bytes);
    let streamed = common::SCANNER.scan_reader("a", None, &mut bytes.as_slice());
    assert_eq!(scanned.detections, streamed.detections, "a slice and a stream of it are one artifact");
});
