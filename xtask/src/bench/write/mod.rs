//! `cargo xtask bench write`: writing through a mount, against the AWS SDK as it comes.
//!
//! Both send the same zeros to the same embedded server, which throws them away: from `/dev/zero`
//! by `dd` into a file of the mount, and by the SDK's own multipart upload. In every round both
//! are measured, and the checksums that the server computed of what came must be equal.

mod case;
mod measure;
mod options;
mod report;
mod upload;
mod writer;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use options::Options;
pub(super) use options::USAGE;
pub(super) use upload::{Look, Upload};
pub(super) use writer::Write;

/// Runs what comes after `xtask bench write`.
pub(super) fn run(words: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let Some(options) = Options::parse(words)? else {
        print!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    super::until_interrupted(measure::all(&options))
}
