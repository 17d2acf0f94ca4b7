//! The house rules, as tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the project's root")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "target" && name != ".git") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// `overdue → leaves → core`, and nothing else.
#[test]
fn the_crates_form_a_star() {
    let leaves = ["overdue-detect", "overdue-providers", "overdue-store", "overdue-report"];
    let mut crates = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("crates")).expect("crates") {
        let folder = entry.expect("an entry").path();
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let manifest = read(&folder.join("Cargo.toml"));
        let depends: BTreeSet<&str> = manifest
            .lines()
            .filter_map(|line| line.split_once(['=', '.']).map(|(name, _)| name.trim()))
            .filter(|name| name.starts_with("overdue-"))
            .collect();
        let allowed: BTreeSet<&str> = match name.as_str() {
            "overdue-core" => BTreeSet::new(),
            "overdue" => leaves.into_iter().chain(["overdue-core"]).collect(),
            _ => BTreeSet::from(["overdue-core"]),
        };
        assert!(depends.is_subset(&allowed), "{name} may not depend on {:?}", depends.difference(&allowed));
        crates.insert(name);
    }
    let known: BTreeSet<String> = leaves.iter().map(|name| (*name).to_owned()).chain(["overdue".into(), "overdue-core".into()]).collect();
    assert_eq!(crates, known, "a new crate needs its place in ARCHITECTURE.md and here");
}

#[test]
fn every_module_opens_with_its_promise() {
    for file in files(&root().join("crates"), "rs").into_iter().chain(files(&root().join("tests"), "rs")) {
        assert!(read(&file).starts_with("//!"), "{} does not open with `//!`", file.display());
    }
}

#[test]
fn every_path_the_documents_name_is_there() {
    for document in ["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md", "docs/README.md"] {
        let path = root().join(document);
        let text = read(&path);
        let mut named: BTreeSet<String> = BTreeSet::new();
        for part in text.split('`').skip(1).step_by(2) {
            let is_path =
                ["crates/", "jobs/", "templates/", "docs/", "tests/", "terraform/", ".ci/"].iter().any(|start| part.starts_with(start));
            if is_path && !part.contains(['*', ' ', '<']) {
                named.insert(part.to_owned());
            }
        }
        for name in named {
            assert!(root().join(&name).exists(), "{document} names {name}, which is not there");
        }
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(link, _)| link)) {
            if !link.starts_with("http") && !link.starts_with('#') {
                let folder = path.parent().expect("a folder");
                assert!(folder.join(link).exists(), "{document} links to {link}, which is not there");
            }
        }
    }
}

/// Every verdict code has its page, and no page is left over.
#[test]
fn every_verdict_has_its_page() {
    let source = read(&root().join("crates/overdue-core/src/verdict.rs"));
    let codes: BTreeSet<String> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => \""))
        .filter_map(|(_, rest)| rest.strip_suffix("\","))
        .filter(|code| code.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        .map(str::to_owned)
        .filter(|code| !["low", "medium", "high", "critical"].contains(&code.as_str()))
        .collect();
    assert!(codes.len() >= 13, "the codes were not found in verdict.rs: {codes:?}");
    let pages: BTreeSet<String> = files(&root().join("docs/verdicts"), "md")
        .iter()
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .filter(|name| name != "README")
        .collect();
    assert_eq!(codes, pages);
}

/// Every credential kind has a row in its provider's page.
#[test]
fn every_credential_kind_is_documented() {
    let source = read(&root().join("crates/overdue-core/src/credential.rs"));
    let page = read(&root().join("docs/providers/aws.md"));
    let kinds: Vec<&str> = source
        .lines()
        .filter_map(|line| line.trim().split_once(" => \"")?.1.strip_suffix("\","))
        .filter(|name| name.starts_with("aws."))
        .collect();
    assert_eq!(kinds.len(), 8, "{kinds:?}");
    for kind in kinds {
        assert!(page.contains(&format!("`{kind}`")), "docs/providers/aws.md has no row for {kind}");
    }
}

/// The command line, the documents and the exit codes say the same.
#[test]
fn help_and_documents_agree() {
    let help = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_overdue")).args(arguments).output().expect("the program");
        assert!(output.status.success(), "overdue {arguments:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let main = help(&["--help"]);
    // Help is wrapped to the terminal.
    let words = main.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in ["0 clean", "1 findings", "2 partial", "3 could not run"] {
        assert!(words.contains(line), "--help does not say {line}");
        assert!(read(&root().join("README.md")).contains(line), "README.md does not say {line}");
    }
    let documents: String = files(&root().join("docs"), "md").iter().map(|path| read(path)).collect::<String>()
        + &read(&root().join("README.md"))
        + &read(&root().join("CHANGELOG.md"));
    let commands: Vec<&str> = main
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        // A wrapped description is indented further than a name.
        .filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '))?.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.len() >= 8, "{commands:?}");
    for command in commands {
        assert!(help(&[command, "--help"]).contains("Usage: overdue"), "{command}");
        assert!(
            documents.contains(&format!("overdue {command}")) || documents.contains(&format!("`{command}`")),
            "no document mentions `overdue {command}`"
        );
    }
}

/// Commands that documents show parse: a renamed flag cannot stay in a document.
#[test]
fn job_files_that_ship_are_good() {
    for job in files(&root().join("jobs"), "toml") {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_overdue")).args(["jobs", "check"]).arg(&job).output().expect("the program");
        assert!(output.status.success(), "{}: {}", job.display(), String::from_utf8_lossy(&output.stderr));
    }
}
