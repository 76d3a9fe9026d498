use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::sync::Arc;

use ::object::{Clock, ETag, Key, Time, Version};
use tempfile::TempDir;

use super::*;
use crate::evict::Room;
use crate::identity::Scope;
use crate::ledger::{Limit, footprint, overhead};
use crate::map::codec::{Header, Mark, Seal, crc};
use crate::space::Space;

const MIB: u64 = 1 << 20;

struct Scene {
    tmp: TempDir,
    directory: Arc<Directory>,
    room: Room,
}

impl Scene {
    fn new() -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let directory = Arc::new(Directory::open(tmp.path()).unwrap());
        let limit = Limit::Bytes(1 << 30);
        let room = Room::open(Arc::clone(&directory), limit, 1, Clock::start()).unwrap();
        Self { tmp, directory, room }
    }

    /// A cached object of `size` bytes of which the first `blocks` are present.
    fn object(&self, key: &str, size: u64, blocks: u64) -> Files {
        let scope = Scope { endpoint: "https://e".into(), bucket: "b".into() };
        let version = Version { key: Key::new(key).unwrap(), etag: ETag::new("t"), size };
        let header = Header::new(&scope, &version);
        let made = self.directory.make_object(&header, &Mark::default()).unwrap();
        let Opened::Found(files) = made else { panic!("not made") };
        let mut charge = overhead(size);
        for number in 0..blocks {
            let len = MIB.min(size - number * MIB);
            let bytes = vec![u8::try_from(number).unwrap(); usize::try_from(len).unwrap()];
            files.data.write_all_at(&bytes, number * MIB).unwrap();
            files.map.record(number, crc(&[&bytes])).unwrap();
            charge += len.next_multiple_of(4096);
        }
        assert!(self.room.reserve(charge, &|| {}));
        self.room.settle(header.identity.shard(), charge, charge);
        files
    }

    fn census(&self) -> Census {
        Census::open(self.tmp.path()).unwrap()
    }

    /// What is counted when nothing is reserved.
    fn used(&self) -> u64 {
        self.room.tend(Time::from_secs(1)).unwrap();
        self.room.tend(Time::from_secs(1)).unwrap();
        self.room.ledger().usage().unwrap().used
    }
}

fn entries(census: &Census) -> Vec<Entry> {
    let mut entries: Vec<Entry> = census
        .entries()
        .unwrap()
        .filter_map(|seen| match seen.unwrap() {
            Seen::Object(entry) => Some(entry),
            Seen::Damaged(_) => None,
        })
        .collect();
    entries.sort_by(|one, two| one.key.cmp(&two.key));
    entries
}

fn keys(census: &Census) -> Vec<String> {
    entries(census).into_iter().map(|entry| entry.key).collect()
}

fn glob(pattern: &str) -> Keys {
    Keys::matching(&[pattern]).unwrap()
}

#[test]
fn every_object_is_listed_with_what_is_resident_of_it() {
    let scene = Scene::new();
    scene.object("jars/a.jar", 3 * MIB + 5, 4);
    scene.object("data/b", 10 * MIB, 5);
    scene.object("empty", 0, 0);
    let census = scene.census();
    let found = entries(&census);
    let told = |e: &Entry| (e.key.clone(), e.size, e.resident, e.resident_fraction);
    let told: Vec<_> = found.iter().map(told).collect();
    assert_eq!(told[0], ("data/b".into(), 10 * MIB, 5 * MIB, 0.5));
    assert_eq!(told[1], ("empty".into(), 0, 0, 1.0));
    assert_eq!(told[2], ("jars/a.jar".into(), 3 * MIB + 5, 3 * MIB + 5, 1.0));
    let first = &found[0];
    assert_eq!((first.endpoint.as_str(), first.bucket.as_str()), ("https://e", "b"));
    assert!(first.allocated >= 5 * MIB && first.last_use > 1_700_000_000);
    assert!(!first.pinned && !first.protected && !first.sealed);
}

