//! Opening: what is made, what is refused, and that nothing foreign is touched.

use std::path::Path;

use overdue_store::{Store, StoreError};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use crate::world::{at, store, url};

async fn raw(path: &Path) -> SqliteConnection {
    sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

async fn run_sql(path: &Path, sql: &'static str) {
    let mut connection = raw(path).await;
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_new_store_is_made_and_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/store.db");
    let url = format!("sqlite://{}", path.display());
    for _ in 0..3 {
        let store = Store::open(&url, at(0)).await.unwrap();
        store.integrity_check().await.unwrap();
        assert_eq!(store.runs(10).await.unwrap(), []);
        assert_eq!(store.place(), path.display().to_string());
        store.close().await;
    }
    let mut connection = raw(&path).await;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut connection).await.unwrap();
    assert_eq!(mode, "wal");
    let layouts: Vec<i64> = sqlx::query_scalar("SELECT version FROM migration").fetch_all(&mut connection).await.unwrap();
    assert_eq!(layouts, [1, 2]);
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/store.db");
    let store = Store::open(&format!("sqlite://{}", path.display()), at(0)).await.unwrap();
    store.advance_schedule("weekly", at(0)).await.unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for name in ["store.db", "store.db-wal", "store.db-shm"] {
        assert_eq!(mode(&path.with_file_name(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_bad_address_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().display().to_string();
    for (url, expected) in [
        ("", "it does not begin with `sqlite://`"),
        ("/var/lib/store.db", "it does not begin with `sqlite://`"),
        ("sqlite://", "the path is missing"),
        ("sqlite:///var/lib/", "it names a folder"),
        ("sqlite:///a\0b", "the path holds a NUL"),
        ("postgres://localhost/overdue", "in SQLite only"),
        (&format!("sqlite://{here}"), "it names a folder"),
    ] {
        let error = Store::open(url, at(0)).await.unwrap_err();
        assert!(matches!(error, StoreError::BadUrl { .. }), "{url}: {error:?}");
        assert!(error.to_string().contains(expected), "{url}: {error}");
    }
}

#[tokio::test]
async fn names_that_sqlite_reads_in_a_special_way_are_plain_files() {
    let folder = tempfile::tempdir().unwrap();
    for name in [":memory:", "file:a?mode=memory", "per%20cent", "with space", "ünïcode", "quote'\"", "a?b=c&d#e"] {
        let url = format!("sqlite://{}/{name}", folder.path().display());
        Store::open(&url, at(0)).await.unwrap().close().await;
        assert!(folder.path().join(name).metadata().unwrap().len() > 4096, "{name}");
    }
}

#[tokio::test]
async fn a_store_in_memory_works() {
    let store = Store::open("sqlite::memory:", at(0)).await.unwrap();
    store.advance_schedule("weekly", at(5)).await.unwrap();
    assert_eq!(store.schedule_cursor("weekly").await.unwrap(), Some(at(5)));
    store.integrity_check().await.unwrap();
}

#[tokio::test]
async fn a_newer_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path()).await.close().await;
    run_sql(&folder.path().join("store.db"), "INSERT INTO migration (version, name, applied_at) VALUES (999, 'future', 0)").await;
    let error = Store::open(&url(folder.path()), at(0)).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 999, known: 2, .. }), "{error:?}");
    assert!(error.to_string().contains("store.db was written by a newer overdue"), "{error}");
}

#[tokio::test]
async fn what_is_not_ours_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    run_sql(&path, "CREATE TABLE bookmarks (url TEXT)").await;
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(&url(folder.path()), at(0)).await.unwrap_err();
    assert!(matches!(error, StoreError::NotOurs { .. }), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(!folder.path().join("store.db-wal").exists());

    std::fs::write(&path, "a letter to a friend\n".repeat(1000)).unwrap();
    let error = Store::open(&url(folder.path()), at(0)).await.unwrap_err();
    assert!(matches!(error, StoreError::NotOurs { .. }), "{error:?}");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("a letter"));
}

#[tokio::test]
async fn an_empty_file_becomes_a_store() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("store.db"), "").unwrap();
    store(folder.path()).await.integrity_check().await.unwrap();
}

