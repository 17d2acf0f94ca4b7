//! Environment variables, scanned as one text.
//!
//! They are written down as lines of `NAME=value`, names that differ only in words like `ID`, `KEY` and `SECRET` side by
//! side, so that an id and its secret meet within the window of a pair. What is found is then told by its place.

use overdue_core::Detection;
use zeroize::Zeroize;

use crate::engine::find_in_slice;
use crate::session::{Place, Session};

pub(crate) fn scan(session: &mut Session<'_>, variables: &[(String, String)]) {
    let mut order: Vec<&(String, String)> = variables.iter().collect();
    order.sort_by_key(|(name, _)| (stem(name), name.clone()));
    let mut text = Vec::new();
    let mut starts = Vec::with_capacity(order.len());
    for (name, value) in &order {
        starts.push(text.len() as u64);
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        text.extend_from_slice(value.as_bytes());
        text.push(b'\n');
    }
    let mark = session.mark();
    let finds = find_in_slice(session, &Place::root(".env"), &text);
    text.zeroize();
    if session.mark() != mark {
        // An archive in base64, or a limit, was noted without the variable's name: each value is looked at alone for those.
        session.back_to(mark);
        for (name, value) in &order {
            let place = Place { path: name.clone(), name: ".env".to_owned(), ..Place::default() };
            find_in_slice(session, &place, value.as_bytes());
        }
    }
    for find in finds {
        let index = starts.partition_point(|&start| start <= find.at).saturating_sub(1);
        let rule = session.rules.rule(find.rule).id.clone();
        session.detections.push(Detection {
            rule,
            fingerprint: find.fingerprint,
            preview: find.preview,
            public_id: find.public_id,
            path: order[index].0.clone(),
            line: None,
            column: None,
            decoded: find.decoded,
            confidence: find.confidence,
            expires_at_unix: find.expires_at_unix,
        });
    }
}

/// The name without the words that tell the parts of one credential apart.
fn stem(name: &str) -> String {
    const PARTS: [&str; 12] =
        ["id", "key", "secret", "access", "token", "client", "session", "password", "user", "username", "sid", "auth"];
    let lower = name.to_ascii_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty() && !PARTS.contains(word)).collect();
    words.join("_")
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn parts_of_one_credential_stand_side_by_side() {
        assert_eq!(stem("AWS_ACCESS_KEY_ID"), stem("AWS_SECRET_ACCESS_KEY"));
        assert_eq!(stem("DEV_AWS_ACCESS_KEY_ID"), stem("DEV_AWS_SECRET_ACCESS_KEY"));
        assert_ne!(stem("DEV_AWS_ACCESS_KEY_ID"), stem("AWS_ACCESS_KEY_ID"));
        assert_eq!(stem("TWILIO_ACCOUNT_SID"), "twilio_account");
    }
}
