//! Rules: what to look for, as data.
//!
//! A rule is one block of TOML in `rules/<family>.toml`. It says what a credential looks like, what it opens, how to make
//! it worthless, and it carries the examples that prove it. Adding one needs nothing else. `docs` of the fields:
//! [`file::RawRule`].

pub(crate) mod builtin;
pub(crate) mod check;
pub(crate) mod checksum;
pub(crate) mod file;
pub(crate) mod foreign;
pub(crate) mod generator;
pub(crate) mod pattern;
pub(crate) mod rule;
mod set;

pub use check::RuleProblem;
pub use set::{Example, RuleError, RuleSet};