#[tokio::test]
async fn damage_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let whole = store(folder.path()).await;
    for second in 0..200 {
        whole.record_missed("weekly", &[at(second)], "a reason long enough to fill some pages of the file").await.unwrap();
    }
    whole.close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    let error = match Store::open(&url(folder.path()), at(0)).await {
        Ok(store) => store.integrity_check().await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("store.db is damaged"), "{error}");
}

#[tokio::test]
async fn a_store_belongs_to_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let first = store(folder.path()).await;
    first.bind_key("key-a").await.unwrap();
    first.bind_key("key-a").await.unwrap();
    first.close().await;
    let again = store(folder.path()).await;
    again.bind_key("key-a").await.unwrap();
    let error = again.bind_key("key-b").await.unwrap_err();
    assert!(matches!(&error, StoreError::OtherKey { bound, given, .. } if bound == "key-a" && given == "key-b"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_open_a_new_store_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let openers: Vec<_> = (0..8)
        .map(|_| {
            let url = url(folder.path());
            tokio::spawn(async move { Store::open(&url, at(0)).await })
        })
        .collect();
    for opener in openers {
        opener.await.unwrap().unwrap().integrity_check().await.unwrap();
    }
}

/// Another program holds the write lock for a second: the write waits, and is not lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_waits_for_a_lock() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let mut other = raw(&folder.path().join("store.db")).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let writer = tokio::spawn({
        let store = store.clone();
        async move { store.advance_schedule("weekly", at(9)).await }
    });
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(!writer.is_finished());
    // Reading goes on meanwhile.
    assert_eq!(store.schedule_cursor("weekly").await.unwrap(), None);
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(1), writer).await.unwrap().unwrap().unwrap();
    assert_eq!(store.schedule_cursor("weekly").await.unwrap(), Some(at(9)));
}

/// As long as a backup may hold the lock.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
async fn a_write_waits_for_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let mut other = raw(&folder.path().join("store.db")).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let writers: Vec<_> = (0..20)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.record_missed("weekly", &[at(number)], "").await })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    let released = std::time::Instant::now();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    assert!(released.elapsed() < std::time::Duration::from_secs(1), "{:?}", released.elapsed());
    assert_eq!(store.missed("weekly").await.unwrap().len(), 20);
}

/// A file that may be read but not written is refused as such. Root may write anything, so root becomes nobody first.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_may_not_be_written_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    store(folder.path()).await.close().await;
    let chmod = |path: &Path, mode: u32| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    chmod(&path, 0o444);
    let outcome = open_as_nobody(folder.path());
    assert!(outcome.contains("store.db cannot be written: give this user write access"), "file: {outcome}");
    // The file may be written, its folder not: the log cannot be made.
    chmod(&path, 0o666);
    chmod(folder.path(), 0o555);
    let outcome = open_as_nobody(folder.path());
    chmod(folder.path(), 0o755);
    assert!(outcome.contains("store.db cannot be written: give this user write access"), "folder: {outcome}");
}

#[cfg(target_os = "linux")]
fn open_as_nobody(folder: &Path) -> String {
    use std::os::unix::fs::PermissionsExt;
    let open = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(folder.metadata().unwrap().permissions().mode() | 0o555));
    open.unwrap();
    let program = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let copy = program.path().join("it");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let root = std::fs::read_to_string("/proc/self/status").unwrap().lines().any(|line| line.starts_with("Uid:\t0\t"));
    let mut command = if root {
        let mut command = std::process::Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&copy);
        command
    } else {
        std::process::Command::new(&copy)
    };
    let output = command
        .args(["opening::child_opens", "--exact", "--ignored", "--nocapture"])
        .current_dir("/")
        .env("OVERDUE_STORE_TEST_URL", url(folder))
        .output()
        .unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
#[ignore = "started by a_file_that_may_not_be_written_is_refused"]
async fn child_opens() {
    let url = std::env::var("OVERDUE_STORE_TEST_URL").unwrap();
    match Store::open(&url, at(0)).await {
        Ok(store) => panic!("opened {}", store.place()),
        Err(error) => panic!("{error}"),
    }
}
