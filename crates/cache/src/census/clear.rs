//! Emptying a cache, whatever is in it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, OFlags, flock, fstat, statat, unlinkat};
use rustix::io::Errno;

use super::{Census, CensusError};
use crate::beneath;
use crate::directory::Directory;

/// How deep what others put there is followed.
const DEPTH_MAX: u32 = 64;

/// What mounts have written down of their uploads. It is no part of the cache: without it, nobody
/// would end the uploads of those that died.
const JOURNALS: &str = "uploads";
/// What belongs to the processes that use the directory now.
const IN_USE: [&str; 5] = ["README", "epoch", "format", crate::ledger::FILE, JOURNALS];

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Cleared {
    /// Files and links.
    pub files: u64,
    /// What they took on the disk, in bytes. Of a file that is open the space comes free when it
    /// is closed.
    pub bytes: u64,
    /// What could not be removed, such as something that is mounted there.
    pub left: u64,
    /// Whether processes use the directory: then it goes on being used, empty.
    pub in_use: bool,
}

impl Census {
    /// Removes everything from the cache in `dir`, whatever its format, but for the journals of
    /// uploads; never anything outside our own directory in it, which is checked as for use, and
    /// no link is followed.
    ///
    /// # Errors
    /// The directory must not be used, there is none, or the disk fails.
    pub fn clear(dir: &std::path::Path) -> Result<Cleared, CensusError> {
        super::must_exist(dir)?;
        let directory = Directory::open_any_format(dir)?;
        // Succeeds when nobody else holds the lock that all who use it share.
        let alone = flock(directory.as_fd(), FlockOperation::NonBlockingLockExclusive).is_ok();
        let mut cleared = Cleared { in_use: !alone, ..Cleared::default() };
        if !alone {
            let census = Census::over(directory);
            census.remove_all(&mut cleared)?;
            empty(census.directory.as_fd(), &IN_USE, DEPTH_MAX, &mut cleared)?;
            return Ok(cleared);
        }
        empty(directory.as_fd(), &[JOURNALS], DEPTH_MAX, &mut cleared)?;
        Ok(cleared)
    }

    /// Removes the objects one by one, so that others who count know.
    fn remove_all(&self, cleared: &mut Cleared) -> io::Result<()> {
        for shard in self.directory.shards()? {
            for identity in self.directory.identities(shard)? {
                let bytes = self.remove(&identity)?;
                if bytes > 0 {
                    cleared.files += 2;
                    cleared.bytes = cleared.bytes.saturating_add(bytes);
                }
            }
        }
        Ok(())
    }
}

/// Removes what is in an open directory, except for the names in `keep`. Does not leave the file
/// system. Shard directories stay when others use them: they may be about to make a file there.
fn empty(dir: &OwnedFd, keep: &[&str], depth: u32, cleared: &mut Cleared) -> io::Result<()> {
    let device = fstat(dir)?.st_dev;
    let keeps_directories = cleared.in_use;
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..")
            || keep.iter().any(|kept| kept.as_bytes() == name.to_bytes())
        {
            continue;
        }
        let stat = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno.into()),
        };
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if is_dir {
            // A name that is no text is none of ours, and is left with what is in it.
            let inner = name.to_str().ok().filter(|_| depth > 0 && stat.st_dev == device);
            if let Some(inner) = inner {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                empty(&beneath::open(dir.as_fd(), inner, flags)?, &[], depth - 1, cleared)?;
            }
            if keeps_directories {
                continue;
            }
        }
        let flags = if is_dir { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        match unlinkat(dir, name, flags) {
            Ok(()) if is_dir => {}
            Ok(()) => {
                let bytes = stat.st_blocks.cast_unsigned().saturating_mul(512);
                cleared.files += 1;
                cleared.bytes = cleared.bytes.saturating_add(bytes);
            }
            Err(Errno::NOENT) => {}
            Err(_) => cleared.left += 1,
        }
    }
    Ok(())
}
