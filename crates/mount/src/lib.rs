//! The mount-s3 command: flags to configuration to wiring; launcher, keeper and daemon, logs,
//! messages, subcommands.
//!
//! * A [`flags::Config`] is what the command line means; nothing behind it sees words.
//! * A mount is three processes, see [`roles`]: the launcher that was typed, the keeper that owns
//!   the mount, the daemon that serves it.
//! * A [`message::Problem`] is every failure as people read it: what, why, and the fix.

#![deny(unsafe_code)]

pub mod adapter;
pub mod announce;
pub mod control;
pub mod flags;
pub mod inspect;
pub mod lab;
pub mod log;
pub mod message;
pub mod mountpoint;
pub mod roles;
pub mod savings;
pub mod serve;
pub mod state;
pub mod status;
pub mod store;
pub mod umount;
pub mod uploads;
pub mod warm;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use flags::{Command, Environment};
use message::Problem;
use roles::Assignment;

/// The command line makes no sense.
const EXIT_USAGE: u8 = 2;

/// Runs one process of the command: `words` are its arguments without the program's name, `here`
/// the current directory, if there is one. What is to be said is said; the exit code is 0, 1
/// (failure) or 2 (usage).
pub fn run(words: Vec<OsString>, environment: &Environment, here: Option<&Path>) -> ExitCode {
    if let Some(assignment) = environment.role.as_deref().and_then(Assignment::read) {
        return roles::play(assignment, words, environment, here);
    }
    match flags::command(words.clone(), environment, here) {
        Err(usage) => {
            complain(Problem::from(&usage));
            ExitCode::from(EXIT_USAGE)
        }
        Ok(Command::Print(text)) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Ok(Command::Mount(config)) => told(roles::launcher::run(*config, words)),
        Ok(Command::Umount(args)) => told(umount::run(&args, environment)),
        Ok(Command::Announce(args)) => told(announce::run(&args, environment)),
        Ok(Command::Status(args)) => told(status::run(&args, environment)),
        Ok(Command::Warm(args)) => told(warm::run(&args, environment)),
        Ok(Command::Cache(args)) => told(inspect::run(&args)),
        Ok(Command::Uploads(args)) => told(uploads::run(&args)),
        Ok(Command::Lab(options)) => told(lab::run(*options)),
    }
}

fn told(result: Result<ExitCode, Problem>) -> ExitCode {
    result.unwrap_or_else(|problem| {
        complain(problem);
        ExitCode::FAILURE
    })
}

/// Prints to standard output. A reader that left early, such as `head`, is no failure.
fn say(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Prints to standard error. Nobody reading it is no reason to fail, and even less to panic as
/// `eprint!` does: a keeper must go on to clean up.
fn complain(text: impl std::fmt::Display) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(text.to_string().as_bytes());
}
