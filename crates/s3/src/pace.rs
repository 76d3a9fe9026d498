//! How hard the store may be pushed: requests at once, retries, second tries, and how long a
//! silence is waited for. Pure but for the semaphore; time is passed in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The limit of requests in flight. Each request that the store asks to slow down takes away half
/// a place, so that a round of nothing but such answers halves the limit, and a few among many
/// good ones hardly lower it; as many successes as there are places give one back.
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    most: usize,
    state: Mutex<Limit>,
}

struct Limit {
    limit: usize,
    /// Places to take away as soon as they come back.
    debt: usize,
    successes: usize,
    /// Whether half of a place is taken away.
    half: bool,
}

/// One place in the gate, given back when dropped.
pub(crate) struct Place {
    gate: Arc<Gate>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Gate {
    /// A gate with `most` places, at least one.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let state = Mutex::new(Limit { limit: most, debt: 0, successes: 0, half: false });
        Arc::new(Self { places: Arc::new(Semaphore::new(most)), most, state })
    }

    /// Waits for a place.
    pub(crate) async fn enter(self: &Arc<Self>) -> Place {
        // The semaphore is never closed; a place without a permit would only be uncounted.
        let permit = self.places.clone().acquire_owned().await.ok();
        Place { gate: self.clone(), permit }
    }

    /// Places now.
    pub(crate) fn limit(&self) -> usize {
        lock(&self.state).limit
    }
}

impl Place {
    /// The request in this place succeeded.
    pub(crate) fn succeeded(&self) {
        let mut state = lock(&self.gate.state);
        state.successes += 1;
        if state.successes < state.limit {
            return;
        }
        state.successes = 0;
        if state.limit < self.gate.most {
            state.limit += 1;
            match state.debt.checked_sub(1) {
                Some(less) => state.debt = less,
                None => self.gate.places.add_permits(1),
            }
        }
    }

    /// The store asked the request in this place to slow down.
    pub(crate) fn refused(&self) {
        let mut state = lock(&self.gate.state);
        state.half = !state.half;
        if state.half && state.limit > 1 {
            state.limit -= 1;
            state.debt += 1 - self.gate.places.forget_permits(1);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = lock(&self.gate.state);
        if let (Some(less), Some(permit)) = (state.debt.checked_sub(1), self.permit.take()) {
            state.debt = less;
            permit.forget();
        }
    }
}

/// A bucket of tokens that fills with time and with successes. It may be overdrawn: who takes is
/// told how long to wait, so that a dead store sees retries at the bucket's rate and no faster.
pub(crate) struct Tokens {
    most: f64,
    per_second: f64,
    per_success: f64,
    state: Mutex<(f64, Instant)>,
}

impl Tokens {
    /// A full bucket.
    pub(crate) fn new(most: f64, per_second: f64, per_success: f64, now: Instant) -> Self {
        Self { most, per_second, per_success, state: Mutex::new((most, now)) }
    }

    /// Takes one token, and says how long to wait for it.
    pub(crate) fn take(&self, now: Instant) -> Duration {
        let mut state = self.filled(now);
        state.0 -= 1.0;
        Duration::try_from_secs_f64(-state.0 / self.per_second).unwrap_or_default()
    }

    /// Takes one token if there is one.
    pub(crate) fn try_take(&self, now: Instant) -> bool {
        let mut state = self.filled(now);
        let there = state.0 >= 1.0;
        if there {
            state.0 -= 1.0;
        }
        there
    }

    /// Adds what one success earns.
    pub(crate) fn earn(&self) {
        let mut state = lock(&self.state);
        state.0 = (state.0 + self.per_success).min(self.most);
    }

    fn filled(&self, now: Instant) -> MutexGuard<'_, (f64, Instant)> {
        let mut state = lock(&self.state);
        let since = now.saturating_duration_since(state.1);
        *state =
            ((state.0 + since.as_secs_f64() * self.per_second).min(self.most), now.max(state.1));
        state
    }
}

/// How long first bytes take: counts by powers of two of milliseconds, halved from time to time
/// so that old days are forgotten.
#[derive(Default)]
pub(crate) struct Latencies(Mutex<[u32; 24]>);

impl Latencies {
    /// Adds one.
    pub(crate) fn saw(&self, first_byte: Duration) {
        let mut counts = lock(&self.0);
        let ms = first_byte.as_millis().max(1);
        let bucket = usize::try_from(ms.ilog2()).unwrap_or(0).min(counts.len() - 1);
        if let Some(count) = counts.get_mut(bucket) {
            *count += 1;
        }
        if counts.iter().sum::<u32>() > 1000 {
            counts.iter_mut().for_each(|c| *c /= 2);
        }
    }

    /// How long a silence is waited for: `least`, or three times the 99th percentile, up to ten
    /// times `least`; and from the third of the request's `silences` on twice as long each time,
    /// so that a store which is slower than anybody knew is not asked for ever and never heard.
    pub(crate) fn patience(&self, least: Duration, silences: u32) -> Duration {
        let counts = lock(&self.0);
        let total: u32 = counts.iter().sum();
        let mut seen = 0;
        let slow = counts.iter().position(|count| {
            seen += count;
            u64::from(seen) * 100 >= u64::from(total) * 99
        });
        let p99 = Duration::from_millis(slow.filter(|_| total >= 20).map_or(0, |b| 2 << b));
        (p99 * 3).clamp(least, least * 10).saturating_mul(1 << silences.saturating_sub(1).min(10))
    }
}

/// How long to wait before try `tries` + 1: at random up to 50 ms doubled with every try, at most
/// 5 s ("full jitter"). `random` is in 0..1.
pub(crate) fn back_off(tries: u32, random: f64) -> Duration {
    let most = Duration::from_millis(50 << tries.saturating_sub(1).min(8));
    most.min(Duration::from_secs(5)).mul_f64(random.clamp(0.0, 1.0))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
