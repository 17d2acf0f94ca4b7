//! The root user's access keys and certificates. Its password is no rotation target and is left out.
//!
//! No call lists root keys by id, so they are named by their place in the credential report, `root-key-1` and `root-key-2`.

use aws_sdk_iam::types::SummaryKeyType;
use jiff::Timestamp;
use overdue_core::{Credential, CredentialId, CredentialKind, Evidence, IssuedAt, LastUsed, Principal, Status};

use super::access_keys;
use super::credential_report::{self, Flag, Row, When};
use super::errors::Refusal;
use super::permissions;
use super::session::Session;

/// What the report's row of the root user tells.
pub(super) fn from_report(session: &Session, row: &Row) -> Vec<Credential> {
    let mut credentials = Vec::new();
    for (number, slot) in (1..).zip(&row.keys).filter(|(_, slot)| slot.holds_key()) {
        let last_used = access_keys::from_report(slot, at(&slot.rotated));
        let mut key =
            credential(session, CredentialKind::AwsRootAccessKey, &format!("root-key-{number}"), slot.active, &slot.rotated, last_used);
        key.notes.push("its date is that of its last change, so it may be older".to_owned());
        if row.mfa_active == Flag::No {
            key.notes.push("the root user has no MFA".to_owned());
        }
        credentials.push(key);
    }
    for (number, slot) in (1..).zip(&row.certificates).filter(|(_, slot)| slot.holds_certificate()) {
        let id = format!("root-certificate-{number}");
        credentials.push(credential(session, CredentialKind::AwsSigningCertificate, &id, slot.active, &slot.rotated, LastUsed::Untracked));
    }
    credentials
}

/// Whether the root user has keys, asked for when the report does not tell or may be too old to.
pub(super) async fn from_summary(session: &Session) -> Result<Option<Credential>, Refusal> {
    let answer = session.iam().call(permissions::GET_ACCOUNT_SUMMARY, |iam| iam.get_account_summary().send()).await?;
    let keys = answer.summary_map.and_then(|map| map.get(&SummaryKeyType::AccountAccessKeysPresent).copied()).unwrap_or_default();
    if keys == 0 {
        return Ok(None);
    }
    let why = "the root user has an access key that the credential report does not know".to_owned();
    let last_used = LastUsed::Unreadable { why };
    Ok(Some(credential(session, CredentialKind::AwsRootAccessKey, "root-key-1", Flag::Yes, &When::NotApplicable, last_used)))
}

fn at(when: &When) -> Option<Timestamp> {
    match when {
        When::At(at) => Some(*at),
        _ => None,
    }
}

fn credential(session: &Session, kind: CredentialKind, id: &str, active: Flag, issued: &When, last_used: LastUsed) -> Credential {
    let issued_at = match at(issued) {
        Some(at) => IssuedAt::At { at, evidence: Evidence { source: credential_report::SOURCE.to_owned(), lag: credential_report::LAG } },
        None => IssuedAt::Untold,
    };
    let arn = format!("arn:{}:iam::{}:root", session.partition.name, session.account);
    Credential {
        id: CredentialId { account: session.account.clone(), kind, public_id: id.to_owned() },
        region: None,
        name: "root".to_owned(),
        principal: Principal { arn, name: "root".to_owned() },
        status: if active == Flag::No { Status::Inactive } else { Status::Active },
        issued_at,
        last_used,
        expires_at: None,
        tags: Default::default(),
        notes: Vec::new(),
        value: None,
    }
}
