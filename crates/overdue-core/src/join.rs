//! The join: a found secret is tied to its inventory row, without using it.

use std::collections::BTreeMap;

use crate::{AccountId, Credential, CredentialKind, Exposure, Inventory};

/// To which row a found secret belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join<'a> {
    /// This credential, by its public id.
    Credential(&'a Credential),
    /// No row, but the token itself names its account.
    Account,
    /// Nothing ties it to anything we know.
    Unknown,
}

/// Ties each exposure of `inventory` to its credential, in the order of `inventory.exposures`.
///
/// Match keys, all offline: the access key id that stands beside an AWS secret. A key id that matches no row still tells
/// its account's number ([`aws_account_of_key_id`]).
pub fn join(inventory: &Inventory) -> Vec<Join<'_>> {
    let mut rows: BTreeMap<&str, &Credential> = BTreeMap::new();
    for credential in &inventory.credentials {
        if matches!(credential.id.kind, CredentialKind::AwsIamAccessKey | CredentialKind::AwsRootAccessKey) {
            rows.insert(&credential.id.public_id, credential);
        }
    }
    inventory.exposures.iter().map(|exposure| join_one(&rows, exposure)).collect()
}

fn join_one<'a>(rows: &BTreeMap<&str, &'a Credential>, exposure: &Exposure) -> Join<'a> {
    let Some(public_id) = exposure.detection.public_id.as_deref() else { return Join::Unknown };
    match rows.get(public_id) {
        Some(credential) => Join::Credential(credential),
        None if aws_account_of_key_id(public_id).is_some() => Join::Account,
        None => Join::Unknown,
    }
}

/// The account number that an AWS access key id carries in its first characters.
///
/// Ids made since about 2019 hold it: the 10 characters after the 4-letter prefix are base32, and the top 40 bits below
/// the first hold the number (what `sts:GetAccessKeyInfo` answers). Older ids (whose fifth character is `I` or `J`) do not: `None`.
///
/// ```
/// use overdue_core::aws_account_of_key_id;
/// assert_eq!(aws_account_of_key_id(concat!("ASIA", "QNZGKIQY56JQ7WML")).map(|id| id.as_str().to_owned()).as_deref(), Some("029608264753"));
/// assert_eq!(aws_account_of_key_id("AKIAIOSFODNN7EXAMPLE"), None);
/// ```
pub fn aws_account_of_key_id(key_id: &str) -> Option<AccountId> {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bytes = key_id.as_bytes();
    if bytes.len() < 16 || !(bytes.starts_with(b"AKIA") || bytes.starts_with(b"ASIA")) {
        return None;
    }
    // Ids from before the encoding begin with I or J after the prefix.
    if matches!(bytes[4], b'I' | b'J') {
        return None;
    }
    let mut number: u64 = 0;
    for &byte in &bytes[4..14] {
        let digit = ALPHABET.iter().position(|&letter| letter == byte)? as u64;
        number = (number << 5) | digit;
    }
    // 50 bits were read; the first 48 are the six bytes the number stands in.
    let six_bytes = number >> 2;
    let account = (six_bytes & 0x7fff_ffff_ff80) >> 7;
    (account <= 999_999_999_999).then(|| AccountId::new(format!("{account:012}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_stands_in_the_key_id() {
        // The two ids that public write-ups of the encoding use.
        assert_eq!(aws_account_of_key_id(concat!("ASIA", "QNZGKIQY56JQ7WML")), Some(AccountId::new("029608264753")));
        assert_eq!(aws_account_of_key_id("AKIAIOSFODNN7EXAMPLE"), None, "an id from before the encoding");
        assert_eq!(aws_account_of_key_id("AKIA"), None);
        assert_eq!(aws_account_of_key_id("AKIA1111111111111111"), None, "1 is not in the alphabet");
        assert_eq!(aws_account_of_key_id("AKIAÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄ"), None);
    }
}
