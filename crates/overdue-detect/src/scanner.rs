//! The scanner: the crate's one verb.

use std::io::{self, Read};
use std::sync::Arc;

use overdue_core::{Detection, Fingerprint};

use crate::config::{Allow, Honoured};
use crate::fingerprint::FingerprintKey;
use crate::limits::Limits;
use crate::rules::RuleSet;
use crate::scanned::Scanned;
use crate::session::{Origin, Place, Session};
use crate::{stored, unpack, variables};

/// Looks for secrets in bytes. Cheap to clone, and to share between threads.
///
/// Scanning does not fail: what could not be read is in [`Scanned::gaps`], beside what was found.
///
/// Memory of one scan is bounded whatever it is given, see [`Limits`].
#[derive(Clone)]
pub struct Scanner {
    inner: Arc<Inner>,
}

struct Inner {
    rules: Arc<RuleSet>,
    key: FingerprintKey,
    limits: Limits,
    /// What is honoured; `None`: nothing.
    allow: Option<Honoured>,
}

impl Scanner {
    /// A scanner with these rules, whose fingerprints are made with `key`.
    pub fn new(rules: Arc<RuleSet>, key: FingerprintKey, limits: Limits) -> Self {
        Self { inner: Arc::new(Inner { rules, key, limits, allow: None }) }
    }

    /// The same scanner, which honours markers and allowlists: what they allow is in [`Scanned::allowed`] instead of among
    /// the detections. A scanner honours nothing unless told to, since an audit must not be silenced by a comment.
    ///
    /// Variables are not lines of a file: [`Self::scan_variables`] and [`Self::fingerprint_value`] honour nothing.
    #[must_use]
    pub fn honouring(&self, allow: Allow) -> Self {
        let Inner { rules, key, limits, .. } = &*self.inner;
        let allow = Some(Honoured::new(allow, rules));
        Self { inner: Arc::new(Inner { rules: Arc::clone(rules), key: key.clone(), limits: limits.clone(), allow }) }
    }

    /// The rules it runs.
    pub fn rules(&self) -> &RuleSet {
        &self.inner.rules
    }

    /// The key its fingerprints are made with.
    pub fn key(&self) -> &FingerprintKey {
        &self.inner.key
    }

    /// Scans an artifact that is in memory. `name` is the artifact's own, a path or a key: its ending tells whether it is code
    /// or configuration. It does not become a part of [`overdue_core::Detection::path`], which is empty for the artifact itself.
    pub fn scan_bytes(&self, name: &str, bytes: &[u8]) -> Scanned {
        self.scan_bytes_of(name, None, bytes)
    }

    /// The same for a file of a repository as it stands in a commit. `name` is its path there, with `/`, which rules and
    /// allowlists of a configuration may ask for, as they may for the commit.
    pub fn scan_bytes_of(&self, name: &str, commit: Option<&str>, bytes: &[u8]) -> Scanned {
        let mut session = self.session_of(name, commit);
        unpack::scan_bytes(&mut session, &Place::root(name), bytes);
        finished(session, bytes.len() as u64)
    }

    /// Scans an artifact as it streams by. An error of the reader ends the scan: a gap, with what was found before it kept.
    ///
    /// Never holds the whole artifact: a text passes in chunks of a quarter of a megabyte, archives are opened from front to
    /// end. `size_hint` saves memory for small artifacts and is otherwise not believed.
    pub fn scan_reader(&self, name: &str, size_hint: Option<u64>, reader: &mut dyn Read) -> Scanned {
        self.scan_reader_of(name, None, size_hint, reader)
    }

    /// The same for a file of a repository as it stands in a commit, see [`Self::scan_bytes_of`].
    pub fn scan_reader_of(&self, name: &str, commit: Option<&str>, size_hint: Option<u64>, reader: &mut dyn Read) -> Scanned {
        let mut session = self.session_of(name, commit);
        let mut counted = Counted { reader, bytes: 0 };
        if let Err(error) = unpack::scan_reader(&mut session, &Place::root(name), size_hint, &mut counted) {
            // A limit stops the reading as well, and says so itself.
            if session.budget.stop.borrow().is_none() {
                session.budget.read_error.borrow_mut().get_or_insert(error.to_string());
            }
        }
        finished(session, counted.bytes)
    }

    /// Scans environment variables, pairs of name and value. A detection's path is the name of the variable that holds the
    /// secret, and it has no line. An id in one variable and its secret in another are one detection.
    pub fn scan_variables(&self, variables: &[(String, String)]) -> Scanned {
        let mut session = self.session();
        variables::scan(&mut session, variables);
        finished(session, variables.iter().map(|(name, value)| (name.len() + value.len()) as u64).sum())
    }

    /// Fingerprints to know a stored value by when it is found elsewhere: of the whole, of each text in it where it is JSON,
    /// and of each secret the rules find in it, which may be a part such as the password of a URL. Parts of fewer than 8
    /// bytes are left out. Sorted, each once.
    pub fn fingerprint_value(&self, value: &[u8]) -> Vec<Fingerprint> {
        let mut fingerprints: Vec<Fingerprint> = stored::parts(value).into_iter().map(|part| self.inner.key.of_secret(&part)).collect();
        let mut session = self.session();
        unpack::scan_bytes(&mut session, &Place::root("value"), value);
        let scanned = finished(session, value.len() as u64);
        fingerprints.extend(scanned.detections.into_iter().map(|detection| detection.fingerprint));
        fingerprints.sort_unstable();
        fingerprints.dedup();
        fingerprints
    }

    fn session(&self) -> Session<'_> {
        Session::new(&self.inner.rules, &self.inner.key, &self.inner.limits)
    }

    fn session_of(&self, name: &str, commit: Option<&str>) -> Session<'_> {
        let origin = Origin { path: name.to_owned(), commit: commit.map(str::to_owned) };
        let mut session = self.session();
        session.allow = self.inner.allow.as_ref();
        session.origin = origin;
        session
    }
}

fn finished(mut session: Session<'_>, bytes: u64) -> Scanned {
    let (mut allowed, mut unused_markers) = (std::mem::take(&mut session.allowed), std::mem::take(&mut session.unused_markers));
    let (mut detections, gaps, read_error) = session.into_parts();
    let order = |a: &Detection, b: &Detection| {
        (&a.path, a.line, a.column, &a.rule, &a.fingerprint, a.decoded.len()).cmp(&(
            &b.path,
            b.line,
            b.column,
            &b.rule,
            &b.fingerprint,
            b.decoded.len(),
        ))
    };
    detections.sort_by(order);
    allowed.sort_by(|a, b| order(&a.detection, &b.detection));
    unused_markers.sort_unstable();
    // The same secret twice on one line is one detection; plain comes before encoded.
    let mut seen = std::collections::HashSet::new();
    let mut is_new =
        |one: &Detection| seen.insert((one.path.clone(), one.line, one.rule.clone(), one.fingerprint.clone(), one.public_id.clone()));
    detections.retain(&mut is_new);
    allowed.retain(|one| is_new(&one.detection));
    Scanned { detections, allowed, unused_markers, gaps, bytes, read_error }
}

/// Counts what the artifact's reader gives.
struct Counted<'r> {
    reader: &'r mut dyn Read,
    bytes: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(out)?;
        // A reader that claims more than it was given room for is broken; believing it would panic later.
        if n > out.len() {
            return Err(io::Error::other("the reader claims to have read more than it was asked for"));
        }
        self.bytes += n as u64;
        Ok(n)
    }
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scanner({:?}, {:?})", self.inner.rules, self.inner.key)
    }
}
