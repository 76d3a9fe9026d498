//! Files that are open in the kernel: once they are unlinked their space is still taken, and no
//! `du` shows it.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::Ledger;
use super::charge::pages;
use crate::lock;

/// Who holds a data file open for the kernel says so by a shared lock on this byte of it.
const HELD_LOCK: u64 = 1 << 40;

/// Marks `data` as open for as long as its file description is, which the kernel keeps while it
/// passes reads through to it.
///
/// # Errors
/// What fcntl said.
pub(super) fn mark(data: &File) -> io::Result<()> {
    let record = libc::flock {
        l_type: i16::try_from(libc::F_RDLCK).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: i64::try_from(HELD_LOCK).unwrap_or(i64::MAX),
        l_len: 1,
        l_pid: 0,
    };
    match fcntl(data, FcntlArg::F_OFD_SETLK(&record)) {
        Ok(_) | Err(Errno::EAGAIN | Errno::EACCES) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether any process holds the data file open for the kernel: evicting it frees nothing yet.
pub(crate) fn is_held(data: impl AsFd) -> bool {
    matches!(lock::held(data, HELD_LOCK..HELD_LOCK + 1), Ok(Some(_)))
}

/// A data file that is held open. Its space counts against the limit until this is dropped, even
/// after it was evicted.
pub struct Held {
    pub(super) ledger: Arc<Ledger>,
    pub(super) number: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.ledger.let_go(self.number);
    }
}

/// One file of the table that a ledger keeps of them.
pub(super) struct HeldFile {
    file: Arc<File>,
    /// What it still takes after it was unlinked, in bytes; 0 while it is linked.
    unlinked: u64,
}

impl HeldFile {
    pub(super) fn new(file: Arc<File>) -> Self {
        Self { file, unlinked: 0 }
    }

    /// What counts for it, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.unlinked
    }

    /// Looks whether it has been unlinked.
    pub(super) fn look(&mut self) {
        if self.unlinked == 0
            && let Ok(stat) = self.file.metadata()
            && stat.nlink() == 0
        {
            self.unlinked = pages(stat.blocks().saturating_mul(512));
        }
    }
}