#[test]
fn totals_add_up_and_tell_what_is_counted() {
    let scene = Scene::new();
    scene.object("a", 2 * MIB, 2);
    let torn = scene.object("b", MIB, 1);
    scene.object("c", 4 * MIB, 1).map.change_mark(|mark| mark.pinned = true).unwrap();
    torn.map.file().write_all_at(b"torn", 150).unwrap();
    scene.room.tend(Time::from_secs(1)).unwrap();
    let totals = scene.census().totals().unwrap();
    assert_eq!((totals.objects, totals.complete, totals.pinned, totals.damaged), (2, 1, 1, 1));
    assert_eq!((totals.size, totals.resident), (6 * MIB, 3 * MIB));
    assert!(totals.usage.unwrap().used > 4 * MIB);
    assert!(totals.disk > totals.disk_free && totals.disk_free > 0);
}

#[test]
fn looking_at_a_directory_without_a_cache_makes_none() {
    let tmp = tempfile::tempdir().unwrap();
    for result in [Census::open(tmp.path()).err(), Census::clear(tmp.path()).err()] {
        assert!(matches!(result, Some(CensusError::Missing { .. })));
    }
    assert_eq!(fs::read_dir(tmp.path()).unwrap().count(), 0);
}

#[test]
fn a_pin_is_set_and_taken_away_and_is_no_use_of_the_object() {
    let scene = Scene::new();
    for key in ["jars/a.jar", "jars/b.jar", "jars/deep/c.jar"] {
        scene.object(key, 10, 1);
    }
    let census = scene.census();
    let before: Vec<u64> = entries(&census).iter().map(|entry| entry.last_use).collect();
    let pin = |pinned| {
        let mut changed = Vec::new();
        let note = |entry: &Entry| changed.push((entry.key.clone(), entry.pinned));
        census.pin(&glob("jars/*.jar"), pinned, note).unwrap();
        changed.sort();
        changed
    };
    assert_eq!(pin(true), [("jars/a.jar".into(), true), ("jars/b.jar".into(), true)]);
    assert_eq!(pin(true), []);
    let pinned: Vec<bool> = entries(&census).iter().map(|entry| entry.pinned).collect();
    assert_eq!(pinned, [true, true, false]);
    assert_eq!(pin(false).len(), 2);
    let after: Vec<u64> = entries(&census).iter().map(|entry| entry.last_use).collect();
    assert_eq!(before, after);
}

#[test]
fn evicting_by_pattern_leaves_pinned_ones_and_is_taken_off_the_count() {
    let scene = Scene::new();
    scene.object("jars/a", 2 * MIB, 2);
    scene.object("jars/pinned", MIB, 1).map.change_mark(|mark| mark.pinned = true).unwrap();
    scene.object("data/b", MIB, 1);
    let before = scene.used();
    let census = scene.census();
    let mut told = Vec::new();
    let note = |entry: &Entry, removed| told.push((entry.key.clone(), removed));
    let freed = census.evict(&glob("jars/*"), note).unwrap();
    told.sort();
    assert_eq!(told, [("jars/a".into(), true), ("jars/pinned".into(), false)]);
    assert_eq!(keys(&census), ["data/b", "jars/pinned"]);
    assert!((2 * MIB..3 * MIB).contains(&freed));
    assert_eq!(before - scene.used(), footprint(2 * MIB));
}

