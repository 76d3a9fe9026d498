//! The writer of the mount: `dd`, or threads that write one small file after another.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::bench::case::Objects;

/// Where the bytes come from.
pub(super) const SOURCE: &str = "/dev/zero";
/// Length of one write(2) of `dd`, bytes.
const BLOCK: u64 = 1 << 20;

/// Writes every file of a directory once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Write {
    /// The root of the mount.
    pub(super) root: PathBuf,
    pub(super) objects: Objects,
    pub(super) threads: u64,
}

impl Write {
    /// Seconds and bytes. The directory is made before the clock starts.
    pub(crate) fn carry_out(self) -> Result<(f64, u64)> {
        fs::create_dir_all(self.root.join(&self.objects.prefix))?;
        let keys = self.objects.keys();
        let next = AtomicUsize::new(0);
        let began = Instant::now();
        let one = || -> Result<()> {
            while let Some(key) = keys.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.write(&self.root.join(key)).with_context(|| key.clone())?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let writers: Vec<_> = (0..self.threads).map(|_| scope.spawn(one)).collect();
            writers.into_iter().try_for_each(|writer| match writer.join() {
                Ok(end) => end,
                Err(_) => bail!("a writer panicked"),
            })
        })?;
        Ok((began.elapsed().as_secs_f64(), self.objects.bytes()))
    }

    fn write(&self, path: &Path) -> Result<()> {
        let size = self.objects.size;
        if !size.is_multiple_of(BLOCK) {
            // What close(2) says is lost here, and found out when the objects are looked at.
            return Ok(File::create_new(path)?.write_all(&vec![0; usize::try_from(size)?])?);
        }
        let mut dd = Command::new("dd");
        dd.arg(format!("if={SOURCE}")).arg("bs=1M").arg(format!("count={}", size / BLOCK));
        let mut to = std::ffi::OsString::from("of=");
        to.push(path);
        let ended = dd.arg(to).arg("status=none").status()?;
        ensure!(ended.success(), "dd ended with {ended}");
        Ok(())
    }
}
