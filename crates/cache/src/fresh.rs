//! How much of what was just written stays in the page cache.
//!
//! Whoever reads an object next finds there what was written lately. But a scan larger than the
//! memory would push everything else out of it, and each of its pages would be a fresh one, which
//! costs more than the copy into it. So beyond a bound the oldest pages are brought to the disk
//! and let go of, and the next ones take their place.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::{Arc, Weak};

use object::Span;
use rustix::fs::{Advice, fadvise};

use crate::object::Object;
use crate::schedule::Mutex;
use crate::table::lock;

/// The part of the bound, as a divisor, that is on its way to the disk: until it is there, it cannot
/// be let go of.
const COOLING: u64 = 4;

/// What was written, the oldest first.
pub(crate) struct Fresh {
    bound: u64,
    pieces: Mutex<Pieces>,
}

#[derive(Default)]
struct Pieces {
    warm: Queue,
    /// The disk was told to take them.
    cooling: Queue,
}

#[derive(Default)]
struct Queue {
    pieces: VecDeque<Piece>,
    bytes: u64,
}

#[derive(Clone)]
struct Piece {
    object: Weak<Object>,
    span: Span,
}

impl Fresh {
    /// Nothing was written. At most `bound` bytes stay.
    pub(crate) fn new(bound: u64) -> Self {
        Self { bound, pieces: Mutex::default() }
    }

    /// `span` of an object was written. Disk IO.
    pub(crate) fn wrote(&self, object: &Arc<Object>, span: Span) {
        let (warm, cold) = {
            let mut pieces = lock(&self.pieces);
            pieces.warm.push(Piece { object: Arc::downgrade(object), span });
            let warm = pieces.warm.cut(self.bound - self.bound / COOLING);
            warm.iter().cloned().for_each(|piece| pieces.cooling.push(piece));
            (warm, pieces.cooling.cut(self.bound / COOLING))
        };
        // Of pages that the disk does not have yet, this begins to write them and no more.
        warm.iter().chain(&cold).for_each(Piece::let_go);
    }
}

impl Queue {
    fn push(&mut self, piece: Piece) {
        self.bytes += piece.span.len();
        self.pieces.push_back(piece);
    }

    /// Takes out the oldest until no more than `bound` bytes are left.
    fn cut(&mut self, bound: u64) -> Vec<Piece> {
        let mut cut = Vec::new();
        while self.bytes > bound
            && let Some(piece) = self.pieces.pop_front()
        {
            self.bytes -= piece.span.len();
            cut.push(piece);
        }
        cut
    }
}

impl Piece {
    /// A hint: where it fails, the kernel does as it does without one. Of an object that nobody
    /// has open any more nothing is done.
    fn let_go(&self) {
        if let (Some(object), Some(len)) = (self.object.upgrade(), NonZeroU64::new(self.span.len()))
        {
            let _ = fadvise(&object.files.data, self.span.start, Some(len), Advice::DontNeed);
        }
    }
}
