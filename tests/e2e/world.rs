//! The seeded world and its answers, and the comparison of a report with them, item by item.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::program::Home;
use crate::servers::{Server, script};

/// A running emulator with a world in it.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) folder: PathBuf,
    pub(crate) answers: Value,
    ambient: Value,
}

impl World {
    /// Starts an emulator and fills it. `folder` gets the answers and the repositories.
    pub(crate) fn seed(kind: &str, folder: &Path) -> Self {
        let server = Server::start("moto_plus.py", &["--strict-assume"], &[]);
        let folder = folder.join("world");
        std::fs::create_dir_all(&folder).expect("a folder");
        script("seed_world.py", &["--endpoint", &server.address, "--out", folder.to_str().expect("a path"), "--world", kind]);
        let read =
            |name: &str| -> Value { serde_json::from_slice(&std::fs::read(folder.join(name)).expect("the world's file")).expect("JSON") };
        Self { answers: read("answers.json"), ambient: read("ambient.json"), server, folder }
    }

    /// Puts the auditor's own credentials into a home's environment.
    pub(crate) fn ambient(&self, home: &mut Home) {
        for (name, value) in self.ambient.as_object().expect("an object") {
            home.set(name, value.as_str().expect("a text"));
        }
    }

    /// A job over the whole world.
    pub(crate) fn weekly_job(&self, home: &Home, letters: &str) -> PathBuf {
        let text = format!(
            r#"name = "weekly-audit"
schedule = "0 7 * * MON"
timezone = "Europe/Berlin"
[[audit]]
provider = "aws"
accounts = {{ organization = true, role = "{}", external_id = "{}" }}
regions = ["us-east-1", "eu-west-1"]
objects = {{ include = ["s3://**"], size_max = "64 MiB", versions = true }}
[[audit]]
provider = "machine"
paths = ["{}"]
read = ["git", "files"]
[letters]
security = "security@acme.example"
from = "overdue@acme.example"
{letters}
"#,
            self.answers["role"].as_str().expect("a role"),
            self.answers["external_id"].as_str().expect("an id"),
            self.folder.join("repos").display(),
        );
        let path = home.work().join("weekly-audit.toml");
        std::fs::write(&path, text).expect("a job file");
        path
    }

    pub(crate) fn calls(&self) -> BTreeMap<String, u64> {
        let (_, body) = self.server.http("GET", "/__test/calls", "");
        let value: Value = serde_json::from_str(&body).expect("JSON");
        let calls = value.get("calls").unwrap_or(&value);
        let mut all: BTreeMap<String, u64> =
            calls.as_object().expect("an object").iter().filter_map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect();
        for name in ["downloads", "download_bytes"] {
            if let Some(count) = value[name].as_u64() {
                all.insert(name.to_owned(), count);
            }
        }
        all
    }

