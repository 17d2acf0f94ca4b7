//! The gate: what is about to be merged, in every form it can come in.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::program::{Home, git, made_up, stripe_key};
use crate::servers::{python, root};

/// Findings of a JSON report as `file:line rule`.
fn places(report: &Value) -> Vec<String> {
    let line = |item: &Value| item["line"].as_u64().map_or(String::new(), |line| format!(":{line}"));
    let mut places: Vec<String> = report["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| format!("{}{} {}", item["file"].as_str().expect("a name"), line(item), item["rule"].as_str().expect("a rule")))
        .collect();
    places.sort();
    places
}

fn write(home: &Home, name: &str, text: &str) -> PathBuf {
    let path = home.work().join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(&path, text).expect("a file");
    path
}

fn repository(home: &Home, name: &str) -> PathBuf {
    let folder = home.work().join(name);
    fs::create_dir_all(&folder).expect("a folder");
    git(&folder, &["init", "-q", "-b", "main"]);
    folder
}

fn commit(folder: &Path, name: &str, text: &str) -> String {
    fs::write(folder.join(name), text).expect("a file");
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "-qm", &format!("write {name}")]);
    git(folder, &["rev-parse", "HEAD"]).trim().to_owned()
}

/// A gzip file, made by the tool itself.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new("gzip").arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("gzip");
    child.stdin.take().expect("its input").write_all(bytes).expect("written");
    child.wait_with_output().expect("an end").stdout
}

fn key_line(seed: u64) -> String {
    format!("STRIPE={}\n", stripe_key(seed))
}

#[test]
fn files_are_read_wherever_they_lie() {
    let home = Home::new();
    write(&home, "t/app.env", &format!("# settings\n{}", key_line(1)));
    write(&home, "t/.gitignore", "ignored.env\n");
    write(&home, "t/ignored.env", &key_line(2));
    write(&home, "t/node_modules/dep/.hidden/x.js", &format!("const k = \"{}\";\n", stripe_key(3)));
    write(&home, "t/clean.py", "print('nothing')\n");
    repository(&home, "t");
    let (code, report) = home.json(&["scan", "t", "--format", "json"]);
    assert_eq!(code, 1);
    let all = ["t/app.env:2 stripe.secret-key", "t/ignored.env:1 stripe.secret-key", "t/node_modules/dep/.hidden/x.js:1 stripe.secret-key"];
    assert_eq!(places(&report), all);
    assert_eq!(report["complete"], true);

    let (_, report) = home.json(&["scan", "t", "--skip-ignored", "--exclude", "**/node_modules/**", "--format", "json"]);
    assert_eq!(places(&report), [all[0]]);
    let (_, report) = home.json(&["scan", "t/app.env", "t/clean.py", "--threads", "1", "--format", "json"]);
    assert_eq!(places(&report), [all[0]]);

    // For a person: where, what, why, what to do; and never the secret.
    let ran = home.run(&["scan", "t/app.env"]);
    assert_eq!(ran.code, 1);
    for word in ["t/app.env:2:8", "Stripe secret key", "Anyone who can read this file", "Do: Roll the key", "1 secret found in t/app.env"] {
        assert!(ran.out.contains(word), "{word} in {}", ran.out);
    }
    assert!(!ran.out.contains(&stripe_key(1)));
    assert_eq!(home.run(&["scan", "t/clean.py"]).code, 0);

    let mut child = home.command().args(["scan", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("its input").write_all(key_line(4).as_bytes()).expect("written");
    let output = child.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));

    // What cannot be read is no clean scan, and a path that is not there is no scan.
    write(&home, "t/broken.zip", "PK\u{3}\u{4}and nothing behind it that a zip has");
    let (code, report) = home.json(&["scan", "t/broken.zip", "t/clean.py", "--format", "json"]);
    assert_eq!(code, 2, "{report}");
    assert_eq!(report["complete"], false);
    let ran = home.run(&["scan", "t", "--limit", "patience=3"]);
    assert!(ran.code == 3 && ran.err.contains("archive_depth_max"), "{}", ran.err);
    fs::write(home.work().join("t/inner.env.gz"), gzip(key_line(5).as_bytes())).expect("a file");
    let (code, report) = home.json(&["scan", "t/inner.env.gz", "--limit", "archive_depth_max=0", "--format", "json"]);
    assert!(code == 2 && report["gaps"][0]["detail"].as_str().is_some_and(|detail| detail.contains("archive_depth_max")), "{report}");
    assert_eq!(home.run(&["scan", "t/inner.env.gz"]).code, 1);
    let ran = home.run(&["scan", "nowhere"]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("nowhere"), "{}", ran.err);
}

