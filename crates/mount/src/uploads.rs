//! Uploads in parts that were begun and not ended: written down on the node, so that those of a
//! mount that was killed are thrown away by the next one, and no others.
//!
//! * A [`Place`] is the directory of journals: below the node cache, or in a directory for state.
//! * A [`Journal`] is one mount's file in it, locked for as long as the mount lives. The lock is
//!   what tells others that its uploads are still wanted: no pid is asked, no clock is read.
//! * [`Journalled`] is a [`Sink`](object::Sink) that keeps a journal of the one behind it.
//! * [`leftovers`] are the journals of the dead, [`nameless`] the uploads of which those know no more
//!   than that they were asked for.

mod command;
mod journal;
mod journalled;
mod leftovers;
mod nameless;
mod place;
mod record;

use std::io;

pub use command::run;
pub use journal::Journal;
pub use journalled::{Journalled, complain};
pub use leftovers::{Reach, Swept, sweep};
pub use place::Place;
pub use record::Entry;

/// Does what waits for the disk where that keeps nobody else waiting.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
