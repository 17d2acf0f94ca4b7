//! Files, folders and standard input, on as many threads as there are cores.

use std::cell::RefCell;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use ignore::WalkState;
use overdue_core::{GapReason, TargetId};
use overdue_providers::machine::{open_file, walk_in_parallel};
use zeroize::Zeroize as _;

use super::{Look, gap_of};

/// Up to this size a file is read whole, into memory that is used again; a longer one streams.
const WHOLE_BYTES_MAX: u64 = 1024 * 1024;

/// Scans paths; `-` is standard input. With `ignored` false, files that `.gitignore` names are left out.
pub(super) fn paths(look: &Look, paths: &[PathBuf], ignored: bool) -> Result<()> {
    // A path that is not there is a mistake in the command, and nothing was promised yet.
    for path in paths.iter().filter(|path| path.as_os_str() != "-") {
        if let Err(error) = path.symlink_metadata() {
            bail!("{}: {error}", path.display());
        }
    }
    for path in paths {
        if path.as_os_str() == "-" {
            let scanned = look.scanner.scan_reader("-", None, &mut std::io::stdin().lock());
            look.saw("-", scanned, None, None);
        } else if path.is_dir() {
            folder(look, path, ignored);
        } else {
            file(look, path, true);
        }
    }
    Ok(())
}

fn folder(look: &Look, root: &Path, ignored: bool) {
    walk_in_parallel(root, look.threads, &[], ignored).run(|| {
        Box::new(|entry| {
            match entry {
                Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
                    if !look.leaves_out(entry.path(), None) {
                        file(look, entry.path(), false);
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    let denied = error.io_error().is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
                    let reason = if denied { GapReason::Denied } else { GapReason::ProviderFault };
                    look.missed(gap_of(root.display().to_string(), reason, error.to_string()));
                }
            }
            WalkState::Continue
        })
    });
}

/// `./a/b` is `a/b`.
fn shown(path: &Path) -> String {
    path.strip_prefix("./").unwrap_or(path).to_string_lossy().into_owned()
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn file(look: &Look, path: &Path, follow: bool) {
    let name = shown(path);
    let (mut file, metadata) = match open_file(path, follow) {
        Ok(opened) => opened,
        Err(error) => {
            let mut gap = overdue_providers::machine::file_gap(&TargetId::from_key("scan".to_owned()), name, &error);
            gap.open_ended = false;
            return look.missed(gap);
        }
    };
    if metadata.len() > WHOLE_BYTES_MAX {
        let scanned = look.scanner.scan_reader_of(&look.name(&name), None, Some(metadata.len()), &mut file);
        return look.saw(&name, scanned, None, None);
    }
    BUFFER.with_borrow_mut(|buffer| {
        match read_whole(&mut file, metadata.len(), buffer) {
            Ok(()) if buffer.len() as u64 > WHOLE_BYTES_MAX => {
                // It has grown since it was opened: the rest of it streams.
                let scanned = look.scanner.scan_reader_of(&look.name(&name), None, None, &mut buffer.as_slice().chain(&mut file));
                look.saw(&name, scanned, None, None);
            }
            Ok(()) => {
                let scanned = look.scanner.scan_bytes_of(&look.name(&name), None, buffer);
                let found = !scanned.detections.is_empty() || !scanned.allowed.is_empty();
                look.saw(&name, scanned, Some(buffer), None);
                if found {
                    buffer.zeroize();
                }
            }
            Err(error) => look.missed(gap_of(name, GapReason::Truncated, error.to_string())),
        }
    });
}

/// Reads a file of about `size` bytes, and one byte more than is allowed at most. A file that holds what it says costs one
/// call: it gives all of that, and less than it was asked for.
fn read_whole(file: &mut std::fs::File, size: u64, buffer: &mut Vec<u8>) -> std::io::Result<()> {
    buffer.resize(usize::try_from(size.min(WHOLE_BYTES_MAX)).unwrap_or(0) + 1, 0);
    let mut filled = 0;
    loop {
        match file.read(&mut buffer[filled..]) {
            Ok(read) => {
                filled += read;
                let is_end = read == 0 || filled as u64 == size && filled < buffer.len();
                if is_end || filled as u64 > WHOLE_BYTES_MAX {
                    buffer.truncate(filled);
                    return Ok(());
                }
                if filled == buffer.len() {
                    let more = (2 * buffer.len()).min(WHOLE_BYTES_MAX as usize + 1);
                    buffer.resize(more, 0);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
