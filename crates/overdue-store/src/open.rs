//! Opening a store: its address, its file, its connections. All that is particular to SQLite stands here.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};

use crate::StoreError;
use crate::error::{Fault, SqliteCode};
use crate::migrate::{self, MIGRATIONS};

/// A transaction on one of the pools' connections; rolled back when dropped.
pub(crate) type Transaction = sqlx::Transaction<'static, sqlx::Sqlite>;

/// Marks a SQLite file as ours: "OvDu" in ASCII.
pub(crate) const APPLICATION_ID: i64 = 0x4f76_4475;

/// The first SQLite whose write-ahead log we trust: older ones can lose a checkpoint's pages when two connections meet.
const SQLITE_FLOOR: (u32, u32, u32) = (3, 51, 3);

/// How long a write waits for another program's lock: longer than the minute a backup may hold it.
const LOCK_WAIT: Duration = Duration::from_secs(75);

/// How long a task of this process waits for its turn at the one writing connection: several lock waits in a row.
const TURN_WAIT: Duration = Duration::from_secs(600);

/// Reports and pages read while a run writes; more connections only cost memory.
const READERS_MAX: u32 = 4;

/// Switching to the write-ahead log needs the file for oneself and does not wait by itself; two processes that open a
/// new store at once meet here.
const WAL_RETRY: Duration = Duration::from_millis(50);

/// Everything we know, on disk. Cheap to clone; all clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// For messages: the file's absolute path.
    place: String,
    lock_wait: Duration,
    /// One connection, so that writes of this process queue here and not at the file's lock.
    writer: SqlitePool,
    reader: SqlitePool,
}

impl Store {
    /// Opens the store at `url`, makes it when it is not there, and brings an older one to the present layout.
    ///
    /// `sqlite://PATH`, absolute or relative, or `sqlite::memory:` for a store that ends with the process. New files are
    /// readable by their owner alone, and so are folders made on the way.
    pub async fn open(url: &str, now: Timestamp) -> Result<Self, StoreError> {
        Self::open_with(url, now, LOCK_WAIT).await
    }

    pub(crate) async fn open_with(url: &str, now: Timestamp, lock_wait: Duration) -> Result<Self, StoreError> {
        match Address::parse(url)? {
            Address::Memory => {
                let options = options(lock_wait).in_memory(true).filename(":memory:");
                let place = "the store in memory";
                let named = |fault: Fault| fault.named(place, lock_wait.as_secs());
                let pool = writer_pool(options).await.map_err(|error| named(error.into()))?;
                let mut connection = pool.acquire().await.map_err(|error| named(error.into()))?;
                check_version(&mut connection).await.map_err(named)?;
                migrate::migrate(&mut connection, place, MIGRATIONS, now).await.map_err(named)?;
                drop(connection);
                Ok(Self { shared: Arc::new(Shared { place: place.into(), lock_wait, reader: pool.clone(), writer: pool }) })
            }
            Address::File(path) => {
                let place = path.display().to_string();
                Self::open_file(&path, &place, now, lock_wait).await.map_err(|fault| fault.named(&place, lock_wait.as_secs()))
            }
        }
    }

    async fn open_file(path: &Path, place: &str, now: Timestamp, lock_wait: Duration) -> Result<Self, Fault> {
        create(path)?;
        let options = options(lock_wait).filename(path);

        // Nothing is changed before we know that the file is ours or empty.
        let mut first = match options.connect().await {
            Ok(connection) => connection,
            Err(error) => return Err(explain_refusal(path, place, error)),
        };
        check_version(&mut first).await?;
        check_ours(&mut first, place).await.map_err(|fault| match fault {
            Fault::Sql(error) => explain_refusal(path, place, error),
            fault => fault,
        })?;
        check_writable(&mut first, lock_wait).await?;
        enter_wal(&mut first, lock_wait).await.map_err(|fault| match fault {
            Fault::Sql(error) => explain_refusal(path, place, error),
            fault => fault,
        })?;
        migrate::migrate(&mut first, place, MIGRATIONS, now).await?;

        let writer = writer_pool(options.clone()).await?;
        let reader = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(TURN_WAIT)
            .test_before_acquire(false)
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect_with(options.pragma("query_only", "ON"))
            .await?;
        // Only now, so that the last connection never closes in between and takes the log with it.
        first.close().await?;
        Ok(Self { shared: Arc::new(Shared { place: place.to_owned(), lock_wait, writer, reader }) })
    }

    /// Where it is, for messages: the file's absolute path.
    pub fn place(&self) -> &str {
        &self.shared.place
    }

    /// Finishes what is under way and folds the log into the file, for this store and all its clones. Dropping them without
    /// it is as safe.
    pub async fn close(self) {
        self.shared.reader.close().await;
        self.shared.writer.close().await;
    }

