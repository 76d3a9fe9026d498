//! One read: brings the bytes of a span to its flight, each run of them from where it is.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use object::{BLOCK, Chunk, Flight, Lease, Pilot, Result, Source, Span, Version};
use tokio::time::{Instant, sleep};

use crate::cache::{Broken, Cache};
use crate::filling::{self, Filling};
use crate::identity::Scope;
use crate::object::{BlockRead, Loss, Object, Step};
use crate::space::Reservation;

/// Pauses between looks at what another process fetches.
const LOOK_FIRST: Duration = Duration::from_millis(5);
const LOOK_LAST: Duration = Duration::from_millis(20);
/// How long another process may make no progress before it is passed by.
const STALLED: Duration = Duration::from_secs(2);
/// How often an object is opened anew in one read, when it was dropped each time, before the
/// rest is read without it.
const REOPENED: usize = 4;

/// A read under way.
pub(crate) struct Serving {
    pub(crate) cache: Arc<Cache>,
    pub(crate) inner: Arc<dyn Source>,
    pub(crate) scope: Arc<Scope>,
    pub(crate) version: Arc<Version>,
    pub(crate) span: Span,
    pub(crate) pilot: Pilot,
    /// Pays for what has not landed.
    pub(crate) purse: Lease,
}

/// How to go on.
enum Next {
    /// As the object said.
    Step(Arc<Object>, Step),
    /// Without the cache up to here.
    Uncached(u64),
}

/// Nobody waits for the rest.
struct Abandoned;

type Going<T> = std::result::Result<T, Abandoned>;

/// What came of reading a block that is said to be present.
enum Found {
    /// It landed.
    Landed,
    /// It was not what it must be.
    Nothing,
    /// Nor was it, and another process is at it and makes no progress.
    Stuck,
}

/// Whose flight it is that chunks come from.
enum Origin {
    /// Another reader's.
    Joined,
    /// This reader's, for nobody else and not for the disk.
    Alone,
    /// This reader's, and the disk's.
    Owned(Owner),
}

