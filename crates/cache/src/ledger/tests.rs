use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ::object::Clock;
use tempfile::TempDir;

use super::charge::{BASE, PAGE};
use super::*;

const MIB: u64 = 1 << 20;
const NOW: Time = Time(Duration::from_secs(1_700_000_000));
const LIMIT: Limit = Limit::Bytes(100 * MIB);

/// What the count is at this moment, whoever is about to change it.
pub(crate) fn counted(ours: &OwnedFd) -> Usage {
    let mut bytes = [0; record::FILE_LEN];
    let file = open_file(ours, OFlags::RDONLY).unwrap();
    file.read_exact_at(&mut bytes, 0).unwrap();
    let (page, damaged) = Page::decode(&bytes, Header::default());
    assert!(!damaged);
    Usage::from(&page)
}

struct Scene {
    dir: TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("objects")).unwrap();
        Self { dir }
    }

    fn ours(&self) -> OwnedFd {
        File::open(self.dir.path()).unwrap().into()
    }

    fn ledger(&self) -> Arc<Ledger> {
        self.ledger_of(LIMIT)
    }

    fn ledger_of(&self, limit: Limit) -> Arc<Ledger> {
        Ledger::open(self.ours(), limit, 1).unwrap()
    }

    /// Writes an object of `bytes`, all of it data; answers its path.
    fn object(&self, shard: u8, name: u64, bytes: u64) -> std::path::PathBuf {
        let shard = self.dir.path().join(format!("objects/{shard:02x}"));
        fs::create_dir_all(&shard).unwrap();
        let map = 4096 + bytes.div_ceil(MIB) * 16;
        let map = vec![1; usize::try_from(map).unwrap()];
        fs::write(shard.join(format!("{name:064x}.map")), map).unwrap();
        let data = shard.join(format!("{name:064x}.data"));
        fs::write(&data, vec![1; usize::try_from(bytes).unwrap()]).unwrap();
        data
    }

    fn damage_header(&self) {
        let path = self.dir.path().join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
}

/// As `du` counts it, in bytes.
fn du(path: &Path) -> u64 {
    let Ok(stat) = fs::symlink_metadata(path) else { return 0 };
    let inside = fs::read_dir(path).into_iter().flatten().flatten();
    stat.blocks() * 512 + inside.map(|entry| du(&entry.path())).sum::<u64>()
}

fn used(ledger: &Ledger) -> u64 {
    ledger.usage().unwrap().used
}

/// Reserves until nothing is left; answers how much it was.
fn exhaust(ledger: &Ledger) -> u64 {
    let mut sum = 0;
    for step in [MIB, PAGE] {
        while ledger.reserve(step).is_ok() {
            sum += step;
        }
    }
    sum
}

#[test]
fn what_is_reserved_never_exceeds_the_limit_and_nothing_of_it_is_lost() {
    let scene = Scene::new();
    let ledger = scene.ledger();
    let empty = used(&ledger);
    assert!((BASE..2 * BASE).contains(&empty));
    let usable = ledger.bound().usable().unwrap();
    assert_eq!(exhaust(&ledger), usable - empty);
    assert!(matches!(ledger.reserve(1), Err(Refusal::Full { missing: PAGE })));
    ledger.settle(Place::Shard(1), 10 * MIB, 3 * MIB);
    assert_eq!(exhaust(&ledger), 7 * MIB);
}

#[test]
fn two_processes_share_one_limit() {
    let scene = Scene::new();
    let (one, two) = (scene.ledger(), scene.ledger());
    one.reserve(60 * MIB).unwrap();
    assert!(matches!(two.reserve(60 * MIB), Err(Refusal::Full { .. })));
    one.settle(Place::Shard(0), 60 * MIB, 0);
    one.tend(NOW).unwrap();
    one.tend(NOW).unwrap();
    two.reserve(60 * MIB).unwrap();
}

#[test]
fn what_a_dead_process_had_reserved_counts_until_a_walk_has_looked() {
    let scene = Scene::new();
    let dead = scene.ledger();
    let empty = used(&dead);
    dead.reserve(50 * MIB).unwrap();
    drop(dead);
    let ledger = scene.ledger();
    assert_eq!(used(&ledger) - empty, 50 * MIB);
    ledger.reconcile(NOW).unwrap();
    let usage = ledger.usage().unwrap();
    assert_eq!((usage.doubt, usage.reconciled), (0, NOW.secs()));
    assert!(usage.used < BASE + MIB, "{usage:?}");
}

#[test]
fn a_slab_that_a_dead_process_left_is_found_and_a_walk_begins() {
    let scene = Scene::new();
    let dead = scene.ledger();
    dead.reconcile(NOW).unwrap();
    dead.reserve(50 * MIB).unwrap();
    drop(dead);
    let ledger = scene.ledger();
    let now = NOW + Duration::from_secs(9);
    ledger.tend(now).unwrap();
    until("a walk has passed", || ledger.usage().unwrap().reconciled == now.secs());
    let usage = ledger.usage().unwrap();
    assert!(usage.used < BASE + MIB && usage.doubt == 0, "{usage:?}");
}

