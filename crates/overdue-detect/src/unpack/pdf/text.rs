//! The text of a page, or the strings of its objects.
//!
//! `[(gh) 3 (p_)] TJ` shows `ghp_`: pieces of one line are joined, a wide step between them is a space, and a new height on
//! the page is a new line.

use crate::unpack::distil::Distiller;

/// The longest string; longer ones are taken in pieces.
const STRING_BYTES_MAX: usize = 64 << 10;
/// The longest word that is understood.
const WORD_BYTES_MAX: usize = 32;
/// All that is kept in glyphs of one page.
const SHOWN_BYTES_MAX: usize = 8 << 20;
/// A step to the right of so many thousandths of the font's size is a space.
const SPACE_THOUSANDTHS: f32 = -200.0;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// What operators show.
    Page,
    /// Every string.
    Strings,
}

/// What a step along the line means. A writer that shows each word by itself makes it a space, one that shows each glyph by
/// itself nothing; the widths that would tell are in fonts that nobody reads here, so text is read in both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Steps {
    Spaces,
    Nothing,
}

const STEP: u8 = 0;
const LINE: u8 = 1;
const GLYPHS: u8 = 2;

/// What was shown on a page: lines, steps, and glyphs by their numbers.
pub(super) struct Shown {
    pub(super) bytes: Vec<u8>,
    pub(super) has_steps: bool,
    /// There was more than is kept.
    pub(super) cut: bool,
}

/// What was shown as text, where `meaning` says of some glyphs what they mean.
pub(super) fn written(mut shown: &[u8], steps: Steps, meaning: impl Fn(&[u8], &mut Vec<u8>)) -> Vec<u8> {
    let mut text = Vec::new();
    while let Some((&kind, rest)) = shown.split_first() {
        shown = rest;
        match kind {
            STEP if steps == Steps::Spaces => text.push(b' '),
            STEP => {}
            LINE => text.push(b'\n'),
            _ => {
                let Some((length, rest)) = rest.split_first_chunk::<4>() else { break };
                let Some((glyphs, rest)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize) else { break };
                meaning(glyphs, &mut text);
                shown = rest;
            }
        }
    }
    text
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Between,
    Word,
    /// In `(…)`, so many deep.
    Literal(u32),
    /// After a backslash in it.
    Escape(u32),
    /// In `\ddd`: how deep, digits so far, value.
    Octal(u32, u8, u16),
    /// After `<`: a string or a dictionary.
    Angle,
    Hex,
    Comment,
    /// In a picture that stands in the page: the two bytes before.
    Picture([u8; 2]),
}

/// Reads text out of a page's description.
pub(super) struct PageText {
    mode: Mode,
    at: At,
    word: Vec<u8>,
    string: Vec<u8>,
    /// The first digit of a pair.
    digit: Option<u8>,
    numbers: Vec<f32>,
    in_array: bool,
    /// Strings that the next operator shows.
    pending: Vec<Piece>,
    pending_bytes: usize,
    height: f32,
    shown_height: f32,
    moved: bool,
    shown: Shown,
}

enum Piece {
    Step,
    Glyphs(Vec<u8>),
}

impl PageText {
    pub(super) fn new(mode: Mode) -> Self {
        Self {
            mode,
            at: At::Between,
            word: Vec::new(),
            string: Vec::new(),
            digit: None,
            numbers: Vec::new(),
            in_array: false,
            pending: Vec::new(),
            pending_bytes: 0,
            height: 0.0,
            shown_height: 0.0,
            moved: false,
            shown: Shown { bytes: Vec::new(), has_steps: false, cut: false },
        }
    }

    /// All that was shown, in glyphs.
    pub(super) fn into_shown(self) -> Shown {
        self.shown
    }

    fn string_ended(&mut self, out: &mut Vec<u8>) {
        let string = std::mem::take(&mut self.string);
        self.digit = None;
        if self.mode == Mode::Strings {
            out.extend(readable(&string));
            out.push(b'\n');
            return;
        }
        if self.pending_bytes < STRING_BYTES_MAX {
            self.pending_bytes += string.len() + 1;
            self.pending.push(Piece::Glyphs(string));
        }
    }

    fn take_in(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.string.push(byte);
        if self.string.len() >= STRING_BYTES_MAX {
            self.string_ended(out);
        }
    }

