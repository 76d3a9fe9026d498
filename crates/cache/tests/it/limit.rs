//! The limit, kept by several real processes on real file systems.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cache::map::codec::{Header, Mark};
use cache::{Cache, Directory, Ledger, Limit, Opened, Options, Room, Space, footprint, overhead};
use object::{
    BLOCK, Budget, Clock, ETag, Error, ErrorKind, Flight, Key, Lease, Listing, ListingRequest,
    Meta, Result, Source, Span, Store, Time, Version,
};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use tempfile::TempDir;

use crate::harness::{parts, scope};

/// What a process is told by its environment: directory, limit in bytes, its name, how many
/// objects of which size in bytes.
const DIR: &str = "CACHE_LIMIT_DIR";
const LIMIT: &str = "CACHE_LIMIT_BYTES";
const NAME: &str = "CACHE_LIMIT_NAME";
const COUNT: &str = "CACHE_LIMIT_COUNT";
const SIZE: &str = "CACHE_LIMIT_SIZE";

/// How often `du` looks.
const EVERY: Duration = Duration::from_millis(100);
/// No process of these tests takes longer.
const PROCESS_MAX: Duration = Duration::from_secs(120);

#[allow(clippy::disallowed_methods)] // the processes are told by their environment
fn told(name: &str) -> String {
    std::env::var(name).unwrap()
}

fn told_number(name: &str) -> u64 {
    told(name).parse().unwrap()
}

fn versions() -> impl Iterator<Item = Arc<Version>> {
    let (name, size) = (told(NAME), told_number(SIZE));
    (0..told_number(COUNT)).map(move |number| {
        let key = Key::new(&format!("{name}/{number}")).unwrap();
        Arc::new(Version { key, etag: ETag::new("one"), size })
    })
}

/// Every object is full of sevens.
struct Sevens;

impl Source for Sevens {
    fn read(&self, _version: &Arc<Version>, span: Span, lease: Lease) -> Arc<Flight> {
        let (flight, mut pilot) = Flight::new(span, lease);
        tokio::spawn(async move {
            while let Some(mut buffer) = pilot.buffer(0) {
                buffer.fill(7);
                pilot.land(buffer);
                tokio::task::yield_now().await;
            }
            pilot.finish(Ok(()));
        });
        flight
    }
}

#[async_trait]
impl Store for Sevens {
    async fn head(&self, _key: &Key) -> Result<Meta> {
        Err(Error::new(ErrorKind::Invalid, "not asked for here"))
    }

