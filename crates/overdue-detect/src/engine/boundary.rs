//! Boundaries: where a token begins and ends.

/// A letter, a digit or an underscore.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether a token may begin at `at`: at the start, after something that is no part of a word, or after an escape such as
/// the `\n` of a JSON string, a `%3D` or a `\u003d`, whose last character only looks like a part of a word.
pub(crate) fn begins(buf: &[u8], at: usize) -> bool {
    at == 0 || !is_word(buf[at - 1]) || after_escape(buf, at)
}

/// Whether a token may end before `at`.
pub(crate) fn ends(buf: &[u8], at: usize) -> bool {
    buf.get(at).is_none_or(|&byte| !is_word(byte))
}

fn after_escape(buf: &[u8], at: usize) -> bool {
    let before = &buf[at.saturating_sub(6)..at];
    let hex = |text: &[u8]| text.iter().all(u8::is_ascii_hexdigit);
    match before {
        [.., b'\\', b'n' | b'r' | b't' | b'b' | b'f' | b'v' | b'0'] => true,
        [.., b'%', a, b] if hex(&[*a, *b]) => true,
        [.., b'\\', b'x', a, b] if hex(&[*a, *b]) => true,
        [b'\\', b'u', rest @ ..] => rest.len() == 4 && hex(rest),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_begins_after_an_escape() {
        for (text, expected) in [
            ("token", true),
            (" token", true),
            ("=token", true),
            ("xtoken", false),
            ("_token", false),
            (r"\ntoken", true),
            ("%3Dtoken", true),
            ("%3gtoken", false),
            (r"\u003dtoken", true),
            (r"\x3dtoken", true),
            ("3dtoken", false),
        ] {
            assert_eq!(begins(text.as_bytes(), text.len() - 5), expected, "{text}");
        }
    }
}
