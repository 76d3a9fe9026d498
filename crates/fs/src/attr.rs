//! What the kernel is shown of a node, and the values of the operations.

use std::time::Duration;

use object::Time;

use crate::backing::BackingId;

/// A number the kernel knows a node by: counted up from [`ROOT`], never used twice.
pub type NodeId = u64;

/// A number an open file or directory is known by, never used twice.
pub type HandleId = u64;

/// The node of the mount's own directory.
pub const ROOT: NodeId = 1;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An object.
    File,
    /// Keys that go on after a `/`.
    Directory,
}

/// The attributes of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr {
    /// `st_ino`: a stable hash of the full key, the same on every mount; [`ROOT`] for the root.
    pub ino: u64,
    /// Size in bytes; 0 for a directory.
    pub size: u64,
    /// Last modification of the object; the time of the mount for a directory.
    pub modified: Time,
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u16,
    /// Owner, as configured.
    pub uid: u32,
    /// Group, as configured.
    pub gid: u32,
    /// 1 for a file, 2 for a directory.
    pub nlink: u32,
}

/// A name that was found. Whoever gives it to the kernel owes a
/// [`forget`](crate::Fs::forget) for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The node.
    pub node: NodeId,
    /// Its attributes.
    pub attr: Attr,
    /// How long the kernel may take the name for this node without asking.
    pub ttl: Duration,
    /// How long the kernel may answer `stat` without asking.
    pub attr_ttl: Duration,
}

/// The answer to a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The name is there.
    Found(Entry),
    /// The name is not there.
    Absent {
        /// How long the kernel may remember that; zero when it may not.
        ttl: Duration,
    },
}

/// How a file is to be opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// For reading (`O_RDONLY`, `O_RDWR`).
    pub read: bool,
    /// For writing (`O_WRONLY`, `O_RDWR`).
    pub write: bool,
    /// Cut to nothing first (`O_TRUNC`).
    pub truncate: bool,
    /// Only if there is nothing of the name (`O_EXCL`).
    pub exclusive: bool,
    /// Write at the end only (`O_APPEND`).
    pub append: bool,
    /// Past the page cache, and with a fresh look at the store (`O_DIRECT`).
    pub direct: bool,
    /// Each write durable (`O_SYNC`, `O_DSYNC`).
    pub sync: bool,
    /// Without a trace in the access time (`O_NOATIME`): so overlayfs opens what lies below it.
    pub no_atime: bool,
}

/// Attributes to be changed: those that are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Length in bytes.
    pub size: Option<u64>,
    /// Time of last modification.
    pub modified: Option<Time>,
    /// Permission bits, owner, group, or time of last access: no object has any of them.
    pub others: bool,
}

/// A file that was opened.
#[derive(Debug)]
pub struct Opened {
    /// What to read and release it by.
    pub handle: HandleId,
    /// Who serves its bytes.
    pub mode: OpenMode,
    /// Whether it is open for writing: closing it may then have something to tell.
    pub written: bool,
}

/// Who serves the bytes of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// The kernel's page cache, filled by reads.
    Cached {
        /// Pages of earlier opens are still right. A node stands for one version, so they are.
        keep: bool,
    },
    /// Every read comes here.
    Direct,
    /// The kernel reads a local file by itself.
    Backed {
        /// What the file was registered as.
        id: BackingId,
        /// Reads come here all the same; only mappings are the kernel's.
        direct: bool,
    },
}

/// One name of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Where to go on after this entry.
    pub cookie: u64,
    /// The name.
    pub name: Box<[u8]>,
    /// What it is.
    pub kind: Kind,
    /// `st_ino`.
    pub ino: u64,
    /// What a lookup would have said, when that was asked for and is known. The kernel then owes
    /// a `forget` for it.
    pub entry: Option<Entry>,
}

/// The size of the file system: a store has none, so it is large but finite, for sums over many
/// mounts not to overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statfs {
    /// Size of a block in bytes.
    pub block_size: u32,
    /// Blocks, used or free.
    pub blocks: u64,
    /// Free blocks.
    pub blocks_free: u64,
    /// Names, used or free.
    pub files: u64,
    /// Free names.
    pub files_free: u64,
    /// The longest name in bytes.
    pub name_max: u32,
}
