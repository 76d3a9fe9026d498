//! The words of `mount-s3 umount`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::flags::help;
use crate::flags::parse::{Typed, parse};
use crate::flags::table::{Flag, Group};
use crate::flags::{Command, Usage, absolute};

/// What was typed after `mount-s3 umount`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UmountArgs {
    /// The mount to end; absolute once the command line is read.
    pub directory: PathBuf,
    /// Take it out of the tree even while it is in use.
    pub lazy: bool,
    help: bool,
}

type Row = Flag<UmountArgs>;

static FLAGS: &[Row] = &[
    Row::switch(Group::Run, "lazy", "Unmount even while files are open in it", |a| a.lazy = true)
        .short('l')
        .doc(
            "The directory is free at once; programs that have files open keep them until they \
              close them.",
        ),
    Row::switch(Group::Run, "help", "Print help", |a| a.help = true).short('h'),
];

const ABOUT: &str = "Ends a mount of ours: one that serves, one that is dead, one that hangs.\n\
    Returns when its processes have ended.\n\nUsage: mount-s3 umount [--lazy] DIRECTORY\n\n\
    Exit codes: 0 unmounted, 1 it could not be (not ours, in use, nothing there), 2 usage.\n";

impl Typed for UmountArgs {
    fn place(&mut self, word: OsString) -> Result<(), OsString> {
        if !self.directory.as_os_str().is_empty() {
            return Err(word);
        }
        self.directory = word.into();
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
    if args.directory.as_os_str().is_empty() {
        return Err(Usage::WordMissing("the directory to unmount"));
    }
    args.directory = absolute(here, &args.directory)?;
    Ok(Command::Umount(args))
}
