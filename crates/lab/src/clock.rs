//! The one place where this crate asks the clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// The time of day, cut to milliseconds as listings show it.
#[allow(
    clippy::disallowed_methods,
    reason = "a server stamps what it stores; nothing here is replayed"
)]
pub(crate) fn now() -> SystemTime {
    to_millis(SystemTime::now())
}

/// `time` without what is below a millisecond.
pub(crate) fn to_millis(time: SystemTime) -> SystemTime {
    from_unix_ms(unix_ms(time))
}

/// Milliseconds since the epoch; times before it count as the epoch.
pub(crate) fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time `ms` milliseconds after the epoch.
pub(crate) fn from_unix_ms(ms: u64) -> SystemTime {
    UNIX_EPOCH + std::time::Duration::from_millis(ms)
}
