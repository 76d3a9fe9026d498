//! The driver: takes bytes, sends parts, publishes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use object::{
    Algorithm, Condition, ErrorKind, Key, Meta, Part, Result as StoreResult, Sink, Version,
};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::draft::Draft;
use super::memory::Memory;
use super::parts::{PART_MIN, PARTS_MAX, PartSizes, copies};
use super::upload::Uploading;
use crate::errno::Errno;

/// A file that was not written to for this long gives its memory to those who wait.
const IDLE: Duration = Duration::from_secs(1);

/// What all files are written by.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    /// How objects are cut.
    pub(crate) sizes: PartSizes,
    /// The most bytes of an object.
    pub(crate) largest: u64,
    /// What the bytes are summed up by.
    pub(crate) checksum: Option<Algorithm>,
    /// Parts of one file on their way at once.
    pub(crate) in_flight: usize,
    /// How long a write waits for memory.
    pub(crate) deadline: Duration,
}

/// What whoever has it open is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It is being written.
    Busy,
    /// A descriptor was closed since the last write: likely the last one.
    Closed,
    /// The last descriptor was closed, and what that leaves to do is being done.
    Ending,
    /// Nobody has it open any more.
    Over,
}

/// Writes one object.
pub(crate) struct Writer {
    /// Where the object is to be.
    pub(crate) key: Key,
    sink: Arc<dyn Sink>,
    memory: Arc<Memory>,
    rules: Rules,
    state: Mutex<State>,
    phase: watch::Sender<Phase>,
    /// Itself, to go on in the background.
    this: Weak<Writer>,
}

struct State {
    /// What has to hold when it is published for the first time.
    first: Condition,
    draft: Draft,
    /// The parts before the draft, as far as they are not published.
    uploading: Option<Uploading>,
    published: Option<Meta>,
    /// Whether bytes were written that are not published.
    dirty: bool,
    /// Whether an empty object has to be published before the end.
    empty: bool,
    failed: Option<Errno>,
    used: Instant,
}

impl State {
    /// Bytes written: where the next ones go.
    fn end(&self) -> u64 {
        self.draft.end()
    }

    /// What has to hold for the next version to be published.
    fn condition(&self) -> Condition {
        match &self.published {
            Some(meta) => Condition::Is(meta.version.etag.clone()),
            None => self.first.clone(),
        }
    }

    /// Why a part that was sent is not in the store, if that is known.
    fn part_failed(&mut self) -> Option<object::Error> {
        self.uploading.as_mut()?.failure().cloned()
    }

    /// The number of the part that the draft will be, if it does not turn out to be everything.
    fn number(&self) -> u16 {
        let before = match (&self.uploading, self.draft.start) {
            (Some(uploading), _) => usize::from(uploading.parts()),
            (None, 0) => 0,
            (None, start) => copies(start).len(),
        };
        u16::try_from(before + 1).unwrap_or(u16::MAX)
    }
}

impl Writer {
    /// A writer of a new version of `key`, first published under `first`. An `empty` object is
    /// due even if nothing is written.
    pub(crate) fn new(
        sink: Arc<dyn Sink>,
        memory: Arc<Memory>,
        rules: Rules,
        key: Key,
        first: Condition,
    ) -> Arc<Self> {
        let state = State {
            first,
            draft: Draft::new(0, rules.checksum),
            uploading: None,
            published: None,
            dirty: false,
            empty: true,
            failed: None,
            used: Instant::now(),
        };
        let (phase, _) = watch::channel(Phase::Busy);
        let writer = Arc::new_cyclic(|this| Self {
            key,
            sink,
            memory: memory.clone(),
            rules,
            state: Mutex::new(state),
            phase,
            this: this.clone(),
        });
        memory.join(writer.this.clone());
        writer
    }

    /// Takes as much of `bytes`, which go to `offset`, as can be taken without waiting. Must be
    /// called inside a runtime.
    pub(crate) fn write_now(&self, offset: u64, bytes: &[u8]) -> usize {
        // Somebody else's write or flush is under way.
        let Ok(mut state) = self.state.try_lock() else { return 0 };
        // Giving up takes requests.
        if state.part_failed().is_some() || self.admit(&state, offset, bytes).is_err() {
            return 0;
        }
        self.take(&mut state, bytes)
    }

