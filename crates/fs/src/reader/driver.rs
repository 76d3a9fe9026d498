//! The driver: holds chunks, starts flights, waits for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use object::{
    Budget, CHUNK, Error, ErrorKind, Flight, Lease, Reclaim, Result, Source, Span, Version,
};
use tokio::time::{Instant, sleep, timeout};

use super::chunks::{Chunks, inside};
use super::plan::{Limits, Planner};
use super::slices::Slices;

/// Bytes kept of what the kernel was given last: what it reads ahead at once, for it may lose
/// pages before anybody read them; and more where several read, of whom some lag behind.
const KEPT: u64 = 2 << 20;
const KEPT_FOR_SEVERAL: u64 = 32 << 20;
/// How long a missed deadline is answered at once to whoever asks for the same bytes: the kernel
/// asks a second time for a page whose read-ahead failed, and nobody is to wait twice.
const ECHO: Duration = Duration::from_millis(250);
/// How long the first read waits that is close behind the start of an object and not at it. Several
/// requests of one read-ahead overtake each other, and what the one at the start promises decides
/// how all of them are fetched.
const OVERTAKEN: Duration = Duration::from_millis(2);
/// A reader that was not read for this long keeps nothing from those who wait for memory.
const ASLEEP: Duration = Duration::from_secs(1);
/// Parts that are brought to the source at once for later reads.
const KEEP_AT_ONCE: usize = 4;
/// The pause after which memory for such a part is asked for again.
const KEEP_PAUSE: Duration = Duration::from_millis(20);
/// How often a read starts again because its bytes were given up under it.
const ROUNDS: usize = 16;

/// Reads one object version for all who have it open.
pub struct Reader {
    source: Arc<dyn Source>,
    version: Arc<Version>,
    budget: Arc<Budget>,
    limits: Limits,
    state: Mutex<State>,
    /// Held by the one read that waits for memory, so that others do not queue for the same part.
    waits_for_memory: tokio::sync::Mutex<()>,
}

struct State {
    planner: Planner,
    chunks: Chunks,
    open: usize,
    /// While any handle is interested.
    interest: Option<Arc<()>>,
    /// When it was last read.
    read: Instant,
    /// The last read that missed its deadline, and when.
    missed: Option<(Instant, Span, Error)>,
}

/// What stands between a read and its bytes.
enum Step<'a> {
    Nothing(Slices),
    Wait(Waiting<'a>),
    Memory(u64),
}

/// A read's hold on the chunks it waits for: nobody else's read lets go of them meanwhile.
struct Waiting<'a> {
    reader: &'a Reader,
    need: Span,
    flights: Vec<(u64, Arc<Flight>)>,
}

impl Reader {
    /// A reader of `version`, nobody having it open yet.
    pub fn new(
        source: Arc<dyn Source>,
        version: Arc<Version>,
        budget: Arc<Budget>,
        limits: Limits,
    ) -> Arc<Self> {
        let planner = Planner::new(version.size, limits, source.grain());
        let (chunks, read) = (Chunks::default(), Instant::now());
        let state = State { planner, chunks, open: 0, interest: None, read, missed: None };
        let reader = Arc::new(Self {
            source,
            version,
            budget: budget.clone(),
            limits,
            state: Mutex::new(state),
            waits_for_memory: tokio::sync::Mutex::default(),
        });
        let weak = Arc::downgrade(&reader);
        budget.register(weak);
        reader
    }

    /// The version it reads.
    pub fn version(&self) -> &Arc<Version> {
        &self.version
    }

    /// One more handle is interested.
    pub fn open(&self) {
        let mut state = self.lock();
        state.open += 1;
        state.interest.get_or_insert_default();
    }

    /// One handle less. With the last one all fetches are given up and all bytes let go of.
    /// Answers whether that was the last.
    pub fn close(&self) -> bool {
        let dropped = {
            let mut state = self.lock();
            state.open = state.open.saturating_sub(1);
            if state.open > 0 {
                return false;
            }
            state.interest = None;
            std::mem::take(&mut state.chunks)
        };
        drop(dropped);
        true
    }