#[test]
fn verifying_drops_what_is_damaged_and_says_what() {
    let scene = Scene::new();
    scene.object("whole", 2 * MIB + 7, 3);
    scene.object("partial", 5 * MIB, 1);
    scene.object("flipped", 3 * MIB, 3).data.write_all_at(&[9], MIB + 100).unwrap();
    scene.object("torn", MIB, 1).map.file().write_all_at(b"torn", 150).unwrap();
    let lacking = scene.object("lacking", 2 * MIB, 1);
    let seal = Seal { inode: 1, size: 1, modified: (0, 0), changed: (0, 0) };
    lacking.map.change_mark(|mark| mark.seal = Some(seal)).unwrap();
    let census = scene.census();
    let mut dropped = Vec::new();
    let found = census.verify(|_, damage| dropped.extend(damage.cloned())).unwrap();
    assert_eq!((found.objects, found.dropped), (5, 3));
    assert_eq!(found.blocks, 3 + 1 + 3 + 1);
    dropped.sort_by(|one, two| one.key.cmp(&two.key));
    let told: Vec<_> = dropped.into_iter().map(|d| (d.key, d.blocks)).collect();
    let named = |key: &str, blocks: &[u64]| (Some(key.to_owned()), blocks.to_vec());
    assert_eq!(told, [(None, vec![]), named("flipped", &[1]), named("lacking", &[])]);
    assert_eq!(keys(&census), ["partial", "whole"]);
    assert_eq!(census.verify(|_, _| ()).unwrap().dropped, 0);
}

#[test]
fn clearing_removes_everything_of_ours_and_nothing_else() {
    let scene = Scene::new();
    scene.object("a", 2 * MIB, 2);
    let Scene { tmp, directory, room } = scene;
    let ours = directory.path().to_owned();
    drop((directory, room));
    fs::write(tmp.path().join("mine"), "x").unwrap();
    fs::create_dir_all(ours.join("foreign/deep")).unwrap();
    fs::write(ours.join("foreign/deep/file"), "x").unwrap();
    symlink(tmp.path().join("mine"), ours.join("foreign/link")).unwrap();
    symlink(tmp.path(), ours.join("objects/ff")).unwrap();
    fs::write(ours.join("format"), "99\n").unwrap();
    let cleared = Census::clear(tmp.path()).unwrap();
    assert!(!cleared.in_use && cleared.left == 0 && cleared.bytes >= 2 * MIB);
    assert_eq!(fs::read_dir(&ours).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(tmp.path().join("mine")).unwrap(), "x");
    Directory::open(tmp.path()).unwrap();
}

#[test]
fn clearing_while_others_use_it_leaves_them_an_empty_cache_and_a_right_count() {
    let scene = Scene::new();
    let empty = scene.used();
    scene.object("a", 2 * MIB, 2);
    fs::create_dir(scene.directory.path().join("names")).unwrap();
    fs::write(scene.directory.path().join("names/x"), "x").unwrap();
    let cleared = Census::clear(scene.tmp.path()).unwrap();
    assert!(cleared.in_use && cleared.files >= 3);
    assert_eq!(keys(&scene.census()), Vec::<String>::new());
    assert!(!scene.directory.path().join("names/x").exists());
    assert_eq!(scene.used(), empty);
    scene.object("b", MIB, 1);
    assert_eq!(keys(&scene.census()), ["b"]);
}

#[test]
fn a_directory_that_is_not_safe_is_not_cleared_either() {
    let tmp = tempfile::tempdir().unwrap();
    let target = tmp.path().join("target");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("x"), "x").unwrap();
    symlink(&target, tmp.path().join(NAME)).unwrap();
    assert!(matches!(Census::clear(tmp.path()), Err(CensusError::Directory(_))));
    assert!(target.join("x").exists());
}

#[test]
fn clearing_leaves_the_journals_of_uploads_whether_the_cache_is_in_use_or_not() {
    let scene = Scene::new();
    scene.object("a", 5, 1);
    let journal = scene.directory.path().join("uploads/1-0.journal");
    fs::create_dir(journal.parent().unwrap()).unwrap();
    fs::write(&journal, "x").unwrap();
    assert!(Census::clear(scene.tmp.path()).unwrap().in_use);
    assert!(journal.exists());
    let Scene { tmp, directory, room } = scene;
    drop((directory, room));
    assert!(!Census::clear(tmp.path()).unwrap().in_use);
    assert!(journal.exists());
}
