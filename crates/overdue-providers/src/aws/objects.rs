//! Objects of one bucket: those the job's globs choose, read by range and only as they were listed.
//!
//! A listing page is one page here. Objects that cannot be read for one reason are one counted gap of the page, so that a
//! bucket with a million archived objects does not bury a report. A read names the ETag it was listed with: an object that
//! changed in between is noticed, never mixed.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_s3::types::{EncodingType, Object, ObjectVersion, OptionalObjectAttributes, RestoreStatus};
use bytes::Bytes;
use globset::{Glob, GlobSet};
use jiff::Timestamp;
use overdue_core::{
    Artifact, ArtifactId, ArtifactKind, ContentKey, Cursor, Gap, GapReason, ObjectsSpec, Page, ProviderKind, Region, Target,
};
use serde_json::json;

use super::calls::OBJECT_BYTES;
use super::errors::{Refusal, mend_of};
use super::paging::{Next, Tokens};
use super::permissions::{self, Permission};
use super::session::{Api, Session};
use super::tags::Tags;
use super::{Hub, signed, stream, timestamp};
use crate::{Body, Listed};

/// One read. Objects no larger are held, larger ones stream in pieces of this size.
const RANGE_BYTES: u64 = 8 << 20;
/// Tries of one range whose bytes broke off; what the SDK tries again is not counted here.
const ATTEMPTS_MAX: u32 = 3;
/// From asking for a range to its last byte: 70 KiB a second at least.
const RANGE_TIME_MAX: Duration = Duration::from_secs(120);
/// Names written out in a gap that stands for many objects.
const NAMES_MAX: usize = 3;

type S3 = Api<aws_sdk_s3::Client>;

/// What is kept of one bucket during a run.
#[derive(Default)]
pub(super) struct Bucket {
    /// Bytes fetched so far, for the budget.
    fetched: AtomicU64,
    progress: Mutex<Progress>,
}

struct Progress {
    tokens: Tokens,
    /// The last key seen: keys come in order, so one that does not is a page seen before.
    last_key: Option<String>,
    tags: Tags,
}

impl Default for Progress {
    fn default() -> Self {
        Self { tokens: Tokens::of_ordered(), last_key: None, tags: Tags::new() }
    }
}

/// Where a listing goes on.
struct Place {
    prefix: usize,
    token: Option<String>,
    version: Option<String>,
}

impl Place {
    fn read(cursor: Option<&Cursor>) -> Self {
        let parts: Vec<Option<String>> = cursor.and_then(|cursor| serde_json::from_str(&cursor.0).ok()).unwrap_or_default();
        let part = |at: usize| parts.get(at).cloned().flatten();
        Self { prefix: part(0).and_then(|prefix| prefix.parse().ok()).unwrap_or(0), token: part(1), version: part(2) }
    }
    fn cursor(&self) -> Cursor {
        Cursor(json!([self.prefix.to_string(), self.token, self.version]).to_string())
    }
}

/// An object, or one version of it.
struct Found {
    key: String,
    /// Set for a version that something newer replaced.
    version: Option<String>,
    etag: Option<String>,
    size_bytes: u64,
    modified_at: Option<Timestamp>,
    archived: bool,
}

