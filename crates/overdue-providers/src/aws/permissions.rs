//! What the audit asks of AWS, and why: the whole list, and the policies made from it.
//!
//! Every call names its permission by a constant of this file when it is made, and a refusal carries that name into its
//! gap. So the published policy is what the code calls, no more and no less; a test reads the sources to hold them to it.

use serde_json::{Value, json};

/// Leave to make one sort of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// As IAM spells it, `iam:ListAccessKeys`.
    pub action: &'static str,
    /// What it is needed for, one sentence without its full stop.
    pub why: &'static str,
    /// To whom it must be given.
    pub holder: Holder,
    /// When it is used.
    pub need: Need,
    /// The calls it allows, as [`super::Aws::calls`] names them.
    pub calls: &'static [&'static str],
}

/// Who needs a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The audit role in every account that is read.
    Account,
    /// Whoever starts the audit of an organization: our own identity in the hub.
    Hub,
    /// Nobody: AWS always allows it, so it stands in no policy.
    Anybody,
}

/// When a permission is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// In every audit that reads this sort of thing.
    Always,
    /// Only when something better could not be had, or for a case that is rare.
    Fallback,
    /// Only when the job asks for it.
    Option,
    /// Only when the job reads the values of stored secrets. It stands in a policy of its own.
    SecretValues,
}

