//! One function a command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::CommandFactory as _;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use overdue_core::{
    Assessment, Audit, Delivery, Gap, Inventory, Job, Letters as LettersSpec, MachineAudit, MachineRead, OwnersConfig, Period, Policy,
    RuleFacts, RuleId, Target, TargetState, assess,
};
use overdue_detect::{Limits, RuleSet, Scanner};
use overdue_providers::aws::{Aws, AwsConnectError, AwsOptions, CREDENTIAL_VARIABLES};
use overdue_providers::machine::{Machine, MachineFacts};
use overdue_providers::{Discovery, Provider};
use overdue_report::{ReportInput, RunFacts, Templates, render_html_report, report_json, summary_text, write_report_json};
use overdue_store::{BeginRun, NewRun, Run, RunId, RunKind, RunStatus, Store};
use sha2::Digest as _;

use crate::cli::{
    AuditArgs, Command, Format, JobsCommand, Only, OutputArgs, PermissionsOf, ReportArgs, RulesCommand, RunArgs, ServeArgs,
    TemplatesCommand, Typed,
};
use crate::letters::{Letters, Sending};
use crate::output::{Exit, complain, say};
use crate::places::{Places, write_whole};
use crate::progress::Progress;
use crate::sweep::Sweep;
use crate::{fingerprint_key, holder, job, letters, lists, occurrences, serve};

/// Reads the clock. The one place in the project that does.
pub(crate) type Clock = fn() -> Timestamp;

#[allow(clippy::disallowed_methods, reason = "the outer ring: everything else takes `now`")]
fn clock() -> Timestamp {
    Timestamp::now()
}

/// A run belongs to its holder for this long without a sign of life.
const LEASE: SignedDuration = SignedDuration::from_secs(60);
/// A sign of life this often: three may be lost.
const LEASE_RENEWAL: Duration = Duration::from_secs(15);
/// Width of the summary where the terminal does not tell.
const WIDTH_DEFAULT: usize = 100;

/// Does what was typed.
pub(crate) async fn run(typed: Typed) -> Result<Exit> {
    match typed.command {
        Command::Audit(args) => audit(args).await,
        Command::Run(args) => run_jobs(args).await,
        Command::Serve(args) => serve_jobs(args).await,
        Command::Scan(args) => crate::scan::scan(args, clock).await,
        Command::Jobs { command: JobsCommand::Check { jobs } } => check_jobs(&jobs),
        Command::Rules { command } => rules(&command),
        Command::Templates { command: TemplatesCommand::Check { templates } } => check_templates(templates.as_deref()),
        Command::Credentials(args) => lists::credentials(args).await,
        Command::Findings(args) => lists::findings(args).await,
        Command::Runs(args) => lists::runs(args).await,
        Command::Report(args) => report(args).await,
        Command::Permissions { provider: PermissionsOf::Aws, secret_values: true, .. } => {
            say(&format!("{}\n", overdue_providers::aws::values_policy_json()))?;
            Ok(Exit::Clean)
        }
        Command::Permissions { provider: PermissionsOf::Aws, hub, role, explain, .. } => permissions(hub.then_some(role.as_str()), explain),
        Command::Completions { shell } => completions(shell),
    }
}

/// What every run needs, made once.
pub(crate) struct Machinery {
    pub(crate) store: Arc<Store>,
    scanner: Scanner,
    ruleset: String,
    rules: BTreeMap<RuleId, RuleFacts>,
    templates: Templates,
    places: Places,
    store_url: String,
}

impl Machinery {
    async fn start(store_url: Option<&str>, templates: Option<&Path>) -> Result<Self> {
        let places = Places::find()?;
        let store_url = places.store_url(store_url);
        let templates = load_templates(templates)?;
        let rules = RuleSet::builtin().context("the built-in rules are broken; please report this")?;
        let key = fingerprint_key::load(&places)?;
        let store = Store::open(&store_url, clock()).await?;
        store.bind_key(&key.id()).await?;
        let facts = rules.facts().into_iter().map(|facts| (facts.id.clone(), facts)).collect();
        let ruleset = rules.digest();
        let scanner = Scanner::new(Arc::new(rules), key, Limits::default());
        Ok(Self { store: Arc::new(store), scanner, ruleset, rules: facts, templates, places, store_url })
    }

