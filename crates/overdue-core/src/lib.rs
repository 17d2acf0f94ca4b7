//! The nouns of an audit, and pure verbs over them.
//!
//! Everything here is data and functions of data: no IO, no async, no clock (`now` is an argument), no SQL, no
//! serialised border, no vendor quirk. A dashboard, a letter, an export and a gate all ask [`assess`], so they
//! cannot disagree.
//!
//! Read in this order: [`Credential`] (what an organisation handed out), [`Artifact`] and [`Detection`] (where a
//! secret lies), [`Target`] and [`Gap`] (what was looked at, and what could not be), [`Inventory`] (all of it),
//! [`assess`] (what it means), [`compose`] and [`plan_notices`] (who is told).

mod artifact;
mod assess;
mod credential;
mod detection;
mod gap;
mod inventory;
mod job;
mod join;
mod letter;
mod owner;
mod policy;
mod provider;
mod target;
mod verdict;

pub use artifact::{Artifact, ArtifactId, ArtifactKind, ContentKey, Placement};
pub use assess::{Assessment, Finding, Judged, Staleness, Subject, assess};
pub use credential::{Credential, CredentialId, CredentialKind, Evidence, IssuedAt, LastUsed, Principal, Status, UsedBy, ValueRead};
pub use detection::{Confidence, Detection, Fingerprint, RuleFacts, RuleId};
pub use gap::{Gap, GapReason};
pub use inventory::{Coverage, Exposure, Inventory, MissedRun, TargetCount};
pub use job::{
    Audit, AwsAccounts, AwsAudit, AwsRead, Delivery, FunctionsSpec, Job, Letters, MachineAudit, MachineRead, ObjectsSpec, Period, Regions,
    RoleSpec, Schedule, SmtpServer, TlsMode,
};
pub use join::{Join, aws_account_of_key_id, join};
pub use letter::{Letter, LetterKind, Notice, compose, plan_notices};
pub use owner::{Owner, OwnerClaim, OwnerSource, OwnersConfig, OwnersRule, ResourceFacts, owner_of};
pub use policy::{Exemption, Policy};
pub use provider::{Account, AccountId, Contact, Cursor, Page, ProviderKind, Region, UnknownName};
pub use target::{Target, TargetCounts, TargetId, TargetKind, TargetState};
pub use verdict::{Code, Severity, Verdict};

/// The end of a number of whole days, as people write it: `1 day`, `12 days`.
pub fn days_text(days: i64) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}
