//! `kill -9` at any moment: what was acknowledged is there, nothing is there twice, and the next process goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use overdue_core::{IssuedAt, TargetCounts, TargetState};
use overdue_store::{BeginRun, NewRun, NoticeFate, NoticeRow, NoticeState, Outcome, RunStatus, Store};

use crate::world::{RULES, alive, artifact, at, credential, dead, key, new_run, page, scan, seen, store, target, url};

const KILLS: u32 = 200;
const TARGETS: u32 = 4;
const PAGES: u32 = 3;

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn start(test: &str, folder: &Path, name: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env("OVERDUE_STORE_TEST_FOLDER", folder)
        .env("OVERDUE_STORE_TEST_NAME", name)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

fn acknowledge(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("ack {line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

fn ack(line: &str) -> Option<String> {
    line.strip_suffix('\n')?.split("ack ").nth(1).map(str::to_owned)
}

/// Waits for some acknowledgements, then a little longer, kills, and returns all that was acknowledged until then.
fn kill_after(mut child: Child, acks: u64, pause: Duration) -> Vec<String> {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut acked = Vec::new();
    let mut line = String::new();
    while (acked.len() as u64) < acks && out.read_line(&mut line).unwrap() > 0 {
        acked.extend(ack(&line));
        line.clear();
    }
    std::thread::sleep(pause);
    child.kill().unwrap();
    child.wait().unwrap();
    // The last line may be cut; then it was not acknowledged.
    while out.read_line(&mut line).unwrap() > 0 {
        acked.extend(ack(&line));
        line.clear();
    }
    acked
}

/// The whole life of a run, again and again, each step acknowledged on standard output after the store did.
#[tokio::test]
#[ignore = "started by the tests that kill it"]
async fn child_works() {
    let Ok(folder) = std::env::var("OVERDUE_STORE_TEST_FOLDER") else { return };
    let store = store(Path::new(&folder)).await;
    for number in 0_u32.. {
        let occurrence = format!("o{number}");
        let run = match store.begin_run(new_run(&occurrence, i64::from(number)), &dead).await.unwrap() {
            BeginRun::Started(run) | BeginRun::Resumed(run) => run,
            BeginRun::AlreadyEnded { .. } => continue,
            BeginRun::HeldBy { .. } => panic!("held by the dead"),
        };
        acknowledge(&format!("run {number}"));
        let names: Vec<String> = (0..TARGETS).map(|name| format!("/{number}/{name}")).collect();
        let listed: Vec<_> = names.iter().map(|name| (target(name), TargetState::Listed)).collect();
        store.add_targets(run, &listed).await.unwrap();
        for open in store.open_targets(run.id).await.unwrap() {
            for number in 0..PAGES {
                store.commit_page(run, &child_page(&open.name, number)).await.unwrap();
                acknowledge(&format!("page {} {number}", open.name));
            }
            store.finish_target(run, &open.id(), &TargetState::Scanned, true, at(2)).await.unwrap();
            acknowledge(&format!("target {}", open.name));
        }
        let letter = NoticeRow {
            key: occurrence.clone(),
            job: "weekly".into(),
            period: "p".into(),
            owner: String::new(),
            address: "a@example.com".into(),
            message_id: format!("<{occurrence}.{}>", std::process::id()),
            subject: String::new(),
            body_digest: String::new(),
            findings: 0,
        };
        match store.begin_notice(run, &letter, at(3)).await.unwrap() {
            NoticeState::Fresh => {
                acknowledge(&format!("id {occurrence} {}", letter.message_id));
                store.finish_notice(&letter.key, &NoticeFate::Sent { how: "sent".into() }, at(4)).await.unwrap();
            }
            NoticeState::Retry { message_id } => {
                acknowledge(&format!("id {occurrence} {message_id}"));
                store.finish_notice(&letter.key, &NoticeFate::Sent { how: "sent".into() }, at(4)).await.unwrap();
            }
            NoticeState::AlreadySent => {}
            NoticeState::InFlight { .. } => panic!("nobody else is here"),
        }
        acknowledge(&format!("sent {occurrence}"));
        store.finish_run(run, RunStatus::Findings, at(5)).await.unwrap();
        acknowledge(&format!("end {number}"));
    }
}

fn child_page(name: &str, number: u32) -> overdue_store::PageCommit {
    let mut commit = page(&target(name).id(), number, 1);
    let dirty = format!("dirty {name} {number}");
    commit.contents = vec![scan(&dirty, &["1"], true), scan(&format!("clean {name} {number}"), &[], true)];
    commit.artifacts = vec![seen(artifact(&format!("file:{name}/{number}")), &dirty, Outcome::Read)];
    commit.credentials = vec![credential(&format!("{name}/{number}"), IssuedAt::Untold)];
    commit.counts = TargetCounts { credentials: 1, artifacts: 2, scanned: 2, bytes: 10, ..TargetCounts::default() };
    commit
}

/// Everything acknowledged is there, and no count is higher than it can be.
async fn verify(folder: &Path, acked: &BTreeSet<String>) {
    let store = store(folder).await;
    store.integrity_check().await.unwrap();
    let runs = store.runs(100_000).await.unwrap();
    let by_occurrence: BTreeMap<&str, _> = runs.iter().map(|run| (run.occurrence.as_str(), run)).collect();
    assert_eq!(by_occurrence.len(), runs.len(), "an occurrence ran twice");
    let sent = store.sent_notices("weekly", "p").await.unwrap();
    let ids: BTreeMap<String, String> =
        store.notices("weekly").await.unwrap().into_iter().map(|notice| (notice.row.key, notice.row.message_id)).collect();
    let mut contents = Vec::new();
    let mut scanned: BTreeSet<String> = BTreeSet::new();
    let mut exposures: BTreeSet<String> = BTreeSet::new();
    let mut credentials: BTreeSet<String> = BTreeSet::new();
    for run in &runs {
        let inventory = store.inventory(run.id).await.unwrap();
        for row in &inventory.coverage.targets {
            let whole = TargetCounts {
                credentials: u64::from(PAGES),
                artifacts: u64::from(2 * PAGES),
                scanned: u64::from(2 * PAGES),
                bytes: u64::from(10 * PAGES),
                ..TargetCounts::default()
            };
            match row.state {
                TargetState::Scanned => {
                    assert_eq!(row.counts, whole, "{} counted twice or lost", row.target.id());
                    scanned.insert(row.target.name.clone());
                }
                _ => assert!(row.counts.bytes <= whole.bytes, "{} counted twice", row.target.id()),
            }
        }
        for exposure in inventory.exposures {
            assert!(exposures.insert(exposure.artifact.name.clone()), "{} is there twice", exposure.artifact);
        }
        for credential in inventory.credentials {
            assert!(credentials.insert(credential.id.public_id.clone()), "{} is there twice", credential.id);
        }
    }
    for line in acked {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["run", number] => assert!(by_occurrence.contains_key(format!("o{number}").as_str()), "lost: {line}"),
            ["end", number] => assert_eq!(by_occurrence[format!("o{number}").as_str()].status, Some(RunStatus::Findings), "lost: {line}"),
            ["target", name] => assert!(scanned.contains(*name), "lost: {line}"),
            ["page", name, number] => {
                contents.extend([key(&format!("dirty {name} {number}")), key(&format!("clean {name} {number}"))]);
                assert!(exposures.contains(&format!("file:{name}/{number}")), "lost: {line}");
                assert!(credentials.contains(&format!("{name}/{number}")), "lost: {line}");
            }
            ["id", key, id] => assert_eq!(ids.get(*key).map(String::as_str), Some(*id), "another message id: {line}"),
            ["sent", key] => assert!(sent.contains(*key), "lost: {line}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(store.scanned_contents(&contents, RULES).await.unwrap().len(), contents.len(), "scanned contents lost");
    store.close().await;
}

#[tokio::test]
async fn two_hundred_kills_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let seed = u64::from(std::process::id());
    let mut dice = Dice(seed);
    let mut acked: BTreeSet<String> = BTreeSet::new();
    let began = Instant::now();
    let mut killed = Duration::ZERO;
    for kill in 1..=KILLS {
        let round = Instant::now();
        let child = start("kill::child_works", folder.path(), "");
        // A third dies while the store is opened or a run taken over, the others at work.
        let (acks, pause) = match kill % 3 {
            0 => (0, Duration::from_micros(3_000 + dice.below(40_000))),
            _ => (1 + dice.below(24), Duration::from_micros(dice.below(6_000))),
        };
        acked.extend(kill_after(child, acks, pause));
        killed += round.elapsed();
        if kill % 25 == 0 {
            verify(folder.path(), &acked).await;
        }
    }
    assert!(acked.len() > 1_000, "seed {seed}: only {} steps were acknowledged", acked.len());
    report(&format!(
        "{KILLS} kills in {:.1} s (with checks {:.1} s), {} steps acknowledged, 0 lost, seed {seed}",
        killed.as_secs_f64(),
        began.elapsed().as_secs_f64(),
        acked.len()
    ));
}

/// Killed while the store is made and brought to its layout.
#[tokio::test]
async fn kills_while_a_store_is_made_leave_one_that_opens() {
    let mut dice = Dice(7);
    for kill in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let mut child = start("kill::child_works", folder.path(), "");
        std::thread::sleep(Duration::from_micros(2_000 + dice.below(20_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Store::open(&url(folder.path()), at(0)).await.unwrap_or_else(|error| panic!("kill {kill}: {error}"));
        store.integrity_check().await.unwrap();
    }
}

/// Claims 200 occurrences, against whoever else does.
#[tokio::test]
#[ignore = "started by two_processes_start_each_occurrence_once"]
async fn child_claims() {
    let Ok(folder) = std::env::var("OVERDUE_STORE_TEST_FOLDER") else { return };
    let name = std::env::var("OVERDUE_STORE_TEST_NAME").unwrap();
    let store = store(Path::new(&folder)).await;
    for number in 0..200 {
        let new = NewRun { holder: name.clone(), ..new_run(&format!("o{number}"), number) };
        if let BeginRun::Started(_) = store.begin_run(new, &alive).await.unwrap() {
            acknowledge(&format!("{number}"));
        }
    }
}

#[test]
fn two_processes_start_each_occurrence_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut children: Vec<Child> = (0..2).map(|name| start("kill::child_claims", folder.path(), &format!("p{name}"))).collect();
    let mut started: BTreeMap<String, u32> = BTreeMap::new();
    for child in &mut children {
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            if let Some(number) = line.unwrap().split("ack ").nth(1) {
                *started.entry(number.to_owned()).or_default() += 1;
            }
        }
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(started.len(), 200);
    assert!(started.values().all(|count| *count == 1), "{started:?}");
}

/// A line for whoever runs the tests with `--nocapture`.
fn report(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}