    /// Providers of a job. One that cannot be reached is a remark or, where the job names it, a failed target with its gap.
    async fn providers(&self, job: &Job, choices: &Choices) -> Result<Reached> {
        let mut reached = Reached::default();
        for audit in &job.audits {
            match audit {
                Audit::Machine(audit) => {
                    if wanted(&choices.only, Only::Machine) {
                        reached.providers.push(Arc::new(Machine::new(audit.clone(), self.machine_facts(job))));
                    }
                }
                Audit::Aws(_) if !wanted(&choices.only, Only::Aws) => {}
                Audit::Aws(audit) => match Aws::connect(audit.as_ref().clone(), clock(), aws_options()).await {
                    Ok(aws) => {
                        let aws = Arc::new(aws);
                        reached.aws.push(aws.clone());
                        reached.providers.push(aws);
                    }
                    Err(AwsConnectError::NoCredentials) if !choices.explicit => reached
                        .remarks
                        .push("AWS: no credentials here, so no account was looked at (set AWS_PROFILE or the AWS_* variables)".to_owned()),
                    Err(error) => reached.unreachable.push((error.target(), error.gap())),
                },
            }
        }
        Ok(reached)
    }

    fn machine_facts(&self, job: &Job) -> MachineFacts {
        let mut own = self.places.own(&self.store_url);
        if let Delivery::Outbox { folder } = &job.letters.delivery {
            own.push(folder.clone());
        }
        MachineFacts {
            host: holder::name(),
            home: self.places.home.clone(),
            environment: std::env::vars_os()
                .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
                .collect(),
            skip: own,
        }
    }
}

fn chosen(only: &[Only], audit: &Audit) -> bool {
    match audit {
        Audit::Aws(_) => wanted(only, Only::Aws),
        Audit::Machine(_) => wanted(only, Only::Machine),
    }
}

fn wanted(only: &[Only], provider: Only) -> bool {
    only.is_empty() || only.contains(&provider)
}

fn load_templates(folder: Option<&Path>) -> Result<Templates> {
    match folder {
        Some(folder) => Ok(Templates::with_overrides(folder)?),
        None => Ok(Templates::builtin()?),
    }
}

/// Providers of a run, and what became of the others.
#[derive(Default)]
struct Reached {
    providers: Vec<Arc<dyn Provider>>,
    /// Those of them that learn remarks as they go.
    aws: Vec<Arc<Aws>>,
    /// Facts for a person.
    remarks: Vec<String>,
    /// Named by the job and not reached.
    unreachable: Vec<(Target, Gap)>,
}

/// A variable that is set and gives no credentials is a mistake to be named, not a machine without credentials.
fn aws_options() -> AwsOptions {
    let meant_by = CREDENTIAL_VARIABLES.iter().find(|name| std::env::var_os(name).is_some()).map(|name| (*name).to_owned());
    AwsOptions { meant_by, ..AwsOptions::default() }
}

/// Which run is asked for.
pub(crate) struct RunRequest {
    pub(crate) occurrence: String,
    pub(crate) due_at: Timestamp,
    pub(crate) kind: RunKind,
}

/// How a run ended.
struct Ended {
    inventory: Inventory,
    assessment: Assessment,
    facts: RunFacts,
    exit: Exit,
    letters: Option<Letters>,
    remarks: Vec<String>,
}

/// What a person chose for one run.
struct Choices {
    only: Vec<Only>,
    dry_run: bool,
    quiet: bool,
    /// False for `overdue audit`, where a provider that cannot be reached is a remark.
    explicit: bool,
    /// Names what is looked at: an unfinished run is gone on with only by one that would look at the same.
    identity: String,
}

