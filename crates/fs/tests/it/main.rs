//! The file system over a store in memory, without a kernel: what it answers, and what each
//! answer costs in requests.

#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod attributes;
mod changes;
mod counts;
mod directories;
mod filling;
mod identity;
mod listing;
mod memory;
mod model;
mod mount;
mod names;
mod passthrough;
mod refusals;
mod remembered;
mod resolve;
mod successor;
mod write_counts;
mod write_model;
mod writing;
