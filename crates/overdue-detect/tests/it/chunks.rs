//! Chunks do not matter: a text that comes in pieces gives the same detections as the whole.

use std::io::{self, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use overdue_detect::{Limits, Scanned};

use crate::kit::{example, scanner_with, token};

/// Chunk, chunk and lookahead, and what is kept of the first chunk when the second is read.
const EDGES: [usize; 4] = [64 << 10, (256 - 8) << 10, 256 << 10, (256 + 24) << 10];

/// Gives what it has in pieces of changing size.
struct Pieces<'b> {
    rest: &'b [u8],
    turn: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.turn += 1;
        let n = [1, 7, 4096, 10_007, 65_536][self.turn % 5].min(out.len()).min(self.rest.len());
        out[..n].copy_from_slice(&self.rest[..n]);
        self.rest = &self.rest[n..];
        Ok(n)
    }
}

/// Lines of words with each piece of `planted` so that it begins `shift` bytes before an edge.
fn text(planted: &[String], shift: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(300 << 10);
    for (edge, planted) in EDGES.iter().zip(planted) {
        let start = edge - shift;
        while text.len() + 40 < start {
            text.extend_from_slice(b"the quick brown fox\nover a lazy dog\n");
        }
        text.resize(start - 1, b'.');
        text.push(b'\n');
        text.extend_from_slice(planted.as_bytes());
        text.push(b'\n');
    }
    text.extend_from_slice(&b"and so it ends\n".repeat(100));
    text
}

fn same(text: &[u8], about: &str) -> Scanned {
    let scanner = scanner_with(Limits::default());
    let whole = scanner.scan_bytes("x.txt", text);
    let streamed = scanner.scan_reader("x.txt", None, &mut Pieces { rest: text, turn: 0 });
    assert_eq!(whole, streamed, "{about}");
    assert_eq!(whole.bytes, text.len() as u64);
    assert!(whole.gaps.is_empty(), "{about}: {:?}", whole.gaps);
    whole
}

#[test]
fn a_token_at_every_offset_of_an_edge() {
    let tokens: Vec<String> = (0..4).map(token).collect();
    for shift in 0..=42 {
        let scanned = same(&text(&tokens, shift), &format!("shift {shift}"));
        assert_eq!(scanned.detections.len(), 4, "shift {shift}");
        assert!(scanned.detections.iter().all(|one| one.column == Some(1)), "shift {shift}");
    }
}

#[test]
fn what_is_long_across_an_edge() {
    let aws: Vec<String> = (0..4).map(|seed| example("aws.access-key", seed).text).collect();
    let pem: Vec<String> = (0..4).map(|seed| example("private-key.pem", seed).text).collect();
    let account: Vec<String> = (0..4).map(|seed| example("gcp.service-account-key", seed).text).collect();
    let base64: Vec<String> =
        (0..4).map(|seed| STANDARD.encode(format!("{}{}{}", "some words. ".repeat(40), token(seed), " more words".repeat(40)))).collect();
    let percent: Vec<String> = (0..4).map(|seed| format!("https://acme.io/?a=1%20{}%3D{}", "x/".repeat(100), token(seed))).collect();
    let escaped: Vec<String> = (0..4).map(|seed| format!(r#"{{"a": "b\/c", "k": "{}"}}"#, token(seed).replace('p', "\\u0070"))).collect();
    // Forms of the rule that judges by name: what it reads before and after a word is at hand in every chunk.
    let named = |form: &str| (0..4).map(|seed| form.replace('@', &token(seed)[4..])).collect::<Vec<String>>();
    let after = named("- name: APP_PASSWORD\n  value: @");
    let before = named("- value: @\n  name: APP_PASSWORD");
    let spoken = named("the token for staging is `@`, as of today");
    for (what, planted) in [
        ("after", after),
        ("before", before),
        ("spoken", spoken),
        ("aws", aws),
        ("pem", pem),
        ("account", account),
        ("base64", base64),
        ("percent", percent),
        ("escaped", escaped),
    ] {
        for shift in (1..planted[0].len() + 2).step_by(1 + planted[0].len() / 24) {
            let about = format!("{what}, shift {shift}");
            assert_eq!(same(&text(&planted, shift), &about).detections.len(), 4, "{about}");
        }
    }
}

#[test]
fn a_line_without_end_and_a_run_without_end() {
    // Three quarters of a megabyte of base64 that holds a token every 50 000 bytes.
    let inner: String = (0..12).map(|seed| format!("{}{}\n", "all work and no play ".repeat(2400), token(seed))).collect();
    let scanned = same(STANDARD.encode(&inner).as_bytes(), "one run");
    assert_eq!(scanned.detections.len(), 12);
    assert!(scanned.detections.iter().all(|one| one.decoded == "base64" && one.line == Some(1)));
    let wrapped: Vec<u8> = STANDARD.encode(&inner).as_bytes().chunks(76).flat_map(|line| [line, b"\n"].concat()).collect();
    assert_eq!(same(&wrapped, "wrapped").detections.len(), 12);
    let line = inner.replace('\n', " ");
    assert_eq!(same(line.as_bytes(), "one line").detections.len(), 12);
}

#[test]
fn a_reader_that_breaks_off_keeps_what_was_found() {
    struct Breaks<'b>(&'b [u8]);
    impl Read for Breaks<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Err(io::Error::other("the connection was closed"));
            }
            self.0.read(out)
        }
    }
    for size in [100, 100_000, 400_000] {
        let text = [format!("{}\n", token(1)).into_bytes(), b"some more words\n".repeat(size / 16)].concat();
        let scanned = scanner_with(Limits::default()).scan_reader("x.txt", None, &mut Breaks(&text));
        assert_eq!(scanned.detections.len(), 1, "{size}");
        assert_eq!(scanned.read_error.as_deref(), Some("the connection was closed"), "{size}");
        assert_eq!(crate::kit::gaps(&scanned), [("truncated", "")], "{size}");
    }
}
