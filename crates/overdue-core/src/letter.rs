//! Letters: what one owner gets, and the decision whether it goes out now.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Assessment, Code, Finding, Gap, Owner, Severity};

/// Which letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LetterKind {
    /// To one owner: what is theirs.
    Owner,
    /// To the security team: coverage first, then what nobody owns.
    Security,
}

/// What one owner gets in one period, from all accounts.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Which letter.
    pub kind: LetterKind,
    /// Addressee; has an address.
    pub to: Owner,
    /// What is theirs, worst first.
    pub findings: Vec<Finding>,
    /// What could not be seen; only in the security team's letter.
    pub gaps: Vec<Gap>,
}

impl Letter {
    /// How many items must be dealt with now: everything but what is only due soon.
    pub fn due_count(&self) -> usize {
        self.findings.iter().filter(|finding| finding.verdicts.iter().any(|verdict| verdict.code != Code::RotationDueSoon)).count()
    }
    /// The worst severity in it.
    pub fn severity(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Low)
    }
}

/// Groups what is due by owner: one letter each, plus one to the security team where there is an address for it.
///
/// Exempted findings are in no letter. A finding whose owner has no address, or has none at all, goes to security.
pub fn compose(assessment: &Assessment, security: Option<&str>) -> Vec<Letter> {
    let mut by_address: BTreeMap<String, Letter> = BTreeMap::new();
    let mut unowned: Vec<Finding> = Vec::new();
    for finding in assessment.findings.iter().filter(|finding| finding.exempt.is_none()) {
        match finding.owner.as_ref().and_then(|claim| claim.owner.address.as_ref().map(|address| (claim, address))) {
            Some((claim, address)) => by_address
                .entry(address.to_ascii_lowercase())
                .or_insert_with(|| Letter { kind: LetterKind::Owner, to: claim.owner.clone(), findings: Vec::new(), gaps: Vec::new() })
                .findings
                .push(finding.clone()),
            None => unowned.push(finding.clone()),
        }
    }
    let mut letters: Vec<Letter> = by_address.into_values().collect();
    if let Some(address) = security
        && (!unowned.is_empty() || !assessment.gaps.is_empty() || !letters.is_empty())
    {
        letters.push(Letter {
            kind: LetterKind::Security,
            to: Owner { name: "Security".into(), address: Some(address.to_owned()) },
            findings: unowned,
            gaps: assessment.gaps.clone(),
        });
    }
    letters
}

/// The decision to send one letter now.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What makes it the only one: `<job>/<period>/<kind>/<address>`.
    pub key: String,
    /// The letter.
    pub letter: Letter,
}

/// Decides what is sent now: each letter whose key is not among those already sent in this period.
pub fn plan_notices(letters: Vec<Letter>, job: &str, period: &str, sent: &BTreeSet<String>) -> Vec<Notice> {
    letters
        .into_iter()
        .filter_map(|letter| {
            let address = letter.to.address.as_ref()?.to_ascii_lowercase();
            let kind = match letter.kind {
                LetterKind::Owner => "owner",
                LetterKind::Security => "security",
            };
            let key = format!("{job}/{period}/{kind}/{address}");
            (!sent.contains(&key)).then_some(Notice { key, letter })
        })
        .collect()
}
