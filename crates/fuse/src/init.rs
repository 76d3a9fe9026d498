//! What session and kernel agree upon in INIT, and how it is kept for a successor.

use crate::abi::{self, InitOut};
use crate::decode::Offer;

/// A set of kernel features, as bits of INIT's two flag words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features(u64);

impl Features {
    /// Several reads of one handle may be under way.
    pub const ASYNC_READ: Features = Features(1);
    /// `open(O_TRUNC)` truncates by itself, without a SETATTR.
    pub const ATOMIC_O_TRUNC: Features = Features(1 << 3);
    /// Writes larger than a page.
    pub const BIG_WRITES: Features = Features(1 << 5);
    /// READDIRPLUS.
    pub const READDIRPLUS: Features = Features(1 << 13);
    /// The kernel picks READDIR or READDIRPLUS by whether the entries are used.
    pub const READDIRPLUS_AUTO: Features = Features(1 << 14);
    /// LOOKUP and READDIR of one directory side by side.
    pub const PARALLEL_DIROPS: Features = Features(1 << 18);
    /// Requests larger than 32 pages (`FUSE_MAX_PAGES`, 7.28).
    pub const LARGE_REQUESTS: Features = Features(1 << 22);
    /// A changed mtime does not by itself drop cached pages; only notifications do (7.30).
    pub const EXPLICIT_INVAL_DATA: Features = Features(1 << 25);
    /// The file system itself takes set-id bits and capabilities from files that change (7.33);
    /// true of one that never shows any. Without it the kernel asks for them before it writes.
    pub const HANDLE_KILLPRIV_V2: Features = Features(1 << 28);
    /// The second flag word exists (7.36).
    const INIT_EXT: Features = Features(1 << 30);
    /// Opens can be passed through to a backing file (7.40).
    pub const PASSTHROUGH: Features = Features(1 << 37);
    /// Unanswered requests can be asked for again (7.40).
    pub const RESEND: Features = Features(1 << 39);

    /// Both sets together.
    pub const fn with(self, other: Features) -> Features {
        Features(self.0 | other.0)
    }

    /// This set less the other.
    pub const fn without(self, other: Features) -> Features {
        Features(self.0 & !other.0)
    }

    /// Whether all of `other` are in the set.
    pub const fn has(self, other: Features) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What a session would like to have. What the kernel lacks is left out without complaint;
/// leaving features out imitates an older kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Features to switch on where the kernel has them.
    pub features: Features,
    /// Largest READ and WRITE in bytes, a multiple of the page size; the kernel allows 1 MiB
    /// unless `fs.fuse.max_pages_limit` was raised.
    pub max_request: u32,
    /// Upper bound of the kernel's read-ahead in bytes.
    pub max_readahead: u32,
    /// How many background requests (read-ahead, mostly) may be under way.
    pub max_background: u16,
    /// How many file systems may be stacked: a backing file on overlayfs needs 2, an overlayfs
    /// on top of the mount needs 1.
    pub max_stack_depth: u32,
}

impl Default for Wanted {
    fn default() -> Wanted {
        // ASYNC_DIO is missing on purpose: with it, readers of O_DIRECT wait where no signal
        // reaches them and no INTERRUPT is sent. WRITEBACK_CACHE is not even known here: with it,
        // writes come late, in any order and by handles that never wrote.
        let features = Features::ASYNC_READ
            .with(Features::BIG_WRITES)
            .with(Features::READDIRPLUS)
            .with(Features::PARALLEL_DIROPS)
            .with(Features::LARGE_REQUESTS)
            .with(Features::EXPLICIT_INVAL_DATA)
            .with(Features::PASSTHROUGH)
            .with(Features::RESEND);
        Wanted {
            features,
            max_request: 1 << 20,
            max_readahead: 1 << 20,
            max_background: 64,
            max_stack_depth: 1,
        }
    }
}

/// The result of INIT: plain data that a successor needs to serve the same connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitState {
    /// The kernel's ABI minor number, or ours if that is lower.
    pub minor: u32,
    /// What both sides have.
    pub features: Features,
    /// Largest WRITE, and with it the size of read buffers.
    pub max_write: u32,
    /// Read-ahead agreed upon, in bytes.
    pub max_readahead: u32,
    /// Background requests agreed upon.
    pub max_background: u16,
    /// Stack depth agreed upon; 0 without passthrough.
    pub max_stack_depth: u32,
    /// Inode of the pid namespace whose pids the requests carry; 0 if unknown.
    pub pid_namespace: u64,
}

