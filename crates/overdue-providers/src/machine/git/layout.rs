//! Where a repository keeps its parts. Nothing here asks git, and of the configuration only facts are read: which hash it
//! uses, whether the server kept objects back, where a submodule's work tree is. No include is followed, no value is run.

use std::io;
use std::path::{Path, PathBuf};

use super::super::open::read_small;

/// A `.git` file or `commondir` holds one path.
const LINK_BYTES_MAX: u64 = 16 * 1024;
/// A configuration is written by hand or by tools, a few kB; one with thousands of branches has some hundred kB.
const CONFIG_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What stands at a path.
pub(in crate::machine) enum Found {
    /// A repository: its common folder (where `objects` is), canonical.
    Repository(PathBuf),
    /// Something that claims to be one and is not, and why.
    Broken(String),
    /// Nothing of git's.
    Nothing,
}

/// Looks at a `.git` file or folder.
pub(in crate::machine) fn look_at_dot_git(dot_git: &Path) -> Found {
    let Ok(facts) = std::fs::metadata(dot_git) else {
        return if dot_git.is_symlink() { Found::Broken("it is a link that leads nowhere".into()) } else { Found::Nothing };
    };
    let git_dir = if facts.is_file() {
        match git_dir_of_file(dot_git) {
            Ok(Some(git_dir)) => git_dir,
            Ok(None) => return Found::Nothing,
            Err(error) => return Found::Broken(format!("the link in it cannot be read: {error}")),
        }
    } else if facts.is_dir() {
        dot_git.to_owned()
    } else {
        return Found::Nothing;
    };
    if !git_dir.is_dir() {
        return Found::Broken(format!("it names {}, which is not there", git_dir.display()));
    }
    common_dir(&git_dir)
}

/// The git folder that a `.git` names: itself, or the one a `.git` file links to.
pub(super) fn git_dir_of(dot_git: &Path) -> Option<PathBuf> {
    let facts = std::fs::metadata(dot_git).ok()?;
    if facts.is_dir() { Some(dot_git.to_owned()) } else { git_dir_of_file(dot_git).ok().flatten() }
}

/// Whether a folder is a bare repository, or the git folder of a submodule.
pub(in crate::machine) fn is_bare(folder: &Path) -> bool {
    folder.join("HEAD").symlink_metadata().is_ok()
        && folder.join("objects").is_dir()
        && (folder.join("refs").is_dir() || folder.join("packed-refs").is_file())
}

