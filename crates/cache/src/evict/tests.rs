use std::fs::{self, FileTimes};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use ::object::{BLOCK, ETag, Key, Version};
use rustix::fs::{CWD, FallocateFlags, Mode, fallocate, mknodat};
use tempfile::TempDir;

use super::*;
use crate::directory::{Files, Opened};
use crate::identity::Scope;
use crate::ledger::{footprint, overhead};
use crate::map::codec::{Header, Mark};

const MIB: u64 = 1 << 20;

struct Scene {
    _tmp: TempDir,
    directory: Arc<Directory>,
    clock: Clock,
    limit: u64,
}

impl Scene {
    fn new(limit: u64) -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let directory = Arc::new(Directory::open(tmp.path()).unwrap());
        Self { _tmp: tmp, directory, clock: Clock::start(), limit }
    }

    fn room(&self) -> Room {
        let limit = Limit::Bytes(self.limit);
        Room::open(Arc::clone(&self.directory), limit, 1, self.clock.clone()).unwrap()
    }

    fn du(&self) -> u64 {
        du(self.directory.path())
    }

    fn names(&self, shard: u8) -> Vec<String> {
        crate::directory::names(self.directory.shard(shard).unwrap().unwrap()).unwrap()
    }
}

/// As `du` counts it, in bytes.
fn du(path: &Path) -> u64 {
    let Ok(stat) = fs::symlink_metadata(path) else { return 0 };
    let inside = stat.is_dir().then(|| fs::read_dir(path)).into_iter().flatten();
    let inside = inside.flatten().flatten().map(|entry| du(&entry.path()));
    stat.blocks() * 512 + inside.sum::<u64>()
}

fn header(key: &str, size: u64) -> Header {
    let scope = Scope { endpoint: "e".into(), bucket: "b".into() };
    let version = Version { key: Key::new(key).unwrap(), etag: ETag::new("t"), size };
    Header::new(&scope, &version)
}

/// Fills a whole object block by block, without really writing; nothing when there is no room.
fn fill(room: &Room, key: &str, size: u64) -> Option<Files> {
    let header = header(key, size);
    let shard = header.identity.shard();
    let first = overhead(size);
    if !room.reserve(first, &|| {}) {
        return None;
    }
    let made = room.directory.make_object(&header, &Mark::default()).unwrap();
    let Opened::Found(files) = made else { panic!("not made") };
    room.settle(shard, first, first);
    for number in 0..header.blocks() {
        let len = BLOCK.min(size - number * BLOCK);
        if !room.reserve(len, &|| {}) {
            return None;
        }
        fallocate(&files.data, FallocateFlags::empty(), number * BLOCK, len).unwrap();
        files.map.record(number, 7).unwrap();
        room.settle(shard, len, len);
    }
    Some(files)
}

fn is_there(room: &Room, key: &str, size: u64) -> bool {
    let identity = header(key, size).identity;
    matches!(room.directory.open_object(&identity).unwrap(), Opened::Found(_))
}

/// Sets when the object was filled and when it was used last, in seconds before now.
fn set_times(files: &Files, filled: u64, used: u64) {
    let now = SystemTime::UNIX_EPOCH + Clock::start().now().0;
    let ago = |seconds| now - Duration::from_secs(seconds);
    files.data.set_times(FileTimes::new().set_modified(ago(filled))).unwrap();
    files.map.file().set_times(FileTimes::new().set_modified(ago(used))).unwrap();
}

#[test]
fn a_scan_of_sixteen_times_the_cache_leaves_the_hot_objects_and_keeps_the_limit() {
    let scene = Scene::new(256 * MIB);
    let room = scene.room();
    for jar in 0..5 {
        let files = fill(&room, &format!("jar{jar}"), 20 * MIB).unwrap();
        files.note_use(true).unwrap();
        set_times(&files, 3600, 600);
    }
    for file in 0..128 {
        assert!(fill(&room, &format!("scan{file}"), 32 * MIB).is_some(), "{file}");
        let du = scene.du();
        assert!(du <= scene.limit, "{du} at {file}");
    }
    for jar in 0..5 {
        assert!(is_there(&room, &format!("jar{jar}"), 20 * MIB), "{jar}");
    }
    assert!(is_there(&room, "scan127", 32 * MIB));
}

