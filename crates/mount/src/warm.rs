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

use std::path::Path;
use std::process::ExitCode;

pub use engine::Warmer;
pub use job::Job;

use crate::control::Client;
use crate::control::client::PATIENCE;
use crate::control::protocol::{Answer, Ask, BadLine, Order};
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
    let ask = |ask: Ask, paths: &[String], show: &mut Show| {
        let client = target.connect(&records, &what)?;
        converse(client, &ask, paths, show).map_err(|end| end.problem(&what, &args.directory))
    };
    // A mount that hangs or has no cache is not worth a walk over it; and the daemon waits only
    // so long for a question, so that the walk has to come before the real one.
    ask(Ask::Resident {}, &[], &mut Show::new(Style::Quiet, false))?;
    let paths = target.paths(select(args, &target).map_err(|why| unselected(&what, &why))?);
    let mut show = Show::new(Style::of(args.json, args.quiet), args.check);
    let complete = match args.check {
        true => ask(Ask::Resident {}, &paths, &mut show)?,
        false => ask(Ask::Warm(order(args)), &paths, &mut show)?,
    };
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks, and shows what is answered. Whether all files are in the cache, or will be looked after
/// in the background.
fn converse(
    mut client: Client,
    ask: &Ask,
    paths: &[String],
    show: &mut Show,
) -> Result<bool, Ended> {
    // A daemon that refuses may not have taken all of the question: what it says counts.
    let asked = client.ask_about(ask, paths);
    loop {
        let Some(answer) = client.answer()? else {
            return Err(asked.err().unwrap_or(BadLine::Cut).into());
        };
        show.tell(&answer);
        match answer {
            Answer::Done(progress) => return Ok(progress.files_done == progress.files),
            Answer::Accepted { .. } => return Ok(true),
            Answer::Refused { why, fix } => return Err(Ended::Refused { why, fix }),
            _ => {}
        }
    }
}

/// How a conversation ended that should have gone on.
enum Ended {
    /// The daemon would not.
    Refused { why: String, fix: String },
    /// The connection, or the other end, failed.
    Broken(BadLine),
}

impl From<BadLine> for Ended {
    fn from(bad: BadLine) -> Self {
        Self::Broken(bad)
    }
}

impl Ended {
    fn problem(self, what: &str, directory: &Path) -> Problem {
        match self {
            Self::Refused { why, fix } => Problem { what: what.to_owned(), why, fix },
            Self::Broken(bad) => broken(what, &bad, directory),
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

fn broken(what: &str, bad: &BadLine, directory: &Path) -> Problem {
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
