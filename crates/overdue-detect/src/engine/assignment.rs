//! Assignments: a name that says secret, and a value that looks like one.
//!
//! The noisiest rule there is, so it is written by hand: it starts at the word (`password`, `token`, `api_key` …), reads the
//! whole name round it, what stands between name and value, and the value; and it asks of each whether this is how people
//! write a secret down. Names of other things (`token_type`, `password_hash`, `secretName`), expressions, placeholders,
//! words, paths, ids and digests are turned away.

use std::ops::Range;

use super::found::Match;
use super::prefilter::Hit;
use super::{Syntax, Text};
use crate::noise::{self, Makeup};

/// The longest name, and the longest value.
const NAME_MAX: usize = 80;
const VALUE_MAX: usize = 512;

/// The value that the word at `hit` names.
pub(crate) fn find(text: Text<'_>, hit: Hit) -> Option<Match> {
    let buf = text.buf;
    let name = name_round(buf, hit);
    let kind = kind_of(buf, hit, &name)?;
    let (value, written) = value_after(text, &name)?;
    is_secret(buf, &value, kind, written, &name).then(|| Match::of(value))
}

/// What a name promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Chosen by a person, perhaps.
    Password,
    /// Made by a machine.
    Token,
}

/// How the value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Quoted,
    /// Between `>` and `<`.
    Element,
    Bare,
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$')
}

fn name_round(buf: &[u8], hit: Hit) -> Range<usize> {
    let floor = hit.start.saturating_sub(NAME_MAX);
    let ceiling = (hit.end + NAME_MAX).min(buf.len());
    let mut start = hit.start;
    while start > floor && is_name_byte(buf[start - 1]) {
        start -= 1;
    }
    let mut end = hit.end;
    while end < ceiling && is_name_byte(buf[end]) {
        end += 1;
    }
    // A dot or a hyphen at the end belongs to the sentence.
    while end > hit.end && matches!(buf[end - 1], b'.' | b'-') {
        end -= 1;
    }
    start..end
}

/// Words after the keyword that make it the name of something else.
const OTHER_AFTER: [&str; 96] = [
    "name",
    "names",
    "field",
    "fields",
    "url",
    "uri",
    "type",
    "types",
    "count",
    "counts",
    "len",
    "length",
    "policy",
    "policies",
    "hash",
    "hashed",
    "hasher",
    "hashes",
    "reset",
    "expiry",
    "expires",
    "expire",
    "expiration",
    "ttl",
    "path",
    "file",
    "files",
    "filename",
    "dir",
    "id",
    "ids",
    "ref",
    "arn",
    "label",
    "text",
    "hint",
    "placeholder",
    "prompt",
    "error",
    "errors",
    "message",
    "msg",
    "title",
    "input",
    "form",
    "regex",
    "pattern",
    "format",
    "prefix",
    "suffix",
    "header",
    "headers",
    "param",
    "params",
    "endpoint",
    "provider",
    "manager",
    "store",
    "storage",
    "service",
    "class",
    "generator",
    "validator",
    "encoder",
    "handler",
    "callback",
    "index",
    "position",
    "offset",
    "size",
    "max",
    "min",
    "limit",
    "usage",
    "version",
    "status",
    "state",
    "enabled",
    "required",
    "column",
    "attr",
    "attribute",
    "property",
    "env",
    "cache",
    "bucket",
    "scope",
    "scopes",
    "scheme",
    "algorithm",
    "method",
    "mode",
    "kind",
    "source",
    "digest",
    "strength",
];

/// Words before the keyword that do the same.
const OTHER_BEFORE: [&str; 40] = [
    "next",
    "page",
    "continuation",
    "continue",
    "sync",
    "cancel",
    "cancellation",
    "csrf",
    "xsrf",
    "reset",
    "forgot",
    "forgotten",
    "change",
    "changed",
    "invalid",
    "missing",
    "wrong",
    "bad",
    "public",
    "min",
    "max",
    "num",
    "is",
    "has",
    "no",
    "parse",
    "lex",
    "syntax",
    "current",
    "end",
    "start",
    "eof",
    "comma",
    "unexpected",
    "expected",
    "pagination",
    "resume",
    "cursor",
    "get",
    "idempotency",
];

