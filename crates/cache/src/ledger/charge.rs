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
    pages(map_len(size)) + entry(size)
}

fn map_len(size: u64) -> u64 {
    HEADER as u64 + size.div_ceil(BLOCK) * RECORD as u64
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

/// A file as `stat` tells it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OnDisk {
    /// Its length in bytes.
    pub(super) len: u64,
    /// What is allocated of it, in bytes.
    pub(super) allocated: u64,
}

/// What an object is charged that has these files: what was reserved for it and what was written,
/// also when it is not whole. Files that are no object's are charged for what is there.
pub(super) fn charged(data: OnDisk, map: OnDisk) -> u64 {
    let bytes = pages(data.allocated).min(pages(data.len));
    let besides = match map.len == map_len(data.len) {
        true => overhead(data.len),
        false => entry(bytes.min(data.len)).saturating_add(pages(map.allocated)),
    };
    bytes.saturating_add(besides)
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
            let map = OnDisk { len: map_len(size), allocated: pages(map_len(size)) };
            // The file system's own records make a file's allocation larger, never the charge.
            let data = OnDisk { len: size, allocated: pages(size) + 8 * PAGE };
            prop_assert_eq!(charged(data, map), reserved);
            // What is not written yet is no less reserved because the map is sparse.
            let (data, map) = (OnDisk { len: size, allocated: 0 }, OnDisk { allocated: 0, ..map });
            prop_assert_eq!(charged(data, map), overhead(size));
        }

        #[test]
        fn a_file_of_a_bogus_size_is_charged_for_what_is_there(size: u64, data in 0..1u64 << 40) {
            let map = OnDisk { len: 1, allocated: PAGE };
            let charge = charged(OnDisk { len: size, allocated: data }, map);
            prop_assert!(charge <= pages(data) + entry(data) + PAGE, "{charge}");
        }
    }

    #[test]
    fn a_small_object_pays_for_map_and_entry() {
        assert_eq!(footprint(1), PAGE + 2 * PAGE + PAGE);
    }
}
