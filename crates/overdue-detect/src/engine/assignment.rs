//! Assignments: a name that says secret, and a value that looks like one.
//!
//! The noisiest rule there is, so it is written by hand: it starts at the word (`password`, `token`, `key` …), reads the
//! whole name round it ([`name`]), looks for the value that belongs to it, and asks whether this is how people write a
//! secret down ([`value`]). The ways a value belongs to a name, firmest first:
//!
//! - it is assigned: `name = "value"`, `"name": value`, `<name>value</name>`, `set_name("value")`, `--name value`;
//! - both are the members of a pair: `name: NAME` and `value: …`, in either order, on one line or on two;
//! - it is spoken of: `using the api key …`, `token is …`. Such a value must show by itself that it is random.

use std::ops::Range;

use super::found::Match;
use super::name::{self, Kind, NAME_MAX, is_name_byte, name_round};
use super::prefilter::Hit;
use super::value::{VALUE_MAX, Written, is_secret};
use super::{Syntax, Text, command, value};

/// How far from a name the value of its pair may begin.
const PAIR_REACH: usize = 240;
/// How far from a name a value that is only spoken of may begin, and how many words may stand between.
const PROSE_REACH: usize = 80;
const PROSE_WORDS_MAX: usize = 5;

/// How much text round a hit one look reads, at most.
pub(crate) const REACH: usize = 2 * (NAME_MAX + PAIR_REACH) + VALUE_MAX;
const _: () = assert!(REACH < super::LOOKBEHIND && REACH < super::LOOKAHEAD);

/// The value that the word at `hit` names.
pub(crate) fn find(text: Text<'_>, hit: Hit) -> Option<Match> {
    let buf = text.buf;
    let keyword = &buf[hit.start..hit.end];
    if command::is_ours(keyword) {
        return command::find(text, hit.start..hit.end).map(Match::of);
    }
    // `pw=` is a keyword with what follows it, since `pw` alone is everywhere.
    let word_end = hit.start + keyword.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(keyword.len());
    let word_start = hit.start + keyword.iter().position(|&byte| byte.is_ascii_alphanumeric()).unwrap_or(0);
    let name = name_round(buf, word_start..word_end.max(word_start + 1));
    let kind = name::kind_of(buf, name.clone())?;
    // `AWS::Connect::SecurityKey`, `password.encode(`: a path of types, a method of the value.
    let method = buf.get(name.end) == Some(&b'(') && buf[word_end..name.end].contains(&b'.');
    if method || buf[..name.start].ends_with(b"::") || buf[..name.start].ends_with(b"</") {
        return None;
    }
    // A file and its digest, as lock files have them: `"src/token.rs":"83769e97…"`.
    let of_a_path = name.start > 0 && matches!(buf[name.start - 1], b'/' | b'\\') || value::has_file_ending(&buf[name.clone()]);
    let fits = |(value, written): &(Range<usize>, Written)| {
        if of_a_path && value::is_digest_like(&buf[value.clone()]) {
            return false;
        }
        // A bare `key` that a program assigns to is a key; in data it names whatever there is.
        let between = &buf[name.end..value.start.max(name.end)];
        let assigned = *written == Written::Quoted && text.syntax == Syntax::Code && between.trim_ascii_start().starts_with(b"=");
        let kind = if kind == Kind::Vague && assigned && crate::noise::is_hex(&buf[value.clone()]) { Kind::Token } else { kind };
        // In running text the name has more than one word.
        let named = if *written == Written::Loose { name::whole_name(buf, &name) } else { name.clone() };
        is_secret(&buf[value.clone()], &buf[named], kind, *written)
            && !(*written == Written::Loose && text.syntax == Syntax::Code && is_expression(buf, &name, value))
    };
    value_after(text, &name, kind)
        .filter(fits)
        .or_else(|| partner(text, &name).filter(fits))
        .or_else(|| spoken(text, &name, kind).filter(fits))
        .map(|(value, _)| Match::of(value))
}

/// Whether a value in code that no quote marks off is a name or a number there: neither a comment nor a text holds it.
fn is_expression(buf: &[u8], name: &Range<usize>, value: &Range<usize>) -> bool {
    let before = &buf[value.start.saturating_sub(160)..value.start];
    let line = before[memchr::memrchr(b'\n', before).map_or(0, |at| at + 1)..].trim_ascii_start();
    let directive = [&b"#define"[..], b"#if", b"#include", b"#pragma"].iter().any(|word| line.starts_with(word));
    let comment = !directive && [&b"#"[..], b"//", b"/*", b"*", b"--", b";", b"'"].iter().any(|mark| line.starts_with(mark));
    let in_text = [b'"', b'\'', b'`'].iter().any(|quote| memchr::memchr_iter(*quote, line).count() % 2 == 1);
    // A text that is an assignment from its first letter on is a sample of a configuration file.
    let sample = name.start > 0 && matches!(buf[name.start - 1], b'"' | b'\'' | b'`') && buf.get(name.end..value.start) == Some(b" = ");
    !comment && (!in_text || sample)
}

