//! Every byte that is read through a mount is the object's.

use std::time::Duration;

use testkit::exerciser::{check_whole, in_processes};
use testkit::reader::Means;
use testkit::{Bucket, Server};

use crate::harness::{MIB, busy, counted, mount, seaweedfs, seed, target, task, undisturbed};

/// Names and contents of `count` small objects in directories of a hundred.
fn small_objects(count: usize) -> Vec<(String, Vec<u8>)> {
    let object = |number: usize| {
        let key = format!("d{:03}/f{number:05}", number / 100);
        let mut bytes = vec![0; number * 7 % 5000];
        lab::synthetic::fill(&key, 1, 0, &mut bytes);
        (key, bytes)
    };
    (0..count).map(object).collect()
}

/// Puts small objects over the wire and compares each file of the mount with what was put.
pub(crate) fn small_objects_are_right(bucket: &Bucket<'_>, count: usize, words: &[&str]) {
    let objects = small_objects(count);
    bucket.put_all(objects.clone());
    let mount = mount(bucket, words);
    for (key, bytes) in objects {
        let read = std::fs::read(mount.path(&key)).unwrap();
        assert!(read == bytes, "{key}: {} bytes instead of {}", read.len(), bytes.len());
    }
    let directories = std::fs::read_dir(mount.directory()).unwrap().count();
    assert_eq!(directories, count.div_ceil(100));
}

/// Puts an object of synthetic content over the wire and reads it by every means, from
/// several processes at once and once as a whole.
pub(crate) fn every_means_reads_right_bytes(bucket: &Bucket<'_>, size: u64, words: &[&str]) {
    let key = "large/object";
    let mut bytes = vec![0; usize::try_from(size).unwrap()];
    lab::synthetic::fill(key, 1, 0, &mut bytes);
    bucket.put(key, bytes);
    let mount = mount(bucket, words);
    let target = target(&mount, key, 1, size);
    let seed = seed();
    in_processes((0..4).map(|n| task(seed + n, vec![target.clone()])).collect()).assert_all_right();
    for means in Means::ALL {
        check_whole(&target, means, 1 << 20);
    }
}

#[test]
fn ten_thousand_small_objects_on_the_lab() {
    let _turn = busy();
    let server = Server::lab();
    small_objects_are_right(&server.bucket("small"), 10_000, &["--metadata-ttl", "60"]);
}

#[test]
fn ten_thousand_small_objects_on_seaweedfs() {
    let _turn = busy();
    small_objects_are_right(&seaweedfs().bucket("small"), 10_000, &["--metadata-ttl", "60"]);
}

#[test]
fn small_objects_without_a_metadata_ttl() {
    let _turn = busy();
    let server = Server::lab();
    small_objects_are_right(&server.bucket("small"), 1_000, &[]);
    small_objects_are_right(&seaweedfs().bucket("small-minimal"), 1_000, &[]);
}

#[test]
fn every_means_on_seaweedfs() {
    let _turn = busy();
    every_means_reads_right_bytes(&seaweedfs().bucket("means"), 50_000_001, &[]);
}

#[test]
fn five_gib_are_read_once_with_640_requests() {
    const SIZE: u64 = 5 << 30;
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("huge");
    bucket.put_synthetic("huge.bin", SIZE, 1);
    let read = || {
        let mount = counted(&bucket, &[]);
        check_whole(&target(&mount, "huge.bin", 1, SIZE), Means::Pread, 1 << 20);
        let get = server.lab_itself().counters().operation("GetObject");
        (get.requests, get.bytes_out)
    };
    let right = (SIZE / (8 * MIB), SIZE);
    assert_eq!(undisturbed(read, |counted| *counted == right), right);
}

#[test]
fn half_a_gib_is_read_by_sixteen_processes_at_once() {
    const SIZE: u64 = 512 * MIB;
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("shared");
    bucket.put_synthetic("shared.bin", SIZE, 3);
    let mount = mount(&bucket, &["--metadata-ttl", "60"]);
    let target = target(&mount, "shared.bin", 3, SIZE);
    let seed = seed();
    let tasks = (0..16).map(|number| {
        let mut task = task(seed + number, vec![target.clone()]);
        task.means = [vec![Means::Pread], vec![Means::Mmap], vec![Means::Sendfile]]
            [usize::try_from(number % 3).unwrap()]
        .clone();
        task
    });
    in_processes(tasks.collect()).assert_all_right();
    for means in [Means::Pread, Means::Mmap, Means::Sendfile] {
        check_whole(&target, means, 1 << 20);
    }
}

#[test]
fn a_handle_keeps_the_version_it_was_opened_on() {
    const SIZE: u64 = 20_000_000;
    let server = Server::lab();
    let bucket = server.bucket("versions");
    bucket.put_synthetic("object", SIZE, 1);
    let mount = mount(&bucket, &[]);
    let old = target(&mount, "object", 1, SIZE);
    let reader = testkit::reader::Reader::open(&old.path, Means::Pread, SIZE).unwrap();
    let bytes = reader.read(0, 4096).unwrap();
    lab::synthetic::check("object", 1, 0, &bytes).unwrap();

    bucket.put_synthetic("object", SIZE - 1, 2);
    let limit = Duration::from_secs(5);
    testkit::until("the new version is seen", limit, || {
        std::fs::metadata(&old.path).unwrap().len() == SIZE - 1
    });
    check_whole(&target(&mount, "object", 2, SIZE - 1), Means::Pread, 1 << 20);
    for offset in [0, SIZE / 2, SIZE - 4096] {
        match reader.read(offset, 4096) {
            Ok(bytes) => lab::synthetic::check("object", 1, offset, &bytes).unwrap(),
            Err(error) => assert_eq!(error.raw_os_error(), Some(116), "ESTALE: {error}"),
        }
    }
}
