//! Values: whether what a name stands for is how people and machines write a secret.
//!
//! Placeholders, templates, words, identifiers, paths, addresses, digests with a name and pieces of code are turned away.
//! What is left is asked for randomness: the more loosely the name holds the value, the more of it.

use super::boundary::is_word;
use super::name::{Kind, is_name_byte};
use crate::noise::{self, Makeup};

/// The longest value.
pub(crate) const VALUE_MAX: usize = 512;

/// How the value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Quoted,
    /// Between `>` and `<`.
    Element,
    Bare,
    /// Somewhere after the name: in prose, in a log line, in the middle of a command.
    Loose,
}

/// Whether `bytes` can be the secret that a name of this `kind` speaks of.
pub(crate) fn is_secret(bytes: &[u8], name: &[u8], kind: Kind, written: Written) -> bool {
    let least = match (kind, written) {
        (Kind::Password, Written::Quoted | Written::Element) => 5,
        (Kind::Password, Written::Bare) => 5,
        (Kind::Password, Written::Loose) => 8,
        (Kind::Vague, Written::Quoted | Written::Element) => 8,
        (Kind::Token, Written::Quoted | Written::Element) => 8,
        (Kind::Token, Written::Bare) => 10,
        (Kind::Token | Kind::Vague, _) => 14,
    };
    if bytes.len() < least || bytes.len() > VALUE_MAX {
        return false;
    }
    if matches!(written, Written::Quoted | Written::Bare) && is_generated(bytes) && !starts_like_other(bytes) {
        return true;
    }
    if !bytes.iter().all(|byte| (0x21..0x7f).contains(byte)) {
        return false;
    }
    if noise::has_template(bytes) || noise::is_placeholder(bytes) || noise::is_stock_password(bytes) || is_sequence(bytes) {
        return false;
    }
    if kind == Kind::Password && matches!(written, Written::Quoted | Written::Element) && is_digits(bytes) {
        return true;
    }
    if noise::is_uuid(bytes) {
        // A UUID is an id, unless its name is a secret's whole name.
        const WHOLE: [&[u8]; 9] = [b"api", b"secret", b"access", b"auth", b"password", b"private", b"license", b"bearer", b"bot"];
        const PASSING: [&[u8]; 14] = [
            b"request",
            b"update",
            b"change",
            b"clienttoken",
            b"client_token",
            b"sync",
            b"push",
            b"device",
            b"job",
            b"trace",
            b"task",
            b"lock",
            b"order",
            b"creation",
        ];
        let holds = |words: &[&[u8]]| words.iter().any(|word| noise::contains_ignoring_case(name, word));
        return kind != Kind::Vague
            && noise::distinct(bytes) > 8
            && (name.len() > b"my_token".len() && ends_ignoring_case(name, b"token") && !holds(&PASSING)
                || WHOLE.iter().any(|word| noise::contains_ignoring_case(name, word))
                || name.len() > 3 && ends_ignoring_case(name, b"key"));
    }
    if is_other_thing(bytes, kind) || bytes.eq_ignore_ascii_case(name) || speaks_of_itself(bytes, kind) {
        return false;
    }
    let makeup = Makeup::of(bytes);
    if is_encoded_text(bytes, makeup) {
        return false;
    }
    match (kind, written) {
        (Kind::Password, Written::Loose) => is_loose_password(bytes, makeup),
        (Kind::Password, _) => is_password(bytes, makeup, written),
        (Kind::Token, Written::Loose) => is_token(bytes, makeup) && is_mixed(bytes, makeup),
        (Kind::Token, _) => is_token(bytes, makeup) || is_marked_token(bytes, makeup, written),
        // A map's key, the key of an object in a store, a test's vector.
        (Kind::Vague, _) if name.len() == 3 && (written == Written::Element || noise::is_hex(bytes)) => false,
        (Kind::Vague, _) => {
            (is_token(bytes, makeup) && is_mixed(bytes, makeup) || is_marked_token(bytes, makeup, written))
                && (written == Written::Quoted || bytes.len() >= 16)
        }
    }
}

