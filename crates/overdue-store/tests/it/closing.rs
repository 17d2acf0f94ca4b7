//! The closing rule: an exposure closes when its place was read again to the end and the secret is gone, or when a
//! complete listing no longer has the place. Nothing else closes it.

use overdue_core::{GapReason, Placement, TargetState};
use overdue_store::{Outcome, Run, ScannedContent, Store};

use crate::world::{artifact, at, begin_over, blob, detection, finish, open, page, scan, seen, store, target};

/// One run over `/a` that sees the file as given.
async fn sweep(store: &Store, number: i64, content: Option<ScannedContent>, key: &str, outcome: Outcome, complete: bool) -> Run {
    let run = begin_over(store, &format!("o{number}"), number * 1000, &["/a"]).await;
    let mut commit = page(&target("/a").id(), 0, number * 1000);
    commit.contents.extend(content);
    commit.artifacts = vec![seen(artifact("file:/a/x"), key, outcome)];
    store.commit_page(run, &commit).await.unwrap();
    finish(store, run, "/a", complete, number * 1000).await;
    run
}

const OPEN: [&str; 1] = ["file:/a/x 1"];
const NONE: [&str; 0] = [];

#[tokio::test]
async fn unreadable_50_times_stays_open_then_closes_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let run = sweep(&store, 0, Some(scan("v1", &["1"], true)), "v1", Outcome::Read, true).await;
    assert_eq!(open(&store, run).await, OPEN);
    for number in 1..=50 {
        let run = sweep(&store, number, None, "", Outcome::Unreadable, true).await;
        assert_eq!(open(&store, run).await, OPEN, "run {number}");
        let exposure = &store.inventory(run.id).await.unwrap().exposures[0];
        assert_eq!((exposure.first_seen_at, exposure.last_read_at), (at(0), at(0)), "it was not read since");
    }
    let run = sweep(&store, 51, Some(scan("v2", &[], true)), "v2", Outcome::Read, true).await;
    assert_eq!(open(&store, run).await, NONE);
    // It comes back, and we saw it first long ago.
    let run = sweep(&store, 52, Some(scan("v3", &["1"], true)), "v3", Outcome::Read, true).await;
    let exposure = &store.inventory(run.id).await.unwrap().exposures[0];
    assert_eq!((exposure.first_seen_at, exposure.last_read_at), (at(0), at(52_000)));
}

#[tokio::test]
async fn unchanged_moves_the_last_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    sweep(&store, 0, Some(scan("v1", &["1"], true)), "v1", Outcome::Read, true).await;
    let run = sweep(&store, 1, None, "v1", Outcome::Unchanged, true).await;
    let exposure = &store.inventory(run.id).await.unwrap().exposures[0];
    assert_eq!((exposure.first_seen_at, exposure.last_read_at), (at(0), at(1000)));
}

#[tokio::test]
async fn a_read_that_broke_off_closes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    sweep(&store, 0, Some(scan("v1", &["1"], true)), "v1", Outcome::Read, true).await;
    // New bytes, read in part, another secret found: both stand.
    let run = sweep(&store, 1, Some(scan("v2", &["2"], false)), "v2", Outcome::Read, true).await;
    assert_eq!(open(&store, run).await, ["file:/a/x 1", "file:/a/x 2"]);
    let inventory = store.inventory(run.id).await.unwrap();
    let read: Vec<_> = inventory.exposures.iter().map(|exposure| exposure.last_read_at).collect();
    assert_eq!(read, [at(0), at(1000)], "the first was not read since");
    // New bytes again, read in part, nothing found: all three stand, and a content with the same secrets adds nothing.
    let run = sweep(&store, 2, Some(scan("v3", &[], false)), "v3", Outcome::Read, true).await;
    assert_eq!(open(&store, run).await, ["file:/a/x 1", "file:/a/x 2"]);
    let run = sweep(&store, 3, Some(scan("v4", &["1", "2"], false)), "v4", Outcome::Read, true).await;
    assert_eq!(open(&store, run).await, ["file:/a/x 1", "file:/a/x 2"]);
    // Read to the end: only what is there now.
    let run = sweep(&store, 4, Some(scan("v5", &["2"], true)), "v5", Outcome::Read, true).await;
    assert_eq!(open(&store, run).await, ["file:/a/x 2"]);
}