/// One page of the bucket's objects.
pub(super) async fn page(hub: &Hub, session: &Session, target: &Target, cursor: Option<&Cursor>) -> Page<Listed> {
    let region = target.region.clone().unwrap_or_else(|| Region::new(session.home()));
    let s3 = session.s3(&region);
    let bucket = bucket(hub, target);
    let mut page = Page::default();
    if cursor.is_none() {
        let (tags, gap) = tags_of(&s3, target).await;
        page.gaps.extend(gap);
        if let Ok(mut progress) = bucket.progress.lock() {
            *progress = Progress { tags, ..Progress::default() };
        }
    } else if bucket.fetched.load(Ordering::Relaxed) >= hub.audit.objects.bucket_bytes_max {
        page.gaps.push(over_budget(hub).open_gap(target, format!("the rest of bucket {}", target.name)));
        return page;
    }
    let prefixes = prefixes(&hub.audit.objects, &target.name);
    let place = Place::read(cursor);
    let Some(prefix) = prefixes.get(place.prefix) else { return page };

    let answer = match hub.audit.objects.versions {
        true => list_versions(&s3, &target.name, prefix, &place).await,
        false => list_objects(&s3, &target.name, prefix, &place).await,
    };
    let subject = format!("objects of bucket {}", target.name);
    let (found, next) = match answer {
        Ok(answer) => answer,
        Err(refusal) => {
            page.gaps.push(refusal.open_gap(target, subject));
            return page;
        }
    };
    let (step, tags) = match bucket.progress.lock() {
        Ok(mut progress) => (progress.step(&found, next, hub.audit.objects.versions), progress.tags.clone()),
        Err(_) => (Err(Refusal::new(GapReason::Internal, "the listing is lost", mend_of(GapReason::Internal))), Tags::new()),
    };
    match step {
        Ok(Some((token, version))) => page.next = Some(Place { prefix: place.prefix, token: Some(token), version }.cursor()),
        Ok(None) if place.prefix + 1 < prefixes.len() => {
            page.next = Some(Place { prefix: place.prefix + 1, token: None, version: None }.cursor());
        }
        Ok(None) => {}
        Err(refusal) => page.gaps.push(refusal.open_gap(target, subject)),
    }
    let mut left_out = LeftOut::default();
    for found in found {
        if let Some(artifact) = chosen(hub, session, target, &region, &tags, found, &mut left_out) {
            page.items.push(Listed { artifact, body: None });
        }
    }
    page.gaps.extend(left_out.gaps(hub, target));
    page
}

fn bucket(hub: &Hub, target: &Target) -> std::sync::Arc<Bucket> {
    hub.objects.get(target).unwrap_or_else(|| hub.objects.put(target, Bucket::default()))
}

fn over_budget(hub: &Hub) -> Refusal {
    let detail = format!("the byte budget of the bucket is spent; the limit is {} bytes a run", hub.audit.objects.bucket_bytes_max);
    Refusal::new(GapReason::TooLarge, detail, "Raise the limit or narrow the globs in the job; what is unchanged is not fetched again")
}

impl Progress {
    /// The next token with its version, `None` at the end of this prefix, or why the listing is broken.
    ///
    /// Keys come in order, each once or, with `versions`, in a row.
    fn step(&mut self, found: &[Found], next: (Next, Option<String>), versions: bool) -> Result<Option<(String, Option<String>)>, Refusal> {
        let listing = "listing of the bucket";
        if let (Some(last), Some(first)) = (&self.last_key, found.first())
            && (first.key < *last || (!versions && first.key == *last))
        {
            let detail = format!("{listing}: a page came twice");
            return Err(Refusal::new(GapReason::BrokenListing, detail, mend_of(GapReason::BrokenListing)));
        }
        self.last_key = found.last().map(|found| found.key.clone()).or(self.last_key.take());
        let (next, version) = next;
        // Versions of one key share its marker: both together are the token.
        let joined =
            Next { token: next.token.as_ref().map(|token| format!("{token}\n{}", version.as_deref().unwrap_or_default())), ..next };
        let token = next.token;
        match self.tokens.step(listing, found.len(), joined)? {
            Some(_) => Ok(token.map(|token| (token, version))),
            None => {
                self.last_key = None;
                self.tokens = Tokens::of_ordered();
                Ok(None)
            }
        }
    }
}

type Answer = (Vec<Found>, (Next, Option<String>));

async fn list_objects(s3: &S3, bucket: &str, prefix: &str, place: &Place) -> Result<Answer, Refusal> {
    let ask = |sdk: &aws_sdk_s3::Client| {
        let request = sdk.list_objects_v2().bucket(bucket).set_prefix(some(prefix)).max_keys(1000).encoding_type(EncodingType::Url);
        let request = request.optional_object_attributes(OptionalObjectAttributes::RestoreStatus);
        request.set_continuation_token(place.token.clone()).send()
    };
    let answer = s3.call(permissions::LIST_BUCKET, ask).await?;
    let encoded = answer.encoding_type == Some(EncodingType::Url);
    let found = answer.contents.unwrap_or_default().into_iter().filter_map(|object| of_object(object, encoded)).collect();
    let next = Next::by_flag(answer.next_continuation_token, answer.is_truncated.unwrap_or(false));
    Ok((found, (next, None)))
}

