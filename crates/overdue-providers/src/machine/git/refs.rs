//! Branches, tags and heads: what history is reached from. Read from files by hand and leniently, since a broken ref must
//! not hide the others.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use gix_hash::ObjectId;

use super::super::open::read_small;
use super::{Repository, names};

/// A ref is a line; some tools write a comment behind it.
const REF_BYTES_MAX: u64 = 64 * 1024;
/// A hundred bytes a ref: enough for five million.
const PACKED_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Folders under `refs`, as deep as a file name can be long in parts.
const DEPTH_MAX: usize = 128;

/// One ref that names an object.
pub(super) struct Ref {
    pub(super) name: String,
    pub(super) id: ObjectId,
    /// A local or remote branch, or some worktree's HEAD: a place people work on.
    pub(super) is_branch: bool,
}

/// All refs.
pub(super) struct Refs {
    pub(super) refs: Vec<Ref>,
    pub(super) refused: Vec<(PathBuf, io::Error)>,
}

/// Reads all refs of a repository and of its worktrees.
pub(super) fn read(repository: &Repository) -> Refs {
    let mut found: BTreeMap<String, ObjectId> = BTreeMap::new();
    let mut refused = Vec::new();
    let common = &repository.common;
    if repository.reftable {
        let error = io::Error::new(
            io::ErrorKind::Unsupported,
            "refs are kept in a reftable, which overdue does not read: it cannot say what a branch still holds",
        );
        return Refs { refs: Vec::new(), refused: vec![(common.join("reftable"), error)] };
    }
    match read_small(&common.join("packed-refs"), PACKED_BYTES_MAX) {
        Ok(bytes) => {
            for line in bytes.split(|&byte| byte == b'\n') {
                let Some(at) = line.iter().position(|&byte| byte == b' ') else { continue };
                if let Some(id) = id_of(&line[..at], repository.hash) {
                    found.insert(String::from_utf8_lossy(line[at + 1..].trim_ascii_end()).into_owned(), id);
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => refused.push((common.join("packed-refs"), error)),
    }
    // Loose refs win over packed ones.
    let mut folders = vec![(common.join("refs"), "refs".to_owned(), 0)];
    let mut heads = vec![(common.join("HEAD"), "HEAD".to_owned())];
    for entry in std::fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten() {
        let name = names::name_of(Path::new(&entry.file_name()));
        heads.push((entry.path().join("HEAD"), format!("worktrees/{name}/HEAD")));
        folders.push((entry.path().join("refs"), format!("worktrees/{name}/refs"), 0));
    }
    while let Some((folder, prefix, depth)) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
            Err(error) => {
                refused.push((folder, error));
                continue;
            }
        };
        for entry in entries.flatten() {
            let name = format!("{prefix}/{}", names::name_of(Path::new(&entry.file_name())));
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => {
                    if depth < DEPTH_MAX {
                        folders.push((entry.path(), name, depth + 1));
                    }
                }
                _ => heads.push((entry.path(), name)),
            }
        }
    }
    for (path, name) in heads {
        match read_small(&path, REF_BYTES_MAX) {
            // A symbolic ref says nothing that the ref it names does not say.
            Ok(bytes) => {
                if let Some(id) = id_of(bytes.get(..repository.hash.len_in_hex()).unwrap_or_default(), repository.hash) {
                    found.insert(name, id);
                }
            }
            // Gone since, or no ref at all: a lock, a pipe.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => refused.push((path, error)),
            Err(_) => {}
        }
    }
    let refs = found
        .into_iter()
        .map(|(name, id)| Ref {
            is_branch: name.starts_with("refs/heads/") || name.starts_with("refs/remotes/") || name.ends_with("HEAD"),
            name,
            id,
        })
        .collect();
    Refs { refs, refused }
}

fn id_of(hex: &[u8], hash: gix_hash::Kind) -> Option<ObjectId> {
    ObjectId::from_hex(hex).ok().filter(|id| id.kind() == hash && !id.is_null())
}
