//! Checksums of whole objects, as answers carry them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest};

/// The full-object checksum that an answer promises. The names are those of the headers in the S3
/// API reference ("Checking object integrity"); the SHA ones are not taken: they cost more
/// than the transfer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Checksum {
    algorithm: CrcAlgorithm,
    value: u64,
}

/// A checksum being computed beside the one that was promised.
pub(crate) struct Verifier {
    digest: Digest,
    promised: u64,
}

impl Checksum {
    /// Reads a `x-amz-checksum-…` header. `None` when it is no CRC of the full object: another
    /// algorithm, or the composite of a multipart upload (`value-N`).
    pub(crate) fn parse(header: &str, value: &str) -> Option<Self> {
        let (algorithm, width) = match header {
            "x-amz-checksum-crc64nvme" => (CrcAlgorithm::Crc64Nvme, 8),
            "x-amz-checksum-crc32c" => (CrcAlgorithm::Crc32Iscsi, 4),
            "x-amz-checksum-crc32" => (CrcAlgorithm::Crc32IsoHdlc, 4),
            _ => return None,
        };
        let bytes = STANDARD.decode(value.trim()).ok().filter(|b| b.len() == width)?;
        let value = bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        Some(Self { algorithm, value })
    }

    /// Starts to compute it.
    pub(crate) fn verifier(self) -> Verifier {
        Verifier { digest: Digest::new(self.algorithm), promised: self.value }
    }
}

impl Verifier {
    /// Takes the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    /// Whether the bytes taken have the checksum that was promised.
    pub(crate) fn agrees(&self) -> bool {
        self.digest.finalize() == self.promised
    }
}

#[cfg(test)]
mod tests;
