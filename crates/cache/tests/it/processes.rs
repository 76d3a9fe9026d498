//! Several processes on one directory: real ones, which are this very test started again.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cache::{Cache, Options, Unlimited};
use object::{
    BLOCK, Budget, CHUNK, Clock, ETag, Error, ErrorKind, Flight, Key, Lease, Listing,
    ListingRequest, Meta, Result, Source, Span, Store, Version,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::harness::{PART, object_file, parts, scope, until};

/// What a process is told by its environment: directory, file that counts, milliseconds for each
/// chunk, sizes of the objects to be read.
const DIR: &str = "CACHE_IT_DIR";
const COUNTER: &str = "CACHE_IT_COUNTER";
const PACE: &str = "CACHE_IT_PACE";
const SIZES: &str = "CACHE_IT_SIZES";

/// Bytes that follow from size and offset, and a line in a common file for each read.
struct Slow {
    counter: PathBuf,
    pace: Duration,
}

fn byte(size: u64, at: u64) -> u8 {
    ((at / 251).wrapping_mul(size | 1) + at) as u8
}

fn version(size: u64) -> Arc<Version> {
    let key = Key::new(&format!("object-{size}")).unwrap();
    Arc::new(Version { key, etag: ETag::new("one"), size })
}

impl Source for Slow {
    fn read(&self, version: &Arc<Version>, span: Span, lease: Lease) -> Arc<Flight> {
        let mut counter = File::options().append(true).open(&self.counter).unwrap();
        counter.write_all(format!("{} {span}\n", version.key).as_bytes()).unwrap();
        let (flight, mut pilot) = Flight::new(span, lease);
        let (pace, size) = (self.pace, version.size);
        tokio::spawn(async move {
            while let Some(mut buffer) = pilot.buffer(0) {
                tokio::select! {
                    () = tokio::time::sleep(pace) => {}
                    () = pilot.abandoned() => return,
                }
                let at = pilot.landed();
                (at..).zip(buffer.iter_mut()).for_each(|(at, place)| *place = byte(size, at));
                pilot.land(buffer);
            }
            pilot.finish(Ok(()));
        });
        flight
    }
}

#[async_trait]
impl Store for Slow {
    async fn head(&self, _key: &Key) -> Result<Meta> {
        Err(Error::new(ErrorKind::Invalid, "not asked for here"))
    }

    async fn list(&self, _request: &ListingRequest) -> Result<Listing> {
        Err(Error::new(ErrorKind::Invalid, "not asked for here"))
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "is a process of its own, started by the other tests"]
#[allow(clippy::disallowed_methods)] // it is told by its environment
async fn a_process_that_reads() {
    let told = |name| std::env::var(name).unwrap();
    let budget = Budget::new(128 << 20);
    let cache = Cache::open(Options {
        dir: told(DIR).into(),
        boot: "boot".into(),
        budget: budget.clone(),
        clock: Clock::start(),
        spacious: Unlimited::spacious(),
        fresh: u64::MAX,
    });
    let pace = Duration::from_millis(told(PACE).parse().unwrap());
    let store = Slow { counter: told(COUNTER).into(), pace };
    let cache = cache.unwrap();
    let cached = cache.around(scope(), Arc::new(store));
    for size in told(SIZES).split(',').map(|size| size.parse().unwrap()) {
        let version = version(size);
        for span in parts(size) {
            let lease = budget.lease(span.len()).await;
            let flight = cached.read(&version, span, lease);
            for number in span.chunks() {
                let chunk = flight.landed(number).await.unwrap();
                let mut bytes = (number * CHUNK..).zip(chunk.iter());
                assert!(bytes.all(|(at, found)| *found == byte(size, at)));
                flight.release(number);
            }
        }
    }
    cache.close().await;
}

struct Nodes {
    dir: TempDir,
}

impl Nodes {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("cache-it-").tempdir().unwrap();
        fs::write(dir.path().join("counter"), "").unwrap();
        Self { dir }
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    /// Starts a process that reads objects of these sizes, one chunk in `pace` milliseconds.
    fn start(&self, pace: u64, sizes: &[u64]) -> Process {
        let sizes: Vec<_> = sizes.iter().map(u64::to_string).collect();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "--ignored", "--nocapture", "processes::a_process_that_reads"])
            .env(DIR, self.cache())
            .env(COUNTER, self.dir.path().join("counter"))
            .env(PACE, pace.to_string())
            .env(SIZES, sizes.join(","))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Process(command.spawn().unwrap())
    }

    /// The reads of all processes so far.
    fn reads(&self) -> Vec<String> {
        let text = fs::read_to_string(self.dir.path().join("counter")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// How many blocks of an object are recorded.
    fn recorded(&self, size: u64) -> usize {
        let map = fs::read(object_file(&self.cache(), &version(size), "map"));
        let map = map.unwrap_or_default();
        map.chunks(16).skip(4096 / 16).filter(|record| record.iter().any(|byte| *byte != 0)).count()
    }
}

struct Process(Child);

impl Process {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    fn is_over(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Waits for the end, which must be a good one.
    async fn ends_well(mut self) {
        until("the process ends", || self.is_over()).await;
        let mut said = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(self.0.wait().unwrap().success(), "{said}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn plan(sizes: &[u64]) -> Vec<String> {
    let reads = sizes.iter().flat_map(|size| {
        parts(*size).into_iter().map(move |span| format!("{} {span}", version(*size).key))
    });
    let mut reads: Vec<_> = reads.collect();
    reads.sort();
    reads
}

#[tokio::test]
async fn ten_processes_that_start_at_once_read_each_part_once() {
    let nodes = Nodes::new();
    let sizes = [10 << 20, (24 << 20) + 5, 3 << 20, 1000];
    for round in 0..2 {
        let processes: Vec<_> = (0..10).map(|_| nodes.start(1, &sizes)).collect();
        for process in processes {
            process.ends_well().await;
        }
        let mut reads = nodes.reads();
        reads.sort();
        assert_eq!(reads, plan(&sizes), "round {round}");
    }
}

#[tokio::test]
async fn who_is_killed_while_it_fetches_is_replaced_within_a_second() {
    let nodes = Nodes::new();
    let owner = nodes.start(60, &[PART]);
    until("a block is recorded", || nodes.recorded(PART) >= 1).await;
    let mut waiter = nodes.start(1, &[PART]);
    let (before, progress) = (nodes.recorded(PART), 2);
    until("more is", || nodes.recorded(PART) >= before + progress || waiter.is_over()).await;
    assert_eq!(nodes.reads().len(), 1, "it waits");
    owner.signal(Signal::KILL);
    let killed = tokio::time::Instant::now();
    until("it is replaced", || nodes.reads().len() == 2).await;
    assert!(killed.elapsed() < Duration::from_secs(1), "{:?}", killed.elapsed());
    waiter.ends_well().await;
    assert_eq!(nodes.recorded(PART), 8);
    let again = &nodes.reads()[1];
    assert!(!again.contains(" 0.."), "what was recorded is not fetched again: {again}");
}

#[tokio::test]
async fn who_is_stopped_while_it_fetches_is_passed_by() {
    let nodes = Nodes::new();
    let owner = nodes.start(60, &[PART]);
    until("a block is recorded", || nodes.recorded(PART) >= 1).await;
    owner.signal(Signal::STOP);
    let before = nodes.recorded(PART);
    let others = [nodes.start(1, &[PART]), nodes.start(1, &[PART])];
    for other in others {
        other.ends_well().await;
    }
    assert_eq!(nodes.recorded(PART), before, "nobody writes to blocks that another has claimed");
    owner.signal(Signal::CONT);
    owner.ends_well().await;
    assert_eq!(nodes.recorded(PART), 8);
    assert_eq!(nodes.reads().len(), 3);
}

#[tokio::test]
async fn waiting_for_one_part_keeps_nobody_from_another() {
    let nodes = Nodes::new();
    let sizes = [PART, 2 * BLOCK];
    let owner = nodes.start(100, &sizes[..1]);
    until("it is asked for", || nodes.reads().len() == 1).await;
    let mut both = [nodes.start(1, &[sizes[0]]), nodes.start(1, &[sizes[1]])];
    until("the other one is read", || both[1].is_over()).await;
    assert!(!both[0].is_over());
    for process in both {
        process.ends_well().await;
    }
    owner.ends_well().await;
    assert_eq!(nodes.reads().len(), 2);
}