/// Why stored bytes are no [`InitState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a stored INIT result of a known format")]
pub struct InitStateError;

impl InitState {
    /// Length of the stored form.
    pub const STORED: usize = 40;
    const FORMAT: u32 = 1;

    /// The stored form: little-endian, beginning with a format number.
    pub fn to_bytes(&self) -> [u8; InitState::STORED] {
        let mut bytes = [0; InitState::STORED];
        let fields: [&[u8]; 8] = [
            &InitState::FORMAT.to_le_bytes(),
            &self.minor.to_le_bytes(),
            &self.features.0.to_le_bytes(),
            &self.max_write.to_le_bytes(),
            &self.max_readahead.to_le_bytes(),
            &u32::from(self.max_background).to_le_bytes(),
            &self.max_stack_depth.to_le_bytes(),
            &self.pid_namespace.to_le_bytes(),
        ];
        for (byte, value) in bytes.iter_mut().zip(fields.concat()) {
            *byte = value;
        }
        bytes
    }

    /// From the stored form.
    ///
    /// # Errors
    /// Wrong length, unknown format, or values no handshake can have produced.
    pub fn from_bytes(bytes: &[u8]) -> Result<InitState, InitStateError> {
        let bytes: &[u8; InitState::STORED] = bytes.try_into().map_err(|_| InitStateError)?;
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let state = InitState {
            minor: word(4),
            features: Features(long(8)),
            max_write: word(16),
            max_readahead: word(20),
            max_background: u16::try_from(word(24)).map_err(|_| InitStateError)?,
            max_stack_depth: word(28),
            pid_namespace: long(32),
        };
        let plausible = (abi::MINOR_OLDEST..=abi::MINOR).contains(&state.minor)
            && (PAGE..=MAX_WRITE).contains(&state.max_write);
        if word(0) == InitState::FORMAT && plausible { Ok(state) } else { Err(InitStateError) }
    }

    /// Size of a buffer that any request fits in.
    pub(crate) fn buffer_size(&self) -> usize {
        (self.max_write as usize + abi::BUFFER_HEADER).max(abi::BUFFER_MIN)
    }
}

/// The wire counts requests in pages of 4 KiB at least; larger pages only make them larger.
const PAGE: u32 = 4096;
/// More than any kernel allows (65,535 pages fit the field; 16 MiB is what others use).
const MAX_WRITE: u32 = 16 << 20;
/// Largest request of kernels before 7.28: 32 pages.
const SMALL_REQUEST: u32 = 32 * PAGE;

/// Settles what both sides can do; `None` if the kernel's ABI is not one of ours.
pub(crate) fn negotiate(offer: &Offer, wanted: &Wanted) -> Option<(InitState, InitOut)> {
    if offer.major != abi::MAJOR || offer.minor < abi::MINOR_OLDEST {
        return None;
    }
    let offered = Features(offer.flags);
    let mut features = Features(wanted.features.with(Features::INIT_EXT).0 & offered.0);
    if !features.has(Features::INIT_EXT) {
        features = Features(features.0 & u64::from(u32::MAX));
    }
    if wanted.max_stack_depth == 0 {
        features = features.without(Features::PASSTHROUGH);
    }
    let largest = if features.has(Features::LARGE_REQUESTS) { MAX_WRITE } else { SMALL_REQUEST };
    let max_write = wanted.max_request.clamp(PAGE, largest);
    let passthrough = features.has(Features::PASSTHROUGH);
    let state = InitState {
        minor: offer.minor.min(abi::MINOR),
        features,
        max_write,
        max_readahead: wanted.max_readahead.min(offer.max_readahead),
        max_background: wanted.max_background.max(1),
        max_stack_depth: if passthrough { wanted.max_stack_depth } else { 0 },
        pid_namespace: 0,
    };
    let out = InitOut {
        major: abi::MAJOR,
        minor: state.minor,
        max_readahead: state.max_readahead,
        flags: features.0 as u32,
        flags2: (features.0 >> 32) as u32,
        max_background: state.max_background,
        congestion_threshold: (state.max_background - state.max_background / 4).max(1),
        max_write,
        time_gran: 1,
        max_pages: u16::try_from(max_write.div_ceil(PAGE)).unwrap_or(u16::MAX),
        max_stack_depth: state.max_stack_depth,
        ..Default::default()
    };
    Some((state, out))
}

#[cfg(test)]
mod tests;