fn identity(what: &[u8]) -> String {
    sha2::Sha256::digest(what).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// What `overdue audit` does, as a job: this machine and the ambient AWS account, default policy, no letters.
pub(crate) fn audit_job(paths: Vec<PathBuf>) -> Job {
    Job {
        name: "audit".into(),
        schedule: None,
        deadline: SignedDuration::from_hours(24),
        catch_up: SignedDuration::ZERO,
        audits: vec![
            Audit::Machine(MachineAudit { paths, read: MachineRead::ALL.into_iter().collect() }),
            Audit::Aws(Box::new(job::aws_ambient())),
        ],
        policy: Policy::default(),
        owners: OwnersConfig::default(),
        letters: LettersSpec {
            template: "rotation-due".into(),
            delivery: Delivery::None,
            from: "overdue@localhost.localdomain".into(),
            security: None,
            period: Period::Weekly,
            timezone: "UTC".into(),
            dry_run_folder: PathBuf::new(),
        },
    }
}

async fn audit(args: AuditArgs) -> Result<Exit> {
    let here = std::env::current_dir().context("the current folder is gone")?;
    let paths: Vec<PathBuf> =
        if args.paths.is_empty() { vec![here.clone()] } else { args.paths.iter().map(|path| here.join(path)).collect() };
    let audit = audit_job(paths);
    check_report(args.output.report.as_deref())?;
    let machinery = Machinery::start(args.store.store.as_deref(), args.output.templates.as_deref()).await?;
    let identity = identity(format!("{:?} {:?}", audit.audits.first(), args.only).as_bytes());
    let choices = Choices { only: args.only, dry_run: false, quiet: args.output.quiet, explicit: false, identity };
    let ended = run_manually(&machinery, &audit, &choices).await?;
    show(&machinery, &audit, &ended, &args.output)
}

/// Whether the report could be written: found out before anything is read, not after an hour.
fn check_report(path: Option<&Path>) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| format!("--report: cannot make the folder {}", folder.display()))?;
    tempfile::Builder::new()
        .prefix(".overdue-")
        .tempfile_in(folder)
        .with_context(|| format!("--report: cannot write in the folder {}", folder.display()))?;
    if path.is_dir() {
        bail!("--report {}: it is a folder; name a file in it", path.display());
    }
    Ok(())
}

/// The newest ended run of a job again, judged by the job file as it is now.
async fn report(args: ReportArgs) -> Result<Exit> {
    let job = job_or_audit(args.job.as_deref())?;
    let machinery = Machinery::start(args.store.store.as_deref(), args.output.templates.as_deref()).await?;
    let ended = stored(&machinery, &job).await?;
    show(&machinery, &job, &ended, &args.output)
}

/// The job of a file, or that of `overdue audit`.
fn job_or_audit(file: Option<&Path>) -> Result<Job> {
    match file {
        None => Ok(audit_job(Vec::new())),
        Some(file) => read_jobs(&[file.to_owned()])?.pop().context("no job"),
    }
}

/// The newest ended run of a job, judged now.
async fn stored(machinery: &Machinery, job: &Job) -> Result<Ended> {
    let record = machinery
        .store
        .last_ended_run(&job.name)
        .await?
        .with_context(|| format!("no run of {} has ended yet; `overdue runs` lists what there is", job.name))?;
    let (inventory, assessment) = judge(machinery, job, record.id).await?;
    let facts = facts(machinery, record.id).await?;
    let exit = if !assessment.complete() || record.status == Some(RunStatus::Partial) {
        Exit::Partial
    } else if assessment.open().next().is_some() {
        Exit::Findings
    } else {
        Exit::Clean
    };
    Ok(Ended { inventory, assessment, facts, exit, letters: None, remarks: Vec::new() })
}

/// The newest ended run of a job as a report for programs, for the lists.
pub(crate) async fn stored_report(file: Option<&Path>, store: Option<&str>) -> Result<(serde_json::Value, Exit)> {
    let job = job_or_audit(file)?;
    let machinery = Machinery::start(store, None).await?;
    let ended = stored(&machinery, &job).await?;
    let zone = zone(&job);
    Ok((report_json(&ended.input(&zone))?, ended.exit))
}

/// The store alone, for commands that only look at runs.
pub(crate) async fn open_store(store: Option<&str>) -> Result<Store> {
    let places = Places::find()?;
    Ok(Store::open(&places.store_url(store), clock()).await?)
}

