//! A file mapped into memory. Mapping is unsafe in Rust since a file may change or shrink under
//! the map; so bytes are only copied out of it, never borrowed.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fs::File;
use std::io;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The first bytes of a file, read-only and private.
#[derive(Debug)]
pub(super) struct Mapping {
    start: *mut c_void,
    length: usize,
}

impl Mapping {
    /// Maps `length` bytes. The file must have and keep them: touching a page that it has not
    /// ends the process (SIGBUS).
    pub(super) fn of(file: &File, length: usize) -> io::Result<Self> {
        let (null, flags) = (std::ptr::null_mut(), MapFlags::PRIVATE);
        // SAFETY: a new map at a place of the kernel's choice takes no memory of anybody.
        let start = unsafe { mmap(null, length, ProtFlags::READ, flags, file, 0) }?;
        Ok(Self { start, length })
    }

    /// The byte at `offset`, where there is one.
    pub(super) fn byte(&self, offset: usize) -> Option<u8> {
        // SAFETY: the place is within the map, which lasts as long as `self`.
        (offset < self.length)
            .then(|| unsafe { self.start.cast::<u8>().add(offset).read_volatile() })
    }

    /// Copies from `offset` on, as much as there is and fits; answers how much.
    pub(super) fn copy(&self, offset: usize, into: &mut [u8]) -> usize {
        let length = self.length.saturating_sub(offset).min(into.len());
        if length > 0 {
            let from = self.start.cast::<u8>();
            // SAFETY: `length` bytes are within the map and within `into`, which cannot overlap it.
            unsafe { from.add(offset).copy_to_nonoverlapping(into.as_mut_ptr(), length) };
        }
        length
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it is this map as a whole, and nothing borrows from it.
        let unmapped = unsafe { munmap(self.start, self.length) };
        debug_assert!(unmapped.is_ok(), "a map of ours can be removed");
    }
}
