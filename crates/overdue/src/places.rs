//! Where things lie on this machine: the store, the fingerprint key, reports.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folders of the user the program runs as.
pub(crate) struct Places {
    /// Store and reports.
    pub(crate) data: PathBuf,
    /// The fingerprint key: not beside the store, so that a copy of the store alone tells nothing.
    pub(crate) config: PathBuf,
    /// The home folder, where there is one.
    pub(crate) home: Option<PathBuf>,
}

impl Places {
    pub(crate) fn find() -> Result<Self> {
        let folders = directories::ProjectDirs::from("", "", "overdue")
            .context("no home folder: set HOME, or name a store with --store and a key with OVERDUE_FINGERPRINT_KEY_FILE")?;
        Ok(Self {
            data: folders.data_dir().to_owned(),
            config: folders.config_dir().to_owned(),
            home: directories::BaseDirs::new().map(|base| base.home_dir().to_owned()),
        })
    }

    /// The store's address: as typed, else the embedded default.
    pub(crate) fn store_url(&self, typed: Option<&str>) -> String {
        typed.map_or_else(|| format!("sqlite://{}", self.data.join("overdue.db").display()), str::to_owned)
    }

    /// Where the HTML report of a run goes unless the person names a file.
    pub(crate) fn report(&self, job: &str, run: &str) -> PathBuf {
        self.data.join("reports").join(format!("{job}-{run}.html"))
    }

    /// Folders and files of our own that must never be scanned as if they were the user's.
    pub(crate) fn own(&self, store_url: &str) -> Vec<PathBuf> {
        let mut own = vec![self.data.clone(), self.config.clone()];
        if let Some(path) = store_url.strip_prefix("sqlite://") {
            let path = PathBuf::from(path);
            for suffix in ["-wal", "-shm", "-journal"] {
                let mut beside = path.clone().into_os_string();
                beside.push(suffix);
                own.push(PathBuf::from(beside));
            }
            own.push(path);
        }
        own
    }
}

/// Writes a file so that a reader sees either the old or the new content, never half; readable by its owner alone.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut file = tempfile::Builder::new()
        .prefix(".overdue-")
        .tempfile_in(folder)
        .with_context(|| format!("cannot write in the folder {}", folder.display()))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).with_context(|| format!("cannot write {}", path.display()))?;
    file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}