async fn list_versions(s3: &S3, bucket: &str, prefix: &str, place: &Place) -> Result<Answer, Refusal> {
    let ask = |sdk: &aws_sdk_s3::Client| {
        let request = sdk.list_object_versions().bucket(bucket).set_prefix(some(prefix)).max_keys(1000).encoding_type(EncodingType::Url);
        let request = request.optional_object_attributes(OptionalObjectAttributes::RestoreStatus);
        request.set_key_marker(place.token.clone()).set_version_id_marker(place.version.clone()).send()
    };
    let answer = s3.call(permissions::LIST_BUCKET_VERSIONS, ask).await?;
    let encoded = answer.encoding_type == Some(EncodingType::Url);
    let found = answer.versions.unwrap_or_default().into_iter().filter_map(|version| of_version(version, encoded)).collect();
    let marker = answer.next_key_marker.map(|marker| if encoded { decoded(&marker) } else { marker });
    Ok((found, (Next::by_flag(marker, answer.is_truncated.unwrap_or(false)), answer.next_version_id_marker)))
}

fn some(prefix: &str) -> Option<String> {
    Some(prefix).filter(|prefix| !prefix.is_empty()).map(str::to_owned)
}

fn of_object(object: Object, encoded: bool) -> Option<Found> {
    let key = object.key?;
    Some(Found {
        key: if encoded { decoded(&key) } else { key },
        version: None,
        etag: object.e_tag,
        size_bytes: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        modified_at: object.last_modified.as_ref().and_then(timestamp),
        archived: is_archived(object.storage_class.as_ref().map(|class| class.as_str()), object.restore_status.as_ref()),
    })
}

fn of_version(object: ObjectVersion, encoded: bool) -> Option<Found> {
    let key = object.key?;
    Some(Found {
        key: if encoded { decoded(&key) } else { key },
        version: object.version_id.filter(|_| object.is_latest != Some(true)),
        etag: object.e_tag,
        size_bytes: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        modified_at: object.last_modified.as_ref().and_then(timestamp),
        archived: is_archived(object.storage_class.as_ref().map(|class| class.as_str()), object.restore_status.as_ref()),
    })
}

/// In cold storage, and no restored copy is there now.
fn is_archived(class: Option<&str>, restore: Option<&RestoreStatus>) -> bool {
    let restored = restore.is_some_and(|restore| restore.restore_expiry_date().is_some() && restore.is_restore_in_progress() != Some(true));
    matches!(class, Some("GLACIER" | "DEEP_ARCHIVE")) && !restored
}

/// A key as S3 encodes it in a listing: `%xx`, and `+` for a space.
fn decoded(key: &str) -> String {
    url::form_urlencoded::parse(format!("k={}", key.replace('&', "%26")).as_bytes())
        .next()
        .map(|(_, key)| key.into_owned())
        .unwrap_or_default()
}

/// Objects of a page that are not read, by reason.
#[derive(Default)]
struct LeftOut(BTreeMap<GapReason, (u64, u64, Vec<String>)>);

impl LeftOut {
    fn add(&mut self, reason: GapReason, name: String, size_bytes: u64) {
        let (count, bytes, names) = self.0.entry(reason).or_default();
        *count += 1;
        *bytes += size_bytes;
        if names.len() < NAMES_MAX {
            names.push(name);
        }
    }
    fn gaps(self, hub: &Hub, target: &Target) -> Vec<Gap> {
        let gap = |(reason, (count, bytes, names)): (GapReason, (u64, u64, Vec<String>))| {
            let why = match reason {
                GapReason::TooLarge => format!("larger than the limit of {} bytes", hub.audit.objects.size_bytes_max),
                _ => "in cold storage".to_owned(),
            };
            let mend = match reason {
                GapReason::TooLarge => "Raise the limit in the job, or exclude them by a glob",
                reason => mend_of(reason),
            };
            let (subject, detail) = match (count, names.as_slice()) {
                (1, [one]) => (one.clone(), format!("{why}; {bytes} bytes")),
                _ => {
                    let more = if count > names.len() as u64 { ", …" } else { "" };
                    let detail = format!("{count} objects, {bytes} bytes, {why}: {}{more}", names.join(", "));
                    (format!("{count} objects of bucket {}", target.name), detail)
                }
            };
            Refusal::new(reason, detail, mend).gap(target, subject)
        };
        self.0.into_iter().map(gap).collect()
    }
}

