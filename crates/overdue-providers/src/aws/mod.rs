//! AWS, read-only: accounts and regions, IAM and stored credentials, functions and objects.
//!
//! Callers may rely on three things. What cannot be seen becomes a [`Gap`] that names its permission and its mend; nothing
//! is dropped in silence. What is asked is what [`PERMISSIONS`] lists, since every call names its permission there. And a
//! secret is never asked for where metadata is enough: the value of a secret or parameter is read only by a job that names
//! `secret-values`, and like environment variables it goes to the scanner and nowhere else.
//!
//! A listing is made in as few calls as AWS allows. IAM tells most of an account in four (the credential report and the
//! authorization details), and the rest is one call for each user who holds a key.
//!
//! Rooms: `connect` and `session` (who we are, here and in other accounts), `discovery` (what there is), `iam` with one file
//! for each kind of credential, `secrets`, `parameters` and `values`, `functions`, `layers` and `download`, `objects`; and below them
//! `permissions`, `errors`, `paging`, `signed`, `busy`, `calls`.

mod access_keys;
mod busy;
mod calls;
mod certificate;
mod connect;
mod console_passwords;
mod credential_report;
mod discovery;
mod download;
mod errors;
mod functions;
mod iam;
mod layers;
mod objects;
mod paging;
mod parameters;
mod permissions;
mod policies;
mod root;
mod secrets;
mod service_specific;
mod session;
mod signed;
mod signing_certificates;
mod ssh_keys;
mod stream;
#[cfg(test)]
mod stub;
mod tags;
mod values;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use overdue_core::{
    AccountId, Artifact, ArtifactKind, AwsAudit, AwsRead, Credential, Cursor, Gap, GapReason, Page, ProviderKind, Target, TargetId,
    TargetKind,
};
use tokio::sync::OnceCell;

pub use connect::{AwsConnectError, AwsOptions, CREDENTIAL_VARIABLES};
pub use permissions::{Holder, Need, PERMISSIONS, Permission, hub_policy_json, policy_json, values_policy_json};

use crate::{Body, Discovery, Listed, Provider};
use calls::Calls;
use errors::{Refusal, mend_of};
use session::Session;

/// AWS, as one audit of a job sees it.
pub struct Aws {
    hub: Hub,
}

impl Aws {
    /// Finds the ambient credentials and asks AWS whose they are.
    ///
    /// `now` dates the audit: it tells a fresh credential report from an old one.
    pub async fn connect(audit: AwsAudit, now: Timestamp, options: AwsOptions) -> Result<Self, AwsConnectError> {
        let calls = Calls::default();
        let ambient = Arc::new(connect::ambient(&options, &calls).await?);
        Ok(Self {
            hub: Hub {
                audit,
                now,
                begun: Instant::now(),
                calls,
                ambient,
                sessions: Mutex::default(),
                remarks: Mutex::default(),
                sweeps: Shelf::default(),
                functions: Shelf::default(),
                objects: Shelf::default(),
            },
        })
    }

    /// The account of the ambient credentials.
    pub fn account(&self) -> &AccountId {
        &self.hub.ambient.account
    }

    /// Calls so far by `service:Operation`, and `downloads`, `bytes:downloads`, `bytes:objects`.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.hub.calls.all()
    }

    /// Facts learned so far that a person should be told and that are no gaps. Those that discovery learned stand in its
    /// [`Discovery::remarks`] too; listings add theirs as they go.
    pub fn remarks(&self) -> Vec<String> {
        self.hub.remarks.lock().map(|remarks| remarks.clone()).unwrap_or_default()
    }
}

/// An account's session, or why it has none.
type Entry = OnceCell<Result<Arc<Session>, Refusal>>;

/// What all rooms share.
struct Hub {
    audit: AwsAudit,
    now: Timestamp,
    begun: Instant,
    calls: Calls,
    ambient: Arc<Session>,
    sessions: Mutex<BTreeMap<AccountId, Arc<Entry>>>,
    remarks: Mutex<Vec<String>>,
    sweeps: Shelf<iam::Sweep>,
    functions: Shelf<functions::Listing>,
    objects: Shelf<objects::Bucket>,
}

impl Hub {
    /// The audit's `now`, moved on by the time since.
    fn now(&self) -> Timestamp {
        SignedDuration::try_from(self.begun.elapsed()).ok().and_then(|passed| self.now.checked_add(passed).ok()).unwrap_or(self.now)
    }

    /// The session of an account; its role is assumed the first time.
    async fn session(&self, account: &AccountId) -> Result<Arc<Session>, Refusal> {
        let cell = match self.sessions.lock() {
            Ok(mut sessions) => sessions.entry(account.clone()).or_default().clone(),
            Err(_) => return Err(Refusal::new(GapReason::Internal, "sessions are lost", mend_of(GapReason::Internal))),
        };
        cell.get_or_init(|| self.enter(account)).await.clone()
    }

