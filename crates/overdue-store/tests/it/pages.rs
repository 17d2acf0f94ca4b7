//! Pages: all or nothing, and the same page twice is one page.

use overdue_core::{Gap, GapReason, IssuedAt, TargetCounts, TargetState};
use overdue_store::{Outcome, PageCommit, Store, StoreError};

use crate::world::{RULES, artifact, at, begin, begin_over, credential, evidence, finish, key, open, page, scan, seen, store, target};

fn full_page(number: u32) -> PageCommit {
    let id = target("/a").id();
    let mut commit = page(&id, number, 10);
    commit.credentials = vec![credential(&format!("AKIA{number}"), IssuedAt::At { at: at(-5), evidence: evidence() })];
    commit.contents = vec![scan(&format!("dirty{number}"), &["1", "2"], true), scan(&format!("clean{number}"), &[], true)];
    commit.artifacts = vec![
        seen(artifact(&format!("file:/a/{number}")), &format!("dirty{number}"), Outcome::Read),
        seen(artifact(&format!("file:/a/clean{number}")), &format!("clean{number}"), Outcome::Read),
    ];
    commit.gaps = vec![Gap {
        target: id,
        subject: format!("file:/a/locked{number}"),
        reason: GapReason::Denied,
        detail: "permission denied".into(),
        permission: String::new(),
        mend: "let this user read it".into(),
        open_ended: false,
    }];
    commit.counts = TargetCounts { credentials: 1, artifacts: 3, scanned: 2, unchanged: 0, gaps: 1, bytes: 100 };
    commit
}

#[tokio::test]
async fn the_same_page_twice_is_one_page() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let run = begin_over(&store, "o", 0, &["/a"]).await;
    for number in 0..3 {
        for _ in 0..=number {
            store.commit_page(run, &full_page(number)).await.unwrap();
        }
    }
    let check = async |store: &Store| {
        let inventory = store.inventory(run.id).await.unwrap();
        assert_eq!(inventory.credentials.len(), 3);
        assert_eq!(inventory.exposures.len(), 6);
        assert_eq!(inventory.gaps.len(), 3);
        let total = TargetCounts { credentials: 3, artifacts: 9, scanned: 6, unchanged: 0, gaps: 3, bytes: 300 };
        assert_eq!(inventory.coverage.total(), total);
    };
    check(&store).await;
    finish(&store, run, "/a", true, 20).await;
    check(&store).await;
    finish(&store, run, "/a", true, 21).await;
    check(&store).await;
    assert!(matches!(store.commit_page(run, &full_page(3)).await, Err(StoreError::Misuse { .. })), "the target has ended");
    let skipped = TargetState::Skipped { why: "no".into() };
    assert!(store.finish_target(run, &target("/a").id(), &skipped, false, at(22)).await.is_err());
    check(&store).await;
}

#[tokio::test]
async fn a_target_begun_again_counts_again_from_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let run = begin_over(&store, "o", 0, &["/a"]).await;
    // Pages of other sizes than the second time.
    for number in 0..5 {
        store.commit_page(run, &full_page(number)).await.unwrap();
    }
    store.restart_target(run, &target("/a").id()).await.unwrap();
    let inventory = store.inventory(run.id).await.unwrap();
    assert_eq!((inventory.gaps.len(), inventory.coverage.total()), (0, TargetCounts::default()));
    assert_eq!(inventory.exposures.len(), 10, "what was found stays");
    store.commit_page(run, &full_page(0)).await.unwrap();
    assert_eq!(store.ledger(run.id).await.unwrap().total().bytes, 100);
}

#[tokio::test]
async fn a_page_is_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let run = begin_over(&store, "o", 0, &["/a"]).await;
    let mut commit = full_page(0);
    commit.artifacts.push(seen(artifact("file:/a/never"), "never scanned", Outcome::Read));
    let error = store.commit_page(run, &commit).await.unwrap_err();
    assert!(matches!(&error, StoreError::Misuse { what } if what.contains("file:/a/never")), "{error:?}");
    let inventory = store.inventory(run.id).await.unwrap();
    assert!(inventory.credentials.is_empty() && inventory.exposures.is_empty() && inventory.gaps.is_empty());
    assert_eq!(inventory.coverage.total(), TargetCounts::default());
    assert!(store.scanned_contents(&[key("clean0"), key("dirty0")], RULES).await.unwrap().is_empty());
    // The writer is as good as before.
    store.commit_page(run, &full_page(0)).await.unwrap();
    assert_eq!(open(&store, run).await.len(), 2);
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_no_lock_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let run = begin_over(&store, "o", 0, &["/a"]).await;
    for micros in (0..4000).step_by(200) {
        let commit = full_page(0);
        let write = store.commit_page(run, &commit);
        tokio::time::timeout(std::time::Duration::from_micros(micros), write).await.ok();
    }
    tokio::time::timeout(std::time::Duration::from_secs(5), store.commit_page(run, &full_page(0))).await.unwrap().unwrap();
    assert_eq!(store.inventory(run.id).await.unwrap().coverage.total().bytes, 100);
    store.integrity_check().await.unwrap();
}

