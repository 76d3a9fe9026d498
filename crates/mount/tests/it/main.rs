//! `mount-s3` as a whole: the built command, a real kernel mount, real S3 servers over the
//! wire. Needs root and `/dev/fuse`, and fails without them.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may panic, and this is the shell: it asks clocks and the environment"
)]

mod bad_input;
mod bytes;
mod cache;
mod cache_damage;
mod cache_limits;
mod cache_trouble;
mod counts;
mod faults;
mod harness;
mod kernel;
mod killed;
mod life;
mod masked;
mod model;
mod names;
mod passthrough;
mod power;
mod programs;
mod proxies;
mod refusals;
mod remount;
mod stalls;
mod stores;
mod surroundings;
mod warm;
mod writers;
mod writing;
mod written;

/// Not a test of its own: readers run in processes of their own, which are this binary
/// started again with a task in its environment.
#[test]
#[ignore = "a reader process, started by the tests that need one"]
fn reader_process() {
    testkit::exerciser::child();
}