    /// Reads every page of the store and checks it against itself: the order of rows, the indices, the references.
    pub async fn integrity_check(&self) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            let mut complaints: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(20)").fetch_all(&mut *tx).await?;
            complaints.retain(|line| line != "ok");
            let orphans = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut *tx).await?;
            if !orphans.is_empty() {
                complaints.push(format!("{} rows refer to rows that are not there", orphans.len()));
            }
            if complaints.is_empty() { Ok(()) } else { Err(Fault::Damaged(complaints.join("; "))) }
        })
        .await
    }

    /// Ties the store to the key its fingerprints are made with: the first call keeps `key_id`, each later one must
    /// bring the same, since fingerprints of two keys cannot be compared.
    pub async fn bind_key(&self, key_id: &str) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            let bound: Option<String> =
                sqlx::query_scalar("SELECT value FROM setting WHERE name = 'key-id'").fetch_optional(&mut *tx).await?;
            match bound {
                Some(bound) if bound == key_id => Ok(()),
                Some(bound) => Err(StoreError::OtherKey { place: self.place().to_owned(), bound, given: key_id.to_owned() }.into()),
                None => {
                    sqlx::query("INSERT INTO setting (name, value) VALUES ('key-id', $1)").bind(key_id).execute(&mut *tx).await?;
                    tx.commit().await?;
                    Ok(())
                }
            }
        })
        .await
    }

    /// Begins the only transaction of this process that may write. It takes the write lock at once: a lock taken later
    /// cannot be waited for.
    pub(crate) async fn write(&self) -> Result<Transaction, Fault> {
        Ok(self.shared.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Begins a transaction that reads one state of the whole store, whatever is written meanwhile.
    pub(crate) async fn read(&self) -> Result<Transaction, Fault> {
        Ok(self.shared.reader.begin().await?)
    }

    /// Puts this store's place to what went wrong.
    pub(crate) async fn named<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, StoreError> {
        work.await.map_err(|fault| fault.named(&self.shared.place, self.shared.lock_wait.as_secs()))
    }

    #[cfg(test)]
    pub(crate) fn writer(&self) -> &SqlitePool {
        &self.shared.writer
    }
}

/// What an address names.
#[derive(Debug, PartialEq, Eq)]
enum Address {
    Memory,
    File(PathBuf),
}

impl Address {
    fn parse(url: &str) -> Result<Self, StoreError> {
        let bad = |why: &str| StoreError::BadUrl { url: url.to_owned(), why: why.to_owned() };
        if url == "sqlite::memory:" {
            return Ok(Self::Memory);
        }
        let Some(path) = url.strip_prefix("sqlite://") else {
            return Err(bad(match url.split_once(':') {
                Some(("postgres" | "postgresql", _)) => "this version keeps its store in SQLite only",
                _ => "it does not begin with `sqlite://`",
            }));
        };
        if path.is_empty() {
            return Err(bad("the path is missing"));
        }
        if path.contains('\0') {
            return Err(bad("the path holds a NUL"));
        }
        if path.ends_with('/') || path.ends_with(std::path::MAIN_SEPARATOR) {
            return Err(bad("it names a folder; add a file name"));
        }
        // Absolute, since SQLite reads `file:…` and `:memory:` in a special way, and since messages must name the file.
        let path = std::path::absolute(path).map_err(|error| bad(&error.to_string()))?;
        if path.to_str().is_none() {
            return Err(bad("the present folder's name is not UTF-8; give an absolute path"));
        }
        if path.is_dir() {
            return Err(bad("it names a folder; add a file name"));
        }
        Ok(Self::File(path))
    }
}

/// What every connection has in common.
fn options(lock_wait: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .create_if_missing(false)
        .foreign_keys(true)
        .busy_timeout(lock_wait)
        // A commit is acknowledged when its bytes are on the disk, not when they are on their way.
        .synchronous(sqlx::sqlite::SqliteSynchronous::Full)
        // An I/O error on mapped memory is a signal that kills the process; on a read it is an error.
        .pragma("mmap_size", "0")
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        // No scratch files beside the store.
        .pragma("temp_store", "MEMORY")
        // 16 MiB: the keys of half a million contents.
        .pragma("cache_size", "-16384")
        // After a burst the log is cut back to this many bytes.
        .pragma("journal_size_limit", "67108864")
        .disable_statement_logging()
}

async fn writer_pool(options: SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(TURN_WAIT)
        .acquire_slow_threshold(TURN_WAIT)
        .idle_timeout(None)
        .max_lifetime(None)
        // A statement that meets a full disk makes SQLite roll back by itself; sqlx then counts a transaction that is
        // no more, and only a new connection gets it right again.
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        .connect_with(options)
        .await
}

/// Makes the file and the folders above it, for their owner's eyes only, unless it is there.
///
/// An existing file is never opened here: closing it would drop the locks that another connection of this process
/// holds on it (POSIX locks belong to the process). For the same reason only one thread at a time makes a file.
fn create(path: &Path) -> Result<(), std::io::Error> {
    static MAKING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    let mut file = std::fs::OpenOptions::new();
    file.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        builder.mode(0o700);
        file.mode(0o600);
    }
    // The names of new folders must outlive a power cut as well as what lies in them.
    let new: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    builder.create(folder)?;
    for folder in new.iter().filter_map(|folder| folder.parent()) {
        sync_folder(folder)?;
    }
    if let Ok(metadata) = path.metadata() {
        warn_if_open(path, &metadata);
        return Ok(());
    }
    match file.open(path) {
        Ok(file) => {
            file.sync_all()?;
            drop(file);
            sync_folder(folder)?;
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// A store is a map of every weak key. Who may read it is for its owner to say, so this only warns.
fn warn_if_open(path: &Path, metadata: &std::fs::Metadata) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if metadata.permissions().mode() & 0o077 != 0 {
            tracing::warn!(path = %path.display(), "other users of this machine may read the store; `chmod 600` it");
        }
    }
    #[cfg(not(unix))]
    let _ = (path, metadata);
}

/// Brings the names in a folder to the disk; other systems than Unix do so by themselves.
fn sync_folder(folder: &Path) -> Result<(), std::io::Error> {
    if cfg!(unix) { std::fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

async fn check_version(connection: &mut SqliteConnection) -> Result<(), Fault> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(connection).await?;
    if version_is_enough(&found) {
        return Ok(());
    }
    let (major, minor, patch) = SQLITE_FLOOR;
    Err(StoreError::OldSqlite { found, needed: format!("{major}.{minor}.{patch}") }.into())
}

pub(crate) fn version_is_enough(text: &str) -> bool {
    let mut parts = text.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next()) >= SQLITE_FLOOR
}

/// Refuses a database of some other program.
async fn check_ours(connection: &mut SqliteConnection, place: &str) -> Result<(), Fault> {
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await?;
    if id == APPLICATION_ID {
        return Ok(());
    }
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut *connection).await?;
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
    if id == 0 && tables == 0 && version == 0 {
        return Ok(());
    }
    Err(StoreError::NotOurs { place: place.to_owned(), why: "it is a SQLite file of another program".into() }.into())
}

