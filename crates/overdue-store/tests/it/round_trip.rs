//! Every core noun comes back as it went in, whatever the strings hold.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use overdue_core::{
    Account, AccountId, Artifact, ArtifactId, ArtifactKind, Confidence, Contact, Credential, CredentialId, CredentialKind, Detection,
    Evidence, Exposure, Fingerprint, Gap, GapReason, IssuedAt, LastUsed, Placement, Principal, ProviderKind, Region, RuleId, Status,
    Target, TargetCount, TargetCounts, TargetKind, TargetState, UsedBy, ValueRead,
};
use overdue_store::{Outcome, ScannedContent, SeenArtifact};

use crate::world::{at, begin, key, page, store};

/// Strings that have broken other people's stores.
fn hostile() -> Vec<String> {
    let mut strings: Vec<String> = [
        "plain",
        "",
        " ",
        "'; DROP TABLE run; --",
        "\" OR 1=1 /*",
        "$1 ?1 :name @name",
        "%_\\%",
        "null\0inside",
        "line\r\nbreak\ttab",
        "\u{202e}evil\u{2066}",
        "\u{feff}bom",
        "Ünï©ødé 日本語 🔑👩‍👩‍👧",
        "<img src=x onerror=alert(1)>",
        "{{secret}} {{{raw}}}",
        "=cmd|' /C calc'!A0",
        "\u{1b}[31mred\u{7}",
        "{\"json\": [1, \"2\"]}",
        "\u{10ffff}\u{fffd}",
        "git:0123456789abcdef0123456789abcdef01234567",
        "sha256:ABCDEF",
    ]
    .map(str::to_owned)
    .to_vec();
    strings.push("long ".repeat(50_000));
    strings
}

