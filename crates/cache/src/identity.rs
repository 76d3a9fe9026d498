//! What a cached object is filed under.

use std::fmt;

use object::Version;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Where versions come from: two stores may well have the same keys and ETags.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// Which store it is: the endpoint's URL, or the name of the cloud's partition. Whatever two
    /// mounts of the same bucket agree on.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
}

/// The identity of an object version: SHA-256 over scope, key, ETag and size, each led by its
/// length, so that no two versions are the same text. Written as 64 hexadecimal digits it is the
/// name of the version's files; no text of a key is ever part of a path.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(pub [u8; 32]);

impl Identity {
    /// The identity of `version` in `scope`.
    pub fn of(scope: &Scope, version: &Version) -> Self {
        Self::of_parts(scope, version.key.as_str(), version.etag.as_str(), version.size)
    }

    pub(crate) fn of_parts(scope: &Scope, key: &str, etag: &str, size: u64) -> Self {
        let mut hash = Sha256::new();
        for text in [scope.endpoint.as_str(), scope.bucket.as_str(), key, etag] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        hash.update(size.to_le_bytes());
        Self(hash.finalize().into())
    }

    /// The identity that was written as these 64 lower-case hexadecimal digits.
    pub fn parse(hex: &str) -> Option<Self> {
        if hex.len() != 64 || hex.bytes().any(|b| !matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// The number of the shard directory it is in.
    pub fn shard(&self) -> u8 {
        self.0[0]
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(endpoint: &str, bucket: &str, key: &str, etag: &str, size: u64) -> Identity {
        let scope = Scope { endpoint: endpoint.into(), bucket: bucket.into() };
        Identity::of_parts(&scope, key, etag, size)
    }

    #[test]
    fn no_text_can_move_from_one_part_into_the_next() {
        let ids = [
            identity("e", "bucket", "key", "tag", 1),
            identity("eb", "ucket", "key", "tag", 1),
            identity("e", "bucketk", "ey", "tag", 1),
            identity("e", "bucket", "keyt", "ag", 1),
            identity("e", "bucket", "key", "tag", 2),
        ];
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[at + 1..].contains(id));
        }
    }

    #[test]
    fn its_text_is_read_back_and_nothing_else_is_taken_for_one() {
        let id = identity("e", "b", "k", "t", 1);
        assert_eq!(Identity::parse(&id.to_string()), Some(id));
        assert_eq!(Identity::parse(&id.to_string().to_uppercase()), None);
        assert_eq!(Identity::parse(&id.to_string()[1..]), None);
        assert_eq!(Identity::parse(&format!("+{}", &id.to_string()[1..])), None);
    }
}
