//! Letters sent. One key is one letter for ever: the same message id however often it is tried, and never sent again
//! once it was.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::error::Fault;
use crate::run::check_fence_even_ended;
use crate::wire::{count, micros, moment, moment_opt, uncount};
use crate::{Run, RunId, Store, StoreError};

/// How long another run may be silent about a letter it began before it counts as dead: longer than any mail server
/// may take for one letter.
const IN_FLIGHT: SignedDuration = SignedDuration::from_mins(15);

/// A letter about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeRow {
    /// What makes it the only one, `<job>/<period>/<kind>/<address>`.
    pub key: String,
    /// The job's name.
    pub job: String,
    /// The period it belongs to, `2026-W48`.
    pub period: String,
    /// Who gets it.
    pub owner: String,
    /// Where it goes.
    pub address: String,
    /// Its Message-ID. Only the first one given for a key is kept.
    pub message_id: String,
    /// Its subject.
    pub subject: String,
    /// Digest of its text, to tell what was sent.
    pub body_digest: String,
    /// How many findings it names.
    pub findings: u64,
}

/// Whether a letter may go out now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeState {
    /// It was never tried: send it under the given message id.
    Fresh,
    /// It was tried before and perhaps arrived: send it under this message id, so that a mailbox can tell the copy.
    Retry {
        /// The id of the first try.
        message_id: String,
    },
    /// It was sent; send nothing.
    AlreadySent,
    /// Another run is sending it at this moment; send nothing now.
    InFlight {
        /// Since when.
        since: Timestamp,
    },
}

/// What came of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeFate {
    /// It was handed over.
    Sent {
        /// To whom: a server's answer, or the outbox file.
        how: String,
    },
    /// It was refused for good. It may be tried again after a person mended the address.
    Refused {
        /// In the server's words.
        why: String,
    },
    /// It could not be handed over now.
    Deferred {
        /// In words.
        why: String,
    },
}

impl NoticeFate {
    /// The stable name.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Sent { .. } => "sent",
            Self::Refused { .. } => "refused",
            Self::Deferred { .. } => "deferred",
        }
    }
}

/// A letter as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeRecord {
    /// The letter as it was last tried, under its first message id.
    pub row: NoticeRow,
    /// The run that tried it last.
    pub run: RunId,
    /// What came of it; `None`: it was begun and nothing was heard since.
    pub fate: Option<NoticeFate>,
    /// How often it was tried.
    pub attempts: u64,
    /// When it was last begun.
    pub begun_at: Timestamp,
    /// When its fate was last told.
    pub ended_at: Option<Timestamp>,
}

impl NoticeRecord {
    fn read(row: &SqliteRow) -> Result<Self, Fault> {
        let detail: String = row.try_get("detail")?;
        Ok(Self {
            row: NoticeRow {
                key: row.try_get("key")?,
                job: row.try_get("job")?,
                period: row.try_get("period")?,
                owner: row.try_get("owner")?,
                address: row.try_get("address")?,
                message_id: row.try_get("message_id")?,
                subject: row.try_get("subject")?,
                body_digest: row.try_get("body_digest")?,
                findings: uncount(row.try_get("findings")?),
            },
            run: RunId(row.try_get("run_id")?),
            fate: match row.try_get("state")? {
                "begun" => None,
                "sent" => Some(NoticeFate::Sent { how: detail }),
                "refused" => Some(NoticeFate::Refused { why: detail }),
                "deferred" => Some(NoticeFate::Deferred { why: detail }),
                other => return Err(Fault::Damaged(format!("a notice in state `{other}`"))),
            },
            attempts: uncount(row.try_get("attempts")?),
            begun_at: moment(row.try_get("begun_at")?)?,
            ended_at: moment_opt(row.try_get("ended_at")?)?,
        })
    }
}

