//! The wire to the kernel: mounting, sessions, requests, replies, notifications, take-over.
//!
//! * A [`Device`] is the descriptor of `/dev/fuse`; [`mount::mount`] makes one with a mount
//!   behind it, [`Device::from_fd`] takes an inherited one.
//! * A [`Session`] is a connection whose INIT is settled: by [`Session::handshake`] with the
//!   kernel, or by [`Session::adopt`] from the [`InitState`] that another process stored.
//! * A [`Handler`] is given each [`Request`] with the [`Reply`] that answers it. Workers only
//!   read and decode; the reply can be used later and anywhere.
//!
//! This crate names no file system of its own and no store behind it. It is the only one that
//! speaks to the kernel directly, and so the one with unsafe code.

pub mod abi;
mod decode;
mod device;
mod dirbuf;
mod init;
mod interrupt;
pub mod mount;
mod notify;
mod pending;
mod reply;
mod session;
mod worker;

pub use decode::{DecodeError, Forgets, Offer, Op, Request, SetTime, Setattr, decode};
pub use device::{BackingId, Device};
pub use dirbuf::{DirBuf, DirBufError, DirFormat, Dirent, record_size};
pub use init::{Features, InitState, InitStateError, Wanted};
pub use notify::{Notifier, NotifyError};
pub use reply::{Attr, Delivery, DirMode, Entry, OpenMode, Opened, Reply, Statfs, Timespec};
pub use session::{
    Backing, Control, Ended, Handler, HandshakeError, ResendError, Running, Session,
};
