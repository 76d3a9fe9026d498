//! The words after `cargo xtask bench read`.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use lexopt::prelude::*;

pub(super) const USAGE: &str = "\
Usage: cargo xtask bench read [OPTIONS]

Reads through a mount and, beside it, with the default AWS SDK client.

Options:
  --quick          1 GiB streams and 200 small files, 2 rounds
  --rounds N       Pairs of baseline and mount per case [default: 3; --quick: 2]
  --only PATTERN   Only cases whose name contains PATTERN (may be repeated)
  --list           Print the names of the cases and stop
  --cache          Beside the streams without a cache, the same with one that is empty at first
  --binary FILE    Measure this mount-s3 [default: the one that is built from these sources]
  --json FILE      Write every sample and the summary there
  --help           Print this
";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) quick: bool,
    pub(super) rounds: usize,
    pub(super) only: Vec<String>,
    pub(super) list: bool,
    /// Streams are also read through an empty node cache.
    pub(super) cache: bool,
    /// A program to measure in the place of the one that is built.
    pub(super) binary: Option<PathBuf>,
    pub(super) json: Option<PathBuf>,
}

impl Options {
    /// Parses the words; `None` when help was asked for.
    pub(super) fn parse(words: impl Iterator<Item = OsString>) -> Result<Option<Self>> {
        let mut parser = lexopt::Parser::from_args(words);
        let (mut quick, mut list, mut cache) = (false, false, false);
        let (mut rounds, mut only, mut json, mut binary) = (None, vec![], None, None);
        while let Some(arg) = parser.next()? {
            match arg {
                Long("quick") => quick = true,
                Long("list") => list = true,
                Long("rounds") => rounds = Some(parser.value()?.parse()?),
                Long("only") => only.push(parser.value()?.parse()?),
                Long("cache") => cache = true,
                Long("binary") => binary = Some(PathBuf::from(parser.value()?)),
                Long("json") => json = Some(PathBuf::from(parser.value()?)),
                Long("help") | Short('h') => return Ok(None),
                other => return Err(other.unexpected()).context(USAGE),
            }
        }
        let rounds = rounds.unwrap_or(if quick { 2 } else { 3 });
        anyhow::ensure!(rounds > 0, "--rounds 0 measures nothing: give 1 or more");
        Ok(Some(Self { quick, rounds, only, list, cache, binary, json }))
    }

    /// Whether a case of this name is wanted.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|pattern| name.contains(pattern))
    }
}
