//! Checksums and inner structure: what a token says about itself.
//!
//! A token whose checksum does not hold was mistyped, cut, or made up for a test.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A proof that a token carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Checksum {
    /// The last six characters are the CRC-32 of those between the prefix and them, in base62.
    GithubCrc32,
    /// As GitHub's.
    NpmCrc32,
    /// Base64 of a macaroon whose location is pypi.org or test.pypi.org.
    PypiMacaroon,
    /// Base32 characters that hold a 12-digit account number, or an id from before that encoding.
    AwsKeyId,
    /// The bech32 checksum of an age secret key.
    Age,
    /// Base64 of `user:password`, both non-empty and printable.
    BasicCredentials,
    /// The first part is base64 of a decimal number.
    DiscordBot,
    /// What follows the prefix is base64 of JSON.
    Base64Json,
}

impl Checksum {
    /// Whether the whole match holds its promise.
    pub(crate) fn holds(self, token: &[u8]) -> bool {
        match self {
            Self::GithubCrc32 | Self::NpmCrc32 => crc32_base62(token),
            Self::PypiMacaroon => pypi(token),
            Self::AwsKeyId => aws_key_id(token),
            Self::Age => age(token),
            Self::BasicCredentials => basic_credentials(token),
            Self::DiscordBot => discord_bot(token),
            Self::Base64Json => base64_json(token),
        }
    }
}

pub(crate) const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

fn crc32_base62(token: &[u8]) -> bool {
    let body = token.rsplit(|&byte| byte == b'_').next().unwrap_or(token);
    body.len() > 6 && {
        let (text, sum) = body.split_at(body.len() - 6);
        sum == base62_of_crc32(text)
    }
}

/// The CRC-32 of `text` as six base62 digits.
pub(crate) fn base62_of_crc32(text: &[u8]) -> [u8; 6] {
    let mut sum = crc32fast::hash(text) as usize;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[sum % 62];
        sum /= 62;
    }
    digits
}

fn pypi(token: &[u8]) -> bool {
    let Some(body) = token.strip_prefix(b"pypi-") else { return false };
    // Macaroon version 2, then the location field: tag 1, its length, its text.
    let Ok(head) = URL_SAFE_NO_PAD.decode(&body[..body.len().min(24)]) else { return false };
    head.starts_with(b"\x02\x01\x08pypi.org") || head.starts_with(b"\x02\x01\x0dtest.pypi.org")
}

fn aws_key_id(token: &[u8]) -> bool {
    std::str::from_utf8(token).is_ok_and(|id| {
        // Ids from before the encoding have I or J there; they are still in use.
        id.len() == 20 && (matches!(id.as_bytes()[4], b'I' | b'J') || overdue_core::aws_account_of_key_id(id).is_some())
    })
}

fn age(token: &[u8]) -> bool {
    let lower = token.to_ascii_lowercase();
    let Some(at) = lower.iter().rposition(|&byte| byte == b'1') else { return false };
    let Some(words) =
        lower[at + 1..].iter().map(|byte| BECH32.iter().position(|c| c == byte).map(|n| n as u32)).collect::<Option<Vec<_>>>()
    else {
        return false;
    };
    bech32_polymod(&lower[..at], &words) == 1
}

/// The remainder that is 1 for a bech32 string that holds (BIP 173).
pub(crate) fn bech32_polymod(prefix: &[u8], words: &[u32]) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let expanded = prefix.iter().map(|&c| u32::from(c >> 5)).chain([0]).chain(prefix.iter().map(|&c| u32::from(c & 31)));
    expanded.chain(words.iter().copied()).fold(1u32, |sum, word| {
        let top = sum >> 25;
        let mut next = ((sum & 0x01ff_ffff) << 5) ^ word;
        for (bit, value) in GENERATOR.iter().enumerate() {
            if (top >> bit) & 1 == 1 {
                next ^= value;
            }
        }
        next
    })
}

/// Decodes standard or URL-safe base64, with or without padding.
pub(crate) fn base64_any(text: &[u8]) -> Option<Vec<u8>> {
    let trimmed = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    if trimmed.contains(&b'-') || trimmed.contains(&b'_') {
        URL_SAFE_NO_PAD.decode(trimmed).ok()
    } else {
        STANDARD_NO_PAD.decode(trimmed).ok()
    }
}

fn basic_credentials(token: &[u8]) -> bool {
    let Some(decoded) = base64_any(token) else { return false };
    let Some(colon) = memchr::memchr(b':', &decoded) else { return false };
    let (user, password) = (&decoded[..colon], &decoded[colon + 1..]);
    let printable = |text: &[u8]| text.iter().all(|byte| (0x20..0x7f).contains(byte));
    !user.is_empty()
        && password.len() >= 6
        && printable(&decoded)
        && user != password
        && !crate::noise::is_placeholder(password)
        && !crate::noise::is_stock_password(password)
}

fn discord_bot(token: &[u8]) -> bool {
    let first = token.split(|&byte| byte == b'.').next().unwrap_or_default();
    base64_any(first).is_some_and(|id| (17..=20).contains(&id.len()) && id.iter().all(u8::is_ascii_digit))
}

fn base64_json(token: &[u8]) -> bool {
    let Some(at) = token.windows(2).position(|two| two == b"ey") else { return false };
    let body = &token[at..];
    let end = body.iter().position(|byte| !(byte.is_ascii_alphanumeric() || b"+/-_".contains(byte))).unwrap_or(body.len());
    // A whole number of groups is enough to see the opening of an object with a quoted name in it.
    let Some(head) = base64_any(&body[..end.min(40) / 4 * 4]) else { return false };
    head.first() == Some(&b'{') && head.get(1) == Some(&b'"') && head.iter().all(|byte| (0x20..0x7f).contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_tokens_hold() {
        // The token of GitHub's own documentation of the format, cut so that no scanner takes it for one.
        let documented = ["ghp", "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17"].join("_");
        assert!(Checksum::GithubCrc32.holds(documented.as_bytes()));
        let mut mistyped = documented.into_bytes();
        mistyped[10] ^= 1;
        assert!(!Checksum::GithubCrc32.holds(&mistyped));
        assert!(Checksum::AwsKeyId.holds(b"AKIAIOSFODNN7EXAMPLE"));
        assert!(!Checksum::AwsKeyId.holds(b"AKIA7777777777777777"), "no such account number");
        assert!(Checksum::BasicCredentials.holds(concat!("YWxpY2U6", "czNjcjN0LXAx").as_bytes()), "alice:s3cr3t-p1");
        assert!(!Checksum::BasicCredentials.holds(concat!("dXNlcjpw", "YXNzd29yZA==").as_bytes()), "user:password");
    }

    #[test]
    fn age_keys_are_bech32() {
        // A valid bech32 string of BIP 173: the arithmetic is the same.
        assert!(age(b"abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw"));
        assert!(!age(b"abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxx"));
        assert!(!age(b"1"));
        assert!(!age(b""));
    }
}
