//! Objects as the lab keeps them: content, and what S3 says about it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::SystemTime;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::checksum::{Algorithm, Checksum};
use crate::synthetic::Pattern;

/// Synthetic objects above this size (bytes) have no checksum: computing it on demand
/// would cost more than the request.
const SYNTHETIC_CHECKSUM_LIMIT: u64 = 64 << 20;

/// Where an object's bytes are.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// In memory, in order.
    Memory(Vec<Bytes>),
    /// In one file.
    File(PathBuf),
    /// Thrown away.
    Nowhere,
    /// Nowhere: computed.
    Synthetic(Pattern),
}

/// The state of an archived object's restored copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restore {
    /// Asked for, not yet readable.
    InProgress,
    /// Readable until this many milliseconds after the Unix epoch.
    UntilUnixMs(u64),
}

/// What a writer may say about an object besides its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Details {
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    /// None is STANDARD.
    pub(crate) storage_class: Option<String>,
    /// What the writer asked for; nothing is encrypted.
    pub(crate) encryption: Option<String>,
    pub(crate) kms_key: Option<String>,
    pub(crate) restore: Option<Restore>,
}

/// One version of one object.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
    pub(crate) content: Content,
    etag: Option<String>,
    checksum: OnceLock<Option<Checksum>>,
    pub(crate) details: Option<Box<Details>>,
}

impl Object {
    pub(crate) fn stored(
        content: Content,
        size: u64,
        modified: SystemTime,
        etag: String,
        checksum: Option<Checksum>,
    ) -> Self {
        let checksum = OnceLock::from(checksum);
        Self { size, modified, content, etag: Some(etag), checksum, details: None }
    }

    pub(crate) fn synthetic(key: &str, version: u64, size: u64, modified: SystemTime) -> Self {
        let content = Content::Synthetic(Pattern::new(key, version));
        Self { size, modified, content, etag: None, checksum: OnceLock::new(), details: None }
    }

    /// The same bytes and ETag as a new object.
    pub(crate) fn copied(&self, modified: SystemTime) -> Self {
        Self { modified, ..self.clone() }
    }

    pub(crate) fn with_details(mut self, details: Details) -> Self {
        self.details = (details != Details::default()).then(|| Box::new(details));
        self
    }

    /// The ETag without its quotes.
    pub(crate) fn etag(&self) -> String {
        match (&self.etag, &self.content) {
            (Some(etag), _) => etag.clone(),
            (None, Content::Synthetic(pattern)) => pattern.etag(self.size),
            (None, _) => String::new(),
        }
    }

    /// The stored checksum; a small synthetic object's is computed once and kept.
    pub(crate) fn checksum(&self) -> Option<&Checksum> {
        self.checksum.get_or_init(|| self.synthetic_checksum()).as_ref()
    }

    /// The checksum's algorithm and whether it is composite, without computing it.
    pub(crate) fn checksum_kind(&self) -> Option<(Algorithm, bool)> {
        match (self.checksum.get(), &self.content) {
            (Some(known), _) => known.as_ref().map(|sum| (sum.algorithm, sum.composite)),
            (None, Content::Synthetic(_)) if self.size <= SYNTHETIC_CHECKSUM_LIMIT => {
                Some((Algorithm::Crc64Nvme, false))
            }
            (None, _) => None,
        }
    }

    fn synthetic_checksum(&self) -> Option<Checksum> {
        let Content::Synthetic(pattern) = &self.content else { return None };
        if self.size > SYNTHETIC_CHECKSUM_LIMIT {
            return None;
        }
        let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
        let mut at = 0;
        while at < self.size {
            let limit = usize::try_from(self.size - at).unwrap_or(usize::MAX);
            let frame = pattern.frame(at, limit);
            digest.update(&frame);
            at += frame.len() as u64;
        }
        Some(Checksum::full(Algorithm::Crc64Nvme, &digest.finalize().to_be_bytes()))
    }

    pub(crate) fn details(&self) -> Details {
        self.details.as_deref().cloned().unwrap_or_default()
    }

    /// The storage class, where it is not STANDARD.
    pub(crate) fn storage_class(&self) -> Option<&str> {
        self.details.as_ref()?.storage_class.as_deref().filter(|class| *class != "STANDARD")
    }

    pub(crate) fn restore(&self) -> Option<Restore> {
        self.details.as_ref()?.restore
    }

    /// Whether a GET must be refused at `now`: archived, and no restored copy is there.
    pub(crate) fn is_out_of_reach(&self, now: SystemTime) -> bool {
        let archived = matches!(self.storage_class(), Some("GLACIER" | "DEEP_ARCHIVE"));
        let restored = match self.restore() {
            Some(Restore::UntilUnixMs(until)) => crate::clock::unix_ms(now) < until,
            Some(Restore::InProgress) | None => false,
        };
        archived && !restored
    }
}
