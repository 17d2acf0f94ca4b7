//! Runs: each occurrence of a job once, one process at a time.

use std::fmt;

use jiff::Timestamp;
use overdue_core::UnknownName;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use crate::error::Fault;
use crate::wire::{micros, moment, moment_opt, uncount};
use crate::{Store, StoreError};

/// Names a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub i64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The right to write a run. It ends when another process takes the run over, which raises the fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Which run.
    pub id: RunId,
    /// How many processes have held it, this one included.
    pub fence: i64,
}

/// Why a run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunKind {
    /// Its schedule said so.
    Scheduled,
    /// A person asked.
    Manual,
}

impl RunKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Scheduled, Self::Manual];
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Manual => "manual",
        }
    }
    fn parse(name: &str) -> Result<Self, UnknownName> {
        let unknown = || UnknownName { what: "kind of run", name: name.to_owned() };
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(unknown)
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// Everything was looked at, and nothing is the matter.
    Clean,
    /// Everything was looked at, and something must be done.
    Findings,
    /// Part of it could not be looked at.
    Partial,
    /// It could not run.
    Failed,
}

impl RunStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Clean, Self::Findings, Self::Partial, Self::Failed];
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Findings => "findings",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
    fn parse(name: &str) -> Result<Self, UnknownName> {
        let unknown = || UnknownName { what: "status of a run", name: name.to_owned() };
        Self::ALL.into_iter().find(|status| status.as_str() == name).ok_or_else(unknown)
    }
}

/// A run to begin.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// The job's name.
    pub job: String,
    /// Unique within the job for ever: the due moment of a schedule, or anything unique for a run by hand.
    pub occurrence: String,
    /// When it was due; the present moment for a run by hand.
    pub due_at: Timestamp,
    /// Why it begins. A scheduled one moves the job's schedule on, in the same transaction.
    pub kind: RunKind,
    /// Names this process so that others can tell whether it lives.
    pub holder: String,
    /// The present moment.
    pub now: Timestamp,
    /// Until when it is ours without a sign of life.
    pub lease_until: Timestamp,
}

/// What came of [`Store::begin_run`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeginRun {
    /// It is new, and ours.
    Started(Run),
    /// Another process left it in the middle; it is ours now. What its open targets had counted is forgotten.
    Resumed(Run),
    /// Another process is at it.
    HeldBy {
        /// Which.
        holder: String,
        /// Until when, unless it renews its lease.
        until: Timestamp,
    },
    /// It is over.
    AlreadyEnded {
        /// Which run it was.
        run: RunId,
        /// How it ended.
        status: RunStatus,
    },
}

/// A run as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// Which.
    pub id: RunId,
    /// Of which job.
    pub job: String,
    /// Unique within the job.
    pub occurrence: String,
    /// Why it began.
    pub kind: RunKind,
    /// When it was due.
    pub due_at: Timestamp,
    /// The process that has or had it last.
    pub holder: String,
    /// How many processes have held it.
    pub fence: i64,
    /// Until when that process may be silent.
    pub lease_until: Timestamp,
    /// When it began.
    pub started_at: Timestamp,
    /// How it ended; `None` while it lasts.
    pub status: Option<RunStatus>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

const COLUMNS: &str = "id, job, occurrence, kind, due_at, holder, fence, lease_until, started_at, status, ended_at";

impl RunRecord {
    fn read(row: &SqliteRow) -> Result<Self, Fault> {
        Ok(Self {
            id: RunId(row.try_get("id")?),
            job: row.try_get("job")?,
            occurrence: row.try_get("occurrence")?,
            kind: RunKind::parse(row.try_get("kind")?)?,
            due_at: moment(row.try_get("due_at")?)?,
            holder: row.try_get("holder")?,
            fence: row.try_get("fence")?,
            lease_until: moment(row.try_get("lease_until")?)?,
            started_at: moment(row.try_get("started_at")?)?,
            status: row.try_get::<Option<&str>, _>("status")?.map(RunStatus::parse).transpose()?,
            ended_at: moment_opt(row.try_get("ended_at")?)?,
        })
    }

    /// Whether another process may take it over.
    fn is_abandoned(&self, is_dead: &(dyn Fn(&str) -> bool + Sync), now: Timestamp) -> bool {
        self.status.is_none() && (self.lease_until <= now || is_dead(&self.holder))
    }
}

