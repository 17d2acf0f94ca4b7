//! Every regular file under a path, tracked by git or not, ignored or not.
//!
//! Left out, because others read them: the objects of git repositories (by the form of their names, so that a stranger
//! hidden among them is still read), and what the program itself keeps. Left out, because they are no bytes at rest:
//! links, pipes, sockets, devices and the kernel's own file systems. A folder that cannot be opened is a gap.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::{DirEntry, Walk, WalkBuilder};
use jiff::Timestamp;
use overdue_core::{Artifact, ArtifactKind, ContentKey, Gap, GapReason, TargetId};

use super::open::{Links, io_gap, open_regular};
use super::{FILE_BYTES_MAX, Facts, names};
use crate::{Body, Fault};

/// Files a page lists.
const PAGE_FILES: usize = 1_000;
/// Entries looked at for one page, so that a million links do not make one page of hours.
const PAGE_ENTRIES: usize = 50_000;
/// Kept by the kernel, not by a disk. They are read only when asked for by name.
pub(super) const PSEUDO_FOLDERS: [&str; 2] = ["/proc", "/sys"];

/// What is left out of walks.
#[derive(Clone, Default)]
pub(super) struct Skips(Arc<Vec<PathBuf>>);

impl Skips {
    /// The program's own folders, under the names they have and the ones they really have.
    pub(super) fn new(own: &[PathBuf]) -> Self {
        let mut all = own.to_vec();
        all.extend(own.iter().filter_map(|path| real(path)));
        all.sort();
        all.dedup();
        Self(Arc::new(all))
    }

    /// Whether a path is one of the program's own.
    pub(super) fn holds(&self, path: &Path) -> bool {
        self.0.iter().any(|own| path.starts_with(own))
    }
}

/// The real path of something that may not be there yet: that of the nearest folder above it that is.
fn real(path: &Path) -> Option<PathBuf> {
    path.ancestors().find_map(|above| {
        let found = if above.as_os_str().is_empty() { Path::new(".") } else { above }.canonicalize().ok()?;
        let rest = path.strip_prefix(above).ok()?;
        Some(if rest.as_os_str().is_empty() { found } else { found.join(rest) })
    })
}

/// A walk in the order of names, folder by folder; so a path tells where it stands.
pub(super) fn walk(root: &Path, skips: &Skips, after: Option<PathBuf>, left_out: fn(&Path, bool) -> bool) -> Walk {
    let skips = skips.clone();
    let top = root.to_owned();
    WalkBuilder::new(root)
        .standard_filters(false)
        .follow_links(false)
        .sort_by_file_name(OsStr::cmp)
        .filter_entry(move |entry: &DirEntry| {
            let path = entry.path();
            if path == top {
                return true;
            }
            let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
            // What comes before the last page's end was listed; its own folders have to be opened again.
            if let Some(after) = &after
                && path <= after.as_path()
                && !(is_folder && after.starts_with(path))
            {
                return false;
            }
            !skips.holds(path) && !is_pseudo(path) && !left_out(path, is_folder)
        })
        .build()
}

/// Every entry under a path, on several threads and in no order, with the same left out as in an audit: git's objects, what
/// the kernel keeps, and `own`, the program's own files. With `ignored` false also what `.gitignore` and its kin name.
pub fn walk_in_parallel(root: &Path, threads: usize, own: &[PathBuf], ignored: bool) -> ignore::WalkParallel {
    let (skips, top) = (Skips::new(own), root.to_owned());
    WalkBuilder::new(root)
        .standard_filters(false)
        .git_ignore(!ignored)
        .git_exclude(!ignored)
        .ignore(!ignored)
        .parents(!ignored)
        .follow_links(false)
        .threads(threads)
        .filter_entry(move |entry: &DirEntry| {
            let path = entry.path();
            let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
            path == top || !(skips.holds(path) || is_pseudo(path) || is_git_object(path, is_folder))
        })
        .build_parallel()
}

/// Opens a regular file for reading; a link only when `follow` says so, and never a pipe or a device.
pub fn open_file(path: &Path, follow: bool) -> io::Result<(std::fs::File, std::fs::Metadata)> {
    open_regular(path, if follow { Links::Follow } else { Links::Refuse })
}

/// The gap left by a file that could not be opened.
pub fn file_gap(target: &TargetId, subject: String, error: &io::Error) -> Gap {
    io_gap(target, subject, error, false)
}

