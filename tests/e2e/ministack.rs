//! A second server's opinion: MiniStack serves code and layers over its own addresses.

use crate::program::Home;
use crate::servers::{Server, script};
use crate::world::{found, planted};

#[test]
fn ministack_is_audited_as_moto_is() {
    let mut home = Home::new();
    let server = Server::ministack();
    let folder = home.path("world");
    script("ministack_seed.py", &["--endpoint", &server.address, "--out", folder.to_str().expect("a path")]);
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(folder.join(name)).expect("the world's file")).expect("JSON")
    };
    for (name, value) in read("ambient.json").as_object().expect("an object") {
        home.set(name, value.as_str().expect("a text"));
    }
    std::fs::write(home.work().join("job.toml"), "name = \"ministack\"\n[[audit]]\nprovider = \"aws\"\nregions = [\"us-east-1\"]\n")
        .expect("a job");
    let (code, report) = home.json(&["run", "job.toml", "--format", "json"]);
    // What MiniStack does not play (SSH keys, certificates, contacts) is said, and is all that is missing.
    assert_eq!(code, 2);
    for gap in report["gaps"].as_array().expect("a list") {
        assert!(["provider-fault", "unsupported"].contains(&gap["reason"].as_str().expect("a reason")), "{gap}");
    }
    let keys = |list: &serde_json::Value| -> std::collections::BTreeSet<String> {
        let keys = list.as_array().expect("a list").iter().filter(|item| item["kind"] == "aws.iam-access-key");
        keys.map(|item| item["public_id"].as_str().expect("an id").to_owned()).collect()
    };
    let answers = read("answers.json");
    assert_eq!(keys(&report["credentials"]), keys(&answers["credentials"]));
    // MiniStack lists only the newest version of a function, whatever it is asked for.
    let listed = |place: &crate::world::Place| !place.artifact.starts_with("function/") || place.artifact.contains("/$LATEST/");
    let planted: std::collections::BTreeSet<_> = planted(&answers).into_keys().filter(listed).collect();
    assert_eq!(found(&report).into_keys().collect::<std::collections::BTreeSet<_>>(), planted);
}
