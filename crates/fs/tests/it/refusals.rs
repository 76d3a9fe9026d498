//! What is not carried out, and how that is said.

use fs::{Errno, OpenOptions, Operation, ROOT};

use crate::mount::{MINUTE, Mount, config};

#[tokio::test]
async fn changes_are_refused_by_one_table() {
    let writable = Mount::new(MINUTE);
    let frozen = Mount::with(fs::Config { read_only: true, ..config(MINUTE) });
    let cases = [
        (Operation::Special, Errno::Invalid, Errno::ReadOnly),
        (Operation::Symlink, Errno::NotPermitted, Errno::ReadOnly),
        (Operation::Link, Errno::NotPermitted, Errno::ReadOnly),
        (Operation::Fallocate, Errno::Unsupported, Errno::Unsupported),
        (Operation::CopyFileRange, Errno::Unsupported, Errno::Unsupported),
        (Operation::Setxattr, Errno::Unsupported, Errno::Unsupported),
    ];
    for (operation, on_writable, on_frozen) in cases {
        assert_eq!(writable.fs.refuse(operation, ROOT), on_writable, "{operation:?}");
        assert_eq!(frozen.fs.refuse(operation, ROOT), on_frozen, "{operation:?}");
        assert_eq!(writable.fs.refuse(operation, 99), Errno::Stale, "{operation:?}");
    }
}

#[tokio::test]
async fn opening_for_writing_says_why_not() {
    let writable = Mount::new(MINUTE);
    let frozen = Mount::with(fs::Config { read_only: true, ..config(MINUTE) });
    let plain = OpenOptions::default();
    let cases = [
        (OpenOptions { write: true, ..plain }, Errno::IsDirectory, Errno::ReadOnly),
        (OpenOptions { truncate: true, ..plain }, Errno::IsDirectory, Errno::ReadOnly),
        (OpenOptions { sync: true, ..plain }, Errno::Invalid, Errno::Invalid),
        (plain, Errno::IsDirectory, Errno::IsDirectory),
    ];
    for (options, on_writable, on_frozen) in cases {
        assert_eq!(writable.fs.open(ROOT, options).await.unwrap_err(), on_writable);
        assert_eq!(frozen.fs.open(ROOT, options).await.unwrap_err(), on_frozen);
    }
}

#[tokio::test]
async fn what_the_kernel_sends_twice_or_never_had_is_no_trouble() {
    let mount = Mount::new(MINUTE);
    mount.put("a", "x");
    let (node, handle) = mount.open("a").await.unwrap();
    mount.fs.releasedir(handle);
    assert_eq!(mount.read(handle).await.unwrap(), "x");
    mount.fs.release(handle);
    mount.fs.release(handle);
    mount.fs.release(77);
    mount.fs.forget(ROOT, 5);
    mount.fs.forget(node, u64::MAX);
    mount.fs.forget(88, 1);
    assert_eq!(mount.read(handle).await.unwrap_err(), Errno::BadHandle);
    assert_eq!(mount.fs.lookup(99, b"a").await, Err(Errno::Stale));
    assert_eq!(mount.fs.opendir(99).await, Err(Errno::Stale));
    assert_eq!(mount.cat("a").await.unwrap(), "x");
}

#[tokio::test]
async fn the_size_of_the_file_system_is_finite_and_adds_up() {
    let statfs = Mount::new(MINUTE).fs.statfs();
    assert_eq!(statfs.blocks * u64::from(statfs.block_size), 1 << 50);
    assert_eq!((statfs.blocks_free, statfs.name_max), (statfs.blocks, 255));
    assert_eq!((statfs.files, statfs.files_free), (1 << 32, 1 << 32));
}
