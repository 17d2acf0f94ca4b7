//! `overdue scan`: the gate. What is about to be merged, or is lying here, is looked at once, and the exit code says whether
//! a secret is in it.
//!
//! It needs no store, writes nothing but what it is told to, and touches no network. Nothing is looked away from: folders
//! of dependencies are read, ignored files are read unless a person says otherwise, and what could not be read is a gap and
//! exit code 2. Rooms: `files` (paths and standard input), `history` (all objects of repositories, or what a change adds),
//! `baseline` (what was accepted, by whom, until when), `known` (what a store knows of a found key).

mod allowed;
mod baseline;
mod files;
mod history;
mod known;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use globset::{Glob, GlobSet, GlobSetBuilder};
use overdue_core::{Detection, Gap, GapReason, Placement, RuleFacts, RuleId, Severity, TargetId};
use overdue_detect::{Allowlists, Ignores, Limits, Scanned, Scanner};
use overdue_providers::machine::Scope;
use overdue_report::gate::{self, GateFinding, GateReport};
use sha2::Digest as _;

use crate::cli::{ScanArgs, ScanFormat};
use crate::commands::{Clock, colour};
use crate::fingerprint_key;
use crate::output::{Exit, complain, say};
use crate::places::write_whole;
use baseline::Baseline;

/// The baseline that is read when none is named.
const BASELINE_DEFAULT: &str = ".overdue-baseline.toml";

/// Does what was typed.
pub(crate) async fn scan(args: ScanArgs, clock: Clock) -> Result<Exit> {
    let started = Instant::now();
    let now = clock();
    let mut baseline = match (&args.baseline, Path::new(BASELINE_DEFAULT)) {
        (Some(path), _) if args.accept => Baseline::read_or_new(path)?,
        (None, path) if args.accept => Baseline::read_or_new(path)?,
        (Some(path), _) => Some(Baseline::read(path)?),
        (None, path) if path.is_file() => Some(Baseline::read(path)?),
        (None, _) => None,
    };
    // Fingerprints are compared within one scan and with the baseline: any key will do for the one, its own for the other.
    let key = match &baseline {
        Some(baseline) => baseline.key(),
        None => fingerprint_key::passing()?,
    };
    let paths = if args.paths.is_empty() { vec![PathBuf::from(".")] } else { args.paths.clone() };
    let root = allowed::root(&paths);
    let whole = args.since.is_none() && !args.staged;
    let allowed::Configured { rules, allow, lists, ignores } = allowed::read(&args, &root, whole)?;
    let facts: HashMap<RuleId, RuleFacts> = rules.facts().into_iter().map(|facts| (facts.id.clone(), facts)).collect();
    let look = Arc::new(Look {
        scanner: Scanner::new(Arc::new(rules), key, limits(&args.limit)?).honouring(allow),
        root,
        lists,
        ignores,
        threads: args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from)).max(1),
        exclude: globs(&args.exclude)?,
        seen: Mutex::default(),
        files: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
    });
    let scope = match (&args.since, args.staged, args.history) {
        (Some(revision), ..) => {
            let scope = Scope::Since { from: revision.clone(), to: args.head.clone() };
            history::changed(&look, &one(&paths)?, &scope)?;
            format!("what came since {revision}")
        }
        (None, true, _) => {
            // Git names the index of a commit that its hooks are to judge; `git commit -a` has one of its own.
            let index = std::env::var_os("GIT_INDEX_FILE").map(PathBuf::from);
            history::changed(&look, &one(&paths)?, &Scope::Staged { index })?;
            "what is staged".to_owned()
        }
        (None, false, true) => {
            history::whole(&look, &paths).await?;
            "all history".to_owned()
        }
        _ => {
            files::paths(&look, &paths, !args.skip_ignored)?;
            if paths.len() == 1 { paths[0].display().to_string() } else { format!("{} paths", paths.len()) }
        }
    };
    let seen = std::mem::take(&mut *look.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    let mut findings = findings(seen.found, &facts);
    if let Some(store) = &args.store {
        known::look_up(store, &mut findings, now).await?;
    }
    let mut report = GateReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        scope,
        findings: Vec::new(),
        accepted: Vec::new(),
        gaps: seen.gaps,
        idle: Vec::new(),
        files: look.files.load(Ordering::Relaxed),
        bytes: look.bytes.load(Ordering::Relaxed),
        millis: 0,
    };
    report.idle = seen.idle;
    if whole {
        let unused = look.ignores.unused(args.history);
        report.idle.extend(unused.map(|entry| format!("{entry:?}: covers nothing any more; delete it")));
    }
    if let Some(baseline) = &mut baseline {
        baseline.apply(&mut findings, now);
        if whole {
            report.idle.extend(baseline.idle(now));
        }
        if args.accept {
            let reason = args.reason.as_deref().unwrap_or_default();
            let author = args.author.as_deref().unwrap_or_default();
            let added = baseline.accept(&findings, reason, author, args.until, now)?;
            complain(&format!("{added} accepted into {}", baseline.path().display()));
            baseline.apply(&mut findings, now);
        }
    }
    (report.accepted, report.findings) = findings.into_iter().partition(|finding| finding.accepted.is_some());
    report.millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    show(&report, &args, now)?;
    Ok(if !report.gaps.is_empty() {
        Exit::Partial
    } else if report.findings.is_empty() {
        Exit::Clean
    } else {
        Exit::Findings
    })
}

