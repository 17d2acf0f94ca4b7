//! What a value out of a secret store is made of: itself, and the texts of its JSON.

use serde_json::Value;
use zeroize::Zeroize as _;

use crate::secret::Secret;

/// Shorter parts (a port, a user's name, `true`) are in too many places to mean anything.
const PART_BYTES_MIN: usize = 8;
/// A value of more parts is a document, not a secret.
const PARTS_MAX: usize = 256;

/// The whole value without blanks around it, and each text in it where it is JSON.
pub(crate) fn parts(value: &[u8]) -> Vec<Secret> {
    let mut parts = Vec::new();
    push(&mut parts, value.trim_ascii());
    if let Ok(mut json) = serde_json::from_slice::<Value>(value) {
        walk(&mut json, &mut parts);
    }
    parts
}

/// Takes the texts out of a tree, and wipes them there.
fn walk(value: &mut Value, parts: &mut Vec<Secret>) {
    match value {
        Value::String(text) => {
            push(parts, text.trim().as_bytes());
            text.zeroize();
        }
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, parts)),
        Value::Object(fields) => fields.values_mut().for_each(|item| walk(item, parts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn push(parts: &mut Vec<Secret>, part: &[u8]) {
    if part.len() >= PART_BYTES_MIN && parts.len() < PARTS_MAX {
        parts.push(Secret::from_slice(part));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{FingerprintKey, Limits, RuleSet, Scanner};

    #[test]
    fn a_value_is_known_by_its_parts() {
        let key = FingerprintKey::from_bytes([7; 32]);
        let scanner = Scanner::new(Arc::new(RuleSet::builtin().expect("the rules")), key.clone(), Limits::default());
        let password = concat!("Kq9-mN3x_", "Rt7wZp2v");
        let has = |value: &str, part: &str| scanner.fingerprint_value(value.as_bytes()).contains(&key.fingerprint(part.as_bytes()));
        assert!(has(&format!(" {password}\n"), password), "the whole, without blanks");
        let json = format!(r#"{{"username": "admin", "hosts": ["db-1.internal", {{"password": "{password}"}}], "port": 5432}}"#);
        assert!(has(&json, password), "a text of its JSON");
        assert!(!has(&json, "admin"), "too short to mean anything");
        assert!(!has(&json, "5432"));
        assert!(has(&format!("postgres://app:{password}@db.internal/orders"), password), "the password of a URL");
        assert!(scanner.fingerprint_value(b"").is_empty());
        assert!(scanner.fingerprint_value(b"short").is_empty());
        assert_eq!(scanner.fingerprint_value(&[0xff; 64]).len(), 1, "any bytes");
    }
}
