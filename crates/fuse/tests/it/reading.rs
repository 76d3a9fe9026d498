//! Reading through a real mount, and what the kernel asks for it.

use crate::memory::{FILES, Mounted, SIZE, Workload, content};
use fuse::{BackingId, Features, OpenMode, Wanted};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};

fn whole() -> Vec<u8> {
    content(0, SIZE as usize)
}

#[test]
fn a_file_reads_the_same_by_read_pread_mmap_sendfile_and_o_direct() {
    let mount = Mounted::new(Workload::Prompt);
    assert!(std::fs::read(mount.path("file-000")).unwrap() == whole());
    let file = File::open(mount.path("file-001")).unwrap();
    let mut buffer = vec![0; 70_000];
    file.read_exact_at(&mut buffer, 123_457).unwrap();
    assert!(buffer == content(123_457, 70_000));
    assert!(mapped(&File::open(mount.path("file-002")).unwrap()) == whole());
    assert!(sent(&File::open(mount.path("file-003")).unwrap()) == whole());
    let mut options = OpenOptions::new();
    let mut direct =
        options.read(true).custom_flags(libc::O_DIRECT).open(mount.path("file-004")).unwrap();
    let mut buffer = Vec::new();
    direct.read_to_end(&mut buffer).unwrap();
    assert!(buffer == whole());
}

fn mapped(file: &File) -> Vec<u8> {
    let size = SIZE as usize;
    // SAFETY: a fresh read-only mapping of a file that keeps its size, copied and unmapped.
    unsafe {
        let fd = file.as_raw_fd();
        let null = std::ptr::null_mut();
        let start = libc::mmap(null, size, libc::PROT_READ, libc::MAP_SHARED, fd, 0);
        assert_ne!(start, libc::MAP_FAILED);
        let bytes = std::slice::from_raw_parts(start.cast::<u8>(), size).to_vec();
        libc::munmap(start, size);
        bytes
    }
}

fn sent(file: &File) -> Vec<u8> {
    let target = tempfile::NamedTempFile::new().unwrap();
    let mut left = SIZE as usize;
    while left > 0 {
        let (to, from) = (target.as_file().as_raw_fd(), file.as_raw_fd());
        // SAFETY: two open descriptors and no offset pointer.
        let sent = unsafe { libc::sendfile(to, from, std::ptr::null_mut(), left) };
        left -= usize::try_from(sent).ok().filter(|sent| *sent > 0).expect("progress");
    }
    std::fs::read(target.path()).unwrap()
}

#[test]
fn kept_pages_are_not_asked_for_again_and_dropped_ones_are() {
    let mount = Mounted::new(Workload::Prompt);
    let path = mount.path("file-000");
    std::fs::read(&path).unwrap();
    let reads = mount.fs.count("read");
    assert!(reads > 0);
    std::fs::read(&path).unwrap();
    assert_eq!(mount.fs.count("read"), reads);
    *mount.fs.mode.lock().unwrap() = OpenMode::Cached { keep: false };
    std::fs::read(&path).unwrap();
    assert!(mount.fs.count("read") >= 2 * reads - 1);
}

#[test]
fn direct_opens_ask_every_time() {
    let mount = Mounted::new(Workload::Prompt);
    *mount.fs.mode.lock().unwrap() = OpenMode::Direct { parallel_writes: false };
    let file = File::open(mount.path("file-000")).unwrap();
    let mut buffer = [0; 100];
    for _ in 0..3 {
        file.read_exact_at(&mut buffer, 5000).unwrap();
    }
    assert_eq!((mount.fs.count("read"), buffer.to_vec()), (3, content(5000, 100)));
}

#[test]
fn a_missing_name_is_asked_for_once() {
    let mount = Mounted::new(Workload::Prompt);
    for _ in 0..3 {
        let error = std::fs::metadata(mount.path("missing")).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    }
    assert_eq!(mount.fs.count("lookup"), 1);
}

