//! Writing one object: from the bytes of write(2) to a version in the store.
//!
//! There is one [`Writer`] per file that is open for writing. It takes bytes in order only, into
//! leased memory, and nobody sees them before they are published, whole up to the last byte
//! written: in one request while they fit one part, else as an upload in parts that are sent in
//! the background. Writing may go on after that: bytes that are still in memory are put once
//! more, and what is no longer here is copied by the store from the version published last.
//!
//! The first failure of an upload is told to whoever asks next and to everybody after; the upload
//! is thrown away, and the name shows what was published before.

mod draft;
mod driver;
mod memory;
mod parts;
mod upload;

pub(crate) use driver::{Phase, Rules, Writer};
pub(crate) use memory::Memory;
pub(crate) use parts::PartSizes;
