//! Opening files that others may have planted: only regular files, never a device, a pipe that hangs, or (where asked) a link.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use overdue_core::{Gap, GapReason, TargetId};

/// Whether the last part of a path may be a symbolic link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// It may: git itself follows links to its own files.
    Follow,
    /// It may not: what a link names is either scanned under its own path, or was not asked for.
    Refuse,
}

/// Opens a regular file for reading and refuses everything else, without ever waiting on it.
pub(super) fn open_regular(path: &Path, links: Links) -> io::Result<(File, Metadata)> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let no_follow = if links == Links::Refuse { libc::O_NOFOLLOW } else { 0 };
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC | no_follow);
    }
    #[cfg(not(unix))]
    let _ = links;
    let file = options.open(path)?;
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok((file, facts))
}

/// Reads a small file of git's own, `HEAD` or `packed-refs`, and refuses one that is larger than such a file ever is.
pub(super) fn read_small(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let (file, facts) = open_regular(path, Links::Follow)?;
    if facts.len() > bytes_max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{} bytes, more than {bytes_max}", facts.len())));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The gap an IO error leaves.
pub(super) fn io_gap(target: &TargetId, subject: String, error: &io::Error, open_ended: bool) -> Gap {
    let (reason, permission, mend) = match error.kind() {
        io::ErrorKind::PermissionDenied => (
            GapReason::Denied,
            "read access for the user that runs overdue",
            "let the user that runs overdue read it, or run as one that may",
        ),
        io::ErrorKind::NotFound => (GapReason::Vanished, "", "nothing, if it was removed meanwhile; the next run will tell"),
        _ => (GapReason::ProviderFault, "", "look at the file system that holds it, then run again"),
    };
    Gap {
        target: target.clone(),
        subject,
        reason,
        detail: error.to_string(),
        permission: permission.to_owned(),
        mend: mend.to_owned(),
        open_ended,
    }
}
