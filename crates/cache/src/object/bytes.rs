//! The bytes of blocks, on their way to the disk and back.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;

use crc_fast::{CrcAlgorithm, Digest};
use object::{BLOCK, Buffer, CHUNK, Chunk, Lease, Span};
use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, open};
use rustix::io::pwritev;

use super::Object;
use crate::map::codec::{Record, crc};
use crate::schedule::{AtomicBool, step};

/// What reading a block gave.
pub(crate) enum BlockRead {
    /// The wanted bytes, in chunks.
    Good(Vec<Buffer>),
    /// The bytes are not those that were recorded, or nothing is recorded.
    Bad,
}

impl Object {
    /// Reads block `number` and compares all of it with its checksum. `wanted` is what of it is
    /// wanted, on chunk borders; `lease` pays for that.
    pub(crate) fn read_block(
        &self,
        number: u64,
        wanted: Span,
        lease: Lease,
    ) -> io::Result<BlockRead> {
        match self.read_checked(number, wanted, lease) {
            // Somebody cut the file short.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(BlockRead::Bad),
            other => other,
        }
    }

    fn read_checked(&self, number: u64, wanted: Span, mut lease: Lease) -> io::Result<BlockRead> {
        let record = self.files.map.records(number..number + 1)?;
        let Some(Record::Present(recorded)) = record.first().copied() else {
            return Ok(BlockRead::Bad);
        };
        let block = self.span(number..number + 1);
        let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
        let (mut buffers, mut unwanted) = (Vec::new(), Vec::new());
        let mut at = block.start;
        step();
        while at < block.end {
            let chunk = Span::new(at, (at + CHUNK).min(block.end));
            if wanted.covers(chunk) {
                let mut buffer = lease.buffer(chunk.len());
                self.files.data.read_exact_at(&mut buffer, at)?;
                digest.update(&buffer);
                buffers.push(buffer);
            } else {
                unwanted.resize(usize::try_from(chunk.len()).unwrap_or(0), 0);
                self.files.data.read_exact_at(&mut unwanted, at)?;
                digest.update(&unwanted);
            }
            at = chunk.end;
        }
        let good = u32::try_from(digest.finalize()).is_ok_and(|crc32c| crc32c == recorded);
        Ok(if good { BlockRead::Good(buffers) } else { BlockRead::Bad })
    }
}

/// Asks for the space of all that is going to be written to `span`. At once it costs ext4 a third
/// of what it costs page by page, and lies in one piece, which whoever reads it later saves. Where
/// this cannot be done, the writes do it.
pub(crate) fn allocate(data: &File, span: Span) {
    step();
    let _ = fallocate(data, FallocateFlags::KEEP_SIZE, span.start, span.len());
}

/// Gives back the space of `span`, of which nothing was written.
pub(crate) fn deallocate(data: &File, span: Span) {
    step();
    let how = FallocateFlags::KEEP_SIZE | FallocateFlags::PUNCH_HOLE;
    // Where this cannot be done, allocating could not either.
    let _ = fallocate(data, how, span.start, span.len());
}

/// A way to a data file past the page cache (open(2), `O_DIRECT`).
pub(crate) struct Direct {
    data: File,
    /// It did not work once: the disk may want other borders than ours, or be full.
    refused: AtomicBool,
}

impl Direct {
    /// A way to `data`, where its file system has one.
    pub(crate) fn to(data: &File) -> Option<Self> {
        let path = format!("/proc/self/fd/{}", data.as_raw_fd());
        let flags = OFlags::RDWR | OFlags::DIRECT | OFlags::CLOEXEC;
        step();
        let data = File::from(open(path, flags, Mode::empty()).ok()?);
        Some(Self { data, refused: AtomicBool::new(false) })
    }

    /// Writes those of `chunks` that can go this way, the first of which belongs to `at`, and
    /// answers the others. Whole chunks begin and end where disks want it, in memory too.
    fn write<'a>(&self, at: u64, chunks: &'a [Chunk]) -> &'a [Chunk] {
        let whole = chunks.iter().take_while(|chunk| chunk.len() as u64 == CHUNK).count();
        let (whole, rest) = chunks.split_at(whole);
        if self.refused.load(Ordering::Relaxed) {
            return chunks;
        }
        let written = write_all(&self.data, at, whole).is_ok();
        self.refused.store(!written, Ordering::Relaxed);
        if written { rest } else { chunks }
    }
}

/// Writes the chunks of block `number`, the `direct` way as far as that goes, and answers the
/// block's checksum.
pub(crate) fn write_block(
    data: &File,
    direct: Option<&Direct>,
    number: u64,
    chunks: &[Chunk],
) -> io::Result<u32> {
    let at = number * BLOCK;
    let left = direct.map_or(chunks, |direct| direct.write(at, chunks));
    let done = (chunks.len() - left.len()) as u64 * CHUNK;
    write_all(data, at + done, left)?;
    let parts: Vec<&[u8]> = chunks.iter().map(|chunk| &***chunk).collect();
    Ok(crc(&parts))
}

fn write_all(data: &File, mut at: u64, chunks: &[Chunk]) -> io::Result<()> {
    let mut slices: Vec<_> = chunks.iter().map(|chunk| IoSlice::new(chunk)).collect();
    let mut rest = slices.as_mut_slice();
    while !rest.is_empty() {
        step();
        match pwritev(data, rest, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                at += written as u64;
                IoSlice::advance_slices(&mut rest, written);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Whether a block of the data file has this checksum now.
pub(crate) fn is_intact(data: &File, block: Span, recorded: u32) -> io::Result<bool> {
    match checksum(data, block) {
        Ok(found) => Ok(found == recorded),
        // Somebody cut the file short.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn checksum(data: &File, block: Span) -> io::Result<u32> {
    step();
    let mut scratch = Vec::new();
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    let mut at = block.start;
    while at < block.end {
        let len = CHUNK.min(block.end - at);
        scratch.resize(usize::try_from(len).unwrap_or(0), 0);
        data.read_exact_at(&mut scratch, at)?;
        digest.update(&scratch);
        at += len;
    }
    Ok(u32::try_from(digest.finalize()).unwrap_or_default())
}

#[cfg(test)]
mod tests;
