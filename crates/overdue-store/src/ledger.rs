//! The ledger: every target of a run is listed before anything is fetched, and must leave that state.

use jiff::Timestamp;
use overdue_core::{Account, AccountId, Coverage, Gap, GapReason, Region, Target, TargetCount, TargetCounts, TargetId, TargetState};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use crate::error::Fault;
use crate::run::check_fence;
use crate::wire::{contacts, contacts_json, micros, tags, tags_json, uncount};
use crate::{Run, RunId, Store, StoreError};

impl Store {
    /// Notes the accounts a run covers; what was known of them before is replaced.
    pub async fn add_accounts(&self, run: Run, accounts: &[Account]) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            check_fence(&mut tx, run).await?;
            let first: i64 = sqlx::query_scalar("SELECT coalesce(max(position) + 1, 0) FROM run_account WHERE run_id = $1")
                .bind(run.id.0)
                .fetch_one(&mut *tx)
                .await?;
            for (position, account) in (first..).zip(accounts) {
                sqlx::query(
                    "INSERT INTO account (provider, id, name, tags, contacts) VALUES ($1, $2, $3, $4, $5)
                     ON CONFLICT (provider, id) DO UPDATE SET name = excluded.name, tags = excluded.tags, contacts = excluded.contacts",
                )
                .bind(account.provider.as_str())
                .bind(account.id.as_str())
                .bind(&account.name)
                .bind(tags_json(&account.tags)?)
                .bind(contacts_json(&account.contacts)?)
                .execute(&mut *tx)
                .await?;
                let written = sqlx::query(
                    "INSERT INTO run_account (run_id, position, provider, account_id) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (run_id, provider, account_id) DO UPDATE SET position = run_account.position",
                )
                .bind(run.id.0)
                .bind(position)
                .bind(account.provider.as_str())
                .bind(account.id.as_str())
                .execute(&mut *tx)
                .await?
                .rows_affected();
                expect_rows("run_account", written, 1)?;
            }
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Puts targets into the ledger of a run, in this order. A target that is there already stays as it is, unless it is
    /// still listed and comes with an end now.
    pub async fn add_targets(&self, run: Run, targets: &[(Target, TargetState)]) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            check_fence(&mut tx, run).await?;
            let first: i64 = sqlx::query_scalar("SELECT coalesce(max(position) + 1, 0) FROM ledger WHERE run_id = $1")
                .bind(run.id.0)
                .fetch_one(&mut *tx)
                .await?;
            for (position, (target, state)) in (first..).zip(targets) {
                let target_id = register(&mut tx, target).await?;
                let (state, reason, why) = state_columns(state);
                let written = sqlx::query(
                    "INSERT INTO ledger (run_id, target_id, position, state, reason, why, credentials, artifacts, scanned, unchanged,
                                         gaps, bytes)
                     VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, 0, 0)
                     ON CONFLICT (run_id, target_id) DO UPDATE SET
                         state = CASE ledger.state WHEN 'listed' THEN excluded.state ELSE ledger.state END,
                         reason = CASE ledger.state WHEN 'listed' THEN excluded.reason ELSE ledger.reason END,
                         why = CASE ledger.state WHEN 'listed' THEN excluded.why ELSE ledger.why END",
                )
                .bind(run.id.0)
                .bind(target_id)
                .bind(position)
                .bind(state)
                .bind(reason)
                .bind(why)
                .execute(&mut *tx)
                .await?
                .rows_affected();
                expect_rows("ledger", written, 1)?;
            }
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Targets of a run that nobody has looked at to the end, in the order they were listed.
    pub async fn open_targets(&self, run: RunId) -> Result<Vec<Target>, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            let rows = sqlx::query(
                "SELECT t.provider, t.account, t.region, t.kind, t.name FROM ledger l JOIN target t ON t.id = l.target_id
                 WHERE l.run_id = $1 AND l.state = 'listed' ORDER BY l.position",
            )
            .bind(run.0)
            .fetch_all(&mut *tx)
            .await?;
            rows.iter().map(read_target).collect()
        })
        .await
    }

    /// Targets that earlier runs of the same job had in their ledger, and this one has not: of each account, those of the
    /// newest run that looked at it and did not fail.
    ///
    /// A listing of accounts, regions or buckets that failed leaves their targets out, and with them all that is known
    /// to lie there. A caller whose listing was not complete puts them into the ledger as failed, so that it stays known.
    pub async fn earlier_targets(&self, run: RunId) -> Result<Vec<Target>, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            let rows = sqlx::query(
                "SELECT t.provider, t.account, t.region, t.kind, t.name FROM ledger l JOIN target t ON t.id = l.target_id
                 WHERE l.run_id = (SELECT max(earlier.id)
                                   FROM run earlier
                                   JOIN run present ON present.job = earlier.job
                                   JOIN ledger el ON el.run_id = earlier.id
                                   JOIN target et ON et.id = el.target_id
                                   WHERE present.id = $1 AND earlier.id < present.id
                                     AND earlier.status IS NOT NULL AND earlier.status <> 'failed'
                                     AND et.provider = t.provider AND et.account = t.account)
                   AND NOT EXISTS (SELECT 1 FROM ledger mine WHERE mine.run_id = $1 AND mine.target_id = l.target_id)
                 ORDER BY l.position",
            )
            .bind(run.0)
            .fetch_all(&mut *tx)
            .await?;
            rows.iter().map(read_target).collect()
        })
        .await
    }

    /// What a run looked at so far, in the order it was listed.
    pub async fn ledger(&self, run: RunId) -> Result<Coverage, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            read_coverage(&mut tx, run).await
        })
        .await
    }

    /// Begins a listed target again: what this run had counted there is forgotten, gaps too. What it found stays, and is
    /// found again.
    pub async fn restart_target(&self, run: Run, target: &TargetId) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            check_fence(&mut tx, run).await?;
            let target_id = listed(&mut tx, run, target).await?;
            for sql in ["DELETE FROM page WHERE run_id = $1 AND target_id = $2", "DELETE FROM gap WHERE run_id = $1 AND target_id = $2"] {
                sqlx::query(sql).bind(run.id.0).bind(target_id).execute(&mut *tx).await?;
            }
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Ends a target.
    ///
    /// Where it was scanned and its listing was complete, credentials and artifacts of it that this run did not see are
    /// gone, and what they exposed is closed. Otherwise nothing is closed. Ending it twice alike is one end.
    pub async fn finish_target(
        &self,
        run: Run,
        target: &TargetId,
        state: &TargetState,
        listing_complete: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            check_fence(&mut tx, run).await?;
            let (target_id, before) = ledger_row(&mut tx, run, target).await?;
            if *state == TargetState::Listed {
                return Err(Fault::misuse(format!("target {target} cannot end as listed")));
            }
            if before != TargetState::Listed {
                if before == *state {
                    return Ok(());
                }
                return Err(Fault::misuse(format!("target {target} has ended as {} and cannot end again", before.as_str())));
            }
            let (name, reason, why) = state_columns(state);
            sqlx::query(
                "UPDATE ledger SET state = $3, reason = $4, why = $5,
                     credentials = (SELECT coalesce(sum(credentials), 0) FROM page WHERE run_id = $1 AND target_id = $2),
                     artifacts = (SELECT coalesce(sum(artifacts), 0) FROM page WHERE run_id = $1 AND target_id = $2),
                     scanned = (SELECT coalesce(sum(scanned), 0) FROM page WHERE run_id = $1 AND target_id = $2),
                     unchanged = (SELECT coalesce(sum(unchanged), 0) FROM page WHERE run_id = $1 AND target_id = $2),
                     gaps = (SELECT coalesce(sum(gaps), 0) FROM page WHERE run_id = $1 AND target_id = $2),
                     bytes = (SELECT coalesce(sum(bytes), 0) FROM page WHERE run_id = $1 AND target_id = $2)
                 WHERE run_id = $1 AND target_id = $2",
            )
            .bind(run.id.0)
            .bind(target_id)
            .bind(name)
            .bind(reason)
            .bind(why)
            .execute(&mut *tx)
            .await?;
            sqlx::query("DELETE FROM page WHERE run_id = $1 AND target_id = $2").bind(run.id.0).bind(target_id).execute(&mut *tx).await?;
            if listing_complete && *state == TargetState::Scanned {
                // A later run that has seen them knows better than this one.
                for sql in [
                    "UPDATE credential SET gone_at = $3 WHERE target_id = $2 AND gone_at IS NULL AND seen_run_id < $1",
                    "UPDATE artifact SET gone_at = $3 WHERE target_id = $2 AND gone_at IS NULL AND seen_run_id < $1",
                ] {
                    sqlx::query(sql).bind(run.id.0).bind(target_id).bind(micros(now)).execute(&mut *tx).await?;
                }
            }
            tx.commit().await?;
            Ok(())
        })
        .await
    }
}

