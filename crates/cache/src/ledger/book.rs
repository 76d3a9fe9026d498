//! The ledger's file: locks around it, reading and writing it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::PoisonError;
use std::time::Duration;

use super::page::{Moment, Page};
use super::record::{FILE_LEN, HEADER_USED, Header, SLOTS};
use crate::lock;
use crate::schedule::{Mutex, give_way, pause, step};

/// Locks lie far behind the file's bytes, so that they say nothing about reading it.
const HEADER_LOCK: u64 = 1 << 40;
const WALK_LOCK: u64 = HEADER_LOCK + 1;
const SLOT_LOCKS: u64 = 1 << 41;

/// How often the header's lock is tried again at once, and then after a pause. Who holds it does
/// so for some 50 µs; but with hundreds of processes on two cores its turn may come a second
/// later. Only a stopped process makes others come to the end of this, after 2 s.
const TRIES_AT_ONCE: u32 = 16;
const TRIES_LATER: u32 = 4000;
/// At the start nobody waits to read.
const TRIES_AT_START: u32 = 5 * TRIES_LATER;
/// Who comes while it is stopped does not wait as long again.
const TRIES_WHEN_BUSY: u32 = 4;
const PAUSE: Duration = Duration::from_micros(500);

/// Why the ledger cannot be used just now.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Its file cannot be read or written.
    #[error("the ledger cannot be used: {0}")]
    Io(#[from] io::Error),
    /// Another process holds it for long; it may have been stopped.
    #[error("the ledger is held by another process")]
    Busy,
    /// More processes share the directory than the ledger has room for.
    #[error("more than {SLOTS} processes share the cache")]
    Crowded,
    /// Its file was deleted, and perhaps the directory with it.
    #[error("the ledger was deleted")]
    Gone,
}

/// An open ledger file. Each process, and each open of a test, has its own file description:
/// that is what the locks belong to.
pub(super) struct Book {
    file: File,
    /// What stands in for a header that is damaged.
    instead: Header,
    /// Locks of one description do not exclude each other: within the process this one does.
    /// True when the last visit had to give up waiting: the next one waits less.
    alone: Mutex<bool>,
}

impl Book {
    /// A ledger in `file`. A damaged header is replaced by `instead`.
    pub(super) fn new(file: File, instead: Header) -> Self {
        Self { file, instead, alone: Mutex::default() }
    }

    /// Shows `change` the ledger under its lock and writes down what was changed: the header
    /// first, since every change that empties a slot fills the header; of a death in between,
    /// too much is counted and not too little.
    pub(super) fn visit<R>(&self, change: impl FnOnce(&mut Page) -> R) -> Result<R, LedgerError> {
        self.visit_within(TRIES_LATER, |page, _| change(page))
    }

    /// The first visit. `change` is also told whether the header was damaged or missing.
    pub(super) fn first_visit<R>(
        &self,
        change: impl FnOnce(&mut Page, bool) -> R,
    ) -> Result<R, LedgerError> {
        self.visit_within(TRIES_AT_START, change)
    }

    fn visit_within<R>(
        &self,
        tries: u32,
        change: impl FnOnce(&mut Page, bool) -> R,
    ) -> Result<R, LedgerError> {
        let mut was_busy = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = if *was_busy { TRIES_WHEN_BUSY } else { tries };
        *was_busy = !self.lock_header(TRIES_AT_ONCE + tries)?;
        if *was_busy {
            return Err(LedgerError::Busy);
        }
        let done = self.change(change);
        lock::unlock(&self.file, byte(HEADER_LOCK))?;
        Ok(done?)
    }

    fn change<R>(&self, change: impl FnOnce(&mut Page, bool) -> R) -> io::Result<R> {
        step();
        let mut bytes = [0; FILE_LEN];
        // A shorter file reads as a damaged one.
        let mut read = 0;
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, read as u64)? {
                0 => break,
                some => read += some,
            }
        }
        let (mut page, damaged) = Page::decode(&bytes, self.instead);
        let before = page.clone();
        let answer = change(&mut page, damaged);
        if read < FILE_LEN {
            self.file.set_len(FILE_LEN as u64)?;
        }
        if damaged || page.header != before.header {
            step();
            self.file.write_all_at(&page.header.encode(), 0)?;
        }
        for (at, slot) in page.changed_slots(&before) {
            step();
            self.file.write_all_at(&slot, at)?;
        }
        Ok(answer)
    }

    /// No event tells when a file's lock becomes free to one who must not wait for it without end.
    fn lock_header(&self, tries: u32) -> io::Result<bool> {
        for attempt in 0..=tries {
            if lock::try_lock(&self.file, byte(HEADER_LOCK))? {
                return Ok(true);
            }
            match attempt {
                0..TRIES_AT_ONCE => give_way(),
                _ => pause(PAUSE),
            }
        }
        Ok(false)
    }

    /// The header as it is, read without the lock: none when it is damaged or half written.
    pub(super) fn peek(&self) -> Option<Header> {
        step();
        let mut bytes = [0; HEADER_USED];
        self.file.read_exact_at(&mut bytes, 0).ok()?;
        Header::decode(&bytes)
    }

    /// How far walks are, if that can be told.
    pub(super) fn moment(&self) -> Option<Moment> {
        self.peek().map(|header| header.moment())
    }

    /// Whether the file has been deleted.
    pub(super) fn is_gone(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.nlink() == 0)
    }

    /// Takes a slot that no living process has, for as long as this book is open, and folds what
    /// a dead one left in it. To be called during a visit.
    pub(super) fn claim(&self, page: &mut Page) -> io::Result<Option<usize>> {
        // Not the first one: many processes that start together would all try the same.
        let first = fastrand::usize(..SLOTS);
        for index in (first..SLOTS).chain(0..first) {
            if lock::try_lock(&self.file, byte(slot_lock(index)))? {
                if page.busy_slots().any(|busy| busy == index) {
                    page.fold(index);
                }
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// Folds the slots of dead processes into the count. `own` is this process's slot, which is
    /// never mistaken for one: the lock's own description does not see it.
    pub(super) fn fold_dead(&self, page: &mut Page, own: Option<usize>) -> io::Result<()> {
        let busy: Vec<usize> = page.busy_slots().filter(|index| Some(*index) != own).collect();
        for index in busy {
            if lock::held(&self.file, byte(slot_lock(index)))?.is_none() {
                page.fold(index);
            }
        }
        Ok(())
    }

    /// Makes this process the one that walks, unless another one is.
    pub(super) fn claim_walk(&self) -> io::Result<bool> {
        lock::try_lock(&self.file, byte(WALK_LOCK))
    }

    /// Lets others walk.
    pub(super) fn release_walk(&self) -> io::Result<()> {
        lock::unlock(&self.file, byte(WALK_LOCK))
    }
}

fn byte(at: u64) -> Range<u64> {
    at..at + 1
}

fn slot_lock(index: usize) -> u64 {
    SLOT_LOCKS + index as u64
}
