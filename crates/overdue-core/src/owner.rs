//! Owners: who must rotate a credential and gets the letter. Every claim carries its evidence.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use globset::GlobMatcher;

use crate::provider::UnknownName;
use crate::{Account, AccountId, CredentialKind};

/// Who must rotate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// A person's or team's name; the address where nothing better is known.
    pub name: String,
    /// Where the letter goes. `None`: a name without an address; the security team gets the letter.
    pub address: Option<String>,
}

/// Where a claim of ownership comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OwnerSource {
    /// Tags of the credential, of its principal, of the thing it lies in, then of the account.
    Tags,
    /// The owners file.
    OwnersFile,
    /// Who brought the secret in: a commit's author.
    Creator,
    /// A CODEOWNERS file. Accepted in job files; no provider of this version supplies it.
    Codeowners,
    /// The account's contacts.
    AccountContact,
}

impl OwnerSource {
    /// Every source, in the default order.
    pub const ALL: [Self; 5] = [Self::Tags, Self::OwnersFile, Self::Creator, Self::Codeowners, Self::AccountContact];
    /// The name used in job files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::OwnersFile => "owners-file",
            Self::Creator => "creator",
            Self::Codeowners => "codeowners",
            Self::AccountContact => "account-contact",
        }
    }
}

impl fmt::Display for OwnerSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OwnerSource {
    type Err = UnknownName;
    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|source| source.as_str() == text)
            .ok_or_else(|| UnknownName { what: "source of owners", name: text.to_owned() })
    }
}

/// An owner, and why we think so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerClaim {
    /// Who.
    pub owner: Owner,
    /// From which source.
    pub source: OwnerSource,
    /// In words: `tag owner of user ci-deploy`.
    pub evidence: String,
}

/// One line of the owners file: everything it matches belongs to `owner`. Later lines win, as in CODEOWNERS.
#[derive(Clone, Debug)]
pub struct OwnersRule {
    /// Glob over the account id; `None` matches all.
    pub account: Option<GlobMatcher>,
    /// Glob over the credential or artifact kind.
    pub kind: Option<GlobMatcher>,
    /// Glob over names: principal name, principal ARN, credential name, artifact name, path.
    pub name: Option<GlobMatcher>,
    /// Who owns what matches.
    pub owner: Owner,
    /// Where the line stands, `owners.toml:12`.
    pub place: String,
}

/// How owners are found.
#[derive(Clone, Debug)]
pub struct OwnersConfig {
    /// Sources, best first.
    pub from: Vec<OwnerSource>,
    /// Tag keys that name an owner, best first; compared without case and punctuation.
    pub tag_keys: Vec<String>,
    /// The owners file's lines.
    pub rules: Vec<OwnersRule>,
    /// Addresses of names that tags use: `payments` → `payments@example.com`. Compared without case.
    pub addresses: BTreeMap<String, String>,
}

impl Default for OwnersConfig {
    fn default() -> Self {
        Self {
            from: OwnerSource::ALL.to_vec(),
            tag_keys: ["owner-email", "owner", "team-email", "contact-email", "contact", "team", "maintainer", "responsible"]
                .map(str::to_owned)
                .to_vec(),
            rules: Vec::new(),
            addresses: BTreeMap::new(),
        }
    }
}

/// What is known of the thing whose owner is sought.
#[derive(Clone, Debug)]
pub struct ResourceFacts<'a> {
    /// Account it is in.
    pub account: &'a AccountId,
    /// Credential or artifact kind, by its stable name.
    pub kind: &'a str,
    /// What it is in words, for the evidence: `user ci-deploy`.
    pub what: String,
    /// Every name an owners file may match.
    pub names: Vec<&'a str>,
    /// Tags of it and of its principal.
    pub tags: &'a BTreeMap<String, String>,
    /// Who brought it in: display text and address.
    pub creator: Option<(&'a str, &'a str)>,
}

