//! Layouts of the store, each made from the one before. Forward only; a process killed in the middle starts that step
//! again, since each step is one transaction.

use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};

use crate::StoreError;
use crate::error::Fault;
use crate::open::APPLICATION_ID;
use crate::wire::micros;

/// One step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Migration {
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

/// All steps, oldest first; the number of a layout is its place here, from 1. A released step is never edited.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration { name: "0001_first", sql: include_str!("../migrations/sqlite/0001_first.sql") },
    Migration { name: "0002_stored_values", sql: include_str!("../migrations/sqlite/0002_stored_values.sql") },
];

/// Brings the store behind `connection` to the newest of `migrations`; refuses one that is newer than all of them.
pub(crate) async fn migrate(
    connection: &mut SqliteConnection,
    place: &str,
    migrations: &'static [Migration],
    now: Timestamp,
) -> Result<(), Fault> {
    let known = migrations.len() as i64;
    loop {
        // Asked without the write lock first, so that opening a store that is up to date waits for nobody.
        if layout(connection).await? == known {
            return Ok(());
        }
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
        // Another process may have been here in between.
        let found = layout(&mut tx).await?;
        if found > known {
            return Err(StoreError::Newer { place: place.to_owned(), found, known }.into());
        }
        let Some(next) = usize::try_from(found).ok().and_then(|found| migrations.get(found)) else { return Ok(()) };
        if found == 0 {
            let mark = sqlx::AssertSqlSafe(format!(
                "PRAGMA application_id = {APPLICATION_ID};
                 CREATE TABLE migration (version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT;"
            ));
            sqlx::raw_sql(mark).execute(&mut *tx).await?;
        }
        sqlx::raw_sql(next.sql).execute(&mut *tx).await?;
        sqlx::query("INSERT INTO migration (version, name, applied_at) VALUES ($1, $2, $3)")
            .bind(found + 1)
            .bind(next.name)
            .bind(micros(now))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        tracing::info!(place, layout = found + 1, name = next.name, "store brought to a newer layout");
    }
}

/// The layout's number, 0 for an empty file.
async fn layout(connection: &mut SqliteConnection) -> Result<i64, Fault> {
    let there: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'migration'")
        .fetch_one(&mut *connection)
        .await?;
    if there == 0 {
        return Ok(0);
    }
    Ok(sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM migration").fetch_one(&mut *connection).await?)
}
