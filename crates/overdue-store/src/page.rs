//! Pages: what one step of a target saw, stored all or not at all.
//!
//! An artifact has a row only while something is or was found in it; a clean blob of a repository leaves one row in
//! `content` and nothing else. What an artifact exposes is derived from the contents it holds: a complete read leaves it
//! one content, so that exposures of the former content close by themselves; a read that broke off adds a content and
//! takes none away.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use overdue_core::{
    Artifact, ArtifactId, ArtifactKind, ContentKey, Credential, Detection, Gap, IssuedAt, Placement, Region, TargetCounts, TargetId,
};
use overdue_core::{Confidence, Status};
use sqlx::SqliteConnection;

use crate::batch::{list_sql, pieces, rows_sql};
use crate::error::Fault;
use crate::ledger::{expect_rows, listed};
use crate::run::check_fence;
use crate::wire::{count, evidence_json, fingerprints_json, last_used_columns, micros, notes_json, pack, tags_json};
use crate::{Run, Store, StoreError};

/// What came of one artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its bytes were read and scanned now, to the end or in part: the content's own entry says which.
    Read,
    /// It holds a content that was scanned before.
    Unchanged,
    /// It could not be read. What was known of it stands, as of when it was last read.
    Unreadable,
}

/// One artifact, as a page saw it.
#[derive(Clone, Debug)]
pub struct SeenArtifact {
    /// Which.
    pub artifact: Artifact,
    /// What it holds. Not looked at when it was unreadable.
    pub content: ContentKey,
    /// What came of it.
    pub outcome: Outcome,
    /// Where it stands in its repository; `None` leaves what is known.
    pub placements: Option<Vec<Placement>>,
}

/// One content that was scanned now.
#[derive(Clone, Debug)]
pub struct ScannedContent {
    /// Which.
    pub key: ContentKey,
    /// Names the rules and limits it was scanned with.
    pub ruleset: String,
    /// What was found.
    pub detections: Vec<Detection>,
    /// False when a limit or an error ended the scan before the content's end.
    pub complete: bool,
}

/// One step of a target.
#[derive(Clone, Debug)]
pub struct PageCommit {
    /// Which target.
    pub target: TargetId,
    /// The step's number within this pass over the target. The same number again takes the place of the first.
    pub page: u32,
    /// Credentials it saw.
    pub credentials: Vec<Credential>,
    /// Artifacts it saw: all whose content holds a detection or could not be read; those that are clean may be left out.
    pub artifacts: Vec<SeenArtifact>,
    /// Contents it scanned.
    pub contents: Vec<ScannedContent>,
    /// What it could not see.
    pub gaps: Vec<Gap>,
    /// What it held.
    pub counts: TargetCounts,
    /// The present moment.
    pub now: Timestamp,
}

/// A scan of this page, with doubles of one key put together.
struct Scan<'a> {
    ruleset: &'a str,
    complete: bool,
    detections: Vec<&'a Detection>,
}

/// What is known of a content once the page's scans are in.
#[derive(Clone, Copy)]
struct Known {
    complete: bool,
    found: bool,
}

