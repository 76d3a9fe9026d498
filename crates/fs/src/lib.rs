//! The file system: names, attributes, directory snapshots, handles and the reader.

#![forbid(unsafe_code)]

pub mod reader;
