//! `%41`: URLs and form bodies.

use super::{Decoded, Next, Stretch};
use crate::engine::percent_decoded;

/// How much of a URL is taken before and after its first escape.
const BEFORE_MAX: usize = 1 << 10;
const AFTER_MAX: usize = 4 << 10;

/// The next URL-like piece at or after `from` that has an escape in it.
pub(crate) fn next(stretch: &Stretch<'_>, from: usize) -> Next {
    let Stretch { buf, limit, at_end, .. } = *stretch;
    let mut at = from;
    while at < limit {
        let Some(found) = memchr::memchr(b'%', &buf[at..limit]) else { break };
        let sign = at + found;
        at = sign + 1;
        let printable = match buf[sign + 1..].get(..2) {
            Some([high, low]) => {
                matches!((high, low), (b'2'..=b'7', _)) && low.is_ascii_hexdigit() && !(*high == b'7' && low.eq_ignore_ascii_case(&b'f'))
            }
            _ => false,
        };
        if !printable {
            continue;
        }
        let floor = sign.saturating_sub(BEFORE_MAX);
        let start = floor + buf[floor..sign].iter().rposition(|&byte| !is_url_byte(byte)).map_or(0, |at| at + 1);
        let ceiling = (sign + AFTER_MAX).min(buf.len());
        let end = buf[sign..ceiling].iter().position(|&byte| !is_url_byte(byte)).map_or(ceiling, |at| sign + at);
        if end == buf.len() && !at_end && end - sign < AFTER_MAX {
            return Next::Wait(sign);
        }
        return Next::Decoded(Decoded { start, end, how: "percent", bytes: percent_decoded(&buf[start..end]) });
    }
    Next::Nothing(limit.max(at))
}

fn is_url_byte(byte: u8) -> bool {
    (0x21..0x7f).contains(&byte) && !matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\')
}
