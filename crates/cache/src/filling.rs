//! A fetch whose bytes go to the disk as well as to readers.
//!
//! What was begun is finished, whether or not its reader is still there: bytes are to cross the
//! network once. Each chunk stays in memory until it is on the disk and its first reader has it.

use std::collections::BTreeSet;
use std::io;
use std::ops::{Range, RangeInclusive};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use object::{BLOCK, CHUNK, Chunk, ErrorKind, Flight, Lease, Source, Span};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::cache::Cache;
use crate::object::{Direct, Object, allocate, write_block};
use crate::schedule::{Mutex, MutexGuard};
use crate::space::Reservation;

/// How long a fetched block waits for the disk to catch up before the disk counts as failing.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many files are written at the same time, at most and at least. More than there are cores
/// only hold more memory.
const WRITERS: RangeInclusive<usize> = 2..=4;
/// How many landed blocks one writer writes before others have their turn.
const AT_ONCE: u64 = 4;
/// How many blocks may wait for the disk, of all objects together, before the network is left
/// waiting: more would only fill the memory, when the disk falters.
pub(crate) const BACKLOG: u64 = 2;

/// How many files are written at the same time on a machine with so many cores.
pub(crate) fn writers(cores: usize) -> usize {
    cores.clamp(*WRITERS.start(), *WRITERS.end())
}

/// Blocks of one object that are on their way.
pub(crate) struct Filling {
    pub(crate) blocks: Range<u64>,
    pub(crate) flight: Arc<Flight>,
    progress: Mutex<Progress>,
    ended: watch::Sender<bool>,
}

struct Progress {
    /// The block that is collected or written now; those before it are done with.
    current: u64,
    /// Blocks ahead whose bytes were given up.
    lost: BTreeSet<u64>,
    /// The numbers of the chunks before which the first reader has all, and before which all were
    /// let go of.
    taken: u64,
    released: u64,
}

impl Filling {
    /// `flight` brings all of `blocks`.
    pub(crate) fn new(blocks: Range<u64>, flight: Arc<Flight>) -> Arc<Self> {
        let first = flight.span().start / CHUNK;
        let progress = Progress {
            current: blocks.start,
            lost: BTreeSet::new(),
            taken: first,
            released: first,
        };
        let (ended, _) = watch::channel(false);
        Arc::new(Self { blocks, flight, progress: Mutex::new(progress), ended })
    }

    /// Whether it is worth waiting here for a block.
    pub(crate) fn brings(&self, number: u64) -> bool {
        let progress = self.lock();
        self.blocks.contains(&number)
            && number >= progress.current
            && !progress.lost.contains(&number)
            && self.flight.outcome().is_none_or(|outcome| outcome.is_ok())
    }

    /// The first reader has all chunks before this one.
    pub(crate) fn taken(&self, chunk: u64) {
        let mut progress = self.lock();
        progress.taken = progress.taken.max(chunk);
        self.release(&mut progress);
    }

    /// The first reader is gone, or has all. It goes on: its memory is the budget's, and who waits
    /// for that is given what the disk has not begun with.
    pub(crate) fn leave(&self) {
        let mut progress = self.lock();
        progress.taken = u64::MAX;
        self.release(&mut progress);
    }

