//! Checksums that can be put together: of two runs of bytes, without looking at them again.

use crc_fast::{CrcAlgorithm, Digest, checksum_combine};

/// How bytes are summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// CRC-64/NVME, what S3 itself keeps of every object.
    Crc64Nvme,
    /// CRC-32C (Castagnoli).
    Crc32c,
}

impl Algorithm {
    fn crc(self) -> CrcAlgorithm {
        match self {
            Self::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
            Self::Crc32c => CrcAlgorithm::Crc32Iscsi,
        }
    }

    /// Begins to sum up.
    pub(super) fn digest(self) -> Digest {
        Digest::new(self.crc())
    }
}

/// What bytes sum up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Checksum {
    /// How.
    pub algorithm: Algorithm,
    /// To what; of a CRC of 32 bits the upper half is 0.
    pub value: u64,
}

impl Checksum {
    /// The checksum of these bytes followed by `len` more with the checksum `next`; nothing when
    /// the two were not made by the same algorithm.
    pub fn then(self, next: Checksum, len: u64) -> Option<Checksum> {
        let alike = self.algorithm == next.algorithm;
        let value = checksum_combine(self.algorithm.crc(), self.value, next.value, len);
        alike.then_some(Checksum { algorithm: self.algorithm, value })
    }
}
