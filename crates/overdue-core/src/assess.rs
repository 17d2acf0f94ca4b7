//! The verdict: what everything we know means at one moment.
//!
//! One pure function. It judges each credential once, ties each exposure to its credential, and puts together what
//! belongs together: a finding is one credential, or one secret that is in no inventory, with every place it lies in.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::credential::whole_days;
use crate::{
    AccountId, ArtifactKind, Code, Coverage, Credential, Exemption, Exposure, Gap, Inventory, IssuedAt, Join, LastUsed, MissedRun,
    OwnerClaim, OwnersConfig, Policy, ResourceFacts, RuleId, Severity, Status, TargetKind, TargetState, Verdict, aws_account_of_key_id,
    days_text, join, owner_of,
};
use crate::{Confidence, CredentialKind};

/// Where a credential stands on the way to its rotation. Rotation ends it; it is not expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staleness {
    /// Younger than its limit.
    Current {
        /// When it becomes due.
        due_at: Timestamp,
    },
    /// Due within the policy's window.
    DueSoon {
        /// When it becomes due.
        due_at: Timestamp,
    },
    /// At its limit or over it.
    Overdue {
        /// Since when.
        since: Timestamp,
    },
    /// Nothing tells when the present value began.
    Unknown,
}

impl Staleness {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current { .. } => "current",
            Self::DueSoon { .. } => "due-soon",
            Self::Overdue { .. } => "overdue",
            Self::Unknown => "unknown",
        }
    }
    /// When it is or was due.
    pub const fn due_at(self) -> Option<Timestamp> {
        match self {
            Self::Current { due_at } | Self::DueSoon { due_at } | Self::Overdue { since: due_at } => Some(due_at),
            Self::Unknown => None,
        }
    }
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A credential of the inventory.
    Credential(Box<Credential>),
    /// A secret in no inventory we read.
    Secret {
        /// The rule that found it.
        rule: RuleId,
        /// What a person calls it.
        title: String,
        /// What may be shown of it.
        preview: String,
        /// Its public id, where it has one.
        public_id: Option<String>,
        /// The account it names itself, though that is not among those we read.
        names_account: Option<AccountId>,
    },
    /// An exemption of the job's policy.
    Exemption {
        /// The id it names.
        credential: String,
    },
    /// The schedule of a job.
    Schedule {
        /// Whose.
        job: String,
    },
}

/// One thing an owner must do something about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The same in every run while the matter lasts, whatever moves.
    pub key: String,
    /// What it is about.
    pub subject: Subject,
    /// How soon to look.
    pub severity: Severity,
    /// What is the matter, gravest first. Never empty.
    pub verdicts: Vec<Verdict>,
    /// Who must act.
    pub owner: Option<OwnerClaim>,
    /// Where it lies.
    pub exposures: Vec<Exposure>,
    /// Whole days since the present value began.
    pub age_days: Option<i64>,
    /// Where it stands.
    pub staleness: Staleness,
    /// Set when an exemption that has not ended covers it.
    pub exempt: Option<Exemption>,
}

impl Finding {
    /// The most days any verdict is over its limit; what is only due soon is not over it.
    fn worst_days(&self) -> i64 {
        self.verdicts.iter().filter(|verdict| verdict.code != Code::RotationDueSoon).map(|verdict| verdict.days).max().unwrap_or(0)
    }

    /// Whether it carries this code.
    pub fn has(&self, code: Code) -> bool {
        self.verdicts.iter().any(|verdict| verdict.code == code)
    }
}

/// One credential with what was made of it, due or not.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The credential.
    pub credential: Credential,
    /// Who owns it.
    pub owner: Option<OwnerClaim>,
    /// Whole days since the present value began.
    pub age_days: Option<i64>,
    /// Where it stands.
    pub staleness: Staleness,
}

/// What everything we know means at `now`.
#[derive(Clone, Debug)]
pub struct Assessment {
    /// The moment.
    pub now: Timestamp,
    /// What must be done, worst first.
    pub findings: Vec<Finding>,
    /// Every credential, due or not, by id.
    pub credentials: Vec<Judged>,
    /// What could not be seen.
    pub gaps: Vec<Gap>,
    /// What was looked at.
    pub coverage: Coverage,
}

impl Assessment {
    /// Findings no exemption covers.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.exempt.is_none())
    }
    /// Whether everything that was to be read was read. A run that listed nothing read nothing.
    pub fn complete(&self) -> bool {
        !self.coverage.targets.is_empty()
            && self.gaps.is_empty()
            && self.coverage.count("failed") == 0
            && self.coverage.count("listed") == 0
    }
}

