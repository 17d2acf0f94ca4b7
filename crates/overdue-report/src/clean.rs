//! One encoder for each place a scanned name may end up in: a sentence, a mail header, a shell command, a file name.
//!
//! A name is only a name. Whoever may tag a bucket, name a function or author a commit chooses bytes that end up in a
//! mail, a page and a terminal; here they lose every power but that of being read. HTML has its own escaping on top
//! (the templates'), JSON its own writer ([`crate::json`]).

use std::fmt;

use serde::Serialize;

/// A name longer than this is cut in its middle: no provider hands out longer ones, and a line must stay readable.
const NAME_CHARS_MAX: usize = 160;
/// An id or path is cut later, since it must stay exact: the longest ARN has 2,048 characters.
const ID_CHARS_MAX: usize = 2_048;
/// A whole sentence made of names.
const LINE_CHARS_MAX: usize = 6_000;

/// Text that may be shown: one line, without control, bidi and invisible characters, without web addresses a mail
/// program would turn into a link, and not endless. Views for templates hold nothing else, so nothing raw can reach one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(crate) struct Shown(String);

impl Shown {
    /// A short name: a user, a team, a function.
    pub(crate) fn name(text: &str) -> Self {
        Self(visible(text, NAME_CHARS_MAX))
    }
    /// An id, a path, an ARN: exact as far as it can be.
    pub(crate) fn id(text: &str) -> Self {
        Self(visible(text, ID_CHARS_MAX))
    }
    /// A sentence. Names in it should have been cut by [`Shown::name`] first, so that its end survives.
    pub(crate) fn line(text: &str) -> Self {
        Self(visible(text, LINE_CHARS_MAX))
    }
    /// A command made by [`crate::steps`] of literal words and [`shell_word`]s: already harmless, and kept to the letter.
    pub(crate) fn command(text: String) -> Self {
        Self(text)
    }
    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
    /// Whether there is any.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&'static str> for Shown {
    /// Our own words.
    fn from(text: &'static str) -> Self {
        Self(text.to_owned())
    }
}

/// Whether a character does something other than stand there: controls, bidi marks and overrides, invisible ones,
/// interlinear and tag characters, private use. Joiners stay, since Persian and emoji need them.
pub(crate) fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180E}'
            | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}'
            | '\u{FE00}'..='\u{FE0D}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{FFFE}' | '\u{FFFF}'
            | '\u{E000}'..='\u{F8FF}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}' | '\u{F0000}'..='\u{10FFFF}')
}

/// Makes one line of at most about `chars_max` characters in which nothing is active: a line break or tab becomes a
/// space, every other active character its number, `[U+202E]`.
pub(crate) fn visible(text: &str, chars_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(chars_max * 2));
    let total = if text.len() > chars_max { text.chars().count() } else { 0 };
    if total > chars_max {
        // The ends of a long name tell more than its middle: a path's file, a sentence's line number.
        let head = chars_max / 2;
        let tail_at = text.char_indices().rev().nth(chars_max / 2 - 1).map_or(0, |(at, _)| at);
        push_visible(&mut out, text.chars().take(head));
        out.push_str(&format!("… ({} characters) …", crate::words::number(total as u64)));
        push_visible(&mut out, text[tail_at..].chars());
    } else {
        push_visible(&mut out, text.chars());
    }
    defang(out)
}

fn push_visible(out: &mut String, text: impl Iterator<Item = char>) {
    for c in text {
        match c {
            '\n' | '\r' | '\t' | '\u{000B}' | '\u{000C}' | '\u{0085}' | '\u{2028}' | '\u{2029}' => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            c if is_active(c) => out.push_str(&format!("[U+{:04X}]", u32::from(c))),
            c => out.push(c),
        }
    }
}

