//! Answers: each request has one [`Reply`], which can be used once, from any thread.

use crate::abi::{self, AttrWire, Plain};
use crate::device::{BackingId, Device};
use crate::dirbuf::DirBuf;
use crate::pending::{Pending, Ticket};
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

/// A point in time: seconds since the epoch and nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timespec {
    /// Seconds; negative before 1970.
    pub seconds: i64,
    /// Nanoseconds, below 10^9.
    pub nanos: u32,
}

/// A node's attributes, as stat(2) will show them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are those of stat(2)")]
pub struct Attr {
    /// `st_ino`: what people see; independent of the nodeid.
    pub ino: u64,
    pub size: u64,
    /// In units of 512 bytes.
    pub blocks: u64,
    pub atime: Timespec,
    pub mtime: Timespec,
    pub ctime: Timespec,
    /// Type and permissions.
    pub mode: u32,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u32,
    pub blksize: u32,
}

impl Attr {
    fn wire(&self) -> AttrWire {
        AttrWire {
            ino: self.ino,
            size: self.size,
            blocks: self.blocks,
            atime: self.atime.seconds.cast_unsigned(),
            mtime: self.mtime.seconds.cast_unsigned(),
            ctime: self.ctime.seconds.cast_unsigned(),
            atimensec: self.atime.nanos,
            mtimensec: self.mtime.nanos,
            ctimensec: self.ctime.nanos,
            mode: self.mode,
            nlink: self.nlink,
            uid: self.uid,
            gid: self.gid,
            rdev: self.rdev,
            blksize: self.blksize,
            flags: 0,
        }
    }
}

/// What a name leads to. The kernel's caches belong to the nodeid; `st_ino` is `attr.ino`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The node; 0 makes the entry a negative one.
    pub nodeid: u64,
    /// Tells lives of one nodeid apart; 0 where nodeids are never used twice.
    pub generation: u64,
    /// How long the kernel may trust the name.
    pub ttl: Duration,
    /// The node's attributes.
    pub attr: Attr,
    /// How long the kernel may trust the attributes.
    pub attr_ttl: Duration,
}

impl Entry {
    /// "No such name", to be remembered by the kernel for `ttl`.
    pub fn negative(ttl: Duration) -> Entry {
        Entry { ttl, ..Entry::default() }
    }

    pub(crate) fn wire(&self) -> abi::EntryOut {
        let (entry_valid, entry_valid_nsec) = wire_time(self.ttl);
        let (attr_valid, attr_valid_nsec) = wire_time(self.attr_ttl);
        abi::EntryOut {
            nodeid: self.nodeid,
            generation: self.generation,
            entry_valid,
            attr_valid,
            entry_valid_nsec,
            attr_valid_nsec,
            attr: self.attr.wire(),
        }
    }
}

/// How an open file is read and written. One node has one mode at a time: the kernel refuses
/// with EIO a passthrough open while a cached handle or its mapping lives, and the reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Through the page cache; `keep` what it holds of the node from before.
    Cached {
        /// Whether the cached pages stay.
        keep: bool,
    },
    /// Every read and write becomes a request.
    Direct {
        /// Whether the kernel may send writes side by side. Without it, it sends the next one of
        /// a file when the last was answered, so that what one thread appends stays in order;
        /// larger requests make up for the waiting.
        parallel_writes: bool,
    },
    /// The kernel reads and writes the backing file itself. All handles of a node that are open
    /// together must name the same id.
    Passthrough {
        /// The backing file.
        id: BackingId,
        /// Reads and writes of this handle become requests all the same, and only its mappings
        /// are of the backing file. An `O_DIRECT` handle without this does direct IO on the
        /// backing file, under the rules of that file system for offsets, lengths and addresses.
        direct: bool,
    },
}

/// The answer to OPEN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The handle's number, repeated in later requests.
    pub fh: u64,
    /// How it is read and written.
    pub mode: OpenMode,
    /// Whether close(2) may skip FLUSH: for handles that cannot have anything to write. A
    /// written file's close would then succeed whatever became of its bytes.
    pub no_flush: bool,
}

impl Opened {
    fn wire(&self) -> abi::OpenOut {
        use abi::fopen;
        let (flags, backing_id) = match self.mode {
            OpenMode::Cached { keep: false } => (0, 0),
            OpenMode::Cached { keep: true } => (fopen::KEEP_CACHE, 0),
            OpenMode::Direct { parallel_writes: false } => (fopen::DIRECT_IO, 0),
            OpenMode::Direct { parallel_writes: true } => {
                (fopen::DIRECT_IO | fopen::PARALLEL_DIRECT_WRITES, 0)
            }
            OpenMode::Passthrough { id: BackingId(id), direct: false } => (fopen::PASSTHROUGH, id),
            OpenMode::Passthrough { id: BackingId(id), direct: true } => {
                (fopen::PASSTHROUGH | fopen::DIRECT_IO, id)
            }
        };
        let flush = if self.no_flush { fopen::NOFLUSH } else { 0 };
        abi::OpenOut { fh: self.fh, open_flags: flags | flush, backing_id }
    }
}

