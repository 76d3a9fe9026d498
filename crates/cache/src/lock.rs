//! Locks on ranges of an open file that die with whoever holds them.
//!
//! They belong to the open file description (fcntl(2), "Open file description locks"): the kernel
//! frees them when the last descriptor is closed, across namespaces and however the process ended.
//! Locks of one description never stand in each other's way.

use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::schedule::{pause, step};

/// The pauses between tries for a lock that is held for microseconds, each twice the one before,
/// and how many there are: in all a quarter of a second.
const PAUSE: Duration = Duration::from_micros(60);
const PAUSES: u32 = 12;

/// Tries again and again for a short while; false when that was in vain, since a stopped process
/// that holds a lock must not stop others. Nothing tells that a lock came free but waiting for
/// it without a limit, so this thread pauses.
pub(crate) fn patiently(mut attempt: impl FnMut() -> io::Result<bool>) -> io::Result<bool> {
    for number in 0..PAUSES {
        if attempt()? {
            return Ok(true);
        }
        pause(PAUSE * 2_u32.pow(number));
    }
    attempt()
}

/// Every byte of a file, those to come included.
pub const WHOLE: Range<u64> = 0..u64::MAX;

/// Takes the write lock on `range`, all or nothing; false when somebody else holds a part of it.
///
/// # Errors
/// Of the file system.
pub fn try_lock(file: impl AsFd, range: Range<u64>) -> io::Result<bool> {
    try_record(file, libc::F_WRLCK, range)
}

fn try_record(file: impl AsFd, kind: i32, range: Range<u64>) -> io::Result<bool> {
    step();
    match fcntl(file, FcntlArg::F_OFD_SETLK(&record(kind, range))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Takes a read lock on `range`, beside those of others; false when somebody has the write lock
/// on a part of it.
pub(crate) fn try_share(file: impl AsFd, range: Range<u64>) -> io::Result<bool> {
    try_record(file, libc::F_RDLCK, range)
}

/// Takes the write lock on `range` and waits for it.
pub(crate) fn lock(file: impl AsFd, range: Range<u64>) -> io::Result<()> {
    loop {
        match fcntl(&file, FcntlArg::F_OFD_SETLKW(&record(libc::F_WRLCK, range.clone()))) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Gives the lock on `range` back.
pub(crate) fn unlock(file: impl AsFd, range: Range<u64>) -> io::Result<()> {
    step();
    fcntl(file, FcntlArg::F_OFD_SETLK(&record(libc::F_UNLCK, range)))?;
    Ok(())
}

/// What of `range` is locked by somebody else: the range of the first such lock, which may be
/// longer on both sides. Looking takes no lock.
///
/// # Errors
/// Of the file system.
pub fn held(file: impl AsFd, range: Range<u64>) -> io::Result<Option<Range<u64>>> {
    step();
    let mut asked = record(libc::F_WRLCK, range);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut asked))?;
    if i32::from(asked.l_type) == libc::F_UNLCK {
        return Ok(None);
    }
    let start = u64::try_from(asked.l_start).unwrap_or(0);
    let len = u64::try_from(asked.l_len).unwrap_or(0);
    // A length of zero means up to the end, wherever that is.
    let end = if len == 0 { u64::MAX } else { start.saturating_add(len) };
    Ok(Some(start..end))
}

fn record(kind: i32, range: Range<u64>) -> libc::flock {
    libc::flock {
        l_type: i16::try_from(kind).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: i64::try_from(range.start).unwrap_or(i64::MAX),
        l_len: i64::try_from(range.end.saturating_sub(range.start)).unwrap_or(i64::MAX),
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_range_is_held_by_one_description_until_that_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let open = || File::options().create(true).truncate(false).write(true).open(&path).unwrap();
        let (one, two) = (open(), open());
        assert!(try_lock(&one, 10..20).unwrap());
        assert!(!try_lock(&two, 15..25).unwrap());
        assert!(try_lock(&two, 20..25).unwrap());
        assert_eq!(held(&two, 0..100).unwrap(), Some(10..20));
        unlock(&one, 10..12).unwrap();
        assert_eq!(held(&two, 0..100).unwrap(), Some(12..20));
        drop(one);
        assert_eq!(held(&two, 0..100).unwrap(), None);
        assert!(try_lock(&two, 0..25).unwrap());
    }
}
