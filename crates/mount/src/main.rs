//! The `mount-s3` command.

fn main() {}
