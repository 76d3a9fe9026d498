//! The records of a directory listing, packed as READDIR and READDIRPLUS want them.

use crate::abi::{DirentWire, EntryOut, Plain};
use crate::reply::Entry;

/// Which request the listing answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirFormat {
    /// Names only.
    Readdir,
    /// Names with their entries.
    Readdirplus,
}

/// One name of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirent<'a> {
    /// `d_ino`.
    pub ino: u64,
    /// Where a later request continues behind this name; never 0.
    pub next_offset: u64,
    /// `d_type`: the type bits of the mode, shifted right by 12 (`libc::DT_REG`, `DT_DIR`).
    pub kind: u8,
    /// The name, without NUL or slash.
    pub name: &'a [u8],
}

/// Why a record was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirBufError {
    /// The answer is full: send it; the kernel will ask again from the last offset taken.
    #[error("no room left in the listing")]
    Full,
    /// The kernel would fail the entire listing with EIO for this name.
    #[error("a name that is empty, too long, or holds NUL or a slash")]
    Name,
}

/// A listing being packed, at most as large as the request allows.
#[derive(Debug)]
pub struct DirBuf {
    format: DirFormat,
    bytes: Vec<u8>,
    limit: usize,
}

/// Longest name the kernel takes in a listing (`FUSE_NAME_MAX` before 6.16).
const NAME_MAX: usize = 1024;
/// Listings larger than the kernel's usual buffer are never needed.
const LIMIT_MAX: usize = 1 << 20;

/// Bytes one record takes for a name of `name_len` bytes.
pub const fn record_size(format: DirFormat, name_len: usize) -> usize {
    let head = match format {
        DirFormat::Readdir => size_of::<DirentWire>(),
        DirFormat::Readdirplus => size_of::<EntryOut>() + size_of::<DirentWire>(),
    };
    (head + name_len).next_multiple_of(8)
}

impl DirBuf {
    /// An empty listing for a request that allows `size` bytes.
    pub fn new(format: DirFormat, size: u32) -> DirBuf {
        let limit = (size as usize).min(LIMIT_MAX);
        DirBuf { format, bytes: Vec::with_capacity(limit), limit }
    }

    /// Appends a name. `entry` is written for READDIRPLUS only; without one (for `.` and `..`,
    /// or where attributes are not at hand) the kernel learns the name alone and no lookup
    /// count changes.
    ///
    /// # Errors
    /// [`DirBufError::Full`] when the record does not fit; [`DirBufError::Name`].
    pub fn push(&mut self, dirent: &Dirent<'_>, entry: Option<&Entry>) -> Result<(), DirBufError> {
        let name = dirent.name;
        if name.is_empty() || name.len() > NAME_MAX || name.iter().any(|b| matches!(b, 0 | b'/')) {
            return Err(DirBufError::Name);
        }
        let end = self.bytes.len() + record_size(self.format, name.len());
        if end > self.limit {
            return Err(DirBufError::Full);
        }
        if self.format == DirFormat::Readdirplus {
            let entry = entry.copied().unwrap_or_default();
            self.bytes.extend_from_slice(entry.wire().as_bytes());
        }
        let head = DirentWire {
            ino: dirent.ino,
            off: dirent.next_offset,
            namelen: name.len() as u32,
            kind: u32::from(dirent.kind),
        };
        self.bytes.extend_from_slice(head.as_bytes());
        self.bytes.extend_from_slice(name);
        self.bytes.resize(end, 0);
        Ok(())
    }

    /// Whether nothing was pushed yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests;
