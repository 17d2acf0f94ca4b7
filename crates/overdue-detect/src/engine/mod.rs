//! The engine: text in, finds out.
//!
//! One pass, 64 bytes at a time, says where a literal of a rule stands ([`Prefilter`]). The rule then looks at a bounded window round that place ([`confirm`]), a find is judged ([`found`]), and where two rules claim the same
//! bytes the more specific one keeps them ([`resolve`]). Every decision about a hit depends on at most [`LOOKBEHIND`]
//! bytes before it and [`LOOKAHEAD`] after it, which is why a text cut in chunks anywhere gives the same answer as the
//! whole ([`stream`]).

mod assignment;
pub(crate) mod blocks;
pub(crate) mod boundary;
mod command;
mod confirm;
mod context;
mod foreign;
mod found;
mod jwt;
pub(crate) mod lines;
mod name;
mod pair;
mod pem;
mod prefilter;
mod resolve;
mod service_account;
mod shapes;
mod stream;
mod url;
mod value;

pub(crate) use blocks::is_token_byte;
pub(crate) use foreign::file_itself;
pub(crate) use found::Found;
pub(crate) use prefilter::Prefilter;
pub(crate) use stream::{find_in_slice, scan_slice, scan_stream};
pub(crate) use url::percent_decoded;

use crate::rules::RuleSet;
use crate::session::{Place, Session};

/// Bytes before a hit that may matter: a pair's window, a service account's JSON, a line of context.
pub(crate) const LOOKBEHIND: usize = 8 << 10;
/// Bytes after a hit that may matter: the longest private key, which is an armoured one of RSA-16384 or OpenPGP.
pub(crate) const LOOKAHEAD: usize = 24 << 10;

/// A text and what is known about it.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) buf: &'a [u8],
    /// Has zero bytes: no lines, and no guesses.
    pub(crate) binary: bool,
    pub(crate) syntax: Syntax,
}

/// Whether a bare word after `=` or `:` is a value or an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// A programming language: values are quoted.
    Code,
    /// Configuration, shell, logs: values may be bare.
    Config,
    /// No telling from the name.
    Unknown,
}

impl Syntax {
    /// By the file name's ending.
    pub(crate) fn of(name: &str) -> Self {
        const CODE: [&str; 62] = [
            "asm", "astro", "c", "cc", "clj", "cljs", "coffee", "cpp", "cr", "cs", "css", "cts", "cxx", "d", "dart", "ejs", "el", "erl",
            "ex", "exs", "fs", "go", "groovy", "h", "hh", "hpp", "hrl", "hs", "inl", "ipp", "java", "jl", "js", "jsx", "kt", "kts", "less",
            "lisp", "lua", "m", "mjs", "ml", "mm", "mts", "nim", "pas", "php", "pl", "pm", "py", "pyi", "r", "rb", "rs", "s", "scala",
            "scss", "swift", "ts", "tsx", "vue", "zig",
        ];
        const CONFIG: [&str; 35] = [
            "bash",
            "cfg",
            "conf",
            "config",
            "cnf",
            "credentials",
            "csv",
            "dockerfile",
            "env",
            "envrc",
            "ini",
            "json",
            "json5",
            "jsonc",
            "local",
            "log",
            "netrc",
            "npmrc",
            "pgpass",
            "plist",
            "production",
            "properties",
            "props",
            "ps1",
            "pypirc",
            "sh",
            "text",
            "tfvars",
            "toml",
            "txt",
            "xml",
            "yaml",
            "yml",
            "zsh",
            "cmd",
        ];
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let ending = file.rsplit('.').next().unwrap_or(file).to_ascii_lowercase();
        if CODE.contains(&ending.as_str()) {
            Self::Code
        } else if CONFIG.contains(&ending.as_str()) || file.starts_with(".env") {
            Self::Config
        } else {
            Self::Unknown
        }
    }
}

/// All finds in a text, for the rules' own proof.
pub(crate) fn find_all(rules: &RuleSet, bytes: &[u8]) -> Vec<Found> {
    let key = crate::fingerprint::FingerprintKey::from_bytes([0; 32]);
    let limits = crate::limits::Limits::default();
    let mut session = Session::new(rules, &key, &limits);
    stream::find_in_slice(&mut session, &Place::root(""), bytes)
}
