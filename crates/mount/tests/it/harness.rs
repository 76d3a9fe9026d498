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

/// A mount of `server` by the command under test, not started yet.
pub(crate) fn start(server: &Server) -> Start {
    Start::new(env!("CARGO_BIN_EXE_mount-s3"), server)
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
