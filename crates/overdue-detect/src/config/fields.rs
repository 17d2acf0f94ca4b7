//! Fields of a TOML file that others wrote: names in any case, lines for every message, nothing passed over in silence.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::rules::RuleProblem;

/// What is said about one file while it is read.
pub(super) struct Said<'t> {
    pub(super) file: &'t str,
    pub(super) text: &'t str,
    /// Why the file is refused.
    pub(super) problems: Vec<RuleProblem>,
    /// What is not honoured.
    pub(super) warnings: Vec<RuleProblem>,
}

impl<'t> Said<'t> {
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        Self { file, text, problems: Vec::new(), warnings: Vec::new() }
    }

    pub(super) fn line_of(&self, offset: usize) -> usize {
        1 + memchr::memchr_iter(b'\n', &self.text.as_bytes()[..offset.min(self.text.len())]).count()
    }

    pub(super) fn refuse(&mut self, line: usize, rule: &str, what: impl Into<String>, mend: impl Into<String>) {
        self.problems.push(problem(self.file, line, rule, what, mend));
    }

    pub(super) fn warn(&mut self, line: usize, rule: &str, what: impl Into<String>, mend: impl Into<String>) {
        self.warnings.push(problem(self.file, line, rule, what, mend));
    }
}

pub(super) fn problem(file: &str, line: usize, rule: &str, what: impl Into<String>, mend: impl Into<String>) -> RuleProblem {
    RuleProblem { file: file.to_owned(), line, rule: rule.to_owned(), what: what.into(), mend: mend.into() }
}

/// A text and the line it stands on.
pub(super) type Text = (String, usize);

/// A table whose fields are taken one by one; what is left over is told by [`Fields::finish`].
pub(super) struct Fields<'d, 'i> {
    table: &'d DeTable<'i>,
    pub(super) line: usize,
    /// The rule it belongs to, for messages.
    pub(super) rule: String,
    taken: Vec<String>,
}

impl<'d, 'i> Fields<'d, 'i> {
    pub(super) fn new(table: &'d DeTable<'i>, line: usize, rule: &str) -> Self {
        Self { table, line, rule: rule.to_owned(), taken: Vec::new() }
    }

    fn take(&mut self, name: &str) -> Option<&'d Spanned<DeValue<'i>>> {
        self.taken.push(name.to_ascii_lowercase());
        self.table.iter().find(|(key, _)| key.get_ref().eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn odd(&self, said: &mut Said<'_>, name: &str, value: &Spanned<DeValue<'i>>, wanted: &str) {
        said.refuse(said.line_of(value.span().start), &self.rule, format!("`{name}` is not {wanted}"), format!("make it {wanted}"));
    }

    pub(super) fn text(&mut self, said: &mut Said<'_>, name: &str) -> Option<Text> {
        let value = self.take(name)?;
        match value.get_ref() {
            DeValue::String(text) => Some((text.to_string(), said.line_of(value.span().start))),
            _ => {
                self.odd(said, name, value, "a text in quotes");
                None
            }
        }
    }

    /// A list of texts. One text alone is a list too, cut at its commas, as gitleaks has it.
    pub(super) fn texts(&mut self, said: &mut Said<'_>, name: &str) -> Option<Vec<Text>> {
        let value = self.take(name)?;
        let line = said.line_of(value.span().start);
        match value.get_ref() {
            DeValue::String(text) => Some(text.split(',').filter(|part| !part.is_empty()).map(|part| (part.to_owned(), line)).collect()),
            DeValue::Array(items) => {
                let mut texts = Vec::new();
                for item in items.iter() {
                    match item.get_ref() {
                        DeValue::String(text) => texts.push((text.to_string(), said.line_of(item.span().start))),
                        _ => self.odd(said, name, item, "a list of texts in quotes"),
                    }
                }
                Some(texts)
            }
            _ => {
                self.odd(said, name, value, "a list of texts in quotes");
                None
            }
        }
    }

    pub(super) fn number(&mut self, said: &mut Said<'_>, name: &str) -> Option<(f64, usize)> {
        let value = self.take(name)?;
        let number = match value.get_ref() {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number as f64),
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::String(number) => number.trim().parse().ok(),
            _ => None,
        };
        if number.is_none() {
            self.odd(said, name, value, "a number");
        }
        number.map(|number| (number, said.line_of(value.span().start)))
    }

    /// A number of things: whole, and not below nothing.
    pub(super) fn count(&mut self, said: &mut Said<'_>, name: &str) -> Option<u32> {
        let (number, line) = self.number(said, name)?;
        if number < 0.0 || number.fract() != 0.0 || number > f64::from(u32::MAX) {
            said.refuse(line, &self.rule, format!("`{name}` is no whole number from 0"), "count from 0");
            return None;
        }
        Some(number as u32)
    }

    pub(super) fn flag(&mut self, said: &mut Said<'_>, name: &str) -> Option<(bool, usize)> {
        let value = self.take(name)?;
        let line = said.line_of(value.span().start);
        match value.get_ref() {
            DeValue::Boolean(flag) => Some((*flag, line)),
            DeValue::String(text) if matches!(&**text, "true" | "false") => Some((&**text == "true", line)),
            _ => {
                self.odd(said, name, value, "true or false");
                None
            }
        }
    }

    /// Tables under a name: `[name]` or `[[name]]`.
    pub(super) fn tables(&mut self, said: &mut Said<'_>, name: &str) -> Vec<Fields<'d, 'i>> {
        let Some(value) = self.take(name) else { return Vec::new() };
        let items: Vec<&'d Spanned<DeValue<'i>>> = match value.get_ref() {
            DeValue::Array(items) => items.iter().collect(),
            _ => vec![value],
        };
        let mut tables = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::Table(table) => {
                    // An array of tables has its header's line; its first field says more exactly where it is.
                    let first = table.iter().map(|(key, _)| key.span().start).min().unwrap_or(item.span().start);
                    tables.push(Fields::new(table, said.line_of(first), &self.rule));
                }
                _ => self.odd(said, name, item, "a table"),
            }
        }
        tables
    }

    /// Tells of every field that nobody asked for.
    pub(super) fn finish(self, said: &mut Said<'_>) {
        for (key, _) in self.table.iter() {
            let name = key.get_ref();
            if !self.taken.iter().any(|taken| name.eq_ignore_ascii_case(taken)) {
                let line = said.line_of(key.span().start);
                said.warn(
                    line,
                    &self.rule,
                    format!("`{name}` is no field of the format and was passed over"),
                    "remove it, or correct its name",
                );
            }
        }
    }
}
