//! Work on some files, counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::time::Instant;

use crate::control::protocol::Progress;

/// Work on some files. Those who do it count, anybody may look.
#[derive(Debug)]
pub struct Job {
    files: u64,
    background: bool,
    began: Instant,
    known: Counter,
    done: Counter,
    failed: Counter,
    bytes: Counter,
    resident: Counter,
    fetched: Counter,
    running: AtomicBool,
    /// How long it took, in milliseconds, once it is over.
    took: AtomicU64,
}

#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Counter {
    fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Job {
    /// Work on so many files, which begins now.
    pub(crate) fn new(files: u64, background: bool) -> Self {
        Self {
            files,
            background,
            began: Instant::now(),
            known: Counter::default(),
            done: Counter::default(),
            failed: Counter::default(),
            bytes: Counter::default(),
            resident: Counter::default(),
            fetched: Counter::default(),
            running: AtomicBool::new(true),
            took: AtomicU64::new(0),
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let running = self.is_running();
        let elapsed_ms = if running { self.elapsed() } else { self.took.load(Ordering::Acquire) };
        let bytes_fetched = self.fetched.get();
        Progress {
            files: self.files,
            files_known: self.known.get(),
            files_done: self.done.get(),
            files_failed: self.failed.get(),
            bytes: self.bytes.get(),
            bytes_resident: self.resident.get() + bytes_fetched,
            bytes_fetched,
            elapsed_ms,
            background: self.background,
            running,
        }
    }

    /// It goes on until the answer is dropped.
    pub(crate) fn running(self: &Arc<Self>) -> Running {
        Running(self.clone())
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    /// A file was looked up: of its `size`, so much was there before.
    pub(super) fn found(&self, size: u64, resident: u64) {
        self.known.add(1);
        self.bytes.add(size);
        self.resident.add(resident);
    }

    /// Bytes were fetched.
    pub(super) fn fetched(&self, bytes: u64) {
        self.fetched.add(bytes);
    }

    /// A file is complete.
    pub(super) fn done(&self) {
        self.done.add(1);
    }

    /// A file that was complete is so no more.
    pub(super) fn undone(&self) {
        self.done.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// A file could not be looked at or fetched.
    pub(super) fn failed(&self) {
        self.failed.add(1);
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Work that goes on.
pub(crate) struct Running(Arc<Job>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.took.store(self.0.elapsed(), Ordering::Release);
        self.0.running.store(false, Ordering::Release);
    }
}
