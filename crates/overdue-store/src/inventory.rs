//! All we know, read back as core nouns.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use overdue_core::{
    AccountId, ArtifactId, ArtifactKind, Confidence, Credential, CredentialId, CredentialKind, Detection, Exposure, Fingerprint, Inventory,
    IssuedAt, Placement, Principal, ProviderKind, Region, RuleId, Status, TargetId, ValueRead,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use crate::error::Fault;
use crate::ledger::{read_accounts, read_coverage, read_gaps};
use crate::schedule::read_missed;
use crate::wire::{evidence, fingerprints, last_used, moment, moment_opt, notes, tags};
use crate::{RunId, Store, StoreError};

impl Store {
    /// Everything an assessment of this run needs, except for what the rules say about themselves.
    ///
    /// Accounts, gaps and coverage are those of the run. Credentials and exposures are all that the targets of its ledger
    /// are known to hold at this moment, seen by this run or by an earlier one: where a target failed this time, what it
    /// held last time is still there.
    pub async fn inventory(&self, run: RunId) -> Result<Inventory, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            let there: i64 = sqlx::query_scalar("SELECT count(*) FROM run WHERE id = $1").bind(run.0).fetch_one(&mut *tx).await?;
            if there == 0 {
                return Err(Fault::misuse(format!("run {run} was never begun in this store")));
            }
            Ok(Inventory {
                accounts: read_accounts(&mut tx, run).await?,
                credentials: read_credentials(&mut tx, run).await?,
                exposures: read_exposures(&mut tx, run).await?,
                gaps: read_gaps(&mut tx, run).await?,
                coverage: read_coverage(&mut tx, run).await?,
                missed: read_missed(&mut tx, run).await?,
                rules: BTreeMap::new(),
            })
        })
        .await
    }

    /// Credentials of a target whose values were read, as they were last listed.
    pub async fn with_values(&self, target: &TargetId) -> Result<Vec<Credential>, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            let rows = sqlx::query(
                "SELECT c.* FROM target t JOIN credential c ON c.target_id = t.id
                 WHERE t.key = $1 AND c.gone_at IS NULL AND c.stored_read_at IS NOT NULL",
            )
            .bind(target.as_str())
            .fetch_all(&mut *tx)
            .await?;
            rows.iter().map(read_credential).collect()
        })
        .await
    }

    /// Credentials that are still there with one of these public ids, as any run saw them last.
    pub async fn credentials_by_public_id(&self, ids: &[String]) -> Result<HashMap<String, Credential>, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            let mut found = HashMap::new();
            for id in ids {
                let row =
                    sqlx::query("SELECT * FROM credential WHERE public_id = $1 AND gone_at IS NULL ORDER BY seen_at DESC, id DESC LIMIT 1")
                        .bind(id)
                        .fetch_optional(&mut *tx)
                        .await?;
                if let Some(row) = row {
                    found.insert(id.clone(), read_credential(&row)?);
                }
            }
            Ok(found)
        })
        .await
    }

    /// Artifacts of a target in which something lies, by name.
    pub async fn exposed(&self, target: &TargetId) -> Result<Vec<ArtifactId>, StoreError> {
        self.artifacts(target, false).await
    }

    /// Artifacts of a target in which something lies, and of which nobody has said yet where they stand.
    pub async fn unplaced(&self, target: &TargetId) -> Result<Vec<ArtifactId>, StoreError> {
        self.artifacts(target, true).await
    }

    async fn artifacts(&self, target: &TargetId, unplaced_only: bool) -> Result<Vec<ArtifactId>, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            let rows = sqlx::query(
                "SELECT a.provider, a.account, a.region, a.name FROM target t JOIN artifact a ON a.target_id = t.id
                 WHERE t.key = $1 AND a.gone_at IS NULL AND (a.placed = 0 OR $2 = 0)
                   AND EXISTS (SELECT 1 FROM artifact_content c JOIN detection d ON d.content_key = c.content_key
                               WHERE c.artifact_id = a.id)
                 ORDER BY a.provider, a.account, a.region, a.name",
            )
            .bind(target.as_str())
            .bind(i64::from(unplaced_only))
            .fetch_all(&mut *tx)
            .await?;
            rows.iter().map(read_artifact_id).collect()
        })
        .await
    }
}

fn read_artifact_id(row: &SqliteRow) -> Result<ArtifactId, Fault> {
    let region: String = row.try_get("region")?;
    Ok(ArtifactId {
        provider: row.try_get::<&str, _>("provider")?.parse::<ProviderKind>()?,
        account: AccountId::new(row.try_get::<String, _>("account")?),
        region: (!region.is_empty()).then(|| Region::new(region)),
        name: row.try_get("name")?,
    })
}

