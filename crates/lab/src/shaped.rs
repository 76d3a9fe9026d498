//! Bodies on their way: arriving ones are counted, leaving ones may be paced or spoilt.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use s3s::StdError;
use tokio::time::{Instant, Sleep};

use crate::log::Exchange;

/// A request's body, counted as it is read.
pub(crate) struct Counted {
    pub(crate) body: Incoming,
    pub(crate) exchange: Arc<Exchange>,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.exchange.read(data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body, with the faults that keep its length.
pub(crate) struct Shaped {
    pub(crate) body: s3s::Body,
    /// Offset of the byte whose lowest bit is flipped.
    pub(crate) flip: Option<u64>,
    pub(crate) pace: Option<Pace>,
    written: u64,
}

impl Shaped {
    pub(crate) fn new(body: s3s::Body) -> Self {
        Self { body, flip: None, pace: None, written: 0 }
    }

    fn flipped(&self, data: Bytes) -> Bytes {
        let Some(at) = self.flip.and_then(|at| at.checked_sub(self.written)) else { return data };
        let Ok(at) = usize::try_from(at) else { return data };
        if at >= data.len() {
            return data;
        }
        let mut spoilt = BytesMut::from(&data[..]);
        spoilt[at] ^= 1;
        spoilt.freeze()
    }
}

impl Body for Shaped {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        if let Some(pace) = &mut self.pace {
            ready!(pace.poll_due(cx));
            if !pace.held.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(pace.next()))));
            }
        }
        match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { return Poll::Ready(None) };
                let mut data = self.flipped(data);
                self.written += data.len() as u64;
                if let Some(pace) = &mut self.pace {
                    pace.held = data;
                    data = pace.next();
                }
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            end => Poll::Ready(end),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && self.pace.as_ref().is_none_or(|pace| pace.held.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let held = self.pace.as_ref().map_or(0, |pace| pace.held.len() as u64);
        if let Some(exact) = hint.exact() {
            hint.set_exact(exact + held);
        }
        hint
    }
}

/// A body's rate. HTTP/1 answers one request at a time, so it is the connection's too.
pub(crate) struct Pace {
    bytes_per_second: u64,
    held: Bytes,
    due: Pin<Box<Sleep>>,
}

impl Pace {
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        let due = Box::pin(tokio::time::sleep_until(Instant::now()));
        Self { bytes_per_second: bytes_per_second.max(1), held: Bytes::new(), due }
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.due.as_mut().poll(cx)
    }

    /// The next piece (about 20 ms of the rate), and when the one behind it is due.
    fn next(&mut self) -> Bytes {
        let piece = usize::try_from(self.bytes_per_second / 50).unwrap_or(usize::MAX).max(1);
        let piece = self.held.split_to(piece.min(self.held.len()));
        let seconds = piece.len() as f64 / self.bytes_per_second as f64;
        let due = self.due.deadline() + Duration::from_secs_f64(seconds);
        self.due.as_mut().reset(due);
        piece
    }
}
