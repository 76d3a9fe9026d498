//! Asking once for what many want at the same time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use object::Time;

/// When a question was asked, and its answer to come.
type Asked<T> = (Time, WeakShared<BoxFuture<'static, T>>);

/// Questions that are out, by what they ask. A question is asked as long as anybody waits for
/// its answer, and dropped with the last of them.
pub(crate) struct Flights<K, T: Clone> {
    under_way: Mutex<HashMap<K, Asked<T>>>,
}

impl<K: Eq + Hash, T: Clone> Flights<K, T> {
    /// Nothing is out.
    pub(crate) fn new() -> Self {
        Self { under_way: Mutex::default() }
    }

    /// Waits with those who asked for `key` no longer than `age` before `now`, or asks.
    pub(crate) fn join(
        &self,
        key: K,
        (now, age): (Time, Duration),
        ask: impl FnOnce() -> BoxFuture<'static, T>,
    ) -> Shared<BoxFuture<'static, T>> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = under_way.get(&key).filter(|(asked, _)| now.since(*asked) <= age);
        let waiting = waiting.and_then(|(_, flight)| flight.upgrade());
        if let Some(flight) = waiting.filter(|flight| flight.peek().is_none()) {
            return flight;
        }
        under_way.retain(|_, (_, flight)| flight.upgrade().is_some_and(|f| f.peek().is_none()));
        let flight = ask().shared();
        if let Some(weak) = flight.downgrade() {
            under_way.insert(key, (now, weak));
        }
        flight
    }
}
