//! The directory of journals.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, mkdirat, openat, statat, unlinkat};
use rustix::io::Errno;

use crate::flags::Config;

/// The name of the directory of journals.
pub(super) const NAME: &str = "uploads";
/// The name of our directory for state, in those of the system and of users.
const OURS: &str = "mount-s3";
/// Where root keeps state (Filesystem Hierarchy Standard, 5.8).
const STATE_OF_ROOT: &str = "/var/lib";
/// How a journal's name ends.
const SUFFIX: &str = ".journal";
/// The most journals that are looked at.
const JOURNALS_MAX: usize = 10_000;

/// A directory that nobody but this user can write to, open.
#[derive(Debug)]
pub struct Place {
    directory: OwnedFd,
    path: PathBuf,
}

impl Place {
    /// The place of the mount that `config` asks for: below its cache, which is there already,
    /// or in a directory for state, which is made.
    ///
    /// # Errors
    /// It cannot be made, or others can write to it.
    pub fn of(config: &Config) -> io::Result<Self> {
        match &config.cache {
            Some(cache) => Self::in_cache(&cache.directory),
            None => Self::in_state(config.state_directory.as_deref()),
        }
    }

    /// The place below the node cache that mounts have as `cache`.
    ///
    /// # Errors
    /// There is no such cache, or as [`Place::of`].
    pub fn in_cache(cache: &Path) -> io::Result<Self> {
        Self::below(&cache.join(cache::NAME))
    }

    /// The places of mounts with this `cache`, and of those without one, that are there already.
    pub(super) fn there(cache: Option<&Path>, state: Option<&Path>) -> Vec<io::Result<Self>> {
        let above = [cache.map(|cache| cache.join(cache::NAME)), ours(state).ok()];
        let there = above.into_iter().flatten().filter(|above| above.join(NAME).exists());
        there.map(|above| Self::below(&above)).collect()
    }

    /// The place in the directory for state of this user: root's own, or `state`.
    ///
    /// # Errors
    /// The user has none, or as [`Place::of`].
    pub fn in_state(state: Option<&Path>) -> io::Result<Self> {
        let ours = ours(state)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&ours)?;
        Self::below(&ours)
    }

    /// The place in `above`, which is ours.
    pub(super) fn below(above: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let parent = rustix::fs::open(above, flags, Mode::empty())?;
        check(&parent, above)?;
        match mkdirat(&parent, NAME, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let path = above.join(NAME);
        let directory = openat(&parent, NAME, flags, Mode::empty())?;
        check(&directory, &path)?;
        Ok(Self { directory, path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a journal; `None` when the name is taken.
    pub(super) fn make(&self, stem: &str) -> io::Result<Option<(File, String)>> {
        let name = format!("{stem}{SUFFIX}");
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        match openat(&self.directory, &name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => Ok(Some((file.into(), name))),
            Err(Errno::EXIST) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Opens a journal that is there; `None` for what is none of ours.
    pub(super) fn open(&self, name: &str) -> io::Result<Option<File>> {
        // Something that is no regular file must not keep us waiting.
        let flags =
            OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.directory, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::LOOP | Errno::ISDIR | Errno::NXIO) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let stat = fstat(&file)?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let ours = regular && stat.st_uid == rustix::process::geteuid().as_raw();
        Ok(ours.then(|| file.into()))
    }

    /// Whether the name still leads to the open `file`.
    pub(super) fn holds(&self, name: &str, file: &File) -> bool {
        let there = statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW);
        let same = |there: rustix::fs::Stat| {
            let held = fstat(file).ok()?;
            Some((there.st_dev, there.st_ino) == (held.st_dev, held.st_ino))
        };
        there.ok().and_then(same).unwrap_or(false)
    }

    /// Removes a journal, whose lock the caller holds.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.directory, name, AtFlags::empty())?)
    }

    /// The names of the journals that are there.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(self.directory.as_fd())? {
            let entry = entry?;
            let name = entry.file_name().to_str().ok().filter(|name| name.ends_with(SUFFIX));
            names.extend(name.map(str::to_owned));
            if names.len() == JOURNALS_MAX {
                break;
            }
        }
        names.sort();
        Ok(names)
    }
}

/// Our directory for state.
fn ours(state: Option<&Path>) -> io::Result<PathBuf> {
    let state = match rustix::process::geteuid().is_root() {
        true => Some(Path::new(STATE_OF_ROOT)),
        // What the specification of XDG_STATE_HOME has to say about relative paths.
        false => state.filter(|state| state.is_absolute()),
    };
    let state = state.ok_or_else(|| other("neither XDG_STATE_HOME nor HOME is set".into()))?;
    Ok(state.join(OURS))
}

/// A directory that others can write to could name uploads for us to throw away.
fn check(directory: &OwnedFd, path: &Path) -> io::Result<()> {
    let stat = fstat(directory)?;
    let ours = stat.st_uid == rustix::process::geteuid().as_raw() && stat.st_mode & 0o022 == 0;
    match ours {
        true => Ok(()),
        false => Err(other(format!("{} does not belong to this user alone", path.display()))),
    }
}

fn other(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}