fn ends_ignoring_case(text: &[u8], ending: &[u8]) -> bool {
    text.len() >= ending.len() && text[text.len() - ending.len()..].eq_ignore_ascii_case(ending)
}

/// What frameworks make up for themselves (Django's key, WordPress's salts): long, of all classes, with signs in every place,
/// so that something of it looks like a template or like code.
fn is_generated(bytes: &[u8]) -> bool {
    let makeup = Makeup::of(bytes);
    bytes.len() >= 40
        && makeup.other == 0
        && makeup.space <= 6
        && makeup.digit >= 3
        && makeup.lower >= 6
        && bytes.iter().filter(|byte| byte.is_ascii_punctuation() && !b"-_./+=:,".contains(byte)).count() >= 5
        && noise::distinct(bytes) >= 22
        && digit_edges(bytes) >= 1
        && noise::surprise(bytes).is_none_or(|surprise| surprise >= 4.6)
        && bytes.split(|byte| !byte.is_ascii_alphabetic()).all(|word| word.len() < 9)
        && !bytes.windows(2).any(|pair| matches!(pair, b": " | b", " | b"; " | b"${" | b"{{"))
        && memchr::memmem::find(bytes, b"://").is_none()
}

/// Mostly characters in their order, or one over and over: `abcdef123456`, `1234-5678-abcd`, `aaabbbccc`.
fn is_sequence(bytes: &[u8]) -> bool {
    let mut covered = 0;
    for step in [1, 0] {
        for run in bytes.chunk_by(|a, b| a.wrapping_add(step) == *b && a.is_ascii_alphanumeric()) {
            covered += if run.len() >= 3 { run.len() } else { 0 };
        }
    }
    // `000102030405…`, `00112233…`: the same step from each byte to the next.
    if noise::is_hex(bytes) && bytes.len() >= 16 && bytes.len().is_multiple_of(2) {
        let values: Vec<u8> = bytes.chunks(2).filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
        let step = values[1].wrapping_sub(values[0]);
        let same = values.windows(2).filter(|pair| pair[1].wrapping_sub(pair[0]) == step).count();
        if same * 4 >= (values.len() - 1) * 3 {
            return true;
        }
    }
    let counted = bytes.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
    covered * 4 >= counted * 3
}

/// A password of digits alone: six at least, and neither a date nor a round number.
fn is_digits(bytes: &[u8]) -> bool {
    let date = bytes.len() == 8 && (bytes.starts_with(b"19") || bytes.starts_with(b"20"));
    bytes.iter().all(u8::is_ascii_digit)
        && (6..=16).contains(&bytes.len())
        && noise::distinct(bytes) >= 4
        && !bytes.ends_with(b"000")
        && !date
}

/// Base64 of a sentence, or of a user's name with a password of tutorials.
fn is_encoded_text(bytes: &[u8], makeup: Makeup) -> bool {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    if bytes.len() < 12 || bytes.len() > 200 || makeup.upper == 0 || makeup.lower == 0 {
        return false;
    }
    let body = bytes.strip_suffix(b"==").or_else(|| bytes.strip_suffix(b"=")).unwrap_or(bytes);
    let Ok(text) = STANDARD_NO_PAD.decode(body) else { return false };
    if !text.iter().all(|byte| (0x20..0x7f).contains(byte) || byte.is_ascii_whitespace()) {
        return false;
    }
    let password = memchr::memchr(b':', &text).map(|at| text[at + 1..].trim_ascii());
    text.trim_ascii().iter().any(u8::is_ascii_whitespace)
        || password.is_some_and(|text| noise::is_stock_password(text) || noise::is_placeholder(text))
}

