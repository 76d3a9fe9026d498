//! Fetching for the disk alone: what cannot be kept is not fetched.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use object::{BLOCK, Error, Lease, Span, Store, Version};
use tokio::time::{Instant, sleep};

use crate::cache::{Broken, Cache};
use crate::cached::Cached;
use crate::filling::{self, Filling};
use crate::identity::Scope;
use crate::object::{Object, Step};
use crate::space::Reservation;

/// How often what came to nothing is begun anew: the object was dropped, memory was short.
const TRIES: usize = 4;
/// The pause between two looks at what another process fetches.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long another process may make no progress.
const STALLED: Duration = Duration::from_secs(10);

/// Why bytes did not get into the cache.
#[derive(Debug, thiserror::Error)]
pub enum Unkept {
    /// The store did not give them.
    #[error(transparent)]
    Store(#[from] Error),
    /// There is no room for them, or the disk fails.
    #[error("the cache has no room for it, or its disk fails")]
    NoRoom,
    /// Another process has begun to fetch them.
    #[error("another process has begun to fetch it and makes no progress")]
    Stalled,
}

impl Cached {
    /// Fetches what of `span` of `version` is absent, together with whoever reads the same, and
    /// returns when it is recorded as present. `lease` pays for it as in
    /// [`Source::read`](object::Source::read). What was begun is finished, also when the answer is
    /// no longer waited for.
    ///
    /// # Errors
    /// See [`Unkept`].
    pub async fn keep(
        &self,
        version: &Arc<Version>,
        span: Span,
        lease: Lease,
    ) -> Result<(), Unkept> {
        let mut keeping = Keeping {
            scope: self.scope.clone(),
            version: version.clone(),
            inner: self.store.clone(),
            blocks: span.start / BLOCK..span.end.div_ceil(BLOCK),
            lease,
        };
        let (mut tries, mut waiting) = (0, Waiting::new());
        while !keeping.blocks.is_empty() {
            let (back, next) =
                self.cache.blocking(|cache| keeping.next(cache)).await.ok_or(Unkept::NoRoom)?;
            keeping = back;
            let (object, step) = next.ok_or(Unkept::NoRoom)?;
            match step {
                Step::Present(blocks) => {
                    keeping.blocks.start = blocks.end;
                    (tries, waiting) = (0, Waiting::new());
                    continue;
                }
                Step::Begun(filling) => {
                    filling.over().await;
                    if let Some(Err(error)) = filling.flight.outcome() {
                        return Err(error.into());
                    }
                }
                Step::Join(filling) => filling.over().await,
                Step::Elsewhere(theirs) => {
                    waiting.look(&self.cache, &object, theirs).await?;
                    continue;
                }
                Step::Stuck(_) => return Err(Unkept::Stalled),
                Step::Absent(_) => return Err(Unkept::NoRoom),
                Step::Broken => {
                    let drop_it =
                        move |cache: &Arc<Cache>| cache.drop_object(&object, Broken::Damaged);
                    self.cache.blocking(drop_it).await;
                }
                Step::Gone => {}
            }
            tries += 1;
            if tries > TRIES {
                return Err(Unkept::NoRoom);
            }
        }
        Ok(())
    }
}

/// What is still to be kept, on its way to a thread for blocking work and back.
struct Keeping {
    scope: Arc<Scope>,
    version: Arc<Version>,
    inner: Arc<dyn Store>,
    blocks: Range<u64>,
    lease: Lease,
}

impl Keeping {
    /// The next thing to do; nothing when there can be no object. Disk IO.
    fn next(mut self, cache: &Arc<Cache>) -> (Self, Option<(Arc<Object>, Step)>) {
        let object = cache.may_fill().then(|| cache.object(&self.scope, &self.version, true));
        let Some(object) = object.flatten() else { return (self, None) };
        let blocks = self.blocks.clone();
        let begin = |absent| self.begin(cache, &object, absent);
        let step = cache.step(&object, blocks, Some(begin));
        (self, step.map(|step| (object, step)))
    }

    /// Begins to fetch absent blocks, if there is room for them.
    fn begin(
        &mut self,
        cache: &Arc<Cache>,
        object: &Arc<Object>,
        absent: Range<u64>,
    ) -> Option<Arc<Filling>> {
        let fetch = object.span(absent.clone());
        let room = Reservation::new(&object.disk, fetch.len())?;
        let lease = match self.lease.bytes() >= fetch.len() {
            true => self.lease.split(fetch.len()),
            // It was spent on a try that came to nothing.
            false => cache.budget.try_lease(fetch.len(), 0)?,
        };
        let filling = filling::begin(cache, object, absent, &*self.inner, (lease, room));
        // Nobody is to be given the chunks: each goes when it is on the disk.
        filling.leave();
        Some(filling)
    }
}

/// The wait for another process.
struct Waiting {
    seen: Option<u64>,
    moved: Instant,
}

impl Waiting {
    fn new() -> Self {
        Self { seen: None, moved: Instant::now() }
    }

    /// Looks a little later how far `theirs` has come.
    async fn look(
        &mut self,
        cache: &Arc<Cache>,
        object: &Arc<Object>,
        theirs: Range<u64>,
    ) -> Result<(), Unkept> {
        sleep(LOOK_EVERY).await;
        let looking = object.clone();
        let progress = cache.blocking(move |_| looking.progress(theirs)).await;
        let Some(Ok(progress)) = progress else { return Err(Unkept::NoRoom) };
        if self.seen != Some(progress) {
            (self.seen, self.moved) = (Some(progress), Instant::now());
        }
        if self.moved.elapsed() < STALLED { Ok(()) } else { Err(Unkept::Stalled) }
    }
}
