//! One HTTP/1 connection.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::queue::Queue;
use crate::reply::{BadReply, HEAD_MAX, Reply, dechunk};

/// What TLS reads from the socket at once, in bytes: rustls by itself asks for a record's 4 KiB.
pub(crate) const TLS_READ: usize = 256 << 10;
/// What is read at once while a head is awaited, in bytes.
const HEAD_READ: usize = 8 << 10;
/// The longest document that is read, in bytes.
const DOCUMENT_MAX: usize = 64 << 10;
/// What is read at once while a request is still being sent, in bytes.
const EARLY_READ: usize = 1 << 10;
/// The most interim answers (1xx) before the real one.
const INTERIM_MAX: usize = 8;

/// The socket, bare or under TLS.
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<BufReader<TcpStream>>>),
}

/// A connection with the bytes that were read and not yet used.
pub(crate) struct Connection {
    wire: Wire,
    pending: Vec<u8>,
    /// Whether an answer came over it before.
    pub(crate) used: bool,
    /// Where it leads.
    pub(crate) address: SocketAddr,
}

/// What became of a piece of a request.
pub(crate) enum Pushed {
    /// So many bytes of it are on their way.
    Sent(usize),
    /// The answer came before.
    Answered(Reply),
}

/// Why no head of an answer came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Silence {
    #[error("the connection failed before the answer")]
    Broken(#[from] io::Error),
    #[error(transparent)]
    Bad(#[from] BadReply),
}

impl Connection {
    pub(crate) fn new(wire: Wire, address: SocketAddr) -> Self {
        Self { wire, pending: Vec::new(), used: false, address }
    }

    /// The socket, if it is bare and nothing came that was not used.
    pub(crate) fn into_plain(self) -> Option<TcpStream> {
        match self.wire {
            Wire::Plain(stream) if self.pending.is_empty() => Some(stream),
            _ => None,
        }
    }

    /// Sends a request without a body and reads the head of its answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Reply, Silence> {
        match &mut self.wire {
            Wire::Plain(stream) => stream.write_all(request).await?,
            Wire::Tls(stream) => {
                stream.write_all(request).await?;
                stream.flush().await?;
            }
        }
        self.reply().await
    }

    /// Sends some more of a request, of which `rest` is left; with nothing left, sees to it that
    /// all of it is on its way. An answer that comes before that is noticed.
    pub(crate) async fn push(&mut self, rest: &[IoSlice<'_>]) -> Result<Pushed, Silence> {
        loop {
            let pushed = match &mut self.wire {
                Wire::Plain(stream) => push(stream, rest, &mut self.pending).await,
                Wire::Tls(stream) => push(stream.as_mut(), rest, &mut self.pending).await,
            };
            match pushed {
                Ok(Some(sent)) => return Ok(Pushed::Sent(sent)),
                Ok(None) => {
                    if let Some(reply) = self.early()? {
                        return Ok(Pushed::Answered(reply));
                    }
                }
                // The other side does not listen any more, and may have said why.
                Err(error) => {
                    return self.reply().await.map(Pushed::Answered).map_err(|_| error.into());
                }
            }
        }
    }

    /// Reads the head of the answer.
    pub(crate) async fn reply(&mut self) -> Result<Reply, Silence> {
        for _ in 0..=INTERIM_MAX {
            let reply = self.head().await?;
            if reply.status >= 200 {
                return Ok(reply);
            }
        }
        Err(BadReply::NotHttp.into())
    }

    /// The head of the answer, if all of it is here.
    fn early(&mut self) -> Result<Option<Reply>, Silence> {
        while let Some((reply, end)) = Reply::parse(&self.pending)? {
            self.pending.drain(..end);
            if reply.status >= 200 {
                return Ok(Some(reply));
            }
        }
        Ok(None)
    }

    async fn head(&mut self) -> Result<Reply, Silence> {
        loop {
            if let Some((reply, end)) = Reply::parse(&self.pending)? {
                self.pending.drain(..end);
                return Ok(reply);
            }
            if self.more().await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// Reads a document: as much of it as is bounded, and whether that was all of it.
    pub(crate) async fn document(&mut self, reply: &Reply) -> (Vec<u8>, bool) {
        loop {
            let whole = match reply.length {
                _ if reply.chunked => dechunk(&self.pending),
                // There is none, whatever the length (RFC 9112, 6.3).
                _ if matches!(reply.status, 204 | 304) => Some((Vec::new(), 0)),
                Some(length) => usize::try_from(length)
                    .ok()
                    .and_then(|n| self.pending.get(..n))
                    .map(|body| (body.to_vec(), body.len())),
                None => None,
            };
            if let Some((body, used)) = whole {
                self.pending.drain(..used);
                return (body, true);
            }
            let full = self.pending.len() >= DOCUMENT_MAX;
            if full || !matches!(self.more().await, Ok(1..)) {
                return (std::mem::take(&mut self.pending), false);
            }
        }
    }

    /// Moves bytes of the body that came with the head; says how many.
    pub(crate) fn give(&mut self, queue: &mut Queue) -> usize {
        let given = queue.copy(&self.pending);
        self.pending.drain(..given);
        if self.pending.is_empty() {
            // Nothing is kept per connection while its body comes.
            self.pending = Vec::new();
        }
        given
    }

    /// Reads as much of the body as there is, straight to where it is going to stay.
    pub(crate) async fn fill(&mut self, queue: &mut Queue) -> io::Result<usize> {
        match &mut self.wire {
            Wire::Plain(stream) => loop {
                match stream.try_read_vectored(&mut queue.slices()) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => stream.readable().await?,
                    other => return other,
                }
            },
            Wire::Tls(stream) => stream.read(queue.front()).await,
        }
    }

    /// Whether the connection is open and nothing came that nobody asked for.
    pub(crate) fn is_quiet(&self) -> bool {
        let (stream, buffered) = match &self.wire {
            Wire::Plain(stream) => (stream, 0),
            Wire::Tls(stream) => {
                let reader = stream.get_ref().0;
                (reader.get_ref(), reader.buffer().len())
            }
        };
        let silent = |e: io::Error| e.kind() == io::ErrorKind::WouldBlock;
        let mut byte = [0];
        buffered == 0 && self.pending.is_empty() && stream.try_read(&mut byte).is_err_and(silent)
    }

    /// Whether a byte of an answer came that was not used.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    async fn more(&mut self) -> io::Result<usize> {
        if self.pending.len() > HEAD_MAX + HEAD_READ {
            return Err(io::Error::from(io::ErrorKind::OutOfMemory));
        }
        self.pending.reserve(HEAD_READ);
        match &mut self.wire {
            Wire::Plain(stream) => stream.read_buf(&mut self.pending).await,
            Wire::Tls(stream) => stream.read_buf(&mut self.pending).await,
        }
    }
}

/// Writes some of `rest`, or flushes when it is empty. `None`: bytes of an answer came first, and
/// are in `pending`.
async fn push(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    rest: &[IoSlice<'_>],
    pending: &mut Vec<u8>,
) -> io::Result<Option<usize>> {
    let mut early = [0; EARLY_READ];
    poll_fn(|cx| {
        let sent = match rest {
            [] => Pin::new(&mut *stream).poll_flush(cx).map_ok(|()| 0),
            _ => Pin::new(&mut *stream).poll_write_vectored(cx, rest),
        };
        if let Poll::Ready(sent) = sent {
            return Poll::Ready(match sent? {
                0 if !rest.is_empty() => Err(io::ErrorKind::WriteZero.into()),
                sent => Ok(Some(sent)),
            });
        }
        let mut read = ReadBuf::new(&mut early);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut read))?;
        if read.filled().is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        pending.extend_from_slice(read.filled());
        Poll::Ready(Ok(None))
    })
    .await
}
