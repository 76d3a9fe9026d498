//! The words of `mount-s3 status`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::flags::help;
use crate::flags::parse::{Typed, parse};
use crate::flags::table::{Flag, Group};
use crate::flags::{Command, Usage, absolute};

/// What was typed after `mount-s3 status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusArgs {
    /// The mounts to look at; absolute once the command line is read. All when there are none.
    pub directories: Vec<PathBuf>,
    /// Answer in JSON, one object a line.
    pub json: bool,
    /// Say nothing but what is wrong.
    pub quiet: bool,
    help: bool,
}

type Row = Flag<StatusArgs>;

static FLAGS: &[Row] = &[
    Row::switch(Group::Run, "json", "Answer in JSON, one object a line", |a| a.json = true),
    Row::switch(Group::Run, "quiet", "Say nothing but what is wrong", |a| a.quiet = true)
        .short('q')
        .doc("The mount is not asked for its counters: the way for a probe."),
    Row::switch(Group::Run, "help", "Print help", |a| a.help = true).short('h'),
];

const ABOUT: &str = "Says whether mounts serve, and what they asked of S3 and saved so far.\n\n\
    Usage: mount-s3 status [OPTIONS] [DIRECTORY...]\n\n\
    Arguments:\n  \
    DIRECTORY  A mount of ours. Without one: all that are seen from here.\n\n\
    It never waits for a mount that hangs for longer than 4 seconds, and never asks S3: a mount\n\
    serves also while S3 is away.\n\n\
    Exit codes: 0 all of them serve, 1 one does not (dead, hung, not mounted), 2 usage.\n";

impl Typed for StatusArgs {
    fn place(&mut self, word: OsString) -> Result<(), OsString> {
        self.directories.push(word.into());
        Ok(())
    }

    fn short_help(&mut self) {
        self.help = true;
    }
}

pub(super) fn command(
    words: impl Iterator<Item = OsString>,
    here: Option<&Path>,
) -> Result<Command, Usage> {
    let mut args = parse(&[FLAGS], words)?;
    if args.help {
        return Ok(Command::Print(help::page(ABOUT, &[FLAGS])));
    }
    if args.json && args.quiet {
        return Err(Usage::Conflict("json", "quiet"));
    }
    for directory in &mut args.directories {
        *directory = absolute(here, directory)?;
    }
    Ok(Command::Status(args))
}