#[test]
fn an_object_is_protected_when_it_is_opened_again_or_read_much_later() {
    let scene = Scene::new(64 * MIB);
    let room = scene.room();
    let noted = |key: &str, filled, opened| {
        let files = fill(&room, key, MIB).unwrap();
        set_times(&files, filled, 0);
        files.note_use(opened).unwrap();
        files.map.mark().unwrap().protected
    };
    assert!(noted("opened again", 0, true));
    assert!(noted("read later", 120, false));
    assert!(!noted("read while it was filled", 1, false));
}

#[test]
fn small_objects_keep_the_limit_too() {
    let scene = Scene::new(10 * MIB);
    let room = scene.room();
    for file in 0..1500 {
        assert!(fill(&room, &format!("small{file}"), 3000).is_some(), "{file}");
        if file % 100 == 0 {
            let du = scene.du();
            assert!(du <= scene.limit, "{du} at {file}");
        }
    }
    assert!(is_there(&room, "small1499", 3000));
}

#[test]
fn pinned_objects_and_those_in_use_stay() {
    let scene = Scene::new(64 * MIB);
    let room = scene.room();
    let keep = |key: &str| fill(&room, key, 8 * MIB).unwrap();
    let (pinned, filling, held) = (keep("pinned"), keep("filling"), keep("held"));
    pinned.map.change_mark(|mark| mark.pinned = true).unwrap();
    assert!(filling.map.try_claim(0..1).unwrap());
    let data = room.directory.open_data(&held.map.header().identity).unwrap();
    let counted = room.hold(Arc::new(data)).unwrap();
    for file in 0..32 {
        assert!(fill(&room, &format!("other{file}"), 8 * MIB).is_some(), "{file}");
    }
    for key in ["pinned", "filling", "held"] {
        assert!(is_there(&room, key, 8 * MIB), "{key}");
    }
    drop((counted, filling));
    assert!(room.evict(scene.limit).unwrap() > 8 * MIB);
    assert!(is_there(&room, "pinned", 8 * MIB));
    assert!(!is_there(&room, "held", 8 * MIB) && !is_there(&room, "filling", 8 * MIB));
}

#[test]
fn when_everything_is_in_use_nothing_is_taken_in_until_something_is_free() {
    let scene = Scene::new(32 * MIB);
    let room = scene.room();
    let one = fill(&room, "one", 24 * MIB).unwrap();
    assert!(one.map.try_claim(0..24).unwrap());
    assert!(!room.reserve(16 * MIB, &|| {}));
    assert!(is_there(&room, "one", 24 * MIB));
    one.map.unclaim(0..24).unwrap();
    assert!(!room.reserve(16 * MIB, &|| {}), "for a moment nobody looks again");
    scene.clock.advance(VAIN_PAUSE);
    assert!(room.reserve(16 * MIB, &|| {}));
    assert!(!is_there(&room, "one", 24 * MIB));
}

#[test]
fn what_can_never_fit_evicts_nobody() {
    let scene = Scene::new(32 * MIB);
    let room = scene.room();
    fill(&room, "one", 8 * MIB).unwrap();
    assert!(!room.reserve(33 * MIB, &|| {}));
    assert!(is_there(&room, "one", 8 * MIB));
}

#[test]
fn a_reader_of_what_is_evicted_is_not_disturbed() {
    let scene = Scene::new(32 * MIB);
    let room = scene.room();
    let files = fill(&room, "read", 4 * MIB).unwrap();
    files.data.write_all_at(b"bytes", MIB).unwrap();
    let reader = room.directory.open_data(&files.map.header().identity).unwrap();
    room.evict(scene.limit).unwrap();
    assert!(!is_there(&room, "read", 4 * MIB));
    let mut bytes = [0; 5];
    reader.read_exact_at(&mut bytes, MIB).unwrap();
    assert_eq!(&bytes, b"bytes");
}

#[test]
fn the_count_of_an_object_that_two_remove_is_taken_off_once() {
    let scene = Scene::new(64 * MIB);
    let (one, two) = (scene.room(), scene.room());
    let identity = fill(&one, "one", 5 * MIB).unwrap().map.header().identity;
    fill(&one, "other", MIB).unwrap();
    one.tend(Time::from_secs(1)).unwrap();
    let used = || two.ledger().usage().unwrap().used;
    let before = used();
    one.unlink(&identity).unwrap();
    two.unlink(&identity).unwrap();
    assert_eq!(before - used(), footprint(5 * MIB));
}

