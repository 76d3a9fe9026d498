//! A sink whose uploads are written down.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use object::{
    Body, Condition, ErrorKind, Key, Meta, Part, Result, Sink, Span, Time, Upload, Version,
};

use super::{Journal, aside};

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
    async fn note<T: Send + 'static>(
        &self,
        note: impl FnOnce(&Journal) -> io::Result<T> + Send + 'static,
    ) -> Option<T> {
        let journal = self.journal.clone();
        match aside(move || note(&journal)).await {
            Ok(noted) => Some(noted),
            Err(error) => {
                if !self.complained.swap(true, Ordering::Relaxed) {
                    complain(&error);
                }
                None
            }
        }
    }

    /// Notes what becomes of an upload of `key` that `begin` begins, beforehand and afterwards.
    async fn noted(
        &self,
        key: &Key,
        begin: impl Future<Output = Result<Upload>>,
    ) -> Result<Upload> {
        let (at, named) = (self.sink.now(), key.clone());
        let intent = self.note(move |journal| journal.intended(&named, at)).await;
        // The disk takes no longer than the answer.
        let (begun, _) = tokio::join!(begin, self.note(Journal::secure));
        match (&begun, intent) {
            (Ok(upload), _) => {
                let upload = upload.clone();
                self.note(move |journal| journal.begun(intent, &upload)).await;
            }
            (Err(error), Some(intent)) if !is_doubtful(error.kind()) => {
                self.note(move |journal| journal.settled(intent)).await;
            }
            // Whoever comes after us looks whether there is an upload.
            (Err(_), _) => {}
        }
        begun
    }

    async fn over(&self, upload: &Upload) {
        let upload = upload.clone();
        self.note(move |journal| journal.ended(&upload)).await;
    }
}

/// Whether an error of this kind may be told although the store did what it was asked to do.
fn is_doubtful(kind: ErrorKind) -> bool {
    use ErrorKind as K;
    matches!(
        kind,
        K::Throttled | K::Timeout | K::Unreachable | K::Corrupt | K::Server | K::Abandoned
    )
}

#[async_trait]
impl Sink for Journalled {
    async fn put(&self, key: &Key, body: &Body, condition: &Condition) -> Result<Meta> {
        self.sink.put(key, body, condition).await
    }

    async fn begin_upload(&self, key: &Key) -> Result<Upload> {
        self.noted(key, self.sink.begin_upload(key)).await
    }

    async fn begin_upload_from(&self, version: &Version) -> Result<Upload> {
        self.noted(&version.key, self.sink.begin_upload_from(version)).await
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

    async fn has_parts(&self, upload: &Upload) -> Result<bool> {
        self.sink.has_parts(upload).await
    }

    fn now(&self) -> Time {
        self.sink.now()
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.sink.delete(key).await
    }
}
