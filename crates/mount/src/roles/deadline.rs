//! Waiting for descriptors with a deadline.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// A point in time to wait until, or for ever.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// The deadline `time` from now.
    pub fn after(time: Duration) -> Self {
        Self(Some(now() + time))
    }

    /// No deadline.
    pub fn never() -> Self {
        Self(None)
    }

    /// Whether it has passed.
    pub fn has_passed(self) -> bool {
        self.0.is_some_and(|at| now() >= at)
    }

    /// Waits until one of `sources` can be read or was closed by its other end; `false` when the
    /// deadline came first.
    ///
    /// # Errors
    /// Those of poll(2).
    pub fn readable(self, sources: &[&dyn AsFd]) -> io::Result<bool> {
        let flags = self.wait(sources)?;
        Ok(flags.iter().any(|ready| *ready))
    }

    /// Waits as [`Deadline::readable`], and says of each source whether it is ready. All are
    /// not when the deadline came first.
    ///
    /// # Errors
    /// Those of poll(2).
    pub fn wait(self, sources: &[&dyn AsFd]) -> io::Result<Vec<bool>> {
        let fds: Vec<_> = sources.iter().map(|source| source.as_fd()).collect();
        let mut polled: Vec<_> =
            fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        loop {
            let left = self.0.map(|at| timespec(at.saturating_duration_since(now())));
            match poll(&mut polled, left.as_ref()) {
                Ok(_) => return Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

// Processes without a runtime wait here; nothing that is tested by itself asks this clock.
#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}
