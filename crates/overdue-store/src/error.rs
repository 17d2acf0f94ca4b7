//! What can go wrong, told apart where a caller acts differently. Each message names the store and the mend.

use std::io::ErrorKind;

use overdue_core::UnknownName;

use crate::RunId;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address is not one of a store.
    #[error("`{url}` names no store: {why}; write `sqlite://PATH`, for example `sqlite:///var/lib/overdue/store.db`")]
    BadUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// A newer program wrote it.
    #[error(
        "{place} was written by a newer overdue (layout {found}; this one knows up to {known}): update this program, or name another store with --store"
    )]
    Newer {
        /// Which store.
        place: String,
        /// The layout it has.
        found: i64,
        /// The newest layout we know.
        known: i64,
    },
    /// Another program kept it locked longer than we wait.
    #[error(
        "{place} stayed locked by another program for more than {waited_s} seconds: let that program end, then run this again; nothing was changed"
    )]
    Locked {
        /// Which store.
        place: String,
        /// How long we waited at least.
        waited_s: u64,
    },
    /// It may not be written.
    #[error("{place} cannot be written: give this user write access to the file and to its folder, or name another store with --store")]
    ReadOnly {
        /// Which store.
        place: String,
    },
    /// No space is left.
    #[error("the disk that holds {place} is full: free some space and run this again; what was acknowledged before is safe")]
    Full {
        /// Which store.
        place: String,
    },
    /// Its bytes or rows are not what we wrote.
    #[error("{place} is damaged ({what}): put a backup in its place, or move it away, and the next run begins a new store")]
    Corrupt {
        /// Which store.
        place: String,
        /// What was noticed.
        what: String,
    },
    /// A file of some other program.
    #[error("{place} is not a store of overdue ({why}) and was left as it is: name another path with --store")]
    NotOurs {
        /// Which file.
        place: String,
        /// How we can tell.
        why: String,
    },
    /// Its fingerprints were made with another key.
    #[error(
        "the fingerprints in {place} were made with key {bound}, but the present key is {given}: bring back the key file that belongs to this store, or name another store with --store"
    )]
    OtherKey {
        /// Which store.
        place: String,
        /// Id of the key it belongs to.
        bound: String,
        /// Id of the key that was offered.
        given: String,
    },
    /// The run is no longer ours: another process took it over, or it has ended.
    #[error(
        "run {run} no longer belongs to this process ({why}): what it still wanted to write was refused, and its present holder goes on"
    )]
    Fenced {
        /// Which run.
        run: RunId,
        /// Who has it, or how it ended.
        why: String,
    },
    /// A run may not be called clean, or ended, while this stands open.
    #[error("run {run} cannot end as {status}: {listed} targets not looked at, {failed} failed, {gaps} gaps")]
    NotComplete {
        /// Which run.
        run: RunId,
        /// What it was to be called.
        status: &'static str,
        /// Targets nobody has looked at.
        listed: u64,
        /// Targets that failed.
        failed: u64,
        /// Gaps.
        gaps: u64,
    },
    /// The SQLite that was linked is older than the first one that is safe for us.
    #[error("SQLite {found} was linked, but {needed} or newer is needed: build with the bundled SQLite")]
    OldSqlite {
        /// Its version.
        found: String,
        /// The oldest that will do.
        needed: String,
    },
    /// The program asked for something that makes no sense. A fault of ours.
    #[error("the store was asked for something impossible: {what}; please report this")]
    Misuse {
        /// What.
        what: String,
    },
    /// The operating system refused.
    #[error("cannot use {place}: look at the path, its permissions and the disk, or name another store with --store")]
    Io {
        /// Which store.
        place: String,
        /// The refusal.
        #[source]
        source: std::io::Error,
    },
    /// Anything else the database said.
    #[error("the database refused an operation on {place}; please report this")]
    Other {
        /// Which store.
        place: String,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// An error on its way out, before the store's place is put to it.
#[derive(Debug)]
pub(crate) enum Fault {
    Sql(sqlx::Error),
    Io(std::io::Error),
    Damaged(String),
    Known(StoreError),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Known(error)
    }
}

impl From<UnknownName> for Fault {
    fn from(error: UnknownName) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Damaged(format!("a JSON column: {error}"))
    }
}

impl Fault {
    pub(crate) fn misuse(what: impl Into<String>) -> Self {
        Self::Known(StoreError::Misuse { what: what.into() })
    }

    /// What to tell the caller.
    pub(crate) fn named(self, place: &str, waited_s: u64) -> StoreError {
        let place = place.to_owned();
        match self {
            Self::Known(error) => error,
            Self::Damaged(what) => StoreError::Corrupt { place, what },
            Self::Io(source) => match source.kind() {
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { place },
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full { place },
                _ => StoreError::Io { place, source },
            },
            Self::Sql(error) => match SqliteCode::of(&error) {
                Some(code) => match code.primary() {
                    SqliteCode::BUSY | SqliteCode::LOCKED => StoreError::Locked { place, waited_s },
                    SqliteCode::READONLY => StoreError::ReadOnly { place },
                    SqliteCode::FULL => StoreError::Full { place },
                    // The shared-memory file of the log could not grow: no other cause than a full disk is known.
                    SqliteCode::IOERR if code.0 == SqliteCode::IOERR_SHMSIZE => StoreError::Full { place },
                    SqliteCode::CORRUPT => StoreError::Corrupt { place, what: error.to_string() },
                    SqliteCode::NOTADB => StoreError::NotOurs { place, why: "it is no SQLite file".into() },
                    SqliteCode::IOERR | SqliteCode::CANTOPEN => StoreError::Io { place, source: std::io::Error::other(error) },
                    _ => StoreError::Other { place, source: Box::new(error) },
                },
                None => match error {
                    sqlx::Error::PoolTimedOut => StoreError::Locked { place, waited_s },
                    sqlx::Error::Io(source) => StoreError::Io { place, source },
                    sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreError::Corrupt { place, what: error.to_string() },
                    error => StoreError::Other { place, source: Box::new(error) },
                },
            },
        }
    }
}

/// SQLite's extended result code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SqliteCode(pub(crate) i32);

impl SqliteCode {
    pub(crate) const BUSY: i32 = 5;
    pub(crate) const LOCKED: i32 = 6;
    pub(crate) const READONLY: i32 = 8;
    pub(crate) const IOERR: i32 = 10;
    pub(crate) const CORRUPT: i32 = 11;
    pub(crate) const FULL: i32 = 13;
    pub(crate) const CANTOPEN: i32 = 14;
    pub(crate) const NOTADB: i32 = 26;
    pub(crate) const IOERR_SHMSIZE: i32 = 4874;

    pub(crate) fn of(error: &sqlx::Error) -> Option<Self> {
        let sqlx::Error::Database(error) = error else { return None };
        error.code()?.parse().ok().map(Self)
    }
    pub(crate) const fn primary(self) -> i32 {
        self.0 & 0xff
    }
}
