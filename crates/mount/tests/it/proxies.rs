//! Where a proxy is named, every request goes through it, those for names like those for bytes.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lab::Config;
use testkit::reader::Means;
use testkit::{Server, Start};

use crate::harness::{MIB, start, target};

/// A proxy that leads to one server, whatever name it is asked for, and lets in a user with a
/// password.
struct Proxy {
    address: SocketAddr,
    tunnels: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
}

impl Proxy {
    fn to(server: &Server) -> Self {
        let authority = server.endpoint().split("//").nth(1).unwrap();
        let target: SocketAddr = authority.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tunnels, requests) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let counters = (tunnels.clone(), requests.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, counters) = (stream.unwrap(), counters.clone());
                thread::spawn(move || serve(stream, target, &counters.0, &counters.1));
            }
        });
        Self { address, tunnels, requests }
    }

    fn url(&self, password: &str) -> String {
        format!("http://user:{password}@{}", self.address)
    }

    fn counts(&self) -> (u64, u64) {
        (self.tunnels.load(Ordering::SeqCst), self.requests.load(Ordering::SeqCst))
    }
}

/// Serves one connection: a tunnel, or requests one after another.
fn serve(
    client: TcpStream,
    target: SocketAddr,
    tunnels: &AtomicU64,
    requests: &AtomicU64,
) -> io::Result<()> {
    let mut from_client = BufReader::new(client.try_clone()?);
    let server = TcpStream::connect(target)?;
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
    };
    let mut answering = false;
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if from_client.read_line(&mut line)? == 0 {
                return server.shutdown(std::net::Shutdown::Both);
            }
            if line == "\r\n" {
                break;
            }
            head.push(line);
        }
        // base64 of `user:right`.
        let let_in = head.iter().any(|line| line.trim_end().ends_with("Basic dXNlcjpyaWdodA=="));
        if !let_in {
            let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
            (&client).write_all(refusal.as_bytes())?;
            continue;
        }
        if head[0].starts_with("CONNECT ") {
            tunnels.fetch_add(1, Ordering::SeqCst);
            (&client).write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            copy(server.try_clone()?, client);
            io::copy(&mut from_client, &mut &server)?;
            return server.shutdown(std::net::Shutdown::Both);
        }
        requests.fetch_add(1, Ordering::SeqCst);
        if !std::mem::replace(&mut answering, true) {
            copy(server.try_clone()?, client.try_clone()?);
        }
        let (method, rest) = head[0].split_once(' ').unwrap();
        let path = rest.strip_prefix("http://").expect("the whole URL").split_once('/').unwrap().1;
        let kept = head[1..].iter().filter(|line| !line.to_lowercase().starts_with("proxy-"));
        let head = format!("{method} /{path}{}\r\n", kept.cloned().collect::<String>());
        (&server).write_all(head.as_bytes())?;
    }
}

/// Lists and reads a file of a bucket that only the proxy leads to.
fn reads_through(server: &Server, start: Start) {
    let lab = server.lab_itself();
    lab.create_bucket("bucket").unwrap();
    lab.put_synthetic("bucket", "file", 20 * MIB, 1).unwrap();
    lab.reset_counters();
    let mount = start.words(&["--metadata-ttl", "60"]).mount("bucket");
    assert_eq!(std::fs::read_dir(mount.directory()).unwrap().count(), 1);
    testkit::exerciser::check_whole(&target(&mount, "file", 1, 20 * MIB), Means::Pread, 1 << 20);
    assert!(server.count("GetObject") >= 3, "nothing was read");
}

#[test]
fn plain_requests_are_sent_to_the_proxy_whole() {
    let server = Server::lab();
    let proxy = Proxy::to(&server);
    let start = start(&server)
        .words(&["--endpoint-url", "http://nobody.invalid"])
        .env("http_proxy", &proxy.url("right"));
    reads_through(&server, start);
    assert_eq!(proxy.counts(), (0, server.lab_itself().counters().total().requests));
}

#[test]
fn requests_under_tls_go_through_tunnels() {
    let server = Server::lab_with(Config { tls: true, ..Config::default() });
    let authority = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(authority.path(), server.lab_itself().ca_pem().unwrap()).unwrap();
    let proxy = Proxy::to(&server);
    // Nobody listens there: who goes around the proxy comes to nothing.
    let start = start(&server)
        .words(&["--endpoint-url", "https://localhost:1"])
        .words(&["--ca-bundle", authority.path().to_str().unwrap()])
        .env("HTTPS_PROXY", &proxy.url("right"));
    reads_through(&server, start);
    let (tunnels, requests) = proxy.counts();
    assert!(tunnels >= 2 && requests == 0, "{tunnels} tunnels, {requests} requests");
}

#[test]
fn a_host_that_is_excepted_is_asked_directly() {
    let server = Server::lab();
    let proxy = Proxy::to(&server);
    let start = start(&server)
        .env("HTTP_PROXY", &proxy.url("right"))
        .env("NO_PROXY", "elsewhere.example,127.0.0.0/8");
    reads_through(&server, start);
    assert_eq!(proxy.counts(), (0, 0));
}

#[test]
fn a_proxy_that_refuses_or_cannot_be_used_is_named() {
    let server = Server::lab();
    server.bucket("bucket");
    let proxy = Proxy::to(&server);
    for (endpoint, proxy, part) in [
        ("http://nobody.invalid", proxy.url("wrong"), "407"),
        ("https://nobody.invalid", proxy.url("wrong"), "127.0.0.1"),
        ("http://nobody.invalid", "http://127.0.0.1:1".into(), "127.0.0.1:1"),
        ("https://nobody.invalid", "socks5://127.0.0.1:1".into(), "HTTPS_PROXY"),
    ] {
        let start = start(&server).words(&["--endpoint-url", endpoint]).env("ALL_PROXY", &proxy);
        let begun = Instant::now();
        let ran = start.refused("bucket");
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}: {ran:#?}", begun.elapsed());
        assert_eq!(ran.code, Some(1), "{ran:#?}");
        assert!(ran.stderr.contains("the proxy") && ran.stderr.contains(part), "{ran:#?}");
        assert!(!ran.text().contains("wrong"), "{ran:#?}");
    }
}
