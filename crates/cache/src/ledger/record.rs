//! The bytes of the ledger file: a header in the first 4 KiB, then 1024 slots of 16 bytes. All
//! integers are little endian. Decoding never panics and never trusts: a record whose checksum
//! does not fit is none.

use crc_fast::CrcAlgorithm::Crc32Iscsi;

/// Bytes the header takes in the file.
pub(super) const HEADER_LEN: usize = 4096;
/// Bytes of one slot.
pub(super) const SLOT_LEN: usize = 16;
/// Processes that can share one ledger.
pub(super) const SLOTS: usize = 1024;
/// Length of the file.
pub(super) const FILE_LEN: usize = HEADER_LEN + SLOTS * SLOT_LEN;
/// Bytes of the header that carry something; the rest of its 4 KiB is zero.
pub(super) const HEADER_USED: usize = 80;

/// Begins the file; the last byte is the format's version.
const MAGIC: [u8; 8] = *b"ms3ledg\x01";

/// The shared count. Sizes are in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// Epoch of the cache when this was counted: a count from before a power cut may lag behind
    /// what is on the disk.
    pub(super) epoch: u64,
    /// What is known to be used by files. Below zero when files were unlinked whose bytes are
    /// still counted as reserved.
    pub(super) settled: i64,
    /// How much of `settled` may not exist: slabs of dead processes. A walk takes it away.
    pub(super) doubt: u64,
    /// When a walk last ended, in seconds since the Unix epoch; 0 for never.
    pub(super) reconciled: u64,
    /// The walk under way.
    pub(super) walk: Option<Walk>,
    /// Counts walks, so that one is not mistaken for the next.
    pub(super) generation: u32,
}

/// How far a walk over all places is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Walk {
    /// The place being looked at, or to be looked at next.
    pub(super) place: u16,
    /// Whether it is being looked at.
    pub(super) looking: bool,
    /// What was found in the places before it.
    pub(super) found: u64,
    /// What changed in places after they were looked at.
    pub(super) late: i64,
}

impl Header {
    /// The bytes, checksum included.
    pub(super) fn encode(&self) -> [u8; HEADER_USED] {
        let mut bytes = [0; HEADER_USED];
        let walk = self.walk.unwrap_or_default();
        let state = u8::from(self.walk.is_some()) | u8::from(walk.looking) << 1;
        let mut at = 0;
        let mut put = |field: &[u8]| {
            bytes[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        };
        put(&MAGIC);
        put(&self.epoch.to_le_bytes());
        put(&self.settled.to_le_bytes());
        put(&self.doubt.to_le_bytes());
        put(&self.reconciled.to_le_bytes());
        put(&walk.found.to_le_bytes());
        put(&walk.late.to_le_bytes());
        put(&self.generation.to_le_bytes());
        put(&walk.place.to_le_bytes());
        put(&[state, 0]);
        let sum = checksum(&bytes[..HEADER_USED - 4]);
        bytes[HEADER_USED - 4..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The header in `bytes`, unless they are damaged, foreign or too few.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_USED] = bytes.first_chunk()?;
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        if body.first_chunk() != Some(&MAGIC) || u32::from_le_bytes(*sum) != checksum(body) {
            return None;
        }
        let mut fields = Fields(body.get(MAGIC.len()..)?);
        let [epoch, settled, doubt, reconciled, found, late] =
            [(); 6].map(|()| fields.take().map(u64::from_le_bytes));
        let generation = u32::from_le_bytes(fields.take()?);
        let place = u16::from_le_bytes(fields.take()?);
        let [state] = fields.take()?;
        let walk =
            Walk { place, looking: state & 2 != 0, found: found?, late: late?.cast_signed() };
        Some(Self {
            epoch: epoch?,
            settled: settled?.cast_signed(),
            doubt: doubt?,
            reconciled: reconciled?,
            walk: (state & 1 != 0).then_some(walk),
            generation,
        })
    }
}

/// The rest of a record, taken field by field.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }
}

/// The bytes of slot `index` in which `reserved` bytes are reserved. An empty slot is all zeros,
/// as a new file is.
pub(super) fn encode_slot(index: usize, reserved: u64) -> [u8; SLOT_LEN] {
    let mut bytes = [0; SLOT_LEN];
    if reserved != 0 {
        bytes[..8].copy_from_slice(&reserved.to_le_bytes());
        bytes[8..12].copy_from_slice(&slot_checksum(index, reserved).to_le_bytes());
    }
    bytes
}

/// What slot `index` holds, unless it is damaged.
pub(super) fn decode_slot(index: usize, bytes: &[u8]) -> Option<u64> {
    let mut fields = Fields(bytes);
    let reserved = u64::from_le_bytes(fields.take()?);
    let sum = u32::from_le_bytes(fields.take()?);
    let padding = u32::from_le_bytes(fields.take()?);
    let whole = match reserved {
        0 => sum == 0,
        _ => sum == slot_checksum(index, reserved),
    };
    (whole && padding == 0).then_some(reserved)
}

/// The index is part of it, so that a slot copied to another place does not fit there.
fn slot_checksum(index: usize, reserved: u64) -> u32 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&reserved.to_le_bytes());
    bytes[8..].copy_from_slice(&(index as u64).to_le_bytes());
    checksum(&bytes)
}

fn checksum(bytes: &[u8]) -> u32 {
    crc_fast::checksum(Crc32Iscsi, bytes) as u32
}

#[cfg(test)]
mod tests;
