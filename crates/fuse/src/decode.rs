//! From the bytes of one message to a typed [`Request`]. Never panics, whatever the bytes.

use crate::abi::{self, Plain, opcode};

/// One message from the kernel. Names and data borrow from the read buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct Request<'a> {
    /// The kernel's number for this request, with the resend bit if there was one; replies
    /// repeat it as it is.
    pub unique: u64,
    /// Whether the kernel sent this request before, to a session that is gone: it may have been
    /// acted on already.
    pub resent: bool,
    /// The node it is about, as an earlier entry named it; 1 is the root, 0 means none.
    pub nodeid: u64,
    /// File system user id of the caller, as seen in the mount's user namespace.
    pub uid: u32,
    /// File system group id of the caller.
    pub gid: u32,
    /// Thread id of the caller in the pid namespace of the mount; 0 when the caller lives in
    /// another one, or when the kernel acts by itself.
    pub pid: u32,
    /// What is asked.
    pub op: Op<'a>,
}

/// What a request asks for. Names are single path components without the final NUL.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields carry the names and meanings of the system calls'")]
pub enum Op<'a> {
    /// First message of a connection.
    Init(Offer),
    /// The connection ends (only sent for block-device mounts).
    Destroy,
    /// Finds a name in the directory `nodeid`. A positive entry raises its lookup count by one.
    Lookup { name: &'a [u8] },
    /// Lowers the node's lookup count. Takes no answer.
    Forget { lookups: u64 },
    /// Lowers several nodes' lookup counts. Takes no answer.
    BatchForget(Forgets<'a>),
    /// Attributes, of the open handle where one is given.
    Getattr { fh: Option<u64> },
    /// Changes attributes.
    Setattr(Setattr),
    /// Target of a symbolic link.
    Readlink,
    /// Makes a symbolic link.
    Symlink { name: &'a [u8], target: &'a [u8] },
    /// Makes a node that is not a directory.
    Mknod { name: &'a [u8], mode: u32, rdev: u32, umask: u32 },
    /// Makes a directory.
    Mkdir { name: &'a [u8], mode: u32, umask: u32 },
    /// Removes a name that is not a directory.
    Unlink { name: &'a [u8] },
    /// Removes an empty directory.
    Rmdir { name: &'a [u8] },
    /// Renames; `flags` are those of renameat2(2), 0 for a plain rename.
    Rename { name: &'a [u8], new_parent: u64, new_name: &'a [u8], flags: u32 },
    /// Gives the node `source` another name.
    Link { source: u64, name: &'a [u8] },
    /// Opens a file; `flags` as in open(2), without O_CREAT and O_EXCL.
    Open { flags: u32 },
    /// Reads up to `size` bytes. For buffered reads `fh` is any handle of the node.
    Read { fh: u64, offset: u64, size: u32, flags: u32 },
    /// Writes; `from_cache` when the page cache writes back, so that `fh` is a guess.
    Write { fh: u64, offset: u64, data: &'a [u8], flags: u32, from_cache: bool },
    /// A descriptor was closed; sent once for each close(2).
    Flush { fh: u64 },
    /// The last reference to a handle is gone.
    Release { fh: u64, flags: u32 },
    /// fsync(2), or fdatasync(2) when `data_only`.
    Fsync { fh: u64, data_only: bool },
    /// Opens a directory.
    Opendir { flags: u32 },
    /// Lists names from `offset` into a buffer of `size` bytes.
    Readdir { fh: u64, offset: u64, size: u32 },
    /// Lists names with their entries; each entry raises a lookup count by one.
    Readdirplus { fh: u64, offset: u64, size: u32 },
    /// The last reference to a directory handle is gone.
    Releasedir { fh: u64 },
    /// fsync(2) of a directory.
    Fsyncdir { fh: u64, data_only: bool },
    /// Figures of the whole file system.
    Statfs,
    /// access(2); not sent when the kernel checks permissions itself.
    Access { mask: u32 },
    /// Creates and opens a file.
    Create { name: &'a [u8], flags: u32, mode: u32, umask: u32 },
    /// A signal reached the thread that waits for the request `unique`.
    Interrupt { unique: u64 },
    /// lseek(2) with SEEK_DATA or SEEK_HOLE.
    Lseek { fh: u64, offset: u64, whence: u32 },
    /// An operation this crate has no use for; ENOSYS is the usual answer.
    Other(u32),
}

/// What the kernel offers in INIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// ABI major number.
    pub major: u32,
    /// ABI minor number.
    pub minor: u32,
    /// Largest read-ahead the kernel will do, in bytes.
    pub max_readahead: u32,
    /// Both words of feature flags.
    pub flags: u64,
}

/// A time to be set by SETATTR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    /// The time of the request.
    Now,
    /// A time given by the caller: seconds since the epoch (may be negative) and nanoseconds.
    At(i64, u32),
}

/// The attributes a SETATTR changes: those that are `Some`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setattr {
    /// The open handle the change was made through.
    pub fh: Option<u64>,
    /// New permission bits.
    pub mode: Option<u32>,
    /// New owner.
    pub uid: Option<u32>,
    /// New group.
    pub gid: Option<u32>,
    /// New length in bytes.
    pub size: Option<u64>,
    /// New time of last access.
    pub atime: Option<SetTime>,
    /// New time of last modification.
    pub mtime: Option<SetTime>,
}

/// The list in a BATCH_FORGET, as (nodeid, lookups) pairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgets<'a>(&'a [u8]);

impl Iterator for Forgets<'_> {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        let one = abi::ForgetOne::from_prefix(self.0)?;
        self.0 = self.0.get(size_of::<abi::ForgetOne>()..).unwrap_or_default();
        Some((one.nodeid, one.nlookup))
    }
}

/// Why a message could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than a header, or its length field disagrees with the bytes there are.
    #[error("message of {0} bytes is not a whole request")]
    Length(usize),
    /// The arguments end too early or a name lacks its NUL. The request can be answered.
    #[error("request {unique:#x} with opcode {opcode} has malformed arguments")]
    Arguments {
        /// The number to answer.
        unique: u64,
        /// What it was about.
        opcode: u32,
    },
}

/// Decodes one message, which is everything a single read of the device returned.
///
/// # Errors
/// The bytes are no request of the kernel's.
pub fn decode(bytes: &[u8]) -> Result<Request<'_>, DecodeError> {
    let header = abi::InHeader::from_prefix(bytes).ok_or(DecodeError::Length(bytes.len()))?;
    if header.len as usize != bytes.len() {
        return Err(DecodeError::Length(bytes.len()));
    }
    let arguments = bytes.get(size_of::<abi::InHeader>()..).unwrap_or_default();
    // Extensions (supplementary groups, security context) follow the arguments, counted in
    // units of 8 bytes; none is asked for in INIT, and none may be taken for a name.
    let extensions = usize::from(header.total_extlen) * 8;
    let op = arguments
        .len()
        .checked_sub(extensions)
        .and_then(|end| decode_op(header.opcode, Arguments(arguments.get(..end)?)))
        .ok_or(DecodeError::Arguments { unique: header.unique, opcode: header.opcode })?;
    Ok(Request {
        unique: header.unique,
        resent: header.unique & abi::UNIQUE_RESEND != 0,
        nodeid: header.nodeid,
        uid: header.uid,
        gid: header.gid,
        pid: header.pid,
        op,
    })
}

/// A cursor over a request's arguments.
struct Arguments<'a>(&'a [u8]);

