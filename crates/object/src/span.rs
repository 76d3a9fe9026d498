//! Ranges of bytes, on one absolute grid.

use std::fmt;
use std::ops::Range;

/// The unit in which bytes travel through the product, in bytes: a socket read, a buffer, a piece
/// of a reply. 128 KiB stays in the processor's second-level cache between them.
pub const CHUNK: u64 = 128 << 10;

/// The unit in which the node cache remembers what it holds, in bytes.
pub const BLOCK: u64 = 1 << 20;

/// A half-open range of bytes of one object version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u64,
    /// Offset after the last byte; never below `start`.
    pub end: u64,
}

impl Span {
    /// The range `start..end`; empty when `end` lies before `start`.
    pub fn new(start: u64, end: u64) -> Self {
        Self { start, end: end.max(start) }
    }

    /// Bytes in the span.
    pub fn len(self) -> u64 {
        self.end - self.start
    }

    /// Whether the span holds no byte.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether every byte of `other` lies in this span.
    pub fn covers(self, other: Span) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// The smallest span on a grid of `unit` bytes that covers this one, cut at `size`.
    pub fn aligned(self, unit: u64, size: u64) -> Span {
        let start = self.start / unit * unit;
        let end = self.end.div_ceil(unit).saturating_mul(unit).min(size);
        Span::new(start, end)
    }

    /// The numbers of the chunks that this span touches.
    pub fn chunks(self) -> Range<u64> {
        self.start / CHUNK..self.end.div_ceil(CHUNK)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}
