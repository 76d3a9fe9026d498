//! The kernel's FUSE messages as typed structs, after `include/uapi/linux/fuse.h` (ABI 7.45).
//!
//! Only what this crate uses is here. All fields are in host byte order. Names of fields
//! follow the kernel header, so that the two can be read side by side.

use std::mem::size_of;

/// The ABI's major number; a kernel with another one is refused.
pub const MAJOR: u32 = 7;
/// The newest minor number this crate knows.
pub const MINOR: u32 = 45;
/// The oldest minor number served: since 7.23 `fuse_init_out` has its present 64 bytes.
pub const MINOR_OLDEST: u32 = 23;
/// The minor number from which the kernel understands [`notify::INC_EPOCH`].
pub const MINOR_INC_EPOCH: u32 = 44;
/// Nodeid of the root directory (`FUSE_ROOT_ID`).
pub const ROOT_ID: u64 = 1;
/// Bit of `unique` in the kernel's INTERRUPT messages and in replies to them.
pub const UNIQUE_INTERRUPT: u64 = 1;
/// Bit of `unique` in requests sent again after a RESEND notification (`FUSE_UNIQUE_RESEND`).
pub const UNIQUE_RESEND: u64 = 1 << 63;
/// Room a read buffer needs beside the largest write's data: header and arguments.
pub const BUFFER_HEADER: usize = 4096;
/// The smallest buffer the kernel accepts for reading (`FUSE_MIN_READ_BUFFER`).
pub const BUFFER_MIN: usize = 8192;

/// Plain data as the kernel lays it out.
///
/// # Safety
/// Implementors are `repr(C)`, have no padding and are valid for every bit pattern.
pub(crate) unsafe trait Plain: Copy {
    /// The value's bytes.
    fn as_bytes(&self) -> &[u8] {
        // SAFETY: `self` is a live value of `size_of::<Self>()` bytes without padding.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast(), size_of::<Self>()) }
    }

    /// The value at the start of `bytes`, which need not be aligned; `None` if they are too few.
    fn from_prefix(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..size_of::<Self>())?;
        // SAFETY: the slice has exactly the value's size, and any bits are a valid value.
        Some(unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) })
    }
}

