//! How much of the disk a cache takes.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache::map::codec::{Header, Mark, crc};
use cache::{Census, Directory, Epoch, Opened, Scope};
use object::{BLOCK, ETag, Key, Version};
use testkit::disk::{Disk, FileSystem, usage};
use testkit::exerciser::check_whole;
use testkit::reader::Means;
use testkit::{Bucket, Mount, Server, until};

use crate::cache::{gets, unmounted};
use crate::harness::{MIB, busy, counted, mount, quiet, target};

const GIB: u64 = 1 << 30;

fn limited(bucket: &Bucket<'_>, cache: &Path, limit: &str) -> Mount {
    counted(bucket, &["--cache", cache.to_str().unwrap(), "--max-cache-size", limit])
}

/// Puts an object of its own and reads it, every byte of it checked.
fn read_new(bucket: &Bucket<'_>, mount: &Mount, key: &str, size: u64) {
    bucket.put_synthetic(key, size, 1);
    read(mount, key, size);
}

#[track_caller]
fn read(mount: &Mount, key: &str, size: u64) {
    check_whole(&target(mount, key, 1, size), Means::Pread, 1 << 20);
}

/// The most that `measure` gave while `work` was done, asked ten times a second.
fn most(measure: impl Fn() -> u64 + Sync, work: impl FnOnce()) -> u64 {
    let (done, most) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                most.fetch_max(measure(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        // However it ends: a sampler that goes on would hold up the failure.
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    most.load(Ordering::Relaxed).max(measure())
}

#[test]
fn the_directory_never_takes_more_than_its_limit() {
    const LIMIT: u64 = 128 * MIB;
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("fill");
    let cache = tempfile::tempdir().unwrap();
    let mount = limited(&bucket, cache.path(), "128MiB");
    let most = most(
        || usage(cache.path()),
        || {
            std::thread::scope(|scope| {
                for reader in 0..4 {
                    let (bucket, mount) = (&bucket, &mount);
                    scope.spawn(move || {
                        for number in 0..8 {
                            let key = format!("{reader}-{number}.jar");
                            read_new(bucket, mount, &key, 17 * MIB + number);
                        }
                    });
                }
            });
        },
    );
    println!("{most} bytes at most, of {LIMIT}");
    assert!((LIMIT / 2..=LIMIT).contains(&most), "{most} bytes at most, of {LIMIT}");
}

fn free(path: &Path) -> u64 {
    let figures = rustix::fs::statvfs(path).unwrap();
    figures.f_bavail * figures.f_frsize
}

#[test]
fn a_limit_above_the_disk_is_lowered_and_said_and_the_disk_never_fills() {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("large");
    let disk = Disk::new(FileSystem::Ext4, GIB);
    let mount = limited(&bucket, &disk.path().join("cache"), "53687091200");
    let said = || mount.start().log().contains("is more than the disk");
    until("it is said", Duration::from_secs(5), said);
    let size = disk_size(&disk.path());
    let least = size
        - most(
            || size - free(&disk.path()),
            || {
                for number in 0..24 {
                    read_new(&bucket, &mount, &format!("{number}.jar"), 70 * MIB + number);
                }
            },
        );
    println!("{least} bytes free at least, of {size}");
    // 5 % stay free; the file system takes some for itself.
    assert!(least >= size / 25, "{least} bytes free at least, of {size}");
    assert!(least <= size / 4, "it was used: {least} bytes free at least, of {size}");
}

fn disk_size(path: &Path) -> u64 {
    let figures = rustix::fs::statvfs(path).unwrap();
    figures.f_blocks * figures.f_frsize
}

#[test]
fn a_scan_of_sixteen_times_the_cache_leaves_what_four_mounts_have_used() {
    const HOT: [&str; 3] = ["hot1.jar", "hot2.jar", "hot3.jar"];
    const SCANNED: u64 = 64;
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("scan");
    let cache = tempfile::tempdir().unwrap();
    let mount = || limited(&bucket, cache.path(), "256MiB");
    let read_hot = |mount: &Mount| HOT.iter().for_each(|key| read(mount, key, 20 * MIB));
    HOT.iter().for_each(|key| bucket.put_synthetic(key, 20 * MIB, 1));
    for _ in 0..4 {
        let mount = mount();
        for _ in 0..3 {
            read_hot(&mount);
            std::thread::sleep(Duration::from_millis(300));
        }
        unmounted(mount);
    }
    let scanning = mount();
    for number in 0..SCANNED {
        read_new(&bucket, &scanning, &format!("{number}.jar"), 64 * MIB);
    }
    let (requests, bytes) = gets(&server);
    assert_eq!(bytes, 64 * MIB * SCANNED, "each once");
    // Where a part finds no room it is fetched in two.
    assert!((8 * SCANNED..=9 * SCANNED).contains(&requests), "{requests} GETs");
    unmounted(scanning);
    let mount = mount();
    read_hot(&mount);
    assert_eq!(gets(&server), (0, 0), "the hot ones are still there");
}

/// Makes this many objects of `size` bytes in a cache, complete, without a byte on the disk: what
/// is not there reads as zeros.
fn make_sparse(cache: &Path, objects: u64, size: u64) {
    let directory = Directory::open(cache).unwrap();
    let epoch = Epoch::enter(&directory, "boot").unwrap().number();
    let scope = Scope { endpoint: "https://e".into(), bucket: "b".into() };
    let zeros = crc(&[vec![0; usize::try_from(BLOCK).unwrap()]]);
    assert!(size.is_multiple_of(BLOCK));
    for number in 0..objects {
        let key = Key::new(&format!("{number}.jar")).unwrap();
        let version = Version { key, etag: ETag::new("tag"), size };
        let header = Header::new(&scope, &version);
        let made = directory.make_object(&header, &Mark { epoch, ..Mark::default() }).unwrap();
        let Opened::Found(files) = made else { panic!("{number} was not made") };
        (0..header.blocks()).for_each(|block| files.map.record(block, zeros).unwrap());
    }
}

#[test]
fn a_mount_on_a_tebibyte_of_cached_objects_is_ready_as_soon_as_on_none() {
    const OBJECTS: u64 = 10_000;
    const SIZE: u64 = 105 * BLOCK;
    let making = busy();
    let server = Server::lab();
    let bucket = server.bucket("large");
    bucket.put_synthetic("a.jar", MIB, 1);
    let caches = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    make_sparse(caches[1].path(), OBJECTS, SIZE);
    let seen = Census::open(caches[1].path()).unwrap().totals().unwrap();
    assert!(seen.complete == OBJECTS && seen.resident > 1 << 40, "{seen:?}");
    drop(making);
    let _turn = quiet();
    // The first mount counts the files, the later ones find a count.
    for round in 0..3 {
        let [none, all] = caches.each_ref().map(|cache| {
            let begun = Instant::now();
            let words = ["--cache", cache.path().to_str().unwrap(), "--boot-id", "boot"];
            let mount = mount(&bucket, &words);
            read(&mount, "a.jar", MIB);
            let took = begun.elapsed();
            unmounted(mount);
            took
        });
        println!("round {round}: {none:?} with an empty cache, {all:?} with a full one");
        assert!(all < none + Duration::from_secs(1), "{all:?}, and {none:?} with an empty cache");
    }
}