pub(crate) fn read_detection(row: &SqliteRow) -> Result<Detection, Fault> {
    let number = |column: &str| -> Result<Option<u32>, Fault> {
        let number: Option<i64> = row.try_get(column)?;
        number.map(u32::try_from).transpose().map_err(|error| Fault::Damaged(format!("column {column}: {error}")))
    };
    Ok(Detection {
        rule: RuleId::new(row.try_get::<String, _>("rule")?),
        fingerprint: Fingerprint::from_hex(row.try_get::<String, _>("fingerprint")?),
        preview: row.try_get("preview")?,
        public_id: row.try_get("public_id")?,
        path: row.try_get("path")?,
        line: number("line")?,
        column: number("column_bytes")?,
        decoded: row.try_get("decoded")?,
        confidence: match row.try_get("confidence")? {
            "likely" => Confidence::Likely,
            "certain" => Confidence::Certain,
            other => return Err(Fault::Damaged(format!("a confidence `{other}`"))),
        },
        expires_at_unix: row.try_get("expires_at_unix")?,
    })
}

/// Credentials of the run's targets that are still there, by id. One that two targets see is told as the one that saw it
/// last tells it.
async fn read_credentials(connection: &mut SqliteConnection, run: RunId) -> Result<Vec<Credential>, Fault> {
    let rows = sqlx::query(
        "SELECT c.account, c.kind, c.public_id, c.region, c.name, c.principal_arn, c.principal_name, c.status, c.issued_at,
                c.issued_evidence, c.last_used, c.last_used_at, c.last_used_detail, c.expires_at, c.tags, c.notes, c.stored_read_at,
                c.stored_fingerprints, c.first_seen_at
         FROM ledger l JOIN credential c ON c.target_id = l.target_id
         WHERE l.run_id = $1 AND c.gone_at IS NULL
         ORDER BY c.account, c.kind, c.public_id, c.seen_at DESC, c.id DESC",
    )
    .bind(run.0)
    .fetch_all(connection)
    .await?;
    let mut credentials: Vec<Credential> = Vec::with_capacity(rows.len());
    for row in &rows {
        let credential = read_credential(row)?;
        if credentials.last().is_none_or(|last| last.id != credential.id) {
            credentials.push(credential);
        }
    }
    Ok(credentials)
}

fn read_credential(row: &SqliteRow) -> Result<Credential, Fault> {
    let issued_at: Option<i64> = row.try_get("issued_at")?;
    let issued_evidence: Option<&str> = row.try_get("issued_evidence")?;
    Ok(Credential {
        id: CredentialId {
            account: AccountId::new(row.try_get::<String, _>("account")?),
            kind: row.try_get::<&str, _>("kind")?.parse::<CredentialKind>()?,
            public_id: row.try_get("public_id")?,
        },
        region: row.try_get::<Option<String>, _>("region")?.map(Region::new),
        name: row.try_get("name")?,
        principal: Principal { arn: row.try_get("principal_arn")?, name: row.try_get("principal_name")? },
        status: match row.try_get("status")? {
            "active" => Status::Active,
            "inactive" => Status::Inactive,
            other => return Err(Fault::Damaged(format!("a credential in status `{other}`"))),
        },
        issued_at: match (issued_at, issued_evidence) {
            (Some(at), Some(json)) => IssuedAt::At { at: moment(at)?, evidence: evidence(json)? },
            _ => IssuedAt::FirstSeen { at: moment(row.try_get("first_seen_at")?)? },
        },
        last_used: last_used(row.try_get("last_used")?, row.try_get("last_used_at")?, row.try_get("last_used_detail")?)?,
        expires_at: moment_opt(row.try_get("expires_at")?)?,
        tags: tags(row.try_get("tags")?)?,
        notes: notes(row.try_get("notes")?)?,
        value: read_value(row)?,
    })
}

fn read_value(row: &SqliteRow) -> Result<Option<ValueRead>, Fault> {
    let (at, json): (Option<i64>, Option<&str>) = (row.try_get("stored_read_at")?, row.try_get("stored_fingerprints")?);
    let Some((at, json)) = at.zip(json) else { return Ok(None) };
    Ok(Some(ValueRead { at: moment(at)?, fingerprints: fingerprints(json)? }))
}

/// What is the same for every exposure of one artifact row.
struct Place {
    id: ArtifactId,
    kind: ArtifactKind,
    latest: bool,
    tags: BTreeMap<String, String>,
    modified_at: Option<Timestamp>,
}

