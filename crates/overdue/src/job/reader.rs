//! A strict reader of TOML tables.
//!
//! It collects every complaint with its line instead of stopping at the first, and a field nobody asked for is a
//! complaint too, with the name that was probably meant.

use std::fmt;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The file.
    pub(crate) file: PathBuf,
    /// Line, from 1.
    pub(crate) line: usize,
    /// What is wrong and how to mend it.
    pub(crate) text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.text)
    }
}

/// Complaints about one file, gathered while it is read.
pub(crate) struct Problems<'t> {
    file: &'t Path,
    text: &'t str,
    list: Vec<Problem>,
}

impl<'t> Problems<'t> {
    pub(crate) fn new(file: &'t Path, text: &'t str) -> Self {
        Self { file, text, list: Vec::new() }
    }

    /// Adds a complaint about the bytes at `at`.
    pub(crate) fn add(&mut self, at: usize, text: impl Into<String>) {
        let line = self.text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
        self.list.push(Problem { file: self.file.to_owned(), line, text: text.into() });
    }

    pub(crate) fn line_of(&self, at: usize) -> usize {
        self.text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
    }

    /// All complaints by line.
    pub(crate) fn into_list(mut self) -> Vec<Problem> {
        self.list.sort_by_key(|problem| problem.line);
        self.list
    }
}

/// Parses a whole file. A syntax error is one of the complaints, and what could be read is still looked at.
pub(crate) fn parse<'t>(problems: &mut Problems<'t>) -> Spanned<DeTable<'t>> {
    let (table, errors) = DeTable::parse_recoverable(problems.text);
    for error in errors {
        problems.add(error.span().map_or(0, |span| span.start), format!("this is not TOML: {}", error.message()));
    }
    table
}

/// The fields of one table, each taken at most once.
pub(crate) struct Fields<'v, 't> {
    table: &'v DeTable<'t>,
    at: usize,
    taken: Vec<&'static str>,
}

/// A field's value with its place in the file.
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) at: usize,
}

impl<'v, 't> Fields<'v, 't> {
    pub(crate) fn new(table: &'v DeTable<'t>, at: usize) -> Self {
        Self { table, at, taken: Vec::new() }
    }

    /// Where the table starts.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The raw value of a field.
    pub(crate) fn raw(&mut self, name: &'static str) -> Option<&'v Spanned<DeValue<'t>>> {
        self.taken.push(name);
        self.table.get(name)
    }

    fn take<T>(
        &mut self,
        problems: &mut Problems<'_>,
        name: &'static str,
        wanted: &str,
        read: impl Fn(&'v DeValue<'t>) -> Option<T>,
    ) -> Option<At<T>> {
        let found = self.raw(name)?;
        let at = found.span().start;
        match read(found.get_ref()) {
            Some(value) => Some(At { value, at }),
            None => {
                problems.add(at, format!("`{name}` must be {wanted}, not {}", found.get_ref().type_str()));
                None
            }
        }
    }

    pub(crate) fn string(&mut self, problems: &mut Problems<'_>, name: &'static str) -> Option<At<String>> {
        self.take(problems, name, "a text in quotes", |value| value.as_str().map(str::to_owned))
    }

    pub(crate) fn flag(&mut self, problems: &mut Problems<'_>, name: &'static str) -> Option<At<bool>> {
        self.take(problems, name, "true or false", DeValue::as_bool)
    }

