//! A limit of bytes a second.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Gives out time, so that no more than so many bytes a second are fetched.
#[derive(Debug)]
pub(super) struct Pace {
    rate: u64,
    free: Mutex<Instant>,
}

/// The time that belongs to some bytes. At full speed they need less of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) begin: Instant,
    pub(super) end: Instant,
}

impl Pace {
    /// `rate` bytes a second, from `now` on.
    pub(super) fn new(rate: u64, now: Instant) -> Self {
        Self { rate: rate.max(1), free: Mutex::new(now) }
    }

    /// The next time that is free, for `bytes` bytes. What was not used before `now` is lost.
    pub(super) fn slot(&self, bytes: u64, now: Instant) -> Slot {
        let time = Duration::from_secs_f64(bytes as f64 / self.rate as f64);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = (*free).max(now);
        let end = begin.checked_add(time).unwrap_or(begin);
        *free = end;
        Slot { begin, end }
    }
}
