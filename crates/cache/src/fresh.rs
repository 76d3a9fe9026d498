//! How much of what is written goes through the page cache.
//!
//! Whoever reads an object next finds there what went through it. But a scan larger than the
//! memory would push everything else out of it, and each of its pages would be a fresh one, which
//! costs more than the copy into it. So of what is fetched within a while only so much is written
//! that way, and the rest goes to the disk directly.

use std::time::Duration;

use tokio::time::Instant;

use crate::schedule::Mutex;
use crate::table::lock;

/// The time in which as much as the bound may be written.
const WHILE: Duration = Duration::from_secs(60);

/// A measure of what was written lately: it fills up to the bound, and empties evenly.
pub(crate) struct Fresh {
    bound: u64,
    state: Mutex<Level>,
}

struct Level {
    bytes: u64,
    at: Instant,
}

impl Fresh {
    /// Nothing was written by `now`. At most `bound` bytes stay.
    pub(crate) fn new(bound: u64, now: Instant) -> Self {
        Self { bound, state: Mutex::new(Level { bytes: 0, at: now }) }
    }

    /// Whether `bytes` more are to go through the page cache, in which they then count.
    pub(crate) fn admits(&self, bytes: u64, now: Instant) -> bool {
        let mut level = lock(&self.state);
        let gone = now.duration_since(level.at).as_secs_f64() / WHILE.as_secs_f64();
        let gone = (self.bound as f64 * gone) as u64;
        let left = level.bytes.saturating_sub(gone);
        *level = Level { bytes: left, at: now };
        let fits = left.saturating_add(bytes) <= self.bound;
        if fits {
            level.bytes += bytes;
        }
        fits
    }
}

#[cfg(test)]
mod tests;
