//! The main job, end to end: every planted thing is found, told truly and told once.

use std::collections::BTreeSet;

use crate::program::Home;
use crate::servers::{python, root};
use crate::world::{World, assert_credentials, assert_detections};

#[test]
fn the_weekly_job_finds_everything_and_says_it_once() {
    let mut home = Home::new();
    let world = World::seed("weekly", home.folder.path());
    world.ambient(&mut home);
    let job = world.weekly_job(&home, "");
    let job = job.to_str().expect("a path");

    world.reset_calls();
    let (code, report) = home.json(&["run", job, "--format", "json"]);
    assert_eq!(code, 2, "the planted archived object is a gap: {}", report["gaps"]);
    assert_detections(&world.answers, &report);
    assert_credentials(&world.answers, &report);

    assert_schema(&home, &report);

    // What could not be read is said, and nothing else is.
    let planted: BTreeSet<(String, String)> = world.answers["gaps"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|gap| (gap["artifact"].as_str().expect("a name").to_owned(), gap["why"].as_str().expect("a reason").to_owned()))
        .collect();
    let gaps = report["gaps"].as_array().expect("a list");
    for (artifact, why) in &planted {
        let bucket = artifact.trim_start_matches("s3://").split('/').next().expect("a bucket");
        assert!(
            gaps.iter().any(|gap| gap["reason"] == why.as_str() && gap.to_string().contains(bucket)),
            "no gap {why} for {artifact} in {gaps:#?}"
        );
    }
    assert_eq!(gaps.len(), planted.len(), "{gaps:#?}");
    for target in report["coverage"]["targets"].as_array().expect("a list") {
        assert_eq!(target["state"], "scanned", "{target}");
    }

    // One letter an owner, over all accounts.
    let outbox = home.work().join("outbox");
    let letters = |folder: &std::path::Path| -> BTreeSet<String> {
        std::fs::read_dir(folder)
            .expect("an outbox")
            .map(|entry| entry.expect("a letter").file_name().to_string_lossy().into_owned())
            .collect()
    };
    let written = letters(&outbox);
    let owners: BTreeSet<String> = report["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|finding| finding["owner"]["address"].as_str())
        .map(str::to_ascii_lowercase)
        .collect();
    assert!(owners.len() > 5, "{owners:?}");
    assert_eq!(written.len(), owners.len() + 1, "one letter an owner and one to security");

    // The same job again: nothing is fetched again, nobody is written to again, and the answer is the same.
    let first = world.calls();
    assert!(first["downloads"] > 0, "{first:?}");
    world.reset_calls();
    let (code, again) = home.json(&["run", job, "--format", "json"]);
    assert_eq!(code, 2);
    let second = world.calls();
    assert_eq!(second.get("downloads").copied().unwrap_or(0), 0, "{second:?}");
    assert_eq!(second.get("s3:GetObject").copied().unwrap_or(0), 0, "{second:?}");
    assert_eq!(second.get("lambda:GetFunction").copied().unwrap_or(0), 0, "{second:?}");
    assert_eq!(letters(&outbox), written);
    assert_detections(&world.answers, &again);
    assert_credentials(&world.answers, &again);
}

/// Holds a report to docs/schema/report-v1.json by an independent validator.
fn assert_schema(home: &Home, report: &serde_json::Value) {
    let file = home.path("report.json");
    std::fs::write(&file, report.to_string()).expect("a file");
    let schema = root().join("docs/schema/report-v1.json");
    let program = "import json, sys, jsonschema\n\
                   schema, report = (json.load(open(path)) for path in sys.argv[1:])\n\
                   jsonschema.Draft202012Validator.check_schema(schema)\n\
                   jsonschema.Draft202012Validator(schema).validate(report)";
    let output = python().args(["-c", program]).arg(schema).arg(file).output().expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