fn kind_of(buf: &[u8], hit: Hit, name: &Range<usize>) -> Option<Kind> {
    let keyword = &buf[hit.start..hit.end];
    let starts = |word: &[u8]| keyword.len() >= word.len() && keyword[..word.len()].eq_ignore_ascii_case(word);
    let kind = if starts(b"pass") || starts(b"pwd") { Kind::Password } else { Kind::Token };
    // The keyword is a word of the name, not a part of one: `compass`, `tokenizer`, `secretary`.
    let before = &buf[name.start..hit.start];
    let after = &buf[hit.end..name.end];
    if let Some(&last) = before.last()
        && last.is_ascii_alphabetic()
    {
        let camel = last.is_ascii_lowercase() && keyword[0].is_ascii_uppercase();
        let shouted =
            before.iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count() <= 12 && !starts(b"pwd") && !starts(b"pass");
        let database = ends_ignoring_case(
            before,
            &[b"db", b"pg", b"my", b"user", b"admin", b"root", b"mysql", b"sql", b"ldap", b"smtp", b"client", b"auth", b"the"],
        );
        if !camel && !shouted && !database {
            return None;
        }
    }
    let mut first_after = words(after);
    if let Some(&first) = after.first()
        && first.is_ascii_lowercase()
        && keyword.last().is_some_and(u8::is_ascii_lowercase)
    {
        // `passwords`, `tokenize`, `secretly`: another word. (`passwordHash` begins a new one with a capital.)
        return None;
    }
    if first_after.any(|word| OTHER_AFTER.contains(&word.as_str())) {
        return None;
    }
    if words(before).last().is_some_and(|word| OTHER_BEFORE.contains(&word.as_str())) {
        return None;
    }
    Some(kind)
}

fn ends_ignoring_case(text: &[u8], endings: &[&[u8]]) -> bool {
    endings.iter().any(|ending| text.len() >= ending.len() && text[text.len() - ending.len()..].eq_ignore_ascii_case(ending))
}

/// The words of a name: parted by signs, or by a capital after a small letter. At most eight are looked at.
fn words(name: &[u8]) -> impl Iterator<Item = String> {
    let mut all = Vec::new();
    let mut word = String::new();
    let mut last = b'_';
    for &byte in name {
        let begins = byte.is_ascii_uppercase() && !last.is_ascii_uppercase();
        if (!byte.is_ascii_alphabetic() || begins) && !word.is_empty() {
            all.push(std::mem::take(&mut word));
        }
        if byte.is_ascii_alphabetic() {
            word.push(char::from(byte.to_ascii_lowercase()));
        }
        last = byte;
    }
    if !word.is_empty() {
        all.push(word);
    }
    all.into_iter().take(8)
}

/// A place in the text that only moves forward and cannot leave it.
#[derive(Clone, Copy)]
struct Reader<'a> {
    buf: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        (self.at < self.end).then(|| self.buf[self.at])
    }
    fn rest(&self) -> &'a [u8] {
        &self.buf[self.at.min(self.end)..self.end]
    }
    fn skip(&mut self, class: impl Fn(u8) -> bool) -> usize {
        let from = self.at;
        while self.peek().is_some_and(&class) {
            self.at += 1;
        }
        self.at - from
    }
    fn eat(&mut self, text: &[u8]) -> bool {
        let there = self.rest().len() >= text.len() && self.rest()[..text.len()].eq_ignore_ascii_case(text);
        self.at += if there { text.len() } else { 0 };
        there
    }
    /// A quote with the backslashes that escape it, and how many those are.
    fn quote(&mut self) -> Option<(u8, usize)> {
        let slashes = self.rest().iter().take_while(|&&byte| byte == b'\\').count();
        let quote = *self.rest().get(slashes)?;
        if !matches!(quote, b'"' | b'\'' | b'`') || slashes > 7 {
            return None;
        }
        self.at += slashes + 1;
        Some((quote, slashes))
    }
}

