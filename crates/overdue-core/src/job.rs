//! A checked job. One that exists may be run: `crates/overdue` reads the file, complains about everything at once, and
//! only then makes one of these.

use std::collections::BTreeSet;
use std::path::PathBuf;

use globset::GlobSet;
use jiff::SignedDuration;

use crate::{AccountId, OwnersConfig, Policy, Region};

/// One job, ready to run.
#[derive(Clone, Debug)]
pub struct Job {
    /// Unique name; the store files runs and letters under it.
    pub name: String,
    /// When it is due; `None`: only when asked.
    pub schedule: Option<Schedule>,
    /// A run longer than this ends as partial, and what is left is named.
    pub deadline: SignedDuration,
    /// A missed occurrence up to this old is run once; older ones are counted.
    pub catch_up: SignedDuration,
    /// What to look at.
    pub audits: Vec<Audit>,
    /// What counts as due.
    pub policy: Policy,
    /// Who owns what.
    pub owners: OwnersConfig,
    /// Who is told.
    pub letters: Letters,
}

/// A cron line in a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Five fields.
    pub cron: String,
    /// IANA name of the zone the fields are read in.
    pub timezone: String,
}

/// One provider's share of a job.
#[derive(Clone, Debug)]
pub enum Audit {
    /// AWS.
    Aws(Box<AwsAudit>),
    /// This machine.
    Machine(MachineAudit),
}

/// What to read on AWS.
#[derive(Clone, Debug)]
pub struct AwsAudit {
    /// Which accounts.
    pub accounts: AwsAccounts,
    /// The role to assume in each; `None`: the ambient credentials themselves (their own account only).
    pub role: Option<RoleSpec>,
    /// Which regions.
    pub regions: Regions,
    /// What to read.
    pub read: BTreeSet<AwsRead>,
    /// Which objects.
    pub objects: ObjectsSpec,
    /// Which function versions.
    pub functions: FunctionsSpec,
}

/// Which accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AwsAccounts {
    /// The one the ambient credentials belong to.
    Ambient,
    /// These.
    Ids(Vec<AccountId>),
    /// Every active account of the organization, the management account too.
    Organization,
}

/// How to become the auditor in another account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleSpec {
    /// Role name, the same in every account.
    pub name: String,
    /// External id the role's trust policy asks for.
    pub external_id: Option<String>,
    /// Session name, seen in CloudTrail.
    pub session_name: String,
}

/// Which regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Regions {
    /// Every region the account has enabled.
    Enabled,
    /// These.
    Named(Vec<Region>),
}

/// What can be read on AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AwsRead {
    /// Users and their credentials.
    Iam,
    /// Lambda functions.
    Functions,
    /// S3 objects.
    Objects,
    /// Secrets Manager secrets and SSM parameters, metadata only.
    Secrets,
    /// Their values too, to be fingerprinted and forgotten. Only where a job asks for it by name.
    SecretValues,
}

impl AwsRead {
    /// Everything there is.
    pub const ALL: [Self; 5] = [Self::Iam, Self::Functions, Self::Objects, Self::Secrets, Self::SecretValues];
    /// What is read where a job names nothing: all that metadata and artifacts tell, and no stored value.
    pub const DEFAULT: [Self; 4] = [Self::Iam, Self::Functions, Self::Objects, Self::Secrets];
    /// The name used in job files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Functions => "functions",
            Self::Objects => "objects",
            Self::Secrets => "secrets",
            Self::SecretValues => "secret-values",
        }
    }
}

/// Which objects of object storage are read.
#[derive(Clone, Debug)]
pub struct ObjectsSpec {
    /// Globs over `s3://bucket/key`.
    pub include: GlobSet,
    /// The same as they were written, so that a provider can leave out what cannot match.
    pub include_text: Vec<String>,
    /// Globs that win over `include`.
    pub exclude: GlobSet,
    /// Larger objects are a gap.
    pub size_bytes_max: u64,
    /// At most this many bytes are fetched from one bucket in one run; what is left is a gap.
    pub bucket_bytes_max: u64,
    /// Whether old versions are read too.
    pub versions: bool,
}

/// Which function versions are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionsSpec {
    /// Newest first, at most this many of each function; older ones are a named gap.
    pub versions_max: u32,
}

/// What to read on this machine.
#[derive(Clone, Debug)]
pub struct MachineAudit {
    /// Folders and files; repositories under them are found.
    pub paths: Vec<PathBuf>,
    /// What to read.
    pub read: BTreeSet<MachineRead>,
}

/// What can be read on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MachineRead {
    /// Git history.
    Git,
    /// Files.
    Files,
    /// This process's environment.
    Environment,
    /// Well-known credential files.
    CredentialFiles,
}

impl MachineRead {
    /// Everything.
    pub const ALL: [Self; 4] = [Self::Git, Self::Files, Self::Environment, Self::CredentialFiles];
    /// The name used in job files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Files => "files",
            Self::Environment => "environment",
            Self::CredentialFiles => "credential-files",
        }
    }
}

/// Who is told, how, how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letters {
    /// Folder under `templates/`.
    pub template: String,
    /// Where letters go.
    pub delivery: Delivery,
    /// Sender address.
    pub from: String,
    /// The security team's address: coverage, and what has no owner.
    pub security: Option<String>,
    /// One letter per owner in each.
    pub period: Period,
    /// Zone in which a period turns over.
    pub timezone: String,
    /// Where the letters of a dry run go instead of a mail server.
    pub dry_run_folder: PathBuf,
}

/// Where letters go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Nobody is written to: reports only.
    None,
    /// One `.eml` file each, in this folder.
    Outbox {
        /// The folder.
        folder: PathBuf,
    },
    /// A mail server.
    Smtp(SmtpServer),
}

/// A mail server. The password is not here: it is read from a file or the environment when sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpServer {
    /// Host name, also checked in its certificate.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How the connection is secured.
    pub tls: TlsMode,
    /// User to authenticate as; `None`: no AUTH.
    pub user: Option<String>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
    /// Environment variable that holds the password.
    pub password_env: Option<String>,
    /// A PEM file with a certificate authority to trust besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// How the connection to a mail server is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Plain first, then STARTTLS; refused when the server does not offer it.
    StartTls,
    /// TLS from the first byte.
    Implicit,
    /// No TLS at all; only for a relay on this machine.
    None,
}

/// How often an owner may be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Once a day.
    Daily,
    /// Once in an ISO week.
    Weekly,
    /// Once a month.
    Monthly,
}

impl Period {
    /// Every period.
    pub const ALL: [Self; 3] = [Self::Daily, Self::Weekly, Self::Monthly];
    /// The name used in job files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
        }
    }
    /// The period a day falls in: `2026-11-24`, `2026-W48`, `2026-11`.
    pub fn key(self, day: jiff::civil::Date) -> String {
        match self {
            Self::Daily => day.to_string(),
            Self::Weekly => {
                let week = day.iso_week_date();
                format!("{:04}-W{:02}", week.year(), week.week())
            }
            Self::Monthly => format!("{:04}-{:02}", day.year(), day.month()),
        }
    }
}
