//! AWS, seen read-only.
