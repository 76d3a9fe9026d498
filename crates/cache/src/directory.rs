//! The directory of a node cache: who may have made it, what is in it.
//!
//! A cached JAR is code that will run, so the directory must be one that nobody else can write
//! to, and every path below it is resolved without following a link.

mod check;
mod files;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FlockOperation, Mode, OFlags, RenameFlags, flock, fstat, mkdirat, renameat_with,
    unlinkat,
};
use rustix::io::Errno;

use crate::beneath;
use crate::schedule::step;
pub use check::{DirectoryError, Warning};
pub use files::{Files, Opened};

/// The name of our directory inside the one that was given.
pub const NAME: &str = "mount-s3";
const FORMAT: &str = "1\n";
const README: &str = "\
This directory is the node cache of mount-s3. Its files hold the bytes of S3 objects, named by
what they are and not by their keys. To see the keys: mount-s3 cache ls DIR, where DIR is the
directory that this one is in. To empty it: mount-s3 cache clear DIR. It can also be deleted at
any time; what was in it is then fetched again.
";
/// How many foreign directories with the same name are given another one.
const ASIDE: usize = 100;
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

/// A node cache's directory, open and in use: a shared flock(2) on it is held, which says so to
/// other processes and to systemd-tmpfiles. All calls are disk IO.
#[derive(Debug)]
pub struct Directory {
    ours: OwnedFd,
    path: PathBuf,
    warnings: Vec<Warning>,
}

impl Directory {
    /// Opens the cache in the directory `dir`, making what is not there yet: `dir` itself when
    /// only its last component is missing, and in it our own directory.
    ///
    /// # Errors
    /// Why it must not or cannot be used, and what to do about it.
    pub fn open(dir: &Path) -> Result<Self, DirectoryError> {
        let directory = Self::open_any_format(dir)?;
        directory.check_format()?;
        Ok(directory)
    }

    /// The same whatever the format of its content is: to clear it.
    ///
    /// # Errors
    /// As [`Directory::open`], the format aside.
    pub fn open_any_format(dir: &Path) -> Result<Self, DirectoryError> {
        // A slash at the end would have a link followed.
        let dir: PathBuf = dir.components().collect();
        let path = dir.join(NAME);
        let failed = |doing| DirectoryError::failed(doing, &path);
        let given = check::given(&dir)?;
        match mkdirat(&given, NAME, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed("make")(errno.into())),
        }
        let ours = check::ours(&given, &path)?;
        flock(&ours, FlockOperation::LockShared).map_err(|e| failed("lock")(e.into()))?;
        let warnings = check::warnings(&ours);
        Ok(Self { ours, path, warnings })
    }

    /// Where it is: the path of our own directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What whoever chose the directory should know.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Whether its path still leads to it: it may have been deleted, or another one may have been
    /// put in its place.
    pub fn is_there(&self) -> bool {
        let Ok(held) = fstat(&self.ours) else { return false };
        let there = rustix::fs::lstat(&self.path);
        there.is_ok_and(|there| (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino))
    }

    /// Opens a file of ours beside the objects, such as the ledger, for reading and writing,
    /// empty when it was not there. `name` is a path below our directory.
    ///
    /// # Errors
    /// Of the disk; also when something that is no regular file has the name.
    pub fn file(&self, name: &str) -> io::Result<File> {
        let file = File::from(beneath::open(&self.ours, name, OFlags::RDWR | OFlags::CREATE)?);
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file")),
        }
    }

    /// Opens a directory below ours, for `openat` and its like; made when it was not there.
    ///
    /// # Errors
    /// Of the disk.
    pub fn directory(&self, name: &str) -> io::Result<OwnedFd> {
        match beneath::open(&self.ours, name, FLAGS) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let mut made = String::new();
        for part in name.split('/') {
            made = if made.is_empty() { part.to_owned() } else { format!("{made}/{part}") };
            let (above, last) = made.rsplit_once('/').unwrap_or(("", &made));
            let above = match above {
                "" => self.ours.try_clone()?,
                above => beneath::open(&self.ours, above, FLAGS)?,
            };
            match mkdirat(&above, last, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        beneath::open(&self.ours, name, FLAGS)
    }

    /// The open directory itself.
    pub fn as_fd(&self) -> &OwnedFd {
        &self.ours
    }

    fn check_format(&self) -> Result<(), DirectoryError> {
        let failed = |doing, name| DirectoryError::failed(doing, &self.path.join(name));
        let mut file = self.file("format").map_err(failed("open", "format"))?;
        let mut found = String::new();
        // A format file that a power cut left empty says as little as none.
        let read = (&mut file).take(64).read_to_string(&mut found);
        read.map_err(failed("read", "format"))?;
        if found.is_empty() {
            let written = file.write_all(FORMAT.as_bytes()).and_then(|()| file.sync_data());
            written.map_err(failed("write", "format"))?;
            let mut readme = self.file("README").map_err(failed("open", "README"))?;
            readme.write_all(README.as_bytes()).map_err(failed("write", "README"))?;
        } else if found != FORMAT {
            let dir = self.path.parent().unwrap_or(&self.path).to_owned();
            return Err(DirectoryError::Format { dir, found: found.trim().to_owned() });
        }
        Ok(())
    }
}

/// The names in an open directory, without `.` and `..`, in no order. Names that are no UTF-8
/// are none of ours and are left out.
pub(crate) fn names(directory: impl AsFd) -> io::Result<Vec<String>> {
    step();
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        match entry.file_name().to_str() {
            Ok("." | "..") | Err(_) => {}
            Ok(name) => names.push(name.to_owned()),
        }
    }
    Ok(names)
}

/// Removes a name from an open directory: a file, a link, or an empty directory; a directory with
/// something in it, which is none of ours, is given another name. That it is gone already is fine.
pub(crate) fn remove(directory: impl AsFd, name: &str) -> io::Result<()> {
    step();
    let removed = match unlinkat(&directory, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => unlinkat(&directory, name, AtFlags::REMOVEDIR),
        other => other,
    };
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::NOTEMPTY | Errno::EXIST) => set_aside(directory, name),
        Err(errno) => Err(errno.into()),
    }
}

fn set_aside(directory: impl AsFd, name: &str) -> io::Result<()> {
    for number in 0..ASIDE {
        let aside = format!("{name}.foreign-{number}");
        match renameat_with(&directory, name, &directory, aside, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            other => return Ok(other?),
        }
    }
    Err(Errno::NOTEMPTY.into())
}

#[cfg(test)]
mod tests;
