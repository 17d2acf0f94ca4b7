//! What templates see: ready strings, every field always there.
//!
//! All text is [`Shown`], so a template cannot be handed anything raw. The fields of these structs are what people write
//! in their own templates: a renamed field breaks them, and needs a line in CHANGELOG.md.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use overdue_core::{
    AccountId, ArtifactKind, Code, Coverage, Exposure, Finding, Gap, GapReason, Inventory, ProviderKind, Subject, Target, TargetCount,
    TargetKind, TargetState,
};
use serde::Serialize;

use crate::clean::{Shown, visible};
use crate::steps::{Step, StepBook};
use crate::words;

/// Places named for one finding; the rest is counted. A secret in 2,000 commits must not make a letter nobody reads.
pub(crate) const PLACES_MAX: usize = 12;

/// Subjects named for one group of gaps; the rest is counted.
const GAP_SUBJECTS_MAX: usize = 5;

/// What every view needs to say things.
pub(crate) struct Teller<'a> {
    pub(crate) now: Timestamp,
    pub(crate) zone: &'a TimeZone,
    pub(crate) inventory: &'a Inventory,
    pub(crate) steps: &'a StepBook,
}

/// A fact with its name.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FactView {
    pub(crate) label: Shown,
    pub(crate) value: Shown,
}

/// One thing that is the matter.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct VerdictView {
    pub(crate) code: Shown,
    pub(crate) text: Shown,
    pub(crate) meaning: Shown,
}

/// One finding.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FindingView {
    pub(crate) number: Shown,
    /// `Critical`
    pub(crate) severity: Shown,
    /// `critical`
    pub(crate) severity_code: Shown,
    pub(crate) title: Shown,
    /// `exposed, rotation-overdue`
    pub(crate) codes: Shown,
    pub(crate) verdicts: Vec<VerdictView>,
    /// The gravest, in a sentence.
    pub(crate) headline: Shown,
    pub(crate) kind: Shown,
    pub(crate) id: Shown,
    pub(crate) account: Shown,
    pub(crate) age: Shown,
    pub(crate) due: Shown,
    pub(crate) last_used: Shown,
    pub(crate) owner: Shown,
    pub(crate) owner_why: Shown,
    /// All of the above that is known, with labels, in reading order.
    pub(crate) facts: Vec<FactView>,
    pub(crate) places: Vec<Shown>,
    /// `and 40 more places`, or empty.
    pub(crate) places_more: Shown,
    pub(crate) steps: Vec<Step>,
    /// Why the risk is accepted and until when, or empty.
    pub(crate) exempt: Shown,
}

/// Gaps of one account with one reason and one permission.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct GapView {
    pub(crate) count: Shown,
    pub(crate) account: Shown,
    pub(crate) reason: Shown,
    /// `denied`
    pub(crate) reason_code: Shown,
    pub(crate) permission: Shown,
    pub(crate) mend: Shown,
    /// What was not seen, some of it.
    pub(crate) subjects: Vec<Shown>,
    pub(crate) subjects_more: Shown,
    /// Says that nobody knows how much was not seen, or empty.
    pub(crate) open_ended: Shown,
    /// The provider's own words for one of them.
    pub(crate) detail: Shown,
}

/// Targets of one account and kind that were not scanned for one reason.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TargetView {
    pub(crate) count: Shown,
    /// `functions`
    pub(crate) kind: Shown,
    pub(crate) account: Shown,
    /// `failed`, `skipped`, `not reached`
    pub(crate) state: Shown,
    pub(crate) why: Shown,
    pub(crate) names: Vec<Shown>,
    pub(crate) names_more: Shown,
}