/// A place in the text that only moves forward and cannot leave it.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) buf: &'a [u8],
    pub(super) at: usize,
    pub(super) end: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(buf: &'a [u8], at: usize, reach: usize) -> Self {
        Self { buf, at, end: (at + reach).min(buf.len()) }
    }
    pub(super) fn peek(&self) -> Option<u8> {
        (self.at < self.end).then(|| self.buf[self.at])
    }
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.buf[self.at.min(self.end)..self.end]
    }
    pub(super) fn skip(&mut self, class: impl Fn(u8) -> bool) -> usize {
        let from = self.at;
        while self.peek().is_some_and(&class) {
            self.at += 1;
        }
        self.at - from
    }
    pub(super) fn eat(&mut self, text: &[u8]) -> bool {
        let there = self.rest().len() >= text.len() && self.rest()[..text.len()].eq_ignore_ascii_case(text);
        self.at += if there { text.len() } else { 0 };
        there
    }
    /// A quote with the backslashes that escape it, and how many those are.
    pub(super) fn quote(&mut self) -> Option<(u8, usize)> {
        let slashes = self.rest().iter().take_while(|&&byte| byte == b'\\').count();
        let quote = *self.rest().get(slashes)?;
        if !matches!(quote, b'"' | b'\'' | b'`') || slashes > 7 {
            return None;
        }
        self.at += slashes + 1;
        Some((quote, slashes))
    }
    /// Spaces, and at most one line's end among them, before a quote.
    fn skip_to_quote(&mut self) {
        let mut next = *self;
        let mut ends = 0;
        while let Some(byte) = next.peek() {
            match byte {
                b'\n' => ends += 1,
                b' ' | b'\t' | b'\r' | b'(' => {}
                // Visual Basic's and the shell's way to go on.
                b'\\' | b'_' if matches!(next.buf.get(next.at + 1), Some(b'\n' | b'\r')) => {}
                _ => break,
            }
            next.at += 1;
        }
        let mut quoted = next;
        if ends == 1 && quoted.quote().is_some() {
            *self = next;
        }
    }
}