impl Store {
    /// Begins the run of one occurrence, or goes on with it where its holder is dead or its lease has ended.
    ///
    /// Of all processes that ask for one occurrence, exactly one is told [`BeginRun::Started`], ever. `is_dead` answers
    /// for holders of this machine; a holder it knows nothing about is alive.
    pub async fn begin_run(&self, new: NewRun, is_dead: &(dyn Fn(&str) -> bool + Sync)) -> Result<BeginRun, StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            let sql = select_run("WHERE job = $1 AND occurrence = $2");
            let row = sqlx::query(sql).bind(&new.job).bind(&new.occurrence).fetch_optional(&mut *tx).await?;
            let Some(record) = row.as_ref().map(RunRecord::read).transpose()? else {
                let id: i64 = sqlx::query_scalar(
                    "INSERT INTO run (job, occurrence, kind, due_at, holder, fence, lease_until, started_at)
                     VALUES ($1, $2, $3, $4, $5, 1, $6, $7) RETURNING id",
                )
                .bind(&new.job)
                .bind(&new.occurrence)
                .bind(new.kind.as_str())
                .bind(micros(new.due_at))
                .bind(&new.holder)
                .bind(micros(new.lease_until))
                .bind(micros(new.now))
                .fetch_one(&mut *tx)
                .await?;
                if new.kind == RunKind::Scheduled {
                    move_cursor(&mut tx, &new.job, new.due_at).await?;
                    // It runs after all: an occurrence is either run or missed.
                    sqlx::query("DELETE FROM missed WHERE job = $1 AND due_at = $2")
                        .bind(&new.job)
                        .bind(micros(new.due_at))
                        .execute(&mut *tx)
                        .await?;
                }
                tx.commit().await?;
                return Ok(BeginRun::Started(Run { id: RunId(id), fence: 1 }));
            };
            if let Some(status) = record.status {
                return Ok(BeginRun::AlreadyEnded { run: record.id, status });
            }
            if !record.is_abandoned(is_dead, new.now) {
                return Ok(BeginRun::HeldBy { holder: record.holder, until: record.lease_until });
            }
            let run = Run { id: record.id, fence: record.fence + 1 };
            sqlx::query("UPDATE run SET holder = $1, fence = $2, lease_until = $3 WHERE id = $4")
                .bind(&new.holder)
                .bind(run.fence)
                .bind(micros(new.lease_until))
                .bind(run.id.0)
                .execute(&mut *tx)
                .await?;
            // Open targets begin again, and so do their counts.
            for sql in [
                "DELETE FROM page WHERE run_id = $1",
                "DELETE FROM gap WHERE run_id = $1 AND target_id IN (SELECT target_id FROM ledger WHERE run_id = $1 AND state = 'listed')",
            ] {
                sqlx::query(sql).bind(run.id.0).execute(&mut *tx).await?;
            }
            tx.commit().await?;
            Ok(BeginRun::Resumed(run))
        })
        .await
    }

    /// The newest run of `job` that was left in the middle. To go on with it, call [`Store::begin_run`] with its
    /// occurrence.
    pub async fn unfinished_run(
        &self,
        job: &str,
        is_dead: &(dyn Fn(&str) -> bool + Sync),
        now: Timestamp,
    ) -> Result<Option<RunRecord>, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            let sql = select_run("WHERE job = $1 AND status IS NULL ORDER BY id DESC");
            let rows = sqlx::query(sql).bind(job).fetch_all(&mut *tx).await?;
            for row in &rows {
                let record = RunRecord::read(row)?;
                if record.is_abandoned(is_dead, now) {
                    return Ok(Some(record));
                }
            }
            Ok(None)
        })
        .await
    }

    /// Gives a sign of life: the run stays ours until `until`.
    pub async fn renew_lease(&self, run: Run, until: Timestamp) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            check_fence(&mut tx, run).await?;
            sqlx::query("UPDATE run SET lease_until = $1 WHERE id = $2").bind(micros(until)).bind(run.id.0).execute(&mut *tx).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Ends a run. It is refused for [`RunStatus::Clean`] while a target is unread or failed or a gap stands, and for
    /// [`RunStatus::Findings`] while a target is unread. Ending it twice alike is one end.
    pub async fn finish_run(&self, run: Run, status: RunStatus, now: Timestamp) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            let ended: Option<&str> = match fence(&mut tx, run).await? {
                Held::Ours => None,
                Held::Ended(ended) if ended == status => return Ok(()),
                Held::Ended(ended) => Some(ended.as_str()),
            };
            if let Some(ended) = ended {
                return Err(StoreError::Fenced { run: run.id, why: format!("it has ended as {ended}") }.into());
            }
            let row = sqlx::query(
                "SELECT (SELECT count(*) FROM ledger WHERE run_id = $1 AND state = 'listed') AS listed,
                        (SELECT count(*) FROM ledger WHERE run_id = $1 AND state = 'failed') AS failed,
                        (SELECT count(*) FROM gap WHERE run_id = $1) AS gaps",
            )
            .bind(run.id.0)
            .fetch_one(&mut *tx)
            .await?;
            let (listed, failed, gaps) = (uncount(row.try_get("listed")?), uncount(row.try_get("failed")?), uncount(row.try_get("gaps")?));
            let open = match status {
                RunStatus::Clean => listed + failed + gaps,
                RunStatus::Findings => listed,
                RunStatus::Partial | RunStatus::Failed => 0,
            };
            if open > 0 {
                return Err(StoreError::NotComplete { run: run.id, status: status.as_str(), listed, failed, gaps }.into());
            }
            sqlx::query("UPDATE run SET status = $1, ended_at = $2 WHERE id = $3")
                .bind(status.as_str())
                .bind(micros(now))
                .bind(run.id.0)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// The newest runs of all jobs, newest first.
    pub async fn runs(&self, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            let sql = select_run("ORDER BY id DESC LIMIT $1");
            let rows = sqlx::query(sql).bind(i64::from(limit)).fetch_all(&mut *tx).await?;
            rows.iter().map(RunRecord::read).collect()
        })
        .await
    }

    /// One run.
    pub async fn run(&self, id: RunId) -> Result<Option<RunRecord>, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            let row = sqlx::query(select_run("WHERE id = $1")).bind(id.0).fetch_optional(&mut *tx).await?;
            row.as_ref().map(RunRecord::read).transpose()
        })
        .await
    }

    /// The run of `job` that ended last and did not fail; what a report without a run of its own stands on.
    pub async fn last_ended_run(&self, job: &str) -> Result<Option<RunRecord>, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            let sql = select_run("WHERE job = $1 AND status IS NOT NULL AND status <> 'failed' ORDER BY ended_at DESC, id DESC LIMIT 1");
            let row = sqlx::query(sql).bind(job).fetch_optional(&mut *tx).await?;
            row.as_ref().map(RunRecord::read).transpose()
        })
        .await
    }
}

