//! Chunks do not matter: a text that is far longer than a chunk gives the same detections from a reader that gives it in odd
//! pieces as from memory. The input stands somewhere in it, repeated, so that it crosses the edges.
#![no_main]

mod common;

use std::io::Read;

use libfuzzer_sys::fuzz_target;

/// Gives at most `piece` bytes at a time.
struct Pieces<'a> {
    rest: &'a [u8],
    piece: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let n = self.piece.min(self.rest.len()).min(out.len());
        out[..n].copy_from_slice(&self.rest[..n]);
        self.rest = &self.rest[n..];
        Ok(n)
    }
}

fuzz_target!(|data: &[u8]| {
    let [name, piece, shift, text @ ..] = data else { return };
    if text.is_empty() || text.len() > 4096 {
        return;
    }
    let mut whole = vec![b'\n'; usize::from(*shift) * 1031];
    while whole.len() < 600_000 {
        whole.extend_from_slice(text);
        whole.extend(std::iter::repeat_n(b'.', 40_000));
        whole.push(b'\n');
    }
    let name = common::name(*name);
    let at_once = common::SCANNER.scan_bytes(name, &whole);
    let piece = usize::from(*piece) * 257 + 1;
    let in_pieces = common::SCANNER.scan_reader(name, None, &mut Pieces { rest: &whole, piece });
    assert_eq!(at_once.detections, in_pieces.detections);
});
