//! Repository chores.
#![deny(unsafe_code)]

mod bench;
#[cfg(test)]
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "Usage: cargo xtask bench read|cached|write [OPTIONS]";

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let done = match words.next().as_ref().and_then(|word| word.to_str()) {
        Some("bench") => bench::run(words),
        _ => Err(anyhow::anyhow!(USAGE)),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
