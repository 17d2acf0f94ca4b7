//! Artifacts: things that may hold a secret.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use crate::{AccountId, ProviderKind, Region};

/// What sort of thing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ArtifactKind {
    /// The code package of one version of a function.
    FunctionCode,
    /// The environment variables of one version of a function.
    FunctionEnvironment,
    /// One version of a layer.
    FunctionLayer,
    /// An object in object storage.
    Object,
    /// A blob of a git repository.
    GitBlob,
    /// A file of a working tree or a folder.
    File,
    /// A file where a tool keeps its credentials, such as `~/.aws/credentials`.
    CredentialFile,
    /// The environment variables of this process.
    Environment,
}

impl ArtifactKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::FunctionCode,
        Self::FunctionEnvironment,
        Self::FunctionLayer,
        Self::Object,
        Self::GitBlob,
        Self::File,
        Self::CredentialFile,
        Self::Environment,
    ];
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FunctionCode => "function-code",
            Self::FunctionEnvironment => "function-environment",
            Self::FunctionLayer => "function-layer",
            Self::Object => "object",
            Self::GitBlob => "git-blob",
            Self::File => "file",
            Self::CredentialFile => "credential-file",
            Self::Environment => "environment",
        }
    }
}

impl std::str::FromStr for ArtifactKind {
    type Err = crate::provider::UnknownName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| crate::provider::UnknownName { what: "artifact kind", name: text.to_owned() })
    }
}

/// Names one artifact.
///
/// `name` by kind: `function/<name>/<version>/code`, `function/<name>/<version>/environment`,
/// `layer/<layer version ARN>`, `s3://<bucket>/<key>` (with `?versionId=…` when versions are read),
/// `git:<absolute repository path>#<blob id>`, `file:<absolute path>`, `environment`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArtifactId {
    /// Seen through which provider.
    pub provider: ProviderKind,
    /// In which account.
    pub account: AccountId,
    /// In which region, where it has one.
    pub region: Option<Region>,
    /// Its name within them.
    pub name: String,
}

impl fmt::Display for ArtifactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/", self.provider, self.account)?;
        if let Some(region) = &self.region {
            write!(f, "{region}/")?;
        }
        f.write_str(&self.name)
    }
}

/// Says whether bytes were scanned before: equal key, equal bytes.
///
/// A key that names content (`sha256:…`, `git:<blob id>`) holds for every artifact with that content; one that only
/// names a state of one artifact (`etag:…`) carries that artifact's name in it, so that equal keys mean equal bytes
/// everywhere. Never an unkeyed digest of bytes that may hold a secret and are short enough to guess.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentKey(pub String);

/// A thing to scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its name.
    pub id: ArtifactId,
    /// What sort it is.
    pub kind: ArtifactKind,
    /// Says whether it changed. `None`: always read it again (it came with the listing and costs nothing).
    pub content: Option<ContentKey>,
    /// Declared size, a hint only.
    pub size_bytes: Option<u64>,
    /// When it was last changed, where the provider tells.
    pub modified_at: Option<Timestamp>,
    /// Tags of the thing it belongs to. Hints of the owner.
    pub tags: BTreeMap<String, String>,
    /// What else a person wants to know, in words, such as `alias live`.
    pub notes: Vec<String>,
    /// False for an old version that something newer replaced and that is still callable or readable.
    pub latest: bool,
}

/// Where a git blob stands: found only for blobs in which something was detected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Path in the repository; empty for an object no commit reaches.
    pub path: String,
    /// The commit that brought it, in hex; empty for an object no commit reaches.
    pub commit: String,
    /// That commit's author, `Name <address>`.
    pub author: String,
    /// That commit's author address.
    pub author_address: String,
    /// That commit's author date.
    pub committed_at: Option<Timestamp>,
    /// Whether the tip of some branch still holds it at this path.
    pub at_tip: bool,
}
