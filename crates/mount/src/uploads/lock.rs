//! The lock that the owner of a journal holds: of an open file description (fcntl(2)), so that
//! the kernel gives it back the moment its last holder ends, in whatever namespace that lived.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

/// Takes the lock; false when somebody else holds it.
pub(super) fn take(file: &File) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&whole())) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether somebody else holds the lock. Looking does not take it, so nobody is disturbed.
pub(super) fn is_held(file: &File) -> io::Result<bool> {
    let mut asked = whole();
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut asked))?;
    Ok(i32::from(asked.l_type) != libc::F_UNLCK)
}

/// A write lock on every byte, those to come included.
fn whole() -> libc::flock {
    libc::flock {
        l_type: i16::try_from(libc::F_WRLCK).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}
