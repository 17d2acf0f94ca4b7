//! The XML parts of office documents: text as one reads it, of runs that stand apart in the file.
//!
//! A word processor splits a token wherever a spelling mark, a revision or a change of face falls into it. The text of
//! neighbouring runs is joined, a paragraph is a line, deleted text that is still there is text. A part is known by its
//! name inside its archive, since all XML begins alike; it is scanned as it is besides.

use std::io::{self, Read};

use super::distil::{self, Distiller};
use crate::session::{Place, Session};

/// The longest tag and the longest entity that are understood; longer ones are passed over.
const TAG_BYTES_MAX: usize = 64;

/// How a part writes its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Text stands in `<w:t>`, `<a:t>`, `<t>` and their like.
    Office,
    /// All that is not a tag is text: OpenDocument.
    Open,
}

/// The dialect of an archive's entry of this name, if it is such a part.
pub(super) fn dialect(place: &Place) -> Option<Dialect> {
    let name = place.name.as_str();
    if place.archive_depth == 0 || !name.ends_with(".xml") {
        None
    } else if ["word/", "xl/", "ppt/"].iter().any(|folder| name.starts_with(folder)) {
        Some(Dialect::Office)
    } else if name == "content.xml" || name == "styles.xml" {
        Some(Dialect::Open)
    } else {
        None
    }
}

/// Scans the part, and its text.
pub(super) fn scan(session: &mut Session<'_>, place: &Place, dialect: Dialect, reader: &mut dyn Read) -> io::Result<()> {
    distil::scan(session, place, "office text", &mut Runs::new(dialect), reader)
}

enum At {
    Text,
    /// In a tag, of which the first bytes are kept.
    Tag(Vec<u8>),
    Entity(Vec<u8>),
}

struct Runs {
    dialect: Dialect,
    at: At,
    /// Inside an element that holds text.
    inside: bool,
}

impl Runs {
    fn new(dialect: Dialect) -> Self {
        Self { dialect, at: At::Text, inside: dialect == Dialect::Open }
    }

    fn tag(&mut self, tag: &[u8], out: &mut Vec<u8>) {
        let (closing, tag) = tag.strip_prefix(b"/").map_or((false, tag), |rest| (true, rest));
        let empty = tag.ends_with(b"/");
        let name = tag.split(|byte| byte.is_ascii_whitespace() || *byte == b'/').next().unwrap_or_default();
        let name = name.rsplit(|&byte| byte == b':').next().unwrap_or_default();
        match name {
            b"t" | b"delText" | b"instrText" if self.dialect == Dialect::Office && !empty => self.inside = !closing,
            b"tab" => out.push(b'\t'),
            b"s" if self.dialect == Dialect::Open => out.push(b' '),
            b"br" | b"cr" | b"line-break" => out.push(b'\n'),
            b"p" | b"si" | b"h" | b"row" | b"tc" | b"c" | b"table-cell" if closing => out.push(b'\n'),
            _ => {}
        }
    }
}

/// The character that `&…;` stands for.
fn entity(name: &[u8]) -> Option<char> {
    match name {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        [b'#', b'x' | b'X', digits @ ..] => char::from_u32(u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?),
        [b'#', digits @ ..] => char::from_u32(std::str::from_utf8(digits).ok()?.parse().ok()?),
        _ => None,
    }
}

impl Distiller for Runs {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            match (&mut self.at, byte) {
                (At::Text, b'<') => self.at = At::Tag(Vec::new()),
                (At::Text, b'&') if self.inside => self.at = At::Entity(Vec::new()),
                (At::Text, _) if self.inside => out.push(byte),
                (At::Text, _) => {}
                (At::Tag(tag), b'>') => {
                    let tag = std::mem::take(tag);
                    self.at = At::Text;
                    self.tag(&tag, out);
                }
                // The end of a long tag still says whether the element is empty.
                (At::Tag(tag), _) if tag.len() >= TAG_BYTES_MAX => tag[TAG_BYTES_MAX - 1] = byte,
                (At::Tag(tag), _) => tag.push(byte),
                (At::Entity(name), b';') => {
                    let mut utf8 = [0; 4];
                    out.extend(entity(name).map_or("\u{fffd}", |c| c.encode_utf8(&mut utf8)).as_bytes());
                    self.at = At::Text;
                }
                (At::Entity(name), _) if name.len() >= TAG_BYTES_MAX => self.at = At::Text,
                (At::Entity(_), b'<') => self.at = At::Tag(Vec::new()),
                (At::Entity(name), _) => name.push(byte),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(dialect: Dialect, xml: &str) -> String {
        let (mut runs, mut out) = (Runs::new(dialect), Vec::new());
        for byte in xml.bytes() {
            runs.feed(&[byte], &mut out);
        }
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn runs_are_joined_and_paragraphs_are_lines() {
        let word = "<w:p><w:r><w:t>one</w:t></w:r><w:proofErr w:type=\"x\"/><w:r><w:t xml:space=\"preserve\">two &amp;</w:t></w:r></w:p>\
                    <w:p><w:r><w:t/><w:tab/><w:delText>three</w:delText></w:r></w:p><w:style>no text</w:style>";
        assert_eq!(text(Dialect::Office, word), "onetwo &\n\tthree\n");
        assert_eq!(text(Dialect::Office, "<sst><si><r><t>a&#x62;</t></r><r><t>c&#100;</t></r></si></sst>"), "abcd\n");
        assert_eq!(text(Dialect::Open, "<text:p>one<text:span s=\"1\">two</text:span><text:s/>three</text:p>"), "onetwo three\n");
        let long = format!("<t {}>in</t><t {}/>out", "a=\"b\" ".repeat(40), "a=\"b\" ".repeat(40));
        assert_eq!(text(Dialect::Office, &long), "in");
        assert_eq!(text(Dialect::Office, "<t>a &unknown; b &<"), "a \u{fffd} b ");
    }
}
