//! `\u0041`, `\x41` and `\/`: the escapes that break up a token in JSON and in string literals.
//!
//! `\n` and `\"` need no decoding: boundaries, assignments and armours know them. A line with one of the others is decoded
//! as a whole, so that the name before a value comes along.

use super::{Decoded, Next, Stretch};

/// How much of a long line is taken before and after the first escape.
const BEFORE_MAX: usize = 1 << 10;
const AFTER_MAX: usize = 6 << 10;

/// The next line at or after `from` that has an escape in it.
pub(crate) fn next(stretch: &Stretch<'_>, from: usize) -> Next {
    let Stretch { buf, limit, at_end, .. } = *stretch;
    let mut at = from;
    while at < limit {
        let Some(found) = memchr::memchr(b'\\', &buf[at..limit]) else { break };
        let escape = at + found;
        at = escape + 1;
        match unescaped(&buf[escape..(escape + 6).min(buf.len())]) {
            Some((byte, length)) if breaks_a_token(buf, escape, byte, length) => {}
            _ => continue,
        }
        let floor = escape.saturating_sub(BEFORE_MAX);
        let start = floor + memchr::memrchr(b'\n', &buf[floor..escape]).map_or(0, |at| at + 1);
        let ceiling = (escape + AFTER_MAX).min(buf.len());
        let end = memchr::memchr(b'\n', &buf[escape..ceiling]).map_or(ceiling, |at| escape + at);
        if end == buf.len() && !at_end && end - escape < AFTER_MAX {
            return Next::Wait(escape);
        }
        return Next::Decoded(Decoded { start, end, how: "escapes", bytes: decoded(&buf[start..end]) });
    }
    Next::Nothing(limit.max(at))
}

/// Whether the escape stands in or at the edge of something like a token, and makes a character that one may hold.
fn breaks_a_token(buf: &[u8], at: usize, byte: u8, length: usize) -> bool {
    if !(byte.is_ascii_alphanumeric() || b"+/=_-.:@&?\"'<>{}".contains(&byte)) || length == 2 && byte != b'/' {
        return false;
    }
    let token = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+/=_-\\\"".contains(byte));
    token(at.checked_sub(1).and_then(|before| buf.get(before))) && token(buf.get(at + length))
}

/// The character an escape stands for, and the escape's length.
fn unescaped(text: &[u8]) -> Option<(u8, usize)> {
    let hex = |digits: &[u8]| digits.iter().try_fold(0u32, |value, &digit| Some(value * 16 + (digit as char).to_digit(16)?));
    match text {
        [b'\\', b'u', digits @ ..] if digits.len() >= 4 => {
            let value = hex(&digits[..4])?;
            u8::try_from(value).ok().filter(u8::is_ascii).map(|byte| (byte, 6))
        }
        [b'\\', b'x', digits @ ..] if digits.len() >= 2 => hex(&digits[..2]).map(|value| (value as u8, 4)),
        [b'\\', letter, ..] => match letter {
            b'n' => Some((b'\n', 2)),
            b'r' => Some((b'\r', 2)),
            b't' => Some((b'\t', 2)),
            b'/' | b'"' | b'\'' | b'\\' => Some((*letter, 2)),
            _ => None,
        },
        _ => None,
    }
}

fn decoded(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    let mut at = 0;
    while at < line.len() {
        match unescaped(&line[at..(at + 6).min(line.len())]) {
            Some((byte, length)) => {
                out.push(byte);
                at += length;
            }
            None => {
                out.push(line[at]);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded_lines(text: &str) -> Vec<String> {
        let stretch = Stretch { buf: text.as_bytes(), limit: text.len(), at_end: true, run_max: 1 << 20 };
        let (mut all, mut at) = (Vec::new(), 0);
        while let Next::Decoded(decoded) = next(&stretch, at) {
            at = decoded.end;
            all.push(String::from_utf8_lossy(&decoded.bytes).into_owned());
        }
        all
    }

    #[test]
    fn escapes_inside_tokens_are_undone() {
        assert_eq!(decoded_lines("a\n{\"key\": \"ab\\/cd\\u002Bef\"}\nb"), ["{\"key\": \"ab/cd+ef\"}"]);
        assert_eq!(decoded_lines("k = 'ab\\x41cd'"), ["k = 'abAcd'"]);
        assert!(decoded_lines("just \\n and \\\" and C:\\users").is_empty());
        assert!(decoded_lines("\\").is_empty());
        assert!(decoded_lines("a\\u00").is_empty());
    }
}
