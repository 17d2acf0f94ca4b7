//! Go's regular expressions, read by Rust's engine.
//!
//! Promise: a pattern that Go accepts either means the same here or is refused with a reason; none is quietly read as
//! something else. Both engines are of the same family (linear time, leftmost-first), so that only the notation differs:
//! `\Q…\E`, octal escapes, `[` and `&&` inside a class, a `{` that repeats nothing, `\<` for a plain `<`, and `\d \w \s \b`,
//! which know ASCII alone in Go.
//!
//! A pattern of ASCII alone is matched byte by byte, so that `.` and `[^"]` stand for one byte of a longer character.

use regex::bytes::{Regex, RegexBuilder};

/// A pattern of Go's default configuration takes 2 MiB at most; what needs more was not written by hand.
const COMPILED_BYTES_MAX: usize = 48 << 20;
/// What one pattern may keep of its lazily built automaton.
const CACHE_BYTES_MAX: usize = 8 << 20;

/// A pattern that was written for Go, compiled.
#[derive(Debug, Clone)]
pub(crate) struct GoRegex {
    regex: Regex,
    /// How many groups it has, the whole match not counted.
    pub(crate) groups: usize,
    /// It can match nothing at all.
    pub(crate) matches_empty: bool,
}

/// Why a pattern is not run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Go refuses it too.
    Syntax(String),
    /// Good, and more than this scanner takes.
    TooBig,
}

impl GoRegex {
    /// Translates and compiles. The reasons never repeat the pattern: an allowlist may spell out a secret.
    pub(crate) fn parse(go: &str) -> Result<Self, Refused> {
        let source = translate(go).map_err(Refused::Syntax)?;
        let hir = regex_syntax::ParserBuilder::new().utf8(false).build().parse(&source).map_err(|error| {
            Refused::Syntax(match error {
                regex_syntax::Error::Parse(error) => error.kind().to_string(),
                regex_syntax::Error::Translate(error) => error.kind().to_string(),
                _ => "not a regular expression".to_owned(),
            })
        })?;
        let (groups, matches_empty) = (hir.properties().explicit_captures_len(), hir.properties().minimum_len() == Some(0));
        let built = RegexBuilder::new(&source).size_limit(COMPILED_BYTES_MAX).dfa_size_limit(CACHE_BYTES_MAX).build();
        Ok(Self { regex: built.map_err(|_| Refused::TooBig)?, groups, matches_empty })
    }

    /// The compiled form.
    pub(crate) fn regex(&self) -> &Regex {
        &self.regex
    }

    /// Whether it matches anywhere in `text`.
    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }
}

/// Writes a Go pattern as a Rust one.
fn translate(go: &str) -> Result<String, String> {
    let mut from = Cursor { chars: go.chars().collect(), at: 0, wide: false };
    let mut out = String::with_capacity(go.len() + 16);
    // 0: not after a repeat; 1: after one; 2: after a lazy one.
    let mut repeats = 0;
    while let Some(c) = from.next() {
        let repeated = std::mem::take(&mut repeats);
        match c {
            '*' | '+' | '?' => {
                if c == '?' && repeated == 1 {
                    repeats = 2;
                } else if repeated > 0 {
                    return Err(DOUBLED.to_owned());
                } else {
                    repeats = 1;
                }
                out.push(c);
            }
            '{' => match from.counts() {
                Some(counts) => {
                    if repeated > 0 {
                        return Err(DOUBLED.to_owned());
                    }
                    repeats = 1;
                    out.push_str(&counts);
                }
                None => literal(&mut out, c),
            },
            '\\' => escape(&mut from, &mut out)?,
            '[' => class(&mut from, &mut out)?,
            '(' => {
                out.push('(');
                if from.peek() == Some('?') {
                    group(&mut from, &mut out)?;
                }
            }
            ')' | '|' | '.' | '^' | '$' => out.push(c),
            _ => {
                from.wide |= !c.is_ascii();
                literal(&mut out, c);
            }
        }
    }
    Ok(if from.wide { out } else { format!("(?-u:{out})") })
}

const DOUBLED: &str = "it repeats a repeat, as in `a++` or `a**`; neither Go nor this scanner knows possessive repeats";

struct Cursor {
    chars: Vec<char>,
    at: usize,
    /// Something outside ASCII is asked for: the pattern is matched by characters, not by bytes.
    wide: bool,
}