    /// Waits until nothing more of it is going to be recorded.
    pub(crate) async fn over(&self) {
        // The sender is this filling's own: it cannot be gone.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Lets go of blocks that the disk has not begun with, and says how many bytes that were.
    pub(crate) fn give_up_waiting(&self) -> u64 {
        let mut progress = self.lock();
        let mut freed = 0;
        for number in progress.current + 1..self.blocks.end {
            for chunk in chunks_of(number, self.flight.span()) {
                let landed = self.flight.chunk(chunk).filter(|_| chunk < progress.taken);
                let Some(landed) = landed else { return freed };
                freed += landed.len() as u64;
                self.flight.release(chunk);
            }
            progress.lost.insert(number);
        }
        freed
    }

    /// Nothing more of it is going to be recorded. Disk IO.
    pub(crate) fn end(self: &Arc<Self>, cache: &Cache, object: &Arc<Object>) {
        if let Err(error) = object.end(self) {
            cache.writing.failed(&error, Instant::now());
        }
        cache.syncer.written(object);
        self.ended.send_replace(true);
    }

    /// The disk is done with all blocks before this one.
    pub(crate) fn reach(&self, number: u64) {
        let mut progress = self.lock();
        progress.current = number;
        progress.lost = progress.lost.split_off(&number);
        self.flight.consumed(number.saturating_sub(self.blocks.start));
        self.release(&mut progress);
    }

    fn release(&self, progress: &mut Progress) {
        let written = progress.current * (BLOCK / CHUNK);
        let end = written.min(progress.taken).min(self.flight.span().chunks().end);
        while progress.released < end {
            self.flight.release(progress.released);
            progress.released += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins to fetch the blocks `absent` of an object from `store`, and to write them. `lease` pays
/// for them in memory, `room` on the disk.
pub(crate) fn begin(
    cache: &Arc<Cache>,
    object: &Arc<Object>,
    absent: Range<u64>,
    store: &dyn Source,
    (lease, room): (Lease, Reservation),
) -> Arc<Filling> {
    let fetch = object.span(absent.clone());
    let flight = store.read(&object.version, fetch, lease);
    if fetch == object.version.whole() {
        object.came_whole.store(true, Ordering::Release);
    }
    flight.lead_into(cache.backlog.clone());
    allocate(&object.files.data, fetch);
    let admitted = cache.fresh.admits(fetch.len(), Instant::now());
    let direct = if admitted { None } else { Direct::to(&object.files.data) };
    let filling = Filling::new(absent, flight);
    cache.begun(&filling);
    tokio::spawn(fill(cache.clone(), object.clone(), filling.clone(), (room, direct)));
    filling
}

/// Brings a filling to its end.
async fn fill(
    cache: Arc<Cache>,
    object: Arc<Object>,
    filling: Arc<Filling>,
    (mut room, direct): (Reservation, Option<Direct>),
) {
    let direct = direct.map(Arc::new);
    let (mut next, mut whole) = (filling.blocks.start, true);
    while next < filling.blocks.end {
        let Some(here) = arrive(&filling, next).await else { break };
        let kept = match here {
            true => keep(&cache, &object, &filling, next, (&mut room, &direct)).await,
            false => Some(0),
        };
        let Some(kept) = kept else {
            cache.stats.skipped_blocks.add(filling.blocks.end - next);
            break;
        };
        if kept == 0 {
            cache.stats.skipped_blocks.add(1);
            whole = false;
        }
        next += kept.max(1);
        filling.reach(next);
    }
    whole &= next >= filling.blocks.end;
    filling.reach(filling.blocks.end);
    let end = move |cache: &Arc<Cache>| {
        if !whole && let Err(error) = object.free_absent(filling.blocks.clone()) {
            cache.writing.failed(&error, Instant::now());
        }
        drop(room);
        filling.end(cache, &object);
    };
    cache.blocking(end).await;
}

/// Waits until all of a block has landed; false when some of it was given up, nothing when no
/// more will come.
async fn arrive(filling: &Filling, number: u64) -> Option<bool> {
    // They land in order: who has waited for the last one need not wait for the others.
    for chunk in chunks_of(number, filling.flight.span()).rev() {
        match filling.flight.landed(chunk).await {
            Ok(_) => {}
            // Let go of, but the flight goes on.
            Err(error)
                if error.kind() == ErrorKind::Abandoned
                    && filling.flight.outcome().is_none_or(|outcome| outcome.is_ok()) =>
            {
                return Some(false);
            }
            Err(_) => return None,
        }
    }
    Some(true)
}

/// Writes the blocks from `first` on that have landed, some at once when it is its turn, and says
/// how many; nothing when the disk failed.
async fn keep(
    cache: &Arc<Cache>,
    object: &Arc<Object>,
    filling: &Arc<Filling>,
    first: u64,
    (room, direct): (&mut Reservation, &Option<Arc<Direct>>),
) -> Option<u64> {
    let turn = async { (object.writing.lock().await, cache.writers.acquire().await) };
    let Ok((_alone, Ok(_writer))) = timeout(PATIENCE, turn).await else {
        cache.writing.failed(&"the disk does not keep up", Instant::now());
        return None;
    };
    let landed = |number| {
        let chunk = |chunk| filling.flight.chunk(chunk);
        chunks_of(number, filling.flight.span()).map(chunk).collect::<Option<Vec<Chunk>>>()
    };
    let end = filling.blocks.end.min(first + AT_ONCE);
    let blocks: Vec<_> = (first..end).map_while(landed).collect();
    let (count, len) = (blocks.len() as u64, blocks.iter().flatten().map(|c| c.len() as u64).sum());
    // A write that hangs is not to hold up what another one could take.
    filling.flight.consumed(first + count - filling.blocks.start);
    // However much of it gets there: not less may be counted than is written.
    room.settle(object.identity(), len);
    let (writing, filling, direct) = (object.clone(), filling.clone(), direct.clone());
    let written = cache.blocking(move |cache| {
        for (number, chunks) in (first..).zip(blocks) {
            write_down(&writing, direct.as_deref(), number, &chunks)?;
            cache.stats.filled_bytes.add(writing.span(number..number + 1).len());
            // Its memory is others' while the next block is written.
            drop(chunks);
            filling.reach(number + 1);
        }
        Ok::<_, io::Error>(())
    });
    match written.await? {
        Ok(()) => {
            cache.writing.worked(Instant::now());
            Some(count)
        }
        Err(error) => {
            cache.writing.failed(&error, Instant::now());
            None
        }
    }
}

/// Writes a block and records that it is present. Disk IO.
pub(crate) fn write_down(
    object: &Object,
    direct: Option<&Direct>,
    number: u64,
    chunks: &[Chunk],
) -> io::Result<()> {
    let crc32c = write_block(&object.files.data, direct, number, chunks)?;
    object.record(number, crc32c)
}

/// The numbers of a block's chunks within `span`.
fn chunks_of(number: u64, span: Span) -> Range<u64> {
    let chunks = span.chunks();
    let per_block = BLOCK / CHUNK;
    (number * per_block).max(chunks.start)..((number + 1) * per_block).min(chunks.end)
}

#[cfg(test)]
mod tests;
