//! The daemon's part: fetching files into the cache before anybody reads them.
//!
//! The files with the least to fetch come first, so that however early the end comes, as many as
//! possible are complete. Parts are fetched in that order over the borders of files, so many at a
//! time as make four full parts: few for large files, up to 32 for small ones, where the latency
//! of the store is what counts. Readers come first: their memory is not touched while they want
//! it, and what they fetch is not fetched again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use cache::Cached;
use fs::{Errno, Fs};
use futures_util::future::ready;
use futures_util::{StreamExt, stream};
use object::{Budget, Lease, Span, Version};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until};

use super::job::Job;
use super::pace::Pace;
use crate::control::protocol::{Answer, FileState, Order};

/// Full parts that are fetched at the same time.
const PARTS: u64 = 4;
/// Parts that are fetched at the same time, however small.
const REQUESTS: usize = 32;
/// Files that are looked up at the same time.
const LOOKUPS: usize = 16;
/// Files that wait at the same time until they are on the disk.
const SEALING: usize = 256;
/// The unit in which what is under way is counted, in bytes.
const UNIT: u64 = 64 << 10;
/// Work at the same time.
const JOBS: usize = 16;
/// The share of the memory that is left to readers: one in so many.
const SPARE: u64 = 4;
/// How often memory is asked for politely before it is waited for in turn, and how long between.
const POLITE: usize = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// Who fetches files of one mount into its cache.
pub struct Warmer {
    files: Arc<Fs>,
    store: Arc<Cached>,
    budget: Arc<Budget>,
    part: u64,
    /// What may be under way, in [`UNIT`]s.
    room: Semaphore,
    jobs: Mutex<Vec<Arc<Job>>>,
}

type Tell = mpsc::Sender<Answer>;

/// A file that is to be fetched.
struct Wanted {
    path: String,
    version: Arc<Version>,
    absent: Vec<Span>,
    /// Steps that are not yet over.
    left: AtomicU64,
    /// Why it could not be fetched.
    failure: OnceLock<String>,
}

/// A part of a file; none when all of it is there.
type Step = (Arc<Wanted>, Option<Span>);

impl Warmer {
    /// Fetches what `files` shows into `store`, in parts of `part` bytes, with memory of
    /// `budget`.
    pub fn new(files: Arc<Fs>, store: Arc<Cached>, budget: Arc<Budget>, part: u64) -> Self {
        let bytes = (PARTS * part).min(budget.total() / 2).max(part);
        let units = usize::try_from(bytes / UNIT).unwrap_or(1).max(1);
        let room = Semaphore::new(units.min(Semaphore::MAX_PERMITS));
        Self { files, store, budget, part, room, jobs: Mutex::default() }
    }

