//! The store in memory as one that takes objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::{MemStore, State};
use crate::{
    Body, Condition, ETag, Error, ErrorKind, Key, Meta, Part, Result, Sink, Span, Time, Upload,
    Version,
};

/// The least that a part has that is not the last one, as S3 wants it.
const PART_MIN: u64 = 5 << 20;

/// How often a [`MemStore`] was told to store something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemWrites {
    /// Calls of [`Sink::put`].
    pub puts: u64,
    /// Calls of [`Sink::begin_upload`].
    pub begun: u64,
    /// Calls of [`Sink::put_part`].
    pub parts: u64,
    /// Calls of [`Sink::copy_part`].
    pub copies: u64,
    /// Calls of [`Sink::complete`].
    pub completed: u64,
    /// Calls of [`Sink::abort`].
    pub aborted: u64,
    /// Calls of [`Sink::delete`].
    pub deletes: u64,
}

/// The parts of an upload, by number.
type Parts = BTreeMap<u16, (ETag, Arc<[u8]>)>;

/// Uploads that are open, and the counts.
#[derive(Default)]
pub(super) struct Uploads {
    open: BTreeMap<Box<str>, (Upload, Parts)>,
    begun: u64,
    writes: MemWrites,
    failing: Option<ErrorKind>,
    of_keys: bool,
    mishap: Option<Mishap>,
}

/// What becomes of requests that publish or delete an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// They fail, and nothing is done.
    Refused(ErrorKind),
    /// They are carried out, and fail as if the answer had been lost.
    Lost,
}

impl MemStore {
    /// The counts of writes since the last call of this.
    pub fn take_writes(&self) -> MemWrites {
        std::mem::take(&mut self.lock().uploads.writes)
    }

    /// The keys of the uploads that are open.
    pub fn open_uploads(&self) -> Vec<Key> {
        self.lock().uploads.open.values().map(|(upload, _)| upload.key.clone()).collect()
    }

    /// From now on the uploads of a key are listed, and those of no prefix, as MinIO does.
    pub fn list_uploads_of_keys_only(&self) {
        self.lock().uploads.of_keys = true;
    }

    /// Every later write fails with this, while reads go on, until it is set to `None`.
    pub fn set_writes_failing(&self, kind: Option<ErrorKind>) {
        self.lock().uploads.failing = kind;
    }

    /// What becomes of every later request that publishes or deletes an object; parts of uploads
    /// go their way.
    pub fn set_mishap(&self, mishap: Option<Mishap>) {
        self.lock().uploads.mishap = mishap;
    }

    /// Carries out a request that publishes or deletes, as far as nothing goes wrong.
    fn carry_out<T>(&self, change: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.lock();
        match state.uploads.mishap {
            None => change(&mut state),
            Some(Mishap::Refused(kind)) => Err(Error::new(kind, "told to refuse")),
            Some(Mishap::Lost) => {
                // Who asked does not learn what came of it.
                let _ = change(&mut state);
                Err(Error::new(ErrorKind::Unreachable, "the answer is lost"))
            }
        }
    }

    /// The bytes of an object.
    pub fn bytes(&self, key: &str) -> Option<Arc<[u8]>> {
        self.lock().objects.get(key).map(|(_, bytes)| bytes.clone())
    }

    /// Counts a write, waits as long as answers take, and fails if it is told to.
    async fn written(&self, count: impl FnOnce(&mut MemWrites)) -> Result<()> {
        let failing = {
            let mut state = self.lock();
            count(&mut state.uploads.writes);
            state.uploads.failing
        };
        self.pause().await?;
        failing.map_or(Ok(()), |kind| Err(Error::new(kind, "told to fail")))
    }
}

fn no_such_upload() -> Error {
    Error::new(ErrorKind::NoSuchUpload, "no such upload")
}

impl State {
    fn check(&self, key: &Key, condition: &Condition) -> Result<()> {
        let found = self.objects.get(key.as_str()).map(|(meta, _)| &meta.version.etag);
        let holds = match condition {
            Condition::Any => true,
            Condition::Absent => found.is_none(),
            Condition::Is(etag) => found == Some(etag),
        };
        let failed = || Error::new(ErrorKind::Changed, "the condition does not hold");
        if holds { Ok(()) } else { Err(failed()) }
    }

    fn add_part(&mut self, upload: &Upload, part: (u16, u64), bytes: Arc<[u8]>) -> Result<Part> {
        let (number, offset) = part;
        self.puts += 1;
        let etag = ETag::new(&format!("{:032x}", self.puts));
        let span = Span::new(offset, offset + bytes.len() as u64);
        let (_, parts) = self.uploads.open.get_mut(&upload.id).ok_or_else(no_such_upload)?;
        parts.insert(number, (etag.clone(), bytes));
        Ok(Part { number, etag, span, checksum: None })
    }

