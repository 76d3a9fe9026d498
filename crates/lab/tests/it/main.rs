//! The lab over the wire: the AWS SDK as client, and raw sockets where the SDK hides what counts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is how a test fails, in its helpers too"
)]

mod access;
mod client;
mod control;
mod disk;
mod faults;
mod listing;
mod multipart;
mod objects;
mod synthetic;
