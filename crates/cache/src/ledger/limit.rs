//! How much of the disk the cache may take: pure arithmetic.

/// What the disk is kept from at most, whatever the limit, in bytes: 5 % of a small disk, and
/// this much of a large one.
const SPARE_MAX: u64 = 1 << 30;

/// The share of a disk that is kept free unless told otherwise, in percent.
pub const KEEP_FREE_PERCENT: u8 = 5;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// At most this many bytes on the disk, as `du` counts them.
    Bytes(u64),
    /// As much as leaves this many percent of the file system free.
    KeepFree(u8),
}

impl Default for Limit {
    fn default() -> Self {
        Self::KeepFree(KEEP_FREE_PERCENT)
    }
}

/// What a [`Limit`] means on one file system. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Bound {
    /// The most that may be used; without it only the free space counts.
    pub bytes: Option<u64>,
    /// What has to stay free on the file system. A limit in bytes does not fill the disk either:
    /// 5 % of it, at most 1 GiB, stay free.
    pub keep_free: u64,
    /// Size of the file system.
    pub disk: u64,
    /// Whether less than what was asked for is given, since the file system is not that large.
    pub clamped: bool,
}

impl Limit {
    /// The limit on a file system of `disk` bytes.
    pub fn bound(self, disk: u64) -> Bound {
        let share = |percent: u8| disk / 100 * u64::from(percent.min(100));
        match self {
            Self::Bytes(asked) => {
                let keep_free = share(KEEP_FREE_PERCENT).min(SPARE_MAX);
                let most = disk - keep_free;
                let bytes = Some(asked.min(most));
                Bound { bytes, keep_free, disk, clamped: asked > most }
            }
            Self::KeepFree(percent) => {
                Bound { bytes: None, keep_free: share(percent), disk, clamped: false }
            }
        }
    }
}

impl Bound {
    /// What may still be reserved when `used` bytes are used or reserved, `reserved` of these not
    /// yet written, and the file system has `free` bytes.
    pub(super) fn room(&self, used: u64, reserved: u64, free: u64) -> u64 {
        let disk = free.saturating_sub(self.keep_free).saturating_sub(reserved);
        self.usable().map_or(disk, |usable| disk.min(usable.saturating_sub(used)))
    }

    /// Up to where the limit is used, in bytes. `du` takes its time: of an object that is evicted
    /// meanwhile and the one that takes its place it may see both.
    pub(crate) fn usable(&self) -> Option<u64> {
        self.bytes.map(|bytes| bytes - (bytes / MARGIN_SHARE).min(MARGIN_MAX))
    }

    /// The slab that a process takes at once out of `room` for a reservation of `asked` bytes, so
    /// that not every block goes to the shared count. A small share of the room: two hundred
    /// processes together must not lock up the space among their slabs.
    pub(super) fn slab(room: u64, asked: u64) -> Option<u64> {
        (asked <= room).then(|| asked.max((room / SLAB_SHARE).min(SLAB_MAX)))
    }

    /// What an eviction frees beyond what is missing, so that the next reservations fit.
    pub(crate) fn slack(&self) -> u64 {
        let most = self.usable().unwrap_or(self.disk - self.keep_free);
        (most / SLACK_SHARE).min(SLACK_MAX)
    }
}

/// This fraction of a limit is left for what `du` may see twice.
const MARGIN_SHARE: u64 = 32;
/// And no more than this, in bytes.
const MARGIN_MAX: u64 = 64 << 20;
/// The largest slab, in bytes.
const SLAB_MAX: u64 = 64 << 20;
/// A slab is at most this fraction of the room, or exactly what is asked for.
const SLAB_SHARE: u64 = 256;
/// An eviction goes on for this fraction of the limit.
const SLACK_SHARE: u64 = 64;
/// And at most for this many bytes.
const SLACK_MAX: u64 = 256 << 20;

#[cfg(test)]
mod tests;
