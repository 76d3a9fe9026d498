//! Readers in several processes that compare every byte they get with what the synthetic
//! object holds, and count how reads end.
//!
//! A test binary becomes a reader process by running itself with [`TASK`] set; its own
//! ignored test [`CHILD_TEST`] calls [`child`].

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use crate::process::run_within;
use crate::reader::{Means, Reader};
use crate::sys::Alarm;

/// The variable that holds a reader process's task, as JSON.
pub const TASK: &str = "TESTKIT_TASK";
/// The test that a test binary runs when it is a reader process.
pub const CHILD_TEST: &str = "reader_process";

/// A mounted file with synthetic content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    /// Where it is.
    pub path: PathBuf,
    /// Its key.
    pub key: String,
    /// Its version.
    pub version: u64,
    /// Its size in bytes.
    pub size: u64,
}

/// What one reader process does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// Decides files, means, offsets and lengths.
    pub seed: u64,
    /// What is read.
    pub targets: Vec<Target>,
    /// How: each read takes one of them.
    pub means: Vec<Means>,
    /// It ends after this many reads,
    pub reads: u64,
    /// and after this many seconds.
    pub seconds: u64,
    /// The longest read, in bytes.
    pub length_max: usize,
    /// Whether the kernel is made to forget a file's pages before every second read.
    pub forget_pages: bool,
    /// A SIGALRM every so many milliseconds; 0 is none.
    pub alarm_ms: u64,
}

/// How the reads of a process ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Reads that gave the right bytes.
    pub right: u64,
    /// Reads and opens that failed with EIO (EFAULT through a mapping).
    pub io_errors: u64,
    /// Reads and opens that failed with ESTALE.
    pub stale: u64,
    /// Any other failure, in words.
    pub other: Vec<String>,
    /// Wrong bytes, in words.
    pub wrong: Vec<String>,
    /// The longest any open or read took, in milliseconds.
    pub slowest_ms: u64,
    /// Signals that arrived meanwhile.
    pub alarms: u64,
}

impl Tally {
    /// All reads.
    pub fn reads(&self) -> u64 {
        let failed = self.io_errors + self.stale;
        self.right + failed + (self.other.len() + self.wrong.len()) as u64
    }

    /// The sum of two.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        self.right += other.right;
        self.io_errors += other.io_errors;
        self.stale += other.stale;
        self.other.extend(other.other);
        self.wrong.extend(other.wrong);
        self.slowest_ms = self.slowest_ms.max(other.slowest_ms);
        self.alarms += other.alarms;
        self
    }

    /// Panics where any read was not right.
    #[track_caller]
    pub fn assert_all_right(&self) {
        assert!(self.right > 0 && self.right == self.reads(), "{self:#?}");
    }

    fn count(&mut self, read: Result<(), Failure>) {
        match read {
            Ok(()) => self.right += 1,
            Err(Failure::Wrong(what)) => self.wrong.push(what),
            Err(Failure::Error(what, error)) => match error.raw_os_error() {
                Some(libc::EIO | libc::EFAULT) => self.io_errors += 1,
                Some(libc::ESTALE) => self.stale += 1,
                _ => self.other.push(format!("{what}: {error}")),
            },
        }
    }
}

enum Failure {
    Error(String, std::io::Error),
    Wrong(String),
}

/// Carries out a task in this process.
pub fn carry_out(task: &Task) -> Tally {
    let mut rng = Rng::with_seed(task.seed);
    let mut tally = Tally::default();
    let alarm = (task.alarm_ms > 0).then(|| Alarm::every(Duration::from_millis(task.alarm_ms)));
    let end = Instant::now() + Duration::from_secs(task.seconds);
    for _ in 0..task.reads {
        let begun = Instant::now();
        if begun >= end {
            break;
        }
        tally.count(read_once(task, &mut rng));
        let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tally.slowest_ms = tally.slowest_ms.max(took);
    }
    drop(alarm);
    tally.alarms = Alarm::rings();
    tally
}

fn read_once(task: &Task, rng: &mut Rng) -> Result<(), Failure> {
    let target = &task.targets[rng.usize(..task.targets.len())];
    let means = task.means[rng.usize(..task.means.len())];
    let offset = rng.u64(..target.size.max(1));
    let length = rng.usize(1..=task.length_max);
    let what = || format!("{means:?} of {length} bytes at {offset} of {}", target.path.display());
    let failed = |error| Failure::Error(what(), error);
    let reader = Reader::open(&target.path, means, target.size).map_err(failed)?;
    if task.forget_pages && rng.bool() {
        reader.forget_pages().map_err(failed)?;
    }
    let (at, length) = reader.fit(offset, length);
    let bytes = reader.read(at, length).map_err(failed)?;
    lab::synthetic::check(&target.key, target.version, at, &bytes)
        .map_err(|mismatch| Failure::Wrong(format!("{}: {mismatch}", what())))
}

/// Reads a target once from its first to its last byte.
#[track_caller]
pub fn check_whole(target: &Target, means: Means, step: usize) {
    let reader = Reader::open(&target.path, means, target.size).unwrap();
    let mut at = 0;
    while at < target.size {
        let (offset, length) = reader.fit(at, step);
        let bytes = reader.read(offset, length).unwrap_or_else(|error| {
            panic!("{} at {offset}: {error}", target.path.display());
        });
        lab::synthetic::check(&target.key, target.version, offset, &bytes).unwrap();
        at = offset + length as u64;
    }
}

/// Carries out each task in a process of its own, all at once; the sum of their tallies.
/// A process that hangs ends the test.
#[track_caller]
pub fn in_processes(tasks: Vec<Task>) -> Tally {
    let processes: Vec<_> =
        tasks.into_iter().map(|task| std::thread::spawn(move || in_a_process(&task))).collect();
    processes
        .into_iter()
        .map(|process| process.join().expect("a reader process failed"))
        .fold(Tally::default(), Tally::plus)
}

fn in_a_process(task: &Task) -> Tally {
    let answer = tempfile::NamedTempFile::new().expect("a file can be made");
    let mut reader = Command::new(std::env::current_exe().expect("this binary has a path"));
    reader
        .args(["--exact", CHILD_TEST, "--ignored", "--nocapture", "--test-threads=1"])
        .env(TASK, serde_json::to_string(&(task, answer.path())).unwrap());
    run_within(&mut reader, Duration::from_secs(task.seconds + 60)).ok();
    let text = std::fs::read_to_string(answer.path()).expect("the reader has answered");
    serde_json::from_str(&text).expect("the answer is a tally")
}

/// What the test [`CHILD_TEST`] does.
pub fn child() {
    let task = std::env::var(TASK).expect("this test is a reader process that others start");
    let (task, answer): (Task, PathBuf) = serde_json::from_str(&task).expect("the task is a task");
    let tally = carry_out(&task);
    write(&answer, &tally);
}

fn write(path: &Path, tally: &Tally) {
    std::fs::write(path, serde_json::to_string(tally).unwrap()).expect("the answer can be written");
}
