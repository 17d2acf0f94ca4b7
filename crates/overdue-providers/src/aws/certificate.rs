//! When an X.509 certificate ends: the one fact of it we need, read without an X.509 library.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of the first certificate in a PEM text; `None` where it cannot be read.
pub(super) fn expires_at(pem: &str) -> Option<Timestamp> {
    let (_, rest) = pem.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let der = STANDARD.decode(body.split_whitespace().collect::<String>()).ok()?;

    let (certificate, _) = element(&der, SEQUENCE)?;
    let (mut fields, _) = element(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        (_, fields) = element(fields, VERSION)?;
    }
    // Serial number, algorithm and issuer stand before the validity.
    for _ in 0..3 {
        (_, fields) = element(fields, *fields.first()?)?;
    }
    let (validity, _) = element(fields, SEQUENCE)?;
    let (_, after) = element(validity, *validity.first()?)?;
    let tag = *after.first()?;
    let (text, _) = element(after, tag)?;
    time(tag, std::str::from_utf8(text).ok()?)
}

/// The content of the element at the start, which must have this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let (bytes, rest) = rest.split_at_checked(count)?;
        (bytes.iter().fold(0usize, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    if found == tag { rest.split_at_checked(length) } else { None }
}

/// `YYMMDDHHMMSSZ`, where the years begin at 1950, or `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z')?;
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i8>().ok();
    let (year, at) = match tag {
        UTC_TIME => {
            let year = i16::from(number(0, 2)?);
            (if year < 50 { 2000 + year } else { 1900 + year }, 2)
        }
        GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, 4),
        _ => return None,
    };
    let date = DateTime::new(
        year,
        number(at, at + 2)?,
        number(at + 2, at + 4)?,
        number(at + 4, at + 6)?,
        number(at + 6, at + 8)?,
        number(at + 8, at + 10)?,
        0,
    );
    Offset::UTC.to_timestamp(date.ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // A throw-away certificate: CN=goran, Ed25519, valid 2024-01-02T03:04:05Z to 2027-01-01T03:04:05Z.
    const PEM: &str = include_str!("testdata/certificate.pem");

    #[test]
    fn the_end_is_read() {
        assert_eq!(expires_at(PEM), Some("2027-01-01T03:04:05Z".parse().unwrap()));
    }

    #[test]
    fn both_kinds_of_time_are_known() {
        assert_eq!(time(UTC_TIME, "491231235959Z"), Some("2049-12-31T23:59:59Z".parse().unwrap()));
        assert_eq!(time(UTC_TIME, "500101000000Z"), Some("1950-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(time(GENERALIZED_TIME, "20500101000000Z"), Some("2050-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(time(UTC_TIME, "49123123595Z"), None);
        assert_eq!(time(GENERALIZED_TIME, "20501301000000Z"), None);
    }

    #[test]
    fn broken_certificates_have_no_end() {
        let cut = PEM.replace("-----END", "A-----END");
        for broken in ["", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", cut.as_str()] {
            assert_eq!(expires_at(broken), None);
        }
        let der = [SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff, 0];
        let pem = format!("-----BEGIN CERTIFICATE-----{}-----END CERTIFICATE-----", STANDARD.encode(der));
        assert_eq!(expires_at(&pem), None);
    }
}
