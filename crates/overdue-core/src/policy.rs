//! What counts as old, unused and due: the job's policy, already checked.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::CredentialKind;

/// Limits in whole days, and accepted risks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Days after which a credential must be rotated, unless its kind has its own.
    pub rotate_after_days: i64,
    /// The same for single kinds.
    pub rotate_after_days_by_kind: BTreeMap<CredentialKind, i64>,
    /// Days without use after which an active credential is unused; also the grace in which a new one may stay unused.
    pub unused_after_days: i64,
    /// Days before the due date at which a credential is due soon.
    pub due_soon_days: i64,
    /// Accepted risks.
    pub exemptions: Vec<Exemption>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            rotate_after_days: 90,
            rotate_after_days_by_kind: BTreeMap::new(),
            unused_after_days: 45,
            due_soon_days: 14,
            exemptions: Vec::new(),
        }
    }
}

impl Policy {
    /// The rotation limit of a kind, in days.
    pub fn rotate_after(&self, kind: CredentialKind) -> i64 {
        self.rotate_after_days_by_kind.get(&kind).copied().unwrap_or(self.rotate_after_days)
    }
}

/// An accepted risk: one credential, a reason, an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemption {
    /// The credential's public id, or a finding's fingerprint.
    pub credential: String,
    /// Why the risk is accepted.
    pub reason: String,
    /// The moment it ends.
    pub until: Timestamp,
}
