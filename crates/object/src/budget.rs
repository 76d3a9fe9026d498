//! The one memory limit.
//!
//! A [`Budget`] hands out [`Lease`]s of bytes and takes them back when they are dropped. A lease
//! becomes [`Buffer`]s, which go back to a pool instead of the allocator: a buffer that is mapped
//! and faulted in anew for each 128 KiB costs more than the copy into it.
//!
//! Two ways to ask keep the memory bounded without a reader ever waiting for another reader's
//! prefetch: [`Budget::try_lease`] is for work done ahead and just fails, [`Budget::lease`] is
//! for work somebody waits for, and makes those who registered as [`Reclaim`] give up bytes that
//! nobody is waiting for.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut, Range};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::CHUNK;

/// The largest border that a disk or the memory of one is known to ask for, bytes.
const PAGE: usize = 4096;
/// How often those who hold bytes are asked again while somebody waits.
const RECLAIM_PERIOD: Duration = Duration::from_millis(20);
/// After how many of these it is urgent: two seconds, in which whoever reads makes room.
const URGENT_AFTER: u32 = 100;

/// Somebody who holds leased bytes that could be had again.
pub trait Reclaim: Send + Sync {
    /// Drops up to `bytes` bytes that nobody waits for, and says how many were dropped. What is
    /// going to be read soon is only to be dropped when it is `urgent`. Called without any lock
    /// of the budget held.
    fn reclaim(&self, bytes: u64, urgent: bool) -> u64;
}

/// The limit for every buffer of a process, in bytes.
pub struct Budget {
    total: u64,
    sharers: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: u64,
    peak: u64,
    pool: Vec<Memory>,
    waiting: VecDeque<Waiter>,
    holders: Vec<Weak<dyn Reclaim>>,
}

struct Waiter {
    bytes: u64,
    grant: oneshot::Sender<Lease>,
}

impl State {
    /// Strikes those who wait no more off the queue.
    fn forget_gone(&mut self) {
        self.waiting.retain(|waiter| !waiter.grant.is_closed());
    }
}

impl Budget {
    /// A budget of `total` bytes.
    pub fn new(total: u64) -> Arc<Self> {
        Arc::new(Self { total, sharers: AtomicU64::new(0), state: Mutex::default() })
    }

    /// The limit in bytes.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes leased now.
    pub fn used(&self) -> u64 {
        self.lock().used
    }

    /// The most bytes that were ever leased at once.
    pub fn peak(&self) -> u64 {
        self.lock().peak
    }

    /// Bytes for each of those who hold a [`Share`], if all hold as much.
    pub fn share(&self) -> u64 {
        self.total / self.sharers.load(Ordering::Relaxed).max(1)
    }

    /// Counts its holder among those who share the budget.
    pub fn sharer(self: &Arc<Self>) -> Share {
        self.sharers.fetch_add(1, Ordering::Relaxed);
        Share(self.clone())
    }

    /// Adds somebody to ask for bytes when somebody else waits for them.
    pub fn register(&self, holder: Weak<dyn Reclaim>) {
        let mut state = self.lock();
        state.holders.retain(|h| h.strong_count() > 0);
        state.holders.push(holder);
    }

    /// Leases `bytes` if that leaves `spare` bytes free and nobody is waiting.
    pub fn try_lease(self: &Arc<Self>, bytes: u64, spare: u64) -> Option<Lease> {
        let mut state = self.lock();
        state.forget_gone();
        let fits = state.used.saturating_add(bytes).saturating_add(spare) <= self.total;
        (fits && state.waiting.is_empty()).then(|| self.grant(&mut state, bytes))
    }

    /// Leases `bytes`, waiting in turn until they are free. A lease above the whole budget is
    /// granted alone, so that nothing waits for ever.
    pub async fn lease(self: &Arc<Self>, bytes: u64) -> Lease {
        let (grant, mut granted) = oneshot::channel();
        {
            let mut state = self.lock();
            if state.waiting.is_empty() && self.fits(&state, bytes) {
                return self.grant(&mut state, bytes);
            }
            state.waiting.push_back(Waiter { bytes, grant });
        }
        // Again and again: bytes that were on their way at the first try can be had once they
        // have landed.
        for tries in 0.. {
            // Whoever stood before this one may have gone without a byte coming back.
            let served = self.serve(&mut self.lock());
            hand_out(served);
            self.reclaim(tries >= URGENT_AFTER);
            match timeout(RECLAIM_PERIOD, &mut granted).await {
                Ok(Ok(lease)) => return lease,
                // The sender lives in this budget's queue until it grants: not reached.
                Ok(Err(_)) => return Lease { bytes: 0, budget: self.clone() },
                Err(_) => {}
            }
        }
        Lease { bytes: 0, budget: self.clone() }
    }

