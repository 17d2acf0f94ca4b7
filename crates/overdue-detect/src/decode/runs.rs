//! Base64 and hex runs, on one line or wrapped over many.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Decoded, Next, Stretch};
use crate::engine::blocks::{base64_run, is_base64_byte};

/// The shortest run worth decoding: 18 bytes.
const RUN_CHARS_MIN: usize = 24;
/// The shortest line of base64 that goes on in the next line.
const WRAPPED_LINE_CHARS_MIN: usize = 40;
/// What may stand between two lines: a line break, quotes, a sign that joins strings, indentation.
const LINE_JOIN_MAX: usize = 64;
/// How much of a run is decoded to see whether it is text.
const SAMPLE_CHARS: usize = 64;
/// When a run is cut in pieces, how much of one piece is looked at again with the next.
const PIECE_OVERLAP: usize = 64 << 10;

/// Unused bits at the end may be anything: people cut base64 as they like.
const LOOSE: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true).with_decode_padding_mode(DecodePaddingMode::Indifferent);
static STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LOOSE);
static URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LOOSE);

/// The next run at or after `from` that decodes to text or to an archive.
pub(crate) fn next(stretch: &Stretch<'_>, from: usize) -> Next {
    let Stretch { buf, limit, at_end, run_max } = *stretch;
    let mut floor = from;
    while let Some((start, end)) = base64_run(buf, floor, limit, RUN_CHARS_MIN, run_max) {
        // What a run is cut to depends on where it begins alone.
        let end = end.min(start + run_max);
        if end == buf.len() && !at_end && end - start < run_max {
            return Next::Wait(start);
        }
        if end - start >= run_max {
            return piece(buf, start, end);
        }
        match decode(stretch, start, end) {
            Attempt::Decoded(decoded) => return Next::Decoded(decoded),
            Attempt::Wait => return Next::Wait(start),
            Attempt::No => floor = end,
        }
    }
    // Runs that begin before the floor were all looked at.
    Next::Nothing(floor.max(limit))
}

/// A piece of a run that is too long to take whole. The next begins a little before this one's end.
fn piece(buf: &[u8], start: usize, end: usize) -> Next {
    let end_of_piece = end - PIECE_OVERLAP / 4 * 4;
    let bytes = if is_worth_it(&buf[start..end]) { decode_base64(&buf[start..start + (end - start) / 4 * 4]) } else { None };
    Next::Decoded(Decoded { start, end: start + (end_of_piece - start) / 4 * 4, how: "base64", bytes: bytes.unwrap_or_default() })
}

enum Attempt {
    Decoded(Decoded),
    No,
    Wait,
}

fn decode(stretch: &Stretch<'_>, start: usize, end: usize) -> Attempt {
    let buf = stretch.buf;
    let run = &buf[start..end];
    if let Some(bytes) = decode_hex(run) {
        return Attempt::Decoded(Decoded { start, end, how: "hex", bytes });
    }
    if !is_worth_it(run) {
        return Attempt::No;
    }
    if end - start >= WRAPPED_LINE_CHARS_MIN && matches!(buf.get(end), Some(b'\n' | b'\r' | b'\\' | b'"' | b'\'')) {
        match wrapped(stretch, start, end) {
            None => return Attempt::Wait,
            Some((end, text)) => {
                if let Some(bytes) = decode_base64(&text) {
                    return Attempt::Decoded(Decoded { start, end, how: "base64", bytes });
                }
            }
        }
    }
    match decode_base64(run) {
        Some(bytes) => Attempt::Decoded(Decoded { start, end, how: "base64", bytes }),
        None => Attempt::No,
    }
}

/// The lines of a wrapped run joined, and where the last one ends. `None`: it goes on past the text at hand.
fn wrapped(stretch: &Stretch<'_>, start: usize, first_end: usize) -> Option<(usize, Vec<u8>)> {
    let buf = stretch.buf;
    let width = first_end - start;
    let mut text = buf[start..first_end].to_vec();
    let mut end = first_end;
    while text.len() < stretch.run_max {
        if end + LINE_JOIN_MAX > buf.len() && !stretch.at_end {
            return None;
        }
        let Some(line) = next_line(buf, end) else { break };
        let line_end = buf[line..].iter().position(|&byte| !is_base64_byte(byte)).map_or(buf.len(), |at| line + at);
        if line_end == buf.len() && !stretch.at_end {
            return None;
        }
        let padding = buf[line_end..].iter().take(2).take_while(|&&byte| byte == b'=').count();
        let after = buf.get(line_end + padding);
        let whole = after
            .is_none_or(|byte| matches!(byte, b'\n' | b'\r' | b'\\' | b'"' | b'\'' | b'<' | b',' | b';') || *byte == b' ' && padding > 0);
        let length = line_end - line;
        if length == 0 || length > width || !whole {
            break;
        }
        text.extend_from_slice(&buf[line..line_end]);
        end = line_end;
        if length < width || padding > 0 {
            break;
        }
    }
    Some((end, text))
}

