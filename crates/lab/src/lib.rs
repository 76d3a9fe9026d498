//! The embedded S3 server: exact counters, synthetic objects, faults on demand.
//!
//! A [`Lab`] is one S3 endpoint over memory or a directory ([`Backing`]). [`Counters`]
//! say exactly what it was asked for, [`Line`]s in which order. [`Rules`] deny requests
//! or harm their answers. [`synthetic`] objects have any size, no bytes, and a content
//! that every reader can check. The protocol (signatures, parsing, XML) is `s3s`'s.
//!
//! # The control endpoint
//!
//! Plain HTTP on a listener of its own ([`Lab::control_endpoint`]); bodies are JSON.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /counters` | | [`Counters`] |
//! | `POST /reset` | | counters and log are empty |
//! | `GET /log` | | list of [`Line`] |
//! | `GET /rules` | | list of [`Standing`] |
//! | `POST /rules` | one [`Rule`] or a list | `{"ids": [..]}` |
//! | `DELETE /rules`, `DELETE /rules/ID` | | taken back; what they stalled goes on |
//! | `POST /synthetic` | `{"bucket", "key", "size", "version"}` or `{"bucket", "prefix", "count", "size"}` | `{"etag"}`, `{"count"}` |
//! | `PUT /objects/BUCKET/KEY[?storage_class=GLACIER]` | the bytes, any | `{"etag"}` |
//! | `DELETE /objects/BUCKET/KEY` | | `{"deleted"}` |
//! | `POST /restore` | `{"bucket", "key", "restore": "in_progress" or {"until_unix_ms": N} or null}` | |
//!
//! A rule in JSON: `{"operation": "GetObject", "key": "*.jar", "which": {"first": 3},
//! "fault": {"latency": {"ms": 20}}}`; every field but `fault` may be left out. Buckets
//! are created where these requests need one. A refusal is `{"error"}` with a 4xx status.
#![forbid(unsafe_code)]

mod access;
mod checksum;
mod clock;
mod config;
mod control;
mod counters;
mod disk;
mod draft;
mod error;
mod frames;
mod glob;
mod listing;
mod log;
mod object;
mod rules;
mod serve;
mod server;
mod service;
mod shaped;
mod state;
mod store;
pub mod synthetic;
mod tls;
mod upload;
mod wire;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use config::{Backing, Config};
pub use counters::{Counters, Operation};
pub use error::Error;
pub use log::Line;
pub use object::Restore;
pub use rules::{Fault, Rule, RuleId, Rules, Standing, Which};
pub use serve::{Options, serve};

use log::Log;
use server::Server;
use state::State;
use store::Store;

/// A running S3 server. Dropping it ends it.
#[derive(Debug)]
pub struct Lab {
    state: Arc<State>,
    address: SocketAddr,
    control: SocketAddr,
    ca_pem: Option<String>,
    /// Closes when the lab ends.
    stop: watch::Sender<()>,
    listeners: Vec<JoinHandle<()>>,
}

impl Lab {
    /// Starts a lab on the current tokio runtime; it serves when this returns.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let store = Arc::new(open_store(config.backing).await?);
        let log = match config.log {
            None => Log::default(),
            Some(path) => Log::to_file(&path).map_err(|source| Error::Log { path, source })?,
        };
        let state = Arc::new(State {
            store: store.clone(),
            rules: Arc::default(),
            tally: Arc::default(),
            log: Arc::new(log),
            region: config.region.clone(),
        });
        let (acceptor, ca_pem) = match config.tls {
            true => {
                let names: Vec<&str> = config.domain.as_deref().into_iter().collect();
                tls::acceptor(&names).map(|(acceptor, pem)| (Some(acceptor), Some(pem)))?
            }
            false => (None, None),
        };

        let mut builder = S3ServiceBuilder::new(service::Service {
            store,
            rules: state.rules.clone(),
            region: config.region.clone(),
        });
        builder.set_auth(access::Identity {
            access_key: config.access_key,
            secret_key: config.secret_key,
        });
        builder.set_access(access::Gate {
            anonymous: config.anonymous,
            region: config.region,
            rules: state.rules.clone(),
            tally: state.tally.clone(),
        });
        if let Some(domain) = config.domain {
            builder.set_host(access::Domain(domain));
        }

