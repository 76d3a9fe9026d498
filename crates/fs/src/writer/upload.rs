//! An upload while its parts are on their way.

use std::sync::Arc;

use object::{Error, ErrorKind, Part, Result, Sink, Span, Upload, Version};
use tokio::task::{JoinError, JoinSet};

use super::draft::Draft;

/// An upload, the parts that the store has, and those that are on their way there.
pub(super) struct Uploading {
    upload: Arc<Upload>,
    /// Parts that were sent.
    sent: u16,
    done: Vec<Part>,
    under_way: JoinSet<Result<Part>>,
    failed: Option<Error>,
}

impl Uploading {
    /// An upload without parts.
    pub(super) fn new(upload: Upload) -> Self {
        let upload = Arc::new(upload);
        Self { upload, sent: 0, done: Vec::new(), under_way: JoinSet::new(), failed: None }
    }

    /// The upload.
    pub(super) fn upload(&self) -> &Upload {
        &self.upload
    }

    /// Parts that were sent.
    pub(super) fn parts(&self) -> u16 {
        self.sent
    }

    /// Has the store copy `spans` of `source` as the next parts.
    pub(super) fn copy(&mut self, sink: &Arc<dyn Sink>, source: &Version, spans: Vec<Span>) {
        for span in spans {
            self.sent = self.sent.saturating_add(1);
            let (sink, upload, number) = (sink.clone(), self.upload.clone(), self.sent);
            let source = source.clone();
            self.under_way
                .spawn(async move { sink.copy_part(&upload, number, &source, span).await });
        }
    }

    /// Sends `draft` as the part `number`. Its memory comes back once it is sent.
    pub(super) fn send(&mut self, sink: Arc<dyn Sink>, number: u16, draft: Draft) {
        self.sent = self.sent.max(number);
        let upload = self.upload.clone();
        self.under_way.spawn(async move {
            // All of it, for its place among those who write is given up no sooner than its bytes.
            let draft = draft;
            sink.put_part(&upload, number, draft.start, &draft.body).await
        });
    }

    /// Why a part is not in the store, as soon as that is known of one.
    pub(super) fn failure(&mut self) -> Option<&Error> {
        while let Some(part) = self.under_way.try_join_next() {
            self.collect(part);
        }
        self.failed.as_ref()
    }

    /// Whether fewer than `most` parts are on their way, and none is known to have failed.
    pub(super) fn has_place(&mut self, most: usize) -> bool {
        self.failure().is_none() && self.under_way.len() < most.max(1)
    }

    /// Waits until fewer than `most` parts are on their way.
    pub(super) async fn wait_for_place(&mut self, most: usize) -> Result<()> {
        while self.failure().is_none()
            && self.under_way.len() >= most.max(1)
            && let Some(part) = self.under_way.join_next().await
        {
            self.collect(part);
        }
        self.failure().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Waits until all parts are there, and answers them in order.
    pub(super) async fn finish(&mut self) -> Result<Vec<Part>> {
        self.wait_for_place(1).await?;
        let mut parts = self.done.clone();
        parts.sort_by_key(|part| part.number);
        Ok(parts)
    }

    /// A task that panicked is a part that failed.
    fn collect(&mut self, part: std::result::Result<Result<Part>, JoinError>) {
        let abandoned = |error: JoinError| Error::new(ErrorKind::Abandoned, error.to_string());
        match part.map_err(abandoned).flatten() {
            Ok(part) => self.done.push(part),
            Err(error) => {
                self.failed.get_or_insert(error);
            }
        }
    }

    /// Stops sending, and answers the upload that is to be thrown away.
    pub(super) async fn stop(mut self) -> Arc<Upload> {
        self.under_way.shutdown().await;
        self.upload
    }
}
