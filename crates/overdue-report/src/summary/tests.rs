//! The summary on a terminal, hostile names among it.

use expect_test::expect;

use super::*;
use crate::templates::sample;

#[test]
fn ten_seconds_are_enough() {
    let many = sample::sample("many", sample::many(60));
    let text = summary_text(&many.report_input(), 100, false);
    assert!(text.lines().count() <= 40, "{}", text.lines().count());
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    expect![[r#"
        Overdue · weekly-audit · 24 Nov 2026, 06:12 UTC

        NOT COMPLETE  Not everything could be read (120 of 780 targets not read to the end, 10 gaps); 45
          things need someone: 1 exposed, 2 found in the open, 39 overdue by up to 441 days, 1 due in 9
          days, 1 never used, 1 missed run.
        Looked at  780 targets: 600 scanned, 60 skipped, 60 failed, 60 not reached; 1,200 credentials,
          24,000 artifacts (18,000 read, 5,400 unchanged since they were last read, 600 with a gap).

        Could not see
          ! 8 × access denied, AWS account prod (111111111111), needs lambda:GetFunction: function worker-0
            Allow lambda:GetFunction in the role overdue-audit
          ! 1 × throttled until the budget was spent, AWS account 222222222222: the listing of functions
          ! 1 × in cold storage, AWS account 222222222222: s3://backup/2019.tar
          ! not read to the end: aws/111111111111/eu-west-1/functions/bucket-0 and 119 more targets

        By verdict  exposed 1 · exposed-unknown 2 · rotation-overdue 40 · rotation-due-soon 1 · unused 6 ·
          never-used 9 · shared 1 · stale-version 1 · ownerless 1 · missed-run 1
            1 accepted risk not counted

        Worst first
          critical IAM access key AKIAQUB2J3L400000001 of ci-deploy
            Live, and lies in 32 places · 413 days old, limit 90 days: overdue by 323 days · used yesterday
            · owner payments@example.com
            function pay-api, version $LATEST, code lib/app.py, line 12 in account 111111111111, eu-west-1
            and 31 more places
          high Root access key AKIAQUB2J3L400000056 of svc-56
            504 days old, limit 90 days: overdue by 414 days · use not tracked · owner Platform
          high Root access key AKIAQUB2J3L400000040 of svc-40
            360 days old, limit 90 days: overdue by 270 days · Not used once in 360 days · owner
            search@example.com
          high Root access key AKIAQUB2J3L400000048 of svc-48
            432 days old, limit 90 days: overdue by 342 days · Not used for 48 days · owner
            payments@example.com
            and 41 more findings in the report
    "#]]
    .assert_eq(&text);
}

#[test]
fn clean_is_said_only_when_everything_was_looked_at() {
    let word = |inventory: overdue_core::Inventory, policy: overdue_core::Policy, status: crate::RunStatus| {
        let mut sample = sample::sample("", inventory);
        sample.assessment = overdue_core::assess(&sample.inventory, &policy, &overdue_core::OwnersConfig::default(), sample::moment());
        sample.run.status = status;
        summary_text(&sample.report_input(), 100, false).lines().nth(2).unwrap_or_default().to_owned()
    };
    use crate::RunStatus::{Complete, Failed, Partial, Running};
    let policy = overdue_core::Policy::default;
    let empty = || overdue_core::Inventory { coverage: sample::coverage(2, 0), ..Default::default() };
    assert_eq!(word(empty(), policy(), Complete), "CLEAN  Clean: all 2 targets were looked at, and nothing is due.");
    let not = |text: String| assert!(text.starts_with("NOT COMPLETE  Not everything could be read"), "{text}");
    not(word(empty(), policy(), Partial));
    not(word(empty(), policy(), Running));
    not(word(empty(), policy(), Failed));
    not(word(overdue_core::Inventory::default(), policy(), Complete));
    not(word(overdue_core::Inventory { coverage: sample::coverage(2, 1), ..Default::default() }, policy(), Complete));
    not(word(overdue_core::Inventory { gaps: sample::gaps(), ..empty() }, policy(), Complete));
}
