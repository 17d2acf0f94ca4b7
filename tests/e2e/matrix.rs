//! Answers spoiled at random: a run that calls itself whole has seen everything, and every other one says what it has not.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use crate::program::Home;
use crate::servers::{Server, root};
use crate::world::{Place, World, found, one_account_job};

/// Runs in all, each with a seed of its own.
const RUNS: u64 = 200;
/// Runs in the same moment: they wait far longer than they compute.
const AT_ONCE: usize = 10;

/// Faults of `faultd.py` after which the same call may be sent again.
const PASSING: [&str; 9] = ["429", "429-retry-after", "500", "503", "reset", "reset-in-body", "cut-short", "cut-chunked", "drip"];

/// What must be the same in every whole run.
struct Seen {
    places: BTreeSet<Place>,
    credentials: BTreeSet<String>,
}

impl Seen {
    fn of(report: &Value) -> Self {
        let keys = report["credentials"].as_array().expect("a list").iter().map(|item| item["key"].as_str().expect("a key").to_owned());
        Self { places: found(report).into_keys().collect(), credentials: keys.collect() }
    }
}

#[test]
fn two_hundred_spoiled_runs_never_call_a_loss_whole() {
    let mut home = Home::new();
    let world = World::seed("weekly", home.folder.path());
    world.ambient(&mut home);
    let job = one_account_job(&world, &home, "");
    let job = job.to_str().expect("a path").to_owned();
    let (code, calm) = home.json(&["run", &job, "--store", &format!("sqlite://{}", home.path("calm.db").display()), "--format", "json"]);
    assert_eq!(code, 1, "{}", calm["gaps"]);
    let calm = Seen::of(&calm);

    let next = AtomicU64::new(0);
    let (whole, partial) = (AtomicU64::new(0), AtomicU64::new(0));
    let suffered: Mutex<BTreeSet<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let proxy = Server::start("faultd.py", &["--upstream", &world.server.address], &[]);
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= RUNS {
                        return;
                    }
                    let ended_whole = spoiled_run(&home, &job, &proxy, seed, &calm, &suffered);
                    if ended_whole { &whole } else { &partial }.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    let (whole, partial) = (whole.into_inner(), partial.into_inner());
    assert_eq!(whole + partial, RUNS);
    let suffered = suffered.into_inner().expect("the kinds");
    let known = std::fs::read_to_string(root().join("tests/servers/faultd.py")).expect("the proxy");
    let kinds = known.split_once("KINDS = {").and_then(|(_, rest)| rest.split_once('}')).expect("its kinds").0;
    let kinds: BTreeSet<String> = kinds.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert_eq!(suffered, kinds, "every kind of fault was met");
    // Both ends of the scale were met, or this test has shown nothing.
    assert!(whole >= RUNS / 4 && partial >= RUNS / 4, "{whole} whole, {partial} partial");
}

/// One run behind a proxy that spoils answers; whether it called itself whole.
fn spoiled_run(home: &Home, job: &str, proxy: &Server, seed: u64, calm: &Seen, suffered: &Mutex<BTreeSet<String>>) -> bool {
    // What passes and may be tried again; about one fault that lasts, so that no other gap can hide a loss; a storm.
    let plan = match seed % 3 {
        0 => serde_json::json!({"seed": seed, "share": 0.15, "kinds": PASSING}),
        1 => serde_json::json!({"seed": seed, "lasting": 0.01}),
        _ => serde_json::json!({"seed": seed, "share": 0.1, "lasting": 0.02}),
    };
    let (status, _) = proxy.http("PUT", "/__faultd", &plan.to_string());
    assert_eq!(status, 200);
    let store = home.path(&format!("spoiled-{seed}.db"));
    let output = home
        .command()
        .env("AWS_ENDPOINT_URL", &proxy.address)
        .args(["run", job, "--store", &format!("sqlite://{}", store.display()), "--format", "json"])
        .output()
        .expect("it runs");
    let (_, done) = proxy.http("GET", "/__faultd", "");
    let about = format!("seed {seed}, {done}");
    let done: Value = serde_json::from_str(&done).expect("JSON");
    suffered.lock().expect("the kinds").extend(done["spoiled"].as_object().expect("counts").keys().cloned());
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{about}: {error}: {}", String::from_utf8_lossy(&output.stderr)));
    let code = output.status.code().expect("an exit code");
    let gaps = report["gaps"].as_array().expect("a list");
    let targets = report["coverage"]["targets"].as_array().expect("a list");
    let ends: Vec<&str> = targets.iter().map(|target| target["state"].as_str().expect("a state")).collect();
    assert!(ends.iter().all(|state| matches!(*state, "scanned" | "skipped" | "failed")), "{about}: {ends:?}");
    let seen = Seen::of(&report);
    let strange: Vec<_> = seen.places.difference(&calm.places).collect();
    assert!(strange.is_empty(), "{about}: found what is not there: {strange:#?}");
    let missing: Vec<_> = calm.places.difference(&seen.places).collect();
    let missing_credentials: Vec<_> = calm.credentials.difference(&seen.credentials).collect();
    assert!(seen.credentials.is_subset(&calm.credentials), "{about}: credentials that are not there");
    let whole = gaps.is_empty() && !ends.contains(&"failed");
    assert_eq!(code, if whole { 1 } else { 2 }, "{about}: {gaps:#?}");
    assert!(
        !whole || (missing.is_empty() && missing_credentials.is_empty()),
        "{about}: called whole without {missing:#?} and {missing_credentials:?}"
    );
    // A loss has its gap where it was lost, not somewhere.
    let kind_of = |target: &Value| target.as_str().expect("a target").split('/').nth(3).expect("its kind").to_owned();
    let hidden: BTreeSet<String> = gaps.iter().map(|gap| kind_of(&gap["target"])).collect();
    let missing_in = missing.iter().map(|place| home_of_place(&place.artifact));
    for home in missing_in.chain(missing_credentials.iter().map(|key| home_of_credential(key))) {
        assert!(
            hidden.iter().any(|kind| home.contains(&kind.as_str()) || kind == "discovery"),
            "{about}: something of {home:?} is missing, and the gaps are of {hidden:?}"
        );
    }
    for gap in gaps {
        for field in ["reason", "detail", "mend"] {
            assert!(gap[field].as_str().is_some_and(|text| !text.is_empty()), "{about}: a gap without its {field}: {gap}");
        }
    }
    whole
}

/// The kinds of target whose gap explains that an artifact was not seen.
fn home_of_place(artifact: &str) -> &'static [&'static str] {
    match artifact {
        name if name.starts_with("s3://") => &["objects", "buckets"],
        name if name.starts_with("function/") || name.starts_with("layer/") => &["functions"],
        other => panic!("{other} stands behind no proxy"),
    }
}

/// The same for a credential, by its kind.
fn home_of_credential(key: &str) -> &'static [&'static str] {
    match key {
        key if key.contains("aws.secret/") => &["secrets"],
        key if key.contains("aws.ssm-secure-string/") => &["parameters"],
        _ => &["iam"],
    }
}
