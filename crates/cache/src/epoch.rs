//! Since when the node has not lost power.
//!
//! Within one epoch whatever one process wrote, every other one reads, whether it reached the
//! disk or not. A new epoch begins with a boot that nobody shut down cleanly for: then the disk
//! may have kept a record and lost the block it speaks of.

mod codec;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};

use rustix::fs::{FlockOperation, flock, syncfs};
use sha2::{Digest, Sha256};

use crate::directory::Directory;
use crate::lock;
use codec::{LENGTH, State};

const LOCK: Range<u64> = 0..LENGTH as u64;

/// The epoch in which this process uses a directory.
#[derive(Debug)]
pub struct Epoch {
    number: u64,
    boot: String,
    file: File,
}

impl Epoch {
    /// Begins to use `directory`. `boot` names the running boot of the node
    /// (`/proc/sys/kernel/random/boot_id`). Disk IO.
    ///
    /// # Errors
    /// Of the disk.
    pub fn enter(directory: &Directory, boot: &str) -> io::Result<Self> {
        let file = directory.file("epoch")?;
        lock::lock(&file, LOCK)?;
        let mut bytes = [0; LENGTH];
        let read = file.read_at(&mut bytes, 0)?;
        let found = State::decode(bytes.get(..read).unwrap_or_default());
        let number = match &found {
            Some(state) if state.boot == boot || state.clean => state.number,
            Some(state) => state.number.wrapping_add(1),
            None => unheard_of(&file, boot, &bytes)?,
        };
        let now = State { boot: boot.to_owned(), number, clean: false };
        if found.as_ref() != Some(&now) {
            file.write_all_at(&now.encode(), 0)?;
            file.set_len(LENGTH as u64)?;
            file.sync_all()?;
        }
        lock::unlock(&file, LOCK)?;
        Ok(Self { number, boot: boot.to_owned(), file })
    }

    /// Which one it is. Numbers are compared for being equal only.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Ceases to use the directory. Whoever is the last brings everything to the disk and notes
    /// that the end was clean; answers whether that was this process. Disk IO, and it may take
    /// long.
    ///
    /// # Errors
    /// Of the disk; then the end was not clean.
    pub fn leave(&self, directory: &Directory) -> io::Result<bool> {
        // Twice, so that nobody waits for the lock while the bulk is written.
        syncfs(directory.as_fd())?;
        lock::lock(&self.file, LOCK)?;
        let last = flock(directory.as_fd(), FlockOperation::NonBlockingLockExclusive).is_ok();
        let ended = match last {
            true => self.end(directory),
            false => Ok(()),
        };
        // Whoever comes next need not wait for the end of this process.
        flock(directory.as_fd(), FlockOperation::Unlock)?;
        lock::unlock(&self.file, LOCK)?;
        ended.map(|()| last)
    }

    fn end(&self, directory: &Directory) -> io::Result<()> {
        syncfs(directory.as_fd())?;
        let state = State { boot: self.boot.clone(), number: self.number, clean: true };
        self.file.write_all_at(&state.encode(), 0)?;
        self.file.sync_all()
    }
}

/// A number that no map has: the file that would tell the last one is missing or torn.
fn unheard_of(file: &File, boot: &str, bytes: &[u8]) -> io::Result<u64> {
    let meta = file.metadata()?;
    let mut hash = Sha256::new();
    hash.update(boot);
    hash.update(bytes);
    hash.update(meta.ino().to_le_bytes());
    hash.update(meta.ctime().to_le_bytes());
    hash.update(meta.ctime_nsec().to_le_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    Ok(hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests;
