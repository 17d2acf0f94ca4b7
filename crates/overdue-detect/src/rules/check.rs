//! The proof of the rules: each is run over its own examples.

use std::fmt;

use super::generator::{Random, expand};
use super::rule::{Matcher, Rule};
use super::set::{Example, RuleSet};
use crate::engine;

/// Each example is made up this many times: a rule that needs luck is no rule.
const SEEDS: u64 = 5;

/// Something wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleProblem {
    /// The file it is in.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The rule's id; empty when the file could not be read that far.
    pub rule: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub mend: String,
}

impl fmt::Display for RuleProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.rule.is_empty() {
            write!(f, "{}: ", self.rule)?;
        }
        write!(f, "{} ({})", self.what.trim_end(), self.mend)
    }
}

pub(crate) fn check(set: &RuleSet) -> Vec<RuleProblem> {
    let mut problems = Vec::new();
    // Rules of another scanner's configuration bring no examples.
    for (index, rule) in set.rules.iter().enumerate().filter(|(index, _)| set.foreign.of(*index).is_none()) {
        let mut say = |what: String, mend: &str| {
            problems.push(RuleProblem {
                file: rule.file.clone(),
                line: rule.line,
                rule: rule.id.as_str().to_owned(),
                what,
                mend: mend.to_owned(),
            });
        };
        if rule.matches.is_empty() {
            say("it has no example".to_owned(), "add a text to `matches`");
        }
        if rule.ignores.is_empty() {
            say("it has no counter-example".to_owned(), "add a text to `ignores` that looks like it and is none");
        }
        if rule.revoke.is_empty() {
            say("it does not say how to revoke".to_owned(), "add a step to `revoke`");
        }
        if !rule.reference.starts_with("https://") {
            say("its reference is no https address".to_owned(), "point it at the format's public documentation");
        }
        let patterns = match &rule.matcher {
            Matcher::Pattern(pattern) => Some(pattern),
            _ => None,
        };
        if patterns.into_iter().chain(rule.pair.as_ref().map(|pair| &pair.secret)).any(|pattern| pattern.compiled().is_none()) {
            say("its pattern is too big to compile".to_owned(), "lower its repeats");
        }
        for (which, template) in rule.matches.iter().enumerate() {
            for seed in 0..SEEDS {
                match made(rule, template, seed) {
                    Err(what) => {
                        say(what, "correct the example");
                        break;
                    }
                    Ok(text) => {
                        let found = engine::find_all(set, text.as_bytes());
                        if found.iter().any(|found| found.rule == index) {
                            continue;
                        }
                        let instead: Vec<&str> = found.iter().map(|found| set.rule(found.rule).id.as_str()).collect();
                        let what = format!("example {} (seed {seed}) is not found; found instead: {instead:?}", which + 1);
                        say(what, "make the pattern fit the example, or the example the format");
                        break;
                    }
                }
            }
        }
        for (which, template) in rule.ignores.iter().enumerate() {
            for seed in 0..SEEDS {
                match made(rule, template, seed) {
                    Err(what) => {
                        say(what, "correct the counter-example");
                        break;
                    }
                    Ok(text) if engine::find_all(set, text.as_bytes()).iter().any(|found| found.rule == index) => {
                        say(format!("counter-example {} (seed {seed}) is found", which + 1), "make the pattern stricter");
                        break;
                    }
                    Ok(_) => {}
                }
            }
        }
    }
    problems
}

fn made(rule: &Rule, template: &str, seed: u64) -> Result<String, String> {
    expand(template, &mut Random::new(&format!("{} {template}", rule.id), seed))
}

pub(crate) fn example(set: &RuleSet, rule: &str, seed: u64) -> Option<Example> {
    let index = set.rules.iter().position(|candidate| candidate.id.as_str() == rule)?;
    let template = &set.rules[index].matches.first()?;
    let text = made(&set.rules[index], template, seed).ok()?;
    let found = engine::find_all(set, text.as_bytes()).into_iter().find(|found| found.rule == index)?;
    let secret = text.get(found.start as usize..found.end as usize)?.to_owned();
    Some(Example { text, secret, public_id: found.public_id })
}
