//! Detections: one rule, matched in one place. The confidential bytes are already gone.

use std::fmt;

/// A rule's stable name, `<service>.<kind>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(String);

impl RuleId {
    /// Wraps the name a rule file gives.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Keyed digest of a secret: HMAC-SHA-256 under the deployment's key, first 16 bytes, in hex.
///
/// Equal secrets have equal fingerprints within a deployment; without the key it tells nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Wraps 32 hex digits made by overdue-detect or read from the store.
    pub fn from_hex(hex: impl Into<String>) -> Self {
        Self(hex.into())
    }
    /// The hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How sure a detection is without asking the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Confidence {
    /// A shape and a context that usually mean a secret.
    Likely,
    /// A distinctive format, or a checksum that holds.
    Certain,
}

/// One rule's match in one place of one artifact.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Detection {
    /// Which rule.
    pub rule: RuleId,
    /// Keyed digest of the secret.
    pub fingerprint: Fingerprint,
    /// What a report may show of it, such as `ghp_…` and a length. Holds no more than the rule's public prefix.
    pub preview: String,
    /// The credential's public id, where the token or its neighbour says it: `AKIA…`, a `private_key_id`.
    pub public_id: Option<String>,
    /// Path inside the artifact, `lib/inner.zip!/config.py`; empty when the artifact is one file.
    pub path: String,
    /// Line, from 1, in the decoded text; `None` in a binary file.
    pub line: Option<u32>,
    /// Column in bytes, from 1.
    pub column: Option<u32>,
    /// How it was wrapped, outermost first: `base64`, `utf-16le`; empty for plain bytes.
    pub decoded: String,
    /// How sure.
    pub confidence: Confidence,
    /// When the token itself ends, where it says so (a JWT's `exp`, a SAS's `se`), in Unix seconds.
    pub expires_at_unix: Option<i64>,
}

/// What a report wants to know about a rule, without the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFacts {
    /// Which rule.
    pub id: RuleId,
    /// What a person calls what it finds: `GitHub personal access token`.
    pub title: String,
    /// The service it opens, `GitHub`.
    pub service: String,
    /// How to make it worthless, one sentence a step.
    pub revoke: Vec<String>,
    /// True where the match is a public id alone: worth showing when it names a live credential, no secret by itself.
    pub id_only: bool,
}