fn blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn value_after(text: Text<'_>, name: &Range<usize>) -> Option<(Range<usize>, Written)> {
    let mut reader = Reader { buf: text.buf, at: name.end, end: (name.end + 160 + VALUE_MAX).min(text.buf.len()) };
    let name_quoted = reader.quote().is_some();
    reader.skip(|byte| matches!(byte, b']' | b')'));
    // `name: DB_PASSWORD` and, on the same or the next line, `value: …`; `<add key="Password" value="…"/>`.
    let mut pair = reader;
    if pair.skip(|byte| byte.is_ascii_whitespace() || byte == b',') > 0 {
        pair.quote();
        let word = pair.at;
        if pair.eat(b"defaultvalue") || pair.eat(b"value") || pair.eat(b"default") || pair.eat(b"content") {
            pair.quote();
            pair.skip(blank);
            if matches!(pair.peek(), Some(b'=' | b':')) {
                pair.at += 1;
                pair.skip(blank);
                // It is `value` that begins the statement.
                return value_at(text, pair, b'=', &(word..word), true);
            }
        }
    }
    let spaces = reader.skip(blank);
    let mark = reader.at;
    let operator = match reader.rest() {
        [b'=', b'>', ..] | [b':', b'=', ..] | [b'-', b'>', ..] => {
            reader.at += 2;
            b'='
        }
        // Comparisons say nothing of a value, except that somebody compares with one; too many of those are tests.
        [b'=', b'=', ..] | [b'!', ..] | [b'<', ..] | [b':', b':', ..] => return None,
        [b'|', b'|', ..] | [b'?', b'?', ..] => {
            reader.at += 2;
            b','
        }
        [b'o', b'r', b' ', ..] if spaces > 0 => {
            reader.at += 3;
            b','
        }
        [sign @ (b'=' | b':' | b'>' | b'('), ..] => {
            reader.at += 1;
            *sign
        }
        [b',', ..] if name_quoted => {
            reader.at += 1;
            b','
        }
        _ if spaces > 0 && text.buf[name.start..].starts_with(b"--") => b' ',
        _ => return None,
    };
    debug_assert!(reader.at >= mark);
    // `password: str = "…"`: the type is no value.
    if operator == b':' {
        let mut typed = reader;
        typed.skip(|byte| {
            blank(byte) || byte.is_ascii_alphanumeric() || matches!(byte, b'&' | b'_' | b'.' | b'?' | b'|' | b'[' | b']' | b'<' | b'>')
        });
        if typed.at > reader.at && typed.at - reader.at < 40 && typed.peek() == Some(b'=') && typed.buf.get(typed.at + 1) == Some(&b' ') {
            typed.at += 1;
            typed.skip(blank);
            let mut quoted = typed;
            return quoted.quote().and_then(|_| value_at(text, typed, b'=', name, name_quoted));
        }
    }
    let gap = reader.skip(blank);
    if operator == b':' && gap == 0 && !name_quoted {
        // `a:b` is a value only in quotes: bare, it is a path, a pair of ports, a label.
        let mut quoted = reader;
        quoted.quote()?;
    }
    value_at(text, reader, operator, name, name_quoted)
}

/// Functions that wrap a literal and leave it what it is.
const WRAPPERS: [&[u8]; 16] = [
    b"String::from(",
    b"Some(",
    b"SecretString::new(",
    b"SecretStr(",
    b"SecretString::from(",
    b"str(",
    b"bytes(",
    b"b64decode(",
    b"base64.b64decode(",
    b"Buffer.from(",
    b"new String(",
    b"string(",
    b"[]byte(",
    b"atob(",
    b"std::string(",
    b"Secret(",
];

