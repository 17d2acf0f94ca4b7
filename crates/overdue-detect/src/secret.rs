//! The one type that holds a matched secret.
//!
//! Promise: a [`Secret`] cannot be printed, compared, serialised or copied, and its bytes are wiped when it goes. It
//! lives from the moment a rule confirms a match to the moment it is turned into a fingerprint and a preview, in one
//! function. Nothing outside this crate can name the type.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// The confidential bytes of one match. Deliberately without `Debug`, `Display`, `Clone`, `PartialEq` and `Serialize`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Secret {
    bytes: Vec<u8>,
}

impl Secret {
    /// Copies the bytes of a match.
    pub(crate) fn from_slice(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec() }
    }

    /// Takes bytes that a matcher has put together, such as a key without its line breaks.
    pub(crate) fn from_vec(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// The bytes themselves. Called by the filters that judge a match and by the fingerprint, and by nothing else.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    /// Says whether `$type` implements `$bound`, at compile time and without needing it to: an inherent associated
    /// constant wins over the trait's wherever the bound holds.
    macro_rules! implements {
        ($type:ty: $($bound:tt)+) => {{
            #[allow(dead_code)]
            trait Otherwise {
                const HOLDS: bool = false;
            }
            impl<T: ?Sized> Otherwise for T {}
            struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
            #[allow(dead_code)]
            impl<T: ?Sized + $($bound)+> Probe<T> {
                const HOLDS: bool = true;
            }
            <Probe<$type>>::HOLDS
        }};
    }

    #[test]
    fn a_secret_cannot_be_shown_or_copied() {
        const {
            assert!(!implements!(Secret: std::fmt::Debug));
            assert!(!implements!(Secret: std::fmt::Display));
            assert!(!implements!(Secret: std::fmt::LowerHex));
            assert!(!implements!(Secret: Clone));
            assert!(!implements!(Secret: Copy));
            assert!(!implements!(Secret: PartialEq));
            assert!(!implements!(Secret: std::hash::Hash));
            assert!(!implements!(Secret: serde::Serialize));
            assert!(!implements!(Secret: AsRef<[u8]>));
            assert!(!implements!(Secret: std::ops::Deref));
            assert!(!implements!(Secret: Into<Vec<u8>>));
            assert!(!implements!(Secret: ToString));
            // The probe itself works: what is there is seen.
            assert!(implements!(Secret: zeroize::ZeroizeOnDrop));
            assert!(implements!(Vec<u8>: std::fmt::Debug));
        }
    }

    #[test]
    fn only_the_listed_files_expose_a_secret() {
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let allowed = ["secret.rs", "fingerprint.rs", "engine/found.rs"];
        let mut folders = vec![source.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("the source folder is readable") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(&source).expect("inside").to_string_lossy().replace('\\', "/");
                let text = std::fs::read_to_string(&path).expect("a source file");
                if text.contains(".expose()") {
                    assert!(allowed.contains(&name.as_str()), "{name} exposes a secret and is not on the list");
                }
            }
        }
    }
}