/// The artifact of an object the job chooses; what it chooses but cannot read is counted.
fn chosen(
    hub: &Hub,
    session: &Session,
    target: &Target,
    region: &Region,
    tags: &Tags,
    found: Found,
    left_out: &mut LeftOut,
) -> Option<Artifact> {
    let spec = &hub.audit.objects;
    let address = format!("s3://{}/{}", target.name, found.key);
    // Nothing can lie in an empty object, such as the marker of a folder.
    if found.size_bytes == 0 || !spec.include.is_match(&address) || spec.exclude.is_match(&address) {
        return None;
    }
    let name = match &found.version {
        Some(version) => format!("{address}?versionId={version}"),
        None => address,
    };
    if found.archived {
        left_out.add(GapReason::Archived, name, found.size_bytes);
        return None;
    }
    if found.size_bytes > spec.size_bytes_max {
        left_out.add(GapReason::TooLarge, name, found.size_bytes);
        return None;
    }
    let content = found.etag.as_deref().map(|etag| content_key(session, &target.name, &found.key, etag, found.version.as_deref()));
    let id = ArtifactId { provider: ProviderKind::Aws, account: session.account.clone(), region: Some(region.clone()), name };
    Some(Artifact {
        id,
        kind: ArtifactKind::Object,
        content,
        size_bytes: Some(found.size_bytes),
        modified_at: found.modified_at,
        tags: tags.clone(),
        notes: Vec::new(),
        latest: found.version.is_none(),
    })
}

/// An ETag says only that this object is unchanged, so the object's name stands in it.
fn content_key(session: &Session, bucket: &str, key: &str, etag: &str, version: Option<&str>) -> ContentKey {
    let version = version.map(|version| format!("#{version}")).unwrap_or_default();
    ContentKey(format!("s3:{}/{bucket}/{key}@{etag}{version}", session.account))
}

async fn tags_of(s3: &S3, target: &Target) -> (Tags, Option<Gap>) {
    match s3.call(permissions::GET_BUCKET_TAGGING, |sdk| sdk.get_bucket_tagging().bucket(&target.name).send()).await {
        Ok(answer) => (answer.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect(), None),
        Err(refusal) if refusal.is(&["NoSuchTagSet", "NoSuchTagSetError"]) => (Tags::new(), None),
        Err(refusal) => (Tags::new(), Some(refusal.gap(target, format!("tags of bucket {}, which may name an owner", target.name)))),
    }
}

/// The prefixes under which a bucket's objects may match; none: no object of it can.
///
/// A listing that starts at `releases/` instead of the whole bucket may save thousands of calls. Without the text of the
/// globs the whole bucket is listed. This only narrows: what is read is decided by the globs themselves.
pub(super) fn prefixes(spec: &ObjectsSpec, bucket: &str) -> Vec<String> {
    if spec.include_text.is_empty() {
        return vec![String::new()];
    }
    let place = format!("s3://{bucket}/");
    let mut prefixes: Vec<String> = spec.include_text.iter().filter_map(|glob| prefix(glob, &spec.include, bucket, &place)).collect();
    prefixes.sort();
    // A prefix covers all that begin with it.
    prefixes.dedup_by(|longer, shorter| longer.starts_with(shorter.as_str()));
    prefixes
}

fn prefix(glob: &str, include: &GlobSet, bucket: &str, place: &str) -> Option<String> {
    let literal = glob.split(['*', '?', '[', '{', '\\']).next().unwrap_or_default();
    if let Some(prefix) = literal.strip_prefix(place) {
        return Some(prefix.to_owned());
    }
    if !place.starts_with(literal) {
        return None;
    }
    // The bucket's own name has wildcards. They can be read by themselves when none of them may cross a slash.
    let (bucket_glob, key_glob) = glob.strip_prefix("s3://").and_then(|rest| rest.split_once('/')).unwrap_or_default();
    let simple = !bucket_glob.is_empty() && !bucket_glob.contains("**") && !bucket_glob.contains(['[', '{', '\\']);
    if !simple || crosses_slashes(bucket_glob, key_glob, include) {
        return Some(String::new());
    }
    let matches = Glob::new(bucket_glob).is_ok_and(|glob| glob.compile_matcher().is_match(bucket));
    matches.then(|| key_glob.split(['*', '?', '[', '{', '\\']).next().unwrap_or_default().to_owned())
}

