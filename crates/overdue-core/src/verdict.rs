//! Verdict codes. Stable for ever: people filter mail on them, so a code may retire but is never renamed.

use std::fmt;

/// What is the matter with a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// A live credential found where it should not be.
    Exposed,
    /// A secret found that is in no inventory we read.
    ExposedUnknown,
    /// Older than its rotation limit.
    RotationOverdue,
    /// Will be older than its rotation limit soon.
    RotationDueSoon,
    /// Active, used once, not used for longer than allowed.
    Unused,
    /// Active and not used since it was made.
    NeverUsed,
    /// Dead, but still lying in code.
    ExpiredInPlace,
    /// One secret in several places.
    Shared,
    /// An old version that is still callable carries it.
    StaleVersion,
    /// Nobody could be found who owns it.
    Ownerless,
    /// Part of what was to be read could not be.
    CoverageGap,
    /// A due run did not happen in time.
    MissedRun,
    /// An exemption that matched nothing, or has ended.
    ExemptionUnused,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 13] = [
        Self::Exposed,
        Self::ExposedUnknown,
        Self::RotationOverdue,
        Self::RotationDueSoon,
        Self::Unused,
        Self::NeverUsed,
        Self::ExpiredInPlace,
        Self::Shared,
        Self::StaleVersion,
        Self::Ownerless,
        Self::CoverageGap,
        Self::MissedRun,
        Self::ExemptionUnused,
    ];

    /// The stable code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exposed => "exposed",
            Self::ExposedUnknown => "exposed-unknown",
            Self::RotationOverdue => "rotation-overdue",
            Self::RotationDueSoon => "rotation-due-soon",
            Self::Unused => "unused",
            Self::NeverUsed => "never-used",
            Self::ExpiredInPlace => "expired-in-place",
            Self::Shared => "shared",
            Self::StaleVersion => "stale-version",
            Self::Ownerless => "ownerless",
            Self::CoverageGap => "coverage-gap",
            Self::MissedRun => "missed-run",
            Self::ExemptionUnused => "exemption-unused",
        }
    }

    /// One plain sentence.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Exposed => "A live credential lies where it should not be",
            Self::ExposedUnknown => "A secret was found that is in no inventory we read",
            Self::RotationOverdue => "Older than its rotation limit",
            Self::RotationDueSoon => "Reaches its rotation limit soon",
            Self::Unused => "Active, but not used for longer than allowed",
            Self::NeverUsed => "Active, but not used since it was made",
            Self::ExpiredInPlace => "Dead, but still lying in code",
            Self::Shared => "The same secret lies in several places",
            Self::StaleVersion => "An old version that is still there carries it",
            Self::Ownerless => "Nobody could be found who owns it",
            Self::CoverageGap => "Part of what was to be read could not be",
            Self::MissedRun => "A due run did not happen in time",
            Self::ExemptionUnused => "An exemption matched nothing, or has ended; delete it or fix its id",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How soon a person should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// For the record.
    Low,
    /// This month.
    Medium,
    /// This week.
    High,
    /// Today.
    Critical,
}

impl Severity {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// One thing that is the matter, with its number of days and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What.
    pub code: Code,
    /// Days over the limit (overdue), to the limit (due soon) or without use; 0 where days mean nothing.
    pub days: i64,
    /// The sentence, without a final full stop.
    pub text: String,
}
