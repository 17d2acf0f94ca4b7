//! overdue-report
