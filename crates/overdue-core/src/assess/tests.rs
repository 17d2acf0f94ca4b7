//! Verdicts as a table: a small world, one sentence a finding.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};

use super::*;
use crate::{
    Account, AccountId, ArtifactId, Contact, CredentialId, Detection, Evidence, Fingerprint, Principal, ProviderKind, Region, UsedBy,
    compose, plan_notices,
};

/// An id that tells its account; in two parts, so that no scanner takes it for a found one.
const ELSEWHERE: &str = concat!("AKIA", "QNZGKIQY56JQ7WMN");

fn day(day: i64) -> Timestamp {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    start + SignedDuration::from_hours(24 * day)
}

fn evidence() -> Evidence {
    Evidence { source: "iam:GetCredentialReport".into(), lag: SignedDuration::from_hours(4) }
}

fn key(id: &str, issued: i64, last_used: LastUsed) -> Credential {
    Credential {
        id: CredentialId { account: AccountId::new("111111111111"), kind: CredentialKind::AwsIamAccessKey, public_id: id.into() },
        region: None,
        name: "ci".into(),
        principal: Principal { arn: "arn:aws:iam::111111111111:user/ci".into(), name: "ci".into() },
        status: Status::Active,
        issued_at: IssuedAt::At { at: day(issued), evidence: evidence() },
        last_used,
        expires_at: None,
        tags: BTreeMap::from([("owner".into(), "ann@example.com".into())]),
        notes: Vec::new(),
        value: None,
    }
}

fn used(at: i64) -> LastUsed {
    LastUsed::At { at: day(at), by: Some(UsedBy { service: "s3".into(), region: Some(Region::new("eu-west-1")) }), evidence: evidence() }
}

fn never(since: i64) -> LastUsed {
    LastUsed::NeverSince { since: day(since), evidence: evidence() }
}

fn exposure(artifact: &str, kind: ArtifactKind, public_id: Option<&str>, fingerprint: &str) -> Exposure {
    Exposure {
        detection: Detection {
            rule: RuleId::new("aws.access-key"),
            fingerprint: Fingerprint::from_hex(fingerprint),
            preview: "AKIA…".into(),
            public_id: public_id.map(str::to_owned),
            path: "config.py".into(),
            line: Some(3),
            column: Some(1),
            decoded: String::new(),
            confidence: Confidence::Certain,
            expires_at_unix: None,
        },
        artifact: ArtifactId {
            provider: ProviderKind::Aws,
            account: AccountId::new("111111111111"),
            region: Some(Region::new("eu-west-1")),
            name: artifact.into(),
        },
        artifact_kind: kind,
        latest: !artifact.contains("/3/"),
        placement: None,
        tags: BTreeMap::new(),
        modified_at: None,
        first_seen_at: day(0),
        last_read_at: day(100),
    }
}

fn world(credentials: Vec<Credential>, exposures: Vec<Exposure>) -> Inventory {
    Inventory {
        accounts: vec![Account {
            provider: ProviderKind::Aws,
            id: AccountId::new("111111111111"),
            name: "prod".into(),
            tags: BTreeMap::new(),
            contacts: Vec::new(),
        }],
        credentials,
        exposures,
        ..Inventory::default()
    }
}

