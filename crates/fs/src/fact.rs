//! What is known of one name, in few bytes: there may be millions.

use std::sync::Arc;

use object::{ETag, Key, Meta, StorageState, Time, Version};

use crate::attr::Kind;

/// An entity tag as it is kept: the usual shape, 32 hexadecimal digits and perhaps a number of
/// parts, takes no memory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// An MD5 sum, and for a multipart upload its number of parts (else 0).
    Sum([u8; 16], u32),
    /// Any other shape.
    Text(Box<str>),
    /// Not known: this store's listings show another tag than its objects have.
    Unconfirmed,
    /// There is none: the file was made here, and no store has it yet.
    Unpublished,
}

impl Tag {
    /// The tag in its kept form.
    pub(crate) fn of(etag: &ETag) -> Self {
        Self::sum(etag.as_str()).unwrap_or_else(|| Self::Text(etag.as_str().into()))
    }

    fn sum(text: &str) -> Option<Self> {
        let (sum, parts) = match text.split_once('-') {
            Some((sum, parts)) => (sum, parts),
            None => (text, "0"),
        };
        if sum.len() != 32 {
            return None;
        }
        let tag = Self::Sum(u128::from_str_radix(sum, 16).ok()?.to_be_bytes(), parts.parse().ok()?);
        // Another spelling of the same number is another tag to the store.
        (tag.etag()?.as_str() == text).then_some(tag)
    }

    /// The tag as the store knows it.
    pub(crate) fn etag(&self) -> Option<ETag> {
        match self {
            Self::Sum(sum, 0) => Some(ETag::new(&format!("{:032x}", u128::from_be_bytes(*sum)))),
            Self::Sum(sum, parts) => {
                Some(ETag::new(&format!("{:032x}-{parts}", u128::from_be_bytes(*sum))))
            }
            Self::Text(text) => Some(ETag::new(text)),
            Self::Unconfirmed | Self::Unpublished => None,
        }
    }
}

/// One name and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    /// The last component of the path.
    pub(crate) name: Box<str>,
    /// Size in bytes; 0 for a directory.
    pub(crate) size: u64,
    /// Last modification in seconds since the epoch; 0 for a directory.
    pub(crate) modified: u64,
    /// The version of a file.
    pub(crate) tag: Tag,
    /// Whether the bytes of a file can be had.
    pub(crate) storage: StorageState,
    /// What it is.
    pub(crate) kind: Kind,
}

impl Fact {
    /// A directory of this name.
    pub(crate) fn directory(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            size: 0,
            modified: 0,
            tag: Tag::Unconfirmed,
            storage: StorageState::Online,
            kind: Kind::Directory,
        })
    }

    /// The object of this name.
    pub(crate) fn file(name: &str, meta: &Meta, tag: Tag) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            size: meta.version.size,
            modified: meta.modified.secs(),
            tag,
            storage: meta.storage,
            kind: Kind::File,
        })
    }

    /// An empty file of this name that was made here at `now`.
    pub(crate) fn unpublished(name: &str, now: Time) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            size: 0,
            modified: now.secs(),
            tag: Tag::Unpublished,
            storage: StorageState::Online,
            kind: Kind::File,
        })
    }

    /// Whether no store has it yet.
    pub(crate) fn is_unpublished(&self) -> bool {
        self.tag == Tag::Unpublished
    }

    /// Whether both are the same bytes, or both a directory. A tag that is not known is made up
    /// for by size and time.
    pub(crate) fn same_version(&self, other: &Self) -> bool {
        let tags = match (&self.tag, &other.tag) {
            (Tag::Unpublished, tag) | (tag, Tag::Unpublished) => *tag == Tag::Unpublished,
            (Tag::Unconfirmed, _) | (_, Tag::Unconfirmed) => self.modified == other.modified,
            (a, b) => a == b,
        };
        self.kind == other.kind && self.size == other.size && tags
    }

    /// What is known when the same version is seen again as `newer`: a listing may know less than
    /// what was asked before.
    pub(crate) fn updated(self: &Arc<Self>, newer: &Arc<Self>) -> Arc<Self> {
        let loses_tag = newer.tag == Tag::Unconfirmed && self.tag != Tag::Unconfirmed;
        let loses_storage =
            newer.storage == StorageState::Unknown && self.storage == StorageState::Online;
        match (loses_tag, loses_storage) {
            (false, false) => newer.clone(),
            _ => Arc::new(Self {
                tag: if loses_tag { self.tag.clone() } else { newer.tag.clone() },
                storage: if loses_storage { self.storage } else { newer.storage },
                ..Self::clone(newer)
            }),
        }
    }

    /// The version to read, when the tag is known and `key` is a key.
    pub(crate) fn version(&self, key: &str) -> Option<Arc<Version>> {
        let etag = self.tag.etag()?;
        let key = Key::new(key).ok()?;
        Some(Arc::new(Version { key, etag, size: self.size }))
    }

    /// Last modification.
    pub(crate) fn modified(&self) -> Time {
        Time::from_secs(self.modified)
    }
}

#[cfg(test)]
mod tests;