/// Whether wildcards in the job's globs match a slash too: asked of the globs themselves, by an address that tells.
fn crosses_slashes(bucket_glob: &str, key_glob: &str, include: &GlobSet) -> bool {
    let bucket = bucket_glob.replace('*', "a/a").replace('?', "/");
    let key = key_glob.replace(['*', '?'], "a");
    include.is_match(format!("s3://{bucket}/{key}"))
}

/// Reads an object as it was listed.
pub(super) async fn fetch(hub: &Hub, session: &Session, target: &Target, artifact: &Artifact) -> Result<Body, Gap> {
    let name = artifact.id.name.as_str();
    let region = target.region.clone().unwrap_or_else(|| Region::new(session.home()));
    let size_bytes = artifact.size_bytes.unwrap_or_default();
    let bucket = bucket(hub, target);
    let before = bucket.fetched.fetch_add(size_bytes, Ordering::Relaxed);
    if before.saturating_add(size_bytes) > hub.audit.objects.bucket_bytes_max {
        bucket.fetched.fetch_sub(size_bytes, Ordering::Relaxed);
        return Err(over_budget(hub).gap(target, name));
    }
    let Some(object) = Wanted::of(session, target, artifact, size_bytes) else {
        return Err(Refusal::new(GapReason::Internal, "it has no address", mend_of(GapReason::Internal)).gap(target, name));
    };
    let s3 = session.s3(&region);
    let calls = session.wire().calls.clone();
    let first = object.range(&s3, 0).await.map_err(|refusal| {
        // Nothing came, so nothing was spent.
        bucket.fetched.fetch_sub(size_bytes, Ordering::Relaxed);
        refusal.gap(target, name)
    })?;
    calls.add(OBJECT_BYTES, first.len() as u64);
    if size_bytes <= RANGE_BYTES {
        return Ok(Body::Bytes(first));
    }
    let (target, name) = (target.clone(), name.to_owned());
    let lost = Refusal::new(GapReason::Truncated, "the read was given up", mend_of(GapReason::Truncated)).gap(&target, &name);
    let (sender, body) = stream::body(Some(size_bytes), lost);
    tokio::spawn(async move {
        let mut at = first.len() as u64;
        if !sender.bytes(first).await {
            return;
        }
        while at < size_bytes {
            match object.range(&s3, at).await {
                Ok(bytes) => {
                    at += bytes.len() as u64;
                    calls.add(OBJECT_BYTES, bytes.len() as u64);
                    if !sender.bytes(bytes).await {
                        return;
                    }
                }
                Err(refusal) => return sender.broken(refusal.gap(&target, &name)).await,
            }
        }
        sender.end().await;
    });
    Ok(body)
}

/// An object to read, pinned to the state it was listed in.
struct Wanted {
    bucket: String,
    key: String,
    version: Option<String>,
    etag: Option<String>,
    size_bytes: u64,
}

impl Wanted {
    fn of(session: &Session, target: &Target, artifact: &Artifact, size_bytes: u64) -> Option<Self> {
        let address = artifact.id.name.strip_prefix(&format!("s3://{}/", target.name))?;
        let (key, version) = match artifact.latest {
            true => (address, None),
            false => address.rsplit_once("?versionId=").map(|(key, version)| (key, Some(version)))?,
        };
        let start = format!("s3:{}/{}/{key}@", session.account, target.name);
        let etag = artifact.content.as_ref().and_then(|content| content.0.strip_prefix(&start)).map(|rest| match version {
            Some(version) => rest.strip_suffix(&format!("#{version}")).unwrap_or(rest),
            None => rest,
        });
        Some(Self {
            bucket: target.name.clone(),
            key: key.to_owned(),
            version: version.map(str::to_owned),
            etag: etag.map(str::to_owned),
            size_bytes,
        })
    }

