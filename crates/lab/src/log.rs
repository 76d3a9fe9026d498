//! The request log.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::clock;
use crate::counters::{Cell, Tally};
use crate::rules::Fired;

/// Requests kept in memory; the oldest go first.
const KEPT: usize = 200_000;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Milliseconds since the Unix epoch at which the request's head had been read.
    pub time_ms: u64,
    /// The S3 operation, `Rejected` where it was refused before that was known.
    pub operation: String,
    /// Empty where the operation names none.
    pub bucket: String,
    /// Empty where the operation names none; for listings, the prefix.
    pub key: String,
    /// The `Range` header.
    pub range: Option<String>,
    /// The status answered; 0 while there is none.
    pub status: u16,
    /// Body bytes written so far.
    pub bytes_out: u64,
    /// Body bytes read so far.
    pub bytes_in: u64,
    /// From the request's head to the last byte written so far.
    pub elapsed_us: u64,
    /// `x-amz-request-id` of the answer.
    pub request_id: String,
    /// Number of the connection, counted from 1.
    pub connection: u64,
    /// The faults that were set on it, by rule id.
    pub faults: Vec<u64>,
}

/// What a request turned out to be.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) operation: String,
    pub(crate) bucket: String,
    pub(crate) key: String,
    cell: Arc<Cell>,
}

/// A request while it is served; read by the log at any moment.
#[derive(Debug)]
pub(crate) struct Entry {
    request_id: String,
    connection: u64,
    range: Option<String>,
    time_ms: u64,
    begun: Instant,
    identity: OnceLock<Identity>,
    status: AtomicU16,
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
    elapsed_us: AtomicU64,
    faults: Mutex<Vec<Fired>>,
}

impl Entry {
    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
    }

    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.identity.get()
    }

    /// Says what the request is, and counts it. The first word stands.
    pub(crate) fn identify(&self, tally: &Tally, operation: &str, bucket: &str, key: &str) {
        self.identity.get_or_init(|| Identity {
            operation: operation.to_owned(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            cell: tally.request(operation),
        });
    }

    pub(crate) fn set_faults(&self, fired: Vec<Fired>) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = fired;
    }

    pub(crate) fn faults(&self) -> Vec<Fired> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts the answer, which is about to be written.
    pub(crate) fn answered(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
        if let Some(identity) = self.identity() {
            identity.cell.add_in(self.bytes_in.load(Ordering::SeqCst));
            identity.cell.answered(Some(status));
        }
    }

    pub(crate) fn read(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Ordering::SeqCst);
    }

    pub(crate) fn writes(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Ordering::SeqCst);
        if let Some(identity) = self.identity() {
            identity.cell.add_out(bytes);
        }
        self.touch();
    }

    pub(crate) fn did_not_write(&self, bytes: u64) {
        self.bytes_out.fetch_sub(bytes, Ordering::SeqCst);
        if let Some(identity) = self.identity() {
            identity.cell.take_back_out(bytes);
        }
    }

    fn touch(&self) {
        let elapsed = Instant::now().duration_since(self.begun).as_micros();
        self.elapsed_us.store(u64::try_from(elapsed).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    fn line(&self) -> Line {
        let (operation, bucket, key) = match self.identity() {
            Some(i) => (i.operation.clone(), i.bucket.clone(), i.key.clone()),
            None => Default::default(),
        };
        Line {
            time_ms: self.time_ms,
            operation,
            bucket,
            key,
            range: self.range.clone(),
            status: self.status.load(Ordering::SeqCst),
            bytes_out: self.bytes_out.load(Ordering::SeqCst),
            bytes_in: self.bytes_in.load(Ordering::SeqCst),
            elapsed_us: self.elapsed_us.load(Ordering::SeqCst),
            request_id: self.request_id.clone(),
            connection: self.connection,
            faults: self.faults().iter().map(|fired| fired.rule).collect(),
        }
    }
}

/// Keeps a request open. Its end writes the log's line and counts a missing answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    entry: Arc<Entry>,
    log: Arc<Log>,
}

impl std::ops::Deref for Exchange {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.entry
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.status.load(Ordering::SeqCst) == 0
            && let Some(identity) = self.identity()
        {
            identity.cell.add_in(self.bytes_in.load(Ordering::SeqCst));
            identity.cell.answered(None);
        }
        self.touch();
        self.log.write(&self.entry);
    }
}

/// All requests since the last reset, and optionally a file of JSON lines.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: Mutex<VecDeque<Arc<Entry>>>,
    file: Option<Mutex<File>>,
    next: AtomicU64,
}

impl Log {
    pub(crate) fn to_file(path: &Path) -> std::io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self { file: Some(Mutex::new(file)), ..Self::default() })
    }

    /// Opens a request's entry.
    pub(crate) fn begin(self: &Arc<Self>, connection: u64, range: Option<String>) -> Arc<Exchange> {
        let time_ms = clock::unix_ms(clock::now());
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let entry = Arc::new(Entry {
            request_id: format!("{:016X}", crate::synthetic::mix(time_ms.rotate_left(24) ^ number)),
            connection,
            range,
            time_ms,
            begun: Instant::now(),
            identity: OnceLock::new(),
            status: AtomicU16::new(0),
            bytes_out: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            elapsed_us: AtomicU64::new(0),
            faults: Mutex::default(),
        });
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == KEPT {
            entries.pop_front();
        }
        entries.push_back(entry.clone());
        Arc::new(Exchange { entry, log: self.clone() })
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().map(|entry| entry.line()).collect()
    }

    pub(crate) fn reset(&self) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn write(&self, entry: &Entry) {
        let Some(file) = &self.file else { return };
        let Ok(mut text) = serde_json::to_string(&entry.line()) else { return };
        text.push('\n');
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(text.as_bytes()) {
            tracing::warn!(%error, "request log");
        }
    }
}
