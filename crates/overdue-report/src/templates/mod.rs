//! Templates: strict Handlebars, built in, and replaced file by file by a folder of the user's.
//!
//! What can go wrong in a template goes wrong when it is loaded, with file and line: a field that does not exist (in
//! `{{#if}}` too), raw output, an unknown helper, an attribute without quotes, a link or style made of data, a partial
//! that includes itself. Loops can only walk down the data, so a template costs at most its size times the data's.

mod lint;
pub(crate) mod sample;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::Path;

use handlebars::{Handlebars, Template};
use serde::Serialize;
use serde_json::Value;

use crate::letter::{self, LetterContext};
use crate::page;
use crate::steps::StepBook;

/// A template or data file larger than this is refused: the largest built-in one has 15 KB.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// What one rendering may give: a letter of 25 findings with all their places has 200 KB.
const OUTPUT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Blocks in blocks and parentheses in parentheses. Both parser and renderer recurse on them.
const NESTING_MAX: usize = 24;

macro_rules! builtin {
    ($($path:literal,)*) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../templates/", $path)))),*]
    };
}

/// Every built-in file.
const BUILTIN: &[(&str, &str)] = builtin![
    "steps.toml",
    "rotation-due/subject.hbs",
    "rotation-due/text.hbs",
    "rotation-due/html.hbs",
    "security-report/subject.hbs",
    "security-report/text.hbs",
    "security-report/html.hbs",
    "partials/finding_html.hbs",
    "partials/finding_text.hbs",
    "partials/mail_end.hbs",
    "partials/mail_head.hbs",
    "report/top.hbs",
    "report/finding.hbs",
    "report/between.hbs",
    "report/credential.hbs",
    "report/end.hbs",
];

/// The three files of a letter.
const LETTER_PARTS: [&str; 3] = ["subject", "text", "html"];

/// Checked templates, ready to render.
pub struct Templates {
    html: Handlebars<'static>,
    text: Handlebars<'static>,
    letters: BTreeSet<String>,
    pub(crate) steps: StepBook,
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Templates").field("letters", &self.letters).finish_non_exhaustive()
    }
}

/// One thing wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplateProblem {
    /// The file, as a person would open it.
    pub file: String,
    /// Line, from 1; 0 where none can be named.
    pub line: usize,
    /// What is wrong, and where it can be told the mend.
    pub what: String,
}

impl fmt::Display for TemplateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what),
            line => write!(f, "{}:{line}: {}", self.file, self.what),
        }
    }
}

/// Templates that cannot be used: everything that is wrong, at once.
#[derive(Debug, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct TemplateError {
    /// Never empty.
    pub problems: Vec<TemplateProblem>,
}

/// A letter or page that could not be rendered. After [`Templates::check`] this does not happen with known data.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// No folder of this name holds a letter.
    #[error("there is no letter template `{name}`; there are: {known}")]
    NoTemplate {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// It failed on this data.
    #[error("{template}: {what}")]
    Failed {
        /// Which file.
        template: String,
        /// Where and why.
        what: String,
    },
    /// The result is larger than a letter or a piece of a page may be.
    #[error("{template}: gives more than {max} bytes")]
    TooLarge {
        /// Which file.
        template: String,
        /// The limit.
        max: usize,
    },
}

/// A file before it is checked.
struct Source {
    /// How to name it to a person.
    file: String,
    text: String,
}

impl Templates {
    /// The templates that come with the program.
    ///
    /// # Errors
    /// Never in a program that passed its tests.
    pub fn builtin() -> Result<Self, TemplateError> {
        Self::load(builtin_sources())
    }

    /// The built-in templates with those in `folder` in their place, file by file; new folders are new letters.
    ///
    /// # Errors
    /// Everything that is wrong with them, each with its file and line.
    pub fn with_overrides(folder: &Path) -> Result<Self, TemplateError> {
        let mut sources = builtin_sources();
        let mut problems = Vec::new();
        read_folder(folder, &mut sources, &mut problems);
        if problems.is_empty() { Self::load(sources) } else { Err(TemplateError { problems }) }
    }

