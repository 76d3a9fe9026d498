//! The bytes of one span while they arrive.
//!
//! A [`Flight`] is the waiting side: any number of tasks may wait for its chunks and share them.
//! Its [`Pilot`] is the landing side, held by whoever fetches. Chunks land in order. When the
//! last holder of the flight lets go, the pilot learns that it is abandoned.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use tokio::sync::watch;

use crate::{BLOCK, Buffer, CHUNK, Error, ErrorKind, Lease, Result, Span};
use backlog::Feed;

mod backlog;

pub use backlog::Backlog;

/// One chunk of an object, shared by all who read it.
pub type Chunk = Arc<Buffer>;

/// The waiting side of a fetch.
pub struct Flight {
    span: Span,
    first: u64,
    state: Mutex<State>,
    // Dropped with the flight: that is how the pilot learns that nobody waits any more.
    _held: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    landed: Vec<Option<Chunk>>,
    outcome: Option<Result<()>>,
    waiting: Vec<(usize, Waker)>,
    feed: Option<Feed>,
}

impl Flight {
    /// A flight for `span`, which begins on a chunk border, with the pilot that is to land it.
    /// `lease` pays for the bytes.
    pub fn new(span: Span, lease: Lease) -> (Arc<Flight>, Pilot) {
        let (held, abandoned) = watch::channel(());
        let flight = Arc::new(Flight {
            span,
            first: span.start / CHUNK,
            state: Mutex::default(),
            _held: held,
        });
        let pilot =
            Pilot { flight: Arc::downgrade(&flight), span, lease, landed: span.start, abandoned };
        (flight, pilot)
    }

    /// The bytes this flight brings.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Whether everything has landed, or nothing more will.
    pub fn is_over(&self) -> bool {
        self.lock().outcome.is_some()
    }

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<Result<()>> {
        self.lock().outcome.clone()
    }

    /// The chunk with this number in the object, if it has landed and was not let go of.
    pub fn chunk(&self, number: u64) -> Option<Chunk> {
        let index = self.index(number)?;
        self.lock().landed.get(index).cloned().flatten()
    }

    /// Waits until the chunk with this number has landed.
    ///
    /// # Errors
    /// How the flight failed, when it failed before that chunk;
    /// [`ErrorKind::Abandoned`] when the chunk was let go of, or is none of this flight's.
    pub async fn landed(&self, number: u64) -> Result<Chunk> {
        let gone = || Error::new(ErrorKind::Abandoned, "the chunk was let go of");
        let index = self.index(number).ok_or_else(gone)?;
        poll_fn(|cx| self.poll_landed(index, cx)).await?.ok_or_else(gone)
    }

    /// Lets go of a landed chunk: its memory is free once those who read it are done.
    pub fn release(&self, number: u64) {
        let Some(index) = self.index(number) else { return };
        let chunk = self.lock().landed.get_mut(index).and_then(Option::take);
        drop(chunk);
    }

    /// From now on the blocks of this flight, which begins with one, count in `backlog` from when
    /// they have landed until they are [consumed](Flight::consumed).
    pub fn lead_into(&self, backlog: Arc<Backlog>) {
        let mut state = self.lock();
        let mut feed = Feed::new(backlog);
        feed.landed(blocks(&state.landed));
        state.feed = Some(feed);
    }

    /// The consumer has the first so many blocks, or does not want them.
    pub fn consumed(&self, blocks: u64) {
        self.lock().feed.iter_mut().for_each(|feed| feed.consumed(blocks));
    }

    fn poll_landed(&self, index: usize, cx: &mut Context<'_>) -> Poll<Result<Option<Chunk>>> {
        let mut state = self.lock();
        if let Some(chunk) = state.landed.get(index) {
            return Poll::Ready(Ok(chunk.clone()));
        }
        match &state.outcome {
            Some(Err(error)) => Poll::Ready(Err(error.clone())),
            Some(Ok(())) => Poll::Ready(Ok(None)),
            None => {
                let waker = cx.waker();
                if !state.waiting.iter().any(|(i, w)| *i == index && w.will_wake(waker)) {
                    state.waiting.push((index, waker.clone()));
                }
                Poll::Pending
            }
        }
    }