    /// Takes `bytes`, which go to `offset`; fewer when memory becomes short on the way.
    pub(crate) async fn write(&self, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let mut state = self.state.lock().await;
        if let Some(error) = state.part_failed() {
            return Err(self.fail(&mut state, "write", &error).await);
        }
        if let Err(errno) = self.admit(&state, offset, bytes) {
            self.tell(&state, offset, errno);
            return Err(self.give_up(&mut state, errno).await);
        }
        let mut taken = self.take(&mut state, bytes);
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            match self.make_room(&mut state).await {
                Ok(()) => taken += self.take(&mut state, rest),
                Err(Errno::NoMemory) if taken > 0 => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(taken)
    }

    /// Whether `bytes` may be written to `offset`.
    fn admit(&self, state: &State, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        if let Some(errno) = state.failed {
            return Err(errno);
        }
        if offset != state.end() {
            return Err(Errno::Invalid);
        }
        match offset.saturating_add(bytes.len() as u64) > self.rules.largest {
            true => Err(Errno::TooLarge),
            false => Ok(()),
        }
    }

    /// Says why a write to `offset` is refused, the first time.
    fn tell(&self, state: &State, offset: u64, errno: Errno) {
        let (key, end, most) = (self.key.as_str(), state.end(), self.rules.largest);
        match errno {
            _ if state.failed.is_some() => {}
            Errno::TooLarge => tracing::warn!(
                key,
                most,
                "the file is larger than an object of this mount can be: a larger --write-part-size or --memory-target allows for more"
            ),
            _ => tracing::warn!(
                key,
                offset,
                end,
                "a file can only be written in order from its start: write it to a local disk, and copy it"
            ),
        }
    }

    /// Takes what can be taken without waiting.
    fn take(&self, state: &mut State, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            let size = self.rules.sizes.size(state.number());
            let room = size.saturating_sub(state.draft.body.len());
            if room == 0 {
                if !self.send_now(state) {
                    break;
                }
                continue;
            }
            if state.draft.is_out_of_memory() {
                let Some(paid) = self.memory.try_take(state.draft.chunks(), size) else { break };
                state.draft.pay(paid);
            }
            let fits = rest.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            taken += state.draft.append(rest.get(..fits).unwrap_or_default());
        }
        if taken > 0 {
            state.dirty = true;
            state.used = Instant::now();
            self.enter(Phase::Busy);
        }
        taken
    }

    /// Sends the full draft as a part, if that needs no waiting.
    fn send_now(&self, state: &mut State) -> bool {
        let number = state.number();
        let Some(uploading) = &mut state.uploading else { return false };
        let may = number <= PARTS_MAX && uploading.has_place(self.rules.in_flight);
        if may {
            self.send(state, number);
        }
        may
    }

    fn send(&self, state: &mut State, number: u16) {
        let next = Draft::new(state.end(), self.rules.checksum);
        let draft = std::mem::replace(&mut state.draft, next);
        if let Some(uploading) = &mut state.uploading {
            uploading.send(self.sink.clone(), number, draft);
        }
    }

    /// Waits until at least one byte more can be taken.
    async fn make_room(&self, state: &mut State) -> Result<(), Errno> {
        let size = self.rules.sizes.size(state.number());
        if state.draft.body.len() >= size {
            return match self.send_draft(state).await {
                Ok(()) => Ok(()),
                Err(error) => Err(self.fail(state, "write", &error).await),
            };
        }
        if !state.draft.is_out_of_memory() {
            return Ok(());
        }
        let held = state.draft.chunks();
        match self.memory.take(held, size, self.rules.deadline).await {
            Some(paid) => state.draft.pay(paid),
            None => {
                tracing::warn!(
                    key = self.key.as_str(),
                    waited = ?self.rules.deadline,
                    "no memory became free for what is written: write to fewer files at once, or give more with --memory-target"
                );
                return Err(Errno::NoMemory);
            }
        }
        Ok(())
    }

    /// Sends the draft as a part of the upload, which is begun if there is none.
    async fn send_draft(&self, state: &mut State) -> StoreResult<()> {
        if state.uploading.is_none() {
            let kept = state.published.as_ref().filter(|_| state.draft.start > 0);
            let uploading = match kept {
                Some(published) => self.go_on(&published.version, state.draft.start).await?,
                None => Uploading::new(self.sink.begin_upload(&self.key).await?),
            };
            state.uploading = Some(uploading);
        }
        let number = state.number();
        if number > PARTS_MAX {
            let message = "an upload has at most 10,000 parts";
            return Err(object::Error::new(ErrorKind::TooLarge, message));
        }
        if let Some(uploading) = &mut state.uploading {
            uploading.wait_for_place(self.rules.in_flight).await?;
        }
        self.send(state, number);
        Ok(())
    }

    /// Begins an upload that has the first `size` bytes of `version` copied.
    async fn go_on(&self, version: &Version, size: u64) -> StoreResult<Uploading> {
        let doubtful = self.sink.doubts_copies();
        let begin = async || {
            let mut uploading = Uploading::new(self.sink.begin_upload_from(version).await?);
            uploading.copy(&self.sink, version, copies(size));
            StoreResult::Ok(uploading)
        };
        let mut uploading = begin().await?;
        if doubtful && let Err(error) = uploading.wait_for_place(1).await {
            self.throw_away(uploading).await;
            return match error.kind() {
                ErrorKind::Invalid => begin().await,
                _ => Err(error),
            };
        }
        Ok(uploading)
    }