#[tokio::test]
async fn the_same_bytes_scanned_in_part_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    sweep(&store, 0, Some(scan("v1", &["1"], true)), "v1", Outcome::Read, true).await;
    // New rules, and the scan breaks off before the place.
    let part = ScannedContent { ruleset: "rules-2".into(), ..scan("v1", &[], false) };
    let run = sweep(&store, 1, Some(part), "v1", Outcome::Read, true).await;
    assert_eq!(open(&store, run).await, OPEN);
    assert_eq!(store.scanned_contents(&[crate::world::key("v1")], "rules-2").await.unwrap().len(), 0);
    assert_eq!(store.scanned_contents(&[crate::world::key("v1")], crate::world::RULES).await.unwrap().len(), 1);
    // New rules, to the end: they no longer take it for a secret.
    let whole = ScannedContent { ruleset: "rules-2".into(), ..scan("v1", &[], true) };
    let run = sweep(&store, 2, Some(whole), "v1", Outcome::Read, true).await;
    assert_eq!(open(&store, run).await, NONE);
}

#[tokio::test]
async fn only_a_complete_listing_closes_what_it_no_longer_has() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    sweep(&store, 0, Some(scan("v1", &["1"], true)), "v1", Outcome::Read, true).await;
    // The listing broke off and the file is not in it.
    let run = begin_over(&store, "broken", 5000, &["/a"]).await;
    finish(&store, run, "/a", false, 5000).await;
    assert_eq!(open(&store, run).await, OPEN);
    // The target failed, whatever is said of its listing.
    let run = begin_over(&store, "failed", 6000, &["/a"]).await;
    let failed = TargetState::Failed { reason: GapReason::Throttled, why: "429".into() };
    store.finish_target(run, &target("/a").id(), &failed, true, at(6000)).await.unwrap();
    assert_eq!(open(&store, run).await, OPEN);
    let run = begin_over(&store, "skipped", 7000, &["/a"]).await;
    let skipped = TargetState::Skipped { why: "not today".into() };
    store.finish_target(run, &target("/a").id(), &skipped, true, at(7000)).await.unwrap();
    assert_eq!(open(&store, run).await, OPEN);
    // Nobody came to look.
    let run = begin_over(&store, "killed", 7500, &["/a"]).await;
    assert_eq!(open(&store, run).await, OPEN);
    // Listed to the end, and not there.
    let run = begin_over(&store, "whole", 8000, &["/a"]).await;
    finish(&store, run, "/a", true, 8000).await;
    assert_eq!(open(&store, run).await, NONE);
    // There again but unreadable: what was known may be there again.
    let run = sweep(&store, 9, None, "", Outcome::Unreadable, true).await;
    assert_eq!(open(&store, run).await, OPEN);
}

#[tokio::test]
async fn another_audit_does_not_speak_of_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let first = sweep(&store, 0, Some(scan("v1", &["1"], true)), "v1", Outcome::Read, true).await;
    let other = begin_over(&store, "other", 5000, &["/b"]).await;
    finish(&store, other, "/b", true, 5000).await;
    assert_eq!(open(&store, other).await, NONE);
    assert_eq!(open(&store, first).await, OPEN, "and its listing closed nothing here");
}

#[tokio::test]
async fn two_targets_that_see_one_file_make_one_exposure() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let run = begin_over(&store, "o", 0, &["/a", "/a/deep"]).await;
    for (name, second) in [("/a", 1), ("/a/deep", 2)] {
        let mut commit = page(&target(name).id(), 0, second);
        commit.contents = vec![scan("v1", &["1"], true)];
        commit.artifacts = vec![seen(artifact("file:/a/deep/x"), "v1", Outcome::Read)];
        store.commit_page(run, &commit).await.unwrap();
        finish(&store, run, name, true, 3).await;
    }
    let exposures = store.inventory(run.id).await.unwrap().exposures;
    assert_eq!(exposures.len(), 1);
    assert_eq!((exposures[0].first_seen_at, exposures[0].last_read_at), (at(1), at(2)));
}

