//! The join: a found secret is tied to its inventory row, without using it.

use std::collections::BTreeMap;

use crate::{AccountId, Credential, CredentialKind, Exposure, Fingerprint, Inventory};

/// To which row a found secret belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join<'a> {
    /// This credential, by its public id.
    Credential(&'a Credential),
    /// This stored secret, by the fingerprint of its value.
    Stored(&'a Credential),
    /// No row, but the token itself names its account.
    Account,
    /// Nothing ties it to anything we know.
    Unknown,
}

/// Ties each exposure of `inventory` to its credential, in the order of `inventory.exposures`.
///
/// Match keys, all offline: the access key id that stands beside an AWS secret; then, where a job allows stored values to be
/// read, the fingerprint of a value. A key id that matches no row still tells its account's number
/// ([`aws_account_of_key_id`]). A value that several stores hold belongs to the one in the artifact's own account, and of
/// those to the first by id.
pub fn join(inventory: &Inventory) -> Vec<Join<'_>> {
    let mut rows: BTreeMap<&str, &Credential> = BTreeMap::new();
    for credential in &inventory.credentials {
        if matches!(credential.id.kind, CredentialKind::AwsIamAccessKey | CredentialKind::AwsRootAccessKey) {
            rows.insert(&credential.id.public_id, credential);
        }
    }
    let mut values: BTreeMap<&Fingerprint, Vec<&Credential>> = BTreeMap::new();
    for credential in &inventory.credentials {
        for fingerprint in credential.value.iter().flat_map(|value| &value.fingerprints) {
            values.entry(fingerprint).or_default().push(credential);
        }
    }
    inventory.exposures.iter().map(|exposure| join_one(&rows, &values, exposure)).collect()
}

fn join_one<'a>(
    rows: &BTreeMap<&str, &'a Credential>,
    values: &BTreeMap<&Fingerprint, Vec<&'a Credential>>,
    exposure: &Exposure,
) -> Join<'a> {
    let public_id = exposure.detection.public_id.as_deref();
    if let Some(credential) = public_id.and_then(|id| rows.get(id)) {
        return Join::Credential(credential);
    }
    let holders = values.get(&exposure.detection.fingerprint).map_or(&[][..], Vec::as_slice);
    let elsewhere = |credential: &Credential| credential.id.account != exposure.artifact.account;
    if let Some(credential) = holders.iter().min_by_key(|credential| (elsewhere(credential), &credential.id)) {
        return Join::Stored(credential);
    }
    match public_id.and_then(aws_account_of_key_id) {
        Some(_) => Join::Account,
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
