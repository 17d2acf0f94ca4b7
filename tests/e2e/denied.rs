//! Least privilege, both ways: the printed policy is enough, and each permission in it that is taken away is named.

use serde_json::Value;

use crate::program::Home;
use crate::world::{World, one_account_job};

pub(crate) const MEMBER: &str = "222222222222";
const MAIN: &str = "111111111111";

/// Gives a role a policy with one action taken away.
pub(crate) fn attach(world: &World, account: &str, role: &str, policy: &Value, without: &str) {
    let mut policy = policy.clone();
    let statements = policy["Statement"].as_array_mut().expect("statements");
    for statement in statements.iter_mut() {
        let actions = statement["Action"].as_array_mut().expect("a list of actions");
        actions.retain(|action| action != without);
        // moto asks for this permission under the service's endpoint name; AWS calls it `tag`.
        if actions.iter().any(|action| action == "tag:GetResources") {
            actions.push("tagging:GetResources".into());
        }
    }
    statements.retain(|statement| !statement["Action"].as_array().expect("a list").is_empty());
    let body = serde_json::json!({"account": account, "role": role, "document": policy});
    let (status, answer) = world.server.http("POST", "/__test/role-policy", &body.to_string());
    assert_eq!(status, 200, "{answer}");
}

fn actions(policy: &Value) -> Vec<String> {
    let statements = policy["Statement"].as_array().expect("statements").iter();
    let actions = statements.flat_map(|statement| statement["Action"].as_array().expect("a list of actions").clone());
    actions.map(|action| action.as_str().expect("an action").to_owned()).collect()
}

#[test]
fn each_denied_permission_is_a_gap_that_names_it() {
    let mut home = Home::new();
    let world = World::seed("weekly", home.folder.path());
    world.ambient(&mut home);
    let job = one_account_job(&world, &home, "");
    let job = job.to_str().expect("a path").to_owned();
    let printed = |arguments: &[&str]| -> Value { serde_json::from_str(&home.run(arguments).out).expect("a policy") };
    let (policy, hub) = (printed(&["permissions", "aws"]), printed(&["permissions", "aws", "--hub"]));
    let asked: Vec<String> = actions(&policy).into_iter().chain(actions(&hub)).collect();
    assert!(asked.len() >= 15, "{asked:?}");
    for action in &asked {
        let verb = action.split(':').nth(1).expect("an action");
        assert!(["List", "Get", "Describe", "Generate", "Assume"].iter().any(|read| verb.starts_with(read)), "{action} may write");
    }
    let (status, answer) = world.server.http("POST", "/__test/authorization", "{\"on\": true}");
    assert_eq!(status, 200, "{answer}");

    let mut runs = 0;
    let mut audit = |without: &str| -> (i32, Value) {
        attach(&world, MEMBER, "overdue-audit", &policy, without);
        attach(&world, MAIN, "overdue-runner", &hub, without);
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
    for action in &asked {
        let (code, report) = audit(action);
        let gaps = report["gaps"].as_array().expect("a list");
        let names_it = gaps.iter().any(|gap| gap["permission"] == action.as_str() && gap["reason"] == "denied");
        let untouched = code == 1 && credentials(&report) == credentials(&whole) && detections(&report) == detections(&whole);
        // A permission that this world never needs, such as a fallback's, may be missing without harm. Nothing else may.
        assert!((code == 2 && names_it) || (untouched && gaps.is_empty()), "without {action}: exit {code}, gaps {gaps:#?}");
        named += usize::from(names_it);
    }
    assert!(named >= 12, "only {named} of {} permissions were named", asked.len());
}