    fn permission(&self) -> Permission {
        if self.version.is_some() { permissions::GET_OBJECT_VERSION } else { permissions::GET_OBJECT }
    }

    /// The bytes of the range that begins at `at`, all of them.
    async fn range(&self, s3: &S3, at: u64) -> Result<Bytes, Refusal> {
        let mut attempt = 1;
        loop {
            let (refusal, attempts_max) = match tokio::time::timeout(RANGE_TIME_MAX, self.try_range(s3, at)).await {
                Ok(Ok(bytes)) => return Ok(bytes),
                Ok(Err(refusal)) if refusal.reason == GapReason::Truncated => (refusal, ATTEMPTS_MAX),
                // Once more, for a read that met a write halfway.
                Ok(Err(refusal)) if refusal.is(&["PreconditionFailed"]) => (refusal, 2),
                Ok(Err(refusal)) => return Err(refusal),
                Err(_) => {
                    let detail = format!("a read was not done in {} seconds", RANGE_TIME_MAX.as_secs());
                    (Refusal::new(GapReason::Truncated, detail, mend_of(GapReason::Truncated)), ATTEMPTS_MAX)
                }
            };
            if attempt >= attempts_max {
                return Err(refusal);
            }
            tokio::time::sleep(signed::backoff(attempt)).await;
            attempt += 1;
        }
    }

    async fn try_range(&self, s3: &S3, at: u64) -> Result<Bytes, Refusal> {
        let length = (self.size_bytes - at).min(RANGE_BYTES);
        // A whole object is asked for without a range, so that the SDK can compare its checksum.
        let range = (length < self.size_bytes).then(|| format!("bytes={at}-{}", at + length - 1));
        let ask = |sdk: &aws_sdk_s3::Client| {
            let request = sdk.get_object().bucket(&self.bucket).key(&self.key).set_range(range);
            request.set_if_match(self.etag.clone()).set_version_id(self.version.clone()).send()
        };
        let answer = s3.call(self.permission(), ask).await.map_err(explain)?;
        let short = |why: String| Refusal::new(GapReason::Truncated, why, mend_of(GapReason::Truncated));
        let changed = |told: &Option<String>| matches!((told, &self.etag), (Some(told), Some(wanted)) if told != wanted);
        if changed(&answer.e_tag) {
            return Err(changed_meanwhile());
        }
        if answer.content_length.is_some_and(|told| u64::try_from(told) != Ok(length)) {
            return Err(short(format!("{} bytes are offered, {length} were asked for", answer.content_length.unwrap_or_default())));
        }
        let bytes =
            answer.body.collect().await.map_err(|_| short("the bytes broke off, or their checksum differs".to_owned()))?.into_bytes();
        if bytes.len() as u64 != length {
            return Err(short(format!("{} bytes of {length} came", bytes.len())));
        }
        Ok(bytes)
    }
}

fn changed_meanwhile() -> Refusal {
    let refusal = Refusal::new(GapReason::Vanished, "it was changed between listing and reading it", mend_of(GapReason::Vanished));
    Refusal { code: "PreconditionFailed".to_owned(), ..refusal }
}

/// What S3 answers for objects that only their owners' keys open.
fn explain(refusal: Refusal) -> Refusal {
    let detail = refusal.detail.to_ascii_lowercase();
    if refusal.is(&["PreconditionFailed"]) {
        return changed_meanwhile();
    }
    if refusal.is(&["InvalidRequest", "InvalidArgument"]) && detail.contains("encryption") {
        let text = "encrypted with a key of the customer's that only the writer has (SSE-C)";
        return Refusal::new(GapReason::Encrypted, text, mend_of(GapReason::Encrypted));
    }
    refusal
}

#[cfg(test)]
mod tests {
    use globset::{GlobBuilder, GlobSetBuilder};

    use super::*;