pub(super) fn blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The value that is assigned to the name.
fn value_after(text: Text<'_>, name: &Range<usize>, kind: Kind) -> Option<(Range<usize>, Written)> {
    let mut reader = Reader::new(text.buf, name.end, 160 + VALUE_MAX);
    let name_quoted = reader.quote().is_some();
    reader.skip(|byte| matches!(byte, b']' | b')'));
    // `char key[] =`, `password[32] =`.
    if reader.peek() == Some(b'[') {
        let mut bounds = reader;
        bounds.at += 1;
        bounds.skip(is_name_byte);
        if bounds.peek() == Some(b']') {
            bounds.at += 1;
            reader = bounds;
        }
    }
    let spaces = reader.skip(blank);
    let operator = match reader.rest() {
        [b'=', b'>', ..] | [b':', b'=', ..] | [b'-', b'>', ..] | [b'?', b'=', ..] | [b'+', b'=', ..] => {
            reader.at += 2;
            b'='
        }
        [b'|', b'|', b'=', ..] => {
            reader.at += 3;
            b'='
        }
        [b':' | b'?' | b'.' | b'~', b':' | b'?' | b'=', ..] if operator_length(reader.rest()).is_some() => {
            reader.at += operator_length(reader.rest())?;
            b'='
        }
        // What a password is compared with is the password; a key is compared with the names of keys.
        [b'=' | b'!', b'=', ..] if kind != Kind::Vague => {
            reader.skip(|byte| matches!(byte, b'=' | b'!'));
            // An escaped quote is code in a text: a test of something like us.
            reader.skip(blank);
            if reader.peek() == Some(b'\\') {
                return None;
            }
            b','
        }
        [b'=', b'=', ..] | [b'!', ..] | [b'<', ..] | [b':', b':', ..] => return None,
        [b'|', b'|', ..] | [b'?', b'?', ..] | [b'?', b':', ..] => {
            reader.at += 2;
            b','
        }
        [b'o', b'r', b' ', ..] if spaces > 0 => {
            reader.at += 3;
            b','
        }
        [b'A' | b'a', b's' | b'S', b' ', ..] if spaces > 0 => {
            // `Dim password As String = "…"`.
            reader.skip(|byte| blank(byte) || is_name_byte(byte));
            if reader.peek() != Some(b'=') {
                return None;
            }
            reader.at += 1;
            b'='
        }
        [sign @ (b'=' | b':' | b'>' | b'('), ..] => {
            reader.at += 1;
            *sign
        }
        [b',', ..] if name_quoted => {
            reader.at += 1;
            b','
        }
        _ if spaces > 0 && text.buf[name.start..].starts_with(b"-") => b' ',
        // `var Password string = "…"`: a type stands between.
        _ if spaces > 0 && typed(reader).is_some() => {
            reader = typed(reader)?;
            b'='
        }
        _ if spaces > 0 && is_defined(text.buf, name.start) => b'd',
        _ if spaces > 0
            && begins_line(text.buf, name.start)
            && (text.syntax == Syntax::Config || matches!(reader.peek(), Some(b'"' | b'\''))) =>
        {
            b'c'
        }
        _ => return None,
    };
    // `password: str = "…"`: the type is no value.
    if operator == b':' {
        let mut typed = reader;
        typed.skip(|byte| {
            blank(byte)
                || byte.is_ascii_alphanumeric()
                || matches!(byte, b'&' | b'_' | b'.' | b'?' | b'|' | b'[' | b']' | b'<' | b'>' | b'\'')
        });
        if typed.at > reader.at && typed.at - reader.at < 40 && typed.peek() == Some(b'=') && typed.buf.get(typed.at + 1) == Some(&b' ') {
            typed.at += 1;
            typed.skip(blank);
            let mut quoted = typed;
            return quoted.quote().and_then(|_| value_at(text, typed, b'=', name, name_quoted));
        }
    }
    let gap = reader.skip(blank);
    if matches!(operator, b'=' | b':' | b'(') {
        reader.skip_to_quote();
    }
    if operator == b':' && gap == 0 && text.buf[..name.start].ends_with(b"${") {
        return in_braces(reader);
    }
    if operator == b':' && gap == 0 && !name_quoted && !in_query(text.buf, name.start) {
        // `a:b` is a value only in quotes: bare, it is a path, a pair of ports, a label.
        let mut quoted = reader;
        quoted.quote()?;
    }
    if operator == b'(' {
        // `MACHINE_FUNCTION_PASS("…")`: a pass of a compiler.
        let macro_pass = text.buf[name.clone()].ends_with(b"_PASS");
        if macro_pass || kind == Kind::Vague && ends_in_bare_key(&text.buf[name.clone()]) {
            // `.key("…")`: of a map, of an object's path.
            return None;
        }
        skip_arguments(&mut reader);
    }
    let (value, written) = value_at(text, reader, operator, name, name_quoted)?;
    // A name and a value with nothing but a space between them are any two words.
    let loose = operator == b'c' && written == Written::Bare;
    Some((value, if loose { Written::Loose } else { written }))
}

/// `.=`, `::=`, `??=`, `?:=`, `~=`: how long an assignment with something before its `=` is.
fn operator_length(rest: &[u8]) -> Option<usize> {
    let signs = rest.iter().take(4).take_while(|byte| matches!(byte, b':' | b'?' | b'.' | b'~')).count();
    (signs > 0 && rest.get(signs) == Some(&b'=') && rest.get(signs + 1) != Some(&b'=')).then_some(signs + 1)
}

/// `${PASSWORD:-…}`, `${db.password:…}`: what is taken when the variable is not set, up to the brace.
fn in_braces(mut reader: Reader<'_>) -> Option<(Range<usize>, Written)> {
    reader.skip(|byte| matches!(byte, b'-' | b'='));
    let start = reader.at;
    reader.skip(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b'}' | b'"' | b'\'' | b'$'));
    (reader.peek() == Some(b'}') && reader.at > start).then_some((start..reader.at, Written::Bare))
}

/// After a type and `=`, if a quote follows those.
fn typed(mut reader: Reader<'_>) -> Option<Reader<'_>> {
    let from = reader.at;
    reader.skip(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'*' | b'[' | b']' | b'.'));
    let length = reader.at - from;
    let spaces = reader.skip(blank);
    if !(2..40).contains(&length) || spaces == 0 || reader.peek() != Some(b'=') {
        return None;
    }
    reader.at += 1;
    let after = reader;
    reader.skip(|byte| blank(byte) || byte == b'@');
    reader.quote()?;
    Some(after)
}

