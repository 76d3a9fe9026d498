//! The lab over the wire: the AWS SDK as client, and raw sockets where the SDK hides what counts.

mod access;
mod client;
mod control;
mod disk;
mod faults;
mod listing;
mod multipart;
mod objects;
mod synthetic;
