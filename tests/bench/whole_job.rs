//! `cargo bench --bench whole_job`: what the whole job costs on one account with 200 users, 228 keys and 100 functions.
//!
//! Prints CPU and wall seconds, peak memory, bytes fetched and calls by operation of a first run and of a second one with
//! nothing changed, with the least number of calls that could give the same answer beside them. docs/benchmarks.md keeps
//! the figures of one machine.

#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]
#![allow(dead_code, reason = "shares the servers of the end-to-end tests, and needs a part of them")]

#[path = "../e2e/program.rs"]
mod program;
#[path = "../e2e/servers.rs"]
mod servers;
#[path = "../e2e/world.rs"]
mod world;

use std::collections::BTreeMap;

use program::Home;
use serde_json::Value;
use world::World;

/// Runs a command and tells its own CPU time and peak memory; a child's cannot be asked for without unsafe code.
const MEASURE: &str = r#"
import json, resource, subprocess, sys, time
start = time.monotonic()
done = subprocess.run(sys.argv[2:], stdout=open(sys.argv[1], "wb"), stderr=subprocess.PIPE)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"code": done.returncode, "wall": time.monotonic() - start, "cpu": used.ru_utime + used.ru_stime,
                  "peak_mib": used.ru_maxrss / 1024, "err": done.stderr.decode(errors="replace")[-2000:]}))
"#;

fn main() {
    let mut home = Home::new();
    let world = World::seed("bench", home.folder.path());
    world.ambient(&mut home);
    let job = home.work().join("bench.toml");
    std::fs::write(
        &job,
        "name = \"bench\"\n[[audit]]\nprovider = \"aws\"\nregions = [\"us-east-1\"]\n[letters]\nsecurity = \"security@acme.example\"\n",
    )
    .expect("a job");
    let planted = world.answers["detections"].as_array().expect("a list").len();
    let keys = world.answers["credentials"].as_array().expect("a list").iter().filter(|item| item["kind"] == "aws.iam-access-key").count();
    for run in ["first run", "second run, nothing changed"] {
        world.reset_calls();
        let out = home.path("report.json");
        let program = home.command();
        let mut measure = std::process::Command::new("python3");
        measure.env_clear().current_dir(home.work());
        measure.envs(program.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
        measure.arg("-c").arg(MEASURE).arg(&out).arg(program.get_program()).args(["run", "bench.toml", "--format", "json", "--quiet"]);
        let output = measure.output().expect("python3");
        let figures: Value = serde_json::from_slice(&output.stdout).expect("figures");
        assert!(figures["code"].as_i64().is_some_and(|code| code < 3), "{}", figures["err"]);
        let report: Value = serde_json::from_slice(&std::fs::read(&out).expect("a report")).expect("JSON");
        let mut calls: BTreeMap<String, u64> = world.calls();
        let downloads = calls.remove("downloads").unwrap_or(0);
        let bytes = calls.remove("download_bytes").unwrap_or(0);
        calls.retain(|name, _| name.contains(':') && name != "lambda:Download");
        let total: u64 = calls.values().sum::<u64>() + downloads;
        println!("{run}: exit {}", figures["code"]);
        println!(
            "  CPU {:.2} s, wall {:.2} s, peak {:.0} MiB",
            number(&figures["cpu"]),
            number(&figures["wall"]),
            number(&figures["peak_mib"])
        );
        let distinct: std::collections::BTreeSet<String> = report["detections"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|item| item["fingerprint"].as_str().expect("text").to_owned())
            .collect();
        println!(
            "  {} of {keys} keys by id, {} distinct secrets found of {planted} planted",
            report["credentials"].as_array().expect("a list").iter().filter(|item| item["kind"] == "aws.iam-access-key").count(),
            distinct.len()
        );
        println!(
            "  {total} calls ({downloads} of them downloads, {bytes} bytes); least possible for the same answer: {}",
            least(&world, downloads)
        );
        for (name, count) in calls {
            println!("    {count:5}  {name}");
        }
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// Key ids come only from `ListAccessKeys`, one call a user who has keys; code only from `GetFunction` and a download, one
/// each a distinct package; all else in bulk.
fn least(world: &World, packages: u64) -> u64 {
    let users: std::collections::BTreeSet<&str> = world.answers["credentials"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|item| item["kind"] == "aws.iam-access-key")
        .filter_map(|item| item["principal"].as_str())
        .collect();
    let identity_and_contact = 2;
    let report_and_users = 3;
    let service_specific_credentials = 5; // one a service
    let function_pages_and_tags = 4;
    let buckets_secrets_parameters = 3;
    let bulk =
        identity_and_contact + report_and_users + service_specific_credentials + function_pages_and_tags + buckets_secrets_parameters;
    users.len() as u64 + bulk + 2 * packages
}
