//! What a mount costs in requests, exactly.

use std::process::Command;
use std::time::Duration;

use testkit::{Bucket, Mount, Server, run, run_within};

use crate::harness::{MIB, busy, counted, program, undisturbed};

/// Five JARs, 670 million bytes: 82 parts of 8 MiB.
const JARS: [u64; 5] = [10_000_000, 40_000_000, 90_000_000, 180_000_000, 350_000_000];
const PARTS: u64 = 82;

fn put_jars(bucket: &Bucket<'_>) {
    for (number, size) in (1..).zip(JARS) {
        bucket.put_synthetic(&format!("jar{number}.jar"), size, 1);
    }
}

/// GETs and the bytes they brought.
fn gets(server: &Server) -> (u64, u64) {
    let get = server.lab_itself().counters().operation("GetObject");
    (get.requests, get.bytes_out)
}

/// Requests for names: (LISTs, HEADs).
fn looks(server: &Server) -> (u64, u64) {
    (server.count("ListObjectsV2"), server.count("HeadObject"))
}

fn all_jars(mount: &Mount) -> String {
    format!("cat {}/*.jar | wc -c", mount.directory().display())
}

#[test]
fn five_cold_jars_cost_their_parts_however_many_read_them() {
    let server = Server::lab();
    let bucket = server.bucket("jars");
    put_jars(&bucket);
    let read_all = |readers: usize| {
        let mount = counted(&bucket, &["--metadata-ttl", "60"]);
        let readers: Vec<_> = (0..readers)
            .map(|_| {
                let script = all_jars(&mount);
                std::thread::spawn(move || run(Command::new("sh").args(["-ec", &script])).ok())
            })
            .collect();
        for reader in readers {
            assert_eq!(reader.join().unwrap().trim(), "670000000");
        }
        gets(&server)
    };
    let right = (PARTS, 670_000_000);
    for readers in [1, 10] {
        let _turn = busy();
        assert_eq!(undisturbed(|| read_all(readers), |counted| *counted == right), right);
    }
}

/// As a JVM opens a JAR: the end, the central directory, then the entries in order.
#[test]
fn five_cold_jars_opened_at_their_ends_cost_one_request_more_each_at_most() {
    use std::os::unix::fs::FileExt as _;
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("jars");
    put_jars(&bucket);
    let read_all = || {
        let mount = counted(&bucket, &["--metadata-ttl", "60"]);
        for (number, size) in (1..).zip(JARS) {
            let file = std::fs::File::open(mount.path(&format!("jar{number}.jar"))).unwrap();
            let mut end = [0; 128];
            file.read_exact_at(&mut end, size - 128).unwrap();
            let mut directory = [0; 8192];
            file.read_exact_at(&mut directory, size - 60_000).unwrap();
            let mut chunk = vec![0; 1 << 17];
            for offset in (0..size).step_by(1 << 17) {
                let length = chunk.len().min(usize::try_from(size - offset).unwrap());
                file.read_exact_at(&mut chunk[..length], offset).unwrap();
            }
        }
        gets(&server)
    };
    let exact =
        |counted: &(u64, u64)| (PARTS..=PARTS + 5).contains(&counted.0) && counted.1 == 670_000_000;
    let counted = undisturbed(read_all, exact);
    assert!(exact(&counted), "(GETs, bytes) are {counted:?}: one GET more each, no byte twice");
}

#[test]
fn an_object_costs_its_size_in_parts_at_every_border() {
    let server = Server::lab();
    let bucket = server.bucket("borders");
    let part = 8 * MIB;
    let sizes = [1, 4096, MIB, part - 1, part, part + 1, 2 * part, 3 * part + 5];
    for size in sizes {
        bucket.put_synthetic(&format!("of-{size}"), size, 1);
    }
    bucket.put_synthetic("empty", 0, 1);
    let mount = counted(&bucket, &["--metadata-ttl", "60"]);
    for size in sizes {
        server.lab_itself().reset_counters();
        let bytes = std::fs::read(mount.path(&format!("of-{size}"))).unwrap();
        assert_eq!(bytes.len() as u64, size);
        assert_eq!(gets(&server), (size.div_ceil(part), size), "an object of {size} bytes");
    }
    server.lab_itself().reset_counters();
    assert_eq!(std::fs::read(mount.path("empty")).unwrap(), b"");
    assert_eq!(gets(&server).1, 0);
}