impl Store {
    /// Keys of the letters of `job` that were sent in `period`.
    pub async fn sent_notices(&self, job: &str, period: &str) -> Result<BTreeSet<String>, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            let keys: Vec<String> = sqlx::query_scalar("SELECT key FROM notice WHERE job = $1 AND period = $2 AND state = 'sent'")
                .bind(job)
                .bind(period)
                .fetch_all(&mut *tx)
                .await?;
            Ok(keys.into_iter().collect())
        })
        .await
    }

    /// Notes that a letter is about to go out, and says whether it may.
    pub async fn begin_notice(&self, run: Run, new: &NoticeRow, now: Timestamp) -> Result<NoticeState, StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            check_fence_even_ended(&mut tx, run).await?;
            let row = sqlx::query("SELECT state, message_id, run_id, begun_at FROM notice WHERE key = $1")
                .bind(&new.key)
                .fetch_optional(&mut *tx)
                .await?;
            let Some(row) = row else {
                sqlx::query(
                    "INSERT INTO notice (key, job, period, owner, address, message_id, subject, body_digest, findings, run_id, state,
                                         detail, attempts, begun_at)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'begun', '', 1, $11)",
                )
                .bind(&new.key)
                .bind(&new.job)
                .bind(&new.period)
                .bind(&new.owner)
                .bind(&new.address)
                .bind(&new.message_id)
                .bind(&new.subject)
                .bind(&new.body_digest)
                .bind(count(new.findings))
                .bind(run.id.0)
                .bind(micros(now))
                .execute(&mut *tx)
                .await?;
                tx.commit().await?;
                return Ok(NoticeState::Fresh);
            };
            let since = moment(row.try_get("begun_at")?)?;
            match row.try_get("state")? {
                "sent" => return Ok(NoticeState::AlreadySent),
                "begun" if row.try_get::<i64, _>("run_id")? != run.id.0 && now.duration_since(since) < IN_FLIGHT => {
                    return Ok(NoticeState::InFlight { since });
                }
                _ => {}
            }
            sqlx::query(
                "UPDATE notice SET owner = $2, address = $3, subject = $4, body_digest = $5, findings = $6, run_id = $7, state = 'begun',
                                   detail = '', attempts = attempts + 1, begun_at = $8, ended_at = NULL
                 WHERE key = $1",
            )
            .bind(&new.key)
            .bind(&new.owner)
            .bind(&new.address)
            .bind(&new.subject)
            .bind(&new.body_digest)
            .bind(count(new.findings))
            .bind(run.id.0)
            .bind(micros(now))
            .execute(&mut *tx)
            .await?;
            let message_id = row.try_get("message_id")?;
            tx.commit().await?;
            Ok(NoticeState::Retry { message_id })
        })
        .await
    }

    /// Notes what came of a letter. Not fenced: a process that lost its run still tells the truth about a letter it sent.
    /// A sent letter stays sent, whatever is told later.
    pub async fn finish_notice(&self, key: &str, fate: &NoticeFate, now: Timestamp) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            let state: Option<String> =
                sqlx::query_scalar("SELECT state FROM notice WHERE key = $1").bind(key).fetch_optional(&mut *tx).await?;
            match state.as_deref() {
                None => return Err(Fault::misuse(format!("letter {key} was never begun"))),
                Some("sent") => return Ok(()),
                Some(_) => {}
            }
            let (NoticeFate::Sent { how: detail } | NoticeFate::Refused { why: detail } | NoticeFate::Deferred { why: detail }) = fate;
            sqlx::query("UPDATE notice SET state = $2, detail = $3, ended_at = $4 WHERE key = $1")
                .bind(key)
                .bind(fate.as_str())
                .bind(detail)
                .bind(micros(now))
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Every letter of `job`, newest period first.
    pub async fn notices(&self, job: &str) -> Result<Vec<NoticeRecord>, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            let rows = sqlx::query(
                "SELECT key, job, period, owner, address, message_id, subject, body_digest, findings, run_id, state, detail, attempts,
                        begun_at, ended_at
                 FROM notice WHERE job = $1 ORDER BY period DESC, key",
            )
            .bind(job)
            .fetch_all(&mut *tx)
            .await?;
            rows.iter().map(NoticeRecord::read).collect()
        })
        .await
    }
}
