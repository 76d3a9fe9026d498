//! A bucket of an S3-compatible store as an [`object::Store`], over HTTP.
//!
//! The AWS SDK does what is its own: credentials, endpoint rules, signing, HEAD and LIST. Bodies
//! of objects come over our own road, because they are where the CPU goes: a [`S3`] flies every
//! read as a `Fetch`, which asks over a `Connection` of its `Pool` and reads the answer straight
//! into the flight's buffers, past a `Gate` that limits how many do so at once.
//!
//! * Nothing of an answer is used before its status, range, length and ETag are what was asked
//!   for; an object of one part is shown only when its checksum, if the store sent one, agrees.
//! * Every GET demands its version (`If-Match`), so bytes of two versions never mix.
//! * A read ends at its deadline at the latest, and at once when nobody waits for it.
//! * Signatures, tokens and keys appear in no message and in no `Debug` of this crate.
//!
//! This crate knows no path and no inode.

#![forbid(unsafe_code)]

mod checksum;
mod client;
mod config;
mod detour;
mod endpoint;
mod errand;
mod fault;
mod fetch;
mod listing;
mod names;
mod pace;
mod pool;
mod queue;
mod reply;
mod road;
mod sdk;
mod signer;
mod stats;
mod trust;
mod wallet;
mod wire;

pub use client::{Preflight, S3};
pub use config::{Config, Identity};
pub use stats::Stats;