        let (listener, address) = listen(config.listen).await?;
        let (control_listener, control) = listen(config.control).await?;
        let stop = watch::Sender::new(());
        let server = Arc::new(Server::new(builder.build(), state.clone(), acceptor));
        let listeners = vec![
            tokio::spawn(server.run(listener, stop.subscribe())),
            tokio::spawn(control::run(state.clone(), control_listener, stop.subscribe())),
        ];
        Ok(Self { state, address, control, ca_pem, stop, listeners })
    }

    /// Ends the lab: listeners are closed and every connection is dropped.
    pub async fn stop(self) {
        drop(self.stop);
        for listener in self.listeners {
            if let Err(error) = listener.await {
                tracing::error!(%error, "a listener of the lab failed");
            }
        }
    }

    /// The S3 endpoint, e.g. `http://127.0.0.1:40123`.
    pub fn endpoint(&self) -> String {
        let scheme = if self.ca_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", reachable(self.address))
    }

    /// The control endpoint, e.g. `http://127.0.0.1:40124`.
    pub fn control_endpoint(&self) -> String {
        format!("http://{}", reachable(self.control))
    }

    /// Where S3 is served.
    pub fn address(&self) -> SocketAddr {
        reachable(self.address)
    }

    /// The certificate of the lab's authority (PEM), with TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// What the lab was asked for since it started or was reset.
    pub fn counters(&self) -> Counters {
        self.state.tally.snapshot()
    }

    /// Counters and log start anew. What is still under way is counted nowhere.
    pub fn reset_counters(&self) {
        self.state.reset();
    }

    /// The requests since the lab started or was reset, in order; the last 200,000 of them.
    pub fn log(&self) -> Vec<Line> {
        self.state.log.lines()
    }

    /// The rules in force.
    pub fn rules(&self) -> &Rules {
        &self.state.rules
    }

    /// Creates a bucket; false where it was there.
    pub fn create_bucket(&self, bucket: &str) -> Result<bool, Error> {
        Ok(self.state.store.create_bucket(bucket)?)
    }

    /// Puts an object, creating the bucket where it is missing. Answers the ETag, unquoted.
    pub async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        bytes: impl Into<Bytes>,
    ) -> Result<String, Error> {
        self.state.put((bucket, key), bytes.into(), None).await
    }

    /// Puts an object of a storage class, e.g. `GLACIER`.
    pub async fn put_archived(
        &self,
        (bucket, key): (&str, &str),
        bytes: impl Into<Bytes>,
        storage_class: &str,
    ) -> Result<String, Error> {
        self.state.put((bucket, key), bytes.into(), Some(storage_class.to_owned())).await
    }

    /// Puts a synthetic object of `size` bytes, creating the bucket where it is missing.
    /// Another `version` has other bytes and another ETag. Answers the ETag, unquoted.
    pub fn put_synthetic(
        &self,
        bucket: &str,
        key: &str,
        size: u64,
        version: u64,
    ) -> Result<String, Error> {
        self.state.put_synthetic((bucket, key), size, version)
    }

    /// Puts `count` synthetic objects of `size` bytes and version 1, named by `prefix` and
    /// seven digits from 0000000 on.
    pub fn put_synthetic_many(
        &self,
        bucket: &str,
        prefix: &str,
        count: u64,
        size: u64,
    ) -> Result<(), Error> {
        self.state.put_synthetic_many((bucket, prefix), count, size)
    }

    /// Deletes an object; whether there was one.
    pub fn delete_object(&self, bucket: &str, key: &str) -> Result<bool, Error> {
        Ok(self.state.store.delete(bucket, key)?)
    }

    /// Sets the state of an archived object's restored copy; None is "not restored".
    pub fn set_restore(
        &self,
        bucket: &str,
        key: &str,
        restore: Option<Restore>,
    ) -> Result<(), Error> {
        self.state.restore(bucket, key, restore)
    }
}

async fn open_store(backing: Backing) -> Result<Store, Error> {
    let path = match backing {
        Backing::Memory => return Ok(Store::in_memory()),
        Backing::Nowhere => return Ok(Store::nowhere()),
        Backing::Directory(path) => path,
    };
    let directory = path.clone();
    let opened = tokio::task::spawn_blocking(move || Store::in_directory(&directory)).await;
    opened
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(|source| Error::Directory { path, source })
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|source| Error::Listen { address, source })
}

/// The address at which a client of this machine finds a listener.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip().is_unspecified() {
        true => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()),
        false => address,
    }
}
