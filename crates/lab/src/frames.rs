//! An object's bytes as a stream of large frames.

use std::fs::File;
use std::future::Future as _;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use s3s::StdError;
use s3s::stream::{ByteStream, RemainingLength};
use tokio::task::JoinHandle;

use crate::synthetic::Pattern;

/// Bytes per frame, at most.
const FRAME: usize = 512 * 1024;

/// The bytes of one range of one object.
pub(crate) struct Frames {
    source: Source,
    remaining: u64,
}

enum Source {
    Memory { segments: std::vec::IntoIter<Bytes>, current: Bytes, skip: u64 },
    Synthetic { pattern: Pattern, at: u64 },
    File { file: Arc<File>, at: u64, pending: Option<JoinHandle<io::Result<Bytes>>> },
}

impl Frames {
    pub(crate) fn memory(segments: Vec<Bytes>, range: Range<u64>) -> Self {
        let source = Source::Memory {
            segments: segments.into_iter(),
            current: Bytes::new(),
            skip: range.start,
        };
        Self { source, remaining: range.end - range.start }
    }

    pub(crate) fn synthetic(pattern: Pattern, range: Range<u64>) -> Self {
        let source = Source::Synthetic { pattern, at: range.start };
        Self { source, remaining: range.end - range.start }
    }

    pub(crate) fn file(file: Arc<File>, range: Range<u64>) -> Self {
        let source = Source::File { file, at: range.start, pending: None };
        Self { source, remaining: range.end - range.start }
    }

    /// Bytes still to come.
    pub(crate) fn remaining(&self) -> u64 {
        self.remaining
    }
}

impl Stream for Frames {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.remaining == 0 {
            return Poll::Ready(None);
        }
        let limit = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(FRAME);
        let frame = match ready!(self.source.poll_frame(limit, cx)) {
            Ok(frame) => frame,
            Err(error) => {
                self.remaining = 0;
                return Poll::Ready(Some(Err(error.into())));
            }
        };
        self.remaining -= frame.len() as u64;
        Poll::Ready(Some(Ok(frame)))
    }
}

impl ByteStream for Frames {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::new_exact(usize::try_from(self.remaining).unwrap_or(usize::MAX))
    }
}

impl Source {
    fn poll_frame(&mut self, limit: usize, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        match self {
            Self::Memory { segments, current, skip } => {
                while current.is_empty() {
                    let Some(mut next) = segments.next() else { return Poll::Ready(Err(short())) };
                    let skipped = usize::try_from(*skip).unwrap_or(usize::MAX).min(next.len());
                    *skip -= skipped as u64;
                    *current = next.split_off(skipped);
                }
                Poll::Ready(Ok(current.split_to(limit.min(current.len()))))
            }
            Self::Synthetic { pattern, at } => {
                let frame = pattern.frame(*at, limit);
                *at += frame.len() as u64;
                Poll::Ready(Ok(frame))
            }
            Self::File { file, at, pending } => {
                let read = pending.get_or_insert_with(|| read_at(file.clone(), *at, limit));
                let frame =
                    ready!(Pin::new(read).poll(cx)).unwrap_or_else(|e| Err(io::Error::other(e)));
                *pending = None;
                Poll::Ready(frame.inspect(|frame| *at += frame.len() as u64))
            }
        }
    }
}

fn read_at(file: Arc<File>, at: u64, length: usize) -> JoinHandle<io::Result<Bytes>> {
    tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; length];
        file.read_exact_at(&mut buffer, at)?;
        Ok(Bytes::from(buffer))
    })
}

fn short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the object is shorter than its size")
}