impl Cursor {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    /// The `{2,5}` whose brace was just passed, when it is one; a brace that counts nothing is a plain brace in Go.
    fn counts(&mut self) -> Option<String> {
        let close = self.chars[self.at..].iter().take(12).position(|&c| c == '}')?;
        let inside: String = self.chars[self.at..self.at + close].iter().collect();
        let (least, most) = inside.split_once(',').unwrap_or((&inside, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if least.is_empty() || !digits(least) || !digits(most) {
            return None;
        }
        self.at += close + 1;
        Some(format!("{{{inside}}}"))
    }

    /// The code point of `\x41`, `\x{1F600}` or an octal escape, whose first character after the backslash is `first`.
    fn number(&mut self, first: char) -> Option<char> {
        let digits: String = if first != 'x' {
            // A single digit but 0 would be a back-reference.
            let more = self.chars[self.at..].iter().take(2).take_while(|c| ('0'..='7').contains(c)).count();
            if first != '0' && more == 0 {
                return None;
            }
            let digits = std::iter::once(first).chain(self.chars[self.at..self.at + more].iter().copied()).collect::<String>();
            self.at += more;
            return char::from_u32(u32::from_str_radix(&digits, 8).ok()?);
        } else if self.peek() == Some('{') {
            let close = self.chars[self.at..].iter().take(10).position(|&c| c == '}')?;
            let digits = self.chars[self.at + 1..self.at + close].iter().collect();
            self.at += close + 1;
            digits
        } else {
            let digits = self.chars.get(self.at..self.at + 2)?.iter().collect();
            self.at += 2;
            digits
        };
        char::from_u32(u32::from_str_radix(&digits, 16).ok()?)
    }

    /// The `L`, `{Greek}` or `{^Greek}` after `\p` or `\P`.
    fn property(&mut self, letter: char) -> Option<String> {
        self.wide = true;
        let name: String = if self.peek()? == '{' {
            let close = self.chars[self.at..].iter().take(40).position(|&c| c == '}')?;
            let name = self.chars[self.at + 1..self.at + close].iter().collect();
            self.at += close + 1;
            name
        } else {
            self.next()?.to_string()
        };
        let negated = (letter == 'P') != name.starts_with('^');
        Some(format!("\\{}{{{}}}", if negated { 'P' } else { 'p' }, name.trim_start_matches('^')))
    }
}

/// Writes a character that means itself.
fn literal(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii() {
        out.push(c);
    } else {
        out.push_str(&format!("\\x{{{:X}}}", u32::from(c)));
    }
}

fn unknown(c: char) -> String {
    let what = match c {
        '1'..='9' | 'k' => ": Go has no back-references",
        'Z' => ": Go writes `\\z` for the end of the text",
        _ => "",
    };
    format!("it has the escape `\\{c}`, which Go does not know{what}")
}

/// Go's `\d`, `\w` and `\s`: ASCII alone, and no vertical tab.
fn perl(c: char) -> Option<&'static str> {
    match c.to_ascii_lowercase() {
        'd' => Some("0-9"),
        'w' => Some("0-9A-Za-z_"),
        's' => Some(r"\t\n\x0C\r\x20"),
        _ => None,
    }
}

fn escape(from: &mut Cursor, out: &mut String) -> Result<(), String> {
    let c = from.next().ok_or("it ends in a backslash")?;
    if let Some(members) = perl(c) {
        let not = if c.is_ascii_uppercase() { "^" } else { "" };
        out.push_str(&format!("[{not}{members}]"));
        return Ok(());
    }
    match c {
        'Q' => {
            while let Some(quoted) = from.next() {
                if quoted == '\\' && from.peek() == Some('E') {
                    from.next();
                    break;
                }
                from.wide |= !quoted.is_ascii();
                literal(out, quoted);
            }
        }
        'C' => out.push_str("(?s-u:.)"),
        'b' | 'B' => out.push_str(&format!("(?-u:\\{c})")),
        'A' | 'z' => out.push_str(&format!("\\{c}")),
        'p' | 'P' => out.push_str(&from.property(c).ok_or_else(|| unknown(c))?),
        _ => {
            let meant = single(from, c)?;
            literal(out, meant);
        }
    }
    Ok(())
}

/// The one character that an escape stands for.
fn single(from: &mut Cursor, c: char) -> Result<char, String> {
    let meant = match c {
        'a' => '\x07',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        'x' | '0'..='7' => from.number(c).ok_or_else(|| unknown(c))?,
        _ if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
        _ => return Err(unknown(c)),
    };
    from.wide |= !meant.is_ascii();
    Ok(meant)
}

/// A class, after its `[`.
fn class(from: &mut Cursor, out: &mut String) -> Result<(), String> {
    const OPEN: &str = "a `[` has no `]`";
    out.push('[');
    if from.peek() == Some('^') {
        from.next();
        out.push('^');
    }
    let mut first = true;
    loop {
        let c = from.next().ok_or(OPEN)?;
        if c == ']' && !std::mem::take(&mut first) {
            out.push(']');
            return Ok(());
        }
        first = false;
        if c == '[' && from.peek() == Some(':') {
            let rest: String = from.chars[from.at..].iter().take(12).collect();
            if let Some(close) = rest.find(":]") {
                out.push('[');
                out.push_str(&rest[..close + 2]);
                from.at += close + 2;
                continue;
            }
        }
        if c == '\\' {
            let kind = from.peek().ok_or(OPEN)?;
            if let Some(members) = perl(kind) {
                from.next();
                out.push_str(&if kind.is_ascii_uppercase() { format!("[^{members}]") } else { members.to_owned() });
                continue;
            }
            if matches!(kind, 'p' | 'P') {
                from.next();
                out.push_str(&from.property(kind).ok_or_else(|| unknown(kind))?);
                continue;
            }
        }
        let low = member(from, c)?;
        literal(out, low);
        if from.peek() == Some('-') && from.chars.get(from.at + 1).is_some_and(|&after| after != ']') {
            from.next();
            let c = from.next().ok_or(OPEN)?;
            let high = member(from, c)?;
            out.push('-');
            literal(out, high);
        }
    }
}

fn member(from: &mut Cursor, c: char) -> Result<char, String> {
    if c == '\\' {
        let escaped = from.next().ok_or("it ends in a backslash")?;
        return single(from, escaped);
    }
    from.wide |= !c.is_ascii();
    Ok(c)
}

/// What follows the `(` of `(?…`.
fn group(from: &mut Cursor, out: &mut String) -> Result<(), String> {
    const LOOK: &str = "it looks ahead or behind, which Go does not know";
    let rest: String = from.chars[from.at..].iter().take(3).collect();
    if rest.starts_with("?=") || rest.starts_with("?!") || rest.starts_with("?<=") || rest.starts_with("?<!") {
        return Err(LOOK.to_owned());
    }
    if rest.starts_with("?P<") || rest.starts_with("?<") {
        // A name, up to its `>`.
        while let Some(c) = from.next() {
            out.push(c);
            if c == '>' {
                return Ok(());
            }
        }
        return Err("a group's name has no `>`".to_owned());
    }
    from.next();
    out.push('?');
    while let Some(c) = from.next() {
        match c {
            'i' | 'm' | 's' | 'U' | '-' => out.push(c),
            ':' | ')' => {
                out.push(c);
                return Ok(());
            }
            _ => return Err(format!("it has the group `(?{c}`, which Go does not know")),
        }
    }
    Err("a `(` has no `)`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_and_rust_notation() {
        for (go, text, matched) in [
            (r"\Qa.b[\E+", "xa.b[[", Some("a.b[[")),
            (r"\Qa.b", "a.b", Some("a.b")),
            (r"[[a]+", "x[a[", Some("[a[")),
            (r"[a&&b]+", "x&b&", Some("&b&")),
            (r"[+--]+", "x+,-", Some("+,-")),
            (r"[\w-]+", "é a-b_", Some("a-b_")),
            (r"[\w.-]+", "a.b-c", Some("a.b-c")),
            (r"[]a]+", "b]a", Some("]a")),
            (r"[^]a]+", "]ab", Some("b")),
            (r"a\<b\>", "a<b>", Some("a<b>")),
            (r"\${[A-Z]+}", "${HOME}", Some("${HOME}")),
            (r"x{,3}", "x{,3}", Some("x{,3}")),
            (r"x{2,3}?", "xxxx", Some("xx")),
            (r"\101\x42\x{43}", "ABC", Some("ABC")),
            (r"(?P<key>a)(?<other>b)", "ab", Some("ab")),
            (r"(?i)KEY(?-i:Z)", "keyZ", Some("keyZ")),
            (r"(?U)a+", "aaa", Some("a")),
            (r"\bkey\b", "a key.", Some("key")),
            (r"end\z", "the end", Some("end")),
            (r"(?m)^b$", "a\nb\nc", Some("b")),
            (r"[[:alnum:]_]+", "-a_9", Some("a_9")),
            (r"é+", "café", Some("é")),
            (r"\p{Greek}+", "abγδ", Some("γδ")),
            (r"\p{^Greek}+", "γab", Some("ab")),
            (r"[\D]+", "12ab", Some("ab")),
            (r"\d+", "٣", None),
            (r"\s", "\u{b}", None),
            (r#"["'\s]"#, " ", Some(" ")),
            (r"a\/b\-c\_d", "a/b-c_d", Some("a/b-c_d")),
        ] {
            let regex = GoRegex::parse(go).unwrap_or_else(|why| panic!("{go}: {why:?}"));
            let found = regex.regex().find(text.as_bytes()).map(|found| String::from_utf8_lossy(found.as_bytes()).into_owned());
            assert_eq!(found.as_deref(), matched, "{go}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused_with_its_reason() {
        for (go, reason) in [
            (r"a(?=b)", "looks ahead"),
            (r"(?<!a)b", "looks ahead or behind"),
            (r"(a)\1", "back-references"),
            (r"a++", "possessive"),
            (r"a{2}{3}", "repeats a repeat"),
            (r"a\Z", "`\\z`"),
            (r"(?x)a", "`(?x`"),
            ("[a", "has no `]`"),
            ("(a", "unclosed group"),
            ("*a", "missing expression"),
        ] {
            match GoRegex::parse(go) {
                Err(Refused::Syntax(why)) => assert!(why.contains(reason), "{go}: {why}"),
                other => panic!("{go}: {other:?}"),
            }
        }
        assert_eq!(GoRegex::parse(r"((([a-z]{1000}){1000}){1000})").err(), Some(Refused::TooBig));
    }

    #[test]
    fn a_reason_does_not_repeat_the_pattern() {
        let Err(Refused::Syntax(why)) = GoRegex::parse("hunter2(") else { panic!("it is refused") };
        assert!(!why.contains("hunter2"), "{why}");
    }
}