/// `set_password(user, "…")`: steps over arguments that are names, if a quote follows them.
fn skip_arguments(reader: &mut Reader<'_>) {
    let mut next = *reader;
    for _ in 0..2 {
        if next.skip(is_name_byte) == 0 || next.peek() != Some(b',') {
            return;
        }
        next.at += 1;
        next.skip(blank);
        let mut quoted = next;
        if quoted.quote().is_some() {
            *reader = next;
            return;
        }
    }
}

/// `key`, `item.key`: of what, nobody says.
fn ends_in_bare_key(name: &[u8]) -> bool {
    name.rsplit(|byte| !byte.is_ascii_alphanumeric())
        .next()
        .is_some_and(|last| last.eq_ignore_ascii_case(b"key") || last.eq_ignore_ascii_case(b"keys"))
}

/// `#define NAME`, `ENV NAME`, `ARG NAME`: a value follows after a space.
fn is_defined(buf: &[u8], start: usize) -> bool {
    const LEADS: [&[u8]; 6] = [b"#define ", b"define ", b"ENV ", b"ARG ", b"setenv ", b"%define "];
    LEADS.iter().any(|lead| buf[..start].ends_with(lead))
}

fn begins_line(buf: &[u8], start: usize) -> bool {
    let before = &buf[start.saturating_sub(40)..start];
    let blanks = before.iter().rev().take_while(|&&byte| blank(byte)).count();
    before.len() == blanks || matches!(before[before.len() - blanks - 1], b'\n' | b'\r')
}

/// Functions that wrap a literal and leave it what it is.
const WRAPPERS: [&[u8]; 21] = [
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
    b"TEXT(",
    b"_T(",
    b"!str ",
    b"!!str ",
    b"<![CDATA[",
];

/// Steps over a function that only turns a literal into bytes: `bytes.fromhex("…")`, `Convert.FromBase64String("…")`.
fn skip_decoder(reader: &mut Reader<'_>) {
    let mut next = *reader;
    let start = next.at;
    next.skip(is_name_byte);
    let callee = &next.buf[start..next.at];
    if callee.is_empty() || callee.len() > 40 || next.peek() != Some(b'(') {
        return;
    }
    let decodes = [&b"hex"[..], b"base64", b"b64", b"bytes", b"decode"];
    if decodes.iter().any(|word| crate::noise::contains_ignoring_case(callee, word)) {
        next.at += 1;
        let mut quoted = next;
        if quoted.quote().is_some() {
            *reader = next;
        }
    }
}

