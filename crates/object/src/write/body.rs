//! Bytes that were written and are to be sent.

use crc_fast::Digest;

use super::{Algorithm, Checksum};
use crate::{Buffer, CHUNK, Lease};

/// Bytes in leased memory that grow at their end, and their checksum, computed as they come: from
/// then on nothing that happens to them goes unnoticed.
#[derive(Default)]
pub struct Body {
    buffers: Vec<Buffer>,
    len: u64,
    digest: Option<(Algorithm, Digest)>,
}

impl Body {
    /// No bytes yet. Without an algorithm no checksum is computed.
    pub fn new(algorithm: Option<Algorithm>) -> Self {
        let digest = algorithm.map(|algorithm| (algorithm, algorithm.digest()));
        Self { buffers: Vec::new(), len: 0, digest }
    }

    /// Bytes in it.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that fit before another buffer is needed.
    pub fn room(&self) -> u64 {
        self.buffers.len() as u64 * CHUNK - self.len
    }

    /// Appends as much of `bytes` as there is room for, in buffers that are here and in whole
    /// ones of [`CHUNK`] bytes made from `lease`, and says how much that was.
    pub fn append(&mut self, bytes: &[u8], lease: &mut Lease) -> usize {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            if self.room() == 0 {
                if lease.bytes() < CHUNK {
                    break;
                }
                self.buffers.push(lease.buffer(CHUNK));
            }
            let at = usize::try_from(self.len % CHUNK).unwrap_or_default();
            let Some(to) = self.buffers.last_mut().and_then(|b| b.get_mut(at..)) else { break };
            let fits = rest.len().min(to.len());
            let (from, to) = (&rest[..fits], &mut to[..fits]);
            to.copy_from_slice(from);
            if let Some((_, digest)) = &mut self.digest {
                digest.update(from);
            }
            self.len += fits as u64;
            taken += fits;
        }
        taken
    }

    /// The bytes, in order.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut left = self.len;
        self.buffers.iter().map_while(move |buffer| {
            let here = left.min(buffer.len() as u64);
            left -= here;
            buffer.get(..usize::try_from(here).ok()?).filter(|slice| !slice.is_empty())
        })
    }

    /// What they sum up to, where that is computed.
    pub fn checksum(&self) -> Option<Checksum> {
        let (algorithm, digest) = self.digest.as_ref()?;
        Some(Checksum { algorithm: *algorithm, value: digest.finalize() })
    }
}

#[cfg(test)]
mod tests;
