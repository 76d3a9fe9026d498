//! Which objects this process has open.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, Weak};

use crate::identity::Identity;
use crate::object::Object;
use crate::schedule::{Mutex, MutexGuard};

/// How many objects stay open though nobody reads them now.
const RECENT: usize = 64;

/// The open objects: one for an identity. One that nobody uses is closed, unless it was used not
/// long ago.
#[derive(Default)]
pub(crate) struct Table {
    slots: Mutex<HashMap<Identity, Slot>>,
    recent: Mutex<VecDeque<Arc<Object>>>,
}

/// Where one object is or will be; locked while it is opened, so that it is opened once.
pub(crate) type Slot = Arc<Mutex<Weak<Object>>>;

impl Table {
    /// Where the object of `identity` is, or is to be put.
    pub(crate) fn slot(&self, identity: &Identity) -> Slot {
        let mut slots = lock(&self.slots);
        if slots.len() == slots.capacity() {
            // About to grow: let go of what is closed first.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1 || lock(slot).strong_count() > 0);
        }
        slots.entry(*identity).or_default().clone()
    }

    /// Keeps an object open for a while.
    pub(crate) fn used(&self, object: &Arc<Object>) {
        let mut recent = lock(&self.recent);
        if recent.back().is_some_and(|last| Arc::ptr_eq(last, object)) {
            return;
        }
        recent.retain(|other| !Arc::ptr_eq(other, object));
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back(object.clone());
    }

    /// Does not keep this object open any more.
    pub(crate) fn forget(&self, object: &Arc<Object>) {
        lock(&self.recent).retain(|other| !Arc::ptr_eq(other, object));
    }

    /// Closes what was deleted. Disk IO.
    pub(crate) fn close_deleted(&self) {
        let held: Vec<_> = lock(&self.recent).iter().cloned().collect();
        held.iter().filter(|object| object.is_gone()).for_each(|object| self.forget(object));
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
