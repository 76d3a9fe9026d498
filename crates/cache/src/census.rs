//! What is in a cache: for the commands that list, check, pin and remove. No process of ours
//! needs to run, and those that do are not disturbed.

mod clear;
mod keys;
mod verify;

use std::fs::FileTimes;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use object::BLOCK;
use rustix::fs::fstatvfs;

pub use self::clear::Cleared;
pub use self::keys::{BadPattern, Keys};
pub use self::verify::{Dropped, Verification};

use crate::directory::{Directory, DirectoryError, Files, NAME, Opened};
use crate::evict::unlink;
use crate::identity::Identity;
use crate::ledger::{Onlooker, Place, Usage};
use crate::map::MapError;
use crate::map::codec::Record;

/// Records are read in pieces of so many.
const RECORDS_AT_ONCE: u64 = 4096;

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
pub enum CensusError {
    /// There is no cache.
    #[error("there is no cache in {dir}; give the directory that a mount has as --cache")]
    Missing {
        /// The directory that was given.
        dir: PathBuf,
    },
    /// The directory must not or cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The disk fails.
    #[error("the cache cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// A cached object. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Entry {
    /// Its identity in hexadecimal digits: what its files are called.
    pub identity: String,
    /// The store it comes from.
    pub endpoint: String,
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Which version it is.
    pub etag: String,
    /// How large the object is.
    pub size: u64,
    /// How much of it is cached.
    pub resident: u64,
    /// The same as a fraction: 1 of what is complete.
    pub resident_fraction: f64,
    /// What its files take on the disk.
    pub allocated: u64,
    /// When it was last used, in seconds since the Unix epoch.
    pub last_use: u64,
    /// Whether nothing but a command removes it.
    pub pinned: bool,
    /// Whether it was used again after it had been filled, and is evicted later than others.
    pub protected: bool,
    /// Whether it is complete and was looked at as a whole.
    pub sealed: bool,
}

/// What is found under an identity.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// An object.
    Object(Entry),
    /// Something that is not what an object must be.
    Damaged(Identity),
}

/// All of it in numbers. Sizes are in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// How many objects there are.
    pub objects: u64,
    /// How many of these are complete.
    pub complete: u64,
    /// How many are pinned.
    pub pinned: u64,
    /// How many were used again after they had been filled.
    pub protected: u64,
    /// How many cannot be used and will be fetched again.
    pub damaged: u64,
    /// How large the objects are together.
    pub size: u64,
    /// How much of them is cached.
    pub resident: u64,
    /// What their files take on the disk.
    pub allocated: u64,
    /// What the processes that share the cache count; none without a ledger.
    pub usage: Option<Usage>,
    /// Size of the file system.
    pub disk: u64,
    /// What is free on it for those who are not root.
    pub disk_free: u64,
}

/// An open cache to be looked at. All calls are disk IO.
pub struct Census {
    directory: Directory,
    count: Option<Onlooker>,
}

impl Census {
    /// Opens the cache in the directory `dir`, as it was given to a mount. Makes nothing.
    ///
    /// # Errors
    /// There is none, or it must not or cannot be used.
    pub fn open(dir: &Path) -> Result<Self, CensusError> {
        must_exist(dir)?;
        Ok(Self::over(Directory::open(dir)?))
    }

    fn over(directory: Directory) -> Self {
        let count = Onlooker::open(directory.as_fd());
        Self { directory, count }
    }

