//! `cargo xtask bench read`: the mount against a plain client of the same bytes. `cargo xtask
//! bench cached` is in [`cached`], `cargo xtask bench write` in [`write`].
//!
//! Every figure is taken in one run, in rounds: in each the committed baseline (the default
//! `aws-sdk-s3` client, no file system) and every variant of the mount read the same
//! synthetic objects from the same embedded server. What is claimed are ratios within a
//! round; bare times depend on the machine and on who else is using it.
//!
//! The server, the baseline and the reader of the mount are processes of their own (this
//! program again), so that the CPU time and the memory of each are known apart.

mod baseline;
mod cached;
mod case;
mod job;
mod measure;
mod mounted;
mod options;
mod proc;
mod program;
mod reader;
mod report;
mod server;
mod table;
mod write;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use tokio::runtime;

use job::Job;
use options::{Options, USAGE};

/// The word that makes this program one of the processes of a bench.
const CHILD: &str = "child";

/// Runs what comes after `xtask bench`.
pub(crate) fn run(words: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let mut words = words.peekable();
    match words.next().as_ref().and_then(|word| word.to_str()) {
        Some("read") => {}
        Some("cached") => return cached::run(words),
        Some("write") => return write::run(words),
        Some(CHILD) => return child(words.next()),
        _ => bail!("{USAGE}\n{}\n{}", cached::USAGE, write::USAGE),
    }
    let Some(options) = Options::parse(words)? else {
        print!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    until_interrupted(measure::all(&options))
}

/// Does it, unless Ctrl-C comes first.
fn until_interrupted(run: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            done = run => done,
            // Guards unmount and end the children when the future is dropped.
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        }
    })
}

fn child(job: Option<OsString>) -> Result<ExitCode> {
    let job = job.context("a child needs a job")?;
    let job: Job = serde_json::from_slice(job.as_encoded_bytes()).context("a child's job")?;
    job.carry_out()?;
    Ok(ExitCode::SUCCESS)
}
