//! The `[owners]` table and the owners file it names.

use std::path::Path;

use globset::{Glob, GlobMatcher};
use overdue_core::{Owner, OwnersConfig, OwnersRule};

use super::reader::{self, Fields, Problem, Problems};
use super::{addresses, owner_sources, plausible_address};

/// Reads `[owners]`. Complaints about the owners file itself come back apart, since they name another file.
pub(super) fn config(mut fields: Fields<'_, '_>, problems: &mut Problems<'_>, folder: &Path) -> (OwnersConfig, Vec<Problem>) {
    let mut config = OwnersConfig::default();
    let mut file_problems = Vec::new();
    if let Some(from) = owner_sources(&mut fields, problems) {
        config.from = from;
    }
    if let Some(tags) = fields.strings(problems, "tags") {
        config.tag_keys = tags.value.into_iter().map(|tag| tag.value).collect();
    }
    config.addresses = addresses(&mut fields, problems);
    if let Some(file) = fields.string(problems, "file") {
        let path = folder.join(&file.value);
        match std::fs::read_to_string(&path) {
            Ok(text) => match rules(&path, &text) {
                Ok(rules) => config.rules = rules,
                Err(list) => file_problems = list,
            },
            Err(error) => problems.add(file.at, format!("cannot read the owners file {}: {error}", path.display())),
        }
    }
    fields.finish(problems, "[owners]");
    (config, file_problems)
}

/// Reads an owners file: `[[owner]]` blocks of `account`, `kind`, `name` (globs) and `address`.
fn rules(path: &Path, text: &str) -> Result<Vec<OwnersRule>, Vec<Problem>> {
    let mut problems = Problems::new(path, text);
    let root = reader::parse(&mut problems);
    let mut fields = Fields::new(root.get_ref(), 0);
    let mut rules = Vec::new();
    for mut block in fields.tables(&mut problems, "owner") {
        let at = block.at();
        let account = glob(&mut block, &mut problems, "account");
        let kind = glob(&mut block, &mut problems, "kind");
        let name = glob(&mut block, &mut problems, "name");
        let team = block.string(&mut problems, "team").map(|team| team.value);
        let address = block.string(&mut problems, "address");
        match address {
            Some(address) if plausible_address(&address.value) => rules.push(OwnersRule {
                account,
                kind,
                name,
                owner: Owner { name: team.unwrap_or_else(|| address.value.clone()), address: Some(address.value) },
                place: format!(
                    "{}:{}",
                    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
                    problems.line_of(at)
                ),
            }),
            Some(address) => problems.add(address.at, format!("`address` must be a mail address, not \"{}\"", address.value)),
            None if block.raw("address").is_none() => problems.add(at, "an [[owner]] needs an `address`"),
            None => {}
        }
        block.finish(&mut problems, "an [[owner]]");
    }
    fields.finish(&mut problems, "the owners file");
    let list = problems.into_list();
    if list.is_empty() { Ok(rules) } else { Err(list) }
}

fn glob(fields: &mut Fields<'_, '_>, problems: &mut Problems<'_>, name: &'static str) -> Option<GlobMatcher> {
    let text = fields.string(problems, name)?;
    match Glob::new(&text.value) {
        Ok(glob) => Some(glob.compile_matcher()),
        Err(error) => {
            problems.add(text.at, format!("`{name}` is not a glob: {}", error.kind()));
            None
        }
    }
}
