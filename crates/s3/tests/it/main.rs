//! The client over the wire: against scripted bytes, and against the lab.

// Clippy knows the inside of a #[test] for a test, but not what the tests share.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod answers;
mod faults;
mod lab_faults;
mod lab_pressure;
mod lab_reads;
mod lab_set_up;
mod lab_uploads;
mod lab_write_faults;
mod lab_writes;
mod lost_answers;
mod reading;
mod script;
mod stores;
mod write_answers;
mod writing;
