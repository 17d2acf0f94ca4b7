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
        // `<string>` is no type but a member of a property list.
        if round < 2 && operator != Some(b'>') && is_type(&buf[name.clone()]) {
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

/// How far from a value its partner in a pair may stand, and how much of a sentence before it is read.
const PAIR_REACH: usize = 200;
const SENTENCE_MAX: usize = 72;

/// Whether what stands round the value that begins at `at` says that it is a secret of the kind `words` or `literals` speak of.
pub(crate) fn fits(buf: &[u8], at: usize, words: &[String], literals: &[String]) -> bool {
    const USUAL: [&str; 15] =
        ["key", "token", "secret", "pass", "pwd", "auth", "cred", "api", "value", "default", "license", "dsn", "webhook", "bearer", "pat"];
    const OTHER: [&str; 16] = [
        "md5",
        "sha1",
        "sha256",
        "sha512",
        "checksum",
        "digest",
        "hash",
        "commit",
        "uuid",
        "etag",
        "integrity",
        "public",
        "revision",
        "guid",
        "keyid",
        "fingerprint",
    ];
    let intro = intro(buf, at);
    let judge = |name: &str, with_literals: bool| {
        let holds = |word: &str| name.contains(word);
        if !words.is_empty() {
            return words.iter().any(|word| holds(&squeezed(word.as_bytes())));
        }
        !OTHER.iter().any(|word| holds(word))
            && (USUAL.iter().any(|word| holds(word))
                || with_literals && literals.iter().any(|literal| holds(&squeezed(literal.as_bytes()))))
    };
    let name = &buf[intro.name.clone()];
    if let Some(operator) = intro.operator
        && !name.is_empty()
    {
        let name = squeezed(name);
        if judge(&name, true) {
            return true;
        }
        // `DatadogClient("…")`: whose constructor it is says enough.
        let called = operator == b'(' && buf[at - 1] != b'(' && !OTHER.iter().any(|word| name.contains(word));
        if called && literals.iter().any(|literal| name.contains(&squeezed(literal.as_bytes()))) {
            return true;
        }
    }
    partner(buf, &intro, at).is_some_and(|name| judge(&squeezed(&buf[name]), true))
        || sentence(buf, at).is_some_and(|sentence| judge(&squeezed(&buf[sentence]), false))
}

/// Letters and digits only, in lower case: `API-Key`, `api_key` and `api key` are one name.
fn squeezed(name: &[u8]) -> String {
    name.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(|&byte| char::from(byte.to_ascii_lowercase())).collect()
}

/// The name of which the value at `at` is the partner: `name: NAME` with `value: …` below or above it, `<key>NAME</key>`
/// with `<string>` after it.
pub(crate) fn partner(buf: &[u8], intro: &Intro, at: usize) -> Option<Range<usize>> {
    const VALUES: [&[u8]; 5] = [b"value", b"default", b"content", b"string", b"val"];
    let label = &buf[intro.name.clone()];
    let ends = |text: &[u8], ending: &[u8]| text.len() >= ending.len() && text[text.len() - ending.len()..].eq_ignore_ascii_case(ending);
    intro.operator?;
    if !VALUES.iter().any(|value| ends(label, value)) {
        return None;
    }
    let is_label = |word: &[u8]| [&b"name"[..], b"key", b"variable", b"property", b"field"].iter().any(|name| ends(word, name));
    let is_word_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    // What a label names: after a sign, perhaps in quotes.
    let named = |from: usize, to: usize| {
        let mut start = from;
        let mut sign = false;
        while start < to && matches!(buf[start], b' ' | b'\t' | b'"' | b'\'' | b'\\' | b':' | b'=' | b'>') {
            sign |= matches!(buf[start], b':' | b'=' | b'>' | b' ');
            start += 1;
        }
        let mut end = start;
        while end < to && is_word_byte(buf[end]) {
            end += 1;
        }
        (sign && end > start).then_some(start..end)
    };
    let floor = intro.name.start.saturating_sub(PAIR_REACH);
    let before = &buf[floor..intro.name.start];
    // Not past the end of the object, an empty line or the list item before it.
    let border = [&b"}"[..], b"\n\n", b"\n\r\n"].iter().filter_map(|mark| memchr::memmem::rfind(before, mark)).max().map_or(0, |at| at + 1);
    // `- value: …` and `{ "value": …` begin their member: what stands before is another one.
    let opening = before.trim_ascii_end().strip_suffix(b"\"").unwrap_or(before.trim_ascii_end()).trim_ascii_end();
    let begins = opening.ends_with(b"{") || opening.ends_with(b"\n-") || opening == b"-" || opening.ends_with(b" -");
    let mut end = if begins { border } else { before.len() };
    while end > border {
        while end > border && !is_word_byte(before[end - 1]) {
            end -= 1;
        }
        let mut start = end;
        while start > border && is_word_byte(before[start - 1]) {
            start -= 1;
        }
        if start < end
            && is_label(&before[start..end])
            && let Some(name) = named(floor + end, intro.name.start)
        {
            return Some(name);
        }
        end = start;
    }
    // The value came first.
    let ceiling = (at + super::value::VALUE_MAX).min(buf.len());
    let mut end = at;
    while end < ceiling && !buf[end].is_ascii_whitespace() && !matches!(buf[end], b'"' | b'\'' | b'<' | b',' | b'`') {
        end += 1;
    }
    let limit = (end + 40).min(buf.len());
    let mut next = end;
    while next < limit && !is_word_byte(buf[next]) {
        if buf[next] == b'}' {
            return None;
        }
        next += 1;
    }
    let start = next;
    while next < limit && is_word_byte(buf[next]) && buf[next] != b'-' {
        next += 1;
    }
    if buf[end..start].iter().filter(|&&byte| byte == b'\n').count() > 1 || !is_label(&buf[start..next]) {
        return None;
    }
    named(next, (next + 100).min(buf.len()))
}

/// The sentence before the value, when it is one: words with single signs between them, on the same line.
fn sentence(buf: &[u8], at: usize) -> Option<Range<usize>> {
    let floor = at.saturating_sub(SENTENCE_MAX);
    let line = &buf[floor..at];
    let start = floor + memchr::memrchr2(b'\n', b'\r', line).map_or(0, |end| end + 1);
    let is_prose = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b' ' | b'\t' | b'_' | b'-' | b'.' | b':' | b'=' | b'"' | b'\'' | b'`' | b'*' | b'\\' | b'#')
    };
    let start = (start..at).rev().take_while(|&at| is_prose(buf[at])).last()?;
    // Two words at least: one is a name, which was looked at.
    let spaces = buf[start..at].trim_ascii().iter().filter(|&&byte| byte == b' ').count();
    (spaces >= 1 && matches!(buf[at - 1], b' ' | b'"' | b'\'' | b'`' | b'=' | b':')).then_some(start..at)
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

    #[test]
    fn values_belong_to_names_over_two_lines_and_in_prose() {
        let value = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
        let fits = |text: &str, words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            super::fits(text.as_bytes(), text.find(value).unwrap_or(0), &words, &["datadog".to_owned()])
        };
        for text in [
            "- name: DD_API_KEY\n  value: @@",
            "- name: DD_API_KEY\n  value: \"@@\"",
            "- value: @@\n  name: DD_API_KEY",
            "{\"name\": \"DD_API_KEY\", \"value\": \"@@\"}",
            "{\"Value\":\"@@\",\"Key\":\"DD_API_KEY\"}",
            "<key>DdApiKey</key>\n<string>@@</string>",
            "name = \"dd_api_key\"\n  default = \"@@\"",
            "INFO using datadog api key @@",
            "the datadog api-key for staging is @@",
            "# datadog api key: @@",
            "client = DatadogClient('@@')",
        ] {
            assert!(fits(&text.replace("@@", value), &["api_key"]), "{text}");
        }
        for text in [
            "- name: DD_API_KEY\n\n- name: X\n  value: @@",
            "- name: BUILD\n  value: @@",
            "datadog image @@",
            "datadog_md5(x, @@",
            "- name: DD_API_KEY\n  other: @@",
        ] {
            assert!(!fits(&text.replace("@@", value), &["api_key"]), "{text}");
        }
    }
}
