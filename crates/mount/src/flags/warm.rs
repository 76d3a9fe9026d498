//! The words of `mount-s3 warm`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::flags::help;
use crate::flags::parse::{Typed, parse};
use crate::flags::table::{Flag, Group};
use crate::flags::units::{SizeUnit, size};
use crate::flags::value::{path, some, text};
use crate::flags::{Command, Usage, absolute};

/// What was typed after `mount-s3 warm`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WarmArgs {
    /// The mount, or a directory in it; absolute once the command line is read.
    pub directory: PathBuf,
    /// Which files below it; all when there are none.
    pub patterns: Vec<String>,
    /// A file that lists them; `-` for standard input.
    pub from: Option<PathBuf>,
    /// Only say what is in the cache.
    pub check: bool,
    /// Keep the files from being evicted.
    pub pin: bool,
    /// At most so many bytes a second.
    pub limit_rate: Option<u64>,
    /// Do not wait for the end.
    pub background: bool,
    /// Answer in JSON, one object a line.
    pub json: bool,
    /// Say nothing but failures.
    pub quiet: bool,
    help: bool,
}

impl WarmArgs {
    /// To fetch what the patterns name in a mount, without a word.
    pub fn quiet(directory: PathBuf, patterns: Vec<String>, pin: bool) -> Self {
        Self { directory, patterns, pin, quiet: true, ..Self::default() }
    }
}

type Row = Flag<WarmArgs>;

static FLAGS: &[Row] = &[
    Row::value(Group::Bucket, "from", "FILE", "Take the files from a list", |a, v| {
        some(&mut a.from, path(v))
    })
    .doc(
        "One path a line, from DIRECTORY on or absolute; empty lines and lines that begin with # \
         are passed over; - reads standard input.",
    ),
    Row::switch(Group::Cache, "check", "Fetch nothing; say what is in the cache", |a| {
        a.check = true;
    }),
    Row::switch(Group::Cache, "pin", "Keep the files from being evicted", |a| a.pin = true)
        .doc("Until they are unpinned: mount-s3 cache unpin."),
    Row::value(Group::Client, "limit-rate", "RATE", "Bytes a second at most", |a, v| {
        some(&mut a.limit_rate, text(v).and_then(|t| rate(&t)))
    })
    .doc("A bare number is bytes; 10MiB or 10MiB/s are understood. Parts come at full speed, with pauses.")
    .default("no limit"),
    Row::switch(Group::Run, "background", "Return at once; the mount goes on", |a| {
        a.background = true;
    })
    .doc("What fails is in the log of the mount."),
    Row::switch(Group::Run, "json", "Answer in JSON, one object a line", |a| a.json = true),
    Row::switch(Group::Run, "quiet", "Say nothing but failures", |a| a.quiet = true).short('q'),
    Row::switch(Group::Run, "help", "Print help", |a| a.help = true).short('h'),
];

const ABOUT: &str = "Fetches files of a mount into its node cache before anybody reads them.\n\n\
    Usage: mount-s3 warm [OPTIONS] DIRECTORY [PATTERN...]\n       \
    mount-s3 warm [OPTIONS] --from FILE DIRECTORY\n\n\
    Arguments:\n  \
    DIRECTORY  A mount with a cache, or a file or directory in it.\n  \
    PATTERN    Files below it: `jars/*.jar`, `**/*.parquet`, or a file or directory by name.\n             \
    `*` stops at `/`, `**` does not. Quote it, or the shell takes it. Without one: all.\n\n\
    Ctrl-C stops it; what is complete stays in the cache.\n\n\
    Exit codes: 0 all of it is in the cache, 1 some of it is not, 2 usage.\n\n\
    Examples:\n  \
    mount-s3 warm /mnt/s3 'jars/*.jar'\n  \
    mount-s3 warm --check /mnt/s3/jars\n";

impl Typed for WarmArgs {
    fn place(&mut self, word: OsString) -> Result<(), OsString> {
        if self.directory.as_os_str().is_empty() {
            self.directory = word.into();
        } else {
            // A name that is no text cannot be a key's.
            self.patterns.push(word.into_string()?);
        }
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
        return Err(Usage::WordMissing("the directory to warm"));
    }
    if args.from.is_some() && !args.patterns.is_empty() {
        return Err(Usage::ExtraWord(args.patterns.swap_remove(0)));
    }
    let fetches = [
        ("pin", args.pin),
        ("limit-rate", args.limit_rate.is_some()),
        ("background", args.background),
    ];
    if let Some((name, _)) = fetches.into_iter().find(|(_, typed)| args.check && *typed) {
        return Err(Usage::Conflict("check", name));
    }
    args.directory = absolute(here, &args.directory)?;
    if let Some(list) = args.from.take_if(|list| list.as_os_str() != OsStr::new("-")) {
        args.from = Some(absolute(here, &list)?);
    }
    Ok(Command::Warm(args))
}

/// Bytes a second from `10MiB` or `10MiB/s`.
fn rate(text: &str) -> Result<u64, String> {
    match size(text.strip_suffix("/s").unwrap_or(text), SizeUnit::Bytes)? {
        0 => Err("nothing would ever be fetched".into()),
        bytes => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<WarmArgs, Usage> {
        let words = words.iter().map(OsString::from);
        match command(words, Some(Path::new("/here")))? {
            Command::Warm(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_become_paths_patterns_and_numbers() {
        let args = read(&["mnt", "a/*", "b", "--limit-rate", "10MiB/s", "--pin"]).unwrap();
        assert_eq!(args.directory, Path::new("/here/mnt"));
        assert_eq!(args.patterns, ["a/*", "b"]);
        assert_eq!((args.limit_rate, args.pin), (Some(10 << 20), true));
        let list = |file| read(&["/mnt", "--from", file]).unwrap().from.unwrap();
        assert_eq!(list("list"), Path::new("/here/list"));
        assert_eq!(list("-"), Path::new("-"));
    }

    #[test]
    fn contradictions_are_usage() {
        for words in [
            &["--check"] as &[_],
            &["/mnt", "x", "--from", "list"],
            &["/mnt", "--check", "--pin"],
            &["/mnt", "--check", "--background"],
            &["/mnt", "--limit-rate", "0"],
            &["/mnt", "--limit-rate", "fast"],
            &["/mnt", "--limit-rate", "5MiB/m"],
        ] {
            assert!(read(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn help_tells_of_every_flag() {
        let Ok(Command::Print(text)) = command(["--help".into()].into_iter(), None) else {
            panic!("no help");
        };
        assert!(FLAGS.iter().all(|flag| text.contains(&format!("--{}", flag.name))));
    }
}
