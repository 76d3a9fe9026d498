//! The two files of an object: `objects/XX/<identity>.data` and `.map`.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, CWD, FlockOperation, Mode, OFlags, flock, fsync, linkat, openat, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::{Directory, FLAGS, names, remove};
use crate::beneath;
use crate::identity::Identity;
use crate::lock;
use crate::map::codec::{Header, Mark};
use crate::map::{MapError, MapFile};
use crate::schedule::step;

/// How often an object is made again because somebody else took its files away meanwhile.
const ROUNDS: usize = 4;
/// Makes names of files that are not finished unlike each other.
static MADE: AtomicU64 = AtomicU64::new(0);

/// The open files of one object.
pub struct Files {
    /// Which blocks are there.
    pub map: MapFile,
    /// Their bytes, as long as the object; what is absent is a hole.
    pub data: File,
}

/// What was found under an identity.
pub enum Opened {
    /// Both files, and they may belong together.
    Found(Files),
    /// No map.
    Absent,
    /// Something that is not what a map and its data must be. To be unlinked.
    Damaged,
}

impl Files {
    /// Bytes that both files take up on the disk, in whole blocks of it (`du`).
    ///
    /// # Errors
    /// Of the disk.
    pub fn allocated(&self) -> io::Result<u64> {
        Ok((self.map.file().metadata()?.blocks() + self.data.metadata()?.blocks()) * 512)
    }

    /// Whether their names have been taken away from them.
    ///
    /// # Errors
    /// Of the disk.
    pub fn unlinked(&self) -> io::Result<bool> {
        step();
        Ok(self.map.file().metadata()?.nlink() == 0 || self.data.metadata()?.nlink() == 0)
    }
}

impl Directory {
    /// The numbers of the shards that exist, in no order.
    ///
    /// # Errors
    /// Of the disk.
    pub fn shards(&self) -> io::Result<Vec<u8>> {
        let number = |name: &String| match name.len() {
            2 => u8::from_str_radix(name, 16).ok(),
            _ => None,
        };
        Ok(names(self.directory("objects")?)?.iter().filter_map(number).collect())
    }

    /// Opens one shard's directory, for reading its names and removing some; `None` when there is
    /// no such shard.
    ///
    /// # Errors
    /// Of the disk.
    pub fn shard(&self, number: u8) -> io::Result<Option<OwnedFd>> {
        found(beneath::open(self.as_fd(), &shard_path(number), FLAGS))
    }

    /// The objects whose map is in a shard, in no order.
    ///
    /// # Errors
    /// Of the disk.
    pub fn identities(&self, shard: u8) -> io::Result<Vec<Identity>> {
        let Some(shard) = self.shard(shard)? else { return Ok(Vec::new()) };
        let identity = |name: &String| Identity::parse(name.strip_suffix(".map")?);
        Ok(names(shard)?.iter().filter_map(identity).collect())
    }

    /// Opens the files of an object.
    ///
    /// # Errors
    /// Of the disk, such as too many open files. What is wrong with the files themselves is no
    /// error but [`Opened::Damaged`].
    pub fn open_object(&self, identity: &Identity) -> io::Result<Opened> {
        let Some(shard) = self.shard(identity.shard())? else { return Ok(Opened::Absent) };
        open_in(&shard, identity)
    }

    /// Opens an object's data for reading only.
    ///
    /// # Errors
    /// Of the disk; that there is none.
    pub fn open_data(&self, identity: &Identity) -> io::Result<File> {
        let path = format!("{}/{identity}.data", shard_path(identity.shard()));
        Ok(File::from(beneath::open(self.as_fd(), &path, OFlags::RDONLY)?))
    }

    /// Opens the files of the object of this header, making them when there are none. `mark` is
    /// the mark of a new one. [`Opened::Absent`] when its names are too long for a header.
    ///
    /// # Errors
    /// Of the disk.
    pub fn make_object(&self, header: &Header, mark: &Mark) -> io::Result<Opened> {
        Ok(self.make_or_open(header, mark)?.0)
    }

    /// The same, and says whether the files were made here: of several who want them, by one.
    pub(crate) fn make_or_open(&self, header: &Header, mark: &Mark) -> io::Result<(Opened, bool)> {
        self.make_with(header, mark, |shard| new_data(shard, header))
    }

    /// The same with `data`, a file without a name, as its data when there is none.
    pub(crate) fn adopt(
        &self,
        header: &Header,
        mark: &Mark,
        data: &File,
    ) -> io::Result<(Opened, bool)> {
        self.make_with(header, mark, |shard| name_data(shard, header, data))
    }