    fn word_ended(&mut self) {
        let word = std::mem::take(&mut self.word);
        if let Some(number) = std::str::from_utf8(&word).ok().and_then(|word| word.parse::<f32>().ok()) {
            if self.in_array && number < SPACE_THOUSANDTHS && self.pending_bytes < STRING_BYTES_MAX {
                self.pending_bytes += 1;
                self.pending.push(Piece::Step);
            }
            if self.numbers.len() == 6 {
                self.numbers.remove(0);
            }
            self.numbers.push(number);
            return;
        }
        if word.starts_with(b"/") || self.in_array && word != b"TJ" {
            return;
        }
        self.in_array = false;
        let number = |back: usize| self.numbers.len().checked_sub(back).map_or(0.0, |at| self.numbers[at]);
        match word.as_slice() {
            b"Tj" | b"TJ" => self.show(),
            b"'" | b"\"" => {
                self.new_line();
                self.show();
            }
            b"T*" => self.new_line(),
            b"BT" => {
                self.height = 0.0;
                self.moved = true;
            }
            b"Td" | b"TD" => {
                self.height += number(1);
                self.moved = true;
            }
            b"Tm" => {
                self.height = number(1);
                self.moved = true;
            }
            b"ID" => self.at = At::Picture([0; 2]),
            _ => {}
        }
        self.numbers.clear();
        self.pending.clear();
        self.pending_bytes = 0;
    }

    fn new_line(&mut self) {
        self.note(LINE, &[]);
        self.moved = false;
    }

    fn note(&mut self, what: u8, glyphs: &[u8]) {
        if self.shown.bytes.len() + glyphs.len() + 5 > SHOWN_BYTES_MAX {
            self.shown.cut = true;
            return;
        }
        self.shown.bytes.push(what);
        self.shown.has_steps |= what == STEP;
        if what == GLYPHS {
            self.shown.bytes.extend((glyphs.len() as u32).to_le_bytes());
            self.shown.bytes.extend(glyphs);
        }
    }

    fn show(&mut self) {
        if std::mem::take(&mut self.moved) {
            // A hundredth of a point is no line.
            self.note(if (self.height - self.shown_height).abs() > 0.01 { LINE } else { STEP }, &[]);
        }
        self.shown_height = self.height;
        for piece in std::mem::take(&mut self.pending) {
            match piece {
                Piece::Step => self.note(STEP, &[]),
                Piece::Glyphs(glyphs) => self.note(GLYPHS, &glyphs),
            }
        }
    }
}

/// A string as text: UTF-16 where it says so, or where every other byte is zero.
pub(super) fn readable(string: &[u8]) -> Vec<u8> {
    let wide = match string {
        [0xfe, 0xff, rest @ ..] => Some(rest),
        _ if string.len() >= 2 && string.len().is_multiple_of(2) && string.chunks_exact(2).all(|two| two[0] == 0) => Some(string),
        _ => None,
    };
    wide.map_or_else(
        || string.to_vec(),
        |wide| {
            let units: Vec<u16> = wide.chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
            String::from_utf16_lossy(&units).into_bytes()
        },
    )
}