#[tokio::test]
async fn everything_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    for (number, text) in hostile().into_iter().enumerate() {
        let run = begin(&store, &format!("{number}{text}"), 10).await;
        let tags = BTreeMap::from([(text.clone(), text.clone()), ("owner".into(), text.clone())]);
        let account_id = AccountId::new(format!("{number}{text}"));
        let account = Account {
            provider: ProviderKind::Aws,
            id: account_id.clone(),
            name: text.clone(),
            tags: tags.clone(),
            contacts: [true, false]
                .map(|root_only| Contact { address: text.clone(), name: text.clone(), source: text.clone(), root_only })
                .to_vec(),
        };
        let bare = Account { provider: ProviderKind::Machine, tags: BTreeMap::new(), contacts: Vec::new(), ..account.clone() };
        store.add_accounts(run, &[account.clone(), bare.clone()]).await.unwrap();
        store.add_accounts(run, std::slice::from_ref(&bare)).await.unwrap();

        let region = (!text.is_empty()).then(|| Region::new(text.clone()));
        let target = |kind: TargetKind| Target {
            provider: ProviderKind::Aws,
            account: account_id.clone(),
            region: region.clone(),
            kind,
            name: text.clone(),
        };
        let mut ledger: Vec<(Target, TargetState)> =
            TargetKind::ALL.into_iter().map(|kind| (target(kind), TargetState::Skipped { why: text.clone() })).collect();
        for (row, reason) in ledger.iter_mut().zip(GapReason::ALL) {
            row.1 = TargetState::Failed { reason, why: text.clone() };
        }
        ledger[0].1 = TargetState::Listed;
        ledger[1].1 = TargetState::Skipped { why: text.clone() };
        store.add_targets(run, &ledger).await.unwrap();
        let id = target(TargetKind::ALL[0]).id();

        let evidence = Evidence { source: text.clone(), lag: SignedDuration::new(14_400, 5) };
        let far: Timestamp = "9999-12-30T22:00:00.123456Z".parse().unwrap();
        let old: Timestamp = "-009999-01-02T02:00:00Z".parse().unwrap();
        let uses = [
            LastUsed::At { at: at(-1), by: Some(UsedBy { service: text.clone(), region: region.clone() }), evidence: evidence.clone() },
            LastUsed::At { at: old, by: None, evidence: evidence.clone() },
            LastUsed::NeverSince { since: at(-2), evidence: evidence.clone() },
            LastUsed::Untracked,
            LastUsed::Unreadable { why: text.clone() },
        ];
        let credentials: Vec<Credential> = CredentialKind::ALL
            .into_iter()
            .zip(uses.iter().cycle())
            .map(|(kind, last_used)| Credential {
                id: CredentialId { account: account_id.clone(), kind, public_id: text.clone() },
                region: region.clone(),
                name: text.clone(),
                principal: Principal { arn: text.clone(), name: text.clone() },
                status: if kind == CredentialKind::AwsSecret { Status::Inactive } else { Status::Active },
                issued_at: match kind {
                    CredentialKind::AwsSecret => IssuedAt::Untold,
                    _ => IssuedAt::At { at: far, evidence: evidence.clone() },
                },
                last_used: last_used.clone(),
                expires_at: (kind == CredentialKind::AwsSigningCertificate).then_some(far),
                tags: tags.clone(),
                notes: vec![text.clone(), String::new()],
                value: (kind == CredentialKind::AwsSecret)
                    .then(|| ValueRead { at: far, fingerprints: vec![Fingerprint::from_hex("aa"), Fingerprint::from_hex("bb")] }),
            })
            .collect();

        let detections = vec![
            Detection {
                rule: RuleId::new(text.clone()),
                fingerprint: Fingerprint::from_hex("00112233445566778899aabbccddeeff"),
                preview: text.clone(),
                public_id: Some(text.clone()),
                path: text.clone(),
                line: Some(u32::MAX),
                column: Some(1),
                decoded: text.clone(),
                confidence: Confidence::Likely,
                expires_at_unix: Some(i64::MIN),
            },
            Detection {
                rule: RuleId::new("other"),
                fingerprint: Fingerprint::from_hex("00112233445566778899aabbccddeeff"),
                preview: String::new(),
                public_id: None,
                path: String::new(),
                line: None,
                column: None,
                decoded: String::new(),
                confidence: Confidence::Certain,
                expires_at_unix: None,
            },
        ];
        let placement = Placement {
            path: text.clone(),
            commit: text.clone(),
            author: text.clone(),
            author_address: text.clone(),
            committed_at: Some(at(-9)),
            at_tip: false,
        };
        let content = key(&format!("{number}{text}"));
        let mut commit = page(&id, 0, 20);
        commit.credentials = credentials.clone();
        commit.contents =
            vec![ScannedContent { key: content.clone(), ruleset: text.clone(), detections: detections.clone(), complete: true }];
        commit.artifacts = ArtifactKind::ALL
            .into_iter()
            .map(|kind| SeenArtifact {
                artifact: Artifact {
                    id: ArtifactId {
                        provider: ProviderKind::Aws,
                        account: account_id.clone(),
                        region: region.clone(),
                        name: format!("{}#{text}", kind.as_str()),
                    },
                    kind,
                    content: None,
                    size_bytes: Some(7),
                    modified_at: (kind == ArtifactKind::Object).then_some(far),
                    tags: tags.clone(),
                    notes: vec![text.clone()],
                    latest: kind != ArtifactKind::FunctionCode,
                },
                content: content.clone(),
                outcome: Outcome::Read,
                placements: (kind == ArtifactKind::GitBlob).then(|| vec![placement.clone()]),
            })
            .collect();
        commit.gaps = GapReason::ALL
            .into_iter()
            .map(|reason| Gap {
                target: id.clone(),
                subject: text.clone(),
                reason,
                detail: text.clone(),
                permission: text.clone(),
                mend: text.clone(),
                open_ended: reason == GapReason::Throttled,
            })
            .collect();
        commit.counts = TargetCounts { credentials: 1, artifacts: 2, scanned: 3, unchanged: 4, gaps: 5, bytes: u64::from(u32::MAX) * 7 };
        store.commit_page(run, &commit).await.unwrap();
        assert!(store.scanned_contents(std::slice::from_ref(&content), &text).await.unwrap().contains(&content));

        let mut inventory = store.inventory(run.id).await.unwrap();
        assert_eq!(inventory.accounts, [account, bare]);
        assert_eq!(inventory.gaps, commit.gaps);
        let coverage: Vec<TargetCount> = ledger
            .into_iter()
            .enumerate()
            .map(|(row, (target, state))| TargetCount {
                target,
                state,
                counts: if row == 0 { commit.counts } else { TargetCounts::default() },
            })
            .collect();
        assert_eq!(inventory.coverage.targets, coverage);

        let mut expected = credentials;
        expected.sort_by(|a, b| (a.id.kind.as_str(), &a.id.public_id).cmp(&(b.id.kind.as_str(), &b.id.public_id)));
        for credential in &mut expected {
            if credential.issued_at == IssuedAt::Untold {
                credential.issued_at = IssuedAt::FirstSeen { at: at(20) };
            }
        }
        assert_eq!(inventory.credentials, expected);

        let mut exposures: Vec<Exposure> = Vec::new();
        for seen in &commit.artifacts {
            for detection in &detections {
                exposures.push(Exposure {
                    detection: detection.clone(),
                    artifact: seen.artifact.id.clone(),
                    artifact_kind: seen.artifact.kind,
                    latest: seen.artifact.latest,
                    placement: seen.placements.as_ref().map(|places| places[0].clone()),
                    tags: tags.clone(),
                    modified_at: seen.artifact.modified_at,
                    first_seen_at: at(20),
                    last_read_at: at(20),
                });
            }
        }
        let order = |exposures: &mut Vec<Exposure>| {
            exposures.sort_by(|a, b| (&a.artifact, &a.detection).cmp(&(&b.artifact, &b.detection)));
        };
        order(&mut exposures);
        order(&mut inventory.exposures);
        assert_eq!(inventory.exposures, exposures);
        let record = store.run(run.id).await.unwrap().unwrap();
        assert_eq!(record.occurrence, format!("{number}{text}"));
    }
    store.integrity_check().await.unwrap();
}
