//! The bytes of a file that are in memory and on their way nowhere yet.

use object::{Algorithm, Body, CHUNK};
use tokio::sync::OwnedSemaphorePermit;

use super::memory::Paid;

/// A part in the making.
pub(super) struct Draft {
    /// Where in the object it begins.
    pub(super) start: u64,
    pub(super) body: Body,
    paid: Option<Paid>,
    /// Places in the writers' share of buffers that were filled from leases before `paid`.
    places: Vec<OwnedSemaphorePermit>,
}

impl Draft {
    /// No bytes, to go on at `start`.
    pub(super) fn new(start: u64, algorithm: Option<Algorithm>) -> Self {
        Self { start, body: Body::new(algorithm), paid: None, places: Vec::new() }
    }

    /// Where in the object it ends.
    pub(super) fn end(&self) -> u64 {
        self.start + self.body.len()
    }

    /// Chunks of memory that its bytes lie in.
    pub(super) fn chunks(&self) -> u64 {
        (self.body.len() + self.body.room()) / CHUNK
    }

    /// Whether a byte more needs memory that it has not got.
    pub(super) fn is_out_of_memory(&self) -> bool {
        let left = self.paid.as_ref().map_or(0, |paid| paid.lease.bytes());
        self.body.room() == 0 && left < CHUNK
    }

    /// Adds memory.
    pub(super) fn pay(&mut self, paid: Paid) {
        if let Some(spent) = self.paid.replace(paid) {
            self.places.push(spent.permit);
        }
    }

    /// Appends as much of `bytes` as there is memory for.
    pub(super) fn append(&mut self, bytes: &[u8]) -> usize {
        match &mut self.paid {
            Some(paid) => self.body.append(bytes, &mut paid.lease),
            None => 0,
        }
    }
}
