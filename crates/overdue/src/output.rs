//! Standard output, standard error and the exit code.

use std::io::Write as _;

use crate::cli::Typed;

/// How a command ended. The same four for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was looked at and nothing is due.
    Clean,
    /// Everything was looked at and something is due.
    Findings,
    /// Something could not be looked at.
    Partial,
    /// The command could not do its work.
    CouldNotRun,
}

impl Exit {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Findings => 1,
            Self::Partial => 2,
            Self::CouldNotRun => 3,
        }
    }
    /// The graver of two.
    pub(crate) fn max(self, other: Self) -> Self {
        if self.code() >= other.code() { self } else { other }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Writes to standard output. A reader that went away (`overdue … | head`) is no error.
pub(crate) fn say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes one message to standard error, for a person.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "overdue: {text}");
}

/// Libraries whose trace output carries request and response bodies, headers or query strings: never logged, whatever
/// filter a person asks for, since a function's environment or a presigned address would be in them.
const NEVER_LOGGED: [&str; 13] = [
    "aws_config",
    "aws_credential_types",
    "aws_runtime",
    "aws_sdk_iam",
    "aws_sdk_lambda",
    "aws_sdk_s3",
    "aws_sigv4",
    "aws_smithy",
    "h2",
    "hyper",
    "reqwest",
    "rustls",
    "sqlx",
];

/// Sends log lines to standard error.
pub(crate) fn log_to_stderr(typed: &Typed) {
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;
    use tracing_subscriber::{EnvFilter, Layer as _, filter};

    let wanted = EnvFilter::try_new(&typed.log).unwrap_or_else(|_| {
        complain(&format!("`{}` is no log level or filter; using warn", typed.log));
        EnvFilter::new("warn")
    });
    let safe = filter::filter_fn(|metadata| {
        !NEVER_LOGGED.iter().any(|name| metadata.target().starts_with(name)) || *metadata.level() <= tracing::Level::WARN
    });
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let registry = tracing_subscriber::registry();
    if typed.log_json {
        registry.with(lines.json().with_filter(wanted).with_filter(safe)).init();
    } else {
        registry.with(lines.with_filter(wanted).with_filter(safe)).init();
    }
}