    fn complete(&mut self, upload: &Upload, parts: &[Part], condition: &Condition) -> Result<Meta> {
        let (_, held) = self.uploads.open.get(&upload.id).ok_or_else(no_such_upload)?;
        let invalid = |message: &str| Error::new(ErrorKind::Invalid, message);
        let (mut bytes, mut last) = (Vec::new(), 0);
        for (index, part) in parts.iter().enumerate() {
            let known = held.get(&part.number).filter(|(etag, _)| *etag == part.etag);
            let (_, these) = known.ok_or_else(|| invalid("not a part of this upload"))?;
            if part.number <= last || part.span.start != bytes.len() as u64 {
                return Err(invalid("the parts are not in order"));
            }
            if index + 1 < parts.len() && (these.len() as u64) < PART_MIN {
                return Err(invalid("a part that is not the last is too small"));
            }
            bytes.extend_from_slice(these);
            last = part.number;
        }
        if parts.is_empty() {
            return Err(invalid("an upload has at least one part"));
        }
        self.check(&upload.key, condition)?;
        self.uploads.open.remove(&upload.id);
        Ok(self.insert(&upload.key, bytes.into(), upload.begun))
    }
}

#[async_trait]
impl Sink for MemStore {
    async fn put(&self, key: &Key, body: &Body, condition: &Condition) -> Result<Meta> {
        self.written(|w| w.puts += 1).await?;
        let bytes: Arc<[u8]> = body.slices().collect::<Vec<_>>().concat().into();
        self.carry_out(|state| {
            state.check(key, condition)?;
            Ok(state.insert(key, bytes, self.clock.now()))
        })
    }

    async fn begin_upload(&self, key: &Key) -> Result<Upload> {
        self.written(|w| w.begun += 1).await?;
        let mut state = self.lock();
        state.uploads.begun += 1;
        let id: Box<str> = format!("upload-{}", state.uploads.begun).into();
        let begun = Time::from_secs(self.clock.now().secs());
        let upload = Upload { key: key.clone(), id: id.clone(), begun };
        state.uploads.open.insert(id, (upload.clone(), Parts::new()));
        Ok(upload)
    }

    async fn put_part(
        &self,
        upload: &Upload,
        number: u16,
        offset: u64,
        body: &Body,
    ) -> Result<Part> {
        self.written(|w| w.parts += 1).await?;
        let bytes = body.slices().collect::<Vec<_>>().concat().into();
        self.lock().add_part(upload, (number, offset), bytes)
    }

    async fn copy_part(
        &self,
        upload: &Upload,
        number: u16,
        source: &Version,
        span: Span,
    ) -> Result<Part> {
        self.written(|w| w.copies += 1).await?;
        let mut state = self.lock();
        let gone = || Error::new(ErrorKind::NotFound, "no object to copy from");
        let (meta, bytes) = state.objects.get(source.key.as_str()).ok_or_else(gone)?;
        if meta.version != *source {
            return Err(Error::new(ErrorKind::Changed, "another version"));
        }
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let bytes = bytes.get(place(span.start)..place(span.end)).ok_or_else(gone)?.into();
        state.add_part(upload, (number, span.start), bytes)
    }

    async fn complete(
        &self,
        upload: &Upload,
        parts: &[Part],
        condition: &Condition,
    ) -> Result<Meta> {
        self.written(|w| w.completed += 1).await?;
        self.carry_out(|state| state.complete(upload, parts, condition))
    }

    async fn abort(&self, upload: &Upload) -> Result<()> {
        self.written(|w| w.aborted += 1).await?;
        self.lock().uploads.open.remove(&upload.id);
        Ok(())
    }

    async fn uploads(&self, prefix: &str) -> Result<Vec<Upload>> {
        self.pause().await?;
        let state = self.lock();
        let open = state.uploads.open.values().map(|(upload, _)| upload);
        let is_wanted = |key: &str| match state.uploads.of_keys {
            true => key == prefix,
            false => key.starts_with(prefix),
        };
        Ok(open.filter(|upload| is_wanted(upload.key.as_str())).cloned().collect())
    }

    async fn has_parts(&self, upload: &Upload) -> Result<bool> {
        self.pause().await?;
        let state = self.lock();
        let (_, parts) = state.uploads.open.get(&upload.id).ok_or_else(no_such_upload)?;
        Ok(!parts.is_empty())
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.written(|w| w.deletes += 1).await?;
        self.carry_out(|state| {
            state.objects.remove(key.as_str());
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
