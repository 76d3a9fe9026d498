//! What is stored: bytes, the condition under which, and uploads in parts.

mod body;
mod checksum;

pub use body::Body;
pub use checksum::{Algorithm, Checksum};

use async_trait::async_trait;

use crate::{ETag, Key, Meta, Result, Span, Time, Version};

/// What has to hold of a key for a write to be carried out, judged by the store in one step with
/// the write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing: the last write wins.
    Any,
    /// There is no object (`If-None-Match: *`).
    Absent,
    /// The object is this version (`If-Match`).
    Is(ETag),
}

/// An upload in parts that was begun and not ended. Its bytes cost money until it is completed or
/// aborted, and nobody sees them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upload {
    /// The key that the object will have.
    pub key: Key,
    /// The store's own name of the upload.
    pub id: Box<str>,
    /// When it was begun.
    pub begun: Time,
}

/// A part that the store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// 1 to 10,000, ascending with the offset; gaps are allowed.
    pub number: u16,
    /// What the store calls it.
    pub etag: ETag,
    /// Where in the object its bytes are.
    pub span: Span,
    /// The checksum of its bytes, where it is known.
    pub checksum: Option<Checksum>,
}

/// Somewhere objects can be stored and deleted: the other half of a [`Store`](crate::Store).
///
/// A failure means that nothing was carried out, as far as can be found out: a request whose
/// answer was lost is not told as a failure before the store was asked what became of it.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Stores `body` as the whole of an object, in one request.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`](crate::ErrorKind::Changed) when `condition` does not hold;
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge), [`ErrorKind::Full`](crate::ErrorKind::Full),
    /// and whatever else the store said, by meaning.
    async fn put(&self, key: &Key, body: &Body, condition: &Condition) -> Result<Meta>;

    /// Begins an upload in parts.
    ///
    /// # Errors
    /// Whatever the store said, by meaning.
    async fn begin_upload(&self, key: &Key) -> Result<Upload>;

    /// Begins an upload of the key of `version`, whose first parts are going to be copies of it.
    ///
    /// # Errors
    /// As [`Sink::begin_upload`].
    async fn begin_upload_from(&self, version: &Version) -> Result<Upload> {
        self.begin_upload(&version.key).await
    }

    /// Whether it is not known yet if the store takes copies into such an upload. If it then
    /// refuses the first as [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), it may take one into
    /// another upload that is begun after that.
    fn doubts_copies(&self) -> bool {
        false
    }

    /// Stores the part `number` of an upload, whose first byte is at `offset` of the object. All
    /// parts but the last have 5 MiB or more.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchUpload`](crate::ErrorKind::NoSuchUpload), and as [`Sink::put`].
    async fn put_part(
        &self,
        upload: &Upload,
        number: u16,
        offset: u64,
        body: &Body,
    ) -> Result<Part>;

    /// Has the store copy the part `number` of an upload from `span` of `source`, at most 5 GiB,
    /// to the same place of the new object.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`](crate::ErrorKind::Changed) when `source` is no longer that version,
    /// and as [`Sink::put_part`].
    async fn copy_part(
        &self,
        upload: &Upload,
        number: u16,
        source: &Version,
        span: Span,
    ) -> Result<Part>;

    /// Makes the object of `parts`, which are in ascending order and without gaps in their bytes.
    /// The upload is over then.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`](crate::ErrorKind::Changed) when `condition` does not hold;
    /// [`ErrorKind::NoSuchUpload`](crate::ErrorKind::NoSuchUpload) when the upload is gone and the
    /// object is not what it would have made. The upload is not over then, if it was not before.
    async fn complete(
        &self,
        upload: &Upload,
        parts: &[Part],
        condition: &Condition,
    ) -> Result<Meta>;

    /// Throws an upload and its parts away. One that is gone already is none to complain of.
    ///
    /// # Errors
    /// Whatever the store said, by meaning.
    async fn abort(&self, upload: &Upload) -> Result<()>;

    /// All uploads that were begun below `prefix` and not ended, by anybody.
    ///
    /// # Errors
    /// Whatever the store said, by meaning.
    async fn uploads(&self, prefix: &str) -> Result<Vec<Upload>>;

    /// Whether an upload has a part.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchUpload`](crate::ErrorKind::NoSuchUpload), and whatever else the store
    /// said, by meaning.
    async fn has_parts(&self, upload: &Upload) -> Result<bool>;

    /// The time by the store's clock, as its answers tell it: what [`Upload::begun`] is told by.
    fn now(&self) -> Time;

    /// Deletes an object. One that is gone already is none to complain of.
    ///
    /// # Errors
    /// Whatever the store said, by meaning.
    async fn delete(&self, key: &Key) -> Result<()>;
}
