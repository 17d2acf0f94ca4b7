//! Bad input: one clear message that names the file, the line and the mend; everything else goes on.

use std::fs;

use crate::program::{Home, git, stripe_key};

#[test]
fn a_job_file_with_mistakes_is_refused_with_all_of_them() {
    let home = Home::new();
    let job = home.work().join("bad.toml");
    fs::write(&job, "name = \"x\"\nshedule = \"0 7 * * MON\"\ntimezone = \"Mars/Olympus\"\n[[audit]]\nprovider = \"awz\"\n")
        .expect("a file");
    let ran = home.run(&["run", "bad.toml"]);
    assert_eq!(ran.code, 3);
    for line in [
        "bad.toml:2: unknown field `shedule` in the job; did you mean `schedule`?",
        "bad.toml:3: `Mars/Olympus` is not a time zone",
        "bad.toml:5: provider `awz` is not in this version; did you mean `aws`?",
    ] {
        assert!(ran.err.contains(line), "{line:?} is not in\n{}", ran.err);
    }
    assert!(!home.store().exists(), "nothing was run");
    let checked = home.run(&["jobs", "check", "bad.toml"]);
    assert_eq!(checked.code, 3);
    assert!(checked.err.contains("bad.toml:2:"));
    assert_eq!(home.run(&["run", "absent.toml"]).code, 3);
}

#[test]
fn a_path_that_is_not_there_is_a_gap_and_the_rest_goes_on() {
    let home = Home::new();
    fs::write(home.work().join("x.env"), format!("STRIPE={}\n", stripe_key(20))).expect("a file");
    let (code, report) = home.json(&["audit", ".", "absent", "--only", "machine", "--format", "json"]);
    assert_eq!(code, 2);
    assert_eq!(report["detections"].as_array().expect("a list").len(), 1);
    let gaps = report["gaps"].as_array().expect("a list");
    assert!(gaps.iter().any(|gap| gap["reason"] == "missing" && gap.to_string().contains("absent")), "{gaps:#?}");
}

#[test]
fn odd_and_hostile_repositories_do_no_harm() {
    let home = Home::new();
    let repositories = home.work();
    let good = repositories.join("good");
    fs::create_dir(&good).expect("a folder");
    git(&good, &["init", "-q"]);
    fs::write(good.join("a.env"), format!("STRIPE={}\n", stripe_key(30))).expect("a file");
    git(&good, &["add", "."]);
    git(&good, &["commit", "-qm", "a"]);

    // Half cloned: the pack is cut.
    let cut = repositories.join("cut");
    git(&repositories, &["clone", "-q", "--no-hardlinks", "good", "cut"]);
    git(&cut, &["gc", "-q"]);
    let packs = cut.join(".git/objects/pack");
    let pack = fs::read_dir(&packs)
        .expect("packs")
        .map(|entry| entry.expect("a file").path())
        .find(|path| path.extension().is_some_and(|e| e == "pack"))
        .expect("a pack");
    let mut permissions = fs::metadata(&pack).expect("a pack").permissions();
    #[allow(clippy::permissions_set_readonly_false, reason = "git makes packs read-only; the test owns this one")]
    permissions.set_readonly(false);
    fs::set_permissions(&pack, permissions).expect("writable");
    let bytes = fs::read(&pack).expect("a pack");
    fs::write(&pack, &bytes[..bytes.len() / 2]).expect("a cut pack");

    // Hostile: configuration that would run a command for whoever trusts it.
    let hostile = repositories.join("hostile");
    git(&repositories, &["clone", "-q", "good", "hostile"]);
    let sentinel = home.path("PWNED");
    let command = format!("touch {}", sentinel.display());
    for name in ["core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "filter.x.clean", "filter.x.smudge", "diff.external"] {
        git(&hostile, &["config", name, &command]);
    }
    fs::write(hostile.join(".gitattributes"), "* filter=x diff=x\n").expect("a file");
    for hook in ["post-checkout", "pre-commit", "reference-transaction", "fsmonitor-watchman"] {
        let path = hostile.join(".git/hooks").join(hook);
        fs::create_dir_all(path.parent().expect("hooks")).expect("a folder");
        fs::write(&path, format!("#!/bin/sh\n{command}\n")).expect("a hook");
        std::process::Command::new("chmod").arg("+x").arg(&path).status().expect("chmod");
    }
    std::os::unix::fs::symlink("/etc/passwd", hostile.join("link")).expect("a link");
    std::os::unix::fs::symlink("..", hostile.join("loop")).expect("a link");

    let before = listing(&repositories);
    let (code, report) = home.json(&["audit", "--only", "machine", "--format", "json"]);
    assert_eq!(code, 2, "the cut pack is a gap");
    let gaps = report["gaps"].as_array().expect("a list");
    assert!(gaps.iter().all(|gap| gap.to_string().contains("/cut")), "{gaps:#?}");
    assert!(gaps.iter().any(|gap| gap["reason"] == "corrupt"), "{gaps:#?}");
    for name in ["good", "hostile"] {
        assert!(
            report["detections"]
                .as_array()
                .expect("a list")
                .iter()
                .any(|item| item["artifact"].as_str().is_some_and(|a| a.starts_with("git:") && a.ends_with(name))),
            "nothing found in {name}"
        );
    }
    assert!(!sentinel.exists(), "a scanned repository ran a command");
    assert_eq!(listing(&repositories), before, "an audit changed what it read");
}

