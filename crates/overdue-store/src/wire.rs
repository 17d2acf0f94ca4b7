//! How core nouns stand in columns. They have no serde of their own: what is written as JSON has its own type here.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use overdue_core::{Contact, ContentKey, Evidence, Fingerprint, LastUsed, Region, UsedBy};
use serde::{Deserialize, Serialize};

use crate::error::Fault;

/// A moment as its column holds it.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// A moment from its column.
pub(crate) fn moment(micros: i64) -> Result<Timestamp, Fault> {
    // By parts, since `from_microsecond` refuses the last second there is.
    let nanos = (micros.rem_euclid(1_000_000) * 1_000) as i32;
    Timestamp::new(micros.div_euclid(1_000_000), nanos).map_err(|error| Fault::Damaged(format!("a moment: {error}")))
}

/// A moment that may be missing.
pub(crate) fn moment_opt(micros: Option<i64>) -> Result<Option<Timestamp>, Fault> {
    micros.map(moment).transpose()
}

/// A count as its column holds it. Nothing real comes near the end of the range.
pub(crate) fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count from its column.
pub(crate) fn uncount(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A content key as its column holds it: the two forms that come by the hundred thousand lose their hex.
pub(crate) fn pack(key: &ContentKey) -> Vec<u8> {
    let packed = |tag: u8, hex: &str, length: usize| {
        let mut bytes = Vec::with_capacity(1 + length);
        bytes.push(tag);
        unhex(hex, length, &mut bytes).then_some(bytes)
    };
    let text = key.0.as_str();
    let short = match text.split_once(':') {
        Some(("git", hex)) => packed(1, hex, 20),
        Some(("sha256", hex)) => packed(2, hex, 32),
        _ => None,
    };
    short.unwrap_or_else(|| {
        let mut bytes = Vec::with_capacity(1 + text.len());
        bytes.push(0);
        bytes.extend_from_slice(text.as_bytes());
        bytes
    })
}

/// Appends `length` bytes from lower-case hex; false when it is anything else.
fn unhex(hex: &str, length: usize, into: &mut Vec<u8>) -> bool {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if hex.len() != 2 * length {
        return false;
    }
    for pair in hex.as_bytes().chunks_exact(2) {
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { return false };
        into.push((high << 4) | low);
    }
    true
}

/// Tags.
pub(crate) fn tags_json(tags: &BTreeMap<String, String>) -> Result<String, Fault> {
    Ok(serde_json::to_string(tags)?)
}

/// Tags from their column.
pub(crate) fn tags(json: &str) -> Result<BTreeMap<String, String>, Fault> {
    Ok(serde_json::from_str(json)?)
}

/// Notes.
pub(crate) fn notes_json(notes: &[String]) -> Result<String, Fault> {
    Ok(serde_json::to_string(notes)?)
}

/// Notes from their column.
pub(crate) fn notes(json: &str) -> Result<Vec<String>, Fault> {
    Ok(serde_json::from_str(json)?)
}

/// Fingerprints of a stored value.
pub(crate) fn fingerprints_json(fingerprints: &[Fingerprint]) -> Result<String, Fault> {
    Ok(serde_json::to_string(&fingerprints.iter().map(Fingerprint::as_str).collect::<Vec<_>>())?)
}

/// Fingerprints from their column.
pub(crate) fn fingerprints(json: &str) -> Result<Vec<Fingerprint>, Fault> {
    Ok(serde_json::from_str::<Vec<String>>(json)?.into_iter().map(Fingerprint::from_hex).collect())
}

#[derive(Serialize, Deserialize)]
struct ContactJson {
    address: String,
    name: String,
    source: String,
    root_only: bool,
}

/// Contacts of an account.
pub(crate) fn contacts_json(contacts: &[Contact]) -> Result<String, Fault> {
    let contacts: Vec<ContactJson> = contacts
        .iter()
        .map(|contact| ContactJson {
            address: contact.address.clone(),
            name: contact.name.clone(),
            source: contact.source.clone(),
            root_only: contact.root_only,
        })
        .collect();
    Ok(serde_json::to_string(&contacts)?)
}

/// Contacts from their column.
pub(crate) fn contacts(json: &str) -> Result<Vec<Contact>, Fault> {
    let contacts: Vec<ContactJson> = serde_json::from_str(json)?;
    Ok(contacts
        .into_iter()
        .map(|contact| Contact { address: contact.address, name: contact.name, source: contact.source, root_only: contact.root_only })
        .collect())
}

#[derive(Serialize, Deserialize)]
struct EvidenceJson {
    source: String,
    lag_s: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    lag_ns: i32,
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

impl From<&Evidence> for EvidenceJson {
    fn from(evidence: &Evidence) -> Self {
        Self { source: evidence.source.clone(), lag_s: evidence.lag.as_secs(), lag_ns: evidence.lag.subsec_nanos() }
    }
}

impl From<EvidenceJson> for Evidence {
    fn from(evidence: EvidenceJson) -> Self {
        Self { source: evidence.source, lag: SignedDuration::new(evidence.lag_s, evidence.lag_ns.clamp(-999_999_999, 999_999_999)) }
    }
}

/// Who says when a value began.
pub(crate) fn evidence_json(evidence: &Evidence) -> Result<String, Fault> {
    Ok(serde_json::to_string(&EvidenceJson::from(evidence))?)
}

/// Evidence from its column.
pub(crate) fn evidence(json: &str) -> Result<Evidence, Fault> {
    Ok(serde_json::from_str::<EvidenceJson>(json)?.into())
}

#[derive(Default, Serialize, Deserialize)]
struct LastUsedJson {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<UsedByJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evidence: Option<EvidenceJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct UsedByJson {
    service: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
}

/// The three columns of a last use: its name, its moment, and the rest as JSON.
pub(crate) fn last_used_columns(last_used: &LastUsed) -> Result<(&'static str, Option<i64>, String), Fault> {
    let (name, at, detail) = match last_used {
        LastUsed::At { at, by, evidence } => (
            "at",
            Some(micros(*at)),
            LastUsedJson {
                by: by.as_ref().map(|by| UsedByJson {
                    service: by.service.clone(),
                    region: by.region.as_ref().map(|region| region.as_str().to_owned()),
                }),
                evidence: Some(evidence.into()),
                why: None,
            },
        ),
        LastUsed::NeverSince { since, evidence } => {
            ("never-since", Some(micros(*since)), LastUsedJson { evidence: Some(evidence.into()), ..LastUsedJson::default() })
        }
        LastUsed::Untracked => ("untracked", None, LastUsedJson::default()),
        LastUsed::Unreadable { why } => ("unreadable", None, LastUsedJson { why: Some(why.clone()), ..LastUsedJson::default() }),
    };
    Ok((name, at, serde_json::to_string(&detail)?))
}

/// A last use from its three columns.
pub(crate) fn last_used(name: &str, at: Option<i64>, detail: &str) -> Result<LastUsed, Fault> {
    let detail: LastUsedJson = serde_json::from_str(detail)?;
    let missing = || Fault::Damaged(format!("a last use `{name}` without its parts"));
    Ok(match name {
        "at" => LastUsed::At {
            at: moment(at.ok_or_else(missing)?)?,
            by: detail.by.map(|by| UsedBy { service: by.service, region: by.region.map(Region::new) }),
            evidence: detail.evidence.ok_or_else(missing)?.into(),
        },
        "never-since" => {
            LastUsed::NeverSince { since: moment(at.ok_or_else(missing)?)?, evidence: detail.evidence.ok_or_else(missing)?.into() }
        }
        "untracked" => LastUsed::Untracked,
        "unreadable" => LastUsed::Unreadable { why: detail.why.ok_or_else(missing)? },
        other => return Err(Fault::Damaged(format!("a last use `{other}`"))),
    })
}
