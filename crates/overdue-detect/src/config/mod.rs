//! What a project already has: rules of its own, `.gitleaks.toml`, `.gitleaksignore`, markers beside a secret.
//!
//! Promise: a file is read as it is, or refused with its line and the mend; what is read and not honoured is a warning
//! with its line; and what is allowed is listed, never lost. docs/scan-config.md is the page for users.
//!
//! [`ScanRules`] puts rules together, [`Allow`] tells a scanner what to honour, [`Ignores`] is asked about each detection.
//! None of them does IO: whoever calls reads the files.

mod allowlist;
mod fields;
mod gitleaks;
mod go_regex;
mod ignore;
mod inline;
mod names;

pub use allowlist::{Allow, Allowed, AllowedBy, Allowlists};
pub(crate) use allowlist::{Honoured, Judged};
pub use gitleaks::GitleaksConfig;
pub(crate) use go_regex::GoRegex;
pub(crate) use ignore::full_path;
pub use ignore::{Entry, Ignores};
pub use inline::UnusedMarker;
pub(crate) use inline::{Seen, lines_of, mark};

use overdue_core::{Confidence, RuleId};

use self::allowlist::Scope;
use self::fields::problem;
use self::gitleaks::Block;
use crate::rules::builtin;
use crate::rules::file::{self, nearest};
use crate::rules::foreign::{Foreign, Nearby};
use crate::rules::rule::{Matcher, Needs, Rule, Trigger, rank_of};
use crate::rules::{RuleError, RuleProblem, RuleSet};

/// The rules and allowlists of a scan, put together from what a project has.
#[derive(Debug)]
pub struct ScanRules {
    /// What to look for.
    pub rules: RuleSet,
    /// What is no secret; for [`Allow::lists`].
    pub allowlists: Allowlists,
    /// What was read and is not honoured, each with its file and line.
    pub warnings: Vec<RuleProblem>,
}

impl ScanRules {
    /// The built-in rules, the user's own rule files (pairs of a name and a text, see [`RuleSet::with_rules`]), and a
    /// configuration of gitleaks.
    ///
    /// Our built-in rules stand for gitleaks' default rules: they run unless there is a configuration that has rules and
    /// does not extend the default. A rule of theirs that has the id of a default rule changes ours of the same kind.
    pub fn compose(files: &[(&str, &str)], gitleaks: Option<&GitleaksConfig>) -> Result<Self, RuleError> {
        let mut sources: Vec<(&str, &str)> = builtin::FILES.iter().chain(files).copied().collect();
        let rules = file::read(&sources).map_err(|problems| RuleError { problems })?;
        let Some(config) = gitleaks else {
            return Ok(Self {
                rules: RuleSet::assemble(rules, Vec::new(), &sources)?,
                allowlists: Allowlists::default(),
                warnings: Vec::new(),
            });
        };
        let mut mix = Mix {
            off: vec![false; rules.len()],
            rules,
            lists: Allowlists::default(),
            problems: Vec::new(),
            warnings: config.warnings.clone(),
        };
        mix.warnings.extend(config.missing());
        mix.leave_out(config);
        let blocks = mix.take_over(config);
        mix.allow(config, &blocks);
        let foreign = mix.foreign(config, &blocks);
        if !mix.problems.is_empty() {
            return Err(RuleError { problems: mix.problems });
        }
        sources.extend(config.files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        // Whether the default was asked for by the caller is a part of what is looked for.
        sources.push(("useDefault", if config.wants_default() { "true" } else { "false" }));
        let rules = RuleSet::assemble(mix.rules, foreign, &sources)?;
        mix.warnings.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        Ok(Self { rules, allowlists: mix.lists, warnings: mix.warnings })
    }
}

/// Rules of gitleaks' form are in none of the rule files.
const OF_GITLEAKS: usize = usize::MAX;

/// Whether it comes with the program, and no other stands for it.
fn is_builtin(rule: &Rule) -> bool {
    rule.source < builtin::FILES.len()
}

/// Rules while a configuration is worked into them.
struct Mix {
    rules: Vec<Rule>,
    /// Rules that are not to run.
    off: Vec<bool>,
    lists: Allowlists,
    problems: Vec<RuleProblem>,
    warnings: Vec<RuleProblem>,
}

impl Mix {
    /// Our built-in rules for an id of theirs or of ours.
    fn ours(&self, id: &str) -> Vec<usize> {
        (0..self.rules.len()).filter(|&index| is_builtin(&self.rules[index]) && names::names(id, self.rules[index].id.as_str())).collect()
    }

