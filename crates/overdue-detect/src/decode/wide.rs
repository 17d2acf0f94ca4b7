//! UTF-16: whole texts, and strings in the middle of a binary.

use std::io::{self, Read};

use super::{Decoded, Next, Stretch};

/// The shortest string worth looking at, in characters.
const STRING_CHARS_MIN: usize = 12;
/// How much of a text is looked at to see whether it is UTF-16.
const SNIFF_BYTES: usize = 512;

/// Little or big endian, when a text that begins so is UTF-16: by its mark, or by a zero in every other byte.
pub(crate) fn sniff_utf16(head: &[u8]) -> Option<bool> {
    match head {
        [0xff, 0xfe, rest @ ..] if !rest.starts_with(&[0, 0]) => return Some(true),
        [0xfe, 0xff, ..] => return Some(false),
        _ => {}
    }
    let sample = &head[..head.len().min(SNIFF_BYTES) / 2 * 2];
    if sample.len() < 16 {
        return None;
    }
    let share = |first_zero: usize| {
        let pairs = sample.chunks_exact(2);
        let fits = pairs.filter(|pair| pair[first_zero] == 0 && is_text(pair[1 - first_zero])).count();
        // Nine in ten: the rest may be letters and signs of other scripts.
        fits * 10 >= sample.len() / 2 * 9
    };
    if share(1) {
        Some(true)
    } else if share(0) {
        Some(false)
    } else {
        None
    }
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e)
}

/// Reads UTF-16 as UTF-8. What is no UTF-16 becomes U+FFFD.
pub(crate) struct Utf16Reader<'r> {
    inner: &'r mut dyn Read,
    little: bool,
    raw: Vec<u8>,
    ready: Vec<u8>,
    given: usize,
    /// The first half of a pair whose second half is not read yet.
    high: Option<u16>,
    first: bool,
}

impl<'r> Utf16Reader<'r> {
    pub(crate) fn new(inner: &'r mut dyn Read, little: bool) -> Self {
        Self { inner, little, raw: Vec::new(), ready: Vec::new(), given: 0, high: None, first: true }
    }

    fn refill(&mut self) -> io::Result<bool> {
        self.ready.clear();
        self.given = 0;
        let odd = self.raw.len();
        let read = (&mut *self.inner).take((16 << 10) - odd as u64).read_to_end(&mut self.raw)?;
        if read == 0 {
            self.raw.clear();
            return Ok(false);
        }
        let whole = self.raw.len() / 2 * 2;
        for pair in self.raw[..whole].chunks_exact(2) {
            let unit = if self.little { u16::from_le_bytes([pair[0], pair[1]]) } else { u16::from_be_bytes([pair[0], pair[1]]) };
            if std::mem::take(&mut self.first) && unit == 0xfeff {
                continue;
            }
            let character = match (self.high.take(), unit) {
                (_, 0xd800..=0xdbff) => {
                    self.high = Some(unit);
                    continue;
                }
                (Some(high), 0xdc00..=0xdfff) => char::from_u32(0x10000 + ((u32::from(high) - 0xd800) << 10) + (u32::from(unit) - 0xdc00)),
                _ => char::from_u32(u32::from(unit)),
            };
            let mut utf8 = [0; 4];
            self.ready.extend_from_slice(character.unwrap_or('\u{fffd}').encode_utf8(&mut utf8).as_bytes());
        }
        self.raw.drain(..whole);
        Ok(true)
    }
}

impl Read for Utf16Reader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() {
            if !self.refill()? {
                return Ok(0);
            }
        }
        let n = out.len().min(self.ready.len() - self.given);
        out[..n].copy_from_slice(&self.ready[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

/// The next string of ASCII in UTF-16 at or after `from`, of either endianness.
pub(crate) fn next(stretch: &Stretch<'_>, from: usize) -> Next {
    let Stretch { buf, limit, at_end, run_max } = *stretch;
    let mut at = from;
    while at < limit {
        let Some(found) = memchr::memchr(0, &buf[at..limit]) else { break };
        let zero = at + found;
        // A stretch of zeros is no string.
        if buf.get(zero + 1) == Some(&0) {
            at = zero + buf[zero..limit].iter().position(|&byte| byte != 0).unwrap_or(limit - zero);
            continue;
        }
        at = zero + 1;
        let letter_before = zero > 0 && is_text(buf[zero - 1]);
        // Big endian: the letter follows.
        if !letter_before && !buf.get(zero + 1).is_some_and(|&byte| is_text(byte)) {
            continue;
        }
        let start = if letter_before { zero - 1 } else { zero + 1 };
        let ceiling = (start + run_max).min(buf.len());
        let length = buf[start..ceiling].chunks_exact(2).take_while(|pair| is_text(pair[0]) && pair[1] == 0).count();
        let end = start + 2 * length;
        if end + 2 > buf.len() && !at_end && end - start < run_max {
            return Next::Wait(zero);
        }
        if length >= STRING_CHARS_MIN {
            // The last letter of a big-endian string has no zero after it.
            let last = buf.get(end).filter(|&&byte| is_text(byte));
            let bytes = buf[start..end].iter().step_by(2).copied().chain(last.copied()).collect();
            return Next::Decoded(Decoded { start, end, how: "utf-16", bytes });
        }
        at = at.max(end);
    }
    Next::Nothing(limit.max(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_in_binaries() {
        let mut bytes = vec![1, 2, 0, 0, 0, 9];
        bytes.extend("a wide string of text".encode_utf16().flat_map(u16::to_le_bytes));
        bytes.extend([0, 0, 7, 255]);
        bytes.extend("and a big-endian one".encode_utf16().flat_map(u16::to_be_bytes));
        bytes.extend([0xff; 8]);
        let stretch = Stretch { buf: &bytes, limit: bytes.len(), at_end: true, run_max: 1 << 20 };
        let (mut all, mut at) = (Vec::new(), 0);
        while let Next::Decoded(decoded) = next(&stretch, at) {
            at = decoded.end;
            all.push(String::from_utf8_lossy(&decoded.bytes).into_owned());
        }
        assert_eq!(all, ["a wide string of text", "and a big-endian one"]);
    }

    #[test]
    fn whole_texts() {
        let text = "first line\nsecond: \u{1f511} key\n";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
        for (bytes, is_little) in [(little, true), (big, false)] {
            assert_eq!(sniff_utf16(&bytes), Some(is_little));
            let mut out = String::new();
            Utf16Reader::new(&mut bytes.as_slice(), is_little).read_to_string(&mut out).expect("UTF-8");
            assert_eq!(out, text);
        }
        assert_eq!(sniff_utf16(b"plain text, nothing else"), None);
        assert_eq!(sniff_utf16(b""), None);
    }
}
