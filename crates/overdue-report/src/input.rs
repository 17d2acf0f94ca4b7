//! What a report is made of.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use overdue_core::{Assessment, Inventory};

use crate::words;

/// Everything a report, an export or a summary needs. They all read the same assessment, so they cannot disagree.
#[derive(Clone, Copy, Debug)]
pub struct ReportInput<'a> {
    /// Stands on top; `Credential audit` where it is empty.
    pub title: &'a str,
    /// What is due.
    pub assessment: &'a Assessment,
    /// What it was made from: names of accounts, what rules say, every place.
    pub inventory: &'a Inventory,
    /// Which run.
    pub run: &'a RunFacts,
    /// The zone dates are told in.
    pub zone: &'a TimeZone,
}

/// One run, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFacts {
    /// The job's name.
    pub job: String,
    /// The run's id.
    pub id: String,
    /// How it stands.
    pub status: RunStatus,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; `None` while it runs.
    pub ended_at: Option<Timestamp>,
    /// The exit code that goes with it: 0 clean, 1 findings, 2 partial, 3 could not run.
    pub exit_code: u8,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// Not at its end.
    Running,
    /// Everything that was listed was looked at, and the listing itself was complete.
    Complete,
    /// It ended, but something could not be read.
    Partial,
    /// It could not run.
    Failed,
}

impl RunStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Running, Self::Complete, Self::Partial, Self::Failed];
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}

/// How the whole stands, for a colour and a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    Clean,
    Findings,
    Partial,
}

impl ReportInput<'_> {
    /// Everything that was to be read was read, and something was to be read.
    pub(crate) fn complete(&self) -> bool {
        self.run.status == RunStatus::Complete && self.assessment.complete() && !self.assessment.coverage.targets.is_empty()
    }

    pub(crate) fn stand(&self) -> Stand {
        if !self.complete() {
            Stand::Partial
        } else if self.assessment.open().next().is_some() {
            Stand::Findings
        } else {
            Stand::Clean
        }
    }

    /// The verdict in one sentence. Says "clean" only when everything was looked at.
    pub(crate) fn verdict(&self) -> String {
        let open = self.assessment.open().count();
        let found = match open {
            0 => "nothing due was found".to_owned(),
            n => format!(
                "{} {} someone: {}",
                words::count(n, "thing", "things"),
                if n == 1 { "needs" } else { "need" },
                words::tally(self.assessment.open())
            ),
        };
        let coverage = &self.assessment.coverage;
        if self.complete() {
            return match open {
                0 => format!("Clean: all {} were looked at, and nothing is due", words::count(coverage.targets.len(), "target", "targets")),
                _ => words::capital(&found),
            };
        }
        let mut missing = Vec::new();
        if coverage.targets.is_empty() {
            missing.push("no target was listed".to_owned());
        }
        let unread = coverage.count("failed") + coverage.count("listed");
        if unread > 0 {
            missing.push(format!(
                "{} of {} not read to the end",
                words::number(unread as u64),
                words::count(coverage.targets.len(), "target", "targets")
            ));
        }
        if !self.assessment.gaps.is_empty() {
            missing.push(words::count(self.assessment.gaps.len(), "gap", "gaps"));
        }
        match self.run.status {
            RunStatus::Running => missing.push("the run has not ended".to_owned()),
            RunStatus::Failed => missing.push("the run failed".to_owned()),
            RunStatus::Partial if missing.is_empty() => {
                missing.push("the run did not end as it should: its deadline passed, or a letter was not delivered".to_owned())
            }
            RunStatus::Partial | RunStatus::Complete => {}
        }
        format!(
            "Not everything could be read ({}); {}{found}",
            missing.join(", "),
            if open == 0 { "so this is not clean, though " } else { "" }
        )
    }
}