    /// Bytes held or on their way.
    pub fn held(&self) -> u64 {
        self.lock().chunks.bytes
    }

    /// The bytes from `offset`, at most `len`, fewer only at the end of the object. Answers at
    /// once when they are here.
    ///
    /// # Errors
    /// What the fetch said; [`ErrorKind::Timeout`] when the reader's deadline passed.
    pub async fn read(&self, offset: u64, len: u32) -> Result<Slices> {
        let end = offset.saturating_add(u64::from(len)).min(self.version.size);
        let need = Span::new(offset, end);
        if need.is_empty() {
            return Ok(Slices::default());
        }
        if !self.note(need, true)? {
            sleep(OVERTAKEN).await;
            self.note(need, false)?;
        }
        let step = match self.step(need, None) {
            Step::Nothing(slices) => return Ok(slices),
            other => other,
        };
        let late = |_| Error::new(ErrorKind::Timeout, "no answer before the read's deadline");
        let read = timeout(self.limits.deadline, self.wait(need, step)).await;
        let read = read.map_err(late).and_then(|read| read);
        if let Err(error) = &read
            && error.kind() == ErrorKind::Timeout
        {
            self.lock().missed = Some((Instant::now(), need, error.clone()));
        }
        read
    }

    /// Takes note of a read, unless it is the echo of one that missed its deadline. False when it
    /// `may_wait`, and is to be noted a little later, for it may have overtaken the first.
    fn note(&self, need: Span, may_wait: bool) -> Result<bool> {
        let mut state = self.lock();
        if let Some((when, span, error)) = &state.missed
            && when.elapsed() < ECHO
            && span.start < need.end
            && need.start < span.end
        {
            return Err(error.clone());
        }
        if may_wait && state.planner.may_have_overtaken(need) {
            return Ok(false);
        }
        state.planner.note(need);
        Ok(true)
    }