fn select_run(rest: &'static str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM run {rest}"))
}

enum Held {
    Ours,
    Ended(RunStatus),
}

async fn fence(connection: &mut SqliteConnection, run: Run) -> Result<Held, Fault> {
    let row = sqlx::query("SELECT fence, holder, status FROM run WHERE id = $1").bind(run.id.0).fetch_optional(connection).await?;
    let Some(row) = row else { return Err(Fault::misuse(format!("run {} was never begun in this store", run.id))) };
    let fence: i64 = row.try_get("fence")?;
    if fence != run.fence {
        let holder: &str = row.try_get("holder")?;
        return Err(StoreError::Fenced { run: run.id, why: format!("{holder} took it over") }.into());
    }
    Ok(match row.try_get::<Option<&str>, _>("status")? {
        None => Held::Ours,
        Some(status) => Held::Ended(RunStatus::parse(status)?),
    })
}

/// Refuses a write of a run that was taken over or has ended. Called within the transaction that writes.
pub(crate) async fn check_fence(connection: &mut SqliteConnection, run: Run) -> Result<(), Fault> {
    match fence(connection, run).await? {
        Held::Ours => Ok(()),
        Held::Ended(status) => Err(StoreError::Fenced { run: run.id, why: format!("it has ended as {}", status.as_str()) }.into()),
    }
}

/// Refuses a write of a run that was taken over; one that has ended in our hands may still be written about.
pub(crate) async fn check_fence_even_ended(connection: &mut SqliteConnection, run: Run) -> Result<(), Fault> {
    fence(connection, run).await.map(|_| ())
}

/// Moves a job's schedule on, never back.
pub(crate) async fn move_cursor(connection: &mut SqliteConnection, job: &str, cursor: Timestamp) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO schedule (job, cursor_at) VALUES ($1, $2)
         ON CONFLICT (job) DO UPDATE SET cursor_at = excluded.cursor_at WHERE excluded.cursor_at > schedule.cursor_at",
    )
    .bind(job)
    .bind(micros(cursor))
    .execute(connection)
    .await?;
    Ok(())
}
