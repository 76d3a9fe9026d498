//! How much of the disk is used, counted by all processes together.
//!
//! A [`Ledger`] is one process's part in it. Space is reserved before anything is written, so that
//! the files below our directory never take more than the [`Limit`] allows, as `du` counts them.
//! Each process takes slabs out of the shared count and hands them out without asking anybody; a
//! slab is held by a lock that dies with its process. A dead process's slab counts as used until a
//! walk over the files has found what is really there. The count is never less than what is used;
//! a damaged ledger is taken for a full one until it has been counted anew.

mod book;
mod charge;
mod held;
mod limit;
mod measure;
mod page;
mod place;
mod record;
mod walk;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use object::Time;
use rustix::fs::{OFlags, fstatvfs};

use crate::beneath;
use crate::schedule::{AtomicBool, Mutex, MutexGuard};

pub use self::book::LedgerError;
pub use self::charge::{footprint, overhead};
pub use self::held::Held;
pub use self::limit::{Bound, KEEP_FREE_PERCENT, Limit};
pub use self::place::Place;

pub(crate) use self::charge::pages;
pub(crate) use self::held::{is_held, mark, unmark};
pub(crate) use self::measure::pair_charge;

use self::book::Book;
use self::held::HeldFile;
use self::page::{Moment, Page, Written};
use self::record::Header;

/// The file's name in our directory.
pub(crate) const FILE: &str = "ledger";

/// When a ledger is missing or damaged and there are no more files than this, they are counted at
/// once; otherwise by a walk, beside everything else.
const COUNTED_AT_ONCE: u64 = 2000;

/// How often a process looks for slabs that dead ones left behind, and then walks over all files:
/// no more often, however often that happens.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// A process's part in the shared count. All calls may come from any thread. Only
/// [`Ledger::reserve`] is called often, and goes to the disk once for a slab.
pub struct Ledger {
    book: Book,
    /// Our directory.
    ours: OwnedFd,
    bound: Bound,
    slot: usize,
    local: Mutex<Local>,
    /// Whether a walk runs in this process, and what ends it when the ledger is dropped.
    walking: AtomicBool,
    walker: Mutex<Option<Sender<()>>>,
}

/// What this process holds; its slot says the sum of all of it. Sizes are in bytes.
#[derive(Default)]
struct Local {
    /// Of slabs, what is not handed out.
    slab: u64,
    /// Handed out in reservations.
    out: u64,
    /// Written, and not yet in the shared count.
    written: Written,
    held: BTreeMap<u64, HeldFile>,
    held_ever: u64,
    /// Whether anything was reserved since [`Ledger::tend`] last looked.
    in_use: bool,
    /// When slabs of dead processes are looked for again.
    look_not_before: Time,
}

impl Local {
    fn sum(&self) -> u64 {
        let written: u64 = self.written.values().sum();
        let held: u64 = self.held.values().map(HeldFile::bytes).sum();
        self.slab.saturating_add(self.out).saturating_add(written).saturating_add(held)
    }
}

/// Why nothing was reserved.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no room; so many bytes have to be evicted first.
    #[error("{missing} bytes are missing")]
    Full {
        /// In bytes.
        missing: u64,
    },
    /// The ledger cannot be used.
    #[error(transparent)]
    Unusable(#[from] LedgerError),
}

/// What the ledger says, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// What counts against a limit: files, directories, and what is reserved.
    pub used: u64,
    /// What processes have reserved and not yet written.
    pub reserved: u64,
    /// How much of `used` may not exist: a walk over the files will tell.
    pub doubt: u64,
    /// When the files were last walked over, in seconds since the Unix epoch; 0 for never.
    pub reconciled: u64,
}

impl From<&Page> for Usage {
    fn from(page: &Page) -> Self {
        Self {
            used: page.used(),
            reserved: page.reserved(),
            doubt: page.header.doubt,
            reconciled: page.header.reconciled,
        }
    }
}

