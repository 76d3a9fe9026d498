//! The answer to a read: pieces of shared chunks, not a copy.

use std::ops::Range;

use object::Chunk;

/// Bytes of an object in order, as pieces of the chunks they arrived in.
#[derive(Default)]
pub struct Slices(Vec<(Chunk, Range<usize>)>);

impl Slices {
    /// Adds the part of `chunk` that `range` names, cut at the end of the chunk.
    pub(super) fn push(&mut self, chunk: Chunk, range: Range<usize>) {
        let end = range.end.min(chunk.len());
        if range.start < end {
            self.0.push((chunk, range.start..end));
        }
    }

    /// Bytes in all pieces.
    pub fn len(&self) -> usize {
        self.0.iter().map(|(_, range)| range.len()).sum()
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pieces in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter_map(|(chunk, range)| chunk.get(range.clone()))
    }
}
