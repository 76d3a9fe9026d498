//! Whether an object is the one that was sent, when nobody said so.

use md5::{Digest, Md5};
use object::{Body, ETag, Key, Meta, Part};

use crate::checksum::Checksum;

/// What is known of an object that was, or was to be, made.
pub(crate) struct Proof<'a> {
    pub(crate) key: &'a Key,
    pub(crate) size: u64,
    pub(crate) checksum: Option<object::Checksum>,
    pub(crate) made_of: MadeOf<'a>,
}

/// What its ETag can be computed from. S3 computes it so where it encrypts nothing or by itself
/// (S3 API reference, "Object": `ETag`).
pub(crate) enum MadeOf<'a> {
    /// One body: its MD5.
    Body(&'a Body),
    /// Parts: the MD5 of their MD5s, and their number.
    Parts(&'a [Part]),
}

impl Proof<'_> {
    /// Whether the object of which the store tells this, and this checksum of all of its bytes, is
    /// the one. Where the store has no checksum of the same kind, its ETag must be what S3 makes
    /// of these bytes.
    pub(crate) async fn holds(&self, meta: &Meta, told: Option<Checksum>) -> bool {
        if meta.version.size != self.size {
            return false;
        }
        match self.checksum.zip(told).and_then(|(sent, told)| told.agrees(sent)) {
            Some(agrees) => agrees,
            None => self.etag().await.as_ref() == Some(&meta.version.etag),
        }
    }

    async fn etag(&self) -> Option<ETag> {
        let mut md5 = Md5::new();
        match self.made_of {
            MadeOf::Body(body) => {
                for slice in body.slices() {
                    md5.update(slice);
                    // Much may be left, and others have work to do.
                    tokio::task::yield_now().await;
                }
                Some(ETag::new(&hex(&md5.finalize())))
            }
            MadeOf::Parts(parts) => {
                for part in parts {
                    md5.update(unhex(part.etag.as_str())?);
                }
                Some(ETag::new(&format!("{}-{}", hex(&md5.finalize()), parts.len())))
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The MD5 that an ETag shows, if it shows one.
fn unhex(text: &str) -> Option<[u8; 16]> {
    let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests;
