//! Values of the file system as the kernel's wire has them, and the other way round.

use fs::{Kind, OpenMode};
use fuse::{Dirent, Op, Timespec};
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
    // Nothing can be written, so closing has nothing to flush.
    fuse::Opened { fh: opened.handle, mode, no_flush: true }
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

/// The change a request would make, if it would make one.
pub(super) fn change(op: &Op<'_>) -> Option<fs::Operation> {
    Some(match op {
        Op::Setattr(_) => fs::Operation::Setattr,
        Op::Mknod { .. } => fs::Operation::Mknod,
        Op::Create { .. } => fs::Operation::Create,
        Op::Mkdir { .. } => fs::Operation::Mkdir,
        Op::Unlink { .. } => fs::Operation::Unlink,
        Op::Rmdir { .. } => fs::Operation::Rmdir,
        Op::Rename { .. } => fs::Operation::Rename,
        Op::Symlink { .. } => fs::Operation::Symlink,
        Op::Link { .. } => fs::Operation::Link,
        Op::Write { .. } => fs::Operation::Write,
        _ => return None,
    })
}
