//! Whether the disk is worth trying.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long the disk is left alone after it failed: twice as long each time, within these.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// One way of using the disk, which may fail while the other works, as when it is full. It is
/// given up for a while after a failure, and says so once; and once more when it works again.
pub(crate) struct Road {
    /// What cannot be done while it fails, for the log.
    verb: &'static str,
    down: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pause: Duration,
    again: Option<Instant>,
}

impl Road {
    pub(crate) fn new(verb: &'static str) -> Self {
        Self { verb, down: AtomicBool::new(false), state: Mutex::default() }
    }

    /// Whether to try it now. While it is down, one caller at a time is let through.
    pub(crate) fn usable(&self, now: Instant) -> bool {
        if !self.down.load(Ordering::Acquire) {
            return true;
        }
        let mut state = self.lock();
        match state.again {
            Some(again) if now < again => false,
            _ => {
                state.again = Some(now + state.pause.max(PAUSE_MIN));
                true
            }
        }
    }

    /// It was tried and failed.
    pub(crate) fn failed(&self, why: &dyn fmt::Display, now: Instant) {
        let mut state = self.lock();
        state.pause = (state.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        state.again = Some(now + state.pause);
        if !self.down.swap(true, Ordering::AcqRel) {
            let verb = self.verb;
            tracing::warn!("the cache cannot be {verb}: {why}; reading goes on from the store");
        }
    }

    /// It was tried and worked.
    pub(crate) fn worked(&self) {
        if self.down.swap(false, Ordering::AcqRel) {
            *self.lock() = State::default();
            tracing::info!("the cache can be {} again", self.verb);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods)] // only a beginning to count from
    fn a_failing_road_is_tried_less_and_less_often_and_by_one_at_a_time() {
        let road = Road::new("read");
        let start = Instant::from_std(std::time::Instant::now());
        assert!(road.usable(start));
        road.failed(&"no", start);
        let mut tries = Vec::new();
        for half_seconds in 1..240 {
            let now = start + Duration::from_millis(500 * half_seconds);
            if road.usable(now) {
                assert!(!road.usable(now));
                tries.push(half_seconds / 2);
                road.failed(&"no", now);
            }
        }
        assert_eq!(tries, [1, 3, 7, 15, 31, 61, 91]);
        road.worked();
        assert!(road.usable(start) && road.usable(start));
    }
}
