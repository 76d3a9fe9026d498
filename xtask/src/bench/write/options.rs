//! The words after `cargo xtask bench write`.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use lexopt::prelude::*;

pub(crate) const USAGE: &str = "\
Usage: cargo xtask bench write [OPTIONS]

Writes through a mount and, beside it, with the default AWS SDK client.

Options:
  --quick          1 GiB instead of 5, 200 small files instead of 1000, 2 rounds
  --rounds N       Pairs of baseline and mount per case [default: 3; --quick: 2]
  --only PATTERN   Only cases whose name contains PATTERN (may be repeated)
  --in-flight N    Parts that the baseline sends at once [default: 8, as the mount does]
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
    pub(super) in_flight: u64,
    /// A program to measure in the place of the one that is built.
    pub(super) binary: Option<PathBuf>,
    pub(super) json: Option<PathBuf>,
}

impl Options {
    /// Parses the words; `None` when help was asked for.
    pub(super) fn parse(words: impl Iterator<Item = OsString>) -> Result<Option<Self>> {
        let mut parser = lexopt::Parser::from_args(words);
        let (mut quick, mut rounds, mut only, mut in_flight) = (false, None, vec![], 8);
        let (mut json, mut binary) = (None, None);
        while let Some(arg) = parser.next()? {
            match arg {
                Long("quick") => quick = true,
                Long("rounds") => rounds = Some(parser.value()?.parse()?),
                Long("only") => only.push(parser.value()?.parse()?),
                Long("in-flight") => in_flight = parser.value()?.parse()?,
                Long("binary") => binary = Some(PathBuf::from(parser.value()?)),
                Long("json") => json = Some(PathBuf::from(parser.value()?)),
                Long("help") | Short('h') => return Ok(None),
                other => return Err(other.unexpected()).context(USAGE),
            }
        }
        let rounds = rounds.unwrap_or(if quick { 2 } else { 3 });
        ensure!(rounds > 0, "--rounds 0 measures nothing: give 1 or more");
        ensure!(in_flight > 0, "--in-flight 0 sends nothing: give 1 or more");
        Ok(Some(Self { quick, rounds, only, in_flight, binary, json }))
    }

    /// Whether a case of this name is wanted.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|pattern| name.contains(pattern))
    }
}
