//! The crate from outside: against a stand-in for the device, and against the real kernel.
//!
//! Tests on real mounts need root, `/dev/fuse` and `fusermount3`; without them they fail and
//! say so.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod fake;
mod interrupts;
mod killed;
mod memory;
mod mounting;
mod notices;
mod protocol;
mod reading;
mod scratch;
mod takeover;
mod writing;
