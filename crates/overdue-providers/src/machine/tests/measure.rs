//! How fast a large history is listed, read and placed. Ignored: run it in release, with `--ignored --nocapture`.

use std::time::Instant;

use super::*;

/// Processor seconds of this process so far: wall time says little on a machine that others use too.
fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes a repository of 50,000 commits"]
async fn fifty_thousand_commits() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("repo")).expect("a folder");
    sandbox.git("repo", "init -q");
    let mut script = String::new();
    let mut files: Vec<Vec<String>> = (0..2_000)
        .map(|file| (0..60).map(|line| format!("file {file} line {line} {}\n", file * 7919 + line * 104_729)).collect())
        .collect();
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let path = |file: usize| format!("src/part{}/module{}/file{file}.rs", file % 20, file % 200);
    for commit in 0..50_000_usize {
        script.push_str(&format!(
            "commit refs/heads/main\ncommitter Cy <cy@example.com> {} +0000\ndata 10\nmessage...\n",
            1_500_000_000 + commit * 600
        ));
        let touched: Vec<usize> = if commit == 0 { (0..2_000).collect() } else { (0..2).map(|_| random(2_000)).collect() };
        for file in touched {
            let line = random(60);
            files[file][line] = format!("changed {commit} {}\n", random(1 << 30));
            let text = files[file].concat();
            script.push_str(&format!("M 100644 inline {}\ndata {}\n{text}\n", path(file), text.len()));
        }
    }
    super::git::fast_import(&sandbox, "repo", &script);
    drop(script);
    // The yardstick: git itself.
    let yardstick = |state: &str| {
        let script = "time git cat-file --batch-all-objects --batch --unordered --buffer > /dev/null";
        let output = sandbox.command("bash", &sandbox.path("repo")).args(["-c", script]).output().expect("bash runs");
        let times = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        std::io::stderr().write_all(format!("{state}: git cat-file of all objects, trees too: {times}\n").as_bytes()).expect("a terminal");
    };
    let say = |text: String| std::io::stderr().write_all(format!("{text}\n").as_bytes()).expect("a terminal");
    for state in ["as fast-import packs", "repacked, depth 50"] {
        if state.starts_with("repacked") {
            sandbox.git("repo", "repack -q -a -d -f --depth=50 --window=20");
        }
        yardstick(state);
        let machine = sandbox.machine(&["repo"], &[MachineRead::Git]);
        let start = Instant::now();
        let found = machine.discover().await;
        let target = found.targets[0].clone();
        say(format!("{state}: discovery {:?}", start.elapsed()));
        let start = Instant::now();
        let mut artifacts = Vec::new();
        let mut cursor = None;
        loop {
            let page = machine.artifacts(&target, cursor.as_ref()).await;
            assert!(page.gaps.is_empty());
            artifacts.extend(page.items.into_iter().map(|listed| listed.artifact));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        say(format!("{state}: {} objects listed in {:?}", artifacts.len(), start.elapsed()));
        let hexes: Vec<&str> = artifacts.iter().filter_map(|artifact| artifact.id.name.rsplit_once('#').map(|(_, hex)| hex)).collect();
        let repository = machine.0.repository(&target).unwrap_or_else(|gap| panic!("{gap:?}"));
        let (start, before) = (Instant::now(), cpu());
        let total: usize =
            hexes.iter().map(|hex| repository.body(hex).map(|body| bytes_of(body).expect("bytes").len()).unwrap_or_default()).sum();
        say(format!("{state}: {:.0} MB read without a pool in {:?}, {:.2} s of CPU", total as f64 / 1e6, start.elapsed(), cpu() - before));
        for in_flight in [1, 8] {
            let (start, before) = (Instant::now(), cpu());
            let total = std::sync::atomic::AtomicUsize::new(0);
            use futures::StreamExt as _;
            futures::stream::iter(&artifacts)
                .for_each_concurrent(in_flight, |artifact| async {
                    let body = machine.fetch(&target, artifact).await.unwrap_or_else(|gap| panic!("{gap:?}"));
                    total.fetch_add(bytes_of(body).expect("bytes").len(), std::sync::atomic::Ordering::Relaxed);
                })
                .await;
            let (total, spent) = (total.into_inner() as f64 / 1e6, start.elapsed().as_secs_f64());
            say(format!(
                "{state}: {total:.0} MB read in {spent:.2} s, {in_flight} in flight: {:.0} MB/s, {:.0} objects/s, {:.2} s of CPU",
                total / spent,
                artifacts.len() as f64 / spent,
                cpu() - before
            ));
        }
        let ids: Vec<ArtifactId> = artifacts
            .iter()
            .filter(|artifact| artifact.notes.is_empty())
            .step_by(10_007)
            .take(10)
            .map(|artifact| artifact.id.clone())
            .collect();
        let (start, before) = (Instant::now(), cpu());
        let (placed, gaps) = machine.place(&target, &ids).await;
        assert!(gaps.is_empty() && placed.values().all(|places| !places[0].commit.is_empty()));
        say(format!("{state}: {} blobs placed in {:?}, {:.2} s of CPU", ids.len(), start.elapsed(), cpu() - before));
        let (start, before) = (Instant::now(), cpu());
        machine.place(&target, &ids).await;
        say(format!("{state}: again in {:?}, {:.2} s of CPU", start.elapsed(), cpu() - before));
    }
}