    fn globs(globs: &[&str], literal_separator: bool) -> ObjectsSpec {
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            set.add(GlobBuilder::new(glob).literal_separator(literal_separator).build().unwrap());
        }
        ObjectsSpec {
            include: set.build().unwrap(),
            include_text: globs.iter().map(|glob| (*glob).to_owned()).collect(),
            exclude: GlobSet::empty(),
            size_bytes_max: 0,
            bucket_bytes_max: 0,
            versions: false,
        }
    }

    #[test]
    fn globs_narrow_the_listing() {
        let cases: &[(&[&str], &str, &[&str])] = &[
            (&["s3://*-artifacts/**"], "acme-artifacts", &[""]),
            (&["s3://*-artifacts/**"], "acme-logs", &[]),
            (&["s3://acme/releases/**/*.zip"], "acme", &["releases/"]),
            (&["s3://acme/releases/**/*.zip"], "acme-2", &[]),
            (&["s3://acme/a/*", "s3://acme/a/b/*", "s3://acme/c*"], "acme", &["a/", "c"]),
            (&["s3://acme-?/x/*"], "acme-1", &["x/"]),
            (&["s3://acme-?/x/*"], "acme-10", &[]),
            (&["**/*.env"], "acme", &[""]),
            (&["s3://**"], "acme", &[""]),
            (&["s3://{acme,other}/x/*"], "acme", &[""]),
            (&["s3://acme/key"], "acme", &["key"]),
        ];
        for (texts, bucket, expected) in cases {
            assert_eq!(prefixes(&globs(texts, true), bucket), *expected, "{texts:?} {bucket}");
        }
        assert_eq!(prefixes(&globs(&[], true), "acme"), [""]);
    }

    #[test]
    fn stars_that_cross_slashes_narrow_nothing() {
        let spec = globs(&["s3://*-artifacts/**"], false);
        assert_eq!(prefixes(&spec, "acme-logs"), [""]);
        assert!(spec.include.is_match("s3://acme-logs/x-artifacts/y"));
    }

    #[test]
    fn keys_are_decoded_as_s3_encodes_them() {
        for (encoded, key) in [
            ("a%2Bb%3Dc%26d%3Fe%23f%2541.env", "a+b=c&d?e#f%41.env"),
            ("reports+2024/%C3%BCber+%E2%98%83.txt", "reports 2024/über ☃.txt"),
            ("line%0Abreak.txt", "line\nbreak.txt"),
            ("../outside/x", "../outside/x"),
            ("a&b;c", "a&b;c"),
        ] {
            assert_eq!(decoded(encoded), key);
        }
    }

    #[test]
    fn cold_storage_is_told_from_a_restored_copy() {
        let restored = RestoreStatus::builder().restore_expiry_date(aws_smithy_types::DateTime::from_secs(1)).build();
        let restoring = RestoreStatus::builder().is_restore_in_progress(true).build();
        assert!(is_archived(Some("GLACIER"), None) && is_archived(Some("DEEP_ARCHIVE"), Some(&restoring)));
        assert!(!is_archived(Some("GLACIER"), Some(&restored)) && !is_archived(Some("GLACIER_IR"), None) && !is_archived(None, None));
    }

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let place = Place { prefix: 2, token: Some("a\n\"b".to_owned()), version: None };
        let back = Place::read(Some(&place.cursor()));
        assert_eq!((back.prefix, back.token, back.version), (2, place.token, None));
        assert_eq!(Place::read(Some(&Cursor("nonsense".to_owned()))).prefix, 0);
    }

    #[test]
    fn a_page_seen_before_breaks_the_listing() {
        let found = |keys: &[&str]| -> Vec<Found> {
            let one =
                |key: &&str| Found { key: (*key).to_owned(), version: None, etag: None, size_bytes: 1, modified_at: None, archived: false };
            keys.iter().map(one).collect()
        };
        let on = |token: &str| (Next::by_flag(Some(token.to_owned()), true), None);
        let mut progress = Progress::default();
        assert!(progress.step(&found(&["a", "b"]), on("1"), false).unwrap().is_some());
        assert!(progress.step(&found(&["c"]), on("2"), false).unwrap().is_some());
        assert!(progress.step(&found(&["c"]), on("3"), true).is_ok());
        assert!(progress.step(&found(&["c"]), on("4"), false).is_err());
        assert!(progress.step(&found(&["a", "b"]), on("5"), true).is_err());
        let mut progress = Progress::default();
        assert!(progress.step(&found(&["a"]), on("1"), false).is_ok());
        assert!(progress.step(&found(&["b"]), on("1"), false).is_err());
        assert!(progress.step(&found(&["b"]), (Next::by_flag(None, true), None), false).is_err());
    }
}
