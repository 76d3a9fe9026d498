//! What an object is charged for: pure arithmetic, the same when it is reserved, settled, walked
//! over and evicted, so that the count does not drift. It is never less than what `du` counts.

use object::BLOCK;

use crate::map::codec::{HEADER, RECORD};

/// Disk space is counted in these units, in bytes.
pub(crate) const PAGE: u64 = 4096;

/// The directory, its 256 shard directories, and the small files in it, charged from the start.
pub(super) const BASE: u64 = 2 << 20;

/// An object above this size may have more extents than fit into its inode. Fills write chunks of
/// 128 KiB, and ext4 keeps four extents in the inode.
const INLINE_EXTENTS: u64 = 512 << 10;
/// One block of extents names 340 (ext4); a fill in the worst order makes one of each chunk.
const EXTENTS_PER_PAGE: u64 = 340 * (128 << 10);

/// `bytes` in whole pages.
pub(crate) fn pages(bytes: u64) -> u64 {
    bytes.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX - PAGE + 1)
}

/// What an object of `size` bytes takes on the disk besides its data, in bytes: its map (a header
/// of 4 KiB and 16 bytes per block), its directory entries, the file system's own records. To be
/// reserved once, with the object's first bytes, and settled in full.
pub fn overhead(size: u64) -> u64 {
    let map = pages(HEADER as u64 + size.div_ceil(BLOCK) * RECORD as u64);
    map + entry(size)
}

/// Directory entries and extents of an object with `size` bytes of data.
fn entry(size: u64) -> u64 {
    let extents = if size > INLINE_EXTENTS { size.div_ceil(EXTENTS_PER_PAGE) } else { 0 };
    PAGE + extents * PAGE
}

/// What a whole object of `size` bytes takes on the disk, in bytes.
pub fn footprint(size: u64) -> u64 {
    pages(size).saturating_add(overhead(size))
}

/// What an object is charged whose data file is `size` bytes long and has `data` bytes allocated,
/// and whose map has `map` bytes allocated, as `stat` tells it. Never more than was reserved for
/// it, and the same when the object is whole.
pub(super) fn charged(size: u64, data: u64, map: u64) -> u64 {
    let data = pages(data).min(pages(size));
    data.saturating_add(entry(data.min(size))).saturating_add(pages(map))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_reserved_block_by_block_is_what_is_freed(size in 0..1u64 << 44) {
            let (blocks, rest) = (size / BLOCK, size % BLOCK);
            let reserved = overhead(size) + blocks * BLOCK + pages(rest);
            prop_assert_eq!(reserved, footprint(size));
            let map = pages(HEADER as u64 + size.div_ceil(BLOCK) * RECORD as u64);
            // The file system's own records make a file's allocation larger, never the charge.
            prop_assert_eq!(charged(size, pages(size) + 8 * PAGE, map), reserved);
        }

        #[test]
        fn a_file_of_a_bogus_size_is_charged_for_what_is_there(size: u64, data in 0..1u64 << 40) {
            let charge = charged(size, data, PAGE);
            prop_assert!(charge <= pages(data) + entry(data) + PAGE, "{charge}");
        }
    }

    #[test]
    fn a_small_object_pays_for_map_and_entry() {
        assert_eq!(footprint(1), PAGE + 2 * PAGE + PAGE);
    }
}