/// Where a credential of `kind` stands.
///
/// Age counts from when the present value began, not from the day its slot was made: a secret overwritten yesterday is
/// one day old. A credential exactly at the limit is overdue.
pub(crate) fn staleness(issued_at: &IssuedAt, kind: CredentialKind, policy: &Policy, now: Timestamp) -> Staleness {
    let Some(issued) = issued_at.at() else { return Staleness::Unknown };
    let limit = SignedDuration::from_hours(24 * policy.rotate_after(kind));
    let Ok(due_at) = issued.checked_add(limit) else { return Staleness::Unknown };
    if now >= due_at {
        Staleness::Overdue { since: due_at }
    } else if due_at.duration_since(now) <= SignedDuration::from_hours(24 * policy.due_soon_days) {
        Staleness::DueSoon { due_at }
    } else {
        Staleness::Current { due_at }
    }
}

/// Judges everything in `inventory` by `policy` at `now`.
pub fn assess(inventory: &Inventory, policy: &Policy, owners: &OwnersConfig, now: Timestamp) -> Assessment {
    let joins = join(inventory);
    let mut places: BTreeMap<String, Vec<&Exposure>> = BTreeMap::new();
    let mut secrets: BTreeMap<String, Vec<&Exposure>> = BTreeMap::new();
    for (exposure, tie) in inventory.exposures.iter().zip(&joins) {
        match tie {
            Join::Credential(credential) | Join::Stored(credential) => {
                places.entry(credential.id.to_string()).or_default().push(exposure);
            }
            Join::Account | Join::Unknown => secrets.entry(secret_key(exposure)).or_default().push(exposure),
        }
    }

    let mut findings = Vec::new();
    let mut judged = Vec::new();
    for credential in &inventory.credentials {
        let key = credential.id.to_string();
        let exposures = places.remove(&key).unwrap_or_default();
        let owner = owner_of_credential(credential, inventory, owners);
        let staleness = if credential.status == Status::Active {
            staleness(&credential.issued_at, credential.id.kind, policy, now)
        } else {
            Staleness::Unknown
        };
        let verdicts = judge_credential(credential, &exposures, staleness, owner.is_some(), policy, now);
        let age_days = credential.age_days(now);
        judged.push(Judged { credential: credential.clone(), owner: owner.clone(), age_days, staleness });
        if !verdicts.is_empty() {
            findings.push(finding(
                key,
                Subject::Credential(Box::new(credential.clone())),
                verdicts,
                owner,
                &exposures,
                age_days,
                staleness,
            ));
        }
    }
    for (key, exposures) in secrets {
        let Some(first) = exposures.iter().max_by_key(|exposure| exposure.detection.public_id.is_some()) else { continue };
        let facts = inventory.rules.get(&first.detection.rule);
        let subject = Subject::Secret {
            rule: first.detection.rule.clone(),
            title: facts.map_or_else(|| first.detection.rule.to_string(), |facts| facts.title.clone()),
            preview: first.detection.preview.clone(),
            public_id: first.detection.public_id.clone(),
            names_account: first.detection.public_id.as_deref().and_then(aws_account_of_key_id),
        };
        let owner = exposures.iter().find_map(|exposure| owner_of_exposure(exposure, inventory, owners));
        let verdicts = judge_secret(&subject, &exposures, inventory, owner.is_some(), now);
        findings.push(finding(key, subject, verdicts, owner, &exposures, None, Staleness::Unknown));
    }
    findings.extend(missed_runs(&inventory.missed, now));
    apply_exemptions(&mut findings, policy, now);
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| b.worst_days().cmp(&a.worst_days())).then_with(|| a.key.cmp(&b.key)));
    judged.sort_by(|a, b| a.credential.id.cmp(&b.credential.id));
    Assessment { now, findings, credentials: judged, gaps: inventory.gaps.clone(), coverage: inventory.coverage.clone() }
}

/// Two exposures of one secret have one key: the public id where there is one (an id alone and an id with its secret
/// are the same credential), else the fingerprint.
fn secret_key(exposure: &Exposure) -> String {
    match &exposure.detection.public_id {
        Some(id) => format!("secret/{id}"),
        None => format!("secret/{}", exposure.detection.fingerprint),
    }
}