    fn index(&self, number: u64) -> Option<usize> {
        self.span.chunks().contains(&number).then(|| usize::try_from(number - self.first).ok())?
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn land(&self, chunk: Chunk) {
        let mut ready = Vec::new();
        {
            let mut state = self.lock();
            state.landed.push(Some(chunk));
            let count = state.landed.len();
            let blocks = blocks(&state.landed);
            state.feed.iter_mut().for_each(|feed| feed.landed(blocks));
            state.waiting.retain(|(index, waker)| {
                let waits = *index >= count;
                if !waits {
                    ready.push(waker.clone());
                }
                waits
            });
        }
        ready.into_iter().for_each(Waker::wake);
    }

    fn backlog(&self) -> Option<Arc<Backlog>> {
        self.lock().feed.as_ref().map(Feed::backlog)
    }

    fn end(&self, outcome: Result<()>) {
        let waiting = {
            let mut state = self.lock();
            state.outcome.get_or_insert(outcome);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

/// How many whole blocks these chunks are.
fn blocks(landed: &[Option<Chunk>]) -> u64 {
    landed.len() as u64 / (BLOCK / CHUNK)
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        write!(f, "Flight({}, {} landed, {:?})", self.span, state.landed.len(), state.outcome)
    }
}

/// The landing side of a fetch. Dropped before [`Pilot::finish`], it fails the flight.
pub struct Pilot {
    flight: Weak<Flight>,
    span: Span,
    lease: Lease,
    landed: u64,
    abandoned: watch::Receiver<()>,
}

impl Pilot {
    /// The bytes to fetch.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Offset of the next byte to land: where to go on after a failure in the middle.
    pub fn landed(&self) -> u64 {
        self.landed
    }

    /// The buffer for the next chunk to land, exactly as long as that chunk; `None` when all
    /// have landed. Several may be taken ahead: give `ahead` = bytes taken and not yet landed.
    pub fn buffer(&mut self, ahead: u64) -> Option<Buffer> {
        let start = self.landed + ahead;
        let end = (start / CHUNK + 1).saturating_mul(CHUNK).min(self.span.end);
        (start < end).then(|| self.lease.buffer(end - start))
    }

    /// Shows the next chunk to those who wait.
    pub fn land(&mut self, buffer: Buffer) {
        self.share(Arc::new(buffer));
    }

    /// Shows as the next chunk one that was landed in another flight, without a copy. That
    /// flight's lease pays for it. It must be the chunk of this place: as long as
    /// [`Pilot::buffer`] would be.
    pub fn share(&mut self, chunk: Chunk) {
        self.landed += chunk.len() as u64;
        if let Some(flight) = self.flight.upgrade() {
            flight.land(chunk);
        }
    }

    /// The end of the next block to land: where the next pause may be.
    pub fn pause_at(&self) -> u64 {
        (self.landed / BLOCK + 1) * BLOCK
    }

    /// Waits while too much waits for the flight's consumer. To be called where a block has ended.
    pub async fn clear_to_land(&self) {
        let backlog = self.flight.upgrade().and_then(|flight| flight.backlog());
        if let Some(backlog) = backlog {
            backlog.clear().await;
        }
    }

    /// Ends the flight. An `Ok` with bytes missing is turned into an error.
    pub fn finish(self, outcome: Result<()>) {
        let outcome = match outcome {
            Ok(()) if self.landed < self.span.end => {
                Err(Error::new(ErrorKind::Corrupt, "the fetch ended before its last byte"))
            }
            other => other,
        };
        self.end(outcome);
    }

    /// Waits until nobody holds the flight any more.
    pub async fn abandoned(&self) {
        // The sender never sends: an error, that it is gone, is the only answer there is.
        while self.abandoned.clone().changed().await.is_ok() {}
    }

    fn end(&self, outcome: Result<()>) {
        if let Some(flight) = self.flight.upgrade() {
            flight.end(outcome);
        }
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        self.end(Err(Error::new(ErrorKind::Abandoned, "the fetch was given up")));
    }
}

#[cfg(test)]
mod tests;
