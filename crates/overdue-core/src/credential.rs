//! Credentials: long-lived authenticators, known by metadata only.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use crate::provider::UnknownName;
use crate::{AccountId, Fingerprint, ProviderKind, Region};

/// What sort of credential it is. Names are stable for ever: policies and mail filters use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CredentialKind {
    /// An IAM user's access key pair, known by its `AKIA…` id.
    AwsIamAccessKey,
    /// An access key of the account's root user.
    AwsRootAccessKey,
    /// A console password.
    AwsConsolePassword,
    /// A user's credential for one service: CodeCommit HTTPS, Keyspaces, Bedrock and CloudWatch Logs API keys.
    AwsServiceSpecificCredential,
    /// A user's SSH public key for CodeCommit.
    AwsIamSshKey,
    /// A user's X.509 signing certificate.
    AwsSigningCertificate,
    /// A Secrets Manager secret.
    AwsSecret,
    /// An SSM parameter of type SecureString.
    AwsSsmSecureString,
}

impl CredentialKind {
    /// Every kind, in the order reports use.
    pub const ALL: [Self; 8] = [
        Self::AwsRootAccessKey,
        Self::AwsIamAccessKey,
        Self::AwsConsolePassword,
        Self::AwsServiceSpecificCredential,
        Self::AwsIamSshKey,
        Self::AwsSigningCertificate,
        Self::AwsSecret,
        Self::AwsSsmSecureString,
    ];

    /// The stable name, `<provider>.<kind>`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwsIamAccessKey => "aws.iam-access-key",
            Self::AwsRootAccessKey => "aws.root-access-key",
            Self::AwsConsolePassword => "aws.console-password",
            Self::AwsServiceSpecificCredential => "aws.service-specific-credential",
            Self::AwsIamSshKey => "aws.iam-ssh-key",
            Self::AwsSigningCertificate => "aws.signing-certificate",
            Self::AwsSecret => "aws.secret",
            Self::AwsSsmSecureString => "aws.ssm-secure-string",
        }
    }

    /// What a person calls it, to stand in the middle of a sentence.
    pub const fn title(self) -> &'static str {
        match self {
            Self::AwsIamAccessKey => "IAM access key",
            Self::AwsRootAccessKey => "root access key",
            Self::AwsConsolePassword => "console password",
            Self::AwsServiceSpecificCredential => "service-specific credential",
            Self::AwsIamSshKey => "IAM SSH public key",
            Self::AwsSigningCertificate => "signing certificate",
            Self::AwsSecret => "Secrets Manager secret",
            Self::AwsSsmSecureString => "SSM SecureString parameter",
        }
    }

    /// The provider that hands it out.
    pub const fn provider(self) -> ProviderKind {
        ProviderKind::Aws
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CredentialKind {
    type Err = UnknownName;
    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownName { what: "credential kind", name: text.to_owned() })
    }
}

/// Names one credential for ever: provider, account, kind and the provider's own public id.
///
/// The public id is the join key: it may be printed, and a found token that names it is this credential.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId {
    /// Account that holds it.
    pub account: AccountId,
    /// What sort it is; also tells the provider.
    pub kind: CredentialKind,
    /// `AKIA…` for access keys, an ARN for secrets, `user/<name>` for a password.
    pub public_id: String,
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.kind, self.public_id)
    }
}

/// Whom a credential speaks as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The provider's own full name, an ARN on AWS.
    pub arn: String,
    /// The short name people use.
    pub name: String,
}

/// Whether it can be used at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It works.
    Active,
    /// Switched off, but still there: someone could switch it on again.
    Inactive,
}

/// Which call told a date, and how old that knowledge may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The call, in the provider's words: `iam:GetCredentialReport`.
    pub source: String,
    /// How far behind the truth the source may be.
    pub lag: SignedDuration,
}

/// When the present value began. Rotation moves it; the day the slot was made does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuedAt {
    /// The provider tells.
    At {
        /// When.
        at: Timestamp,
        /// Who says so.
        evidence: Evidence,
    },
    /// The provider gives no date: aged from the day we first saw it, so it is at least this old.
    FirstSeen {
        /// When we first saw it. The store fills it in; a provider writes [`IssuedAt::Untold`].
        at: Timestamp,
    },
    /// The provider gives no date, and the store has not yet put in our own first sight.
    Untold,
}

impl IssuedAt {
    /// The moment age counts from.
    pub fn at(&self) -> Option<Timestamp> {
        match self {
            Self::At { at, .. } | Self::FirstSeen { at } => Some(*at),
            Self::Untold => None,
        }
    }
}

/// When it was last used. The unknown is a value: `Untracked` cannot be mistaken for "never used".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastUsed {
    /// Used at this moment, or up to the evidence's lag after it.
    At {
        /// When.
        at: Timestamp,
        /// By what, where the provider tells.
        by: Option<UsedBy>,
        /// Who says so.
        evidence: Evidence,
    },
    /// Not used since `since`, which is the later of its issue and the start of the provider's tracking.
    NeverSince {
        /// Start of the watch.
        since: Timestamp,
        /// Who says so.
        evidence: Evidence,
    },
    /// The provider keeps no last use for this kind.
    Untracked,
    /// The provider keeps it, but it could not be read.
    Unreadable {
        /// Why, in words.
        why: String,
    },
}

/// What used a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedBy {
    /// Service short name, `s3`.
    pub service: String,
    /// Region of the use, where told.
    pub region: Option<Region>,
}

/// What is kept of a stored secret's value that a job allows to be read: fingerprints, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueRead {
    /// When it was read. Providers count this as a use.
    pub at: Timestamp,
    /// Of the whole value and of each secret in it. A detection with one of them is this credential.
    pub fingerprints: Vec<Fingerprint>,
}

/// One credential, by its metadata. It never holds the confidential bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its name for ever.
    pub id: CredentialId,
    /// Region it lives in; `None` for global kinds.
    pub region: Option<Region>,
    /// What people call it: a secret's name, a key's user.
    pub name: String,
    /// Whom it speaks as.
    pub principal: Principal,
    /// Whether it works.
    pub status: Status,
    /// When the present value began.
    pub issued_at: IssuedAt,
    /// When it was last used.
    pub last_used: LastUsed,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// Tags of the credential and of its principal (the credential's own win). Hints of the owner.
    pub tags: BTreeMap<String, String>,
    /// Short facts a person wants to see, in words, such as `service: codecommit.amazonaws.com`.
    pub notes: Vec<String>,
    /// What reading its value gave; `None` where it was not read, which is the rule.
    pub value: Option<ValueRead>,
}

impl Credential {
    /// Whole days since the present value began; `None` where nothing tells. Never negative.
    pub fn age_days(&self, now: Timestamp) -> Option<i64> {
        self.issued_at.at().map(|at| whole_days(at, now))
    }
}

/// Whole 24-hour days from `from` to `to`, 0 when `to` is earlier.
pub(crate) fn whole_days(from: Timestamp, to: Timestamp) -> i64 {
    (to.duration_since(from).as_secs() / 86_400).max(0)
}
