//! The bytes of a map file, as pure functions that take anything and never panic.
//!
//! All numbers are little endian, all checksums CRC32C.
//!
//! ```text
//! header, 4096 bytes
//!    0   8  magic                        56  2  length of the endpoint
//!    8   4  format version               58  2  length of the bucket
//!   12   4  block size                   60  2  length of the key
//!   16  32  identity                     62  2  length of the ETag
//!   48   8  size of the object           64 64  reserved for the scopes that proved access
//!  128      endpoint, bucket, key, ETag as text, zeros up to
//! 3580   4  checksum of all of the above
//! 3584 512  mark: rewritten in place, checksummed together with the identity
//! records, 16 bytes for each block
//!    0   4  checksum of the block         4  4  checksum of identity, number and record
//!    8   8  reserved
//! ```

use std::ops::Range;

use crc_fast::{CrcAlgorithm, Digest};
use object::{BLOCK, Key, Version};

use crate::identity::{Identity, Scope};

/// The length of the header in bytes.
pub const HEADER: usize = 4096;
/// Where in the header the mark is.
pub const MARK: Range<usize> = 3584..HEADER;
/// The length of a block's record in bytes.
pub const RECORD: usize = 16;

/// No object is larger, in bytes: 64 TiB, above what S3 stores.
const MAX_SIZE: u64 = 64 << 40;
/// The only format version there is.
const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"MS3CMAP\0";
const TEXT: Range<usize> = 128..3580;
const LENGTHS: usize = 56;
const MARK_BYTES: usize = MARK.end - MARK.start;
const MARK_SUM: usize = MARK_BYTES - 4;

const PINNED: u32 = 1;
const PROTECTED: u32 = 2;
const VERIFIED: u32 = 4;
const SEALED: u32 = 8;

/// What a map says for good: which version it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The identity, which follows from all the rest.
    pub identity: Identity,
    /// Where the version comes from.
    pub scope: Scope,
    /// The object's full key.
    pub key: Key,
    /// The text of its ETag, without quotation marks.
    pub etag: String,
    /// The object's size in bytes.
    pub size: u64,
}

/// Why bytes are no header, mark or record of ours, or a version cannot have a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Bytes are missing, or a checksum differs.
    #[error("the map is torn or was changed")]
    Checksum,
    /// Another kind of file, or one of another format version.
    #[error("the map has another format")]
    Format,
    /// The parts are whole but cannot belong together.
    #[error("the map contradicts itself")]
    Content,
    /// Endpoint, bucket, key and ETag together are longer than a header has room for, or the size is.
    #[error("the names of this version are too long for a map")]
    TooLong,
}

impl Header {
    /// The header of `version` in `scope`.
    pub fn new(scope: &Scope, version: &Version) -> Self {
        Self {
            identity: Identity::of(scope, version),
            scope: scope.clone(),
            key: version.key.clone(),
            etag: version.etag.as_str().to_owned(),
            size: version.size,
        }
    }

    /// How many blocks the object has.
    pub fn blocks(&self) -> u64 {
        self.size.div_ceil(BLOCK)
    }

    /// The header as bytes, the mark still being zeros.
    ///
    /// # Errors
    /// [`Damage::TooLong`], also of an object above 64 TiB.
    pub fn encode(&self) -> Result<[u8; HEADER], Damage> {
        if self.size > MAX_SIZE {
            return Err(Damage::TooLong);
        }
        let mut bytes = [0; HEADER];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &VERSION.to_le_bytes());
        put(&mut bytes, 12, &(BLOCK as u32).to_le_bytes());
        put(&mut bytes, 16, &self.identity.0);
        put(&mut bytes, 48, &self.size.to_le_bytes());
        let texts = [&self.scope.endpoint, &self.scope.bucket, self.key.as_str(), &self.etag];
        let mut at = TEXT.start;
        for (field, text) in texts.into_iter().enumerate() {
            let len = u16::try_from(text.len()).map_err(|_| Damage::TooLong)?;
            if text.len() > TEXT.end - at {
                return Err(Damage::TooLong);
            }
            put(&mut bytes, LENGTHS + 2 * field, &len.to_le_bytes());
            put(&mut bytes, at, text.as_bytes());
            at += text.len();
        }
        let sum = crc(&[&bytes[..TEXT.end]]);
        put(&mut bytes, TEXT.end, &sum.to_le_bytes());
        Ok(bytes)
    }

    /// Reads the header from the first [`HEADER`] bytes of a map.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let fixed = bytes.get(..TEXT.end).ok_or(Damage::Checksum)?;
        if take(bytes, 0)? != MAGIC {
            return Err(Damage::Format);
        }
        if crc(&[fixed]) != u32::from_le_bytes(take(bytes, TEXT.end)?) {
            return Err(Damage::Checksum);
        }
        if u32::from_le_bytes(take(bytes, 8)?) != VERSION
            || u64::from(u32::from_le_bytes(take(bytes, 12)?)) != BLOCK
        {
            return Err(Damage::Format);
        }
        let mut at = TEXT.start;
        let mut text = |field: usize| {
            let len = usize::from(u16::from_le_bytes(take(bytes, LENGTHS + 2 * field)?));
            let text = fixed.get(at..at + len).ok_or(Damage::Content)?;
            at += len;
            String::from_utf8(text.to_vec()).map_err(|_| Damage::Content)
        };
        let scope = Scope { endpoint: text(0)?, bucket: text(1)? };
        let key = Key::new(&text(2)?).map_err(|_| Damage::Content)?;
        let etag = text(3)?;
        let size = u64::from_le_bytes(take(bytes, 48)?);
        let identity = Identity(take(bytes, 16)?);
        let whose = Identity::of_parts(&scope, key.as_str(), &etag, size);
        if identity != whose || size > MAX_SIZE {
            return Err(Damage::Content);
        }
        Ok(Self { identity, scope, key, etag, size })
    }
}

