//! `mount-s3 lab`: the embedded S3 server as a program.

use std::process::ExitCode;

use ::lab::Options;

use crate::message::Problem;

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// The server cannot be started.
pub fn run(options: Options) -> Result<ExitCode, Problem> {
    let problem = |why: String| Problem {
        what: "the S3 server cannot run".into(),
        why,
        fix: "mount-s3 lab --help".into(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| problem(error.to_string()))?;
    runtime.block_on(::lab::serve(options)).map_err(|error| problem(error.to_string()))?;
    Ok(ExitCode::SUCCESS)
}
