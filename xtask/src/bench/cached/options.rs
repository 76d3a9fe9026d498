//! The words after `cargo xtask bench cached`.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use lexopt::prelude::*;

pub(crate) const USAGE: &str = "\
Usage: cargo xtask bench cached [OPTIONS]

Reads what is in the node cache, and beside it the same files without a mount. As root: it drops
the page cache of the machine.

Options:
  --rounds N       [default: 10]
  --directory DIR  Where the cache and the plain files are put; the file system that is compared
                   with [default: a temporary directory]
  --jars DIR       Start Java with the JAR files of DIR on its class path
  --binary FILE    Measure this mount-s3 [default: the one that is built from these sources]
  --json FILE      Write every sample and the summary there
  --help           Print this
";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) rounds: usize,
    pub(super) directory: Option<PathBuf>,
    pub(super) jars: Option<PathBuf>,
    /// A program to measure in the place of the one that is built.
    pub(super) binary: Option<PathBuf>,
    pub(super) json: Option<PathBuf>,
}

impl Options {
    /// Parses the words; `None` when help was asked for.
    pub(super) fn parse(words: impl Iterator<Item = OsString>) -> Result<Option<Self>> {
        let mut parser = lexopt::Parser::from_args(words);
        let mut options =
            Self { rounds: 10, directory: None, jars: None, binary: None, json: None };
        while let Some(arg) = parser.next()? {
            match arg {
                Long("rounds") => options.rounds = parser.value()?.parse()?,
                Long("directory") => options.directory = Some(parser.value()?.into()),
                Long("jars") => options.jars = Some(parser.value()?.into()),
                Long("binary") => options.binary = Some(parser.value()?.into()),
                Long("json") => options.json = Some(parser.value()?.into()),
                Long("help") | Short('h') => return Ok(None),
                other => return Err(other.unexpected()).context(USAGE),
            }
        }
        ensure!(options.rounds > 0, "--rounds 0 measures nothing: give 1 or more");
        Ok(Some(options))
    }
}
