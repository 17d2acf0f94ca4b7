//! How long it takes. `cargo test --release -p overdue-store measure -- --ignored --nocapture`

use std::io::Write;
use std::time::Instant;

use overdue_core::{ContentKey, TargetCounts};
use overdue_store::{Outcome, ScannedContent};

use crate::world::{RULES, begin_over, blob, detection, finish, page, seen, store, target};

const PAGE: usize = 4_096;
const PAGES: usize = 74; // 303,104 contents

fn blob_id(number: usize) -> String {
    // Spread as digests are.
    let mut state = number as u64 + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    };
    for _ in 0..8 {
        next();
    }
    format!("{:016x}{:016x}{:08x}", next(), next(), next() >> 32)
}

fn say(line: &str) {
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// CPU time of this process so far, in milliseconds.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = |field: usize| stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(field - 3)?.parse::<f64>().ok());
    (ticks(14).unwrap_or(0.0) + ticks(15).unwrap_or(0.0)) * 10.0
}

fn spread(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    format!("median {:.1} ms, worst {:.1} ms of {}", at(0.5), at(1.0), times.len())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn measure_a_large_repository() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let run = begin_over(&store, "o", 0, &["/repo"]).await;
    let id = target("/repo").id();
    let keys: Vec<ContentKey> = (0..PAGE * PAGES).map(|number| ContentKey(format!("git:{}", blob_id(number)))).collect();

    let (mut asked, mut committed) = (Vec::new(), Vec::new());
    let (began, cpu) = (Instant::now(), cpu_ms());
    for (number, keys) in keys.chunks(PAGE).enumerate() {
        let start = Instant::now();
        assert!(store.scanned_contents(keys, RULES).await.unwrap().is_empty());
        asked.push(start.elapsed().as_secs_f64() * 1e3);
        let mut commit = page(&id, number as u32, 1);
        commit.contents = keys
            .iter()
            .map(|key| ScannedContent { key: key.clone(), ruleset: RULES.into(), detections: Vec::new(), complete: true })
            .collect();
        commit.counts = TargetCounts { artifacts: PAGE as u64, scanned: PAGE as u64, ..TargetCounts::default() };
        let start = Instant::now();
        store.commit_page(run, &commit).await.unwrap();
        committed.push(start.elapsed().as_secs_f64() * 1e3);
    }
    say(&format!("first audit, {} contents: {:.2} s, CPU {:.2} s", keys.len(), began.elapsed().as_secs_f64(), (cpu_ms() - cpu) / 1e3));
    say(&format!("  scanned_contents of 4,096 unknown: {}", spread(asked)));
    say(&format!("  commit_page of 4,096 clean contents: {}", spread(committed)));
    finish(&store, run, "/repo", true, 2).await;

    let mut asked = Vec::new();
    let (began, cpu) = (Instant::now(), cpu_ms());
    for keys in keys.chunks(PAGE) {
        let start = Instant::now();
        assert_eq!(store.scanned_contents(keys, RULES).await.unwrap().len(), PAGE);
        asked.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let wall = began.elapsed().as_secs_f64();
    say(&format!("second audit, all known: {wall:.2} s, CPU {:.2} s; a page of 4,096: {}", (cpu_ms() - cpu) / 1e3, spread(asked)));

    // The page as a caller sends it who names every artifact, clean or not.
    let run = begin_over(&store, "p", 1000, &["/repo"]).await;
    let mut commit = page(&id, 0, 1000);
    commit.artifacts = (0..PAGE).map(|number| seen(blob("/repo", &blob_id(number)), &keys[number].0, Outcome::Unchanged)).collect();
    let start = Instant::now();
    store.commit_page(run, &commit).await.unwrap();
    say(&format!("commit_page of 4,096 unchanged clean artifacts, all named: {:.1} ms", start.elapsed().as_secs_f64() * 1e3));

    // A page in which every artifact holds a secret.
    let mut commit = page(&id, 1, 1000);
    for number in 0..PAGE {
        let key = format!("git:{}", blob_id(10_000_000 + number));
        commit.artifacts.push(seen(blob("/repo", &blob_id(10_000_000 + number)), &key, Outcome::Read));
        commit.contents.push(ScannedContent {
            key: ContentKey(key),
            ruleset: RULES.into(),
            detections: vec![detection(&format!("{number}"))],
            complete: true,
        });
    }
    for what in ["new", "again"] {
        let (start, cpu) = (Instant::now(), cpu_ms());
        store.commit_page(run, &commit).await.unwrap();
        let wall = start.elapsed().as_secs_f64() * 1e3;
        say(&format!("commit_page of 4,096 artifacts with a detection each, {what}: {wall:.1} ms, CPU {:.0} ms", cpu_ms() - cpu));
    }
    let start = Instant::now();
    let inventory = store.inventory(run.id).await.unwrap();
    say(&format!("inventory with {} exposures: {:.1} ms", inventory.exposures.len(), start.elapsed().as_secs_f64() * 1e3));
    let start = Instant::now();
    finish(&store, run, "/repo", true, 1001).await;
    say(&format!("finish_target: {:.1} ms", start.elapsed().as_secs_f64() * 1e3));
    let start = Instant::now();
    store.integrity_check().await.unwrap();
    say(&format!("integrity_check: {:.1} ms", start.elapsed().as_secs_f64() * 1e3));
    store.clone().close().await;
    let bytes = folder.path().join("store.db").metadata().unwrap().len();
    say(&format!("file: {:.1} MB, {:.1} bytes a content", bytes as f64 / 1e6, bytes as f64 / keys.len() as f64));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn measure_small_writes() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let run = begin_over(&store, "o", 0, &["/a"]).await;
    let mut times = Vec::new();
    for number in 0..500 {
        let start = Instant::now();
        store.commit_page(run, &page(&target("/a").id(), number, 1)).await.unwrap();
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    say(&format!("commit_page of nothing: {}", spread(times)));
}
