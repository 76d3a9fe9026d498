//! One cached object as this process knows it: what is present, who fetches what.

mod blocks;
mod bytes;

use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use object::{BLOCK, Span, Version};
use tokio::time::Instant;

use crate::directory::Files;
use crate::disk::Disk;
use crate::filling::Filling;
use crate::identity::Identity;
use crate::map::MapError;
use crate::map::codec::{Mark, Record, Seal};
use crate::schedule::{AtomicBool, Mutex, MutexGuard};
use crate::seal::seal_of;
use blocks::Blocks;
pub(crate) use bytes::{BlockRead, Direct, allocate, deallocate, is_intact, write_block};

/// How long a process that made no progress is passed by without waiting for it again.
const STUCK_FOR: Duration = Duration::from_secs(10);
/// How often the last use is written down, at most.
const TOUCH_EVERY: Duration = Duration::from_secs(60);
/// Records are read in pieces of so many where all of an object's are wanted.
const RECORDS_AT_ONCE: u64 = 4096;

/// An object's files, open, and what is known of them. Single flight within the process rests on
/// there being one of these for an identity. All calls are disk IO, unless they say otherwise.
pub(crate) struct Object {
    pub(crate) version: Arc<Version>,
    pub(crate) files: Files,
    /// Where the files are; the directory may have been replaced since.
    pub(crate) disk: Arc<Disk>,
    /// Its files are dropped or gone: nothing is to be done with it any more.
    gone: AtomicBool,
    /// Whether all of it came in one piece, which the store's checksum was compared with.
    pub(crate) came_whole: AtomicBool,
    /// Whether it waits to be brought to the disk.
    pub(crate) unsynced: AtomicBool,
    /// Whether it is being looked into in order to be handed out.
    judging: AtomicBool,
    /// Held by the one who looks whether it can be sealed.
    pub(crate) sealing: Mutex<()>,
    /// Held by the one who writes a block. The kernel lets only one write to a file, and lets the
    /// others spin.
    pub(crate) writing: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    touched: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct State {
    present: Blocks,
    /// How many of the blocks were written here, by this very process, and what the data file
    /// was like after the last of them.
    written: u64,
    after: Option<Seal>,
    fillings: Vec<Arc<Filling>>,
    stuck: Vec<(Range<u64>, Instant)>,
    /// This process has all claims, and nobody in it may fill.
    all_claimed: bool,
}

/// What to do about the block that a reader needs next.
pub(crate) enum Step {
    /// These blocks are present.
    Present(Range<u64>),
    /// Somebody in this process fetches it.
    Join(Arc<Filling>),
    /// Nobody fetched it, and now the caller does.
    Begun(Arc<Filling>),
    /// Another process fetches these blocks, or some of them.
    Elsewhere(Range<u64>),
    /// Another process claimed it and makes no progress: the blocks before this one are to be
    /// fetched without keeping them.
    Stuck(u64),
    /// The blocks before this one are absent, and are not to be filled.
    Absent(u64),
    /// The object is no longer what it must be and has to be dropped.
    Broken,
    /// The object's files have lost their names.
    Gone,
}

/// What became of a block whose bytes are bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It is fetched again, or was.
    Absent,
    /// Another process is at it.
    Elsewhere,
    /// The object is no longer what it must be and has to be dropped.
    Broken,
}

/// Who may fetch blocks.
enum Claim {
    /// This process, these blocks.
    Ours(Range<u64>),
    /// Not this process, and this is what to do instead.
    Not(Step),
}

impl Object {
    pub(crate) fn new(version: Arc<Version>, files: Files, disk: Arc<Disk>) -> Self {
        Self {
            version,
            files,
            disk,
            gone: AtomicBool::new(false),
            came_whole: AtomicBool::new(false),
            unsynced: AtomicBool::new(false),
            judging: AtomicBool::new(false),
            sealing: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            state: Mutex::default(),
            touched: Mutex::default(),
        }
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.files.map.header().identity
    }