fn is_pseudo(path: &Path) -> bool {
    PSEUDO_FOLDERS.iter().any(|folder| path == Path::new(folder))
}

/// Whether a file is one of git's objects, by its place and the form of its name.
fn is_git_object(path: &Path, is_folder: bool) -> bool {
    if is_folder {
        return false;
    }
    let Some(name) = path.file_name().and_then(OsStr::to_str) else { return false };
    let Some(folder) = path.parent() else { return false };
    let (Some(folder_name), Some(objects)) = (folder.file_name().and_then(OsStr::to_str), folder.parent()) else { return false };
    if objects.file_name().is_none_or(|name| name != "objects") {
        return false;
    }
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let of_git = match folder_name {
        "pack" => {
            let (stem, end) = name.rsplit_once('.').unwrap_or((name, ""));
            matches!(end, "pack" | "idx" | "rev" | "bitmap" | "mtimes" | "promisor" | "keep")
                && (stem.strip_prefix("pack-").is_some_and(hex) || stem.strip_prefix("multi-pack-index-").is_some_and(hex))
                || name == "multi-pack-index"
                || name.starts_with("tmp_pack_")
        }
        fan_out => fan_out.len() == 2 && hex(fan_out) && matches!(name.len(), 38 | 62) && hex(name),
    };
    of_git && objects.parent().is_some_and(super::git::is_bare)
}

/// A listing of files that goes on from page to page.
pub(super) struct Listing {
    target: TargetId,
    walk: Walk,
    /// The last path looked at.
    last: Option<PathBuf>,
}

/// One page.
pub(super) struct FilePage {
    pub(super) artifacts: Vec<Artifact>,
    pub(super) gaps: Vec<Gap>,
    /// The last path looked at; `None` after the last page.
    pub(super) last: Option<PathBuf>,
}

impl Listing {
    /// Begins a listing, or goes on behind a path.
    pub(super) fn new(target: &TargetId, root: &Path, skips: &Skips, after: Option<PathBuf>) -> Self {
        Self { target: target.clone(), walk: walk(root, skips, after.clone(), is_git_object), last: after }
    }

    pub(super) fn page(&mut self, facts: &Facts) -> FilePage {
        let mut page = FilePage { artifacts: Vec::new(), gaps: Vec::new(), last: None };
        let mut looked_at = 0;
        for entry in self.walk.by_ref() {
            looked_at += 1;
            match entry {
                Ok(entry) => {
                    if entry.file_type().is_some_and(|kind| kind.is_file()) {
                        match artifact(facts, ArtifactKind::File, entry.path()) {
                            Ok(artifact) => page.artifacts.push(artifact),
                            Err(error) => page.gaps.push(io_gap(&self.target, names::name_of(entry.path()), &error, false)),
                        }
                    }
                    self.last = Some(entry.into_path());
                }
                Err(error) => page.gaps.push(walk_gap(&self.target, &error)),
            }
            if page.artifacts.len() + page.gaps.len() >= PAGE_FILES || looked_at >= PAGE_ENTRIES {
                page.last = self.last.clone();
                // Nothing but errors so far: there is no path to go on behind, so this page goes on.
                if page.last.is_some() {
                    break;
                }
            }
        }
        let too_large = |artifact: &Artifact| artifact.size_bytes.is_some_and(|size| size > FILE_BYTES_MAX);
        for artifact in page.artifacts.extract_if(.., |artifact| too_large(artifact)) {
            page.gaps.push(too_large_gap(&self.target, artifact.id.name, artifact.size_bytes.unwrap_or_default()));
        }
        page
    }
}

/// The gap a walk's error leaves: a folder that could not be listed, or listed only in part.
pub(super) fn walk_gap(target: &TargetId, error: &ignore::Error) -> Gap {
    let subject = path_of_error(error).map_or_else(|| "a folder".to_owned(), names::name_of);
    match error.io_error() {
        Some(error) if error.kind() == io::ErrorKind::InvalidFilename => Gap {
            reason: GapReason::TooDeep,
            mend: "give a folder further down as a path of its own".into(),
            ..io_gap(target, subject, error, true)
        },
        Some(error) => io_gap(target, subject, error, true),
        None => io_gap(target, subject, &io::Error::other(error.to_string()), true),
    }
}