    /// A data file without a name, on the file system of the objects.
    ///
    /// # Errors
    /// Of the disk; that its file system has no such files.
    pub(crate) fn unnamed_data(&self) -> io::Result<File> {
        let objects = self.directory("objects")?;
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        step();
        Ok(File::from(openat(objects, ".", flags, Mode::RUSR | Mode::WUSR)?))
    }

    fn make_with(
        &self,
        header: &Header,
        mark: &Mark,
        make_data: impl Fn(&OwnedFd) -> io::Result<File>,
    ) -> io::Result<(Opened, bool)> {
        let identity = &header.identity;
        let shard = self.directory(&shard_path(identity.shard()))?;
        match open_in(&shard, identity)? {
            Opened::Absent => {}
            other => return Ok((other, false)),
        }
        let _alone = ShardLock::take(&shard);
        let mut made = false;
        for _ in 0..ROUNDS {
            match open_in(&shard, identity)? {
                Opened::Absent => {}
                other => return Ok((other, made)),
            }
            let data = make_data(&shard)?;
            if !new_map(&shard, header, mark)? {
                return Ok((Opened::Absent, false));
            }
            made = true;
            // Somebody who removes an old object of this identity may have removed its new data.
            step();
            let there = statat(&shard, format!("{identity}.data"), AtFlags::SYMLINK_NOFOLLOW);
            match there {
                Ok(there) if there.st_ino == data.metadata()?.ino() => {}
                _ => remove(&shard, &format!("{identity}.map"))?,
            }
        }
        Ok((open_in(&shard, identity)?, made))
    }

    /// Unlinks both files of an object, whatever they are, and answers the bytes that come free
    /// once nobody has them open. Their content is left alone: readers of it are not disturbed.
    ///
    /// # Errors
    /// Of the disk.
    pub fn unlink_object(&self, identity: &Identity) -> io::Result<u64> {
        let Some(shard) = self.shard(identity.shard())? else { return Ok(0) };
        let _alone = ShardLock::take(&shard);
        remove_pair(&shard, identity)
    }

    /// Unlinks both files of an object in the same way, after `look` was shown the shard, and if
    /// it finds anything; answers that. Of several who do this at once, one is given it.
    pub(crate) fn unlink_looked_at<T>(
        &self,
        identity: &Identity,
        look: impl FnOnce(&OwnedFd) -> io::Result<Option<T>>,
    ) -> io::Result<Option<T>> {
        let Some(shard) = self.shard(identity.shard())? else { return Ok(None) };
        let _alone = ShardLock::take(&shard);
        let Some(seen) = look(&shard)? else { return Ok(None) };
        // Who passes by the lock of a stopped process may be another one.
        step();
        let first = unlinkat(&shard, format!("{identity}.map"), AtFlags::empty()).is_ok();
        remove_pair(&shard, identity)?;
        Ok(first.then_some(seen))
    }

    /// Unlinks an object if its files are still these.
    ///
    /// # Errors
    /// Of the disk.
    pub fn unlink_exactly(&self, files: &Files) -> io::Result<u64> {
        let identity = &files.map.header().identity;
        let Some(shard) = self.shard(identity.shard())? else { return Ok(0) };
        step();
        let there = statat(&shard, format!("{identity}.map"), AtFlags::SYMLINK_NOFOLLOW);
        match there {
            Ok(there) if there.st_ino == files.map.file().metadata()?.ino() => {
                self.unlink_object(identity)
            }
            _ => Ok(0),
        }
    }

    /// Makes the names in an object's shard durable.
    ///
    /// # Errors
    /// Of the disk.
    pub fn sync_names(&self, identity: &Identity) -> io::Result<()> {
        match self.shard(identity.shard())? {
            Some(shard) => Ok(fsync(shard)?),
            None => Ok(()),
        }
    }
}

/// Keeps others from changing names in a shard. Not waited for
/// for long: a stopped process that holds it is passed by, and then two may get into each other's way, which costs bytes but never mixes
/// them, since every block is checked.
struct ShardLock<'a>(&'a OwnedFd);

impl<'a> ShardLock<'a> {
    fn take(shard: &'a OwnedFd) -> Option<Self> {
        let taken = lock::patiently(|| {
            step();
            match flock(shard, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => Ok(true),
                Err(Errno::WOULDBLOCK) => Ok(false),
                Err(errno) => Err(errno.into()),
            }
        });
        taken.is_ok_and(|taken| taken).then_some(Self(shard))
    }
}

impl Drop for ShardLock<'_> {
    fn drop(&mut self) {
        step();
        // Closing the shard gives it back in any case.
        let _ = flock(self.0, FlockOperation::Unlock);
    }
}

