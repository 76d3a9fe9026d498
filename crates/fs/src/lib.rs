//! The file system: names, attributes, directory snapshots, handles, the reader and the writer.
//!
//! * [`Fs`] answers the operations of a kernel, about fifteen plain methods. What memory has is
//!   answered at the first poll; everything else waits for the store without holding a lock.
//! * The tree (names, nodes, what was seen of them and when) is a state machine over plain data:
//!   time is passed in, and it can be written out as [`Record`]s and restored.
//! * A [`Reader`](reader::Reader) serves the bytes of one node, whoever opened it.
//! * A writer takes the bytes of one file in order, and publishes them as a version.
//!
//! This crate names neither HTTP nor a FUSE struct. How long what was seen is trusted, and what
//! each operation costs in requests, is the table in `docs/metadata.md`.

#![forbid(unsafe_code)]

mod advice;
mod attr;
mod backing;
mod change;
mod config;
mod directory;
mod errno;
mod fact;
mod filesystem;
mod flights;
mod handles;
mod list;
mod look;
pub mod names;
mod open;
mod probe;
mod readdir;
pub mod reader;
mod refuse;
mod resolve;
mod tree;
mod ttl;
mod write;
mod writer;
mod writers;

pub use attr::{
    Attr, Change, DirEntry, Entry, HandleId, Kind, Lookup, NodeId, OpenMode, OpenOptions, Opened,
    ROOT, Statfs,
};
pub use backing::{BackingId, Backings};
pub use change::RenameFlags;
pub use config::{Config, Writes};
pub use errno::Errno;
pub use filesystem::Fs;
pub use refuse::Operation;
pub use tree::{BadRecord, Name, Record};
pub use ttl::Ttl;
