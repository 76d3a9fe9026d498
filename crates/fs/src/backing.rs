//! Files that the kernel reads by itself, and which opens of one node it lets stand side by side.
//!
//! An inode of the kernel has one IO mode at a time (`fs/fuse/iomode.c`, Linux 6.9): as long as a
//! handle is open that fills its page cache, or a mapping made by one lives, it cannot be opened
//! on a backing file; as long as one is open on a backing file, every other has to be opened on
//! that same one. The kernel gives a mode up before it sends the last RELEASE, so handles counted
//! from the answer to OPEN until RELEASE are exact.

use std::fs::File;
use std::sync::Arc;

use crate::attr::OpenMode;

/// The number that the kernel knows a registered file by.
pub type BackingId = u32;

/// Where files are made known to the kernel.
pub trait Backings: Send + Sync {
    /// Whether there is any use in registering a file: false once the kernel said that it never
    /// takes one.
    fn available(&self) -> bool;

    /// Makes `file` known; `None` when the kernel does not take it. It keeps the file, and its
    /// space, until the number is given up.
    fn register(&self, file: &File) -> Option<BackingId>;

    /// Gives a number up. No handle is open on it.
    fn give_up(&self, id: BackingId);
}

/// A file that is registered.
pub(crate) struct Backing {
    pub(crate) id: BackingId,
    /// Held so that whoever owns the file can see that its space is taken. Not known of those
    /// that a predecessor registered.
    pub(crate) file: Option<Arc<File>>,
}

/// The open handles of one node by who serves them.
#[derive(Default)]
pub(crate) struct Mode {
    /// Handles that fill the kernel's page cache. Those of O_DIRECT do it if they are mapped.
    paged: u32,
    backed: Option<(Backing, u32)>,
}

impl Mode {
    /// Whether a handle is open that keeps the node from being opened on a backing file.
    pub(crate) fn is_paged(&self) -> bool {
        self.paged > 0
    }

    /// Whether a handle is open on the backing file.
    pub(crate) fn is_backed(&self) -> bool {
        self.backed.is_some()
    }

    /// Counts one handle more, and answers how it is opened: on the backing file of the others,
    /// else on what `register` gives if the mode allows it, else without. Reads of a `direct`
    /// handle come here in any case: the backing file's own direct IO has rules for offsets and
    /// addresses, and whether a read is refused must not depend on what is cached.
    pub(crate) fn open(
        &mut self,
        direct: bool,
        register: impl FnOnce() -> Option<Backing>,
    ) -> OpenMode {
        if self.backed.is_none() && self.paged == 0 {
            self.backed = register().map(|backing| (backing, 0));
        }
        if let Some((backing, handles)) = &mut self.backed {
            *handles += 1;
            return OpenMode::Backed { id: backing.id, direct };
        }
        self.paged += 1;
        if direct { OpenMode::Direct } else { OpenMode::Cached { keep: true } }
    }

    /// Counts one handle more that a predecessor opened like this, and says whether that can
    /// have been.
    pub(crate) fn restore(&mut self, mode: OpenMode) -> bool {
        match (mode, &mut self.backed) {
            (OpenMode::Backed { id, .. }, Some((backing, handles))) if backing.id == id => {
                *handles += 1;
                true
            }
            (OpenMode::Backed { id, .. }, None) if self.paged == 0 => {
                self.backed = Some((Backing { id, file: None }, 1));
                true
            }
            (OpenMode::Backed { .. }, _) | (_, Some(_)) => false,
            (OpenMode::Cached { .. } | OpenMode::Direct, None) => {
                self.paged += 1;
                true
            }
        }
    }

    /// Counts one handle less of those opened like this. Answers the backing file that no handle
    /// is open on any more.
    pub(crate) fn close(&mut self, mode: OpenMode) -> Option<Backing> {
        if !matches!(mode, OpenMode::Backed { .. }) {
            self.paged = self.paged.saturating_sub(1);
            return None;
        }
        let (_, handles) = self.backed.as_mut()?;
        *handles = handles.saturating_sub(1);
        let last = *handles == 0;
        self.backed.take_if(|_| last).map(|(backing, _)| backing)
    }
}
