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
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use object::Time;
use rustix::fs::{OFlags, fstatvfs};

pub use self::book::LedgerError;
pub use self::charge::{charged, footprint, overhead};
pub use self::held::Held;
pub use self::limit::{Bound, KEEP_FREE_PERCENT, Limit};
pub use self::place::Place;

pub(crate) use self::charge::pages;
pub(crate) use self::held::is_held;

use self::book::Book;
use self::held::HeldFile;
use self::page::{Moment, Page, Written};
use self::record::Header;

/// The file's name in our directory.
pub(crate) const FILE: &str = "ledger";

/// When a ledger is missing or damaged and there are no more files than this, they are counted at
/// once; otherwise by a walk, beside everything else.
const COUNTED_AT_ONCE: u64 = 2000;

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

/// What this process holds. Its slot says the sum of all of it. Sizes are in bytes.
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
    walk_not_before: Time,
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
        let full = Header { epoch, settled: bound.bytes.unwrap_or(0), ..Header::default() };
        let book = Book::new(open_file(&ours, OFlags::RDWR | OFlags::CREATE)?, full);
        let slot = book.visit_damaged(|page, damaged| {
            book.fold_dead(page, None)?;
            if damaged || page.header.epoch != epoch {
                let counted = measure::measure_small(&ours, COUNTED_AT_ONCE)?;
                page.header = Header { settled: counted.unwrap_or(full.settled), ..full };
            }
            book.claim()
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

    /// Reserves `bytes` (in whole 4 KiB) for files in `place`. Never waits for an eviction.
    ///
    /// # Errors
    /// There is no room, or the ledger cannot be used.
    pub fn reserve(self: &Arc<Self>, place: Place, bytes: u64) -> Result<Reservation, Refusal> {
        let bytes = pages(bytes);
        let mut local = self.local();
        if local.slab < bytes {
            self.refill(&mut local, bytes)?;
        }
        local.slab -= bytes;
        local.out += bytes;
        local.in_use = true;
        Ok(Reservation { ledger: Arc::clone(self), place, bytes })
    }

    /// Takes a slab with which the process has `bytes` to hand out.
    fn refill(&self, local: &mut Local, bytes: u64) -> Result<(), Refusal> {
        let free = free_bytes(&self.ours).map_err(LedgerError::Io)?;
        let more = self.publish(local, |page, kept| {
            let wanted = bytes.saturating_sub(local.slab);
            let room = |page: &Page| self.bound.room(page.used(), page.reserved(), free);
            if room(page) < wanted {
                self.book.fold_dead(page, Some(self.slot))?;
            }
            let Some(slab) = Bound::slab(room(page), wanted) else {
                return Ok(Err(wanted - room(page)));
            };
            page.set_slot(self.slot, kept.saturating_add(slab));
            Ok(Ok(slab))
        })?;
        match more.map_err(LedgerError::Io)? {
            Ok(slab) => {
                local.slab = local.slab.saturating_add(slab);
                Ok(())
            }
            Err(missing) => Err(Refusal::Full { missing }),
        }
    }
}
