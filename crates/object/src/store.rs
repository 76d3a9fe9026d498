//! The seam between those who want bytes and names and those who have them.

use std::fs::File;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{CHUNK, ETag, Flight, Key, Lease, Result, Span, Time};

/// Bytes that never change: an object as it was when it had this ETag.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// The full key.
    pub key: Key,
    /// The ETag that every GET of these bytes demands.
    pub etag: ETag,
    /// The object's size in bytes.
    pub size: u64,
}

impl Version {
    /// All bytes of the object.
    pub fn whole(&self) -> Span {
        Span::new(0, self.size)
    }
}

/// Whether an object's bytes can be had now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StorageState {
    /// They can.
    Online,
    /// They are in an archive tier and were not restored.
    Archived,
    /// The storage class is an archive's, and only a HEAD tells whether a restored copy exists.
    Unknown,
}

/// What a store tells about an object without giving its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Which bytes they are.
    pub version: Version,
    /// Last modification, in whole seconds: LIST tells milliseconds and HEAD does not, and a
    /// time that changes with the road on which it came is worse than a coarse one.
    pub modified: Time,
    /// Whether the bytes can be had.
    pub storage: StorageState,
}

/// One page of a listing to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingRequest {
    /// Only keys that begin with this, in full (a mount's prefix included).
    pub prefix: String,
    /// Whether keys with a further `/` after the prefix are rolled up into `prefixes`.
    pub delimited: bool,
    /// The most entries wanted, 1 to 1000.
    pub max_keys: u16,
    /// Where the page before this one said to go on.
    pub token: Option<String>,
}

/// One page of a listing: a plain value that knows when it was fetched, so that it can be kept,
/// written out and judged later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Objects, in the store's order (by the bytes of the key on all but directory buckets).
    pub objects: Vec<Meta>,
    /// Rolled-up prefixes, each ending in `/`, in the store's order.
    pub prefixes: Vec<String>,
    /// Where to go on, when this was not the last page.
    pub next: Option<String>,
    /// When the request was sent: what the page says was true at some moment after it.
    pub fetched: Time,
}

/// Somewhere bytes can be read from.
#[async_trait]
pub trait Source: Send + Sync {
    /// Starts the fetch of `span` of `version` and answers at once with the flight. `lease` pays
    /// for the bytes and is at least as long as the span. The span begins on a chunk border and
    /// ends on one or at the end of the object. A span that is the whole object is verified
    /// against the store's checksum, where there is one, before any byte of it is shown.
    ///
    /// The fetch goes on as long as anybody holds the flight. Must be called inside a runtime.
    fn read(&self, version: &Arc<Version>, span: Span, lease: Lease) -> Arc<Flight>;

    /// The smallest piece worth asking for, in bytes: a multiple of [`CHUNK`]. Spans that begin
    /// and end on a multiple of it cost no byte that was not asked for.
    fn grain(&self) -> u64 {
        CHUNK
    }

    /// Brings to this source what it does not keep yet of `span`, for later reads, and returns
    /// when it is there or cannot be. `lease` pays for it. A source that keeps nothing does
    /// nothing.
    async fn keep(&self, _version: &Arc<Version>, _span: Span, _lease: Lease) {}

    /// Somebody opened `version`, and will read it in a way that this source may hear nothing of: a
    /// hint at what is worth keeping, which does not wait for anything.
    fn opened(&self, _version: &Arc<Version>) {}

    /// The local file that holds the whole of `version`, checked and never written again, if this
    /// source has one: whoever holds the file can read the version for as long as they hold it.
    async fn backing(&self, _version: &Arc<Version>) -> Option<Arc<File>> {
        None
    }
}

/// A [`Source`] whose objects can be looked up and listed.
#[async_trait]
pub trait Store: Source {
    /// What is known of one object.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none;
    /// [`ErrorKind::Denied`](crate::ErrorKind::Denied) also when there is none and the identity
    /// may not list.
    async fn head(&self, key: &Key) -> Result<Meta>;

    /// One page of a listing.
    ///
    /// # Errors
    /// Whatever the store said, by meaning.
    async fn list(&self, request: &ListingRequest) -> Result<Listing>;

    /// The same where an older answer will do, as long as it was fetched at `since` or later:
    /// [`Listing::fetched`] says when it was.
    ///
    /// # Errors
    /// As [`Store::list`].
    async fn list_since(&self, request: &ListingRequest, _since: Time) -> Result<Listing> {
        self.list(request).await
    }
}
