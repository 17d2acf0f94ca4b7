//! What a scan brings back.

use overdue_core::{Detection, GapReason};

use crate::config::{Allowed, UnusedMarker};

/// The outcome of one scan. There is always one: what could not be read is in `gaps`, beside what was found before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// What was found, sorted by path and line, each once.
    pub detections: Vec<Detection>,
    /// What was found and is allowed by a marker or a list, sorted the same way. Always empty unless the scanner was told
    /// to honour something, see [`crate::Scanner::honouring`].
    pub allowed: Vec<Allowed>,
    /// Markers that allow nothing, where the scanner was told to list them.
    pub unused_markers: Vec<UnusedMarker>,
    /// What was not seen, and why. Empty means that every byte was looked at, in every form the scanner can open.
    pub gaps: Vec<ScanGap>,
    /// Bytes read from the artifact.
    pub bytes: u64,
    /// The reader's error, when reading broke off; also among the gaps.
    pub read_error: Option<String>,
}

/// Something inside an artifact that was not seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScanGap {
    /// Path inside the artifact; empty for the artifact itself.
    pub path: String,
    /// Why.
    pub reason: GapReason,
    /// The particulars: the limit and its value, the fault. Never a secret.
    pub detail: String,
}
