//! What a mount tells of itself: at its end, on SIGUSR1, and on its control socket.

use std::sync::Arc;

use cache::Cached;
use fuse::mount::table::Connection;
use s3::S3;
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

use crate::adapter::Counts;
use crate::control::{Desk, Server};
use crate::flags::Config;
use crate::savings::Savings;
use crate::state::Records;
use crate::warm::Warmer;

/// The counters of one mount.
pub(super) struct Account {
    pub(super) store: Arc<S3>,
    pub(super) kernel: Arc<Counts>,
    pub(super) cache: Option<Arc<Cached>>,
    /// Bytes of one GET.
    pub(super) part: u64,
}

impl Account {
    /// What it cost and what it saved so far.
    pub(super) fn savings(&self) -> Savings {
        let cache = self.cache.as_ref().map(|cache| cache.counts());
        Savings::new(self.store.stats(), self.kernel.now(), cache, self.part)
    }

    /// Writes that into the log.
    pub(super) fn log(&self) {
        self.savings().to_string().lines().for_each(|line| tracing::info!("{line}"));
    }

    /// Writes it each time SIGUSR1 comes.
    pub(super) fn log_on_signal(self: &Arc<Self>, runtime: &Handle) {
        let _runtime = runtime.enter();
        let account = self.clone();
        match signal(SignalKind::user_defined1()) {
            Ok(mut signals) => drop(tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    account.log();
                }
            })),
            Err(error) => tracing::warn!("SIGUSR1 cannot be watched: {error}"),
        }
    }

    fn status(&self, about: &Map<String, Value>, warmer: Option<&Warmer>) -> Map<String, Value> {
        let mut status = about.clone();
        let jobs = warmer.map(Warmer::jobs).unwrap_or_default();
        let warming: Vec<_> = jobs.iter().map(|job| job.progress()).collect();
        let savings = self.savings();
        let summary: Vec<_> = savings.to_string().lines().map(str::to_owned).collect();
        status.insert("savings".into(), json!(savings));
        status.insert("summary".into(), json!(summary));
        status.insert("warming".into(), json!(warming));
        status
    }
}

/// Listens on the control socket of the mount; without one where there can be none.
pub(super) fn listen(
    config: &Config,
    connection: Connection,
    account: Arc<Account>,
    warmer: Option<Arc<Warmer>>,
    runtime: &Handle,
) -> Option<Server> {
    let uid = rustix::process::geteuid().as_raw();
    let records = Records::of_user(uid, config.runtime_directory.as_deref());
    let about = about(config);
    let asked = warmer.clone();
    let status = Box::new(move || account.status(&about, asked.as_deref()));
    let _runtime = runtime.enter();
    let server = records
        .socket(connection)
        .and_then(|path| Server::start(&path, Arc::new(Desk { status, warmer })));
    server
        .inspect_err(|error| {
            tracing::warn!("the mount has no control socket, so it cannot be asked: {error}");
        })
        .ok()
}

/// What does not change while it is mounted.
fn about(config: &Config) -> Map<String, Value> {
    let cache = config.cache.as_ref();
    let facts = [
        ("version", json!(env!("CARGO_PKG_VERSION"))),
        ("pid", json!(std::process::id())),
        ("bucket", json!(config.source.bucket.as_str())),
        ("prefix", json!(config.source.prefix)),
        ("directory", json!(config.directory.to_string_lossy())),
        ("read_only", json!(config.view.read_only)),
        ("cache", json!(cache.map(|cache| cache.directory.to_string_lossy()))),
    ];
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
