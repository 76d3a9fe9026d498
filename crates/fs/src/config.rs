//! What a mount is made with.

use object::Time;

use crate::reader::Limits;
use crate::ttl::Ttl;

/// What a file system shows and how long it trusts what it saw.
#[derive(Clone, Debug)]
pub struct Config {
    /// The keys that are shown begin with this: empty, or ending in `/` (which is added when it
    /// is not there). What comes after it is the path.
    pub prefix: String,
    /// Whether changes are refused because the mount is read-only.
    pub read_only: bool,
    /// Owner of everything.
    pub uid: u32,
    /// Group of everything.
    pub gid: u32,
    /// Permission bits of directories.
    pub dir_mode: u16,
    /// Permission bits of files; those of an archived object are 0.
    pub file_mode: u16,
    /// How long a name and its attributes are trusted.
    pub ttl: Ttl,
    /// How long absence is trusted; `None` for what goes with `ttl`.
    pub negative_ttl: Option<Ttl>,
    /// When the mount was made: the modification time of directories.
    pub mounted: Time,
    /// Names remembered at most, those the kernel holds not counted out. Each takes up to 300
    /// bytes.
    pub names_max: usize,
    /// What bounds each reader.
    pub limits: Limits,
}