#[test]
fn every_format_is_what_its_readers_expect() {
    let home = Home::new();
    write(&home, "t/a b.env", &key_line(1));
    let check = |program: &str, arguments: &[&str]| {
        let output = python().args(["-c", program]).args(arguments).current_dir(home.work()).output().expect("python3");
        assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    };
    for (format, name) in [("sarif", "o.sarif"), ("gitlab", "o.gitlab"), ("junit", "o.xml"), ("json", "o.json")] {
        let ran = home.run(&["scan", "t", "--format", format, "--output", name]);
        assert_eq!(ran.code, 1, "{}", ran.err);
        assert!(ran.out.contains("1 secret found"), "a log shows it to people: {}", ran.out);
    }
    check("import sys; from sarif_pydantic import Sarif; Sarif.model_validate_json(open(sys.argv[1]).read())", &["o.sarif"]);
    let sarif: Value = serde_json::from_slice(&fs::read(home.work().join("o.sarif")).expect("a file")).expect("JSON");
    assert_eq!(sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "t/a%20b.env");
    check(
        "import json, sys, jsonschema\n\
         schema, report = (json.load(open(path)) for path in sys.argv[1:])\n\
         jsonschema.Draft202012Validator.check_schema(schema)\n\
         jsonschema.Draft202012Validator(schema).validate(report)",
        &[root().join("docs/schema/scan-v1.json").to_str().expect("a path"), "o.json"],
    );
    check("import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])", &["o.xml"]);
    let ran = home.run(&["scan", "t", "--format", "github"]);
    assert!(ran.out.starts_with("::error file=t/a b.env,line=1,col=8,title=Stripe secret key"), "{}", ran.out);

    // What code hosts read of ours, held to the schemas of their makers.
    for (schema, file) in [("vendor.github-actions", "action.yml"), ("vendor.gitlab-ci", "integrations/gitlab-ci.yml")] {
        let file = root().join(file);
        let output = python().args(["-m", "check_jsonschema", "--builtin-schema", schema]).arg(&file).output().expect("python3");
        assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stdout));
    }

    // Moved lines keep a finding's id.
    let id = |report: &Value| report["findings"][0]["id"].as_str().expect("an id").to_owned();
    let (_, before) = home.json(&["scan", "t", "--format", "json"]);
    write(&home, "t/a b.env", &format!("\n\n# moved\n{}", key_line(1)));
    let (_, after) = home.json(&["scan", "t", "--format", "json"]);
    assert_eq!(after["findings"][0]["line"], 4);
    assert_eq!(id(&before), id(&after));
}

#[test]
fn what_is_staged_is_told_from_what_was_there() {
    let home = Home::new();
    let folder = repository(&home, "r");
    // A repository without a commit: everything staged is new.
    fs::write(folder.join("old.env"), key_line(1)).expect("a file");
    git(&folder, &["add", "old.env"]);
    let staged = || home.json(&["scan", "r", "--staged", "--format", "json"]);
    assert_eq!(places(&staged().1), ["old.env:1 stripe.secret-key"]);
    commit(&folder, "other.txt", "nothing\n");
    let (code, report) = staged();
    assert_eq!((code, places(&report)), (0, Vec::new()), "nothing is staged");

    // The old secret moves, its file is renamed and copied; a new one comes in a file of its own and in the old file.
    fs::write(folder.join("old.env"), format!("# moved\n{}OTHER={}\n", key_line(1), stripe_key(2))).expect("a file");
    fs::write(folder.join("unstaged.env"), key_line(3)).expect("a file");
    fs::write(folder.join("new.env"), key_line(4)).expect("a file");
    git(&folder, &["add", "old.env", "new.env"]);
    fs::write(folder.join("new.env"), "changed after staging\n").expect("a file");
    assert_eq!(places(&staged().1), ["new.env:1 stripe.secret-key", "old.env:3 stripe.secret-key"]);
    // The same through the other layouts of an index.
    git(&folder, &["update-index", "--index-version", "4"]);
    assert_eq!(places(&staged().1), ["new.env:1 stripe.secret-key", "old.env:3 stripe.secret-key"]);
    git(&folder, &["commit", "-qm", "more"]);
    git(&folder, &["mv", "old.env", "renamed.env"]);
    let text = fs::read_to_string(folder.join("renamed.env")).expect("a file");
    fs::write(folder.join("renamed.env"), format!("{text}# and a line\n")).expect("a file");
    git(&folder, &["add", "renamed.env"]);
    assert_eq!(places(&staged().1), Vec::<String>::new(), "a renamed file brings nothing new");

    // A damaged index, and no repository at all, are no clean scans.
    fs::write(folder.join(".git/index"), "DIRC\0\0\0\u{2}\0\0\0\u{9}").expect("a file");
    let ran = home.run(&["scan", "r", "--staged"]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("the index cannot be read: it is cut short"), "{}", ran.err);
    fs::create_dir(home.work().join("plain")).expect("a folder");
    let ran = home.run(&["scan", "plain", "--staged"]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("no git repository here or above"), "{}", ran.err);
}