/// Where the characters of the next line begin: after a line break, real or written `\n`, and what joins strings.
fn next_line(buf: &[u8], end: usize) -> Option<usize> {
    let rest = &buf[end..(end + LINE_JOIN_MAX).min(buf.len())];
    let mut at = 0;
    let mut broken = false;
    while at < rest.len() {
        match rest[at..] {
            [b'\\', b'n' | b'r', ..] => {
                broken = true;
                at += 2;
            }
            [b'\n' | b'\r', ..] => {
                broken = true;
                at += 1;
            }
            [b' ' | b'\t' | b'"' | b'\'' | b'\\' | b'.', ..] => at += 1,
            [b'+', next, ..] if !is_base64_byte(next) => at += 1,
            _ => break,
        }
    }
    (broken && at < rest.len() && is_base64_byte(rest[at])).then_some(end + at)
}

/// Whether the beginning decodes to text or to an archive.
fn is_worth_it(run: &[u8]) -> bool {
    let sample = &run[..run.len().min(SAMPLE_CHARS) / 4 * 4];
    let mut room = [0; SAMPLE_CHARS];
    let Ok(length) = engine_of(sample).decode_slice(sample, &mut room) else { return false };
    let bytes = &room[..length];
    if crate::unpack::is_container(bytes) {
        return true;
    }
    let text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e);
    // UTF-16 has a zero in every other byte.
    if bytes.len() >= 18 && bytes.chunks_exact(2).all(|pair| text(&pair[0]) && pair[1] == 0) {
        return true;
    }
    let printable = bytes.iter().filter(|byte| text(byte)).count();
    if bytes.len() < 40 { printable == bytes.len() } else { printable * 10 >= bytes.len() * 8 }
}

fn decode_base64(run: &[u8]) -> Option<Vec<u8>> {
    // A single character left over encodes nothing.
    let run = if run.len() % 4 == 1 { &run[..run.len() - 1] } else { run };
    engine_of(run).decode(run).ok()
}

fn engine_of(run: &[u8]) -> &'static GeneralPurpose {
    if run.iter().any(|byte| matches!(byte, b'-' | b'_')) { &URL_SAFE } else { &STANDARD }
}

fn decode_hex(run: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let byte = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    let text = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e);
    if run.len() < 32 || !run.len().is_multiple_of(2) {
        return None;
    }
    // The first 16 bytes say no to all but one digest in ten million.
    if !run[..32].chunks_exact(2).all(|pair| byte(pair).is_some_and(text)) {
        return None;
    }
    let bytes = run.chunks_exact(2).map(byte).collect::<Option<Vec<u8>>>()?;
    (bytes.iter().filter(|&&byte| text(byte)).count() * 10 >= bytes.len() * 9).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Vec<String> {
        let stretch = Stretch { buf: text.as_bytes(), limit: text.len(), at_end: true, run_max: 1 << 20 };
        let mut all = Vec::new();
        let mut at = 0;
        loop {
            match next(&stretch, at) {
                Next::Decoded(decoded) => {
                    at = decoded.end;
                    all.push(String::from_utf8_lossy(&decoded.bytes).into_owned());
                }
                Next::Nothing(_) | Next::Wait(_) => return all,
            }
        }
    }

    #[test]
    fn text_is_decoded_and_the_rest_left_alone() {
        let text = "the quick brown fox jumps over the lazy dog, twice a day";
        let whole = STANDARD.encode(text);
        assert_eq!(decoded(&format!("data: {whole}\n")), [text]);
        assert_eq!(decoded(&whole), [text]);
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(decoded(&format!("x={hex};")), [text]);
        let wrapped: Vec<&str> = whole.as_bytes().chunks(40).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        assert_eq!(decoded(&format!("data: |\n  {}\nnext: 1\n", wrapped.join("\n  "))), [text]);
        assert_eq!(decoded(&format!("\"{}\"", wrapped.join("\\n"))), [text]);
        assert!(decoded("this_is_a_very_long_identifier_name and/a/path/that/is/quite/long/too/yes").is_empty());
        assert!(decoded("d41d8cd98f00b204e9800998ecf8427ed41d8cd98f00b204e9800998ecf8427e").is_empty());
        assert!(decoded("").is_empty());
    }
}
