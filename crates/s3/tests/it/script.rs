//! A server that answers requests for objects with whatever bytes a test wants.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// One thing to do on a connection.
#[derive(Clone)]
pub(crate) enum Act {
    Send(Vec<u8>),
    /// As the first one: what follows is done before the request's body is read.
    Unread,
    Wait(Duration),
    /// Sends nothing more until the other side closes.
    Stall,
    Close,
    Reset,
}

type Answer = dyn Fn(usize, &str) -> Vec<Act> + Send + Sync;

/// What was asked of the server.
#[derive(Default)]
pub(crate) struct Log {
    /// Heads of the requests for objects.
    pub(crate) gets: Vec<String>,
    /// And the bodies of those that had one and were read to their end.
    pub(crate) bodies: Vec<Vec<u8>>,
    /// For each of them, the number of its connection.
    pub(crate) on: Vec<usize>,
    /// Connections that ended, by their number.
    pub(crate) ended: Vec<usize>,
}

pub(crate) struct Script {
    pub(crate) address: SocketAddr,
    pub(crate) log: Arc<Mutex<Log>>,
    /// The listener and all connections.
    tasks: JoinHandle<()>,
}

impl Script {
    /// Answers the n-th request for an object (from 0) by `answer(n, head)`, and LISTs with nothing.
    pub(crate) async fn start(
        answer: impl Fn(usize, &str) -> Vec<Act> + Send + Sync + 'static,
    ) -> Script {
        Self::start_at("127.0.0.1:0".parse().unwrap(), answer).await
    }

    /// The same, at this address.
    pub(crate) async fn start_at(
        address: SocketAddr,
        answer: impl Fn(usize, &str) -> Vec<Act> + Send + Sync + 'static,
    ) -> Script {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (log, answer): (Arc<Mutex<Log>>, Arc<Answer>) = (Arc::default(), Arc::new(answer));
        let ours = log.clone();
        let tasks = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (log, answer) = (ours.clone(), answer.clone());
                connections.spawn(async move {
                    let _ = serve(stream, number, &log, &answer).await;
                    log.lock().unwrap().ended.push(number);
                });
            }
        });
        Script { address, log, tasks }
    }

    /// Ends the server and all its connections; says where it was.
    pub(crate) async fn stop(self) -> SocketAddr {
        self.tasks.abort();
        let _ = self.tasks.await;
        self.address
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn gets(&self) -> Vec<String> {
        self.log.lock().unwrap().gets.clone()
    }

    /// The methods of the requests for objects, in order.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.gets().iter().map(|head| head.split(' ').next().unwrap().to_owned()).collect()
    }

    pub(crate) fn bodies(&self) -> Vec<Vec<u8>> {
        self.log.lock().unwrap().bodies.clone()
    }

    /// Waits until the connection of the n-th request has ended.
    pub(crate) async fn ended(&self, get: usize) {
        loop {
            {
                let log = self.log.lock().unwrap();
                if log.on.get(get).is_some_and(|c| log.ended.contains(c)) {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    number: usize,
    log: &Mutex<Log>,
    answer: &Arc<Answer>,
) -> std::io::Result<()> {
    let mut pending = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = pending.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut pending).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&pending[..end]).into_owned();
        pending.drain(..end);
        if head.contains("list-type=2") {
            stream.write_all(&empty_listing()).await?;
            continue;
        }
        let acts = {
            let mut log = log.lock().unwrap();
            log.gets.push(head.clone());
            log.on.push(number);
            let n = log.gets.len() - 1;
            answer(n, &head)
        };
        if !matches!(acts.first(), Some(Act::Unread)) {
            let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
            let length = length.map_or(0, |length| length.parse().unwrap());
            while pending.len() < length {
                if stream.read_buf(&mut pending).await? == 0 {
                    return Ok(());
                }
            }
            if length > 0 {
                let body = pending.drain(..length).collect();
                log.lock().unwrap().bodies.push(body);
            }
        }
        for act in acts {
            match act {
                Act::Unread => {}
                Act::Send(bytes) => stream.write_all(&bytes).await?,
                Act::Wait(time) => tokio::time::sleep(time).await,
                Act::Stall => {
                    while stream.read_buf(&mut pending).await? > 0 {}
                    return Ok(());
                }
                Act::Close => return stream.shutdown().await,
                Act::Reset => return stream.set_zero_linger(),
            }
        }
    }
}

fn empty_listing() -> Vec<u8> {
    let body = "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated>\
                <KeyCount>0</KeyCount></ListBucketResult>";
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
