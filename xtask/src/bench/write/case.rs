//! What is written, and by how many.

use lab::Counters;

use super::options::Options;
use crate::bench::case::Objects;

/// The operations that change a store, of those that writers use.
const CHANGES: [&str; 7] = [
    "PutObject",
    "CreateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "DeleteObject",
];

/// What a case is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One large object, written by `dd`.
    Stream,
    /// Many small ones, written by many threads.
    Small,
}

/// One thing to measure.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) count: u64,
    /// Bytes of each.
    pub(super) size: u64,
    pub(super) tls: bool,
    /// Every answer of the server begins this much later, milliseconds.
    pub(super) latency_ms: u64,
    /// Threads that write to the mount.
    pub(super) threads: u64,
    /// Requests that the baseline has in flight.
    pub(super) in_flight: u64,
}

impl Case {
    /// The objects of one measurement, which nobody wrote before.
    pub(super) fn objects(&self, measurement: u32) -> Objects {
        Objects::new(&format!("{}/{measurement}/", self.name), self.count, self.size)
    }

    /// Whether the mount changed the store by no request more than it takes: one PUT for a small
    /// object; for a large one an upload whose parts hold every byte once.
    pub(super) fn is_as_planned(&self, counters: &Counters) -> bool {
        let changes: Vec<_> = CHANGES.iter().map(|name| counters.requests(name)).collect();
        let sent = |name: &str| counters.operation(name).bytes_in == self.count * self.size;
        match (self.kind, &changes[..]) {
            (Kind::Small, [puts, rest @ ..]) => {
                *puts == self.count && rest.iter().all(|n| *n == 0) && sent("PutObject")
            }
            (Kind::Stream, [0, 1, _, 0, 1, 0, 0]) => sent("UploadPart"),
            _ => false,
        }
    }

    /// How many requests changed the store.
    pub(super) fn changes(counters: &Counters) -> u64 {
        CHANGES.iter().map(|name| counters.requests(name)).sum()
    }
}

/// The cases asked for, in the order in which they run.
pub(super) fn cases(options: &Options) -> Vec<Case> {
    let size = if options.quick { 1 << 30 } else { 5 << 30 };
    let stream = |name, tls| Case {
        name,
        kind: Kind::Stream,
        count: 1,
        size,
        tls,
        latency_ms: 0,
        threads: 1,
        in_flight: options.in_flight,
    };
    let small = Case {
        name: "small-16-20ms",
        kind: Kind::Small,
        count: if options.quick { 200 } else { 1000 },
        size: 4 << 10,
        tls: false,
        latency_ms: 20,
        threads: 16,
        in_flight: 1,
    };
    let mut cases = vec![stream("stream-plain", false), small, stream("stream-tls", true)];
    cases.retain(|case| options.wants(case.name));
    cases
}
