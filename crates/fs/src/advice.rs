//! Telling people which flag would have helped, without telling them a thousand times.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use object::Time;

/// How often the same is said at most.
const PAUSE: Duration = Duration::from_secs(60);

/// What was said lately.
#[derive(Default)]
pub(crate) struct Advice(Mutex<HashMap<&'static str, Time>>);

impl Advice {
    /// Says that `operation` on `key` was refused and what to do about it, unless the same was
    /// said just now.
    pub(crate) fn tell(&self, operation: &'static str, key: &str, advice: &'static str, now: Time) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(advice).is_some_and(|told| now.since(*told) < PAUSE) {
            return;
        }
        told.insert(advice, now);
        drop(told);
        tracing::warn!(operation, key = ?key, "refused, and so are others like it: {advice}");
    }
}