    /// Turns off what the configuration does not want.
    fn leave_out(&mut self, config: &GitleaksConfig) {
        if !config.wants_default() {
            for (off, rule) in self.off.iter_mut().zip(&self.rules) {
                *off = is_builtin(rule);
            }
        } else if !config.use_default {
            let file = config.files.first().map_or("", |(name, _)| name);
            let what = "it has no rules and does not say `useDefault`, by which gitleaks finds nothing; our built-in rules run";
            self.warnings.push(problem(file, 1, "", what, "say `useDefault = true` under `[extend]`"));
        }
        for disabled in &config.disabled {
            let ours = self.ours(&disabled.id);
            ours.iter().for_each(|&index| self.off[index] = true);
            // A kind of theirs that we have no rule for does not run anyway.
            if ours.is_empty() && !disabled.hit && names::ours(&disabled.id).is_none() {
                let known = self.rules.iter().map(|rule| rule.id.as_str());
                let mend = match nearest(&disabled.id, known.chain(names::all().map(|id: &str| id))) {
                    Some(known) => format!("did you mean `{known}`?"),
                    None => "remove it, or name a rule of what is extended".to_owned(),
                };
                let what = format!("`disabledRules` names `{}`, which is no rule of gitleaks' default or of ours", disabled.id);
                self.warnings.push(problem(&disabled.file, disabled.line, "", what, mend));
            }
        }
    }

