//! One read of a file, by every means the kernel offers.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSliceMut};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{Advice, MemfdFlags, fadvise, memfd_create, sendfile};
use serde::{Deserialize, Serialize};

use crate::sys::{Aligned, Mapping};

/// How bytes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Means {
    /// `pread(2)`.
    Pread,
    /// `preadv(2)` into several buffers.
    Preadv,
    /// Through a mapping of the whole file.
    Mmap,
    /// `sendfile(2)`, as a JVM and Spark's file server copy files.
    Sendfile,
    /// `pread(2)` on a descriptor opened with `O_DIRECT`; offsets and lengths are aligned.
    Direct,
}

impl Means {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Pread, Self::Preadv, Self::Mmap, Self::Sendfile, Self::Direct];
}

/// `O_DIRECT` wants offsets, lengths and addresses to be multiples of this.
const ALIGNMENT: u64 = 4096;

/// A file open for reading by one means.
#[derive(Debug)]
pub struct Reader {
    file: File,
    means: Means,
    mapping: Option<Mapping>,
    scratch: File,
    size: u64,
}

impl Reader {
    /// Opens a file whose size the caller knows.
    pub fn open(path: &Path, means: Means, size: u64) -> io::Result<Self> {
        let flags = if means == Means::Direct { libc::O_DIRECT } else { 0 };
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let mapping = match means {
            Means::Mmap if size > 0 => Some(Mapping::of(&file, usize::try_from(size).unwrap())?),
            _ => None,
        };
        let scratch = memfd_create("scratch", MemfdFlags::CLOEXEC)?.into();
        Ok(Self { file, means, mapping, scratch, size })
    }

    /// Makes the kernel forget this file's pages that nobody else uses.
    pub fn forget_pages(&self) -> io::Result<()> {
        Ok(fadvise(&self.file, 0, None, Advice::DontNeed)?)
    }

    /// Where a read of `length` bytes at `offset` really begins and how long it is: inside
    /// the file, and aligned where the means demands it.
    pub fn fit(&self, offset: u64, length: usize) -> (u64, usize) {
        let offset =
            if self.means == Means::Direct { offset / ALIGNMENT * ALIGNMENT } else { offset };
        let length = (length as u64).min(self.size.saturating_sub(offset));
        (offset, usize::try_from(length).unwrap())
    }

    /// Reads exactly the range that [`Self::fit`] answered. Too few bytes are an error of
    /// the kind `UnexpectedEof`; an unreadable page of a mapping is EFAULT.
    pub fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        match self.means {
            Means::Pread => self.file.read_exact_at(&mut bytes, offset)?,
            Means::Preadv => self.read_vectored(offset, &mut bytes)?,
            Means::Mmap => self.read_mapped(offset, &mut bytes)?,
            Means::Sendfile => self.read_sent(offset, &mut bytes)?,
            Means::Direct => self.read_direct(offset, &mut bytes)?,
        }
        Ok(bytes)
    }

    fn read_vectored(&self, mut offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (left, right) = rest.split_at_mut(rest.len() / 3);
            let mut slices = [IoSliceMut::new(left), IoSliceMut::new(right)];
            let read = rustix::io::preadv(&self.file, &mut slices, offset)?;
            some(read)?;
            offset += read as u64;
            rest = &mut rest[read..];
        }
        Ok(())
    }

    fn read_mapped(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let Some(mapping) = &self.mapping else { return Ok(()) };
        let offset = usize::try_from(offset).unwrap();
        let mut done = 0;
        while done < bytes.len() {
            let length = bytes.len() - done;
            let copied = mapping.copy_to(offset + done, length, &self.scratch)?;
            some(copied)?;
            self.scratch.read_exact_at(&mut bytes[done..done + copied], 0)?;
            done += copied;
        }
        Ok(())
    }

    fn read_sent(&self, mut offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        rustix::fs::seek(&self.scratch, rustix::fs::SeekFrom::Start(0))?;
        let mut left = bytes.len();
        while left > 0 {
            let sent = sendfile(&self.scratch, &self.file, Some(&mut offset), left)?;
            some(sent)?;
            left -= sent;
        }
        self.scratch.read_exact_at(bytes, 0)
    }

    fn read_direct(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let whole = bytes.len().next_multiple_of(usize::try_from(ALIGNMENT).unwrap());
        let mut aligned = Aligned::new(whole);
        let mut done = 0;
        while done < bytes.len() {
            let read = self.file.read_at(&mut aligned.get_mut()[done..], offset + done as u64)?;
            some(read)?;
            done += read;
        }
        bytes.copy_from_slice(&aligned.get_mut()[..bytes.len()]);
        Ok(())
    }
}

fn some(length: usize) -> io::Result<()> {
    if length == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}
