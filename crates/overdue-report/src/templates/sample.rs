//! The standard set of assessments every template is tried with, and the shape of the data it may name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use overdue_core::{
    Account, AccountId, ArtifactId, ArtifactKind, Assessment, Confidence, Contact, Credential, CredentialId, CredentialKind, Detection,
    Evidence, Exemption, Exposure, Fingerprint, Gap, GapReason, Inventory, IssuedAt, LastUsed, Letter, LetterKind, MissedRun, Owner,
    OwnersConfig, Placement, Policy, Principal, ProviderKind, Region, RuleFacts, RuleId, Status, Target, TargetCount, TargetCounts,
    TargetKind, TargetState, UsedBy, assess, compose,
};
use serde_json::Value;

use crate::input::{ReportInput, RunFacts, RunStatus};
use crate::letter::{self, LetterContext};
use crate::page;
use crate::steps::StepBook;
use crate::view::Teller;

/// One of the set.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) inventory: Inventory,
    pub(crate) assessment: Assessment,
    pub(crate) letters: Vec<Letter>,
    pub(crate) run: RunFacts,
}

/// Where the standard set lives.
static UTC: TimeZone = TimeZone::UTC;

impl Sample {
    pub(crate) fn report_input(&self) -> ReportInput<'_> {
        ReportInput { title: "", assessment: &self.assessment, inventory: &self.inventory, run: &self.run, zone: &UTC }
    }
}

/// 24 November 2026, 06:12 UTC: a Tuesday in the 48th week.
pub(crate) fn moment() -> Timestamp {
    Timestamp::from_second(1_795_500_720).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Names as hostile people write them.
pub(crate) const HOSTILE: [&str; 16] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onload='alert(1)",
    "{{x}} {{{y}}} {{> z}} {{#each a}}",
    "a\r\nBcc: victim@example.com\r\n\r\nbody",
    "a\n.\nMAIL FROM:<x@example.com>",
    "\u{202e}gpj.exe\u{202c}\u{2066}x\u{2069}",
    "\u{1b}[2J\u{1b}]8;;http://evil.example\u{7}click\u{1b}]8;;\u{7}",
    "\u{9b}31m\u{0}\u{7f}\u{8}\u{85}",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "javascript:alert(1)",
    "https://evil.example/login www.evil.example",
    "</style></title></textarea><!--",
    "-->]]>&lt;b&gt;&#60;i&#62;",
    "$(touch /tmp/x)`id`;'\"\\",
];

/// The standard set: empty, one, many, hostile, gaps only.
pub(crate) fn standard() -> Vec<Sample> {
    vec![
        sample("an empty assessment", Inventory { coverage: coverage(1, 0), ..Inventory::default() }),
        sample("one finding", one()),
        sample("many findings", many(60)),
        sample("hostile names", hostile()),
        sample("gaps only", gaps_only()),
    ]
}

/// Judges an inventory and writes its letters; the owners' and the security team's, and one without anything in it.
pub(crate) fn sample(name: &'static str, inventory: Inventory) -> Sample {
    let mut policy = Policy::default();
    policy.exemptions.push(Exemption {
        credential: "AKIAQUB2J3L400000005".to_owned(),
        reason: "the vendor cannot rotate before the March release".to_owned(),
        until: ago(-120),
    });
    let assessment = assess(&inventory, &policy, &OwnersConfig::default(), moment());
    let mut letters = compose(&assessment, Some("security@example.com"));
    letters.push(Letter {
        kind: LetterKind::Owner,
        to: Owner { name: "Nobody".into(), address: Some("nobody@example.com".into()) },
        findings: Vec::new(),
        gaps: Vec::new(),
    });
    let complete = assessment.complete();
    let run = RunFacts {
        job: "weekly-audit".to_owned(),
        id: "run-2026-11-24T06:00:00Z".to_owned(),
        status: if complete { RunStatus::Complete } else { RunStatus::Partial },
        started_at: ago(0),
        ended_at: Some(moment()),
        exit_code: if complete { 1 } else { 2 },
    };
    Sample { name, inventory, assessment, letters, run }
}

/// The shape of the data of each template: every field there is, found in the standard set itself.
pub(super) struct Shapes {
    letter: Value,
    top: Value,
    finding: Value,
    between: Value,
    credential: Value,
    end: Value,
}

