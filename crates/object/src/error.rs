//! Errors by meaning.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// The result of anything that may have to ask the store.
pub type Result<T> = std::result::Result<T, Error>;

/// What a failure means to whoever has to act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such object.
    NotFound,
    /// There is no such bucket.
    NoSuchBucket,
    /// The object is no longer the version that was asked for, or the condition of a write does
    /// not hold (HTTP 412).
    Changed,
    /// There is no such upload: it was completed or aborted.
    NoSuchUpload,
    /// A quota, or the store itself, is full.
    Full,
    /// More bytes than an object or a request may have.
    TooLarge,
    /// The identity in use may not do this (HTTP 403).
    Denied,
    /// The credentials themselves are wrong, expired or missing.
    Credentials,
    /// The object is archived and not restored (`InvalidObjectState`).
    Archived,
    /// The bucket is in another region; the message names it where the store did.
    WrongRegion,
    /// The store asked to slow down (HTTP 503, 429) until the retries were used up.
    Throttled,
    /// No answer, or no progress, until the deadline.
    Timeout,
    /// The endpoint cannot be reached: name, address, connection or TLS.
    Unreachable,
    /// The store answered something that cannot be right: wrong length, range, ETag or checksum.
    Corrupt,
    /// The request was refused as malformed or unsupported, or the set-up is contradictory.
    Invalid,
    /// The store failed (HTTP 5xx) until the retries were used up.
    Server,
    /// The work was given up because nobody wanted the answer any more.
    Abandoned,
}

/// A failure: its meaning, a sentence for people, the store's request id, and the cause beneath.
///
/// Cheap to clone, since one failed fetch is told to everybody who waited for it.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    request_id: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure of `kind`, told by `message` (no trailing full stop).
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner { kind, message: message.into(), request_id: None, source: None }))
    }

    /// A failure with the cause beneath it and the id the store gave the request, if any.
    pub fn caused(
        kind: ErrorKind,
        message: impl Into<String>,
        request_id: Option<String>,
        source: Option<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self(Arc::new(Inner { kind, message: message.into(), request_id, source }))
    }

    /// What the failure means.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The sentence for people, without request id and cause.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The store's id of the request that failed, for its owner's support.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(id) = &self.0.request_id {
            write!(f, " (request id {id})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}