#[tokio::test]
async fn a_secret_keeps_its_first_sight_while_the_blob_moves() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    for (number, id) in [(0, "a".repeat(40)), (1, "b".repeat(40))] {
        let run = begin_over(&store, &format!("o{number}"), number * 1000, &["/repo"]).await;
        let content = format!("git:{id}");
        let mut commit = page(&target("/repo").id(), 0, number * 1000);
        commit.contents = vec![scan(&content, &["1"], true)];
        commit.artifacts = vec![seen(blob("/repo#1", &id), &content, Outcome::Read)];
        store.commit_page(run, &commit).await.unwrap();

        // Where it stands is told later, for blobs in which something was found.
        let unplaced = store.unplaced(&target("/repo").id()).await.unwrap();
        assert_eq!(unplaced.iter().map(|id| id.name.as_str()).collect::<Vec<_>>(), [format!("git:/repo#1#{id}")]);
        let place = |path: &str| Placement {
            path: path.into(),
            commit: id.clone(),
            author: "Ann <ann@example.com>".into(),
            author_address: "ann@example.com".into(),
            committed_at: Some(at(-100)),
            at_tip: true,
        };
        let mut commit = page(&target("/repo").id(), 1, number * 1000);
        let mut seen = seen(blob("/repo#1", &id), &content, Outcome::Unchanged);
        seen.placements = Some(vec![place("config.py"), place("old/config.py")]);
        commit.artifacts = vec![seen];
        store.commit_page(run, &commit).await.unwrap();
        assert_eq!(store.unplaced(&target("/repo").id()).await.unwrap(), []);
        finish(&store, run, "/repo", true, number * 1000).await;
        assert_eq!(store.exposed(&target("/repo").id()).await.unwrap().len(), 1);

        let exposures = store.inventory(run.id).await.unwrap().exposures;
        let paths: Vec<&str> = exposures.iter().map(|exposure| exposure.path()).collect();
        assert_eq!(paths, ["config.py", "old/config.py"]);
        assert!(exposures.iter().all(|exposure| exposure.first_seen_at == at(0)));
        assert!(exposures.iter().all(|exposure| exposure.last_read_at == at(number * 1000)));
    }
}

#[tokio::test]
async fn a_shared_content_is_scanned_once_and_exposes_both_artifacts() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let run = begin_over(&store, "o", 0, &["/a"]).await;
    let mut commit = page(&target("/a").id(), 0, 0);
    commit.contents = vec![scan("sha256:1", &["1"], true), scan("sha256:2", &[], true)];
    commit.artifacts = vec![seen(artifact("file:/a/x"), "sha256:1", Outcome::Read)];
    store.commit_page(run, &commit).await.unwrap();
    let keys = ["sha256:1", "sha256:2", "sha256:3"].map(crate::world::key);
    assert_eq!(store.contents_with_detections(&keys).await.unwrap().into_iter().collect::<Vec<_>>(), [keys[0].clone()]);
    let mut commit = page(&target("/a").id(), 1, 1);
    commit.artifacts =
        vec![seen(artifact("file:/a/y"), "sha256:1", Outcome::Unchanged), seen(artifact("file:/a/clean"), "sha256:2", Outcome::Unchanged)];
    store.commit_page(run, &commit).await.unwrap();
    assert_eq!(open(&store, run).await, ["file:/a/x 1", "file:/a/y 1"]);
    assert_eq!(detection("1"), store.inventory(run.id).await.unwrap().exposures[0].detection);
}

/// Two runs of one job overlap, and the older one, resumed, ends last: what the newer one saw is not gone.
#[tokio::test]
async fn an_older_run_does_not_overrule_a_newer_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let older = begin_over(&store, "older", 0, &["/a"]).await;
    let newer = sweep(&store, 1, Some(scan("v1", &["1"], true)), "v1", Outcome::Read, true).await;
    finish(&store, older, "/a", true, 2000).await;
    assert_eq!(open(&store, newer).await, OPEN);
}
