//! Targets: the units of a run's ledger.

use std::fmt;

use crate::{AccountId, GapReason, ProviderKind, Region};

/// What is read in one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetKind {
    /// Users and their credentials of an AWS account.
    Iam,
    /// Functions with their code, layers and environment, in one region.
    Functions,
    /// The buckets of an account: the listing itself. Each chosen bucket becomes an [`TargetKind::Objects`] target.
    Buckets,
    /// The objects of one bucket.
    Objects,
    /// Secrets Manager secrets, in one region.
    Secrets,
    /// SSM parameters, in one region.
    Parameters,
    /// Which accounts and regions there are.
    Discovery,
    /// One git repository.
    Repository,
    /// Files under one path.
    Files,
    /// Well-known credential files.
    CredentialFiles,
    /// Environment variables.
    Environment,
}

impl TargetKind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Iam,
        Self::Functions,
        Self::Buckets,
        Self::Objects,
        Self::Secrets,
        Self::Parameters,
        Self::Discovery,
        Self::Repository,
        Self::Files,
        Self::CredentialFiles,
        Self::Environment,
    ];
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Functions => "functions",
            Self::Buckets => "buckets",
            Self::Objects => "objects",
            Self::Secrets => "secrets",
            Self::Parameters => "parameters",
            Self::Discovery => "discovery",
            Self::Repository => "repository",
            Self::Files => "files",
            Self::CredentialFiles => "credential-files",
            Self::Environment => "environment",
        }
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for TargetKind {
    type Err = crate::provider::UnknownName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| crate::provider::UnknownName { what: "target kind", name: text.to_owned() })
    }
}

/// Names a target the same way in every run: `aws/111111111111/eu-west-1/functions` or, with a name,
/// `machine/host/-/repository//srv/repo`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(String);

impl TargetId {
    /// Wraps a key read from the store.
    pub fn from_key(key: impl Into<String>) -> Self {
        Self(key.into())
    }
    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A unit of work: provider × account × region × kind, with a name where one kind has several.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// Through which provider.
    pub provider: ProviderKind,
    /// In which account.
    pub account: AccountId,
    /// In which region, where it has one.
    pub region: Option<Region>,
    /// What is read.
    pub kind: TargetKind,
    /// Bucket name or path, empty where the kind needs none.
    pub name: String,
}

impl Target {
    /// The ledger's key.
    pub fn id(&self) -> TargetId {
        let region = self.region.as_ref().map_or("-", Region::as_str);
        let mut key = format!("{}/{}/{region}/{}", self.provider, self.account, self.kind);
        if !self.name.is_empty() {
            key.push('/');
            key.push_str(&self.name);
        }
        TargetId(key)
    }
}

/// How a target stands. Every target begins as `Listed` and must leave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// In the ledger, not yet looked at.
    Listed,
    /// Looked at to the end; single artifacts may still have gaps of their own.
    Scanned,
    /// Left out on purpose, and why.
    Skipped {
        /// In words.
        why: String,
    },
    /// Its listing broke off, and why.
    Failed {
        /// In short.
        reason: GapReason,
        /// In words.
        why: String,
    },
}

impl TargetState {
    /// The stable name.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Scanned => "scanned",
            Self::Skipped { .. } => "skipped",
            Self::Failed { .. } => "failed",
        }
    }
}

/// What a target held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetCounts {
    /// Credentials seen.
    pub credentials: u64,
    /// Artifacts listed.
    pub artifacts: u64,
    /// Of them, read and scanned now.
    pub scanned: u64,
    /// Of them, not read again since they did not change.
    pub unchanged: u64,
    /// Of them, with a gap.
    pub gaps: u64,
    /// Bytes fetched.
    pub bytes: u64,
}

impl std::ops::AddAssign for TargetCounts {
    fn add_assign(&mut self, other: Self) {
        self.credentials += other.credentials;
        self.artifacts += other.artifacts;
        self.scanned += other.scanned;
        self.unchanged += other.unchanged;
        self.gaps += other.gaps;
        self.bytes += other.bytes;
    }
}
