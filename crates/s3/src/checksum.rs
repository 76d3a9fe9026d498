//! Checksums of whole objects, as requests and answers carry them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest};
use object::Algorithm;

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
            CRC64NVME => (CrcAlgorithm::Crc64Nvme, 8),
            CRC32C => (CrcAlgorithm::Crc32Iscsi, 4),
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

    /// Whether it is this one; `None` when the two are of different kinds.
    pub(crate) fn agrees(self, other: object::Checksum) -> Option<bool> {
        let own = self.known().filter(|own| own.algorithm == other.algorithm)?;
        Some(own == other)
    }

    /// The same for those who put checksums together.
    pub(crate) fn known(self) -> Option<object::Checksum> {
        let algorithm = match self.algorithm {
            CrcAlgorithm::Crc64Nvme => Algorithm::Crc64Nvme,
            CrcAlgorithm::Crc32Iscsi => Algorithm::Crc32c,
            _ => return None,
        };
        Some(object::Checksum { algorithm, value: self.value })
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

const CRC64NVME: &str = "x-amz-checksum-crc64nvme";
const CRC32C: &str = "x-amz-checksum-crc32c";

/// The header that carries checksums of this kind.
pub(crate) fn header(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Crc64Nvme => CRC64NVME,
        Algorithm::Crc32c => CRC32C,
    }
}

/// The name of the kind, as `x-amz-checksum-algorithm` has it; after `Checksum`, that of the XML
/// element, too.
pub(crate) fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Crc64Nvme => "CRC64NVME",
        Algorithm::Crc32c => "CRC32C",
    }
}

/// The value as headers and XML have it: base64 of its bytes, the highest first.
pub(crate) fn text(checksum: object::Checksum) -> String {
    let bytes = checksum.value.to_be_bytes();
    match checksum.algorithm {
        Algorithm::Crc64Nvme => STANDARD.encode(bytes),
        Algorithm::Crc32c => STANDARD.encode(&bytes[4..]),
    }
}

#[cfg(test)]
mod tests;