impl Distiller for PageText {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            at += 1;
            match self.at {
                At::Between => match byte {
                    b'(' => self.at = At::Literal(0),
                    b'<' => self.at = At::Angle,
                    b'%' => self.at = At::Comment,
                    b'[' => self.in_array = true,
                    b']' => self.in_array = false,
                    _ if byte.is_ascii_whitespace() || matches!(byte, 0 | b'>' | b'{' | b'}' | b')') => {}
                    _ => {
                        self.word.push(byte);
                        self.at = At::Word;
                    }
                },
                At::Word => {
                    if byte.is_ascii_whitespace() || matches!(byte, 0 | b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'%' | b'/')
                    {
                        self.at = At::Between;
                        self.word_ended();
                        // The byte that ended the word may begin something.
                        at -= 1;
                    } else if self.word.len() < WORD_BYTES_MAX {
                        self.word.push(byte);
                    }
                }
                At::Literal(depth) => match byte {
                    b'\\' => self.at = At::Escape(depth),
                    b')' if depth == 0 => {
                        self.at = At::Between;
                        self.string_ended(out);
                    }
                    b')' => {
                        self.at = At::Literal(depth - 1);
                        self.take_in(byte, out);
                    }
                    b'(' => {
                        self.at = At::Literal(depth.saturating_add(1));
                        self.take_in(byte, out);
                    }
                    _ => self.take_in(byte, out),
                },
                At::Escape(depth) => {
                    self.at = At::Literal(depth);
                    match byte {
                        b'n' => self.take_in(b'\n', out),
                        b'r' => self.take_in(b'\r', out),
                        b't' => self.take_in(b'\t', out),
                        b'b' => self.take_in(8, out),
                        b'f' => self.take_in(12, out),
                        b'0'..=b'7' => self.at = At::Octal(depth, 1, u16::from(byte - b'0')),
                        // A line that goes on.
                        b'\r' | b'\n' => {}
                        _ => self.take_in(byte, out),
                    }
                }
                At::Octal(depth, digits, value) => {
                    if digits < 3 && (b'0'..=b'7').contains(&byte) {
                        self.at = At::Octal(depth, digits + 1, value * 8 + u16::from(byte - b'0'));
                    } else {
                        self.at = At::Literal(depth);
                        self.take_in(value as u8, out);
                        at -= 1;
                    }
                }
                At::Angle if byte == b'<' => self.at = At::Between,
                At::Angle => {
                    self.at = At::Hex;
                    at -= 1;
                }
                At::Hex => match ((byte as char).to_digit(16), self.digit) {
                    (Some(low), Some(high)) => {
                        self.digit = None;
                        self.take_in(high << 4 | low as u8, out);
                    }
                    (Some(high), None) => self.digit = Some(high as u8),
                    (None, _) if byte.is_ascii_whitespace() => {}
                    (None, high) => {
                        if let Some(high) = high {
                            self.take_in(high << 4, out);
                        }
                        self.at = At::Between;
                        if byte == b'>' {
                            self.string_ended(out);
                        } else {
                            // No string at all.
                            self.string.clear();
                            self.digit = None;
                        }
                    }
                },
                At::Comment => {
                    if matches!(byte, b'\n' | b'\r') {
                        self.at = At::Between;
                    }
                }
                At::Picture([before, last]) => {
                    let ended = last == b'E' && byte == b'I' && before.is_ascii_whitespace();
                    self.at = if ended { At::Between } else { At::Picture([last, byte]) };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(mode: Mode, description: &str) -> String {
        let (mut page, mut out) = (PageText::new(mode), Vec::new());
        for byte in description.bytes() {
            page.feed(&[byte], &mut out);
        }
        page.feed(b"\n", &mut out);
        if mode == Mode::Page {
            out = written(&page.into_shown().bytes, Steps::Spaces, |glyphs, text| text.extend(readable(glyphs)));
        }
        String::from_utf8_lossy(&out).trim().to_owned()
    }

    #[test]
    fn pieces_are_joined_and_moves_are_spaces_or_lines() {
        assert_eq!(text(Mode::Page, "BT /F1 9 Tf 72 700 Td [(gh) 3 (p_)-250(x)] TJ ET"), "ghp_ x");
        assert_eq!(text(Mode::Page, "BT 1 0 0 1 72 700 Tm (a) Tj 1 0 0 1 90 700 Tm (b) Tj 0 -12 Td (c) Tj (d) ' ET"), "a b\nc\nd");
        assert_eq!(text(Mode::Page, r"(a\(b\)c (d) \101\x \\) Tj<48 65 6c6C 6>Tj"), r"a(b)c (d) Ax \Hell`");
        assert_eq!(text(Mode::Page, "<00480069> Tj (not shown) /Name << /K <41> >> pop (x) Tj"), "Hix");
        assert_eq!(text(Mode::Page, "BI /W 1 ID (((\u{1} EI (a) Tj % (b) Tj\n(c) Tj"), "ac");
        assert_eq!(text(Mode::Strings, "<< /Title (one) /Author <FEFF00740077006F> /X 1 >>"), "one\ntwo");
        let long = format!("({}) Tj", "x".repeat(STRING_BYTES_MAX + 10));
        assert_eq!(text(Mode::Page, &long).len(), STRING_BYTES_MAX);
    }
}
