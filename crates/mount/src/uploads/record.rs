//! What a journal says: one line for each upload that was begun, and one when it ended.
//!
//! A line is the CRC-32C of the rest in eight hexadecimal digits, a blank, and a JSON object. An
//! empty line stands before each, so that one that was torn by a crash spoils no other. What has
//! not exactly this form, or another checksum, was never said.

use std::collections::BTreeMap;

use cache::Scope;
use crc_fast::{CrcAlgorithm, checksum};
use object::{Key, Time, Upload};
use serde::{Deserialize, Serialize};

/// The longest line that is believed, in bytes: a key of [`object::MAX_KEY`] bytes and an id of
/// [`ID_MAX`], each byte of them escaped, and room for the rest.
const LINE_MAX: usize = 16 << 10;
/// The longest id of an upload, in bytes. Those of S3 have about 130.
const ID_MAX: usize = 1 << 10;

/// An upload as a journal names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it is.
    #[serde(flatten)]
    pub scope: Scope,
    /// The key that the object will have.
    pub key: String,
    /// The store's name of the upload.
    pub id: String,
    /// When it was begun, in seconds since the epoch.
    pub begun: u64,
}

impl Entry {
    /// `upload`, which is in `scope`.
    pub fn of(scope: &Scope, upload: &Upload) -> Self {
        Self {
            scope: scope.clone(),
            key: upload.key.as_str().to_owned(),
            id: upload.id.to_string(),
            begun: upload.begun.secs(),
        }
    }

    /// The upload itself; `None` when there can be none of this name.
    pub fn upload(&self) -> Option<Upload> {
        let key = Key::new(&self.key).ok()?;
        let plausible = (1..=ID_MAX).contains(&self.id.len());
        plausible.then(|| Upload {
            key,
            id: self.id.clone().into(),
            begun: Time::from_secs(self.begun),
        })
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Record {
    /// The upload was begun.
    Begun(Entry),
    /// The upload with this id was completed or thrown away.
    Ended(String),
}

impl Record {
    /// The line, with the empty one before it.
    pub(super) fn line(&self) -> std::io::Result<Vec<u8>> {
        let text = serde_json::to_string(self)?;
        Ok(format!("\n{:08x} {text}\n", crc(text.as_bytes())).into_bytes())
    }

    fn read(line: &[u8]) -> Option<Self> {
        if line.len() > LINE_MAX {
            return None;
        }
        let (sum, text) = std::str::from_utf8(line).ok()?.split_at_checked(8)?;
        let text = text.strip_prefix(' ')?;
        let vouched = u64::from_str_radix(sum, 16).ok()? == crc(text.as_bytes());
        vouched.then(|| serde_json::from_str(text).ok()).flatten()
    }
}

/// The uploads that were begun and not ended, as the bytes of a journal tell it, by their ids.
pub(super) fn open_uploads(bytes: &[u8]) -> BTreeMap<String, Entry> {
    let mut open = BTreeMap::new();
    // What stands behind the last end of a line is torn.
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let lines = bytes.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n');
    for record in lines.filter_map(Record::read) {
        match record {
            Record::Begun(entry) => drop(open.insert(entry.id.clone(), entry)),
            Record::Ended(id) => drop(open.remove(&id)),
        }
    }
    open
}

fn crc(bytes: &[u8]) -> u64 {
    checksum(CrcAlgorithm::Crc32Iscsi, bytes)
}

#[cfg(test)]
mod tests;