/// What of a data file must be the same for it to be taken for the one that was sealed (stat(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Inode number.
    pub inode: u64,
    /// Size in bytes.
    pub size: u64,
    /// Last modification: seconds and nanoseconds.
    pub modified: (i64, u32),
    /// Last change of the inode: seconds and nanoseconds.
    pub changed: (i64, u32),
}

/// What a map says for now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The epoch since which every block was written or checked (see [`Epoch`](crate::Epoch)).
    pub epoch: u64,
    /// Never evicted.
    pub pinned: bool,
    /// Used again after it was filled: evicted last.
    pub protected: bool,
    /// The object as a whole was compared with the store's checksum.
    pub verified: bool,
    /// Complete, durable and never written again, as long as the data file is this one.
    pub seal: Option<Seal>,
}

impl Mark {
    /// The mark as bytes, bound to `identity`.
    pub fn encode(&self, identity: &Identity) -> [u8; MARK_BYTES] {
        let mut bytes = [0; MARK_BYTES];
        let flags = [
            (self.pinned, PINNED),
            (self.protected, PROTECTED),
            (self.verified, VERIFIED),
            (self.seal.is_some(), SEALED),
        ];
        let flags: u32 = flags.into_iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum();
        put(&mut bytes, 0, &self.epoch.to_le_bytes());
        put(&mut bytes, 8, &flags.to_le_bytes());
        if let Some(seal) = &self.seal {
            put(&mut bytes, 16, &seal.inode.to_le_bytes());
            put(&mut bytes, 24, &seal.size.to_le_bytes());
            for (at, (seconds, nanos)) in [(32, seal.modified), (48, seal.changed)] {
                put(&mut bytes, at, &seconds.to_le_bytes());
                put(&mut bytes, at + 8, &nanos.to_le_bytes());
            }
        }
        let sum = crc(&[&identity.0, &bytes[..MARK_SUM]]);
        put(&mut bytes, MARK_SUM, &sum.to_le_bytes());
        bytes
    }

    /// Reads the mark of the map of `identity`.
    ///
    /// # Errors
    /// [`Damage::Checksum`], also when it is another object's mark.
    pub fn decode(bytes: &[u8], identity: &Identity) -> Result<Self, Damage> {
        let summed = bytes.get(..MARK_SUM).ok_or(Damage::Checksum)?;
        if crc(&[&identity.0, summed]) != u32::from_le_bytes(take(bytes, MARK_SUM)?) {
            return Err(Damage::Checksum);
        }
        let time = |at: usize| {
            let seconds = i64::from_le_bytes(take(bytes, at)?);
            Ok((seconds, u32::from_le_bytes(take(bytes, at + 8)?)))
        };
        let flags = u32::from_le_bytes(take(bytes, 8)?);
        let seal = Seal {
            inode: u64::from_le_bytes(take(bytes, 16)?),
            size: u64::from_le_bytes(take(bytes, 24)?),
            modified: time(32)?,
            changed: time(48)?,
        };
        Ok(Self {
            epoch: u64::from_le_bytes(take(bytes, 0)?),
            pinned: flags & PINNED != 0,
            protected: flags & PROTECTED != 0,
            verified: flags & VERIFIED != 0,
            seal: (flags & SEALED != 0).then_some(seal),
        })
    }
}

/// What a map says of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// It was not fetched.
    Absent,
    /// It is in the data file and has this CRC32C.
    Present(u32),
    /// The record is torn or another block's: as good as absent.
    Damaged,
}

impl Record {
    /// The record of a present block: the `number`th of the object, with this CRC32C.
    pub fn encode(identity: &Identity, number: u64, crc32c: u32) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        put(&mut bytes, 0, &crc32c.to_le_bytes());
        put(&mut bytes, 4, &check(identity, number, crc32c, 0).to_le_bytes());
        bytes
    }

    /// Reads the record of block `number`.
    pub fn decode(bytes: &[u8], identity: &Identity, number: u64) -> Self {
        if bytes.len() == RECORD && bytes.iter().all(|b| *b == 0) {
            return Record::Absent;
        }
        let fields = || {
            let crc32c = u32::from_le_bytes(take(bytes, 0)?);
            let sum = u32::from_le_bytes(take(bytes, 4)?);
            Ok::<_, Damage>((crc32c, sum, u64::from_le_bytes(take(bytes, 8)?)))
        };
        match fields() {
            Ok((crc32c, sum, reserved)) if sum == check(identity, number, crc32c, reserved) => {
                Record::Present(crc32c)
            }
            _ => Record::Damaged,
        }
    }
}

/// The CRC32C of all `parts`, one after the other.
pub fn crc<T: AsRef<[u8]>>(parts: &[T]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    parts.iter().for_each(|part| digest.update(part.as_ref()));
    u32::try_from(digest.finalize()).unwrap_or_default()
}

fn check(identity: &Identity, number: u64, crc32c: u32, reserved: u64) -> u32 {
    let (number, crc32c) = (number.to_le_bytes(), crc32c.to_le_bytes());
    crc::<&[u8]>(&[&identity.0, &number, &crc32c, &reserved.to_le_bytes()])
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + field.len()) {
        place.copy_from_slice(field);
    }
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Damage> {
    let field = bytes.get(at..at + N).and_then(|field| field.try_into().ok());
    field.ok_or(Damage::Checksum)
}

#[cfg(test)]
mod tests;