/// The answer to OPENDIR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirMode {
    /// Every listing asks the file system.
    Uncached,
    /// The kernel keeps the listing; `keep` also what it holds from before.
    Cached {
        /// Whether the cached listing stays.
        keep: bool,
    },
}

/// Figures of the file system, as statvfs(3) shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are those of statvfs(3)")]
pub struct Statfs {
    /// In units of `frsize`.
    pub blocks: u64,
    pub bfree: u64,
    pub bavail: u64,
    pub files: u64,
    pub ffree: u64,
    pub bsize: u32,
    pub namelen: u32,
    pub frsize: u32,
}

/// Whether an answer reached the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a lost entry or handle is not known to the kernel: nobody will forget or release it"]
pub enum Delivery {
    /// The kernel has it.
    Done,
    /// The caller was interrupted or the connection is gone: lookup counts and handles that the
    /// answer would have created do not exist.
    Lost,
}

/// A session's device together with its unanswered requests.
pub(crate) struct Channel {
    pub(crate) device: Arc<Device>,
    pub(crate) pending: Pending,
}

impl Channel {
    fn answer(&self, unique: u64, error: i32, body: &[&[u8]]) -> Delivery {
        match self.write(unique, error, body) {
            Ok(()) => Delivery::Done,
            // The kernel gave the request up; or there is no connection any more.
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENODEV)) => {
                Delivery::Lost
            }
            Err(e) => {
                tracing::warn!(unique, error = %e, "the kernel refused an answer");
                // It kept the request if the message was malformed: nobody may hang for that.
                let _ = self.device.write_header(unique, -libc::EIO);
                Delivery::Lost
            }
        }
    }

    fn write(&self, unique: u64, error: i32, body: &[&[u8]]) -> std::io::Result<()> {
        /// Parts that fit without allocating; more are rare.
        const INLINE: usize = 16;
        /// IOV_MAX, less the header and the part that gathers the excess.
        const SEPARATE: usize = 1022;
        let length = body.iter().map(|part| part.len()).sum::<usize>();
        let len = u32::try_from(size_of::<abi::OutHeader>() + length)
            .map_err(|_| std::io::Error::from_raw_os_error(libc::EINVAL))?;
        let header = abi::OutHeader { len, error: -error, unique };
        let mut inline = [IoSlice::new(&[]); INLINE + 1];
        if let Some(parts) = inline.get_mut(..=body.len()) {
            parts[0] = IoSlice::new(header.as_bytes());
            for (slot, part) in parts[1..].iter_mut().zip(body) {
                *slot = IoSlice::new(part);
            }
            return self.device.write(parts);
        }
        let (separate, excess) = body.split_at(body.len().min(SEPARATE));
        let gathered = excess.concat();
        let head = std::iter::once(header.as_bytes());
        let all = head.chain(separate.iter().copied()).chain([gathered.as_slice()]);
        self.device.write(&all.map(IoSlice::new).collect::<Vec<_>>())
    }
}

/// The right and duty to answer one request.
///
/// May be kept, sent to another thread and used there. Dropped unused, it answers EIO, so that
/// no caller waits for ever. Once the caller was interrupted, whatever is answered is swallowed.
pub struct Reply {
    channel: Arc<Channel>,
    ticket: Option<Ticket>,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Reply").field(&self.ticket).finish()
    }
}

impl Reply {
    /// `ticket` is `None` for the messages that take no answer.
    pub(crate) fn new(channel: Arc<Channel>, ticket: Option<Ticket>) -> Reply {
        Reply { channel, ticket }
    }

    fn send(&mut self, error: i32, body: &[&[u8]]) -> Delivery {
        match self.ticket.take() {
            Some(ticket) if self.channel.pending.claim(&ticket) => {
                self.channel.answer(ticket.unique(), error, body)
            }
            _ => Delivery::Lost,
        }
    }

    /// To LOOKUP, MKNOD, MKDIR, SYMLINK and LINK. When `Done`, the node's lookup count is one
    /// higher.
    pub fn entry(mut self, entry: &Entry) -> Delivery {
        self.send(0, &[entry.wire().as_bytes()])
    }