/// Takes both names away; answers the bytes that come free once nobody has the files open.
fn remove_pair(shard: &OwnedFd, identity: &Identity) -> io::Result<u64> {
    let mut freed = 0;
    // The map first: data without a map is nothing, a map without data would be damage.
    for name in [format!("{identity}.map"), format!("{identity}.data")] {
        step();
        let stat = statat(shard, &name, AtFlags::SYMLINK_NOFOLLOW);
        remove(shard, &name)?;
        freed += stat.map_or(0, |stat| u64::try_from(stat.st_blocks).unwrap_or(0) * 512);
    }
    Ok(freed)
}

fn shard_path(number: u8) -> String {
    format!("objects/{number:02x}")
}

fn open_in(shard: &OwnedFd, identity: &Identity) -> io::Result<Opened> {
    let open = |kind: &str| beneath::open(shard, &format!("{identity}.{kind}"), OFlags::RDWR);
    let map = match found(open("map")) {
        Ok(Some(map)) => File::from(map),
        Ok(None) => return Ok(Opened::Absent),
        Err(error) => return damage_or(error),
    };
    let data = match found(open("data")) {
        Ok(Some(data)) => File::from(data),
        Ok(None) => return Ok(Opened::Damaged),
        Err(error) => return damage_or(error),
    };
    let me = geteuid().as_raw();
    for file in [&map, &data] {
        let meta = file.metadata()?;
        if !meta.is_file() || meta.uid() != me {
            return Ok(Opened::Damaged);
        }
    }
    let map = match MapFile::open(map) {
        Ok(map) => map,
        Err(MapError::Damaged(_)) => return Ok(Opened::Damaged),
        Err(MapError::Io(error)) => return Err(error),
    };
    let fits = map.header().identity == *identity && data.metadata()?.len() == map.header().size;
    Ok(if fits { Opened::Found(Files { map, data }) } else { Opened::Damaged })
}

/// What opening a file of ours fails with when it is not what we made it: no regular file, or
/// one that we may not open.
fn damage_or(error: io::Error) -> io::Result<Opened> {
    match Errno::from_io_error(&error) {
        Some(
            Errno::ISDIR | Errno::LOOP | Errno::NXIO | Errno::NODEV | Errno::ACCESS | Errno::PERM,
        ) => Ok(Opened::Damaged),
        _ => Err(error),
    }
}

fn found(opened: io::Result<OwnedFd>) -> io::Result<Option<OwnedFd>> {
    match opened {
        Ok(fd) => Ok(Some(fd)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A data file that nobody else ever had open: one that is there already is an orphan, and may be
/// read by somebody who knows it as an older object.
fn new_data(shard: &OwnedFd, header: &Header) -> io::Result<File> {
    let name = format!("{}.data", header.identity);
    remove(shard, &name)?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
    let data = File::from(beneath::open(shard, &name, flags)?);
    data.set_len(header.size)?;
    Ok(data)
}

/// Gives a data file its name.
fn name_data(shard: &OwnedFd, header: &Header, data: &File) -> io::Result<File> {
    let name = format!("{}.data", header.identity);
    remove(shard, &name)?;
    step();
    // By its descriptor alone (AT_EMPTY_PATH) takes a capability.
    let path = format!("/proc/self/fd/{}", data.as_raw_fd());
    linkat(CWD, path, shard, name, AtFlags::SYMLINK_FOLLOW)?;
    data.try_clone()
}

/// Makes the map, with its header in it from the first moment on which it has its name. False
/// when the header has no room for the names.
fn new_map(shard: &OwnedFd, header: &Header, mark: &Mark) -> io::Result<bool> {
    let identity = &header.identity;
    let (file, temporary) = loop {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("{identity}.{}-{number}.new", process::id());
        match beneath::open(shard, &name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL) {
            Ok(file) => break (File::from(file), name),
            // Left by a process that had our number before us, or has it in another namespace.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    };
    step();
    let made = MapFile::create(&file, header, mark);
    let linked = match &made {
        Ok(()) => {
            step();
            linkat(shard, &temporary, shard, format!("{identity}.map"), AtFlags::empty())
        }
        Err(_) => Ok(()),
    };
    remove(shard.as_fd(), &temporary)?;
    match (made, linked) {
        (Ok(()), Ok(()) | Err(Errno::EXIST)) => Ok(true),
        (Ok(()), Err(errno)) => Err(errno.into()),
        (Err(MapError::Damaged(_)), _) => Ok(false),
        (Err(MapError::Io(error)), _) => Err(error),
    }
}
