//! Synthetic content: bytes that are a pure function of (key, version, offset), so
//! that any reader can check any byte at any offset without having seen the rest.
//!
//! The content is cut into blocks of [`BLOCK`] bytes. A block begins with a stamp of
//! [`STAMP`] bytes mixed from key, version and block number; the rest is a window of
//! one shared ring, whose length is a prime. So serving needs no fill (frames are
//! slices of the ring), a shift by any power of two shows in every byte, and blocks
//! that changed places show in their stamps.

use std::sync::LazyLock;

use bytes::Bytes;

#[cfg(test)]
mod tests;

/// Bytes per stamped block.
pub const BLOCK: u64 = 256 * 1024;
/// Bytes of each block that are mixed from key, version and block number.
pub const STAMP: usize = 64;
/// Bytes in the shared ring: the largest prime below 2^22.
const RING: usize = 4_194_301;

/// The ring, followed by one block of itself so that every window is contiguous.
static WINDOWS: LazyLock<Bytes> = LazyLock::new(|| {
    let mut bytes = Vec::with_capacity(RING + BLOCK as usize);
    let mut counter = 0_u64;
    while bytes.len() < RING {
        counter += 1;
        bytes.extend_from_slice(&mix(counter).to_le_bytes());
    }
    bytes.truncate(RING);
    bytes.extend_from_within(..BLOCK as usize);
    Bytes::from(bytes)
});

/// The first byte that is not what the pattern says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the first wrong byte is at offset {offset}")]
pub struct Mismatch {
    /// Offset in the object, in bytes.
    pub offset: u64,
}

/// Writes the content of (`key`, `version`) from `offset` on into `out`.
pub fn fill(key: &str, version: u64, offset: u64, out: &mut [u8]) {
    let pattern = Pattern::new(key, version);
    let (mut at, mut rest) = (offset, out);
    while !rest.is_empty() {
        let run = pattern.run(at, rest.len());
        let bytes = run.as_slice();
        let (head, tail) = rest.split_at_mut(bytes.len());
        head.copy_from_slice(bytes);
        at += bytes.len() as u64;
        rest = tail;
    }
}

/// Compares `bytes`, read at `offset`, with the content of (`key`, `version`).
pub fn check(key: &str, version: u64, offset: u64, bytes: &[u8]) -> Result<(), Mismatch> {
    let pattern = Pattern::new(key, version);
    let (mut at, mut rest) = (offset, bytes);
    while !rest.is_empty() {
        let run = pattern.run(at, rest.len());
        let expected = run.as_slice();
        let (head, tail) = rest.split_at(expected.len());
        if head != expected {
            let wrong = head.iter().zip(expected).take_while(|(a, b)| a == b).count();
            return Err(Mismatch { offset: at + wrong as u64 });
        }
        at += expected.len() as u64;
        rest = tail;
    }
    Ok(())
}

/// The ETag of a synthetic object, without quotes: 32 hex digits from key, version and size.
pub fn etag(key: &str, version: u64, size: u64) -> String {
    Pattern::new(key, version).etag(size)
}

/// The content of one (key, version), ready to be read at any offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pattern {
    seed: u64,
}

impl Pattern {
    pub(crate) fn new(key: &str, version: u64) -> Self {
        // FNV-1a, finished by the mixer.
        let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { seed: mix(hash ^ mix(version)) }
    }

    pub(crate) fn etag(self, size: u64) -> String {
        format!("{:016x}{:016x}", mix(self.seed ^ size), mix(self.seed.rotate_left(32) ^ size))
    }

    /// The content at `offset` as shared bytes: at least one, at most `limit` (not 0).
    pub(crate) fn frame(self, offset: u64, limit: usize) -> Bytes {
        match self.run(offset, limit) {
            Run::Stamp { .. } => Bytes::copy_from_slice(self.run(offset, limit).as_slice()),
            Run::Ring { start, end } => WINDOWS.slice(start..end),
        }
    }

    fn run(self, offset: u64, limit: usize) -> Run {
        let block = offset / BLOCK;
        let within = (offset % BLOCK) as usize;
        if within < STAMP {
            return Run::Stamp {
                bytes: self.stamp(block),
                start: within,
                end: STAMP.min(within.saturating_add(limit)),
            };
        }
        let start = ((self.seed % RING as u64 + offset % RING as u64) % RING as u64) as usize;
        let length = limit.min(BLOCK as usize - within);
        Run::Ring { start, end: start + length }
    }

    fn stamp(self, block: u64) -> [u8; STAMP] {
        let mut stamp = [0; STAMP];
        for (word, at) in (1_u64..).zip(stamp.chunks_exact_mut(8)) {
            let mixed = mix(self.seed ^ mix(block.wrapping_mul(8).wrapping_add(word)));
            at.copy_from_slice(&mixed.to_le_bytes());
        }
        stamp
    }
}

enum Run {
    Stamp { bytes: [u8; STAMP], start: usize, end: usize },
    Ring { start: usize, end: usize },
}

impl Run {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Stamp { bytes, start, end } => &bytes[*start..*end],
            Self::Ring { start, end } => &WINDOWS[*start..*end],
        }
    }
}

/// The finaliser of SplitMix64 over an odd-stepped counter (Steele, Lea, Flood 2014).
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
