//! Whose directory it is, who else can write to it, and what file system it is on.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, Stat, fstat, fstatfs, mkdir, open, openat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::NAME;

const FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const STICKY: u32 = 0o1000;

/// Why a directory is not used for a cache, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The last component of the path is a link.
    #[error("{path} is a symbolic link; give the directory it leads to")]
    Link {
        /// The path.
        path: PathBuf,
    },
    /// It is something else than a directory.
    #[error("{path} is not a directory")]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// It belongs to somebody else, who could put code into the cache.
    #[error(
        "{path} belongs to uid {owner}, and this is uid {me}; give a directory of your own, or \
         change the owner: chown {me} {path}"
    )]
    Owner {
        /// The path.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        me: u32,
    },
    /// It is a common directory such as `/tmp`.
    #[error("{path} is open to everybody; give a directory of your own in it: {path}/cache")]
    Common {
        /// The path.
        path: PathBuf,
    },
    /// Others can write to it.
    #[error("{path} can be written to by others (mode {mode:04o}); chmod go-w {path}")]
    Writable {
        /// The path.
        path: PathBuf,
        /// Its mode bits.
        mode: u32,
    },
    /// Our own directory is open to others.
    #[error("{path} is open to others (mode {mode:04o}); chmod 700 {path}")]
    Mode {
        /// The path.
        path: PathBuf,
        /// Its mode bits.
        mode: u32,
    },
    /// Its content is that of another release.
    #[error(
        "the cache in {dir} has format {found:?}, and this release knows format 1; empty it with: \
         mount-s3 cache clear {dir}"
    )]
    Format {
        /// The directory that was given.
        dir: PathBuf,
        /// What its format file says.
        found: String,
    },
    /// The disk said no.
    #[error("cannot {doing} {path}: {cause}")]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// With which path.
        path: PathBuf,
        /// What it said.
        cause: io::Error,
    },
}

impl DirectoryError {
    pub(super) fn failed(
        doing: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |cause| DirectoryError::Io { doing, path, cause }
    }
}

/// What is worth knowing about a directory that is used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Its files are memory.
    Tmpfs,
    /// It is an overlay, which the kernel may not let us pass files through from.
    Overlay,
    /// It is on a network or on another FUSE file system, as named here.
    Remote(&'static str),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::Tmpfs => f.write_str("the cache is on tmpfs: what it holds is memory"),
            Warning::Overlay => f.write_str("the cache is on an overlay file system"),
            Warning::Remote(name) => write!(
                f,
                "the cache is on {name}, which is not this node's own disk: it will be slow, and \
                 must not be shared with other nodes"
            ),
        }
    }
}

/// Opens the directory that was given, if it is one that nobody else can write to.
pub(super) fn given(dir: &Path) -> Result<OwnedFd, DirectoryError> {
    let opened = match open(dir, FLAGS, Mode::empty()) {
        Err(Errno::NOENT) => {
            let made = mkdir(dir, Mode::RWXU);
            made.or_else(|errno| if errno == Errno::EXIST { Ok(()) } else { Err(errno) })
                .map_err(|errno| DirectoryError::failed("make", dir)(errno.into()))?;
            open(dir, FLAGS, Mode::empty())
        }
        other => other,
    };
    let fd = opened.map_err(|errno| not_opened(dir, errno))?;
    let stat = stat(&fd, dir)?;
    let (mode, path) = (stat.st_mode & 0o7777, dir.to_owned());
    if mode & STICKY != 0 && mode & 0o022 != 0 {
        return Err(DirectoryError::Common { path });
    }
    owner(&stat, dir)?;
    match mode & 0o022 {
        0 => Ok(fd),
        _ => Err(DirectoryError::Writable { path, mode }),
    }
}

/// Opens our own directory in the one that was given, if it is ours alone.
pub(super) fn ours(given: &OwnedFd, path: &Path) -> Result<OwnedFd, DirectoryError> {
    let fd = openat(given, NAME, FLAGS, Mode::empty()).map_err(|errno| not_opened(path, errno))?;
    let stat = stat(&fd, path)?;
    owner(&stat, path)?;
    match stat.st_mode & 0o7777 {
        mode if mode & 0o077 != 0 => Err(DirectoryError::Mode { path: path.to_owned(), mode }),
        _ => Ok(fd),
    }
}

/// Which file system it is on (magic numbers of statfs(2)), where that is worth a word.
pub(super) fn warnings(ours: &OwnedFd) -> Vec<Warning> {
    let Ok(found) = fstatfs(ours) else { return Vec::new() };
    let warning = match found.f_type as u32 {
        0x0102_1994 => Warning::Tmpfs,
        0x794c_7630 => Warning::Overlay,
        0x6969 => Warning::Remote("NFS"),
        0xff53_4d42 | 0xfe53_4d42 => Warning::Remote("SMB"),
        0x6573_5546 => Warning::Remote("FUSE"),
        _ => return Vec::new(),
    };
    vec![warning]
}

fn owner(stat: &Stat, path: &Path) -> Result<(), DirectoryError> {
    let (owner, me) = (stat.st_uid, geteuid().as_raw());
    match owner == me {
        true => Ok(()),
        false => Err(DirectoryError::Owner { path: path.to_owned(), owner, me }),
    }
}

fn stat(fd: &OwnedFd, path: &Path) -> Result<Stat, DirectoryError> {
    fstat(fd).map_err(|errno| DirectoryError::failed("stat", path)(errno.into()))
}

fn not_opened(path: &Path, errno: Errno) -> DirectoryError {
    // To open a link as a directory without following it fails with the one or the other.
    if matches!(errno, Errno::LOOP | Errno::NOTDIR) {
        let path = path.to_owned();
        return match path.is_symlink() {
            true => DirectoryError::Link { path },
            false => DirectoryError::NotADirectory { path },
        };
    }
    DirectoryError::failed("open", path)(errno.into())
}
