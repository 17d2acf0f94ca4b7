//! What a project already says of its secrets: rules of its own, `.gitleaks.toml`, `.gitleaksignore`, markers on lines.
//!
//! Read where the scan begins. What they allow is listed as accepted with its reason; an entry or a marker that allows
//! nothing is told. docs/scan-config.md is the page for users.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use overdue_detect::{Allow, Allowlists, GitleaksConfig, Ignores, RuleSet, ScanRules};

use crate::cli::ScanArgs;
use crate::output::complain;

/// Rules of a scan, and what it honours.
pub(super) struct Configured {
    pub(super) rules: RuleSet,
    pub(super) allow: Allow,
    pub(super) lists: Allowlists,
    pub(super) ignores: Ignores,
}

/// The folder that paths in those files count from: the one folder that is scanned, else the current one.
pub(super) fn root(paths: &[PathBuf]) -> PathBuf {
    match paths {
        [path] if path.is_dir() => path.clone(),
        _ => PathBuf::from("."),
    }
}

/// Reads what there is. `whole`: everything is looked at, so that a marker without a secret can be told.
pub(super) fn read(args: &ScanArgs, root: &Path, whole: bool) -> Result<Configured> {
    let mut files = Vec::new();
    for path in &args.rules {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the rules {}", path.display()))?;
        files.push((path.display().to_string(), text));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let standing = root.join(".gitleaks.toml");
    let config = match &args.gitleaks_config {
        Some(path) => Some(gitleaks(path)?),
        None if !args.no_allow && standing.is_file() => Some(gitleaks(&standing)?),
        None => None,
    };
    let composed = ScanRules::compose(&files, config.as_ref())?;
    for warning in &composed.warnings {
        complain(&warning.to_string());
    }
    let mut ignores = Ignores::default();
    let mut allow = Allow::nothing();
    if !args.no_allow {
        let path = root.join(".gitleaksignore");
        if path.is_file() {
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let (read, warnings) = Ignores::read(&path.display().to_string(), &text);
            warnings.iter().for_each(|warning| complain(&warning.to_string()));
            ignores = read;
        }
        allow = if whole { allow.unused_markers() } else { allow.markers() };
    }
    Ok(Configured { rules: composed.rules, allow: allow.lists(composed.allowlists.clone()), lists: composed.allowlists, ignores })
}

/// A configuration with the files it extends.
fn gitleaks(path: &Path) -> Result<GitleaksConfig> {
    let one = |path: &Path| -> Result<GitleaksConfig> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the gitleaks configuration {}", path.display()))?;
        Ok(GitleaksConfig::read(&path.display().to_string(), &text)?)
    };
    let mut config = one(path)?;
    // As in gitleaks, from the current folder; from the file's own where it is not there.
    while let Some(next) = config.extends().map(PathBuf::from) {
        let beside = path.parent().unwrap_or(Path::new(".")).join(&next);
        let base = one(if next.exists() { &next } else { &beside })?;
        config = config.extending(base);
    }
    Ok(config)
}
