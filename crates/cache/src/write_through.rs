//! A sink whose objects are in the cache from the moment on that they are stored: what is written
//! here is read back without a request.

mod draft;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use object::{BLOCK, Body, Condition, Key, Meta, Part, Result, Sink, Span, Time, Upload, Version};
use tokio::time::Instant;

use crate::cache::Cache;
use crate::identity::Scope;
use crate::schedule::Mutex;
use crate::table::lock;
use draft::Draft;

/// A [`Sink`] around another one. What it is given goes to the disk as well, into a file without a
/// name, which gets one when the store has taken the object. A disk that fails or has no room
/// costs the copy and nothing else.
pub struct WriteThrough {
    cache: Arc<Cache>,
    scope: Arc<Scope>,
    sink: Arc<dyn Sink>,
    /// What the disk has of uploads that are open here, by their id.
    drafts: Mutex<HashMap<Box<str>, Arc<Draft>>>,
}

impl WriteThrough {
    pub(crate) fn new(cache: Arc<Cache>, scope: Scope, sink: Arc<dyn Sink>) -> Self {
        Self { cache, scope: Arc::new(scope), sink, drafts: Mutex::default() }
    }

    /// A draft for an object of which nothing is there yet.
    async fn draft(&self) -> Option<Arc<Draft>> {
        if !self.cache.may_fill() {
            return None;
        }
        let made = self.cache.blocking(|cache| Draft::new(cache)).await?;
        self.worked(made).map(Arc::new)
    }

    fn of(&self, upload: &Upload) -> Option<Arc<Draft>> {
        lock(&self.drafts).get(&upload.id).cloned()
    }

    /// Writes bytes that begin at `offset` of the object.
    async fn write(&self, draft: Option<Arc<Draft>>, offset: u64, body: &Body) {
        let Some(draft) = draft else { return };
        if !offset.is_multiple_of(BLOCK) {
            // Its blocks are not this part's alone: nobody could tell what they sum up to.
            return draft.give_up();
        }
        let Ok(_turn) = self.cache.writers.acquire().await else { return };
        let (preparing, span) = (draft.clone(), Span::new(offset, offset + body.len()));
        if self.cache.blocking(move |_| preparing.prepare(span)).await != Some(true) {
            return draft.give_up();
        }
        let mut slices = body.slices().peekable();
        let (mut number, mut block) = (offset / BLOCK, Vec::new());
        while slices.peek().is_some() {
            block.clear();
            for slice in slices.by_ref() {
                block.extend_from_slice(slice);
                if block.len() as u64 >= BLOCK {
                    break;
                }
            }
            let (writing, bytes) = (draft.clone(), std::mem::take(&mut block));
            let written = self.cache.blocking(move |cache| {
                let written = writing.write(cache, number, &bytes);
                (written, bytes)
            });
            let Some((written, bytes)) = written.await else { return draft.give_up() };
            if self.worked(written).is_none() {
                return draft.give_up();
            }
            (block, number) = (bytes, number + 1);
        }
    }

    /// Takes blocks of `source` that are in the cache.
    async fn copy(&self, draft: Option<Arc<Draft>>, source: &Version, span: Span) {
        let Some(draft) = draft else { return };
        let (scope, version) = (self.scope.clone(), Arc::new(source.clone()));
        let copying = draft.clone();
        let copied = self.cache.blocking(move |cache| {
            let object = cache.object(&scope, &version, false);
            object.map_or(Ok(false), |object| copying.copy(cache, &object, span))
        });
        match copied.await.map(|copied| self.worked(copied)) {
            Some(Some(true)) => {}
            _ => draft.give_up(),
        }
    }

    /// The store has taken `meta`, whose bytes `draft` holds.
    async fn publish(&self, draft: Option<Arc<Draft>>, meta: &Meta) {
        let Some(draft) = draft else { return };
        let (scope, version) = (self.scope.clone(), Arc::new(meta.version.clone()));
        let published = self.cache.blocking(move |cache| draft.publish(cache, &scope, &version));
        if let Some(published) = published.await {
            self.worked(published);
        }
    }

    /// The store has another object, or one less: listings from before are not to be shown by a
    /// process that comes after this one.
    async fn changed(&self) {
        let (scope, now) = (self.scope.clone(), self.cache.clock.now());
        self.cache.blocking(move |cache| cache.names.outdate(&cache.current(), &scope, now)).await;
    }

    /// Takes note of what became of disk IO.
    fn worked<T>(&self, done: std::io::Result<T>) -> Option<T> {
        match done {
            Ok(done) => Some(done),
            Err(error) => {
                self.cache.writing.failed(&error, Instant::now());
                None
            }
        }
    }

    /// What goes into `upload` is written down too from now on.
    async fn begun(&self, upload: &Upload) {
        if let Some(draft) = self.draft().await {
            lock(&self.drafts).insert(upload.id.clone(), draft);
        }
    }
}

#[async_trait]
impl Sink for WriteThrough {
    async fn put(&self, key: &Key, body: &Body, condition: &Condition) -> Result<Meta> {
        let draft = if body.is_empty() { None } else { self.draft().await };
        let stored = self.sink.put(key, body, condition);
        let (stored, ()) = tokio::join!(stored, self.write(draft.clone(), 0, body));
        let meta = stored?;
        self.changed().await;
        self.publish(draft, &meta).await;
        Ok(meta)
    }

    async fn begin_upload(&self, key: &Key) -> Result<Upload> {
        let upload = self.sink.begin_upload(key).await?;
        self.begun(&upload).await;
        Ok(upload)
    }

    async fn begin_upload_from(&self, version: &Version) -> Result<Upload> {
        let upload = self.sink.begin_upload_from(version).await?;
        self.begun(&upload).await;
        Ok(upload)
    }

    fn doubts_copies(&self) -> bool {
        self.sink.doubts_copies()
    }

    async fn put_part(
        &self,
        upload: &Upload,
        number: u16,
        offset: u64,
        body: &Body,
    ) -> Result<Part> {
        let stored = self.sink.put_part(upload, number, offset, body);
        let (stored, ()) = tokio::join!(stored, self.write(self.of(upload), offset, body));
        stored
    }

    async fn copy_part(
        &self,
        upload: &Upload,
        number: u16,
        source: &Version,
        span: Span,
    ) -> Result<Part> {
        let stored = self.sink.copy_part(upload, number, source, span);
        let (stored, ()) = tokio::join!(stored, self.copy(self.of(upload), source, span));
        stored
    }

    async fn complete(
        &self,
        upload: &Upload,
        parts: &[Part],
        condition: &Condition,
    ) -> Result<Meta> {
        let meta = self.sink.complete(upload, parts, condition).await?;
        self.changed().await;
        let draft = lock(&self.drafts).remove(&upload.id);
        self.publish(draft, &meta).await;
        Ok(meta)
    }

    async fn abort(&self, upload: &Upload) -> Result<()> {
        lock(&self.drafts).remove(&upload.id);
        self.sink.abort(upload).await
    }

    async fn uploads(&self, prefix: &str) -> Result<Vec<Upload>> {
        self.sink.uploads(prefix).await
    }

    async fn has_parts(&self, upload: &Upload) -> Result<bool> {
        self.sink.has_parts(upload).await
    }

    fn now(&self) -> Time {
        self.sink.now()
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.sink.delete(key).await?;
        self.changed().await;
        Ok(())
    }
}