/// Mail programs make links of bare web addresses, and a name must not become one: `https[:]//`, `www[.]`.
fn defang(text: String) -> String {
    let lower = text.to_ascii_lowercase();
    if !lower.contains("://") && !lower.contains("www.") {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut at = 0;
    while at < text.len() {
        let rest = &lower[at..];
        if rest.starts_with("://") && ["http", "https", "ftp", "ftps", "file"].iter().any(|scheme| lower[..at].ends_with(scheme)) {
            out.push_str("[:]//");
            at += 3;
        } else if rest.starts_with("www.") && !lower[..at].ends_with(|c: char| c.is_ascii_alphanumeric()) {
            out.push_str(&text[at..at + 3]);
            out.push_str("[.]");
            at += 4;
        } else {
            let width = text[at..].chars().next().map_or(1, char::len_utf8);
            out.push_str(&text[at..at + width]);
            at += width;
        }
    }
    out
}

/// Text for one mail header: as [`visible`], and shorter.
pub(crate) fn header_text(text: &str, chars_max: usize) -> String {
    visible(text, chars_max).trim().to_owned()
}

/// One word of a shell command, quoted where it must be.
///
/// `None` for a text that cannot be shown to the letter (control or bidi characters, a web address, a leading dash that
/// a program would take for an option, too long): a command with such a word in it must not be offered for copying.
pub(crate) fn shell_word(text: &str) -> Option<String> {
    if text.is_empty() || text.starts_with('-') || visible(text, ID_CHARS_MAX) != text {
        return None;
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | ':' | '@' | '+' | '=' | ',' | '-');
    // A leading `=` is a command path in zsh; a leading `~` is no plain character anyway.
    if text.chars().all(plain) && !text.starts_with('=') {
        Some(text.to_owned())
    } else {
        Some(format!("'{}'", text.replace('\'', r"'\''")))
    }
}

/// Letters, digits, dots and dashes of `text`: a readable part of a file name. The caller adds what makes it unique.
pub(crate) fn file_slug(text: &str, chars_max: usize) -> String {
    let mut out = String::new();
    for c in text.chars().take(4 * chars_max) {
        if out.len() >= chars_max {
            break;
        }
        if c.is_ascii_alphanumeric() || c == '_' {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_active_stays() {
        let cases = [
            ("plain näme 日本", "plain näme 日本"),
            ("a\r\nBcc: x@y.z", "a Bcc: x@y.z"),
            ("\u{1b}[31mred\u{9b}2J", "[U+001B][31mred[U+009B]2J"),
            ("abc\u{202e}gpj.exe", "abc[U+202E]gpj.exe"),
            ("see HTTPS://evil.example/x and www.evil.example", "see HTTPS[:]//evil.example/x and www[.]evil.example"),
            ("s3://bucket/key", "s3://bucket/key"),
            ("{{x}} <b> \"q\"", "{{x}} <b> \"q\""),
            ("\u{200b}\u{feff}\0", "[U+200B][U+FEFF][U+0000]"),
        ];
        for (given, wanted) in cases {
            assert_eq!(Shown::line(given).as_str(), wanted, "{given:?}");
        }
        let long = Shown::name(&"é".repeat(1_000_000));
        assert!(long.as_str().chars().count() < 200 && long.as_str().contains("(1,000,000 characters)"), "{long}");
    }

    #[test]
    fn a_command_word_is_one_word() {
        assert_eq!(shell_word("ci-deploy").as_deref(), Some("ci-deploy"));
        assert_eq!(shell_word("arn:aws:iam::1:user/a").as_deref(), Some("arn:aws:iam::1:user/a"));
        assert_eq!(shell_word("x; rm -rf ~").as_deref(), Some("'x; rm -rf ~'"));
        assert_eq!(shell_word("it's $(id)").as_deref(), Some(r"'it'\''s $(id)'"));
        assert_eq!(shell_word("=cmd").as_deref(), Some("'=cmd'"));
        for bad in ["", "-rf", "a\nb", "a\u{202e}b", "a\u{1b}b", "https://x.example", &"a".repeat(3_000)] {
            assert_eq!(shell_word(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_slug_is_a_file_name() {
        assert_eq!(file_slug("<weekly/2026-W48/../../etc/passwd@x>", 60), "weekly-2026-w48-etc-passwd-x");
        assert_eq!(file_slug("....", 60), "");
        assert_eq!(file_slug(&"a".repeat(1_000), 60).len(), 60);
    }
}
