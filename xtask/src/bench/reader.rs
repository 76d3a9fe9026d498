//! The reader of the mount: what `cat` does, in as many threads as there are streams.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use lab::synthetic;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::case::{Objects, VERSION};

/// Length of one read(2), bytes: that of `cat` and `cp`.
const BUFFER: usize = 128 << 10;
/// Bytes compared at the start of every buffer; see the baseline.
const CHECKED: usize = 64;

/// Reads every file of a directory once.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Read {
    /// The root of the mount.
    pub(super) root: PathBuf,
    pub(super) objects: Objects,
    pub(super) threads: u64,
    /// List the directory and look at every file before the clock starts.
    pub(super) list_first: bool,
}

impl Read {
    /// Seconds and bytes.
    pub(super) fn carry_out(self) -> Result<(f64, u64)> {
        if self.list_first {
            let seen = list(&self.root.join(&self.objects.prefix))?;
            ensure!(seen == self.objects.count, "{seen} files listed for {}", self.objects.count);
        }
        let keys = self.objects.keys();
        let next = AtomicUsize::new(0);
        let began = Instant::now();
        let one = || -> Result<()> {
            let mut buffer = vec![0; BUFFER];
            while let Some(key) = keys.get(next.fetch_add(1, Ordering::Relaxed)) {
                let length = read(&self.root, key, &mut buffer)?;
                ensure!(length == self.objects.size, "{key}: {length} bytes read");
            }
            Ok(())
        };
        thread::scope(|scope| {
            let readers: Vec<_> = (0..self.threads).map(|_| scope.spawn(one)).collect();
            readers.into_iter().try_for_each(|reader| match reader.join() {
                Ok(end) => end,
                Err(_) => bail!("a reader panicked"),
            })
        })?;
        Ok((began.elapsed().as_secs_f64(), self.objects.bytes()))
    }
}

/// Lists and stats like `ls -l`; answers how many files there are.
fn list(directory: &Path) -> Result<u64> {
    let mut count = 0;
    for entry in fs::read_dir(directory)? {
        entry?.metadata()?;
        count += 1;
    }
    Ok(count)
}

fn read(root: &Path, key: &str, buffer: &mut [u8]) -> Result<u64> {
    let mut file = File::open(root.join(key)).with_context(|| format!("open {key}"))?;
    let mut offset = 0;
    loop {
        let length = file.read(buffer).with_context(|| format!("read {key} at {offset}"))?;
        let Some(bytes) = buffer.get(..length.min(CHECKED)).filter(|bytes| !bytes.is_empty())
        else {
            return Ok(offset);
        };
        synthetic::check(key, VERSION, offset, bytes)
            .map_err(|wrong| anyhow::anyhow!("{key}: wrong byte at {}", wrong.offset))?;
        offset += length as u64;
    }
}
