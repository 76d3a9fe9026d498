//! The checksums S3 keeps beside an object, and the digests taken while a body arrives.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// A checksum algorithm of S3's "additional checksums".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 5] =
        [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The name as `x-amz-checksum-algorithm` spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The algorithm called `name`, in any case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The header (or trailer) that carries a value, in lower case.
    pub(crate) fn header(self) -> String {
        format!("x-amz-checksum-{}", self.name().to_ascii_lowercase())
    }

    fn crc(self) -> Option<(crc_fast::CrcAlgorithm, usize)> {
        match self {
            Self::Crc32 => Some((crc_fast::CrcAlgorithm::Crc32IsoHdlc, 4)),
            Self::Crc32c => Some((crc_fast::CrcAlgorithm::Crc32Iscsi, 4)),
            Self::Crc64Nvme => Some((crc_fast::CrcAlgorithm::Crc64Nvme, 8)),
            Self::Sha1 | Self::Sha256 => None,
        }
    }
}

/// One stored checksum of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksum {
    pub(crate) algorithm: Algorithm,
    /// Base64, with `-N` behind a composite one.
    pub(crate) value: String,
    /// Whether the value is a checksum of the parts' checksums.
    pub(crate) composite: bool,
}

impl Checksum {
    /// The checksum of a whole object.
    pub(crate) fn full(algorithm: Algorithm, raw: &[u8]) -> Self {
        Self { algorithm, value: BASE64.encode(raw), composite: false }
    }
}

/// What one pass over a body found.
#[derive(Debug, Clone)]
pub(crate) struct Digests {
    pub(crate) md5: [u8; 16],
    pub(crate) size: u64,
    values: Vec<(Algorithm, Vec<u8>)>,
}

impl Digests {
    /// The raw value of `algorithm`, if it was asked for.
    pub(crate) fn value(&self, algorithm: Algorithm) -> Option<&[u8]> {
        self.values.iter().find(|(a, _)| *a == algorithm).map(|(_, value)| value.as_slice())
    }

    /// The stored form of `algorithm`'s value.
    pub(crate) fn checksum(&self, algorithm: Algorithm) -> Option<Checksum> {
        self.value(algorithm).map(|raw| Checksum::full(algorithm, raw))
    }

    /// The MD5 in hex, which is the ETag of an object put in one piece.
    pub(crate) fn etag(&self) -> String {
        hex(&self.md5)
    }

    /// The MD5 in base64, as `Content-MD5` carries it.
    pub(crate) fn content_md5(&self) -> String {
        BASE64.encode(self.md5)
    }
}

/// Digests of a body in the making: CRC64NVME always and MD5 nearly so, others when asked for.
pub(crate) struct Hasher {
    md5: Option<Md5>,
    size: u64,
    sums: Vec<(Algorithm, Sum)>,
}

enum Sum {
    Crc32(Crc32),
    Crc32c(Crc32c),
    Crc64Nvme(Crc64Nvme),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    pub(crate) fn new(wanted: &[Algorithm]) -> Self {
        let sums = Algorithm::ALL
            .into_iter()
            .filter(|a| *a == Algorithm::Crc64Nvme || wanted.contains(a))
            .map(|algorithm| (algorithm, Sum::new(algorithm)))
            .collect();
        Self { md5: Some(Md5::new()), size: 0, sums }
    }

    /// Its MD5, which costs more than all else that is done to a body, is a copy of its CRC.
    pub(crate) fn without_md5(wanted: &[Algorithm]) -> Self {
        Self { md5: None, ..Self::new(wanted) }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.iter_mut().for_each(|md5| md5.update(bytes));
        self.size += bytes.len() as u64;
        for (_, sum) in &mut self.sums {
            sum.update(bytes);
        }
    }

    pub(crate) fn finish(self) -> Digests {
        let values = self.sums.into_iter().map(|(a, sum)| (a, sum.finish())).collect();
        let mut digests = Digests { md5: [0; 16], size: self.size, values };
        match self.md5 {
            Some(md5) => digests.md5.copy_from_slice(md5.finalize().as_ref()),
            None => {
                let crc = digests.value(Algorithm::Crc64Nvme).unwrap_or_default().repeat(2);
                digests.md5.iter_mut().zip(crc).for_each(|(to, from)| *to = from);
            }
        }
        digests
    }
}

impl Sum {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Self::Crc32(Crc32::new()),
            Algorithm::Crc32c => Self::Crc32c(Crc32c::new()),
            Algorithm::Crc64Nvme => Self::Crc64Nvme(Crc64Nvme::new()),
            Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(sum) => sum.update(bytes),
            Self::Crc32c(sum) => sum.update(bytes),
            Self::Crc64Nvme(sum) => sum.update(bytes),
            Self::Sha1(sum) => sum.update(bytes),
            Self::Sha256(sum) => sum.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Crc32(sum) => sum.finalize().to_vec(),
            Self::Crc32c(sum) => sum.finalize().to_vec(),
            Self::Crc64Nvme(sum) => sum.finalize().to_vec(),
            Self::Sha1(sum) => sum.finalize().as_ref().to_vec(),
            Self::Sha256(sum) => sum.finalize().as_ref().to_vec(),
        }
    }
}

/// The ETag of a multipart object: MD5 over the parts' MD5s, then the number of parts.
pub(crate) fn multipart_etag(parts: &[Digests]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(&part.md5);
    }
    format!("{}-{}", hex(md5.finalize().as_ref()), parts.len())
}

/// The checksum of an object made of `parts`: of the whole where `composite` is false
/// (CRCs only), else of the parts' checksums. None where a part lacks `algorithm`.
pub(crate) fn multipart(
    parts: &[Digests],
    algorithm: Algorithm,
    composite: bool,
) -> Option<Checksum> {
    if composite {
        let mut sum = Sum::new(algorithm);
        for part in parts {
            sum.update(part.value(algorithm)?);
        }
        let value = format!("{}-{}", BASE64.encode(sum.finish()), parts.len());
        return Some(Checksum { algorithm, value, composite });
    }
    let (crc, width) = algorithm.crc()?;
    let mut whole: Option<u64> = None;
    for part in parts {
        let value = part.value(algorithm)?.iter().fold(0, |sum, b| (sum << 8) | u64::from(*b));
        whole = Some(match whole {
            None => value,
            Some(before) => crc_fast::checksum_combine(crc, before, value, part.size),
        });
    }
    let bytes = whole?.to_be_bytes();
    Some(Checksum::full(algorithm, &bytes[bytes.len() - width..]))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