/// Lists the directory with the attributes of every name; (names, summed sizes).
fn list(mount: &Mounted) -> (u64, u64) {
    let entries = std::fs::read_dir(mount.point.root()).unwrap().map(Result::unwrap);
    entries
        .map(|entry| (1, entry.metadata().unwrap().len()))
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

#[test]
fn readdirplus_saves_the_lookups() {
    let mount = Mounted::new(Workload::Prompt);
    assert_eq!(list(&mount), (FILES + 1, (FILES + 1) * SIZE));
    assert_eq!((mount.fs.count("lookup"), mount.fs.count("readdir")), (0, 0));
    assert!(mount.fs.count("readdirplus") > 1);
}

#[test]
fn masked_readdirplus_is_not_used() {
    let default = Wanted::default();
    let features = default.features.without(Features::READDIRPLUS);
    let mount = Mounted::with(Workload::Prompt, &Wanted { features, ..default });
    assert_eq!(list(&mount).0, FILES + 1);
    assert_eq!((mount.fs.count("lookup"), mount.fs.count("readdirplus")), (FILES + 1, 0));
}

#[test]
fn the_inode_number_shown_is_the_attributes_and_not_the_nodeid() {
    let mount = Mounted::new(Workload::Prompt);
    assert_eq!(std::fs::metadata(mount.path("file-000")).unwrap().ino(), 1002);
}

#[test]
fn a_raised_read_ahead_makes_requests_of_one_mebibyte() {
    let mount = Mounted::new(Workload::Prompt);
    let connection = mount.point.connection();
    std::fs::read(mount.path("file-000")).unwrap();
    let small = mount.fs.count("largest");
    assert_eq!(connection.set_read_ahead(1024).unwrap(), 128);
    assert!(std::fs::read(mount.path("file-001")).unwrap() == whole());
    assert!(small <= 256 << 10, "{small}");
    assert_eq!(mount.fs.count("largest"), 1 << 20);
}

#[test]
fn small_requests_can_be_asked_for() {
    let default = Wanted::default();
    let features = default.features.without(Features::LARGE_REQUESTS);
    let mount = Mounted::with(Workload::Prompt, &Wanted { features, ..default });
    mount.point.connection().set_read_ahead(1024).unwrap();
    assert!(std::fs::read(mount.path("file-001")).unwrap() == whole());
    assert_eq!(mount.fs.count("largest"), 128 << 10);
}

/// A backing file that holds `bytes`, registered. The file has to live as long as it is opened.
fn registered(mount: &Mounted, bytes: &[u8]) -> (tempfile::NamedTempFile, BackingId) {
    let backing = mount.backing.as_ref().expect("a kernel with passthrough (6.9 or later)");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let id = backing.open(file.as_file().as_fd()).unwrap();
    (file, id)
}

fn reversed() -> Vec<u8> {
    let mut bytes = whole();
    bytes.reverse();
    bytes
}

#[test]
fn a_passed_through_file_is_read_without_asking() {
    let mount = Mounted::new(Workload::Prompt);
    let bytes = reversed();
    let (_file, id) = registered(&mount, &bytes);
    *mount.fs.mode.lock().unwrap() = OpenMode::Passthrough { id, direct: false };
    let path = mount.path("file-000");
    let open = File::open(&path).unwrap();
    assert!(std::fs::read(&path).unwrap() == bytes);
    assert!(mapped(&open) == bytes);
    assert_eq!((mount.fs.count("open"), mount.fs.count("read")), (2, 0));
    // One mode at a time: while the handle is open, a cached open of the node is refused.
    *mount.fs.mode.lock().unwrap() = OpenMode::Cached { keep: true };
    assert_eq!(File::open(&path).unwrap_err().raw_os_error(), Some(libc::EIO));
    drop(open);
    let backing = mount.backing.as_ref().unwrap();
    backing.close(id).unwrap();
    assert!(backing.close(id).is_err());
    let directory = File::open(tempfile::tempdir().unwrap().path()).unwrap();
    let error = backing.open(directory.as_fd()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EISDIR));
}

/// What a program sees that opens with O_DIRECT and reads at any place into any memory.
fn read_unaligned(path: &str) -> std::io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path)?;
    let mut buffer = vec![0; 1003];
    file.read_exact_at(&mut buffer[1..], 501)?;
    Ok(buffer.split_off(1))
}

#[test]
fn an_o_direct_handle_on_a_backing_file_keeps_that_files_rules_unless_its_reads_are_asked_for() {
    let mount = Mounted::new(Workload::Prompt);
    let (_file, id) = registered(&mount, &reversed());
    let path = mount.path("file-000");
    *mount.fs.mode.lock().unwrap() = OpenMode::Passthrough { id, direct: false };
    let passed = File::open(&path).unwrap();
    // Ext4 and XFS refuse it, tmpfs does not.
    match read_unaligned(&path) {
        Ok(bytes) => assert!(bytes == reversed()[501..1503]),
        Err(refused) => assert_eq!(refused.raw_os_error(), Some(libc::EINVAL)),
    }
    assert_eq!(mount.fs.count("read"), 0);
    *mount.fs.mode.lock().unwrap() = OpenMode::Passthrough { id, direct: true };
    assert!(read_unaligned(&path).unwrap() == content(501, 1002));
    assert!(mount.fs.count("read") > 0);
    let asked = mount.fs.count("read");
    assert!(mapped(&File::open(&path).unwrap()) == reversed());
    assert!(mapped(&passed) == reversed());
    assert_eq!(mount.fs.count("read"), asked, "a mapping is of the backing file");
}

#[test]
fn masked_passthrough_gives_no_access_to_backing_files() {
    let default = Wanted::default();
    let features = default.features.without(Features::PASSTHROUGH);
    let mount = Mounted::with(Workload::Prompt, &Wanted { features, ..default });
    assert!(mount.backing.is_none());
}
