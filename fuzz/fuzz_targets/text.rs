//! Any bytes as a text: engine, decoders, noise. Nothing panics, and nothing of the input but a rule's public prefix or a
//! public id is in what comes back.
#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&first, text)) = data.split_first() else { return };
    let scanned = common::SCANNER.scan_bytes(common::name(first), text);
    assert_eq!(scanned.bytes, text.len() as u64);
    for detection in &scanned.detections {
        assert!(detection.preview.len() <= 300, "a preview is short");
        assert_eq!(detection.fingerprint.as_str().len(), 32);
        assert!(detection.line != Some(0) && detection.column != Some(0));
    }
});