    fn load(sources: BTreeMap<String, Source>) -> Result<Self, TemplateError> {
        let mut problems = Vec::new();
        let steps = load_steps(&sources, &mut problems);
        let mut compiled: BTreeMap<String, Template> = BTreeMap::new();
        for (path, source) in &sources {
            let Some(name) = path.strip_suffix(".hbs") else { continue };
            match compile(name, source) {
                Ok(template) => {
                    compiled.insert(name.to_owned(), template);
                }
                Err(problem) => problems.push(problem),
            }
        }
        let mut letters = BTreeSet::new();
        for path in sources.keys() {
            let Some((folder, part)) = path.split_once('/') else { continue };
            if !is_letter_folder(folder) || !path.ends_with(".hbs") {
                continue;
            }
            letters.insert(folder.to_owned());
            if !LETTER_PARTS.iter().any(|known| part.strip_suffix(".hbs") == Some(known)) {
                let what = "a letter has subject.hbs, text.hbs and html.hbs; shared pieces go into partials/".to_owned();
                problems.push(TemplateProblem { file: sources[path].file.clone(), line: 0, what });
            }
        }
        for letter in &letters {
            for part in LETTER_PARTS {
                if !sources.contains_key(&format!("{letter}/{part}.hbs")) {
                    let file =
                        sources.iter().find(|(path, _)| path.starts_with(&format!("{letter}/"))).map(|(_, source)| source.file.clone());
                    let what = format!("the letter `{letter}` has no {part}.hbs beside it");
                    problems.push(TemplateProblem { file: file.unwrap_or_default(), line: 0, what });
                }
            }
        }
        let Some(steps) = steps else { return Err(TemplateError { problems }) };

        let shapes = sample::Shapes::known();
        let file = |name: &str| sources.get(&format!("{name}.hbs")).map_or_else(|| name.to_owned(), |source| source.file.clone());
        for name in compiled.keys() {
            let Some((shape, html)) = shapes.of(name, &letters) else { continue };
            lint::walk(&compiled, name, shape, html, &file, &mut problems);
        }
        lint::constructs(&compiled, &file, &mut problems);
        if !problems.is_empty() {
            problems.sort();
            problems.dedup();
            return Err(TemplateError { problems });
        }

        let mut templates = Self { html: Handlebars::new(), text: Handlebars::new(), letters, steps };
        templates.text.register_escape_fn(handlebars::no_escape);
        for registry in [&mut templates.html, &mut templates.text] {
            registry.set_strict_mode(true);
            for (name, template) in &compiled {
                registry.register_template(name, template.clone());
            }
        }
        Ok(templates)
    }

    /// The letters there are.
    pub fn letters(&self) -> impl Iterator<Item = &str> {
        self.letters.iter().map(String::as_str)
    }

    /// Renders every letter and the report against a standard set of assessments: an empty one, one finding, many,
    /// hostile names, gaps only. Gives what failed; nothing when all is well.
    pub fn check(&self) -> Vec<TemplateProblem> {
        let mut problems = Vec::new();
        for sample in sample::standard() {
            for name in &self.letters {
                for letter in &sample.letters {
                    let context = LetterContext {
                        job: "weekly-audit",
                        period: "2026-W48",
                        now: sample.assessment.now,
                        zone: &jiff::tz::TimeZone::UTC,
                        assessment: &sample.assessment,
                        inventory: &sample.inventory,
                        template: name,
                    };
                    if let Err(error) = letter::render_letter(self, letter, &context) {
                        problems.push(TemplateProblem { file: name.clone(), line: 0, what: format!("with {}: {error}", sample.name) });
                    }
                }
            }
            if let Err(error) = page::render_html_report(self, &sample.report_input()) {
                problems.push(TemplateProblem { file: "report".to_owned(), line: 0, what: format!("with {}: {error}", sample.name) });
            }
        }
        problems
    }

    pub(crate) fn has_letter(&self, name: &str) -> Result<(), RenderError> {
        if self.letters.contains(name) {
            return Ok(());
        }
        let known = self.letters.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        Err(RenderError::NoTemplate { name: name.to_owned(), known })
    }

    /// Renders with HTML escaping.
    pub(crate) fn render_html(&self, name: &str, view: &impl Serialize) -> Result<String, RenderError> {
        render(&self.html, name, view)
    }

    /// Renders without escaping: views hold only shown text.
    pub(crate) fn render_text(&self, name: &str, view: &impl Serialize) -> Result<String, RenderError> {
        render(&self.text, name, view)
    }
}

fn render(registry: &Handlebars<'static>, name: &str, view: &impl Serialize) -> Result<String, RenderError> {
    let mut out = Capped { bytes: Vec::new(), full: false };
    match registry.render_to_write(name, view, &mut out) {
        _ if out.full => Err(RenderError::TooLarge { template: name.to_owned(), max: OUTPUT_BYTES_MAX }),
        Err(error) => Err(RenderError::Failed { template: name.to_owned(), what: error.to_string() }),
        Ok(()) => String::from_utf8(out.bytes).map_err(|error| RenderError::Failed { template: name.to_owned(), what: error.to_string() }),
    }
}

/// A buffer that stops at the limit.
struct Capped {
    bytes: Vec<u8>,
    full: bool,
}

