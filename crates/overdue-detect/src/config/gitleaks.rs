//! `.gitleaks.toml`: the configuration that people already have, read as it is.
//!
//! The format is that of gitleaks 8.30, its older forms included: names in any case, `[allowlist]` beside `[[allowlists]]`,
//! one text where a list may stand. What gitleaks refuses is refused, with its line; what it reads and this scanner does
//! not honour is a warning with its line. Nothing is passed over in silence.

use std::collections::BTreeMap;

use toml::de::DeTable;

use super::allowlist::{Allowlist, Target};
use super::fields::{Fields, Said, Text, problem};
use super::go_regex::{GoRegex, Refused};
use crate::rules::{RuleError, RuleProblem};

/// The newest version whose format is read.
const VERSION: (u32, u32) = (8, 30);
/// Files that may extend one another, the first one included: as many as gitleaks follows.
const FILES_MAX: usize = 3;

/// A configuration of gitleaks, read and checked.
///
/// ```
/// use overdue_detect::{GitleaksConfig, ScanRules};
///
/// let config = GitleaksConfig::read(".gitleaks.toml", r#"
/// [extend]
/// useDefault = true
///
/// [[rules]]
/// id = "acme-token"
/// description = "Acme token"
/// regex = '''\bacme_([a-z0-9]{32})\b'''
/// keywords = ["acme_"]
/// "#)?;
/// let composed = ScanRules::compose(&[], Some(&config))?;
/// assert!(composed.rules.facts().iter().any(|rule| rule.id.as_str() == "acme-token"));
/// assert!(composed.rules.facts().iter().any(|rule| rule.id.as_str() == "github.pat"), "our rules stand for their defaults");
/// assert!(composed.warnings.is_empty());
/// # Ok::<(), overdue_detect::RuleError>(())
/// ```
#[derive(Clone)]
pub struct GitleaksConfig {
    /// Name and text of each file read, for the digest.
    pub(super) files: Vec<(String, String)>,
    /// The file it extends that was not read yet.
    extends: Option<Text>,
    pub(super) use_default: bool,
    /// Rules of what it extends that are not to run.
    pub(super) disabled: Vec<Disabled>,
    pub(super) blocks: Vec<Block>,
    pub(super) lists: Vec<GlobalList>,
    pub(super) warnings: Vec<RuleProblem>,
}

/// A name in `disabledRules`.
#[derive(Clone)]
pub(super) struct Disabled {
    pub(super) id: String,
    pub(super) file: String,
    pub(super) line: usize,
    /// It named a rule of an extended file.
    pub(super) hit: bool,
}

/// An allowlist that stands outside the rules.
#[derive(Clone)]
pub(super) struct GlobalList {
    pub(super) list: Allowlist,
    /// Ids it is for; empty for all rules.
    pub(super) targets: Vec<Text>,
}

/// A `[[rules]]` block.
#[derive(Clone)]
pub(super) struct Block {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) id: String,
    pub(super) description: String,
    pub(super) regex: Option<GoRegex>,
    pub(super) path: Option<GoRegex>,
    pub(super) secret_group: usize,
    pub(super) entropy: f32,
    pub(super) keywords: Vec<String>,
    pub(super) skip_report: bool,
    pub(super) required: Vec<Required>,
    pub(super) allowlists: Vec<Allowlist>,
    /// A pattern of it cannot be run, which was said.
    pub(super) crippled: bool,
}

/// A `[[rules.required]]` block.
#[derive(Clone)]
pub(super) struct Required {
    pub(super) id: String,
    pub(super) line: usize,
    pub(super) lines: Option<u32>,
    pub(super) columns: Option<u32>,
}