/// The value that stands at the reader's place.
pub(super) fn value_at(
    text: Text<'_>,
    mut reader: Reader<'_>,
    operator: u8,
    name: &Range<usize>,
    name_quoted: bool,
) -> Option<(Range<usize>, Written)> {
    if !WRAPPERS.iter().any(|wrapper| reader.eat(wrapper)) {
        skip_decoder(&mut reader);
    }
    // `password = os.environ.get("X") or "…"`, `process.env.X || "…"`: the value is what it falls back to.
    let mut variable = reader;
    variable.quote();
    if variable.eat(b"${") && variable.skip(is_name_byte) > 0 && variable.peek() == Some(b':') {
        variable.at += 1;
        return in_braces(variable);
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
    if let Some(value) = quoted_at(&mut literal) {
        return Some((value, Written::Quoted));
    }
    if literal.at != reader.at && literal.peek().is_some_and(|byte| matches!(byte, b'"' | b'\'' | b'`')) {
        return None;
    }
    skip_scheme(&mut reader);
    if operator == b'>' {
        reader.skip(|byte| byte.is_ascii_whitespace());
        reader.eat(b"<![CDATA[");
        let start = reader.at;
        let length = reader.rest().iter().position(|&byte| matches!(byte, b'<' | b'\n' | b']'))?;
        let closes = matches!(reader.rest()[length..].trim_ascii_start(), [b'<', b'/', ..] | [b']', b']', ..]);
        let value = reader.rest()[..length].trim_ascii_end();
        return closes.then(|| (start..start + value.len(), Written::Element));
    }
    if matches!(reader.peek(), Some(b'"' | b'\'' | b'`')) || matches!(operator, b',' | b'(') {
        return None;
    }
    let start = reader.at;
    let rest = reader.rest();
    if operator == b'd' && text.buf[..name.start].ends_with(b"define ") {
        // What a macro stands for is an expression.
        return None;
    }
    let query = in_query(text.buf, name.start);
    let length = (0..rest.len())
        .find(|&at| match rest[at] {
            b'&' => query || ends_part(&rest[at + 1..]),
            b',' => ends_part(&rest[at + 1..]),
            byte => byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\'),
        })
        .unwrap_or(rest.len());
    let mut end = start + length;
    while end > start && matches!(text.buf[end - 1], b',' | b';' | b')' | b']' | b'}') {
        end -= 1;
    }
    // `Server=…;Password=…;`: the semicolon ends it.
    if connects(text.buf, name.start) {
        let cut = memchr::memchr(b';', &text.buf[start..start + length]).unwrap_or(length);
        return (operator == b'=').then_some((start..start + cut, Written::Bare));
    }
    let firm = query
        || text.buf[name.start..].starts_with(b"--") && operator == b'='
        || text.syntax != Syntax::Code
            && (!name_quoted || operator == b'=')
            && begins_statement(text.buf, name.start, operator)
            && statement_ends(text.buf, start + length);
    Some((start..end, if firm { Written::Bare } else { Written::Loose }))
}

/// What stands between the quotes that open here.
pub(super) fn quoted_at(reader: &mut Reader<'_>) -> Option<Range<usize>> {
    let (quote, slashes) = reader.quote()?;
    // `"\"…\""`: quotes that are a part of what is quoted, in text that becomes code.
    let mut inner = *reader;
    if slashes == 0 && inner.quote().is_some_and(|(_, slashes)| slashes == 1) {
        return quoted_at(reader);
    }
    skip_scheme(reader);
    let start = reader.at;
    let rest = reader.rest();
    // A quote behind a single backslash is a character of the value, where the opening one has none.
    let closes = |at: usize| rest[at] == quote && (slashes > 0 || at == 0 || rest[at - 1] != b'\\' || at > 1 && rest[at - 2] == b'\\');
    let length = (0..rest.len()).find(|&at| closes(at) || matches!(rest[at], b'\n' | b'\r'))?;
    if rest[length] != quote {
        return None;
    }
    let end = start + length;
    if slashes == 0 {
        reader.at = end + 1;
        return Some(start..end);
    }
    // The closing quote is escaped like the opening one.
    let escapes = reader.buf[start..end].iter().rev().take_while(|&&byte| byte == b'\\').count();
    reader.at = end + 1;
    (escapes == slashes).then(|| start..end - slashes)
}

fn in_query(buf: &[u8], start: usize) -> bool {
    start > 0 && (matches!(buf[start - 1], b'?' | b'&') || buf[..start].ends_with(b"&amp;"))
}

/// Whether a name is a part of a connection string: parts with `;` between them, one of which says where to.
fn connects(buf: &[u8], start: usize) -> bool {
    const WHERE: [&[u8]; 8] = [b"dbname=", b"server=", b"data source=", b"host=", b"user id=", b"uid=", b"database=", b"initial catalog="];
    let before = &buf[start.saturating_sub(240)..start];
    let line = &before[memchr::memrchr(b'\n', before).map_or(0, |at| at + 1)..];
    let parted = line.trim_ascii_end().ends_with(b";") || line.ends_with(b" ") && crate::noise::contains_ignoring_case(line, b"user=");
    parted && WHERE.iter().any(|word| crate::noise::contains_ignoring_case(line, word))
}

/// Whether an `&` or a `,` before this ends a part of a query or a command, rather than being a character of a password.
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
    if matches!(operator, b' ' | b'd') || buf[start..].starts_with(b"--") {
        return true;
    }
    let line = &buf[start.saturating_sub(120)..start];
    let line = &line[memchr::memrchr2(b'\n', b'\r', line).map_or(0, |at| at + 1)..];
    let line = line.trim_ascii();
    let line = line.strip_suffix(b"\"").or_else(|| line.strip_suffix(b"'")).unwrap_or(line).trim_ascii_end();
    const LEADS: [&[u8]; 14] =
        [b"export", b"set", b"env", b"-e", b"arg", b"-", b"?", b"&", b";", b"setx", b"--env", b"-p", b"--set", b"--build-arg"];
    line.is_empty()
        || LEADS.iter().any(|lead| line.len() >= lead.len() && line[line.len() - lead.len()..].eq_ignore_ascii_case(lead))
        || line.ends_with(b"-D")
}

/// Whether a bare value is alone on what remains of its line, comments aside: prose goes on.
fn statement_ends(buf: &[u8], end: usize) -> bool {
    let rest = &buf[end..(end + 80).min(buf.len())];
    let rest = &rest[..memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len())];
    match rest.trim_ascii_start() {
        [] | [b'#' | b';' | b'&' | b'\\' | b'<' | b'"' | b'\'' | b'`' | b'|' | b',', ..] | [b'/', b'/', ..] => true,
        // Another assignment or flag: a command line, a log line of pairs.
        more => more.starts_with(b"-") || more.iter().take_while(|byte| !byte.is_ascii_whitespace()).any(|&byte| byte == b'='),
    }
}

