//! The store through its public door, on real files.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod closing;
mod kill;
mod measure;
mod notices;
mod opening;
mod pages;
mod round_trip;
mod runs;
mod world;