async fn run_jobs(args: RunArgs) -> Result<Exit> {
    let jobs = read_jobs(&args.jobs)?;
    if args.output.format == Format::Json && jobs.len() > 1 {
        bail!("--format json prints one report: run one job at a time");
    }
    if args.output.report.is_some() && jobs.len() > 1 {
        bail!("--report names one file: run one job at a time");
    }
    check_report(args.output.report.as_deref())?;
    let machinery = Machinery::start(args.store.store.as_deref(), args.output.templates.as_deref()).await?;
    let mut exit = Exit::Clean;
    for (job, file) in jobs.iter().zip(&args.jobs) {
        let identity = identity(format!("{:?} {:?} {}", std::fs::read(file).unwrap_or_default(), args.only, args.dry_run).as_bytes());
        let choices = Choices { only: args.only.clone(), dry_run: args.dry_run, quiet: args.output.quiet, explicit: true, identity };
        let ended = match run_manually(&machinery, job, &choices).await {
            Ok(ended) => ended,
            // One job that cannot run holds no other up.
            Err(error) => {
                complain(&format!("job {}: {error:#}", job.name));
                exit = exit.max(Exit::CouldNotRun);
                continue;
            }
        };
        exit = exit.max(show(&machinery, job, &ended, &args.output)?);
    }
    Ok(exit)
}

async fn serve_jobs(args: ServeArgs) -> Result<Exit> {
    let mut files = Vec::new();
    for path in &args.jobs {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).with_context(|| format!("cannot read the folder {}", path.display()))?;
            let mut found: Vec<PathBuf> = entries
                .filter_map(|entry| entry.ok().map(|entry| entry.path()))
                .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
                .collect();
            found.sort();
            files.extend(found);
        } else {
            files.push(path.clone());
        }
    }
    let jobs = read_jobs(&files)?;
    if jobs.iter().all(|job| job.schedule.is_none()) {
        bail!("no job has a `schedule`; nothing would ever run");
    }
    let machinery = Arc::new(Machinery::start(args.store.store.as_deref(), args.templates.as_deref()).await?);
    for job in &jobs {
        if let Some(schedule) = &job.schedule {
            let next = occurrences::upcoming(schedule, clock()).next();
            complain(&format!(
                "serving {}: \"{}\" in {}, next {}",
                job.name,
                schedule.cron,
                schedule.timezone,
                next.map_or_else(|| "never".to_owned(), |at| at.to_string())
            ));
        }
    }
    serve::serve(machinery, jobs, clock).await?;
    Ok(Exit::Clean)
}

/// Reads job files and prints every complaint about any of them.
fn read_jobs(files: &[PathBuf]) -> Result<Vec<Job>> {
    let mut jobs: Vec<Job> = Vec::new();
    let mut bad = 0;
    for file in files {
        match job::read_job(file) {
            Ok(job) => {
                if jobs.iter().any(|known| known.name == job.name) {
                    complain(&format!("{}: another job file has the name `{}` too; names must differ", file.display(), job.name));
                    bad += 1;
                }
                jobs.push(job);
            }
            Err(problems) => {
                for problem in &problems {
                    complain(&problem.to_string());
                }
                bad += problems.len();
            }
        }
    }
    match bad {
        0 => Ok(jobs),
        1 => bail!("nothing was run: mend this one thing first"),
        _ => bail!("nothing was run: mend these {bad} things first"),
    }
}

fn check_jobs(files: &[PathBuf]) -> Result<Exit> {
    let jobs = match read_jobs(files) {
        Ok(jobs) => jobs,
        Err(_) => return Ok(Exit::CouldNotRun),
    };
    let mut text = String::new();
    for job in &jobs {
        text.push_str(&format!("{}: good\n", job.name));
        if let Some(schedule) = &job.schedule {
            text.push_str(&format!("  due \"{}\" in {}:\n", schedule.cron, schedule.timezone));
            let zone = jiff::tz::TimeZone::get(&schedule.timezone).unwrap_or(jiff::tz::TimeZone::UTC);
            for at in occurrences::upcoming(schedule, clock()).take(5) {
                text.push_str(&format!("    {}\n", at.to_zoned(zone.clone()).strftime("%a %F %R %Z")));
            }
        }
    }
    say(&text)?;
    Ok(Exit::Clean)
}

