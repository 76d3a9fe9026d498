//! What the kernel makes of operations that no store has, and of figures that it shows.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{
    Access, FallocateFlags, FlockOperation, SeekFrom, XattrFlags, access, copy_file_range,
    fallocate, flock, getxattr, listxattr, seek, setxattr,
};
use rustix::io::Errno;

use crate::writing::World;

#[test]
fn links_and_blocks_are_counted() {
    let world = World::new(false);
    world.put("d/file", &"x".repeat(1025));
    world.put("d/empty", "");
    let figures = |path: &str| {
        let metadata = std::fs::metadata(world.path(path)).unwrap();
        (metadata.nlink(), metadata.blksize(), metadata.blocks())
    };
    assert_eq!(figures("d/file"), (1, 4096, 3));
    assert_eq!(figures("d/empty"), (1, 4096, 0));
    assert_eq!(figures("d"), (2, 4096, 0));
}

#[test]
fn the_kernel_does_without_what_no_store_has() {
    let world = World::new(false);
    world.put("file", "hello");
    let path = world.path("file");
    assert_eq!(access(&path, Access::READ_OK), Ok(()));
    // The second time it does not even ask.
    for _ in 0..2 {
        let mut value = [0; 10];
        assert_eq!(getxattr(&path, "user.one", &mut value), Err(Errno::OPNOTSUPP));
        assert_eq!(listxattr(&path, &mut [0; 10]), Err(Errno::OPNOTSUPP));
        let set = setxattr(&path, "user.one", b"1", XattrFlags::empty());
        assert_eq!(set, Err(Errno::OPNOTSUPP));
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let reserved = fallocate(&file, FallocateFlags::empty(), 0, 10);
        assert_eq!(reserved, Err(Errno::OPNOTSUPP));
        // There is no hole but the end.
        assert_eq!(seek(&file, SeekFrom::Data(2)), Ok(2));
        assert_eq!(seek(&file, SeekFrom::Hole(2)), Ok(5));
    }
    File::open(world.path("")).unwrap().sync_all().unwrap();
}

#[test]
fn the_kernel_locks_and_copies_by_itself() {
    let world = World::new(false);
    world.put("file", "hello");
    let path = world.path("file");
    let (one, other) = (File::open(&path).unwrap(), File::open(&path).unwrap());
    flock(&one, FlockOperation::LockExclusive).unwrap();
    let second = flock(&other, FlockOperation::NonBlockingLockExclusive);
    assert_eq!(second, Err(Errno::WOULDBLOCK));
    let copy = File::create(world.path("copy")).unwrap();
    assert_eq!(copy_file_range(&one, None, &copy, None, 5), Ok(5));
    drop(copy);
    assert_eq!(world.stored("copy").unwrap(), b"hello");
}
