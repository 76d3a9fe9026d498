//! Room on the disk, asked for before bytes are fetched.

use std::fs::File;
use std::io;
use std::sync::Arc;

use object::Time;

use crate::directory::Directory;
use crate::disk::Disk;
use crate::identity::Identity;

/// Keeps something counted for as long as it is not dropped.
pub type Counted = Box<dyn Send + Sync>;

/// Who says how much may be written below our directory. One value for a process and directory;
/// all calls are disk IO, and what they are told is in whole 4 KiB.
pub trait Space: Send + Sync {
    /// Sets `bytes` bytes of the disk aside, evicting objects to make room for them; false when
    /// there is none. After objects were evicted `evicted` is called, to close what this process
    /// has open of them: until then their space does not come free.
    fn reserve(&self, bytes: u64, evicted: &dyn Fn()) -> bool;

    /// Of `reserved` bytes that were set aside, `used` were written to an object in this shard;
    /// the rest is free again. `used` is never more than `reserved`.
    fn settle(&self, shard: u8, reserved: u64, used: u64);

    /// The same for what was written beside the objects.
    fn settle_elsewhere(&self, reserved: u64, used: u64);

    /// Calls `unlink`, which removes files beside the objects, and counts the bytes it answers as
    /// free.
    fn free_elsewhere(&self, unlink: &mut dyn FnMut() -> u64);

    /// Unlinks an object's files and counts their bytes as free.
    ///
    /// # Errors
    /// Of the disk.
    fn unlink(&self, identity: &Identity) -> io::Result<()>;

    /// The kernel reads this data file by itself: its bytes count, also after it was unlinked,
    /// until the answer is dropped.
    ///
    /// # Errors
    /// Of the disk; then it must not be handed out.
    fn hold(&self, data: Arc<File>) -> io::Result<Counted>;

    /// Called about every 2 s.
    ///
    /// # Errors
    /// Why, since the last call, nothing could be counted.
    fn tend(&self, now: Time) -> io::Result<()>;
}

/// Makes the space of a directory when that is opened, and again when it had to be made anew. It
/// is given the directory and the number of its epoch.
pub type Spacious = Box<dyn Fn(&Arc<Directory>, u64) -> io::Result<Arc<dyn Space>> + Send + Sync>;

/// Room that was set aside. What is not used when it is dropped is free again.
pub(crate) struct Reservation {
    space: Arc<dyn Space>,
    bytes: u64,
}

impl Reservation {
    /// No room yet.
    pub(crate) fn none(disk: &Disk) -> Self {
        Self { space: disk.space.clone(), bytes: 0 }
    }

    /// Sets `bytes` bytes of `disk` aside, if there is room for them.
    pub(crate) fn new(disk: &Disk, bytes: u64) -> Option<Self> {
        let mut room = Self::none(disk);
        room.add(disk, bytes).then_some(room)
    }

    /// Sets `bytes` bytes more aside, if there is room for them.
    pub(crate) fn add(&mut self, disk: &Disk, bytes: u64) -> bool {
        let granted = disk.reserve(bytes);
        self.bytes += if granted { bytes } else { 0 };
        granted
    }

    /// `used` bytes of it were written to an object.
    pub(crate) fn settle(&mut self, identity: &Identity, used: u64) {
        let used = used.min(self.bytes);
        self.bytes -= used;
        self.space.settle(identity.shard(), used, used);
    }

    /// All of it was written to an object.
    pub(crate) fn settle_all(&mut self, identity: &Identity) {
        self.settle(identity, self.bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.space.settle_elsewhere(self.bytes, 0);
        }
    }
}

/// Room without a limit but the disk's own.
pub struct Unlimited(Arc<Directory>);

impl Unlimited {
    /// As [`Spacious`] wants it.
    pub fn spacious() -> Spacious {
        Box::new(|directory, _| Ok(Arc::new(Self(directory.clone()))))
    }
}

impl Space for Unlimited {
    fn reserve(&self, _bytes: u64, _evicted: &dyn Fn()) -> bool {
        true
    }

    fn settle(&self, _shard: u8, _reserved: u64, _used: u64) {}

    fn settle_elsewhere(&self, _reserved: u64, _used: u64) {}

    fn free_elsewhere(&self, unlink: &mut dyn FnMut() -> u64) {
        unlink();
    }

    fn unlink(&self, identity: &Identity) -> io::Result<()> {
        self.0.unlink_object(identity).map(drop)
    }

    fn hold(&self, _data: Arc<File>) -> io::Result<Counted> {
        Ok(Box::new(()))
    }

    fn tend(&self, _now: Time) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::disk::{Disk, Opening};

    /// A disk with no room, where nothing may be given back or counted as written.
    struct Full;

    impl Space for Full {
        fn reserve(&self, _: u64, _: &dyn Fn()) -> bool {
            false
        }

        fn settle(&self, _: u8, _: u64, _: u64) {
            panic!("nothing was reserved");
        }

        fn settle_elsewhere(&self, _: u64, _: u64) {
            panic!("nothing was reserved");
        }

        fn free_elsewhere(&self, unlink: &mut dyn FnMut() -> u64) {
            unlink();
        }

        fn unlink(&self, _: &Identity) -> io::Result<()> {
            Ok(())
        }

        fn hold(&self, _: Arc<File>) -> io::Result<Counted> {
            Ok(Box::new(()))
        }

        fn tend(&self, _: Time) -> io::Result<()> {
            Ok(())
        }
    }

    pub(crate) fn full_disk(dir: &std::path::Path) -> Arc<Disk> {
        let spacious: Spacious = Box::new(|_, _| Ok(Arc::new(Full)));
        let opening = Opening { dir: dir.to_owned(), boot: "boot".into(), spacious };
        opening.open(&Arc::default()).unwrap()
    }

    #[test]
    fn what_was_refused_is_not_given_back() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Reservation::new(&full_disk(dir.path()), 4096).is_none());
    }
}