    pub(crate) fn reset_calls(&self) {
        self.server.http("POST", "/__test/calls/reset", "");
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// One place a secret lies in, the same for the answers and for a report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) rule: String,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) artifact: String,
    pub(crate) path: String,
    pub(crate) public_id: String,
}

/// Places the answers name, with those that `also` lists. The commit is told of the first place alone.
pub(crate) fn planted(answers: &Value) -> BTreeMap<Place, Value> {
    let mut places = BTreeMap::new();
    for item in answers["detections"].as_array().expect("a list") {
        let also = item["also"].as_array().into_iter().flatten();
        for (number, artifact) in std::iter::once(&item["artifact"]).chain(also).map(text).enumerate() {
            let mut item = item.clone();
            if number > 0 {
                item["commit"] = Value::Null;
            }
            // A renamed file's other name stands behind its repository.
            let (artifact, path) = match artifact.strip_prefix("git:").and_then(|rest| rest.split_once("!/")) {
                Some((repository, path)) => (format!("git:{repository}"), path.to_owned()),
                None if artifact.starts_with("file:") => (artifact, String::new()),
                None => (artifact, text(&item["path"])),
            };
            let place = Place {
                rule: text(&item["rule"]),
                account: text(&item["account"]),
                // Bucket names are global: the answers give some objects a region, and reports are not held to it.
                region: if artifact.starts_with("s3://") { String::new() } else { text(&item["region"]) },
                artifact,
                path,
                public_id: text(&item["public_id"]),
            };
            places.insert(place, item);
        }
    }
    places
}

/// Places a report names.
pub(crate) fn found(report: &Value) -> BTreeMap<Place, Value> {
    let mut places = BTreeMap::new();
    for item in report["detections"].as_array().expect("a list") {
        let artifact = text(&item["artifact"]);
        let local = artifact.starts_with("git:") || artifact.starts_with("file:");
        let mut path = text(&item["path"]);
        let inner = text(&item["inner"]);
        if !inner.is_empty() {
            path = if path.is_empty() { inner } else { format!("{path}!/{inner}") };
        }
        let place = Place {
            rule: text(&item["rule"]),
            account: if local { String::new() } else { text(&item["account"]) },
            // Buckets are global names; the answers give objects no region.
            region: if local || artifact.starts_with("s3://") { String::new() } else { text(&item["region"]) },
            artifact,
            path,
            public_id: text(&item["public_id"]),
        };
        places.insert(place, item.clone());
    }
    places
}

/// Compares detections: nothing missing, nothing that was not planted.
pub(crate) fn assert_detections(answers: &Value, report: &Value) {
    let planted = planted(answers);
    let found = found(report);
    let missing: Vec<&Place> = planted.keys().filter(|place| !found.contains_key(place)).collect();
    let surplus: Vec<&Place> = found.keys().filter(|place| !planted.contains_key(place)).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing: {missing:#?}\nnot planted: {surplus:#?}");
    for (place, item) in &planted {
        let seen = &found[place];
        if let Some(line) = item["line"].as_u64() {
            assert_eq!(seen["line"].as_u64(), Some(line), "line of {place:?}");
        }
        if let Some(commit) = item["commit"].as_str() {
            assert_eq!(seen["commit"].as_str(), Some(commit), "commit of {place:?}");
        }
        let joined = seen["credential"].as_str().unwrap_or_default();
        match &item["joins_to"] {
            Value::Object(to) => {
                let id = to["public_id"].as_str().expect("an id");
                let account = to["account"].as_str().expect("an account");
                assert!(joined.contains(id) && joined.contains(account), "{place:?} joins to {joined}, not to {account}/{id}");
            }
            Value::String(unknown) => {
                let account = unknown.trim_start_matches("unknown-account:");
                assert!(joined.is_empty(), "{place:?} joins to {joined}");
                let key = seen["finding"].as_str().expect("a finding");
                let finding = report["findings"].as_array().expect("a list").iter().find(|finding| finding["key"] == key).expect("it");
                assert!(finding.to_string().contains(account), "{finding} does not name account {account}");
            }
            _ => {}
        }
    }
}

/// Compares credentials: each planted one is there once, with its dates, use, status and owner; and no other.
pub(crate) fn assert_credentials(answers: &Value, report: &Value) {
    let key = |item: &Value| {
        let kind = text(&item["kind"]);
        // Kinds without a public id of their own are told apart by their name.
        let id = match item["public_id"].as_str() {
            Some(id)
                if !matches!(kind.as_str(), "aws.console-password" | "aws.root-access-key" | "aws.ssm-secure-string" | "aws.secret") =>
            {
                id.to_owned()
            }
            _ => format!("{} {}", text(&item["region"]), text(&item["name"])),
        };
        (text(&item["account"]), kind, id)
    };
    let index = |list: &Value| -> BTreeMap<(String, String, String), Value> {
        let items = list.as_array().expect("a list");
        let map: BTreeMap<_, _> = items.iter().map(|item| (key(item), item.clone())).collect();
        assert_eq!(map.len(), items.len(), "a credential is listed twice");
        map
    };
    let planted = index(&answers["credentials"]);
    let seen = index(&report["credentials"]);
    let names = |map: &BTreeMap<(String, String, String), Value>| map.keys().cloned().collect::<BTreeSet<_>>();
    let missing: Vec<_> = names(&planted).difference(&names(&seen)).cloned().collect();
    let surplus: Vec<_> = names(&seen).difference(&names(&planted)).cloned().collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing: {missing:#?}\nnot planted: {surplus:#?}");
    for (key, planted) in &planted {
        let seen = &seen[key];
        assert_eq!(seen["issued_at"]["at"], planted["issued_at"], "issued_at of {key:?}");
        assert_eq!(seen["status"], planted["status"], "status of {key:?}");
        assert_eq!(seen["expires_at"], planted["expires_at"], "expires_at of {key:?}");
        assert_eq!(seen["owner"]["address"], planted["owner"]["address"], "owner of {key:?}: {}", seen["owner"]);
        let last_used = &seen["last_used"];
        match &planted["last_used"] {
            Value::String(word) if word == "never" => assert_eq!(last_used["state"], "never-since", "last use of {key:?}"),
            Value::String(word) => assert_eq!(last_used["state"], word.as_str(), "last use of {key:?}"),
            at => {
                assert_eq!(last_used["state"], "at", "last use of {key:?}");
                assert_eq!(last_used["at"], at["at"], "last use of {key:?}");
                if at["service"].is_string() {
                    assert_eq!(last_used["service"], at["service"], "last use of {key:?}");
                }
            }
        }
    }
}

/// A job over one member account and one region, for tests that run it many times.
pub(crate) fn one_account_job(world: &World, home: &Home, more: &str) -> PathBuf {
    let text = format!(
        r#"name = "one-account"
[[audit]]
provider = "aws"
accounts = {{ ids = ["222222222222"], role = "{}", external_id = "{}" }}
regions = ["us-east-1"]
objects = {{ include = ["s3://**"], size_max = "64 MiB" }}
[letters]
security = "security@acme.example"
from = "overdue@acme.example"
{more}
"#,
        world.answers["role"].as_str().expect("a role"),
        world.answers["external_id"].as_str().expect("an id"),
    );
    let path = home.work().join("one-account.toml");
    std::fs::write(&path, text).expect("a job file");
    path
}
