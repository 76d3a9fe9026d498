//! `mount-s3 warm`: files are in the node cache before anybody reads them.
//!
//! The command looks which files are meant, through the mount like anybody else, and asks the
//! daemon over its control socket; the daemon fetches, see [`Warmer`].
//!
//! Exit codes: 0 all of it is in the cache; 1 some of it is not; 2 usage.

mod engine;
mod job;
mod pace;
mod select;
mod show;
mod target;

use std::process::ExitCode;

pub use engine::Warmer;
pub use job::Job;

use crate::control::client::PATIENCE;
use crate::control::protocol::{Answer, Ask, BadLine, Order, Progress};
use crate::flags::Environment;
use crate::flags::warm::WarmArgs;
use crate::message::Problem;
use crate::state::Records;
use select::{Pattern, Unselected};
use show::{Show, Style};
use target::Target;

/// Fetches what `args` name, or says what of it is there.
///
/// # Errors
/// Why nothing can be fetched or said.
pub fn run(args: &WarmArgs, environment: &Environment) -> Result<ExitCode, Problem> {
    let uid = rustix::process::geteuid().as_raw();
    let records = Records::of_user(uid, environment.runtime_directory.as_deref());
    let what = match args.check {
        true => format!("what of {} is in the cache cannot be said", args.directory.display()),
        false => format!("{} cannot be fetched into the cache", args.directory.display()),
    };
    let target = Target::find(&args.directory, &records, &what)?;
    // Asked first: a mount that hangs must not hold up the walk over it.
    let mut client = target.connect(&records, &what)?;
    let paths = target.paths(select(args, &target).map_err(|why| unselected(&what, &why))?);
    let (ask, files) = match args.check {
        true => (Ask::Resident {}, true),
        false => (Ask::Warm(order(args)), false),
    };
    let broken = |bad: BadLine| broken(&what, &bad, &args.directory);
    // A daemon that refuses may have closed the connection early: what it said counts.
    let asked = client.ask_about(&ask, &paths);
    let mut show = Show::new(Style::of(args.json, args.quiet), files);
    loop {
        let answer = match (client.answer(), &asked) {
            (Ok(Some(answer)), _) => answer,
            (Err(bad), _) => return Err(broken(bad)),
            (Ok(None), Err(_)) | (Ok(None), Ok(())) => return Err(broken(BadLine::Cut)),
        };
        show.tell(&answer);
        match answer {
            Answer::Done(progress) => return Ok(code(&progress)),
            Answer::Accepted { .. } => return Ok(ExitCode::SUCCESS),
            Answer::Refused { why, fix } => return Err(Problem { what, why, fix }),
            _ => {}
        }
    }
}

fn order(args: &WarmArgs) -> Order {
    Order { pin: args.pin, rate: args.limit_rate, background: args.background }
}

/// The files that are meant, as paths below the directory.
fn select(args: &WarmArgs, target: &Target) -> Result<Vec<String>, Unselected> {
    if let Some(list) = &args.from {
        return select::listed(list, &target.path);
    }
    if target.is_file {
        return Ok(vec![String::new()]);
    }
    let all = [String::new()];
    let typed = if args.patterns.is_empty() { &all[..] } else { &args.patterns };
    let mut files = Vec::new();
    for pattern in typed {
        files.extend(Pattern::new(pattern, &target.path)?.files(&target.path)?);
    }
    Ok(files)
}

fn code(progress: &Progress) -> ExitCode {
    match progress.files_done == progress.files {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn unselected(what: &str, why: &Unselected) -> Problem {
    let fix = match why {
        Unselected::NoMatch(_) => "quote patterns, and see what is there with ls",
        Unselected::Outside(_) => "give paths below the directory, without ..",
        Unselected::BadPattern { .. } => "mount-s3 warm --help shows patterns",
        Unselected::Unreadable { .. } => "see whether it is there and may be read: ls -l",
        Unselected::NoText(_) => "give names in UTF-8",
    };
    Problem { what: what.to_owned(), why: why.to_string(), fix: fix.to_owned() }
}

fn broken(what: &str, bad: &BadLine, directory: &std::path::Path) -> Problem {
    let silent = matches!(bad, BadLine::Io(error) if matches!(error.kind(),
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut));
    let (why, fix) = match silent {
        true => (
            format!("the mount did not answer for {} seconds", PATIENCE.as_secs()),
            format!("mount-s3 umount {}, and mount it again", directory.display()),
        ),
        false => (
            format!("the mount ended or closed the connection ({bad})"),
            "see its log; then run this again: what is complete stays".into(),
        ),
    };
    Problem { what: what.to_owned(), why, fix }
}

#[cfg(test)]
mod tests;