impl Store {
    /// Those of `keys` that were scanned to the end with `ruleset`, and need not be fetched again.
    ///
    /// Not fetched is not left out: an artifact whose content holds a detection must still be in a page, or a complete
    /// listing closes it. [`Store::contents_with_detections`] tells which; naming every artifact does as well.
    pub async fn scanned_contents(&self, keys: &[ContentKey], ruleset: &str) -> Result<HashSet<ContentKey>, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            let id: Option<i64> =
                sqlx::query_scalar("SELECT id FROM ruleset WHERE name = $1").bind(ruleset).fetch_optional(&mut *tx).await?;
            let Some(id) = id else { return Ok(HashSet::new()) };
            let mut asked = Asked::new(keys);
            for piece in pieces(&asked.packed) {
                let select = |what: &str| list_sql(&format!("SELECT {what} FROM content WHERE ruleset_id = ? AND key IN"), piece.len(), "");
                // Nearly always all of them are known, or none; a number is one row to fetch instead of hundreds.
                let mut query = sqlx::query_scalar::<_, i64>(select("count(*)")).bind(id);
                for key in piece {
                    query = query.bind(key.as_slice());
                }
                match usize::try_from(query.fetch_one(&mut *tx).await?) {
                    Ok(0) => {}
                    Ok(all) if all == piece.len() => asked.found.extend_from_slice(piece),
                    _ => {
                        let mut query = sqlx::query_scalar::<_, Vec<u8>>(select("key")).bind(id);
                        for key in piece {
                            query = query.bind(key.as_slice());
                        }
                        asked.found.extend(query.fetch_all(&mut *tx).await?);
                    }
                }
            }
            Ok(asked.answer())
        })
        .await
    }

    /// Those of `keys` in which something was found. Artifacts that hold one must be in a page even when they are
    /// unchanged, so that they count as seen.
    pub async fn contents_with_detections(&self, keys: &[ContentKey]) -> Result<HashSet<ContentKey>, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            let mut asked = Asked::new(keys);
            asked.found = with_detections(&mut tx, &asked.packed).await?.into_iter().collect();
            Ok(asked.answer())
        })
        .await
    }

    /// Stores one step of a target: all of it or nothing. The same step again changes nothing.
    pub async fn commit_page(&self, run: Run, page: &PageCommit) -> Result<(), StoreError> {
        self.named(async {
            let scans = put_together(&page.contents);
            let mut tx = self.write().await?;
            check_fence(&mut tx, run).await?;
            let target_id = listed(&mut tx, run, &page.target).await?;
            write_credentials(&mut tx, run, target_id, page).await?;
            write_contents(&mut tx, run, &scans).await?;
            write_artifacts(&mut tx, run, target_id, page, &scans).await?;
            write_gaps(&mut tx, run, target_id, page).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }
}

/// Keys on their way through a query.
struct Asked<'a> {
    by_packed: HashMap<Vec<u8>, &'a ContentKey>,
    packed: Vec<Vec<u8>>,
    found: Vec<Vec<u8>>,
}

impl<'a> Asked<'a> {
    fn new(keys: &'a [ContentKey]) -> Self {
        let by_packed: HashMap<Vec<u8>, &ContentKey> = keys.iter().map(|key| (pack(key), key)).collect();
        let mut packed: Vec<Vec<u8>> = by_packed.keys().cloned().collect();
        // In the order of the table, so that neighbours share pages.
        packed.sort_unstable();
        Self { by_packed, packed, found: Vec::new() }
    }
    fn answer(self) -> HashSet<ContentKey> {
        self.found.iter().filter_map(|packed| self.by_packed.get(packed)).map(|key| (*key).clone()).collect()
    }
}

fn put_together(contents: &[ScannedContent]) -> BTreeMap<Vec<u8>, Scan<'_>> {
    let mut scans: BTreeMap<Vec<u8>, Scan<'_>> = BTreeMap::new();
    for content in contents {
        let scan = scans.entry(pack(&content.key)).or_insert(Scan { ruleset: &content.ruleset, complete: false, detections: Vec::new() });
        if content.complete {
            scan.complete = true;
            scan.ruleset = &content.ruleset;
        }
        scan.detections.extend(&content.detections);
    }
    for scan in scans.values_mut() {
        scan.detections.sort_unstable();
        scan.detections.dedup();
    }
    scans
}

async fn with_detections(connection: &mut SqliteConnection, keys: &[Vec<u8>]) -> Result<HashSet<Vec<u8>>, Fault> {
    let mut found = HashSet::new();
    for piece in pieces(keys) {
        let sql = list_sql("SELECT DISTINCT content_key FROM detection WHERE content_key IN", piece.len(), "");
        let mut query = sqlx::query_scalar::<_, Vec<u8>>(sql);
        for key in piece {
            query = query.bind(key.as_slice());
        }
        found.extend(query.fetch_all(&mut *connection).await?);
    }
    Ok(found)
}