impl Shapes {
    /// Found once: it depends on nothing a user can change.
    pub(super) fn known() -> &'static Self {
        static SHAPES: OnceLock<Shapes> = OnceLock::new();
        SHAPES.get_or_init(|| Self::new(&super::builtin_steps().unwrap_or_default()))
    }

    fn new(steps: &StepBook) -> Self {
        let mut shapes = Self {
            letter: Value::Null,
            top: Value::Null,
            finding: Value::Null,
            between: Value::Null,
            credential: Value::Null,
            end: Value::Null,
        };
        // Merging all of `many` finds every list filled.
        for sample in [sample("many findings", many(40)), sample("gaps only", gaps_only())] {
            let input = sample.report_input();
            let teller = Teller { now: sample.assessment.now, zone: &UTC, inventory: &sample.inventory, steps };
            for letter in &sample.letters {
                let context = LetterContext {
                    job: "weekly-audit",
                    period: "2026-W48",
                    now: sample.assessment.now,
                    zone: &UTC,
                    assessment: &sample.assessment,
                    inventory: &sample.inventory,
                    template: "",
                };
                add(&mut shapes.letter, &letter::view_with(steps, letter, &context));
            }
            add(&mut shapes.top, &page::top(&teller, &input));
            add(&mut shapes.between, &page::between(&input, 0));
            add(&mut shapes.end, &page::end(&input));
            for finding in &sample.assessment.findings {
                add(&mut shapes.finding, &teller.finding(1, finding, true));
            }
            for judged in &sample.assessment.credentials {
                add(&mut shapes.credential, &page::credential(&teller, judged));
            }
        }
        shapes
    }

    /// The shape a template is rendered with, and whether it is HTML. `None` for partials: theirs depends on who asks.
    pub(super) fn of(&self, name: &str, letters: &BTreeSet<String>) -> Option<(&Value, bool)> {
        let (folder, part) = name.split_once('/')?;
        match (folder, part) {
            ("report", "top") => Some((&self.top, true)),
            ("report", "finding") => Some((&self.finding, true)),
            ("report", "between") => Some((&self.between, true)),
            ("report", "credential") => Some((&self.credential, true)),
            ("report", "end") => Some((&self.end, true)),
            _ if letters.contains(folder) => Some((&self.letter, part == "html")),
            _ => None,
        }
    }
}

#[cfg(test)]
impl Shapes {
    /// Every shape, with its name.
    pub(super) fn all(&self) -> [(&'static str, &Value); 6] {
        [
            ("letter", &self.letter),
            ("top", &self.top),
            ("finding", &self.finding),
            ("between", &self.between),
            ("credential", &self.credential),
            ("end", &self.end),
        ]
    }
}

fn add(shape: &mut Value, view: &impl serde::Serialize) {
    let Ok(value) = serde_json::to_value(view) else { return };
    if shape.is_null() {
        *shape = value;
    } else {
        super::merge(shape, value);
    }
}

fn ago(days: i64) -> Timestamp {
    moment().checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn evidence(source: &str, hours: i64) -> Evidence {
    Evidence { source: source.to_owned(), lag: SignedDuration::from_hours(hours) }
}

fn account(id: &str, name: &str) -> Account {
    let contacts =
        vec![Contact { address: "platform@example.com".into(), name: "Platform".into(), source: "account mail".into(), root_only: false }];
    Account { provider: ProviderKind::Aws, id: AccountId::new(id), name: name.into(), tags: BTreeMap::new(), contacts }
}

fn tags(owner: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("owner".to_owned(), owner.to_owned())])
}

/// A key of account 111111111111.
pub(crate) fn key(number: usize, user: &str, age: i64, last_used: LastUsed, owner: &str) -> Credential {
    Credential {
        id: CredentialId {
            account: AccountId::new("111111111111"),
            kind: CredentialKind::AwsIamAccessKey,
            public_id: format!("AKIAQUB2J3L4{number:08}"),
        },
        region: None,
        name: user.to_owned(),
        principal: Principal { arn: format!("arn:aws:iam::111111111111:user/{user}"), name: user.to_owned() },
        status: Status::Active,
        issued_at: IssuedAt::At { at: ago(age), evidence: evidence("iam:GetCredentialReport", 4) },
        last_used,
        expires_at: None,
        tags: tags(owner),
        notes: Vec::new(),
        value: None,
    }
}