impl GitleaksConfig {
    /// Reads one file. `name` is what messages call it. All that is wrong is told at once.
    pub fn read(name: &str, text: &str) -> Result<Self, RuleError> {
        let mut said = Said::new(name, text);
        let document = match DeTable::parse(text) {
            Ok(document) => document,
            Err(error) => {
                let line = said.line_of(error.span().map_or(0, |span| span.start));
                let problems = vec![problem(name, line, "", error.message(), "correct the TOML")];
                return Err(RuleError { problems });
            }
        };
        let mut top = Fields::new(document.get_ref(), 1, "");
        top.text(&mut said, "title");
        top.text(&mut said, "description");
        if let Some((version, line)) = top.text(&mut said, "minVersion") {
            ask_version(&mut said, &version, line);
        }
        let mut config = Self {
            files: vec![(name.to_owned(), text.to_owned())],
            extends: None,
            use_default: false,
            disabled: Vec::new(),
            blocks: Vec::new(),
            lists: Vec::new(),
            warnings: Vec::new(),
        };
        for extend in top.tables(&mut said, "extend") {
            config.read_extend(&mut said, extend);
        }
        let mut tags = None;
        for fields in top.tables(&mut said, "rules") {
            if let Some(block) = rule(&mut said, fields, &mut tags) {
                let earlier = config.blocks.iter().position(|earlier| earlier.id == block.id);
                if let Some(earlier) = earlier.filter(|_| !block.id.is_empty()) {
                    let what =
                        format!("it has the id of the rule at line {}, which does not run, as in gitleaks", config.blocks[earlier].line);
                    said.warn(block.line, &block.id, what, "give one of the two another id");
                    config.blocks.remove(earlier);
                }
                config.blocks.push(block);
            }
        }
        if let Some(line) = tags {
            said.warn(line, "", "`tags` are read and not shown in reports", "nothing is lost but the tags");
        }
        let (old, new) = (top.tables(&mut said, "allowlist"), top.tables(&mut said, "allowlists"));
        for mut fields in one_form(&mut said, old, new) {
            let targets = fields.texts(&mut said, "targetRules").unwrap_or_default();
            if let Some(list) = allowlist(&mut said, fields) {
                config.lists.push(GlobalList { list, targets });
            }
        }
        top.finish(&mut said);
        config.ask_required(&mut said);
        config.warnings = said.warnings;
        said.problems.sort_by_key(|problem| problem.line);
        if said.problems.is_empty() { Ok(config) } else { Err(RuleError { problems: said.problems }) }
    }

    /// The path in `[extend]` of a file that is to be read and given to [`Self::extending`]; `None` when there is nothing
    /// more to read. gitleaks takes it from the folder it was started in, not from the file's own.
    pub fn extends(&self) -> Option<&str> {
        self.extends.as_ref().map(|(path, _)| path.as_str())
    }

    /// With the rules and lists of the file it extends, which its own override.
    #[must_use]
    pub fn extending(mut self, base: Self) -> Self {
        self.files.extend(base.files);
        self.warnings.extend(base.warnings);
        for mut theirs in base.blocks {
            if let Some(disabled) = self.disabled.iter_mut().find(|disabled| disabled.id == theirs.id) {
                disabled.hit = true;
                continue;
            }
            match self.blocks.iter_mut().find(|own| own.id == theirs.id) {
                None => self.blocks.push(theirs),
                Some(own) => {
                    theirs.overridden_by(own);
                    *own = theirs;
                }
            }
        }
        self.disabled.extend(base.disabled);
        self.lists.extend(base.lists);
        self.use_default |= base.use_default;
        self.extends = base.extends;
        if self.files.len() >= FILES_MAX
            && let Some((path, line)) = self.extends.take()
        {
            let file = self.files.last().map_or("", |(name, _)| name);
            let what = format!("`{path}` is not read: files extend one another no more than {FILES_MAX} deep, as in gitleaks");
            self.warnings.push(problem(file, line, "", what, "bring its rules nearer"));
        }
        self
    }

    /// The same as if it said `useDefault = true`: our built-in rules run beside its own.
    #[must_use]
    pub fn with_default(mut self) -> Self {
        self.use_default = true;
        self
    }

    /// Whether our built-in rules run: the file says `useDefault`, or has no rule of its own.
    pub fn wants_default(&self) -> bool {
        self.use_default || self.blocks.is_empty()
    }

    /// The file it extends that nobody gave to [`Self::extending`].
    pub(super) fn missing(&self) -> Option<RuleProblem> {
        let (path, line) = self.extends.as_ref()?;
        let file = self.files.last().map_or("", |(name, _)| name);
        Some(problem(file, *line, "", format!("it extends `{path}`, which was not read"), "see that the file is there, or remove `path`"))
    }

    fn read_extend(&mut self, said: &mut Said<'_>, mut fields: Fields<'_, '_>) {
        let path = fields.text(said, "path").filter(|(path, _)| !path.is_empty());
        let default = fields.flag(said, "useDefault");
        if let Some((_, line)) = fields.text(said, "url") {
            said.warn(line, "", "`url` is not followed, nor does gitleaks follow it", "fetch the file, and name it by `path`");
        }
        self.use_default = default.is_some_and(|(flag, _)| flag);
        for (id, line) in fields.texts(said, "disabledRules").unwrap_or_default() {
            self.disabled.push(Disabled { id, file: said.file.to_owned(), line, hit: false });
        }
        if let (true, Some((_, line))) = (self.use_default, &path) {
            said.refuse(*line, "", "`path` and `useDefault` exclude each other", "remove one, and say it in the file that `path` names");
        }
        self.extends = path;
        fields.finish(said);
    }