    /// Fetching so many files begins; nothing when there is too much of it already.
    pub(crate) fn begin(&self, files: u64, background: bool) -> Option<Arc<Job>> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.iter().filter(|job| job.is_running()).count() == JOBS {
            return None;
        }
        if jobs.len() == JOBS {
            let over = jobs.iter().position(|job| !job.is_running())?;
            jobs.remove(over);
        }
        let job = Arc::new(Job::new(files, background));
        jobs.push(job.clone());
        Some(job)
    }

    /// The work that goes on, and some that is over.
    pub fn jobs(&self) -> Vec<Arc<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says of each of these files what is in the cache, in order.
    pub(crate) async fn look(&self, paths: Vec<String>, job: &Job, tell: &Tell) {
        let mut found = stream::iter(paths).map(|path| self.state(path)).buffered(LOOKUPS);
        while let Some(found) = found.next().await {
            let answer = match found {
                Ok(state) => {
                    job.found(state.size, state.resident);
                    if state.complete {
                        job.done();
                    }
                    Answer::File(state)
                }
                Err((path, errno)) => {
                    job.failed();
                    Answer::Failed { path, why: errno.to_string() }
                }
            };
            // Nobody listens to work in the background that was asked nothing.
            let _ = tell.send(answer).await;
        }
    }

    async fn state(&self, path: String) -> Result<FileState, (String, Errno)> {
        match self.files.version_at(&path).await {
            Ok(version) => Ok(self.state_of(path, &version).await),
            Err(errno) => Err((path, errno)),
        }
    }

    async fn state_of(&self, path: String, version: &Arc<Version>) -> FileState {
        let found = self.store.residency(version).await;
        FileState {
            path,
            size: version.size,
            resident: found.bytes,
            complete: found.complete,
            pinned: found.pinned,
        }
    }

    /// Fetches these files and tells of each what came of it. Dropped before its end, it stops:
    /// what is complete stays, and parts that are under way are finished within limits.
    pub(crate) async fn warm(&self, order: Order, paths: Vec<String>, job: &Job, tell: &Tell) {
        let wanted = self.find(paths, job, tell).await;
        let pace = order.rate.map(|rate| Pace::new(rate, Instant::now()));
        let steps: Vec<Step> = wanted.iter().flat_map(|file| self.steps(file)).collect();
        let (pace, fetching) = (&pace, stream::iter(steps));
        fetching
            .map(|step| self.fetch(step, pace, job))
            .buffer_unordered(REQUESTS)
            .filter_map(ready)
            .map(|file| self.finish(file, order.pin, job, tell))
            .buffer_unordered(SEALING)
            .for_each(ready)
            .await;
        self.look_back(wanted, job, tell).await;
    }

    /// The versions of these files, those with the least to fetch first.
    async fn find(&self, paths: Vec<String>, job: &Job, tell: &Tell) -> Vec<Arc<Wanted>> {
        let found = stream::iter(paths).map(|path| self.find_one(path)).buffer_unordered(LOOKUPS);
        let mut found = std::pin::pin!(found);
        let mut wanted = Vec::new();
        while let Some(file) = found.next().await {
            match file {
                Ok(file) => {
                    let absent = file.missing();
                    job.found(file.version.size, file.version.size - absent);
                    wanted.push(Arc::new(file));
                }
                Err((path, errno)) => fail(path, errno.to_string(), job, tell).await,
            }
        }
        wanted.sort_by_key(|file| (file.missing(), file.path.clone()));
        wanted
    }

    async fn find_one(&self, path: String) -> Result<Wanted, (String, Errno)> {
        let version = match self.files.version_at(&path).await {
            Ok(version) => version,
            Err(errno) => return Err((path, errno)),
        };
        let absent = self.store.absent(&version).await;
        let (left, failure) = (AtomicU64::new(0), OnceLock::new());
        Ok(Wanted { path, version, absent, left, failure })
    }

    /// The parts that are missing, on the grid of parts.
    fn steps(&self, file: &Arc<Wanted>) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for span in &file.absent {
            let mut start = span.start;
            while start < span.end {
                let end = (start / self.part + 1).saturating_mul(self.part).min(span.end);
                steps.push((file.clone(), Some(Span::new(start, end))));
                start = end;
            }
        }
        if steps.is_empty() {
            steps.push((file.clone(), None));
        }
        file.left.store(steps.len() as u64, Ordering::Release);
        steps
    }

    /// Fetches one part, and gives the file when it was the last one.
    async fn fetch(&self, step: Step, pace: &Option<Pace>, job: &Job) -> Option<Arc<Wanted>> {
        let (file, span) = step;
        // A part that failed is enough.
        if let Some(span) = span.filter(|_| file.failure.get().is_none()) {
            match self.fetch_part(&file, span, pace).await {
                Ok(()) => job.fetched(span.len()),
                Err(error) => {
                    let _ = file.failure.set(error.to_string());
                }
            }
        }
        (file.left.fetch_sub(1, Ordering::AcqRel) == 1).then_some(file)
    }

    async fn fetch_part(
        &self,
        file: &Wanted,
        span: Span,
        pace: &Option<Pace>,
    ) -> Result<(), cache::Unkept> {
        let units = u32::try_from(span.len().div_ceil(UNIT)).unwrap_or(u32::MAX);
        // Nobody closes it.
        let _under_way = self.room.acquire_many(units).await.ok();
        let slot = pace.as_ref().map(|pace| pace.slot(span.len(), Instant::now()));
        if let Some(slot) = slot {
            sleep_until(slot.begin).await;
        }
        let lease = self.lease(span.len()).await;
        self.store.keep(&file.version, span, lease).await?;
        if let Some(slot) = slot {
            sleep_until(slot.end).await;
        }
        Ok(())
    }

    /// Memory that readers do not want now; after a while, in turn with them.
    async fn lease(&self, bytes: u64) -> Lease {
        let spare = self.budget.total() / SPARE;
        for _ in 0..POLITE {
            if let Some(lease) = self.budget.try_lease(bytes, spare) {
                return lease;
            }
            sleep(PAUSE).await;
        }
        self.budget.lease(bytes).await
    }

    /// Waits until a file is on the disk, pins it if that is wanted, and tells of it.
    async fn finish(&self, file: Arc<Wanted>, pin: bool, job: &Job, tell: &Tell) {
        if let Some(why) = file.failure.get() {
            return fail(file.path.clone(), why.clone(), job, tell).await;
        }
        if !self.store.sealed(&file.version).await {
            let why = "it was evicted meanwhile, or the disk fails";
            return file.fail(why, job, tell).await;
        }
        if pin && !self.store.pin(&file.version, true).await {
            return file.fail("it cannot be pinned", job, tell).await;
        }
        job.done();
        let state = self.state_of(file.path.clone(), &file.version).await;
        let _ = tell.send(Answer::File(state)).await;
    }

    /// Tells of files that had to go again for others.
    async fn look_back(&self, wanted: Vec<Arc<Wanted>>, job: &Job, tell: &Tell) {
        let done = wanted.into_iter().filter(|file| file.failure.get().is_none());
        let looks = stream::iter(done).map(async |file| {
            let still = self.store.residency(&file.version).await.complete;
            (!still).then_some(file)
        });
        let mut gone = std::pin::pin!(looks.buffer_unordered(LOOKUPS).filter_map(ready));
        while let Some(file) = gone.next().await {
            job.undone();
            let why = "it was evicted for others: the cache is too small for all of them";
            file.fail(why, job, tell).await;
        }
    }
}

impl Wanted {
    /// Bytes that are to be fetched.
    fn missing(&self) -> u64 {
        self.absent.iter().map(|span| span.len()).sum()
    }

    async fn fail(&self, why: &str, job: &Job, tell: &Tell) {
        let _ = self.failure.set(why.to_owned());
        fail(self.path.clone(), why.to_owned(), job, tell).await;
    }
}

async fn fail(path: String, why: String, job: &Job, tell: &Tell) {
    job.failed();
    // Whoever does not listen any more is not told.
    let _ = tell.send(Answer::Failed { path, why }).await;
}
