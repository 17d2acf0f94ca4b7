//! `kill -9` at any moment: nothing is lost, nothing is doubled.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::program::Home;
use crate::servers::{Server, script};
use crate::world::{World, found, one_account_job};

/// Kills before the run is let through.
const KILLS: u64 = 200;

/// What of a report must be the same however often the run was killed: everything but times and run ids.
fn essence(report: &Value) -> (BTreeSet<String>, BTreeSet<String>, BTreeSet<String>) {
    let keys = |list: &str, name: &str| -> BTreeSet<String> {
        let items = report[list].as_array().expect("a list");
        let set: BTreeSet<String> = items.iter().map(|item| item[name].as_str().expect("a text").to_owned()).collect();
        assert_eq!(set.len(), items.len(), "{list}: something is there twice");
        set
    };
    let places = found(report);
    assert_eq!(places.len(), report["detections"].as_array().expect("a list").len(), "a detection is there twice");
    (places.keys().map(|place| format!("{place:?}")).collect(), keys("findings", "key"), keys("credentials", "key"))
}

/// Opens the store with the program's own SQLite (Python's is older and reports faults that are none) and checks it whole.
fn check_store(home: &Home, kills: u64) {
    let url = format!("sqlite://{}", home.store().display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let now = "2026-01-01T00:00:00Z".parse().expect("a time");
        let store = overdue_store::Store::open(&url, now).await.unwrap_or_else(|error| panic!("after {kills} kills: {error}"));
        store.integrity_check().await.unwrap_or_else(|error| panic!("after {kills} kills: {error}"));
        store.close().await;
    });
}

#[test]
fn two_hundred_kills_lose_nothing_and_double_nothing() {
    let mut home = Home::new();
    let world = World::seed("weekly", home.folder.path());
    world.ambient(&mut home);
    home.set("MAIL_PASSWORD", "test");
    let certs = home.path("certs");
    std::fs::create_dir(&certs).expect("a folder");
    script("make_cert.py", &[certs.to_str().expect("a path")]);
    let mail = home.path("mail.jsonl");
    let sink = Server::start("smtp_sink.py", &["--certs", certs.to_str().expect("a path"), "--out", mail.to_str().expect("a path")], &[]);
    let send = format!(
        "send = {{ smtp = {{ host = \"localhost\", port = {}, user = \"overdue\", password_env = \"MAIL_PASSWORD\", ca_file = \"{}\" }} }}",
        sink.socket().rsplit(':').next().expect("a port"),
        certs.join("ca.pem").display()
    );
    let repositories = world.folder.join("repos");
    let more = format!("{send}\n[[audit]]\nprovider = \"machine\"\npaths = [\"{}\"]\nread = [\"git\", \"files\"]", repositories.display());
    let job = one_account_job(&world, &home, &more);
    let job = job.to_str().expect("a path").to_owned();

    // The truth: one run that nobody disturbed, on a store of its own, with letters that go nowhere.
    let calm_store = format!("sqlite://{}", home.path("calm.db").display());
    let start = std::time::Instant::now();
    let (_, calm) = home.json(&["run", &job, "--dry-run", "--store", &calm_store, "--format", "json"]);
    let whole_run = start.elapsed();

    let mut ended_by_itself = 0;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..KILLS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // From the first millisecond to just past the end, so that every stage of the pipeline is hit, letters too.
        let wait = Duration::from_millis(5 + state % (whole_run.as_millis() as u64 + whole_run.as_millis() as u64 / 10));
        let mut child =
            home.command().args(["run", &job, "--quiet"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(wait);
        match child.try_wait().expect("a child") {
            Some(_) => ended_by_itself += 1,
            None => child.kill().expect("a kill"),
        }
        child.wait().expect("an end");
        if round % 20 == 0 {
            check_store(&home, round);
        }
    }
    assert!(ended_by_itself < KILLS / 2, "most rounds were over before the kill: {ended_by_itself}");
    let (_, report) = home.json(&["run", &job, "--format", "json"]);
    assert_eq!(essence(&report), essence(&calm));
    check_store(&home, KILLS);

    // Letters: each owner's is there; an extra copy carries the same Message-ID, and there is at most one a kill.
    let mails: Vec<Value> =
        std::fs::read_to_string(&mail).expect("mails").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut copies: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for mail in &mails {
        let to = mail["to"][0].as_str().expect("an address").to_ascii_lowercase();
        let raw = mail["raw"].as_str().expect("text");
        let id = raw.lines().find_map(|line| line.strip_prefix("Message-ID: ")).expect("a Message-ID");
        copies.entry(to).or_default().insert(id.trim().to_owned());
    }
    let owners: BTreeSet<String> = report["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|finding| finding["owner"]["address"].as_str())
        .map(str::to_ascii_lowercase)
        .chain(["security@acme.example".to_owned()])
        .collect();
    assert_eq!(copies.keys().cloned().collect::<BTreeSet<_>>(), owners, "every owner got the letter");
    for (to, ids) in &copies {
        assert_eq!(ids.len(), 1, "{to} got different letters in one period: {ids:?}");
    }
    assert!(mails.len() as u64 <= owners.len() as u64 + KILLS, "{} mails to {} owners", mails.len(), owners.len());
}
