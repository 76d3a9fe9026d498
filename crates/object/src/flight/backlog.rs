//! A bound on what has landed and waits for a consumer that is slower than the network.

use std::sync::Arc;

use tokio::sync::watch;

/// How many whole blocks have landed, in all flights that lead into one consumer, and wait for
/// it. While there are as many as the limit, flights pause, each at the end of a block: so what
/// waits can always be consumed, and no two flights wait for each other.
pub struct Backlog {
    limit: u64,
    waiting: watch::Sender<u64>,
}

impl Backlog {
    /// Nothing waits; from `limit` blocks on flights pause.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, waiting: watch::Sender::new(0) })
    }

    /// Blocks that wait now.
    pub fn waiting(&self) -> u64 {
        *self.waiting.borrow()
    }

    /// Returns once fewer blocks wait than the limit.
    pub(super) async fn clear(&self) {
        // The sender is this backlog's own: it cannot be gone.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting < self.limit).await;
    }

    fn change(&self, from: u64, to: u64) {
        self.waiting.send_if_modified(|waiting| {
            let before = *waiting;
            *waiting = (before + to).saturating_sub(from);
            before >= self.limit && *waiting < self.limit
        });
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