pub(crate) fn used(days: i64) -> LastUsed {
    LastUsed::At {
        at: ago(days),
        by: Some(UsedBy { service: "s3".into(), region: Some(Region::new("eu-west-1")) }),
        evidence: evidence("iam:GetAccessKeyLastUsed", 4),
    }
}

pub(crate) fn detection(rule: &str, public_id: Option<&str>, path: &str) -> Detection {
    Detection {
        rule: RuleId::new(rule),
        fingerprint: Fingerprint::from_hex("00112233445566778899aabbccddeeff"),
        preview: "ghp_… (40 characters)".into(),
        public_id: public_id.map(str::to_owned),
        path: path.into(),
        line: Some(12),
        column: Some(9),
        decoded: String::new(),
        confidence: Confidence::Certain,
        expires_at_unix: None,
    }
}

pub(crate) fn in_function(version: &str, latest: bool, detection: Detection) -> Exposure {
    Exposure {
        detection,
        artifact: ArtifactId {
            provider: ProviderKind::Aws,
            account: AccountId::new("111111111111"),
            region: Some(Region::new("eu-west-1")),
            name: format!("function/pay-api/{version}/code"),
        },
        artifact_kind: ArtifactKind::FunctionCode,
        latest,
        placement: None,
        tags: tags("payments@example.com"),
        modified_at: Some(ago(40)),
        first_seen_at: ago(7),
        last_read_at: ago(0),
    }
}

pub(crate) fn in_git(commit: usize, detection: Detection) -> Exposure {
    Exposure {
        detection,
        artifact: ArtifactId {
            provider: ProviderKind::Machine,
            account: AccountId::new("build-host"),
            region: None,
            name: format!("git:/srv/git/shop.git#{commit:040x}"),
        },
        artifact_kind: ArtifactKind::GitBlob,
        latest: commit == 0,
        placement: Some(Placement {
            path: "deploy/settings.py".into(),
            commit: format!("{:012x}{:028x}", 0x8fa1_c2d3_e4a5_u64 + commit as u64, 0),
            author: "Ann Lee <ann@example.com>".into(),
            author_address: "ann@example.com".into(),
            committed_at: Some(ago(200)),
            at_tip: commit == 0,
        }),
        tags: BTreeMap::new(),
        modified_at: None,
        first_seen_at: ago(7),
        last_read_at: ago(0),
    }
}

pub(crate) fn rules() -> BTreeMap<RuleId, RuleFacts> {
    let rule = |id: &str, title: &str, service: &str, revoke: &[&str]| {
        let facts = RuleFacts {
            id: RuleId::new(id),
            title: title.into(),
            service: service.into(),
            revoke: revoke.iter().map(|step| (*step).to_owned()).collect(),
            id_only: false,
        };
        (facts.id.clone(), facts)
    };
    BTreeMap::from([
        rule("aws.key-pair", "AWS access key with its secret", "AWS", &["Deactivate it, wait a week, delete it."]),
        rule(
            "github.personal-access-token",
            "GitHub personal access token",
            "GitHub",
            &["Sign in as its user and open Settings, Developer settings, Personal access tokens.", "Delete the token; it ends at once."],
        ),
        rule("generic.password", "Password in a configuration", "", &[]),
    ])
}

pub(crate) fn coverage(scanned: usize, failed: usize) -> overdue_core::Coverage {
    let target = |n: usize, kind: TargetKind, state: TargetState, counts: TargetCounts| TargetCount {
        target: Target {
            provider: ProviderKind::Aws,
            account: AccountId::new("111111111111"),
            region: Some(Region::new(if n.is_multiple_of(2) { "eu-west-1" } else { "us-east-1" })),
            kind,
            name: format!("bucket-{n}"),
        },
        state,
        counts,
    };
    let counts = TargetCounts { credentials: 2, artifacts: 40, scanned: 30, unchanged: 9, gaps: u64::from(failed > 0), bytes: 5_000_000 };
    let mut targets: Vec<TargetCount> = (0..scanned).map(|n| target(n, TargetKind::Objects, TargetState::Scanned, counts)).collect();
    for n in 0..failed {
        let state = match n % 3 {
            0 => TargetState::Failed { reason: GapReason::Denied, why: "AccessDenied on lambda:ListFunctions".into() },
            1 => TargetState::Skipped { why: "the region is not enabled".into() },
            _ => TargetState::Listed,
        };
        targets.push(target(n, TargetKind::Functions, state, TargetCounts::default()));
    }
    overdue_core::Coverage { targets }
}