#[test]
fn a_change_and_all_history_are_looked_at() {
    let home = Home::new();
    let folder = repository(&home, "r");
    commit(&folder, "old.env", &key_line(1));
    git(&folder, &["tag", "v1"]);
    git(&folder, &["checkout", "-qb", "feature"]);
    let brought = commit(&folder, "new.env", &key_line(2));
    commit(&folder, "new.env", "gone again\n");
    commit(&folder, "old.env", &format!("# moved\n{}", key_line(1)));
    for revision in ["main", "v1", "HEAD~3", "refs/heads/main"] {
        let (code, report) = home.json(&["scan", "r", "--since", revision, "--format", "json"]);
        assert_eq!((code, places(&report)), (1, vec!["new.env:1 stripe.secret-key".to_owned()]), "since {revision}");
        assert_eq!(report["findings"][0]["commit"], brought.as_str());
    }
    assert_eq!(home.run(&["scan", "r", "--since", "HEAD"]).code, 0);
    let ran = home.run(&["scan", "r", "--since", "no-such-branch"]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("`no-such-branch` names no commit"), "{}", ran.err);

    // The branch is deleted; its objects are still there for whoever has the folder.
    git(&folder, &["checkout", "-q", "main"]);
    git(&folder, &["branch", "-qD", "feature"]);
    let (code, report) = home.json(&["scan", "--history", "r", "--format", "json"]);
    assert_eq!(code, 1);
    let found = places(&report);
    assert!(
        found.contains(&"new.env:1 stripe.secret-key".to_owned()) && found.contains(&"old.env:1 stripe.secret-key".to_owned()),
        "{found:?}"
    );
}

#[test]
fn hooks_stop_a_commit_and_a_push() {
    let home = Home::new();
    let program = env!("CARGO_BIN_EXE_overdue");
    let folder = repository(&home, "r");
    let hook = folder.join(".git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().expect("a folder")).expect("a folder");
    fs::write(&hook, format!("#!/bin/sh\nexec '{program}' scan --staged\n")).expect("a hook");
    executable(&hook);
    let run = |arguments: &[&str]| -> (bool, String) {
        let path = format!("{}:{}", Path::new(program).parent().expect("a folder").display(), std::env::var("PATH").unwrap_or_default());
        let output = Command::new("git")
            .arg("-C")
            .arg(&folder)
            .args(["-c", "user.name=T", "-c", "user.email=t@example.com"])
            .args(arguments)
            .env("PATH", path)
            .env("HOME", home.path("home"))
            .output()
            .expect("git");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    };
    fs::write(folder.join("clean.txt"), "nothing\n").expect("a file");
    run(&["add", "--all"]);
    let (passed, said) = run(&["commit", "-m", "clean"]);
    assert!(passed, "{said}");
    fs::write(folder.join("leak.env"), key_line(1)).expect("a file");
    run(&["add", "--all"]);
    let (passed, said) = run(&["commit", "-m", "leak"]);
    assert!(!passed && said.contains("leak.env:1:8"), "{said}");

    // `git commit -a` and `git commit FILE` give the hook an index of their own.
    run(&["rm", "-q", "--cached", "leak.env"]);
    fs::write(folder.join("clean.txt"), key_line(2)).expect("a file");
    for arguments in [["commit", "-am", "leak"], ["commit", "-mleak", "clean.txt"]] {
        let (passed, said) = run(&arguments);
        assert!(!passed && said.contains("clean.txt:1:8"), "{arguments:?}: {said}");
    }
    fs::write(folder.join("clean.txt"), "nothing\n").expect("a file");
    run(&["add", "clean.txt"]);
    run(&["add", "leak.env"]);

    // A server that judges a push before it takes it in: the objects lie apart until then.
    git(&home.work(), &["init", "-q", "--bare", "server.git"]);
    let receive = home.work().join("server.git/hooks/pre-receive");
    fs::create_dir_all(receive.parent().expect("a folder")).expect("a folder");
    fs::copy(root().join("integrations/pre-receive"), &receive).expect("a hook");
    executable(&receive);
    let server = home.work().join("server.git");
    let server = server.to_str().expect("a path");
    run(&["rm", "-q", "--cached", "leak.env"]);
    let (passed, said) = run(&["push", server, "main"]);
    assert!(passed, "the clean commit is taken: {said}");
    run(&["add", "--all"]);
    run(&["commit", "--no-verify", "-m", "leak"]);
    let (passed, said) = run(&["push", server, "main"]);
    assert!(!passed && said.contains("leak.env:1:8") && said.contains("push refused: refs/heads/main"), "{said}");
    let (passed, said) = run(&["push", server, "main:refs/heads/new"]);
    assert!(!passed && said.contains("leak.env:1:8"), "a new branch: {said}");
    run(&["rm", "-q", "leak.env"]);
    run(&["commit", "-qm", "removed"]);
    let (passed, said) = run(&["push", server, "main"]);
    assert!(!passed && said.contains("leak.env:1:8"), "its history still brings it: {said}");
}

fn executable(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a file of ours");
    }
}