fn finding(
    key: String,
    subject: Subject,
    mut verdicts: Vec<Verdict>,
    owner: Option<OwnerClaim>,
    exposures: &[&Exposure],
    age_days: Option<i64>,
    staleness: Staleness,
) -> Finding {
    verdicts.sort_by_key(|verdict| verdict.code);
    let severity = severity(&subject, &verdicts, exposures);
    let mut exposures: Vec<Exposure> = exposures.iter().map(|exposure| (*exposure).clone()).collect();
    exposures.sort_by(|a, b| b.latest.cmp(&a.latest).then_with(|| a.artifact.cmp(&b.artifact)).then_with(|| a.detection.cmp(&b.detection)));
    Finding { key, subject, severity, verdicts, owner, exposures, age_days, staleness, exempt: None }
}

/// A place where this credential is expected to lie in plain: its tool's own file, or the environment.
fn usual(exposure: &Exposure) -> bool {
    matches!(exposure.artifact_kind, ArtifactKind::CredentialFile | ArtifactKind::Environment)
}

fn severity(subject: &Subject, verdicts: &[Verdict], exposures: &[&Exposure]) -> Severity {
    let worst = verdicts
        .iter()
        .map(|verdict| match verdict.code {
            Code::Exposed => Severity::Critical,
            Code::ExposedUnknown if exposures.iter().all(|exposure| usual(exposure)) => Severity::Low,
            Code::ExposedUnknown if exposures.iter().all(|exposure| exposure.detection.confidence == Confidence::Likely) => {
                Severity::Medium
            }
            Code::ExposedUnknown => Severity::High,
            Code::RotationOverdue | Code::Unused | Code::NeverUsed => match subject {
                Subject::Credential(credential) if credential.id.kind == CredentialKind::AwsRootAccessKey => Severity::High,
                _ => Severity::Medium,
            },
            Code::CoverageGap | Code::MissedRun => Severity::High,
            Code::StaleVersion => Severity::Medium,
            Code::ExpiredInPlace | Code::Shared | Code::Ownerless | Code::RotationDueSoon | Code::ExemptionUnused => Severity::Low,
        })
        .max();
    worst.unwrap_or(Severity::Low)
}

fn judge_credential(
    credential: &Credential,
    exposures: &[&Exposure],
    staleness: Staleness,
    owned: bool,
    policy: &Policy,
    now: Timestamp,
) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let out_of_place: Vec<&&Exposure> = exposures.iter().filter(|exposure| !usual(exposure)).collect();
    let ended = credential.status == Status::Inactive || credential.expires_at.is_some_and(|at| at <= now);
    if !out_of_place.is_empty() {
        if ended {
            verdicts.push(Verdict {
                code: Code::ExpiredInPlace,
                days: 0,
                text: "It is switched off or has ended, but still lies in code; remove it there".into(),
            });
        } else {
            let what = if credential.value.is_some() { "The stored value itself" } else { "Live, and" };
            verdicts.push(Verdict { code: Code::Exposed, days: 0, text: format!("{what} lies in {}", count_places(&out_of_place)) });
        }
        verdicts.extend(spread(&out_of_place));
    }
    if !ended {
        let first_seen = matches!(credential.issued_at, IssuedAt::FirstSeen { .. });
        let limit = policy.rotate_after(credential.id.kind);
        match staleness {
            Staleness::Overdue { since } => {
                let days = whole_days(since, now);
                verdicts.push(Verdict {
                    code: Code::RotationOverdue,
                    days,
                    text: format!(
                        "{}{} old, limit {}: {}",
                        if first_seen { "At least " } else { "" },
                        days_text(credential.age_days(now).unwrap_or(0)),
                        days_text(limit),
                        if days == 0 { "due today".to_owned() } else { format!("overdue by {}", days_text(days)) }
                    ),
                });
            }
            Staleness::DueSoon { due_at } => {
                // Rounded up: a credential due in an hour is due in one day, not in none.
                let days = (due_at.duration_since(now).as_secs() + 86_399) / 86_400;
                verdicts.push(Verdict {
                    code: Code::RotationDueSoon,
                    days,
                    text: format!("Reaches its limit of {} in {}", days_text(limit), days_text(days)),
                });
            }
            Staleness::Current { .. } | Staleness::Unknown => {}
        }
        match &credential.last_used {
            LastUsed::At { at, .. } => {
                let idle = whole_days(*at, now);
                if idle >= policy.unused_after_days {
                    verdicts.push(Verdict { code: Code::Unused, days: idle, text: format!("Not used for {}", days_text(idle)) });
                }
            }
            LastUsed::NeverSince { since, .. } => {
                let idle = whole_days(*since, now);
                if idle >= policy.unused_after_days {
                    verdicts.push(Verdict { code: Code::NeverUsed, days: idle, text: format!("Not used once in {}", days_text(idle)) });
                }
            }
            LastUsed::Untracked | LastUsed::Unreadable { .. } => {}
        }
    }
    if !owned && !ended {
        verdicts.push(Verdict { code: Code::Ownerless, days: 0, text: "Nobody could be found who owns it".into() });
    }
    verdicts
}

