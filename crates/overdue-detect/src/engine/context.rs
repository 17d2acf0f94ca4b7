//! Context: what stands before a value.
//!
//! `API_KEY = "`, `"api_key": "`, `<api_key>`, `api-key: `, `headers["X-Api-Key"] = `, `const KEY: &str = "`,
//! `setKey(`, `--api-key `: all of them name the value, and all are read backwards from it here.

use std::ops::Range;

use super::boundary::is_word;

/// How far back a name is looked for.
const NAME_MAX: usize = 96;

/// What introduces a value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Intro {
    /// Where its name stands; empty when there is none.
    pub(crate) name: Range<usize>,
    /// `=`, `:`, `,`, `(`, `>` or `[` between the name and it, or a space.
    pub(crate) operator: Option<u8>,
}

/// Reads backwards from the value that begins at `at`.
pub(crate) fn intro(buf: &[u8], at: usize) -> Intro {
    let floor = at.saturating_sub(NAME_MAX);
    let mut end = at;
    let mut operator = None;
    // Again, at most twice: `name: Type = value` has a type where the name would be, and `&'static str` has two words of it.
    for round in 0..3 {
        end = skip_back(buf, end, floor, |byte| matches!(byte, b'"' | b'\'' | b'`' | b'\\' | b'@'));
        end = skip_word_back(buf, end, floor);
        let bare = end;
        end = skip_back(buf, end, floor, |byte| matches!(byte, b' ' | b'\t'));
        let spaces = bare - end;
        let mark = end;
        end = skip_back(buf, end, floor, |byte| matches!(byte, b'=' | b':' | b',' | b'(' | b'>' | b'[' | b'{' | b'|' | b'-' | b'~' | b'&'));
        if end < mark {
            operator = operator.or(Some(buf[end]));
        } else if round == 0 {
            operator = (spaces > 0 && end > floor && !matches!(buf[end - 1], b'\n' | b'\r')).then_some(b' ');
        }
        end = skip_back(buf, end, floor, |byte| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'`' | b'\\' | b']' | b')' | b'?'));
        let start = skip_back(buf, end, floor, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$'));
        let name = start..end;
        if round < 2 && is_type(&buf[name.clone()]) {
            end = skip_back(buf, start, floor, |byte| matches!(byte, b' ' | b'&' | b'*' | b'\''));
            continue;
        }
        return Intro { name, operator };
    }
    Intro { name: end..end, operator }
}

/// Steps back over `Bearer ` and its kin.
fn skip_word_back(buf: &[u8], end: usize, floor: usize) -> usize {
    const WORDS: [&[u8]; 5] = [b"bearer ", b"basic ", b"token ", b"apikey ", b"key "];
    for word in WORDS {
        if let Some(start) = end.checked_sub(word.len()).filter(|&start| start >= floor)
            && buf[start..end].eq_ignore_ascii_case(word)
            // `--api-key ` ends in one of them and is a name.
            && !(start > floor && (is_word(buf[start - 1]) || buf[start - 1] == b'-'))
        {
            return skip_back(buf, start, floor, |byte| matches!(byte, b'"' | b'\'' | b'\\'));
        }
    }
    end
}

fn is_type(name: &[u8]) -> bool {
    const TYPES: [&[u8]; 14] = [
        b"str",
        b"String",
        b"string",
        b"bytes",
        b"char",
        b"byte",
        b"text",
        b"any",
        b"Text",
        b"u8",
        b"std.string",
        b"varchar",
        b"static",
        b"Secret",
    ];
    TYPES.contains(&name)
}

fn skip_back(buf: &[u8], mut end: usize, floor: usize, class: impl Fn(u8) -> bool) -> usize {
    while end > floor && class(buf[end - 1]) {
        end -= 1;
    }
    end
}

/// Whether the name says that the value is a secret of the kind `words` or `literals` speak of.
pub(crate) fn fits(buf: &[u8], intro: &Intro, words: &[String], literals: &[String]) -> bool {
    const USUAL: [&[u8]; 15] = [
        b"key", b"token", b"secret", b"pass", b"pwd", b"auth", b"cred", b"api", b"value", b"default", b"license", b"dsn", b"webhook",
        b"bearer", b"pat",
    ];
    const OTHER: [&[u8]; 18] = [
        b"md5",
        b"sha1",
        b"sha256",
        b"sha512",
        b"checksum",
        b"digest",
        b"hash",
        b"commit",
        b"uuid",
        b"etag",
        b"integrity",
        b"public",
        b"revision",
        b"guid",
        b"keyid",
        b"key_id",
        b"key-id",
        b"fingerprint",
    ];
    let name = &buf[intro.name.clone()];
    if intro.operator.is_none() || name.is_empty() {
        return false;
    }
    let holds = |word: &[u8]| crate::noise::contains_ignoring_case(name, word);
    if !words.is_empty() {
        return words.iter().any(|word| holds(word.as_bytes()));
    }
    !OTHER.iter().any(|word| holds(word)) && (USUAL.iter().any(|word| holds(word)) || literals.iter().any(|word| holds(word.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_before(text: &str) -> (&str, Option<char>) {
        let intro = intro(text.as_bytes(), text.len());
        (&text[intro.name], intro.operator.map(char::from))
    }

    #[test]
    fn names_are_read_backwards() {
        for (text, name, operator) in [
            ("API_KEY=", "API_KEY", Some('=')),
            ("  api-key: ", "api-key", Some(':')),
            (r#"{"api_key": ""#, "api_key", Some(':')),
            (r#"{\"api_key\":\""#, "api_key", Some(':')),
            ("<apiKey>", "apiKey", Some('>')),
            (r#"headers["X-Api-Key"] = ""#, "X-Api-Key", Some('=')),
            (r#"const API_KEY: &str = ""#, "API_KEY", Some('=')),
            (r#"const API_KEY: &'static str = ""#, "API_KEY", Some('=')),
            (r#"api_key := ""#, "api_key", Some(':')),
            (r#"client.setKey(""#, "client.setKey", Some('(')),
            (r#"("api_key", ""#, "api_key", Some(',')),
            ("--api-key ", "--api-key", Some(' ')),
            (r#"'api_key' => '"#, "api_key", Some('=')),
            (r#"Authorization: Bearer "#, "Authorization", Some(':')),
            (r#""Authorization": "Bearer "#, "Authorization", Some(':')),
            ("\n", "", None),
            ("", "", None),
        ] {
            assert_eq!(name_before(text), (name, operator), "{text}");
        }
    }
}
