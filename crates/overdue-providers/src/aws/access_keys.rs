//! IAM access keys: ids from `ListAccessKeys`, last uses from the credential report.
//!
//! The report knows everything of a key but its id. A key is tied to its place in the report by its creation date; where two
//! places would fit, or the key is newer than the report, IAM is asked for that one key.

use jiff::{SignedDuration, Timestamp};
use overdue_core::{CredentialKind, Evidence, IssuedAt, LastUsed, Region, Status, UsedBy};

use super::credential_report::{self, Flag, Slot, When};
use super::errors::Refusal;
use super::iam::{Known, User, status_of};
use super::paging::{Next, all_pages};
use super::permissions;
use super::session::Session;
use super::timestamp;

/// IAM has tracked the use of access keys since this day; `N/A` means "never since then".
const TRACKED_SINCE: Timestamp = Timestamp::constant(1_429_660_800, 0); // 2015-04-22
/// IAM notes one use a quarter of an hour.
const LAST_USED_LAG: SignedDuration = SignedDuration::from_mins(15);

/// A key as its list tells it.
struct Key {
    id: String,
    status: Status,
    created: Option<Timestamp>,
}

/// The keys of one user, and what could not be seen of them.
pub(super) async fn of_user(session: &Session, user: &User, generated_at: Option<Timestamp>, known: &mut Known) {
    let iam = session.iam();
    let (found, refusal) = all_pages("iam:ListAccessKeys", |marker| {
        let (iam, name) = (&iam, user.name.as_str());
        async move {
            let ask = |sdk: &aws_sdk_iam::Client| sdk.list_access_keys().user_name(name).set_marker(marker).send();
            let answer = iam.call(permissions::LIST_ACCESS_KEYS, ask).await?;
            Ok((answer.access_key_metadata, Next::by_flag(answer.marker, answer.is_truncated)))
        }
    })
    .await;
    known.refused("access keys", user, refusal);
    let keys: Vec<Key> = found
        .into_iter()
        .filter_map(|key| {
            let created = key.create_date.as_ref().and_then(timestamp);
            Some(Key { id: key.access_key_id?, status: status_of(key.status.as_ref()), created })
        })
        .collect();

    let slots: Vec<&Slot> = user.row.iter().flat_map(|row| &row.keys).filter(|slot| slot.holds_key()).collect();
    let ties = tie(&keys, &slots, generated_at);
    for (key, tied) in keys.iter().zip(ties) {
        let last_used = match tied {
            Some(slot) => from_report(slots[slot], key.created),
            None => match ask(session, key).await {
                Ok(last_used) => last_used,
                Err(refusal) => {
                    let why = refusal.detail.clone();
                    known.refused("last use of an access key", user, Some(refusal));
                    LastUsed::Unreadable { why }
                }
            },
        };
        let issued_at = match key.created {
            Some(at) => IssuedAt::At { at, evidence: Evidence { source: "iam:ListAccessKeys".to_owned(), lag: SignedDuration::ZERO } },
            None => IssuedAt::Untold,
        };
        let mut credential = user.credential(session, CredentialKind::AwsIamAccessKey, &key.id, key.status, issued_at, last_used);
        if keys.len() > 1 {
            credential.notes.push(format!("one of {} keys of this user", keys.len()));
        }
        known.credentials.push(credential);
    }
}

