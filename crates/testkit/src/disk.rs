//! A small disk of one's own: a file system in an image, mounted by a loop device.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::mount::{UnmountFlags, unmount};
use tempfile::TempDir;

use crate::process::{run, until};

/// What a [`Disk`] is formatted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// ext4.
    Ext4,
    /// XFS, which takes 300 MiB at least.
    Xfs,
}

/// A mounted file system that is nobody else's. Dropping it unmounts and deletes it.
#[derive(Debug)]
pub struct Disk {
    scratch: TempDir,
    file_system: FileSystem,
}

impl Disk {
    /// A sparse image of so many bytes, formatted and mounted.
    #[track_caller]
    pub fn new(file_system: FileSystem, bytes: u64) -> Self {
        let disk = Self { scratch: tempfile::tempdir().unwrap(), file_system };
        std::fs::create_dir(disk.path()).unwrap();
        std::fs::File::create(disk.image()).unwrap().set_len(bytes).unwrap();
        let words: &[&str] = match file_system {
            FileSystem::Ext4 => &["mkfs.ext4", "-q", "-F", "-m", "0", "-e", "remount-ro"],
            FileSystem::Xfs => &["mkfs.xfs", "-q", "-f"],
        };
        run(Command::new(words[0]).args(&words[1..]).arg(disk.image())).ok();
        disk.mount();
        disk
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.scratch.path().join("disk")
    }

    fn image(&self) -> PathBuf {
        self.scratch.path().join("image")
    }

    #[track_caller]
    fn mount(&self) {
        run(Command::new("mount").args(["-o", "loop"]).arg(self.image()).arg(self.path())).ok();
    }

    /// From now on nothing more reaches the disk, not even what was written before and not yet
    /// synced: what a power cut is to a file system.
    #[track_caller]
    pub fn cut_power(&self) {
        run(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(self.path())).ok();
    }

    /// The file system finds itself broken (ext4): as it was told to, it becomes read-only.
    #[track_caller]
    pub fn break_down(&self) {
        let source = crate::mount_line(&self.path()).expect("it is mounted");
        let device = source.split(' ').next().and_then(|device| device.strip_prefix("/dev/"));
        let device = device.expect("a loop device");
        let trigger = format!("/sys/fs/ext4/{device}/trigger_fs_error");
        std::fs::write(trigger, "a test").expect("ext4 can be told to fail");
    }

    /// Power is back: what is on the disk is recovered and mounted. Nobody may hold a file of it.
    #[track_caller]
    pub fn come_back(&self) {
        let gone = || unmount(self.path(), UnmountFlags::empty()).is_ok();
        until("nobody uses the disk", Duration::from_secs(10), gone);
        // A mount namespace that others made meanwhile has a copy of the mount: as long as it
        // lives the file system stays as it was when the power went.
        let let_go = || run(Command::new("losetup").arg("-j").arg(self.image())).ok().is_empty();
        until("no other namespace has the disk", Duration::from_secs(60), let_go);
        self.mount();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = unmount(self.path(), UnmountFlags::DETACH);
        let kind = self.file_system;
        if !std::thread::panicking() {
            let left = crate::is_mounted(&self.path());
            assert!(!left, "the {kind:?} at {} is still mounted", self.path().display());
        }
    }
}

/// What `path` takes on the disk, as `du` counts it, in bytes. What vanishes meanwhile takes
/// nothing.
pub fn usage(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = path.symlink_metadata() else { return 0 };
    let own = metadata.blocks() * 512;
    let Ok(entries) = std::fs::read_dir(path) else { return own };
    own + entries.flatten().map(|entry| usage(&entry.path())).sum::<u64>()
}
