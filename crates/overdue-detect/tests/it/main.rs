//! The scanner from outside: what callers rely on, with small rules of its own.

mod bombs;
mod builtin;
mod chunks;
mod containers;
mod databases;
mod decoders;
mod documents;
mod git;
mod images;
mod kit;
mod pdf;
mod places;
mod sevenz;