impl<'a> Arguments<'a> {
    fn take<T: Plain>(&mut self) -> Option<T> {
        let value = T::from_prefix(self.0)?;
        self.0 = self.0.get(size_of::<T>()..)?;
        Some(value)
    }

    fn name(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let name = self.0.get(..end)?;
        self.0 = self.0.get(end + 1..)?;
        Some(name)
    }

    fn data(&mut self, size: u32) -> Option<&'a [u8]> {
        self.0.get(..size as usize)
    }
}

fn decode_op(code: u32, mut rest: Arguments<'_>) -> Option<Op<'_>> {
    Some(match code {
        opcode::LOOKUP => Op::Lookup { name: rest.name()? },
        opcode::GETATTR => {
            let a: abi::GetattrIn = rest.take()?;
            Op::Getattr { fh: (a.getattr_flags & abi::GETATTR_FH != 0).then_some(a.fh) }
        }
        opcode::OPEN => Op::Open { flags: rest.take::<abi::OpenIn>()?.flags },
        opcode::READ => {
            let a: abi::ReadIn = rest.take()?;
            Op::Read { fh: a.fh, offset: a.offset, size: a.size, flags: a.flags }
        }
        opcode::WRITE => {
            let a: abi::WriteIn = rest.take()?;
            let from_cache = a.write_flags & abi::WRITE_CACHE != 0;
            let data = rest.data(a.size)?;
            Op::Write { fh: a.fh, offset: a.offset, data, flags: a.flags, from_cache }
        }
        opcode::FLUSH => Op::Flush { fh: rest.take::<abi::FlushIn>()?.fh },
        opcode::RELEASE => {
            let a: abi::ReleaseIn = rest.take()?;
            Op::Release { fh: a.fh, flags: a.flags }
        }
        opcode::FSYNC => {
            let a: abi::FsyncIn = rest.take()?;
            Op::Fsync { fh: a.fh, data_only: a.fsync_flags & abi::FSYNC_FDATASYNC != 0 }
        }
        opcode::STATFS => Op::Statfs,
        opcode::ACCESS => Op::Access { mask: rest.take::<abi::AccessIn>()?.mask },
        opcode::LSEEK => {
            let a: abi::LseekIn = rest.take()?;
            Op::Lseek { fh: a.fh, offset: a.offset, whence: a.whence }
        }
        opcode::FORGET => Op::Forget { lookups: rest.take::<abi::ForgetIn>()?.nlookup },
        opcode::BATCH_FORGET => {
            let count = rest.take::<abi::BatchForgetIn>()?.count as usize;
            let length = count.checked_mul(size_of::<abi::ForgetOne>())?;
            Op::BatchForget(Forgets(rest.0.get(..length)?))
        }
        opcode::INTERRUPT => Op::Interrupt { unique: rest.take::<abi::InterruptIn>()?.unique },
        opcode::INIT => Op::Init(decode_offer(rest)?),
        opcode::DESTROY => Op::Destroy,
        opcode::OPENDIR..=opcode::FSYNCDIR | opcode::READDIRPLUS => decode_directory(code, rest)?,
        _ => decode_change(code, rest)?,
    })
}

fn decode_offer(mut rest: Arguments<'_>) -> Option<Offer> {
    // Before 7.36 the message ends after the first flags word.
    const SHORT: usize = 16;
    let mut whole = [0; size_of::<abi::InitIn>()];
    let length = if rest.0.len() < whole.len() { SHORT } else { whole.len() };
    whole.get_mut(..length)?.copy_from_slice(rest.data(u32::try_from(length).ok()?)?);
    let a = abi::InitIn::from_prefix(&whole)?;
    let flags = u64::from(a.flags) | u64::from(a.flags2) << 32;
    Some(Offer { major: a.major, minor: a.minor, max_readahead: a.max_readahead, flags })
}

fn decode_directory(code: u32, mut rest: Arguments<'_>) -> Option<Op<'_>> {
    Some(match code {
        opcode::OPENDIR => Op::Opendir { flags: rest.take::<abi::OpenIn>()?.flags },
        opcode::READDIR => {
            let a: abi::ReadIn = rest.take()?;
            Op::Readdir { fh: a.fh, offset: a.offset, size: a.size }
        }
        opcode::READDIRPLUS => {
            let a: abi::ReadIn = rest.take()?;
            Op::Readdirplus { fh: a.fh, offset: a.offset, size: a.size }
        }
        opcode::RELEASEDIR => Op::Releasedir { fh: rest.take::<abi::ReleaseIn>()?.fh },
        opcode::FSYNCDIR => {
            let a: abi::FsyncIn = rest.take()?;
            Op::Fsyncdir { fh: a.fh, data_only: a.fsync_flags & abi::FSYNC_FDATASYNC != 0 }
        }
        other => Op::Other(other),
    })
}

/// Decodes the operations that change names or attributes.
fn decode_change(code: u32, mut rest: Arguments<'_>) -> Option<Op<'_>> {
    Some(match code {
        opcode::SETATTR => Op::Setattr(decode_setattr(&rest.take()?)),
        opcode::READLINK => Op::Readlink,
        opcode::SYMLINK => Op::Symlink { name: rest.name()?, target: rest.name()? },
        opcode::MKNOD => {
            let a: abi::MknodIn = rest.take()?;
            Op::Mknod { name: rest.name()?, mode: a.mode, rdev: a.rdev, umask: a.umask }
        }
        opcode::MKDIR => {
            let a: abi::MkdirIn = rest.take()?;
            Op::Mkdir { name: rest.name()?, mode: a.mode, umask: a.umask }
        }
        opcode::UNLINK => Op::Unlink { name: rest.name()? },
        opcode::RMDIR => Op::Rmdir { name: rest.name()? },
        opcode::RENAME => {
            let new_parent = rest.take::<abi::RenameIn>()?.newdir;
            Op::Rename { name: rest.name()?, new_parent, new_name: rest.name()?, flags: 0 }
        }
        opcode::RENAME2 => {
            let a: abi::Rename2In = rest.take()?;
            let (name, new_name) = (rest.name()?, rest.name()?);
            Op::Rename { name, new_parent: a.newdir, new_name, flags: a.flags }
        }
        opcode::LINK => {
            let source = rest.take::<abi::LinkIn>()?.oldnodeid;
            Op::Link { source, name: rest.name()? }
        }
        opcode::CREATE => {
            let a: abi::CreateIn = rest.take()?;
            Op::Create { name: rest.name()?, flags: a.flags, mode: a.mode, umask: a.umask }
        }
        other => Op::Other(other),
    })
}

fn decode_setattr(a: &abi::SetattrIn) -> Setattr {
    use abi::fattr;
    let has = |flag| a.valid & flag != 0;
    let time = |flag, now, seconds: u64, nanos| {
        has(flag).then(|| {
            if has(now) { SetTime::Now } else { SetTime::At(seconds.cast_signed(), nanos) }
        })
    };
    Setattr {
        fh: has(fattr::FH).then_some(a.fh),
        mode: has(fattr::MODE).then_some(a.mode),
        uid: has(fattr::UID).then_some(a.uid),
        gid: has(fattr::GID).then_some(a.gid),
        size: has(fattr::SIZE).then_some(a.size),
        atime: time(fattr::ATIME, fattr::ATIME_NOW, a.atime, a.atimensec),
        mtime: time(fattr::MTIME, fattr::MTIME_NOW, a.mtime, a.mtimensec),
    }
}

#[cfg(test)]
mod tests;
