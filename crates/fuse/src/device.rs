//! The descriptor of `/dev/fuse`: whole messages in and out, cloning, and backing files.

use crate::abi::{self, Plain};
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// One open description of `/dev/fuse`, before or after it was mounted.
///
/// Requests read through it must be answered through it (or a duplicate of it). Closing the
/// last description of a connection ends the connection.
#[derive(Debug)]
pub struct Device(File);

/// A backing file's number on its connection (`FUSE_DEV_IOC_BACKING_OPEN`).
///
/// It belongs to the connection, not to the process or the descriptor, and stays valid until
/// [`Device::close_backing`]: until then it keeps the file's space allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BackingId(pub u32);

impl Device {
    /// Opens `/dev/fuse`, ready to be mounted. The descriptor is close-on-exec.
    ///
    /// # Errors
    /// ENOENT or ENODEV: the kernel or the container has no FUSE; EACCES or EPERM: not allowed.
    pub fn open() -> io::Result<Device> {
        Ok(Device(OpenOptions::new().read(true).write(true).open("/dev/fuse")?))
    }

    /// A device from a descriptor that was inherited or received.
    pub fn from_fd(fd: OwnedFd) -> Device {
        Device(File::from(fd))
    }

    /// The descriptor given back, for instance to a keeper.
    pub fn into_fd(self) -> OwnedFd {
        self.0.into()
    }

    /// Another descriptor of the same description: what one reads the other can answer.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn duplicate(&self) -> io::Result<Device> {
        Ok(Device(self.0.try_clone()?))
    }

    /// A new description of the same connection (`FUSE_DEV_IOC_CLONE`, Linux 4.2).
    ///
    /// When it is closed, the kernel ends the requests read through it and not yet answered with
    /// ECONNABORTED: that is what keeps callers from hanging where RESEND is missing.
    ///
    /// # Errors
    /// `/dev/fuse` cannot be opened here, or this device is not mounted (EINVAL).
    pub fn clone_connection(&self) -> io::Result<Device> {
        let clone = Device::open()?;
        let source = self.0.as_raw_fd().cast_unsigned();
        // SAFETY: the ioctl reads one u32, which lives for the call.
        let result =
            unsafe { libc::ioctl(clone.0.as_raw_fd(), abi::ioctl::CLONE, &raw const source) };
        if result == 0 { Ok(clone) } else { Err(io::Error::last_os_error()) }
    }

    /// Registers `file` so that opens can be passed through to it (Linux 6.9).
    ///
    /// # Errors
    /// EPERM: the caller lacks CAP_SYS_ADMIN in the first user namespace, or passthrough was
    /// not agreed upon in INIT; ELOOP: the file lies on a stacked file system deeper than
    /// `max_stack_depth`; EISDIR, EINVAL: not a regular file; ENOTTY: an older kernel.
    pub fn open_backing(&self, file: BorrowedFd<'_>) -> io::Result<BackingId> {
        let map = abi::BackingMap { fd: file.as_raw_fd(), ..Default::default() };
        // SAFETY: the ioctl reads one `fuse_backing_map`, which lives for the call.
        let result =
            unsafe { libc::ioctl(self.0.as_raw_fd(), abi::ioctl::BACKING_OPEN, &raw const map) };
        u32::try_from(result).map(BackingId).map_err(|_| io::Error::last_os_error())
    }

    /// Gives a backing id up. Handles that are open go on working; opening the same node again
    /// by passthrough fails until they are closed.
    ///
    /// # Errors
    /// ENOENT: no such id on this connection.
    pub fn close_backing(&self, id: BackingId) -> io::Result<()> {
        // SAFETY: the ioctl reads one u32, which lives for the call.
        let result =
            unsafe { libc::ioctl(self.0.as_raw_fd(), abi::ioctl::BACKING_CLOSE, &raw const id.0) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Reads one message, waiting for it.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buffer)
    }

    /// Writes one message: everything in one call, as the kernel demands.
    pub(crate) fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        loop {
            match (&self.0).write_vectored(parts) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until there is something to read, for a descriptor that is in non-blocking mode.
    pub(crate) fn wait_readable(&self) -> io::Result<()> {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd, alive for the call.
        let result = unsafe { libc::poll(&raw mut poll, 1, -1) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Writes a header with an error and no body: the answer to `unique`, or a notification
    /// when `unique` is 0.
    pub(crate) fn write_header(&self, unique: u64, error: i32) -> io::Result<()> {
        let len = size_of::<abi::OutHeader>() as u32;
        let header = abi::OutHeader { len, error, unique };
        self.write(&[IoSlice::new(header.as_bytes())])
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
