//! The requests that were read and not yet answered.
//!
//! Who takes a request out of the table ([`Pending::claim`]) has the sole right to answer it;
//! this is what makes an interrupt and a late answer exclude each other. One shard per worker,
//! each a slab: a request answered inline costs two uncontended locks and no allocation.
//! Looking a request up by its number walks all slots: only interrupts do that.

use crate::abi::UNIQUE_RESEND;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a handler wants done when its request is interrupted.
pub(crate) type Hook = Box<dyn FnOnce() + Send>;

/// Who waits for a request, as far as the interrupt rule needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Thread id, 0 if unknown.
    pub(crate) pid: u32,
    /// Whether the request is a READ.
    pub(crate) reads: bool,
}

/// The place of one unanswered request.
#[derive(Debug)]
pub(crate) struct Ticket {
    shard: usize,
    slot: usize,
    unique: u64,
}

impl Ticket {
    pub(crate) fn unique(&self) -> u64 {
        self.unique
    }
}

/// `unique` 0 marks a free slot: the kernel numbers requests from 2.
#[derive(Default)]
struct Slot {
    unique: u64,
    caller: Caller,
    hook: Option<Hook>,
}

#[derive(Default)]
struct Shard {
    slots: Vec<Slot>,
    free: Vec<usize>,
}

impl Shard {
    fn live(&mut self, ticket: &Ticket) -> Option<&mut Slot> {
        self.slots.get_mut(ticket.slot).filter(|slot| slot.unique == ticket.unique)
    }

    fn release(&mut self, index: usize) -> Option<Slot> {
        let slot = std::mem::take(self.slots.get_mut(index)?);
        self.free.push(index);
        Some(slot)
    }
}

/// All unanswered requests of a session.
pub(crate) struct Pending(Box<[Mutex<Shard>]>);

impl Pending {
    pub(crate) fn new(shards: usize) -> Pending {
        Pending((0..shards.max(1)).map(|_| Mutex::default()).collect())
    }

    fn shard(&self, index: usize) -> MutexGuard<'_, Shard> {
        let index = index % self.0.len();
        self.0[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn register(&self, shard: usize, unique: u64, caller: Caller) -> Ticket {
        let mut guard = self.shard(shard);
        let slot = Slot { unique, caller, hook: None };
        let index = match guard.free.pop() {
            Some(index) => {
                guard.slots[index] = slot;
                index
            }
            None => {
                guard.slots.push(slot);
                guard.slots.len() - 1
            }
        };
        Ticket { shard, slot: index, unique }
    }

    /// Takes the request out; false if somebody else answered it already.
    pub(crate) fn claim(&self, ticket: &Ticket) -> bool {
        let slot = {
            let mut shard = self.shard(ticket.shard);
            shard.live(ticket).is_some().then(|| shard.release(ticket.slot)).flatten()
        };
        slot.is_some()
    }

    pub(crate) fn is_live(&self, ticket: &Ticket) -> bool {
        self.shard(ticket.shard).live(ticket).is_some()
    }

    /// Stores what to do on interrupt; gives the hook back if the request is gone already.
    pub(crate) fn set_hook(&self, ticket: &Ticket, hook: Hook) -> Result<(), Hook> {
        match self.shard(ticket.shard).live(ticket) {
            Some(slot) => {
                slot.hook = Some(hook);
                Ok(())
            }
            None => Err(hook),
        }
    }

    /// Who waits for the request, if it is unanswered.
    pub(crate) fn caller(&self, unique: u64) -> Option<Caller> {
        (0..self.0.len()).find_map(|index| {
            let shard = self.shard(index);
            shard.slots.iter().find(|slot| same(slot.unique, unique)).map(|slot| slot.caller)
        })
    }

    /// Takes the request out by number; its full number and its hook.
    pub(crate) fn claim_unique(&self, unique: u64) -> Option<(u64, Option<Hook>)> {
        (0..self.0.len()).find_map(|index| {
            let mut shard = self.shard(index);
            let place = shard.slots.iter().position(|slot| same(slot.unique, unique))?;
            let slot = shard.release(place)?;
            Some((slot.unique, slot.hook))
        })
    }

    /// Takes every request out without answering; how many there were.
    pub(crate) fn abandon(&self) -> usize {
        // Hooks are dropped without the lock: they may own a reply, whose drop takes it.
        let take = |index| std::mem::take(&mut *self.shard(index));
        let shards: Vec<Shard> = (0..self.0.len()).map(take).collect();
        shards.iter().map(Shard::in_use).sum()
    }

    pub(crate) fn len(&self) -> usize {
        (0..self.0.len()).map(|index| self.shard(index).in_use()).sum()
    }
}

impl Shard {
    fn in_use(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

/// An interrupt may name its request with or without the resend bit.
fn same(slot: u64, unique: u64) -> bool {
    slot != 0 && (slot ^ unique) & !UNIQUE_RESEND == 0
}

#[cfg(test)]
mod tests;
