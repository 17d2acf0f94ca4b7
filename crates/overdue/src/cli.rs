//! What a person types.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Finds every credential an organisation has handed out, says how old it is, when it was last used, where it lies
/// exposed and who owns it, and writes that owner one letter a week about what is due.
#[derive(Parser, Debug)]
#[command(
    name = "overdue",
    version,
    about = "Finds old, unused, ownerless and exposed credentials, and tells their owners",
    after_help = "Exit codes of every command: 0 clean, 1 findings, 2 partial (something could not be read), 3 could not run.\n\n\
                  Examples:\n  overdue audit                        this folder, this machine, and the AWS account your credentials reach\n  \
                  overdue run jobs/weekly-audit.toml   a job file: several accounts, letters to owners\n  \
                  overdue jobs check jobs/*.toml       all that is wrong with job files, and their next occurrences\n  \
                  overdue permissions aws              the exact read-only policy the audit needs"
)]
pub(crate) struct Typed {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// How much to say on standard error: error, warn, info, debug, trace, or a filter such as overdue=debug
    #[arg(long, global = true, env = "OVERDUE_LOG", default_value = "warn", value_name = "LEVEL", hide_env = true)]
    pub(crate) log: String,

    /// Write log lines as JSON
    #[arg(long, global = true)]
    pub(crate) log_json: bool,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Audit this machine and every cloud account the ambient credentials reach, with no set-up
    #[command(after_help = "Reads git repositories with their whole history, files, environment variables and credential files, and the \
                            AWS account your credentials reach (nothing reached is said, not an error).\n\n\
                            Examples:\n  overdue audit\n  overdue audit ~/src /srv/app\n  overdue audit --only machine .\n  \
                            overdue audit --format json > report.json")]
    Audit(AuditArgs),
    /// Run job files
    #[command(after_help = "Examples:\n  overdue run jobs/weekly-audit.toml\n  overdue run jobs/weekly-audit.toml --dry-run\n  \
                            overdue run jobs/*.toml --only aws --store sqlite:///var/lib/overdue/overdue.db")]
    Run(RunArgs),
    /// Run jobs on their schedules until stopped
    #[command(after_help = "Any number of these may run on one store: each occurrence is run once. A run that was killed goes on at the \
                            target where it was.\n\nExample:\n  overdue serve jobs/")]
    Serve(ServeArgs),
    /// The gate: look for secrets in files, in what is staged, in a change or in all history
    #[command(after_help = "Reads every file, dependencies and ignored files too, and opens archives. Standard output gets findings with \
                            what they are, why they matter and what to do; nothing shows a secret.\n\n\
                            Examples:\n  overdue scan                                  the current folder\n  \
                            overdue scan --staged                         what the next commit adds (for a pre-commit hook)\n  \
                            overdue scan --since origin/main              what this branch adds (for a pull request)\n  \
                            overdue scan --history .                      every object of a repository, reachable or not\n  \
                            git diff | overdue scan -                     standard input\n  \
                            overdue scan --format sarif --output s.sarif  for code scanning\n  \
                            overdue scan --accept --reason \"test fixture\" --author ann@example.com\n  \
                                                                          accept what is found, for 90 days")]
    Scan(ScanArgs),
    /// Job files
    Jobs {
        #[command(subcommand)]
        command: JobsCommand,
    },
    /// Detection rules
    Rules {
        #[command(subcommand)]
        command: RulesCommand,
    },
    /// Letter and report templates
    Templates {
        #[command(subcommand)]
        command: TemplatesCommand,
    },
    /// Credentials of the newest run
    Credentials(ListArgs),
    /// Findings of the newest run
    Findings(ListArgs),
    /// Runs in the store, newest first
    Runs(RunsArgs),
    /// The report of the newest run again, from what is stored
    Report(ReportArgs),
    /// The exact permissions the audit needs
    #[command(
        after_help = "Examples:\n  overdue permissions aws > overdue-audit-policy.json        for the audit role in each account\n  \
                            overdue permissions aws --hub > overdue-hub-policy.json    for whoever starts the audit\n  \
                            overdue permissions aws --secret-values                    only for jobs that compare stored values"
    )]
    Permissions {
        /// Provider
        provider: PermissionsOf,
        /// For whoever starts an audit of several accounts: finding them, and becoming the audit role in each
        #[arg(long)]
        hub: bool,
        /// Name of that role
        #[arg(long, default_value = "overdue-audit", requires = "hub", value_name = "NAME")]
        role: String,
        /// Print a list with reasons instead of a policy
        #[arg(long, conflicts_with = "hub")]
        explain: bool,
        /// What a job that reads "secret-values" needs beside the rest
        #[arg(long, conflicts_with_all = ["hub", "explain"])]
        secret_values: bool,
    },
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  overdue completions bash > /etc/bash_completion.d/overdue")]
    Completions {
        /// Shell
        shell: clap_complete::Shell,
    },
}

#[derive(Args, Debug, Clone)]
pub(crate) struct StoreArgs {
    /// Where results are kept [default: overdue.db in the user's data folder]
    #[arg(long, env = "OVERDUE_STORE", value_name = "URL")]
    pub(crate) store: Option<String>,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct OutputArgs {
    /// What standard output gets
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Where the HTML report goes [default: a file in the user's data folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// A folder whose templates win over the built-in ones
    #[arg(long, value_name = "FOLDER")]
    pub(crate) templates: Option<PathBuf>,
    /// No progress bars
    #[arg(long)]
    pub(crate) quiet: bool,
}

#[derive(Args, Debug)]
pub(crate) struct AuditArgs {
    /// Folders, repositories or files [default: the current folder]
    pub(crate) paths: Vec<PathBuf>,
    /// Read only this provider; may be given several times
    #[arg(long, value_enum, value_name = "PROVIDER")]
    pub(crate) only: Vec<Only>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ScanArgs {
    /// Files and folders, or - for standard input [default: the current folder]
    pub(crate) paths: Vec<PathBuf>,
    /// Look at what the next commit of this repository adds
    #[arg(long, conflicts_with_all = ["history", "since"])]
    pub(crate) staged: bool,
    /// Look at all history of the repositories under the paths, whether a branch reaches it or not
    #[arg(long)]
    pub(crate) history: bool,
    /// Look at what commits since this revision add: a branch, a tag, a commit, HEAD~3
    #[arg(long, value_name = "REV")]
    pub(crate) since: Option<String>,
    /// The other end of --since
    #[arg(long, value_name = "REV", default_value = "HEAD", requires = "since")]
    pub(crate) head: String,
    /// What is written
    #[arg(long, value_enum, default_value_t = ScanFormat::Text)]
    pub(crate) format: ScanFormat,
    /// Write it to this file, and the text for people to standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Leave out files that match this glob; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Leave out what .gitignore and .ignore files name
    #[arg(long)]
    pub(crate) skip_ignored: bool,
    /// Accepted secrets [default: .overdue-baseline.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Write what is found into the baseline; a live credential is never accepted
    #[arg(long, requires_all = ["reason", "author"])]
    pub(crate) accept: bool,
    /// Why it is accepted
    #[arg(long, requires = "accept")]
    pub(crate) reason: Option<String>,
    /// Who accepts it
    #[arg(long, requires = "accept")]
    pub(crate) author: Option<String>,
    /// The last day it is accepted [default: in 90 days]
    #[arg(long, requires = "accept", value_name = "DATE")]
    pub(crate) until: Option<jiff::civil::Date>,
    /// A file of rules of your own, beside the built-in ones; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Vec<PathBuf>,
    /// A gitleaks configuration [default: .gitleaks.toml where the scan begins, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) gitleaks_config: Option<PathBuf>,
    /// Honour no marker on a line (overdue:allow, gitleaks:allow), no .gitleaks.toml and no .gitleaksignore
    #[arg(long, conflicts_with = "gitleaks_config")]
    pub(crate) no_allow: bool,
    /// Change a limit that a gap names, such as archive_depth_max=12; may be given several times
    #[arg(long, value_name = "NAME=NUMBER")]
    pub(crate) limit: Vec<String>,
    /// Threads [default: one a core]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Look found keys up in the inventory of this store: one that is live is critical and cannot be accepted
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScanFormat {
    /// For a person
    Text,
    /// For a program; the schema is docs/schema/scan-v1.json
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of GitHub Actions
    Github,
    /// GitLab's secret detection report
    Gitlab,
    /// JUnit XML
    Junit,
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// Job files
    #[arg(required = true)]
    pub(crate) jobs: Vec<PathBuf>,
    /// Run now, whatever the schedule says (the default of this command; for symmetry with `serve`)
    #[arg(long)]
    pub(crate) now: bool,
    /// Write letters to the outbox folder and keep no record of them as sent
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Read only this provider; may be given several times
    #[arg(long, value_enum, value_name = "PROVIDER")]
    pub(crate) only: Vec<Only>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Job files, or folders of them
    #[arg(required = true)]
    pub(crate) jobs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// A folder whose templates win over the built-in ones
    #[arg(long, value_name = "FOLDER")]
    pub(crate) templates: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Of this job file [default: of `overdue audit`]
    #[arg(long, value_name = "FILE")]
    pub(crate) job: Option<PathBuf>,
    /// Only what this owner owns (part of an address or name)
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// Only rows that contain this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) grep: Option<String>,
    /// At most this many rows
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Args, Debug)]
pub(crate) struct RunsArgs {
    /// At most this many rows
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: u32,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ReportArgs {
    /// Of this job file [default: of `overdue audit`]
    #[arg(long, value_name = "FILE")]
    pub(crate) job: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Subcommand, Debug)]
pub(crate) enum JobsCommand {
    /// Say everything that is wrong with job files, and when each is due next
    Check {
        /// Job files
        #[arg(required = true)]
        jobs: Vec<PathBuf>,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum RulesCommand {
    /// Prove every rule: ids unique, examples found, counter-examples silent, no pattern that could take long
    Check {
        /// Files of rules of your own, beside the built-in ones
        rules: Vec<PathBuf>,
    },
    /// List every rule
    List,
}

#[derive(Subcommand, Debug)]
pub(crate) enum TemplatesCommand {
    /// Render every template against a standard set of reports, hostile names among them
    Check {
        /// A folder whose templates win over the built-in ones
        #[arg(long, value_name = "FOLDER")]
        templates: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For a person
    Text,
    /// For a program; the schema is docs/schema/report-v1.json
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Only {
    /// AWS
    Aws,
    /// This machine
    Machine,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PermissionsOf {
    /// An IAM policy document
    Aws,
}
