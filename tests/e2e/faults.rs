//! A provider that throttles, breaks off, repeats itself or forgets: a gap, exit code 2, and never silence.

use serde_json::Value;

use crate::program::Home;
use crate::world::{World, one_account_job};

#[test]
fn faults_of_a_provider_are_named_gaps() {
    let mut home = Home::new();
    let world = World::seed("weekly", home.folder.path());
    world.ambient(&mut home);
    let job = one_account_job(&world, &home, "");
    let job = job.to_str().expect("a path").to_owned();
    let mut runs = 0;
    let mut audit = |fault: Option<Value>| -> (i32, Value) {
        world.server.http("DELETE", "/__test/fault", "");
        if let Some(fault) = fault {
            let (status, answer) = world.server.http("POST", "/__test/fault", &fault.to_string());
            assert_eq!(status, 200, "{answer}");
        }
        runs += 1;
        home.json(&["run", &job, "--store", &format!("sqlite://{}", home.path(&format!("fault-{runs}.db")).display()), "--format", "json"])
    };
    let (code, whole) = audit(None);
    assert_eq!(code, 1, "{}", whole["gaps"]);
    let places = |report: &Value| crate::world::found(report).into_keys().collect::<std::collections::BTreeSet<_>>();
    let credentials = |report: &Value| report["credentials"].as_array().expect("a list").len();

    // (operation, kind, reason of the gap it leaves)
    let lasting = [
        ("iam:ListAccessKeys", "denied", "denied"),
        ("iam:ListAccessKeys", "throttle", "throttled"),
        ("iam:GetAccountAuthorizationDetails", "same-token", "broken-listing"),
        ("iam:GetAccountAuthorizationDetails", "error500", "provider-fault"),
        ("iam:ListAccessKeys", "expired", "unauthenticated"),
        ("lambda:ListFunctions", "throttle", "throttled"),
        ("lambda:ListFunctions", "same-token", "broken-listing"),
        ("lambda:GetFunction", "vanish", "vanished"),
        ("lambda:Download", "truncated-body", "truncated"),
        ("s3:GetObject", "truncated-body", "truncated"),
        ("s3:GetObject", "denied", "denied"),
        ("s3:ListObjectsV2", "same-token", "broken-listing"),
        ("secretsmanager:ListSecrets", "denied", "denied"),
        ("ssm:DescribeParameters", "throttle", "throttled"),
        ("sts:AssumeRole", "vanish", "denied"),
    ];
    for (operation, kind, reason) in lasting {
        let (code, report) = audit(Some(serde_json::json!({"operation": operation, "kind": kind})));
        let gaps = report["gaps"].as_array().expect("a list");
        assert_eq!(code, 2, "{operation} {kind}: {gaps:#?}");
        assert!(gaps.iter().any(|gap| gap["reason"] == reason), "{operation} {kind}: no gap {reason} in {gaps:#?}");
        assert!(
            gaps.iter().all(|gap| gap["mend"].as_str().is_some_and(|mend| !mend.is_empty())),
            "{operation} {kind}: a gap without its mend"
        );
        // What was seen is true all the same: nothing is made up.
        assert!(places(&report).is_subset(&places(&whole)), "{operation} {kind}");
        assert!(credentials(&report) <= credentials(&whole), "{operation} {kind}");
        for target in report["coverage"]["targets"].as_array().expect("a list") {
            assert_ne!(target["state"], "listed", "{operation} {kind}: {target}");
        }
    }
    // A fault that passes is not seen in the report.
    for (operation, kind) in [
        ("iam:ListAccessKeys", "throttle-n"),
        ("lambda:Download", "truncated-body"),
        ("s3:GetObject", "error500"),
        ("lambda:ListFunctions", "throttle-n"),
    ] {
        let (code, report) = audit(Some(serde_json::json!({"operation": operation, "kind": kind, "times": 2})));
        assert_eq!(code, 1, "{operation} {kind}: {}", report["gaps"]);
        assert_eq!(places(&report), places(&whole), "{operation} {kind}");
        assert_eq!(credentials(&report), credentials(&whole), "{operation} {kind}");
    }
}