    fn ask_required(&self, said: &mut Said<'_>) {
        let known: BTreeMap<&str, ()> = self.blocks.iter().map(|block| (block.id.as_str(), ())).collect();
        for block in &self.blocks {
            for required in &block.required {
                if !known.contains_key(required.id.as_str()) {
                    let what = format!("`required` names `{}`, which is no rule of this file", required.id);
                    said.refuse(required.line, &block.id, what, "name a rule of the same file");
                }
            }
        }
    }
}

impl std::fmt::Debug for GitleaksConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.files.iter().map(|(name, _)| name.as_str()).collect();
        write!(f, "GitleaksConfig({names:?}, {} rules, {} lists)", self.blocks.len(), self.lists.len())
    }
}

impl Block {
    /// Takes over what a block of the same id in the extending file says; lists are added.
    fn overridden_by(&mut self, own: &Self) {
        (self.file, self.line) = (own.file.clone(), own.line);
        if !own.description.is_empty() {
            self.description.clone_from(&own.description);
        }
        if own.regex.is_some() {
            self.regex.clone_from(&own.regex);
            self.crippled = own.crippled;
        }
        if own.path.is_some() {
            self.path.clone_from(&own.path);
        }
        if own.secret_group != 0 {
            self.secret_group = own.secret_group;
        }
        if own.entropy != 0.0 {
            self.entropy = own.entropy;
        }
        self.keywords.extend(own.keywords.iter().cloned());
        self.allowlists.extend(own.allowlists.iter().cloned());
        self.required.extend(own.required.iter().cloned());
        self.skip_report |= own.skip_report;
    }

    /// It says how to find something by itself.
    pub(super) fn finds(&self) -> bool {
        self.regex.is_some() || self.path.is_some()
    }
}

fn ask_version(said: &mut Said<'_>, version: &str, line: usize) {
    let mut numbers = version.trim().trim_start_matches('v').split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) <= VERSION => {}
        (Some(Ok(_)), Some(Ok(_))) => {
            let (major, minor) = VERSION;
            said.warn(
                line,
                "",
                format!("`minVersion` asks for {version}; the format of {major}.{minor} is read"),
                "see whether what follows names a field",
            );
        }
        _ => said.refuse(line, "", "`minVersion` is no version", "write it as `v8.25.0`"),
    }
}

/// A pattern, or why there is none. The second value is true where it was dropped with a warning.
fn pattern(said: &mut Said<'_>, rule: &str, name: &str, text: Option<Text>) -> (Option<GoRegex>, bool) {
    let Some((text, line)) = text.filter(|(text, _)| !text.is_empty()) else { return (None, false) };
    match GoRegex::parse(&text) {
        Ok(regex) => (Some(regex), false),
        Err(Refused::Syntax(why)) => {
            said.refuse(line, rule, format!("`{name}` is no regular expression of Go: {why}"), "correct it");
            (None, false)
        }
        Err(Refused::TooBig) => {
            said.warn(line, rule, format!("`{name}` is too big to run, and is left out"), "lower its repeats");
            (None, true)
        }
    }
}

fn rule(said: &mut Said<'_>, mut fields: Fields<'_, '_>, tags: &mut Option<usize>) -> Option<Block> {
    let id = fields.text(said, "id").filter(|(id, _)| !id.trim().is_empty());
    let line = id.as_ref().map_or(fields.line, |(_, line)| *line);
    let name = id.map(|(id, _)| id).unwrap_or_default();
    fields.rule.clone_from(&name);
    if name.is_empty() {
        said.refuse(line, "", "a rule has no `id`", "give it one");
    }
    let description = fields.text(said, "description").map(|(text, _)| text).unwrap_or_default();
    let regex_text = fields.text(said, "regex");
    let regex_line = regex_text.as_ref().map_or(line, |(_, line)| *line);
    let (regex, regex_dropped) = pattern(said, &name, "regex", regex_text);
    let path_text = fields.text(said, "path");
    let (path, path_dropped) = pattern(said, &name, "path", path_text);
    let secret_group = fields.count(said, "secretGroup").unwrap_or(0) as usize;
    if let Some(regex) = &regex {
        if secret_group > regex.groups {
            let what = format!("`secretGroup` is {secret_group}, and the regex has {} groups", regex.groups);
            said.refuse(line, &name, what, "name one of its groups, counted from 1");
        }
        if regex.matches_empty {
            said.warn(regex_line, &name, "the regex can match nothing at all; such matches are passed over", "let it need a character");
        }
    }
    let entropy = fields.number(said, "entropy").map_or(0.0, |(number, _)| number as f32);
    let mut keywords = Vec::new();
    for (keyword, line) in fields.texts(said, "keywords").unwrap_or_default() {
        if keyword.is_empty() {
            said.warn(line, &name, "an empty keyword stands in every text, and was passed over", "remove it");
        } else {
            keywords.push(keyword.to_lowercase());
        }
    }
    if let Some(list) = fields.texts(said, "tags")
        && let Some((_, line)) = list.first()
    {
        tags.get_or_insert(*line);
    }
    let skip_report = fields.flag(said, "skipReport").is_some_and(|(flag, _)| flag);
    let mut required = Vec::new();
    for mut block in fields.tables(said, "required") {
        let id = block.text(said, "id").filter(|(id, _)| !id.is_empty());
        let (lines, columns) = (block.count(said, "withinLines"), block.count(said, "withinColumns"));
        match id {
            Some((id, line)) => required.push(Required { id, line, lines, columns }),
            None => said.refuse(block.line, &name, "a `required` block has no `id`", "name a rule of the same file"),
        }
        block.finish(said);
    }
    let (old, new) = (fields.tables(said, "allowlist"), fields.tables(said, "allowlists"));
    let allowlists = one_form(said, old, new).into_iter().filter_map(|fields| allowlist(said, fields)).collect();
    fields.finish(said);
    let crippled = regex_dropped || path_dropped;
    let (file, id) = (said.file.to_owned(), name);
    Some(Block { file, line, id, description, regex, path, secret_group, entropy, keywords, skip_report, required, allowlists, crippled })
}

