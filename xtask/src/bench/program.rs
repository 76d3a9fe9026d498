//! The program that is measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Puts `given`, or else what is built from these sources, aside into `stage`: a build that
/// begins later does not change it.
pub(super) fn program(given: Option<&Path>, stage: &Path) -> Result<PathBuf> {
    let source = match given {
        Some(given) => given.to_owned(),
        None => build()?,
    };
    let program = stage.join("mount-s3");
    fs::copy(&source, &program).with_context(|| source.display().to_string())?;
    Ok(program)
}

fn build() -> Result<PathBuf> {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    let built = Command::new(cargo)
        .args(["build", "--release", "--package", "mount", "--bin", "mount-s3"])
        .current_dir(workspace)
        .status()?;
    ensure!(built.success(), "mount-s3 does not build");
    // This program comes from the same build directory and profile.
    Ok(std::env::current_exe()?.with_file_name("mount-s3"))
}
