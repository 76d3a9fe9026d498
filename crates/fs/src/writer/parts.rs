//! How an object is cut into parts.

use object::{CHUNK, Span};

/// The least bytes of a part that is not the last (S3 User Guide, "Amazon S3 multipart upload
/// limits").
pub(crate) const PART_MIN: u64 = 5 << 20;
/// The most bytes of a part, and of one copy (ibid.).
const PART_MAX: u64 = 5 << 30;
/// The most parts of an upload (ibid.). With the largest parts that is the largest object, too.
pub(super) const PARTS_MAX: u16 = 10_000;
/// After so many parts they are twice as large.
const GENERATION: u16 = 1000;

/// The sizes of an upload's parts, by their number: the first are small, so that small objects
/// take little memory, and later ones grow, so that large objects get by with 10,000 parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartSizes {
    first: u64,
    largest: u64,
}

impl PartSizes {
    /// Parts that begin with `first` bytes and grow up to an eighth of `memory` bytes, unless they
    /// are `fixed`.
    pub(crate) fn new(first: u64, fixed: bool, memory: u64) -> Self {
        let first = first.clamp(PART_MIN, PART_MAX);
        let eighth = (memory / 8 / CHUNK * CHUNK).min(PART_MAX);
        Self { first, largest: if fixed { first } else { eighth.max(first) } }
    }

    /// Bytes of the part with this number, counted from 1.
    pub(crate) fn size(self, number: u16) -> u64 {
        let doublings = u32::from(number.saturating_sub(1) / GENERATION);
        self.first.saturating_mul(1 << doublings).min(self.largest)
    }

    /// Bytes of the largest object that can be written so.
    pub(crate) fn largest_object(self) -> u64 {
        (1..=PARTS_MAX).map(|number| self.size(number)).sum()
    }
}

/// The spans in which the first `size` bytes of an object are copied: as few as the limit of 5 GiB
/// allows, and alike, so that none but a whole object is smaller than a part may be.
pub(super) fn copies(size: u64) -> Vec<Span> {
    let count = size.div_ceil(PART_MAX).max(1);
    let each = size.div_ceil(count);
    (0..count).map(|n| Span::new(n * each, ((n + 1) * each).min(size))).collect()
}

#[cfg(test)]
mod tests;
