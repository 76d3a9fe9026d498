//! What a journal says: that an upload is to be begun, that it was, that it ended.
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

/// An upload that the store is asked to begin. Until its answer is here there may be one of which
/// nobody on this side knows the id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Intent {
    /// Its name in this journal.
    pub(super) number: u64,
    /// Where it is to be.
    #[serde(flatten)]
    pub(super) scope: Scope,
    /// The key that the object will have.
    pub(super) key: String,
    /// When the store was asked, by its own clock, in seconds since the epoch.
    pub(super) at: u64,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Record {
    /// The store is going to be asked to begin an upload.
    Intended(Intent),
    /// What became of the intent with this number is known.
    Settled(u64),
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

/// What is open.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Open {
    /// The uploads that were begun and not ended, by their ids.
    pub(super) uploads: BTreeMap<String, Entry>,
    /// The intents of which it is not known what became of them, by their numbers.
    pub(super) intents: BTreeMap<u64, Intent>,
}

impl Open {
    /// What the bytes of a journal leave open.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut open = Self::default();
        // What stands behind the last end of a line is torn.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        let lines = bytes.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n');
        lines.filter_map(Record::read).for_each(|record| open.hear(record));
        open
    }

    /// Takes note of what a line says.
    pub(super) fn hear(&mut self, record: Record) {
        match record {
            Record::Intended(intent) => drop(self.intents.insert(intent.number, intent)),
            Record::Settled(number) => drop(self.intents.remove(&number)),
            Record::Begun(entry) => drop(self.uploads.insert(entry.id.clone(), entry)),
            Record::Ended(id) => drop(self.uploads.remove(&id)),
        }
    }

    /// The lines that say as much.
    pub(super) fn records(&self) -> impl Iterator<Item = Record> {
        let intents = self.intents.values().cloned().map(Record::Intended);
        intents.chain(self.uploads.values().cloned().map(Record::Begun))
    }

    /// Whether nothing is.
    pub(super) fn is_empty(&self) -> bool {
        self.uploads.is_empty() && self.intents.is_empty()
    }
}

fn crc(bytes: &[u8]) -> u64 {
    checksum(CrcAlgorithm::Crc32Iscsi, bytes)
}

#[cfg(test)]
mod tests;
