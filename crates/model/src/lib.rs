//! The reference model: what a mount may answer, as a small state in memory, and random programs
//! that are run on it and on a [`System`] side by side.
//!
//! The state is the store's objects with their past, and of this mount what matters to others:
//! the names that are only here, who writes what, and which version a descriptor was opened on.
//! Whether an answer was kept by anybody on the way is not in it. So what is done here, or was
//! seen to be done by this mount, is answered exactly; what others do behind its back is answered
//! by a state that the store had within [`Ages`], and exactly once those have passed.
//!
//! Not in it: an object `d` beside objects `d/…`, and objects with attributes of their own.

#![forbid(unsafe_code)]
#![allow(clippy::expect_used, clippy::disallowed_methods)] // only tests use it

mod expect;
mod names;
mod run;
mod state;
mod step;

use std::time::Duration;

use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

pub use rustix::io::Errno;

pub use run::Model;
pub use step::{How, Length, Restart, Step, Trouble, programs};

/// The keys of a program's objects, below whatever the system puts before them.
pub const KEYS: [&str; 5] = ["a", "a!", "d/x", "d/y", "e/f/g"];
/// The directories that they imply.
pub const DIRECTORIES: [&str; 3] = ["d", "e", "e/f"];

/// A descriptor, by the number that the system gave it.
pub type Fd = u64;
/// What a call answers.
pub type Answer<T> = Result<T, Errno>;

/// What the mount allows, and what is trusted for how long.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// `--allow-overwrite`.
    pub overwrite: bool,
    /// `--allow-delete`.
    pub delete: bool,
    /// How old answers may be.
    pub ages: Ages,
    /// Whether listings outlive the process, so that another one may show what they say.
    pub remembers: bool,
    /// Whether a lost answer is made up for below the file system, so that nobody hears of it.
    pub heals: bool,
}

/// How old what is said of a file may be that others change: the time from the store's answer to
/// ours.
#[derive(Clone, Copy, Debug)]
pub struct Ages {
    /// By an open.
    pub open: Duration,
    /// By anything else.
    pub name: Duration,
}

/// What a program runs on: a mount, the store behind it, and the time.
pub trait System {
    /// The time, from any start. Never goes back.
    fn now(&self) -> Duration;
    /// Lets time pass.
    fn pass(&mut self, time: Duration);
    /// Whether this kind of step can be run at all.
    fn can(&self, step: &Step) -> bool;
    /// Whether a call that waits for somebody's close in vain is worth its time.
    fn is_patient(&self) -> bool;

    /// Somebody else puts an object.
    fn put(&mut self, key: &str, text: &str);
    /// Somebody else deletes one.
    fn remove(&mut self, key: &str);
    /// What the store has.
    fn stored(&mut self, key: &str) -> Option<String>;
    /// What happens to writes from now on.
    fn trouble(&mut self, trouble: Option<Trouble>);
    /// Waits until the store was asked by the mount for `puts` new versions at least, in all, and
    /// nothing is under way.
    fn settle(&mut self, puts: u64);
    /// How many new versions and deletions the store was asked for, where that is exact.
    fn asked(&mut self) -> Option<(u64, u64)>;

    /// Another process takes over, or a mount begins anew.
    fn restart(&mut self, how: Restart);
    /// The kernel forgets every name that is not in use.
    fn forget(&mut self);
    /// Everything leaves the cache.
    fn evict(&mut self);

    /// open(2).
    fn open(&mut self, path: &str, how: How) -> Answer<Fd>;
    /// pwrite(2) of everything.
    fn write(&mut self, fd: Fd, offset: u64, text: &str) -> Answer<()>;
    /// All bytes, by pread(2).
    fn read(&mut self, fd: Fd) -> Answer<String>;
    /// close(2) of a duplicate.
    fn flush(&mut self, fd: Fd) -> Answer<()>;
    /// fsync(2).
    fn fsync(&mut self, fd: Fd) -> Answer<()>;
    /// close(2) of the last descriptor.
    fn close(&mut self, fd: Fd) -> Answer<()>;
    /// A program opens a file as by [`How::New`], writes it, and is killed while it closes it.
    /// Answers what its open did.
    fn killed(&mut self, path: &str, text: &str) -> Answer<()>;
    /// ftruncate(2).
    fn ftruncate(&mut self, fd: Fd, length: u64) -> Answer<()>;
    /// The size by fstat(2).
    fn fstat(&mut self, fd: Fd) -> Answer<u64>;
    /// truncate(2).
    fn truncate(&mut self, path: &str, length: u64) -> Answer<()>;
    /// The size by stat(2); none of a directory.
    fn stat(&mut self, path: &str) -> Answer<Option<u64>>;
    /// unlink(2).
    fn unlink(&mut self, path: &str) -> Answer<()>;
    /// mkdir(2).
    fn mkdir(&mut self, path: &str) -> Answer<()>;
    /// rmdir(2).
    fn rmdir(&mut self, path: &str) -> Answer<()>;
    /// rename(2).
    fn rename(&mut self, from: &str, to: &str) -> Answer<()>;
    /// The names of a directory in the order in which they are read; the root's path is empty.
    fn list(&mut self, path: &str) -> Answer<Vec<String>>;
}

/// How many answers were judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Steps that were run.
    pub steps: u64,
    /// Answers of which only one was right.
    pub exact: u64,
    /// Answers of which several would have been right.
    pub loose: u64,
}

impl std::ops::AddAssign for Judged {
    fn add_assign(&mut self, more: Self) {
        self.steps += more.steps;
        self.exact += more.exact;
        self.loose += more.loose;
    }
}

/// Runs a program on a system and on the model. Answers how much was compared.
///
/// # Errors
/// The first difference.
pub fn compare(system: &mut dyn System, rules: Rules, steps: &[Step]) -> Result<Judged, String> {
    let mut model = Model::new(rules, system.now());
    for (number, step) in steps.iter().enumerate() {
        model.step(system, step).map_err(|why| format!("step {number}, {step:?}: {why}"))?;
    }
    model.end(system)?;
    Ok(model.judged())
}

/// Runs `cases` random programs of at most `length` steps by `run`, which compares each on a
/// system of its own. Prints the seed, and what was compared; a program that differs is shrunk,
/// and printed with its difference. `MODEL_SEED` repeats a run.
pub fn check(
    name: &str,
    (cases, length): (u32, usize),
    run: impl Fn(&[Step], u64) -> Result<Judged, String>,
) {
    let seed = std::env::var("MODEL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("{name}: {cases} cases, MODEL_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = proptest::test_runner::TestRng::from_seed(
        proptest::test_runner::RngAlgorithm::ChaCha,
        &bytes,
    );
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let judged = std::cell::RefCell::new(Judged::default());
    let result = TestRunner::new_with_rng(config, random).run(
        &(programs(length), proptest::num::u64::ANY),
        |(steps, variant)| match run(&steps, variant) {
            Ok(more) => {
                *judged.borrow_mut() += more;
                Ok(())
            }
            Err(why) => Err(TestCaseError::fail(why)),
        },
    );
    let judged = judged.into_inner();
    println!("{name}: {judged:?}");
    if let Err(TestError::Fail(why, (steps, variant))) = result {
        panic!("{why}\nMODEL_SEED={seed}, variant {variant}, shrunk to {steps:#?}");
    }
    assert!(judged.exact > judged.loose, "most answers have to be judged exactly: {judged:?}");
}