/// The older form of a list or the newer one, not both.
fn one_form<'d, 'i>(said: &mut Said<'_>, old: Vec<Fields<'d, 'i>>, new: Vec<Fields<'d, 'i>>) -> Vec<Fields<'d, 'i>> {
    if let (Some(first), false) = (old.first(), new.is_empty()) {
        said.refuse(first.line, &first.rule, "`allowlist` and `allowlists` exclude each other", "write all of them as `allowlists`");
    }
    old.into_iter().chain(new).collect()
}

fn allowlist(said: &mut Said<'_>, mut fields: Fields<'_, '_>) -> Option<Allowlist> {
    let (line, rule) = (fields.line, fields.rule.clone());
    let description = fields.text(said, "description").map(|(text, _)| text).unwrap_or_default();
    let all = match fields.text(said, "condition") {
        None => false,
        Some((condition, line)) => match condition.to_ascii_uppercase().as_str() {
            "AND" | "&&" => true,
            "" | "OR" | "||" => false,
            _ => {
                said.refuse(line, &rule, format!("`condition` is `{condition}`"), "write `AND` or `OR`");
                false
            }
        },
    };
    let target = match fields.text(said, "regexTarget") {
        None => Target::Secret,
        Some((target, line)) => match target.as_str() {
            "" | "secret" => Target::Secret,
            "match" => Target::Match,
            "line" => Target::Line,
            _ => {
                said.refuse(line, &rule, format!("`regexTarget` is `{target}`"), "write `secret`, `match` or `line`");
                Target::Secret
            }
        },
    };
    let commits = fields.texts(said, "commits").unwrap_or_default();
    let commits: Vec<String> = commits.into_iter().map(|(commit, _)| commit.trim().to_ascii_lowercase()).collect();
    let mut left_out = false;
    let mut patterns = |said: &mut Said<'_>, name: &str, texts: Option<Vec<Text>>| {
        let mut all = Vec::new();
        for text in texts.unwrap_or_default() {
            if text.0.is_empty() {
                said.warn(text.1, &rule, format!("an empty text in `{name}` would allow everything, and was passed over"), "remove it");
                continue;
            }
            let (pattern, dropped) = pattern(said, &rule, name, Some(text));
            left_out |= dropped;
            all.extend(pattern);
        }
        all
    };
    let texts = fields.texts(said, "paths");
    let paths = patterns(said, "paths", texts);
    let texts = fields.texts(said, "regexes");
    let regexes = patterns(said, "regexes", texts);
    let mut stopwords = Vec::new();
    for (word, line) in fields.texts(said, "stopwords").unwrap_or_default() {
        if word.is_empty() {
            said.warn(line, &rule, "an empty text in `stopwords` would allow everything, and was passed over", "remove it");
        } else {
            stopwords.push(word.to_lowercase());
        }
    }
    fields.finish(said);
    if commits.is_empty() && paths.is_empty() && regexes.is_empty() && stopwords.is_empty() {
        if said.problems.is_empty() && !left_out {
            said.refuse(line, &rule, "an allowlist allows nothing", "give it `commits`, `paths`, `regexes` or `stopwords`");
        }
        return None;
    }
    if all && left_out {
        // Without one of its conditions it would allow more than was meant.
        said.warn(line, &rule, "the allowlist is left out with its pattern", "lower the pattern's repeats");
        return None;
    }
    Some(Allowlist { file: said.file.to_owned(), line, description, all, commits, paths, target, regexes, stopwords })
}
