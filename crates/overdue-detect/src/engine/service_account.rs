//! Google service account keys: the JSON that the console hands out, by its `private_key_id`, which is its public id.
//!
//! It is read by its two fields rather than as JSON, since it stands in YAML, in Terraform, in a string of another JSON,
//! with its quotes and line breaks escaped as often as that took.

use super::found::Match;
use super::pem;

/// How far the key may stand from its id; Google writes them one after the other.
const APART_MAX: usize = 4 << 10;

/// A key whose `private_key_id` ends at `end`.
pub(crate) fn find(buf: &[u8], end: usize) -> Option<Match> {
    let rest = &buf[end..(end + 120).min(buf.len())];
    let skip = rest.iter().position(|&byte| !matches!(byte, b'\\' | b'"' | b'\'' | b' ' | b'\t' | b':' | b'=' | b'>'))?;
    let id = &rest[skip..];
    let id = &id[..id.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(id.len())];
    if id.len() != 40 || crate::noise::is_placeholder(id) {
        return None;
    }
    let after = &buf[end..(end + APART_MAX).min(buf.len())];
    let first = memchr::memmem::find_iter(after, b"private_key").find_map(|at| key(buf, end + at + 11));
    let found = first.or_else(|| {
        let start = end.saturating_sub(APART_MAX);
        memchr::memmem::find_iter(&buf[start..end], b"private_key").filter_map(|at| key(buf, start + at + 11)).last()
    })?;
    let id_at = Some(end + skip);
    let label = found.label.map(|label| format!("service account {}", label.to_lowercase()));
    Some(Match { public_id: Some(String::from_utf8_lossy(id).into_owned()), id_at, label, ..found })
}

/// The armour that is the value of the field whose name ends at `end`.
fn key(buf: &[u8], end: usize) -> Option<Match> {
    let rest = &buf[end..(end + 64).min(buf.len())];
    if rest.first().is_none_or(|&byte| super::boundary::is_word(byte)) {
        return None;
    }
    let at = memchr::memmem::find(rest, b"-----BEGIN ")?;
    pem::find(buf, end + at)
}
