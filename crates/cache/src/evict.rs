//! Room on the disk under a limit: the ledger, and the eviction of objects when it is full.

mod policy;
mod sample;

use std::fs::File;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use object::{Clock, Time};
use rustix::fs::{AtFlags, FileType, statat};

use self::policy::victims;
use self::sample::{Sample, is_being_filled, sample};
use crate::directory::{Directory, Files, Opened, remove};
use crate::identity::Identity;
use crate::ledger::{FILE, Ledger, LedgerError, Limit, Place, Refusal, pair_charge};
use crate::schedule::Mutex;
use crate::space::{Counted, Space, Spacious};

/// How often a reservation is tried again after an eviction: others may take what came free.
const ATTEMPTS: usize = 10;
/// How many samples an eviction takes at most.
const SAMPLES: usize = 256;
/// How many samples in a row may have nobody to evict.
const IN_VAIN: usize = 4;
/// After an eviction that found too little, the next one waits so long: everything is in use.
const VAIN_PAUSE: Duration = Duration::from_secs(1);

/// That there is no room is said once in so long.
const FULL_SAID_EVERY: Duration = Duration::from_secs(600);

/// When to evict and to complain again.
#[derive(Default)]
struct Evicting {
    not_before: Time,
    silent_until: Time,
}

/// The room of one directory, as one process has it. Several may share the directory; that two of
/// them evict at the same time is harmless.
pub struct Room {
    directory: Arc<Directory>,
    limit: Limit,
    epoch: u64,
    clock: Clock,
    ledger: RwLock<Arc<Ledger>>,
    /// One eviction at a time.
    evicting: Mutex<Evicting>,
    /// Why the ledger could not be used, since [`Space::tend`] last told.
    failure: Mutex<Option<LedgerError>>,
}

impl Room {
    /// Takes part in the count of `directory` in the cache's `epoch`.
    ///
    /// # Errors
    /// The ledger cannot be used.
    pub fn open(
        directory: Arc<Directory>,
        limit: Limit,
        epoch: u64,
        clock: Clock,
    ) -> Result<Self, LedgerError> {
        let ledger = RwLock::new(Ledger::open(directory.as_fd(), limit, epoch)?);
        let (evicting, failure) = (Mutex::default(), Mutex::default());
        Ok(Self { directory, limit, epoch, clock, ledger, evicting, failure })
    }

    /// What makes the room of a directory, each time it is opened.
    pub fn spacious(limit: Limit, clock: Clock) -> Spacious {
        Box::new(move |directory, epoch| {
            let room = Self::open(Arc::clone(directory), limit, epoch, clock.clone());
            Ok(Arc::new(room.map_err(io::Error::other)?))
        })
    }

    /// The count that is used now; another one when its file had been deleted.
    pub fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.ledger.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Evicts objects for `bytes` bytes; answers what came free. Disk IO.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn evict(&self, bytes: u64) -> io::Result<u64> {
        Ok(self.try_evict(bytes)?.freed)
    }

    fn try_evict(&self, bytes: u64) -> io::Result<Evicted> {
        let now = self.clock.now();
        let mut evicted = Evicted::default();
        let mut in_vain = 0;
        for _ in 0..SAMPLES {
            let seen = sample(&self.directory, now)?;
            let is_all = seen.is_all;
            let found = self.evict_of(seen, bytes.saturating_sub(evicted.freed), now)?;
            evicted.freed = evicted.freed.saturating_add(found.freed);
            evicted.found |= found.found;
            in_vain = if found.found { 0 } else { in_vain + 1 };
            if evicted.freed >= bytes || in_vain == IN_VAIN || (is_all && !found.found) {
                break;
            }
        }
        Ok(evicted)
    }

    fn evict_of(&self, seen: Sample, wanted: u64, now: Time) -> io::Result<Evicted> {
        let mut evicted = Evicted::default();
        for (shard, bytes) in seen.removed {
            self.note(self.ledger().freeing(Place::Shard(shard)).done(bytes));
            evicted.add(bytes);
        }
        for identity in seen.damaged {
            evicted.add(self.remove(&identity)?);
        }
        let wanted = wanted.saturating_sub(evicted.freed);
        for victim in victims(seen.candidates, seen.is_all, now, wanted) {
            match self.evict_one(&victim.what, now)? {
                Some(bytes) => evicted.add(bytes),
                // Another process evicts it too, or fills it: with another look there are others.
                None => evicted.found = true,
            }
        }
        Ok(evicted)
    }

    /// Evicts an object, unless somebody has begun to fill it since it was looked at; answers what
    /// it had been charged. Its claims are held meanwhile: what somebody went on to write to it
    /// would be counted and never come free.
    fn evict_one(&self, identity: &Identity, now: Time) -> io::Result<Option<u64>> {
        let files = match self.directory.open_object(identity)? {
            Opened::Found(files) => files,
            Opened::Absent => return Ok(Some(0)),
            Opened::Damaged => return self.remove(identity).map(Some),
        };
        let all = 0..files.map.header().blocks().max(1);
        if !files.map.try_claim(all)? && is_being_filled(&files, files.map.last_use()?, now)? {
            return Ok(None);
        }
        self.count_off(identity, || unlink_exactly(&self.directory, &files)).map(Some)
    }

    /// Unlinks an object; answers what it had been charged.
    fn remove(&self, identity: &Identity) -> io::Result<u64> {
        self.count_off(identity, || unlink(&self.directory, identity))
    }

