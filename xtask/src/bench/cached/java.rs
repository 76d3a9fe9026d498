//! A JVM that starts with many JARs on its class path.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::visit::Spent;
use crate::bench::proc;

/// What the program says.
const GREETING: &str = "started";
const SOURCE: &str = "public class Main {
    public static void main(String[] words) { System.out.println(\"started\"); }
}
";

/// Starts Java once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Java {
    /// Every JAR in it is on the class path.
    pub(super) jars: PathBuf,
    /// The directory of the program: last on the class path, so that it is looked for in every
    /// JAR first.
    pub(super) program: PathBuf,
}

impl Java {
    /// The CPU time is that of Java, in steps of 10 ms.
    pub(crate) fn carry_out(self) -> Result<Spent> {
        let mut path = OsString::new();
        for jar in jars(&self.jars)? {
            path.push(jar);
            path.push(":");
        }
        path.push(&self.program);
        let (began, before) = (Instant::now(), proc::own_cpu()?);
        let output = Command::new("java").arg("-cp").arg(path).arg("Main").output()?;
        let seconds = began.elapsed().as_secs_f64();
        ensure!(
            output.status.success() && output.stdout.starts_with(GREETING.as_bytes()),
            "java: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        // What ended and was waited for is counted in.
        Ok(Spent { seconds, cpu_seconds: proc::own_cpu()?.since(before).total() })
    }
}

/// The JAR files of a directory, in the order of their names.
pub(super) fn jars(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let mut jars = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    jars.retain(|path| path.extension().is_some_and(|extension| extension == "jar"));
    jars.sort();
    Ok(jars)
}

/// Compiles the program into `directory`.
pub(super) fn compile(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    let source = directory.join("Main.java");
    fs::write(&source, SOURCE)?;
    let compiled = Command::new("javac").arg("-d").arg(directory).arg(&source).status();
    ensure!(compiled.context("no javac")?.success(), "javac failed");
    Ok(())
}
