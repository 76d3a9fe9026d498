//! Complete objects that the kernel reads by itself, through a real mount.

mod world;

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fs::{Backings as _, Ttl};
use fuse::{Features, Wanted};
use mount::adapter::{Passthrough, stack_depth};
use testkit::exerciser::{Target, Task, check_whole, in_processes};
use testkit::reader::Means;
use testkit::sys::Mapping;
use testkit::{run, until};

use crate::harness::{MIB, busy, seed, task, undisturbed};
use world::{Scratch, Setting, World};

const SIZE: u64 = 5 * MIB + 123;
const HOUR: Ttl = Ttl::For(Duration::from_secs(3600));
/// Time for what the kernel does by the way, such as RELEASE after close(2).
const SOON: Duration = Duration::from_secs(10);

fn setting(cache: &Path) -> Setting {
    Setting { wanted: Wanted::default(), read_only: true, ttl: HOUR, cache: cache.to_owned() }
}

fn masked(cache: &Path) -> Setting {
    let default = Wanted::default();
    let features = default.features.without(Features::PASSTHROUGH);
    Setting { wanted: Wanted { features, ..default }, ..setting(cache) }
}

/// Means by which the kernel reads a backing file by itself.
const PASSED: [Means; 4] = [Means::Pread, Means::Preadv, Means::Mmap, Means::Sendfile];

#[test]
fn a_complete_object_is_read_by_every_means_without_a_request() {
    let cache = tempfile::tempdir().unwrap();
    let world = World::new(setting(cache.path()));
    let target = world.put("jar", SIZE);
    world.complete_target(&target);
    for means in PASSED {
        check_whole(&target, means, 300_000);
    }
    let counted = world.counted();
    assert_eq!((counted.opens_passed, counted.reads), (4, 0), "{counted:?}");
    // O_DIRECT goes on being served, whatever is cached: at any offset, into any memory.
    check_whole(&target, Means::Direct, 300_000);
    assert_eq!(read_unaligned(&target), Ok(()));
    assert!(world.counted().reads > 0);
    assert_eq!(world.store.take_counts().heads, 0);
}

fn read_unaligned(target: &Target) -> Result<(), lab::synthetic::Mismatch> {
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(libc::O_DIRECT).open(&target.path).unwrap();
    let mut bytes = vec![0; 1003];
    file.read_exact_at(&mut bytes[1..], 501).unwrap();
    lab::synthetic::check(&target.key, target.version, 501, &bytes[1..])
}

#[test]
fn without_passthrough_a_second_reading_is_the_page_caches() {
    let reads = || {
        let cache = tempfile::tempdir().unwrap();
        let world = World::new(masked(cache.path()));
        assert!(world.passthrough.is_none());
        let target = world.put("jar", SIZE);
        world.complete_target(&target);
        check_whole(&target, Means::Pread, 300_000);
        let first = world.counted().reads;
        assert!(first > 0);
        for means in PASSED {
            check_whole(&target, means, 300_000);
        }
        assert_eq!(world.counted().opens_cached, 5);
        world.counted().reads - first
    };
    let _turn = busy();
    assert_eq!(undisturbed(reads, |reads| *reads == 0), 0);
}

#[test]
fn a_program_runs_from_a_complete_object_and_from_one_that_is_not() {
    let cache = tempfile::tempdir().unwrap();
    let world = World::new(setting(cache.path()));
    let program = std::fs::read("/bin/echo").unwrap();
    world.store.put("echo", program.clone(), object::Time::from_secs(1_700_000_000));
    let says = |word: &str| {
        assert_eq!(run(Command::new(world.path("echo")).arg(word)).ok(), format!("{word}\n"));
    };
    says("cached");
    world.complete("echo", &program);
    until("nothing runs it", SOON, || {
        let before = world.counted();
        says("complete");
        let after = world.counted();
        after.opens_passed > before.opens_passed && after.reads == before.reads
    });
}

#[test]
fn a_read_only_mount_is_not_asked_for_attributes_after_each_read() {
    let attributes = |read_only| {
        let cache = tempfile::tempdir().unwrap();
        let world = World::new(Setting { read_only, ..setting(cache.path()) });
        let target = world.put("jar", SIZE);
        world.complete_target(&target);
        let file = File::open(&target.path).unwrap();
        let before = world.counted();
        for offset in 0..100 {
            file.read_exact_at(&mut [0; 100], offset * 1000).unwrap();
            assert_eq!(file.metadata().unwrap().len(), SIZE);
        }
        let after = world.counted();
        assert_eq!(after.reads, before.reads);
        after.getattrs - before.getattrs
    };
    assert_eq!(attributes(true), 0);
    // What it is that a read-only mount saves.
    assert!(attributes(false) > 0);
}

