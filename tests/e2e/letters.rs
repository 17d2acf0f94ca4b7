//! Letters over a real mail server: STARTTLS, AUTH, refusals, silence.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::program::{Home, git, stripe_key};
use crate::servers::{Server, script};

struct Sink {
    server: Server,
    certs: PathBuf,
    out: PathBuf,
}

impl Sink {
    fn start(home: &Home, mode: &str) -> Self {
        let certs = home.path("certs");
        if !certs.exists() {
            fs::create_dir(&certs).expect("a folder");
            script("make_cert.py", &[certs.to_str().expect("a path")]);
        }
        let out = home.path(&format!("mail-{mode}.jsonl"));
        let arguments = ["--certs", certs.to_str().expect("a path"), "--out", out.to_str().expect("a path"), "--mode", mode];
        Self { server: Server::start("smtp_sink.py", &arguments, &[]), certs, out }
    }

    fn mails(&self) -> Vec<Value> {
        fs::read_to_string(&self.out).unwrap_or_default().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn smtp(&self, tls: &str) -> String {
        let port = self.server.socket().rsplit(':').next().expect("a port");
        format!(
            "{{ smtp = {{ host = \"localhost\", port = {port}, tls = \"{tls}\", user = \"overdue\", password_env = \"MAIL_PASSWORD\", ca_file = \"{}\" }} }}",
            self.certs.join("ca.pem").display()
        )
    }
}

/// Three repositories with a secret each, brought in by three people.
fn three_owners(home: &Home, addresses: [&str; 3]) {
    for (seed, address) in (40_u64..).zip(addresses) {
        let repository = home.work().join(format!("repo-{seed}"));
        fs::create_dir(&repository).expect("a folder");
        git(&repository, &["init", "-q"]);
        fs::write(repository.join("a.env"), format!("STRIPE={}\n", stripe_key(seed))).expect("a file");
        git(&repository, &["add", "."]);
        git(&repository, &["commit", "-qm", "a", "--author", &format!("Some One <{address}>")]);
        fs::remove_file(repository.join("a.env")).expect("a file");
    }
}

fn job(home: &Home, send: &str) -> PathBuf {
    let path = home.work().join("mail.toml");
    let text = format!(
        "name = \"mail\"\n[[audit]]\nprovider = \"machine\"\npaths = [\".\"]\nread = [\"git\"]\n[letters]\nfrom = \"overdue@acme.example\"\nsend = {send}\n"
    );
    fs::write(&path, text).expect("a job");
    path
}

fn recipients(mails: &[Value]) -> Vec<String> {
    let mut all: Vec<String> = mails
        .iter()
        .flat_map(|mail| mail["to"].as_array().expect("a list").clone())
        .map(|to| to.as_str().expect("text").to_owned())
        .collect();
    all.sort();
    all
}

fn run(home: &Home, job: &Path) -> crate::program::Ran {
    home.run(&["run", job.to_str().expect("a path")])
}

#[test]
fn letters_go_by_starttls_with_a_password_once_a_period() {
    let mut home = Home::new();
    home.set("MAIL_PASSWORD", "test");
    three_owners(&home, ["ann@acme.example", "bob@acme.example", "cy@acme.example"]);
    let sink = Sink::start(&home, "normal");
    let job = job(&home, &sink.smtp("starttls"));
    let ran = run(&home, &job);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    let mails = sink.mails();
    assert_eq!(recipients(&mails), ["ann@acme.example", "bob@acme.example", "cy@acme.example"]);
    for mail in &mails {
        assert_eq!(mail["tls"], true, "{mail}");
        assert_eq!(mail["user"], "overdue");
        let raw = mail["raw"].as_str().expect("text");
        assert!(raw.contains("Message-ID:") && raw.contains("Auto-Submitted: auto-generated"), "{raw}");
    }
    assert_eq!(run(&home, &job).code, 1);
    assert_eq!(sink.mails().len(), 3, "a second run in the same period sends nothing");
}

#[test]
fn a_refused_recipient_holds_nobody_up_and_is_tried_again() {
    let mut home = Home::new();
    home.set("MAIL_PASSWORD", "test");
    three_owners(&home, ["ann@acme.example", "reject@acme.example", "defer@acme.example"]);
    let sink = Sink::start(&home, "normal");
    let job = job(&home, &sink.smtp("starttls"));
    let ran = run(&home, &job);
    assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
    assert_eq!(recipients(&sink.mails()), ["ann@acme.example"]);
    for address in ["reject@acme.example", "defer@acme.example"] {
        assert!(ran.out.contains(&format!("not delivered to {address}")), "{}", ran.out);
    }
    let again = run(&home, &job);
    assert_eq!(again.code, 2);
    assert_eq!(recipients(&sink.mails()), ["ann@acme.example"], "who was reached is not written to again");
}

#[test]
fn a_server_that_refuses_all_or_hangs_is_said_and_the_audit_still_ends() {
    for (mode, password, tls) in [
        ("reject-all", "test", "starttls"),
        ("defer-all", "test", "starttls"),
        ("normal", "wrong", "starttls"),
        ("mute", "test", "starttls"),
    ] {
        let mut home = Home::new();
        home.set("MAIL_PASSWORD", password);
        three_owners(&home, ["ann@acme.example", "ann@acme.example", "ann@acme.example"]);
        let sink = Sink::start(&home, mode);
        let job = job(&home, &sink.smtp(tls));
        let start = std::time::Instant::now();
        let ran = run(&home, &job);
        assert_eq!(ran.code, 2, "{mode}: {}{}", ran.out, ran.err);
        assert!(ran.out.contains("not delivered to ann@acme.example"), "{mode}: {}", ran.out);
        assert!(ran.out.contains("Report: "), "{mode}: the report is written all the same");
        assert!(!ran.out.contains(password) || password == "test", "{mode}: the password was printed");
        assert!(start.elapsed().as_secs() < 60, "{mode} took {:?}", start.elapsed());
        assert!(sink.mails().is_empty());
    }
}

#[test]
fn a_dry_run_writes_files_and_keeps_no_record() {
    let mut home = Home::new();
    home.set("MAIL_PASSWORD", "test");
    three_owners(&home, ["ann@acme.example", "bob@acme.example", "cy@acme.example"]);
    let sink = Sink::start(&home, "normal");
    let job = job(&home, &sink.smtp("starttls"));
    let ran = home.run(&["run", job.to_str().expect("a path"), "--dry-run"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(sink.mails().is_empty(), "a dry run sends nothing");
    assert_eq!(fs::read_dir(home.work().join("outbox")).expect("an outbox").count(), 3);
    assert_eq!(run(&home, &job).code, 1);
    assert_eq!(sink.mails().len(), 3, "what was only tried is still sent");
}