fn one(paths: &[PathBuf]) -> Result<PathBuf> {
    match paths {
        [path] => Ok(path.clone()),
        _ => bail!("--staged and --since look at one repository: name one path, or none for the current folder"),
    }
}

fn limits(texts: &[String]) -> Result<Limits> {
    let mut limits = Limits::default();
    for text in texts {
        let set = text.split_once('=').and_then(|(name, number)| Some(limits.set(name.trim(), number.trim().parse().ok()?)));
        if set != Some(true) {
            bail!("--limit {text}: write NAME=NUMBER with one of {}", Limits::NAMES.join(", "));
        }
    }
    Ok(limits)
}

fn globs(texts: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for text in texts {
        set.add(Glob::new(text).with_context(|| format!("--exclude {text}: not a glob"))?);
    }
    Ok(set.build()?)
}

/// What a scan works with; shared by its threads.
struct Look {
    scanner: Scanner,
    /// Paths in configurations count from here.
    root: PathBuf,
    lists: Allowlists,
    ignores: Ignores,
    threads: usize,
    exclude: GlobSet,
    seen: Mutex<Seen>,
    files: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Default)]
struct Seen {
    found: Vec<Found>,
    gaps: Vec<Gap>,
    idle: Vec<String>,
}

/// A detection where it was found.
struct Found {
    file: String,
    detection: Detection,
    placement: Option<Placement>,
    /// What stands before it on its line, where that is at hand: part of the finding's id.
    before: Vec<u8>,
    /// Why it does not block.
    accepted: Option<String>,
}

impl Look {
    /// Takes in what scanning one content gave. `bytes` are the content, where it is in memory.
    fn saw(&self, file: &str, scanned: Scanned, bytes: Option<&[u8]>, placement: Option<&Placement>) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(scanned.bytes, Ordering::Relaxed);
        self.note(file, scanned, bytes, placement);
    }

    /// The same without counting it.
    fn note(&self, file: &str, scanned: Scanned, bytes: Option<&[u8]>, placement: Option<&Placement>) {
        if scanned.detections.is_empty() && scanned.gaps.is_empty() && scanned.allowed.is_empty() && scanned.unused_markers.is_empty() {
            return;
        }
        let name = self.name(file);
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for gap in scanned.gaps {
            let subject = if gap.path.is_empty() { file.to_owned() } else { format!("{file}!/{}", gap.path) };
            seen.gaps.push(gap_of(subject, gap.reason, gap.detail));
        }
        for marker in scanned.unused_markers {
            let place = if marker.path.is_empty() { file.to_owned() } else { format!("{file}!/{}", marker.path) };
            seen.idle.push(format!("{place}:{}: {} allows nothing; delete it", marker.line, marker.marker));
        }
        let commit = placement.map(|placement| placement.commit.as_str()).filter(|commit| !commit.is_empty());
        let detections = scanned.detections.into_iter().map(|detection| {
            let ignored = self.ignores.covering(&name, commit, &detection).map(|entry| format!("{entry:?}"));
            (detection, ignored)
        });
        for (detection, accepted) in detections.chain(scanned.allowed.into_iter().map(|one| (one.detection, Some(one.by.to_string())))) {
            let before = bytes.map(|bytes| before(bytes, &detection)).unwrap_or_default();
            seen.found.push(Found { file: file.to_owned(), detection, placement: placement.cloned(), before, accepted });
        }
    }

    /// A path as configurations write it: from the root of what is scanned.
    fn name(&self, file: &str) -> String {
        Path::new(file).strip_prefix(&self.root).map_or_else(|_| file.to_owned(), |rest| rest.to_string_lossy().replace('\\', "/"))
    }

    /// Whether nobody looks at a file: the person or an allowlist of a configuration leaves it out.
    fn leaves_out(&self, file: &Path, commit: Option<&str>) -> bool {
        (!self.exclude.is_empty() && self.exclude.is_match(file))
            || (!self.lists.is_empty() && self.lists.skips(&self.name(&file.to_string_lossy()), commit).is_some())
    }

    fn missed(&self, gap: Gap) {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).gaps.push(gap);
    }
}

