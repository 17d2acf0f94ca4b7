//! All we know: accounts, credentials, places where secrets lie, and what could not be seen.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    Account, ArtifactId, ArtifactKind, Credential, Detection, Gap, Placement, RuleFacts, RuleId, Target, TargetCounts, TargetState,
};

/// A detection in its place, as the store knows it at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// The match.
    pub detection: Detection,
    /// In which artifact.
    pub artifact: ArtifactId,
    /// What sort of artifact.
    pub artifact_kind: ArtifactKind,
    /// False for an old version that is still callable or readable.
    pub latest: bool,
    /// For a git blob: path, commit, author, date.
    pub placement: Option<Placement>,
    /// Tags of the thing it lies in.
    pub tags: BTreeMap<String, String>,
    /// When the artifact was last changed, where the provider tells.
    pub modified_at: Option<Timestamp>,
    /// When we first saw this secret in this artifact.
    pub first_seen_at: Timestamp,
    /// When the artifact was last read, or seen to be unchanged. Older than the run: it could not be read again, so the
    /// finding stays open.
    pub last_read_at: Timestamp,
}

impl Exposure {
    /// Path shown to people: the placement's in a repository, else the path inside the artifact.
    pub fn path(&self) -> &str {
        match &self.placement {
            Some(placement) if !placement.path.is_empty() => &placement.path,
            _ => &self.detection.path,
        }
    }

    /// Where it lies, in one line of words a person can act on.
    pub fn place_text(&self) -> String {
        let mut text = String::new();
        let name = &self.artifact.name;
        match self.artifact_kind {
            ArtifactKind::FunctionCode | ArtifactKind::FunctionEnvironment => {
                let mut parts = name.splitn(4, '/');
                let (_, function, version, part) =
                    (parts.next(), parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
                text.push_str(&format!(
                    "function {function}, version {version}, {}",
                    if part == "code" { "code" } else { "environment variable" }
                ));
                if !self.detection.path.is_empty() {
                    text.push(' ');
                    text.push_str(&self.detection.path);
                }
            }
            ArtifactKind::FunctionLayer => {
                text.push_str(&format!("layer {}", name.trim_start_matches("layer/")));
                if !self.detection.path.is_empty() {
                    text.push_str(&format!(", {}", self.detection.path));
                }
            }
            ArtifactKind::Object => {
                text.push_str(name);
                if !self.detection.path.is_empty() {
                    text.push_str(&format!("!/{}", self.detection.path));
                }
            }
            ArtifactKind::GitBlob => {
                let (repository, blob) = name.trim_start_matches("git:").rsplit_once('#').unwrap_or((name.as_str(), ""));
                text.push_str(&format!("repository {repository}"));
                match &self.placement {
                    Some(placement) if !placement.commit.is_empty() => {
                        text.push_str(&format!(", {}", placement.path));
                        if !self.detection.path.is_empty() {
                            text.push_str(&format!("!/{}", self.detection.path));
                        }
                    }
                    _ => text.push_str(&format!(", object {} that no commit reaches", blob.get(..12).unwrap_or(blob))),
                }
            }
            ArtifactKind::File | ArtifactKind::CredentialFile => {
                text.push_str(name.trim_start_matches("file:"));
                if !self.detection.path.is_empty() {
                    text.push_str(&format!("!/{}", self.detection.path));
                }
            }
            ArtifactKind::Environment => text.push_str(&format!("environment variable {}", self.detection.path)),
        }
        if let Some(line) = self.detection.line {
            text.push_str(&format!(", line {line}"));
        }
        if let Some(placement) = self.placement.as_ref().filter(|placement| !placement.commit.is_empty()) {
            text.push_str(&format!(
                " (commit {} by {}{}{})",
                placement.commit.get(..12).unwrap_or(&placement.commit),
                placement.author,
                placement.committed_at.map(|at| format!(", {}", at.strftime("%Y-%m-%d"))).unwrap_or_default(),
                if placement.at_tip { "" } else { "; no longer at any tip" }
            ));
        }
        if let Some(region) = &self.artifact.region {
            text.push_str(&format!(" in account {}, {region}", self.artifact.account));
        } else if self.artifact_kind == ArtifactKind::Object {
            text.push_str(&format!(" in account {}", self.artifact.account));
        }
        text
    }
}

/// A target with its fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetCount {
    /// What was to be read.
    pub target: Target,
    /// How it ended.
    pub state: TargetState,
    /// What it held.
    pub counts: TargetCounts,
}

/// What one run looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The ledger of the run.
    pub targets: Vec<TargetCount>,
}

impl Coverage {
    /// Sum over all targets.
    pub fn total(&self) -> TargetCounts {
        let mut total = TargetCounts::default();
        for target in &self.targets {
            total += target.counts;
        }
        total
    }
    /// Targets that ended in the named state.
    pub fn count(&self, state: &str) -> usize {
        self.targets.iter().filter(|target| target.state.as_str() == state).count()
    }
}

/// A run of the job that its schedule promised and that nobody ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissedRun {
    /// Which job.
    pub job: String,
    /// When it was due.
    pub due_at: Timestamp,
    /// Why it did not run, in words.
    pub why: String,
}

/// Everything an assessment needs.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Accounts the run covers.
    pub accounts: Vec<Account>,
    /// Credentials seen in them and still there.
    pub credentials: Vec<Credential>,
    /// Open exposures.
    pub exposures: Vec<Exposure>,
    /// What the run could not see.
    pub gaps: Vec<Gap>,
    /// What the run looked at.
    pub coverage: Coverage,
    /// Runs missed since the last scheduled one that ended, oldest first.
    pub missed: Vec<MissedRun>,
    /// What rules say about themselves.
    pub rules: BTreeMap<RuleId, RuleFacts>,
}