fn lines(assessment: &Assessment) -> String {
    assessment
        .findings
        .iter()
        .map(|finding| {
            let codes: Vec<String> =
                finding.verdicts.iter().map(|verdict| format!("{}({}) {}", verdict.code, verdict.days, verdict.text)).collect();
            let exempt = if finding.exempt.is_some() { " [exempt]" } else { "" };
            let key = finding.key.replace(ELSEWHERE, "AKIA-ELSEWHERE");
            format!("{} {key}{exempt}: {}", finding.severity.as_str(), codes.join("; "))
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn check(inventory: &Inventory, policy: &Policy, now: i64, expected: Expect) {
    expected.assert_eq(&lines(&assess(inventory, policy, &OwnersConfig::default(), day(now))));
}

#[test]
fn age_and_use() {
    let inventory = world(
        vec![
            key("AKIA-FRESH", 50, used(99)),
            key("AKIA-SOON", 20, used(99)),
            key("AKIA-AT-LIMIT", 10, used(99)),
            key("AKIA-OLD", -311, used(99)),
            key("AKIA-IDLE", 30, used(40)),
            key("AKIA-NEVER", 40, never(40)),
            key("AKIA-NEW-NEVER", 90, never(90)),
            key("AKIA-UNTRACKED", 50, LastUsed::Untracked),
            key("AKIA-UNREADABLE", 50, LastUsed::Unreadable { why: "denied".into() }),
            Credential { status: Status::Inactive, ..key("AKIA-OFF", -500, never(-500)) },
            Credential { issued_at: IssuedAt::Untold, ..key("AKIA-UNTOLD", 0, used(99)) },
            Credential { issued_at: IssuedAt::FirstSeen { at: day(0) }, ..key("AKIA-FIRST-SEEN", 0, used(99)) },
            Credential { tags: BTreeMap::new(), ..key("AKIA-OWNERLESS", 50, used(99)) },
        ],
        Vec::new(),
    );
    check(
        &inventory,
        &Policy::default(),
        100,
        expect![[r#"
            medium 111111111111/aws.iam-access-key/AKIA-OLD: rotation-overdue(321) 411 days old, limit 90 days: overdue by 321 days
            medium 111111111111/aws.iam-access-key/AKIA-IDLE: unused(60) Not used for 60 days
            medium 111111111111/aws.iam-access-key/AKIA-NEVER: never-used(60) Not used once in 60 days
            medium 111111111111/aws.iam-access-key/AKIA-FIRST-SEEN: rotation-overdue(10) At least 100 days old, limit 90 days: overdue by 10 days
            medium 111111111111/aws.iam-access-key/AKIA-AT-LIMIT: rotation-overdue(0) 90 days old, limit 90 days: due today
            low 111111111111/aws.iam-access-key/AKIA-OWNERLESS: ownerless(0) Nobody could be found who owns it
            low 111111111111/aws.iam-access-key/AKIA-SOON: rotation-due-soon(10) Reaches its limit of 90 days in 10 days"#]],
    );
}

#[test]
fn a_found_key_is_tied_to_its_row() {
    let inventory = world(
        vec![key("AKIA-LIVE", 50, used(99)), Credential { status: Status::Inactive, ..key("AKIA-OFF", 50, used(99)) }],
        vec![
            exposure("function/pay/$LATEST/code", ArtifactKind::FunctionCode, Some("AKIA-LIVE"), "aa"),
            exposure("function/pay/3/code", ArtifactKind::FunctionCode, Some("AKIA-LIVE"), "aa"),
            exposure("s3://b/k", ArtifactKind::Object, Some("AKIA-LIVE"), "aa"),
            exposure("function/pay/$LATEST/code", ArtifactKind::FunctionCode, Some("AKIA-OFF"), "bb"),
            exposure("function/pay/$LATEST/code", ArtifactKind::FunctionCode, Some(ELSEWHERE), "cc"),
            exposure("function/pay/$LATEST/code", ArtifactKind::FunctionCode, None, "dd"),
            exposure("file:/home/u/.npmrc", ArtifactKind::CredentialFile, None, "ee"),
        ],
    );
    check(
        &inventory,
        &Policy::default(),
        100,
        expect![[r#"
            critical 111111111111/aws.iam-access-key/AKIA-LIVE: exposed(0) Live, and lies in 3 places; shared(0) The same secret lies in 2 things; stale-version(0) Old versions carry it too (1)
            high secret/AKIA-ELSEWHERE: exposed-unknown(0) Names account 029608264753, which this audit does not read; lies in one place; ownerless(0) Nobody could be found who owns the place it lies in
            high secret/dd: exposed-unknown(0) In no inventory we read; lies in one place; ownerless(0) Nobody could be found who owns the place it lies in
            low 111111111111/aws.iam-access-key/AKIA-OFF: expired-in-place(0) It is switched off or has ended, but still lies in code; remove it there
            low secret/ee: exposed-unknown(0) In plain text in its usual place on this machine; ownerless(0) Nobody could be found who owns the place it lies in"#]],
    );
}

#[test]
fn a_stored_value_is_tied_by_its_fingerprint() {
    let stored = |account: &str, name: &str, fingerprint: &str| {
        let mut secret = key(name, 50, used(99));
        secret.id = CredentialId { account: AccountId::new(account), kind: CredentialKind::AwsSecret, public_id: name.into() };
        secret.value = Some(crate::ValueRead { at: day(90), fingerprints: vec![Fingerprint::from_hex(fingerprint)] });
        secret
    };
    let mut without = stored("111111111111", "not-read", "ee");
    without.value = None;
    let inventory = world(
        vec![
            key("AKIA-LIVE", 50, used(99)),
            stored("000000000000", "elsewhere", "aa"),
            stored("111111111111", "near", "aa"),
            stored("111111111111", "holds-the-key", "bb"),
            without,
        ],
        vec![
            exposure("function/pay/$LATEST/code", ArtifactKind::FunctionCode, None, "aa"),
            exposure("function/pay/$LATEST/code", ArtifactKind::FunctionCode, Some("AKIA-LIVE"), "bb"),
            exposure("function/pay/$LATEST/code", ArtifactKind::FunctionCode, None, "ee"),
        ],
    );
    check(
        &inventory,
        &Policy::default(),
        100,
        expect![[r#"
            critical 111111111111/aws.iam-access-key/AKIA-LIVE: exposed(0) Live, and lies in one place
            critical 111111111111/aws.secret/near: exposed(0) The stored value itself lies in one place
            high secret/ee: exposed-unknown(0) In no inventory we read; lies in one place; ownerless(0) Nobody could be found who owns the place it lies in"#]],
    );
}

#[test]
fn a_schedule_that_was_not_kept_is_one_finding() {
    let run = |job: &str, at: i64| MissedRun { job: job.into(), due_at: day(at), why: "nobody was there".into() };
    let inventory = Inventory { missed: vec![run("weekly", 93), run("weekly", 96), run("daily", 99)], ..Inventory::default() };
    check(
        &inventory,
        &Policy::default(),
        100,
        expect![[r#"
        high schedule/weekly: missed-run(7) 2 runs due from 2026-04-04 00:00 UTC to 2026-04-07 00:00 UTC did not happen; the last: nobody was there
        high schedule/daily: missed-run(1) The run due at 2026-04-10 00:00 UTC did not happen: nobody was there"#]],
    );
    let letters = compose(&assess(&inventory, &Policy::default(), &OwnersConfig::default(), day(100)), Some("security@example.com"));
    assert_eq!(letters.len(), 1, "security is told");
}

#[test]
fn exemptions_cover_end_and_go_unused() {
    let policy = Policy {
        exemptions: vec![
            Exemption { credential: "AKIA-OLD".into(), reason: "vendor".into(), until: day(101) },
            Exemption { credential: "AKIA-OLDER".into(), reason: "vendor".into(), until: day(100) },
            Exemption { credential: "AKIA-NOBODY".into(), reason: "vendor".into(), until: day(101) },
        ],
        ..Policy::default()
    };
    let inventory = world(vec![key("AKIA-OLD", -311, used(99)), key("AKIA-OLDER", -312, used(99))], Vec::new());
    check(
        &inventory,
        &policy,
        100,
        expect![[r#"
        medium 111111111111/aws.iam-access-key/AKIA-OLDER: rotation-overdue(322) 412 days old, limit 90 days: overdue by 322 days
        medium 111111111111/aws.iam-access-key/AKIA-OLD [exempt]: rotation-overdue(321) 411 days old, limit 90 days: overdue by 321 days
        low exemption/AKIA-NOBODY: exemption-unused(0) The exemption matches no finding; delete it or fix its id
        low exemption/AKIA-OLDER: exemption-unused(0) The exemption ended on 2026-04-11"#]],
    );
}

#[test]
fn one_letter_an_owner_and_none_twice() {
    let mut other = key("AKIA-OTHER", -311, used(99));
    other.tags = BTreeMap::from([("owner".into(), "BOB@example.com".into())]);
    let mut nobody = key("AKIA-NOBODY", -311, used(99));
    nobody.tags = BTreeMap::new();
    let mut inventory = world(vec![key("AKIA-1", -311, used(99)), key("AKIA-2", -200, used(99)), other, nobody], Vec::new());
    let letters = |inventory: &Inventory| {
        let assessment = assess(inventory, &Policy::default(), &OwnersConfig::default(), day(100));
        compose(&assessment, Some("security@example.com"))
    };
    let notices = plan_notices(letters(&inventory), "weekly", "2026-W15", &std::collections::BTreeSet::new());
    let keys: Vec<String> = notices.iter().map(|notice| format!("{} {}", notice.key, notice.letter.findings.len())).collect();
    assert_eq!(
        keys,
        [
            "weekly/2026-W15/owner/ann@example.com 2",
            "weekly/2026-W15/owner/bob@example.com 1",
            "weekly/2026-W15/security/security@example.com 1"
        ]
    );
    let sent = notices.into_iter().map(|notice| notice.key).collect();
    assert!(plan_notices(letters(&inventory), "weekly", "2026-W15", &sent).is_empty(), "the same period again");
    inventory.credentials.clear();
    assert!(letters(&inventory).is_empty(), "nothing due, nothing hidden: no letter");
}

#[test]
fn an_account_contact_is_the_last_resort() {
    let mut inventory = world(vec![Credential { tags: BTreeMap::new(), ..key("AKIA-1", -311, used(99)) }], Vec::new());
    inventory.accounts[0].contacts =
        vec![Contact { address: "prod@example.com".into(), name: "Prod".into(), source: "account mail".into(), root_only: false }];
    let assessment = assess(&inventory, &Policy::default(), &OwnersConfig::default(), day(100));
    let claim = assessment.findings[0].owner.clone().expect("an owner");
    assert_eq!((claim.owner.name.as_str(), claim.evidence.as_str()), ("Prod", "account mail of account 111111111111"));
}