/// Finds the owner: the first source in the configured order that names one with an address.
///
/// A source that gives only a name is kept and used when no other gives an address. `None`: nobody, which is a finding.
pub fn owner_of(config: &OwnersConfig, account: Option<&Account>, facts: &ResourceFacts<'_>) -> Option<OwnerClaim> {
    let mut nameless: Option<OwnerClaim> = None;
    for source in &config.from {
        let claims = match source {
            OwnerSource::Tags => from_tags(config, account, facts),
            OwnerSource::OwnersFile => from_rules(config, facts),
            OwnerSource::Creator => from_creator(facts),
            OwnerSource::Codeowners => Vec::new(),
            OwnerSource::AccountContact => from_contacts(account, facts.kind),
        };
        for claim in claims {
            if claim.owner.address.is_some() {
                return Some(match nameless {
                    Some(named) => OwnerClaim { evidence: format!("{} ({} has no address)", claim.evidence, named.evidence), ..claim },
                    None => claim,
                });
            }
            nameless.get_or_insert(claim);
        }
    }
    nameless
}

fn from_tags(config: &OwnersConfig, account: Option<&Account>, facts: &ResourceFacts<'_>) -> Vec<OwnerClaim> {
    let mut claims = Vec::new();
    claims.extend(from_tag_set(config, facts.tags, &facts.what));
    if let Some(account) = account {
        claims.extend(from_tag_set(config, &account.tags, &format!("account {}", account.id)));
    }
    claims
}

fn from_tag_set(config: &OwnersConfig, tags: &BTreeMap<String, String>, of: &str) -> Vec<OwnerClaim> {
    let mut claims = Vec::new();
    for wanted in &config.tag_keys {
        for (key, value) in tags.iter().filter(|(key, _)| plain(key) == plain(wanted)) {
            let value = value.trim();
            if value.is_empty() {
                continue;
            }
            let address = if looks_like_address(value) { Some(value.to_owned()) } else { address_of(config, value) };
            claims.push(OwnerClaim {
                owner: Owner { name: value.to_owned(), address },
                source: OwnerSource::Tags,
                evidence: format!("tag {key}={value} of {of}"),
            });
        }
    }
    claims
}

fn from_rules(config: &OwnersConfig, facts: &ResourceFacts<'_>) -> Vec<OwnerClaim> {
    let matches = |glob: &Option<GlobMatcher>, text: &str| glob.as_ref().is_none_or(|glob| glob.is_match(text));
    config
        .rules
        .iter()
        .rev()
        .find(|rule| {
            matches(&rule.account, facts.account.as_str())
                && matches(&rule.kind, facts.kind)
                && (rule.name.is_none() || facts.names.iter().any(|name| matches(&rule.name, name)))
        })
        .map(|rule| OwnerClaim { owner: rule.owner.clone(), source: OwnerSource::OwnersFile, evidence: rule.place.clone() })
        .into_iter()
        .collect()
}

fn from_creator(facts: &ResourceFacts<'_>) -> Vec<OwnerClaim> {
    let Some((text, address)) = facts.creator else { return Vec::new() };
    if !looks_like_address(address) {
        return Vec::new();
    }
    vec![OwnerClaim {
        owner: Owner {
            // `Name <address>` without its address, which stands beside it.
            name: text.split_once(" <").map_or(text, |(name, _)| name).to_owned(),
            address: Some(address.to_owned()),
        },
        source: OwnerSource::Creator,
        evidence: format!("commit author {text}"),
    }]
}

fn from_contacts(account: Option<&Account>, kind: &str) -> Vec<OwnerClaim> {
    let Some(account) = account else { return Vec::new() };
    let of_root = kind == CredentialKind::AwsRootAccessKey.as_str();
    account
        .contacts
        .iter()
        .filter(|contact| of_root || !contact.root_only)
        .map(|contact| OwnerClaim {
            owner: Owner {
                name: if contact.name.is_empty() { contact.address.clone() } else { contact.name.clone() },
                address: Some(contact.address.clone()),
            },
            source: OwnerSource::AccountContact,
            evidence: format!("{} of account {}", contact.source, account.id),
        })
        .collect()
}

