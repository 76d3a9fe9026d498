//! What the kernel makes of operations that no store has, and of figures that it shows.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{
    Access, FallocateFlags, FlockOperation, SeekFrom, XattrFlags, access, copy_file_range,
    fallocate, fcntl_lock, flock, getxattr, ioctl_getflags, listxattr, readlink, removexattr, seek,
    setxattr,
};
use rustix::io::Errno;
use testkit::sys::Mapping;
use testkit::{Server, run, until};

use crate::harness::{mount, start};
use crate::writing::World;

const NO_DEVICE: Option<i32> = Some(libc::ENODEV);

fn for_both(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

fn mapped(mapping: &Mapping, length: usize) -> Vec<u8> {
    let copy = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(mapping.copy_to(0, length, copy.as_file()).unwrap(), length);
    std::fs::read(copy.path()).unwrap()
}

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

#[test]
fn the_log_is_silent_about_what_the_kernel_does_without() {
    let server = Server::lab();
    let bucket = server.bucket("silent");
    bucket.put("still", "hello");
    let mount = start(&server).mount(&bucket.name);
    let path = mount.path("still");
    // What it says about its start, and at its leisure, is no matter of these.
    let said = || -> Vec<String> {
        let log = mount.start().log();
        let tells = |line: &&str| [" WARN ", "ERROR", "still"].iter().any(|w| line.contains(w));
        log.lines().filter(tells).map(str::to_owned).collect()
    };
    for round in 0..3 {
        access(&path, Access::READ_OK).unwrap();
        readlink(&path, Vec::new()).unwrap_err();
        getxattr(&path, "user.one", &mut [0; 10]).unwrap_err();
        listxattr(&path, &mut [0; 10]).unwrap_err();
        setxattr(&path, "user.one", b"1", XattrFlags::empty()).unwrap_err();
        removexattr(&path, "user.one").unwrap_err();
        let file = for_both(&path);
        fallocate(&file, FallocateFlags::empty(), 0, 10).unwrap_err();
        seek(&file, SeekFrom::Hole(0)).unwrap();
        flock(&file, FlockOperation::LockExclusive).unwrap();
        fcntl_lock(&file, FlockOperation::LockExclusive).unwrap();
        ioctl_getflags(&file).unwrap_err();
        poll(&mut [PollFd::new(&file, PollFlags::IN)], None).unwrap();
        let copy = File::create_new(mount.path(&format!("still{round}"))).unwrap();
        assert_eq!(copy_file_range(&file, Some(&mut 0), &copy, None, 5), Ok(5));
        File::open(mount.directory()).unwrap().sync_all().unwrap();
    }
    // What it does tell comes later, and alone.
    for_both(&path).set_len(1).unwrap_err();
    until("the log tells of something", Duration::from_secs(10), || !said().is_empty());
    let said = said();
    assert!(said.len() == 1 && said[0].contains("operation=\"truncate\""), "{said:#?}");
}

#[test]
fn a_file_is_ready_to_be_read_and_written_whenever_it_is_asked() {
    let world = World::new(false);
    world.put("file", "hello");
    let written = File::create(world.path("new")).unwrap();
    for file in [&File::open(world.path("file")).unwrap(), &written] {
        // The second time the kernel does not even ask.
        for _ in 0..2 {
            let ready = PollFlags::IN | PollFlags::OUT;
            let mut asked = [PollFd::new(file, ready | PollFlags::PRI)];
            assert_eq!(poll(&mut asked, Some(&Timespec::default())), Ok(1));
            assert_eq!(asked[0].revents(), ready);
        }
    }
}

#[test]
fn a_program_runs_where_the_file_mode_has_an_x_and_only_there() {
    let server = Server::lab();
    let bucket = server.bucket("programs");
    bucket.put("echo", std::fs::read("/bin/echo").unwrap());
    let plain = mount(&bucket, &[]);
    let denied = Command::new(plain.path("echo")).arg("runs").output().unwrap_err();
    assert_eq!(denied.raw_os_error(), Some(libc::EACCES));
    let runs = mount(&bucket, &["--file-mode", "0755"]);
    assert_eq!(run(Command::new(runs.path("echo")).arg("runs")).ok(), "runs\n");
}

#[test]
fn a_file_that_is_written_can_be_mapped_once_it_is_published() {
    let world = World::new(false);
    let path = world.path("file");
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    file.write_all(b"hello").unwrap();
    for mapping in [Mapping::of(&file, 5), Mapping::writable(&file, 5)] {
        assert_eq!(mapping.unwrap_err().raw_os_error(), NO_DEVICE);
    }
    file.write_all(b" world").unwrap();
    drop(file);
    assert_eq!(world.stored("file").unwrap(), b"hello world");
    let file = File::open(&path).unwrap();
    for mapping in [Mapping::of(&file, 11), Mapping::private(&file, 11)] {
        assert_eq!(mapped(&mapping.unwrap(), 11), b"hello world");
    }
    let denied = Mapping::writable(&file, 11).unwrap_err();
    assert_eq!(denied.raw_os_error(), Some(libc::EACCES));
}

#[test]
fn what_an_open_for_both_tries_to_write_nobody_ever_reads() {
    let world = World::new(true);
    world.put("file", "hello");
    let path = world.path("file");
    let reader = File::open(&path).unwrap();
    let shown = Mapping::of(&reader, 5).unwrap();
    assert_eq!(mapped(&shown, 5), b"hello");
    let both = for_both(&path);
    assert_eq!(both.write_at(b"HELLO", 0).unwrap_err().raw_os_error(), Some(libc::EBADF));
    for mapping in [Mapping::of(&both, 5), Mapping::writable(&both, 5)] {
        assert_eq!(mapping.unwrap_err().raw_os_error(), NO_DEVICE);
    }
    // A mapping that is private may be changed, and is its own.
    let own = Mapping::private(&both, 5).unwrap();
    let other = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(other.path(), "HELLO").unwrap();
    assert_eq!(own.copy_from(other.as_file(), 0, 5).unwrap(), 5);
    assert_eq!(mapped(&own, 5), b"HELLO");
    let mut text = [0; 5];
    both.read_exact_at(&mut text, 0).unwrap();
    assert_eq!(&text, b"hello");
    drop((own, both));
    assert_eq!(mapped(&shown, 5), b"hello");
    assert_eq!(std::fs::read(&path).unwrap(), b"hello");
    assert_eq!(world.stored("file").unwrap(), b"hello");
}
