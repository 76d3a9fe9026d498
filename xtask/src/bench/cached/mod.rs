//! `cargo xtask bench cached`: what is in the node cache, against the same files beside it.
//!
//! One synthetic object is read in every way that a program may read a file: plainly, from a
//! mount that passes files through to the kernel, and from one where that is masked; with the
//! page cache warm and after it was dropped. Each measurement has a process and a file handle of
//! its own. CPU time is that of the reader between opening and closing, and of the mount over
//! the same time.

mod java;
mod mapping;
mod measure;
mod options;
mod place;
mod report;
mod visit;
mod vmstat;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

pub(super) use java::Java;
use options::Options;
pub(super) use options::USAGE;
pub(super) use visit::Visit;

/// Runs what comes after `xtask bench cached`.
pub(super) fn run(words: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let Some(options) = Options::parse(words)? else {
        print!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    super::until_interrupted(measure::all(&options))
}