#[test]
fn a_process_that_ends_in_order_leaves_an_exact_count() {
    let scene = Scene::new();
    let before = used(&scene.ledger());
    let ledger = scene.ledger();
    ledger.reserve(8 * MIB).unwrap();
    ledger.settle(Place::Shard(7), 8 * MIB, 5 * MIB);
    drop(ledger);
    let usage = scene.ledger().usage().unwrap();
    assert_eq!((usage.used - before, usage.reserved, usage.doubt), (5 * MIB, 0, 0));
}

#[test]
fn a_walk_finds_what_is_there_and_charges_it_as_it_was_reserved() {
    let scene = Scene::new();
    scene.object(0, 1, 3 * MIB + 1);
    scene.object(255, 2, 10);
    let ledger = scene.ledger();
    ledger.reconcile(NOW).unwrap();
    let objects = footprint(3 * MIB + 1) + footprint(10);
    let counted = used(&ledger) - BASE;
    assert!((objects..objects + MIB).contains(&counted), "{counted} and {objects}");
    assert!(used(&ledger) >= du(scene.dir.path()));
}

#[test]
fn a_damaged_ledger_of_a_small_cache_is_counted_anew_at_once() {
    let scene = Scene::new();
    drop(scene.ledger());
    scene.object(9, 1, 4 * MIB);
    scene.damage_header();
    let counted = used(&scene.ledger()) - BASE;
    assert!((4 * MIB..5 * MIB).contains(&counted), "{counted}");
}

#[test]
fn a_damaged_ledger_of_a_large_cache_is_taken_for_full_until_a_walk_has_looked() {
    let scene = Scene::new();
    drop(scene.ledger());
    let shard = scene.dir.path().join("objects/00");
    fs::create_dir(&shard).unwrap();
    for name in 0..=COUNTED_AT_ONCE {
        fs::write(shard.join(format!("{name:064x}.map")), "").unwrap();
    }
    scene.damage_header();
    let ledger = scene.ledger();
    assert!(matches!(ledger.reserve(MIB), Err(Refusal::Full { .. })));
    // The walk that takes care of it begins by itself, beside everything else.
    ledger.tend(NOW).unwrap();
    until("the walk has ended", || ledger.usage().unwrap().reconciled == NOW.secs());
    ledger.reserve(MIB).unwrap();
}

#[test]
fn a_ledger_that_is_damaged_in_use_is_never_trusted_to_be_small() {
    let scene = Scene::new();
    let ledger = scene.ledger();
    ledger.reserve(MIB).unwrap();
    scene.damage_header();
    assert!(matches!(ledger.reserve(60 * MIB), Err(Refusal::Full { .. })));
    ledger.reconcile(NOW).unwrap();
    ledger.reserve(60 * MIB).unwrap();
}

#[test]
fn a_count_of_another_epoch_is_not_trusted() {
    let scene = Scene::new();
    drop(scene.ledger());
    scene.object(3, 1, 20 * MIB);
    assert!(used(&scene.ledger()) < BASE + MIB, "the same epoch: no look at the files");
    let ledger = Ledger::open(scene.ours(), LIMIT, 2).unwrap();
    assert!(used(&ledger) >= BASE + 20 * MIB);
}

#[test]
fn the_space_of_an_open_file_counts_after_it_was_unlinked_until_it_is_closed() {
    let scene = Scene::new();
    let path = scene.object(3, 1, 20 * MIB);
    let ledger = scene.ledger();
    let before = used(&ledger);
    let data = Arc::new(File::open(&path).unwrap());
    let held = ledger.hold(data).unwrap();
    assert!(is_held(File::open(&path).unwrap()));
    let freeing = ledger.freeing(Place::Shard(3));
    fs::remove_file(&path).unwrap();
    freeing.done(20 * MIB).unwrap();
    ledger.tend(NOW).unwrap();
    assert_eq!(used(&ledger), before);
    drop(held);
    ledger.tend(NOW).unwrap();
    assert_eq!(used(&ledger), before - 20 * MIB);
}

#[test]
fn a_file_that_nobody_holds_is_not_held() {
    let scene = Scene::new();
    let path = scene.object(3, 1, 1);
    let reader = File::open(&path).unwrap();
    assert!(!is_held(File::open(&path).unwrap()));
    held::mark(&reader).unwrap();
    assert!(is_held(File::open(&path).unwrap()));
    drop(reader);
    assert!(!is_held(File::open(&path).unwrap()));
}

