//! `kill -9` at any moment: nothing is lost, nothing is doubled.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::program::Home;
use crate::servers::{Server, script};
use crate::world::{World, found, one_account_job};

/// Stores that are killed at, one after the other.
const BATCHES: u64 = 8;
/// Kills on each before a run is let through: 200 in all.
const KILLS_IN_BATCH: u64 = 25;

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

/// Says what is there in one of the two reports only: the whole sets are too long to read.
fn same_essence(report: &Value, undisturbed: &Value, kills: u64) {
    let (killed, calm) = (essence(report), essence(undisturbed));
    for (list, killed, calm) in [("detections", killed.0, calm.0), ("findings", killed.1, calm.1), ("credentials", killed.2, calm.2)] {
        let more: Vec<_> = killed.difference(&calm).collect();
        let less: Vec<_> = calm.difference(&killed).collect();
        let why = format!("gaps {}\ngaps of the calm run {}", report["gaps"], undisturbed["gaps"]);
        assert!(more.is_empty() && less.is_empty(), "after {kills} kills, {list}: too many {more:?}, missing {less:?}\n{why}");
    }
}

/// Opens the store with the program's own SQLite (Python's is older and reports faults that are none) and checks it whole.
fn check_store(store: &std::path::Path, kills: u64) {
    let url = format!("sqlite://{}", store.display());
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
    let (code, calm) = home.json(&["run", &job, "--dry-run", "--store", &calm_store, "--format", "json"]);
    assert_eq!(code, 1, "the calm run is whole: {}", calm["gaps"]);
    // How long to let it live at most. Adapts, since other tests share the machine: a round that ends by itself kills nobody.
    let mut life_ms = start.elapsed().as_millis() as u64;

    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for batch in 0..BATCHES {
        // A new store each time, so that every stage is killed at, scanning and first letters too.
        let store = home.path(&format!("batch-{batch}.db"));
        let url = format!("sqlite://{}", store.display());
        let _ = std::fs::remove_file(&mail);
        let mut kills = 0;
        for round in 0.. {
            assert!(round < 20 * KILLS_IN_BATCH, "{kills} kills in {round} rounds: the run is over too soon");
            if kills == KILLS_IN_BATCH {
                break;
            }
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let mut child = home
                .command()
                .args(["run", &job, "--quiet", "--store", &url])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it starts");
            std::thread::sleep(Duration::from_millis(5 + state % life_ms));
            if child.try_wait().expect("a child").is_some() {
                life_ms = (life_ms * 4 / 5).max(50);
            } else {
                child.kill().expect("a kill");
                child.wait().expect("an end");
                kills += 1;
                life_ms += life_ms / 20;
            }
        }
        check_store(&store, kills);
        let (code, report) = home.json(&["run", &job, "--store", &url, "--format", "json"]);
        assert_eq!(code, 1, "after {kills} kills, the last run is whole: {}", report["gaps"]);
        same_essence(&report, &calm, kills);
        check_store(&store, kills);
        check_letters(&mail, &report, kills);
    }
}

/// Each owner's letter is there; an extra copy carries the same Message-ID, and there is at most one a kill.
fn check_letters(mail: &std::path::Path, report: &Value, kills: u64) {
    let mails: Vec<Value> =
        std::fs::read_to_string(mail).expect("mails").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
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
    assert!(mails.len() as u64 <= owners.len() as u64 + kills, "{} mails to {} owners", mails.len(), owners.len());
}