async fn write_credentials(connection: &mut SqliteConnection, run: Run, target_id: i64, page: &PageCommit) -> Result<(), Fault> {
    for credential in &page.credentials {
        let (issued_at, issued_evidence) = match &credential.issued_at {
            IssuedAt::At { at, evidence } => (Some(micros(*at)), Some(evidence_json(evidence)?)),
            IssuedAt::FirstSeen { .. } | IssuedAt::Untold => (None, None),
        };
        let (last_used, last_used_at, last_used_detail) = last_used_columns(&credential.last_used)?;
        let written = sqlx::query(
            "INSERT INTO credential (target_id, account, kind, public_id, region, name, principal_arn, principal_name, status, issued_at,
                                     issued_evidence, last_used, last_used_at, last_used_detail, expires_at, tags, notes, stored_read_at,
                                     stored_fingerprints, first_seen_at, seen_at, seen_run_id, gone_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
                     coalesce((SELECT min(first_seen_at) FROM credential WHERE account = $2 AND kind = $3 AND public_id = $4), $20),
                     $20, $21, NULL)
             ON CONFLICT (target_id, account, kind, public_id) DO UPDATE SET
                 region = excluded.region, name = excluded.name, principal_arn = excluded.principal_arn,
                 principal_name = excluded.principal_name, status = excluded.status, issued_at = excluded.issued_at,
                 issued_evidence = excluded.issued_evidence, last_used = excluded.last_used, last_used_at = excluded.last_used_at,
                 last_used_detail = excluded.last_used_detail, expires_at = excluded.expires_at, tags = excluded.tags,
                 notes = excluded.notes, stored_read_at = excluded.stored_read_at,
                 stored_fingerprints = excluded.stored_fingerprints, seen_at = excluded.seen_at,
                 seen_run_id = CASE WHEN credential.seen_run_id > excluded.seen_run_id THEN credential.seen_run_id
                                    ELSE excluded.seen_run_id END,
                 gone_at = NULL",
        )
        .bind(target_id)
        .bind(credential.id.account.as_str())
        .bind(credential.id.kind.as_str())
        .bind(&credential.id.public_id)
        .bind(credential.region.as_ref().map(Region::as_str))
        .bind(&credential.name)
        .bind(&credential.principal.arn)
        .bind(&credential.principal.name)
        .bind(status_name(credential.status))
        .bind(issued_at)
        .bind(issued_evidence)
        .bind(last_used)
        .bind(last_used_at)
        .bind(last_used_detail)
        .bind(credential.expires_at.map(micros))
        .bind(tags_json(&credential.tags)?)
        .bind(notes_json(&credential.notes)?)
        .bind(credential.value.as_ref().map(|value| micros(value.at)))
        .bind(credential.value.as_ref().map(|value| fingerprints_json(&value.fingerprints)).transpose()?)
        .bind(micros(page.now))
        .bind(run.id.0)
        .execute(&mut *connection)
        .await?
        .rows_affected();
        expect_rows("credential", written, 1)?;
    }
    Ok(())
}

pub(crate) const fn status_name(status: Status) -> &'static str {
    match status {
        Status::Active => "active",
        Status::Inactive => "inactive",
    }
}

pub(crate) const fn confidence_name(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Likely => "likely",
        Confidence::Certain => "certain",
    }
}

