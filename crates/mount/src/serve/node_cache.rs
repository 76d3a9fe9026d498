//! The node cache of a mount: opened from its configuration, put before the store, and made known
//! to the kernel.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use cache::{Cache, Cached, DirectoryError, Limit, Options, Room, Scope};
use fs::Fs;
use fuse::{Session, Wanted};
use object::{Budget, Clock, Sink, Store};

use crate::adapter::{Passthrough, stack_depth};
use crate::flags::units::show_size;
use crate::flags::{CacheConfig, Config};
use crate::message::Problem;
use crate::serve::machine;

/// What names the running boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// How much of what was just fetched may stay in the page cache, in bytes: all JARs of a job, or
/// the 64th part of a large memory, but no more than the eighth part of a small one.
const FRESH: u64 = 512 << 20;

/// A node cache in use by one mount.
pub(super) struct NodeCache {
    cache: Arc<Cache>,
    scope: Scope,
    /// The mount's store behind the cache.
    pub(super) store: Arc<Cached>,
    /// A file of its directory.
    sample: File,
}

/// Opens the cache that `config` asks for; `None` when it asks for none. Must be called inside a
/// runtime.
///
/// # Errors
/// A [`Problem`] when the directory must not or cannot be used.
pub(super) fn open(
    config: &Config,
    store: Arc<dyn Store>,
    budget: &Arc<Budget>,
    clock: &Clock,
) -> anyhow::Result<Option<NodeCache>> {
    let Some(wanted) = &config.cache else { return Ok(None) };
    let limit = wanted.limit.map_or(Limit::default(), Limit::Bytes);
    let options = Options {
        dir: wanted.directory.clone(),
        boot: boot(wanted)?,
        budget: budget.clone(),
        clock: clock.clone(),
        spacious: Room::spacious(limit, clock.clone()),
        fresh: machine::memory().map_or(FRESH, |memory| FRESH.max(memory / 64).min(memory / 8)),
    };
    let cache = Cache::open(options).map_err(|error| refused(&error, config))?;
    for warning in cache.warnings() {
        tracing::warn!("{warning}");
    }
    let ours = wanted.directory.join(cache::NAME);
    let sample = File::open(ours.join("format")).context("the cache cannot be read")?;
    say_limit(limit, &ours);
    let scope = config.source.scope();
    let store = cache.around(scope.clone(), store);
    Ok(Some(NodeCache { cache, scope, store, sample }))
}

impl NodeCache {
    /// `sink`, of which what is stored is in the cache afterwards.
    pub(super) fn before(&self, sink: Arc<dyn Sink>) -> Arc<dyn Sink> {
        self.cache.before(self.scope.clone(), sink)
    }

    /// Asks for what the kernel has to agree to so that it can read files of the cache by itself.
    pub(super) fn prepare(&self, wanted: &mut Wanted) {
        match stack_depth(&self.sample) {
            Ok(depth) => wanted.max_stack_depth = depth,
            Err(error) => tracing::debug!("the cache's file system is not known: {error}"),
        }
    }

    /// Lets the kernel read complete files by itself, where it can.
    pub(super) fn pass_through(&self, session: &Session, files: &Fs) {
        let served = "cached files are served through the page cache";
        let Some(kernel) = session.backing() else {
            tracing::info!("this kernel cannot read cached files by itself (Linux 6.9): {served}");
            return;
        };
        let passthrough = Passthrough::new(kernel);
        match passthrough.probe(&self.sample) {
            Ok(()) => files.pass_through(Arc::new(passthrough)),
            Err(error) => {
                tracing::info!("the kernel cannot read files of this cache ({error}): {served}");
            }
        }
    }

    /// Brings everything to the disk.
    pub(super) async fn close(&self) {
        self.cache.close().await;
        tracing::info!(counts = ?self.cache.counts(), "the cache is closed");
    }
}

fn boot(wanted: &CacheConfig) -> anyhow::Result<String> {
    match &wanted.boot_id {
        Some(id) => Ok(id.clone()),
        None => {
            let id = std::fs::read_to_string(BOOT_ID).context("the boot has no number")?;
            Ok(id.trim().to_owned())
        }
    }
}

fn say_limit(limit: Limit, ours: &Path) {
    let Ok(disk) = rustix::fs::statvfs(ours) else { return };
    let bound = limit.bound(disk.f_blocks.saturating_mul(disk.f_frsize));
    match bound.bytes {
        Some(bytes) if bound.clamped => tracing::warn!(
            "--max-cache-size is more than the disk of {} bytes can hold: {} is the limit",
            bound.disk,
            show_size(bytes)
        ),
        Some(bytes) => tracing::info!("the cache may take {}", show_size(bytes)),
        None => tracing::info!(
            "the cache leaves {} bytes of its file system free ({} %)",
            bound.keep_free,
            cache::KEEP_FREE_PERCENT
        ),
    }
}

fn refused(error: &DirectoryError, config: &Config) -> Problem {
    Problem {
        what: format!("{} cannot be mounted with this cache", config.subject()),
        why: error.to_string(),
        fix: "do as it says, give another directory with --cache, or drop --cache".into(),
    }
}