impl io::Write for Capped {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + piece.len() > OUTPUT_BYTES_MAX {
            self.full = true;
            return Err(io::Error::other("too large"));
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_letter_folder(folder: &str) -> bool {
    folder != "partials" && folder != "report"
}

fn builtin_sources() -> BTreeMap<String, Source> {
    BUILTIN.iter().map(|(path, text)| ((*path).to_owned(), Source { file: format!("built-in {path}"), text: (*text).to_owned() })).collect()
}

/// Takes `*.hbs` and `steps.toml` of `folder` and of the folders in it; anything else there is somebody's notes.
fn read_folder(folder: &Path, sources: &mut BTreeMap<String, Source>, problems: &mut Vec<TemplateProblem>) {
    let mut problem = |path: &Path, what: String| problems.push(TemplateProblem { file: path.display().to_string(), line: 0, what });
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return problem(folder, format!("the templates folder cannot be read: {error}")),
    };
    let mut files = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name == "steps.toml" {
            files.push((name, path));
        } else if path.is_dir() && !name.starts_with('.') {
            match std::fs::read_dir(&path) {
                Ok(inner) => {
                    for entry in inner.flatten() {
                        match entry.file_name().into_string() {
                            Ok(file) if file.ends_with(".hbs") => files.push((format!("{name}/{file}"), entry.path())),
                            _ => {}
                        }
                    }
                }
                Err(error) => problem(&path, format!("cannot be read: {error}")),
            }
        } else if name.ends_with(".hbs") {
            problem(&path, "a template belongs into the folder of its letter, or into partials/ or report/".to_owned());
        }
    }
    for (name, path) in files {
        if name.starts_with("report/") && !sources.contains_key(&name) {
            problem(&path, "the report has no such piece".to_owned());
            continue;
        }
        let text = std::fs::metadata(&path).and_then(|facts| {
            if facts.len() > FILE_BYTES_MAX {
                return Err(io::Error::other(format!("larger than {FILE_BYTES_MAX} bytes")));
            }
            std::fs::read_to_string(&path)
        });
        match text {
            Ok(text) => {
                sources.insert(name, Source { file: path.display().to_string(), text });
            }
            Err(error) => problem(&path, format!("cannot be read: {error}")),
        }
    }
}

/// The built-in steps; `None` never, in a program that passed its tests.
fn builtin_steps() -> Option<StepBook> {
    BUILTIN.iter().find(|(path, _)| *path == "steps.toml").and_then(|(_, text)| StepBook::parse(text, None).ok())
}

fn load_steps(sources: &BTreeMap<String, Source>, problems: &mut Vec<TemplateProblem>) -> Option<StepBook> {
    let base = builtin_steps();
    let source = sources.get("steps.toml")?;
    match StepBook::parse(&source.text, base.as_ref()) {
        Ok(steps) => Some(steps),
        Err((line, what)) => {
            problems.push(TemplateProblem { file: source.file.clone(), line, what });
            None
        }
    }
}

fn compile(name: &str, source: &Source) -> Result<Template, TemplateProblem> {
    let problem = |line: usize, what: String| TemplateProblem { file: source.file.clone(), line, what };
    if let Some(line) = too_deep(&source.text) {
        return Err(problem(line, format!("blocks or parentheses nested deeper than {NESTING_MAX}")));
    }
    Template::compile_with_name(&source.text, name.to_owned()).map_err(|error| {
        let line = error.pos().map_or(0, |(line, _)| line);
        problem(line, first_line(&error.reason().to_string()))
    })
}

/// The last telling line of a parser's message, without its drawing of the source.
fn first_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    match lines.clone().find_map(|line| line.strip_prefix("= ")) {
        Some(told) => format!("not Handlebars: {told}"),
        None => lines.take(1).collect(),
    }
}

/// The first line at which blocks or parentheses are nested too deep, told before the parser sees the text, since the
/// parser recurses. `{{else if}}` counts: each is a block in the one before.
fn too_deep(text: &str) -> Option<usize> {
    let (mut blocks, mut parens, mut line) = (0_usize, 0_usize, 1);
    let mut chains: Vec<usize> = Vec::new();
    let mut inside = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(tag) = rest.strip_prefix("{{") {
            inside = true;
            parens = 0;
            let tag = tag.trim_start_matches(['{', '~', ' ', '\t', '\r', '\n']);
            if tag.starts_with(['#', '^']) {
                blocks += 1;
                chains.push(0);
            } else if tag.starts_with('/') {
                blocks = blocks.saturating_sub(1 + chains.pop().unwrap_or(0));
            } else if tag.starts_with("else ") {
                blocks += 1;
                if let Some(chain) = chains.last_mut() {
                    *chain += 1;
                }
            }
            rest = &rest[2..];
        } else {
            match c {
                '}' => inside = false,
                '(' | '[' | '{' if inside => parens += 1,
                '\n' => line += 1,
                _ => {}
            }
            rest = &rest[c.len_utf8()..];
        }
        if blocks > NESTING_MAX || parens > NESTING_MAX {
            return Some(line);
        }
    }
    None
}

/// Merges what two samples look like: every field of either, lists by their elements.
fn merge(shape: &mut Value, other: Value) {
    match (shape, other) {
        (Value::Object(shape), Value::Object(other)) => {
            for (key, value) in other {
                match shape.get_mut(&key) {
                    Some(known) => merge(known, value),
                    None => {
                        shape.insert(key, value);
                    }
                }
            }
        }
        (Value::Array(shape), Value::Array(other)) => {
            for value in other {
                match shape.first_mut() {
                    Some(known) => merge(known, value),
                    None => shape.push(value),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
