//! A bucket of an S3-compatible store as an [`object::Store`] and an [`object::Sink`], over HTTP.
//!
//! The AWS SDK does what is its own: credentials, endpoint rules, signing, HEADs and LISTs. Bodies
//! of objects come and go over our own road, because they are where the CPU goes: a [`S3`] flies
//! every read as a `Fetch`, which asks over a `Connection` of its `Pool` and reads the answer
//! straight into the flight's buffers, past a `Gate` that limits how many do so at once. What
//! changes the store is a `Delivery` on the same road, which sends bytes from where they are.
//!
//! * Nothing of an answer is used before its status, range, length and ETag are what was asked
//!   for; an object of one part is shown only when its checksum, if the store sent one, agrees.
//! * Every GET demands its version (`If-Match`), so bytes of two versions never mix.
//! * A write whose answer was lost is asked after (`Proof`) before it is told as a failure; and an
//!   object that is not what was sent, or is not encrypted as was asked for, does not stay.
//! * A read ends at its deadline at the latest, and at once when nobody waits for it.
//! * Signatures, tokens and keys appear in no message and in no `Debug` of this crate.
//!
//! This crate knows no path and no inode.

#![forbid(unsafe_code)]

mod attributes;
mod checksum;
mod client;
mod config;
mod delivery;
mod detour;
mod document;
mod endpoint;
mod errand;
mod fault;
mod fetch;
mod listing;
mod names;
mod outcome;
mod pace;
mod pool;
mod proof;
mod queue;
mod reply;
mod road;
mod sdk;
mod signer;
mod sink;
mod stats;
mod store_clock;
mod tries;
mod trust;
mod uploads;
mod wallet;
mod wire;

pub use attributes::{Attributes, Encryption};
pub use client::{Preflight, S3};
pub use config::{Config, Identity};
pub use stats::Stats;
