//! The scanner from outside: what callers rely on, with small rules of its own.

mod bombs;
mod builtin;
mod chunks;
mod containers;
mod decoders;
mod gitleaks;
mod ignores;
mod kit;
mod markers;
mod places;
mod user_rules;
