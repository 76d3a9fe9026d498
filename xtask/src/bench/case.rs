//! What is read, and what it may cost.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::options::Options;

/// The bucket of every bench.
pub(super) const BUCKET: &str = "bench";
/// Length of one GET of both the baseline and the mount (its default), bytes.
pub(super) const PART: u64 = 8 << 20;
/// Version of the synthetic objects.
pub(super) const VERSION: u64 = 1;

const MIB: u64 = 1 << 20;

/// Objects `PREFIX0000000`, `PREFIX0000001`, ... of one size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Objects {
    /// Ends in `/`: the directory they are in.
    pub(super) prefix: String,
    pub(super) count: u64,
    /// Bytes of each.
    pub(super) size: u64,
}

impl Objects {
    pub(super) fn new(prefix: &str, count: u64, size: u64) -> Self {
        Self { prefix: prefix.to_owned(), count, size }
    }

    /// A few, read once before anything is measured.
    pub(super) fn for_warming() -> Self {
        Self::new("warm/", 1, 256 * MIB)
    }

    pub(super) fn keys(&self) -> Vec<String> {
        (0..self.count).map(|number| format!("{}{number:07}", self.prefix)).collect()
    }

    /// Bytes of all.
    pub(super) fn bytes(&self) -> u64 {
        self.count * self.size
    }

    /// The GETs that reading all of them once takes.
    pub(super) fn gets(&self) -> u64 {
        self.count * self.size.div_ceil(PART)
    }
}

/// How the mount is used in a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variant {
    pub(super) name: &'static str,
    /// Flags beside those that every mount gets.
    pub(super) flags: &'static [&'static str],
    /// Whether it gets an empty node cache of its own.
    pub(super) cache: bool,
    /// Whether the directory is listed, and every file in it looked at, before the clock starts.
    pub(super) list_first: bool,
}

const DEFAULT: Variant = Variant { name: "default", flags: &[], cache: false, list_first: false };
/// What a mount reaches when memory is no limit.
const ROOMY: Variant = Variant { name: ROOMY_NAME, flags: &["--memory-target", "1GiB"], ..DEFAULT };
const FILLING: Variant = Variant { name: FILLING_NAME, cache: true, ..DEFAULT };
const LISTED: Variant =
    Variant { name: "listed", flags: &["--metadata-ttl", "60"], list_first: true, ..DEFAULT };
const COLD: Variant = Variant { name: "cold", flags: &["--metadata-ttl", "60"], ..DEFAULT };

/// What warms a machine up.
pub(super) const VARIANT_FOR_WARMING: Variant = DEFAULT;

/// The variant that others are compared with for memory.
pub(super) const ROOMY_NAME: &str = "1GiB";

/// The variant that fills a cache.
pub(super) const FILLING_NAME: &str = "cache";

/// What a case is about; decides which targets apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Large objects, one reading thread each.
    Streams,
    /// Many small objects.
    Small,
}

/// One thing to measure: a baseline and the mount's variants on the same objects.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) objects: Objects,
    pub(super) tls: bool,
    /// Every answer of the server begins this much later, milliseconds.
    pub(super) latency_ms: u64,
    /// Reading threads of the mount.
    pub(super) threads: u64,
    /// Requests that the baseline has in flight.
    pub(super) in_flight: u64,
    pub(super) variants: Vec<Variant>,
}

impl Case {
    /// Not measured.
    pub(super) fn for_warming(objects: Objects) -> Self {
        Self::streams("warm".to_owned(), objects, false)
    }

    fn streams(name: String, objects: Objects, tls: bool) -> Self {
        Self {
            name,
            kind: Kind::Streams,
            threads: objects.count,
            objects,
            tls,
            latency_ms: 0,
            in_flight: 16,
            variants: vec![DEFAULT, ROOMY],
        }
    }

    fn small(objects: Objects, threads: u64, latency_ms: u64) -> Self {
        Self {
            name: format!("small-{threads}-{latency_ms}ms"),
            kind: Kind::Small,
            objects,
            tls: false,
            latency_ms,
            threads,
            in_flight: threads,
            variants: vec![LISTED, COLD],
        }
    }
}

/// The cases asked for, in the order in which they run.
pub(super) fn cases(options: &Options) -> Vec<Case> {
    let mut cases = vec![];
    let total = if options.quick { 1 << 30 } else { 5 << 30 };
    for streams in [1, 4, 16] {
        for (tls, suffix) in [(false, "plain"), (true, "tls")] {
            let name = format!("streams-{streams}-{suffix}");
            let objects = Objects::new(&format!("streams-{streams}/"), streams, total / streams);
            let mut case = Case::streams(name, objects, tls);
            if options.cache {
                case.variants = vec![DEFAULT, FILLING];
            }
            cases.push(case);
        }
    }
    let count = if options.quick { 200 } else { 2_000 };
    for latency_ms in [0, 20] {
        for threads in [1, 16] {
            cases.push(Case::small(Objects::new("small/", count, 16 << 10), threads, latency_ms));
        }
    }
    cases.retain(|case| options.wants(&case.name));
    cases
}