#[tokio::test]
async fn targets_are_listed_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let run = begin(&store, "o", 0).await;
    let listed = |name: &str| (target(name), TargetState::Listed);
    let skipped = |name: &str| (target(name), TargetState::Skipped { why: "excluded".into() });
    store.add_targets(run, &[listed("/z"), listed("/a"), skipped("/s")]).await.unwrap();
    finish(&store, run, "/z", true, 1).await;
    store.add_targets(run, &[listed("/z"), listed("/s"), listed("/n"), listed("/a"), listed("/a")]).await.unwrap();
    let coverage = store.ledger(run.id).await.unwrap();
    let lines: Vec<String> = coverage.targets.iter().map(|row| format!("{} {}", row.target.name, row.state.as_str())).collect();
    assert_eq!(lines, ["/z scanned", "/a listed", "/s skipped", "/n listed"]);
    assert_eq!(store.open_targets(run.id).await.unwrap(), [target("/a"), target("/n")]);
    // Listed before, left out on second thoughts.
    store.add_targets(run, &[skipped("/a")]).await.unwrap();
    assert_eq!(store.open_targets(run.id).await.unwrap(), [target("/n")]);
    assert!(matches!(store.commit_page(run, &page(&target("/unlisted").id(), 0, 0)).await, Err(StoreError::Misuse { .. })));
}

#[tokio::test]
async fn credentials_keep_their_first_sight_and_go_with_a_complete_listing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let sees = async |number: i64, ids: &[&str], complete: bool| {
        let run = begin_over(&store, &format!("o{number}"), number * 1000, &["/a"]).await;
        let mut commit = page(&target("/a").id(), 0, number * 1000);
        commit.credentials = ids.iter().map(|id| credential(id, IssuedAt::Untold)).collect();
        store.commit_page(run, &commit).await.unwrap();
        finish(&store, run, "/a", complete, number * 1000).await;
        let credentials = store.inventory(run.id).await.unwrap().credentials;
        credentials.into_iter().map(|credential| (credential.id.public_id, credential.issued_at)).collect::<Vec<_>>()
    };
    let first_seen = |id: &str, seconds: i64| (id.to_owned(), IssuedAt::FirstSeen { at: at(seconds) });
    assert_eq!(sees(0, &["A", "B"], true).await, [first_seen("A", 0), first_seen("B", 0)]);
    assert_eq!(sees(1, &["B", "C"], false).await, [first_seen("A", 0), first_seen("B", 0), first_seen("C", 1000)]);
    assert_eq!(sees(2, &["B"], true).await, [first_seen("B", 0)]);
    assert_eq!(
        sees(3, &["A", "B"], true).await,
        [first_seen("A", 0), first_seen("B", 0)],
        "it is back, and still the one of the first day"
    );
}

#[tokio::test]
async fn a_known_content_is_told_from_an_unknown_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let run = begin_over(&store, "o", 0, &["/a"]).await;
    let all: Vec<_> = (0..1000).map(|number| key(&format!("c{number}"))).collect();
    let mut commit = page(&target("/a").id(), 0, 1);
    // All of the first half, every third of the second, a few of them cut short.
    let known = |number: usize| number < 500 || number.is_multiple_of(3);
    let cut = |number: usize| number.is_multiple_of(111);
    commit.contents = (0..1000).filter(|number| known(*number)).map(|number| scan(&format!("c{number}"), &[], !cut(number))).collect();
    store.commit_page(run, &commit).await.unwrap();
    let mut asked = all.clone();
    asked.extend_from_slice(&all[..10]);
    let found = store.scanned_contents(&asked, RULES).await.unwrap();
    for (number, key) in all.iter().enumerate() {
        assert_eq!(found.contains(key), known(number) && !cut(number), "{number}");
    }
    assert!(store.scanned_contents(&all, "other rules").await.unwrap().is_empty());
    assert!(store.scanned_contents(&[], RULES).await.unwrap().is_empty());
}

/// Each call can be awaited in a task of its own, on any thread.
#[tokio::test(flavor = "multi_thread")]
async fn calls_of_many_tasks_meet_in_one_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let names: Vec<String> = (0..20).map(|number| format!("/t{number}")).collect();
    let run = begin_over(&store, "o", 0, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut tasks = Vec::new();
    for name in names {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let id = target(&name).id();
            for number in 0..5 {
                let commit = PageCommit { target: id.clone(), ..full_page(number) };
                store.commit_page(run, &commit).await.unwrap();
                store.inventory(run.id).await.unwrap();
                store.unplaced(&id).await.unwrap();
                store.renew_lease(run, at(500)).await.unwrap();
            }
            store.finish_target(run, &id, &TargetState::Scanned, true, at(9)).await.unwrap();
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let inventory = store.inventory(run.id).await.unwrap();
    assert_eq!(inventory.coverage.total().bytes, 20 * 5 * 100);
    assert_eq!((inventory.credentials.len(), inventory.exposures.len()), (5, 10), "twenty targets that see the same");
}