/// For each key the place in the report that is surely its own.
fn tie(keys: &[Key], slots: &[&Slot], generated_at: Option<Timestamp>) -> Vec<Option<usize>> {
    let seconds = |time: Option<Timestamp>| time.map(Timestamp::as_second);
    let rotated = |slot: usize| match &slots[slot].rotated {
        When::At(at) => Some(at.as_second()),
        _ => None,
    };
    // The report cannot know a key made after it. One without a date cannot be placed.
    let old = |key: &Key| match (key.created, generated_at) {
        (Some(created), Some(generated)) => created <= generated,
        (created, None) => created.is_some(),
        (None, _) => false,
    };
    let mut ties = vec![None; keys.len()];
    let same_date = |key: &Key| (0..slots.len()).filter(|slot| rotated(*slot) == seconds(key.created)).collect::<Vec<_>>();
    for (at, key) in keys.iter().enumerate().filter(|(_, key)| old(key)) {
        let rivals = keys.iter().filter(|other| seconds(other.created) == seconds(key.created)).count();
        ties[at] = match same_date(key).as_slice() {
            [slot] if rivals == 1 => Some(*slot),
            // Made in the same second: only the status can tell them apart.
            several => {
                let fits = |slot: &usize| slots[*slot].active == flag_of(key.status);
                let fitting: Vec<usize> = several.iter().copied().filter(fits).collect();
                let alike =
                    keys.iter().filter(|other| seconds(other.created) == seconds(key.created) && other.status == key.status).count();
                if fitting.len() == 1 && alike == 1 { Some(fitting[0]) } else { None }
            }
        };
    }
    // What is left was changed since it was made: switching a key off or on moves its date in the report.
    let left_keys: Vec<usize> = (0..keys.len()).filter(|at| ties[*at].is_none() && old(&keys[*at])).collect();
    let left_slots: Vec<usize> = (0..slots.len()).filter(|slot| !ties.contains(&Some(*slot))).collect();
    let later = |slot: usize, key: usize| rotated(slot) > seconds(keys[key].created);
    match (left_keys.as_slice(), left_slots.as_slice()) {
        ([key], [slot]) if later(*slot, *key) => ties[*key] = Some(*slot),
        ([a, b], [c, d]) => {
            let fits = [(later(*c, *a) && later(*d, *b)), (later(*d, *a) && later(*c, *b))];
            match fits {
                [true, false] => (ties[*a], ties[*b]) = (Some(*c), Some(*d)),
                [false, true] => (ties[*a], ties[*b]) = (Some(*d), Some(*c)),
                _ => {}
            }
        }
        _ => {}
    }
    ties
}

fn flag_of(status: Status) -> Flag {
    match status {
        Status::Active => Flag::Yes,
        Status::Inactive => Flag::No,
    }
}

/// The later of the key's making and the start of IAM's watch.
pub(super) fn watched_since(issued: Option<Timestamp>) -> Timestamp {
    issued.map_or(TRACKED_SINCE, |issued| issued.max(TRACKED_SINCE))
}

/// What a place in the report says of a key's last use.
pub(super) fn from_report(slot: &Slot, issued: Option<Timestamp>) -> LastUsed {
    let evidence = Evidence { source: credential_report::SOURCE.to_owned(), lag: credential_report::LAG };
    match &slot.used {
        When::At(at) => LastUsed::At { at: *at, by: used_by(&slot.used_service, &slot.used_region), evidence },
        When::NotApplicable => LastUsed::NeverSince { since: watched_since(issued), evidence },
        When::NoInformation => unreadable("no_information"),
        When::NotSupported => unreadable("not_supported"),
        When::Strange(word) => unreadable(word),
    }
}

fn unreadable(word: &str) -> LastUsed {
    LastUsed::Unreadable { why: format!("the credential report says `{word}` for its last use") }
}

fn used_by(service: &str, region: &str) -> Option<UsedBy> {
    let told = |text: &str| !text.is_empty() && text != "N/A";
    told(service).then(|| UsedBy { service: service.to_owned(), region: told(region).then(|| Region::new(region)) })
}

/// Asks IAM for the last use of one key.
async fn ask(session: &Session, key: &Key) -> Result<LastUsed, Refusal> {
    let iam = session.iam();
    let ask = |sdk: &aws_sdk_iam::Client| sdk.get_access_key_last_used().access_key_id(&key.id).send();
    let answer = iam.call(permissions::GET_ACCESS_KEY_LAST_USED, ask).await?;
    let evidence = Evidence { source: "iam:GetAccessKeyLastUsed".to_owned(), lag: LAST_USED_LAG };
    let Some(used) = answer.access_key_last_used else {
        return Ok(LastUsed::Unreadable { why: "iam:GetAccessKeyLastUsed answers nothing for it".to_owned() });
    };
    Ok(match used.last_used_date.as_ref().and_then(timestamp) {
        Some(at) => LastUsed::At { at, by: used_by(&used.service_name, &used.region), evidence },
        None => LastUsed::NeverSince { since: watched_since(key.created), evidence },
    })
}

#[cfg(test)]
mod tests {
    use super::super::credential_report::tests::row;
    use super::*;

