//! Bytes in, detections out.
//!
//! This crate knows what a credential looks like and finds it: in text, in base64 and UTF-16, in a zip in a jar in an image
//! layer. It is given bytes and gives back [`Scanned`]: detections, gaps, and nothing that a secret could be read from.
//!
//! ```
//! use std::sync::Arc;
//! use overdue_detect::{FingerprintKey, Limits, RuleSet, Scanner};
//!
//! let rules = Arc::new(RuleSet::builtin()?);
//! let scanner = Scanner::new(Arc::clone(&rules), FingerprintKey::from_bytes([7; 32]), Limits::default());
//!
//! // A made-up token, since a real one in this text would be found.
//! let example = rules.example("github.pat", 1).expect("a rule of that name");
//! let scanned = scanner.scan_bytes("deploy.sh", format!("#!/bin/sh\nexport {}\n", example.text).as_bytes());
//!
//! let detection = &scanned.detections[0];
//! assert_eq!(detection.rule.as_str(), "github.pat");
//! assert_eq!(detection.preview, "ghp_… (40 chars)");
//! assert_eq!(detection.line, Some(2));
//! assert!(scanned.gaps.is_empty(), "every byte was looked at");
//! # Ok::<(), overdue_detect::RuleError>(())
//! ```
//!
//! # What it promises
//!
//! - **A secret ends here.** The type that holds one is private, has no `Debug`, `Display`, `Clone` or `Serialize`, and is wiped.
//!   What leaves is a fingerprint under the deployment's [`FingerprintKey`], and a preview: the rule's public prefix and a length.
//! - **Scanning cannot fail.** A damaged archive, an encrypted entry, a limit that was reached: a [`ScanGap`] with its reason,
//!   and what was found before it.
//! - **It is bounded on any input**, in memory, depth, size and work: [`Limits`].
//! - **Chunks do not matter.** A text that comes in pieces gives the same detections as the whole.
//! - It does no IO but reading what it is given, opens no file, starts nothing, and knows no network and no clock.
//!
//! # What it opens
//!
//! | | |
//! | --- | --- |
//! | Archives | zip (jar, whl, docx, function packages), tar, 7z, `ar` (deb), cpio (initial RAM disks), rpm |
//! | Compressions | gzip, zstd, xz, bzip2, lz4, lzip; brotli where the name ends in `.br` |
//! | Images | `docker save` and OCI layouts: every layer, what a later one deletes too, and the build's own variables |
//! | Documents | PDF (packed streams, pieces of text, numbered glyphs, embedded files), text runs of Office and OpenDocument |
//! | Databases | SQLite: values over several pages, archives in blobs, deleted rows |
//! | Git | loose objects, packs with their differences, bundles |
//!
//! Known and not opened, so that a gap says it: rar, cabinet, what is encrypted, PPMd and BCJ2 in 7z, LZW in PDF.
//!
//! # How it works
//!
//! Rules are data: `rules/*.toml`, one block for each kind, each with its own examples (`RuleSet::check` proves them). One
//! pass looks for all their literals, 64 bytes at a time; where one stands, its rule looks closely at a bounded window:
//! pattern, boundaries, entropy, checksum, context. Of rules that claim the same bytes the most specific one keeps them.
//! `engine` is that, `decode` undoes encodings, `unpack` opens containers, `noise` knows what only looks like a secret.
//!
//! `config` reads what projects already have: rules of their own, `.gitleaks.toml`, `.gitleaksignore`, markers beside a secret.
//! None of it is honoured unless [`Scanner::honouring`] says so.
//!
//! To add a rule, add a block to a file in `rules/`. To add a container, add a file in `unpack` and a line to its `sniff`.

mod config;
mod decode;
mod engine;
mod fingerprint;
mod limits;
mod noise;
mod rules;
mod scanned;
mod scanner;
mod secret;
mod session;
mod stored;
mod unpack;
mod variables;

pub use config::{Allow, Allowed, AllowedBy, Allowlists, Entry as IgnoreEntry, GitleaksConfig, Ignores, ScanRules, UnusedMarker};
pub use fingerprint::FingerprintKey;
pub use limits::Limits;
pub use rules::{Example, RuleError, RuleProblem, RuleSet};
pub use scanned::{ScanGap, Scanned};
pub use scanner::Scanner;
