//! Tests that need to see inside: a short lock wait, a full disk, layouts that do not exist yet.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use overdue_core::{AccountId, ContentKey, ProviderKind, Target, TargetCounts, TargetKind, TargetState};
use sqlx::{ConnectOptions, SqliteConnection};

use crate::migrate::{MIGRATIONS, Migration, migrate};
use crate::open::version_is_enough;
use crate::wire::pack;
use crate::{NewRun, PageCommit, Run, RunKind, ScannedContent, Store, StoreError};

fn now() -> Timestamp {
    "2026-11-24T09:00:00Z".parse().unwrap()
}

async fn raw(path: &Path) -> SqliteConnection {
    sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

fn url(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("store.db").display())
}

fn target() -> Target {
    Target {
        provider: ProviderKind::Machine,
        account: AccountId::new("host"),
        region: None,
        kind: TargetKind::Repository,
        name: "/repo".into(),
    }
}

async fn begin(store: &Store) -> Run {
    let new = NewRun {
        job: "weekly".into(),
        occurrence: "o".into(),
        due_at: now(),
        kind: RunKind::Manual,
        holder: "me".into(),
        now: now(),
        lease_until: now(),
    };
    let crate::BeginRun::Started(run) = store.begin_run(new, &|_| false).await.unwrap() else { panic!("not started") };
    store.add_targets(run, &[(target(), TargetState::Listed)]).await.unwrap();
    run
}

fn page(number: u32, contents: usize) -> PageCommit {
    PageCommit {
        target: target().id(),
        page: number,
        credentials: Vec::new(),
        artifacts: Vec::new(),
        contents: (0..contents)
            .map(|content| ScannedContent {
                key: ContentKey(format!("page {number} content {content:01000}")),
                ruleset: "r".into(),
                detections: Vec::new(),
                complete: true,
            })
            .collect(),
        gaps: Vec::new(),
        counts: TargetCounts { scanned: contents as u64, ..TargetCounts::default() },
        now: now(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_stays_is_told_after_the_wait() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_with(&url(folder.path()), now(), Duration::from_secs(1)).await.unwrap();
    let mut other = raw(&folder.path().join("store.db")).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let began = std::time::Instant::now();
    let error = store.advance_schedule("weekly", now()).await.unwrap_err();
    assert!(matches!(error, StoreError::Locked { waited_s: 1, .. }), "{error:?}");
    assert!(began.elapsed() >= Duration::from_millis(900), "it did not wait");
    // A store that is up to date opens in spite of the lock, and reads.
    let second = Store::open_with(&url(folder.path()), now(), Duration::from_secs(1)).await.unwrap();
    assert_eq!(second.schedule_cursor("weekly").await.unwrap(), None);
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    store.advance_schedule("weekly", now()).await.unwrap();

    // One that keeps the whole file to itself is told at opening.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut other = raw(&path).await;
    sqlx::raw_sql("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE t (x)").execute(&mut other).await.unwrap();
    let error = Store::open_with(&url(folder.path()), now(), Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
    assert!(error.to_string().contains("store.db stayed locked"), "{error}");
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_mends_itself() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&url(folder.path()), now()).await.unwrap();
    let run = begin(&store).await;
    let limit = async |pages: i64| {
        let mut connection = store.writer().acquire().await.unwrap();
        let sql = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        sqlx::query(sql).execute(&mut *connection).await.unwrap();
    };
    limit(1_000).await;
    let mut done = 0;
    let error = loop {
        match store.commit_page(run, &page(done, 100)).await {
            Ok(()) => done += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.to_string().contains("the disk that holds"), "{error}");
    assert!(done > 2);
    // Again and again: no state is left behind that would answer otherwise. (A new connection forgets the limit.)
    for _ in 0..3 {
        limit(1_000).await;
        assert!(matches!(store.commit_page(run, &page(done, 100)).await, Err(StoreError::Full { .. })));
    }
    store.integrity_check().await.unwrap();
    assert_eq!(store.ledger(run.id).await.unwrap().total().scanned, u64::from(done) * 100);
    limit(1_000_000).await;
    store.commit_page(run, &page(done, 100)).await.unwrap();
    assert_eq!(store.ledger(run.id).await.unwrap().total().scanned, u64::from(done + 1) * 100);
    store.integrity_check().await.unwrap();
}

/// On some faults SQLite rolls back by itself, and sqlx goes on counting the transaction: the next write must not notice.
#[tokio::test]
async fn a_transaction_that_sqlite_ended_by_itself_is_no_hindrance() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&url(folder.path()), now()).await.unwrap();
    for _ in 0..3 {
        store.advance_schedule("weekly", now()).await.unwrap();
        let mut tx = store.write().await.unwrap();
        sqlx::query("INSERT INTO schedule VALUES ('daily', 0)").execute(&mut *tx).await.unwrap();
        let double = "INSERT OR ROLLBACK INTO schedule VALUES ('weekly', 0)";
        assert!(sqlx::query(double).execute(&mut *tx).await.is_err());
        drop(tx);
    }
    assert_eq!(store.schedule_cursor("daily").await.unwrap(), None);
    assert_eq!(store.schedule_cursor("weekly").await.unwrap(), Some(now()));
}

/// The same as a full disk above, on one that is really full.
#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "mounts a tmpfs, which only root may"]
async fn a_full_tmpfs_loses_nothing_and_mends_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = |arguments: &[&str]| {
        assert!(std::process::Command::new(arguments[0]).args(&arguments[1..]).arg(folder.path()).status().unwrap().success());
    };
    for size in [8_u32, 16, 32] {
        mounted(&["mount", "-t", "tmpfs", "-o", &format!("size={size}m"), "none"]);
        let store = Store::open(&url(folder.path()), now()).await.unwrap();
        let run = begin(&store).await;
        let filler = folder.path().join("filler");
        let mut done = 0;
        for round in 0..20_u32 {
            let error = loop {
                match store.commit_page(run, &page(done, 50 + 10 * round as usize)).await {
                    Ok(()) => done += 1,
                    Err(error) => break error,
                }
                // Fill the rest with something else, faster than we do.
                let before = std::fs::read(&filler).unwrap_or_default();
                std::fs::write(&filler, vec![0; before.len() + 700_000]).ok();
            };
            assert!(matches!(error, StoreError::Full { .. }), "size {size} round {round}: {error:?}");
            assert!(matches!(store.commit_page(run, &page(done, 50)).await, Ok(()) | Err(StoreError::Full { .. })));
            std::fs::remove_file(&filler).ok();
            let outcome = store.commit_page(run, &page(done, 1)).await;
            if matches!(outcome, Err(StoreError::Full { .. })) {
                break; // The store itself fills the disk now.
            }
            outcome.unwrap();
            done += 1;
            store.integrity_check().await.unwrap();
        }
        store.close().await;
        mounted(&["umount"]);
    }
}