    fn day(number: u32) -> String {
        format!("2024-01-{number:02}T00:00:00Z")
    }
    fn key(created: u32, active: bool) -> Key {
        let status = if active { Status::Active } else { Status::Inactive };
        Key { id: String::new(), status, created: Some(day(created).parse().unwrap()) }
    }
    /// Keys and places as (day, active); the report is of day 20.
    fn ties(keys: &[(u32, bool)], slots: &[(u32, bool)]) -> Vec<Option<usize>> {
        let keys: Vec<Key> = keys.iter().map(|(created, active)| key(*created, *active)).collect();
        let slots: Vec<Slot> = slots
            .iter()
            .map(|(rotated, active)| Slot {
                active: if *active { Flag::Yes } else { Flag::No },
                rotated: When::At(day(*rotated).parse().unwrap()),
                used: When::NotApplicable,
                used_region: String::new(),
                used_service: String::new(),
            })
            .collect();
        tie(&keys, &slots.iter().collect::<Vec<_>>(), Some(day(20).parse().unwrap()))
    }

    #[test]
    fn keys_find_their_places() {
        for (what, keys, slots, expected) in [
            ("one and one", vec![(1, true)], vec![(1, true)], vec![Some(0)]),
            ("in the other order", vec![(1, true), (5, true)], vec![(5, true), (1, true)], vec![Some(1), Some(0)]),
            ("switched off since it was made", vec![(1, false)], vec![(9, false)], vec![Some(0)]),
            ("one of two switched off", vec![(1, false), (5, true)], vec![(9, false), (5, true)], vec![Some(0), Some(1)]),
            ("both switched off, told by the dates", vec![(1, false), (8, false)], vec![(3, false), (9, false)], vec![Some(0), Some(1)]),
            ("both switched off, not told", vec![(1, false), (2, false)], vec![(8, false), (9, false)], vec![None, None]),
            ("made in one second, told by status", vec![(3, true), (3, false)], vec![(3, false), (3, true)], vec![Some(1), Some(0)]),
            ("made in one second, not told", vec![(3, true), (3, true)], vec![(3, true), (3, true)], vec![None, None]),
            ("newer than the report", vec![(1, true), (25, true)], vec![(1, true)], vec![Some(0), None]),
            ("in the place of a deleted one", vec![(25, true)], vec![(1, true)], vec![None]),
            ("one deleted since", vec![(5, true)], vec![(1, true), (5, true)], vec![Some(1)]),
            ("one deleted since, the other changed", vec![(5, false)], vec![(6, false), (7, true)], vec![None]),
            ("a place older than the key", vec![(5, true)], vec![(1, true)], vec![None]),
            ("no place", vec![(5, true)], vec![], vec![None]),
            ("no key", vec![], vec![(5, true)], vec![]),
        ] {
            assert_eq!(ties(&keys, &slots), expected, "{what}");
        }
    }

    #[test]
    fn never_used_counts_from_the_start_of_the_watch() {
        let early = "2012-01-01T00:00:00Z".parse().unwrap();
        let late = "2024-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(watched_since(Some(early)).to_string(), "2015-04-22T00:00:00Z");
        assert_eq!(watched_since(Some(late)), late);
        assert_eq!(watched_since(None).to_string(), "2015-04-22T00:00:00Z");
    }

    #[test]
    fn the_unknown_is_never_taken_for_unused() {
        let used = |word: &str| {
            let line = format!(
                "u,a,N/A,false,N/A,N/A,N/A,false,true,2024-01-01T00:00:00Z,{word},eu-west-1,s3,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A"
            );
            from_report(&row(&line).keys[0], None)
        };
        assert!(matches!(used("N/A"), LastUsed::NeverSince { .. }));
        assert!(matches!(used("2024-02-29T23:59:59+00:00"), LastUsed::At { by: Some(_), .. }));
        for word in ["no_information", "not_supported", "whatever"] {
            assert!(matches!(used(word), LastUsed::Unreadable { .. }), "{word}");
        }
    }

    #[test]
    fn a_use_without_a_region_has_none() {
        assert_eq!(used_by("iam", "N/A"), Some(UsedBy { service: "iam".to_owned(), region: None }));
        assert_eq!(used_by("N/A", "N/A"), None);
    }
}