const fn account(action: &'static str, calls: &'static [&'static str], why: &'static str) -> Permission {
    Permission { action, why, holder: Holder::Account, need: Need::Always, calls }
}
const fn fallback(action: &'static str, calls: &'static [&'static str], why: &'static str) -> Permission {
    Permission { action, why, holder: Holder::Account, need: Need::Fallback, calls }
}
const fn option(action: &'static str, calls: &'static [&'static str], why: &'static str) -> Permission {
    Permission { action, why, holder: Holder::Account, need: Need::Option, calls }
}
const fn value(action: &'static str, calls: &'static [&'static str], why: &'static str) -> Permission {
    Permission { action, why, holder: Holder::Account, need: Need::SecretValues, calls }
}
const fn hub(action: &'static str, calls: &'static [&'static str], why: &'static str) -> Permission {
    Permission { action, why, holder: Holder::Hub, need: Need::Always, calls }
}

pub(super) const GET_CALLER_IDENTITY: Permission = Permission {
    action: "sts:GetCallerIdentity",
    why: "Tells whose credentials these are, so that no account is read in place of another",
    holder: Holder::Anybody,
    need: Need::Always,
    calls: &["sts:GetCallerIdentity"],
};
pub(super) const ASSUME_ROLE: Permission =
    hub("sts:AssumeRole", &["sts:AssumeRole"], "Becomes the audit role in each account, and nothing else");
pub(super) const LIST_ACCOUNTS: Permission =
    hub("organizations:ListAccounts", &["organizations:ListAccounts"], "Which accounts there are, so that none is overlooked");
pub(super) const LIST_ACCOUNT_TAGS: Permission = hub(
    "organizations:ListTagsForResource",
    &["organizations:ListTagsForResource"],
    "Tags of the accounts: who owns what nobody else is named for",
);

pub(super) const DESCRIBE_REGIONS: Permission =
    account("ec2:DescribeRegions", &["ec2:DescribeRegions"], "Which regions are enabled, so that none is overlooked");
pub(super) const GET_ALTERNATE_CONTACT: Permission =
    account("account:GetAlternateContact", &["account:GetAlternateContact"], "The account's security contact, who gets what has no owner");

pub(super) const GENERATE_CREDENTIAL_REPORT: Permission = account(
    "iam:GenerateCredentialReport",
    &["iam:GenerateCredentialReport"],
    "Has IAM write its credential report: ages and last uses of a whole account in one call",
);
pub(super) const GET_CREDENTIAL_REPORT: Permission =
    account("iam:GetCredentialReport", &["iam:GetCredentialReport"], "Reads the credential report, the root user's row too");
pub(super) const GET_ACCOUNT_AUTHORIZATION_DETAILS: Permission = account(
    "iam:GetAccountAuthorizationDetails",
    &["iam:GetAccountAuthorizationDetails"],
    "Users with their tags, and policies to tell whose SSH keys can be of use, in a few calls",
);
pub(super) const LIST_ACCESS_KEYS: Permission =
    account("iam:ListAccessKeys", &["iam:ListAccessKeys"], "Key ids and their creation dates, which the report does not hold");
pub(super) const LIST_SERVICE_SPECIFIC_CREDENTIALS: Permission = account(
    "iam:ListServiceSpecificCredentials",
    &["iam:ListServiceSpecificCredentials"],
    "CodeCommit, Keyspaces, Bedrock and CloudWatch Logs credentials of all users",
);
pub(super) const LIST_SSH_PUBLIC_KEYS: Permission = account("iam:ListSSHPublicKeys", &["iam:ListSSHPublicKeys"], "SSH keys for CodeCommit");
pub(super) const LIST_SIGNING_CERTIFICATES: Permission =
    account("iam:ListSigningCertificates", &["iam:ListSigningCertificates"], "X.509 signing certificates");
pub(super) const GET_ACCESS_KEY_LAST_USED: Permission = fallback(
    "iam:GetAccessKeyLastUsed",
    &["iam:GetAccessKeyLastUsed"],
    "Last use of a key that is newer than the report, or that the report does not tell from another",
);
pub(super) const GET_ACCOUNT_SUMMARY: Permission =
    fallback("iam:GetAccountSummary", &["iam:GetAccountSummary"], "Whether the root user has keys, when the report does not tell");
pub(super) const LIST_USERS: Permission =
    fallback("iam:ListUsers", &["iam:ListUsers"], "Users, when GetAccountAuthorizationDetails and the report are refused");
pub(super) const LIST_USER_TAGS: Permission =
    fallback("iam:ListUserTags", &["iam:ListUserTags"], "Tags of key holders, when GetAccountAuthorizationDetails is refused");

pub(super) const LIST_FUNCTIONS: Permission =
    account("lambda:ListFunctions", &["lambda:ListFunctions"], "Functions with all published versions and their variables");
pub(super) const GET_FUNCTION: Permission = account("lambda:GetFunction", &["lambda:GetFunction"], "Where a function's code lies");
pub(super) const GET_LAYER_VERSION: Permission =
    account("lambda:GetLayerVersion", &["lambda:GetLayerVersionByArn"], "Where a layer's code lies");
pub(super) const GET_RESOURCES: Permission =
    account("tag:GetResources", &["tag:GetResources"], "Tags of functions and parameters: who owns them");

pub(super) const LIST_SECRETS: Permission =
    account("secretsmanager:ListSecrets", &["secretsmanager:ListSecrets"], "Secrets by name, date and tag; never a value");
pub(super) const DESCRIBE_PARAMETERS: Permission =
    account("ssm:DescribeParameters", &["ssm:DescribeParameters"], "SecureString parameters by name and date; never a value");

pub(super) const GET_SECRET_VALUE: Permission = value(
    "secretsmanager:GetSecretValue",
    &["secretsmanager:GetSecretValue"],
    "Reads a secret to fingerprint and forget it, where a job asks for secret-values",
);
pub(super) const GET_PARAMETER: Permission =
    value("ssm:GetParameter", &["ssm:GetParameter"], "Reads a parameter to fingerprint and forget it, where a job asks for secret-values");

pub(super) const LIST_ALL_MY_BUCKETS: Permission = account("s3:ListAllMyBuckets", &["s3:ListBuckets"], "Which buckets there are");
pub(super) const GET_BUCKET_LOCATION: Permission =
    fallback("s3:GetBucketLocation", &["s3:GetBucketLocation"], "A bucket's region, when the list of buckets does not tell it");
pub(super) const GET_BUCKET_TAGGING: Permission =
    account("s3:GetBucketTagging", &["s3:GetBucketTagging"], "Tags of a bucket that is read: who owns what lies in it");
pub(super) const LIST_BUCKET: Permission = account("s3:ListBucket", &["s3:ListObjectsV2"], "Objects of the chosen buckets");
pub(super) const GET_OBJECT: Permission = account("s3:GetObject", &["s3:GetObject"], "Reads the chosen objects");
pub(super) const LIST_BUCKET_VERSIONS: Permission =
    option("s3:ListBucketVersions", &["s3:ListObjectVersions"], "Old versions of objects, where a job asks for them");
pub(super) const GET_OBJECT_VERSION: Permission =
    option("s3:GetObjectVersion", &["s3:GetObject"], "Reads old versions of objects, where a job asks for them");

/// Every permission the code uses, in the order a person reads them.
pub const PERMISSIONS: &[Permission] = &[
    GET_CALLER_IDENTITY,
    ASSUME_ROLE,
    LIST_ACCOUNTS,
    LIST_ACCOUNT_TAGS,
    DESCRIBE_REGIONS,
    GET_ALTERNATE_CONTACT,
    GENERATE_CREDENTIAL_REPORT,
    GET_CREDENTIAL_REPORT,
    GET_ACCOUNT_AUTHORIZATION_DETAILS,
    LIST_ACCESS_KEYS,
    LIST_SERVICE_SPECIFIC_CREDENTIALS,
    LIST_SSH_PUBLIC_KEYS,
    LIST_SIGNING_CERTIFICATES,
    GET_ACCESS_KEY_LAST_USED,
    GET_ACCOUNT_SUMMARY,
    LIST_USERS,
    LIST_USER_TAGS,
    LIST_FUNCTIONS,
    GET_FUNCTION,
    GET_LAYER_VERSION,
    GET_RESOURCES,
    LIST_SECRETS,
    DESCRIBE_PARAMETERS,
    GET_SECRET_VALUE,
    GET_PARAMETER,
    LIST_ALL_MY_BUCKETS,
    GET_BUCKET_LOCATION,
    GET_BUCKET_TAGGING,
    LIST_BUCKET,
    GET_OBJECT,
    LIST_BUCKET_VERSIONS,
    GET_OBJECT_VERSION,
];

/// The policy of the audit role, as an IAM policy document. Equal input, equal text.
pub fn policy_json() -> String {
    document(vec![json!({ "Sid": "OverdueAudit", "Effect": "Allow", "Action": account_actions(false), "Resource": "*" })])
}

/// What the audit role needs beside [`policy_json`] where a job reads the values of stored secrets: the values, and the
/// keys they lie under, through these two services only.
pub fn values_policy_json() -> String {
    document(vec![
        json!({ "Sid": "OverdueSecretValues", "Effect": "Allow", "Action": account_actions(true), "Resource": "*" }),
        json!({
            "Sid": "OverdueSecretValuesDecrypt", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": "*",
            "Condition": { "StringLike": { "kms:ViaService": ["secretsmanager.*.amazonaws.com*", "ssm.*.amazonaws.com*"] } },
        }),
    ])
}

/// The policy of whoever starts the audit of an organization: lists accounts, and becomes `role` in them.
pub fn hub_policy_json(role: &str) -> String {
    let listing: Vec<&str> = actions(|p| p.holder == Holder::Hub).into_iter().filter(|action| *action != ASSUME_ROLE.action).collect();
    document(vec![
        json!({ "Sid": "OverdueAccounts", "Effect": "Allow", "Action": listing, "Resource": "*" }),
        json!({
            "Sid": "OverdueAssume", "Effect": "Allow", "Action": [ASSUME_ROLE.action],
            "Resource": format!("arn:*:iam::*:role/{role}"),
        }),
    ])
}

fn account_actions(values: bool) -> Vec<&'static str> {
    actions(|p| p.holder == Holder::Account && (p.need == Need::SecretValues) == values)
}

fn actions(chosen: impl Fn(&Permission) -> bool) -> Vec<&'static str> {
    let mut actions: Vec<&str> = PERMISSIONS.iter().filter(|p| chosen(p)).map(|p| p.action).collect();
    actions.sort_unstable();
    actions
}

fn document(statements: Vec<Value>) -> String {
    let document = json!({ "Version": "2012-10-17", "Statement": statements });
    // Serialising a value made of strings cannot fail.
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: &[&str] = &[
        include_str!("access_keys.rs"),
        include_str!("credential_report.rs"),
        include_str!("discovery.rs"),
        include_str!("functions.rs"),
        include_str!("iam.rs"),
        include_str!("layers.rs"),
        include_str!("objects.rs"),
        include_str!("parameters.rs"),
        include_str!("root.rs"),
        include_str!("secrets.rs"),
        include_str!("service_specific.rs"),
        include_str!("session.rs"),
        include_str!("signing_certificates.rs"),
        include_str!("ssh_keys.rs"),
        include_str!("tags.rs"),
        include_str!("values.rs"),
    ];

    #[test]
    fn every_permission_is_used_and_stands_in_the_list_once() {
        let here = include_str!("permissions.rs");
        let names: Vec<&str> = here
            .lines()
            .filter_map(|line| line.strip_prefix("pub(super) const "))
            .filter_map(|line| line.split_once(':').map(|(name, _)| name))
            .collect();
        assert_eq!(names.len(), PERMISSIONS.len(), "a constant is missing from PERMISSIONS");
        for name in names {
            let wanted = format!("permissions::{name}");
            let used = |source: &str| {
                source
                    .match_indices(&wanted)
                    .any(|(at, _)| !source[at + wanted.len()..].starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_'))
            };
            assert!(SOURCES.iter().any(|source| used(source)), "no call names permissions::{name}");
        }
        let mut actions: Vec<&str> = PERMISSIONS.iter().map(|p| p.action).collect();
        actions.sort_unstable();
        let before = actions.len();
        actions.dedup();
        assert_eq!(before, actions.len(), "an action stands there twice");
    }

    #[test]
    fn nothing_in_the_policy_writes() {
        let reading = ["Get", "List", "Describe", "GenerateCredentialReport"];
        for permission in PERMISSIONS.iter().filter(|p| p.holder == Holder::Account) {
            let (_, verb) = permission.action.split_once(':').unwrap();
            assert!(reading.iter().any(|start| verb.starts_with(start)), "{}", permission.action);
        }
        let policy = policy_json();
        for value in ["GetSecretValue", "GetParameter", "kms:"] {
            assert!(!policy.contains(value), "the policy reads no value unless it is asked to: {value}");
            assert!(values_policy_json().contains(value), "{value}");
        }
    }

    #[test]
    fn the_policy_is_the_same_every_time() {
        let policy: Value = serde_json::from_str(&policy_json()).unwrap();
        assert_eq!(policy["Version"], "2012-10-17");
        assert!(policy["Statement"][0]["Action"].as_array().unwrap().iter().any(|action| action == "iam:ListAccessKeys"));
        assert_eq!(policy_json(), policy_json());
        let hub: Value = serde_json::from_str(&hub_policy_json("overdue-audit")).unwrap();
        assert_eq!(hub["Statement"][1]["Resource"], "arn:*:iam::*:role/overdue-audit");
    }
}
