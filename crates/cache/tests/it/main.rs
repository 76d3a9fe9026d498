//! The cache over a store in memory, on a real disk.

#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod corpus;
mod damage;
mod fresh;
mod harness;
mod limit;
mod processes;
mod reading;
mod residency;
mod sealing;
mod trouble;
mod writing;