impl Teller<'_> {
    /// One finding in words.
    pub(crate) fn finding(&self, number: usize, finding: &Finding, with_steps: bool) -> FindingView {
        let mut facts = Facts::default();
        let (kind, id);
        let (mut account, mut age, mut last_used) = (Shown::default(), Shown::default(), Shown::default());
        match &finding.subject {
            Subject::Credential(credential) => {
                kind = Shown::name(&words::capital(credential.id.kind.title()));
                id = Shown::id(&credential.id.public_id);
                account = Shown::line(&words::account(&credential.id.account, &self.inventory.accounts));
                age = Shown::line(&words::age(&credential.issued_at, finding.age_days, self.zone));
                last_used = Shown::line(&words::last_used(&credential.last_used, self.now, self.zone));
                facts.add("Id", id.clone());
                if !credential.name.is_empty() && credential.name != credential.id.public_id {
                    facts.add("Name", Shown::name(&credential.name));
                }
                if !credential.principal.arn.is_empty() {
                    facts.add("Speaks as", Shown::id(&credential.principal.arn));
                }
                facts.add("Account", account.clone());
                if let Some(region) = &credential.region {
                    facts.add("Region", Shown::name(region.as_str()));
                }
                facts.add("Age", age.clone());
                facts.add("Last use", last_used.clone());
            }
            Subject::Secret { rule, title, preview, public_id, names_account } => {
                kind = Shown::name(title);
                id = public_id.as_deref().map(Shown::id).unwrap_or_default();
                facts.add("Rule", Shown::name(rule.as_str()));
                facts.add("Id", id.clone());
                facts.add("Preview", Shown::name(preview));
                if let Some(named) = names_account {
                    account = Shown::line(&words::account(named, &self.inventory.accounts));
                    facts.add("Belongs to account", account.clone());
                }
                last_used = "Unknown: it is in no inventory we read".into();
                facts.add("Last use", last_used.clone());
                if let Some(first) = finding.exposures.iter().map(|exposure| exposure.first_seen_at).min() {
                    age = Shown::line(&format!("First seen by us on {}", words::day(first, self.zone)));
                    facts.add("Age", age.clone());
                }
            }
            Subject::Exemption { credential } => {
                kind = "Exemption".into();
                id = Shown::id(credential);
                facts.add("Exempts", id.clone());
            }
            Subject::Schedule { job } => {
                kind = "Schedule".into();
                id = Shown::id(job);
                facts.add("Job", id.clone());
            }
        }
        let due = Shown::line(&words::due(finding.staleness, self.now, self.zone));
        facts.add("Rotation due", due.clone());
        if let Subject::Credential(credential) = &finding.subject {
            if let Some(at) = credential.expires_at {
                let text = format!("{}, {}", words::day(at, self.zone), words::relative(at, self.now, self.zone));
                facts.add("Ends by itself", Shown::line(&text));
            }
            if !credential.notes.is_empty() {
                let notes: Vec<String> = credential.notes.iter().map(|note| visible(note, 200)).collect();
                facts.add("Notes", Shown::line(&notes.join("; ")));
            }
        }
        let (owner, owner_why) = match &finding.owner {
            Some(claim) => (Shown::line(&words::owner(claim)), Shown::line(&words::capital(&visible(&claim.evidence, 500)))),
            None if matches!(finding.subject, Subject::Exemption { .. }) => ("Whoever keeps the job's policy".into(), Shown::default()),
            None if matches!(finding.subject, Subject::Schedule { .. }) => ("Whoever runs `overdue serve`".into(), Shown::default()),
            None => ("Unknown: no tag, owners file, author or account contact names anybody".into(), Shown::default()),
        };
        facts.add("Owner", owner.clone());
        facts.add("Why this owner", owner_why.clone());

        let verdicts: Vec<VerdictView> = finding
            .verdicts
            .iter()
            .map(|verdict| VerdictView {
                code: verdict.code.as_str().into(),
                text: Shown::line(&verdict.text),
                meaning: verdict.code.meaning().into(),
            })
            .collect();
        let codes: Vec<&str> = finding.verdicts.iter().map(|verdict| verdict.code.as_str()).collect();
        FindingView {
            number: Shown::line(&number.to_string()),
            severity: Shown::line(&words::capital(finding.severity.as_str())),
            severity_code: finding.severity.as_str().into(),
            title: title(finding),
            codes: Shown::line(&codes.join(", ")),
            headline: verdicts.first().map(|verdict| verdict.text.clone()).unwrap_or_default(),
            verdicts,
            kind,
            id,
            account,
            age,
            due,
            last_used,
            owner,
            owner_why,
            facts: facts.0,
            places: finding.exposures.iter().take(PLACES_MAX).map(|exposure| self.place(exposure)).collect(),
            places_more: more(finding.exposures.len(), PLACES_MAX, "place", "places"),
            steps: if with_steps { self.steps.of(finding, self.rule(finding)) } else { Vec::new() },
            exempt: finding
                .exempt
                .as_ref()
                .map(|exemption| {
                    Shown::line(&format!("{} (until {})", visible(&exemption.reason, 300), words::day(exemption.until, self.zone)))
                })
                .unwrap_or_default(),
        }
    }

    fn rule(&self, finding: &Finding) -> Option<&overdue_core::RuleFacts> {
        match &finding.subject {
            Subject::Secret { rule, .. } => self.inventory.rules.get(rule),
            _ => None,
        }
    }

    /// Where it lies, and what is odd about that: an old version, a place that could not be read again.
    pub(crate) fn place(&self, exposure: &Exposure) -> Shown {
        let mut text = visible(&exposure.place_text(), 700);
        if !exposure.detection.decoded.is_empty() {
            text.push_str(&format!(", written in {}", visible(&exposure.detection.decoded, 60)));
        }
        // A git place says itself that no tip holds it any more.
        if !exposure.latest && exposure.artifact_kind != ArtifactKind::GitBlob {
            text.push_str(" [old version]");
        }
        Shown::line(&text)
    }

    /// Targets in one of these states, by account, kind and reason, the largest group first.
    pub(crate) fn targets(&self, coverage: &Coverage, states: &[&str]) -> Vec<TargetView> {
        let mut groups: BTreeMap<(ProviderKind, &AccountId, TargetKind, &str, String), Vec<&Target>> = BTreeMap::new();
        for TargetCount { target, state, .. } in coverage.targets.iter().filter(|target| states.contains(&target.state.as_str())) {
            let why = match state {
                TargetState::Skipped { why } => visible(why, 500),
                TargetState::Failed { reason, why } => format!("{}: {}", reason_title(*reason), visible(why, 500)),
                TargetState::Listed => "the run ended before it was reached".to_owned(),
                TargetState::Scanned => String::new(),
            };
            groups.entry((target.provider, &target.account, target.kind, state.as_str(), why)).or_default().push(target);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by(|(a_key, a), (b_key, b)| b.len().cmp(&a.len()).then_with(|| a_key.cmp(b_key)));
        groups
            .into_iter()
            .map(|((provider, account, kind, state, why), targets)| TargetView {
                count: Shown::line(&words::number(targets.len() as u64)),
                kind: kind.as_str().into(),
                account: self.account(provider.as_str(), account),
                state: if state == "listed" {
                    "not reached"
                } else if state == "skipped" {
                    "skipped"
                } else {
                    "failed"
                }
                .into(),
                why: Shown::line(&why),
                names: targets.iter().take(GAP_SUBJECTS_MAX).map(|target| target_name(target)).collect(),
                names_more: more(targets.len(), GAP_SUBJECTS_MAX, "target", "targets"),
            })
            .collect()
    }

    /// `AWS account prod (111111111111)`, `This machine, build-host`.
    fn account(&self, provider: &str, id: &AccountId) -> Shown {
        Shown::line(format!("{} {}", provider_title(provider), words::account(id, &self.inventory.accounts)).trim())
    }

    /// Gaps by account, reason and permission, the largest group first.
    pub(crate) fn gaps(&self, gaps: &[Gap]) -> Vec<GapView> {
        let mut groups: BTreeMap<(String, GapReason, &str), Vec<&Gap>> = std::collections::BTreeMap::new();
        for gap in gaps {
            let account = account_of_target(gap.target.as_str());
            groups.entry((account.to_owned(), gap.reason, gap.permission.as_str())).or_default().push(gap);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by(|(a_key, a), (b_key, b)| b.len().cmp(&a.len()).then_with(|| a_key.cmp(b_key)));
        groups
            .into_iter()
            .map(|((account, reason, permission), gaps)| {
                let open_ended = gaps.iter().filter(|gap| gap.open_ended).count();
                let (provider, id) = account.split_once('/').unwrap_or(("", &account));
                let account = self.account(provider, &AccountId::new(id));
                GapView {
                    count: Shown::line(&words::number(gaps.len() as u64)),
                    account,
                    reason: reason_title(reason).into(),
                    reason_code: reason.as_str().into(),
                    permission: Shown::name(permission),
                    mend: gaps.iter().find(|gap| !gap.mend.is_empty()).map(|gap| Shown::line(&visible(&gap.mend, 500))).unwrap_or_default(),
                    subjects: gaps.iter().take(GAP_SUBJECTS_MAX).map(|gap| Shown::line(&visible(&gap.subject, 300))).collect(),
                    subjects_more: more(gaps.len(), GAP_SUBJECTS_MAX, "gap", "gaps"),
                    open_ended: match open_ended {
                        0 => Shown::default(),
                        1 if gaps.len() == 1 => "A listing broke off: how much was not seen is not known".into(),
                        n => Shown::line(&format!(
                            "{} broke off: how much was not seen is not known",
                            words::count(n, "listing", "listings")
                        )),
                    },
                    detail: gaps.first().map(|gap| Shown::line(&visible(&gap.detail, 500))).unwrap_or_default(),
                }
            })
            .collect()
    }
}

#[derive(Default)]
struct Facts(Vec<FactView>);

impl Facts {
    fn add(&mut self, label: &'static str, value: Shown) {
        if !value.is_empty() {
            self.0.push(FactView { label: label.into(), value });
        }
    }
}

/// What the finding is about, to stand as its heading.
pub(crate) fn title(finding: &Finding) -> Shown {
    let text = match &finding.subject {
        Subject::Credential(credential) => {
            let kind = words::capital(credential.id.kind.title());
            let id = &credential.id.public_id;
            let name = visible(&credential.name, 120);
            if id.starts_with("arn:") || id.starts_with("user/") || id.len() > 64 {
                format!("{kind} {}", if name.is_empty() { visible(id, 200) } else { name })
            } else if credential.principal.name.is_empty() {
                format!("{kind} {}", visible(id, 120))
            } else {
                format!("{kind} {} of {}", visible(id, 120), visible(&credential.principal.name, 120))
            }
        }
        Subject::Secret { title, preview, public_id, .. } => {
            format!("{} {}", visible(title, 120), visible(public_id.as_deref().unwrap_or(preview), 120))
        }
        Subject::Exemption { credential } => format!("Exemption for {}", visible(credential, 160)),
        Subject::Schedule { job } => format!("Schedule of {}", visible(job, 160)),
    };
    Shown::line(&text)
}

/// `and 40 more places`, or nothing.
pub(crate) fn more(all: usize, shown: usize, one: &str, many: &str) -> Shown {
    let rest = all.saturating_sub(shown);
    if rest == 0 {
        Shown::default()
    } else {
        Shown::line(&format!("and {} more {}", words::number(rest as u64), if rest == 1 { one } else { many }))
    }
}

/// What tells one target of a kind from the others.
fn target_name(target: &Target) -> Shown {
    let region = target.region.as_ref().map_or("", |region| region.as_str());
    match (region, target.name.as_str()) {
        ("", "") => target.kind.as_str().into(),
        (region, "") => Shown::name(region),
        ("", name) => Shown::id(name),
        (region, name) => Shown::line(&format!("{} ({})", visible(name, 500), visible(region, 60))),
    }
}

/// The first two parts of a target's key: `aws/111111111111`.
fn account_of_target(target: &str) -> &str {
    target.match_indices('/').nth(1).map_or(target, |(at, _)| &target[..at])
}

/// What people call a provider.
pub(crate) fn provider_title(provider: &str) -> &str {
    match provider {
        "aws" => "AWS account",
        "machine" => "This machine,",
        other => other,
    }
}

/// A reason, to stand after a number: `3 denied`.
pub(crate) const fn reason_title(reason: GapReason) -> &'static str {
    match reason {
        GapReason::Denied => "access denied",
        GapReason::Throttled => "throttled until the budget was spent",
        GapReason::Unauthenticated => "not signed in",
        GapReason::Vanished => "gone before it was read",
        GapReason::Truncated => "cut short on the way",
        GapReason::BrokenListing => "broken listing",
        GapReason::ProviderFault => "the provider's own fault",
        GapReason::Unreachable => "not reachable",
        GapReason::TooLarge => "larger than the limit",
        GapReason::TooDeep => "nested deeper than the limit",
        GapReason::TooMany => "more parts than the limit",
        GapReason::Encrypted => "encrypted with a key we do not have",
        GapReason::Archived => "in cold storage",
        GapReason::Corrupt => "damaged",
        GapReason::Unsupported => "a form we do not read",
        GapReason::Deadline => "the deadline passed first",
        GapReason::Missing => "not there",
        GapReason::Internal => "failed inside Overdue",
    }
}

/// Verdict codes that occur, gravest first.
pub(crate) fn codes<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<Code> {
    let set: std::collections::BTreeSet<Code> = findings.flat_map(|finding| finding.verdicts.iter().map(|verdict| verdict.code)).collect();
    set.into_iter().collect()
}
