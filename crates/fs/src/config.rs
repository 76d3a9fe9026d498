//! What a mount is made with.

use object::{Algorithm, Time};

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
    /// What may be changed, and how it is written.
    pub writes: Writes,
}

/// What may be changed in the store, and how it is written.
#[derive(Clone, Debug)]
pub struct Writes {
    /// Whether an object may be replaced by a whole new one (`--allow-overwrite`).
    pub allow_overwrite: bool,
    /// Whether an object may be deleted (`--allow-delete`).
    pub allow_delete: bool,
    /// Whether changes of attributes that no object has succeed and do nothing.
    pub quiet_attributes: bool,
    /// Size of the first parts of an upload in bytes, 5 MiB to 5 GiB; an object up to this size is
    /// stored in one request.
    pub part_size: u64,
    /// Whether all parts have this size; otherwise they grow with the object.
    pub part_fixed: bool,
    /// What the bytes are summed up by as they come.
    pub checksum: Option<Algorithm>,
    /// Parts of one file on their way at once, at most.
    pub parts_in_flight: usize,
}

impl Default for Writes {
    fn default() -> Self {
        Self {
            allow_overwrite: false,
            allow_delete: false,
            quiet_attributes: false,
            part_size: 8 << 20,
            part_fixed: false,
            checksum: Some(Algorithm::Crc64Nvme),
            parts_in_flight: 8,
        }
    }
}