#[test]
fn a_name_is_passed_through_while_an_old_handle_and_an_old_mapping_live_on() {
    for ttl in [HOUR, Ttl::Minimal] {
        let cache = tempfile::tempdir().unwrap();
        let world = World::new(Setting { ttl, ..setting(cache.path()) });
        let target = world.put("jar", SIZE);
        let old = File::open(&target.path).unwrap();
        let mapping = Mapping::of(&File::open(&target.path).unwrap(), 2 << 20).unwrap();
        world.complete_target(&target);
        check_whole(&target, Means::Mmap, 300_000);
        check_whole(&target, Means::Pread, 300_000);
        let counted = world.counted();
        let modes = (counted.opens_cached, counted.opens_passed, counted.opens_stale);
        assert_eq!((modes, counted.reads), ((2, 2, 1), 0), "{ttl:?}");
        let new = std::fs::metadata(&target.path).unwrap();
        let before = old.metadata().unwrap();
        assert_eq!((before.ino(), before.len(), before.mtime()), (new.ino(), SIZE, new.mtime()));
        // The old ones go on as they were opened.
        assert_eq!(read_mapped(&mapping, &target), Ok(()));
        let mut bytes = vec![0; 70_000];
        old.read_exact_at(&mut bytes, 3 << 20).unwrap();
        assert_eq!(lab::synthetic::check(&target.key, target.version, 3 << 20, &bytes), Ok(()));
        assert!(world.counted().reads > 0);
        // One that is opened anew by its descriptor has no name to look up.
        let again = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&old));
        File::open(again).unwrap().read_exact_at(&mut bytes, 3 << 20).unwrap();
        assert_eq!(lab::synthetic::check(&target.key, target.version, 3 << 20, &bytes), Ok(()));
    }
}

fn read_mapped(mapping: &Mapping, target: &Target) -> Result<(), lab::synthetic::Mismatch> {
    let copy = tempfile::tempfile().unwrap();
    let copied = mapping.copy_to(100_000, 1 << 20, &copy).unwrap();
    let mut bytes = vec![0; copied];
    copy.read_exact_at(&mut bytes, 0).unwrap();
    lab::synthetic::check(&target.key, target.version, 100_000, &bytes)
}

/// Free bytes of the file system that `path` lies on.
fn free(path: &Path) -> u64 {
    let figures = rustix::fs::statvfs(path).unwrap();
    figures.f_bfree * figures.f_frsize
}

#[test]
fn the_space_of_an_evicted_object_returns_with_its_last_reader() {
    let cache = Scratch::tmpfs(64);
    let world = World::new(setting(cache.path()));
    let target = world.put("jar", SIZE);
    let empty = free(cache.path());
    world.complete_target(&target);
    let file = File::open(&target.path).unwrap();
    let mapping = Mapping::of(&file, 2 << 20).unwrap();
    world.evict("jar");
    assert!(free(cache.path()) <= empty - SIZE);
    check_whole(&target, Means::Pread, 300_000);
    assert_eq!((world.counted().opens_passed, world.counted().reads), (2, 0));
    drop(file);
    // A mapping reads on without any handle.
    assert_eq!(read_mapped(&mapping, &target), Ok(()));
    assert!(free(cache.path()) <= empty - SIZE);
    drop(mapping);
    until("the space returns", SOON, || free(cache.path()) == empty);
    check_whole(&target, Means::Pread, 300_000);
    assert_eq!(world.counted().opens_cached, 1);
}

#[test]
fn a_successor_opens_beside_the_handles_that_its_predecessor_passed_through() {
    let cache = tempfile::tempdir().unwrap();
    let mut world = World::new(setting(cache.path()));
    let target = world.put("jar", SIZE);
    world.complete_target(&target);
    let old = File::open(&target.path).unwrap();
    world.succeed();
    world.evict("jar");
    for means in PASSED {
        check_whole(&target, means, 300_000);
    }
    old.read_exact_at(&mut [0; 100], 0).unwrap();
    let counted = world.counted();
    assert_eq!((counted.opens_passed, counted.reads), (4, 0), "{counted:?}");
}

/// A cache that gets objects and loses them at random until `done`, beside a reader that keeps
/// files open all the while.
fn come_and_go(world: &World, targets: &[Target], seed: u64, done: &AtomicBool) {
    const KEPT: usize = 100;
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut kept = VecDeque::new();
    while !done.load(Ordering::Relaxed) {
        let target = &targets[rng.usize(..targets.len())];
        match rng.u8(..3) {
            0 => world.evict(&target.key),
            1 => world.complete_target(target),
            _ => kept.push_back(File::open(&target.path).unwrap()),
        }
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }
}

