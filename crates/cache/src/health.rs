//! Whether the disk is worth trying.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long the disk is left alone after it failed: twice as long each time, within these.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// One way of using the disk, which may fail while the other works, as when it is full. It is
/// given up for a while after a failure, and says so once; and once more when it works again. What
/// had begun before the failure and works does not tell that. Of the roads of one disk the first
/// that fails speaks for all, and the last that works again: they fail for the same reason.
pub(crate) struct Road {
    /// What cannot be done while it fails, for the log.
    verb: &'static str,
    down: AtomicBool,
    /// How many roads of the disk are down.
    all_down: Arc<AtomicUsize>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pause: Duration,
    again: Option<Instant>,
    /// Somebody was let through since the last failure.
    tried: bool,
    /// When it last worked again. A disk that fails and works by turns is left alone longer and
    /// longer, like one that only fails.
    worked: Option<Instant>,
}

impl Road {
    /// The roads of one disk, by what cannot be done when one fails.
    pub(crate) fn of_a_disk<const N: usize>(verbs: [&'static str; N]) -> [Self; N] {
        let all_down = Arc::<AtomicUsize>::default();
        verbs.map(|verb| Self {
            verb,
            down: AtomicBool::new(false),
            all_down: Arc::clone(&all_down),
            state: Mutex::default(),
        })
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
                state.tried = true;
                true
            }
        }
    }

    /// It was tried and failed.
    pub(crate) fn failed(&self, why: &dyn fmt::Display, now: Instant) {
        let mut state = self.lock();
        if state.worked.take().is_some_and(|worked| now.duration_since(worked) > PAUSE_MAX) {
            state.pause = Duration::ZERO;
        }
        state.pause = (state.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        state.again = Some(now + state.pause);
        state.tried = false;
        if self.down.swap(true, Ordering::AcqRel) {
            return;
        }
        let verb = self.verb;
        match self.all_down.fetch_add(1, Ordering::AcqRel) {
            0 => {
                tracing::warn!("the cache cannot be {verb}: {why}; reading goes on from the store")
            }
            _ => tracing::debug!("the cache cannot be {verb} either: {why}"),
        }
    }

    /// It was tried and worked.
    pub(crate) fn worked(&self, now: Instant) {
        if !self.down.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.lock();
        if state.tried && self.down.swap(false, Ordering::AcqRel) {
            state.worked = Some(now);
            if self.all_down.fetch_sub(1, Ordering::AcqRel) == 1 {
                tracing::info!("the cache can be {} again", self.verb);
            }
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
        let [road] = Road::of_a_disk(["read"]);
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
        let tried = start + Duration::from_secs(121);
        assert!(road.usable(tried));
        road.worked(tried);
        assert!(road.usable(start) && road.usable(start));
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // only a beginning to count from
    fn what_began_before_a_failure_does_not_end_it_and_failing_by_turns_is_failing() {
        let [road] = Road::of_a_disk(["read"]);
        let start = Instant::from_std(std::time::Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        road.failed(&"no", start);
        road.worked(start);
        assert!(!road.usable(start));
        for (tried, next) in [(1, 2), (3, 4)] {
            assert!(road.usable(after(tried)));
            road.worked(after(tried));
            road.failed(&"no", after(tried));
            assert!(!road.usable(after(tried + next - 1)));
        }
        assert!(road.usable(after(7)));
        road.worked(after(7));
        road.failed(&"no", after(38));
        assert!(road.usable(after(39)), "it had worked for long");
    }
}
