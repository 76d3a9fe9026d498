//! Room on the disk, asked for before bytes are fetched.

use std::sync::Arc;

/// Who says how much may be written below our directory. One value for a process and directory;
/// calls are disk IO and may evict objects to make room.
pub trait Space: Send + Sync {
    /// Sets `bytes` bytes of the disk aside; false when there is no room for them.
    fn reserve(&self, bytes: u64) -> bool;

    /// Of `reserved` bytes set aside before, `used` were written; the rest is free again.
    /// `used` is never more than `reserved`.
    fn settle(&self, reserved: u64, used: u64);

    /// Files with `bytes` allocated bytes were unlinked by this process.
    fn freed(&self, bytes: u64);
}

/// Room that was set aside. What is not settled when it is dropped is free again.
pub struct Reservation {
    space: Arc<dyn Space>,
    bytes: u64,
}

impl Reservation {
    /// Sets `bytes` bytes of `space` aside, if there is room for them.
    pub fn new(space: &Arc<dyn Space>, bytes: u64) -> Option<Self> {
        space.reserve(bytes).then(|| Self { space: space.clone(), bytes })
    }

    /// `used` bytes of it were written.
    pub fn settle(&mut self, used: u64) {
        let used = used.min(self.bytes);
        self.bytes -= used;
        self.space.settle(used, used);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.space.settle(self.bytes, 0);
        }
    }
}

/// Room without a limit but the disk's own.
pub struct Unlimited;

impl Space for Unlimited {
    fn reserve(&self, _bytes: u64) -> bool {
        true
    }

    fn settle(&self, _reserved: u64, _used: u64) {}

    fn freed(&self, _bytes: u64) {}
}