#[test]
fn another_part_size_gives_another_plan() {
    let server = Server::lab();
    let bucket = server.bucket("parts");
    bucket.put_synthetic("object", 40 * MIB, 1);
    let part = (16 * MIB).to_string();
    let mount = counted(&bucket, &["--read-part-size", &part]);
    run(&mut program(&["cat"], &mount.path("object"))).ok();
    assert_eq!(gets(&server), (3, 40 * MIB));
}

fn list(mount: &Mount) {
    let listed =
        run_within(&mut program(&["ls", "-l"], mount.directory()), Duration::from_secs(60));
    assert_eq!(listed.ok().lines().count(), 10_001, "ls -l prints a total and 10,000 names");
}

fn read_all(mount: &Mount) {
    for number in 0..10_000 {
        let bytes = std::fs::read(mount.path(&format!("file{number:07}"))).unwrap();
        assert_eq!(bytes.len(), 100);
    }
}

#[test]
fn within_a_ttl_a_directory_is_listed_once_and_its_files_cost_a_get_each() {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("small");
    bucket.put_synthetic_many("file", 10_000, 100);
    let mount = counted(&bucket, &["--metadata-ttl", "60"]);
    list(&mount);
    assert_eq!(looks(&server), (10, 0), "ls -l of 10,000 names");
    list(&mount);
    assert_eq!(looks(&server), (10, 0), "ls -l again");
    read_all(&mount);
    assert_eq!(looks(&server), (10, 0), "10,000 opens");
    assert_eq!(gets(&server), (10_000, 1_000_000));
}

/// Times are what these modes are about: nothing else tells that a TTL has passed.
fn pass(time: Duration) {
    std::thread::sleep(time);
}

#[test]
fn without_a_ttl_a_listing_answers_for_a_second_and_an_open_asks_once() {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("small");
    bucket.put_synthetic_many("file", 10_000, 100);
    let mount = counted(&bucket, &["--metadata-ttl", "minimal"]);
    list(&mount);
    assert_eq!(looks(&server), (10, 0), "ls -l of 10,000 names");
    pass(Duration::from_secs(2));
    list(&mount);
    assert_eq!(looks(&server), (20, 0), "ls -l two seconds later");
    pass(Duration::from_secs(2));
    server.lab_itself().reset_counters();
    read_all(&mount);
    let (lists, heads) = looks(&server);
    assert!(lists + heads <= 10_000, "one look each at most: {lists} LISTs, {heads} HEADs");
    assert_eq!(gets(&server), (10_000, 1_000_000));
}

/// Requests for names that asking for a missing name costs: the first time, the second.
fn missing_twice(words: &[&str]) -> (u64, u64) {
    let server = Server::lab();
    let bucket = server.bucket("missing");
    bucket.put("there", "x");
    let mount = counted(&bucket, words);
    let ask = || {
        server.lab_itself().reset_counters();
        let error = std::fs::metadata(mount.path("missing")).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        let (lists, heads) = looks(&server);
        lists + heads
    };
    (ask(), ask())
}

#[test]
fn a_missing_name_is_asked_for_once_within_a_ttl_and_each_time_without() {
    let (first, second) = missing_twice(&["--metadata-ttl", "60"]);
    assert!((1..=2).contains(&first) && second == 0, "with a TTL: {first}, then {second}");
    let (first, second) = missing_twice(&["--metadata-ttl", "indefinite"]);
    assert!((1..=2).contains(&first) && second == 0, "indefinite: {first}, then {second}");
    let (first, second) = missing_twice(&["--metadata-ttl", "minimal"]);
    assert!((1..=2).contains(&first) && second == first, "minimal: {first}, then {second}");
}

#[test]
fn a_missing_name_is_found_soon_after_it_appears_even_with_an_indefinite_ttl() {
    let server = Server::lab();
    let bucket = server.bucket("late");
    bucket.put("there", "x");
    let mount = counted(&bucket, &["--metadata-ttl", "indefinite"]);
    assert!(!mount.path("late.jar").exists());
    bucket.put("late.jar", "it came");
    testkit::until("the late name is found", Duration::from_secs(20), || {
        std::fs::read(mount.path("late.jar")).is_ok_and(|bytes| bytes == b"it came")
    });
}
