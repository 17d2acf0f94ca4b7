//! overdue-store