/// The row id of a target, made on first sight.
async fn register(connection: &mut SqliteConnection, target: &Target) -> Result<i64, Fault> {
    let key = target.id();
    let row = sqlx::query("SELECT id, provider, account, region, kind, name FROM target WHERE key = $1")
        .bind(key.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(row) = row {
        if read_target(&row)? != *target {
            return Err(Fault::misuse(format!("two targets are named {key}")));
        }
        return Ok(row.try_get("id")?);
    }
    Ok(sqlx::query_scalar("INSERT INTO target (key, provider, account, region, kind, name) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id")
        .bind(key.as_str())
        .bind(target.provider.as_str())
        .bind(target.account.as_str())
        .bind(target.region.as_ref().map(Region::as_str))
        .bind(target.kind.as_str())
        .bind(&target.name)
        .fetch_one(connection)
        .await?)
}

/// The row id of a target that this run has in its ledger, and how it stands.
async fn ledger_row(connection: &mut SqliteConnection, run: Run, target: &TargetId) -> Result<(i64, TargetState), Fault> {
    let row = sqlx::query(
        "SELECT l.target_id, l.state, l.reason, l.why FROM target t JOIN ledger l ON l.target_id = t.id AND l.run_id = $1 WHERE t.key = $2",
    )
    .bind(run.id.0)
    .bind(target.as_str())
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Err(Fault::misuse(format!("target {target} is not in the ledger of run {}", run.id))) };
    Ok((row.try_get("target_id")?, read_state(&row)?))
}

