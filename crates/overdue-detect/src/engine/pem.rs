//! Private keys in armour: PEM of every kind, OpenPGP, PuTTY.
//!
//! The secret is the base64 body without its line breaks, so that a key has one fingerprint whether it stands in a file,
//! in the JSON of a service account with `\n` for each line break, or on one line of an environment variable.

use overdue_core::Confidence;

use super::found::Match;
use crate::noise;

/// The longest armour read: RSA-16384 has 13 KiB. The scanner keeps more than that at hand.
const ARMOUR_BYTES_MAX: usize = 18 << 10;
/// An Ed25519 key has 64 characters.
const BODY_CHARS_MIN: usize = 60;
/// Without its end in sight a body must be longer than any quotation of a key's first lines.
const CUT_BODY_CHARS_MIN: usize = 240;
/// Keys have 5.8 bits a character; `MIIxxxxxxx…` has 2.
const ENTROPY_MIN: f32 = 4.2;

/// A key whose armour begins at `start`, with `-----BEGIN ` or with PuTTY's `Private-Lines: `.
pub(crate) fn find(buf: &[u8], start: usize) -> Option<Match> {
    let armour = &buf[start..(start + ARMOUR_BYTES_MAX).min(buf.len())];
    if let Some(rest) = armour.strip_prefix(b"-----BEGIN ") {
        return pem(rest, start, armour);
    }
    putty(armour, start)
}

fn pem(rest: &[u8], start: usize, armour: &[u8]) -> Option<Match> {
    let label_end = memchr::memmem::find(&rest[..rest.len().min(64)], b"-----")?;
    let label = std::str::from_utf8(&rest[..label_end]).ok()?;
    if !label.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ') {
        return None;
    }
    let openpgp = label == "PGP PRIVATE KEY BLOCK";
    if !openpgp && !label.ends_with("PRIVATE KEY") {
        return None;
    }
    let inside = &rest[label_end + 5..];
    let end = memchr::memmem::find(inside, b"-----END ");
    let body = Body::read(&inside[..end.unwrap_or(inside.len())], end.is_some())?;
    if body.text.len() < if end.is_some() { BODY_CHARS_MIN } else { CUT_BODY_CHARS_MIN } {
        return None;
    }
    let encrypted = body.encrypted || label.starts_with("ENCRYPTED");
    let begins_rightly = match label {
        _ if openpgp || body.encrypted => true,
        "OPENSSH PRIVATE KEY" => body.text.starts_with(b"b3BlbnNzaC1rZXktdjE"),
        _ => body.text[0] == b'M',
    };
    if !begins_rightly || noise::entropy(&body.text) < ENTROPY_MIN {
        return None;
    }
    let length = (armour.len() - rest.len()) + label_end + 5 + end.map_or(inside.len(), |at| (at + 9 + label.len() + 5).min(inside.len()));
    let label = if encrypted && !label.contains("ENCRYPTED") { format!("ENCRYPTED {label}") } else { label.to_owned() };
    let confidence = encrypted.then_some(Confidence::Likely);
    let preview = format!("{label} … ({} chars)", body.text.len());
    Some(Match { bytes: Some(body.text), label: Some(preview), confidence, ..Match::of(start..start + length) })
}

/// `Private-Lines: 14` and as many lines of base64.
fn putty(armour: &[u8], start: usize) -> Option<Match> {
    let rest = armour.strip_prefix(b"Private-Lines: ")?;
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let lines: usize = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    let end = memchr::memmem::find(rest, b"Private-MAC").unwrap_or(rest.len());
    let body = Body::read(rest.get(digits..end)?, true)?;
    if lines == 0 || lines > 512 || body.text.len() < 40 || noise::entropy(&body.text) < ENTROPY_MIN {
        return None;
    }
    let length = armour.len() - rest.len() + end;
    let preview = format!("PuTTY private key … ({} chars)", body.text.len());
    Some(Match { bytes: Some(body.text), label: Some(preview), ..Match::of(start..start + length) })
}

/// The characters of an armour's body.
struct Body {
    text: Vec<u8>,
    encrypted: bool,
}

impl Body {
    /// Reads lines of base64 that may be quoted, indented, joined with `+`, or parted by `\n` instead of line breaks.
    /// Anything else among them means that this is talk about a key. `whole`: without it the last line may be cut.
    fn read(inside: &[u8], whole: bool) -> Option<Self> {
        let mut body = Self { text: Vec::with_capacity(inside.len()), encrypted: false };
        let mut lines = lines(inside).peekable();
        while let Some(line) = lines.next() {
            let line = trimmed(line);
            if line.is_empty() {
                continue;
            }
            if memchr::memmem::find(line, b": ").is_some() || line.ends_with(b":") {
                body.encrypted |= memchr::memmem::find(line, b"ENCRYPTED").is_some();
                if line.len() > 200 {
                    return None;
                }
                continue;
            }
            // OpenPGP's checksum of the armour.
            if line.len() == 5 && line[0] == b'=' {
                continue;
            }
            for word in line.split(|byte| byte.is_ascii_whitespace()).map(trimmed) {
                let padding = word.iter().rev().take_while(|&&byte| byte == b'=').count();
                let letters = &word[..word.len() - padding];
                let clean = letters.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
                if clean && padding <= 2 {
                    body.text.extend_from_slice(letters);
                } else if !whole && (lines.peek().is_none() || body.text.len() >= CUT_BODY_CHARS_MIN) {
                    return Some(body);
                } else {
                    return None;
                }
            }
        }
        Some(body)
    }
}

/// Lines, where `\n`, `\r` and their many-times-escaped forms also end one.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    let mut done = false;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let mut at = 0;
        while let Some(found) = memchr::memchr3(b'\n', b'\r', b'\\', &rest[at..]) {
            let end = at + found;
            if rest[end] != b'\\' {
                let line = &rest[..end];
                rest = &rest[end + 1..];
                return Some(line);
            }
            let letter = rest[end..].iter().position(|&byte| byte != b'\\').map_or(rest.len(), |skip| end + skip);
            if matches!(rest.get(letter), Some(b'n' | b'r')) {
                let line = &rest[..end];
                rest = &rest[letter + 1..];
                return Some(line);
            }
            at = letter;
        }
        done = true;
        Some(rest)
    })
}

fn trimmed(mut line: &[u8]) -> &[u8] {
    let quote = |byte: u8| matches!(byte, b'"' | b'\'' | b'`');
    let edge = |byte: u8| {
        byte.is_ascii_whitespace() || quote(byte) || matches!(byte, b'\\' | b',' | b';' | b'|' | b'>' | b'#' | b'*' | b'(' | b')')
    };
    loop {
        line = match line {
            [first, rest @ ..] if edge(*first) => rest,
            [rest @ .., last] if edge(*last) => rest,
            // A sign that joins two strings stands apart from the characters; one of theirs does not.
            [rest @ .., before, b'+' | b'.'] if quote(*before) || *before == b' ' => &line[..rest.len() + 1],
            [b'+' | b'.', after, ..] if quote(*after) || *after == b' ' => &line[1..],
            _ => return line,
        };
    }
}
