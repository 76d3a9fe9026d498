use std::io::Write;

use object::{BLOCK, ETag, Key, Version};

use super::*;
use crate::identity::Scope;

fn header(size: u64) -> Header {
    let scope = Scope { endpoint: "e".into(), bucket: "b".into() };
    let key = Key::new("k").unwrap();
    Header::new(&scope, &Version { key, etag: ETag::new("t"), size })
}

fn file() -> File {
    tempfile::tempfile().unwrap()
}

fn map(size: u64) -> (MapFile, File) {
    let file = file();
    MapFile::create(&file, &header(size), &Mark::default()).unwrap();
    (MapFile::open(file.try_clone().unwrap()).unwrap(), file)
}

fn reopened(file: &File) -> MapFile {
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file));
    MapFile::open(File::options().read(true).write(true).open(path).unwrap()).unwrap()
}

#[test]
fn records_are_what_was_recorded_and_the_rest_is_absent() {
    let (map, file) = map(5 * BLOCK + 1);
    map.record(2, 77).unwrap();
    map.record(5, 0).unwrap();
    map.record(4, 9).unwrap();
    map.erase(4).unwrap();
    let other = reopened(&file);
    let (present, absent) = (Record::Present, Record::Absent);
    let all = [absent, absent, present(77), absent, absent, present(0)];
    assert_eq!(other.records(0..6).unwrap(), all);
    assert_eq!(other.records(5..900).unwrap(), all[5..]);
}

#[test]
fn a_mark_is_changed_by_one_at_a_time() {
    let (map, file) = map(1);
    let others: Vec<_> = (0..4).map(|_| reopened(&file)).collect();
    std::thread::scope(|scope| {
        for map in &others {
            scope.spawn(|| {
                for _ in 0..50 {
                    while map.change_mark(|mark| mark.epoch += 1).is_err() {}
                }
            });
        }
    });
    assert_eq!(map.mark().unwrap().epoch, 200);
}

#[test]
fn who_holds_the_mark_for_ever_stops_nobody() {
    let (map, file) = map(1);
    let stopped = reopened(&file);
    assert!(lock::try_lock(&stopped.file, MARK_LOCK).unwrap());
    match map.change_mark(|_| {}) {
        Err(MapError::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        _ => panic!("changed under somebody else's lock"),
    }
}

#[test]
fn blocks_are_claimed_by_one_open_map_at_a_time() {
    let (one, file) = map(10 * BLOCK);
    let two = reopened(&file);
    assert!(one.try_claim(2..5).unwrap());
    assert!(!two.try_claim(0..10).unwrap());
    assert_eq!(two.claimed(0..10).unwrap(), Some(2..5));
    assert!(two.try_claim(0..2).unwrap());
    one.unclaim(2..5).unwrap();
    assert!(two.try_claim(2..5).unwrap());
    drop(two);
    assert_eq!(one.claimed(0..10).unwrap(), None);
}

#[test]
fn a_map_that_is_not_as_long_as_it_must_be_is_damaged() {
    for len in [0, 100, 4096, 4096 + 31, 4096 + 33, 8192] {
        let (_, file) = map(2 * BLOCK);
        file.set_len(len).unwrap();
        assert!(matches!(MapFile::open(file), Err(MapError::Damaged(_))), "{len}");
    }
    let mut file = file();
    file.write_all(b"not a map").unwrap();
    assert!(matches!(MapFile::open(file), Err(MapError::Damaged(_))));
}

#[test]
fn a_use_is_seen_in_the_last_use() {
    let (map, file) = map(1);
    let past = std::fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    file.set_times(past).unwrap();
    assert_eq!(map.last_use().unwrap(), Time::from_secs(0));
    map.touch().unwrap();
    assert!(map.last_use().unwrap() > Time::from_secs(1_500_000_000));
}
