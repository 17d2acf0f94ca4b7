//! overdue-detect