    /// The directory.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// All objects, in no order, looked at one by one as they are asked for.
    ///
    /// # Errors
    /// Of the disk.
    pub fn entries(&self) -> io::Result<impl Iterator<Item = io::Result<Seen>>> {
        let shards = self.directory.shards()?;
        let of_shard = |shard| match self.directory.identities(shard) {
            Ok(identities) => identities.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        let identities = shards.into_iter().flat_map(of_shard);
        Ok(identities.filter_map(|identity| identity.and_then(|id| self.look(id)).transpose()))
    }

    /// The objects whose keys are among `keys`, in no order.
    ///
    /// # Errors
    /// Of the disk.
    pub fn select(&self, keys: &Keys) -> io::Result<impl Iterator<Item = io::Result<Entry>>> {
        Ok(self.entries()?.filter_map(|seen| match seen {
            Ok(Seen::Object(entry)) => keys.contains(&entry.key).then_some(Ok(entry)),
            Ok(Seen::Damaged(_)) => None,
            Err(error) => Some(Err(error)),
        }))
    }

    /// What an identity stands for; nothing when it was removed meanwhile.
    fn look(&self, identity: Identity) -> io::Result<Option<Seen>> {
        let files = match self.directory.open_object(&identity)? {
            Opened::Found(files) => files,
            Opened::Absent => return Ok(None),
            Opened::Damaged => return Ok(Some(Seen::Damaged(identity))),
        };
        match entry(&files) {
            Ok(entry) => Ok(Some(Seen::Object(entry))),
            Err(MapError::Damaged(_)) => Ok(Some(Seen::Damaged(identity))),
            Err(MapError::Io(error)) => Err(error),
        }
    }

    /// Everything in numbers.
    ///
    /// # Errors
    /// Of the disk.
    pub fn totals(&self) -> io::Result<Totals> {
        let stat = fstatvfs(self.directory.as_fd())?;
        let mut totals = Totals {
            usage: self.count.as_ref().and_then(Onlooker::usage),
            disk: stat.f_frsize.saturating_mul(stat.f_blocks),
            disk_free: stat.f_frsize.saturating_mul(stat.f_bavail),
            ..Totals::default()
        };
        for seen in self.entries()? {
            match seen? {
                Seen::Object(entry) => totals.add(&entry),
                Seen::Damaged(_) => totals.damaged += 1,
            }
        }
        Ok(totals)
    }

    /// Pins the objects whose keys are among `keys`, or unpins them. `changed` is told each one,
    /// as it is now; those that are so already are left out.
    ///
    /// # Errors
    /// Of the disk.
    pub fn pin(
        &self,
        keys: &Keys,
        pinned: bool,
        mut changed: impl FnMut(&Entry),
    ) -> io::Result<()> {
        for entry in self.select(keys)? {
            let entry = entry?;
            if entry.pinned == pinned {
                continue;
            }
            if let Some(entry) = self.set_pinned(entry, pinned)? {
                changed(&entry);
            }
        }
        Ok(())
    }

    fn set_pinned(&self, entry: Entry, pinned: bool) -> io::Result<Option<Entry>> {
        let Some(identity) = Identity::parse(&entry.identity) else { return Ok(None) };
        let Opened::Found(files) = self.directory.open_object(&identity)? else { return Ok(None) };
        let used = SystemTime::UNIX_EPOCH + files.map.last_use()?.0;
        let changed = files.map.change_mark(|mark| mark.pinned = pinned);
        // That the map was written now does not mean that the object is used now.
        files.map.file().set_times(FileTimes::new().set_modified(used))?;
        match changed {
            Ok(_) => Ok(Some(Entry { pinned, ..entry })),
            Err(MapError::Damaged(_)) => Ok(None),
            Err(MapError::Io(error)) => Err(error),
        }
    }

    /// Removes the objects whose keys are among `keys`, except for pinned ones. `looked_at` is
    /// told each one, and whether it was removed. Answers what they took on the disk, in bytes;
    /// of what is open the space comes free when it is closed.
    ///
    /// # Errors
    /// Of the disk.
    pub fn evict(&self, keys: &Keys, mut looked_at: impl FnMut(&Entry, bool)) -> io::Result<u64> {
        let mut freed = 0u64;
        for entry in self.select(keys)? {
            let entry = entry?;
            let mut removed = false;
            if !entry.pinned
                && let Some(identity) = Identity::parse(&entry.identity)
            {
                removed = self.remove(&identity)? > 0;
                freed = freed.saturating_add(if removed { entry.allocated } else { 0 });
            }
            looked_at(&entry, removed);
        }
        Ok(freed)
    }

    /// Unlinks an object and takes it off the count; answers what it had been charged.
    fn remove(&self, identity: &Identity) -> io::Result<u64> {
        let place = Place::Shard(identity.shard());
        let freeing = self.count.as_ref().map(|count| count.freeing(place));
        let bytes = unlink(&self.directory, identity)?;
        if let Some(Err(error)) = freeing.filter(|_| bytes > 0).map(|freeing| freeing.done(bytes)) {
            tracing::debug!(%error, "an object was removed and is still counted");
        }
        Ok(bytes)
    }
}

impl Totals {
    fn add(&mut self, entry: &Entry) {
        self.objects += 1;
        self.complete += u64::from(entry.resident == entry.size);
        self.pinned += u64::from(entry.pinned);
        self.protected += u64::from(entry.protected);
        self.size = self.size.saturating_add(entry.size);
        self.resident = self.resident.saturating_add(entry.resident);
        self.allocated = self.allocated.saturating_add(entry.allocated);
    }
}

/// What the files of an object say.
fn entry(files: &Files) -> Result<Entry, MapError> {
    let header = files.map.header();
    let mark = files.map.mark()?;
    let resident = resident(files)?;
    Ok(Entry {
        identity: header.identity.to_string(),
        endpoint: header.scope.endpoint.clone(),
        bucket: header.scope.bucket.clone(),
        key: header.key.as_str().to_owned(),
        etag: header.etag.clone(),
        size: header.size,
        resident,
        resident_fraction: if header.size == 0 {
            1.0
        } else {
            resident as f64 / header.size as f64
        },
        allocated: files.allocated()?,
        last_use: files.map.last_use()?.secs(),
        pinned: mark.pinned,
        protected: mark.protected,
        sealed: mark.seal.is_some(),
    })
}

/// How many bytes of an object are present.
fn resident(files: &Files) -> io::Result<u64> {
    let header = files.map.header();
    let (mut sum, mut first) = (0, 0);
    while first < header.blocks() {
        let next = header.blocks().min(first + RECORDS_AT_ONCE);
        for (number, record) in (first..next).zip(files.map.records(first..next)?) {
            if matches!(record, Record::Present(_)) {
                sum += BLOCK.min(header.size - number * BLOCK);
            }
        }
        first = next;
    }
    Ok(sum)
}

/// Looking at a cache must not make one.
fn must_exist(dir: &Path) -> Result<(), CensusError> {
    match std::fs::symlink_metadata(dir.join(NAME)) {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Err(CensusError::Missing { dir: dir.to_owned() })
        }
        // What else is wrong with it is said by who opens it.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
