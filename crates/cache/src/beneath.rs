//! Paths below our directory, which never lead out of it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use crate::schedule::step;

const RESOLVE: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// Opens `path` below `dir`. A link on the way is an error (`ELOOP`), and so is a way out
/// (`EXDEV`). New files are our own alone; opening a planted pipe does not wait for its other end.
pub(crate) fn open(dir: impl AsFd, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
    step();
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mode = match flags.contains(OFlags::CREATE) {
        true => Mode::RUSR | Mode::WUSR,
        false => Mode::empty(),
    };
    match openat2(&dir, path, flags, mode, RESOLVE) {
        // A kernel before 5.6, or a sandbox that does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => by_component(&dir, path, flags, mode),
        other => Ok(other?),
    }
}

/// The same with one `openat` for each component, none of which follows a link.
fn by_component(dir: impl AsFd, path: &str, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let on_the_way = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut held: Option<OwnedFd> = None;
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        if part.is_empty() || part == ".." {
            return Err(Errno::XDEV.into());
        }
        let at = held.as_ref().map_or(dir.as_fd(), AsFd::as_fd);
        let opened = match parts.peek() {
            Some(_) => openat(at, part, on_the_way, Mode::empty())?,
            None => return Ok(openat(at, part, flags, mode)?),
        };
        held = Some(opened);
    }
    Err(Errno::NOENT.into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    type Open = fn(OwnedFd, &str) -> io::Result<OwnedFd>;

    #[test]
    fn neither_a_link_nor_dots_lead_out_of_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("in/sub")).unwrap();
        fs::write(dir.path().join("in/sub/file"), "x").unwrap();
        fs::write(dir.path().join("secret"), "x").unwrap();
        symlink("../secret", dir.path().join("in/link")).unwrap();
        symlink("sub", dir.path().join("in/way")).unwrap();
        let ways: [Open; 2] = [
            |fd, path| open(fd, path, OFlags::RDONLY),
            |fd, path| by_component(fd, path, OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty()),
        ];
        for way in ways {
            let fd = || OwnedFd::from(fs::File::open(dir.path().join("in")).unwrap());
            assert!(way(fd(), "sub/file").is_ok());
            for bad in ["link", "way/file", "../secret", "sub/../../secret", "/etc/passwd"] {
                assert!(way(fd(), bad).is_err(), "{bad}");
            }
        }
    }
}
