//! `overdue serve`: each occurrence once, whoever else is serving.

use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::program::{Home, stripe_key};
use crate::servers::{python, wait_until};

struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(home: &Home) -> Serving {
    Serving(home.command().args(["serve", "jobs"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"))
}

fn runs(home: &Home) -> Vec<serde_json::Value> {
    let ran = home.run(&["runs", "--format", "json"]);
    serde_json::from_str::<serde_json::Value>(&ran.out).ok().and_then(|value| value["runs"].as_array().cloned()).unwrap_or_default()
}

#[test]
fn two_processes_run_each_occurrence_once_and_a_killed_one_is_gone_on_with() {
    let home = Home::new();
    fs::create_dir(home.work().join("jobs")).expect("a folder");
    fs::create_dir(home.work().join("data")).expect("a folder");
    fs::write(home.work().join("data/x.env"), format!("STRIPE={}\n", stripe_key(60))).expect("a file");
    fs::write(
        home.work().join("jobs/minutely.toml"),
        "name = \"minutely\"\nschedule = \"* * * * *\"\ntimezone = \"UTC\"\n[[audit]]\nprovider = \"machine\"\npaths = [\"../data\"]\nread = [\"files\"]\n",
    )
    .expect("a job");
    let first = serve(&home);
    let second = serve(&home);
    wait_until("the first occurrence", Duration::from_secs(90), || runs(&home).iter().any(|run| run["status"] == "findings"));
    // One of the two is killed; the other serves the next minute.
    drop(first);
    wait_until("the second occurrence", Duration::from_secs(90), || {
        runs(&home).iter().filter(|run| run["status"] == "findings").count() >= 2
    });
    drop(second);
    let mut occurrences: Vec<String> = runs(&home).iter().map(|run| run["occurrence"].as_str().expect("a text").to_owned()).collect();
    let all = occurrences.len();
    occurrences.sort();
    occurrences.dedup();
    assert_eq!(occurrences.len(), all, "an occurrence was run twice: {occurrences:?}");
    assert!(occurrences.iter().all(|at| at.ends_with(":00Z")), "{occurrences:?}");

    // As if nobody had served for ten minutes: the store remembers how far the schedule was worked off.
    let back = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); \
                db.execute('UPDATE schedule SET cursor_at = cursor_at - 600000000'); \
                db.execute(\"UPDATE run SET due_at = due_at - 600000000, started_at = started_at - 600000000, \
                             occurrence = 'earlier ' || occurrence\"); db.commit()";
    let moved = python().args(["-c", back]).arg(home.store()).output().expect("python3");
    assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
    let ended = || runs(&home).iter().filter(|run| run["status"] == "findings").count();
    let before = ended();
    let third = serve(&home);
    wait_until("the next occurrence", Duration::from_secs(130), || ended() > before);
    drop(third);
    let (code, report) = home.json(&["report", "--job", "jobs/minutely.toml", "--format", "json"]);
    assert_eq!(code, 1);
    let findings = report["findings"].as_array().expect("a list");
    let missed = findings.iter().find(|finding| finding["key"] == "schedule/minutely").expect("a finding of the schedule");
    assert_eq!(missed["verdicts"][0]["code"], "missed-run", "{missed}");
    assert_eq!(missed["subject"], serde_json::json!({"type": "schedule", "job": "minutely"}));
}
