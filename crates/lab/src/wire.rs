//! The connection below hyper: counts body bytes as they are written, and carries out
//! the faults that no HTTP library would commit (reset, early close, stall, too many bytes).

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::log::Exchange;
use crate::rules::Fired;

#[cfg(test)]
mod tests;

/// A plain or encrypted connection.
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    fn pinned(&mut self) -> Pin<&mut dyn Stream> {
        let stream: &mut dyn Stream = match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.as_mut(),
        };
        Pin::new(stream)
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What happens when `at` bytes of the body have been written.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) at: u64,
    pub(crate) then: Then,
}

#[derive(Debug)]
pub(crate) enum Then {
    /// RST.
    Reset,
    /// FIN.
    Close,
    /// Nothing, until the rule is removed; then the rest.
    Stall(Fired),
    /// These bytes, then FIN.
    Overlong(Bytes),
}

/// What the wire knows of the answer being written. Shared with the request's handler,
/// which arms it before hyper begins to write.
#[derive(Debug, Default)]
pub(crate) struct Script {
    exchange: Option<Arc<Exchange>>,
    /// Body bytes the answer will have.
    expected: u64,
    phase: Phase,
    cut: Option<Cut>,
    /// Close with RST.
    reset: bool,
}

#[derive(Debug, Default, Clone, Copy)]
enum Phase {
    /// No answer of ours is being written.
    #[default]
    Idle,
    /// In the head; so many bytes of its end have been seen.
    Head { matched: usize },
    /// In the body; so many bytes of it have been written.
    Body { written: u64 },
}

const HEAD_END: &[u8] = b"\r\n\r\n";

impl Script {
    /// An answer with `expected` body bytes is about to be written.
    pub(crate) fn begin(&mut self, exchange: Arc<Exchange>, expected: u64, cut: Option<Cut>) {
        self.exchange = Some(exchange);
        self.expected = expected;
        self.phase = Phase::Head { matched: 0 };
        self.cut = cut;
    }

    /// The connection is to end with RST.
    pub(crate) fn reset(&mut self) {
        self.reset = true;
    }