fn is_name_of_name(word: &[u8]) -> bool {
    let ends = |ending: &[u8]| word.len() >= ending.len() && word[word.len() - ending.len()..].eq_ignore_ascii_case(ending);
    ends(b"name") || ends(b"key") || ends(b"id") && word.len() == 2 || ends(b"property") || ends(b"field") || ends(b"variable")
}

fn is_name_of_value(word: &[u8]) -> bool {
    const WORDS: [&[u8]; 7] = [b"default", b"content", b"string", b"val", b"data", b"with", b"plaintext"];
    let ends = |ending: &[u8]| word.len() >= ending.len() && word[word.len() - ending.len()..].eq_ignore_ascii_case(ending);
    ends(b"value") || WORDS.iter().any(|one| word.eq_ignore_ascii_case(one))
}

/// The value of a pair that stands before its name, in which the keyword at `hit` is.
pub(super) fn value_before(text: Text<'_>, hit: Hit) -> Option<Range<usize>> {
    partner_before(text, &name_round(text.buf, hit.start..hit.end)).map(|(value, _)| value)
}

/// The value of the pair whose name is `name`: after it, or before it.
pub(super) fn partner(text: Text<'_>, name: &Range<usize>) -> Option<(Range<usize>, Written)> {
    partner_after(text, name).or_else(|| partner_before(text, name))
}