/// How often a digit stands beside a letter: often in what is random, at the seams of words otherwise.
pub(crate) fn digit_edges(bytes: &[u8]) -> usize {
    bytes
        .windows(2)
        .filter(|pair| {
            (pair[0].is_ascii_digit() && pair[1].is_ascii_alphabetic()) || (pair[0].is_ascii_alphabetic() && pair[1].is_ascii_digit())
        })
        .count()
}

/// Whether letters and digits alternate as they do in random text.
fn is_mixed(bytes: &[u8], makeup: Makeup) -> bool {
    let jumbled = makeup.upper >= 3 && makeup.lower >= 3 && noise::surprise(bytes).is_some_and(|surprise| surprise >= 4.8);
    makeup.digit >= 2 && digit_edges(bytes) >= (bytes.len().min(80) / 12).max(2) || jumbled
}

/// Hex of the length of a digest.
pub(super) fn is_digest_like(bytes: &[u8]) -> bool {
    noise::is_hex(bytes) && matches!(bytes.len(), 32 | 40 | 56 | 64 | 96 | 128)
}

/// Whether the value is only a word for what it stands for: `my-secret-token`, `PASSWORD_HERE`, `test_api_key`.
fn speaks_of_itself(bytes: &[u8], kind: Kind) -> bool {
    const WORDS: [&[u8]; 26] = [
        b"wachtwoord",
        b"kennwort",
        b"contrase",
        b"senha",
        b"heslo",
        b"lozinka",
        b"jelszo",
        b"parola",
        b"salasana",
        b"passord",
        b"adgangskode",
        b"sifre",
        b"password",
        b"passwd",
        b"passphrase",
        b"passwort",
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
    if !WORDS.iter().any(|word| noise::contains_ignoring_case(bytes, word)) {
        return false;
    }
    let makeup = Makeup::of(bytes);
    // `Secret-9fJ2x…` is a secret whatever it is called; `secret123` is not, and `Password-2019!` was somebody's.
    let grown = kind == Kind::Password && makeup.classes() == 4 && makeup.digit >= 2 && bytes.len() >= 10;
    (makeup.digit < 4 || bytes.len() < 16) && !grown
}

/// Paths, addresses, versions, dates, digests with a name, and pieces of code.
fn is_other_thing(bytes: &[u8], kind: Kind) -> bool {
    if starts_like_other(bytes) {
        return true;
    }
    if bytes[0] == b'/' && (kind == Kind::Password || !is_base64_like(bytes)) {
        return true;
    }
    let has = |needle: &[u8]| memchr::memmem::find(bytes, needle).is_some();
    let last = bytes[bytes.len() - 1];
    // Calls, indexing, members, markup.
    (has(b"(") && has(b")"))
        || has(b"::")
        || has(b"->")
        || has(b"=>")
        || has(b"</")
        || has(b"&&")
        || has(b"||")
        || has(b"://")
        || has(b"\\u")
        || has(b"\\x")
        || has(b"aws4_request")
        || has(b"==") && !bytes.ends_with(b"==")
        || matches!(last, b':' | b'(' | b'{' | b'[' | b'\\' | b',')
        || (has(b"[") && has(b"]"))
        // `a@b.c`
        || (bytes.iter().filter(|&&byte| byte == b'@').count() == 1
            && has_domain(bytes)
            && bytes.iter().all(|&byte| is_name_byte(byte) || byte == b'@' || byte == b'+'))
        || has_file_ending(bytes)
        || is_number_like(bytes)
        || is_dotted_name(bytes) && (kind != Kind::Password || !bytes.iter().any(u8::is_ascii_digit))
        || is_path_like(bytes)
        || bytes.iter().filter(|&&byte| byte == b'%').count() >= 2 && crate::engine::percent_decoded(bytes).len() + 4 <= bytes.len()
        || is_key_to_press(bytes)
}

/// Whether it begins as something else does.
fn starts_like_other(bytes: &[u8]) -> bool {
    const STARTS: [&[u8]; 54] = [
        b"http:",
        b"https:",
        b"file:",
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
        b"application/",
        b"text/",
        b"org.",
        b"com.",
        b"utf-",
        b"utf8",
        b"iso-8859",
        b"latin-",
        b"amzn1.",
        b"fake_",
        b"fake-",
        // Public keys.
        b"MFkwEwYHKoZI",
        b"MHYwEAYHKoZI",
        b"MIGfMA0GCSqG",
        b"MIIBIjANBgkq",
        b"MIICIjANBgkq",
        b"MCowBQYDK2Vw",
    ];
    STARTS.iter().any(|start| bytes.len() >= start.len() && bytes[..start.len()].eq_ignore_ascii_case(start))
}

/// Whether what follows the `@` ends in something like a top-level domain.
fn has_domain(bytes: &[u8]) -> bool {
    let after = memchr::memchr(b'@', bytes).map_or(&bytes[..0], |at| &bytes[at + 1..]);
    memchr::memrchr(b'.', after).is_some_and(|dot| {
        let top = &after[dot + 1..];
        (2..=10).contains(&top.len()) && top.iter().all(u8::is_ascii_lowercase)
    })
}

/// `C:\dir\file`, `app/models/user`: words between slashes.
fn is_path_like(bytes: &[u8]) -> bool {
    let slash = if bytes.contains(&b'\\') { b'\\' } else { b'/' };
    let slashes = bytes.iter().filter(|&&byte| byte == slash).count();
    slashes >= 2
        && bytes
            .split(|&byte| byte == slash)
            .all(|part| part.len() < 2 || part.ends_with(b":") || is_identifier(part) || is_dotted_name(part))
}

/// The alphabet of base64, with what a path of words does not have: digits among capitals and small letters.
fn is_base64_like(bytes: &[u8]) -> bool {
    let makeup = Makeup::of(bytes);
    bytes.len() >= 20
        && makeup.digit >= 2
        && makeup.upper >= 3
        && makeup.lower >= 3
        && bytes.iter().all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
}

/// `Ctrl+Shift+K`, `Alt-F4`.
fn is_key_to_press(bytes: &[u8]) -> bool {
    ["ctrl", "alt+", "alt-", "shift+", "shift-", "cmd+", "meta+"]
        .iter()
        .any(|key| bytes.len() > key.len() && bytes[..key.len()].eq_ignore_ascii_case(key.as_bytes()))
        && bytes.len() < 24
}

pub(super) fn has_file_ending(bytes: &[u8]) -> bool {
    const ENDINGS: [&[u8]; 48] = [
        b".json", b".pem", b".key", b".txt", b".crt", b".cer", b".p12", b".pfx", b".jks", b".yaml", b".yml", b".xml", b".env", b".html",
        b".php", b".js", b".ts", b".py", b".go", b".rs", b".com", b".org", b".net", b".io", b".local", b".md", b".png", b".svg", b".jwt",
        b".pub", b".gz", b".zip", b".7z", b".war", b".jar", b".tar", b".tgz", b".sh", b".conf", b".cfg", b".ini", b".log", b".css",
        b".csv", b".java", b".exe", b".so", b".bin",
    ];
    ENDINGS.iter().any(|ending| ends_ignoring_case(bytes, ending))
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
    if is_digest_like(bytes) && written != Written::Bare {
        return false;
    }
    let words_only = makeup.digit == 0
        && bytes.iter().all(|&byte| {
            byte.is_ascii_alphabetic()
                || matches!(
                    byte,
                    b'_' | b'-' | b'.' | b'/' | b':' | b'$' | b' ' | b',' | b'!' | b'?' | b'#' | b'*' | b';' | b'>' | b'<' | b'=' | b'@'
                )
        });
    if words_only && [&b"pass"[..], b"pwd", b"pswd"].iter().any(|word| noise::contains_ignoring_case(bytes, word)) {
        return false;
    }
    if words_only && makeup.letters() >= 6 && makeup.symbol <= 1 && makeup.letters() < 9 && noise::is_odd(bytes, 4.8) {
        return makeup.upper != 1 || !bytes[0].is_ascii_uppercase() || makeup.symbol > 0;
    }
    if words_only {
        // `gfhjkmqx` was chosen to be hard to guess; `summer` reads like any word of a program.
        // One word with a capital is a label, in whatever language.
        let label = makeup.upper == 1 && bytes[0].is_ascii_uppercase();
        let strange = if label {
            5.2
        } else if makeup.letters() == bytes.len() {
            4.6
        } else {
            4.9
        };
        return makeup.letters() >= 7 && noise::surprise(bytes).is_some_and(|surprise| surprise >= strange);
    }
    // `HTTP200ALIASES`, `NSS_PW_2`: a constant.
    if makeup.lower == 0
        && makeup.digit <= 3
        && bytes.iter().all(|&byte| is_word(byte))
        && noise::surprise(bytes).is_some_and(|surprise| surprise < 4.6)
    {
        return false;
    }
    // `oauth2client`, `port-1`; but no word has a digit inside: `ra2awfmy`.
    let inside =
        makeup.symbol == 0 && bytes.len() >= 8 && digit_edges(bytes) == 2 && noise::surprise(bytes).is_none_or(|surprise| surprise >= 4.4);
    let odd = bytes.len() >= 6 && makeup.digit > 0 && noise::is_odd(bytes, if makeup.digit > 1 { 4.3 } else { 4.8 });
    if is_identifier(bytes) && makeup.digit < 2 && makeup.classes() < 3 && !inside && !odd {
        return false;
    }
    // `test1`, `foo123`, `password!`: short, and one class with a tail.
    let enough = if bytes.len() < 8 { 3 } else { 2 };
    let short_mix = odd || bytes.len() >= 6 && makeup.digit > 0 && makeup.letters() > 0 && is_short_mix(bytes);
    (makeup.classes() >= enough || short_mix)
        && noise::distinct(bytes) >= 4
        && noise::entropy(bytes) >= 2.0
        && !begins_with_code(bytes, written)
}

/// Six or seven letters and digits that are no word with a number.
fn is_short_mix(bytes: &[u8]) -> bool {
    let tail = bytes.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let head = &bytes[..bytes.len() - tail];
    tail >= 3 || !head.iter().all(u8::is_ascii_alphabetic)
}

/// A password that no quote and no line's end marks off: it shows by three classes, or by digits among its letters.
fn is_loose_password(bytes: &[u8], makeup: Makeup) -> bool {
    is_password(bytes, makeup, Written::Bare)
        && bytes.len() <= 64
        && makeup.digit > 0
        && makeup.letters() > 1
        && (makeup.classes() >= 3 && !is_number_like(bytes) || digit_edges(bytes) >= 2 || makeup.digit >= 3)
        && !matches!(bytes[0], b'-' | b'&' | b'*' | b'@')
        && bytes.iter().filter(|&&byte| !is_word(byte)).count() * 2 <= bytes.len()
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

/// A token with the marks of a password generator: all classes, and no words.
fn is_marked_token(bytes: &[u8], makeup: Makeup, written: Written) -> bool {
    written != Written::Loose
        && bytes.len() <= 100
        && !begins_with_code(bytes, written)
        && makeup.classes() >= 3
        && makeup.digit >= 1
        && makeup.letters() >= 4
        && noise::entropy(bytes) >= 3.0
        && (makeup.symbol >= 2 || digit_edges(bytes) >= 2)
        && !reads_like_phrase(bytes)
}

/// Words between signs: `/api/v1/users?id=1`, `Foo:Bar-2`.
fn reads_like_phrase(bytes: &[u8]) -> bool {
    if bytes.iter().any(|byte| matches!(byte, b'^' | b'%' | b'!' | b'~' | b'$' | b'*' | b'@')) {
        return false;
    }
    bytes.split(|byte| !byte.is_ascii_alphanumeric()).all(|part| {
        let digits = part.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        part.len() < 3 || digits <= 6 && is_identifier(&part[..part.len() - digits])
    })
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
        return bytes.len() >= 16 && makeup.digit > 0 && makeup.letters() > 0 && entropy >= 2.8;
    }
    if makeup.digit == bytes.len() || makeup.letters() < 4 {
        return false;
    }
    // Words with a number: `my-app-service-01`, `us-east-1-prod-cluster`, `v2.application.json`.
    if makeup.digit < 3 && digit_edges(bytes) < 3 && noise::reads_like_words(bytes) {
        return false;
    }
    // Short ones must alternate, or have no word in them.
    let odd = bytes.len() < 20 && makeup.digit > 0 && digit_edges(bytes) >= 1 && noise::is_odd(bytes, 5.0);
    let longest_word = bytes.split(|byte| !byte.is_ascii_alphanumeric()).map(<[u8]>::len).max().unwrap_or(0);
    if !odd && (longest_word < 10 || bytes.len() < 10) && bytes.len() < 40 && noise::surprise(bytes).is_none_or(|surprise| surprise < 4.8) {
        return false;
    }
    if makeup.digit == 0 {
        let one_case = makeup.upper == 0 || makeup.lower == 0;
        let surprise = noise::surprise(bytes).unwrap_or(0.0);
        return entropy >= 3.0
            && makeup.symbol * 8 <= bytes.len()
            && if one_case || makeup.upper < 3 { bytes.len() >= 12 && surprise >= 5.0 } else { bytes.len() >= 14 && surprise >= 4.6 };
    }
    let floor = if bytes.len() < 12 {
        2.5
    } else if bytes.len() < 20 {
        2.8
    } else {
        3.3
    };
    if bytes.len() < 14 && !odd && digit_edges(bytes) < 3 && (bytes.len() < 10 || makeup.classes() < 3 || digit_edges(bytes) < 2) {
        return false;
    }
    entropy >= floor && noise::surprise(bytes).is_none_or(|surprise| surprise >= 4.2 || digit_edges(bytes) * 6 >= bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(value: &str, kind: Kind, written: Written) -> bool {
        is_secret(value.as_bytes(), b"name", kind, written)
    }

    #[test]
    fn passwords_of_people() {
        for value in [
            concat!("Summer", "2024!"),
            concat!("p@ssw0rd-", "prod-77"),
            concat!("orange-", "banana-42"),
            concat!("knight.", "castle_17"),
            concat!("zk", "wdjq5"),
            concat!("vjkq", "zmwx"),
            concat!("8301", "94"),
        ] {
            assert!(passes(value, Kind::Password, Written::Quoted), "{value}");
        }
        for value in [
            "summer",
            "passwordField",
            "Wachtwoord",
            "Contrasena",
            "spring.datasource.password",
            "utf-8",
            "HTTP200ALIASES",
            "test1",
            "20240131",
            "user@acme.io",
            "/run/secrets/db1",
            "app/models/user2",
            "C:\\keys\\db1",
            "$DB_PASSWORD1",
            "%s:%s",
            "1234-5678-abcd",
            "Bitte-Eingeben",
        ] {
            assert!(!passes(value, Kind::Password, Written::Quoted), "{value}");
        }
    }

    #[test]
    fn the_more_loosely_held_the_more_random() {
        let (hex, word) = (concat!("9f3ac0d17be24", "85fa6c1d0e3b7294f18"), concat!("orange", "2041x"));
        assert!(passes(hex, Kind::Token, Written::Loose) && passes(hex, Kind::Password, Written::Bare));
        assert!(!passes("000102030405060708090a0b0c0d0e0f", Kind::Token, Written::Quoted));
        assert!(passes(word, Kind::Password, Written::Quoted) && !passes(word, Kind::Token, Written::Loose));
        assert!(!passes("my-service-account-2", Kind::Token, Written::Quoted));
        assert!(!is_secret(hex.as_bytes(), b"key", Kind::Vague, Written::Quoted), "the key of a map");
    }
}
