//! Maps of glyphs: what the numbers that a font shows mean (`/ToUnicode`).

use std::collections::HashMap;

/// Glyphs of one font.
const GLYPHS_MAX: usize = 1 << 16;

/// What each number means.
pub(super) struct Map {
    /// Bytes of one number.
    width: usize,
    chars: HashMap<u32, char>,
}

impl Map {
    /// Reads a map; `None` where it maps nothing.
    pub(super) fn of(text: &[u8]) -> Option<Self> {
        let mut map = Self { width: 1, chars: HashMap::new() };
        let mut rest = text;
        while let Some(at) = memchr::memmem::find(rest, b"beginbf") {
            rest = &rest[at + b"beginbf".len()..];
            let end = memchr::memmem::find(rest, b"endbf").unwrap_or(rest.len());
            let (body, after) = rest.split_at(end);
            rest = after;
            if let Some(pairs) = body.strip_prefix(b"char") {
                let codes: Vec<&[u8]> = hexes(pairs).collect();
                for pair in codes.chunks_exact(2) {
                    map.add(pair[0], 0, pair[1]);
                }
            } else if let Some(ranges) = body.strip_prefix(b"range") {
                map.ranges(ranges);
            }
        }
        (!map.chars.is_empty()).then_some(map)
    }

    /// `<low> <high> <first>`, or `<low> <high> [<each> …]`.
    fn ranges(&mut self, mut text: &[u8]) {
        while let Some((low, after)) = hex(text) {
            let Some((high, after)) = hex(after) else { return };
            let span = number(high).saturating_sub(number(low));
            if let [b'[', list @ ..] = after.trim_ascii_start() {
                let end = memchr::memchr(b']', list).unwrap_or(list.len());
                for (step, each) in (0..=span).zip(hexes(&list[..end])) {
                    self.add(low, step, each);
                }
                text = list.get(end + 1..).unwrap_or_default();
            } else {
                let Some((first, after)) = hex(after) else { return };
                text = after;
                for step in 0..=span.min(GLYPHS_MAX as u32) {
                    if !self.add_char(low, step, number(first).wrapping_add(step)) {
                        return;
                    }
                }
            }
        }
    }

    fn add(&mut self, low: &[u8], step: u32, meaning: &[u8]) {
        // Of a ligature the first letter.
        self.add_char(low, step, number(&meaning[..meaning.len().min(4)]));
    }

    fn add_char(&mut self, low: &[u8], step: u32, meaning: u32) -> bool {
        if let Some(c) = char::from_u32(meaning) {
            self.width = low.len().div_ceil(2).clamp(1, 4);
            self.chars.insert(number(low).wrapping_add(step), c);
        }
        self.chars.len() < GLYPHS_MAX
    }

    /// What the glyphs mean.
    pub(super) fn read(&self, glyphs: &[u8], text: &mut Vec<u8>) {
        let mut utf8 = [0; 4];
        for code in glyphs.chunks(self.width) {
            let code = code.iter().fold(0, |value, &byte| value << 8 | u32::from(byte));
            let c = self.chars.get(&code).copied().unwrap_or('\u{fffd}');
            text.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes());
        }
    }
}

/// The digits of the next `<…>`, and what follows it.
fn hex(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii_start().strip_prefix(b"<")?;
    let end = memchr::memchr(b'>', text)?;
    Some((&text[..end], &text[end + 1..]))
}

fn hexes(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'<').skip(1).map(|part| part.split(|&byte| byte == b'>').next().unwrap_or_default())
}

fn number(digits: &[u8]) -> u32 {
    let digits = digits.iter().filter_map(|&digit| (digit as char).to_digit(16)).take(8);
    digits.fold(0, |value, digit| value << 4 | digit)
}
