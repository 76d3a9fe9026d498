//! Nouns and laws shared by every layer, with no IO and no runtime of their own.
//!
//! * A [`Version`] names bytes that never change: a [`Key`], the [`ETag`] it had and its size.
//!   [`Meta`] is a version plus what a directory entry shows of it.
//! * A [`Source`] is the only road on which bytes are read: it answers a [`Flight`], the bytes of
//!   one [`Span`] while they arrive. A [`Store`] is a source that can also be listed. Caches are
//!   sources around other sources.
//! * A [`Sink`] takes objects: a [`Body`] under a [`Condition`], at once or in [`Part`]s of an
//!   [`Upload`].
//! * The [`Budget`] owns memory: every buffer of every flight is a [`Lease`] from it.
//! * An [`Error`] says what a failure means ([`ErrorKind`]), not which protocol brought it.

#![forbid(unsafe_code)]

mod budget;
mod error;
mod flight;
mod mem;
mod name;
mod span;
mod store;
mod time;
mod write;

pub use budget::{Budget, Buffer, Lease, Reclaim, Share};
pub use error::{Error, ErrorKind, Result};
pub use flight::{Backlog, Chunk, Flight, Pilot};
pub use mem::{MemCounts, MemStore, MemWrites, Mishap};
pub use name::{BadBucket, BadKey, Bucket, ETag, Key, MAX_KEY};
pub use span::{BLOCK, CHUNK, Span};
pub use store::{Listing, ListingRequest, Meta, Source, StorageState, Store, Version};
pub use time::{Clock, Time};
pub use write::{Algorithm, Body, Checksum, Condition, Part, Sink, Upload};
