//! Any bytes as each compression, with its first bytes put before them.
#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;

const BEGINNINGS: [&[u8]; 6] = [
    b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
    b"\x28\xb5\x2f\xfd",
    b"\xfd7zXZ\0",
    b"BZh91AY&SY",
    b"\x50\x2a\x4d\x18\x04\0\0\0abcd\x28\xb5\x2f\xfd",
    b"\x04\x22\x4d\x18",
];

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else { return };
    let mut bytes = BEGINNINGS[usize::from(first) % BEGINNINGS.len()].to_vec();
    bytes.extend_from_slice(rest);
    let _ = common::SCANNER.scan_bytes("a.log", &bytes);
});
