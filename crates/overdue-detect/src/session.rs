//! The state of one scan: what it has found, what it could not see, and what it has spent.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;

use overdue_core::{Detection, Fingerprint, GapReason, RuleId};

use crate::config::{Allowed, Honoured, Judged, UnusedMarker, full_path};
use crate::fingerprint::FingerprintKey;
use crate::limits::Limits;
use crate::rules::RuleSet;
use crate::scanned::ScanGap;

/// One scan under way.
pub(crate) struct Session<'s> {
    pub(crate) rules: &'s RuleSet,
    pub(crate) key: &'s FingerprintKey,
    pub(crate) limits: &'s Limits,
    pub(crate) budget: Rc<Budget>,
    pub(crate) detections: Vec<Detection>,
    /// What is honoured; `None`: everything found is a detection.
    pub(crate) allow: Option<&'s Honoured>,
    /// The artifact's path and commit, for rules and lists that ask.
    pub(crate) origin: Origin,
    pub(crate) allowed: Vec<Allowed>,
    pub(crate) unused_markers: Vec<UnusedMarker>,
    gaps: Vec<ScanGap>,
    gaps_left_out: u64,
}

/// Where an artifact comes from.
#[derive(Default)]
pub(crate) struct Origin {
    pub(crate) path: String,
    pub(crate) commit: Option<String>,
}

/// What was spent. Shared with the readers that do the spending.
#[derive(Default)]
pub(crate) struct Budget {
    /// Unpacked and decoded bytes so far.
    pub(crate) unpacked: Cell<u64>,
    /// Archive entries so far.
    pub(crate) entries: Cell<u64>,
    /// Bytes the second stage looked at.
    pub(crate) work: Cell<u64>,
    /// Bytes in memory now, of what cannot be read from front to end.
    pub(crate) held: Cell<u64>,
    /// Why the whole scan stops here.
    pub(crate) stop: RefCell<Option<Stop>>,
    /// Why the artifact itself could not be read on.
    pub(crate) read_error: RefCell<Option<String>>,
}

/// A limit that was hit.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    pub(crate) reason: GapReason,
    pub(crate) detail: String,
}

impl Budget {
    /// Whether anything more may be done.
    pub(crate) fn is_spent(&self) -> bool {
        self.stop.borrow().is_some() || self.read_error.borrow().is_some()
    }

    /// Stops the scan, for the first reason given.
    pub(crate) fn stop(&self, reason: GapReason, detail: String) {
        self.stop.borrow_mut().get_or_insert(Stop { reason, detail });
    }

    /// Counts bytes that were unpacked or decoded.
    pub(crate) fn spend_unpacked(&self, bytes: u64, limits: &Limits) {
        self.unpacked.set(self.unpacked.get().saturating_add(bytes));
        if self.unpacked.get() > limits.total_bytes_max {
            self.stop(GapReason::TooLarge, format!("unpacks to more than {} bytes in all (total_bytes_max)", limits.total_bytes_max));
        }
    }

    /// Counts bytes that the second stage looks at.
    pub(crate) fn spend_work(&self, bytes: usize, limits: &Limits) {
        self.work.set(self.work.get().saturating_add(bytes as u64));
        if self.work.get() > limits.work_max {
            self.stop(GapReason::TooLarge, format!("needs more work than {} bytes of close reading (work_max)", limits.work_max));
        }
    }
}

impl<'s> Session<'s> {
    pub(crate) fn new(rules: &'s RuleSet, key: &'s FingerprintKey, limits: &'s Limits) -> Self {
        Self {
            rules,
            key,
            limits,
            budget: Rc::default(),
            detections: Vec::new(),
            allow: None,
            origin: Origin::default(),
            allowed: Vec::new(),
            unused_markers: Vec::new(),
            gaps: Vec::new(),
            gaps_left_out: 0,
        }
    }

    /// The path of a place, from the artifact's own on: `outer.zip!inner/file`.
    pub(crate) fn path_of(&self, place: &Place) -> String {
        full_path(&self.origin.path, &place.path)
    }

    /// Notes a detection, or that it is allowed.
    pub(crate) fn note(&mut self, rule: usize, judged: &Judged, place: &Place, detection: Detection) {
        let by = self.allow.and_then(|allow| allow.verdict(rule, judged, &self.path_of(place), self.origin.commit.as_deref()));
        match by {
            Some(by) => self.allowed.push(Allowed { detection, by }),
            None => self.detections.push(detection),
        }
    }

    /// Notes that a rule about paths alone asks for the file itself. Its fingerprint is the path's.
    pub(crate) fn note_file(&mut self, rule: usize, place: &Place, path: &str) {
        let facts = self.rules.rule(rule);
        let detection = Detection {
            rule: facts.id.clone(),
            fingerprint: self.key.fingerprint(path.as_bytes()),
            preview: "the file itself".to_owned(),
            public_id: None,
            path: place.path.clone(),
            line: None,
            column: None,
            decoded: String::new(),
            confidence: facts.confidence,
            expires_at_unix: None,
        };
        let judged = self.allow.map_or_else(Judged::default, |allow| allow.judge_file(rule));
        self.note(rule, &judged, place, detection);
    }

