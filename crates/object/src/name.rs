//! Names of things in a store.

use std::fmt;
use std::sync::Arc;

/// The longest key S3 knows, in bytes of UTF-8 (S3 User Guide, "Naming Amazon S3 objects").
pub const MAX_KEY: usize = 1024;

/// A bucket name that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bucket(Arc<str>);

/// Why a text is no bucket name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBucket {
    /// Shorter than 3 or longer than 255 bytes.
    #[error("a bucket name has 3 to 255 characters, this one has {0}")]
    Length(usize),
    /// A character that no bucket name has.
    #[error("a bucket name has letters, digits, `-`, `.` and `_` only, this one has {0:?}")]
    Character(char),
}

impl Bucket {
    /// Takes `name` for a bucket name. The rule is the loose one of S3-compatible stores (3 to
    /// 255 characters, letters, digits, `-`, `.`, `_`); the store has the last word.
    ///
    /// # Errors
    /// Says which part of the rule is broken.
    pub fn new(name: &str) -> Result<Self, BadBucket> {
        if !(3..=255).contains(&name.len()) {
            return Err(BadBucket::Length(name.len()));
        }
        let odd = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
        match name.chars().find(odd) {
            Some(c) => Err(BadBucket::Character(c)),
            None => Ok(Self(name.into())),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The full key of an object, prefix included. Any UTF-8 text of 1 to [`MAX_KEY`] bytes; what of
/// it can be a path is decided by the file system, not here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

/// A key that S3 cannot have: empty, or longer than [`MAX_KEY`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key has 1 to 1024 bytes, this one has {0}")]
pub struct BadKey(pub usize);

impl Key {
    /// Takes `text` for a key.
    ///
    /// # Errors
    /// The length, when it is not one a key can have.
    pub fn new(text: &str) -> Result<Self, BadKey> {
        match text.len() {
            1..=MAX_KEY => Ok(Self(text.into())),
            other => Err(BadKey(other)),
        }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An entity tag without its quotation marks: opaque, compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ETag(Box<str>);

impl ETag {
    /// Takes the text of an `ETag` header or XML element, with or without quotation marks.
    pub fn new(text: &str) -> Self {
        Self(text.trim().trim_matches('"').into())
    }

    /// The tag without quotation marks.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag as `If-Match` wants it, in quotation marks.
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
