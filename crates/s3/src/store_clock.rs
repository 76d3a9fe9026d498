//! The store's clock.

use std::sync::atomic::{AtomicI64, Ordering};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use object::{Clock, Time};

/// The store's clock as its answers tell it: ours until one does. It is behind by as long as the
/// last answer that told it took, and by less than a second more, since answers tell whole ones.
#[derive(Debug)]
pub(crate) struct StoreClock {
    ours: Clock,
    /// By how much the store's is ahead, in milliseconds.
    ahead: AtomicI64,
}

impl StoreClock {
    /// One of which nothing was heard yet.
    pub(crate) fn new(ours: Clock) -> Self {
        Self { ours, ahead: AtomicI64::new(0) }
    }

    /// An answer told its `Date` (RFC 9110, 6.6.1).
    pub(crate) fn heard(&self, date: &str) {
        let Ok(date) = DateTime::from_str(date, Format::HttpDate) else { return };
        let (Ok(theirs), Ok(ours)) =
            (date.to_millis(), i64::try_from(self.ours.now().0.as_millis()))
        else {
            return;
        };
        self.ahead.store(theirs.saturating_sub(ours), Ordering::Relaxed);
    }

    /// The time.
    pub(crate) fn now(&self) -> Time {
        let ahead = self.ahead.load(Ordering::Relaxed);
        let (now, by) = (self.ours.now().0, std::time::Duration::from_millis(ahead.unsigned_abs()));
        Time(if ahead < 0 { now.saturating_sub(by) } else { now.saturating_add(by) })
    }
}

#[cfg(test)]
mod tests;
