//! The one system call that has no safe form: marking descriptors that are not ours.
//!
//! It is here and not in crate `fuse`, which holds the unsafe code otherwise, since it is about
//! starting processes and has nothing to do with the kernel's file systems.
#![allow(unsafe_code)]

use std::fs;

/// Keeps every descriptor beyond the standard ones from the processes that are started from here
/// on: a shell may have left us locks and pipes that a daemon must not hold for ever.
pub(super) fn keep_descriptors_to_ourselves() {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return };
    for fd in entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        if fd > libc::STDERR_FILENO {
            // SAFETY: sets a flag on a descriptor by number; no memory is involved, no
            // descriptor is closed, and one that is gone by now is refused with EBADF.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
}
