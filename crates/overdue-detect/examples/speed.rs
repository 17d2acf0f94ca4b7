//! How fast the scanner goes: loads what is under some folders, scans each file on one thread, and prints megabytes per CPU
//! second, and a hash of all that was found, which must not change when the speed does.
//!
//! ```text
//! cargo run --release -p overdue-detect --example speed -- [--one] [--reader] [--double] [--rounds N] [--list] FOLDER...
//! ```
//!
//! `--one` puts all files together into one, `--reader` streams them, `--double` has every rule twice, the second time with
//! other literals, `--list` prints what was found.
#![expect(clippy::print_stdout, reason = "a tool that measures and prints")]

use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use overdue_detect::{FingerprintKey, Limits, RuleSet, Scanned, Scanner};

/// Larger files are left out, as a sweep of sources leaves them out.
const FILE_BYTES_MAX: u64 = 64 << 20;

fn main() {
    let mut folders = Vec::new();
    let (mut one, mut reader, mut double, mut list, mut rounds) = (false, false, false, false, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--one" => one = true,
            "--reader" => reader = true,
            "--double" => double = true,
            "--list" => list = true,
            "--rounds" => rounds = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(1),
            _ => folders.push(PathBuf::from(argument)),
        }
    }
    let begun = Instant::now();
    let rules = if double { doubled() } else { RuleSet::builtin() };
    let scanner = Scanner::new(Arc::new(rules.expect("good rules")), FingerprintKey::from_bytes([7; 32]), Limits::default());
    println!("start-up {:.2} ms, {} rules", begun.elapsed().as_secs_f64() * 1e3, scanner.rules().facts().len());

    let mut files = Vec::new();
    for folder in &folders {
        load(folder, &mut files);
    }
    files.sort();
    if one {
        files = vec![("all".to_owned(), files.into_iter().flat_map(|(_, bytes)| bytes).collect())];
    }
    let bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    for _ in 0..rounds {
        let mut hasher = std::hash::DefaultHasher::new();
        let (mut detections, mut gaps) = (0, 0);
        let before = cpu_seconds();
        let mut all: Vec<(usize, Scanned)> = Vec::new();
        for (index, (name, bytes)) in files.iter().enumerate() {
            let scanned = if reader { scanner.scan_reader(name, None, &mut bytes.as_slice()) } else { scanner.scan_bytes(name, bytes) };
            gaps += scanned.gaps.len();
            if !scanned.detections.is_empty() {
                all.push((index, scanned));
            }
        }
        let seconds = cpu_seconds() - before;
        for (index, scanned) in &all {
            for one in &scanned.detections {
                let facts = (one.rule.as_str(), one.fingerprint.as_str(), &one.path, one.line, one.column, &one.decoded);
                (&files[*index].0, facts, &one.preview, &one.public_id).hash(&mut hasher);
                detections += 1;
                if list {
                    println!("{} {facts:?} {}", files[*index].0, one.preview);
                }
            }
        }
        let megabytes = bytes as f64 / 1e6;
        println!(
            "{} files, {megabytes:.1} MB, {seconds:.2} CPU s, {:.0} MB/CPU s, {detections} detections, {gaps} gaps, hash {:016x}",
            files.len(),
            megabytes / seconds,
            hasher.finish()
        );
    }
}

fn load(path: &Path, files: &mut Vec<(String, Vec<u8>)>) {
    let Ok(facts) = path.symlink_metadata() else { return };
    if facts.is_dir() {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            load(&entry.path(), files);
        }
    } else if facts.is_file() && facts.len() <= FILE_BYTES_MAX {
        files.extend(std::fs::read(path).ok().map(|bytes| (path.to_string_lossy().into_owned(), bytes)));
    }
}

/// Every rule twice. A twin's literals are others of the same kind: each letter moved by 13 places, each digit by 5.
fn doubled() -> Result<RuleSet, overdue_detect::RuleError> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("rules/").flatten() {
        let text = std::fs::read_to_string(entry.path()).expect("a rule file");
        let name = entry.file_name().to_string_lossy().into_owned();
        let mut twin: toml::Table = text.parse().expect("TOML");
        let rules = twin.get_mut("rule").and_then(toml::Value::as_array_mut).expect("rules");
        for rule in rules.iter_mut().filter_map(toml::Value::as_table_mut) {
            moved(rule);
        }
        files.push((format!("twin-{name}"), toml::to_string(&twin).expect("TOML")));
        files.push((name, text));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    RuleSet::parse(&files)
}

fn moved(rule: &mut toml::Table) {
    let other = |text: &str| -> String {
        text.chars()
            .map(|c| match c {
                'a'..='z' => char::from(b'a' + (c as u8 - b'a' + 13) % 26),
                'A'..='Z' => char::from(b'A' + (c as u8 - b'A' + 13) % 26),
                '0'..='9' => char::from(b'0' + (c as u8 - b'0' + 5) % 10),
                _ => c,
            })
            .collect()
    };
    let mut literals = Vec::new();
    for kind in ["prefixes", "infixes", "keywords"] {
        for literal in rule.get_mut(kind).and_then(toml::Value::as_array_mut).into_iter().flatten() {
            let twin = other(literal.as_str().unwrap_or_default());
            literals.push((literal.as_str().unwrap_or_default().to_owned(), twin.clone()));
            *literal = toml::Value::String(twin);
        }
    }
    for key in ["id", "alone"] {
        let table = if key == "id" { Some(&mut *rule) } else { rule.get_mut("pair").and_then(toml::Value::as_table_mut) };
        if let Some(toml::Value::String(id)) = table.and_then(|table| table.get_mut(key)) {
            id.push_str("-twin");
        }
    }
    // The longest first, so that none is replaced inside another.
    literals.sort_by_key(|(literal, _)| std::cmp::Reverse(literal.len()));
    if let Some(toml::Value::String(pattern)) = rule.get_mut("pattern") {
        for (literal, twin) in &literals {
            *pattern = pattern.replace(literal, twin);
        }
    }
}

/// What this thread has used of the processor. Zero where that cannot be asked.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}