fn value_at(
    text: Text<'_>,
    mut reader: Reader<'_>,
    operator: u8,
    name: &Range<usize>,
    name_quoted: bool,
) -> Option<(Range<usize>, Written)> {
    for wrapper in WRAPPERS {
        if reader.eat(wrapper) {
            break;
        }
    }
    let mut literal = reader;
    if matches!(literal.peek(), Some(b'b' | b'r' | b'u' | b'f' | b'B' | b'R' | b'U' | b'F' | b'L' | b'@' | b'$'))
        && matches!(literal.buf.get(literal.at + 1), Some(b'"' | b'\''))
    {
        if matches!(literal.peek(), Some(b'f' | b'F' | b'$')) && literal.rest().iter().take(120).any(|&byte| byte == b'{') {
            return None;
        }
        literal.at += 1;
    }
    if let Some((quote, slashes)) = literal.quote() {
        skip_scheme(&mut literal);
        let start = literal.at;
        let rest = literal.rest();
        let length = rest.iter().position(|&byte| byte == quote || byte == b'\n' || byte == b'\r')?;
        if rest[length] != quote {
            return None;
        }
        let end = start + length;
        // The closing quote is escaped like the opening one.
        let escapes = text.buf[start..end].iter().rev().take_while(|&&byte| byte == b'\\').count();
        return (escapes == slashes).then(|| (start..end - slashes, Written::Quoted));
    }
    skip_scheme(&mut reader);
    if operator == b'>' {
        let start = reader.at;
        let length = reader.rest().iter().position(|&byte| byte == b'<' || byte == b'\n')?;
        return (reader.rest()[length] == b'<' && reader.rest().get(length + 1) == Some(&b'/'))
            .then(|| (start..start + length, Written::Element));
    }
    if matches!(operator, b',' | b'(') || text.syntax == Syntax::Code || (name_quoted && operator != b'=') {
        return None;
    }
    let start = reader.at;
    let rest = reader.rest();
    let in_query = name.start > 0 && matches!(text.buf[name.start - 1], b'?' | b'&');
    let length = (0..rest.len())
        .find(|&at| match rest[at] {
            b'&' => in_query || ends_part(&rest[at + 1..]),
            byte => byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\'),
        })
        .unwrap_or(rest.len());
    let mut end = start + length;
    while end > start && matches!(text.buf[end - 1], b',' | b';' | b')' | b']' | b'}') {
        end -= 1;
    }
    (begins_statement(text.buf, name.start, operator) && statement_ends(text.buf, start + length)).then_some((start..end, Written::Bare))
}

/// Whether an `&` before this ends a part of a query or a command, rather than being a character of a password.
fn ends_part(after: &[u8]) -> bool {
    let name = after.iter().take_while(|&&byte| is_name_byte(byte)).count();
    after.first() == Some(&b'&') || (name > 0 && after.get(name) == Some(&b'='))
}

/// Steps over `Bearer ` and its kin.
fn skip_scheme(reader: &mut Reader<'_>) {
    for scheme in [&b"bearer "[..], b"basic ", b"token ", b"apikey "] {
        if reader.eat(scheme) {
            return;
        }
    }
}

/// Whether a bare value may follow this name: the name begins a line, a command-line flag or a part of a query.
fn begins_statement(buf: &[u8], start: usize, operator: u8) -> bool {
    if operator == b' ' || buf[start..].starts_with(b"--") {
        return true;
    }
    let line = &buf[start.saturating_sub(120)..start];
    let line = &line[memchr::memrchr2(b'\n', b'\r', line).map_or(0, |at| at + 1)..];
    let line = line.trim_ascii();
    let line = line.strip_suffix(b"\"").or_else(|| line.strip_suffix(b"'")).unwrap_or(line).trim_ascii_end();
    const LEADS: [&[u8]; 11] = [b"export", b"set", b"env", b"-e", b"arg", b"-", b"?", b"&", b";", b"setx", b"--env"];
    line.is_empty()
        || LEADS.iter().any(|lead| line.len() >= lead.len() && line[line.len() - lead.len()..].eq_ignore_ascii_case(lead))
        || line.ends_with(b"-D")
}

/// Whether a bare value is alone on what remains of its line, comments aside: prose goes on.
fn statement_ends(buf: &[u8], end: usize) -> bool {
    let rest = &buf[end..(end + 80).min(buf.len())];
    let rest = &rest[..memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len())];
    match rest.trim_ascii_start() {
        [] | [b'#' | b';' | b'&' | b'\\' | b'<' | b'"' | b'\'' | b'`' | b'|', ..] | [b'/', b'/', ..] => true,
        // Another assignment or flag: a command line, a log line of pairs.
        more => more.starts_with(b"-") || more.iter().take_while(|byte| !byte.is_ascii_whitespace()).any(|&byte| byte == b'='),
    }
}

