//! The scanner from outside: what callers rely on, with small rules of its own.

mod bombs;
mod builtin;
mod chunks;
mod containers;
mod databases;
mod decoders;
mod documents;
mod git;
mod gitleaks;
mod ignores;
mod images;
mod kit;
mod markers;
mod pdf;
mod places;
mod sevenz;
mod user_rules;
