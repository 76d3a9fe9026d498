//! The three processes of a mount.
//!
//! * The **launcher** is what the user typed. It looks at the directory, starts the keeper,
//!   waits until the mount serves, says so, and returns.
//! * The **keeper** owns the mount: it starts the daemon, mounts when the daemon asks for it,
//!   and whatever becomes of the daemon, takes the mount away. It has no threads and knows
//!   nothing of S3.
//! * The **daemon** talks to S3 and serves the mount.
//!
//! All are this program, started anew by exec, so none inherits another's memory or threads;
//! what the next one must know goes with it as an [`Assignment`]. Descriptors are handed over
//! as standard input and output, the only ones that a new program gets: the keeper's standard
//! output is the pipe on which it says that the mount serves, the daemon's standard input is its
//! [`Link`] to the keeper. With `--foreground` the launcher is the keeper.
//!
//! The keeper mounts, not the daemon, since mounting needs privileges that serving does not, and
//! since the one who takes a mount away should know best what was mounted. The daemon asks for it
//! when S3 has answered: until then nothing is mounted that could hang.

mod daemon;
mod deadline;
mod keeper;
pub mod launcher;
mod link;
mod orphans;
mod sys;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde::{Deserialize, Serialize};

pub use daemon::{Mounted, Ready};
pub use deadline::Deadline;
pub use link::Link;

use crate::flags::{self, Environment, environment::ROLE};
use crate::log::FileName;
use crate::message::Problem;

/// What a process of ours is started for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Assignment {
    /// Look at a path and say what is there.
    Probe,
    /// Keep a mount.
    Keeper(Place),
    /// Serve a mount.
    Daemon(Place),
}

/// What the launcher found out about where to mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The directory without symbolic links, as bytes: a path need not be UTF-8.
    directory: Vec<u8>,
    /// The name of the log file, so that keeper and daemon share one.
    pub log_file: FileName,
}

impl Place {
    /// The place on `directory`.
    pub fn new(directory: PathBuf, log_file: FileName) -> Self {
        Self { directory: directory.into_os_string().into_vec(), log_file }
    }

    /// The directory without symbolic links.
    pub fn directory(&self) -> PathBuf {
        OsString::from_vec(self.directory.clone()).into()
    }
}

impl Assignment {
    /// Reads an assignment from the environment; `None` when it is not one of ours.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// This program again, called `name` in the list of processes, with an assignment.
pub(crate) fn start(
    assignment: &Assignment,
    name: &str,
    words: impl IntoIterator<Item = OsString>,
) -> Command {
    let mut command = Command::new("/proc/self/exe");
    // A structure of strings and numbers can always be written.
    let role = serde_json::to_string(assignment).unwrap_or_default();
    command.arg0(OsStr::new(name)).args(words).env(ROLE, role);
    command
}

/// Plays the part that this process was started for.
pub(crate) fn play(
    assignment: Assignment,
    words: Vec<OsString>,
    environment: &Environment,
    here: Option<&Path>,
) -> ExitCode {
    let (place, keeper) = match assignment {
        Assignment::Probe => return crate::mountpoint::probe::answer(words),
        Assignment::Keeper(place) => (place, true),
        Assignment::Daemon(place) => (place, false),
    };
    match flags::command(words.clone(), environment, here) {
        Ok(flags::Command::Mount(mut config)) => {
            config.directory = place.directory();
            if keeper {
                keeper::run_in_background(&config, &place, words)
            } else {
                daemon::run(*config, &place)
            }
        }
        Ok(_) => ExitCode::FAILURE,
        Err(usage) => {
            crate::complain(Problem::from(&usage));
            ExitCode::FAILURE
        }
    }
}

/// Detaches standard descriptors from whoever started us: input always, output as told.
pub(crate) fn detach_stdio(outputs: bool) -> std::io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    if outputs {
        rustix::stdio::dup2_stdout(&null)?;
        rustix::stdio::dup2_stderr(&null)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
