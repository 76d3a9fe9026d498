//! How long what was seen is trusted. `docs/metadata.md` has the table that this module computes.

use std::time::Duration;

use object::Time;

use crate::attr::Kind;

/// How long metadata is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// As little as the kernel needs to finish one call: 100 ms for files, 1 s for directories,
    /// nothing for absence. Opening a file looks at the store.
    Minimal,
    /// So long.
    For(Duration),
    /// For ever: the bucket is taken never to change.
    Indefinite,
}

/// What [`Ttl::Indefinite`] tells the kernel.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// How long absence is trusted under [`Ttl::Indefinite`] unless it was given a TTL of its own:
/// a file uploaded after a miss must show.
const ABSENT_INDEFINITE: Duration = Duration::from_secs(5);
const FILE_MINIMAL: Duration = Duration::from_millis(100);
const DIRECTORY_MINIMAL: Duration = Duration::from_secs(1);
/// How long after a targeted look an open in minimal mode may use it, once.
pub(crate) const GRANT: Duration = Duration::from_millis(100);
/// How long a listing answers for its names after the last handle on it was closed.
pub(crate) const AFTER_CLOSE: Duration = Duration::from_secs(1);
/// How long an open directory handle that nobody reads keeps its listing answering.
pub(crate) const IDLE_HANDLE: Duration = Duration::from_secs(30);

/// The trust put in what was seen, by the kind of thing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    ttl: Ttl,
    negative: Duration,
}

/// A stretch of time in which a directory's listing is being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// When the listing was asked for.
    since: Time,
    /// Until when what it showed answers for its names.
    pub(crate) until: Time,
}

impl Window {
    /// From `since` until `until`.
    pub(crate) fn new(since: Time, until: Time) -> Self {
        // In the unit of what was seen, with which it is compared.
        Self { since: Time(Duration::from_millis(millis(since))), until }
    }

    /// How much of it is left.
    pub(crate) fn left(&self, now: Time) -> Duration {
        self.until.since(now)
    }

    /// Whether what was seen at `seen` was seen in it, and it is not over.
    pub(crate) fn covers(&self, seen: Time, now: Time) -> bool {
        self.since <= seen && now <= self.until
    }
}

/// The unit in which times of sight are kept: milliseconds since the epoch.
pub(crate) fn millis(time: Time) -> u64 {
    u64::try_from(time.0.as_millis()).unwrap_or(u64::MAX)
}

impl Policy {
    /// The policy for `ttl`, with absence trusted for `negative` where that is given.
    pub(crate) fn new(ttl: Ttl, negative: Option<Ttl>) -> Self {
        let negative = match (negative, ttl) {
            (Some(Ttl::Minimal), _) | (None, Ttl::Minimal) => Duration::ZERO,
            (Some(Ttl::For(time)), _) | (None, Ttl::For(time)) => time,
            (Some(Ttl::Indefinite), _) => FOR_EVER,
            (None, Ttl::Indefinite) => ABSENT_INDEFINITE,
        };
        Self { ttl, negative }
    }

    /// Whether each open has to look at the store.
    pub(crate) fn opens_look(&self) -> bool {
        self.ttl == Ttl::Minimal
    }

    /// How long a name of this kind is trusted.
    pub(crate) fn life(&self, kind: Kind) -> Duration {
        match (self.ttl, kind) {
            (Ttl::Minimal, Kind::File) => FILE_MINIMAL,
            (Ttl::Minimal, Kind::Directory) => DIRECTORY_MINIMAL,
            (Ttl::For(time), _) => time,
            (Ttl::Indefinite, _) => FOR_EVER,
        }
    }

    /// How old an answer may be that is to be trusted at `now`: when it was fetched at the
    /// earliest. Minimal mode wants to hear from the store itself.
    pub(crate) fn oldest(&self, now: Time) -> Time {
        match self.ttl {
            Ttl::Minimal => now,
            Ttl::For(time) => Time(now.0.saturating_sub(time)),
            Ttl::Indefinite => Time::default(),
        }
    }

    /// How much longer a name seen at `seen` is trusted. Within `window` that is at least the
    /// little that minimal mode gives, whatever the TTL: else a TTL shorter than a listing takes
    /// would make every name of a long directory cost a look of its own.
    pub(crate) fn left(
        &self,
        kind: Kind,
        seen: Time,
        now: Time,
        window: Option<Window>,
    ) -> Option<Duration> {
        let left = self.life(kind).saturating_sub(now.since(seen));
        if !left.is_zero() {
            return Some(left);
        }
        let minimal = if kind == Kind::File { FILE_MINIMAL } else { DIRECTORY_MINIMAL };
        window.filter(|w| w.covers(seen, now)).map(|_| minimal.min(self.life(kind)))
    }

    /// How much longer an absence seen at `seen` is trusted.
    pub(crate) fn absent_left(&self, seen: Time, now: Time) -> Option<Duration> {
        let left = self.negative.saturating_sub(now.since(seen));
        (!left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests;
