//! Reports to words, words to people.
//!
//! From one [`overdue_core::Assessment`] come the letter ([`render_letter`]), the page ([`render_html_report`]), the
//! report for programs ([`report_json`]) and the summary on a terminal ([`summary_text`]); [`notify`] brings letters to
//! a mail server or a folder. What is due was decided before; here nothing is counted out, and a gap is told first.
//!
//! A name is only a name: every scanned text goes through one encoder for the place it ends in, and templates see
//! nothing else. Templates stay dumb: ready strings in, words out.

mod clean;
pub mod gate;
mod input;
mod json;
mod letter;
pub mod notify;
mod page;
mod steps;
mod summary;
mod templates;
mod view;
mod words;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod html_check;

pub use input::{ReportInput, RunFacts, RunStatus};
pub use json::{REPORT_SCHEMA, report_json, write_json, write_report_json};
pub use letter::{LetterContext, Rendered, render_letter};
pub use page::render_html_report;
pub use summary::summary_text;
pub use templates::{RenderError, TemplateError, TemplateProblem, Templates};