/// The common folder of a git folder: its own, or for a worktree that of the repository it belongs to.
pub(in crate::machine) fn common_dir(git_dir: &Path) -> Found {
    let common = match read_small(&git_dir.join("commondir"), LINK_BYTES_MAX) {
        Ok(bytes) => git_dir.join(path_from_bytes(bytes.trim_ascii_end())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => git_dir.to_owned(),
        Err(error) => return Found::Broken(format!("its `commondir` cannot be read: {error}")),
    };
    match std::fs::metadata(common.join("objects")) {
        Ok(facts) if facts.is_dir() => match common.canonicalize() {
            Ok(common) => Found::Repository(common),
            Err(error) => Found::Broken(error.to_string()),
        },
        Ok(_) => Found::Broken("its `objects` is not a folder".into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Broken("it has no `objects` folder".into()),
        // It is there, and reading its listing will say what is wrong with it.
        Err(_) => match common.canonicalize() {
            Ok(common) => Found::Repository(common),
            Err(error) => Found::Broken(error.to_string()),
        },
    }
}

/// `gitdir: <path>`, relative to the file. `None`: the file says something else.
fn git_dir_of_file(file: &Path) -> io::Result<Option<PathBuf>> {
    let bytes = read_small(file, LINK_BYTES_MAX)?;
    let Some(path) = bytes.strip_prefix(b"gitdir:") else { return Ok(None) };
    let folder = file.parent().unwrap_or(Path::new("/"));
    Ok(Some(folder.join(path_from_bytes(path.trim_ascii()))))
}

/// What a person calls the repository with this common folder: its work tree, or the folder itself where it has none.
pub(in crate::machine) fn place_of(common: &Path) -> PathBuf {
    if common.file_name().is_some_and(|name| name == ".git")
        && let Some(parent) = common.parent()
    {
        return parent.to_owned();
    }
    if let Some(work_tree) = Facts::read(common).work_tree
        && let Ok(work_tree) = common.join(work_tree).canonicalize()
        && let Found::Repository(back) = look_at_dot_git(&work_tree.join(".git"))
        && back == common
    {
        return work_tree;
    }
    // A bare repository that also holds a `.git` would share its name with that one.
    if common.join(".git").symlink_metadata().is_ok() { common.join("objects") } else { common.to_owned() }
}

/// The common folder of the repository that [`place_of`] named so.
pub(in crate::machine) fn common_of(place: &Path) -> Found {
    match look_at_dot_git(&place.join(".git")) {
        Found::Nothing => {}
        found => return found,
    }
    if let Some(parent) = place.parent().filter(|_| place.file_name().is_some_and(|name| name == "objects"))
        && is_bare(parent)
        && parent.join(".git").symlink_metadata().is_ok()
    {
        return common_dir(parent);
    }
    if place.join("objects").symlink_metadata().is_ok() { common_dir(place) } else { Found::Nothing }
}

/// The few facts of a configuration that reading objects needs.
#[derive(Default, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// `extensions.objectFormat`.
    pub(super) object_format: Option<String>,
    /// `extensions.refStorage`.
    pub(super) ref_storage: Option<String>,
    /// Some remote is a promisor: it may have kept objects back.
    pub(super) promisor: bool,
    /// `core.worktree`.
    work_tree: Option<PathBuf>,
}

impl Facts {
    /// Reads them; what cannot be read has none, and git's own defaults hold.
    pub(super) fn read(common: &Path) -> Self {
        read_small(&common.join("config"), CONFIG_BYTES_MAX).map(|bytes| Self::parse(&bytes)).unwrap_or_default()
    }

    fn parse(bytes: &[u8]) -> Self {
        let mut facts = Self::default();
        let mut section = String::new();
        for line in bytes.split(|&byte| byte == b'\n') {
            let mut line = line.trim_ascii();
            if let Some(rest) = line.strip_prefix(b"[") {
                let Some(end) = rest.iter().position(|&byte| byte == b']') else { continue };
                section = String::from_utf8_lossy(&rest[..end]).to_ascii_lowercase();
                section.truncate(section.find([' ', '\t', '"', '.']).unwrap_or(section.len()));
                line = rest[end + 1..].trim_ascii();
            }
            let (key, value) = match line.iter().position(|&byte| byte == b'=') {
                Some(at) => (line[..at].trim_ascii(), line[at + 1..].trim_ascii()),
                // A key alone is true.
                None => (line, b"true".as_slice()),
            };
            let key = String::from_utf8_lossy(key).to_ascii_lowercase();
            let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
            let text = || String::from_utf8_lossy(value).to_ascii_lowercase();
            match (section.as_str(), key.as_str()) {
                ("extensions", "objectformat") => facts.object_format = Some(text()),
                ("extensions", "refstorage") => facts.ref_storage = Some(text()),
                ("extensions", "partialclone") => facts.promisor = true,
                ("remote", "promisor") => facts.promisor |= !matches!(text().as_str(), "false" | "no" | "off" | "0"),
                ("core", "worktree") => facts.work_tree = Some(path_from_bytes(value)),
                _ => {}
            }
        }
        facts
    }
}

/// A path as git wrote it.
pub(super) fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
    }
    #[cfg(not(unix))]
    {
        PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_a_configuration() {
        let facts = Facts::parse(
            b"[core]\n\trepositoryformatversion = 1\n\tworktree = \"../../../sub dir\"\n\tfsmonitor = touch x\n\
              [extensions]\n\tObjectFormat = SHA256\n\tpartialClone = origin\n[remote \"origin\"]\n promisor\n[include]\n path = /etc/passwd\n",
        );
        let expected = Facts {
            object_format: Some("sha256".into()),
            ref_storage: None,
            promisor: true,
            work_tree: Some(PathBuf::from("../../../sub dir")),
        };
        assert_eq!(facts, expected);
        assert_eq!(Facts::parse(b"[remote \"a\"]\n promisor = false\n[broken"), Facts::default());
        assert!(Facts::parse(b"[remote \"a\"] promisor = true").promisor);
        assert_eq!(Facts::parse(&[0xff, 0, b'[', b'=', b'\n', b']']), Facts::default());
    }
}
