//! Gaps: what a run could not see, and why.

use std::fmt;

use crate::TargetId;

/// Why something was not seen. A closed set, so that reports can count by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GapReason {
    /// The provider refused: the detail names the permission.
    Denied,
    /// The provider kept answering "too many requests" until the budget was spent.
    Throttled,
    /// No, expired or wrong credentials of our own.
    Unauthenticated,
    /// It was listed, then gone before it was read.
    Vanished,
    /// Fewer or other bytes came than the provider declared.
    Truncated,
    /// A listing gave the same page token twice, or an otherwise broken page.
    BrokenListing,
    /// An answer that could not be understood, or a fault of the provider's (5xx).
    ProviderFault,
    /// No connection, a time-out, a TLS failure.
    Unreachable,
    /// Larger than a named limit.
    TooLarge,
    /// Nested deeper than a named limit.
    TooDeep,
    /// More parts than a named limit.
    TooMany,
    /// Encrypted with a key we do not have.
    Encrypted,
    /// In cold storage, needs a restore first.
    Archived,
    /// The bytes are broken: a damaged archive, a half-cloned repository.
    Corrupt,
    /// A form we do not read, such as a sha-256 repository.
    Unsupported,
    /// The run's deadline passed first.
    Deadline,
    /// A path of the job that is not there.
    Missing,
    /// The program itself failed on this; the rest went on.
    Internal,
}

impl GapReason {
    /// Every reason.
    pub const ALL: [Self; 18] = [
        Self::Denied,
        Self::Throttled,
        Self::Unauthenticated,
        Self::Vanished,
        Self::Truncated,
        Self::BrokenListing,
        Self::ProviderFault,
        Self::Unreachable,
        Self::TooLarge,
        Self::TooDeep,
        Self::TooMany,
        Self::Encrypted,
        Self::Archived,
        Self::Corrupt,
        Self::Unsupported,
        Self::Deadline,
        Self::Missing,
        Self::Internal,
    ];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Throttled => "throttled",
            Self::Unauthenticated => "unauthenticated",
            Self::Vanished => "vanished",
            Self::Truncated => "truncated",
            Self::BrokenListing => "broken-listing",
            Self::ProviderFault => "provider-fault",
            Self::Unreachable => "unreachable",
            Self::TooLarge => "too-large",
            Self::TooDeep => "too-deep",
            Self::TooMany => "too-many",
            Self::Encrypted => "encrypted",
            Self::Archived => "archived",
            Self::Corrupt => "corrupt",
            Self::Unsupported => "unsupported",
            Self::Deadline => "deadline",
            Self::Missing => "missing",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for GapReason {
    type Err = crate::provider::UnknownName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or_else(|| crate::provider::UnknownName { what: "gap reason", name: text.to_owned() })
    }
}

/// One thing a run could not see.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gap {
    /// The unit of the ledger it belongs to.
    pub target: TargetId,
    /// What was not seen: an artifact, a user, a page of a listing; in words that name it.
    pub subject: String,
    /// Why.
    pub reason: GapReason,
    /// The particulars: the provider's message, the limit and its value. Never a secret.
    pub detail: String,
    /// The permission that would have allowed it, `iam:ListAccessKeys`; empty unless denied.
    pub permission: String,
    /// What a person can do about it, one sentence.
    pub mend: String,
    /// True when the gap hides how much was not seen (a listing that broke off), false when it is one counted thing.
    pub open_ended: bool,
}