    async fn wait<'a>(&'a self, need: Span, mut step: Step<'a>) -> Result<Slices> {
        let mut given_up = 0;
        loop {
            step = match step {
                Step::Nothing(slices) => return Ok(slices),
                Step::Wait(waiting) => match waiting.arrive().await {
                    Err(error) if error.kind() == ErrorKind::Abandoned && given_up < ROUNDS => {
                        given_up += 1;
                        self.step(need, None)
                    }
                    other => return other,
                },
                Step::Memory(_) => {
                    let _turn = self.waits_for_memory.lock().await;
                    match self.step(need, None) {
                        Step::Memory(bytes) => {
                            let lease = self.budget.lease(bytes).await;
                            self.step(need, Some(lease))
                        }
                        other => other,
                    }
                }
            };
        }
    }

    /// Starts what must be fetched for `need`, and what is worth fetching ahead of it. `lease`
    /// pays for what must be, where the budget had nothing left at once. All of it is paid for at
    /// once: a read that had one half and waited for the memory of the other would hold what
    /// others wait for, or lose it to them again and again.
    fn step(&self, need: Span, lease: Option<Lease>) -> Step<'_> {
        let mut state = self.lock();
        let State { planner, chunks, read, open, interest, .. } = &mut *state;
        let share = self.budget.share();
        chunks.keep = match *open {
            // What the source keeps by itself costs nobody a request when it is lost.
            2.. if self.source.grain() == CHUNK => KEPT_FOR_SEVERAL.min(share / 4),
            _ => KEPT.min(share / 8),
        };
        *read = Instant::now();
        chunks.drop_failed(need);
        chunks.doubt_given(need);
        let demanded = planner.demand(need, chunks);
        if !demanded.is_empty() {
            let bytes = demanded.iter().map(|span| span.len()).sum();
            let paid = lease.filter(|lease| lease.bytes() >= bytes).or_else(|| {
                self.budget.try_lease(bytes, 0).or_else(|| {
                    chunks.forget_spent(0, need);
                    self.budget.try_lease(bytes, 0)
                })
            });
            let Some(mut paid) = paid else { return Step::Memory(bytes) };
            for span in demanded {
                planner.issued(span);
                let paid = paid.split(span.len());
                chunks.hold(self.source.read(&self.version, span, paid), &self.budget);
            }
        }
        if self.source.grain() > CHUNK {
            self.keep_whole(planner.take_whole(chunks), interest.as_ref());
        }
        self.fetch_ahead(need, planner, chunks);
        if let Some(slices) = chunks.take(need, self.version.size) {
            return Step::Nothing(slices);
        }
        Step::Wait(Waiting { reader: self, need, flights: chunks.wait(need) })
    }

    /// Starts what is worth fetching ahead of `need`: its window, or its share of the budget; the
    /// next part in any case once there is room.
    fn fetch_ahead(&self, need: Span, planner: &mut Planner, chunks: &mut Chunks) {
        // What is kept of the past is part of the share, so that all who read fit into the budget.
        let share = self.budget.share().saturating_sub(chunks.keep);
        let cap = self.limits.window.min(share).max(self.limits.part);
        // Room for those who are only about to begin, and for what the source is behind.
        let spare = (self.budget.total() / 4).max(self.limits.part) + self.limits.behind;
        let mut held = chunks.bytes - chunks.spent_bytes();
        let mut started = Vec::new();
        planner.ahead(need.end, cap, chunks, |span| {
            held += span.len();
            let paid = (held <= cap).then(|| self.budget.try_lease(span.len(), spare));
            let paid = paid.flatten();
            paid.map(|paid| started.push(self.source.read(&self.version, span, paid))).is_some()
        });
        started.into_iter().for_each(|flight| chunks.hold(flight, &self.budget));
    }

    /// Has the source keep `spans`, in the background, until nobody is interested any more.
    fn keep_whole(&self, spans: Vec<Span>, interest: Option<&Arc<()>>) {
        let (Some(interest), false) = (interest.map(Arc::downgrade), spans.is_empty()) else {
            return;
        };
        let (source, version, budget) =
            (self.source.clone(), self.version.clone(), self.budget.clone());
        let spare = (budget.total() / 4).max(self.limits.part);
        tokio::spawn(async move {
            let (source, version, budget, interest) = (&source, &version, &budget, &interest);
            let keep = |span: Span| async move {
                while interest.strong_count() > 0 {
                    if let Some(lease) = budget.try_lease(span.len(), spare) {
                        return source.keep(version, span, lease).await;
                    }
                    sleep(KEEP_PAUSE).await;
                }
            };
            stream::iter(spans).for_each_concurrent(KEEP_AT_ONCE, keep).await;
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting<'_> {
    async fn arrive(self) -> Result<Slices> {
        let mut slices = Slices::default();
        for (number, flight) in &self.flights {
            let chunk = flight.landed(*number).await?;
            slices.push(chunk, inside(self.need, *number));
        }
        // A short answer would be taken for the end of the file.
        if slices.len() as u64 != self.need.len() {
            return Err(Error::new(ErrorKind::Abandoned, "a part of the bytes was let go of"));
        }
        self.reader.lock().chunks.give(self.need, self.reader.version.size);
        Ok(slices)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.reader.lock();
        for (number, flight) in &self.flights {
            state.chunks.leave(*number, flight);
        }
    }
}

impl Reclaim for Reader {
    fn reclaim(&self, bytes: u64, urgent: bool) -> u64 {
        // A reader that is planning is in use: others have more to spare than it.
        let Ok(mut state) = self.state.try_lock() else { return 0 };
        let State { planner, chunks, read, open, .. } = &mut *state;
        let handles = *open as u64;
        let all = urgent || read.elapsed() >= ASLEEP;
        let (freed, dropped) =
            chunks.reclaim(bytes, |chunk| all || !planner.expects(chunk, handles));
        drop(state);
        drop(dropped);
        freed
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