    fn fits(&self, state: &State, bytes: u64) -> bool {
        state.used == 0 || state.used.saturating_add(bytes) <= self.total
    }

    fn grant(self: &Arc<Self>, state: &mut State, bytes: u64) -> Lease {
        state.used += bytes;
        state.peak = state.peak.max(state.used);
        // Pooled buffers are real memory: let go of those that the new lease leaves no room for.
        let room = self.total.saturating_sub(state.used) / CHUNK + bytes.div_ceil(CHUNK);
        state.pool.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        Lease { bytes, budget: self.clone() }
    }

    fn reclaim(&self, urgent: bool) {
        let (mut missing, holders) = {
            let mut state = self.lock();
            state.holders.retain(|h| h.strong_count() > 0);
            state.forget_gone();
            let wanted: u64 = state.waiting.iter().map(|w| w.bytes).sum();
            (wanted.saturating_sub(self.total.saturating_sub(state.used)), state.holders.clone())
        };
        for holder in holders.iter().filter_map(Weak::upgrade) {
            if missing == 0 {
                return;
            }
            missing = missing.saturating_sub(holder.reclaim(missing, urgent));
        }
    }

    fn give_back(self: &Arc<Self>, bytes: u64, buffer: Option<Memory>) {
        let granted = {
            let mut state = self.lock();
            state.used = state.used.saturating_sub(bytes);
            if let Some(buffer) = buffer
                && (state.pool.len() as u64 + 1) * CHUNK + state.used <= self.total
            {
                state.pool.push(buffer);
            }
            self.serve(&mut state)
        };
        hand_out(granted);
    }

    /// Grants what fits to those who wait, in turn. Those who have gone keep nobody waiting.
    fn serve(self: &Arc<Self>, state: &mut State) -> Vec<(oneshot::Sender<Lease>, Lease)> {
        state.forget_gone();
        let mut granted = Vec::new();
        while state.waiting.front().is_some_and(|waiter| self.fits(state, waiter.bytes))
            && let Some(waiter) = state.waiting.pop_front()
        {
            granted.push((waiter.grant, self.grant(state, waiter.bytes)));
        }
        granted
    }

    fn pooled(&self) -> Option<Memory> {
        self.lock().pool.pop()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Must be called without the lock of the budget: a waiter that has gone meanwhile drops its
/// lease, which goes back there.
fn hand_out(granted: Vec<(oneshot::Sender<Lease>, Lease)>) {
    for (grant, lease) in granted {
        drop(grant.send(lease));
    }
}

/// Its holder is one of those who share the budget; see [`Budget::share`].
pub struct Share(Arc<Budget>);

impl Drop for Share {
    fn drop(&mut self) {
        self.0.sharers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes that may be used. Dropping it gives back what was not made into buffers.
pub struct Lease {
    bytes: u64,
    budget: Arc<Budget>,
}

impl Lease {
    /// Bytes left in the lease.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes `bytes` bytes out of this lease as a lease of its own (fewer when fewer are left).
    pub fn split(&mut self, bytes: u64) -> Lease {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Lease { bytes, budget: self.budget.clone() }
    }

    /// Makes the first `len` bytes of the lease into a buffer, at most one [`CHUNK`]. Its content
    /// is left from an earlier use, or zeros. A lease with fewer bytes left gives a shorter buffer.
    /// A whole chunk begins on a page border.
    pub fn buffer(&mut self, len: u64) -> Buffer {
        let lease = self.split(len.min(CHUNK));
        let len = usize::try_from(lease.bytes).unwrap_or(0);
        let pooled = if lease.bytes == CHUNK { lease.budget.pooled() } else { None };
        let data = pooled.unwrap_or_else(|| Memory::new(len));
        Buffer { data, lease }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.give_back(self.bytes, None);
        }
    }
}

/// Leased memory: at most one [`CHUNK`] of bytes.
pub struct Buffer {
    data: Memory,
    lease: Lease,
}

/// Bytes; a whole chunk of them begins on a page border, where disks can write it from without the
/// page cache.
#[derive(Default)]
struct Memory {
    bytes: Vec<u8>,
    /// What of it is used.
    used: Range<usize>,
}

impl Memory {
    fn new(len: usize) -> Self {
        if len as u64 != CHUNK {
            return Self { bytes: vec![0; len], used: 0..len };
        }
        let bytes = vec![0; len + PAGE];
        let start = bytes.as_ptr().align_offset(PAGE).min(PAGE);
        Self { bytes, used: start..start + len }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.data.bytes.get(self.data.used.clone()).unwrap_or_default()
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.data.bytes.get_mut(self.data.used.clone()).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.lease.bytes);
        let data = std::mem::take(&mut self.data);
        let pooled = (data.used.len() as u64 == CHUNK).then_some(data);
        self.lease.budget.give_back(bytes, pooled);
    }
}

#[cfg(test)]
mod tests;