async fn write_contents(connection: &mut SqliteConnection, run: Run, scans: &BTreeMap<Vec<u8>, Scan<'_>>) -> Result<(), Fault> {
    let mut rulesets: HashMap<&str, i64> = HashMap::new();
    for scan in scans.values().filter(|scan| scan.complete) {
        if !rulesets.contains_key(scan.ruleset) {
            let id = ruleset_id(connection, scan.ruleset).await?;
            rulesets.insert(scan.ruleset, id);
        }
    }
    let rows: Vec<(&Vec<u8>, &Scan<'_>)> = scans.iter().collect();
    for piece in pieces(&rows) {
        // A scan that broke off takes nothing from an earlier one that did not.
        let sql = rows_sql(
            "INSERT INTO content (key, ruleset_id, run_id) VALUES",
            3,
            piece.len(),
            "ON CONFLICT (key) DO UPDATE SET ruleset_id = coalesce(excluded.ruleset_id, content.ruleset_id), run_id = excluded.run_id",
        );
        let mut query = sqlx::query(sql);
        for (key, scan) in piece {
            let ruleset = if scan.complete { rulesets.get(scan.ruleset).copied() } else { None };
            query = query.bind(key.as_slice()).bind(ruleset).bind(run.id.0);
        }
        let written = query.execute(&mut *connection).await?.rows_affected();
        expect_rows("content", written, piece.len() as u64)?;
    }

    let complete: Vec<Vec<u8>> = rows.iter().filter(|(_, scan)| scan.complete).map(|(key, _)| (*key).clone()).collect();
    for piece in pieces(&complete) {
        let mut query = sqlx::query(list_sql("DELETE FROM detection WHERE content_key IN", piece.len(), ""));
        for key in piece {
            query = query.bind(key.as_slice());
        }
        query.execute(&mut *connection).await?;
    }
    let mut new: Vec<(&Vec<u8>, &Detection)> = Vec::new();
    for (key, scan) in &rows {
        let known = if scan.complete || scan.detections.is_empty() { HashSet::new() } else { detections_of(connection, key).await? };
        new.extend(scan.detections.iter().filter(|detection| !known.contains(**detection)).map(|detection| (*key, *detection)));
    }
    for piece in pieces(&new) {
        let sql = rows_sql(
            "INSERT INTO detection (content_key, rule, fingerprint, preview, public_id, path, line, column_bytes, decoded, confidence,
                                    expires_at_unix) VALUES",
            11,
            piece.len(),
            "",
        );
        let mut query = sqlx::query(sql);
        for (key, detection) in piece {
            query = query
                .bind(key.as_slice())
                .bind(detection.rule.as_str())
                .bind(detection.fingerprint.as_str())
                .bind(&detection.preview)
                .bind(detection.public_id.as_deref())
                .bind(&detection.path)
                .bind(detection.line.map(i64::from))
                .bind(detection.column.map(i64::from))
                .bind(&detection.decoded)
                .bind(confidence_name(detection.confidence))
                .bind(detection.expires_at_unix);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn ruleset_id(connection: &mut SqliteConnection, name: &str) -> Result<i64, Fault> {
    let sql = "INSERT INTO ruleset (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id";
    Ok(sqlx::query_scalar(sql).bind(name).fetch_one(connection).await?)
}

async fn detections_of(connection: &mut SqliteConnection, key: &[u8]) -> Result<HashSet<Detection>, Fault> {
    let rows = sqlx::query(
        "SELECT rule, fingerprint, preview, public_id, path, line, column_bytes, decoded, confidence, expires_at_unix
         FROM detection WHERE content_key = $1",
    )
    .bind(key)
    .fetch_all(connection)
    .await?;
    rows.iter().map(crate::inventory::read_detection).collect()
}

/// What is known of every content that the page's artifacts hold; a content that was never scanned is refused, since
/// pointing an artifact at it would close what the artifact exposes unread.
async fn known_contents(
    connection: &mut SqliteConnection,
    page: &PageCommit,
    scans: &BTreeMap<Vec<u8>, Scan<'_>>,
) -> Result<HashMap<Vec<u8>, Known>, Fault> {
    let mut known: HashMap<Vec<u8>, Known> =
        scans.iter().map(|(key, scan)| (key.clone(), Known { complete: scan.complete, found: !scan.detections.is_empty() })).collect();
    let mut elsewhere: BTreeMap<Vec<u8>, &ArtifactId> = BTreeMap::new();
    // A scan of this page that broke off may have an earlier one beside it that found something.
    let mut unsure: Vec<Vec<u8>> =
        scans.iter().filter(|(_, scan)| !scan.complete && scan.detections.is_empty()).map(|(key, _)| key.clone()).collect();
    for seen in page.artifacts.iter().filter(|seen| seen.outcome != Outcome::Unreadable) {
        let key = pack(&seen.content);
        if !known.contains_key(&key) {
            elsewhere.insert(key, &seen.artifact.id);
        }
    }
    let keys: Vec<Vec<u8>> = elsewhere.keys().cloned().collect();
    for piece in pieces(&keys) {
        let sql = list_sql("SELECT key, ruleset_id FROM content WHERE key IN", piece.len(), "");
        let mut query = sqlx::query_as::<_, (Vec<u8>, Option<i64>)>(sql);
        for key in piece {
            query = query.bind(key.as_slice());
        }
        for (key, ruleset_id) in query.fetch_all(&mut *connection).await? {
            known.insert(key, Known { complete: ruleset_id.is_some(), found: false });
        }
    }
    if let Some((_, artifact)) = elsewhere.iter().find(|(key, _)| !known.contains_key(*key)) {
        return Err(Fault::misuse(format!("{artifact} is said to hold a content that was never scanned")));
    }
    unsure.extend(keys);
    for key in with_detections(connection, &unsure).await? {
        if let Some(known) = known.get_mut(&key) {
            known.found = true;
        }
    }
    Ok(known)
}

async fn write_artifacts(
    connection: &mut SqliteConnection,
    run: Run,
    target_id: i64,
    page: &PageCommit,
    scans: &BTreeMap<Vec<u8>, Scan<'_>>,
) -> Result<(), Fault> {
    let known = known_contents(connection, page, scans).await?;
    let rows = artifact_rows(connection, target_id, page).await?;
    let mut touched: Vec<i64> = Vec::new();
    for seen in &page.artifacts {
        let row = rows.get(&seen.artifact.id).copied();
        if seen.outcome == Outcome::Unreadable {
            // It is still there, so it is not gone; nothing else is known.
            if let Some(id) = row {
                sqlx::query(
                    "UPDATE artifact SET gone_at = NULL, seen_run_id = CASE WHEN seen_run_id > $1 THEN seen_run_id ELSE $1 END WHERE id = $2",
                )
                .bind(run.id.0)
                .bind(id)
                .execute(&mut *connection)
                .await?;
            }
            continue;
        }
        let key = pack(&seen.content);
        let Some(content) = known.get(&key) else { continue };
        if row.is_none() && !content.found {
            continue;
        }
        let id = write_artifact(connection, run, target_id, &seen.artifact).await?;
        write_holding(connection, id, &key, content.complete, page.now).await?;
        if let Some(placements) = &seen.placements {
            write_placements(connection, id, placements).await?;
        }
        touched.push(id);
    }
    for piece in pieces(&touched) {
        // The guard makes a conflict impossible: there is one writer, and this transaction has the write lock.
        let sql = list_sql(
            "INSERT INTO first_seen (fingerprint, thing, path, at)
             SELECT d.fingerprint, a.thing, d.path, ? FROM artifact a
             JOIN artifact_content c ON c.artifact_id = a.id JOIN detection d ON d.content_key = c.content_key
             WHERE a.id IN",
            piece.len(),
            "AND NOT EXISTS (SELECT 1 FROM first_seen f WHERE f.fingerprint = d.fingerprint AND f.thing = a.thing AND f.path = d.path)
             GROUP BY d.fingerprint, a.thing, d.path",
        );
        let mut query = sqlx::query(sql).bind(micros(page.now));
        for id in piece {
            query = query.bind(*id);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Row ids of those of the page's artifacts that have a row.
async fn artifact_rows(connection: &mut SqliteConnection, target_id: i64, page: &PageCommit) -> Result<HashMap<ArtifactId, i64>, Fault> {
    let mut groups: HashMap<(&str, &str, &str), Vec<&ArtifactId>> = HashMap::new();
    for seen in &page.artifacts {
        let id = &seen.artifact.id;
        groups.entry((id.provider.as_str(), id.account.as_str(), region_text(id))).or_default().push(id);
    }
    let mut rows = HashMap::new();
    for ((provider, account, region), mut ids) in groups {
        ids.sort_unstable();
        ids.dedup();
        for piece in pieces(&ids) {
            let sql = list_sql(
                "SELECT id, name FROM artifact WHERE target_id = ? AND provider = ? AND account = ? AND region = ? AND name IN",
                piece.len(),
                "",
            );
            let mut query = sqlx::query_as::<_, (i64, String)>(sql).bind(target_id).bind(provider).bind(account).bind(region);
            for id in piece {
                query = query.bind(&id.name);
            }
            let by_name: HashMap<String, i64> =
                query.fetch_all(&mut *connection).await?.into_iter().map(|(row, name)| (name, row)).collect();
            rows.extend(piece.iter().filter_map(|id| by_name.get(&id.name).map(|row| ((*id).clone(), *row))));
        }
    }
    Ok(rows)
}

/// A region as its column holds it: empty for none, since no provider has a region without a name.
fn region_text(id: &ArtifactId) -> &str {
    id.region.as_ref().map_or("", Region::as_str)
}

async fn write_artifact(connection: &mut SqliteConnection, run: Run, target_id: i64, artifact: &Artifact) -> Result<i64, Fault> {
    let id = &artifact.id;
    Ok(sqlx::query_scalar(
        "INSERT INTO artifact (target_id, provider, account, region, name, kind, thing, latest, tags, modified_at, placed, seen_run_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11)
         ON CONFLICT (target_id, provider, account, region, name) DO UPDATE SET
             kind = excluded.kind, thing = excluded.thing, latest = excluded.latest, tags = excluded.tags,
             modified_at = excluded.modified_at, gone_at = NULL,
             seen_run_id = CASE WHEN artifact.seen_run_id > excluded.seen_run_id THEN artifact.seen_run_id ELSE excluded.seen_run_id END
         RETURNING id",
    )
    .bind(target_id)
    .bind(id.provider.as_str())
    .bind(id.account.as_str())
    .bind(region_text(id))
    .bind(&id.name)
    .bind(artifact.kind.as_str())
    .bind(thing(artifact))
    .bind(i64::from(artifact.latest))
    .bind(tags_json(&artifact.tags)?)
    .bind(artifact.modified_at.map(micros))
    .bind(run.id.0)
    .fetch_one(connection)
    .await?)
}

/// What an artifact is a state of: itself, or for a git blob its repository.
fn thing(artifact: &Artifact) -> String {
    let id = &artifact.id;
    let name = match artifact.kind {
        ArtifactKind::GitBlob => id.name.rsplit_once('#').map_or(id.name.as_str(), |(repository, _)| repository),
        _ => id.name.as_str(),
    };
    let region = id.region.as_ref().map_or("-", Region::as_str);
    format!("{}/{}/{region}/{name}", id.provider, id.account)
}

/// Notes that the artifact holds the content: that one alone after a complete read, that one too after one that broke
/// off.
async fn write_holding(connection: &mut SqliteConnection, id: i64, key: &[u8], complete: bool, now: Timestamp) -> Result<(), Fault> {
    let written = sqlx::query(
        "INSERT INTO artifact_content (artifact_id, content_key, read_at) VALUES ($1, $2, $3)
         ON CONFLICT (artifact_id, content_key) DO UPDATE SET read_at = excluded.read_at",
    )
    .bind(id)
    .bind(key)
    .bind(micros(now))
    .execute(&mut *connection)
    .await?
    .rows_affected();
    expect_rows("artifact_content", written, 1)?;
    let others = if complete {
        "DELETE FROM artifact_content WHERE artifact_id = $1 AND content_key <> $2"
    } else {
        // Only those go whose every secret was found again in this one, so that a log that is always cut short does not
        // gather a content a day.
        "DELETE FROM artifact_content WHERE artifact_id = $1 AND content_key <> $2
         AND NOT EXISTS (SELECT 1 FROM detection o WHERE o.content_key = artifact_content.content_key
             AND NOT EXISTS (SELECT 1 FROM detection n WHERE n.content_key = $2 AND n.rule = o.rule
                             AND n.fingerprint = o.fingerprint AND n.path = o.path))"
    };
    sqlx::query(others).bind(id).bind(key).execute(connection).await?;
    Ok(())
}

async fn write_placements(connection: &mut SqliteConnection, id: i64, placements: &[Placement]) -> Result<(), Fault> {
    sqlx::query("DELETE FROM placement WHERE artifact_id = $1").bind(id).execute(&mut *connection).await?;
    for (position, placement) in (0_i64..).zip(placements) {
        sqlx::query(
            "INSERT INTO placement (artifact_id, position, path, commit_id, author, author_address, committed_at, at_tip)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(id)
        .bind(position)
        .bind(&placement.path)
        .bind(&placement.commit)
        .bind(&placement.author)
        .bind(&placement.author_address)
        .bind(placement.committed_at.map(micros))
        .bind(i64::from(placement.at_tip))
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query("UPDATE artifact SET placed = 1 WHERE id = $1").bind(id).execute(connection).await?;
    Ok(())
}

async fn write_gaps(connection: &mut SqliteConnection, run: Run, target_id: i64, page: &PageCommit) -> Result<(), Fault> {
    let number = i64::from(page.page);
    sqlx::query("DELETE FROM gap WHERE run_id = $1 AND target_id = $2 AND page = $3")
        .bind(run.id.0)
        .bind(target_id)
        .bind(number)
        .execute(&mut *connection)
        .await?;
    let gaps: Vec<(i64, &Gap)> = (0..).zip(&page.gaps).collect();
    for piece in pieces(&gaps) {
        let sql = rows_sql(
            "INSERT INTO gap (run_id, target_id, page, position, about, subject, reason, detail, permission, mend, open_ended) VALUES",
            11,
            piece.len(),
            "",
        );
        let mut query = sqlx::query(sql);
        for (position, gap) in piece {
            query = query
                .bind(run.id.0)
                .bind(target_id)
                .bind(number)
                .bind(*position)
                .bind(gap.target.as_str())
                .bind(&gap.subject)
                .bind(gap.reason.as_str())
                .bind(&gap.detail)
                .bind(&gap.permission)
                .bind(&gap.mend)
                .bind(i64::from(gap.open_ended));
        }
        query.execute(&mut *connection).await?;
    }
    let counts = &page.counts;
    let written = sqlx::query(
        "INSERT INTO page (run_id, target_id, page, credentials, artifacts, scanned, unchanged, gaps, bytes)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (run_id, target_id, page) DO UPDATE SET
             credentials = excluded.credentials, artifacts = excluded.artifacts, scanned = excluded.scanned,
             unchanged = excluded.unchanged, gaps = excluded.gaps, bytes = excluded.bytes",
    )
    .bind(run.id.0)
    .bind(target_id)
    .bind(number)
    .bind(count(counts.credentials))
    .bind(count(counts.artifacts))
    .bind(count(counts.scanned))
    .bind(count(counts.unchanged))
    .bind(count(counts.gaps))
    .bind(count(counts.bytes))
    .execute(connection)
    .await?
    .rows_affected();
    expect_rows("page", written, 1)
}
