//! X.509 signing certificates of IAM users.

use jiff::SignedDuration;
use overdue_core::{CredentialKind, Evidence, IssuedAt, LastUsed};

use super::certificate;
use super::iam::{Known, User, status_of};
use super::paging::{Next, all_pages};
use super::permissions;
use super::session::Session;
use super::timestamp;

/// The certificates of one user.
pub(super) async fn of_user(session: &Session, user: &User, known: &mut Known) {
    let iam = session.iam();
    let (found, refusal) = all_pages("iam:ListSigningCertificates", |marker| {
        let (iam, name) = (&iam, user.name.as_str());
        async move {
            let ask = |sdk: &aws_sdk_iam::Client| sdk.list_signing_certificates().user_name(name).set_marker(marker).send();
            let answer = iam.call(permissions::LIST_SIGNING_CERTIFICATES, ask).await?;
            Ok((answer.certificates, Next::by_flag(answer.marker, answer.is_truncated)))
        }
    })
    .await;
    known.refused("signing certificates", user, refusal);
    for found in found {
        let issued_at = match found.upload_date.as_ref().and_then(timestamp) {
            Some(at) => {
                let evidence = Evidence { source: "iam:ListSigningCertificates".to_owned(), lag: SignedDuration::ZERO };
                IssuedAt::At { at, evidence }
            }
            None => IssuedAt::Untold,
        };
        let (id, status) = (&found.certificate_id, status_of(Some(&found.status)));
        let kind = CredentialKind::AwsSigningCertificate;
        let mut credential = user.credential(session, kind, id, status, issued_at, LastUsed::Untracked);
        credential.expires_at = certificate::expires_at(&found.certificate_body);
        known.credentials.push(credential);
    }
}