    /// Publishes what was written, if that is not published yet, and answers the new version.
    /// That nothing was written counts as something if it is the `last` chance to say it.
    pub(crate) async fn publish(&self, last: bool) -> Result<Option<Meta>, Errno> {
        let mut state = self.state.lock().await;
        if let Some(errno) = state.failed {
            return Err(errno);
        }
        let due = state.dirty || (last && state.empty);
        if !due {
            return Ok(None);
        }
        match self.store(&mut state).await {
            Ok(meta) => {
                state.published = Some(meta.clone());
                (state.dirty, state.empty) = (false, false);
                Ok(Some(meta))
            }
            Err(error) => Err(self.fail(&mut state, "close", &error).await),
        }
    }

    async fn store(&self, state: &mut State) -> StoreResult<Meta> {
        let condition = state.condition();
        if state.uploading.is_none() && state.draft.start == 0 {
            return self.sink.put(&self.key, &state.draft.body, &condition).await;
        }
        if !state.draft.body.is_empty() {
            self.send_draft(state).await?;
        }
        let Some(uploading) = &mut state.uploading else {
            return Err(object::Error::new(ErrorKind::Invalid, "there is nothing to publish"));
        };
        let parts: Vec<Part> = uploading.finish().await?;
        let meta = self.sink.complete(uploading.upload(), &parts, &condition).await?;
        state.uploading = None;
        Ok(meta)
    }

    /// Begins anew with no bytes.
    pub(crate) async fn truncate(&self) -> Result<(), Errno> {
        let mut state = self.state.lock().await;
        if let Some(errno) = state.failed {
            return Err(errno);
        }
        if state.end() > 0 {
            self.discard(&mut state).await;
            (state.dirty, state.empty) = (false, true);
            self.enter(Phase::Busy);
        }
        Ok(())
    }

    /// Throws away what is not published: from now on nothing is written any more.
    pub(crate) async fn abandon(&self) {
        let mut state = self.state.lock().await;
        if state.failed.is_none() {
            self.give_up(&mut state, Errno::Io).await;
        }
    }

    /// Why nothing more is written, once that is so.
    pub(crate) async fn failure(&self) -> Option<Errno> {
        self.state.lock().await.failed
    }

    /// Gives the memory of what was not written to for a while to somebody who waits: a part that
    /// is large enough is sent early, and what is published need not be here.
    pub(super) fn give_way(&self) {
        let Ok(state) = self.state.try_lock() else { return };
        if !is_idle(&state) {
            return;
        }
        drop(state);
        let Some(writer) = self.this.upgrade() else { return };
        tokio::spawn(async move {
            let mut state = writer.state.lock().await;
            if !is_idle(&state) {
                return;
            }
            if !state.dirty {
                state.draft = Draft::new(state.end(), writer.rules.checksum);
            } else if let Err(error) = writer.send_draft(&mut state).await {
                writer.fail(&mut state, "write", &error).await;
            }
        });
    }

    /// Gives up because of `error`, and says so once.
    async fn fail(
        &self,
        state: &mut State,
        operation: &'static str,
        error: &object::Error,
    ) -> Errno {
        let errno = Errno::of_write(error.kind(), &state.condition());
        let errno = errno.report_write(operation, self.key.as_str(), error);
        self.give_up(state, errno).await
    }

    /// Nothing more is written because of `errno`, unless that is so for a reason already. Answers
    /// the reason.
    async fn give_up(&self, state: &mut State, errno: Errno) -> Errno {
        let reason = *state.failed.get_or_insert(errno);
        self.discard(state).await;
        reason
    }

    /// Lets go of all bytes, sent or not, that are not published.
    async fn discard(&self, state: &mut State) {
        state.draft = Draft::new(0, self.rules.checksum);
        if let Some(uploading) = state.uploading.take() {
            self.throw_away(uploading).await;
        }
    }

    async fn throw_away(&self, uploading: Uploading) {
        let upload = uploading.stop().await;
        if let Err(error) = self.sink.abort(&upload).await {
            tracing::warn!(
                key = self.key.as_str(),
                upload = &*upload.id,
                "an upload that failed is left in the store: {error}"
            );
        }
    }

    /// What whoever has it open is about.
    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Says what whoever has it open is about. What ends does not begin again.
    pub(crate) fn enter(&self, next: Phase) {
        self.phase.send_if_modified(|phase| {
            let ending = matches!(phase, Phase::Ending | Phase::Over);
            let changes = *phase != next && (!ending || next == Phase::Over);
            if changes {
                *phase = next;
            }
            changes
        });
    }

    /// Waits until nobody has it open any more, or it is written to again.
    pub(crate) async fn settled(&self) {
        let mut phase = self.phase.subscribe();
        // The sender lives as long as this borrows it.
        let _ = phase.wait_for(|phase| matches!(phase, Phase::Busy | Phase::Over)).await;
    }
}

fn is_idle(state: &State) -> bool {
    let large = state.draft.body.len() >= PART_MIN;
    large && state.failed.is_none() && state.used.elapsed() >= IDLE
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