/// SQLite opens a file it may not write without a word; asking for the write lock tells.
async fn check_writable(connection: &mut SqliteConnection, lock_wait: Duration) -> Result<(), Fault> {
    // Busy means that someone writes, so it can be written: no reason to wait.
    sqlx::raw_sql("PRAGMA busy_timeout = 0").execute(&mut *connection).await?;
    let outcome = match connection.begin_with("BEGIN IMMEDIATE").await {
        Ok(tx) => tx.rollback().await.map_err(Fault::from),
        Err(error) if SqliteCode::of(&error).is_some_and(|code| code.primary() == SqliteCode::BUSY) => Ok(()),
        Err(error) => Err(error.into()),
    };
    let back = sqlx::AssertSqlSafe(format!("PRAGMA busy_timeout = {}", lock_wait.as_millis()));
    sqlx::raw_sql(back).execute(&mut *connection).await?;
    outcome
}

async fn enter_wal(connection: &mut SqliteConnection, lock_wait: Duration) -> Result<(), Fault> {
    let mut waited = Duration::ZERO;
    loop {
        match sqlx::query_scalar::<_, String>("PRAGMA journal_mode = WAL").fetch_one(&mut *connection).await {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                return Err(std::io::Error::other(format!(
                    "its file system cannot share memory between processes (journal mode stays `{mode}`); keep the store on a local disk"
                ))
                .into());
            }
            Err(error) => {
                let busy = SqliteCode::of(&error).is_some_and(|code| matches!(code.primary(), SqliteCode::BUSY | SqliteCode::LOCKED));
                if !busy || waited >= lock_wait {
                    return Err(error.into());
                }
                tokio::time::sleep(WAL_RETRY).await;
                waited += WAL_RETRY;
            }
        }
    }
}

/// SQLite says "unable to open" both for a file that may not be read and for a folder in which it may not put its log.
fn explain_refusal(path: &Path, place: &str, error: sqlx::Error) -> Fault {
    let cannot_open = SqliteCode::of(&error).is_some_and(|code| code.primary() == SqliteCode::CANTOPEN);
    if cannot_open && path.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return StoreError::ReadOnly { place: place.to_owned() }.into();
    }
    error.into()
}
