//! The node's disk: bytes of an object version cross the network once per node.
//!
//! One file per object version, so that the kernel can read it directly, and beside it a map of
//! which blocks it holds. Knows no HTTP and no FUSE.

#![forbid(unsafe_code)]
