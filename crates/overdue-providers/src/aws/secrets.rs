//! Secrets Manager secrets of one region: names, dates and tags. Their values are the room `values`'.

use aws_sdk_secretsmanager::types::SecretListEntry;
use jiff::SignedDuration;
use overdue_core::{Credential, CredentialId, CredentialKind, Evidence, IssuedAt, LastUsed, Page, Principal, Region, Status, Target};

use super::errors::listed;
use super::paging::{Next, all_pages};
use super::permissions;
use super::session::Session;
use super::timestamp;

const SOURCE: &str = "secretsmanager:ListSecrets";
/// The list lags by minutes.
const LAG: SignedDuration = SignedDuration::from_mins(5);
/// Of the last read the day is kept.
const LAST_READ_LAG: SignedDuration = SignedDuration::from_hours(24);

/// All secrets of the region but those about to be deleted, which nobody can read.
pub(super) async fn list(session: &Session, target: &Target) -> Page<Credential> {
    let region = target.region.clone().unwrap_or_else(|| Region::new(session.home()));
    let client = session.secrets(&region);
    let (found, refusal) = all_pages("secretsmanager:ListSecrets", |token| {
        let client = &client;
        async move {
            let ask = |sdk: &aws_sdk_secretsmanager::Client| sdk.list_secrets().max_results(100).set_next_token(token).send();
            let answer = client.call(permissions::LIST_SECRETS, ask).await?;
            Ok((listed(permissions::LIST_SECRETS, answer.secret_list)?, Next::by_token(answer.next_token)))
        }
    })
    .await;
    let gaps = refusal.map(|refusal| refusal.open_gap(target, "secrets of the region")).into_iter().collect();
    let items = found.into_iter().filter(|secret| secret.deleted_date.is_none()).filter_map(|secret| credential(session, &region, secret));
    Page { items: items.collect(), gaps, next: None }
}

fn credential(session: &Session, region: &Region, secret: SecretListEntry) -> Option<Credential> {
    let arn = secret.arn?;
    let name = secret.name.unwrap_or_else(|| arn.clone());
    let evidence = |lag| Evidence { source: SOURCE.to_owned(), lag };
    let created = secret.created_date.as_ref().and_then(timestamp);
    let rotated = secret.last_rotated_date.as_ref().and_then(timestamp);
    let changed = secret.last_changed_date.as_ref().and_then(timestamp);
    let issued_at = match changed.max(rotated).max(created) {
        Some(at) => IssuedAt::At { at, evidence: evidence(LAG) },
        None => IssuedAt::Untold,
    };
    let last_used = match (secret.last_accessed_date.as_ref().and_then(timestamp), created) {
        (Some(at), _) => LastUsed::At { at, by: None, evidence: evidence(LAST_READ_LAG) },
        (None, Some(since)) => LastUsed::NeverSince { since, evidence: evidence(LAST_READ_LAG) },
        (None, None) => LastUsed::Unreadable { why: "the list tells neither its last read nor its creation".to_owned() },
    };
    let mut notes = Vec::new();
    if let Some(owner) = secret.owning_service.filter(|owner| !owner.is_empty()) {
        notes.push(format!("managed by {owner}"));
    }
    if let Some(created) = created.filter(|created| Some(*created) != issued_at.at()) {
        notes.push(format!("created {}", created.strftime("%Y-%m-%d")));
    }
    match secret.rotation_enabled {
        Some(true) => notes.push("rotation is on".to_owned()),
        _ => notes.push("rotation is off".to_owned()),
    }
    if let Some(primary) = secret.primary_region.filter(|primary| primary != region.as_str()) {
        notes.push(format!("replica of {primary}"));
    }
    Some(Credential {
        id: CredentialId { account: session.account.clone(), kind: CredentialKind::AwsSecret, public_id: arn.clone() },
        region: Some(region.clone()),
        principal: Principal { arn, name: name.clone() },
        name,
        status: Status::Active,
        issued_at,
        last_used,
        expires_at: None,
        tags: secret.tags.unwrap_or_default().into_iter().filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect(),
        notes,
        value: None,
    })
}