fn gap(account: &str, subject: String, reason: GapReason, permission: &str) -> Gap {
    Gap {
        target: overdue_core::TargetId::from_key(format!("aws/{account}/eu-west-1/functions")),
        subject,
        reason,
        detail: match reason {
            GapReason::Denied => "User: arn:aws:sts::111111111111:assumed-role/overdue-audit/overdue is not authorized".into(),
            GapReason::Throttled => "TooManyRequestsException: Rate exceeded, after 8 tries".into(),
            _ => "storage class DEEP_ARCHIVE".into(),
        },
        permission: permission.into(),
        mend: if permission.is_empty() { String::new() } else { format!("Allow {permission} in the role overdue-audit") },
        open_ended: reason == GapReason::Throttled,
    }
}

/// One exposed, used, overdue key.
pub(crate) fn one() -> Inventory {
    let key = key(1, "ci-deploy", 413, used(1), "payments@example.com");
    let id = key.id.public_id.clone();
    Inventory {
        accounts: vec![account("111111111111", "prod"), account("222222222222", "")],
        exposures: vec![
            in_function("$LATEST", true, detection("aws.key-pair", Some(&id), "lib/app.py")),
            in_function("3", false, detection("aws.key-pair", Some(&id), "lib/app.py")),
            in_git(0, detection("aws.key-pair", Some(&id), "")),
        ],
        credentials: vec![key],
        gaps: Vec::new(),
        coverage: coverage(12, 0),
        missed: Vec::new(),
        rules: rules(),
    }
}

/// Every kind, every standing, several owners, found secrets, more places than are shown, gaps, an exemption.
pub(crate) fn many(keys: usize) -> Inventory {
    let mut inventory = one();
    inventory.missed = vec![MissedRun { job: "weekly".into(), due_at: ago(7), why: "nobody was there to run it".into() }];
    for n in 2..keys {
        let last = match n % 5 {
            0 => LastUsed::NeverSince { since: ago(n as i64 * 9), evidence: evidence("iam:GetCredentialReport", 4) },
            1 => LastUsed::Untracked,
            2 => LastUsed::Unreadable { why: "AccessDenied on iam:GetAccessKeyLastUsed".into() },
            _ => used(n as i64),
        };
        let mut credential = key(n, &format!("svc-{n}"), n as i64 * 9, last, ["payments@example.com", "search@example.com", "data"][n % 3]);
        credential.id.kind = CredentialKind::ALL[n % 8];
        match credential.id.kind {
            CredentialKind::AwsSecret => {
                credential.id.public_id = format!("arn:aws:secretsmanager:eu-west-1:111111111111:secret:svc-{n}-AbCdEf");
                credential.region = Some(Region::new("eu-west-1"));
                credential.principal = Principal { arn: String::new(), name: String::new() };
            }
            CredentialKind::AwsSsmSecureString => {
                credential.id.public_id = format!("arn:aws:ssm:eu-west-1:111111111111:parameter/svc/{n}");
                credential.region = Some(Region::new("eu-west-1"));
                credential.name = format!("/svc/{n}");
                credential.issued_at = IssuedAt::FirstSeen { at: ago(n as i64 * 3) };
            }
            CredentialKind::AwsConsolePassword => credential.id.public_id = format!("user/svc-{n}"),
            CredentialKind::AwsServiceSpecificCredential => credential.notes.push("service: codecommit.amazonaws.com".into()),
            CredentialKind::AwsSigningCertificate => credential.expires_at = Some(ago(-30)),
            _ => {}
        }
        if n.is_multiple_of(11) {
            credential.status = Status::Inactive;
        }
        if n.is_multiple_of(13) {
            credential.issued_at = IssuedAt::Untold;
        }
        inventory.credentials.push(credential);
    }
    let id = inventory.credentials.first().map(|key| key.id.public_id.clone()).unwrap_or_default();
    inventory.exposures.extend((1..30).map(|n| in_git(n, detection("aws.key-pair", Some(&id), ""))));
    let mut token = in_git(0, detection("github.personal-access-token", None, ""));
    token.detection.fingerprint = Fingerprint::from_hex("ffeeddccbbaa99887766554433221100");
    token.detection.decoded = "base64".into();
    inventory.exposures.push(token);
    let mut password = in_function("7", true, detection("generic.password", None, "config.yml"));
    password.detection.fingerprint = Fingerprint::from_hex("0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f");
    password.artifact.account = AccountId::new("333333333333");
    password.tags.clear();
    inventory.exposures.push(password);
    inventory.gaps = gaps();
    inventory.coverage = coverage(600, 180);
    inventory
}

