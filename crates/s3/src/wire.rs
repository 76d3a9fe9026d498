//! One HTTP/1 connection.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::queue::Queue;
use crate::reply::{BadReply, HEAD_MAX, Reply, dechunk};

/// What TLS reads from the socket at once, in bytes: rustls by itself asks for a record's 4 KiB.
pub(crate) const TLS_READ: usize = 256 << 10;
/// What is read at once while a head is awaited, in bytes.
const HEAD_READ: usize = 8 << 10;
/// The longest error document that is read, in bytes.
const COMPLAINT_MAX: usize = 64 << 10;
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

    /// Sends a request and reads the head of its answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Reply, Silence> {
        match &mut self.wire {
            Wire::Plain(stream) => stream.write_all(request).await?,
            Wire::Tls(stream) => {
                stream.write_all(request).await?;
                stream.flush().await?;
            }
        }
        for _ in 0..=INTERIM_MAX {
            let reply = self.head().await?;
            if reply.status >= 200 {
                return Ok(reply);
            }
        }
        Err(BadReply::NotHttp.into())
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

    /// Reads an error document: as much of it as is bounded, and whether that was all of it.
    pub(crate) async fn complaint(&mut self, reply: &Reply) -> (Vec<u8>, bool) {
        loop {
            let whole = match reply.length {
                _ if reply.chunked => dechunk(&self.pending),
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
            let full = self.pending.len() >= COMPLAINT_MAX;
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