/// The most memory this process has had so far, and has now.
fn memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}

/// `OVERDUE_MEASURE=/some/path`: all repositories and files there, read; repositories compared with what git says.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "reads the path in OVERDUE_MEASURE"]
async fn a_path_of_yours() {
    let path = std::env::var_os("OVERDUE_MEASURE").map(PathBuf::from).expect("OVERDUE_MEASURE");
    let say = |text: String| std::io::stderr().write_all(format!("{text}\n").as_bytes()).expect("a terminal");
    let audit = MachineAudit { paths: vec![path], read: [MachineRead::Git, MachineRead::Files].into() };
    let machine = Machine::new(audit, MachineFacts { host: "host".into(), ..MachineFacts::default() });
    let (start, before) = (Instant::now(), cpu());
    let found = machine.discover().await;
    say(format!("{} targets in {:?}, {:.2} s of CPU", found.targets.len(), start.elapsed(), cpu() - before));
    for gap in &found.gaps {
        say(format!("{gap:?}"));
    }
    for target in &found.targets {
        let (start, before) = (Instant::now(), cpu());
        let (mut cursor, mut artifacts, mut gaps, mut listing) = (None, Vec::new(), Vec::new(), 0.0);
        let mut bytes = 0;
        loop {
            let listed_from = cpu();
            let page = machine.artifacts(target, cursor.as_ref()).await;
            listing += cpu() - listed_from;
            gaps.extend(page.gaps);
            for Listed { artifact, .. } in page.items {
                match machine.fetch(target, &artifact).await {
                    Ok(body) => match bytes_of(body) {
                        Ok(body) => bytes += body.len(),
                        Err(gap) => gaps.push(*gap),
                    },
                    Err(gap) => gaps.push(gap),
                }
                artifacts.push(artifact);
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let spent = format!("{:?}, {:.2} s of CPU, {listing:.2} of them listing", start.elapsed(), cpu() - before);
        say(format!("{}: {} artifacts, {:.0} MB in {spent}", target.id(), artifacts.len(), bytes as f64 / 1e6));
        say(memory());
        for gap in gaps.iter().take(5) {
            say(format!("  {gap:?}"));
        }
        if target.kind == TargetKind::Repository {
            let output = Command::new("git")
                .args(["-c", "safe.directory=*", "-C", &target.name, "cat-file", "--batch-all-objects", "--batch-check"])
                .output()
                .expect("git runs");
            let lines = String::from_utf8_lossy(&output.stdout).into_owned();
            let expected: BTreeSet<&str> =
                lines.lines().filter(|line| !line.contains(" tree ")).filter_map(|line| line.split(' ').next()).collect();
            let listed: BTreeSet<&str> =
                artifacts.iter().filter_map(|artifact| artifact.id.name.rsplit_once('#').map(|(_, id)| id)).collect();
            say(format!("  git lists {}, same: {}", expected.len(), expected == listed));
            let ids: Vec<ArtifactId> = artifacts.iter().step_by(artifacts.len() / 10 + 1).map(|artifact| artifact.id.clone()).collect();
            let (start, before) = (Instant::now(), cpu());
            let (placed, gaps) = machine.place(target, &ids).await;
            let nowhere = placed.values().filter(|places| places[0].commit.is_empty()).count();
            say(format!("  {} placed in {:?}, {:.2} s of CPU, {nowhere} nowhere, {gaps:?}", placed.len(), start.elapsed(), cpu() - before));
            say(memory());
        }
    }
}
