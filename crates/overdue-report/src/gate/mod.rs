//! What the gate says: `overdue scan` for people, for code hosts and for CI, one file a format.
//!
//! Every format tells the same findings and the same gaps; none holds a secret, and no name out of a repository is written
//! as it is where a terminal, a runner or an XML reader would obey it.

mod annotations;
mod gitlab;
mod json;
mod junit;
mod sarif;
mod text;

use overdue_core::{Confidence, Credential, Detection, Gap, Placement, Severity};

pub use annotations::annotations;
pub use gitlab::gitlab_json;
pub use json::{SCAN_SCHEMA, scan_json};
pub use junit::junit_xml;
pub use sarif::sarif_json;
pub use text::gate_text;

/// What one scan found and could not see.
#[derive(Debug)]
pub struct GateReport {
    /// Version of the program.
    pub version: String,
    /// What was scanned, in words: `2 paths`, `what is staged`.
    pub scope: String,
    /// What blocks, worst first.
    pub findings: Vec<GateFinding>,
    /// What was found and is accepted: by the baseline, an ignore file or a marker on its line.
    pub accepted: Vec<GateFinding>,
    /// What could not be seen.
    pub gaps: Vec<Gap>,
    /// Acceptances that covered nothing or have ended, in words.
    pub idle: Vec<String>,
    /// Files, objects or streams that were looked at.
    pub files: u64,
    /// Bytes that were looked at.
    pub bytes: u64,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

/// One detection with all that a person needs to act.
#[derive(Clone, Debug)]
pub struct GateFinding {
    /// The match.
    pub detection: Detection,
    /// What a person calls it.
    pub title: String,
    /// The service it opens; may be empty.
    pub service: String,
    /// How to make it worthless, one sentence a step.
    pub revoke: Vec<String>,
    /// The file, as it was named; `-` for standard input.
    pub file: String,
    /// Where it stands in history, for one found there.
    pub placement: Option<Placement>,
    /// Survives moved lines and rewritten history: rule, file, and what stands before the secret on its line.
    pub id: String,
    /// How soon to look.
    pub severity: Severity,
    /// Its row in the inventory of `--store`.
    pub known: Option<Box<Credential>>,
    /// Why it does not block, where it does not.
    pub accepted: Option<String>,
    /// What is odd about it: `the baseline cannot accept a live credential`.
    pub note: Option<String>,
}

impl GateFinding {
    /// The file and the path inside it.
    pub fn place(&self) -> String {
        if self.detection.path.is_empty() { self.file.clone() } else { format!("{}!/{}", self.file, self.detection.path) }
    }

    /// `file:12:8`, as editors open it.
    fn link(&self) -> String {
        let mut link = self.place();
        if let Some(line) = self.detection.line {
            link.push_str(&format!(":{line}"));
            if let Some(column) = self.detection.column {
                link.push_str(&format!(":{column}"));
            }
        }
        link
    }

    /// Why it matters, in one sentence without its full stop.
    fn why(&self) -> String {
        if let Some(credential) = &self.known {
            return format!("It is live: {} {} of account {}", credential.id.kind.title(), credential.id.public_id, credential.id.account);
        }
        let who =
            if matches!(self.service.as_str(), "" | "Unknown" | "Any") { "whatever it opens".to_owned() } else { self.service.clone() };
        match self.detection.confidence {
            Confidence::Certain => format!("Anyone who can read this file can use it at {who}"),
            Confidence::Likely => format!("It looks like a secret; if it is one, anyone who can read this file can use it at {who}"),
        }
    }
}

/// Severity of a detection that no inventory knows.
pub fn gate_severity(detection: &Detection, id_only: bool) -> Severity {
    match (id_only, detection.confidence) {
        (true, _) => Severity::Low,
        (false, Confidence::Certain) => Severity::High,
        (false, Confidence::Likely) => Severity::Medium,
    }
}

#[cfg(test)]
mod tests;
