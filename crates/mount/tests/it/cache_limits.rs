//! How much of the disk a cache takes.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use testkit::disk::{Disk, FileSystem, usage};
use testkit::exerciser::check_whole;
use testkit::reader::Means;
use testkit::{Bucket, Mount, Server, until};

use crate::cache::{gets, unmounted};
use crate::harness::{MIB, busy, counted, target};

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

/// Reads three JARs of a bucket in four mounts one after the other, as nodes do, then `objects` of
/// 64 MiB once, through a cache of 256 MiB: the JARs stay.
fn a_scan_leaves_what_is_in_use(objects: u64) {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("scan");
    let cache = tempfile::tempdir().unwrap();
    let hot: Vec<_> =
        (0..3).map(|number| (format!("hot{number}.jar"), 20 * MIB + number)).collect();
    hot.iter().for_each(|(key, size)| bucket.put_synthetic(key, *size, 1));
    let limited = || limited(&bucket, cache.path(), "256MiB");
    let read_hot = |mount: &Mount| hot.iter().for_each(|(key, size)| read(mount, key, *size));
    for _ in 0..4 {
        let mount = limited();
        read_hot(&mount);
        unmounted(mount);
    }
    let mount = limited();
    for number in 0..objects {
        read_new(&bucket, &mount, &format!("{number}.parquet"), 64 * MIB);
    }
    unmounted(mount);
    let mount = limited();
    gets(&server);
    read_hot(&mount);
    assert_eq!(gets(&server), (0, 0), "the JARs were evicted");
}

#[test]
fn a_scan_of_one_gib_leaves_what_is_in_use() {
    a_scan_leaves_what_is_in_use(16);
}

#[test]
#[ignore = "takes a minute: make test-cache-long"]
fn cache_long_a_scan_of_four_gib_leaves_what_is_in_use() {
    a_scan_leaves_what_is_in_use(64);
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