fn is_secret(buf: &[u8], value: &Range<usize>, kind: Kind, written: Written, name: &Range<usize>) -> bool {
    let bytes = &buf[value.clone()];
    let least = match (kind, written) {
        (Kind::Password, Written::Quoted | Written::Element) => 6,
        (Kind::Password, Written::Bare) => 7,
        (Kind::Token, _) => 14,
    };
    if bytes.len() < least || bytes.len() > VALUE_MAX || !bytes.iter().all(|byte| (0x21..0x7f).contains(byte)) {
        return false;
    }
    if noise::has_template(bytes)
        || noise::is_placeholder(bytes)
        || noise::is_stock_password(bytes)
        || noise::is_uuid(bytes)
        || is_other_thing(bytes)
    {
        return false;
    }
    if bytes.eq_ignore_ascii_case(&buf[name.clone()]) || speaks_of_itself(bytes) {
        return false;
    }
    let makeup = Makeup::of(bytes);
    match kind {
        Kind::Password => is_password(bytes, makeup, written),
        Kind::Token => is_token(bytes, makeup),
    }
}

/// Whether the value is only a word for what it stands for: `my-secret-token`, `PASSWORD_HERE`, `test_api_key`.
fn speaks_of_itself(bytes: &[u8]) -> bool {
    const WORDS: [&[u8]; 13] = [
        b"password",
        b"passwd",
        b"passphrase",
        b"secret",
        b"token",
        b"api_key",
        b"apikey",
        b"api-key",
        b"credential",
        b"_key",
        b"-key",
        b"auth",
        b"pwd",
    ];
    let makeup = Makeup::of(bytes);
    // `Secret-9fJ2x…` is a secret whatever it is called; `secret123` is not.
    WORDS.iter().any(|word| noise::contains_ignoring_case(bytes, word)) && (makeup.digit < 4 || bytes.len() < 16)
}

/// Paths, addresses, versions, dates, digests with a name, and pieces of code.
fn is_other_thing(bytes: &[u8]) -> bool {
    const STARTS: [&[u8]; 38] = [
        b"http:",
        b"https:",
        b"file:",
        b"/",
        b"./",
        b"../",
        b"~/",
        b"arn:",
        b"urn:",
        b"data:",
        b"sha1-",
        b"sha256-",
        b"sha384-",
        b"sha512-",
        b"sha256:",
        b"sha1:",
        b"sha512:",
        b"md5:",
        b"$2a$",
        b"$2b$",
        b"$2y$",
        b"$argon2",
        b"$1$",
        b"$5$",
        b"$6$",
        b"pbkdf2",
        b"{SSHA",
        b"{SHA",
        b"{CRYPT",
        b"ssh-",
        b"vault:",
        b"kms:",
        b"secretsmanager:",
        b"ENC[",
        b"AQICAH",
        b"projects/",
        b"refs/",
        b"op://",
    ];
    if STARTS.iter().any(|start| bytes.len() >= start.len() && bytes[..start.len()].eq_ignore_ascii_case(start)) {
        return true;
    }
    let has = |needle: &[u8]| memchr::memmem::find(bytes, needle).is_some();
    let last = bytes[bytes.len() - 1];
    // Calls, indexing, members, markup.
    (has(b"(") && has(b")")) || has(b"::") || has(b"->") || has(b"=>") || has(b"</") || has(b"&&") || has(b"||") || has(b"://") || has(b"\\u") || has(b"\\x")
        || matches!(last, b':' | b'(' | b'{' | b'[' | b'\\')
        || (has(b"[") && has(b"]"))
        // `a@b.c`
        || (bytes.iter().filter(|&&byte| byte == b'@').count() == 1 && has(b".") && bytes.iter().all(|&byte| is_name_byte(byte) || byte == b'@' || byte == b'+'))
        || has_file_ending(bytes)
        || is_number_like(bytes)
        || is_dotted_name(bytes)
}

