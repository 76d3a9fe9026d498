//! The node's disk: bytes of an object version cross the network once per node.
//!
//! One file per object version, so that the kernel can read it directly, and beside it a map of
//! which blocks it holds. Knows no HTTP and no FUSE.
//!
//! * A [`Directory`] is where it all is: checked for who can write to it, shared by any number of
//!   processes. The [`Epoch`] tells whether the node lost power since a block was written.
//! * An object's [`Files`] are named by its [`Identity`]. Its [`MapFile`] says which blocks are
//!   present, and is where processes agree on who fetches what.
//! * [`Space`] says how much may be written.

#![forbid(unsafe_code)]

mod backing;
mod beneath;
mod cache;
mod cached;
mod census;
mod directory;
mod disk;
mod epoch;
mod evict;
mod filling;
mod fresh;
mod health;
mod identity;
mod ledger;
pub mod lock;
pub mod map;
mod names;
mod object;
mod residency;
mod schedule;
mod seal;
mod serve;
mod space;
mod stats;
mod sync;
mod table;
mod write_through;

pub use cache::{Cache, Options};
pub use cached::Cached;
pub use census::{
    BadPattern, Census, CensusError, Cleared, Dropped, Entry, Keys, Seen, Totals, Verification,
};
pub use directory::{Directory, DirectoryError, Files, NAME, Opened, Warning};
pub use epoch::Epoch;
pub use evict::Room;
pub use identity::{Identity, Scope};
pub use ledger::{
    Bound, Freeing, Held, KEEP_FREE_PERCENT, Ledger, LedgerError, Limit, Place, Refusal, Usage,
    footprint, overhead,
};
pub use map::{MapError, MapFile};
pub use residency::{Residency, Unkept};
pub use space::{Counted, Space, Spacious, Unlimited};
pub use stats::Counts;
pub use write_through::WriteThrough;
