//! One page of a listing as bytes: a line that checks the rest, and the rest as JSON.

use std::fmt;

use crc_fast::{CrcAlgorithm, checksum};
use object::{ETag, Key, Listing, ListingRequest, Meta, StorageState, Time, Version};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::identity::Scope;

/// The format of pages. One of another format is not understood, and so not there.
const FORMAT: &str = "mount-s3 page 1";

/// Where a page is kept: the hash of what was asked, and whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place([u8; 32]);

impl Place {
    pub(super) fn of(scope: &Scope, request: &ListingRequest) -> Self {
        let mut hash = Sha256::new();
        let token = request.token.as_deref();
        for text in [&scope.endpoint, &scope.bucket, &request.prefix, token.unwrap_or_default()] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        hash.update([u8::from(request.delimited), u8::from(token.is_some())]);
        hash.update(request.max_keys.to_le_bytes());
        Self(hash.finalize().into())
    }

    pub(super) fn shard(&self) -> u8 {
        self.0[0]
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[derive(Serialize, Deserialize)]
struct Page {
    fetched_ms: u64,
    next: Option<String>,
    prefixes: Vec<String>,
    objects: Vec<Object>,
}

#[derive(Serialize, Deserialize)]
struct Object {
    key: String,
    etag: String,
    size: u64,
    modified: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    archive: Option<Archive>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Archive {
    Archived,
    Unknown,
}

/// The bytes to keep for `listing` at `place`; `None` when it cannot be written.
pub(super) fn encode(place: &Place, listing: &Listing) -> Option<Vec<u8>> {
    let objects = listing.objects.iter().map(|meta| Object {
        key: meta.version.key.as_str().to_owned(),
        etag: meta.version.etag.quoted(),
        size: meta.version.size,
        modified: meta.modified.secs(),
        archive: match meta.storage {
            StorageState::Online => None,
            StorageState::Archived => Some(Archive::Archived),
            StorageState::Unknown => Some(Archive::Unknown),
        },
    });
    let page = Page {
        fetched_ms: u64::try_from(listing.fetched.0.as_millis()).ok()?,
        next: listing.next.clone(),
        prefixes: listing.prefixes.clone(),
        objects: objects.collect(),
    };
    let json = serde_json::to_string(&page).ok()?;
    Some(format!("{}{json}\n", head(place, json.as_bytes())).into_bytes())
}

/// The listing that was kept as `bytes` at `place`; `None` when they are not what was written
/// there.
pub(super) fn decode(place: &Place, bytes: &[u8]) -> Option<Listing> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (line, json) = text.split_once('\n')?;
    let json = json.strip_suffix('\n')?;
    if head(place, json.as_bytes()).strip_suffix('\n') != Some(line) {
        return None;
    }
    let page: Page = serde_json::from_str(json).ok()?;
    let object = |object: Object| {
        let version = Version {
            key: Key::new(&object.key).ok()?,
            etag: ETag::new(&object.etag),
            size: object.size,
        };
        let storage = match object.archive {
            None => StorageState::Online,
            Some(Archive::Archived) => StorageState::Archived,
            Some(Archive::Unknown) => StorageState::Unknown,
        };
        Some(Meta { version, modified: Time::from_secs(object.modified), storage })
    };
    Some(Listing {
        objects: page.objects.into_iter().map(object).collect::<Option<_>>()?,
        prefixes: page.prefixes,
        next: page.next,
        fetched: Time(std::time::Duration::from_millis(page.fetched_ms)),
    })
}

/// Names the place too: a page that was moved to another one says nothing there.
fn head(place: &Place, json: &[u8]) -> String {
    let place = place.to_string();
    let mut all = place.clone().into_bytes();
    all.extend_from_slice(json);
    let sum = checksum(CrcAlgorithm::Crc32Iscsi, &all);
    format!("{FORMAT} {place} {sum:08x}\n")
}
