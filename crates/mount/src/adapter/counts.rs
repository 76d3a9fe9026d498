//! What the kernel asked for.

use std::sync::atomic::{AtomicU64, Ordering};

use fs::OpenMode;
use fuse::Op;

/// Counters of one mount's requests since its daemon began.
#[derive(Debug, Default)]
pub struct Counts {
    lookups: AtomicU64,
    getattrs: AtomicU64,
    reads: AtomicU64,
    cached: AtomicU64,
    direct: AtomicU64,
    passed: AtomicU64,
    stale: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// LOOKUP requests.
    pub lookups: u64,
    /// GETATTR requests.
    pub getattrs: u64,
    /// READ requests.
    pub reads: u64,
    /// Opens that the kernel's page cache serves.
    pub opens_cached: u64,
    /// Opens whose every read is a request.
    pub opens_direct: u64,
    /// Opens on a local file that the kernel reads by itself.
    pub opens_passed: u64,
    /// Opens that were sent to look the name up again.
    pub opens_stale: u64,
}

impl Counts {
    /// The counters now.
    pub fn now(&self) -> Counted {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            lookups: read(&self.lookups),
            getattrs: read(&self.getattrs),
            reads: read(&self.reads),
            opens_cached: read(&self.cached),
            opens_direct: read(&self.direct),
            opens_passed: read(&self.passed),
            opens_stale: read(&self.stale),
        }
    }

    pub(super) fn request(&self, op: &Op<'_>) {
        let counter = match op {
            Op::Lookup { .. } => &self.lookups,
            Op::Getattr { .. } => &self.getattrs,
            Op::Read { .. } => &self.reads,
            _ => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn opened(&self, mode: OpenMode) {
        let counter = match mode {
            OpenMode::Cached { .. } => &self.cached,
            OpenMode::Direct => &self.direct,
            OpenMode::Backed { .. } => &self.passed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stale(&self) {
        self.stale.fetch_add(1, Ordering::Relaxed);
    }
}
