//! The real program, in an environment that holds nothing but what a test gives it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// One user's folders on one machine.
pub(crate) struct Home {
    /// Everything of the test.
    pub(crate) folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("overdue-e2e-").tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("home")).expect("a home");
        std::fs::create_dir(folder.path().join("work")).expect("a work folder");
        Self { folder, environment: Vec::new() }
    }

    /// Points the program at an AWS emulator, as an account's administrator.
    pub(crate) fn with_aws(mut self, endpoint: &str, key_id: &str, secret: &str) -> Self {
        for (name, value) in
            [("AWS_ENDPOINT_URL", endpoint), ("AWS_ACCESS_KEY_ID", key_id), ("AWS_SECRET_ACCESS_KEY", secret), ("AWS_REGION", "us-east-1")]
        {
            self.set(name, value);
        }
        self
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder the program runs in.
    pub(crate) fn work(&self) -> PathBuf {
        self.path("work")
    }

    /// The store's file.
    pub(crate) fn store(&self) -> PathBuf {
        self.path("home/.local/share/overdue/overdue.db")
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_overdue"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.path("home"));
        // A machine without credentials asks no metadata server in a test.
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.work());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command().args(arguments).output().expect("the program starts"))
    }

    /// Runs a command that prints JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let ran = self.run(arguments);
        let value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error} in {}\n{}", ran.out, ran.err));
        (ran.code, value)
    }
}

/// How a command ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs git with nothing of the machine's own configuration.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([
            ("GIT_AUTHOR_NAME", "Ann Author"),
            ("GIT_AUTHOR_EMAIL", "ann@example.com"),
            ("GIT_COMMITTER_NAME", "Ann Author"),
            ("GIT_COMMITTER_EMAIL", "ann@example.com"),
            ("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z"),
            ("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z"),
        ])
        .args(["-c", "init.defaultBranch=main"])
        .args(arguments)
        .output()
        .expect("git must be installed");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Made-up text that looks like a secret: the same for the same seed, and nowhere in this repository as it is.
pub(crate) fn made_up(seed: u64, alphabet: &str, length: usize) -> String {
    let letters: Vec<char> = alphabet.chars().collect();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            letters[(state % letters.len() as u64) as usize]
        })
        .collect()
}

/// Letters and digits.
pub(crate) const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A made-up Stripe key: a distinctive format without a checksum.
pub(crate) fn stripe_key(seed: u64) -> String {
    format!("{}_{}_{}", "sk", "live", made_up(seed, ALNUM, 32))
}
