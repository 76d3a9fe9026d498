//! Looking at a path from a child process, so that a hung mount costs a deadline and not us.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use rustix::io::Errno;

use crate::roles::{Assignment, Deadline, start};

/// How long a path may take to answer. A served mount answers from memory; a machine under load
/// may need a while to start a process.
const PATIENCE: Duration = Duration::from_secs(4);

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A directory that answers.
    Directory,
    /// Something else.
    File,
    /// Nothing.
    Missing,
    /// A mount that nobody serves any more (ENOTCONN, or ECONNABORTED after an abort).
    Dead,
    /// No answer in time: whoever serves it hangs.
    Silent,
    /// It cannot be looked at.
    Error(String),
}

/// What a child found out about a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The path without symbolic links where they could be followed, else as it was given.
    pub path: PathBuf,
    /// What is there.
    pub finding: Finding,
}

/// Asks a child process about `path`, which must be absolute.
///
/// # Errors
/// The child cannot be started.
pub fn ask(path: &Path) -> io::Result<Probe> {
    let mut child = start(&Assignment::Probe, "mount-s3", [path.as_os_str().to_owned()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut said = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        read_until(stdout, &mut said, Deadline::after(PATIENCE))?;
    }
    let probe = understand(path, &said);
    // A child that still looks at a hung path is killed; FUSE lets go of killed waiters, and
    // should the kernel not, nobody waits for it here.
    let _ = child.kill();
    let _ = child.try_wait();
    Ok(probe)
}

/// Reads to the end of `pipe`, or to the deadline.
fn read_until(
    mut pipe: impl Read + AsFd,
    said: &mut Vec<u8>,
    deadline: Deadline,
) -> io::Result<()> {
    let mut buffer = [0; 4_096];
    while deadline.readable(&[&pipe.as_fd()])? {
        match pipe.read(&mut buffer)? {
            0 => return Ok(()),
            length => said.extend_from_slice(buffer.get(..length).unwrap_or_default()),
        }
    }
    Ok(())
}

/// What the child said: the resolved path, a NUL, and then what is there.
fn understand(asked: &Path, said: &[u8]) -> Probe {
    let mut parts = said.splitn(2, |byte| *byte == 0);
    let path = match parts.next() {
        Some(path) if !path.is_empty() => PathBuf::from(OsString::from_vec(path.to_vec())),
        _ => asked.components().collect(),
    };
    let finding = match parts.next() {
        None | Some([]) => Finding::Silent,
        Some(b"directory") => Finding::Directory,
        Some(b"file") => Finding::File,
        Some(b"missing") => Finding::Missing,
        Some(b"dead") => Finding::Dead,
        Some(other) => Finding::Error(String::from_utf8_lossy(other).into_owned()),
    };
    Probe { path, finding }
}

/// The child's part: looks at the path in `words` and says on standard output what it finds.
pub(crate) fn answer(words: Vec<OsString>) -> ExitCode {
    let Some(path) = words.into_iter().next().map(PathBuf::from) else {
        return ExitCode::FAILURE;
    };
    match tell(&path, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn tell(path: &Path, out: &mut impl Write) -> io::Result<()> {
    // What is known is said before the next step, which may never end.
    let resolved = fs::canonicalize(path).or_else(|error| match above(path) {
        // The path itself is what fails: a dead mount, or nothing.
        Some(parent) if error.raw_os_error().is_some() => parent,
        _ => Err(error),
    });
    let shown = resolved.as_deref().unwrap_or(path);
    out.write_all(shown.as_os_str().as_bytes())?;
    out.write_all(&[0])?;
    out.flush()?;
    out.write_all(finding(shown).as_bytes())?;
    out.flush()
}

/// `path` with everything above its last name resolved.
fn above(path: &Path) -> Option<io::Result<PathBuf>> {
    let name = path.file_name()?;
    Some(fs::canonicalize(path.parent()?).map(|parent| parent.join(name)))
}

fn finding(path: &Path) -> String {
    let found = fs::metadata(path).and_then(|metadata| {
        // Attributes may come from the kernel's memory; these are always asked for.
        rustix::fs::statvfs(path)?;
        Ok(metadata)
    });
    match found {
        Ok(metadata) if metadata.is_dir() => "directory".into(),
        Ok(_) => "file".into(),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NOTCONN | Errno::CONNABORTED) => "dead".into(),
            Some(Errno::NOENT | Errno::NOTDIR) => "missing".into(),
            _ => error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests;
