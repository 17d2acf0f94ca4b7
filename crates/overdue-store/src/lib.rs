//! The store: the only SQL of the project. What was seen, what was said, what was sent.
//!
//! Callers may rely on this:
//! * What a call acknowledged survives `kill -9` and power loss, and what it did not acknowledge leaves no trace: each
//!   call that writes is one transaction, each step is idempotent by a key.
//! * A run belongs to one process at a time. Another may take it over when its lease has ended or its holder is dead;
//!   from then on every write of the former holder is refused ([`StoreError::Fenced`]).
//! * An exposure closes only when its place was read again to the end and the secret is gone, or when a complete
//!   listing no longer has the place. A read that broke off closes nothing.
//! * A run cannot be called clean while a target is unread or a gap stands.
//!
//! It holds no verdicts (they are derived each time by `overdue_core::assess`) and no secrets (there is no column for
//! one). Moments are kept as whole microseconds: they sort and compare as numbers in any database, reach from year
//! -9999 to 9999 as nanoseconds would not, and PostgreSQL keeps no finer ones. Finer parts of a moment are cut off.
//!
//! SQLite only, for now. Everything particular to it stands in `open.rs`, `error.rs` and `migrations/sqlite`; all other
//! SQL keeps to what PostgreSQL understands too.

mod batch;
mod error;
mod inventory;
mod ledger;
mod migrate;
mod notice;
mod open;
mod page;
mod run;
mod schedule;
mod wire;

pub use error::StoreError;
pub use notice::{NoticeFate, NoticeRecord, NoticeRow, NoticeState};
pub use open::Store;
pub use page::{Outcome, PageCommit, ScannedContent, SeenArtifact};
pub use run::{BeginRun, NewRun, Run, RunId, RunKind, RunRecord, RunStatus};
pub use schedule::Missed;

#[cfg(test)]
mod tests;
