//! The shared count as a value and what may happen to it: pure, so that every order of events can
//! be tried. The law: at no time is less counted than linked files use.

use std::collections::BTreeMap;
use std::time::Duration;

use object::Time;

use super::charge::BASE;
use super::place::{PLACES, Place};
use super::record::{FILE_LEN, HEADER_LEN, Header, SLOT_LEN, SLOTS, Walk};
use super::record::{decode_slot, encode_slot};

/// A walk over all files is due so long after the last one: what is left out of the count, such
/// as files that others put into the directory, is found then.
const WALK_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes that were written, by place.
pub(super) type Written = BTreeMap<Place, u64>;

/// A header and all slots: one process's view under the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) header: Header,
    slots: Vec<u64>,
}

/// How far walks were before files were unlinked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// How many walks had ended.
    ended: u32,
    /// The next place of the one under way.
    walk: Option<u16>,
}

impl Page {
    /// The ledger in `bytes`; a damaged header is replaced by `instead`, and says so. A damaged
    /// slot counts as empty: its owner puts it right when it next comes here, and for an owner
    /// that is dead doubt is raised.
    pub(super) fn decode(bytes: &[u8; FILE_LEN], instead: Header) -> (Self, bool) {
        let (head, tail) = bytes.split_at(HEADER_LEN);
        let found = Header::decode(head);
        let mut page = Self { header: found.unwrap_or(instead), slots: Vec::with_capacity(SLOTS) };
        for (index, slot) in tail.chunks_exact(SLOT_LEN).enumerate() {
            let reserved = decode_slot(index, slot);
            if reserved.is_none() {
                page.header.doubt = page.header.doubt.max(1);
            }
            page.slots.push(reserved.unwrap_or(0));
        }
        (page, found.is_none())
    }

    /// The bytes of the slots that differ from `before`, and where in the file they belong.
    pub(super) fn changed_slots(&self, before: &Self) -> Vec<(u64, [u8; SLOT_LEN])> {
        let pairs = self.slots.iter().zip(&before.slots).enumerate();
        pairs
            .filter(|(_, (now, then))| now != then)
            .map(|(index, (&now, _))| {
                let at = HEADER_LEN + index * SLOT_LEN;
                (at as u64, encode_slot(index, now))
            })
            .collect()
    }

    /// Everything that counts against a limit, in bytes.
    pub(super) fn used(&self) -> u64 {
        let files = self.header.settled.saturating_add_unsigned(self.reserved());
        BASE.saturating_add(u64::try_from(files).unwrap_or(0))
    }

    /// What processes hold for bytes that may not be written yet.
    pub(super) fn reserved(&self) -> u64 {
        self.slots.iter().fold(0, |sum, &slot| sum.saturating_add(slot))
    }

    /// The slots that hold something.
    pub(super) fn busy_slots(&self) -> impl Iterator<Item = usize> {
        let slots = self.slots.iter().enumerate();
        slots.filter(|(_, slot)| **slot != 0).map(|(index, _)| index)
    }

    /// Sets what the slot's process holds.
    pub(super) fn set_slot(&mut self, index: usize, reserved: u64) {
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = reserved;
        }
    }

    /// Counts what was written. Its process takes it out of its slot in the same visit.
    pub(super) fn settle(&mut self, written: &Written) {
        for (&place, &bytes) in written {
            self.header.settled = self.header.settled.saturating_add_unsigned(bytes);
            if let Some(walk) = &mut self.header.walk
                && walk.may_have_seen(place)
            {
                walk.add_late(bytes);
            }
        }
    }

    /// Takes a dead process's slot as used, in doubt: it may or may not have written. What it
    /// wrote behind a walk's back counts for that walk too.
    pub(super) fn fold(&mut self, index: usize) {
        let reserved = std::mem::take(self.slots.get_mut(index).unwrap_or(&mut 0));
        self.header.settled = self.header.settled.saturating_add_unsigned(reserved);
        self.header.doubt = self.header.doubt.saturating_add(reserved);
        if let Some(walk) = &mut self.header.walk {
            walk.add_late(reserved);
        }
    }

    /// Takes `bytes` off that were unlinked in `place` after `before`; unless a walk may have
    /// found them gone already, since then they may not be counted any more. Where that cannot be
    /// told they are in doubt.
    pub(super) fn free(&mut self, place: Place, bytes: u64, before: Moment) {
        let ended = self.header.moment().ended.wrapping_sub(before.ended);
        let had_seen = before.walk.is_some_and(|next| place.index() < next);
        if ended > u32::from(had_seen) {
            self.header.doubt = self.header.doubt.saturating_add(bytes);
            return;
        }
        self.header.settled = self.header.settled.saturating_sub_unsigned(bytes);
        match &mut self.header.walk {
            Some(walk) if had_seen && ended == 0 => {
                walk.late = walk.late.saturating_sub_unsigned(bytes);
            }
            Some(walk) if walk.may_have_seen(place) => {
                self.header.doubt = self.header.doubt.saturating_add(bytes);
            }
            _ => {}
        }
    }
}

impl Header {
    /// How far walks are now.
    pub(super) fn moment(&self) -> Moment {
        let under_way = u32::from(self.walk.is_some());
        let ended = self.generation.wrapping_sub(under_way);
        Moment { ended, walk: self.walk.map(|walk| walk.place) }
    }

    /// Whether a walk is due at `now`: something is in doubt, one was not finished, or the last
    /// one was a day ago.
    pub(super) fn walk_due(&self, now: Time) -> bool {
        let aged = now.since(Time::from_secs(self.reconciled)) >= WALK_EVERY;
        self.doubt > 0 || self.walk.is_some() || aged
    }

    /// Begins a walk, or goes on with one whose process died; answers where.
    pub(super) fn begin_walk(&mut self) -> u16 {
        match self.walk.filter(|walk| walk.place < PLACES) {
            Some(walk) => walk.place,
            None => {
                self.generation = self.generation.wrapping_add(1);
                self.walk = Some(Walk::default());
                // Doubt that comes up during the walk is for the next one.
                self.doubt = 0;
                0
            }
        }
    }

    /// Before the place with that number is looked at. Says whether the walk is still the one
    /// that is under way.
    pub(super) fn look(&mut self, place: u16) -> bool {
        match &mut self.walk {
            Some(walk) if walk.place == place => {
                walk.looking = true;
                true
            }
            _ => false,
        }
    }

    /// After it was looked at and `found` bytes were in it. The last place ends the walk, at `now`
    /// in seconds since the Unix epoch. Says whether the walk goes on.
    pub(super) fn looked(&mut self, place: u16, found: u64, now: u64) -> bool {
        let Some(walk) = self.walk.as_mut().filter(|walk| walk.place == place && walk.looking)
        else {
            return false;
        };
        walk.found = walk.found.saturating_add(found);
        walk.place = place.saturating_add(1);
        walk.looking = false;
        if walk.place < PLACES {
            return true;
        }
        self.settled = walk.late.saturating_add_unsigned(walk.found);
        self.reconciled = now;
        self.walk = None;
        false
    }
}

impl Walk {
    /// Whether bytes settled now in `place` may be missing in what was found: the place was
    /// looked at, or is being looked at.
    fn may_have_seen(&self, place: Place) -> bool {
        let index = place.index();
        index < self.place || (index == self.place && self.looking)
    }

    fn add_late(&mut self, bytes: u64) {
        self.late = self.late.saturating_add_unsigned(bytes);
    }
}

#[cfg(test)]
mod tests;
