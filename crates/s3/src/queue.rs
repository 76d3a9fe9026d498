//! The buffers that an answer is read into.

use std::collections::VecDeque;
use std::io::IoSliceMut;

use object::{Buffer, CHUNK, Pilot};

use crate::checksum::Verifier;

/// Buffers taken ahead for one vectored read: 1 MiB is where larger reads stop paying.
const AHEAD: usize = 8;

/// Buffers of one flight between the lease and the landing. Buffers are never dropped while the
/// flight goes on: a dropped buffer's bytes go back to the budget and not to the lease.
#[derive(Default)]
pub(crate) struct Queue {
    /// Full buffers that wait for the verification of the whole.
    held: VecDeque<Buffer>,
    /// Buffers to fill, in order; the first `filled` bytes of the front one are there.
    empty: VecDeque<Buffer>,
    filled: usize,
    /// Bytes of all buffers in here.
    taken: u64,
}

impl Queue {
    /// Takes buffers from the flight until a whole read can be served, or the bytes up to `end`.
    pub(crate) fn stock(&mut self, pilot: &mut Pilot, end: u64) {
        while self.empty.len() < AHEAD && pilot.landed() + self.taken < end {
            let Some(buffer) = pilot.buffer(self.taken).filter(|b| !b.is_empty()) else { return };
            self.taken += buffer.len() as u64;
            self.empty.push_back(buffer);
        }
    }

    /// Whether there is nowhere to put a byte.
    pub(crate) fn is_full(&self) -> bool {
        self.empty.is_empty()
    }

    /// Where the next bytes go.
    pub(crate) fn front(&mut self) -> &mut [u8] {
        let filled = self.filled;
        self.empty.front_mut().and_then(|b| b.get_mut(filled..)).unwrap_or_default()
    }

    /// Where the next bytes go, for a vectored read.
    pub(crate) fn slices(&mut self) -> Vec<IoSliceMut<'_>> {
        let mut skip = self.filled;
        let rest = |buffer| {
            let buffer: &mut Buffer = buffer;
            buffer.get_mut(std::mem::take(&mut skip)..).map(IoSliceMut::new)
        };
        self.empty.iter_mut().take(AHEAD).filter_map(rest).collect()
    }

    /// Copies from `bytes` as much as there is room for, and says how much.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> usize {
        let mut copied = 0;
        for mut slice in self.slices() {
            let rest = bytes.get(copied..).unwrap_or_default();
            let n = rest.len().min(slice.len());
            let (Some(to), Some(from)) = (slice.get_mut(..n), rest.get(..n)) else { break };
            to.copy_from_slice(from);
            copied += n;
        }
        copied
    }

    /// Takes note that `read` bytes came. Full buffers land, or with a `verifier` are held.
    pub(crate) fn advance(
        &mut self,
        mut read: usize,
        pilot: &mut Pilot,
        verifier: &mut Option<Verifier>,
    ) {
        while read > 0
            && let Some(front) = self.empty.front()
        {
            let end = front.len().min(self.filled + read);
            if let (Some(verifier), Some(fresh)) = (verifier.as_mut(), front.get(self.filled..end))
            {
                verifier.update(fresh);
            }
            read -= end - self.filled;
            self.filled = end;
            if end < front.len() {
                return;
            }
            self.filled = 0;
            match (self.empty.pop_front(), &verifier) {
                (Some(full), Some(_)) => self.held.push_back(full),
                (Some(full), None) => self.land(full, pilot),
                (None, _) => {}
            }
        }
    }

    /// Lands what was held.
    pub(crate) fn release(&mut self, pilot: &mut Pilot) {
        while let Some(full) = self.held.pop_front() {
            self.land(full, pilot);
        }
    }

    /// Forgets the bytes that came and did not land; keeps the buffers.
    pub(crate) fn forget(&mut self) {
        self.filled = 0;
        while let Some(full) = self.held.pop_back() {
            self.empty.push_front(full);
        }
    }

    fn land(&mut self, full: Buffer, pilot: &mut Pilot) {
        self.taken -= full.len() as u64;
        pilot.land(full);
    }
}

/// Whether a flight over `span` with so many leased bytes can be flown at all.
pub(crate) fn is_flyable(span: object::Span, size: u64, leased: u64) -> bool {
    span.end <= size && span.start.is_multiple_of(CHUNK) && leased >= span.len()
}

#[cfg(test)]
mod tests;
