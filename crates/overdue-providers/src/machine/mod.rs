//! This machine, seen read-only.
