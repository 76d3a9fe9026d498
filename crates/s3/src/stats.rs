//! What was asked of the store.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a client did since it was made. A request counts each time it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// GETs sent.
    pub gets: u64,
    /// HEADs sent.
    pub heads: u64,
    /// LISTs sent.
    pub lists: u64,
    /// Bytes of objects received, those of failed tries included.
    pub bytes: u64,
    /// Requests that were second or later tries, for any reason.
    pub retries: u64,
    /// Of them, those made because a connection was silent for too long.
    pub hedges: u64,
    /// Answers that asked to slow down.
    pub throttled: u64,
    /// Connections made for GETs.
    pub connections: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) gets: Counter,
    pub(crate) heads: Counter,
    pub(crate) lists: Counter,
    pub(crate) bytes: Counter,
    pub(crate) retries: Counter,
    pub(crate) hedges: Counter,
    pub(crate) throttled: Counter,
    pub(crate) connections: Counter,
}

impl Counters {
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            gets: self.gets.value(),
            heads: self.heads.value(),
            lists: self.lists.value(),
            bytes: self.bytes.value(),
            retries: self.retries.value(),
            hedges: self.hedges.value(),
            throttled: self.throttled.value(),
            connections: self.connections.value(),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
