//! Mounting and unmounting.

pub mod fusermount;
pub mod table;

use crate::device::Device;
use std::ffi::CString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Who may use the mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only the owner's processes.
    Owner,
    /// Everybody (`allow_other`). Restricting it to the owner and root is the handler's task:
    /// the kernel has no such option, and requests carry the caller's uid.
    Everyone,
}

/// What a mount looks like. It always has `nosuid`, `nodev` and `relatime`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountOptions {
    /// First field of the mount table.
    pub source: String,
    /// Behind the dot of the file system type `fuse.SUBTYPE`.
    pub subtype: String,
    /// No writes, enforced by the kernel.
    pub read_only: bool,
    /// Who may use it.
    pub access: Access,
    /// The owner (`user_id`).
    pub uid: u32,
    /// The owner's group (`group_id`).
    pub gid: u32,
    /// Whether the kernel checks permissions by mode, uid and gid.
    pub default_permissions: bool,
}

/// Why mounting failed.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// `/dev/fuse` cannot be opened: no FUSE in this kernel or container, or no permission.
    #[error("/dev/fuse cannot be opened")]
    Device(#[source] io::Error),
    /// The mount point is missing, cannot be opened, or is no directory.
    #[error("the mount point cannot be used")]
    MountPoint(#[source] io::Error),
    /// mount(2) failed; EPERM without CAP_SYS_ADMIN.
    #[error("the kernel refused to mount")]
    Refused(#[source] io::Error),
    /// `fusermount3` cannot be started, or ended without giving a descriptor.
    #[error("{program} failed: {message}")]
    Fusermount {
        /// What was run.
        program: String,
        /// What it said.
        message: String,
    },
    /// An option holds a NUL byte.
    #[error("a mount option holds a NUL byte")]
    Nul(#[from] std::ffi::NulError),
}

/// Mounts on the directory `path` by mount(2); needs CAP_SYS_ADMIN. The mount is there when this
/// returns, and answers once [`crate::Session::handshake`] was done on the device.
///
/// # Errors
/// See [`MountError`].
pub fn mount(path: &Path, options: &MountOptions) -> Result<Device, MountError> {
    let device = Device::open().map_err(MountError::Device)?;
    // The directory that was looked at is the one mounted on, whatever happens to its name.
    let point = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(path)
        .map_err(MountError::MountPoint)?;
    let mode = point.metadata().map_err(MountError::MountPoint)?.mode();
    let target = CString::new(format!("/proc/self/fd/{}", point.as_raw_fd()))?;
    let source = CString::new(options.source.as_str())?;
    let kind = CString::new(format!("fuse.{}", options.subtype))?;
    let data = CString::new(kernel_options(device.as_fd().as_raw_fd(), mode, options))?;
    let read_only = if options.read_only { libc::MS_RDONLY } else { 0 };
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_RELATIME | read_only;
    // SAFETY: four NUL-terminated strings that live for the call.
    let result = unsafe {
        libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast())
    };
    if result == 0 { Ok(device) } else { Err(MountError::Refused(io::Error::last_os_error())) }
}

fn kernel_options(fd: i32, mode: u32, options: &MountOptions) -> String {
    let MountOptions { uid, gid, .. } = options;
    let mut data = format!("fd={fd},rootmode={mode:o},user_id={uid},group_id={gid}");
    if options.default_permissions {
        data.push_str(",default_permissions");
    }
    if options.access == Access::Everyone {
        data.push_str(",allow_other");
    }
    data
}

/// Unmounts; fails with EBUSY while files are open in it.
///
/// # Errors
/// Those of umount2(2): EBUSY, EINVAL (no mount point), EPERM.
pub fn unmount(path: &Path) -> io::Result<()> {
    umount2(path, 0)
}

/// Takes the mount out of the tree at once, whatever uses it and whether or not anybody serves
/// it; it ends when its last user does.
///
/// # Errors
/// Those of umount2(2): EINVAL (no mount point), EPERM.
pub fn detach(path: &Path) -> io::Result<()> {
    umount2(path, libc::MNT_DETACH)
}

/// Mounts fusectl in its usual place if it is not there, so that connections can be aborted
/// and their waiting requests counted. systemd does so at boot; small machines do not.
///
/// # Errors
/// Those of mount(2): EPERM without CAP_SYS_ADMIN, ENOENT without FUSE.
pub fn mount_control() -> io::Result<()> {
    let present = table::mount_at(Path::new(table::CONTROL))?;
    if present.is_some_and(|entry| entry.kind == "fusectl") {
        return Ok(());
    }
    let target = CString::new(table::CONTROL)?;
    let kind = c"fusectl";
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_RELATIME;
    // SAFETY: three NUL-terminated strings that live for the call, and no data.
    let result = unsafe {
        libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, std::ptr::null())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn umount2(path: &Path, flags: i32) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: a NUL-terminated string that lives for the call.
    let result = unsafe { libc::umount2(path.as_ptr(), flags | libc::UMOUNT_NOFOLLOW) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests;
