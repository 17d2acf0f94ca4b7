//! Made-up tokens for the examples in rule files.
//!
//! A rule file that held whole tokens would set off every secret scanner, ours included. So an example says what to make
//! up: `ghp_{{github:36}}`. The same seed always gives the same text. Braces with a space after them are left alone, so
//! that `{{ secrets.TOKEN }}` can stand in a counter-example.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::checksum::{base62_of_crc32, bech32_polymod};

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";

/// Small, deterministic, and good enough to look random (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    /// A generator for this text and seed.
    pub(crate) fn new(text: &str, seed: u64) -> Self {
        // FNV-1a over the text, so that examples differ.
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(hash ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }

    /// `n` characters of `alphabet`, with one of each of its classes (a real token has them, and rules ask for them).
    fn text(&mut self, alphabet: &str, n: usize) -> String {
        let alphabet = alphabet.as_bytes();
        let has = |text: &[u8], class: fn(&u8) -> bool| text.iter().any(class);
        loop {
            let text: Vec<u8> = (0..n).map(|_| alphabet[self.below(alphabet.len())]).collect();
            let complete = [u8::is_ascii_digit as fn(&u8) -> bool, u8::is_ascii_lowercase, u8::is_ascii_uppercase]
                .into_iter()
                .all(|class| !has(alphabet, class) || has(&text, class));
            if complete || n < 8 {
                return text.into_iter().map(char::from).collect();
            }
        }
    }
}

/// Replaces each `{{name:argument}}` of `template`. An unknown name is an error that says so.
pub(crate) fn expand(template: &str, random: &mut Random) -> Result<String, String> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(open) = rest.find("{{") {
        out.push_str(&rest[..open]);
        let inside = &rest[open + 2..];
        if !inside.starts_with(|c: char| c.is_ascii_lowercase()) {
            out.push_str("{{");
            rest = inside;
            continue;
        }
        let close = closing(inside).ok_or_else(|| format!("`{{{{` without its `}}}}` in `{template}`"))?;
        let (name, argument) = inside[..close].split_once(':').unwrap_or((&inside[..close], ""));
        let argument = expand(argument, random)?;
        out.push_str(&make(name, &argument, random).ok_or_else(|| format!("nothing makes up `{{{{{}}}}}`", &inside[..close]))?);
        rest = &inside[close + 2..];
    }
    out.push_str(rest);
    Ok(out)
}

fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"{{" => {
                depth += 1;
                at += 2;
            }
            b"}}" if depth == 0 => return Some(at),
            b"}}" => {
                depth -= 1;
                at += 2;
            }
            _ => at += 1,
        }
    }
    None
}

fn make(name: &str, argument: &str, random: &mut Random) -> Option<String> {
    let alphabet = match name {
        "hex" => "0123456789abcdef".to_owned(),
        "upper-hex" => "0123456789ABCDEF".to_owned(),
        "digits" => DIGITS.to_owned(),
        "lower" => LOWER.to_owned(),
        "upper" => UPPER.to_owned(),
        "letters" => [LOWER, UPPER].concat(),
        "alnum" => [LOWER, UPPER, DIGITS].concat(),
        "lower-alnum" => [LOWER, DIGITS].concat(),
        "upper-alnum" => [UPPER, DIGITS].concat(),
        "base64" => [LOWER, UPPER, DIGITS, "+/"].concat(),
        "base64url" => [LOWER, UPPER, DIGITS, "-_"].concat(),
        "base32" => [UPPER, "234567"].concat(),
        "lower-base32" => [LOWER, "234567"].concat(),
        "base58" => "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".to_owned(),
        _ => return make_whole(name, argument, random),
    };
    Some(random.text(&alphabet, argument.parse().ok()?))
}

