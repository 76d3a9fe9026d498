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
    /// Objects put in one request: requests sent.
    pub puts: u64,
    /// Uploads begun: requests sent.
    pub begun: u64,
    /// Parts of uploads: requests sent.
    pub parts: u64,
    /// Parts copied by the store: requests sent.
    pub copies: u64,
    /// Completions of uploads: requests sent.
    pub completed: u64,
    /// Aborts of uploads: requests sent.
    pub aborted: u64,
    /// Deletions of objects: requests sent.
    pub deletes: u64,
    /// LISTs of uploads and of their parts sent.
    pub upload_lists: u64,
    /// Bytes of objects sent, those of failed tries included.
    pub bytes_sent: u64,
    /// Bytes of objects received, those of failed tries included.
    pub bytes: u64,
    /// Requests that were second or later tries, for any reason.
    pub retries: u64,
    /// Of them, those made because a connection was silent for too long.
    pub hedges: u64,
    /// Answers that asked to slow down.
    pub throttled: u64,
    /// Connections made for GETs and for what changes the store.
    pub connections: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) gets: Counter,
    pub(crate) heads: Counter,
    pub(crate) lists: Counter,
    pub(crate) puts: Counter,
    pub(crate) begun: Counter,
    pub(crate) parts: Counter,
    pub(crate) copies: Counter,
    pub(crate) completed: Counter,
    pub(crate) aborted: Counter,
    pub(crate) deletes: Counter,
    pub(crate) upload_lists: Counter,
    pub(crate) bytes_sent: Counter,
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
            puts: self.puts.value(),
            begun: self.begun.value(),
            parts: self.parts.value(),
            copies: self.copies.value(),
            completed: self.completed.value(),
            aborted: self.aborted.value(),
            deletes: self.deletes.value(),
            upload_lists: self.upload_lists.value(),
            bytes_sent: self.bytes_sent.value(),
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