/// Runs a job now. An unfinished run of it that nobody holds any more is gone on with.
async fn run_manually(machinery: &Machinery, job: &Job, choices: &Choices) -> Result<Ended> {
    let now = clock();
    let begins = format!("manual {} ", choices.identity);
    let mut request = RunRequest { occurrence: format!("{begins}{now}"), due_at: now, kind: RunKind::Manual };
    if let Some(unfinished) = machinery.store.unfinished_run(&job.name, &holder::is_dead, now).await? {
        let left = RunRequest { occurrence: unfinished.occurrence.clone(), due_at: unfinished.due_at, kind: unfinished.kind };
        // A scheduled run is gone on with only by one that does all of it, letters too; else it waits for `serve`.
        let whole = !choices.dry_run && choices.only.is_empty();
        if (unfinished.kind == RunKind::Scheduled && whole) || unfinished.occurrence.starts_with(&begins) {
            complain(&format!("going on with run {} of {}, which did not end", unfinished.id, job.name));
            request = left;
        } else if unfinished.kind == RunKind::Manual
            && let Some(run) = claim(machinery, job, &left).await?
        {
            // It was to look at something else: its paths or its job file have changed since.
            machinery.store.finish_run(run, RunStatus::Failed, now).await?;
        }
    }
    match claim(machinery, job, &request).await? {
        Some(run) => perform(machinery, job, run, choices).await,
        None => bail!("another process is running {} at this moment; wait for it, or look with `overdue runs`", job.name),
    }
}

/// Claims and performs one occurrence for `overdue serve`. Does nothing when another process has it.
pub(crate) async fn run_claimed(machinery: &Machinery, job: Job, request: RunRequest) -> Result<()> {
    let Some(run) = claim(machinery, &job, &request).await? else { return Ok(()) };
    let choices = Choices { only: Vec::new(), dry_run: false, quiet: true, explicit: true, identity: String::new() };
    let ended = perform(machinery, &job, run, &choices).await?;
    let path = machinery.places.report(&job.name, &ended.facts.id);
    write_report(machinery, &ended, &job, &path)?;
    complain(&format!("job {}: exit code {} ({})", job.name, ended.exit.code(), path.display()));
    Ok(())
}

async fn claim(machinery: &Machinery, job: &Job, request: &RunRequest) -> Result<Option<Run>> {
    let now = clock();
    let new = NewRun {
        job: job.name.clone(),
        occurrence: request.occurrence.clone(),
        due_at: request.due_at,
        kind: request.kind,
        holder: holder::own(),
        now,
        lease_until: now + LEASE,
    };
    match machinery.store.begin_run(new, &holder::is_dead).await? {
        BeginRun::Started(run) | BeginRun::Resumed(run) => Ok(Some(run)),
        BeginRun::HeldBy { .. } | BeginRun::AlreadyEnded { .. } => Ok(None),
    }
}

/// Keeps a run ours while it lasts.
struct Lease(tokio::task::JoinHandle<()>);

