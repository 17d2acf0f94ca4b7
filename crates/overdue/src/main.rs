//! Overdue: finds every credential an organisation has handed out, says how old it is, when it was last used, where it
//! lies exposed and who owns it, and writes that owner one letter a week about what is due.
//!
//! This crate is the outer ring: it alone reads the clock, the environment and the command line, and it alone ends the
//! process. `main` → [`cli`] (what was typed) → [`commands`] (one function each) → [`sweep`] (a run, target by target).

mod cli;
mod commands;
mod fingerprint_key;
mod holder;
mod job;
mod letters;
mod lists;
mod occurrences;
mod output;
mod places;
mod progress;
mod scan;
mod serve;
mod sweep;
mod values;

use clap::Parser;

fn main() -> std::process::ExitCode {
    let typed = match cli::Typed::try_parse() {
        Ok(typed) => typed,
        Err(told) => {
            // Help and version are answers; anything else typed wrong is a command that could not run.
            let exit = if told.use_stderr() { output::Exit::CouldNotRun } else { output::Exit::Clean };
            let _ = told.print();
            return exit.into();
        }
    };
    output::log_to_stderr(&typed);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(&format!("cannot start: {error}"));
            return output::Exit::CouldNotRun.into();
        }
    };
    let serves = matches!(typed.command, cli::Command::Serve(_));
    let exit = runtime.block_on(async {
        tokio::select! {
            ended = commands::run(typed) => Some(ended),
            // `serve` ends by itself, when its runs let it.
            Ok(()) = tokio::signal::ctrl_c(), if !serves => None,
        }
    });
    let exit = match exit {
        Some(Ok(exit)) => exit,
        None => {
            output::complain("stopped; what was read so far is kept, and the same command goes on from there");
            output::Exit::Partial
        }
        Some(Err(error)) => {
            output::complain(&format!("{error:#}"));
            output::Exit::CouldNotRun
        }
    };
    // A scan that still runs on a blocking thread holds nothing that matters once the store has its answer.
    runtime.shutdown_background();
    exit.into()
}
