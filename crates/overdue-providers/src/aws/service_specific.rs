//! Service-specific credentials: CodeCommit over HTTPS, Keyspaces, Bedrock and CloudWatch Logs API keys. One bulk listing.

use aws_sdk_iam::types::ServiceSpecificCredentialMetadata;
use jiff::SignedDuration;
use overdue_core::{CredentialKind, Evidence, GapReason, IssuedAt, LastUsed};

use super::errors::Refusal;
use super::iam::{User, status_of};
use super::paging::{Next, all_pages};
use super::permissions;
use super::session::Session;
use super::timestamp;

/// Services known to hand out such credentials.
const SERVICES: [&str; 4] = ["codecommit.amazonaws.com", "cassandra.amazonaws.com", "bedrock.amazonaws.com", "logs.amazonaws.com"];

/// All of them in the account, and what ended a listing early.
pub(super) async fn list(session: &Session) -> (Vec<ServiceSpecificCredentialMetadata>, Vec<Refusal>) {
    let (found, refusal) = list_of(session, None).await;
    // The documentation speaks of "the specified service": where one must be named, all known ones are.
    match refusal {
        Some(refusal)
            if refusal.reason == GapReason::ProviderFault && refusal.is(&["ValidationError", "InvalidInput", "InvalidInputException"]) => {}
        refusal => return (found, refusal.into_iter().collect()),
    }
    let (mut all, mut refusals) = (Vec::new(), Vec::new());
    for service in SERVICES {
        let (found, refusal) = list_of(session, Some(service)).await;
        all.extend(found);
        refusals.extend(refusal);
    }
    // One refusal stands for all that say the same.
    refusals.dedup_by(|a, b| a.detail == b.detail);
    (all, refusals)
}

async fn list_of(session: &Session, service: Option<&str>) -> (Vec<ServiceSpecificCredentialMetadata>, Option<Refusal>) {
    let iam = session.iam();
    all_pages("iam:ListServiceSpecificCredentials", |marker| {
        let iam = &iam;
        async move {
            let ask = |sdk: &aws_sdk_iam::Client| {
                let request = sdk.list_service_specific_credentials().all_users(true).max_items(1000);
                request.set_service_name(service.map(str::to_owned)).set_marker(marker).send()
            };
            let answer = iam.call(permissions::LIST_SERVICE_SPECIFIC_CREDENTIALS, ask).await?;
            let next = Next::by_flag(answer.marker, answer.is_truncated);
            Ok((answer.service_specific_credentials.unwrap_or_default(), next))
        }
    })
    .await
}

/// One as a credential of its user.
pub(super) fn credential(session: &Session, user: &User, found: &ServiceSpecificCredentialMetadata) -> overdue_core::Credential {
    let issued_at = match timestamp(&found.create_date) {
        Some(at) => {
            let evidence = Evidence { source: "iam:ListServiceSpecificCredentials".to_owned(), lag: SignedDuration::ZERO };
            IssuedAt::At { at, evidence }
        }
        None => IssuedAt::Untold,
    };
    let kind = CredentialKind::AwsServiceSpecificCredential;
    let id = &found.service_specific_credential_id;
    let mut credential = user.credential(session, kind, id, status_of(Some(&found.status)), issued_at, LastUsed::Untracked);
    credential.name = format!("{} {}", user.name, found.service_name);
    credential.expires_at = found.expiration_date.as_ref().and_then(timestamp);
    credential.notes.push(format!("service: {}", found.service_name));
    match &found.service_credential_alias {
        Some(alias) if !alias.is_empty() => credential.notes.push(format!("alias: {alias}")),
        _ if !found.service_user_name.is_empty() => credential.notes.push(format!("user name there: {}", found.service_user_name)),
        _ => {}
    }
    credential
}
