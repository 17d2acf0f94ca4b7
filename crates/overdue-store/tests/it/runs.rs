//! Runs: each occurrence once, one holder at a time, no write from a former holder.

use std::collections::BTreeMap;

use overdue_core::TargetState;
use overdue_store::{BeginRun, Missed, NewRun, Run, RunKind, RunStatus, Store, StoreError};

use crate::world::{alive, at, begin, begin_over, dead, detection, finish, new_run, page, scan, seen, store, target, url};
use crate::world::{artifact, open};
use overdue_store::Outcome;

#[tokio::test]
async fn an_occurrence_has_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let run = begin(&store, "2026-11-24T09:00Z", 0).await;
    assert_eq!(run.fence, 1);
    let held = store.begin_run(new_run("2026-11-24T09:00Z", 10), &alive).await.unwrap();
    assert_eq!(held, BeginRun::HeldBy { holder: "host/1/100".into(), until: at(60) });
    // A sign of life moves the lease.
    store.renew_lease(run, at(120)).await.unwrap();
    assert!(matches!(store.begin_run(new_run("2026-11-24T09:00Z", 100), &alive).await.unwrap(), BeginRun::HeldBy { .. }));
    store.finish_run(run, RunStatus::Clean, at(110)).await.unwrap();
    store.finish_run(run, RunStatus::Clean, at(111)).await.unwrap();
    assert!(matches!(store.finish_run(run, RunStatus::Failed, at(112)).await, Err(StoreError::Fenced { .. })));
    let ended = store.begin_run(new_run("2026-11-24T09:00Z", 1000), &dead).await.unwrap();
    assert_eq!(ended, BeginRun::AlreadyEnded { run: run.id, status: RunStatus::Clean });
    // The same moment of another job is another occurrence.
    let other = NewRun { job: "nightly".into(), ..new_run("2026-11-24T09:00Z", 0) };
    assert!(matches!(store.begin_run(other, &alive).await.unwrap(), BeginRun::Started(_)));

    let record = store.run(run.id).await.unwrap().unwrap();
    assert_eq!((record.status, record.ended_at, record.started_at), (Some(RunStatus::Clean), Some(at(110)), at(0)));
    assert_eq!(store.runs(1).await.unwrap()[0].job, "nightly");
    assert_eq!(store.last_ended_run("weekly").await.unwrap(), Some(record));
    assert_eq!(store.last_ended_run("nightly").await.unwrap(), None);
}

#[tokio::test]
async fn an_abandoned_run_is_taken_over_and_its_former_holder_fenced() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let old = begin_over(&store, "o", 0, &["/a", "/b"]).await;
    let mut first = page(&target("/a").id(), 0, 1);
    first.counts.scanned = 5;
    store.commit_page(old, &first).await.unwrap();
    finish(&store, old, "/a", true, 2).await;
    first.target = target("/b").id();
    store.commit_page(old, &first).await.unwrap();

    assert_eq!(store.unfinished_run("weekly", &alive, at(30)).await.unwrap(), None, "its holder lives");
    let left = store.unfinished_run("weekly", &alive, at(60)).await.unwrap().unwrap();
    assert_eq!((left.id, left.occurrence.as_str()), (old.id, "o"));
    assert!(store.unfinished_run("weekly", &dead, at(30)).await.unwrap().is_some());
    let taken = NewRun { holder: "host/2/200".into(), ..new_run("o", 30) };
    let BeginRun::Resumed(new) = store.begin_run(taken, &dead).await.unwrap() else { panic!("not taken over") };
    assert_eq!(new, Run { id: old.id, fence: 2 });

    // Where it was: the first target is done, the second begins again, its counts forgotten.
    assert_eq!(store.open_targets(new.id).await.unwrap(), [target("/b")]);
    let coverage = store.ledger(new.id).await.unwrap();
    assert_eq!(coverage.targets.iter().map(|target| target.counts.scanned).collect::<Vec<_>>(), [5, 0]);

    // Every write of the former holder is refused, and leaves no trace.
    let fenced = |result: Result<(), StoreError>| matches!(result, Err(StoreError::Fenced { why, .. }) if why == "host/2/200 took it over");
    assert!(fenced(store.renew_lease(old, at(999)).await));
    assert!(fenced(store.add_targets(old, &[(target("/c"), TargetState::Listed)]).await));
    assert!(fenced(store.add_accounts(old, &[]).await));
    assert!(fenced(store.commit_page(old, &first).await));
    assert!(fenced(store.restart_target(old, &target("/b").id()).await));
    assert!(fenced(store.finish_target(old, &target("/b").id(), &TargetState::Scanned, true, at(40)).await));
    assert!(fenced(store.finish_run(old, RunStatus::Partial, at(40)).await));
    assert_eq!(store.ledger(new.id).await.unwrap(), coverage);
    assert_eq!(store.run(new.id).await.unwrap().unwrap().status, None);
}

