//! Vendor APIs in, core nouns out. Nothing here writes anywhere, knows a pattern, a policy or a database.
//!
//! A provider turns a vendor's listings into [`Credential`]s and [`Artifact`]s. Enumeration does not fail: a refused or
//! broken call becomes a [`Gap`] beside whatever was seen, because an audit that hides what it could not see is worse
//! than no audit. Retries and rate limits are the provider's own business; who scans, joins and stores is not.
//!
//! Each vendor is a folder and a cargo feature: [`aws`] and [`machine`].

mod body;

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "machine")]
pub mod machine;

use std::collections::BTreeMap;

use async_trait::async_trait;
use overdue_core::{Account, Artifact, ArtifactId, Credential, Cursor, Gap, Page, Placement, ProviderKind, Target, TargetState};

pub use body::{Body, Fault};

/// What a provider's discovery found.
#[derive(Default)]
pub struct Discovery {
    /// Accounts that will be looked at, with their contacts and tags.
    pub accounts: Vec<Account>,
    /// The work: one entry of the run's ledger each.
    pub targets: Vec<Target>,
    /// Listings that discovery itself made (which accounts, regions, buckets), already at their end.
    pub done: Vec<(Target, TargetState)>,
    /// What discovery could not see.
    pub gaps: Vec<Gap>,
    /// Facts a person should be told that are no gaps: `no AWS credentials here`.
    pub remarks: Vec<String>,
}

/// An artifact of a listing, with its bytes where the listing itself brought them.
pub struct Listed {
    /// What it is.
    pub artifact: Artifact,
    /// Its bytes, if nothing needs to be fetched.
    pub body: Option<Body>,
}

/// A vendor, or this machine, seen read-only.
///
/// Implementations are cheap to share; every method may be called from several tasks at once.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Which one.
    fn kind(&self) -> ProviderKind;

    /// Which accounts, regions, buckets, repositories and folders there are to look at.
    async fn discover(&self) -> Discovery;

    /// One page of a target's credentials. A target kind that has none gives an empty last page.
    async fn credentials(&self, target: &Target, cursor: Option<&Cursor>) -> Page<Credential>;

    /// Whether the values of this target's credentials are to be read: stored secrets, where the job asks for it.
    fn reads_values(&self, _target: &Target) -> bool {
        false
    }

    /// Opens the value of one stored secret, to be fingerprinted and forgotten. Asked only where
    /// [`Provider::reads_values`] says so. The error is the gap it leaves.
    async fn value(&self, target: &Target, credential: &Credential) -> Result<Body, Gap> {
        let why = format!("{} has no value to read", credential.id.kind);
        Err(Gap {
            target: target.id(),
            subject: credential.name.clone(),
            reason: overdue_core::GapReason::Unsupported,
            detail: why,
            permission: String::new(),
            mend: "report this; nothing else was affected".to_owned(),
            open_ended: false,
        })
    }

    /// One page of a target's artifacts. A target kind that has none gives an empty last page.
    async fn artifacts(&self, target: &Target, cursor: Option<&Cursor>) -> Page<Listed>;

    /// Opens an artifact of this target. The error is the gap it leaves.
    async fn fetch(&self, target: &Target, artifact: &Artifact) -> Result<Body, Gap>;

    /// Where blobs stand in a repository's history. Asked only for those in which something was found.
    async fn place(&self, _target: &Target, _artifacts: &[ArtifactId]) -> (BTreeMap<ArtifactId, Vec<Placement>>, Vec<Gap>) {
        (BTreeMap::new(), Vec::new())
    }
}
