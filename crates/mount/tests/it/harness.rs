//! What all these tests share: servers, mounts, and turns.

use std::path::Path;
use std::process::Command;
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use testkit::exerciser::{Target, Task};
use testkit::reader::Means;
use testkit::{Bucket, Mount, Server, Start};

/// 1 MiB.
pub(crate) const MIB: u64 = 1 << 20;

static TURN: RwLock<()> = RwLock::new(());

/// Held by tests that keep the machine busy.
pub(crate) fn busy() -> RwLockReadGuard<'static, ()> {
    TURN.read().unwrap_or_else(PoisonError::into_inner)
}

/// Held by tests that measure time: no busy test runs meanwhile.
pub(crate) fn quiet() -> RwLockWriteGuard<'static, ()> {
    TURN.write().unwrap_or_else(PoisonError::into_inner)
}

/// The one SeaweedFS of this process; each test takes a bucket of its own.
pub(crate) fn seaweedfs() -> &'static Server {
    static SEAWEEDFS: OnceLock<Server> = OnceLock::new();
    SEAWEEDFS.get_or_init(Server::seaweedfs)
}

/// The features that are masked in every mount: `make test-masked` names some.
fn masked() -> Option<String> {
    std::env::var("MASK_KERNEL_FEATURES").ok()
}

/// Whether complete objects are passed through.
pub(crate) fn passes_through() -> bool {
    !masked().is_some_and(|masked| masked.contains("passthrough"))
}

/// A mount of `server` by the command under test, not started yet.
pub(crate) fn start(server: &Server) -> Start {
    let start = Start::new(env!("CARGO_BIN_EXE_mount-s3"), server);
    match masked() {
        Some(masked) => start.words(&["--mask-kernel-features", &masked]),
        None => start,
    }
}

/// A read-only mount of `bucket` with these words more.
#[track_caller]
pub(crate) fn mount(bucket: &Bucket<'_>, words: &[&str]) -> Mount {
    start(bucket.server).words(&["--read-only"]).words(words).mount(&bucket.name)
}

/// The same, with all counters at zero once it serves.
#[track_caller]
pub(crate) fn counted(bucket: &Bucket<'_>, words: &[&str]) -> Mount {
    let mount = mount(bucket, words);
    bucket.server.lab_itself().reset_counters();
    mount
}

/// Pages of files that this machine's kernel took back and had to read again, since its start.
fn pages_lost() -> u64 {
    let text = std::fs::read_to_string("/proc/vmstat").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("workingset_refault_file "));
    line.unwrap().parse().unwrap()
}

/// Repeats a measurement in which the kernel lost pages that it had been given: some machines
/// take back page cache however much memory is free, and what was read then is asked for twice.
/// The first measurement without a loss counts, and so does any that comes out as it should.
#[track_caller]
pub(crate) fn undisturbed<T>(mut measure: impl FnMut() -> T, right: impl Fn(&T) -> bool) -> T {
    for _ in 0..8 {
        let before = pages_lost();
        let result = measure();
        if right(&result) || pages_lost() == before {
            return result;
        }
        println!("the kernel lost {} pages meanwhile: once more", pages_lost() - before);
    }
    panic!("this machine's kernel drops page cache all the time: nothing can be counted on it");
}

/// A synthetic file of a mount.
pub(crate) fn target(mount: &Mount, key: &str, version: u64, size: u64) -> Target {
    Target { path: mount.path(key), key: key.to_owned(), version, size }
}

/// Random reads of these targets by every means, without anything special.
pub(crate) fn task(seed: u64, targets: Vec<Target>) -> Task {
    Task {
        seed,
        targets,
        means: Means::ALL.to_vec(),
        reads: 200,
        seconds: 60,
        length_max: 256 * 1024,
        forget_pages: false,
        alarm_ms: 0,
    }
}

/// A seed, printed so that a failure can be repeated with `TESTKIT_SEED`.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("TESTKIT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(std::process::id()) << 20 | 0x5eed);
    println!("TESTKIT_SEED={seed}");
    seed
}

/// A program with arguments, a path last.
pub(crate) fn program(words: &[&str], path: &Path) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(path);
    command
}
