//! What to do about a finding, step by step, in the order that causes no outage, with the exact commands for this key.
//!
//! The words and commands are data (`templates/steps.toml`). A command is offered only when every name in it can be
//! shown to the letter and quoted as one word; otherwise the step says what to put there instead.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use overdue_core::{ArtifactKind, Code, Credential, CredentialKind, Finding, RuleFacts, Status, Subject};
use serde::Deserialize;

use crate::clean::{Shown, shell_word, visible};

/// Names a step may use.
const PLACEHOLDERS: [&str; 6] = ["id", "user", "name", "region", "service", "account"];

/// The whole data file, checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepBook {
    kinds: BTreeMap<CredentialKind, KindSteps>,
    found: FoundSteps,
    /// A schedule that was not kept.
    missed: Vec<RawStep>,
    places: BTreeMap<ArtifactKind, String>,
}

/// One kind's steps, by situation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct KindSteps {
    /// It lies exposed: done before anything else.
    #[serde(default)]
    exposed: Vec<RawStep>,
    /// It is used, or may be.
    rotate: Vec<RawStep>,
    /// It is not used.
    retire: Vec<RawStep>,
    /// It is switched off already.
    #[serde(default)]
    ended: Vec<RawStep>,
}

/// A secret that is in no inventory.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FoundSteps {
    /// Before the rule's own steps.
    before: Vec<RawStep>,
    /// Instead of the rule's steps, where it has none.
    unknown: Vec<RawStep>,
    /// After everything.
    after: Vec<RawStep>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    text: String,
    #[serde(default)]
    command: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBook {
    kind: BTreeMap<String, KindSteps>,
    found: FoundSteps,
    #[serde(default)]
    missed: Vec<RawStep>,
    place: BTreeMap<String, String>,
}

/// One step, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Step {
    pub(crate) number: Shown,
    pub(crate) text: Shown,
    /// Empty where the step is no command.
    pub(crate) command: Shown,
}

impl StepBook {
    /// Reads a steps file. Kinds it does not name are taken from `base`. The error carries a line, from 1.
    pub(crate) fn parse(source: &str, base: Option<&Self>) -> Result<Self, (usize, String)> {
        let raw: RawBook = toml::from_str(source).map_err(|error| {
            let line = error.span().map_or(1, |span| source[..span.start.min(source.len())].matches('\n').count() + 1);
            (line, error.message().to_owned())
        })?;
        let line_of = |needle: &str| source.lines().position(|line| line.contains(needle)).map_or(1, |at| at + 1);
        let mut book = Self { kinds: BTreeMap::new(), found: raw.found, missed: raw.missed, places: BTreeMap::new() };
        for (name, steps) in raw.kind {
            let kind: CredentialKind = name.parse().map_err(|error| (line_of(&name), format!("{error}")))?;
            book.kinds.insert(kind, steps);
        }
        for (name, text) in raw.place {
            let kind: ArtifactKind = name.parse().map_err(|error| (line_of(&name), format!("{error}")))?;
            book.places.insert(kind, text);
        }
        for step in book.all() {
            for template in [&step.text, &step.command] {
                for name in placeholders(template).map_err(|what| (line_of(template.lines().next().unwrap_or("")), what))? {
                    if !PLACEHOLDERS.contains(&name) {
                        let what =
                            format!("`{{{name}}}` is not known; there are {}", PLACEHOLDERS.map(|name| format!("{{{name}}}")).join(" "));
                        return Err((line_of(&format!("{{{name}}}")), what));
                    }
                }
            }
        }
        if let (true, Some(base)) = (book.missed.is_empty(), base) {
            book.missed.clone_from(&base.missed);
        }
        for kind in CredentialKind::ALL {
            if let Entry::Vacant(slot) = book.kinds.entry(kind) {
                let steps = base.and_then(|base| base.kinds.get(&kind)).ok_or_else(|| (1, format!("there are no steps for {kind}")))?;
                slot.insert(steps.clone());
            }
        }
        for kind in ArtifactKind::ALL {
            if let Entry::Vacant(slot) = book.places.entry(kind) {
                let text = base
                    .and_then(|base| base.places.get(&kind))
                    .ok_or_else(|| (1, format!("[place] says nothing of {}", kind.as_str())))?;
                slot.insert(text.clone());
            }
        }
        Ok(book)
    }

    fn all(&self) -> impl Iterator<Item = &RawStep> {
        let kinds = self.kinds.values().flat_map(|kind| [&kind.exposed, &kind.rotate, &kind.retire, &kind.ended]);
        kinds.chain([&self.found.before, &self.found.unknown, &self.found.after, &self.missed]).flatten()
    }