#[test]
fn a_stopped_process_with_the_lock_makes_nobody_wait_twice() {
    let scene = Scene::new();
    let ledger = scene.ledger();
    let stopped = File::options().write(true).open(scene.dir.path().join(FILE)).unwrap();
    assert!(crate::lock::try_lock(&stopped, 1 << 40..(1 << 40) + 1).unwrap());
    assert!(matches!(ledger.reserve(MIB), Err(Refusal::Unusable(LedgerError::Busy))));
    let clock = Clock::start();
    let begun = clock.now();
    for _ in 0..100 {
        assert!(matches!(ledger.reserve(MIB), Err(Refusal::Unusable(LedgerError::Busy))));
    }
    // Had each of them waited as the first one did, it would be 200 s.
    assert!(clock.now().since(begun) < Duration::from_secs(10));
    drop(stopped);
    ledger.reserve(MIB).unwrap();
}

#[test]
fn a_deleted_ledger_is_noticed() {
    let scene = Scene::new();
    let ledger = scene.ledger();
    fs::remove_file(scene.dir.path().join(FILE)).unwrap();
    assert!(matches!(ledger.tend(NOW), Err(LedgerError::Gone)));
}

#[test]
fn something_else_in_the_ledgers_place_is_an_error() {
    for plant in [
        |path: &Path| fs::create_dir(path).unwrap(),
        |path: &Path| std::os::unix::fs::symlink("/etc/passwd", path).unwrap(),
    ] {
        let scene = Scene::new();
        plant(&scene.dir.path().join(FILE));
        assert!(Ledger::open(scene.ours(), LIMIT, 1).is_err());
    }
}

#[test]
fn a_disk_that_has_to_stay_free_takes_nothing() {
    let scene = Scene::new();
    let ledger = scene.ledger_of(Limit::KeepFree(100));
    assert!(matches!(ledger.reserve(1), Err(Refusal::Full { .. })));
}

#[test]
fn more_processes_than_slots_are_told_so() {
    let scene = Scene::new();
    let slots: Vec<_> = (0..record::SLOTS).map(|_| scene.ledger()).collect();
    let one_more = Ledger::open(scene.ours(), LIMIT, 1);
    assert!(matches!(one_more, Err(LedgerError::Crowded)));
    drop(slots);
    scene.ledger();
}

/// Fails when it does not become true in time.
fn until(what: &str, mut is: impl FnMut() -> bool) {
    let clock = Clock::start();
    let begun = clock.now();
    while !is() {
        assert!(clock.now().since(begun) < Duration::from_secs(20), "waited for: {what}");
        std::thread::yield_now();
    }
}

/// What the writers and who watches them share.
#[derive(Default)]
struct Traffic {
    stop: AtomicBool,
    done: AtomicU64,
    /// Closed while the disk and the count are compared, since both change.
    gate: RwLock<()>,
}

/// One of several writers: reserves, writes an object, settles, and unlinks every other one.
fn write_and_unlink(scene: &Scene, writer: u64, traffic: &Traffic) {
    let Traffic { stop, done, gate } = traffic;
    let ledger = scene.ledger();
    let mut name = writer << 32;
    while !stop.load(Ordering::Relaxed) {
        let _whole = gate.read().unwrap();
        name += 1;
        let size = 4096 * (1 + name % 7);
        // Behind and before the walk.
        let shard = (name.wrapping_mul(0x9e37_79b9) >> 8) as u8;
        if ledger.reserve(footprint(size)).is_err() {
            return;
        }
        let path = scene.object(shard, name, size);
        ledger.settle(Place::Shard(shard), footprint(size), footprint(size));
        if name.is_multiple_of(2) {
            let freeing = ledger.freeing(Place::Shard(shard));
            fs::remove_file(&path).unwrap();
            fs::remove_file(path.with_extension("map")).unwrap();
            freeing.done(footprint(size)).unwrap();
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_walk_while_others_write_and_unlink_never_counts_too_little() {
    let scene = Scene::new();
    let ledger = scene.ledger();
    let traffic = Traffic::default();
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let (scene, traffic) = (&scene, &traffic);
            scope.spawn(move || write_and_unlink(scene, writer, traffic));
        }
        for round in 1..=20 {
            ledger.reconcile(NOW + Duration::from_secs(round)).unwrap();
            let _still = traffic.gate.write().unwrap();
            assert!(used(&ledger) >= du(scene.dir.path()), "round {round}");
        }
        until("others have written", || traffic.done.load(Ordering::Relaxed) > 100);
        traffic.stop.store(true, Ordering::Relaxed);
    });
    let after_traffic = used(&ledger);
    ledger.reconcile(NOW).unwrap();
    let exact = used(&ledger);
    assert!(after_traffic >= exact && exact >= du(scene.dir.path()));
    ledger.reconcile(NOW).unwrap();
    assert_eq!(used(&ledger), exact, "a walk without traffic changes nothing");
}