/// The row id of a target that this run has still listed.
pub(crate) async fn listed(connection: &mut SqliteConnection, run: Run, target: &TargetId) -> Result<i64, Fault> {
    match ledger_row(connection, run, target).await? {
        (target_id, TargetState::Listed) => Ok(target_id),
        (_, state) => Err(Fault::misuse(format!("target {target} has ended as {} in run {}", state.as_str(), run.id))),
    }
}

pub(crate) fn expect_rows(table: &str, found: u64, expected: u64) -> Result<(), Fault> {
    if found == expected {
        return Ok(());
    }
    Err(Fault::Damaged(format!("{found} rows of {table} were written instead of {expected}")))
}

fn state_columns(state: &TargetState) -> (&'static str, Option<&'static str>, &str) {
    match state {
        TargetState::Listed | TargetState::Scanned => (state.as_str(), None, ""),
        TargetState::Skipped { why } => (state.as_str(), None, why),
        TargetState::Failed { reason, why } => (state.as_str(), Some(reason.as_str()), why),
    }
}

fn read_state(row: &SqliteRow) -> Result<TargetState, Fault> {
    let why = || row.try_get::<String, _>("why");
    Ok(match row.try_get("state")? {
        "listed" => TargetState::Listed,
        "scanned" => TargetState::Scanned,
        "skipped" => TargetState::Skipped { why: why()? },
        "failed" => TargetState::Failed { reason: row.try_get::<&str, _>("reason")?.parse::<GapReason>()?, why: why()? },
        other => return Err(Fault::Damaged(format!("a target in state `{other}`"))),
    })
}