#[test]
fn a_baseline_has_reasons_ends_and_survives_moved_code() {
    let home = Home::new();
    let password = format!("password: \"{}\"\n", made_up(5, "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", 20));
    write(&home, "t/a.env", &key_line(1));
    write(&home, "t/b.yaml", &password);
    let ran = home.run(&["scan", "t", "--accept"]);
    assert_eq!(ran.code, 3, "an acceptance needs a reason and a name");
    let ran = home.run(&["scan", "t", "--accept", "--reason", "a fixture", "--author", "ann@example.com"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let file = home.work().join(".overdue-baseline.toml");
    let text = fs::read_to_string(&file).expect("a baseline");
    assert_eq!(text.matches("[[accepted]]").count(), 2, "{text}");
    assert!(!text.contains(&stripe_key(1)) && text.contains("ann@example.com"), "{text}");

    // Elsewhere, in other company, in another file: still accepted, and a new one is not.
    fs::rename(home.work().join("t/a.env"), home.work().join("t/moved.env")).expect("renamed");
    write(&home, "t/moved.env", &format!("\n# moved\n{}NEW={}\n", key_line(1), stripe_key(2)));
    let (code, report) = home.json(&["scan", "t", "--format", "json"]);
    assert_eq!((code, places(&report)), (1, vec!["t/moved.env:4 stripe.secret-key".to_owned()]));
    assert_eq!(report["accepted"].as_array().expect("a list").len(), 2);
    assert!(report["accepted"][0]["accepted"].as_str().is_some_and(|why| why.contains("a fixture (ann@example.com)")), "{report}");

    // What matches nothing is told; what has ended suppresses nothing.
    fs::remove_file(home.work().join("t/b.yaml")).expect("removed");
    let (_, report) = home.json(&["scan", "t", "--format", "json"]);
    assert!(report["idle"][0].as_str().is_some_and(|idle| idle.contains("matches nothing any more")), "{report}");
    let lines: Vec<String> =
        text.lines().map(|line| if line.starts_with("until") { "until = 2026-01-01".to_owned() } else { line.to_owned() }).collect();
    fs::write(&file, lines.join("\n")).expect("written");
    let (code, report) = home.json(&["scan", "t", "--format", "json"]);
    assert_eq!((code, report["findings"].as_array().expect("a list").len()), (1, 2));
    assert!(report["idle"].to_string().contains("ended on 2026-01-01"), "{report}");
    fs::write(&file, text.replace("reason", "raeson")).expect("written");
    let ran = home.run(&["scan", "t"]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains(".overdue-baseline.toml:") && ran.err.contains("unknown field `raeson`"), "{}", ran.err);
}

#[test]
fn what_a_project_already_says_is_honoured_and_told() {
    let home = Home::new();
    let folder = repository(&home, "r");
    let (one, two, three) = (key_line(1), key_line(2), key_line(3));
    fs::create_dir(folder.join("fixtures")).expect("a folder");
    fs::write(folder.join("fixtures/a.env"), &one).expect("a file");
    fs::write(folder.join("b.env"), format!("\n{two}")).expect("a file");
    let marked = format!("{}  # overdue:allow made up for a test\nnothing  # gitleaks:allow\n", three.trim_end());
    fs::write(folder.join("c.env"), marked).expect("a file");
    fs::write(folder.join("d.env"), format!("INTERNAL=acme_{}\n", made_up(9, "0123456789abcdef", 24))).expect("a file");
    fs::write(
        folder.join(".gitleaks.toml"),
        "[extend]\nuseDefault = true\n[[rules]]\nid = \"acme-key\"\nregex = '''acme_[0-9a-f]{24}'''\nkeywords = [\"acme_\"]\n\
         [allowlist]\npaths = ['''^fixtures/''']\n",
    )
    .expect("a file");
    fs::write(folder.join(".gitleaksignore"), "b.env:stripe-access-token:2\ngone.env:stripe-access-token:7\n").expect("a file");
    let (code, report) = home.json(&["scan", "r", "--format", "json"]);
    assert_eq!(code, 1);
    assert_eq!(places(&report).len(), 1, "{report}");
    assert!(places(&report)[0].starts_with("r/d.env:1 "), "their rule finds: {report}");
    let accepted = report["accepted"].to_string();
    assert!(accepted.contains(".gitleaksignore") && accepted.contains("made up for a test"), "{accepted}");
    let idle = report["idle"].to_string();
    assert!(idle.contains("gone.env") && idle.contains("c.env:2: gitleaks:allow allows nothing"), "{idle}");

    let (_, report) = home.json(&["scan", "r", "--no-allow", "--format", "json"]);
    let all = ["r/b.env:2 stripe.secret-key", "r/c.env:1 stripe.secret-key", "r/fixtures/a.env:1 stripe.secret-key"];
    assert_eq!(places(&report), all);

    // Rules of one's own; one that is wrong is told by its line.
    let rules = home.work().join("acme.toml");
    let rule = "[[rule]]\nid = \"acme.internal-key\"\ntitle = \"Acme key\"\nservice = \"Acme\"\nprefixes = [\"acme_\"]\n\
                pattern = 'acme_[0-9a-f]{24}'\nrevoke = [\"Ask Acme.\"]\nmatches = [\"X=acme_{{hex:24}}\"]\nignores = [\"X=acme_\"]\n";
    fs::write(&rules, rule).expect("a file");
    let (_, report) = home.json(&["scan", "r/d.env", "--rules", "acme.toml", "--no-allow", "--format", "json"]);
    assert_eq!(places(&report), ["r/d.env:1 acme.internal-key"]);
    fs::write(&rules, rule.replace("pattern", "patern")).expect("a file");
    let ran = home.run(&["scan", "r", "--rules", "acme.toml"]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("acme.toml:") && ran.err.contains("patern"), "{}", ran.err);

    // In history the same files hold, by the path a content had.
    git(&folder, &["add", "--all"]);
    git(&folder, &["commit", "-qm", "all"]);
    let (_, report) = home.json(&["scan", "--history", "r", "--format", "json"]);
    assert!(report["accepted"].to_string().contains("made up for a test"), "{report}");
    assert!(!places(&report).iter().any(|place| place.starts_with("fixtures/") || place.starts_with("c.env")), "{report}");
}

#[test]
fn a_live_key_cannot_be_accepted() {
    let mut home = Home::new();
    let world = crate::world::World::seed("weekly", home.folder.path());
    world.ambient(&mut home);
    let job = world.weekly_job(&home, "");
    home.run(&["run", job.to_str().expect("a path")]);
    let repos = home.folder.path().join("repos");
    let repos = if repos.is_dir() { repos } else { world.folder.join("repos") };
    let repos = repos.to_str().expect("a path");
    let store = format!("sqlite://{}", home.store().display());
    let ran = home.run(&["scan", "--history", repos, "--store", "sqlite:///nowhere/overdue.db"]);
    assert!(ran.code == 3 && ran.err.contains("there is no store at"), "{}", ran.err);
    let (_, report) = home.json(&[
        "scan",
        "--history",
        repos,
        "--store",
        &store,
        "--format",
        "json",
        "--accept",
        "--reason",
        "all of it",
        "--author",
        "ann",
    ]);
    let open = report["findings"].as_array().expect("a list");
    assert!(!open.is_empty(), "a live key stays: {report}");
    for finding in open {
        assert_eq!(finding["severity"], "critical", "{finding}");
        assert!(finding["credential"].as_str().is_some_and(|id| id.contains("/aws.iam-access-key/AKIA")), "{finding}");
    }
    assert!(!report["accepted"].as_array().expect("a list").is_empty(), "the others are accepted");
}

#[test]
fn our_own_tree_is_clean() {
    let home = Home::new();
    let own = root();
    let names = ["crates", "docs", "jobs", "templates", "tests", "integrations", "README.md", "action.yml"];
    let paths: Vec<String> = names.iter().map(|name| own.join(name).display().to_string()).collect();
    let mut arguments = vec!["scan"];
    arguments.extend(paths.iter().map(String::as_str));
    let ran = home.run(&arguments);
    assert_eq!(ran.code, 0, "{}", ran.out);
}