#[tokio::test]
async fn a_run_is_clean_only_when_everything_was_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let run = begin_over(&store, "o", 0, &["/a"]).await;
    for status in [RunStatus::Clean, RunStatus::Findings] {
        let error = store.finish_run(run, status, at(1)).await.unwrap_err();
        assert!(matches!(error, StoreError::NotComplete { listed: 1, .. }), "{error:?}");
    }
    let failed = TargetState::Failed { reason: overdue_core::GapReason::Denied, why: "403".into() };
    store.finish_target(run, &target("/a").id(), &failed, false, at(2)).await.unwrap();
    let error = store.finish_run(run, RunStatus::Clean, at(3)).await.unwrap_err();
    assert!(matches!(error, StoreError::NotComplete { failed: 1, .. }), "{error:?}");
    store.finish_run(run, RunStatus::Partial, at(4)).await.unwrap();
}

#[tokio::test]
async fn a_schedule_moves_with_the_claim_and_never_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    assert_eq!(store.schedule_cursor("weekly").await.unwrap(), None);
    begin(&store, "a", 100).await;
    assert_eq!(store.schedule_cursor("weekly").await.unwrap(), Some(at(100)));
    begin(&store, "b", 50).await;
    store.advance_schedule("weekly", at(70)).await.unwrap();
    assert_eq!(store.schedule_cursor("weekly").await.unwrap(), Some(at(100)));
    store.begin_run(NewRun { kind: RunKind::Manual, ..new_run("by hand", 500) }, &alive).await.unwrap();
    assert_eq!(store.schedule_cursor("weekly").await.unwrap(), Some(at(100)), "a run by hand is no occurrence");

    assert_eq!(store.record_missed("weekly", &[at(10), at(20), at(100)], "the machine was off").await.unwrap(), 2, "one of them ran");
    assert_eq!(store.record_missed("weekly", &[at(20), at(30)], "again").await.unwrap(), 1);
    // It runs after all, late.
    begin(&store, "late", 30).await;
    let missed = store.missed("weekly").await.unwrap();
    let off = "the machine was off".to_owned();
    assert_eq!(missed, [Missed { due_at: at(10), why: off.clone() }, Missed { due_at: at(20), why: off }]);
}

#[tokio::test]
async fn a_missed_run_is_told_by_the_next_scheduled_one_and_by_no_later_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    store.record_missed("weekly", &[at(10), at(20)], "the machine was off").await.unwrap();
    store.record_missed("other", &[at(15)], "not ours").await.unwrap();
    let told = async |run: Run| -> Vec<_> {
        store.inventory(run.id).await.unwrap().missed.iter().map(|missed| (missed.job.clone(), missed.due_at)).collect()
    };
    let both = [("weekly".to_owned(), at(10)), ("weekly".to_owned(), at(20))];
    let manual = store.begin_run(NewRun { kind: RunKind::Manual, ..new_run("by hand", 25) }, &alive).await.unwrap();
    let BeginRun::Started(manual) = manual else { panic!("{manual:?}") };
    assert_eq!(told(manual).await, both);
    store.finish_run(manual, RunStatus::Clean, at(26)).await.unwrap();
    let failed = begin(&store, "fails", 30).await;
    store.finish_run(failed, RunStatus::Failed, at(31)).await.unwrap();
    let first = begin(&store, "first", 40).await;
    assert_eq!(told(first).await, both, "a failed run told nobody");
    store.finish_run(first, RunStatus::Clean, at(41)).await.unwrap();
    store.record_missed("weekly", &[at(50)], "off again").await.unwrap();
    let second = begin(&store, "second", 60).await;
    assert_eq!(told(second).await, [("weekly".to_owned(), at(50))]);
    assert_eq!(told(first).await, both, "an old report stays as it was");
}

