//! Providers and the accounts seen through them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::Gap;

/// A vendor, or this machine, seen read-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProviderKind {
    /// Amazon Web Services.
    Aws,
    /// The machine the program stands on: repositories, files, environment.
    Machine,
}

impl ProviderKind {
    /// Every provider, in the order reports use.
    pub const ALL: [Self; 2] = [Self::Aws, Self::Machine];

    /// The name used in job files, the store and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Machine => "machine",
        }
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ProviderKind {
    type Err = UnknownName;
    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownName { what: "provider", name: text.to_owned() })
    }
}

/// A name that is not one of a closed set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a {what}")]
pub struct UnknownName {
    /// What was expected: `provider`, `credential kind` …
    pub what: &'static str,
    /// What was given.
    pub name: String,
}

/// One administrative boundary: an AWS account number, or this machine's host name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(String);

impl AccountId {
    /// Wraps the provider's own id, unchanged.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }
    /// The provider's own id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A provider's region by its own name, such as `eu-west-1`. Kinds that have none use `Option<Region>::None`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region(String);

impl Region {
    /// Wraps the provider's own name, unchanged.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }
    /// The provider's own name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is known of an account besides its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Which provider it belongs to.
    pub provider: ProviderKind,
    /// Its id.
    pub id: AccountId,
    /// Its display name, empty where the provider gave none.
    pub name: String,
    /// Tags of the account itself (Organizations `ListTagsForResource`).
    pub tags: BTreeMap<String, String>,
    /// People to write to, best first.
    pub contacts: Vec<Contact>,
}

/// A person or team an account names, and where it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// A mail address.
    pub address: String,
    /// A display name, empty where none was given.
    pub name: String,
    /// Where it was read, in words: `alternate security contact`, `account mail (Organizations)`.
    pub source: String,
    /// Stands for the account's root user alone, as its mail address does: everything in an account has one, so it tells
    /// nothing of who owns a user's key.
    pub root_only: bool,
}

/// Where an enumeration goes on. Opaque: only the provider that made it reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

/// What one page of an enumeration saw, what it could not see, and where to go on.
///
/// Enumeration does not fail: a denied call is a page without items and with a [`Gap`]. `next` is `None` both after
/// the last page and after a gap that ends the listing; the gap tells the two apart, so an empty page is never
/// mistaken for an empty account.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What was seen.
    pub items: Vec<T>,
    /// What could not be seen.
    pub gaps: Vec<Gap>,
    /// Where to go on.
    pub next: Option<Cursor>,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { items: Vec::new(), gaps: Vec::new(), next: None }
    }
}

impl<T> Page<T> {
    /// A last page that saw everything.
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, gaps: Vec::new(), next: None }
    }
    /// A page that saw nothing, and why.
    pub fn gap(gap: Gap) -> Self {
        Self { items: Vec::new(), gaps: vec![gap], next: None }
    }
}
