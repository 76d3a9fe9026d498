//! A bound on what has landed and waits for a consumer that is slower than the network.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// How long after a flight paused it looks whether there is room without having been told.
const SOON: Duration = Duration::from_millis(50);

/// How many whole blocks have landed, in all flights that lead into one consumer, and wait for
/// it. While there are as many as the limit, flights pause, each at the end of a block: so what
/// waits can always be consumed, and no two flights wait for each other.
///
/// They go on one by one, as blocks are consumed, and as many as the limit when nothing waits any
/// more: all at once would bring a block each. Should these be slow, others follow soon.
pub struct Backlog {
    limit: u64,
    waiting: Mutex<u64>,
    next: Notify,
}

impl Backlog {
    /// Nothing waits; from `limit` blocks on flights pause.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, waiting: Mutex::default(), next: Notify::new() })
    }

    /// Blocks that wait now.
    pub fn waiting(&self) -> u64 {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once there is room for a block.
    pub(super) async fn clear(&self) {
        loop {
            let next = self.next.notified();
            tokio::pin!(next);
            // Before the look, so that no room that is made after it goes unnoticed.
            next.as_mut().enable();
            if self.waiting() < self.limit || timeout(SOON, next).await.is_ok() {
                return;
            }
        }
    }

    fn change(&self, from: u64, to: u64) {
        let left = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            *waiting = (*waiting + to).saturating_sub(from);
            *waiting
        };
        let (consumed, room) = (from.saturating_sub(to), self.limit.saturating_sub(left));
        let go_on = match (consumed, left) {
            (1.., 0) => self.limit,
            _ => consumed.min(room),
        };
        (0..go_on).for_each(|_| self.next.notify_one());
    }
}

/// One flight's part of a backlog.
pub(super) struct Feed {
    backlog: Arc<Backlog>,
    /// Whole blocks that have landed, and blocks that the consumer has, from the first on.
    landed: u64,
    consumed: u64,
}

impl Feed {
    pub(super) fn new(backlog: Arc<Backlog>) -> Self {
        Self { backlog, landed: 0, consumed: 0 }
    }

    pub(super) fn backlog(&self) -> Arc<Backlog> {
        self.backlog.clone()
    }

    pub(super) fn landed(&mut self, blocks: u64) {
        let before = self.waiting();
        self.landed = self.landed.max(blocks);
        self.backlog.change(before, self.waiting());
    }

    pub(super) fn consumed(&mut self, blocks: u64) {
        let before = self.waiting();
        self.consumed = self.consumed.max(blocks);
        self.backlog.change(before, self.waiting());
    }

    fn waiting(&self) -> u64 {
        self.landed.saturating_sub(self.consumed)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.backlog.change(self.waiting(), 0);
    }
}

#[cfg(test)]
mod tests;
