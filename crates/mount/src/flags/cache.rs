//! The words of `mount-s3 cache`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::flags::help;
use crate::flags::parse::{Typed, parse};
use crate::flags::table::{Flag, Group};
use crate::flags::{Command, Usage, absolute};

/// What is to be done with a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// List its objects.
    List,
    /// Say how much there is.
    Stat,
    /// Check every block.
    Verify,
    /// Keep objects from being evicted.
    Pin,
    /// Let them be evicted again.
    Unpin,
    /// Remove objects.
    Evict,
    /// Remove everything.
    Clear,
}

impl Action {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "ls" => Self::List,
            "stat" => Self::Stat,
            "verify" => Self::Verify,
            "pin" => Self::Pin,
            "unpin" => Self::Unpin,
            "evict" => Self::Evict,
            "clear" => Self::Clear,
            _ => return None,
        })
    }

    /// Whether it is done to named objects only.
    fn needs_patterns(self) -> bool {
        matches!(self, Self::Pin | Self::Unpin | Self::Evict)
    }

    fn takes_patterns(self) -> bool {
        self.needs_patterns() || self == Self::List
    }
}

/// What was typed after `mount-s3 cache`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheArgs {
    /// What to do.
    pub action: Action,
    /// The directory that mounts have as `--cache`, absolute.
    pub directory: PathBuf,
    /// Which keys.
    pub patterns: Vec<String>,
    /// Answer in JSON, one object a line.
    pub json: bool,
}

#[derive(Default)]
struct Words {
    words: Vec<OsString>,
    json: bool,
    help: bool,
}

type Row = Flag<Words>;

static FLAGS: &[Row] = &[
    Row::switch(Group::Run, "json", "Answer in JSON, one object a line", |a| a.json = true),
    Row::switch(Group::Run, "help", "Print help", |a| a.help = true).short('h'),
];

const ABOUT: &str = "Looks into a node cache, and tidies it. No mount needs to run.\n\n\
    Usage: mount-s3 cache ls DIR [PATTERN...]\n       \
    mount-s3 cache stat|verify|clear DIR\n       \
    mount-s3 cache pin|unpin|evict DIR PATTERN...\n\n\
    Arguments:\n  \
    DIR      The directory that mounts have as --cache.\n  \
    PATTERN  Keys: `jars/*.jar`, `**/*.parquet`, or a key as it is. `*` stops at `/`.\n\n  \
    ls       what is there: key, size, how much of it, last use, pins\n  \
    stat     how much is there\n  \
    verify   checks every block, and drops what is damaged\n  \
    pin      keeps objects from being evicted; unpin lets them go again\n  \
    evict    removes objects; those that are pinned stay\n  \
    clear    removes everything\n\n\
    Exit codes: 0 done, 1 it could not be done, or verify found damage, 2 usage.\n";

impl Typed for Words {
    fn place(&mut self, word: OsString) -> Result<(), OsString> {
        self.words.push(word);
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
    let Words { words, json, help } = parse(&[FLAGS], words)?;
    if help {
        return Ok(Command::Print(help::page(ABOUT, &[FLAGS])));
    }
    let mut words = words.into_iter();
    let missing = "what to do: ls, stat, verify, pin, unpin, evict or clear";
    let word = words.next().ok_or(Usage::WordMissing(missing))?;
    let action = word.to_str().and_then(Action::of);
    let action = action.ok_or_else(|| Usage::ExtraWord(word.to_string_lossy().into_owned()))?;
    let directory = words.next().ok_or(Usage::WordMissing("the directory of the cache"))?;
    let extra = |word: OsString| Usage::ExtraWord(word.to_string_lossy().into_owned());
    let patterns: Result<Vec<String>, Usage> =
        words.map(|word| word.into_string().map_err(extra)).collect();
    let patterns = patterns?;
    match patterns.first() {
        None if action.needs_patterns() => {
            return Err(Usage::WordMissing("the keys, or a pattern"));
        }
        Some(word) if !action.takes_patterns() => return Err(Usage::ExtraWord(word.clone())),
        _ => {}
    }
    let directory = absolute(here, Path::new(&directory))?;
    Ok(Command::Cache(CacheArgs { action, directory, patterns, json }))
}