    /// How many blocks it has. No IO.
    pub(crate) fn blocks(&self) -> u64 {
        self.files.map.header().blocks()
    }

    /// The bytes of these blocks. No IO.
    pub(crate) fn span(&self, blocks: Range<u64>) -> Span {
        let size = self.version.size;
        Span::new((blocks.start * BLOCK).min(size), (blocks.end * BLOCK).min(size))
    }

    /// Whether it was dropped, or its files have lost their names.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire) || self.files.unlinked().unwrap_or(true)
    }

    /// Nothing is to be done with it any more; false when that was known. No IO.
    pub(crate) fn leave(&self) -> bool {
        !self.gone.swap(true, Ordering::AcqRel)
    }

    /// What to do for who needs `blocks`, of which the first comes first. Blocks that nobody
    /// fetches are claimed, and `begin` is to fetch them, while nobody else in this process
    /// looks; where it declines, or there is none, they are [`Step::Absent`].
    pub(crate) fn step(
        &self,
        blocks: Range<u64>,
        now: Instant,
        begin: Option<impl FnOnce(Range<u64>) -> Option<Arc<Filling>>>,
    ) -> Result<Step, MapError> {
        let mut state = self.lock();
        if let Some(step) = state.known(&blocks) {
            return Ok(step);
        }
        if self.is_gone() {
            return Ok(Step::Gone);
        }
        let wanted = blocks.start..state.absent_until(blocks.clone());
        if !self.learn(&mut state, wanted.clone())? {
            return Ok(Step::Broken);
        }
        if let Some(step) = state.known(&blocks) {
            return Ok(step);
        }
        let wanted = wanted.start..state.absent_until(wanted);
        let Some(begin) = begin else { return Ok(Step::Absent(wanted.end)) };
        if state.all_claimed {
            return Ok(Step::Elsewhere(wanted));
        }
        let claimed = match self.claim(&state, wanted, now)? {
            Claim::Ours(claimed) => claimed,
            Claim::Not(step) => return Ok(step),
        };
        // As long as there is a claim nobody evicts it, but before somebody may have.
        if self.is_gone() {
            self.files.map.unclaim(claimed)?;
            return Ok(Step::Gone);
        }
        // Whoever had the claim before may have filled them.
        let learned = self.learn(&mut state, claimed.clone());
        if matches!(learned, Ok(true)) && state.known(&claimed).is_none() {
            let absent = claimed.start..state.absent_until(claimed.clone());
            if absent.end < claimed.end {
                self.files.map.unclaim(absent.end..claimed.end)?;
            }
            if let Some(filling) = begin(absent.clone()) {
                state.fillings.push(filling.clone());
                return Ok(Step::Begun(filling));
            }
        }
        self.files.map.unclaim(claimed.clone())?;
        match learned? {
            true => Ok(state.known(&claimed).unwrap_or(Step::Absent(claimed.end))),
            false => Ok(Step::Broken),
        }
    }

    /// Claims as much of `wanted` from its start on as no other process has claimed.
    fn claim(
        &self,
        state: &State,
        mut wanted: Range<u64>,
        now: Instant,
    ) -> Result<Claim, MapError> {
        while !self.files.map.try_claim(wanted.clone())? {
            match self.files.map.claimed(wanted.clone())? {
                Some(theirs) if theirs.start > wanted.start && theirs.start < wanted.end => {
                    wanted.end = theirs.start;
                }
                Some(theirs) if state.is_stuck(&theirs, now) => {
                    return Ok(Claim::Not(Step::Stuck(wanted.end)));
                }
                Some(theirs) => return Ok(Claim::Not(Step::Elsewhere(theirs))),
                None => {}
            }
        }
        Ok(Claim::Ours(wanted))
    }

    /// A fetch is over, and its claim with it.
    pub(crate) fn end(&self, filling: &Arc<Filling>) -> io::Result<()> {
        let mut state = self.lock();
        state.fillings.retain(|other| !Arc::ptr_eq(other, filling));
        self.files.map.unclaim(filling.blocks.clone())
    }

    /// A block's bytes have been written: it is present, for everybody.
    pub(crate) fn record(&self, number: u64, crc32c: u32) -> io::Result<()> {
        let after = seal_of(&self.files.data)?;
        self.files.map.record(number, crc32c)?;
        let mut state = self.lock();
        state.present.insert(number);
        state.written += 1;
        // Of those who write at the same time the later one saw both.
        if state.after.is_none_or(|before| before.changed < after.changed) {
            state.after = Some(after);
        }
        Ok(())
    }

    /// Whether this process wrote all blocks. No IO.
    pub(crate) fn wrote_all(&self) -> bool {
        self.lock().written >= self.blocks()
    }

    /// Whether a data file that is like this holds what this process wrote, all of it and nothing
    /// else. No IO.
    pub(crate) fn wrote(&self, data: &Seal) -> bool {
        self.wrote_all() && self.lock().after.as_ref() == Some(data)
    }

    /// Takes back that a block is present, of which bad bytes were read, where a power cut took
    /// its bytes away: only in an object whose blocks were not all written since, and only if
    /// nobody else is at it.
    pub(crate) fn lose(&self, number: u64) -> Result<Loss, MapError> {
        let mut state = self.lock();
        state.present.remove(number);
        let block = number..number + 1;
        // Our own claims do not stand in our way, and must not be given back here.
        if state.fillings.iter().any(|filling| filling.blocks.contains(&number)) {
            return Ok(Loss::Absent);
        }
        if state.all_claimed {
            return self.lose_claimed(number);
        }
        if !self.files.map.try_claim(block.clone())? {
            return Ok(Loss::Elsewhere);
        }
        let lost = self.lose_claimed(number);
        self.files.map.unclaim(block)?;
        lost
    }

    /// The same of a block that is claimed. Since its bytes were read, it may have been fetched
    /// again, and the object even sealed.
    fn lose_claimed(&self, number: u64) -> Result<Loss, MapError> {
        let block = number..number + 1;
        let record = self.files.map.records(block.clone())?.first().copied();
        let Some(Record::Present(recorded)) = record else { return Ok(Loss::Absent) };
        if is_intact(&self.files.data, self.span(block), recorded)? {
            return Ok(Loss::Absent);
        }
        let mark = self.files.map.mark()?;
        if mark.seal.is_some() || mark.epoch == self.disk.epoch.number() {
            return Ok(Loss::Broken);
        }
        self.files.map.erase(number)?;
        Ok(Loss::Absent)
    }

    /// How many of `blocks` are recorded as present.
    pub(crate) fn progress(&self, blocks: Range<u64>) -> io::Result<u64> {
        let records = self.files.map.records(blocks)?;
        Ok(records.iter().filter(|record| matches!(record, Record::Present(_))).count() as u64)
    }

    /// Gives back the space of those of `blocks` that are not recorded. To be called while they
    /// are claimed: nobody else writes to them.
    pub(crate) fn free_absent(&self, blocks: Range<u64>) -> io::Result<()> {
        for (record, number) in self.files.map.records(blocks.clone())?.iter().zip(blocks) {
            if !matches!(record, Record::Present(_)) {
                deallocate(&self.files.data, self.span(number..number + 1));
            }
        }
        Ok(())
    }

    /// Whether somebody else still has a claim on a block.
    pub(crate) fn is_claimed(&self, number: u64) -> io::Result<bool> {
        Ok(self.files.map.claimed(number..number + 1)?.is_some())
    }

    /// Whoever claims these blocks makes no progress.
    pub(crate) fn mark_stuck(&self, blocks: Range<u64>, now: Instant) {
        let mut state = self.lock();
        state.stuck.retain(|(_, since)| now.duration_since(*since) < STUCK_FOR);
        state.stuck.push((blocks, now));
    }

    /// The recorded checksums of all blocks; `None` when one is absent.
    pub(crate) fn all_records(&self) -> io::Result<Option<Vec<u32>>> {
        let mut sums = Vec::new();
        let mut from = 0;
        while from < self.blocks() {
            for record in self.files.map.records(from..from + RECORDS_AT_ONCE)? {
                let Record::Present(crc32c) = record else { return Ok(None) };
                sums.push(crc32c);
            }
            from += RECORDS_AT_ONCE;
        }
        Ok(Some(sums))
    }

    /// Takes all claims at once: nobody writes to the object while they are held. False when
    /// somebody may.
    pub(crate) fn claim_all(&self) -> io::Result<bool> {
        let mut state = self.lock();
        state.all_claimed =
            state.fillings.is_empty() && self.files.map.try_claim(0..self.blocks().max(1))?;
        Ok(state.all_claimed)
    }

    /// Gives all claims back.
    pub(crate) fn unclaim_all(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.all_claimed = false;
        self.files.map.unclaim(0..self.blocks().max(1))
    }

    /// Whether somebody is looking into it already; if not, the caller does. No IO.
    pub(crate) fn being_judged(&self) -> bool {
        self.judging.swap(true, Ordering::AcqRel)
    }

    /// The caller has looked into it. No IO.
    pub(crate) fn judged(&self) {
        self.judging.store(false, Ordering::Release);
    }

    /// Notes that the object is used, at most once a minute.
    pub(crate) fn touch(&self, now: Instant) -> Result<(), MapError> {
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        if touched.is_some_and(|last| now.duration_since(last) < TOUCH_EVERY) {
            return Ok(());
        }
        *touched = Some(now);
        self.files.map.touch()?;
        self.files.note_use(false)
    }

    /// What the map says now.
    pub(crate) fn mark(&self) -> Result<Mark, MapError> {
        self.files.map.mark()
    }

    /// Reads what others have recorded of `blocks`. False when the object is sealed and yet lacks
    /// one of them.
    fn learn(&self, state: &mut State, blocks: Range<u64>) -> Result<bool, MapError> {
        if self.read_records(state, blocks.clone())? || self.files.map.mark()?.seal.is_none() {
            return Ok(true);
        }
        // It may have become complete between the two looks.
        Ok(self.read_records(state, blocks)?)
    }

    fn read_records(&self, state: &mut State, blocks: Range<u64>) -> io::Result<bool> {
        let mut whole = true;
        for (record, number) in self.files.map.records(blocks.clone())?.iter().zip(blocks) {
            match record {
                Record::Present(_) => state.present.insert(number),
                Record::Absent | Record::Damaged => whole = false,
            }
        }
        Ok(whole)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What this process knows to do about the first of `blocks`.
    fn known(&self, blocks: &Range<u64>) -> Option<Step> {
        if let (true, end) = self.present.run(blocks.clone()) {
            return Some(Step::Present(blocks.start..end));
        }
        let filling = self.fillings.iter().find(|filling| filling.brings(blocks.start));
        filling.map(|filling| Step::Join(filling.clone()))
    }

    /// Where, of `blocks`, the ones end that neither are present nor being fetched here.
    fn absent_until(&self, blocks: Range<u64>) -> u64 {
        let (_, end) = self.present.run(blocks.clone());
        let brought = |number: &u64| self.fillings.iter().any(|filling| filling.brings(*number));
        (blocks.start..end).find(brought).unwrap_or(end)
    }

    fn is_stuck(&self, theirs: &Range<u64>, now: Instant) -> bool {
        let overlaps = |range: &Range<u64>| range.start < theirs.end && theirs.start < range.end;
        self.stuck
            .iter()
            .any(|(range, since)| overlaps(range) && now.duration_since(*since) < STUCK_FOR)
    }
}

#[cfg(test)]
mod tests;