pub(crate) fn gaps() -> Vec<Gap> {
    let mut gaps: Vec<Gap> =
        (0..8).map(|n| gap("111111111111", format!("function worker-{n}"), GapReason::Denied, "lambda:GetFunction")).collect();
    gaps.push(gap("222222222222", "the listing of functions".into(), GapReason::Throttled, ""));
    gaps.push(gap("222222222222", "s3://backup/2019.tar".into(), GapReason::Archived, ""));
    gaps
}

fn gaps_only() -> Inventory {
    Inventory { accounts: vec![account("111111111111", "prod")], gaps: gaps(), coverage: coverage(3, 3), ..Inventory::default() }
}

/// Every text field of everything holds every hostile name once, and one that is far too long.
pub(crate) fn hostile() -> Inventory {
    with_names(&HOSTILE, &"L".repeat(200_000))
}

/// The same with other names.
pub(crate) fn with_names(names: &[&str], long: &str) -> Inventory {
    let mut inventory = Inventory { coverage: coverage(1, 1), ..Inventory::default() };
    for (n, text) in names.iter().copied().chain([long]).enumerate() {
        let text = || text.to_owned();
        inventory.accounts.push(Account {
            provider: ProviderKind::Aws,
            id: AccountId::new(format!("{n}{}", text())),
            name: text(),
            tags: BTreeMap::from([("owner".into(), text())]),
            contacts: vec![Contact { address: format!("owner{n}@example.com"), name: text(), source: text(), root_only: false }],
        });
        let account = AccountId::new(format!("{n}{}", text()));
        for kind in [CredentialKind::AwsIamAccessKey, CredentialKind::AwsSecret] {
            let mut credential = key(n, &text(), 400, used(3), &text());
            credential.id = CredentialId { account: account.clone(), kind, public_id: format!("AKIA{n}{}", text()) };
            credential.region = Some(Region::new(text()));
            credential.principal = Principal { arn: text(), name: text() };
            credential.notes = vec![text(), format!("service: {}", text())];
            credential.issued_at = IssuedAt::At { at: ago(400), evidence: evidence(&text(), 4) };
            credential.last_used = match n % 2 {
                0 => LastUsed::Unreadable { why: text() },
                _ => LastUsed::At {
                    at: ago(2),
                    by: Some(UsedBy { service: text(), region: Some(Region::new(text())) }),
                    evidence: evidence(&text(), 4),
                },
            };
            inventory.credentials.push(credential);
        }
        let id = RuleId::new(text());
        inventory.rules.insert(id.clone(), RuleFacts { id, title: text(), service: text(), revoke: vec![text()], id_only: false });
        for mut exposure in [in_function(&text(), false, detection(&text(), None, &text())), in_git(n, detection(&text(), None, &text()))] {
            exposure.detection.fingerprint = Fingerprint::from_hex(format!("{n}{}", text()));
            exposure.detection.preview = text();
            exposure.detection.decoded = text();
            exposure.tags = BTreeMap::from([("owner".into(), text())]);
            exposure.artifact.account = account.clone();
            exposure.artifact.region = Some(Region::new(text()));
            if let Some(placement) = &mut exposure.placement {
                placement.path = text();
                placement.commit = text();
                placement.author = text();
            } else {
                exposure.artifact.name = format!("function/{}/{}/code", text(), text());
            }
            inventory.exposures.push(exposure);
        }
        inventory.gaps.push(Gap {
            target: overdue_core::TargetId::from_key(format!("aws/{n}{}/eu/functions", text())),
            subject: text(),
            reason: GapReason::Denied,
            detail: text(),
            permission: text(),
            mend: text(),
            open_ended: true,
        });
        for state in [TargetState::Failed { reason: GapReason::Corrupt, why: text() }, TargetState::Skipped { why: text() }] {
            let target = Target {
                provider: ProviderKind::Aws,
                account: account.clone(),
                region: Some(Region::new(text())),
                kind: TargetKind::Objects,
                name: text(),
            };
            inventory.coverage.targets.push(TargetCount { target, state, counts: TargetCounts::default() });
        }
    }
    inventory
}