fn judge_secret(subject: &Subject, exposures: &[&Exposure], inventory: &Inventory, owned: bool, now: Timestamp) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let ended = exposures.iter().filter_map(|exposure| exposure.detection.expires_at_unix).max().filter(|at| *at <= now.as_second());
    let id_only = exposures.iter().all(|exposure| inventory.rules.get(&exposure.detection.rule).is_some_and(|rule| rule.id_only));
    let all: Vec<&&Exposure> = exposures.iter().collect();
    let text = match (ended, subject) {
        (Some(_), _) => "It has ended by its own date, but still lies there; remove it".to_owned(),
        (None, Subject::Secret { names_account: Some(account), .. }) => {
            let read = inventory.accounts.iter().any(|known| known.id == *account);
            // Only a whole listing of the account's users can tell that a key is not there.
            let listed = inventory.coverage.targets.iter().any(|target| {
                target.target.kind == TargetKind::Iam && target.target.account == *account && target.state == TargetState::Scanned
            });
            if listed {
                format!("Names account {account}, which has no such key any more; lies in {}", count_places(&all))
            } else if read {
                format!("Names account {account}, whose keys could not all be listed; lies in {}", count_places(&all))
            } else {
                format!("Names account {account}, which this audit does not read; lies in {}", count_places(&all))
            }
        }
        (None, _) if exposures.iter().all(|exposure| usual(exposure)) => "In plain text in its usual place on this machine".to_owned(),
        (None, _) if id_only => format!("A key id without its secret; lies in {}", count_places(&all)),
        (None, _) => format!("In no inventory we read; lies in {}", count_places(&all)),
    };
    let code = if ended.is_some() { Code::ExpiredInPlace } else { Code::ExposedUnknown };
    verdicts.push(Verdict { code, days: 0, text });
    verdicts.extend(spread(&all));
    if !owned {
        verdicts.push(Verdict { code: Code::Ownerless, days: 0, text: "Nobody could be found who owns the place it lies in".into() });
    }
    verdicts
}

/// `shared` and `stale-version`, from where a secret lies.
fn spread(exposures: &[&&Exposure]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let things = things(exposures);
    if things.len() > 1 {
        verdicts.push(Verdict { code: Code::Shared, days: 0, text: format!("The same secret lies in {} things", things.len()) });
    }
    let old = exposures.iter().filter(|exposure| !exposure.latest).count();
    if old > 0 {
        let only = if old == exposures.len() { "Only old versions that are still there carry it" } else { "Old versions carry it too" };
        verdicts.push(Verdict { code: Code::StaleVersion, days: 0, text: format!("{only} ({old})") });
    }
    verdicts
}

/// The distinct things a secret lies in: the versions of one function are one, and so are the commits of one path.
fn things(exposures: &[&&Exposure]) -> std::collections::BTreeSet<String> {
    exposures
        .iter()
        .map(|exposure| {
            let name = exposure.artifact.name.as_str();
            let thing = match exposure.artifact_kind {
                ArtifactKind::FunctionCode | ArtifactKind::FunctionEnvironment => name.split('/').take(2).collect::<Vec<_>>().join("/"),
                ArtifactKind::FunctionLayer => name.rsplit_once(':').map_or(name, |(layer, _)| layer).to_owned(),
                ArtifactKind::Object => name.split_once("?versionId=").map_or(name, |(object, _)| object).to_owned(),
                ArtifactKind::GitBlob => name.rsplit_once('#').map_or(name, |(repository, _)| repository).to_owned(),
                ArtifactKind::File | ArtifactKind::CredentialFile | ArtifactKind::Environment => name.to_owned(),
            };
            format!("{}/{}/{thing}", exposure.artifact.account, exposure.artifact.region.as_ref().map_or("", |region| region.as_str()))
        })
        .collect()
}