    fn count_off(
        &self,
        identity: &Identity,
        unlink: impl FnOnce() -> io::Result<u64>,
    ) -> io::Result<u64> {
        let ledger = self.ledger();
        let freeing = ledger.freeing(Place::Shard(identity.shard()));
        let bytes = unlink()?;
        if bytes > 0 {
            self.note(freeing.done(bytes));
        }
        Ok(bytes)
    }

    /// Makes room for `bytes`, of which `missing` have to be freed, and reserves them.
    fn make_room(&self, bytes: u64, mut missing: u64, evicted: &dyn Fn()) -> bool {
        let mut evicting = self.evicting.lock().unwrap_or_else(PoisonError::into_inner);
        let ledger = self.ledger();
        if self.clock.now() < evicting.not_before
            || ledger.bound().usable().is_some_and(|all| all < bytes)
        {
            return false;
        }
        for _ in 0..ATTEMPTS {
            // Whoever had the lock before may have made enough room for this one too.
            match ledger.reserve(bytes) {
                Ok(()) => return true,
                Err(Refusal::Full { missing: still }) => missing = missing.max(still),
                Err(Refusal::Unusable(error)) => {
                    self.note(Err(error));
                    return false;
                }
            }
            match self.try_evict(missing.saturating_add(ledger.bound().slack())) {
                Ok(Evicted { found: true, .. }) => evicted(),
                Ok(_) => break,
                Err(error) => {
                    tracing::debug!(%error, "nothing could be evicted");
                    break;
                }
            }
        }
        if ledger.reserve(bytes).is_ok() {
            return true;
        }
        let now = self.clock.now();
        evicting.not_before = now + VAIN_PAUSE;
        if evicting.silent_until <= now {
            evicting.silent_until = now + FULL_SAID_EVERY;
            tracing::warn!(
                "the cache has no room: its disk or its limit is full, and what could be evicted \
                 is pinned or in use; reading goes on from the store"
            );
        }
        false
    }

    /// Keeps in mind that the ledger cannot be used.
    fn note(&self, result: Result<(), LedgerError>) {
        if let Err(error) = result {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    }

    /// Takes part in a new count when the file of the old one was deleted.
    fn reopen(&self) -> Result<(), LedgerError> {
        let ours = self.directory.as_fd();
        // Whatever else was put in its place is in the way. Should another process have been faster,
        // it sees that its ledger is gone.
        let there = statat(ours, FILE, AtFlags::SYMLINK_NOFOLLOW);
        if there.is_ok_and(|there| !FileType::from_raw_mode(there.st_mode).is_file()) {
            remove(ours, FILE)?;
        }
        let ledger = Ledger::open(ours, self.limit, self.epoch)?;
        *self.ledger.write().unwrap_or_else(PoisonError::into_inner) = ledger;
        Ok(())
    }
}

/// What an eviction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Evicted {
    /// In bytes.
    freed: u64,
    /// Whether there was anybody to evict, be it that somebody else was faster.
    found: bool,
}

impl Evicted {
    fn add(&mut self, bytes: u64) {
        self.freed = self.freed.saturating_add(bytes);
        self.found = true;
    }
}

/// Unlinks an object; answers what it had been charged, 0 when somebody else was faster.
pub(crate) fn unlink(directory: &Directory, identity: &Identity) -> io::Result<u64> {
    unlink_if(directory, identity, || Ok(true))
}

/// The same if its files are still these.
fn unlink_exactly(directory: &Directory, files: &Files) -> io::Result<u64> {
    unlink_if(directory, &files.map.header().identity, || Ok(!files.unlinked()?))
}

fn unlink_if(
    directory: &Directory,
    identity: &Identity,
    wanted: impl FnOnce() -> io::Result<bool>,
) -> io::Result<u64> {
    // Looked at under the lock under which objects are made, so that it is what is unlinked.
    let charge = directory.unlink_looked_at(identity, |shard| {
        Ok(if wanted()? { Some(pair_charge(shard, &identity.to_string())?) } else { None })
    })?;
    Ok(charge.unwrap_or(0))
}

impl Space for Room {
    fn reserve(&self, bytes: u64, evicted: &dyn Fn()) -> bool {
        match self.ledger().reserve(bytes) {
            Ok(()) => true,
            Err(Refusal::Full { missing }) => self.make_room(bytes, missing, evicted),
            Err(Refusal::Unusable(error)) => {
                self.note(Err(error));
                false
            }
        }
    }

    fn settle(&self, shard: u8, reserved: u64, used: u64) {
        self.ledger().settle(Place::Shard(shard), reserved, used);
    }

    fn settle_elsewhere(&self, reserved: u64, used: u64) {
        self.ledger().settle(Place::Elsewhere, reserved, used);
    }

    fn free_elsewhere(&self, unlink: &mut dyn FnMut() -> u64) {
        let ledger = self.ledger();
        let freeing = ledger.freeing(Place::Elsewhere);
        let bytes = unlink();
        if bytes > 0 {
            self.note(freeing.done(bytes));
        }
    }

    fn unlink(&self, identity: &Identity) -> io::Result<()> {
        self.remove(identity).map(drop)
    }

    fn hold(&self, data: Arc<File>) -> io::Result<Counted> {
        Ok(Box::new(self.ledger().hold(data)?))
    }

    fn tend(&self, now: Time) -> io::Result<()> {
        let tended = match self.ledger().tend(now) {
            // When the directory is gone too, who uses it makes another one, and its room.
            Err(LedgerError::Gone) if self.directory.is_there() => self.reopen(),
            other => other,
        };
        self.note(tended);
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match failure {
            // It may have gone in between.
            Some(error) if self.directory.is_there() => Err(io::Error::other(error)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