    /// How much of `buffers` may be written now: all of the head, and the body up to a cut.
    /// Answers (bytes allowed, body bytes among them).
    fn allowance(&self, buffers: &[IoSlice<'_>]) -> (usize, u64) {
        let total: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        let (head, written) = match self.phase {
            Phase::Idle => return (total, 0),
            Phase::Body { written } => (0, written),
            Phase::Head { matched } => match head_length(matched, buffers) {
                Some(head) => (head, 0),
                None => return (total, 0),
            },
        };
        let body = (total - head) as u64;
        let limit = self.cut.as_ref().map_or(u64::MAX, |cut| cut.at.saturating_sub(written));
        let body = body.min(limit);
        (head + usize::try_from(body).unwrap_or(usize::MAX), body)
    }

    /// Takes note of `length` bytes of `buffers` that have been written.
    fn advance(&mut self, buffers: &[IoSlice<'_>], length: usize) {
        match self.phase {
            Phase::Idle => {}
            Phase::Body { written } => {
                self.phase = Phase::Body { written: written + length as u64 }
            }
            Phase::Head { matched } => match head_length(matched, buffers) {
                Some(head) if length >= head => {
                    self.phase = Phase::Body { written: (length - head) as u64 };
                }
                _ => self.phase = Phase::Head { matched: match_after(matched, buffers, length) },
            },
        }
        if let Phase::Body { written } = self.phase
            && written >= self.expected
        {
            self.exchange = None;
        }
    }

    /// The cut that is due.
    fn take_due(&mut self) -> Option<Then> {
        let Phase::Body { written } = self.phase else { return None };
        self.cut.take_if(|cut| written >= cut.at).map(|cut| cut.then)
    }
}

/// How many bytes of `buffers` belong to a head of whose end `matched` bytes were seen.
fn head_length(matched: usize, buffers: &[IoSlice<'_>]) -> Option<usize> {
    let mut matched = matched;
    let bytes = buffers.iter().flat_map(|buffer| buffer.iter());
    for (index, byte) in bytes.enumerate() {
        matched = step(matched, *byte);
        if matched == HEAD_END.len() {
            return Some(index + 1);
        }
    }
    None
}

fn match_after(matched: usize, buffers: &[IoSlice<'_>], length: usize) -> usize {
    buffers.iter().flat_map(|buffer| buffer.iter()).take(length).fold(matched, |m, b| step(m, *b))
}

fn step(matched: usize, byte: u8) -> usize {
    match HEAD_END.get(matched) {
        Some(expected) if *expected == byte => matched + 1,
        _ => usize::from(byte == HEAD_END[0]),
    }
}

/// Locks a script.
pub(crate) fn lock(script: &Mutex<Script>) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the wire itself is doing in place of hyper.
enum Sabotage {
    Waiting(Pin<Box<dyn Future<Output = ()> + Send>>),
    Injecting(Bytes),
    Closing { reset: bool },
    Ended,
}

/// A connection under its script.
pub(crate) struct Wire {
    transport: Transport,
    script: Arc<Mutex<Script>>,
    sabotage: Option<Sabotage>,
}

impl Wire {
    pub(crate) fn new(transport: Transport, script: Arc<Mutex<Script>>) -> Self {
        Self { transport, script, sabotage: None }
    }

    /// Carries out what is due. Ready when hyper may write on.
    fn poll_sabotage(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.sabotage.is_none() {
                self.sabotage = lock(&self.script).take_due().map(|then| match then {
                    Then::Reset => Sabotage::Closing { reset: true },
                    Then::Close => Sabotage::Closing { reset: false },
                    Then::Stall(fired) => Sabotage::Waiting(Box::pin(fired.rule_removed())),
                    Then::Overlong(bytes) => Sabotage::Injecting(bytes),
                });
            }
            match &mut self.sabotage {
                None => return Poll::Ready(Ok(())),
                Some(Sabotage::Waiting(removed)) => {
                    // What was written before the stall must reach the client meanwhile.
                    let flushed = self.transport.pinned().poll_flush(cx)?;
                    ready!(removed.as_mut().poll(cx));
                    ready!(flushed);
                    self.sabotage = None;
                }
                Some(Sabotage::Injecting(bytes)) => {
                    while bytes.has_remaining() {
                        let length = ready!(self.transport.pinned().poll_write(cx, bytes))?;
                        bytes.advance(length);
                    }
                    self.sabotage = Some(Sabotage::Closing { reset: false });
                }
                Some(Sabotage::Closing { reset }) => {
                    let reset = *reset;
                    ready!(self.transport.pinned().poll_flush(cx))?;
                    lock(&self.script).reset |= reset;
                    self.sabotage = Some(Sabotage::Ended);
                }
                Some(Sabotage::Ended) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
    }

    fn poll_counted_write(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_sabotage(cx))?;
        let mut script = lock(&self.script);
        let (allowed, body) = script.allowance(buffers);
        let head = allowed as u64 - body;
        // Counted before they are written: whoever has read them finds them counted.
        if let Some(exchange) = &script.exchange {
            exchange.writes(body);
        }
        let result = write_limited(self.transport.pinned(), cx, buffers, allowed);
        let length = match &result {
            Poll::Ready(Ok(length)) => *length,
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        let unwritten = body - (length as u64).saturating_sub(head);
        if let Some(exchange) = &script.exchange
            && unwritten > 0
        {
            exchange.did_not_write(unwritten);
        }
        script.advance(buffers, length);
        result
    }
}

fn write_limited(
    transport: Pin<&mut dyn Stream>,
    cx: &mut Context<'_>,
    buffers: &[IoSlice<'_>],
    allowed: usize,
) -> Poll<io::Result<usize>> {
    let total: usize = buffers.iter().map(|buffer| buffer.len()).sum();
    if allowed == total {
        return transport.poll_write_vectored(cx, buffers);
    }
    let mut left = allowed;
    let mut limited = Vec::with_capacity(buffers.len());
    for buffer in buffers {
        let length = buffer.len().min(left);
        left -= length;
        limited.push(IoSlice::new(&buffer[..length]));
    }
    transport.poll_write_vectored(cx, &limited)
}

impl Drop for Wire {
    fn drop(&mut self) {
        if lock(&self.script).reset
            && let Err(error) = self.transport.tcp().set_zero_linger()
        {
            tracing::warn!(%error, "the connection is closed instead of reset");
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.transport.pinned().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_counted_write(cx, &[IoSlice::new(buffer)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_counted_write(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(tcp) => tcp.is_write_vectored(),
            Transport::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_sabotage(cx))?;
        self.transport.pinned().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_sabotage(cx))?;
        self.transport.pinned().poll_shutdown(cx)
    }
}
