//! Schedules: how far each is worked off, and what was missed.
//!
//! The cursor moves in the transaction that begins an occurrence's run ([`Store::begin_run`]); here it is only read, or
//! moved past occurrences that will not run.

use jiff::Timestamp;

use overdue_core::MissedRun;
use sqlx::SqliteConnection;

use crate::error::Fault;
use crate::run::move_cursor;
use crate::wire::{micros, moment};
use crate::{RunId, Store, StoreError};

/// An occurrence that never ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// When it was due.
    pub due_at: Timestamp,
    /// Why it did not run, in words.
    pub why: String,
}

impl Store {
    /// The last occurrence of `job` that was begun or given up; `None` before the first.
    pub async fn schedule_cursor(&self, job: &str) -> Result<Option<Timestamp>, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            let cursor: Option<i64> =
                sqlx::query_scalar("SELECT cursor_at FROM schedule WHERE job = $1").bind(job).fetch_optional(&mut *tx).await?;
            cursor.map(moment).transpose()
        })
        .await
    }

    /// Moves the schedule of `job` on to `cursor`; never back.
    pub async fn advance_schedule(&self, job: &str, cursor: Timestamp) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            move_cursor(&mut tx, job, cursor).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Notes occurrences of `job` that will not run, each once however often it is told. Those that did run are left
    /// out. Returns how many of them were not known before.
    pub async fn record_missed(&self, job: &str, due_at: &[Timestamp], why: &str) -> Result<u64, StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            let mut new = 0;
            for due_at in due_at {
                // The guard makes a conflict impossible: there is one writer, and this transaction has the write lock.
                new += sqlx::query(
                    "INSERT INTO missed (job, due_at, why)
                     SELECT $1, $2, $3
                     WHERE NOT EXISTS (SELECT 1 FROM missed WHERE job = $1 AND due_at = $2)
                       AND NOT EXISTS (SELECT 1 FROM run WHERE job = $1 AND kind = 'scheduled' AND due_at = $2)",
                )
                .bind(job)
                .bind(micros(*due_at))
                .bind(why)
                .execute(&mut *tx)
                .await?
                .rows_affected();
            }
            tx.commit().await?;
            Ok(new)
        })
        .await
    }

    /// Every occurrence of `job` that was missed, oldest first.
    pub async fn missed(&self, job: &str) -> Result<Vec<Missed>, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            let rows: Vec<(i64, String)> =
                sqlx::query_as("SELECT due_at, why FROM missed WHERE job = $1 ORDER BY due_at").bind(job).fetch_all(&mut *tx).await?;
            rows.into_iter().map(|(due_at, why)| Ok::<_, Fault>(Missed { due_at: moment(due_at)?, why })).collect()
        })
        .await
    }
}

/// Occurrences of a run's job that were missed since its last scheduled run before this one that ended, oldest first:
/// each is told by the next scheduled run, and by manual ones until then.
pub(crate) async fn read_missed(connection: &mut SqliteConnection, run: RunId) -> Result<Vec<MissedRun>, Fault> {
    let rows: Vec<(String, i64, String)> = sqlx::query_as(
        "SELECT m.job, m.due_at, m.why FROM run r JOIN missed m ON m.job = r.job
         WHERE r.id = $1 AND m.due_at <= r.started_at
           AND m.due_at > coalesce((SELECT max(b.due_at) FROM run b WHERE b.job = r.job AND b.kind = 'scheduled' AND b.id < r.id
                                    AND b.status IN ('clean', 'findings', 'partial')), -9223372036854775807)
         ORDER BY m.due_at",
    )
    .bind(run.0)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|(job, due_at, why)| Ok(MissedRun { job, due_at: moment(due_at)?, why })).collect()
}