    /// Notes something that was not seen.
    pub(crate) fn gap(&mut self, path: &str, reason: GapReason, detail: impl Into<String>) {
        if self.gaps.len() < self.limits.gaps_max {
            self.gaps.push(ScanGap { path: path.to_owned(), reason, detail: detail.into() });
        } else {
            self.gaps_left_out += 1;
        }
    }

    /// How much was noted so far.
    pub(crate) fn mark(&self) -> (usize, usize) {
        (self.detections.len(), self.gaps.len())
    }

    /// Forgets what was noted since the mark, to note it again with better places.
    pub(crate) fn back_to(&mut self, (detections, gaps): (usize, usize)) {
        self.detections.truncate(detections);
        self.gaps.truncate(gaps);
    }

    /// What was noted between the two marks gives way to the same secret noted after them, where that says better where it is.
    pub(crate) fn prefer_later(&mut self, (from, _): (usize, usize), (to, _): (usize, usize)) {
        let later: HashSet<(RuleId, Fingerprint)> =
            self.detections[to..].iter().map(|one| (one.rule.clone(), one.fingerprint.clone())).collect();
        if !later.is_empty() {
            let mut at = 0;
            self.detections.retain(|one| {
                at += 1;
                !(from < at && at <= to && later.contains(&(one.rule.clone(), one.fingerprint.clone())))
            });
        }
    }

    /// What was noted of this path since the mark stands on no line that anybody could go to.
    pub(crate) fn forget_lines(&mut self, (from, _): (usize, usize), path: &str) {
        for one in self.detections[from..].iter_mut().filter(|one| one.path == path) {
            (one.line, one.column) = (None, None);
        }
    }

    /// All gaps, the limit that stopped the scan and the fault that broke it off among them.
    pub(crate) fn into_parts(mut self) -> (Vec<Detection>, Vec<ScanGap>, Option<String>) {
        if self.gaps_left_out > 0 {
            let detail = format!("{} more gaps like these (gaps_max is {})", self.gaps_left_out, self.limits.gaps_max);
            self.gaps.push(ScanGap { path: String::new(), reason: GapReason::TooMany, detail });
        }
        if let Some(stop) = self.budget.stop.borrow_mut().take() {
            self.gaps.push(ScanGap { path: String::new(), reason: stop.reason, detail: stop.detail });
        }
        let read_error = self.budget.read_error.borrow_mut().take();
        if let Some(error) = &read_error {
            self.gaps.push(ScanGap { path: String::new(), reason: GapReason::Truncated, detail: format!("reading broke off: {error}") });
        }
        (self.detections, self.gaps, read_error)
    }
}

/// Where in the artifact something stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// Path inside the artifact; empty for the artifact itself.
    pub(crate) path: String,
    /// The name that tells the syntax: the artifact's, or the entry's.
    pub(crate) name: String,
    /// Encodings it was taken out of, outermost first.
    pub(crate) decoded: String,
    pub(crate) archive_depth: u8,
    pub(crate) decode_depth: u8,
    /// Taken out of something binary: no lines, and no guesses.
    pub(crate) binary: bool,
}

/// Longest path kept of one entry; longer ones are cut, and say so.
const NAME_BYTES_MAX: usize = 1024;

impl Place {
    /// The artifact itself.
    pub(crate) fn root(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// An entry of the archive here.
    pub(crate) fn entry(&self, name: &[u8]) -> Self {
        let mut text = String::from_utf8_lossy(&name[..name.len().min(NAME_BYTES_MAX)]).replace('\0', "\u{fffd}");
        if name.len() > NAME_BYTES_MAX {
            text.push('…');
        }
        let path = if self.path.is_empty() { text.clone() } else { format!("{}!/{text}", self.path) };
        let (archive_depth, decode_depth) = (self.archive_depth + 1, self.decode_depth);
        Self { path, name: text, decoded: self.decoded.clone(), archive_depth, decode_depth, binary: false }
    }

    /// What a compression here holds.
    pub(crate) fn decompressed(&self, how: &str) -> Self {
        let mut place = self.wrapped(how);
        place.archive_depth += 1;
        // `app.log.gz` holds `app.log`.
        let name = self.name.as_str();
        let ending = name.rfind('.').filter(|&at| !name[at..].contains('/') && name.len() - at <= 5);
        place.name = ending.map_or(name, |at| &name[..at]).to_owned();
        place
    }

    /// What an encoding here holds.
    pub(crate) fn decoded(&self, how: &str, binary: bool) -> Self {
        let mut place = self.wrapped(how);
        place.decode_depth += 1;
        place.binary |= binary;
        place
    }

    /// The same, in another form.
    pub(crate) fn wrapped(&self, how: &str) -> Self {
        let decoded = if self.decoded.is_empty() { how.to_owned() } else { format!("{} > {how}", self.decoded) };
        Self { decoded, ..self.clone() }
    }
}
