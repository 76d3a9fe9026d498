//! Values of the file system as the kernel's wire has them, and the other way round.

use std::time::Duration;

use fs::{Kind, OpenMode, OpenOptions};
use fuse::{Dirent, SetTime, Timespec};
use object::Time;

/// What attributes have beyond what the file system says of them.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// `st_blksize`: what programs like to read at once.
    block: u32,
}

impl Default for Shape {
    fn default() -> Self {
        Self { block: 4096 }
    }
}

impl Shape {
    pub(super) fn entry(&self, entry: &fs::Entry) -> fuse::Entry {
        fuse::Entry {
            nodeid: entry.node,
            generation: 0,
            ttl: entry.ttl,
            attr: self.attr(&entry.attr),
            attr_ttl: entry.attr_ttl,
        }
    }

    pub(super) fn attr(&self, attr: &fs::Attr) -> fuse::Attr {
        let kind = match attr.kind {
            Kind::File => libc::S_IFREG,
            Kind::Directory => libc::S_IFDIR,
        };
        let modified = timespec(attr.modified);
        fuse::Attr {
            ino: attr.ino,
            size: attr.size,
            blocks: attr.size.div_ceil(512),
            atime: modified,
            mtime: modified,
            ctime: modified,
            mode: kind | u32::from(attr.mode),
            nlink: attr.nlink,
            uid: attr.uid,
            gid: attr.gid,
            rdev: 0,
            blksize: self.block,
        }
    }
}

fn timespec(time: Time) -> Timespec {
    Timespec { seconds: i64::try_from(time.secs()).unwrap_or(i64::MAX), nanos: 0 }
}

pub(super) fn opened(opened: &fs::Opened) -> fuse::Opened {
    let mode = match opened.mode {
        OpenMode::Cached { keep } => fuse::OpenMode::Cached { keep },
        OpenMode::Direct => fuse::OpenMode::Direct { parallel_writes: false },
        OpenMode::Backed { id, direct } => {
            fuse::OpenMode::Passthrough { id: fuse::BackingId(id), direct }
        }
    };
    // What was not opened for writing has nothing to flush.
    fuse::Opened { fh: opened.handle, mode, no_flush: !opened.written }
}

pub(super) fn dirent(entry: &fs::DirEntry) -> Dirent<'_> {
    let kind = match entry.kind {
        Kind::File => libc::DT_REG,
        Kind::Directory => libc::DT_DIR,
    };
    Dirent { ino: entry.ino, next_offset: entry.cookie, kind, name: &entry.name }
}

pub(super) fn statfs(figures: &fs::Statfs) -> fuse::Statfs {
    fuse::Statfs {
        blocks: figures.blocks,
        bfree: figures.blocks_free,
        bavail: figures.blocks_free,
        files: figures.files,
        ffree: figures.files_free,
        bsize: figures.block_size,
        namelen: figures.name_max,
        frsize: figures.block_size,
    }
}

/// The change that a SETATTR asks for. A time of now is the time of the last write anyway.
pub(super) fn change(wanted: &fuse::Setattr) -> fs::Change {
    let modified = match wanted.mtime {
        Some(SetTime::At(seconds, nanos)) => {
            let seconds = u64::try_from(seconds).unwrap_or(0);
            Some(Time(Duration::new(seconds, nanos.min(999_999_999))))
        }
        Some(SetTime::Now) | None => None,
    };
    let others = wanted.mode.is_some()
        || wanted.uid.is_some()
        || wanted.gid.is_some()
        || wanted.atime.is_some()
        || wanted.mtime == Some(SetTime::Now);
    fs::Change { size: wanted.size, modified, others }
}

/// How a RENAME2 is to be done: `flags` as in renameat2(2).
pub(super) fn rename_flags(flags: u32) -> fs::RenameFlags {
    fs::RenameFlags {
        no_replace: flags & libc::RENAME_NOREPLACE != 0,
        others: flags & !libc::RENAME_NOREPLACE != 0,
    }
}

/// The flags of open(2).
pub(super) fn open_options(flags: u32) -> OpenOptions {
    let has = |flag: i32| flags & flag.cast_unsigned() != 0;
    let access = flags & libc::O_ACCMODE.cast_unsigned();
    OpenOptions {
        read: access != libc::O_WRONLY.cast_unsigned(),
        write: access != libc::O_RDONLY.cast_unsigned(),
        truncate: has(libc::O_TRUNC),
        exclusive: has(libc::O_EXCL),
        append: has(libc::O_APPEND),
        direct: has(libc::O_DIRECT),
        sync: has(libc::O_DSYNC),
        no_atime: has(libc::O_NOATIME),
    }
}
