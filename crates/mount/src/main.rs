//! The `mount-s3` command.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use mount::flags::Environment;

fn main() -> ExitCode {
    // The one place that reads the environment.
    #[allow(clippy::disallowed_methods)]
    let environment = Environment::from_lookup(|name| std::env::var(name).ok());
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    mount::run(std::env::args_os().skip(1).collect(), &environment, here)
}