/// Names, sizes and times of everything below a folder.
fn listing(folder: &std::path::Path) -> Vec<String> {
    let output = std::process::Command::new("find").arg(folder).args(["-printf", "%p %s %T@ %C@\\n"]).output().expect("find");
    let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn stores_that_cannot_be_used_are_refused_with_the_mend() {
    let home = Home::new();
    assert_eq!(home.run(&["audit", "--only", "machine"]).code, 0);
    let store = home.store();

    // Not a database, and a database of somebody else.
    let text = home.path("notes.db");
    fs::write(&text, "these are my notes, not a database. ".repeat(200)).expect("a file");
    let other = home.path("other.db");
    sqlite(&other, "create table mine (x); insert into mine values (1);");
    for path in [&text, &other] {
        let before = fs::read(path).expect("a file");
        let ran = home.run(&["audit", "--store", &format!("sqlite://{}", path.display())]);
        assert_eq!(ran.code, 3, "{}", ran.err);
        assert!(ran.err.contains(path.to_str().expect("a path")), "{}", ran.err);
        assert_eq!(fs::read(path).expect("a file"), before, "somebody else's file was changed");
    }
    let ran = home.run(&["audit", "--store", "mysql://x"]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("sqlite://"), "{}", ran.err);

    // Another deployment's key.
    let mut stranger = Home::new();
    stranger.set("OVERDUE_STORE", &format!("sqlite://{}", store.display()));
    let ran = stranger.run(&["audit", "--only", "machine"]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("key"), "{}", ran.err);

    // A store of a newer program.
    sqlite(&store, "pragma user_version");
    let tables = sqlite(&store, "select name from sqlite_master where type = 'table'");
    assert!(tables.contains("runs") || tables.contains("run"), "{tables}");
}

/// Runs SQL with Python's own SQLite, a second opinion on what the store wrote.
fn sqlite(path: &std::path::Path, sql: &str) -> String {
    let output = std::process::Command::new("python3")
        .args(["-c", "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nfor s in sys.argv[2].split(';'):\n    for r in c.execute(s): print('|'.join(map(str, r)))\nc.commit()"])
        .arg(path)
        .arg(sql)
        .output()
        .expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_was_not_looked_at_is_never_clean() {
    let home = Home::new();
    for wrong in [vec![], vec!["run"], vec!["audit", "--bogus"], vec!["permissions", "aws", "--role", "x"]] {
        assert_eq!(home.run(&wrong).code, 3, "{wrong:?}");
    }
    assert_eq!(home.run(&["--help"]).code, 0);

    // A checkout that was moved away.
    fs::create_dir(home.work().join("repositories")).expect("a folder");
    let job = "name = \"git\"\n[[audit]]\nprovider = \"machine\"\npaths = [\"repositories\"]\nread = [\"git\"]\n";
    fs::write(home.work().join("git.toml"), job).expect("a job");
    let (code, report) = home.json(&["run", "git.toml", "--format", "json"]);
    assert_eq!((code, report["gaps"][0]["reason"].as_str()), (2, Some("missing")), "{report}");

    // A run that could not run hides no earlier one.
    let repository = home.work().join("repositories/a");
    fs::create_dir(&repository).expect("a folder");
    git(&repository, &["init", "-q"]);
    fs::write(repository.join("a.env"), format!("STRIPE={}\n", stripe_key(70))).expect("a file");
    git(&repository, &["add", "."]);
    git(&repository, &["commit", "-qm", "a"]);
    let letters = || fs::read_dir(home.work().join("outbox")).map_or(0, Iterator::count);
    assert_eq!(home.run(&["run", "git.toml"]).code, 1);
    assert_eq!(letters(), 1);
    assert_eq!(home.run(&["run", "git.toml", "--only", "aws"]).code, 3);
    assert_eq!(home.run(&["findings", "--job", "git.toml"]).code, 1);
    // Away again: what was found there stays open.
    fs::rename(&repository, home.path("elsewhere")).expect("moved");
    let (code, report) = home.json(&["run", "git.toml", "--format", "json"]);
    assert_eq!((code, report["findings"].as_array().expect("a list").len()), (2, 1), "{report}");

    // A letter that could not be written is found out before anything is read.
    fs::write(home.work().join("t.toml"), format!("{}[letters]\ntemplate = \"nosuch\"\n", job.replace("\"git\"\n[", "\"t\"\n[")))
        .expect("a job");
    let ran = home.run(&["run", "t.toml"]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("nosuch") && ran.err.contains("rotation-due"), "{}", ran.err);
}