impl Lease {
    fn keep(store: Arc<Store>, run: Run) -> Self {
        Self(tokio::spawn(async move {
            loop {
                tokio::time::sleep(LEASE_RENEWAL).await;
                if let Err(error) = store.renew_lease(run, clock() + LEASE).await {
                    tracing::warn!(run_id = %run.id, error = %error, "could not renew the lease of this run");
                }
            }
        }))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn perform(machinery: &Machinery, job: &Job, run: Run, choices: &Choices) -> Result<Ended> {
    let store = &machinery.store;
    // Before anything is read: a letter that cannot be sent is found out now, not after an hour.
    if let Err(error) = letters::ready(job, &machinery.templates, choices.dry_run) {
        store.finish_run(run, RunStatus::Failed, clock()).await?;
        return Err(error);
    }
    let _lease = Lease::keep(store.clone(), run);
    let reached = machinery.providers(job, choices).await?;
    let mut remarks = reached.remarks;
    if reached.providers.is_empty() && reached.unreachable.is_empty() {
        store.finish_run(run, RunStatus::Failed, clock()).await?;
        bail!(
            "nothing to look at: {}",
            if remarks.is_empty() { "no provider of this job is chosen".to_owned() } else { remarks.join("; ") }
        );
    }
    let progress = Arc::new(Progress::new(choices.quiet));
    let sweep = Sweep::new(store.clone(), machinery.scanner.clone(), machinery.ruleset.clone(), run, progress.clone());
    let unreachable = Discovery {
        done: reached
            .unreachable
            .iter()
            .map(|(target, gap)| (target.clone(), TargetState::Failed { reason: gap.reason, why: gap.detail.clone() }))
            .collect(),
        gaps: reached.unreachable.into_iter().map(|(_, gap)| gap).collect(),
        ..Discovery::default()
    };
    let deadline = tokio::time::Instant::now() + Duration::try_from(job.deadline).unwrap_or(Duration::from_secs(86_400));
    remarks.extend(sweep.run(&reached.providers, unreachable, deadline, clock).await?);
    progress.finish();
    for remark in reached.aws.iter().flat_map(|aws| aws.remarks()) {
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
    }

    let (inventory, assessment) = judge(machinery, job, run.id).await?;
    let now = assessment.now;
    let letters = if matches!(job.letters.delivery, Delivery::None) {
        None
    } else if job.audits.iter().any(|audit| !chosen(&choices.only, audit)) {
        remarks.push("Letters: none with --only, since a part of the job was left out; run the whole job to send them".to_owned());
        None
    } else {
        let sending = Sending { store, run, job, templates: &machinery.templates, inventory: &inventory, dry_run: choices.dry_run, now };
        Some(letters::send(&sending, &assessment).await?)
    };
    let undelivered = letters.as_ref().is_some_and(|letters| !letters.failed.is_empty());
    let (status, exit) = if !assessment.complete() || undelivered {
        (RunStatus::Partial, Exit::Partial)
    } else if assessment.open().next().is_some() {
        (RunStatus::Findings, Exit::Findings)
    } else {
        (RunStatus::Clean, Exit::Clean)
    };
    store.finish_run(run, status, clock()).await?;
    let facts = facts(machinery, run.id).await?;
    Ok(Ended { inventory, assessment, facts, exit, letters, remarks })
}

/// Judges what the store knows of a run.
async fn judge(machinery: &Machinery, job: &Job, run: RunId) -> Result<(Inventory, Assessment)> {
    let mut inventory = machinery.store.inventory(run).await?;
    inventory.rules = machinery.rules.clone();
    let assessment = assess(&inventory, &job.policy, &job.owners, clock());
    Ok((inventory, assessment))
}

/// A run in the words of a report.
async fn facts(machinery: &Machinery, run: RunId) -> Result<RunFacts> {
    let record = machinery.store.run(run).await?.with_context(|| format!("run {run} is no longer in the store"))?;
    let (status, exit) = match record.status {
        None => (overdue_report::RunStatus::Running, Exit::Partial),
        Some(RunStatus::Clean) => (overdue_report::RunStatus::Complete, Exit::Clean),
        Some(RunStatus::Findings) => (overdue_report::RunStatus::Complete, Exit::Findings),
        Some(RunStatus::Partial) => (overdue_report::RunStatus::Partial, Exit::Partial),
        Some(RunStatus::Failed) => (overdue_report::RunStatus::Failed, Exit::CouldNotRun),
    };
    Ok(RunFacts {
        job: record.job,
        id: record.id.to_string(),
        status,
        started_at: record.started_at,
        ended_at: record.ended_at,
        exit_code: exit.code(),
    })
}

fn zone(job: &Job) -> TimeZone {
    TimeZone::get(&job.letters.timezone).unwrap_or(TimeZone::UTC)
}

fn write_report(machinery: &Machinery, ended: &Ended, job: &Job, path: &Path) -> Result<()> {
    let zone = zone(job);
    let html = render_html_report(&machinery.templates, &ended.input(&zone))?;
    write_whole(path, html.as_bytes())
}

impl Ended {
    fn input<'a>(&'a self, zone: &'a TimeZone) -> ReportInput<'a> {
        ReportInput { title: "", assessment: &self.assessment, inventory: &self.inventory, run: &self.facts, zone }
    }
}

/// Prints a run and writes its HTML report.
fn show(machinery: &Machinery, job: &Job, ended: &Ended, args: &OutputArgs) -> Result<Exit> {
    let path = args.report.clone().unwrap_or_else(|| machinery.places.report(&job.name, &ended.facts.id));
    write_report(machinery, ended, job, &path)?;
    let zone = zone(job);
    match args.format {
        Format::Json => {
            // Written, not built as a value first: half the memory, and nothing in it that a terminal would obey.
            let mut json = Vec::new();
            write_report_json(&ended.input(&zone), &mut json)?;
            json.push(b'\n');
            say(&String::from_utf8_lossy(&json))?;
        }
        Format::Text => {
            let mut text = summary_text(&ended.input(&zone), width(), colour());
            for remark in &ended.remarks {
                text.push_str(&format!("{remark}\n"));
            }
            if let Some(letters) = &ended.letters {
                text.push_str(&letters.text());
                text.push('\n');
            }
            text.push_str(&format!("Report: {}\n", path.display()));
            say(&text)?;
        }
    }
    Ok(ended.exit)
}

/// Columns of the terminal, where the shell tells.
fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).filter(|width| (40..=200).contains(width)).unwrap_or(WIDTH_DEFAULT)
}