#[tokio::test]
async fn an_older_store_is_brought_up_and_a_failed_step_leaves_it_as_it_was() {
    const SECOND: Migration = Migration { name: "0003_more", sql: "CREATE TABLE more (x INTEGER); INSERT INTO more VALUES (1);" };
    const BROKEN: Migration = Migration { name: "0004_broken", sql: "CREATE TABLE third (x INTEGER); CREATE TABLE more (x INTEGER);" };
    const NEXT: &[Migration] = &[MIGRATIONS[0], MIGRATIONS[1], SECOND];
    const LAST: &[Migration] = &[MIGRATIONS[0], MIGRATIONS[1], SECOND, BROKEN];
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&url(folder.path()), now()).await.unwrap();
    let run = begin(&store).await;
    store.commit_page(run, &page(0, 3)).await.unwrap();
    store.close().await;

    let mut connection = raw(&folder.path().join("store.db")).await;
    migrate(&mut connection, "it", NEXT, now()).await.unwrap();
    migrate(&mut connection, "it", NEXT, now()).await.unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM more").fetch_one(&mut connection).await.unwrap();
    assert_eq!(rows, 1, "the step ran once");
    assert!(migrate(&mut connection, "it", LAST, now()).await.is_err());
    let mut connection = raw(&folder.path().join("store.db")).await;
    let third: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = 'third'").fetch_one(&mut connection).await.unwrap();
    assert_eq!(third, 0, "half a step stayed");
    let layout: i64 = sqlx::query_scalar("SELECT max(version) FROM migration").fetch_one(&mut connection).await.unwrap();
    assert_eq!(layout, 3);

    // The program of before now meets a store of after.
    let error = Store::open(&url(folder.path()), now()).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 3, known: 2, .. }), "{error:?}");
}

