//! The chunks that a reader holds, and what it knows of those that the kernel has.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use object::{Budget, CHUNK, Flight, Share, Span};

use super::plan::Known;
use super::slices::Slices;

/// The kernel's page, in bytes: the unit in which a chunk is used up.
const PAGE: u64 = 4096;

/// The chunks held, and those that the kernel was given.
#[derive(Default)]
pub(super) struct Chunks {
    held: BTreeMap<u64, Held>,
    pub(super) bytes: u64,
    /// Bytes kept of what the kernel was given last: it may lose pages before all have read them,
    /// and asks again.
    pub(super) keep: u64,
    /// Chunks that the kernel has whole, oldest first. The first to go.
    spent: VecDeque<u64>,
    /// While there is any chunk.
    share: Option<Share>,
    /// One bit per chunk of the object.
    given: Vec<u64>,
}

pub(super) struct Held {
    flight: Arc<Flight>,
    len: u64,
    /// One bit per page that was given to the kernel.
    given: u32,
    /// Reads that wait for it.
    waiting: u32,
    /// It is among those spent.
    spent: bool,
}

impl Known for Chunks {
    fn held(&self, chunk: u64) -> bool {
        self.held.contains_key(&chunk)
    }

    fn seen(&self, chunk: u64) -> bool {
        let (word, bit) = place(chunk);
        self.held(chunk) || self.given.get(word).is_some_and(|w| w >> bit & 1 == 1)
    }
}

impl Chunks {
    pub(super) fn hold(&mut self, flight: Arc<Flight>, budget: &Arc<Budget>) {
        self.share.get_or_insert_with(|| budget.sharer());
        let span = flight.span();
        for number in span.chunks() {
            let len = span.end.min((number + 1) * CHUNK) - number * CHUNK;
            if let Entry::Vacant(slot) = self.held.entry(number) {
                slot.insert(Held {
                    flight: flight.clone(),
                    len,
                    given: 0,
                    waiting: 0,
                    spent: false,
                });
                self.bytes += len;
            }
        }
    }

    /// The answer, if every chunk has landed.
    pub(super) fn take(&mut self, need: Span, size: u64) -> Option<Slices> {
        let mut slices = Slices::default();
        for number in need.chunks() {
            slices.push(self.held.get(&number)?.flight.chunk(number)?, inside(need, number));
        }
        self.give(need, size);
        Some(slices)
    }

    /// The flights to wait for, each chunk of which now has one more read waiting.
    pub(super) fn wait(&mut self, need: Span) -> Vec<(u64, Arc<Flight>)> {
        let held = self.held.range_mut(need.chunks());
        held.map(|(number, held)| {
            held.waiting += 1;
            (*number, held.flight.clone())
        })
        .collect()
    }

    pub(super) fn leave(&mut self, number: u64, flight: &Arc<Flight>) {
        if let Some(held) = self.held.get_mut(&number)
            && Arc::ptr_eq(&held.flight, flight)
        {
            held.waiting = held.waiting.saturating_sub(1);
            self.settle(number);
        }
    }

    /// Counts a chunk that the kernel has whole among those spent, of which few are kept.
    fn settle(&mut self, number: u64) {
        let Some(held) = self.held.get_mut(&number) else { return };
        if u64::from(held.given.count_ones()) == held.len.div_ceil(PAGE) && !held.spent {
            held.spent = true;
            self.spent.push_back(number);
        }
        self.forget_spent(self.keep / CHUNK, Span::new(0, 0));
    }

    /// Lets go of the oldest spent chunks, until `kept` are left; but of none that a read waits
    /// for, or that is part of `need`.
    pub(super) fn forget_spent(&mut self, kept: u64, need: Span) {
        let many = (self.spent.len() as u64).saturating_sub(kept);
        for _ in 0..many {
            let Some(number) = self.spent.pop_front() else { return };
            let waited = self.held.get(&number).is_some_and(|held| held.waiting > 0);
            if waited || need.chunks().contains(&number) {
                self.spent.push_back(number);
            } else {
                self.remove(number);
            }
        }
    }