fn gap_of(subject: String, reason: GapReason, detail: String) -> Gap {
    Gap {
        target: TargetId::from_key("scan".to_owned()),
        subject,
        reason,
        detail,
        permission: String::new(),
        mend: crate::sweep::mend(reason).to_owned(),
        open_ended: false,
    }
}

/// What stands before a detection on its line; empty where the line is not the content's own.
fn before(bytes: &[u8], detection: &Detection) -> Vec<u8> {
    let (Some(line), Some(column)) = (detection.line, detection.column) else { return Vec::new() };
    if !detection.path.is_empty() || !detection.decoded.is_empty() {
        return Vec::new();
    }
    let text = bytes.split(|&byte| byte == b'\n').nth(line as usize - 1).unwrap_or_default();
    text.get(..column as usize - 1).unwrap_or_default().trim_ascii().to_vec()
}

/// Findings in order: worst first, then by place. Each gets its id.
fn findings(mut found: Vec<Found>, facts: &HashMap<RuleId, RuleFacts>) -> Vec<GateFinding> {
    found.sort_by(|a, b| (&a.file, &a.detection).cmp(&(&b.file, &b.detection)));
    let mut ordinals: HashMap<[u8; 32], u32> = HashMap::new();
    let mut findings: Vec<GateFinding> = found
        .into_iter()
        .map(|found| {
            let facts = facts.get(&found.detection.rule);
            let mut hash = sha2::Sha256::new();
            for part in [found.detection.rule.as_str().as_bytes(), found.file.as_bytes(), found.detection.path.as_bytes(), &found.before] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
            let digest: [u8; 32] = hash.clone().finalize().into();
            let ordinal = ordinals.entry(digest).or_insert(0);
            *ordinal += 1;
            hash.update(ordinal.to_be_bytes());
            let id = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            GateFinding {
                title: facts.map_or_else(|| found.detection.rule.to_string(), |facts| facts.title.clone()),
                service: facts.map(|facts| facts.service.clone()).unwrap_or_default(),
                revoke: facts.map(|facts| facts.revoke.clone()).unwrap_or_default(),
                severity: gate::gate_severity(&found.detection, facts.is_some_and(|facts| facts.id_only)),
                detection: found.detection,
                file: found.file,
                placement: found.placement,
                id,
                known: None,
                accepted: found.accepted,
                note: None,
            }
        })
        .collect();
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| (&a.file, &a.detection).cmp(&(&b.file, &b.detection))));
    findings
}

fn show(report: &GateReport, args: &ScanArgs, now: jiff::Timestamp) -> Result<()> {
    let to_terminal = args.output.is_none();
    let bytes = match args.format {
        ScanFormat::Text => gate::gate_text(report, to_terminal && colour()).into_bytes(),
        ScanFormat::Json => gate::scan_json(report),
        ScanFormat::Sarif => gate::sarif_json(report),
        ScanFormat::Github => gate::annotations(report).into_bytes(),
        ScanFormat::Gitlab => gate::gitlab_json(report, now),
        ScanFormat::Junit => gate::junit_xml(report).into_bytes(),
    };
    match &args.output {
        Some(path) => {
            write_whole(path, &bytes)?;
            // A person who looks at the log of a job should see more than an exit code.
            say(&gate::gate_text(report, colour()))?;
        }
        None => say(&String::from_utf8_lossy(&bytes))?,
    }
    Ok(())
}

/// Whether a finding of this severity could be accepted: one that an inventory knows as live cannot.
fn is_live(finding: &GateFinding) -> bool {
    finding.severity == Severity::Critical && finding.known.is_some()
}