impl Ledger {
    /// Takes part in the count of `ours`, our directory, in the cache's `epoch`. A ledger of
    /// another epoch may lag behind the disk and is counted anew, like a damaged one.
    ///
    /// # Errors
    /// The file cannot be made or used, or too many processes share it.
    pub fn open(ours: impl AsFd, limit: Limit, epoch: u64) -> Result<Arc<Self>, LedgerError> {
        let ours = ours.as_fd().try_clone_to_owned().map_err(LedgerError::Io)?;
        let bound = limit.bound(disk_size(&ours)?);
        // As if full: what is evicted makes room.
        let settled = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        let full = settled(bound.bytes.unwrap_or(0));
        let full = Header { epoch, settled: full, ..Header::default() };
        let book = Book::new(open_file(&ours, OFlags::RDWR | OFlags::CREATE)?, full);
        let slot = book.first_visit(|page, damaged| {
            if damaged || page.header.epoch != epoch {
                book.fold_dead(page, None)?;
                let counted = measure::measure_small(&ours, COUNTED_AT_ONCE)?;
                page.header = Header { settled: counted.map_or(full.settled, settled), ..full };
            }
            book.claim(page)
        })??;
        Ok(Arc::new(Self {
            slot: slot.ok_or(LedgerError::Crowded)?,
            book,
            ours,
            bound,
            local: Mutex::default(),
            walking: AtomicBool::new(false),
            walker: Mutex::default(),
        }))
    }

    /// What the limit means on this file system.
    pub fn bound(&self) -> Bound {
        self.bound
    }

    /// What all processes use.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn usage(&self) -> Result<Usage, LedgerError> {
        self.book.visit(|page| Usage::from(&*page))
    }

    /// Reserves `bytes` (in whole 4 KiB). Never waits for an eviction.
    ///
    /// # Errors
    /// There is no room, or the ledger cannot be used.
    pub fn reserve(&self, bytes: u64) -> Result<(), Refusal> {
        let bytes = pages(bytes);
        let mut local = self.local();
        if local.slab < bytes {
            self.refill(&mut local, bytes)?;
        }
        local.slab = local.slab.saturating_sub(bytes);
        local.out = local.out.saturating_add(bytes);
        local.in_use = true;
        Ok(())
    }

    /// Of `reserved` bytes that were reserved, `used` were written to files in `place`; the rest
    /// can be reserved again.
    pub fn settle(&self, place: Place, reserved: u64, used: u64) {
        let mut local = self.local();
        // Never more than there is: it may have been reserved from a ledger that was deleted.
        let (reserved, used) = (pages(reserved).min(local.out), pages(used));
        local.out -= reserved;
        local.slab = local.slab.saturating_add(reserved.saturating_sub(used));
        if used > 0 {
            let written = local.written.entry(place).or_default();
            *written = written.saturating_add(used);
        }
    }

    /// To be called before files in `place` are unlinked, so that a walk that goes on meanwhile
    /// is not led astray.
    pub fn freeing(&self, place: Place) -> Freeing<'_> {
        Freeing::new(&self.book, place)
    }

    /// A data file is open for the kernel. Its space goes on to count after it was evicted, until
    /// the answer is dropped; and as long as its file description is open, evictions of all
    /// processes pass it by.
    ///
    /// # Errors
    /// It cannot be locked.
    pub fn hold(self: &Arc<Self>, data: Arc<File>) -> io::Result<Held> {
        held::mark(&data)?;
        let mut local = self.local();
        let number = local.held_ever;
        local.held_ever += 1;
        local.held.insert(number, HeldFile::new(data));
        Ok(Held { ledger: Arc::clone(self), number })
    }

    fn let_go(&self, number: u64) {
        // What it counted for leaves the slot with the next visit.
        self.local().held.remove(&number);
    }

    /// What has to be done from time to time, about every 2 s: brings what was written into the
    /// shared count, gives back a slab that is not in use, notices open files that were evicted,
    /// and begins a walk when one is due.
    ///
    /// # Errors
    /// The ledger cannot be used, or was deleted: then it has to be opened anew.
    pub fn tend(self: &Arc<Self>, now: Time) -> Result<(), LedgerError> {
        if self.book.is_gone()? {
            return Err(LedgerError::Gone);
        }
        let mut local = self.local();
        local.held.values_mut().for_each(HeldFile::look);
        if !std::mem::take(&mut local.in_use) {
            local.slab = 0;
        }
        let looks = local.look_not_before <= now;
        let due = self.publish(&mut local, |page, _| {
            if looks {
                self.book.fold_dead(page, Some(self.slot))?;
            }
            Ok::<_, io::Error>(looks && page.header.walk_due(now))
        })?;
        if looks {
            local.look_not_before = now + LOOK_EVERY;
        }
        drop(local);
        if due? {
            walk::start(self, now)?;
        }
        Ok(())
    }

    /// Takes a slab with which the process has `bytes` to hand out.
    fn refill(&self, local: &mut Local, bytes: u64) -> Result<(), Refusal> {
        let free = free_bytes(&self.ours)?;
        let wanted = bytes.saturating_sub(local.slab);
        let slab = self.publish(local, |page, kept| {
            let room = |page: &Page| self.bound.room(page.used(), page.reserved(), free);
            if room(page) < wanted {
                self.book.fold_dead(page, Some(self.slot))?;
            }
            let slab = Bound::slab(room(page), wanted);
            page.set_slot(self.slot, kept.saturating_add(slab.unwrap_or(0)));
            Ok(slab.ok_or(wanted - room(page).min(wanted)))
        })?;
        let slab = slab.map_err(LedgerError::Io)?.map_err(|missing| Refusal::Full { missing })?;
        local.slab = local.slab.saturating_add(slab);
        Ok(())
    }

    /// Brings what was written into the shared count; `change` sees the ledger then, and is told
    /// what this process holds besides. Where it fails, the next one does it again.
    fn publish<R>(
        &self,
        local: &mut Local,
        change: impl FnOnce(&mut Page, u64) -> R,
    ) -> Result<R, LedgerError> {
        let kept = local.sum().saturating_sub(local.written.values().sum());
        let answer = self.book.visit(|page| {
            page.settle(&local.written);
            page.set_slot(self.slot, kept);
            change(page, kept)
        })?;
        local.written.clear();
        Ok(answer)
    }

    fn local(&self) -> MutexGuard<'_, Local> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let mut local = std::mem::take(&mut *self.local());
        // What is still handed out may have been written: it stays in the slot, in doubt.
        local.slab = 0;
        local.held.clear();
        let _ = self.publish(&mut local, |_, _| ());
    }
}

