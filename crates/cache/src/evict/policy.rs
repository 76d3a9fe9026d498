//! Who is evicted: a pure function of a sample.
//!
//! Two segments, as in a segmented LRU, but without a list that all processes would have to
//! share. An object is on probation until it was used again after it had been filled: opened once
//! more, or read much later. Then it is protected. Only objects on probation go, the longest unused before others: so a scan of files
//! that are read once pushes out only what is itself on probation. Protected objects may take up
//! to four fifths of what is not pinned; the longest unused of what is above that, and what was
//! not used for two days, are back on probation. That is found out anew with each sample and
//! noted nowhere. Who is in use is left alone: its space would not come free.

use std::time::Duration;

use object::Time;

/// A read counts as another use when it comes so long after the filling: the reader for whom an
/// object is filled may lag behind.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// Protection ends when an object was not used for so long: what a job needs every night stays.
const IDLE_AFTER: Duration = Duration::from_secs(2 * 24 * 60 * 60);
/// One part in so many is for objects on probation.
const PROBATION: u64 = 5;
/// Of a sample that is not everything, this fraction is evicted: the worst of some are good
/// victims, the average of them are not.
const WORST: usize = 4;

/// What is known of an object that could be evicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate<T> {
    /// Which one it is.
    pub(crate) what: T,
    /// What it is charged, in bytes.
    pub(crate) bytes: u64,
    /// When it was used last.
    pub(crate) used: Time,
    /// Nobody evicts it.
    pub(crate) pinned: bool,
    /// It was used again after it had been filled.
    pub(crate) protected: bool,
    /// It is being filled, or open in the kernel.
    pub(crate) busy: bool,
}

/// Whether a use at `used` of what was filled at `filled` shows that it is needed more than once.
pub(crate) fn is_used_again(filled: Time, used: Time) -> bool {
    used.since(filled) >= AGAIN_AFTER
}

/// Of `sample`, what is to be evicted for `wanted` bytes, in this order. `is_all` says that the
/// sample is all there is.
pub(crate) fn victims<T>(
    sample: Vec<Candidate<T>>,
    is_all: bool,
    now: Time,
    wanted: u64,
) -> Vec<Candidate<T>> {
    let most = if is_all { sample.len() } else { sample.len().div_ceil(WORST) };
    let mut freed = 0u64;
    on_probation(sample, now)
        .into_iter()
        .take(most)
        .take_while(|candidate| {
            let more = freed < wanted;
            freed = freed.saturating_add(candidate.bytes);
            more
        })
        .collect()
}

/// What may be evicted, the longest unused first.
fn on_probation<T>(sample: Vec<Candidate<T>>, now: Time) -> Vec<Candidate<T>> {
    let sum = |of: &[Candidate<T>], which: fn(&Candidate<T>) -> bool| {
        of.iter().filter(|c| which(c)).fold(0u64, |sum, c| sum.saturating_add(c.bytes))
    };
    let shared = sum(&sample, |candidate| !candidate.pinned);
    let share = shared - shared / PROBATION;
    let mut protected = sum(&sample, |candidate| !candidate.pinned && candidate.protected);
    let mut by_use: Vec<Candidate<T>> =
        sample.into_iter().filter(|candidate| !candidate.pinned && !candidate.busy).collect();
    by_use.sort_by_key(|candidate| candidate.used);
    by_use.retain(|candidate| {
        let keeps =
            candidate.protected && protected <= share && now.since(candidate.used) < IDLE_AFTER;
        if candidate.protected && !keeps {
            protected = protected.saturating_sub(candidate.bytes);
        }
        !keeps
    });
    by_use
}

#[cfg(test)]
mod tests;
