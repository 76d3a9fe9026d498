//! Files that the kernel reads by itself (FUSE passthrough, Linux 6.9).

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use fs::{BackingId, Backings};

/// `f_type` of file systems that lie on another one (`linux/magic.h`).
const OVERLAYFS: u64 = 0x794c_7630;
const ECRYPTFS: u64 = 0xf15f;

/// Registers files on a session's connection, until the kernel says that it never will.
#[derive(Debug)]
pub struct Passthrough {
    kernel: fuse::Backing,
    off: AtomicBool,
}

impl Passthrough {
    /// Passthrough on the connection that `kernel` belongs to.
    pub fn new(kernel: fuse::Backing) -> Self {
        Self { kernel, off: AtomicBool::new(false) }
    }

    /// Finds out by registering `file`, which is given up at once, whether files of its file
    /// system can be read by the kernel. If not, none is tried later.
    ///
    /// # Errors
    /// What the kernel said: EPERM without CAP_SYS_ADMIN in the first user namespace, ELOOP for a
    /// file that lies deeper than [`stack_depth`] allowed for, ENOTTY before Linux 6.9.
    pub fn probe(&self, file: &File) -> io::Result<()> {
        match self.kernel.open(file.as_fd()) {
            Ok(id) => self.kernel.close(id),
            Err(error) => {
                self.off.store(true, Ordering::Relaxed);
                Err(error)
            }
        }
    }
}

impl Backings for Passthrough {
    fn available(&self) -> bool {
        !self.off.load(Ordering::Relaxed)
    }

    fn register(&self, file: &File) -> Option<BackingId> {
        if !self.available() {
            return None;
        }
        match self.kernel.open(file.as_fd()) {
            Ok(fuse::BackingId(id)) => Some(id),
            Err(error) if is_lasting(&error) => {
                if !self.off.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "the kernel cannot read cached files by itself ({error}): they are served through its page cache"
                    );
                }
                None
            }
            Err(error) => {
                tracing::debug!("the kernel did not take a cached file: {error}");
                None
            }
        }
    }

    fn give_up(&self, id: BackingId) {
        if let Err(error) = self.kernel.close(fuse::BackingId(id)) {
            tracing::warn!(id, "a cached file's space may stay taken: {error}");
        }
    }
}

/// Whether a refusal to register one file is one of all files: rights, a kernel without the
/// call, a file system that it does not read through.
fn is_lasting(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EPERM | libc::ENOTTY | libc::ELOOP | libc::EINVAL | libc::ENOSYS)
    )
}

/// The `max_stack_depth` to agree upon in INIT for files of the directory `cache`: 2 when it lies
/// on a stacked file system, where 1 would be refused with ELOOP; else 1, since 2 keeps an
/// overlayfs from being laid over the mount.
///
/// # Errors
/// The file system does not say what it is.
pub fn stack_depth(cache: impl AsFd) -> io::Result<u32> {
    let kind = rustix::fs::fstatfs(cache)?.f_type;
    let stacked = matches!(u64::try_from(kind), Ok(OVERLAYFS | ECRYPTFS));
    Ok(if stacked { 2 } else { 1 })
}
