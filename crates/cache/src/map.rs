//! The map beside a data file: which version it is and which blocks of it are there.
//!
//! Read and written by `pread` and `pwrite`, so that what one process records every other one
//! sees at once, and a full or failing disk is an error and not a signal.

pub mod codec;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::PoisonError;
use std::time::Duration;

use object::Time;
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};

use crate::lock;
use crate::schedule::{Mutex, MutexGuard, give_way, step};
use codec::{Damage, HEADER, Header, MARK, Mark, RECORD, Record};

/// Locks lie far behind the bytes of any map, so that they say nothing about reading it: one
/// number for each block, and one for the mark.
const BLOCK_LOCKS: u64 = 1 << 40;
const MARK_LOCK: Range<u64> = (1 << 39)..(1 << 39) + 1;
/// How often a mark is read again while somebody else is writing it.
const TRIES: usize = 100;

/// Why a map cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// It cannot be read or written.
    #[error("the map cannot be used: {0}")]
    Io(#[from] io::Error),
    /// It is not what a map must be.
    #[error(transparent)]
    Damaged(#[from] Damage),
}

/// An open map. All calls may come from any thread; every one of them is disk IO.
pub struct MapFile {
    file: File,
    header: Header,
    /// Locks of one open file do not exclude each other: within the process this one does.
    marking: Mutex<()>,
}

impl MapFile {
    /// Reads the header from an open map file, which must also be as long as a map of that
    /// version is.
    pub(crate) fn open(file: File) -> Result<Self, MapError> {
        let mut bytes = [0; HEADER];
        read_full(&file, &mut bytes, 0)?;
        let header = Header::decode(&bytes)?;
        if file.metadata()?.len() != map_len(&header) {
            return Err(Damage::Content.into());
        }
        let map = Self { file, header, marking: Mutex::default() };
        map.mark()?;
        Ok(map)
    }

    /// Writes the header of a new map into an empty file.
    pub(crate) fn create(file: &File, header: &Header, mark: &Mark) -> Result<(), MapError> {
        let mut bytes = header.encode()?;
        if let Some(place) = bytes.get_mut(MARK) {
            place.copy_from_slice(&mark.encode(&header.identity));
        }
        file.write_all_at(&bytes, 0)?;
        file.set_len(map_len(header))?;
        Ok(())
    }

    /// Which version it is about.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// What it says now.
    ///
    /// # Errors
    /// Of the disk, or that the mark is damaged.
    pub fn mark(&self) -> Result<Mark, MapError> {
        let mut tries = 0;
        loop {
            let mut bytes = [0; MARK.end - MARK.start];
            read_full(&self.file, &mut bytes, MARK.start as u64)?;
            match Mark::decode(&bytes, &self.header.identity) {
                Ok(mark) => return Ok(mark),
                // Half of it may have been written while it was read.
                Err(_) if tries < TRIES => tries += 1,
                Err(damage) => return Err(damage.into()),
            }
            give_way();
        }
    }

    /// Changes the mark; no other process changes it meanwhile. Answers the new one.
    ///
    /// # Errors
    /// Of the disk; that the mark is damaged; [`io::ErrorKind::WouldBlock`] when somebody holds
    /// it for long: a stopped process must not stop others.
    pub fn change_mark(&self, change: impl FnOnce(&mut Mark)) -> Result<Mark, MapError> {
        let _alone = self.marking();
        if !lock::patiently(|| lock::try_lock(&self.file, MARK_LOCK))? {
            return Err(io::Error::from(io::ErrorKind::WouldBlock).into());
        }
        let changed = self.mark().and_then(|mut mark| {
            change(&mut mark);
            let bytes = mark.encode(&self.header.identity);
            step();
            self.file.write_all_at(&bytes, MARK.start as u64)?;
            Ok(mark)
        });
        lock::unlock(&self.file, MARK_LOCK)?;
        changed
    }

    /// The records of `blocks`, in order.
    ///
    /// # Errors
    /// Of the disk.
    pub fn records(&self, blocks: Range<u64>) -> io::Result<Vec<Record>> {
        let blocks = blocks.start..blocks.end.min(self.header.blocks()).max(blocks.start);
        let count = usize::try_from(blocks.end - blocks.start).map_err(io::Error::other)?;
        let mut bytes = vec![0; count * RECORD];
        read_full(&self.file, &mut bytes, record_at(blocks.start))?;
        let decode = |(bytes, number)| Record::decode(bytes, &self.header.identity, number);
        Ok(bytes.chunks_exact(RECORD).zip(blocks).map(decode).collect())
    }

    /// Records that a block is present. Its bytes must have been written before.
    ///
    /// # Errors
    /// Of the disk.
    pub fn record(&self, number: u64, crc32c: u32) -> io::Result<()> {
        step();
        let bytes = Record::encode(&self.header.identity, number, crc32c);
        self.file.write_all_at(&bytes, record_at(number))
    }

    /// Takes back that a block is present.
    ///
    /// # Errors
    /// Of the disk.
    pub fn erase(&self, number: u64) -> io::Result<()> {
        step();
        self.file.write_all_at(&[0; RECORD], record_at(number))
    }

    /// Takes the right to fill `blocks`, all or nothing, from all other processes and all other
    /// opens of this map. False when somebody else has a part of them.
    ///
    /// # Errors
    /// Of the disk.
    pub fn try_claim(&self, blocks: Range<u64>) -> io::Result<bool> {
        lock::try_lock(&self.file, locks(blocks))
    }

    /// Gives the right to fill `blocks` back.
    ///
    /// # Errors
    /// Of the disk.
    pub fn unclaim(&self, blocks: Range<u64>) -> io::Result<()> {
        lock::unlock(&self.file, locks(blocks))
    }

    /// The first blocks at or behind the start of `blocks` that somebody else is filling; there
    /// may be more of them on both sides.
    ///
    /// # Errors
    /// Of the disk.
    pub fn claimed(&self, blocks: Range<u64>) -> io::Result<Option<Range<u64>>> {
        let held = lock::held(&self.file, locks(blocks))?;
        let number = |at: u64| at.saturating_sub(BLOCK_LOCKS).min(self.header.blocks());
        Ok(held.map(|range| number(range.start)..number(range.end)))
    }

    /// When the object was last used: the map's modification time, in the wall clock's time.
    ///
    /// # Errors
    /// Of the disk.
    pub fn last_use(&self) -> io::Result<Time> {
        let meta = self.file.metadata()?;
        let seconds = u64::try_from(meta.mtime()).unwrap_or(0);
        let nanos = u32::try_from(meta.mtime_nsec()).unwrap_or(0);
        Ok(Time(Duration::new(seconds, nanos)))
    }

    /// Says that the object is used now.
    ///
    /// # Errors
    /// Of the disk.
    pub fn touch(&self) -> io::Result<()> {
        let keep = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        step();
        futimens(&self.file, &Timestamps { last_access: keep, last_modification: now })?;
        Ok(())
    }

    fn marking(&self) -> MutexGuard<'_, ()> {
        self.marking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The length of the map file of a version, in bytes.
pub(crate) fn map_len(header: &Header) -> u64 {
    record_at(header.blocks())
}

fn record_at(number: u64) -> u64 {
    (HEADER as u64).saturating_add(number.saturating_mul(RECORD as u64))
}

fn locks(blocks: Range<u64>) -> Range<u64> {
    BLOCK_LOCKS + blocks.start..BLOCK_LOCKS + blocks.end
}

/// Reads up to the end of the file; what lies behind it stays as it is and fails its checksum.
fn read_full(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    step();
    while !bytes.is_empty() {
        match file.read_at(bytes, at) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                at += read as u64;
                bytes = bytes.get_mut(read..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
