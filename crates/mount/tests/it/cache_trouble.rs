//! A disk that fails under a mount: readers see right bytes, the log has one line of it, and the
//! cache comes back by itself.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use testkit::disk::{Disk, FileSystem};
use testkit::exerciser::check_whole;
use testkit::reader::Means;
use testkit::{Bucket, Mount, Server, until};

use crate::cache::{cached, gets, unmounted};
use crate::harness::{MIB, busy, counted, passes_through, target};

const DISK: u64 = 256 * MIB;
const SIZE: u64 = 20 * MIB;
/// A failed disk is tried again after 30 s at the latest.
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// Reads an object, every byte of it checked.
#[track_caller]
fn read(mount: &Mount, key: &str) {
    check_whole(&target(mount, key, 1, SIZE), Means::Pread, 1 << 20);
}

#[track_caller]
fn read_new(bucket: &Bucket<'_>, mount: &Mount, key: &str) {
    bucket.put_synthetic(key, SIZE, 1);
    read(mount, key);
}

/// Reads new objects until one of them is kept.
#[track_caller]
fn until_something_is_kept(bucket: &Bucket<'_>, mount: &Mount, cache: &Path) {
    let mut number = 0;
    let kept = || {
        number += 1;
        let before = objects(cache);
        read_new(bucket, mount, &format!("again{number}"));
        std::thread::sleep(Duration::from_millis(200));
        objects(cache) > before
    };
    until("the cache takes in again", BACK_WITHIN, kept);
}

/// How many objects are below a cache directory.
fn objects(cache: &Path) -> usize {
    let Ok(shards) = fs::read_dir(cache.join("mount-s3/objects")) else { return 0 };
    let names = |shard: fs::DirEntry| fs::read_dir(shard.path()).map_or(0, Iterator::count);
    shards.flatten().map(names).sum()
}

/// Takes all there is of a disk.
fn fill(path: &Path) {
    let (mut filler, mut block) = (File::create(path).unwrap(), vec![1; 1 << 20]);
    while !block.is_empty() {
        if filler.write_all(&block).is_err() {
            block.truncate(block.len() / 2);
        }
    }
}

/// A mount with its cache on a disk of its own.
#[track_caller]
fn on_a_disk(bucket: &Bucket<'_>) -> (Disk, PathBuf, Mount) {
    let disk = Disk::new(FileSystem::Ext4, DISK);
    let cache = disk.path().join("cache");
    let words = ["--cache", cache.to_str().unwrap(), "--max-cache-size", "160MiB"];
    let mount = counted(bucket, &words);
    (disk, cache, mount)
}

/// The daemon has said once, and no more, that this is wrong.
#[track_caller]
fn assert_one_line(mount: Mount, says: &str) {
    let log = unmounted(mount);
    let warned = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
    let warnings: Vec<_> = log.lines().filter(warned).collect();
    assert!(warnings.len() == 1 && warnings[0].contains(says), "{says}: {log}");
}

#[test]
fn a_disk_that_another_program_fills_is_done_without_until_there_is_space() {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("full");
    let (disk, cache, mount) = on_a_disk(&bucket);
    let filler = disk.path().join("filler");
    read_new(&bucket, &mount, "before");
    std::thread::scope(|scope| {
        scope.spawn(|| fill(&filler));
        (0..8).for_each(|number| read_new(&bucket, &mount, &format!("while{number}")));
    });
    for number in 0..4 {
        read_new(&bucket, &mount, &format!("full{number}"));
        read(&mount, "before");
    }
    fs::remove_file(&filler).unwrap();
    until_something_is_kept(&bucket, &mount, &cache);
    // What the cache evicts may make room enough, until the other program takes that too: then it
    // is said again, and not for every block.
    let log = unmounted(mount);
    for says in ["the cache has no room", "No space left on device"] {
        let lines = log.lines().filter(|line| line.contains(says)).count();
        assert!(lines <= 3, "{says}: {log}");
    }
}

#[test]
fn a_disk_that_becomes_read_only_is_read_from_and_said_once() {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("broken");
    let (disk, _, mount) = on_a_disk(&bucket);
    read_new(&bucket, &mount, "before");
    disk.break_down();
    assert!(File::create(disk.path().join("new")).is_err(), "it is read-only");
    gets(&server);
    read(&mount, "before");
    assert_eq!(gets(&server), (0, 0), "what is there is read from there");
    for number in 0..4 {
        read_new(&bucket, &mount, &format!("after{number}"));
        std::thread::sleep(Duration::from_secs(1));
    }
    // Who syncs is told that it failed, who writes that the file system is read-only.
    assert_one_line(mount, "the cache cannot be written to");
}

#[test]
fn a_daemon_that_may_open_few_files_reads_many_objects() {
    const OBJECTS: usize = 400;
    const SIZE: u64 = MIB / 4;
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("few");
    let cache = tempfile::tempdir().unwrap();
    let keys: Vec<_> = (0..OBJECTS).map(|number| format!("{number}.jar")).collect();
    keys.iter().for_each(|key| bucket.put_synthetic(key, SIZE, 1));
    let mount = cached(&bucket, cache.path(), &[]);
    let pid = Pid::from_raw(mount.daemon().try_into().unwrap());
    let few = Rlimit { current: Some(256), maximum: Some(256) };
    prlimit(pid, Resource::Nofile, few).unwrap();
    // Each of them stays open until its reader has all.
    let read = |keys: &[String]| {
        let open = keys.iter().map(|key| {
            check_whole(&target(&mount, key, 1, SIZE), Means::Pread, 1 << 20);
            File::open(mount.path(key)).unwrap()
        });
        drop(open.collect::<Vec<_>>());
    };
    for _ in 0..3 {
        std::thread::scope(|scope| {
            keys.chunks(OBJECTS / 4).for_each(|keys| drop(scope.spawn(|| read(keys))));
        });
    }
    if passes_through() {
        assert_one_line(mount, "Too many open files");
    }
}

#[test]
fn a_directory_that_is_taken_away_or_replaced_is_made_anew_and_said_once() {
    let _turn = busy();
    let server = Server::lab();
    for replaced in [false, true] {
        let bucket = server.bucket(if replaced { "replaced" } else { "gone" });
        let scratch = tempfile::tempdir().unwrap();
        let (cache, old) = (scratch.path().join("cache"), scratch.path().join("old"));
        let mount = cached(&bucket, &cache, &[]);
        read_new(&bucket, &mount, "before");
        if replaced {
            fs::rename(&cache, &old).unwrap();
            fs::create_dir(&cache).unwrap();
            fs::set_permissions(&cache, Permissions::from_mode(0o700)).unwrap();
        } else {
            fs::remove_dir_all(&cache).unwrap();
        }
        read(&mount, "before");
        until_something_is_kept(&bucket, &mount, &cache);
        assert_one_line(mount, "had been taken away");
    }
}
