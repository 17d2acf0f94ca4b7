//! `overdue audit`: what a newcomer types first.

use std::fs;

use crate::program::{Home, git, stripe_key};

#[test]
fn an_empty_folder_without_credentials_is_clean_and_says_what_was_not_there() {
    let home = Home::new();
    let ran = home.run(&["audit"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("AWS: no credentials here"), "{}", ran.out);
    let report = ran.out.lines().find_map(|line| line.strip_prefix("Report: ")).expect("the report's path");
    let html = fs::read_to_string(report).expect("the report");
    assert!(html.contains("</html>") && !html.contains("<script"), "one self-contained page without scripts");
}

#[test]
fn history_files_and_credential_files_are_read() {
    let home = Home::new();
    let repository = home.work().join("shop");
    fs::create_dir(&repository).expect("a folder");
    git(&repository, &["init", "-q"]);
    let (old, branch, tree, npm) = (stripe_key(1), stripe_key(2), stripe_key(3), stripe_key(4));
    fs::write(repository.join("pay.py"), format!("KEY = \"{old}\"\n")).expect("a file");
    git(&repository, &["add", "."]);
    git(&repository, &["commit", "-qm", "pay"]);
    fs::write(repository.join("pay.py"), "KEY = load()\n").expect("a file");
    git(&repository, &["commit", "-qam", "no key in code"]);
    git(&repository, &["checkout", "-qb", "try"]);
    fs::write(repository.join("try.py"), format!("# a try\nKEY = \"{branch}\"\n")).expect("a file");
    git(&repository, &["add", "."]);
    git(&repository, &["commit", "-qm", "try"]);
    git(&repository, &["checkout", "-q", "main"]);
    git(&repository, &["branch", "-qD", "try"]);
    fs::write(repository.join("notes.txt"), format!("stripe {tree}\n")).expect("a file");
    fs::write(home.path("home/.netrc"), format!("machine api.stripe.com login x password {npm}\n")).expect("a file");

    let (code, report) = home.json(&["audit", "--format", "json"]);
    assert_eq!(code, 1, "{report}");
    let places: Vec<(String, String, String)> = report["detections"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|item| item["rule"] == "stripe.secret-key")
        .map(|item| {
            let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
            (text("artifact_kind"), text("artifact").rsplit('/').next().expect("a name").to_owned(), text("path"))
        })
        .collect();
    let place = |kind: &str, name: &str, path: &str| (kind.to_owned(), name.to_owned(), path.to_owned());
    for wanted in [
        place("git-blob", "shop", "pay.py"),
        place("git-blob", "shop", "try.py"),
        place("file", "notes.txt", ""),
        place("credential-file", ".netrc", ""),
    ] {
        assert!(places.contains(&wanted), "{wanted:?} is not in {places:#?}");
    }
    let author = report["detections"].as_array().expect("a list").iter().find(|item| item["path"] == "try.py").expect("it");
    assert_eq!((author["author"].as_str(), author["at_tip"].as_bool()), (Some("Ann Author <ann@example.com>"), Some(false)));
    let text = report.to_string();
    for secret in [old, branch, tree, npm] {
        assert!(!text.contains(&secret) && !text.contains(&secret[12..30]), "a secret is in the report");
    }
}

/// A second audit of the same reads nothing again but says the same; what was mended is closed, what is unreadable stays.
#[test]
fn a_finding_closes_only_when_its_place_was_read_again() {
    let home = Home::new();
    let file = home.work().join("a.env");
    fs::write(&file, format!("STRIPE={}\n", stripe_key(7))).expect("a file");
    let count = |expected: i32| {
        let (code, report) = home.json(&["audit", "--only", "machine", "--format", "json"]);
        assert_eq!(code, expected, "{report}");
        report["findings"].as_array().expect("a list").len()
    };
    assert_eq!(count(1), 1);
    assert_eq!(count(1), 1);
    fs::write(&file, "STRIPE=from-the-vault\n").expect("a file");
    assert_eq!(count(0), 0);
}

#[test]
fn two_audits_of_different_folders_do_not_mix() {
    let home = Home::new();
    for (folder, seed) in [("a", 11), ("b", 12)] {
        fs::create_dir(home.work().join(folder)).expect("a folder");
        fs::write(home.work().join(folder).join("x.env"), format!("STRIPE={}\n", stripe_key(seed))).expect("a file");
    }
    for folder in ["a", "b", "a"] {
        let (code, report) = home.json(&["audit", folder, "--only", "machine", "--format", "json"]);
        assert_eq!(code, 1);
        let artifacts: Vec<&str> =
            report["detections"].as_array().expect("a list").iter().filter_map(|item| item["artifact"].as_str()).collect();
        assert_eq!(artifacts.len(), 1, "{artifacts:?}");
        assert!(artifacts[0].ends_with(&format!("/{folder}/x.env")), "{artifacts:?}");
    }
}

/// The gate holds for us too: no commit of this repository holds anything that has the form of a credential. What rules only
/// guess at is held to in the present tree (`scan.rs`): a rule that is made keener later cannot take back what lies in old
/// commits.
#[test]
fn our_own_history_is_clean() {
    let home = Home::new();
    let root = crate::servers::root();
    let job = format!("name = \"own\"\n[[audit]]\nprovider = \"machine\"\npaths = [\"{}\"]\nread = [\"git\"]\n", root.display());
    fs::write(home.work().join("own.toml"), job).expect("a job");
    let (_, report) = home.json(&["run", "own.toml", "--format", "json"]);
    let targets = report["coverage"]["targets"].as_array().expect("a list");
    assert!(targets.iter().any(|target| target["kind"] == "repository"), "{targets:?}");
    let certain: Vec<&serde_json::Value> =
        report["detections"].as_array().expect("a list").iter().filter(|detection| detection["confidence"] == "certain").collect();
    assert!(certain.is_empty(), "assemble made-up tokens from parts, in commits too: {certain:#?}");
}
