//! The memory of all files that are being written.
//!
//! Together they hold at most three quarters of the budget, so that reading goes on. A quarter of
//! that is for beginnings: a file takes its first chunks one by one, and only if one is free.
//! The rest is for parts: whoever needs more takes all of what its part still lacks at once, in
//! turn. Whoever holds a part waits for the network only, and whoever waits for a part holds no
//! part: so nobody waits for somebody who waits for them.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use object::{Budget, CHUNK, Lease};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::driver::Writer;

/// Chunks that a file takes one by one: most files are not larger.
pub(super) const BEGINNING: u64 = 2;
/// How often those who idle are asked for their memory while somebody waits.
const ASK: Duration = Duration::from_millis(100);

/// See the module.
pub(crate) struct Memory {
    budget: Arc<Budget>,
    /// Chunks for beginnings.
    beginnings: Arc<Semaphore>,
    /// Chunks for parts.
    parts: Arc<Semaphore>,
    parts_total: u32,
    writers: Mutex<Vec<Weak<Writer>>>,
}

/// Memory of one file: a lease, and its place in the share of those who write.
pub(super) struct Paid {
    pub(super) lease: Lease,
    pub(super) permit: OwnedSemaphorePermit,
}

impl Memory {
    /// The writers' share of `budget`.
    pub(crate) fn new(budget: Arc<Budget>) -> Arc<Self> {
        let share = budget.total() / 4 * 3 / CHUNK;
        let beginnings = usize::try_from(share / 4).unwrap_or(Semaphore::MAX_PERMITS);
        let parts_total = u32::try_from(share - share / 4).unwrap_or(u32::MAX).max(1);
        let parts = usize::try_from(parts_total).unwrap_or(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            budget,
            beginnings: Arc::new(Semaphore::new(beginnings)),
            parts: Arc::new(Semaphore::new(parts.min(Semaphore::MAX_PERMITS))),
            parts_total,
            writers: Mutex::default(),
        })
    }

    /// Adds somebody to ask for memory when somebody else waits.
    pub(super) fn join(&self, writer: Weak<Writer>) {
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        writers.retain(|writer| writer.strong_count() > 0);
        writers.push(writer);
    }

    /// Memory for a file that holds `held` chunks of a part of `size` bytes, if there is some now.
    pub(super) fn try_take(&self, held: u64, size: u64) -> Option<Paid> {
        if held < BEGINNING
            && let Ok(permit) = self.beginnings.clone().try_acquire_owned()
        {
            let lease = self.budget.try_lease(CHUNK, 0)?;
            return Some(Paid { lease, permit });
        }
        let (bytes, permits) = self.rest(held, size);
        let permit = self.parts.clone().try_acquire_many_owned(permits).ok()?;
        let lease = self.budget.try_lease(bytes, 0)?;
        Some(Paid { lease, permit })
    }

    /// The same, waiting in turn; `None` when nothing came free before the deadline.
    pub(super) async fn take(&self, held: u64, size: u64, deadline: Duration) -> Option<Paid> {
        timeout(deadline, self.wait(held, size)).await.ok().flatten()
    }

    async fn wait(&self, held: u64, size: u64) -> Option<Paid> {
        if held < BEGINNING
            && let Ok(permit) = self.beginnings.clone().try_acquire_owned()
        {
            let lease = self.budget.lease(CHUNK).await;
            return Some(Paid { lease, permit });
        }
        let (bytes, permits) = self.rest(held, size);
        let mut turn = std::pin::pin!(self.parts.clone().acquire_many_owned(permits));
        let permit = loop {
            match timeout(ASK, &mut turn).await {
                Ok(permit) => break permit.ok()?,
                Err(_) => self.ask_idle(),
            }
        };
        let lease = self.budget.lease(bytes).await;
        Some(Paid { lease, permit })
    }

    /// What a part lacks: in bytes, and in chunks of the share. A part larger than the whole share
    /// is written alone.
    fn rest(&self, held: u64, size: u64) -> (u64, u32) {
        let chunks = size.div_ceil(CHUNK).saturating_sub(held).max(1);
        let permits = u32::try_from(chunks).unwrap_or(u32::MAX).min(self.parts_total);
        (chunks * CHUNK, permits)
    }

    /// Asks those who do not use it for their memory.
    fn ask_idle(&self) {
        let writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        writers.iter().filter_map(Weak::upgrade).for_each(|writer| writer.give_way());
    }
}
