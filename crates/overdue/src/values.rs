//! Values of stored secrets, where a job allows them to be read: fetched when they may have changed, fingerprinted, forgotten.
//!
//! Two things make this more than a loop. A value whose date of issue has not moved is not asked for again. And a provider
//! counts our own reading as a use, so a last use that falls on the day we read is taken for ours: what was known before
//! stands, and a note says so.

use std::collections::HashMap;

use anyhow::Result;
use futures::StreamExt as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use overdue_core::{Credential, CredentialId, Fingerprint, Gap, GapReason, IssuedAt, LastUsed, Target, ValueRead};
use overdue_detect::Scanner;
use overdue_providers::{Body, Provider};
use overdue_store::Store;

/// Values in flight for one target.
const VALUES_AT_ONCE: usize = 4;

/// Puts into `credentials` what their values give. What could not be read is a gap.
pub(crate) async fn read(
    store: &Store,
    scanner: &Scanner,
    provider: &dyn Provider,
    target: &Target,
    credentials: &mut [Credential],
    now: fn() -> Timestamp,
) -> Result<Vec<Gap>> {
    if !provider.reads_values(target) || credentials.is_empty() {
        return Ok(Vec::new());
    }
    let known: HashMap<CredentialId, Credential> =
        store.with_values(&target.id()).await?.into_iter().map(|credential| (credential.id.clone(), credential)).collect();
    let mut open = Vec::new();
    for (at, credential) in credentials.iter_mut().enumerate() {
        let before = known.get(&credential.id);
        if let Some((before, value)) = before.and_then(|before| Some((before, before.value.as_ref()?))) {
            not_our_own_use(credential, before, value);
            if dated(&credential.issued_at) && credential.issued_at.at() == before.issued_at.at() {
                credential.value = Some(value.clone());
                continue;
            }
        }
        open.push((at, credential.clone()));
    }
    let mut gaps = Vec::new();
    let mut answers = futures::stream::iter(open)
        .map(|(at, credential)| async move { (at, one(scanner, provider, target, &credential).await) })
        .buffer_unordered(VALUES_AT_ONCE);
    while let Some((at, answer)) = answers.next().await {
        match (answer, credentials.get_mut(at)) {
            (Ok(fingerprints), Some(credential)) => credential.value = Some(ValueRead { at: now(), fingerprints }),
            (Ok(_), None) => {}
            (Err(gap), _) => gaps.push(gap),
        }
    }
    Ok(gaps)
}

/// Reads one value, and keeps its fingerprints alone.
async fn one(scanner: &Scanner, provider: &dyn Provider, target: &Target, credential: &Credential) -> Result<Vec<Fingerprint>, Gap> {
    let body = provider.value(target, credential).await?;
    let scanner = scanner.clone();
    let done = match body {
        Body::Bytes(bytes) => tokio::task::spawn_blocking(move || scanner.fingerprint_value(&bytes)).await.ok(),
        Body::Variables(_) | Body::Reader { .. } => None,
    };
    done.ok_or_else(|| lost(target, credential))
}

const fn dated(issued_at: &IssuedAt) -> bool {
    matches!(issued_at, IssuedAt::At { .. })
}

/// A last use on the day of our own reading may be that reading.
fn not_our_own_use(credential: &mut Credential, before: &Credential, value: &ValueRead) {
    let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
    if let LastUsed::At { at, .. } = &credential.last_used
        && day(*at) == day(value.at)
    {
        credential.last_used = before.last_used.clone();
        credential.notes.push(format!("read by this audit on {}; a use on that day cannot be told from it", day(value.at)));
    }
}

fn lost(target: &Target, credential: &Credential) -> Gap {
    Gap {
        target: target.id(),
        subject: format!("value of {}", credential.name),
        reason: GapReason::Internal,
        detail: "it could not be fingerprinted; please report this".to_owned(),
        permission: String::new(),
        mend: "report it with the name of the secret; nothing else was affected".to_owned(),
        open_ended: false,
    }
}