#[test]
fn what_belongs_to_no_object_is_removed_when_it_is_old() {
    let scene = Scene::new(64 * MIB);
    let room = scene.room();
    let files = fill(&room, "one", MIB).unwrap();
    let identity = files.map.header().identity;
    let path = room.directory.path().join(format!("objects/{:02x}", identity.shard()));
    fs::write(path.join("foreign"), "x").unwrap();
    fs::write(path.join(format!("{identity}.1-1.new")), "x").unwrap();
    fs::create_dir(path.join("directory")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", path.join("link")).unwrap();
    fs::remove_file(path.join(format!("{identity}.map"))).unwrap();
    room.evict(1).unwrap();
    assert_eq!(scene.names(identity.shard()).len(), 5, "they are young");
    scene.clock.advance(Duration::from_secs(120));
    room.evict(1).unwrap();
    assert_eq!(scene.names(identity.shard()), Vec::<String>::new());
    assert!(Path::new("/etc/passwd").exists());
}

#[test]
fn damaged_objects_are_removed_first() {
    let scene = Scene::new(64 * MIB);
    let room = scene.room();
    fill(&room, "whole", MIB).unwrap();
    let files = fill(&room, "torn", MIB).unwrap();
    files.map.file().write_all_at(b"torn", 200).unwrap();
    room.evict(1).unwrap();
    assert!(is_there(&room, "whole", MIB));
    let torn = room.directory.open_object(&files.map.header().identity).unwrap();
    assert!(matches!(torn, Opened::Absent));
}

#[test]
fn a_ledger_that_was_deleted_is_replaced() {
    let scene = Scene::new(64 * MIB);
    let room = scene.room();
    fill(&room, "one", 16 * MIB).unwrap();
    fs::remove_file(room.directory.path().join("ledger")).unwrap();
    room.tend(Time::from_secs(1)).unwrap();
    assert!(room.ledger().usage().unwrap().used > 16 * MIB);
    assert!(fill(&room, "two", 60 * MIB).is_some());
    assert!(!is_there(&room, "one", 16 * MIB));
}

#[test]
fn several_that_fill_and_evict_at_once_keep_the_limit() {
    let scene = Scene::new(64 * MIB);
    let done = AtomicBool::new(false);
    // Nothing changes while it is added up: what is evicted meanwhile would be seen, and so would
    // what takes its place.
    let gate = RwLock::new(());
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                let _still = gate.write().unwrap();
                most = most.max(scene.du());
            }
            most
        });
        let fillers: Vec<_> = (0..4)
            .map(|filler| {
                let (room, gate) = (scene.room(), &gate);
                scope.spawn(move || {
                    let fits = |file| {
                        let _whole = gate.read().unwrap();
                        fill(&room, &format!("{filler}/{file}"), 3 * MIB).is_some()
                    };
                    (0..30).filter(|file| fits(*file)).count()
                })
            })
            .collect();
        let filled: usize = fillers.into_iter().map(|filler| filler.join().unwrap()).sum();
        done.store(true, Ordering::Relaxed);
        let most = watcher.join().unwrap();
        assert!(most <= scene.limit, "{most}");
        assert!(filled > 100, "{filled} of 120");
    });
}

#[test]
fn whatever_takes_the_ledgers_place_gives_way_to_a_new_one() {
    let plants: [fn(&Path); 3] = [
        |path| std::os::unix::fs::symlink("/etc/passwd", path).unwrap(),
        |path| fs::create_dir_all(path.join("full")).unwrap(),
        |path| mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap(),
    ];
    for plant in plants {
        let scene = Scene::new(64 * MIB);
        let room = scene.room();
        let ledger = scene.directory.path().join(FILE);
        fs::remove_file(&ledger).unwrap();
        plant(&ledger);
        room.tend(scene.clock.now()).unwrap();
        assert!(fs::symlink_metadata(&ledger).unwrap().is_file());
        assert!(fill(&room, "new", MIB).is_some());
    }
}

#[test]
fn a_ledger_that_cannot_be_made_anew_is_unusable_until_it_can() {
    let scene = Scene::new(64 * MIB);
    let room = scene.room();
    let ledger = scene.directory.path().join(FILE);
    fs::remove_file(&ledger).unwrap();
    fs::create_dir_all(ledger.join("full")).unwrap();
    let names = |number| scene.directory.path().join(format!("{FILE}.foreign-{number}"));
    (0..100).for_each(|number| fs::write(names(number), "").unwrap());
    assert!(room.tend(scene.clock.now()).is_err());
    // The deleted one still counts what is freed.
    assert!(fill(&room, "new", MIB).is_some());
    assert!(room.remove(&header("new", MIB).identity).unwrap() > 0);
    assert!(room.tend(scene.clock.now()).is_err());
    fs::remove_dir_all(&ledger).unwrap();
    room.tend(scene.clock.now()).unwrap();
}
