//! CPU seconds per GiB of 8 MiB ranged GETs, 16 at once: this crate beside the default
//! `aws-sdk-s3` client, plain and TLS, interleaved, against a bare server in another process.
//!
//! `cargo run --release -p s3 --example get_bench [GiB per run, default 2] [rounds, default 3]`

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use object::{Bucket, Budget, Clock, ETag, Key, Source, Span, Version};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const PART: u64 = 8 << 20;
const AT_ONCE: u64 = 16;
const SIZE: u64 = 1 << 40;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [role, tls, directory] = args.as_slice()
        && role == "serve"
    {
        return serve(tls == "tls", directory);
    }
    let number = |i: usize, default| args.get(i).map_or(Ok(default), |a: &String| a.parse::<u64>());
    let (gib, rounds) = (number(0, 2)?, number(1, 3)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for tls in [false, true] {
        let server = Server::start(tls)?;
        for _ in 0..rounds {
            runtime.block_on(ours(&server, gib))?;
            runtime.block_on(sdk(&server, gib))?;
        }
    }
    Ok(())
}

async fn ours(server: &Server, gib: u64) -> Outcome<()> {
    let config = s3::Config {
        region: Some("us-east-1".into()),
        endpoint_url: Some(server.endpoint.clone()),
        identity: s3::Identity::Provider(SharedCredentialsProvider::new(keys())),
        ca_bundle: server.tls.then(|| server.directory.path().join("ca.pem")),
        ..s3::Config::new(Bucket::new("bucket")?)
    };
    let s3 = Arc::new(s3::S3::connect(config, Clock::start(), "").await?.0);
    let budget = Budget::new((AT_ONCE + 1) * PART);
    let version = Arc::new(Version { key: Key::new("k")?, etag: ETag::new("e"), size: SIZE });
    measured("ours", server.tls, gib, |part| {
        let (s3, budget, version) = (s3.clone(), budget.clone(), version.clone());
        async move {
            let lease = budget.lease(PART).await;
            let flight = s3.read(&version, Span::new(part * PART, (part + 1) * PART), lease);
            for number in flight.span().chunks() {
                flight.landed(number).await?;
                flight.release(number);
            }
            Ok(())
        }
    })
    .await
}

async fn sdk(server: &Server, gib: u64) -> Outcome<()> {
    let mut builder = aws_sdk_s3::config::Builder::new()
        .behavior_version_latest()
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .endpoint_url(&server.endpoint)
        .credentials_provider(keys());
    if server.tls {
        let pem = std::fs::read(server.directory.path().join("ca.pem"))?;
        let store = TrustStore::empty().with_pem_certificate(pem);
        let context = TlsContext::builder().with_trust_store(store).build()?;
        let client = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(context)
            .build_https();
        builder = builder.http_client(client);
    }
    let client = aws_sdk_s3::Client::from_conf(builder.build());
    measured("aws-sdk-s3", server.tls, gib, |part| {
        let client = client.clone();
        async move {
            let range = format!("bytes={}-{}", part * PART, (part + 1) * PART - 1);
            let request = client.get_object().bucket("bucket").key("k").range(range);
            let bytes = request.send().await?.body.collect().await?.into_bytes();
            assert_eq!(bytes.len() as u64, PART);
            Ok(())
        }
    })
    .await
}

async fn measured<F: Future<Output = Outcome<()>> + Send + 'static>(
    who: &str,
    tls: bool,
    gib: u64,
    get: impl Fn(u64) -> F,
) -> Outcome<()> {
    let parts = (gib << 30) / PART;
    let begun = (cpu_seconds()?, tokio::time::Instant::now());
    let mut gets = tokio::task::JoinSet::new();
    for part in 0..parts {
        if gets.len() as u64 == AT_ONCE {
            gets.join_next().await.ok_or("no GET")???;
        }
        gets.spawn(get(part));
    }
    while let Some(done) = gets.join_next().await {
        done??;
    }
    let (user, system) = cpu_seconds()?;
    let (user, system) = (user - begun.0.0, system - begun.0.1);
    let wall = begun.1.elapsed().as_secs_f64();
    let gib = gib as f64;
    println!(
        "{who:10} {} {:.2} CPU s/GiB (user {:.2}, system {:.2}) {:.2} GiB/s",
        if tls { "TLS  " } else { "plain" },
        (user + system) / gib,
        user / gib,
        system / gib,
        gib / wall,
    );
    Ok(())
}

/// User and system time of this process, from ticks of 10 ms (proc(5)).
fn cpu_seconds() -> Outcome<(f64, f64)> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |n| after.split_whitespace().nth(n).unwrap_or_default().parse::<f64>();
    Ok((ticks(11)? / 100.0, ticks(12)? / 100.0))
}

fn keys() -> Credentials {
    Credentials::new("AKID", "secret", None, None, "bench")
}

struct Server {
    child: Child,
    endpoint: String,
    tls: bool,
    directory: tempfile::TempDir,
}

impl Server {
    fn start(tls: bool) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", if tls { "tls" } else { "plain" }])
            .arg(directory.path())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut endpoint = String::new();
        BufReader::new(child.stdout.take().ok_or("no stdout")?).read_line(&mut endpoint)?;
        Ok(Self { child, endpoint: endpoint.trim().to_owned(), tls, directory })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(tls: bool, directory: &str) -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let config = if tls { Some(certificate(directory)?) } else { None };
    let scheme = if tls { "https" } else { "http" };
    println!("{scheme}://{}", listener.local_addr()?);
    let body: Arc<[u8]> = vec![7; usize::try_from(PART)?].into();
    for stream in listener.incoming() {
        let (stream, body, config) = (stream?, body.clone(), config.clone());
        stream.set_nodelay(true)?;
        std::thread::spawn(move || match config {
            None => answer(stream, &body),
            Some(config) => {
                let mut connection = ServerConnection::new(config)?;
                connection.set_buffer_limit(Some(1 << 20));
                answer(StreamOwned::new(connection, stream), &body)
            }
        });
    }
    Ok(())
}

fn certificate(directory: &str) -> Outcome<Arc<ServerConfig>> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    std::fs::write(format!("{directory}/ca.pem"), made.cert.pem())?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let chain: Vec<CertificateDer<'static>> = vec![made.cert.der().clone()];
    let provider = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

fn answer(mut stream: impl Read + Write, body: &[u8]) -> Outcome<()> {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    loop {
        while !head.ends_with(b"\r\n\r\n") {
            let n = stream.read(&mut piece)?;
            if n == 0 {
                return Ok(());
            }
            head.extend_from_slice(&piece[..n]);
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        head.clear();
        let range = text.lines().find_map(|l| l.strip_prefix("range: bytes="));
        let (line, body) = match range {
            Some(range) => (
                format!(
                    "206 Partial Content\r\nContent-Range: bytes {range}/{SIZE}\r\nETag: \"e\""
                ),
                body,
            ),
            None => ("200 OK".to_owned(), &b"<ListBucketResult></ListBucketResult>"[..]),
        };
        let length = body.len();
        write!(stream, "HTTP/1.1 {line}\r\nContent-Length: {length}\r\n\r\n")?;
        stream.write_all(body)?;
        stream.flush()?;
    }
}
