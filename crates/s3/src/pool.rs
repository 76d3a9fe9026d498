//! Connections to one endpoint, kept between requests.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use object::ErrorKind;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::detour::Detour;
use crate::endpoint::Endpoint;
use crate::fault::{Cure, Fault, Obstacle};
use crate::names::Names;
use crate::wire::{Connection, TLS_READ, Wire};

/// How long an idle connection is kept. S3 closes them after some 20 s.
const IDLE_MAX: Duration = Duration::from_secs(8);
/// How long one address is given to accept, and TLS to be agreed on.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(3);
/// How many addresses one dialling tries.
const ADDRESSES_MAX: usize = 3;

/// TLS, and the name the certificate must have.
pub(crate) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    pub(crate) fn new(config: Arc<rustls::ClientConfig>, name: ServerName<'static>) -> Self {
        Self { connector: TlsConnector::from(config), name }
    }
}

/// The connections of one endpoint.
pub(crate) struct Pool {
    me: Weak<Pool>,
    host: String,
    names: Names,
    tls: Option<Tls>,
    /// What has to be said to a proxy before TLS.
    tunnel: Option<String>,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// The longest idle first.
    connections: Vec<(Connection, Instant)>,
    /// Whether a task is waiting to close those that nobody takes.
    watched: bool,
}

impl Pool {
    /// No connections yet to `endpoint`, or to the proxy on the way to it.
    pub(crate) fn new(endpoint: &Endpoint, tls: Option<Tls>, detour: Option<Detour>) -> Arc<Self> {
        let (host, port) = match &detour {
            Some(proxy) => (&proxy.host, proxy.port),
            None => (&endpoint.host, endpoint.port),
        };
        let tunnel = detour.as_ref().filter(|_| tls.is_some()).map(|d| d.tunnel(endpoint));
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            host: host.to_owned(),
            names: Names::new(host, port),
            tls,
            tunnel,
            idle: Mutex::default(),
        })
    }

    /// An idle connection, if there is one that seems open. The last one kept comes first.
    pub(crate) fn take(&self) -> Option<Connection> {
        let mut idle = self.idle();
        let oldest = Instant::now() - IDLE_MAX;
        while let Some((connection, since)) = idle.connections.pop() {
            if since > oldest && connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose answer was read to its end.
    pub(crate) fn keep(&self, mut connection: Connection) {
        if connection.has_pending() {
            return;
        }
        connection.used = true;
        let mut idle = self.idle();
        idle.connections.push((connection, Instant::now()));
        if !std::mem::replace(&mut idle.watched, true) {
            tokio::spawn(watch(self.me.clone()));
        }
    }

    /// Makes a connection, to the next address that answers.
    pub(crate) async fn dial(&self) -> Result<Connection, Fault> {
        let mut failure = None;
        for _ in 0..ADDRESSES_MAX {
            let found = timed(self.names.next()).await;
            let address = found.map_err(|e| self.unreachable("looked up", e))?;
            match timed(TcpStream::connect(address)).await {
                Ok(stream) => return self.greet(stream, address).await,
                Err(error) => {
                    tracing::debug!(host = %self.host, %address, %error, "cannot connect");
                    self.names.avoid(address);
                    failure = Some(error);
                }
            }
            if self.names.count() < 2 {
                break;
            }
        }
        let failure = failure.unwrap_or_else(|| io::ErrorKind::NotConnected.into());
        Err(self.unreachable("connected to", failure))
    }

    async fn greet(&self, stream: TcpStream, address: SocketAddr) -> Result<Connection, Fault> {
        stream.set_nodelay(true).map_err(|e| self.unreachable("set up", e))?;
        let Some(tls) = &self.tls else {
            return Ok(Connection::new(Wire::Plain(stream), address));
        };
        let stream = match &self.tunnel {
            Some(tunnel) => self.tunnel(stream, address, tunnel).await?,
            None => stream,
        };
        let buffered = BufReader::with_capacity(TLS_READ, stream);
        match timed(tls.connector.connect(tls.name.clone(), buffered)).await {
            Ok(stream) => Ok(Connection::new(Wire::Tls(Box::new(stream)), address)),
            Err(error) => {
                let refused = Obstacle::find(&error) == Some(Obstacle::Certificate);
                let mut fault = self.unreachable("trusted", error);
                if refused {
                    fault.cure = Cure::None;
                }
                Err(fault)
            }
        }
    }

    /// Has the proxy connect us to the endpoint.
    async fn tunnel(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        request: &str,
    ) -> Result<TcpStream, Fault> {
        let mut connection = Connection::new(Wire::Plain(stream), address);
        let asked = timeout(CONNECT_MAX, connection.exchange(request.as_bytes())).await;
        let answer = asked.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
        let refused = |why: String| {
            let message = format!("the proxy {} makes no tunnel: {why}", self.host);
            Fault::transport(ErrorKind::Unreachable, message, None)
        };
        match answer.map_err(|e| refused(e.to_string()))?.status {
            200..=299 => connection.into_plain().ok_or_else(|| refused("it says more".into())),
            // It does not know us, or does not want us there.
            status @ 400..=499 => {
                Err(Fault { cure: Cure::None, ..refused(format!("it answers {status}")) })
            }
            status => Err(refused(format!("it answers {status}"))),
        }
    }

    fn unreachable(&self, what: &str, error: io::Error) -> Fault {
        let message = format!("the endpoint {} cannot be {what}: {error}", self.host);
        Fault::transport(ErrorKind::Unreachable, message, Some(Box::new(error)))
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes connections that nobody takes, until there are none.
async fn watch(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(IDLE_MAX / 2).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.idle();
        let oldest = Instant::now() - IDLE_MAX;
        idle.connections.retain(|(connection, since)| *since > oldest && connection.is_quiet());
        idle.watched = !idle.connections.is_empty();
        if !idle.watched {
            return;
        }
    }
}

async fn timed<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(CONNECT_MAX, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests;
