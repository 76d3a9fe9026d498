//! Time as a value that is passed in.

use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time as the duration since the Unix epoch. Times are compared only with times of
/// the same [`Clock`], so a step of the wall clock cannot make metadata live for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub Duration);

impl Time {
    /// The time `seconds` after the epoch.
    pub fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Whole seconds since the epoch.
    pub fn secs(self) -> u64 {
        self.0.as_secs()
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn since(self, earlier: Time) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, rhs: Duration) -> Time {
        Time(self.0.saturating_add(rhs))
    }
}

/// Where the time comes from: the wall clock once, at start, and a monotonic clock since.
#[derive(Clone, Debug)]
pub struct Clock {
    wall: Duration,
    start: Instant,
    /// Milliseconds that a test has moved the clock by.
    moved: Arc<AtomicU64>,
}

impl Clock {
    /// A clock that starts now.
    #[allow(clippy::disallowed_methods)] // the one place that asks what time it is
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { wall, start: Instant::now(), moved: Arc::default() }
    }

    /// The time now.
    pub fn now(&self) -> Time {
        let moved = Duration::from_millis(self.moved.load(Ordering::Relaxed));
        Time(self.wall + self.start.elapsed() + moved)
    }

    /// Moves this clock and its clones ahead: how tests let time pass.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.moved.fetch_add(by, Ordering::Relaxed);
    }
}