#[test]
fn readers_in_many_processes_notice_nothing_of_objects_that_come_and_go() {
    const FILES: u64 = 300;
    const PROCESSES: u64 = 8;
    const OPENS: u64 = 3000;
    let _turn = busy();
    let cache = tempfile::tempdir().unwrap();
    for ttl in [HOUR, Ttl::Minimal] {
        let world = World::new(Setting { ttl, ..setting(cache.path()) });
        let targets: Vec<_> =
            (0..FILES).map(|n| world.put(&format!("jar{n}"), 70_000 + 1013 * n)).collect();
        let done = AtomicBool::new(false);
        let seed = seed();
        let tally = std::thread::scope(|scope| {
            scope.spawn(|| come_and_go(&world, &targets, seed, &done));
            let reader = |n| Task {
                reads: OPENS,
                seconds: 240,
                length_max: 64 * 1024,
                ..task(seed + n, targets.clone())
            };
            let tasks = (0..PROCESSES).map(reader).collect();
            let tally = scope.spawn(|| in_processes(tasks)).join();
            done.store(true, Ordering::Relaxed);
            tally.unwrap()
        });
        let counted = world.counted();
        println!("{ttl:?}: {counted:?}");
        tally.assert_all_right();
        assert_eq!(tally.right, PROCESSES * OPENS);
        assert!(counted.opens_passed > 1000 && counted.opens_cached > 1000, "{counted:?}");
        assert!(counted.opens_stale > 10, "{counted:?}");
        targets.iter().for_each(|target| world.evict(&target.key));
    }
}

#[test]
fn files_on_an_overlayfs_need_a_deeper_stack_and_are_not_tried_without() {
    let layers = tempfile::tempdir().unwrap();
    let plain = tempfile::tempdir().unwrap();
    let lower = tempfile::tempdir().unwrap();
    let overlay = Scratch::overlayfs(lower.path(), layers.path());
    let depth = |path: &Path| stack_depth(File::open(path).unwrap()).unwrap();
    assert_eq!((depth(plain.path()), depth(overlay.path())), (1, 2));
    for (max_stack_depth, works) in [(1, false), (2, true)] {
        let wanted = Wanted { max_stack_depth, ..Wanted::default() };
        let world = World::new(Setting { wanted, ..setting(overlay.path()) });
        let target = world.put("jar", SIZE);
        world.complete_target(&target);
        let passthrough = world.passthrough.as_ref().unwrap();
        let probed = passthrough.probe(&File::open(overlay.path().join("jar")).unwrap());
        match works {
            true => probed.unwrap(),
            false => assert_eq!(probed.unwrap_err().raw_os_error(), Some(libc::ELOOP)),
        }
        assert_eq!(passthrough.available(), works);
        check_whole(&target, Means::Pread, 300_000);
        assert_eq!(world.counted().opens_passed, u64::from(works));
    }
}

#[test]
fn without_the_right_to_register_files_everything_is_read_as_before() {
    let cache = tempfile::tempdir().unwrap();
    let world = World::new(setting(cache.path()));
    let target = world.put("jar", SIZE);
    world.complete_target(&target);
    let passthrough: &Passthrough = world.passthrough.as_ref().unwrap();
    std::thread::scope(|scope| {
        // Rights are the thread's own.
        scope.spawn(|| {
            use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
            let mut sets = capabilities(None).unwrap();
            sets.effective.remove(CapabilitySet::SYS_ADMIN);
            set_capabilities(None, sets).unwrap();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"x").unwrap();
            assert_eq!(passthrough.register(&file), None);
        });
    });
    assert!(!passthrough.available());
    check_whole(&target, Means::Pread, 300_000);
    assert_eq!((world.counted().opens_cached, world.counted().opens_passed), (1, 0));
}

#[test]
fn an_overlayfs_on_top_reads_on_when_an_object_becomes_complete_under_its_old_handle() {
    for ttl in [HOUR, Ttl::Minimal] {
        let (cache, layers) = (tempfile::tempdir().unwrap(), Scratch::tmpfs(64));
        let world = World::new(Setting { ttl, ..setting(cache.path()) });
        let target = world.put("jar", SIZE);
        let overlay = Scratch::overlayfs(world.root(), layers.path());
        let above = Target { path: overlay.path().join("jar"), ..target.clone() };
        let old = File::open(&above.path).unwrap();
        world.complete_target(&target);
        for target in [&above, &target, &above] {
            check_whole(target, Means::Pread, 300_000);
            check_whole(target, Means::Mmap, 300_000);
            // Longer than the kernel trusts a name in minimal mode.
            std::thread::sleep(Duration::from_millis(150));
        }
        assert_eq!((world.counted().opens_passed, world.counted().opens_stale), (0, 0), "{ttl:?}");
        drop(old);
        until("it is passed through", SOON, || {
            check_whole(&above, Means::Pread, 300_000);
            world.counted().opens_passed > 0
        });
    }
}
