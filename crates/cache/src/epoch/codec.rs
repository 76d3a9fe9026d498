//! The bytes of the epoch file: magic, number, clean or not, boot, checksum.

use crate::map::codec::crc;

/// The length of the file in bytes: one sector cannot be torn.
pub(super) const LENGTH: usize = 128;
const MAGIC: [u8; 8] = *b"MS3EPOC1";
const BOOT: usize = 24;
const SUM: usize = LENGTH - 4;

/// What the epoch file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The boot that last used the directory; what is longer than the file's room for it is cut.
    pub(super) boot: String,
    pub(super) number: u64,
    /// Whether the last process that used it brought everything to the disk.
    pub(super) clean: bool,
}

impl State {
    pub(super) fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let fields =
            MAGIC.into_iter().chain(self.number.to_le_bytes()).chain([u8::from(self.clean)]);
        bytes.iter_mut().zip(fields).for_each(|(place, byte)| *place = byte);
        let boot = bytes.iter_mut().take(SUM).skip(BOOT);
        boot.zip(self.boot.bytes()).for_each(|(place, byte)| *place = byte);
        let sum = crc(&[bytes.get(..SUM).unwrap_or_default()]).to_le_bytes();
        bytes.iter_mut().skip(SUM).zip(sum).for_each(|(place, byte)| *place = byte);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_at_checked(SUM)?;
        if body.get(..8)? != MAGIC || sum != crc(&[body]).to_le_bytes() {
            return None;
        }
        let boot = body.get(BOOT..)?.split(|byte| *byte == 0).next()?;
        Some(Self {
            boot: String::from_utf8(boot.to_vec()).ok()?,
            number: u64::from_le_bytes(body.get(8..16)?.try_into().ok()?),
            clean: *body.get(16)? != 0,
        })
    }
}
