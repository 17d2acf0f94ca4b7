//! Fingerprints: what is kept of a secret.
//!
//! Promise: equal secrets have equal fingerprints under one key; without the key a fingerprint tells nothing, not even
//! to someone who guesses the secret. Every deployment has its own key.

use hmac::{Hmac, KeyInit, Mac};
use overdue_core::{ContentKey, Fingerprint};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The key of one deployment's fingerprints.
///
/// Its `Debug` shows the id that names the key, never the key.
///
/// ```
/// use overdue_detect::FingerprintKey;
/// let (ours, theirs) = (FingerprintKey::from_bytes([1; 32]), FingerprintKey::from_bytes([2; 32]));
/// assert_eq!(ours.fingerprint(b"a secret"), ours.fingerprint(b"a secret"));
/// assert_ne!(ours.fingerprint(b"a secret"), theirs.fingerprint(b"a secret"));
/// assert_eq!(ours.id().len(), 8);
/// ```
#[derive(Clone)]
pub struct FingerprintKey {
    bytes: Zeroizing<[u8; 32]>,
}

impl FingerprintKey {
    /// Wraps 32 random bytes that the deployment keeps.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self { bytes: Zeroizing::new(bytes) }
    }

    /// Eight hex digits that name this key without telling it: fingerprints with other ids cannot be compared.
    pub fn id(&self) -> String {
        hex(&self.digest(&[b"overdue: the id of a fingerprint key"])[..4])
    }

    /// The fingerprint of these bytes: HMAC-SHA-256, first 16 bytes, in hex.
    ///
    /// Public so that a value read from a secret store can be compared with what was found elsewhere.
    pub fn fingerprint(&self, bytes: &[u8]) -> Fingerprint {
        Fingerprint::from_hex(hex(&self.digest(&[bytes])[..16]))
    }

    /// A content key for bytes that may hold a secret and are short enough to guess: keyed, unlike a plain digest.
    ///
    /// It never equals a fingerprint of the same bytes.
    pub fn content_key(&self, bytes: &[u8]) -> ContentKey {
        ContentKey(format!("keyed:{}", hex(&self.digest(&[b"overdue: content\0", bytes])[..16])))
    }

    pub(crate) fn of_secret(&self, secret: &Secret) -> Fingerprint {
        self.fingerprint(secret.expose())
    }

    fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.bytes.as_slice()).expect("HMAC takes a key of any length");
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FingerprintKey({})", self.id())
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)] as char, DIGITS[usize::from(byte & 15)] as char]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keyed_per_deployment() {
        let (ours, theirs) = (FingerprintKey::from_bytes([7; 32]), FingerprintKey::from_bytes([8; 32]));
        let mut seen = HashSet::new();
        for n in 0..10_000u32 {
            let secret = format!("secret number {n}");
            assert!(seen.insert(ours.fingerprint(secret.as_bytes())));
            assert!(seen.insert(theirs.fingerprint(secret.as_bytes())), "two keys, two fingerprints");
        }
        assert_eq!(seen.len(), 20_000);
    }

    #[test]
    fn is_hmac_sha_256() {
        // RFC 4231, test case 2, needs a short key; this is the same construction with ours, checked against Python's hmac.
        let key = FingerprintKey::from_bytes([0; 32]);
        assert_eq!(key.fingerprint(b"").as_str(), "b613679a0814d9ec772f95d778c35fc5");
        assert_ne!(key.content_key(b"x").0, format!("keyed:{}", key.fingerprint(b"x")));
        assert_eq!(format!("{key:?}"), format!("FingerprintKey({})", key.id()));
    }
}