    async fn list(&self, _request: &ListingRequest) -> Result<Listing> {
        Err(Error::new(ErrorKind::Invalid, "not asked for here"))
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "is a process of its own, started by the other tests"]
async fn a_process_that_reads_through_a_cache() {
    let (budget, clock) = (Budget::new(128 << 20), Clock::start());
    let cache = Cache::open(Options {
        dir: told(DIR).into(),
        boot: "boot".into(),
        budget: budget.clone(),
        clock: clock.clone(),
        spacious: Room::spacious(Limit::Bytes(told_number(LIMIT)), clock),
        fresh: u64::MAX,
    });
    let cache = cache.unwrap();
    let cached = cache.around(scope(), Arc::new(Sevens));
    for version in versions() {
        for span in parts(version.size) {
            let lease = budget.lease(span.len()).await;
            let flight = cached.read(&version, span, lease);
            for number in span.chunks() {
                assert!(flight.landed(number).await.unwrap().iter().all(|byte| *byte == 7));
                flight.release(number);
            }
        }
    }
    cache.close().await;
    assert!(cache.counts().filled_bytes > 0);
}

#[test]
#[ignore = "is a process of its own, started by the other tests"]
fn a_process_that_fills() {
    let directory = Arc::new(Directory::open(Path::new(&told(DIR))).unwrap());
    let limit = Limit::Bytes(told_number(LIMIT));
    let room = Room::open(Arc::clone(&directory), limit, 1, Clock::start()).unwrap();
    for version in versions() {
        let header = Header::new(&scope(), &version);
        let charge = footprint(version.size);
        if !room.reserve(charge, &|| {}) {
            continue;
        }
        let Opened::Found(files) = directory.make_object(&header, &Mark::default()).unwrap() else {
            panic!("not made");
        };
        // As every filler does: from now on nobody evicts it. If it was evicted before, then what
        // was made of it was counted as free, and so it has to be counted as used first. Whoever
        // just evicts has the claim for a moment.
        while !files.map.try_claim(0..header.blocks()).unwrap() {
            pause(Duration::from_millis(1));
        }
        let written = match files.unlinked().unwrap() {
            true => overhead(version.size),
            false => charge,
        };
        if written == charge {
            fallocate(&files.data, FallocateFlags::empty(), 0, version.size).unwrap();
            (0..header.blocks()).for_each(|number| files.map.record(number, 7).unwrap());
        }
        room.settle(header.identity.shard(), charge, written);
    }
}

struct Process(Child);

impl Process {
    /// Waits for its end, which must be a good one.
    fn end(mut self) {
        let clock = Clock::start();
        let begun = clock.now();
        let status = loop {
            match self.0.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(clock.now().since(begun) < PROCESS_MAX, "it does not end"),
            }
            pause(Duration::from_millis(2));
        };
        assert!(status.success(), "{status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[allow(clippy::disallowed_methods)] // `du` looks at a beat
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// A directory for a cache, perhaps on a file system of its own.
struct Place {
    dir: TempDir,
    mounted: bool,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("cache-limit-").tempdir().unwrap();
        fs::create_dir(dir.path().join("fs")).unwrap();
        Self { dir, mounted: false }
    }

    fn on_tmpfs() -> Self {
        let mut place = Self::new();
        place.mount(&["-t", "tmpfs", "-o", "size=1g", "cache-limit"]);
        place
    }

    /// ext4 on a loop device of so many bytes.
    fn on_ext4(bytes: u64) -> Self {
        let mut place = Self::new();
        let image = place.dir.path().join("image");
        fs::File::create(&image).unwrap().set_len(bytes).unwrap();
        let image = image.to_str().unwrap();
        run("mkfs.ext4", &["-q", "-F", image]);
        place.mount(&["-o", "loop", image]);
        place
    }

    fn mount(&mut self, what: &[&str]) {
        let target = self.fs();
        let target = target.to_str().unwrap();
        run("mount", &[what, &[target]].concat());
        self.mounted = true;
        // What a new ext4 lets others write to or read is no matter of these tests.
        run("chmod", &["700", target]);
    }

    fn fs(&self) -> PathBuf {
        self.dir.path().join("fs")
    }

    fn cache(&self) -> PathBuf {
        self.fs().join("cache")
    }

    fn start(&self, what: &str, name: &str, limit: u64, (count, size): (u64, u64)) -> Process {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "--ignored", "--nocapture", &format!("limit::{what}")])
            .env(DIR, self.cache())
            .env(LIMIT, limit.to_string())
            .env(NAME, name)
            .env(COUNT, count.to_string())
            .env(SIZE, size.to_string())
            .stdout(Stdio::null());
        Process(command.spawn().unwrap())
    }

    /// `du` and free bytes, from time to time, until all `processes` have ended; answers the most
    /// and the least.
    fn watch(&self, processes: Vec<Process>) -> (u64, u64) {
        let (mut most, mut least) = (0, u64::MAX);
        let mut look = || {
            most = most.max(du(&self.cache()));
            let stat = statvfs(self.fs()).unwrap();
            least = least.min(stat.f_bavail * stat.f_frsize);
        };
        for mut process in processes {
            while process.0.try_wait().unwrap().is_none() {
                look();
                pause(EVERY);
            }
            process.end();
        }
        look();
        (most, least)
    }