/// A first reader's part in a filling.
struct Owner(Arc<Filling>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Serving {
    /// Lands all of the span, or fails with what the store said.
    pub(crate) async fn run(mut self) {
        let mut reopened = 0;
        loop {
            if self.pilot.landed() >= self.span.end {
                return self.pilot.finish(Ok(()));
            }
            self.fill_purse().await;
            let next = match reopened {
                0..REOPENED => self.next().await,
                _ => Next::Uncached(self.span.end),
            };
            let gone = match next {
                Next::Uncached(end) => self.uncached(end).await,
                Next::Step(object, step) => {
                    reopened += usize::from(matches!(step, Step::Broken | Step::Gone));
                    self.take(object, step).await
                }
            };
            match gone {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return self.pilot.finish(Err(error)),
                Err(Abandoned) => return,
            }
        }
    }

    async fn take(&mut self, object: Arc<Object>, step: Step) -> Going<Result<()>> {
        match step {
            Step::Present(blocks) => {
                for number in blocks {
                    match self.present(&object, number).await? {
                        Found::Landed => {}
                        Found::Nothing => break,
                        Found::Stuck => {
                            self.cache.stats.bypasses.add(1);
                            return self.uncached((number + 1) * BLOCK).await;
                        }
                    }
                }
                Ok(Ok(()))
            }
            Step::Begun(filling) => self.first(&filling).await,
            Step::Join(filling) => self.copy(&filling.flight, &Origin::Joined).await,
            Step::Elsewhere(theirs) => {
                self.cache.stats.waits.add(1);
                self.wait(&object, theirs).await?;
                Ok(Ok(()))
            }
            Step::Absent(end) => self.uncached(end * BLOCK).await,
            Step::Stuck(end) => {
                self.cache.stats.bypasses.add(1);
                self.uncached(end * BLOCK).await
            }
            Step::Broken => {
                self.drop_object(object, Broken::Damaged).await;
                Ok(Ok(()))
            }
            Step::Gone => Ok(Ok(())),
        }
    }

    /// What is paid for must be as much as is still to land; what was lost with a buffer that
    /// could not be used is leased again.
    async fn fill_purse(&mut self) {
        let rest = self.span.end - self.pilot.landed();
        if self.purse.bytes() < rest {
            // Nobody waits for memory while holding some.
            drop(self.purse.split(u64::MAX));
            self.purse = self.cache.budget.lease(rest).await;
        }
        drop(self.purse.split(self.purse.bytes() - rest.min(self.purse.bytes())));
    }

    /// Finds the object and what to do next. On a thread for blocking work, since it is all IO.
    async fn next(&mut self) -> Next {
        let (at, end) = (self.pilot.landed(), self.span.end);
        let purse = self.purse.split(u64::MAX);
        let (scope, version, inner) =
            (self.scope.clone(), self.version.clone(), self.inner.clone());
        let found = self.cache.blocking(move |cache| {
            let wanted = Wanted { scope, version, inner, span: Span::new(at, end) };
            wanted.next(cache, purse)
        });
        let (next, purse) = found.await.unwrap_or_else(|| (Next::Uncached(end), None));
        if let Some(purse) = purse {
            self.purse = purse;
        }
        next
    }

    /// Reads one present block, if it is what it must be.
    async fn present(&mut self, object: &Arc<Object>, number: u64) -> Going<Found> {
        let block = object.span(number..number + 1);
        let wanted = Span::new(self.pilot.landed().max(block.start), self.span.end.min(block.end));
        let lease = self.purse.split(wanted.len());
        let reading = object.clone();
        let read = self.cache.blocking(move |_| {
            let read = reading.read_block(number, wanted, lease);
            // Where the time cannot be set, only eviction is misled.
            let _ = reading.touch(Instant::now());
            read
        });
        let read = tokio::select! {
            read = read => read,
            () = self.pilot.abandoned() => return Err(Abandoned),
        };
        match read {
            Some(Ok(BlockRead::Good(buffers))) => {
                self.cache.reading.worked(Instant::now());
                self.cache.stats.served_blocks.add(1);
                self.cache.stats.served_bytes.add(wanted.len());
                buffers.into_iter().for_each(|buffer| self.pilot.land(buffer));
                return Ok(Found::Landed);
            }
            Some(Ok(BlockRead::Bad)) => {
                let losing = object.clone();
                let lost = self.cache.blocking(move |_| losing.lose(number));
                match lost.await {
                    Some(Ok(Loss::Absent)) => self.cache.stats.absent_after_crash.add(1),
                    Some(Ok(Loss::Elsewhere)) => return self.left_alone(object, number).await,
                    _ => self.drop_object(object.clone(), Broken::Damaged).await,
                }
            }
            Some(Err(error)) => {
                self.cache.reading.failed(&error, Instant::now());
                self.drop_object(object.clone(), Broken::Unreadable).await;
            }
            None => {}
        }
        Ok(Found::Nothing)
    }

    /// Waits until no other process is at a block whose bytes are bad.
    async fn left_alone(&self, object: &Arc<Object>, number: u64) -> Going<Found> {
        let begun = Instant::now();
        while begun.elapsed() < STALLED {
            tokio::select! {
                () = sleep(LOOK_LAST) => {}
                () = self.pilot.abandoned() => return Err(Abandoned),
            }
            let looking = object.clone();
            let claimed = self.cache.blocking(move |_| looking.is_claimed(number)).await;
            if !matches!(claimed, Some(Ok(true))) {
                return Ok(Found::Nothing);
            }
        }
        Ok(Found::Stuck)
    }

    /// Waits until another process has fetched the next block, or has given it up, or makes no
    /// progress.
    async fn wait(&self, object: &Arc<Object>, theirs: Range<u64>) -> Going<()> {
        let number = self.pilot.landed() / BLOCK;
        let (mut pause, mut seen, mut moved) = (LOOK_FIRST, None, Instant::now());
        loop {
            tokio::select! {
                () = sleep(pause) => {}
                () = self.pilot.abandoned() => return Err(Abandoned),
            }
            pause = (pause * 5 / 4).min(LOOK_LAST);
            let (looking, range) = (object.clone(), theirs.clone());
            let looked = self.cache.blocking(move |_| {
                let here = looking.progress(number..number + 1)? > 0;
                let over = here || !looking.is_claimed(number)? || looking.is_gone();
                Ok::<_, io::Error>((over, looking.progress(range)?))
            });
            let Some(Ok((over, progress))) = looked.await else { return Ok(()) };
            if over {
                return Ok(());
            }
            if seen != Some(progress) {
                (seen, moved) = (Some(progress), Instant::now());
            }
            if moved.elapsed() >= STALLED {
                let stuck = object.clone();
                self.cache.blocking(move |_| stuck.mark_stuck(theirs, Instant::now())).await;
                return Ok(());
            }
        }
    }

    /// Reads up to `end` without keeping it.
    async fn uncached(&mut self, end: u64) -> Going<Result<()>> {
        let span = Span::new(self.pilot.landed(), end.min(self.span.end));
        self.cache.stats.uncached_bytes.add(span.len());
        let flight = self.inner.read(&self.version, span, self.purse.split(span.len()));
        self.copy(&flight, &Origin::Alone).await
    }

    /// Is the first reader of a filling.
    async fn first(&mut self, filling: &Arc<Filling>) -> Going<Result<()>> {
        let owner = Owner(filling.clone());
        self.copy(&filling.flight, &Origin::Owned(owner)).await
    }

    /// Lands what `flight` brings. That chunks were let go of ends it early.
    async fn copy(&mut self, flight: &Flight, origin: &Origin) -> Going<Result<()>> {
        let span = Span::new(self.pilot.landed(), flight.span().end.min(self.span.end));
        for number in span.chunks() {
            let landed = tokio::select! {
                landed = flight.landed(number) => landed,
                () = self.pilot.abandoned() => return Err(Abandoned),
            };
            match landed {
                Ok(chunk) => self.share(chunk),
                Err(error) => {
                    let failed = flight.outcome().is_some_and(|outcome| outcome.is_err());
                    return Ok(if failed { Err(error) } else { Ok(()) });
                }
            }
            match origin {
                Origin::Joined => {}
                Origin::Alone => flight.release(number),
                Origin::Owned(owner) => owner.0.taken(number + 1),
            }
        }
        Ok(Ok(()))
    }

    fn share(&mut self, chunk: Chunk) {
        self.pilot.share(chunk);
        let rest = self.span.end - self.pilot.landed().min(self.span.end);
        drop(self.purse.split(self.purse.bytes().saturating_sub(rest)));
    }

    async fn drop_object(&self, object: Arc<Object>, why: Broken) {
        self.cache.blocking(move |cache| cache.drop_object(&object, why)).await;
    }
}

/// What is still to be read, on its way to a thread for blocking work and back.
struct Wanted {
    scope: Arc<Scope>,
    version: Arc<Version>,
    inner: Arc<dyn Source>,
    span: Span,
}

impl Wanted {
    /// The next thing to do, and what is left of the purse then.
    fn next(&self, cache: &Arc<Cache>, mut purse: Lease) -> (Next, Option<Lease>) {
        let end = self.span.end;
        let may_fill = cache.may_fill();
        let Some(object) = cache.object(&self.scope, &self.version, may_fill) else {
            return (Next::Uncached(end), Some(purse));
        };
        let blocks = self.span.start / BLOCK..end.div_ceil(BLOCK);
        let begin = may_fill.then_some(|absent| self.begin(cache, &object, absent, &mut purse));
        let next = match cache.step(&object, blocks, begin) {
            Some(step) => Next::Step(object, step),
            None => Next::Uncached(end),
        };
        (next, Some(purse))
    }

    /// Begins to fetch absent blocks, if there are memory and room for them.
    fn begin(
        &self,
        cache: &Arc<Cache>,
        object: &Arc<Object>,
        absent: Range<u64>,
        purse: &mut Lease,
    ) -> Option<Arc<Filling>> {
        let fetch = object.span(absent.clone());
        let inside = Span::new(fetch.start.max(self.span.start), fetch.end.min(self.span.end));
        let room = Reservation::new(&object.disk, fetch.len())?;
        let lease = match fetch == inside {
            true => purse.split(fetch.len()),
            // More than was asked for, so that whole blocks can be kept.
            false => cache.budget.try_lease(fetch.len(), 0)?,
        };
        Some(filling::begin(cache, object, absent, &*self.inner, (lease, room)))
    }
}