    pub(super) fn spent_bytes(&self) -> u64 {
        (self.spent.len() as u64 * CHUNK).min(self.bytes)
    }

    /// Notes that the kernel has the pages of `need`.
    pub(super) fn give(&mut self, need: Span, size: u64) {
        for (number, held) in self.held.range_mut(need.chunks()) {
            let start = number * CHUNK;
            let pages = held.len.div_ceil(PAGE);
            let first = need.start.saturating_sub(start) / PAGE;
            // A page counts once its last byte was given.
            let last = if need.end == size { pages } else { (need.end - start) / PAGE };
            for page in first..last.min(pages) {
                held.given |= 1 << page;
            }
        }
        for number in need.chunks() {
            self.settle(number);
        }
    }

    fn remove(&mut self, number: u64) -> Option<Held> {
        let held = self.held.remove(&number)?;
        self.bytes -= held.len;
        if u64::from(held.given.count_ones()) == held.len.div_ceil(PAGE) {
            self.mark_given(number);
        }
        if self.held.is_empty() {
            self.share = None;
        }
        held.flight.release(number);
        Some(held)
    }

    /// Forgets chunks that will not land, so that a read that comes now tries anew.
    pub(super) fn drop_failed(&mut self, need: Span) {
        let failed = |held: &Held, n: u64| held.flight.is_over() && held.flight.chunk(n).is_none();
        let range = self.held.range(need.chunks());
        let gone: Vec<u64> = range.filter(|(n, h)| failed(h, **n)).map(|(n, _)| *n).collect();
        for number in gone {
            self.remove(number);
        }
    }

    /// Forgets what the kernel was given, when it turns out to have lost some of `need`: what it
    /// still has is then anybody's guess.
    pub(super) fn doubt_given(&mut self, need: Span) {
        if need.chunks().any(|c| self.seen(c) && !self.held(c)) {
            self.given.clear();
        }
    }

    fn mark_given(&mut self, number: u64) {
        let (word, bit) = place(number);
        if self.given.len() <= word {
            self.given.resize(word + 1, 0);
        }
        if let Some(word) = self.given.get_mut(word) {
            *word |= 1 << bit;
        }
    }

    /// Lets go of landed chunks that nobody waits for and that `may` go: those partly used first,
    /// then those furthest ahead.
    pub(super) fn reclaim(&mut self, bytes: u64, may: impl Fn(u64) -> bool) -> (u64, Vec<Held>) {
        let idle = |n: u64, held: &Held| held.waiting == 0 && held.flight.chunk(n).is_some();
        let landed =
            self.held.iter().filter(|(n, held)| (held.spent || may(**n)) && idle(**n, held));
        let mut order: Vec<(bool, u64)> = landed.map(|(n, held)| (held.given == 0, *n)).collect();
        order.sort_by_key(|(fresh, number)| (*fresh, std::cmp::Reverse(*number)));
        let mut freed = 0;
        let mut dropped = Vec::new();
        for (_, number) in order {
            if freed >= bytes {
                break;
            }
            if let Some(held) = self.remove(number) {
                freed += held.len;
                dropped.push(held);
            }
        }
        self.spent.retain(|number| self.held.contains_key(number));
        (freed, dropped)
    }
}

fn place(chunk: u64) -> (usize, u64) {
    (usize::try_from(chunk / 64).unwrap_or(usize::MAX), chunk % 64)
}

/// The part of chunk `number` that `need` asks for.
pub(super) fn inside(need: Span, number: u64) -> Range<usize> {
    let start = number * CHUNK;
    let cut = |offset: u64| usize::try_from(offset.saturating_sub(start).min(CHUNK)).unwrap_or(0);
    cut(need.start)..cut(need.end)
}