    pub(crate) fn whole(&mut self, problems: &mut Problems<'_>, name: &'static str) -> Option<At<u64>> {
        self.take(problems, name, "a whole number", |value| {
            value.as_integer().and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok())
        })
    }

    pub(crate) fn strings(&mut self, problems: &mut Problems<'_>, name: &'static str) -> Option<At<Vec<At<String>>>> {
        self.take(problems, name, "a list of texts, such as [\"a\", \"b\"]", |value| {
            value.as_array()?.iter().map(|item| Some(At { value: item.get_ref().as_str()?.to_owned(), at: item.span().start })).collect()
        })
    }

    pub(crate) fn table(&mut self, problems: &mut Problems<'_>, name: &'static str) -> Option<Fields<'v, 't>> {
        let found = self.take(problems, name, "a table", DeValue::as_table)?;
        Some(Fields::new(found.value, found.at))
    }

    /// A list of tables, `[[name]]`.
    pub(crate) fn tables(&mut self, problems: &mut Problems<'_>, name: &'static str) -> Vec<Fields<'v, 't>> {
        let Some(found) = self.take(problems, name, "a list of tables, [[…]]", DeValue::as_array) else { return Vec::new() };
        let mut tables = Vec::new();
        for item in found.value.iter() {
            match item.get_ref().as_table() {
                Some(table) => tables.push(Fields::new(table, item.span().start)),
                None => problems.add(item.span().start, format!("each `{name}` must be a table")),
            }
        }
        tables
    }

    /// Every pair of a table whose keys are free.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (At<&'v str>, &'v Spanned<DeValue<'t>>)> + use<'v, 't> {
        self.table.iter().map(|(key, value)| (At { value: key.get_ref().as_ref(), at: key.span().start }, value))
    }

    /// Complains about every field that was not asked for.
    pub(crate) fn finish(self, problems: &mut Problems<'_>, of: &str) {
        for (key, _) in self.table.iter() {
            let name: &str = key.get_ref().as_ref();
            if self.taken.contains(&name) {
                continue;
            }
            problems.add(key.span().start, format!("unknown field `{name}` in {of}{}", suggestion(name, &self.taken)));
        }
    }
}

/// `; did you mean …?` or the list of what is known.
pub(crate) fn suggestion(name: &str, known: &[&str]) -> String {
    let best = known.iter().map(|known| (strsim::damerau_levenshtein(name, known), *known)).min();
    match best {
        Some((distance, best)) if distance <= 2.max(best.len() / 3) => format!("; did you mean `{best}`?"),
        _ => format!("; it is one of: {}", known.join(", ")),
    }
}

/// Reads `90d`, `6h`, `30m`, `2w`, `45s`.
pub(crate) fn duration(text: &str) -> Option<jiff::SignedDuration> {
    let text = text.trim();
    let unit = text.char_indices().find(|(_, c)| !c.is_ascii_digit())?.0;
    let number: i64 = text[..unit].parse().ok()?;
    let seconds = match text[unit..].trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    // A thousand years is more than any policy means, and keeps every later sum inside the calendar.
    let total = number.checked_mul(seconds)?;
    (total <= 1_000 * 366 * 86_400).then(|| jiff::SignedDuration::from_secs(total))
}

/// Reads `2 GiB`, `500 MB`, `64KiB`, `1000`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit = text.char_indices().find(|(_, c)| !c.is_ascii_digit()).map_or(text.len(), |(at, _)| at);
    let number: u64 = text[..unit].parse().ok()?;
    let factor: u64 = match text[unit..].trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        assert_eq!(duration("90d"), Some(jiff::SignedDuration::from_hours(90 * 24)));
        assert_eq!(duration("2 w"), Some(jiff::SignedDuration::from_hours(14 * 24)));
        for bad in ["", "d", "90", "90x", "-1d", "99999999999999999999d", "999999999w", "1.5h"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
        assert_eq!(size("2 GiB"), Some(2 << 30));
        assert_eq!(size("1000"), Some(1000));
        for bad in ["", "GiB", "2 gib", "-1", "99999999999999 TiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_slip_gets_the_name_that_was_meant() {
        assert_eq!(suggestion("shedule", &["name", "schedule"]), "; did you mean `schedule`?");
        assert_eq!(suggestion("zzzzzz", &["name", "schedule"]), "; it is one of: name, schedule");
    }
}
