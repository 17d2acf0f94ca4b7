//! `cargo run --release --example scan_folder -- FOLDER`: what the scanner finds in the files of a folder, as JSON lines.
//!
//! One object a detection: `file` (as the folder names it), `line`, `rule`, `confidence`, `decoded`. The last line counts
//! files, bytes and lines. For measurements; the program itself is `overdue`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use overdue_detect::{FingerprintKey, Limits, RuleSet, Scanner};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: scan_folder FOLDER")?);
    let scanner = Scanner::new(Arc::new(RuleSet::builtin()?), FingerprintKey::from_bytes([7; 32]), Limits::default());
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let (mut files, mut bytes, mut lines) = (0u64, 0u64, 0u64);
    for file in files_in(&folder)? {
        let content = std::fs::read(&file)?;
        files += 1;
        bytes += content.len() as u64;
        lines += content.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let name = file.strip_prefix(&folder).unwrap_or(&file).to_string_lossy().into_owned();
        for found in scanner.scan_bytes(&name, &content).detections {
            let one = serde_json::json!({
                "file": name, "line": found.line, "rule": found.rule.as_str(),
                "confidence": format!("{:?}", found.confidence).to_lowercase(), "decoded": found.decoded,
            });
            writeln!(out, "{one}")?;
        }
    }
    writeln!(out, "{}", serde_json::json!({ "files": files, "bytes": bytes, "lines": lines }))?;
    Ok(out.flush()?)
}

/// All files below, in order, links not followed.
fn files_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            match entry.file_type()? {
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files.sort();
    Ok(files)
}