fn path_of_error(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of_error(err),
        ignore::Error::Partial(errors) => errors.iter().find_map(path_of_error),
        _ => None,
    }
}

fn too_large_gap(target: &TargetId, subject: String, size: u64) -> Gap {
    Gap {
        target: target.clone(),
        subject,
        reason: GapReason::TooLarge,
        detail: format!("{size} bytes, more than {FILE_BYTES_MAX}"),
        permission: String::new(),
        mend: "look at it by hand, or split it".into(),
        open_ended: false,
    }
}

/// The artifact a file is.
pub(super) fn artifact(facts: &Facts, kind: ArtifactKind, path: &Path) -> io::Result<Artifact> {
    let metadata = path.symlink_metadata()?;
    let name = names::name_of(path);
    Ok(Artifact {
        id: facts.artifact(format!("file:{name}")),
        kind,
        content: Some(content_key(&name, &metadata)),
        size_bytes: Some(metadata.len()),
        modified_at: metadata.modified().ok().and_then(|at| Timestamp::try_from(at).ok()),
        tags: Default::default(),
        notes: Vec::new(),
        latest: true,
    })
}

/// Names a state of a file. The change time is in it, since anybody who may write a file may set back its modification
/// time, and nobody the change time.
fn content_key(name: &str, metadata: &std::fs::Metadata) -> ContentKey {
    #[cfg(unix)]
    let state = {
        use std::os::unix::fs::MetadataExt as _;
        let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        format!(
            "{}-{}-{}-{}",
            metadata.len(),
            nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            metadata.ino(),
            nanoseconds(metadata.ctime(), metadata.ctime_nsec())
        )
    };
    #[cfg(not(unix))]
    let state = {
        let modified = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        format!("{}-{}", metadata.len(), modified.map_or(0, |at| at.as_nanos()))
    };
    ContentKey(format!("file:{name}@{state}"))
}

/// Opens a file for the scanner.
pub(super) fn body(target: &TargetId, name: &str, links: Links) -> Result<Body, Box<Gap>> {
    let path = names::path_of(name);
    let (file, metadata) = open_regular(&path, links).map_err(|error| {
        let changed = error.kind() == io::ErrorKind::InvalidInput || is_loop(&error);
        let gap = io_gap(target, name.to_owned(), &error, false);
        Box::new(if changed { Gap { reason: GapReason::Vanished, detail: "it is no regular file any more".into(), ..gap } } else { gap })
    })?;
    if metadata.len() > FILE_BYTES_MAX {
        return Err(Box::new(too_large_gap(target, name.to_owned(), metadata.len())));
    }
    let fault = Fault::default();
    let reader = Watched {
        file: file.take(FILE_BYTES_MAX + 1),
        given: 0,
        declared: metadata.len(),
        fault: fault.clone(),
        target: target.clone(),
        name: name.to_owned(),
    };
    Ok(Body::Reader { reader: Box::new(reader), size_bytes: Some(metadata.len()), fault })
}

/// What opening a link says when links are refused.
fn is_loop(error: &io::Error) -> bool {
    #[cfg(unix)]
    return error.raw_os_error() == Some(libc::ELOOP);
    #[cfg(not(unix))]
    return false;
}

/// A file being read; notes when it gives fewer bytes than it had, or breaks off.
struct Watched {
    file: io::Take<std::fs::File>,
    given: u64,
    declared: u64,
    fault: Fault,
    target: TargetId,
    name: String,
}

impl Read for Watched {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.file.read(out) {
            Ok(0) if !out.is_empty() && self.given < self.declared => {
                let error = io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("it had {} bytes and gave {}: it changed while it was read", self.declared, self.given),
                );
                let gap = Gap {
                    reason: GapReason::Truncated,
                    mend: "run again".into(),
                    ..io_gap(&self.target, self.name.clone(), &error, false)
                };
                self.fault.set(gap);
                Err(error)
            }
            Ok(0) if !out.is_empty() && self.file.limit() == 0 => {
                let gap = too_large_gap(&self.target, self.name.clone(), self.given);
                self.fault.set(gap);
                Err(io::Error::new(io::ErrorKind::FileTooLarge, "it grew beyond the limit while it was read"))
            }
            Ok(length) => {
                self.given += length as u64;
                Ok(length)
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::Interrupted {
                    self.fault.set(io_gap(&self.target, self.name.clone(), &error, false));
                }
                Err(error)
            }
        }
    }
}