fn read_target(row: &SqliteRow) -> Result<Target, Fault> {
    Ok(Target {
        provider: row.try_get::<&str, _>("provider")?.parse()?,
        account: AccountId::new(row.try_get::<String, _>("account")?),
        region: row.try_get::<Option<String>, _>("region")?.map(Region::new),
        kind: row.try_get::<&str, _>("kind")?.parse()?,
        name: row.try_get("name")?,
    })
}

pub(crate) async fn read_coverage(connection: &mut SqliteConnection, run: RunId) -> Result<Coverage, Fault> {
    let rows = sqlx::query(
        "SELECT t.provider, t.account, t.region, t.kind, t.name, l.state, l.reason, l.why,
                l.credentials + coalesce(p.credentials, 0) AS credentials, l.artifacts + coalesce(p.artifacts, 0) AS artifacts,
                l.scanned + coalesce(p.scanned, 0) AS scanned, l.unchanged + coalesce(p.unchanged, 0) AS unchanged,
                l.gaps + coalesce(p.gaps, 0) AS gaps, l.bytes + coalesce(p.bytes, 0) AS bytes
         FROM ledger l JOIN target t ON t.id = l.target_id
         LEFT JOIN (SELECT target_id, sum(credentials) AS credentials, sum(artifacts) AS artifacts, sum(scanned) AS scanned,
                           sum(unchanged) AS unchanged, sum(gaps) AS gaps, sum(bytes) AS bytes
                    FROM page WHERE run_id = $1 GROUP BY target_id) p ON p.target_id = l.target_id
         WHERE l.run_id = $1 ORDER BY l.position",
    )
    .bind(run.0)
    .fetch_all(connection)
    .await?;
    let mut coverage = Coverage::default();
    for row in &rows {
        let number = |column: &str| row.try_get::<i64, _>(column).map(uncount);
        coverage.targets.push(TargetCount {
            target: read_target(row)?,
            state: read_state(row)?,
            counts: TargetCounts {
                credentials: number("credentials")?,
                artifacts: number("artifacts")?,
                scanned: number("scanned")?,
                unchanged: number("unchanged")?,
                gaps: number("gaps")?,
                bytes: number("bytes")?,
            },
        });
    }
    Ok(coverage)
}

pub(crate) async fn read_gaps(connection: &mut SqliteConnection, run: RunId) -> Result<Vec<Gap>, Fault> {
    let rows = sqlx::query(
        "SELECT g.about, g.subject, g.reason, g.detail, g.permission, g.mend, g.open_ended
         FROM gap g JOIN ledger l ON l.run_id = g.run_id AND l.target_id = g.target_id
         WHERE g.run_id = $1 ORDER BY l.position, g.page, g.position",
    )
    .bind(run.0)
    .fetch_all(connection)
    .await?;
    let mut gaps = Vec::with_capacity(rows.len());
    for row in &rows {
        gaps.push(Gap {
            target: TargetId::from_key(row.try_get::<String, _>("about")?),
            subject: row.try_get("subject")?,
            reason: row.try_get::<&str, _>("reason")?.parse()?,
            detail: row.try_get("detail")?,
            permission: row.try_get("permission")?,
            mend: row.try_get("mend")?,
            open_ended: row.try_get::<i64, _>("open_ended")? != 0,
        });
    }
    Ok(gaps)
}

pub(crate) async fn read_accounts(connection: &mut SqliteConnection, run: RunId) -> Result<Vec<Account>, Fault> {
    let rows = sqlx::query(
        "SELECT a.provider, a.id, a.name, a.tags, a.contacts FROM run_account r
         JOIN account a ON a.provider = r.provider AND a.id = r.account_id WHERE r.run_id = $1 ORDER BY r.position",
    )
    .bind(run.0)
    .fetch_all(connection)
    .await?;
    let mut accounts = Vec::with_capacity(rows.len());
    for row in &rows {
        accounts.push(Account {
            provider: row.try_get::<&str, _>("provider")?.parse()?,
            id: AccountId::new(row.try_get::<String, _>("id")?),
            name: row.try_get("name")?,
            tags: tags(row.try_get("tags")?)?,
            contacts: contacts(row.try_get("contacts")?)?,
        });
    }
    Ok(accounts)
}
