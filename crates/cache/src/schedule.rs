//! What decides the order of events: locks between threads, and the moments at which another
//! thread or process may come in between.
//!
//! In the product these are what std has, and nothing at all. In this crate's unit tests they can
//! be made the points at which an explorer of schedules (shuttle) chooses who goes on; system
//! calls between two of them count as done at once.

#[cfg(not(test))]
mod real {
    pub(crate) use std::sync::atomic::AtomicBool;
    pub(crate) use std::sync::{Mutex, MutexGuard};
    pub(crate) use std::thread::park_timeout as pause;
    pub(crate) use std::thread::yield_now as give_way;

    /// Something that others can see is about to be looked at or done.
    pub(crate) const fn step() {}
}

#[cfg(test)]
mod tests;

#[cfg(not(test))]
pub(crate) use real::{AtomicBool, Mutex, MutexGuard, give_way, pause, step};
#[cfg(test)]
pub(crate) use tests::turns::{AtomicBool, Mutex, MutexGuard, give_way, pause, step};
