//! For tests and benches only: S3 servers to run against, a mount under test, and readers
//! that check every byte.
//!
//! A [`Server`] is one S3 endpoint: the lab in this process, or an independent server as a
//! child process. A [`Bucket`] of it is filled over the wire. A [`Mount`] is one running
//! `mount-s3`; it unmounts when dropped and fails the test when something stays behind or
//! its log tells of a panic. The [`exerciser`] reads mounted files by every means the
//! kernel offers and compares what it gets with what the object holds.
//!
//! Everything here may panic: a broken test environment has to fail the test, loudly.
#![deny(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

pub mod disk;
pub mod exerciser;
pub mod jar;
mod mount;
mod process;
pub mod reader;
mod server;
pub mod sys;
mod tools;

pub use mount::{Mount, Start, is_mounted, kill, mount_line};
pub use process::{Leash, Ran, run, run_within, until};
pub use rustix::process::Signal;
pub use server::{Bucket, Credentials, Server};
