//! SSH public keys of IAM users, good for CodeCommit alone.

use jiff::SignedDuration;
use overdue_core::{CredentialKind, Evidence, IssuedAt, LastUsed};

use super::iam::{Known, User, status_of};
use super::paging::{Next, all_pages};
use super::permissions;
use super::session::Session;
use super::timestamp;

/// The keys of one user.
pub(super) async fn of_user(session: &Session, user: &User, known: &mut Known) {
    let iam = session.iam();
    let (found, refusal) = all_pages("iam:ListSSHPublicKeys", |marker| {
        let (iam, name) = (&iam, user.name.as_str());
        async move {
            let ask = |sdk: &aws_sdk_iam::Client| sdk.list_ssh_public_keys().user_name(name).set_marker(marker).send();
            let answer = iam.call(permissions::LIST_SSH_PUBLIC_KEYS, ask).await?;
            Ok((answer.ssh_public_keys.unwrap_or_default(), Next::by_flag(answer.marker, answer.is_truncated)))
        }
    })
    .await;
    known.refused("SSH public keys", user, refusal);
    for key in found {
        let issued_at = match timestamp(&key.upload_date) {
            Some(at) => IssuedAt::At { at, evidence: Evidence { source: "iam:ListSSHPublicKeys".to_owned(), lag: SignedDuration::ZERO } },
            None => IssuedAt::Untold,
        };
        let (id, status) = (&key.ssh_public_key_id, status_of(Some(&key.status)));
        known.credentials.push(user.credential(session, CredentialKind::AwsIamSshKey, id, status, issued_at, LastUsed::Untracked));
    }
}
