//! Whose policies can reach CodeCommit: the only use an IAM user's SSH key has.
//!
//! In a large account one call for each user is dear, and hardly anybody has such a key. So there only those are asked whom
//! some policy lets reach CodeCommit. The answer errs on the side of asking: denials, conditions and boundaries are not
//! weighed, and what cannot be read counts as leave to do everything.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::types::{AttachedPolicy, GroupDetail, ManagedPolicyDetail, PolicyDetail, UserDetail};
use serde_json::Value;

const SERVICE: &str = "codecommit:";
/// AWS's own policies that many users have and that say nothing of CodeCommit, by the start of their names.
const HARMLESS: [&str; 12] = [
    "AmazonDynamoDB",
    "AmazonEC2ContainerRegistry",
    "AmazonEC2FullAccess",
    "AmazonEC2ReadOnlyAccess",
    "AmazonRDS",
    "AmazonRoute53",
    "AmazonS3",
    "AmazonSES",
    "AmazonSNS",
    "AmazonSQS",
    "CloudWatch",
    "IAM",
];

/// Groups and managed policies that lead to CodeCommit.
#[derive(Default)]
pub(super) struct Reach {
    policies: BTreeMap<String, bool>,
    groups: BTreeSet<String>,
}

impl Reach {
    pub(super) fn new(groups: &[GroupDetail], policies: &[ManagedPolicyDetail]) -> Self {
        let mut reach = Self::default();
        for policy in policies {
            let documents = policy.policy_version_list().iter().filter(|version| version.is_default_version());
            let reaches = documents.clone().count() == 0 || documents.into_iter().any(|version| reaches(version.document()));
            reach.policies.insert(policy.arn().unwrap_or_default().to_owned(), reaches);
        }
        for group in groups {
            if reach.any(group.group_policy_list(), group.attached_managed_policies()) {
                reach.groups.insert(group.group_name().unwrap_or_default().to_owned());
            }
        }
        reach
    }

    /// Whether some policy of the user's may let it reach CodeCommit.
    pub(super) fn of(&self, user: &UserDetail) -> bool {
        self.any(user.user_policy_list(), user.attached_managed_policies())
            || user.group_list().iter().any(|group| self.groups.contains(group))
    }

    fn any(&self, inline: &[PolicyDetail], attached: &[AttachedPolicy]) -> bool {
        inline.iter().any(|policy| reaches(policy.policy_document())) || attached.iter().any(|policy| self.managed(policy))
    }

    fn managed(&self, policy: &AttachedPolicy) -> bool {
        if let Some(known) = self.policies.get(policy.policy_arn().unwrap_or_default()) {
            return *known;
        }
        let name = policy.policy_name().unwrap_or_default();
        !HARMLESS.iter().any(|start| name.starts_with(start))
    }
}

/// Whether a policy document (URL-encoded JSON, as IAM gives it) may allow something of CodeCommit's.
fn reaches(document: Option<&str>) -> bool {
    let Some(document) = document.and_then(decoded).and_then(|text| serde_json::from_str::<Value>(&text).ok()) else { return true };
    let statements = &document["Statement"];
    one_or_many(statements).any(|statement| {
        let allows = statement["Effect"].as_str() != Some("Deny");
        let named = one_or_many(&statement["Action"]).filter_map(Value::as_str).any(touches_service);
        // `NotAction` allows all but those it lists; only one that lists the whole of CodeCommit leaves it out.
        let excluded = || one_or_many(&statement["NotAction"]).filter_map(Value::as_str).any(covers_service);
        allows && (named || (!statement["NotAction"].is_null() && !excluded()))
    })
}

fn one_or_many(value: &Value) -> impl Iterator<Item = &Value> {
    let many = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let one = Some(value).filter(|value| !value.is_array() && !value.is_null());
    many.iter().chain(one)
}

/// Whether an action pattern may match an action of CodeCommit's: their beginnings agree up to the first wildcard.
fn touches_service(pattern: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    let plain = pattern.split(['*', '?']).next().unwrap_or_default();
    if plain.len() == pattern.len() { plain.starts_with(SERVICE) } else { plain.starts_with(SERVICE) || SERVICE.starts_with(plain) }
}

fn covers_service(pattern: &str) -> bool {
    matches!(pattern.to_ascii_lowercase().as_str(), "*" | "*:*" | "codecommit:*")
}

/// Text without its `%xx`; `None` where they are broken. A plus stays a plus.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_that_may_reach_codecommit() {
        for (document, expected) in [
            (r#"{"Statement":[{"Effect":"Allow","Action":"codecommit:GitPull","Resource":"*"}]}"#, true),
            (r#"{"Statement":{"Effect":"Allow","Action":["s3:*","Code*"]}}"#, true),
            (r#"{"Statement":{"Effect":"Allow","Action":"*"}}"#, true),
            (r#"{"Statement":{"Effect":"Allow","Action":["s3:Get*","codecommitx:*"]}}"#, false),
            (r#"{"Statement":{"Effect":"Allow","Action":"codebuild:*"}}"#, false),
            (r#"{"Statement":{"Effect":"Deny","Action":"codecommit:*"}}"#, false),
            (r#"{"Statement":{"Effect":"Allow","NotAction":"iam:*"}}"#, true),
            (r#"{"Statement":{"Effect":"Allow","NotAction":["codecommit:*","iam:*"]}}"#, false),
            (r#"{"Statement":{"Effect":"Allow","NotAction":"codecommit:Git*"}}"#, true),
            ("not json", true),
            ("%7B%22Statement%22%3A%5B%5D%7D", false),
            ("%zz", true),
        ] {
            assert_eq!(reaches(Some(document)), expected, "{document}");
        }
        assert!(reaches(None));
    }

    #[test]
    fn users_reach_it_by_their_own_policies_and_by_groups() {
        let attached =
            |name: &str| AttachedPolicy::builder().policy_name(name).policy_arn(format!("arn:aws:iam::aws:policy/{name}")).build();
        let git = PolicyDetail::builder()
            .policy_name("git")
            .policy_document(r#"{"Statement":{"Effect":"Allow","Action":"codecommit:*"}}"#)
            .build();
        let group = GroupDetail::builder().group_name("devs").group_policy_list(git.clone()).build();
        let reach = Reach::new(&[group], &[]);
        assert!(!reach.of(&UserDetail::builder().user_name("plain").build()));
        assert!(reach.of(&UserDetail::builder().user_policy_list(git).build()));
        assert!(reach.of(&UserDetail::builder().group_list("devs").build()));
        assert!(!reach.of(&UserDetail::builder().group_list("ops").build()));
        assert!(!reach.of(&UserDetail::builder().attached_managed_policies(attached("AmazonS3ReadOnlyAccess")).build()));
        assert!(reach.of(&UserDetail::builder().attached_managed_policies(attached("PowerUserAccess")).build()));
    }
}