fn count_places(exposures: &[&&Exposure]) -> String {
    if exposures.len() == 1 { "one place".to_owned() } else { format!("{} places", exposures.len()) }
}

fn owner_of_credential(credential: &Credential, inventory: &Inventory, owners: &OwnersConfig) -> Option<OwnerClaim> {
    let account = inventory.accounts.iter().find(|account| account.id == credential.id.account);
    owner_of(
        owners,
        account,
        &ResourceFacts {
            account: &credential.id.account,
            kind: credential.id.kind.as_str(),
            what: if credential.principal.name.is_empty() {
                credential.name.clone()
            } else {
                format!("user {}", credential.principal.name)
            },
            names: vec![&credential.name, &credential.principal.name, &credential.principal.arn, &credential.id.public_id],
            tags: &credential.tags,
            creator: None,
        },
    )
}

fn owner_of_exposure(exposure: &Exposure, inventory: &Inventory, owners: &OwnersConfig) -> Option<OwnerClaim> {
    let account = inventory.accounts.iter().find(|account| account.id == exposure.artifact.account);
    owner_of(
        owners,
        account,
        &ResourceFacts {
            account: &exposure.artifact.account,
            kind: exposure.artifact_kind.as_str(),
            what: exposure.artifact.name.clone(),
            names: vec![&exposure.artifact.name, exposure.path()],
            tags: &exposure.tags,
            creator: exposure
                .placement
                .as_ref()
                .filter(|placement| !placement.author_address.is_empty())
                .map(|placement| (placement.author.as_str(), placement.author_address.as_str())),
        },
    )
}

/// One finding for each job whose schedule was not kept.
fn missed_runs(missed: &[MissedRun], now: Timestamp) -> Vec<Finding> {
    let mut by_job: BTreeMap<&str, Vec<&MissedRun>> = BTreeMap::new();
    for run in missed {
        by_job.entry(&run.job).or_default().push(run);
    }
    let finding = |(job, runs): (&str, Vec<&MissedRun>)| {
        let (first, last) = (runs.first()?, runs.last()?);
        let text = if runs.len() == 1 {
            format!("The run due at {} did not happen: {}", minute(first.due_at), last.why)
        } else {
            let (from, to) = (minute(first.due_at), minute(last.due_at));
            format!("{} runs due from {from} to {to} did not happen; the last: {}", runs.len(), last.why)
        };
        let verdicts = vec![Verdict { code: Code::MissedRun, days: whole_days(first.due_at, now), text }];
        let subject = Subject::Schedule { job: job.to_owned() };
        Some(finding(format!("schedule/{job}"), subject, verdicts, None, &[], None, Staleness::Unknown))
    };
    by_job.into_iter().filter_map(finding).collect()
}

fn minute(at: Timestamp) -> impl std::fmt::Display {
    at.strftime("%Y-%m-%d %H:%M UTC")
}

fn apply_exemptions(findings: &mut Vec<Finding>, policy: &Policy, now: Timestamp) {
    for exemption in &policy.exemptions {
        let ended = exemption.until <= now;
        let mut matched = false;
        for finding in findings.iter_mut().filter(|finding| covers(exemption, finding)) {
            matched = true;
            if !ended {
                finding.exempt = Some(exemption.clone());
            }
        }
        if ended || !matched {
            let text = if ended {
                format!("The exemption ended on {}", exemption.until.strftime("%Y-%m-%d"))
            } else {
                "The exemption matches no finding; delete it or fix its id".to_owned()
            };
            findings.push(Finding {
                key: format!("exemption/{}", exemption.credential),
                subject: Subject::Exemption { credential: exemption.credential.clone() },
                severity: Severity::Low,
                verdicts: vec![Verdict { code: Code::ExemptionUnused, days: 0, text }],
                owner: None,
                exposures: Vec::new(),
                age_days: None,
                staleness: Staleness::Unknown,
                exempt: None,
            });
        }
    }
}

fn covers(exemption: &Exemption, finding: &Finding) -> bool {
    let id = exemption.credential.as_str();
    match &finding.subject {
        Subject::Credential(credential) => credential.id.public_id == id || finding.key == id,
        Subject::Secret { public_id, .. } => {
            public_id.as_deref() == Some(id)
                || finding.key == id
                || finding.exposures.iter().any(|exposure| exposure.detection.fingerprint.as_str() == id)
        }
        Subject::Exemption { .. } | Subject::Schedule { .. } => false,
    }
}

#[cfg(test)]
mod tests;