/// Declares structs of the kernel header with their sizes, checked at compile time.
macro_rules! wire {
    ($($(#[$meta:meta])* $name:ident: $size:literal { $($field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct $name { $(pub(crate) $field: $type),* }
        const _: () = assert!(size_of::<$name>() == $size);
        const _: () = assert!(0 $(+ size_of::<$type>())* == $size, "padding");
        // SAFETY: integers only, and the assertions above show that there is no padding.
        unsafe impl Plain for $name {}
    )*};
}

wire! {
    InHeader: 40 {
        len: u32, opcode: u32, unique: u64, nodeid: u64, uid: u32, gid: u32, pid: u32,
        total_extlen: u16, padding: u16,
    }
    OutHeader: 16 { len: u32, error: i32, unique: u64 }
    InitIn: 64 {
        major: u32, minor: u32, max_readahead: u32, flags: u32, flags2: u32, unused: [u32; 11],
    }
    InitOut: 64 {
        major: u32, minor: u32, max_readahead: u32, flags: u32, max_background: u16,
        congestion_threshold: u16, max_write: u32, time_gran: u32, max_pages: u16,
        map_alignment: u16, flags2: u32, max_stack_depth: u32, request_timeout: u16,
        unused: [u16; 11],
    }
    AttrWire: 88 {
        ino: u64, size: u64, blocks: u64, atime: u64, mtime: u64, ctime: u64, atimensec: u32,
        mtimensec: u32, ctimensec: u32, mode: u32, nlink: u32, uid: u32, gid: u32, rdev: u32,
        blksize: u32, flags: u32,
    }
    EntryOut: 128 {
        nodeid: u64, generation: u64, entry_valid: u64, attr_valid: u64, entry_valid_nsec: u32,
        attr_valid_nsec: u32, attr: AttrWire,
    }
    AttrOut: 104 { attr_valid: u64, attr_valid_nsec: u32, dummy: u32, attr: AttrWire }
    OpenIn: 8 { flags: u32, open_flags: u32 }
    OpenOut: 16 { fh: u64, open_flags: u32, backing_id: u32 }
    CreateIn: 16 { flags: u32, mode: u32, umask: u32, open_flags: u32 }
    MknodIn: 16 { mode: u32, rdev: u32, umask: u32, padding: u32 }
    MkdirIn: 8 { mode: u32, umask: u32 }
    RenameIn: 8 { newdir: u64 }
    Rename2In: 16 { newdir: u64, flags: u32, padding: u32 }
    LinkIn: 8 { oldnodeid: u64 }
    GetattrIn: 16 { getattr_flags: u32, dummy: u32, fh: u64 }
    SetattrIn: 88 {
        valid: u32, padding: u32, fh: u64, size: u64, lock_owner: u64, atime: u64, mtime: u64,
        ctime: u64, atimensec: u32, mtimensec: u32, ctimensec: u32, mode: u32, unused4: u32,
        uid: u32, gid: u32, unused5: u32,
    }
    ReadIn: 40 {
        fh: u64, offset: u64, size: u32, read_flags: u32, lock_owner: u64, flags: u32,
        padding: u32,
    }
    WriteIn: 40 {
        fh: u64, offset: u64, size: u32, write_flags: u32, lock_owner: u64, flags: u32,
        padding: u32,
    }
    WriteOut: 8 { size: u32, padding: u32 }
    FlushIn: 24 { fh: u64, unused: u32, padding: u32, lock_owner: u64 }
    ReleaseIn: 24 { fh: u64, flags: u32, release_flags: u32, lock_owner: u64 }
    FsyncIn: 16 { fh: u64, fsync_flags: u32, padding: u32 }
    ForgetIn: 8 { nlookup: u64 }
    BatchForgetIn: 8 { count: u32, dummy: u32 }
    ForgetOne: 16 { nodeid: u64, nlookup: u64 }
    AccessIn: 8 { mask: u32, padding: u32 }
    InterruptIn: 8 { unique: u64 }
    LseekIn: 24 { fh: u64, offset: u64, whence: u32, padding: u32 }
    LseekOut: 8 { offset: u64 }
    StatfsOut: 80 {
        blocks: u64, bfree: u64, bavail: u64, files: u64, ffree: u64, bsize: u32, namelen: u32,
        frsize: u32, padding: u32, spare: [u32; 6],
    }
    DirentWire: 24 { ino: u64, off: u64, namelen: u32, kind: u32 }
    NotifyInvalInode: 24 { ino: u64, off: i64, len: i64 }
    NotifyInvalEntry: 16 { parent: u64, namelen: u32, flags: u32 }
    NotifyDelete: 24 { parent: u64, child: u64, namelen: u32, padding: u32 }
    BackingMap: 16 { fd: i32, flags: u32, padding: u64 }
}

/// Operation codes (`enum fuse_opcode`).
pub(crate) mod opcode {
    pub(crate) const LOOKUP: u32 = 1;
    pub(crate) const FORGET: u32 = 2;
    pub(crate) const GETATTR: u32 = 3;
    pub(crate) const SETATTR: u32 = 4;
    pub(crate) const READLINK: u32 = 5;
    pub(crate) const SYMLINK: u32 = 6;
    pub(crate) const MKNOD: u32 = 8;
    pub(crate) const MKDIR: u32 = 9;
    pub(crate) const UNLINK: u32 = 10;
    pub(crate) const RMDIR: u32 = 11;
    pub(crate) const RENAME: u32 = 12;
    pub(crate) const LINK: u32 = 13;
    pub(crate) const OPEN: u32 = 14;
    pub(crate) const READ: u32 = 15;
    pub(crate) const WRITE: u32 = 16;
    pub(crate) const STATFS: u32 = 17;
    pub(crate) const RELEASE: u32 = 18;
    pub(crate) const FSYNC: u32 = 20;
    pub(crate) const FLUSH: u32 = 25;
    pub(crate) const INIT: u32 = 26;
    pub(crate) const OPENDIR: u32 = 27;
    pub(crate) const READDIR: u32 = 28;
    pub(crate) const RELEASEDIR: u32 = 29;
    pub(crate) const FSYNCDIR: u32 = 30;
    pub(crate) const ACCESS: u32 = 34;
    pub(crate) const CREATE: u32 = 35;
    pub(crate) const INTERRUPT: u32 = 36;
    pub(crate) const DESTROY: u32 = 38;
    pub(crate) const BATCH_FORGET: u32 = 42;
    pub(crate) const READDIRPLUS: u32 = 44;
    pub(crate) const RENAME2: u32 = 45;
    pub(crate) const LSEEK: u32 = 46;
}

/// Flags of the reply to OPEN, OPENDIR and CREATE (`FOPEN_*`).
pub(crate) mod fopen {
    pub(crate) const DIRECT_IO: u32 = 1 << 0;
    pub(crate) const KEEP_CACHE: u32 = 1 << 1;
    pub(crate) const CACHE_DIR: u32 = 1 << 3;
    pub(crate) const NOFLUSH: u32 = 1 << 5;
    pub(crate) const PARALLEL_DIRECT_WRITES: u32 = 1 << 6;
    pub(crate) const PASSTHROUGH: u32 = 1 << 7;
}

/// Which fields a SETATTR carries (`FATTR_*`).
pub(crate) mod fattr {
    pub(crate) const MODE: u32 = 1 << 0;
    pub(crate) const UID: u32 = 1 << 1;
    pub(crate) const GID: u32 = 1 << 2;
    pub(crate) const SIZE: u32 = 1 << 3;
    pub(crate) const ATIME: u32 = 1 << 4;
    pub(crate) const MTIME: u32 = 1 << 5;
    pub(crate) const FH: u32 = 1 << 6;
    pub(crate) const ATIME_NOW: u32 = 1 << 7;
    pub(crate) const MTIME_NOW: u32 = 1 << 8;
}

/// `FUSE_GETATTR_FH`: the request carries a file handle.
pub(crate) const GETATTR_FH: u32 = 1;
/// `FUSE_WRITE_CACHE`: written from the page cache, so the handle is a guess.
pub(crate) const WRITE_CACHE: u32 = 1;
/// `FUSE_FSYNC_FDATASYNC`.
pub(crate) const FSYNC_FDATASYNC: u32 = 1;

/// Notification codes, sent in the error field of a reply with `unique` 0.
pub(crate) mod notify {
    pub(crate) const INVAL_INODE: i32 = 2;
    pub(crate) const INVAL_ENTRY: i32 = 3;
    pub(crate) const DELETE: i32 = 6;
    pub(crate) const RESEND: i32 = 7;
    pub(crate) const INC_EPOCH: i32 = 8;
}

/// Request numbers of the device's ioctls: `_IOR(229, 0, u32)`, `_IOW(229, 1, struct
/// fuse_backing_map)` and `_IOW(229, 2, u32)`.
pub(crate) mod ioctl {
    use super::{BackingMap, size_of};

    const MAGIC: u64 = 229;
    const WRITE: u64 = 1;
    const READ: u64 = 2;
    const fn request(direction: u64, number: u64, size: usize) -> u64 {
        direction << 30 | (size as u64) << 16 | MAGIC << 8 | number
    }
    pub(crate) const CLONE: u64 = request(READ, 0, size_of::<u32>());
    pub(crate) const BACKING_OPEN: u64 = request(WRITE, 1, size_of::<BackingMap>());
    pub(crate) const BACKING_CLOSE: u64 = request(WRITE, 2, size_of::<u32>());
}