/// Files that are about to be unlinked.
#[must_use = "what is freed has to be told"]
pub struct Freeing<'a> {
    book: &'a Book,
    place: Place,
    before: Option<Moment>,
}

impl<'a> Freeing<'a> {
    fn new(book: &'a Book, place: Place) -> Self {
        Self { book, place, before: book.moment() }
    }

    /// They were unlinked, and this is what they were charged, in bytes.
    ///
    /// # Errors
    /// The ledger cannot be used; then too much is counted, until the next walk.
    pub fn done(self, bytes: u64) -> Result<(), LedgerError> {
        let Some(before) = self.before else { return Ok(()) };
        self.book.visit(|page| page.free(self.place, bytes, before))
    }
}

/// The count of a directory for who has no part in it: to look at it, and to take off what is
/// removed.
pub(crate) struct Onlooker {
    book: Book,
}

impl Onlooker {
    /// The count of `ours`, if there is one that is whole.
    pub(crate) fn open(ours: &OwnedFd) -> Option<Self> {
        let book = Book::new(open_file(ours, OFlags::RDWR).ok()?, Header::default());
        book.peek()?;
        Some(Self { book })
    }

    /// As [`Ledger::usage`]; none when the ledger cannot be read.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.book.visit(|page| Usage::from(&*page)).ok()
    }

    /// As [`Ledger::freeing`].
    pub(crate) fn freeing(&self, place: Place) -> Freeing<'_> {
        Freeing::new(&self.book, place)
    }
}

fn open_file(ours: &OwnedFd, flags: OFlags) -> Result<File, LedgerError> {
    let file = File::from(beneath::open(ours, FILE, flags)?);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(LedgerError::Io(io::ErrorKind::InvalidData.into())),
    }
}

fn disk_size(ours: &OwnedFd) -> io::Result<u64> {
    let stat = fstatvfs(ours)?;
    Ok(stat.f_frsize.saturating_mul(stat.f_blocks))
}

fn free_bytes(ours: &OwnedFd) -> Result<u64, LedgerError> {
    let stat = fstatvfs(ours).map_err(io::Error::from)?;
    Ok(stat.f_frsize.saturating_mul(stat.f_bavail))
}

#[cfg(test)]
pub(crate) mod tests;
