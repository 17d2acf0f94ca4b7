//! Letters: one key, one message id, never again once sent.

use std::collections::BTreeSet;

use overdue_store::{NoticeFate, NoticeRow, NoticeState, StoreError};

use crate::world::{alive, at, begin, dead, new_run, store};

fn row(key: &str, message_id: &str) -> NoticeRow {
    NoticeRow {
        key: key.into(),
        job: "weekly".into(),
        period: "2026-W48".into(),
        owner: "Payments".into(),
        address: "payments@example.com".into(),
        message_id: message_id.into(),
        subject: "3 credentials are overdue".into(),
        body_digest: "d1".into(),
        findings: 3,
    }
}

#[tokio::test]
async fn a_letter_goes_out_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let run = begin(&store, "o", 0).await;
    let retry = NoticeState::Retry { message_id: "<1@host>".into() };
    assert_eq!(store.begin_notice(run, &row("k", "<1@host>"), at(1)).await.unwrap(), NoticeState::Fresh);
    // Killed between sending and telling: the same run tries again, under the first id.
    assert_eq!(store.begin_notice(run, &row("k", "<2@host>"), at(2)).await.unwrap(), retry);
    for fate in [NoticeFate::Deferred { why: "421 busy".into() }, NoticeFate::Refused { why: "550 no such user".into() }] {
        store.finish_notice("k", &fate, at(3)).await.unwrap();
        assert_eq!(store.sent_notices("weekly", "2026-W48").await.unwrap(), BTreeSet::new());
        assert_eq!(store.notices("weekly").await.unwrap()[0].fate, Some(fate));
        assert_eq!(store.begin_notice(run, &NoticeRow { findings: 4, ..row("k", "<3@host>") }, at(4)).await.unwrap(), retry);
    }
    let sent = NoticeFate::Sent { how: "250 queued".into() };
    store.finish_notice("k", &sent, at(5)).await.unwrap();
    store.finish_notice("k", &NoticeFate::Deferred { why: "a late answer".into() }, at(6)).await.unwrap();
    assert_eq!(store.begin_notice(run, &row("k", "<4@host>"), at(7)).await.unwrap(), NoticeState::AlreadySent);
    assert_eq!(store.sent_notices("weekly", "2026-W48").await.unwrap(), BTreeSet::from(["k".to_owned()]));
    assert_eq!(store.sent_notices("weekly", "2026-W49").await.unwrap(), BTreeSet::new());
    let record = store.notices("weekly").await.unwrap().remove(0);
    assert_eq!((record.row.message_id.as_str(), record.row.findings, record.attempts), ("<1@host>", 4, 4));
    assert_eq!((record.fate, record.ended_at), (Some(sent), Some(at(5))));
    assert!(matches!(
        store.finish_notice("unknown", &NoticeFate::Sent { how: String::new() }, at(8)).await,
        Err(StoreError::Misuse { .. })
    ));
}

#[tokio::test]
async fn two_runs_do_not_send_one_letter_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let (first, second) = (begin(&store, "a", 0).await, begin(&store, "b", 1).await);
    assert_eq!(store.begin_notice(first, &row("k", "<1@host>"), at(1)).await.unwrap(), NoticeState::Fresh);
    assert_eq!(store.begin_notice(second, &row("k", "<2@host>"), at(2)).await.unwrap(), NoticeState::InFlight { since: at(1) });
    let late = store.begin_notice(second, &row("k", "<2@host>"), at(1 + 15 * 60)).await.unwrap();
    assert_eq!(late, NoticeState::Retry { message_id: "<1@host>".into() });
}

#[tokio::test]
async fn a_fenced_run_begins_no_letter_but_may_tell_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let old = begin(&store, "o", 0).await;
    store.begin_notice(old, &row("k", "<1@host>"), at(1)).await.unwrap();
    store.begin_run(new_run("o", 2), &dead).await.unwrap();
    assert!(matches!(store.begin_notice(old, &row("k2", "<2@host>"), at(3)).await, Err(StoreError::Fenced { .. })));
    store.finish_notice("k", &NoticeFate::Sent { how: "250".into() }, at(4)).await.unwrap();
    // A run that has ended in our hands may still write its letters.
    let run = begin(&store, "p", 5).await;
    store.finish_run(run, overdue_store::RunStatus::Clean, at(6)).await.unwrap();
    assert_eq!(store.begin_notice(run, &row("k3", "<3@host>"), at(7)).await.unwrap(), NoticeState::Fresh);
    assert!(!alive("anyone"));
}
