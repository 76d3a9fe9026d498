//! Reading one object version: a planner and a thin driver around it.
//!
//! There is one [`Reader`] per node, whoever opened it and however often: buffered READs carry
//! the handle of whichever process triggered them, so the order per handle means nothing, and
//! bytes fetched for one process serve all. Handles only lend interest: when the last is closed,
//! what is on its way is given up.
//!
//! A chunk is held from the moment its fetch starts until every page of it was given to the
//! kernel, which keeps it in the page cache from then on, and a little longer.

mod chunks;
mod driver;
mod plan;
mod slices;

pub use driver::Reader;
pub use plan::Limits;
pub use slices::Slices;
