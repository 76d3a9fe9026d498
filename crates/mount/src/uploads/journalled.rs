//! A sink whose uploads are written down.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use object::{Body, Condition, ErrorKind, Key, Meta, Part, Result, Sink, Span, Upload, Version};

use super::Journal;

/// Says that uploads are not written down, and what follows from that.
pub fn complain(error: &io::Error) {
    tracing::warn!(
        "uploads cannot be written down ({error}): those that a crash leaves open stay in the \
         bucket until a lifecycle rule or `mount-s3 uploads abort` ends them"
    );
}

/// A [`Sink`] that notes in a journal which uploads of the sink behind it are open. Must be used
/// inside a runtime.
pub struct Journalled {
    sink: Arc<dyn Sink>,
    journal: Arc<Journal>,
    complained: AtomicBool,
}

impl Journalled {
    /// `sink`, with a journal.
    pub fn new(sink: Arc<dyn Sink>, journal: Journal) -> Self {
        Self { sink, journal: Arc::new(journal), complained: AtomicBool::new(false) }
    }

    /// Has something noted. That it cannot be is no reason not to write.
    async fn note(
        &self,
        upload: &Upload,
        note: impl FnOnce(&Journal, &Upload) -> io::Result<()> + Send + 'static,
    ) {
        let (journal, noted) = (self.journal.clone(), upload.clone());
        let noted = tokio::task::spawn_blocking(move || note(&journal, &noted)).await;
        let Err(error) = noted.unwrap_or_else(|error| Err(io::Error::other(error))) else { return };
        if !self.complained.swap(true, Ordering::Relaxed) {
            complain(&error);
        }
    }

    async fn over(&self, upload: &Upload) {
        self.note(upload, Journal::ended).await;
    }
}

#[async_trait]
impl Sink for Journalled {
    async fn put(&self, key: &Key, body: &Body, condition: &Condition) -> Result<Meta> {
        self.sink.put(key, body, condition).await
    }

    async fn begin_upload(&self, key: &Key) -> Result<Upload> {
        let upload = self.sink.begin_upload(key).await?;
        self.note(&upload, Journal::begun).await;
        Ok(upload)
    }

    async fn put_part(
        &self,
        upload: &Upload,
        number: u16,
        offset: u64,
        body: &Body,
    ) -> Result<Part> {
        self.sink.put_part(upload, number, offset, body).await
    }

    async fn copy_part(
        &self,
        upload: &Upload,
        number: u16,
        source: &Version,
        span: Span,
    ) -> Result<Part> {
        self.sink.copy_part(upload, number, source, span).await
    }

    async fn complete(
        &self,
        upload: &Upload,
        parts: &[Part],
        condition: &Condition,
    ) -> Result<Meta> {
        let completed = self.sink.complete(upload, parts, condition).await;
        let gone = |error: &object::Error| matches!(error.kind(), ErrorKind::NoSuchUpload);
        if completed.as_ref().err().is_none_or(gone) {
            self.over(upload).await;
        }
        completed
    }

    async fn abort(&self, upload: &Upload) -> Result<()> {
        self.sink.abort(upload).await?;
        self.over(upload).await;
        Ok(())
    }

    async fn uploads(&self, prefix: &str) -> Result<Vec<Upload>> {
        self.sink.uploads(prefix).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.sink.delete(key).await
    }
}