fn address_of(config: &OwnersConfig, name: &str) -> Option<String> {
    config.addresses.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, address)| address.clone())
}

/// A tag key without case and punctuation, so that `Owner-Email` and `owner_email` are one.
fn plain(key: &str) -> String {
    key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether a text can be written to. Deliberately narrow: one `@`, a dotted host, nothing a header could misread.
fn looks_like_address(text: &str) -> bool {
    let Some((local, host)) = text.split_once('@') else { return false };
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    !local.is_empty()
        && local.len() <= 64
        && local.chars().all(safe)
        && !local.starts_with('-')
        && host.len() <= 253
        && host.contains('.')
        && host.split('.').all(|label| {
            !label.is_empty()
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

#[cfg(test)]
mod tests {
    use globset::Glob;

    use super::*;
    use crate::{Contact, ProviderKind};

    fn account() -> Account {
        Account {
            provider: ProviderKind::Aws,
            id: AccountId::new("111111111111"),
            name: "prod".into(),
            tags: BTreeMap::from([("team".into(), "platform".into())]),
            contacts: vec![Contact {
                address: "root@example.com".into(),
                name: String::new(),
                source: "account mail".into(),
                root_only: false,
            }],
        }
    }

    fn owner(tags: &[(&str, &str)], config: &OwnersConfig) -> Option<(Option<String>, String)> {
        let tags: BTreeMap<String, String> = tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let account = account();
        let facts = ResourceFacts {
            account: &account.id,
            kind: "aws.iam-access-key",
            what: "user ci".into(),
            names: vec!["ci-deploy"],
            tags: &tags,
            creator: None,
        };
        owner_of(config, Some(&account), &facts).map(|claim| (claim.owner.address, claim.evidence))
    }

    #[test]
    fn the_first_source_with_an_address_wins_and_says_why() {
        let mut config = OwnersConfig::default();
        let to = |address: &str, evidence: &str| Some((Some(address.to_owned()), evidence.to_owned()));
        assert_eq!(owner(&[("Owner", "ann@example.com")], &config), to("ann@example.com", "tag Owner=ann@example.com of user ci"));
        assert_eq!(
            owner(&[("OWNER_EMAIL", "bob@example.com"), ("team", "ann@example.com")], &config),
            to("bob@example.com", "tag OWNER_EMAIL=bob@example.com of user ci")
        );
        assert_eq!(
            owner(&[("owner", "payments")], &config),
            to("root@example.com", "account mail of account 111111111111 (tag owner=payments of user ci has no address)")
        );
        config.addresses.insert("Payments".into(), "pay@example.com".into());
        assert_eq!(owner(&[("owner", "payments")], &config), to("pay@example.com", "tag owner=payments of user ci"));
        config.rules.push(OwnersRule {
            account: None,
            kind: None,
            name: Some(Glob::new("ci-*").expect("a glob").compile_matcher()),
            owner: Owner { name: "CI".into(), address: Some("ci@example.com".into()) },
            place: "owners.toml:3".into(),
        });
        assert_eq!(owner(&[], &config), to("ci@example.com", "owners.toml:3 (tag team=platform of account 111111111111 has no address)"));
    }

    #[test]
    fn a_hostile_tag_is_no_address() {
        for text in ["a@b.c\r\nBcc: x@y.z", "a b@c.d", "-oX@y.z", "a@b", "a@b..c", "\"x\"@y.z", "@x.y", "a@-b.c", "a@b.c,d@e.f"] {
            assert!(!looks_like_address(text), "{text:?}");
        }
        assert!(looks_like_address("first.last+tag@mail.example.com"));
    }
}
