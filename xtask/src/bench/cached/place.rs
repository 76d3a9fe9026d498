//! Where the same files are: beside the cache, and in two mounts.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;

use crate::bench::mounted::Mounted;

/// Where root's mounts listen.
const SOCKETS: &str = "/run/mount-s3";
/// How long a daemon may take to tell its counters.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Kind {
    /// Plain files on the cache's file system.
    Plain,
    /// A mount where the kernel reads complete files by itself.
    Passthrough,
    /// A mount that must not ask the kernel for that.
    Masked,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) kind: Kind,
    pub(super) root: PathBuf,
    pub(super) mounted: Option<Mounted>,
}

impl Place {
    /// READ requests that the daemon has counted; nothing where there is no daemon, or one that
    /// does not tell.
    pub(super) fn reads(&self) -> Result<Option<u64>> {
        match &self.mounted {
            Some(_) => ask(&self.root).context("the mount does not tell what it counted"),
            None => Ok(None),
        }
    }

    /// Bytes that the mount's processes have written, answers to the kernel included. An answer
    /// to a READ with data is at least a page.
    pub(super) fn written(&self) -> Result<u64> {
        let Some(mounted) = &self.mounted else { return Ok(0) };
        let mut sum = 0;
        for process in mounted.family()?.members {
            let io = fs::read_to_string(format!("/proc/{process}/io"))?;
            let line = io.lines().find_map(|line| line.strip_prefix("wchar: "));
            sum += line.context("no wchar in /proc/PID/io")?.parse::<u64>()?;
        }
        Ok(sum)
    }

    /// CPU time of the mount's threads.
    pub(super) fn cpu(&self) -> Result<Threads> {
        let Some(mounted) = &self.mounted else { return Ok(Threads::default()) };
        Threads::of(&mounted.family()?.members)
    }
}

/// Asks the daemon of the mount at `root`: its socket is named after the mount's device.
fn ask(root: &Path) -> Result<Option<u64>> {
    let device = rustix::fs::minor(fs::metadata(root)?.dev());
    let socket = format!("{SOCKETS}/{device}.sock");
    let mut stream = match UnixStream::connect(&socket) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        stream => stream.context(socket)?,
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"{\"ask\":\"status\"}\n")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let status: Value = serde_json::from_str(&line)?;
    let reads = status.pointer("/savings/opens/reads").and_then(Value::as_u64);
    Ok(Some(reads.context("a status without counters")?))
}

/// Time on a CPU by thread, nanoseconds. `/proc/PID/stat` would have it in steps of 10 ms, more
/// than a mount uses when the kernel reads by itself.
#[derive(Debug, Default)]
pub(super) struct Threads(BTreeMap<u32, u64>);

impl Threads {
    fn of(processes: &[u32]) -> Result<Self> {
        let mut threads = BTreeMap::new();
        for process in processes {
            for entry in fs::read_dir(format!("/proc/{process}/task"))? {
                let entry = entry?;
                // A thread may end between the listing and the look.
                let Ok(line) = fs::read_to_string(entry.path().join("schedstat")) else { continue };
                let thread = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
                let spent = line.split(' ').next().and_then(|spent| spent.parse::<u64>().ok());
                threads.extend(thread.zip(spent));
            }
        }
        Ok(Self(threads))
    }

    /// Seconds since an earlier moment. Of threads that ended since then nothing is known.
    pub(super) fn since(&self, earlier: &Self) -> f64 {
        let spent = self.0.iter().map(|(thread, now)| {
            now.saturating_sub(earlier.0.get(thread).copied().unwrap_or_default())
        });
        spent.sum::<u64>() as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::Threads;

    #[test]
    fn time_of_threads_is_that_since_the_earlier_moment_and_of_new_threads_all() {
        let earlier = Threads([(1, 500), (2, 10)].into());
        let now = Threads([(1, 1500), (3, 1_000_000)].into());
        assert!((now.since(&earlier) - 0.001_001).abs() < 1e-9);
    }
}