/// Each layout that was ever in use, with what it held.
#[tokio::test]
async fn what_an_older_layout_held_is_still_there() {
    let folder = tempfile::tempdir().unwrap();
    // 2: stored values.
    let mut first = raw(&folder.path().join("store.db")).await;
    migrate(&mut first, "it", &MIGRATIONS[..1], now()).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO run VALUES (1, 'weekly', 'a', 'manual', 0, 'me', 1, 0, 0, 'clean', 1);
         INSERT INTO target VALUES (1, 'aws/1/us-east-1/secrets', 'aws', '1', 'us-east-1', 'secrets', '');
         INSERT INTO ledger VALUES (1, 1, 0, 'scanned', NULL, '', 1, 0, 0, 0, 0, 0);
         INSERT INTO credential VALUES (1, 1, '1', 'aws.secret', 'arn:x', NULL, 'x', 'arn:x', 'x', 'active', NULL, NULL, 'untracked', NULL,
                                        '{}', NULL, '{}', '[]', 0, 0, 1, NULL);",
    )
    .execute(&mut first)
    .await
    .unwrap();
    drop(first);
    let store = Store::open(&url(folder.path()), now()).await.unwrap();
    let inventory = store.inventory(crate::RunId(1)).await.unwrap();
    assert_eq!(inventory.credentials.iter().map(|one| (one.name.as_str(), one.value.is_none())).collect::<Vec<_>>(), [("x", true)]);
    store.integrity_check().await.unwrap();
}

#[tokio::test]
async fn connections_are_set_as_promised() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&url(folder.path()), now()).await.unwrap();
    let mut connection = store.writer().acquire().await.unwrap();
    for (pragma, expected) in [
        ("PRAGMA synchronous", 2),
        ("PRAGMA foreign_keys", 1),
        ("PRAGMA mmap_size", 0),
        ("PRAGMA busy_timeout", 75_000),
        ("PRAGMA trusted_schema", 0),
    ] {
        let value: i64 = sqlx::query_scalar(pragma).fetch_one(&mut *connection).await.unwrap();
        assert_eq!(value, expected, "{pragma}");
    }
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await.unwrap();
    assert_eq!(mode, "wal");
    // A reader cannot write, whatever it is told.
    let mut reader = store.read().await.unwrap();
    assert!(sqlx::query("DELETE FROM run").execute(&mut *reader).await.is_err());
}

/// Nothing that could hold a secret's bytes: every column is named here, with what it holds.
#[tokio::test]
async fn no_column_holds_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&url(folder.path()), now()).await.unwrap();
    let mut connection = store.writer().acquire().await.unwrap();
    let columns: Vec<String> = sqlx::query_scalar(
        "SELECT m.name || '.' || c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY 1",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    for word in ["secret", "password", "token", "value", "raw", "match", "body", "plain"] {
        let named: Vec<&String> = columns
            .iter()
            .filter(|column| column.contains(word) && !["setting.value", "notice.body_digest"].contains(&column.as_str()))
            .collect();
        assert!(named.is_empty(), "{named:?}");
    }
    let detection: Vec<&str> = columns.iter().filter_map(|column| column.strip_prefix("detection.")).collect();
    assert_eq!(
        detection,
        [
            "column_bytes",
            "confidence",
            "content_key",
            "decoded",
            "expires_at_unix",
            "fingerprint",
            "id",
            "line",
            "path",
            "preview",
            "public_id",
            "rule"
        ]
    );
}

#[test]
fn packed_keys_are_short_and_never_meet() {
    let git = "git:0123456789abcdef0123456789abcdef01234567";
    let sha = format!("sha256:{}", "0f".repeat(32));
    assert_eq!(pack(&ContentKey(git.into())).len(), 21);
    assert_eq!(pack(&ContentKey(sha.clone())).len(), 33);
    let texts = [
        git.to_owned(),
        git.to_uppercase(),
        git.replace('a', "A"),
        git[..43].to_owned(),
        format!("{git}0"),
        git.replace("git:", "gitx:"),
        sha.clone(),
        sha.replace("sha256", "git"),
        "git:".into(),
        String::new(),
        "etag:x".into(),
        git.replace('0', "é"),
    ];
    let packed: std::collections::BTreeSet<Vec<u8>> = texts.iter().map(|text| pack(&ContentKey(text.clone()))).collect();
    assert_eq!(packed.len(), texts.len());
}

#[test]
fn the_floor_of_sqlite_is_known() {
    for (version, enough) in [("3.51.3", true), ("3.51.2", false), ("3.52", true), ("4.0.0", true), ("3.9.99", false), ("", false)] {
        assert_eq!(version_is_enough(version), enough, "{version}");
    }
}
