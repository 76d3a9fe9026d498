//! What a mount asked of S3, and what its node cache saved.
//!
//! Everything is counted, but for two figures that are worked out, each with its basis said: how
//! many GETs were not needed, and what those would have cost. Price and way of counting are those
//! of the guide that this product follows (`docs/warm.md` quotes them).

mod amount;

use std::fmt;

use serde::Serialize;

use crate::adapter::Counted;
pub(crate) use amount::Bytes;

/// US dollars for 1000 GETs: the guide's figure (S3 Standard, us-east-1).
pub const USD_PER_1000_GETS: f64 = 0.0004;

/// One mount's account since its daemon began.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Savings {
    /// What was asked of S3.
    pub s3: Requests,
    /// What was changed in S3.
    pub writes: Writes,
    /// How files were opened, and what the kernel asked for.
    pub opens: Opens,
    /// What the node cache did; nothing without one.
    pub cache: Option<cache::Counts>,
    /// What was not asked of S3, worked out; nothing without a cache.
    pub avoided: Option<Avoided>,
}

/// Requests to S3, each counted as often as it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// GETs.
    pub gets: u64,
    /// HEADs.
    pub heads: u64,
    /// LISTs.
    pub lists: u64,
    /// Of all these, second and later tries.
    pub retries: u64,
    /// Answers that asked to slow down.
    pub throttled: u64,
    /// Bytes of objects received.
    pub bytes: u64,
}

/// Requests that change S3, each counted as often as it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Writes {
    /// Objects stored in one request.
    pub puts: u64,
    /// Uploads in parts that were begun.
    pub begun: u64,
    /// Parts stored.
    pub parts: u64,
    /// Parts that S3 copied.
    pub copies: u64,
    /// Uploads completed.
    pub completed: u64,
    /// Uploads thrown away.
    pub aborted: u64,
    /// Objects deleted.
    pub deletes: u64,
    /// Bytes of objects sent.
    pub bytes: u64,
}

/// How files were opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Opens {
    /// The kernel reads a file of the cache by itself: what it reads there is not seen by us.
    pub passed_through: u64,
    /// Through the kernel's page cache, filled by us.
    pub page_cached: u64,
    /// Every read is a request to us.
    pub direct: u64,
    /// READ requests from the kernel.
    pub reads: u64,
}

/// What was not asked of S3.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Avoided {
    /// Bytes that came from the cache's disk and not again from S3: counted. What the kernel
    /// read by itself is not among them.
    pub bytes: u64,
    /// GETs that these bytes would have been: at `get_bytes` bytes each, the fewest possible.
    pub gets_for_bytes: u64,
    /// GETs for the opens that were passed through: one for each, as the guide counts (10
    /// executors that read 5 JARs are 50 GETs).
    pub gets_for_opens: u64,
    /// Size of one GET of this mount, in bytes.
    pub get_bytes: u64,
    /// [`USD_PER_1000_GETS`].
    pub usd_per_1000_gets: f64,
    /// Both kinds of GETs at that price, in US dollars.
    pub usd: f64,
}

impl Savings {
    /// The account of these counters; one GET of the mount is of at most `part` bytes.
    pub fn new(s3: s3::Stats, kernel: Counted, cache: Option<cache::Counts>, part: u64) -> Self {
        let opens = Opens {
            passed_through: kernel.opens_passed,
            page_cached: kernel.opens_cached,
            direct: kernel.opens_direct,
            reads: kernel.reads,
        };
        let writes = Writes {
            puts: s3.puts,
            begun: s3.begun,
            parts: s3.parts,
            copies: s3.copies,
            completed: s3.completed,
            aborted: s3.aborted,
            deletes: s3.deletes,
            bytes: s3.bytes_sent,
        };
        let s3 = Requests {
            gets: s3.gets,
            heads: s3.heads,
            lists: s3.lists,
            retries: s3.retries,
            throttled: s3.throttled,
            bytes: s3.bytes,
        };
        let avoided = cache.map(|cache| Avoided::new(cache.served_bytes, opens, part));
        Self { s3, writes, opens, cache, avoided }
    }
}

impl Avoided {
    fn new(bytes: u64, opens: Opens, part: u64) -> Self {
        let gets_for_bytes = bytes.div_ceil(part.max(1));
        let gets_for_opens = opens.passed_through;
        let thousands = gets_for_bytes.saturating_add(gets_for_opens) as f64 / 1000.0;
        Self {
            bytes,
            gets_for_bytes,
            gets_for_opens,
            get_bytes: part,
            usd_per_1000_gets: USD_PER_1000_GETS,
            usd: thousands * USD_PER_1000_GETS,
        }
    }
}

/// A few lines for people.
impl fmt::Display for Savings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { s3, writes, opens, cache, avoided } = self;
        let Requests { gets, heads, lists, retries, throttled, bytes } = s3;
        writeln!(
            f,
            "asked of S3: {gets} GETs, {heads} HEADs, {lists} LISTs (of these {retries} again; \
             {throttled} told to slow down); {} received",
            Bytes(*bytes)
        )?;
        if *writes != Writes::default() {
            writeln!(f, "{writes}")?;
        }
        writeln!(
            f,
            "opened: {} read by the kernel alone, {} through the page cache, {} direct; {} reads \
             came to us",
            opens.passed_through, opens.page_cached, opens.direct, opens.reads
        )?;
        if let Some(cache) = cache {
            writeln!(
                f,
                "cache: {} kept, {} read from it by us, {} not kept; {} objects completed, {} \
                 dropped as damaged",
                Bytes(cache.filled_bytes),
                Bytes(cache.served_bytes),
                Bytes(cache.uncached_bytes),
                cache.seals,
                cache.dropped_damaged + cache.dropped_unreadable
            )?;
        }
        avoided.iter().try_for_each(|avoided| avoided.fmt(f))
    }
}

impl fmt::Display for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { puts, begun, parts, copies, completed, aborted, deletes, bytes } = self;
        write!(
            f,
            "written to S3: {puts} PUTs, {begun} uploads of {parts} parts and {copies} copied ones \
             ({completed} completed, {aborted} thrown away), {deletes} DELETEs; {} sent",
            Bytes(*bytes)
        )
    }
}

impl fmt::Display for Avoided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "not asked of S3: {} GETs for the bytes read from the cache (at {} a GET), and {} \
             for the opens that the kernel served (one each, as the guide counts): ${:.6} at the \
             guide's ${} for 1000 GETs",
            self.gets_for_bytes,
            Bytes(self.get_bytes),
            self.gets_for_opens,
            self.usd,
            self.usd_per_1000_gets
        )
    }
}

#[cfg(test)]
mod tests;