fn has_file_ending(bytes: &[u8]) -> bool {
    const ENDINGS: [&[u8]; 26] = [
        b".json", b".pem", b".key", b".txt", b".crt", b".cer", b".p12", b".pfx", b".jks", b".yaml", b".yml", b".xml", b".env", b".html",
        b".php", b".js", b".ts", b".py", b".go", b".rs", b".com", b".org", b".net", b".io", b".local", b".md",
    ];
    ends_ignoring_case(bytes, &ENDINGS)
}

fn is_number_like(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'/' | b':' | b'T' | b'Z' | b'+' | b',' | b'x' | b'_'))
}

/// `config.auth.password`, `this.token`, `module.output`: names joined by dots, none of which is random.
fn is_dotted_name(bytes: &[u8]) -> bool {
    bytes.contains(&b'.')
        && bytes.iter().all(|&byte| is_name_byte(byte))
        && bytes
            .split(|&byte| byte == b'.')
            .all(|part| part.first().is_some_and(|&byte| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$') && is_identifier(part))
}

/// A name people would give: words in snake, kebab or camel case, with at most a short number at the end of one.
fn is_identifier(bytes: &[u8]) -> bool {
    let makeup = Makeup::of(bytes);
    bytes.iter().all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$'))
        && makeup.digit <= 2
        && (makeup.letters() < 8 || noise::surprise(bytes).is_none_or(|surprise| surprise < 4.6))
}

fn is_password(bytes: &[u8], makeup: Makeup, written: Written) -> bool {
    if bytes.len() > 64 && written == Written::Bare {
        return false;
    }
    // Hex of the length of a digest is a digest.
    if noise::is_hex(bytes) && matches!(bytes.len(), 32 | 40 | 64 | 96 | 128) {
        return false;
    }
    let words_only = makeup.digit == 0
        && bytes
            .iter()
            .all(|&byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b':' | b'$' | b' ' | b',' | b'!' | b'?'));
    if words_only && (bytes.len() < 10 || noise::reads_like_words(bytes)) {
        return false;
    }
    if is_identifier(bytes) && makeup.digit < 2 && makeup.classes() < 3 {
        return false;
    }
    // `test1`, `foo123`, `password!`: short, and one class with a tail.
    let enough = if bytes.len() < 8 { 3 } else { 2 };
    makeup.classes() >= enough && noise::distinct(bytes) >= 5 && noise::entropy(bytes) >= 2.2 && !begins_with_code(bytes, written)
}

fn begins_with_code(bytes: &[u8], written: Written) -> bool {
    written == Written::Bare
        && (bytes.contains(&b'(')
            || bytes.contains(&b'{')
            || bytes.contains(&b'[')
            || bytes.starts_with(b"!")
            || bytes.starts_with(b"&")
            || bytes.starts_with(b"*"))
}

fn is_token(bytes: &[u8], makeup: Makeup) -> bool {
    let token_bytes = bytes.iter().all(|&byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-' | b'.' | b'~' | b':' | b'!' | b'@' | b'#' | b'%' | b'^' | b'*')
    });
    if !token_bytes {
        return false;
    }
    let entropy = noise::entropy(bytes);
    if noise::is_hex(bytes) {
        return bytes.len() >= 24 && makeup.digit > 0 && makeup.letters() > 0 && entropy >= 3.0;
    }
    if makeup.digit == bytes.len() || makeup.letters() < 4 {
        return false;
    }
    // Words with a number: `my-app-service-01`, `us-east-1-prod-cluster`, `v2.application.json`.
    if makeup.digit < 3 && noise::reads_like_words(bytes) {
        return false;
    }
    let longest_word = bytes.split(|byte| !byte.is_ascii_alphanumeric()).map(<[u8]>::len).max().unwrap_or(0);
    if longest_word < 10 && bytes.len() < 40 && noise::surprise(bytes).is_none_or(|surprise| surprise < 4.8) {
        return false;
    }
    if makeup.digit == 0 {
        return bytes.len() >= 20 && makeup.upper >= 3 && makeup.lower >= 3 && entropy >= 3.8 && !noise::reads_like_words(bytes);
    }
    let floor = if bytes.len() < 20 { 3.2 } else { 3.5 };
    entropy >= floor && noise::surprise(bytes).is_none_or(|surprise| surprise >= 4.2 || makeup.digit * 5 >= bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the rule takes for the secret, whichever of its words finds it.
    fn found(syntax: Syntax, line: &str) -> Option<String> {
        let text = Text { buf: line.as_bytes(), binary: false, syntax };
        ["password", "passwd", "secret", "token", "api_key", "apikey", "pwd"].iter().find_map(|word| {
            let lower = line.to_ascii_lowercase();
            lower.match_indices(word).find_map(|(start, _)| {
                let one = find(text, Hit { literal: 0, start, end: start + word.len() })?;
                Some(line[one.secret].to_owned())
            })
        })
    }

    #[test]
    fn secrets_are_found_however_they_are_assigned() {
        let pass = concat!("tr0ub4dor", "&3xK");
        let token = concat!("q8Zr2mVx71", "LwPnTc5KdJ");
        for (line, secret) in [
            (format!("password = \"{pass}\""), pass),
            (format!("  \"password\": \"{pass}\","), pass),
            (format!("DB_PASSWORD={pass}"), pass),
            (format!("export DB_PASSWORD='{pass}'"), pass),
            (format!("password: {pass}"), pass),
            (format!("const apiKey = '{token}';"), token),
            (format!("api_key: str = \"{token}\""), token),
            (format!("{{\\\"token\\\": \\\"{token}\\\"}}"), token),
            (format!("config['secret'] = \"{token}\""), token),
            (format!("- name: DB_PASSWORD\n  value: {pass}"), pass),
            (format!("- name: API_TOKEN\n  value: \"{token}\""), token),
            (format!("<add key=\"Password\" value=\"{pass}\" />"), pass),
            (format!("<secret>{token}</secret>"), token),
            (format!("client.set_token(\"{token}\")"), token),
            (format!("setProperty(\"password\", \"{pass}\")"), pass),
            (format!("curl --password {pass} --user x"), pass),
            (format!("os.environ.get(\"API_TOKEN\", \"{token}\")"), token),
            (format!("process.env.TOKEN || '{token}'"), token),
            (format!("https://api.acme.io/v1?token={token}&x=1"), token),
            (format!("let secret = String::from(\"{token}\");"), token),
        ] {
            assert_eq!(found(Syntax::Config, &line).as_deref(), Some(secret), "{line}");
        }
    }

    #[test]
    fn what_is_no_secret_is_silent() {
        for line in [
            "password = os.environ[\"DB_PASSWORD\"]",
            "password = getPassword()",
            "password = \"changeme\"",
            "password: ${DB_PASSWORD}",
            "password: {{ vault_password }}",
            "token_type = \"application/x-www-form-urlencoded1\"",
            "tokenizer = \"bert-base-uncased-20240101v2\"",
            "secretName: my-app-tls-20240101",
            "password_hash = \"5f4dcc3b5aa765d61d8327deb882cf99\"",
            "token = \"123e4567-e89b-12d3-a456-426614174000\"",
            "const nextToken = 'q8Zr2mVx71LwPnTc5KdJ'",
            "raise ValueError(\"password must have 8 characters\")",
            "password = \"password\"",
            "secret = \"arn:aws:secretsmanager:us-east-1:123456789012:secret:x-AbCdEf\"",
            "token = self.session.token",
            "password: the password of the user, 8 to 20 characters",
            "api_key = \"/etc/app/keys/key1.txt\"",
            "secret: kubernetes.io/service-account-token",
            "if password == \"hunter22x!\" {",
            "compass = \"q8Zr2mVx71LwPnTc5KdJ\"",
        ] {
            assert_eq!(found(Syntax::Unknown, line), None, "{line}");
        }
        assert_eq!(found(Syntax::Code, "password = tr0ub4dor3xK"), None, "code has no bare values");
    }
}
