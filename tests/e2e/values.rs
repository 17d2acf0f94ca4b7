//! Values of stored secrets, where a job asks for them: a found secret is tied to its store, and nothing else changes.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::denied::{MEMBER, attach};
use crate::program::Home;
use crate::world::{World, assert_credentials, assert_detections, one_account_job};

/// Has a job file read values too.
fn with_values(job: &std::path::Path) -> String {
    let text = std::fs::read_to_string(job).expect("a job");
    let read = "read = [\"iam\", \"functions\", \"objects\", \"secrets\", \"secret-values\"]\nobjects = ";
    std::fs::write(job, text.replacen("objects = ", read, 1)).expect("a job");
    job.to_str().expect("a path").to_owned()
}

#[test]
fn a_found_secret_is_tied_to_the_store_that_holds_it() {
    let mut home = Home::new();
    let world = World::seed("weekly", home.folder.path());
    world.ambient(&mut home);
    let job = with_values(&world.weekly_job(&home, ""));
    let same = |item: &&Value| item["same_as"].is_object();
    let planted: Vec<&Value> = world.answers["detections"].as_array().expect("a list").iter().filter(same).collect();
    let also = planted.iter().flat_map(|item| item["also"].as_array().into_iter().flatten());
    let places: BTreeSet<&str> =
        planted.iter().map(|item| &item["artifact"]).chain(also).map(|place| place.as_str().expect("a name")).collect();
    assert!(!places.is_empty());
    let same_as = &planted[0]["same_as"];
    let (account, name) = (same_as["account"].as_str().expect("an id"), same_as["name"].as_str().expect("a name"));

    // Twice: the second time nothing is read again, and our own reading is not taken for a use.
    for (turn, reads) in [(1, true), (2, false)] {
        world.reset_calls();
        let (code, report) = home.json(&["run", &job, "--format", "json"]);
        assert_eq!(code, 2, "the planted archived object: {}", report["gaps"]);
        assert_detections(&world.answers, &report);
        assert_credentials(&world.answers, &report);
        let tied: Vec<&Value> = report["detections"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|item| item["credential"].as_str().is_some_and(|id| id.contains("/aws.secret/") || id.contains("/aws.ssm-")))
            .collect();
        // These and no other: a key pair that lies in a store too is tied by its id.
        assert_eq!(tied.iter().map(|item| item["artifact"].as_str().expect("a name")).collect::<BTreeSet<_>>(), places, "turn {turn}");
        let credential = tied[0]["credential"].as_str().expect("an id");
        assert!(tied.iter().all(|item| item["credential"] == credential) && credential.starts_with(account) && credential.contains(name));
        let finding =
            report["findings"].as_array().expect("a list").iter().find(|finding| finding["key"] == credential).expect("a finding");
        assert_eq!(finding["verdicts"][0]["code"], "exposed", "{finding}");
        let calls = world.calls();
        for call in ["secretsmanager:GetSecretValue", "ssm:GetParameter"] {
            assert_eq!(calls.get(call).copied().unwrap_or(0) > 0, reads, "turn {turn}: {call} in {calls:?}");
        }
    }
}

#[test]
fn a_value_that_may_not_be_read_is_a_gap_that_names_its_permission() {
    let mut home = Home::new();
    let world = World::seed("weekly", home.folder.path());
    world.ambient(&mut home);
    let job = with_values(&one_account_job(&world, &home, ""));
    let printed = |arguments: &[&str]| -> Value { serde_json::from_str(&home.run(arguments).out).expect("a policy") };
    let (mut policy, hub) = (printed(&["permissions", "aws"]), printed(&["permissions", "aws", "--hub"]));
    let (status, answer) = world.server.http("POST", "/__test/authorization", "{\"on\": true}");
    assert_eq!(status, 200, "{answer}");
    attach(&world, "111111111111", "overdue-runner", &hub, "");

    attach(&world, MEMBER, "overdue-audit", &policy, "");
    let (code, report) = home.json(&["run", &job, "--format", "json"]);
    assert_eq!(code, 2);
    for permission in ["secretsmanager:GetSecretValue", "ssm:GetParameter"] {
        let named =
            report["gaps"].as_array().expect("a list").iter().any(|gap| gap["permission"] == permission && gap["reason"] == "denied");
        assert!(named, "no gap names {permission}: {}", report["gaps"]);
    }

    // With what `--secret-values` prints beside the rest, nothing is hidden.
    let more = printed(&["permissions", "aws", "--secret-values"])["Statement"].as_array().expect("statements").clone();
    policy["Statement"].as_array_mut().expect("statements").extend(more);
    attach(&world, MEMBER, "overdue-audit", &policy, "");
    let (code, report) = home.json(&["run", &job, "--format", "json"]);
    assert_eq!(code, 1, "{}", report["gaps"]);
}
