//! Hashes of paths: an inode number has to be the same over remounts, so it is computed from the
//! key, byte by byte, and a directory's hash can be carried on to its children.

use super::Node;
use crate::attr::{Kind, ROOT};

/// Offset basis and prime of the 64-bit FNV-1a hash.
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The hash of the directory that a prefix (empty, or ending in `/`) stands for. The hash of a
/// directory never has the `/`, and the root of a bucket is where hashing begins.
pub(super) fn of_prefix(prefix: &str) -> u64 {
    prefix.strip_suffix('/').map_or(BASIS, |path| carry(BASIS, path))
}

/// The hash of `name` in the directory `parent`.
pub(super) fn child(parent: &Node, name: &str) -> u64 {
    match parent.hash {
        BASIS => carry(BASIS, name),
        hash => carry(carry(hash, "/"), name),
    }
}

/// The inode number of the path with this hash. A file and a directory of one path differ.
pub(super) fn ino(hash: u64, kind: Kind) -> u64 {
    let hash = if kind == Kind::Directory { carry(hash, "/") } else { hash };
    // FNV leaves the high bits of short texts alike: mix them (the finaliser of MurmurHash3).
    let mut ino = hash;
    ino = (ino ^ (ino >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    ino = (ino ^ (ino >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    ino ^= ino >> 33;
    // 0 is no inode number, and the root's is its own.
    if ino <= ROOT { ino + 2 } else { ino }
}

fn carry(hash: u64, text: &str) -> u64 {
    text.bytes().fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}