pub(crate) fn colour() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stdout()) && std::env::var_os("NO_COLOR").is_none()
}

fn rules(command: &RulesCommand) -> Result<Exit> {
    match command {
        RulesCommand::List => {
            let mut text = String::new();
            for facts in RuleSet::builtin().context("the built-in rules are broken; please report this")?.facts() {
                text.push_str(&format!("{:44} {}\n", facts.id, facts.title));
            }
            say(&text)?;
            Ok(Exit::Clean)
        }
        RulesCommand::Check { rules } => check_rules(rules),
    }
}

fn check_rules(files: &[PathBuf]) -> Result<Exit> {
    let mut texts = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the rules {}", path.display()))?;
        texts.push((path.display().to_string(), text));
    }
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let rules = RuleSet::with_rules(&texts)?;
    let problems = rules.check();
    for problem in &problems {
        complain(&problem.to_string());
    }
    if !problems.is_empty() {
        return Ok(Exit::CouldNotRun);
    }
    let facts = rules.facts();
    let services: std::collections::BTreeSet<&str> =
        facts.iter().map(|facts| facts.service.as_str()).filter(|name| !name.is_empty()).collect();
    say(&format!(
        "{} rules over {} services: ids unique, every example found, every counter-example silent\n",
        facts.len(),
        services.len()
    ))?;
    Ok(Exit::Clean)
}

fn check_templates(folder: Option<&Path>) -> Result<Exit> {
    let templates = load_templates(folder)?;
    let problems = templates.check();
    for problem in &problems {
        complain(&problem.to_string());
    }
    if problems.is_empty() {
        say("Every template renders against every standard report\n")?;
        return Ok(Exit::Clean);
    }
    Ok(Exit::CouldNotRun)
}

fn permissions(hub: Option<&str>, explain: bool) -> Result<Exit> {
    if let Some(role) = hub {
        say(&format!("{}\n", overdue_providers::aws::hub_policy_json(role)))?;
    } else if explain {
        let mut text = String::new();
        for permission in overdue_providers::aws::PERMISSIONS {
            text.push_str(&format!("{:44} {}\n", permission.action, permission.why));
        }
        say(&text)?;
    } else {
        say(&format!("{}\n", overdue_providers::aws::policy_json()))?;
    }
    Ok(Exit::Clean)
}

fn completions(shell: clap_complete::Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Typed::command(), "overdue", &mut script);
    say(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Clean)
}
