//! Rule files: what TOML may say, and what it becomes.
//!
//! Strict: an unknown field is an error that names file and line, and everything wrong with a file is said at once.

use overdue_core::{Confidence, RuleId};
use serde::Deserialize;

use super::check::RuleProblem;
use super::checksum::Checksum;
use super::pattern::Pattern;
use super::rule::{Matcher, Needs, Pair, Rule, Trigger, rank_of};

/// How far from a keyword its secret may stand when the rule does not say.
const AFTER_DEFAULT: usize = 120;
/// The farthest a rule may look: the scanner keeps that much text at hand.
pub(crate) const REACH_MAX: usize = 4096;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    rule: Vec<RawRule>,
}

/// One block of a rule file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRule {
    /// `<service>.<kind>`, stable for ever.
    id: toml::Spanned<String>,
    /// Stands for the rule of the same id in an earlier file, which then does not run.
    #[serde(default)]
    replaces: bool,
    /// What a person calls what it finds.
    title: String,
    /// What it opens.
    service: String,
    /// Literals the match begins with, case as written. Give these, or `infixes`, or `keywords`.
    #[serde(default)]
    prefixes: Vec<String>,
    /// Literals that stand somewhere inside every match.
    #[serde(default)]
    infixes: Vec<String>,
    /// Words that stand near the secret, case aside.
    #[serde(default)]
    keywords: Vec<String>,
    /// What the secret looks like: a regular expression over bytes, every repeat bounded. Group `secret` when the secret is
    /// only part of it, group `id` for a public id inside it.
    pattern: Option<String>,
    /// A built-in matcher instead of a pattern.
    matcher: Option<RawMatcher>,
    /// For `keywords`: how many bytes before one the secret may stand (0) …
    before: Option<usize>,
    /// … and after it (120).
    after: Option<usize>,
    /// For `keywords`: words of which the name before the secret must hold one, instead of the usual key, token, secret …
    #[serde(default)]
    names: Vec<String>,
    /// For `keywords`: the secret needs no name before it.
    #[serde(default)]
    any_name: bool,
    checksum: Option<Checksum>,
    /// A broken checksum makes a match likely instead of nothing.
    #[serde(default)]
    checksum_lenient: bool,
    /// Least Shannon entropy of the secret in bits a byte. `keywords` rules have 3.0 unless they say otherwise.
    entropy_min: Option<f32>,
    /// `digit`, `upper`, `lower`: the secret has at least one of each named. `keywords` rules need a digit.
    needs: Option<Vec<Need>>,
    pair: Option<RawPair>,
    /// The only part of the secret a report may show. The prefix that matched, unless said.
    public_prefix: Option<String>,
    confidence: Option<RawConfidence>,
    /// A public id alone, no secret by itself.
    #[serde(default)]
    id_only: bool,
    /// Not looked for in binary content.
    #[serde(default)]
    text_only: bool,
    /// How to make it worthless, one sentence a step.
    #[serde(default)]
    revoke: Vec<String>,
    /// Public documentation of the format.
    #[serde(default)]
    reference: String,
    // `RuleSet::check` asks for the four of them; only the built-in rules have to pass it.
    /// Texts in which it must be found. `{{name:length}}` makes up characters, see `generator`.
    #[serde(default)]
    matches: Vec<String>,
    /// Texts in which it must not be found.
    #[serde(default)]
    ignores: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPair {
    /// What the secret looks like; the rule's own pattern is the id.
    pattern: String,
    #[serde(default)]
    before: usize,
    #[serde(default)]
    after: usize,
    /// Words of which the name before the secret must hold one.
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    entropy_min: f32,
    #[serde(default)]
    needs: Vec<Need>,
    /// The rule to report when no secret is near.
    alone: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawMatcher {
    Pem,
    Jwt,
    DatabaseUrl,
    OtherUrl,
    ServiceAccount,
    Assignment,
    Fallback,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawConfidence {
    Certain,
    Likely,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Need {
    Digit,
    Upper,
    Lower,
}

fn needs_of(needs: &[Need]) -> Needs {
    let mut all = Needs::default();
    for need in needs {
        match need {
            Need::Digit => all.digit = true,
            Need::Upper => all.upper = true,
            Need::Lower => all.lower = true,
        }
    }
    all
}

/// Reads all files. Fallbacks are resolved over all of them.
pub(crate) fn read(files: &[(&str, &str)]) -> Result<Vec<Rule>, Vec<RuleProblem>> {
    let mut problems = Vec::new();
    let mut rules: Vec<Rule> = Vec::new();
    let mut fallbacks: Vec<(usize, String)> = Vec::new();
    for (source, &(file, text)) in files.iter().enumerate() {
        let raw: RawFile = match toml::from_str(text) {
            Ok(raw) => raw,
            Err(error) => {
                let line = error.span().map_or(1, |span| line_of(text, span.start));
                problems.push(RuleProblem {
                    file: file.to_owned(),
                    line,
                    rule: String::new(),
                    what: error.message().to_owned(),
                    mend: "correct the field; docs/scan-config.md lists the fields a rule may have".to_owned(),
                });
                continue;
            }
        };
        for raw in raw.rule {
            let line = line_of(text, raw.id.span().start);
            let alone = raw.pair.as_ref().and_then(|pair| pair.alone.clone());
            let replaces = raw.replaces;
            match checked(raw, file, line).map(|rule| Rule { source, ..rule }) {
                Ok(rule) => {
                    let earlier = rules.iter().position(|earlier| earlier.id == rule.id);
                    match earlier {
                        Some(index) if replaces && rules[index].source != source => {
                            fallbacks.retain(|(of, _)| *of != index);
                            fallbacks.extend(alone.map(|alone| (index, alone)));
                            rules[index] = rule;
                            continue;
                        }
                        Some(index) => {
                            let what = format!("the id is taken by the rule at {}:{}", rules[index].file, rules[index].line);
                            let mend =
                                "give one of the two another id, or say `replaces = true` to have this one instead of a built-in one";
                            problems.push(problem(&rule, what, mend));
                        }
                        None if replaces => {
                            let mend = match nearest(rule.id.as_str(), rules.iter().map(|known| known.id.as_str())) {
                                Some(known) => format!("did you mean `{known}`? If the rule is new, remove `replaces`"),
                                None => "remove `replaces`, or name a rule of an earlier file".to_owned(),
                            };
                            problems.push(problem(&rule, "it replaces nothing: no rule has its id".to_owned(), &mend));
                        }
                        None => {}
                    }
                    if let Some(alone) = alone {
                        fallbacks.push((rules.len(), alone));
                    }
                    rules.push(rule);
                }
                Err(problem) => problems.push(problem),
            }
        }
    }
    for (index, alone) in fallbacks {
        let target = rules.iter().position(|rule| rule.id.as_str() == alone && rule.trigger == Trigger::Fallback);
        if target.is_none() {
            let what = format!("pair.alone names `{alone}`, which is no rule with matcher = \"fallback\"");
            problems.push(problem(&rules[index], what, "name such a rule, or leave `alone` out"));
        }
        if let Some(pair) = &mut rules[index].pair {
            pair.alone = target;
        }
    }
    if problems.is_empty() { Ok(rules) } else { Err(problems) }
}

fn problem(rule: &Rule, what: String, mend: &str) -> RuleProblem {
    RuleProblem { file: rule.file.clone(), line: rule.line, rule: rule.id.as_str().to_owned(), what, mend: mend.to_owned() }
}

/// The id that was probably meant: the one that takes the fewest changes, when those are few.
pub(crate) fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let close = |known: &str| {
        let (a, b): (Vec<char>, Vec<char>) = (written.chars().collect(), known.chars().collect());
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut corner = std::mem::replace(&mut row[0], i + 1);
            for (j, y) in b.iter().enumerate() {
                let change = corner + usize::from(x != y);
                corner = row[j + 1];
                row[j + 1] = change.min(corner + 1).min(row[j] + 1);
            }
        }
        row[b.len()]
    };
    known.map(|known| (close(known), known)).min().filter(|(changes, known)| *changes <= 1 + known.len() / 6).map(|(_, known)| known)
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + memchr::memchr_iter(b'\n', &text.as_bytes()[..offset.min(text.len())]).count()
}

fn checked(raw: RawRule, file: &str, line: usize) -> Result<Rule, RuleProblem> {
    let id = raw.id.get_ref().clone();
    let fail = |what: &str, mend: &str| RuleProblem {
        file: file.to_owned(),
        line,
        rule: id.clone(),
        what: what.to_owned(),
        mend: mend.to_owned(),
    };
    let id_is_fine = |id: &str| {
        id.split('.').count() == 2
            && id.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'))
    };
    if !id_is_fine(&id) {
        return Err(fail("the id is not `<service>.<kind>`", "use lower-case letters, digits and hyphens, with one dot"));
    }
    let given = [&raw.prefixes, &raw.infixes, &raw.keywords].into_iter().filter(|list| !list.is_empty()).count();
    let fallback = matches!(raw.matcher, Some(RawMatcher::Fallback));
    if given != usize::from(!fallback) {
        return Err(fail("a rule has exactly one of `prefixes`, `infixes` and `keywords`", "keep the one that is rarest in ordinary text"));
    }
    let (trigger, literals) = match (raw.prefixes.is_empty(), raw.infixes.is_empty(), fallback) {
        (_, _, true) => (Trigger::Fallback, Vec::new()),
        (false, _, _) => (Trigger::Prefix, raw.prefixes),
        (_, false, _) => (Trigger::Infix, raw.infixes),
        _ => (Trigger::Near, raw.keywords),
    };
    if literals.iter().any(|literal| literal.len() < 2 || literal.len() > 64 || !literal.is_ascii()) {
        return Err(fail("a literal is shorter than 2 or longer than 64 bytes, or not ASCII", "a good literal has 3 to 12 characters"));
    }
    let matcher = match (raw.matcher, &raw.pattern) {
        (None, Some(pattern)) => {
            Matcher::Pattern(Pattern::parse(pattern, trigger == Trigger::Prefix).map_err(|what| fail(&what, "see the pattern"))?)
        }
        (Some(RawMatcher::Pem), None) => Matcher::Pem,
        (Some(RawMatcher::Jwt), None) => Matcher::Jwt,
        (Some(RawMatcher::DatabaseUrl), None) => Matcher::Url { database: true },
        (Some(RawMatcher::OtherUrl), None) => Matcher::Url { database: false },
        (Some(RawMatcher::ServiceAccount), None) => Matcher::ServiceAccount,
        (Some(RawMatcher::Assignment), None) => Matcher::Assignment,
        (Some(RawMatcher::Fallback), None) => Matcher::None,
        _ => return Err(fail("a rule has either a `pattern` or a `matcher`", "keep one of them")),
    };
    let near = trigger == Trigger::Near && matches!(matcher, Matcher::Pattern(_));
    let after = raw.after.unwrap_or(if near { AFTER_DEFAULT } else { 0 });
    let before = raw.before.unwrap_or(0);
    let pair = match raw.pair {
        None => None,
        Some(pair) => Some(Pair {
            secret: Pattern::parse(&pair.pattern, false).map_err(|what| fail(&format!("pair: {what}"), "see the pair's pattern"))?,
            before: pair.before,
            after: pair.after,
            names: pair.names.iter().map(|name| name.to_ascii_lowercase()).collect(),
            entropy_min: pair.entropy_min,
            needs: needs_of(&pair.needs),
            alone: None,
        }),
    };
    let rank = rank(trigger, &matcher, raw.checksum, pair.is_some(), &literals);
    let confidence = match raw.confidence {
        Some(RawConfidence::Certain) => Confidence::Certain,
        Some(RawConfidence::Likely) => Confidence::Likely,
        None if near || matches!(matcher, Matcher::Url { .. } | Matcher::Assignment) => Confidence::Likely,
        None => Confidence::Certain,
    };
    let needs = raw.needs.map_or(Needs { digit: near, ..Needs::default() }, |needs| needs_of(&needs));
    let rule = Rule {
        id: RuleId::new(id.clone()),
        title: raw.title,
        service: raw.service,
        revoke: raw.revoke,
        reference: raw.reference,
        file: file.to_owned(),
        line,
        source: 0,
        confidence,
        id_only: raw.id_only,
        text_only: raw.text_only || matches!(matcher, Matcher::Assignment),
        trigger,
        matcher,
        literals,
        before,
        after,
        names: raw.names.iter().map(|name| name.to_ascii_lowercase()).collect(),
        any_name: raw.any_name,
        checksum: raw.checksum,
        checksum_lenient: raw.checksum_lenient,
        entropy_min: raw.entropy_min.unwrap_or(if near { 3.0 } else { 0.0 }),
        needs,
        pair,
        public_prefix: raw.public_prefix,
        rank,
        matches: raw.matches,
        ignores: raw.ignores,
    };
    let (reach_before, reach_after) = rule.reach();
    if reach_before > REACH_MAX || reach_after > REACH_MAX {
        return Err(fail(&format!("the rule looks farther than {REACH_MAX} bytes"), "lower `before`, `after` or the pattern's repeats"));
    }
    Ok(rule)
}

/// Who wins over whom: a pair over one token, a checksum over a prefix, a prefix over a word near by, anything over a guess.
/// Within a class the longer literal wins.
fn rank(trigger: Trigger, matcher: &Matcher, checksum: Option<Checksum>, pair: bool, literals: &[String]) -> u16 {
    let longest = literals.iter().map(|literal| literal.len()).max().unwrap_or(0).min(60) as u16;
    match (matcher, trigger) {
        _ if pair => 600,
        (Matcher::ServiceAccount, _) => 600,
        (Matcher::Assignment, _) => rank_of::ASSIGNMENT,
        (Matcher::Url { .. }, _) => rank_of::URL,
        (Matcher::None, _) => 50,
        _ if checksum.is_some() && trigger != Trigger::Near => 500 + longest,
        (Matcher::Pem | Matcher::Jwt, _) => 350,
        (_, Trigger::Prefix) => 400 + longest,
        (_, Trigger::Infix) => 380,
        _ => 200 + longest,
    }
}