    /// The steps for one finding, numbered.
    pub(crate) fn of(&self, finding: &Finding, rule: Option<&RuleFacts>) -> Vec<Step> {
        let mut steps = Vec::new();
        match &finding.subject {
            Subject::Credential(credential) => {
                if let Some(kind) = self.kinds.get(&credential.id.kind) {
                    let dead = credential.status == Status::Inactive || finding.has(Code::ExpiredInPlace);
                    if finding.has(Code::Exposed) {
                        fill_all(&mut steps, &kind.exposed, Some(credential));
                    }
                    let chosen = if dead {
                        &kind.ended
                    } else if finding.has(Code::Unused) || finding.has(Code::NeverUsed) {
                        &kind.retire
                    } else {
                        &kind.rotate
                    };
                    fill_all(&mut steps, chosen, Some(credential));
                }
            }
            Subject::Secret { .. } => {
                fill_all(&mut steps, &self.found.before, None);
                match rule.filter(|rule| !rule.revoke.is_empty()) {
                    Some(rule) => steps.extend(rule.revoke.iter().map(|text| (Shown::line(text), Shown::default()))),
                    None => fill_all(&mut steps, &self.found.unknown, None),
                }
            }
            Subject::Exemption { .. } => {}
            Subject::Schedule { .. } => fill_all(&mut steps, &self.missed, None),
        }
        if !finding.exposures.is_empty() {
            let mut kinds: Vec<ArtifactKind> = finding.exposures.iter().map(|exposure| exposure.artifact_kind).collect();
            kinds.sort_unstable();
            kinds.dedup();
            let mut texts: Vec<&str> = Vec::new();
            for kind in kinds {
                if let Some(text) = self.places.get(&kind).filter(|text| !texts.contains(&text.as_str())) {
                    texts.push(text);
                }
            }
            steps.extend(texts.into_iter().map(|text| (Shown::line(text), Shown::default())));
            if matches!(finding.subject, Subject::Secret { .. }) {
                fill_all(&mut steps, &self.found.after, None);
            }
        }
        (1..).zip(steps).map(|(n, (text, command))| Step { number: Shown::line(&n.to_string()), text, command }).collect()
    }
}

fn fill_all(steps: &mut Vec<(Shown, Shown)>, raw: &[RawStep], credential: Option<&Credential>) {
    for step in raw {
        let text = fill(&step.text, |name| visible(&value(name, credential), 200));
        let mut unsafe_names = Vec::new();
        let command = fill(&step.command, |name| {
            shell_word(&value(name, credential)).unwrap_or_else(|| {
                unsafe_names.push(name.to_owned());
                format!("'<{name}>'")
            })
        });
        let text = match unsafe_names.first() {
            Some(name) => format!("{text} (Put the {name} where the command says <{name}>; it cannot be shown here to the letter.)"),
            None => text,
        };
        steps.push((Shown::line(&text), Shown::command(command)));
    }
}

/// What a placeholder stands for. Empty where it is not known.
fn value(name: &str, credential: Option<&Credential>) -> String {
    let Some(credential) = credential else { return String::new() };
    match name {
        "id" => credential.id.public_id.clone(),
        "user" if credential.principal.name.is_empty() => credential.name.clone(),
        "user" => credential.principal.name.clone(),
        "name" => credential.name.clone(),
        "region" => credential.region.as_ref().map(|region| region.as_str().to_owned()).unwrap_or_default(),
        "account" => credential.id.account.as_str().to_owned(),
        "service" => {
            credential.notes.iter().find_map(|note| note.strip_prefix("service: ")).map(|text| text.trim().to_owned()).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// The names between braces. `{{` is refused: these are no Handlebars templates, and nothing here needs a brace.
fn placeholders(template: &str) -> Result<Vec<&str>, String> {
    let mut names = Vec::new();
    let mut rest = template;
    while let Some(open) = rest.find(['{', '}']) {
        let inner = rest[open..].strip_prefix('{').ok_or("a `}` without its `{`")?;
        let close = inner.find(['{', '}']).filter(|at| inner[*at..].starts_with('}')).ok_or("a `{` without its `}`")?;
        names.push(&inner[..close]);
        rest = &inner[close + 1..];
    }
    Ok(names)
}

fn fill(template: &str, mut value: impl FnMut(&str) -> String) -> String {
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    // The file was checked when it was loaded: every brace has its partner.
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(&value(name));
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(source: &str) -> (usize, String) {
        StepBook::parse(source, None).expect_err("an error")
    }

    #[test]
    fn a_faulty_file_is_told_by_its_line() {
        assert_eq!(error("[kind]\n[found]\nbefore = [\n").0, 3);
        let (line, what) =
            error("[kind.\"aws.iam-acces-key\"]\nrotate = []\nretire = []\n[place]\n[found]\nbefore=[]\nunknown=[]\nafter=[]\n");
        assert_eq!((line, what.as_str()), (1, "`aws.iam-acces-key` is not a credential kind"));
        let (line, what) = error("[kind]\n[place]\n[found]\nbefore=[{text='x'},\n {text='{usr}'}]\nunknown=[]\nafter=[]\n");
        assert_eq!((line, what.as_str()), (5, "`{usr}` is not known; there are {id} {user} {name} {region} {service} {account}"));
    }

    #[test]
    fn braces_pair() {
        assert_eq!(placeholders("a {b} c {d}"), Ok(vec!["b", "d"]));
        for bad in ["a {b", "a }", "{{x}}", "{a{b}}"] {
            assert!(placeholders(bad).is_err(), "{bad}");
        }
    }
}