/// `name: NAME` with `value: …` after it; `<add key="NAME" value="…"/>`, `variable "NAME" { default = "…" }`,
/// `<name>NAME</name><value>…</value>`, `add_argument("--NAME", default="…")`.
fn partner_after(text: Text<'_>, name: &Range<usize>) -> Option<(Range<usize>, Written)> {
    let mut reader = Reader::new(text.buf, name.end, PAIR_REACH + VALUE_MAX);
    let limit = (name.end + PAIR_REACH).min(reader.end);
    let quoted = reader.quote().is_some();
    let tag = reader.rest().starts_with(b"</");
    let open = {
        // `password:` with `value:` below it, or a block.
        let mut next = reader;
        next.skip(|byte| blank(byte) || matches!(byte, b':' | b'='));
        next.skip(blank);
        matches!(next.peek(), Some(b'{' | b'\n' | b'\r')) && next.at > reader.at
    };
    if !quoted && !tag && !open && label_before(text.buf, name.start).is_none() {
        return None;
    }
    let (mut ends, mut first) = (0, true);
    while reader.at < limit {
        let byte = reader.buf[reader.at];
        if byte.is_ascii_alphabetic() {
            let start = reader.at;
            reader.skip(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let word = start..reader.at;
            let closing = start > 0 && reader.buf[start - 1] == b'/';
            let mut mark = reader;
            mark.quote();
            mark.skip(blank);
            let sign = mark.peek().filter(|sign| matches!(sign, b'=' | b':' | b'>'));
            if let Some(sign) = sign.filter(|_| !closing) {
                mark.at += 1;
                mark.skip(blank);
                if is_name_of_value(&reader.buf[word.clone()]) {
                    let operator = if sign == b'>' { b'>' } else { b'=' };
                    // It is `value` that begins the statement; before it stands only what makes it a member.
                    let (value, written) = value_at(text, mark, operator, &word, true)?;
                    let firm = written != Written::Loose || text.syntax == Syntax::Config;
                    return Some((value, if written == Written::Loose && firm { Written::Bare } else { written }));
                }
                if is_name_of_name(&reader.buf[word]) || !first && sign == b'>' {
                    return None;
                }
                first = false;
            }
            continue;
        }
        match byte {
            b'\n' => {
                ends += 1;
                let rest = &reader.buf[reader.at + 1..reader.end];
                let line = rest.trim_ascii_start();
                if ends > 4 || rest.starts_with(b"\n") || rest.starts_with(b"\r\n") || line.starts_with(b"- ") || line.starts_with(b"#") {
                    return None;
                }
            }
            b'}' | b';' => return None,
            _ => {}
        }
        reader.at += 1;
    }
    None
}

/// The word of which the name is the value: `name` in `name: DB_PASSWORD`.
fn label_before(buf: &[u8], start: usize) -> Option<Range<usize>> {
    let floor = start.saturating_sub(40);
    let back = |mut at: usize, class: &dyn Fn(u8) -> bool| {
        while at > floor && class(buf[at - 1]) {
            at -= 1;
        }
        at
    };
    let at = back(start, &|byte| matches!(byte, b'"' | b'\'' | b'\\'));
    let at = back(at, &blank);
    let sign = at;
    let at = back(at, &|byte| matches!(byte, b'=' | b':' | b'>'));
    if at == sign {
        return None;
    }
    let end = back(at, &|byte| blank(byte) || matches!(byte, b'"' | b'\'' | b'\\'));
    let begin = back(end, &|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (begin < end && is_name_of_name(&buf[begin..end])).then_some(begin..end)
}

/// `value: …` with `name: NAME` right after it.
fn partner_before(text: Text<'_>, name: &Range<usize>) -> Option<(Range<usize>, Written)> {
    let label = label_before(text.buf, name.start)?;
    let floor = label.start.saturating_sub(PAIR_REACH);
    let window = &text.buf[floor..label.start];
    // The last `value` before it.
    let at = (0..window.len().saturating_sub(4)).rev().find(|&at| window[at..at + 5].eq_ignore_ascii_case(b"value"))?;
    let word = floor + at..floor + at + 5;
    let mut reader = Reader { buf: text.buf, at: word.end, end: label.start };
    reader.quote();
    reader.skip(blank);
    let sign = reader.peek().filter(|sign| matches!(sign, b'=' | b':' | b'>'))?;
    reader.at += 1;
    reader.skip(blank);
    let (value, written) = value_at(text, reader, if sign == b'>' { b'>' } else { b'=' }, &word, true)?;
    // Nothing but the seam of the two members stands between.
    let between = text.buf.get(value.end..label.start)?;
    let seam = between.iter().filter(|byte| !byte.is_ascii_whitespace()).all(|byte| matches!(byte, b'"' | b'\'' | b'\\' | b',' | b'<'))
        || sign == b'>' && between.len() < 40 && between.starts_with(b"</");
    let ends = between.iter().filter(|&&byte| byte == b'\n').count();
    (seam && ends <= 1).then_some((value, if written == Written::Loose { Written::Bare } else { written }))
}

/// `using the api key …`, `` the token is `…` ``, `password: …` in the middle of a sentence.
fn spoken(text: Text<'_>, name: &Range<usize>, kind: Kind) -> Option<(Range<usize>, Written)> {
    const LINKS: [&[u8]; 7] = [b"is", b"was", b"to", b"as", b"=", b":", b"->"];
    let buf = text.buf;
    let limit = (name.end + PROSE_REACH).min(buf.len());
    let end = (limit + VALUE_MAX).min(buf.len());
    let mut at = name.end;
    let mut linked = false;
    let line = &buf[name.start.saturating_sub(80)..name.start];
    let is_row = line[memchr::memrchr(b'\n', line).map_or(0, |at| at + 1)..].starts_with(b"| ");
    // A comparison, a path of names, a call: code, which has quotes for what it means.
    let signs = buf[at..limit].trim_ascii_start();
    if [&b"=="[..], b"!=", b"::", b"->", b"("].iter().any(|sign| signs.starts_with(sign)) {
        return None;
    }
    // `the value to pass to …` is a verb.
    if buf[name.clone()].eq_ignore_ascii_case(b"pass") && !matches!(signs.first(), Some(b':' | b'=')) {
        return None;
    }
    for _ in 0..PROSE_WORDS_MAX {
        // What stands round words: spaces, quotes, and the signs of mark-up.
        let mut marked = false;
        while at < limit && (is_around(buf[at]) || is_row && buf[at] == b'|') {
            linked |= matches!(buf[at], b':' | b'=' | b'|');
            marked = matches!(buf[at], b'"' | b'\'' | b'`');
            at += 1;
        }
        if at >= limit || matches!(buf[at], b'\n' | b'\r') {
            return None;
        }
        let start = at;
        while at < end && !buf[at].is_ascii_whitespace() && !matches!(buf[at], b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\') {
            at += 1;
        }
        let mut stop = at;
        while stop > start && matches!(buf[stop - 1], b'.' | b',' | b';' | b':' | b')' | b']' | b'}' | b'*') {
            stop -= 1;
        }
        let word = &buf[start..stop];
        let is_plain = word.len() <= 12 && word.iter().all(u8::is_ascii_alphabetic);
        if word.is_empty() || is_plain && stop == at {
            linked |= LINKS.iter().any(|link| word.eq_ignore_ascii_case(link));
            if word.is_empty() && stop != at {
                return None;
            }
            continue;
        }
        // Another name with its value.
        if word.windows(2).any(|pair| pair[0] == b'=' && pair[1] != b'=') {
            return None;
        }
        // `f(x)`: code goes on after it.
        let allowed = match kind {
            Kind::Password => linked || marked || word.iter().filter(|byte| byte.is_ascii_digit()).count() >= 3,
            Kind::Token => true,
            Kind::Vague => linked,
        };
        return (allowed && !matches!(buf.get(at), Some(b'('))).then_some((start..stop, Written::Loose));
    }
    None
}

/// Spaces, quotes, and the signs of mark-up.
fn is_around(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'`' | b'*' | b'(' | b'[' | b':' | b'=' | b'>' | b',' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the rule takes for the secret, whichever of its words finds it.
    fn found(syntax: Syntax, line: &str) -> Option<String> {
        let text = Text { buf: line.as_bytes(), binary: false, syntax };
        ["pass", "secret", "token", "key", "pwd", "auth", "salt", "cred"].iter().find_map(|word| {
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
        let salt = concat!("a% 9{$x#Lq2^m(V7-x)1Lw;P=nT|c5", "~KdJ &r<4!zG_t8*Yh0@bQe+6.sW3?u[f]");
        let digits = concat!("830", "194");
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
            (format!("- value: {pass}\n  name: DB_PASSWORD"), pass),
            (format!("{{\"name\": \"DB_PASSWORD\", \"value\": \"{pass}\"}}"), pass),
            (format!("{{\"Value\": \"{token}\", \"Key\": \"API_TOKEN\"}}"), token),
            (format!("{{\"ParameterKey\": \"DbPassword\", \"ParameterValue\": \"{pass}\"}}"), pass),
            (format!("variable \"db_password\" {{\n  type = string\n  default = \"{pass}\"\n}}"), pass),
            (format!("name  = \"API_TOKEN\"\nvalue = \"{token}\""), token),
            (format!("<name>db.password</name>\n<value>{pass}</value>"), pass),
            (format!("<key>ApiToken</key>\n<string>{token}</string>"), token),
            (format!("<string name=\"api_key\">{token}</string>"), token),
            (format!("parser.add_argument('--password', help='x', default='{pass}')"), pass),
            (format!("10:11:12 INFO using api key {token} for tenant 3"), token),
            (format!("the token for staging is `{token}`."), token),
            (format!("# password: {pass}"), pass),
            (format!("auth failed, api_key={token}, retrying"), token),
            (format!("#define API_KEY \"{token}\""), token),
            (format!("ENV DB_PASSWORD {pass}"), pass),
            (format!("requirepass {pass}"), pass),
            (format!("password = (\n    \"{pass}\"\n)"), pass),
            (format!("const apiKey =\n    '{token}';"), token),
            (format!("char password[] = \"{pass}\";"), pass),
            (format!("Dim dbPassword As String = \"{pass}\""), pass),
            (format!("NSString *apiKey = @\"{token}\";"), token),
            (format!("user.set_password(name, \"{pass}\")"), pass),
            (format!("helm install app --set db.password={pass},replicas=2"), pass),
            (format!("ENV['API_KEY'] ||= '{token}'"), token),
            (format!("AUTH_SALT = '{token}'"), token),
            (format!("if password == \"{pass}\" {{"), pass),
            (format!("key = bytes.fromhex(\"{token}\")"), token),
            (format!("c = \"Server=db;Database=x;User Id=app;Password={pass};\""), pass),
            (format!("| password | {pass} |"), pass),
            (format!("define('AUTH_SALT', '{salt}');"), salt),
            (format!("password = \"{digits}\""), digits),
            (format!("private_key = \"{token}\""), token),
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
            "if password == \"password\" {",
            "if key == \"q8Zr2mVx71LwPnTc5KdJ\" {",
            "token = \"abcdef123456\"",
            "password: \"20240131\"",
            "compass = \"q8Zr2mVx71LwPnTc5KdJ\"",
            "- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: orders-db-2\n      key: password",
            "- name: DB_PASSWORD\n- name: BUILD\n  value: q8Zr2mVx71LwPnTc5KdJ",
            "the password is wrong: try again in 10s",
            "cache key 3f786850e387550fdab836ed7e6dc881",
            "key: d41d8cd98f00b204e9800998ecf8427e",
            "INFO token refreshed at 2024-03-02T10:11:12Z",
            "primary_key = 'q8Zr2mVx71LwPnTc5KdJ'",
            "onKeyDown(event.key === 'q8Zr2mVx71LwPnTc5KdJ')",
        ] {
            assert_eq!(found(Syntax::Unknown, line), None, "{line}");
        }
        assert_eq!(found(Syntax::Code, &format!("password = {}", concat!("tr0ub4", "dor3xK"))), None, "code has no bare values");
    }
}