    fn ledger(&self) -> Arc<Ledger> {
        let directory = Directory::open(&self.cache()).unwrap();
        Ledger::open(directory.as_fd(), Limit::Bytes(1 << 40), 1).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.mounted {
            run("umount", &["-l", self.fs().to_str().unwrap()]);
        }
    }
}

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
}

/// As `du` counts it, in bytes.
fn du(path: &Path) -> u64 {
    let Ok(stat) = fs::symlink_metadata(path) else { return 0 };
    let inside = stat.is_dir().then(|| fs::read_dir(path)).into_iter().flatten();
    let inside = inside.flatten().flatten().map(|entry| du(&entry.path()));
    stat.blocks() * 512 + inside.sum::<u64>()
}

const READS: &str = "a_process_that_reads_through_a_cache";
const FILLS: &str = "a_process_that_fills";

#[track_caller]
fn check_three_readers(place: &Place) {
    let limit = 96 * BLOCK;
    let reader = |name| place.start(READS, name, limit, (24, 5 * BLOCK + 77));
    let (most, _) = place.watch(["a", "b", "c"].map(reader).into());
    assert!(most <= limit, "{most} of {limit}");
    assert!(most > limit / 2, "the cache was used: {most}");
}

#[test]
fn du_is_never_above_the_limit_on_ext4() {
    check_three_readers(&Place::on_ext4(1 << 30));
}

#[test]
fn du_is_never_above_the_limit_on_tmpfs() {
    check_three_readers(&Place::on_tmpfs());
}

#[test]
fn a_small_disk_is_never_filled_by_a_limit_above_it() {
    let place = Place::on_ext4(256 << 20);
    let reader = |name| place.start(READS, name, 53_687_091_200, (30, 8 * BLOCK));
    let (most, least) = place.watch(["a", "b"].map(reader).into());
    assert!(most > 100 * BLOCK, "the cache was used: {most}");
    assert!(least > 4 * BLOCK, "{least} bytes were free");
}

#[test]
fn two_hundred_processes_keep_the_limit_and_count_right() {
    let place = Place::on_tmpfs();
    let limit = 64 * BLOCK;
    let start = |number: u64| place.start(FILLS, &number.to_string(), limit, (10, 200_000));
    let (most, _) = place.watch((0..200).map(start).collect());
    assert!(most <= limit, "{most} of {limit}");
    assert!(most > limit / 2, "the cache was used: {most}");
    let ledger = place.ledger();
    let counted = ledger.usage().unwrap();
    assert_eq!((counted.reserved, counted.doubt), (0, 0));
    ledger.reconcile(Time::from_secs(1)).unwrap();
    let walked = ledger.usage().unwrap();
    // The walk also finds the small files beside the objects, which are paid for otherwise; and
    // objects that were evicted when they had only just been made leave a page each.
    assert!(counted.used + 8 * 4096 >= walked.used, "{counted:?} {walked:?}");
    assert!(counted.used <= walked.used + 2 * BLOCK, "{counted:?} {walked:?}");
}

#[test]
fn processes_that_are_killed_at_any_point_never_bring_it_above_the_limit() {
    let place = Place::on_tmpfs();
    let limit = 64 * BLOCK;
    let mut most = 0;
    for round in 0..60 {
        let start = |name| place.start(FILLS, &format!("{round}/{name}"), limit, (1000, 1 << 20));
        let processes = [start("a"), start("b")];
        // From before the first reservation to deep in evictions.
        pause(Duration::from_millis(3 + round));
        drop(processes);
        most = most.max(du(&place.cache()));
    }
    assert!(most <= limit, "{most} of {limit}");
    assert!(most > limit / 2, "the cache was used: {most}");
    let ledger = place.ledger();
    assert!(ledger.usage().unwrap().used >= du(&place.cache()));
    ledger.reconcile(Time::from_secs(1)).unwrap();
    let used = ledger.usage().unwrap().used;
    assert!((du(&place.cache())..=limit).contains(&used), "{used}");
    drop(ledger);
    place.start(FILLS, "after", limit, (100, 1 << 20)).end();
    assert!(du(&place.cache()) <= limit);
}
