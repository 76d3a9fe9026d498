//! Exact counters by operation.
//!
//! A request is counted when its operation is known, its answer before the first byte of
//! it is written, and a body byte before it is handed to the kernel: a client that has
//! read an answer finds all of it counted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// The counters at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Connections accepted.
    pub connections: u64,
    /// By S3 operation (`GetObject`, `ListObjectsV2`, ...). Requests refused before their
    /// operation was known (signature, region) count as `Rejected`.
    pub operations: BTreeMap<String, Operation>,
}

impl Counters {
    /// The counters of one operation; all zero where it was never asked for.
    pub fn operation(&self, name: &str) -> Operation {
        self.operations.get(name).copied().unwrap_or_default()
    }

    /// Requests of one operation.
    pub fn requests(&self, name: &str) -> u64 {
        self.operation(name).requests
    }

    /// The sum over all operations.
    pub fn total(&self) -> Operation {
        self.operations.values().fold(Operation::default(), |sum, one| sum.plus(*one))
    }
}

/// The counters of one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Requests received.
    pub requests: u64,
    /// Answers with a 2xx status.
    pub answered_2xx: u64,
    /// Answers with a 3xx status.
    pub answered_3xx: u64,
    /// Answers with a 4xx status.
    pub answered_4xx: u64,
    /// Answers with a 5xx status.
    pub answered_5xx: u64,
    /// Requests whose client got no status: it left, or a fault cut the connection.
    pub unanswered: u64,
    /// Body bytes written to connections.
    pub bytes_out: u64,
    /// Body bytes read from connections, framing of `aws-chunked` included.
    pub bytes_in: u64,
}

impl Operation {
    fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            answered_2xx: self.answered_2xx + other.answered_2xx,
            answered_3xx: self.answered_3xx + other.answered_3xx,
            answered_4xx: self.answered_4xx + other.answered_4xx,
            answered_5xx: self.answered_5xx + other.answered_5xx,
            unanswered: self.unanswered + other.unanswered,
            bytes_out: self.bytes_out + other.bytes_out,
            bytes_in: self.bytes_in + other.bytes_in,
        }
    }
}

/// The live counters of one operation.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    requests: AtomicU64,
    /// Unanswered, then 2xx to 5xx.
    answers: [AtomicU64; 5],
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
}

impl Cell {
    pub(crate) fn add_out(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Ordering::SeqCst);
    }

    pub(crate) fn take_back_out(&self, bytes: u64) {
        self.bytes_out.fetch_sub(bytes, Ordering::SeqCst);
    }

    pub(crate) fn add_in(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Ordering::SeqCst);
    }

    /// Counts an answer by its status; None is no answer.
    pub(crate) fn answered(&self, status: Option<u16>) {
        let slot = usize::from(status.map_or(0, |status| (status / 100).clamp(2, 5) - 1));
        self.answers[slot].fetch_add(1, Ordering::SeqCst);
    }

    fn snapshot(&self) -> Operation {
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        Operation {
            requests: read(&self.requests),
            unanswered: read(&self.answers[0]),
            answered_2xx: read(&self.answers[1]),
            answered_3xx: read(&self.answers[2]),
            answered_4xx: read(&self.answers[3]),
            answered_5xx: read(&self.answers[4]),
            bytes_out: read(&self.bytes_out),
            bytes_in: read(&self.bytes_in),
        }
    }
}

/// The live counters.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    connections: AtomicU64,
    cells: Mutex<BTreeMap<String, Arc<Cell>>>,
}

impl Tally {
    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts a request and answers the cell for the rest of its life.
    pub(crate) fn request(&self, operation: &str) -> Arc<Cell> {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = match cells.get(operation) {
            Some(cell) => cell.clone(),
            None => cells.entry(operation.to_owned()).or_default().clone(),
        };
        cell.requests.fetch_add(1, Ordering::SeqCst);
        cell
    }

    /// Everything back to zero. What belongs to requests begun before is counted nowhere.
    pub(crate) fn reset(&self) {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.clear();
        self.connections.store(0, Ordering::SeqCst);
    }

    pub(crate) fn snapshot(&self) -> Counters {
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        Counters {
            connections: self.connections.load(Ordering::SeqCst),
            operations: cells.iter().map(|(name, cell)| (name.clone(), cell.snapshot())).collect(),
        }
    }
}
