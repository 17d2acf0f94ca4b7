//! Least privilege, both ways: the printed policy is enough, and each permission in it that is taken away is named.

use serde_json::Value;

use crate::program::Home;
use crate::world::{World, one_account_job};

const MEMBER: &str = "222222222222";
const MAIN: &str = "111111111111";

/// Attaches the policy, with one action taken away, to the auditor's role in the member account and to the runner.
fn attach(world: &World, policy: &Value, without: &str) {
    let mut policy = policy.clone();
    for statement in policy["Statement"].as_array_mut().expect("statements") {
        let actions = statement["Action"].as_array_mut().expect("a list of actions");
        actions.retain(|action| action != without);
    }
    policy["Statement"].as_array_mut().expect("statements").retain(|statement| !statement["Action"].as_array().expect("a list").is_empty());
    for (account, role) in [(MEMBER, "overdue-audit"), (MAIN, "overdue-runner")] {
        let body = serde_json::json!({"account": account, "role": role, "document": policy});
        let (status, answer) = world.server.http("POST", "/__test/role-policy", &body.to_string());
        assert_eq!(status, 200, "{answer}");
    }
}

#[test]
fn each_denied_permission_is_a_gap_that_names_it() {
    let mut home = Home::new();
    let world = World::seed("weekly", home.folder.path());
    world.ambient(&mut home);
    let job = one_account_job(&world, &home);
    let job = job.to_str().expect("a path").to_owned();
    let policy: Value = serde_json::from_str(&home.run(&["permissions", "aws"]).out).expect("a policy");
    let actions: Vec<String> = policy["Statement"]
        .as_array()
        .expect("statements")
        .iter()
        .flat_map(|statement| statement["Action"].as_array().expect("a list of actions").clone())
        .map(|action| action.as_str().expect("an action").to_owned())
        .collect();
    assert!(actions.len() >= 15, "{actions:?}");
    for action in &actions {
        let verb = action.split(':').nth(1).expect("an action");
        assert!(["List", "Get", "Describe", "Generate", "Assume"].iter().any(|read| verb.starts_with(read)), "{action} may write");
    }
    let (status, answer) = world.server.http("POST", "/__test/authorization", "{\"on\": true}");
    assert_eq!(status, 200, "{answer}");

    let mut runs = 0;
    let mut audit = |without: &str| -> (i32, Value) {
        attach(&world, &policy, without);
        world.reset_calls();
        runs += 1;
        // A store of its own: what an earlier run saw may not fill in for what this one could not.
        home.json(&["run", &job, "--store", &format!("sqlite://{}", home.path(&format!("denied-{runs}.db")).display()), "--format", "json"])
    };
    let (code, whole) = audit("");
    assert_eq!(code, 1, "the printed policy is enough: {}", whole["gaps"]);
    let credentials = |report: &Value| report["credentials"].as_array().expect("a list").len();
    let detections = |report: &Value| report["detections"].as_array().expect("a list").len();

    let mut named = 0;
    for action in &actions {
        let (code, report) = audit(action);
        let gaps = report["gaps"].as_array().expect("a list");
        let names_it = gaps.iter().any(|gap| gap["permission"] == action.as_str() && gap["reason"] == "denied");
        let untouched = code == 1 && credentials(&report) == credentials(&whole) && detections(&report) == detections(&whole);
        // A permission that this world never needs, such as a fallback's, may be missing without harm. Nothing else may.
        assert!((code == 2 && names_it) || (untouched && gaps.is_empty()), "without {action}: exit {code}, gaps {gaps:#?}");
        named += usize::from(names_it);
    }
    assert!(named >= 12, "only {named} of {} permissions were named", actions.len());
}
