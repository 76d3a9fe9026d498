//! The `mount-s3` command.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use mount::flags::Environment;

fn main() -> ExitCode {
    // The one place that reads the environment.
    #[allow(clippy::disallowed_methods)]
    let environment = Environment::from_lookup(|name| std::env::var(name).ok());
    // It may have been deleted: then only absolute paths mean something.
    let here = std::env::current_dir().ok();
    mount::run(std::env::args_os().skip(1).collect(), &environment, here.as_deref())
}