    /// Works blocks that change a default rule into ours; returns the blocks that are rules of their own.
    fn take_over<'c>(&mut self, config: &'c GitleaksConfig) -> Vec<&'c Block> {
        let mut own = Vec::new();
        for block in &config.blocks {
            let ours: Vec<usize> = if config.wants_default() { self.ours(&block.id) } else { Vec::new() };
            if block.regex.is_some() || block.finds() && ours.is_empty() {
                if !ours.is_empty() {
                    let ids: Vec<&str> = ours.iter().map(|&index| self.rules[index].id.as_str()).collect();
                    let what = format!("its regex stands for the default one, so that ours of that kind does not run: {}", ids.join(", "));
                    self.warnings.push(problem(&block.file, block.line, &block.id, what, "remove the `regex` to have ours"));
                    ours.iter().for_each(|&index| self.off[index] = true);
                }
                if self.rules.iter().any(|rule| !is_builtin(rule) && rule.id.as_str() == block.id) {
                    self.problems.push(problem(
                        &block.file,
                        block.line,
                        &block.id,
                        "the id is taken by a rule of a rule file",
                        "give one of the two another id",
                    ));
                }
                own.push(block);
            } else if !ours.is_empty() {
                self.change(block, &ours);
            } else if block.crippled || config.missing().is_some() {
                // Said already: its regex is too big, or in a file that was not read.
            } else if config.wants_default() && names::ours(&block.id).is_some() {
                let what = "it changes a default rule of a kind that we have no rule for";
                self.warnings.push(problem(&block.file, block.line, &block.id, what, "give it a `regex` to have it run"));
            } else {
                let what = "it has neither `regex` nor `path`, and finds nothing";
                self.problems.push(problem(&block.file, block.line, &block.id, what, "give it a `regex`, or remove it"));
            }
        }
        own
    }

    /// A block without a regex changes ours of its kind; its allowlists are taken by [`Self::allow`].
    fn change(&mut self, block: &Block, ours: &[usize]) {
        let mut not_honoured = Vec::new();
        for &index in ours {
            let rule = &mut self.rules[index];
            if block.entropy > 0.0 {
                if matches!(rule.matcher, Matcher::Pattern(_)) { rule.entropy_min = block.entropy } else { not_honoured.push("entropy") }
            }
        }
        not_honoured.dedup();
        not_honoured.extend(block.path.is_some().then_some("path"));
        not_honoured.extend((block.secret_group > 0).then_some("secretGroup"));
        not_honoured.extend((!block.keywords.is_empty()).then_some("keywords"));
        not_honoured.extend((!block.required.is_empty()).then_some("required"));
        if block.skip_report {
            not_honoured.push("skipReport");
        }
        for field in not_honoured {
            let what = format!("`{field}` is not honoured: the rule is ours, {}, and knows better", self.rules[ours[0]].id);
            self.warnings.push(problem(&block.file, block.line, &block.id, what, "give the block a `regex` to have it run as it is"));
        }
    }

    fn allow(&mut self, config: &GitleaksConfig, own: &[&Block]) {
        // The ids of ours and theirs by which a block's rules run.
        let ids_of = |mix: &Self, id: &str| -> Vec<RuleId> {
            if own.iter().any(|block| block.id == id) || mix.rules.iter().any(|rule| !is_builtin(rule) && rule.id.as_str() == id) {
                return vec![RuleId::new(id)];
            }
            mix.ours(id).into_iter().filter(|&index| !mix.off[index]).map(|index| mix.rules[index].id.clone()).collect()
        };
        for global in &config.lists {
            if global.targets.is_empty() {
                self.lists.lists.push((Scope::All, global.list.clone()));
                continue;
            }
            let mut ids = Vec::new();
            for (target, line) in &global.targets {
                let found = ids_of(self, target);
                if found.is_empty() {
                    let what = match names::ours(target) {
                        Some([]) => format!("`targetRules` names `{target}`, a kind that we have no rule for"),
                        Some(_) => format!("`targetRules` names `{target}`, which does not run"),
                        None => format!("`targetRules` names `{target}`, which is no rule"),
                    };
                    self.warnings.push(problem(&global.list.file, *line, "", what, "remove it, or correct its name"));
                }
                ids.extend(found);
            }
            self.lists.lists.push((Scope::Rules(ids), global.list.clone()));
        }
        for block in &config.blocks {
            let ids = ids_of(self, &block.id);
            self.lists.lists.extend(block.allowlists.iter().map(|list| (Scope::Rules(ids.clone()), list.clone())));
        }
    }

    /// Adds the blocks that are rules of their own, and removes the rules that are off.
    fn foreign(&mut self, config: &GitleaksConfig, own: &[&Block]) -> Vec<Foreign> {
        self.remove_off();
        let first = self.rules.len();
        self.rules.extend(own.iter().map(|block| rule_of(block)));
        let index_of = |mix: &Self, id: &str| -> Vec<usize> {
            own.iter().position(|block| block.id == id).map_or_else(|| mix.ours(id), |at| vec![first + at])
        };
        let mut foreign = Vec::new();
        for (at, block) in own.iter().enumerate() {
            if block.crippled && block.regex.is_none() {
                // Without its regex it would find every file of its path.
                continue;
            }
            let mut required = Vec::new();
            for wanted in &block.required {
                let rules = index_of(self, &wanted.id);
                if rules.is_empty() {
                    let what = format!("it requires `{}`, which does not run, and so finds nothing", wanted.id);
                    self.warnings.push(problem(&block.file, wanted.line, &block.id, what, "have that rule run, or remove `required`"));
                }
                required.push(Nearby { rules, lines: wanted.lines, columns: wanted.columns });
            }
            foreign.push(Foreign {
                rule: first + at,
                regex: block.regex.clone(),
                path: block.path.clone(),
                keywords: block.keywords.clone(),
                secret_group: block.secret_group,
                entropy_above: block.entropy,
                required,
                skip_report: block.skip_report,
            });
        }
        for block in own.iter().filter(|block| block.skip_report) {
            let used = config.blocks.iter().any(|other| other.required.iter().any(|wanted| wanted.id == block.id));
            if !used {
                let what = "it says `skipReport`, and no rule requires it: it does nothing";
                self.warnings.push(problem(&block.file, block.line, &block.id, what, "remove `skipReport`, or the rule"));
            }
        }
        foreign
    }

    fn remove_off(&mut self) {
        let mut next = 0;
        let places: Vec<Option<usize>> = self
            .off
            .iter()
            .map(|&off| {
                let place = (!off).then_some(next);
                next += usize::from(!off);
                place
            })
            .collect();
        let mut off = self.off.iter();
        self.rules.retain(|_| !off.next().copied().unwrap_or(false));
        for rule in &mut self.rules {
            if let Some(pair) = &mut rule.pair {
                pair.alone = pair.alone.and_then(|alone| places[alone]);
            }
        }
        self.off = vec![false; self.rules.len()];
    }
}

/// What the rest of the crate wants to know about a block of theirs.
fn rule_of(block: &Block) -> Rule {
    let title = if block.description.is_empty() { block.id.clone() } else { block.description.clone() };
    Rule {
        id: RuleId::new(block.id.clone()),
        title,
        service: "unknown".to_owned(),
        revoke: vec!["Make it worthless where it was issued, then put the new one in its place.".to_owned()],
        reference: String::new(),
        file: block.file.clone(),
        line: block.line,
        source: OF_GITLEAKS,
        // A regex of someone else's may be as exact as one of ours; its author was sure enough to write it.
        confidence: Confidence::Certain,
        id_only: false,
        text_only: true,
        trigger: Trigger::Fallback,
        matcher: Matcher::None,
        literals: Vec::new(),
        before: 0,
        after: 0,
        names: Vec::new(),
        any_name: true,
        checksum: None,
        checksum_lenient: false,
        entropy_min: 0.0,
        needs: Needs::default(),
        pair: None,
        public_prefix: None,
        rank: rank_of::FOREIGN,
        matches: Vec::new(),
        ignores: Vec::new(),
    }
}