/// Two processes, in effect: each store has its own connections to the one file.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_schedulers_start_each_of_200_occurrences_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut racers = Vec::new();
    for racer in 0..2 {
        let store = Store::open(&url(folder.path()), at(0)).await.unwrap();
        racers.push(tokio::spawn(async move {
            let mut started = Vec::new();
            for number in 0..200 {
                let new = NewRun { holder: format!("host/{racer}"), ..new_run(&format!("o{number}"), number) };
                match store.begin_run(new, &alive).await.unwrap() {
                    BeginRun::Started(run) => started.push((number, run.id)),
                    BeginRun::HeldBy { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
            started
        }));
    }
    let mut runs: BTreeMap<i64, u32> = BTreeMap::new();
    for racer in racers {
        for (number, _) in racer.await.unwrap() {
            *runs.entry(number).or_default() += 1;
        }
    }
    assert_eq!(runs.len(), 200);
    assert!(runs.values().all(|count| *count == 1), "{runs:?}");
    let store = store(folder.path()).await;
    assert_eq!(store.runs(1000).await.unwrap().len(), 200);
    assert_eq!(store.schedule_cursor("weekly").await.unwrap(), Some(at(199)));
}

/// Five processes ask for a run whose holder died: one gets it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_five_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    begin(&store(folder.path()).await, "o", 0).await;
    let racers: Vec<_> = (0..5)
        .map(|racer| {
            let url = url(folder.path());
            tokio::spawn(async move {
                let store = Store::open(&url, at(0)).await.unwrap();
                let new = NewRun { holder: format!("new/{racer}"), ..new_run("o", 30) };
                store.begin_run(new, &|holder| holder == "host/1/100").await.unwrap()
            })
        })
        .collect();
    let mut resumed = 0;
    for racer in racers {
        match racer.await.unwrap() {
            BeginRun::Resumed(run) => {
                assert_eq!(run.fence, 2);
                resumed += 1;
            }
            BeginRun::HeldBy { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(resumed, 1);
}

#[tokio::test]
async fn targets_left_out_by_a_failed_listing_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let first = begin_over(&store, "1", 0, &["/a", "/b"]).await;
    let mut commit = page(&target("/b").id(), 0, 1);
    commit.contents = vec![scan("c", &["1"], true)];
    commit.artifacts = vec![seen(artifact("file:/b/x"), "c", Outcome::Read)];
    store.commit_page(first, &commit).await.unwrap();
    finish(&store, first, "/a", true, 2).await;
    finish(&store, first, "/b", true, 2).await;
    store.finish_run(first, RunStatus::Findings, at(3)).await.unwrap();

    let second = begin_over(&store, "2", 100, &["/a"]).await;
    assert_eq!(open(&store, second).await, Vec::<String>::new());
    assert_eq!(store.earlier_targets(second.id).await.unwrap(), [target("/b")]);
    let failed = TargetState::Failed { reason: overdue_core::GapReason::Denied, why: "the listing was denied".into() };
    store.add_targets(second, &[(target("/b"), failed)]).await.unwrap();
    assert_eq!(open(&store, second).await, ["file:/b/x 1"]);
    assert_eq!(store.earlier_targets(second.id).await.unwrap(), []);
    assert_eq!(detection("1").fingerprint.as_str().len(), 32);
}
