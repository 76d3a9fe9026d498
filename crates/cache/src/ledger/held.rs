//! Files that are open in the kernel: once they are unlinked their space is still taken, and no
//! `du` shows it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use super::Ledger;
use super::charge::pages;
use crate::lock;
use crate::schedule::step;

/// Who holds a data file open says so by a shared lock on this byte of it.
const MARK: Range<u64> = 1 << 40..(1 << 40) + 1;

/// Marks `data` as open until [`unmark`], and no longer than its file description is, which the
/// kernel keeps while it passes reads through to it.
///
/// # Errors
/// What fcntl said.
pub(crate) fn mark(data: &File) -> io::Result<()> {
    lock::try_share(data, MARK).map(drop)
}

/// Takes the mark of this file description back.
///
/// # Errors
/// What fcntl said.
pub(crate) fn unmark(data: &File) -> io::Result<()> {
    lock::unlock(data, MARK)
}

/// Whether any process holds the data file open: evicting it frees nothing yet.
pub(crate) fn is_held(data: impl AsFd) -> bool {
    matches!(lock::held(data, MARK), Ok(Some(_)))
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
        step();
        if self.unlinked == 0
            && let Ok(stat) = self.file.metadata()
            && stat.nlink() == 0
        {
            self.unlinked = pages(stat.blocks().saturating_mul(512));
        }
    }
}
