//! Power cuts: the disk forgets what had not reached it, and everything starts anew with another
//! boot. Nothing wrong is read afterwards, and little is fetched again.

use std::time::Duration;

use testkit::disk::{Disk, FileSystem, usage};
use testkit::exerciser::{Target, carry_out, check_whole};
use testkit::reader::Means;
use testkit::{Bucket, Mount, Server};

use crate::cache::{gets, killed};
use crate::harness::{MIB, busy, counted, seed, target, task};

const DISK: u64 = 512 * MIB;
const LIMIT: u64 = 160 * MIB;
const SIZE: u64 = 8 * MIB - 4321;
/// What was complete so long before a cut is on the disk.
const SETTLED: Duration = Duration::from_secs(5);

struct World<'a> {
    bucket: Bucket<'a>,
    disk: Disk,
    boot: u64,
}

impl World<'_> {
    fn mount(&self) -> Mount {
        let cache = self.disk.path().join("cache");
        let (limit, boot) = (format!("{}MiB", LIMIT / MIB), format!("boot-{}", self.boot));
        let words = ["--cache", cache.to_str().unwrap(), "--max-cache-size", &limit];
        let boot = ["--boot-id", &boot, "--metadata-ttl", "indefinite"];
        counted(&self.bucket, &[&words[..], &boot].concat())
    }

    /// So many new objects.
    fn put(&self, mount: &Mount, name: &str, count: u64) -> Vec<Target> {
        let put = |number| {
            let key = format!("{name}-{}-{number}.jar", self.boot);
            self.bucket.put_synthetic(&key, SIZE, 1);
            target(mount, &key, 1, SIZE)
        };
        (0..count).map(put).collect()
    }

    /// Cuts the power while `mount` fills the cache, and starts everything anew.
    fn cut(&mut self, mount: Mount, reading: Vec<Target>, seed: u64) -> Mount {
        let wait = Duration::from_millis(fastrand::Rng::with_seed(seed).u64(0..400));
        let readers: Vec<_> = (0..2)
            .map(|number| {
                let reads = task(seed + number, reading.clone());
                std::thread::spawn(move || carry_out(&reads))
            })
            .collect();
        std::thread::sleep(wait);
        self.disk.cut_power();
        for reader in readers {
            // Errors are what a dead disk may give; wrong bytes are not.
            assert_eq!(reader.join().unwrap().wrong, Vec::<String>::new());
        }
        killed(mount);
        self.disk.come_back();
        self.boot += 1;
        self.mount()
    }
}

/// A cache in use, a cut, and what is left: bytes fetched again of what had settled.
fn one_cut(world: &mut World<'_>, mount: Mount, seed: u64) -> (Mount, u64) {
    let server = world.bucket.server;
    let read = |targets: &[Target]| {
        for target in targets {
            check_whole(target, Means::Pread, 1 << 20);
        }
    };
    let settled = world.put(&mount, "settled", 6);
    read(&settled);
    std::thread::sleep(SETTLED / 2);
    // Used but once, they would give way to those that are read after the cut.
    read(&settled);
    std::thread::sleep(SETTLED / 2);
    let late = world.put(&mount, "late", 4);
    let mount = world.cut(mount, late.clone(), seed);
    let again = |targets: Vec<Target>| -> Vec<Target> {
        targets.into_iter().map(|old| target(&mount, &old.key, 1, SIZE)).collect()
    };
    gets(server);
    read(&again(settled));
    let (_, lost) = gets(server);
    read(&again(late));
    let used = usage(&world.disk.path().join("cache"));
    assert!(used <= LIMIT, "{used} bytes are used");
    (mount, lost)
}

fn cuts(file_system: FileSystem, cuts: u64) {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("power");
    let seed = seed();
    let mut world = World { bucket, disk: Disk::new(file_system, DISK), boot: 0 };
    let (mut mount, mut lost) = (world.mount(), 0);
    for cut in 0..cuts {
        let (next, bytes) = one_cut(&mut world, mount, seed + 2 * cut);
        println!("cut {cut}: {bytes} bytes of {} were lost", 6 * SIZE);
        (mount, lost) = (next, lost + bytes);
    }
    drop(mount);
    let settled = cuts * 6 * SIZE;
    assert!(lost * 20 <= settled, "{lost} bytes of {settled} were lost");
}

#[test]
fn five_power_cuts_on_ext4() {
    cuts(FileSystem::Ext4, 5);
}

#[test]
fn five_power_cuts_on_xfs() {
    cuts(FileSystem::Xfs, 5);
}

#[test]
#[ignore = "takes a quarter of an hour: make test-power"]
fn a_hundred_power_cuts_on_ext4() {
    cuts(FileSystem::Ext4, 100);
}

#[test]
#[ignore = "takes a quarter of an hour: make test-power"]
fn a_hundred_power_cuts_on_xfs() {
    cuts(FileSystem::Xfs, 100);
}