    async fn enter(&self, account: &AccountId) -> Result<Arc<Session>, Refusal> {
        let own = *account == self.ambient.account;
        let Some(role) = &self.audit.role else {
            if own {
                return Ok(self.ambient.clone());
            }
            let detail =
                format!("the credentials here belong to account {}, and the job names no role for {account}", self.ambient.account);
            return Err(Refusal::new(
                GapReason::Unauthenticated,
                detail,
                "Name the role to assume in the job, or use that account's credentials",
            ));
        };
        let wire = match self.ambient.become_role(account, role).await {
            Ok(wire) => wire,
            Err(refusal) if own => {
                self.remark(format!("account {account}: read with the ambient credentials, since {}", refusal.detail));
                return Ok(self.ambient.clone());
            }
            Err(refusal) => return Err(refusal),
        };
        let session = Session::new(account.clone(), self.ambient.partition, wire);
        let (seen, arn) = session.identity().await?;
        if seen != *account {
            let detail = format!("the role of account {account} turned out to belong to account {seen} ({arn})");
            return Err(Refusal::new(
                GapReason::Unauthenticated,
                detail,
                "Check the endpoint settings (AWS_ENDPOINT_URL…) of this machine",
            ));
        }
        Ok(Arc::new(session))
    }

    fn remark(&self, text: String) {
        tracing::info!(remark = %text, "aws");
        if let Ok(mut remarks) = self.remarks.lock() {
            remarks.push(text);
        }
    }

    /// The session of a target's account, or the gap that its whole account is.
    async fn session_of(&self, target: &Target) -> Result<Arc<Session>, Gap> {
        self.session(&target.account).await.map_err(|refusal| refusal.open_gap(target, format!("account {}", target.account)))
    }

    async fn credentials_of(&self, target: &Target, cursor: Option<&Cursor>) -> Result<Page<Credential>, Gap> {
        match target.kind {
            TargetKind::Iam => Ok(iam::page(self, &*self.session_of(target).await?, target, cursor).await),
            TargetKind::Secrets => Ok(secrets::list(&*self.session_of(target).await?, target).await),
            TargetKind::Parameters => Ok(parameters::list(&*self.session_of(target).await?, target).await),
            _ => Ok(Page::default()),
        }
    }

    async fn artifacts_of(&self, target: &Target, cursor: Option<&Cursor>) -> Result<Page<Listed>, Gap> {
        match target.kind {
            TargetKind::Functions => Ok(functions::page(self, &*self.session_of(target).await?, target, cursor).await),
            TargetKind::Objects => Ok(objects::page(self, &*self.session_of(target).await?, target, cursor).await),
            _ => Ok(Page::default()),
        }
    }

    async fn fetch(&self, target: &Target, artifact: &Artifact) -> Result<Body, Gap> {
        let name = &artifact.id.name;
        let session = self.session(&target.account).await.map_err(|refusal| refusal.gap(target, name))?;
        match artifact.kind {
            ArtifactKind::FunctionCode => functions::fetch(&session, target, artifact).await,
            ArtifactKind::FunctionLayer => layers::fetch(&session, target, artifact).await,
            ArtifactKind::Object => objects::fetch(self, &session, target, artifact).await,
            _ => {
                let detail = format!("{} is not fetched from AWS", artifact.kind.as_str());
                Err(Refusal::new(GapReason::Internal, detail, mend_of(GapReason::Internal)).gap(target, name))
            }
        }
    }
}

/// What a listing keeps between its pages, by target. A page whose listing is not here any more begins it anew.
struct Shelf<T>(Mutex<BTreeMap<TargetId, Arc<T>>>);

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Shelf<T> {
    fn get(&self, target: &Target) -> Option<Arc<T>> {
        self.0.lock().ok().and_then(|shelf| shelf.get(&target.id()).cloned())
    }
    fn put(&self, target: &Target, item: T) -> Arc<T> {
        let item = Arc::new(item);
        if let Ok(mut shelf) = self.0.lock() {
            shelf.insert(target.id(), item.clone());
        }
        item
    }
    fn clear(&self, target: &Target) {
        if let Ok(mut shelf) = self.0.lock() {
            shelf.remove(&target.id());
        }
    }
}

#[async_trait]
impl Provider for Aws {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Aws
    }
    async fn discover(&self) -> Discovery {
        discovery::discover(&self.hub).await
    }
    async fn credentials(&self, target: &Target, cursor: Option<&Cursor>) -> Page<Credential> {
        self.hub.credentials_of(target, cursor).await.unwrap_or_else(Page::gap)
    }
    fn reads_values(&self, target: &Target) -> bool {
        self.hub.audit.read.contains(&AwsRead::SecretValues) && matches!(target.kind, TargetKind::Secrets | TargetKind::Parameters)
    }
    async fn value(&self, target: &Target, credential: &Credential) -> Result<Body, Gap> {
        values::fetch(&self.hub, target, credential).await
    }
    async fn artifacts(&self, target: &Target, cursor: Option<&Cursor>) -> Page<Listed> {
        self.hub.artifacts_of(target, cursor).await.unwrap_or_else(Page::gap)
    }
    async fn fetch(&self, target: &Target, artifact: &Artifact) -> Result<Body, Gap> {
        self.hub.fetch(target, artifact).await
    }
}

/// A time as AWS's SDK holds it.
fn timestamp(time: &aws_smithy_types::DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}