    /// To GETATTR and SETATTR; `ttl` is how long the kernel may trust the attributes.
    pub fn attr(mut self, attr: &Attr, ttl: Duration) {
        let (attr_valid, attr_valid_nsec) = wire_time(ttl);
        let out = abi::AttrOut { attr_valid, attr_valid_nsec, dummy: 0, attr: attr.wire() };
        let _ = self.send(0, &[out.as_bytes()]);
    }

    /// To OPEN. When `Lost`, no RELEASE will follow.
    pub fn opened(mut self, opened: &Opened) -> Delivery {
        self.send(0, &[opened.wire().as_bytes()])
    }

    /// To OPENDIR. When `Lost`, no RELEASEDIR will follow.
    pub fn opened_dir(mut self, fh: u64, mode: DirMode) -> Delivery {
        use abi::fopen;
        let open_flags = match mode {
            DirMode::Uncached => 0,
            DirMode::Cached { keep: false } => fopen::CACHE_DIR,
            DirMode::Cached { keep: true } => fopen::CACHE_DIR | fopen::KEEP_CACHE,
        };
        self.send(0, &[abi::OpenOut { fh, open_flags, backing_id: 0 }.as_bytes()])
    }

    /// To CREATE: an entry and an open file at once.
    pub fn created(mut self, entry: &Entry, opened: &Opened) -> Delivery {
        self.send(0, &[entry.wire().as_bytes(), opened.wire().as_bytes()])
    }

    /// To READ and READLINK: the concatenation of `parts`, written without copying. Fewer bytes
    /// than were asked for mean the end of the file; more are refused by the kernel (EIO).
    pub fn data(mut self, parts: &[&[u8]]) {
        let _ = self.send(0, parts);
    }

    /// To READDIR and READDIRPLUS; an empty buffer is the end of the directory. When `Done`,
    /// each entry of a READDIRPLUS has raised a lookup count.
    pub fn dirents(mut self, buffer: &DirBuf) -> Delivery {
        self.send(0, &[buffer.bytes()])
    }

    /// To WRITE: how many bytes were taken.
    pub fn written(mut self, size: u32) {
        let _ = self.send(0, &[abi::WriteOut { size, padding: 0 }.as_bytes()]);
    }

    /// To STATFS.
    pub fn statfs(mut self, figures: &Statfs) {
        let out = abi::StatfsOut {
            blocks: figures.blocks,
            bfree: figures.bfree,
            bavail: figures.bavail,
            files: figures.files,
            ffree: figures.ffree,
            bsize: figures.bsize,
            namelen: figures.namelen,
            frsize: figures.frsize,
            ..Default::default()
        };
        let _ = self.send(0, &[out.as_bytes()]);
    }

    /// To LSEEK: the offset found.
    pub fn offset(mut self, offset: u64) {
        let _ = self.send(0, &[abi::LseekOut { offset }.as_bytes()]);
    }

    /// Success without anything to tell: RELEASE, FLUSH, FSYNC, UNLINK, RMDIR, RENAME, ACCESS.
    pub fn ok(mut self) {
        let _ = self.send(0, &[]);
    }

    /// To any request: failure with `errno` (positive, as in `libc::ENOENT`; other values
    /// become EIO, since the kernel would refuse them).
    pub fn error(mut self, errno: i32) {
        let errno = if (1..=511).contains(&errno) { errno } else { libc::EIO };
        let _ = self.send(errno, &[]);
    }

    /// To FORGET and BATCH_FORGET, which take no answer.
    pub fn none(self) {}

    /// Has `hook` called, from another thread, when the caller is interrupted: at once if that
    /// has happened. It is dropped uncalled when the request is answered first. The caller is
    /// dying then and has been answered with EINTR: what it asked for can go on without it or be
    /// given up, as the handler sees fit.
    pub fn on_interrupt(&self, hook: impl FnOnce() + Send + 'static) {
        let Some(ticket) = &self.ticket else { return };
        if let Err(hook) = self.channel.pending.set_hook(ticket, Box::new(hook)) {
            hook();
        }
    }

    /// Whether an answer could still reach the caller.
    pub fn is_awaited(&self) -> bool {
        self.ticket.as_ref().is_some_and(|ticket| self.channel.pending.is_live(ticket))
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let _ = self.send(libc::EIO, &[]);
    }
}

/// Splits a duration into the wire's seconds and nanoseconds. 136 years stand for ever: larger
/// values could overflow when the kernel adds them to its clock.
fn wire_time(time: Duration) -> (u64, u32) {
    (time.as_secs().min(u64::from(u32::MAX)), time.subsec_nanos())
}

#[cfg(test)]
mod tests;
