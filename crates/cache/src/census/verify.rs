//! Comparison of what is cached with its checksums.

use std::io;
use std::os::unix::fs::FileExt;

use object::BLOCK;

use super::{Census, Entry, Seen};
use crate::directory::{Files, Opened};
use crate::identity::Identity;
use crate::map::MapError;
use crate::map::codec::{Record, crc};

/// Records are read in pieces of so many.
const RECORDS_AT_ONCE: u64 = 4096;

/// How far a verification is, and in the end what it found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verification {
    /// Objects looked at.
    pub objects: u64,
    /// Blocks of 1 MiB, or what an object has less at its end, that were compared.
    pub blocks: u64,
    /// Bytes compared.
    pub bytes: u64,
    /// Objects that were not what they must be, and were removed.
    pub dropped: u64,
}

/// An object that was removed since it was not what it must be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Dropped {
    /// Its identity in hexadecimal digits.
    pub identity: String,
    /// Its key, where it could still be read.
    pub key: Option<String>,
    /// The numbers of the blocks that differ from their checksums; none when something else is
    /// wrong.
    pub blocks: Vec<u64>,
}

impl Census {
    /// Compares every present block with its checksum and removes objects that are damaged.
    /// `progress` is called after each object, with the damage if there was any.
    ///
    /// # Errors
    /// Of the disk, except that an object's bytes cannot be read: that is damage.
    pub fn verify(
        &self,
        mut progress: impl FnMut(&Verification, Option<&Dropped>),
    ) -> io::Result<Verification> {
        let mut sum = Verification::default();
        for seen in self.entries()? {
            let dropped = match seen? {
                Seen::Object(entry) => self.verify_object(&entry, &mut sum)?,
                Seen::Damaged(identity) => {
                    Some(Dropped { identity: identity.to_string(), key: None, blocks: Vec::new() })
                }
            };
            sum.objects += 1;
            if let Some(dropped) = &dropped {
                sum.dropped += 1;
                if let Some(identity) = Identity::parse(&dropped.identity) {
                    self.remove(&identity)?;
                }
            }
            progress(&sum, dropped.as_ref());
        }
        Ok(sum)
    }

    fn verify_object(&self, entry: &Entry, sum: &mut Verification) -> io::Result<Option<Dropped>> {
        let damage = |blocks| {
            let (identity, key) = (entry.identity.clone(), Some(entry.key.clone()));
            Some(Dropped { identity, key, blocks })
        };
        let Some(identity) = Identity::parse(&entry.identity) else { return Ok(None) };
        let files = match self.directory.open_object(&identity)? {
            Opened::Found(files) => files,
            Opened::Absent => return Ok(None),
            Opened::Damaged => return Ok(damage(Vec::new())),
        };
        let (wrong, absent) = wrong_blocks(&files, sum)?;
        let sealed = match files.map.mark() {
            Ok(mark) => mark.seal.is_some(),
            Err(MapError::Damaged(_)) => return Ok(damage(wrong)),
            Err(MapError::Io(error)) => return Err(error),
        };
        // A complete object lacks nothing.
        let is_damaged = !wrong.is_empty() || (sealed && absent > 0);
        Ok(is_damaged.then(|| damage(wrong)).flatten())
    }
}

/// The present blocks that differ from their checksums, and how many blocks are not present.
fn wrong_blocks(files: &Files, sum: &mut Verification) -> io::Result<(Vec<u64>, u64)> {
    let header = files.map.header();
    let (mut wrong, mut absent) = (Vec::new(), 0);
    let mut bytes = Vec::new();
    let mut first = 0;
    while first < header.blocks() {
        let next = header.blocks().min(first + RECORDS_AT_ONCE);
        for (number, record) in (first..next).zip(files.map.records(first..next)?) {
            let Record::Present(expected) = record else {
                absent += 1;
                continue;
            };
            let at = number * BLOCK;
            let len = BLOCK.min(header.size - at);
            bytes.resize(usize::try_from(len).unwrap_or(0), 0);
            let read = files.data.read_exact_at(&mut bytes, at);
            if read.is_err() || crc(&[&bytes]) != expected {
                wrong.push(number);
            }
            sum.blocks += 1;
            sum.bytes += len;
        }
        first = next;
    }
    Ok((wrong, absent))
}