async fn read_exposures(connection: &mut SqliteConnection, run: RunId) -> Result<Vec<Exposure>, Fault> {
    let mut placements = read_placements(connection, run).await?;
    // Newest read first within an artifact: what an older content of it says is left out where the newer one says it too.
    let rows = sqlx::query(
        "SELECT a.id, a.provider, a.account, a.region, a.name, a.kind, a.latest, a.tags, a.modified_at, c.content_key, c.read_at,
                d.rule, d.fingerprint, d.preview, d.public_id, d.path, d.line, d.column_bytes, d.decoded, d.confidence,
                d.expires_at_unix, f.at AS first_seen_at
         FROM ledger l JOIN artifact a ON a.target_id = l.target_id
         JOIN artifact_content c ON c.artifact_id = a.id
         JOIN detection d ON d.content_key = c.content_key
         LEFT JOIN first_seen f ON f.fingerprint = d.fingerprint AND f.thing = a.thing AND f.path = d.path
         WHERE l.run_id = $1 AND a.gone_at IS NULL
         ORDER BY a.id, c.read_at DESC, c.content_key, d.id",
    )
    .bind(run.0)
    .fetch_all(connection)
    .await?;

    let mut exposures: Vec<Exposure> = Vec::with_capacity(rows.len());
    let mut place: Option<(i64, Place)> = None;
    let mut said: HashMap<(String, String, String), Vec<u8>> = HashMap::new();
    for row in &rows {
        let id: i64 = row.try_get("id")?;
        let place = match &mut place {
            Some((present, place)) if *present == id => place,
            other => {
                said.clear();
                &mut other.insert((id, read_place(row)?)).1
            }
        };
        let detection = read_detection(row)?;
        let content: &[u8] = row.try_get("content_key")?;
        let secret = (detection.rule.as_str().to_owned(), detection.fingerprint.as_str().to_owned(), detection.path.clone());
        if said.entry(secret).or_insert_with(|| content.to_vec()).as_slice() != content {
            continue;
        }
        let last_read_at = moment(row.try_get("read_at")?)?;
        let exposure = Exposure {
            detection,
            artifact: place.id.clone(),
            artifact_kind: place.kind,
            latest: place.latest,
            placement: None,
            tags: place.tags.clone(),
            modified_at: place.modified_at,
            first_seen_at: moment_opt(row.try_get("first_seen_at")?)?.unwrap_or(last_read_at),
            last_read_at,
        };
        match placements.get_mut(&id) {
            Some(places) if !places.is_empty() => {
                exposures.extend(places.iter().map(|placement| Exposure { placement: Some(placement.clone()), ..exposure.clone() }));
            }
            _ => exposures.push(exposure),
        }
    }
    Ok(without_doubles(exposures))
}

/// Two targets may see one artifact (`/srv` and `/srv/app`): one place is one exposure, as it was last read.
fn without_doubles(mut exposures: Vec<Exposure>) -> Vec<Exposure> {
    fn place(exposure: &Exposure) -> (&ArtifactId, &Detection, Option<(&str, &str)>) {
        let placement = exposure.placement.as_ref().map(|placement| (placement.path.as_str(), placement.commit.as_str()));
        (&exposure.artifact, &exposure.detection, placement)
    }
    exposures.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| b.last_read_at.cmp(&a.last_read_at)));
    exposures.dedup_by(|later, first| place(later) == place(first));
    exposures
}

fn read_place(row: &SqliteRow) -> Result<Place, Fault> {
    Ok(Place {
        id: read_artifact_id(row)?,
        kind: row.try_get::<&str, _>("kind")?.parse()?,
        latest: row.try_get::<i64, _>("latest")? != 0,
        tags: tags(row.try_get("tags")?)?,
        modified_at: moment_opt(row.try_get("modified_at")?)?,
    })
}

async fn read_placements(connection: &mut SqliteConnection, run: RunId) -> Result<HashMap<i64, Vec<Placement>>, Fault> {
    let rows = sqlx::query(
        "SELECT p.artifact_id, p.path, p.commit_id, p.author, p.author_address, p.committed_at, p.at_tip
         FROM ledger l JOIN artifact a ON a.target_id = l.target_id JOIN placement p ON p.artifact_id = a.id
         WHERE l.run_id = $1 AND a.gone_at IS NULL ORDER BY p.artifact_id, p.position",
    )
    .bind(run.0)
    .fetch_all(connection)
    .await?;
    let mut placements: HashMap<i64, Vec<Placement>> = HashMap::new();
    for row in &rows {
        placements.entry(row.try_get("artifact_id")?).or_default().push(Placement {
            path: row.try_get("path")?,
            commit: row.try_get("commit_id")?,
            author: row.try_get("author")?,
            author_address: row.try_get("author_address")?,
            committed_at: moment_opt(row.try_get("committed_at")?)?,
            at_tip: row.try_get::<i64, _>("at_tip")? != 0,
        });
    }
    Ok(placements)
}
