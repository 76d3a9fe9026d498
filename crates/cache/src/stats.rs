//! What a cache did, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one [`Cache`](crate::Cache) since it was opened.
#[derive(Default)]
pub(crate) struct Stats {
    pub(crate) served_bytes: Counter,
    pub(crate) served_blocks: Counter,
    pub(crate) filled_bytes: Counter,
    pub(crate) written_bytes: Counter,
    pub(crate) uncached_bytes: Counter,
    pub(crate) waits: Counter,
    pub(crate) bypasses: Counter,
    pub(crate) skipped_blocks: Counter,
    pub(crate) dropped_damaged: Counter,
    pub(crate) dropped_unreadable: Counter,
    pub(crate) absent_after_crash: Counter,
    pub(crate) seals: Counter,
    pub(crate) verifications: Counter,
    pub(crate) backings: Counter,
}

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a cache did since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Bytes read from the disk instead of the store, by those whom the daemon serves.
    pub served_bytes: u64,
    /// Blocks they were in, each compared with its checksum.
    pub served_blocks: u64,
    /// Bytes fetched and recorded as present.
    pub filled_bytes: u64,
    /// Bytes of new objects that were kept on their way to the store.
    pub written_bytes: u64,
    /// Bytes asked of the store without keeping them.
    pub uncached_bytes: u64,
    /// Waits for blocks that another process was fetching.
    pub waits: u64,
    /// Fetches for one reader alone because such a process made no progress.
    pub bypasses: u64,
    /// Blocks that were fetched and not kept, since memory was short or the disk too slow.
    pub skipped_blocks: u64,
    /// Objects dropped because they were not what was written.
    pub dropped_damaged: u64,
    /// Objects dropped because the disk could not read them.
    pub dropped_unreadable: u64,
    /// Blocks that a power cut took away.
    pub absent_after_crash: u64,
    /// Objects that became complete and were sealed.
    pub seals: u64,
    /// Whole objects compared with their checksums.
    pub verifications: u64,
    /// Files handed out for the kernel to read by itself.
    pub backings: u64,
}

impl Stats {
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            served_bytes: self.served_bytes.get(),
            served_blocks: self.served_blocks.get(),
            filled_bytes: self.filled_bytes.get(),
            written_bytes: self.written_bytes.get(),
            uncached_bytes: self.uncached_bytes.get(),
            waits: self.waits.get(),
            bypasses: self.bypasses.get(),
            skipped_blocks: self.skipped_blocks.get(),
            dropped_damaged: self.dropped_damaged.get(),
            dropped_unreadable: self.dropped_unreadable.get(),
            absent_after_crash: self.absent_after_crash.get(),
            seals: self.seals.get(),
            verifications: self.verifications.get(),
            backings: self.backings.get(),
        }
    }
}