fn make_whole(name: &str, argument: &str, random: &mut Random) -> Option<String> {
    Some(match name {
        // `n` characters of which the last six are the checksum of the others.
        "github" | "npm" => {
            let body = random.text(&[LOWER, UPPER, DIGITS].concat(), argument.parse::<usize>().ok()?.checked_sub(6)?);
            let sum = base62_of_crc32(body.as_bytes());
            body + std::str::from_utf8(&sum).ok()?
        }
        // The 16 characters after `AKIA`, holding a 12-digit account number.
        "aws-key" => {
            let account = 100_000_000_000 + random.next() % 899_999_999_999;
            let number = (1 << 49) | (account << 9) | (random.next() & 0x1ff);
            let head = (0..10).rev().map(|digit| base32_digit(number >> (5 * digit)));
            let tail: Vec<char> = (0..6).map(|_| base32_digit(random.next())).collect();
            head.chain(tail).collect()
        }
        "uuid" => {
            let hex = random.text("0123456789abcdef", 32);
            format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
        }
        "base64-of" => STANDARD.encode(argument),
        // The whole armour, at a line a line, or with its line breaks written `\n`.
        "pem" => pem(argument, "\n", random),
        "pem-escaped" => pem(argument, "\\n", random),
        "jwt" => {
            let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT","kid":"k1"}"#);
            let subject = random.text(DIGITS, 9);
            let payload = URL_SAFE_NO_PAD.encode(format!(r#"{{"iss":"https://login.acme.io","sub":"{subject}","exp":1900000000}}"#));
            format!("{header}.{payload}.{}", random.text(&[LOWER, UPPER, DIGITS, "-_"].concat(), 342))
        }
        // The 58 characters after `AGE-SECRET-KEY-1`.
        "age" => {
            const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
            // 52 words hold 32 bytes and 4 bits of padding, which are zero.
            let mut words: Vec<u32> = (0..52).map(|_| (random.next() & 31) as u32).collect();
            words[51] &= 16;
            let sum = bech32_polymod(b"age-secret-key-", &[words.as_slice(), &[0; 6]].concat()) ^ 1;
            words.extend((0..6).map(|n| (sum >> (5 * (5 - n))) & 31));
            words.into_iter().map(|word| char::from(BECH32[word as usize]).to_ascii_uppercase()).collect()
        }
        // What follows `pypi-`: a macaroon.
        "pypi" => {
            let mut macaroon = b"\x02\x01\x08pypi.org\x02\x24".to_vec();
            macaroon.extend(random.text("0123456789abcdef", 36).into_bytes());
            macaroon.extend(b"\x00\x02\x2a[3,\"");
            macaroon.extend(random.text("0123456789abcdef", 36).into_bytes());
            macaroon.extend(b"\"]\x00\x00\x06\x20");
            macaroon.extend(random.bytes(32));
            URL_SAFE_NO_PAD.encode(macaroon)
        }
        // Base64 of `n` random bytes, padded.
        "base64-bytes" => STANDARD.encode(random.bytes(argument.parse().ok()?)),
        // The text again with every character as `\u00XX`.
        "unicode-escaped" => argument.bytes().map(|byte| format!("\\u{:04x}", byte)).collect(),
        _ => return None,
    })
}

fn base32_digit(word: u64) -> char {
    char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[(word & 31) as usize])
}

fn pem(label: &str, line_end: &str, random: &mut Random) -> String {
    // A DER sequence header with a true length, so that what checks structure is content; the rest is made up.
    let mut body = vec![0x30, 0x82, 0x02, 0x5c, 0x02, 0x01, 0x00];
    if label.starts_with("OPENSSH") {
        body = b"openssh-key-v1\0\0\0\0\x04none\0\0\0\x04none\0\0\0\0\0\0\0\x01".to_vec();
    }
    let fill = 608 - body.len();
    body.extend(random.bytes(fill));
    let text = STANDARD.encode(body);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    let dashes = "-".repeat(5);
    format!("{dashes}BEGIN {label}{dashes}{line_end}{}{line_end}{dashes}END {label}{dashes}{line_end}", lines.join(line_end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::checksum::Checksum;

    fn expanded(template: &str) -> String {
        expand(template, &mut Random::new("test", 1)).expect("a good template")
    }

    #[test]
    fn what_it_makes_holds() {
        assert_eq!(expanded("plain"), "plain");
        assert_eq!(expanded("{{ secrets.X }}"), "{{ secrets.X }}");
        assert_eq!(expanded("{{hex:40}}"), expanded("{{hex:40}}"));
        assert!(Checksum::GithubCrc32.holds(expanded("ghp_{{github:36}}").as_bytes()));
        assert!(Checksum::AwsKeyId.holds(expanded("AKIA{{aws-key}}").as_bytes()));
        assert!(Checksum::Age.holds(expanded("AGE-SECRET-KEY-1{{age}}").as_bytes()));
        assert!(Checksum::PypiMacaroon.holds(expanded("pypi-{{pypi}}").as_bytes()));
        assert!(Checksum::BasicCredentials.holds(expanded("{{base64-of:alice:{{alnum:20}}}}").as_bytes()));
        assert!(expand("{{nonsense:3}}", &mut Random::new("", 0)).is_err());
        assert!(expand("{{hex:3", &mut Random::new("", 0)).is_err());
    }
}
