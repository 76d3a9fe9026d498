//! The embedded S3 server as a process of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use lab::{Backing, Counters, Fault, Rule};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::runtime;
use tokio::time::timeout;

use super::case::{BUCKET, Objects};
use super::job::Job;
use super::proc::{Cpu, Family};

/// How long the server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves S3 until SIGTERM.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Service {
    tls: bool,
    /// Whether bodies that are put are thrown away.
    forgets: bool,
    /// Where its authority's certificate is put, with TLS.
    ca_file: PathBuf,
}

impl Service {
    pub(super) fn carry_out(self) -> Result<()> {
        let backing = if self.forgets { Backing::Nowhere } else { Backing::Memory };
        let config = lab::Config { tls: self.tls, backing, ..Default::default() };
        let buckets = vec![BUCKET.to_owned()];
        let options = lab::Options { config, buckets, ca_file: Some(self.ca_file) };
        let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
        Ok(runtime.block_on(lab::serve(options))?)
    }
}

/// What a client must know; part of the first line that the server prints.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Access {
    pub(super) endpoint: String,
    pub(super) region: String,
    pub(super) access_key: String,
    pub(super) secret_key: String,
}

#[derive(Deserialize)]
struct Banner {
    #[serde(flatten)]
    access: Access,
    control: String,
}

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) access: Access,
    /// The certificate that a client must trust, with TLS.
    pub(super) ca_file: Option<PathBuf>,
    /// Host and port of the control endpoint.
    control: String,
    process: Child,
    id: u32,
}

impl Server {
    /// A server whose objects are in memory, or nowhere.
    pub(super) async fn start(tls: bool, backing: Backing, directory: &Path) -> Result<Self> {
        let ca_file = directory.join("ca.pem");
        let job = Job::Serve(Service {
            tls,
            forgets: backing == Backing::Nowhere,
            ca_file: ca_file.clone(),
        });
        let mut process = job.command()?.stdout(Stdio::piped()).spawn()?;
        let id = process.id().context("the server ended at once")?;
        let mut lines = BufReader::new(process.stdout.take().context("no output")?).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.context("the server's start")??;
        let banner: Banner = serde_json::from_str(&line.context("the server said nothing")?)?;
        // What else it prints would block it once the pipe is full.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let control = banner.control.trim_start_matches("http://").to_owned();
        let ca_file = tls.then_some(ca_file);
        Ok(Self { access: banner.access, ca_file, control, process, id })
    }

    pub(super) async fn end(mut self) -> Result<()> {
        terminate(self.id)?;
        timeout(PATIENCE, self.process.wait()).await.context("the server does not end")??;
        Ok(())
    }

    pub(super) fn cpu(&self) -> Result<Cpu> {
        Ok(Family::of(self.id)?.cpu)
    }

    pub(super) async fn put(&self, objects: &Objects) -> Result<()> {
        let Objects { prefix, count, size } = objects;
        let many = json!({ "bucket": BUCKET, "prefix": prefix, "count": count, "size": size });
        self.ask("POST", "/synthetic", &many.to_string()).await.map(|_| ())
    }

    /// From now on every answer begins this much later.
    pub(super) async fn set_latency(&self, ms: u64) -> Result<()> {
        self.ask("DELETE", "/rules", "").await?;
        if ms > 0 {
            let rule = Rule::new("*", Fault::Latency { ms });
            self.ask("POST", "/rules", &serde_json::to_string(&rule)?).await?;
        }
        Ok(())
    }

    pub(super) async fn reset_counters(&self) -> Result<()> {
        self.ask("POST", "/reset", "").await.map(|_| ())
    }

    pub(super) async fn counters(&self) -> Result<Counters> {
        Ok(serde_json::from_value(self.ask("GET", "/counters", "").await?)?)
    }

    /// One request to the control endpoint.
    async fn ask(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        let mut connection = TcpStream::connect(&self.control).await?;
        let (host, length) = (&self.control, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        let Some((head, body)) = answer.split_once("\r\n\r\n") else {
            bail!("the server's control endpoint answered nothing to {path}");
        };
        ensure!(head.starts_with("HTTP/1.1 200"), "control endpoint, {path}: {body}");
        Ok(serde_json::from_str(body)?)
    }
}

/// Asks a process to end.
pub(super) fn terminate(process: u32) -> Result<()> {
    signal(process, Signal::TERM)
}

/// Sends a signal to a process that this program started.
pub(super) fn signal(process: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw).context("not a process id")?;
    Ok(kill_process(pid, signal)?)
}
