//! The daemon's body: from a configuration to a served mount.

mod account;
mod machine;
mod node_cache;
mod writing;

use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::{Context, bail};
use fs::Fs;
use fuse::{Ended, Features, Running, Session, Wanted};
use object::{BLOCK, Budget, Clock, Store};
use s3::{Preflight, S3};
use tokio::runtime::{Builder, Runtime};

use crate::adapter::{Adapter, Counts};
use crate::flags::{Access, Config, Ttl};
use crate::roles::{Mounted, Ready};
use crate::warm::Warmer;
use account::Account;
use node_cache::NodeCache;

/// Memory that a daemon takes beside the buffers, in bytes: code, connections, names of a usual
/// mount.
const OVERHEAD: u64 = 40 << 20;
/// The most bytes fetched ahead of one stream. More does not make one stream faster: measured,
/// see `docs/benchmarks.md`.
const WINDOW: u64 = 48 << 20;
/// With a cache so much less, since as much waits for the disk.
const UNWRITTEN: u64 = 8 << 20;
/// An object up to this size that is opened at its end first is fetched whole: into the cache, or
/// into memory, and then no more than a quarter of it.
const WHOLE: u64 = 256 << 20;
/// Names remembered at most; each takes up to 300 bytes.
const NAMES: usize = 1_000_000;
/// Threads that move bytes from sockets to buffers, at most. They never wait.
const RUNTIME_THREADS: usize = 4;
/// The kernel's read-ahead, in KiB: as much as one request can carry.
const READ_AHEAD_KIB: u32 = 1024;

/// Asks the store, has the directory mounted by `ready`, and serves it until it is unmounted.
///
/// # Errors
/// The store cannot be used, or the directory cannot be mounted or served.
pub fn serve(config: Config, ready: Ready) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let clock = Clock::start();
    let (store, preflight) = runtime.block_on(S3::connect(
        store_config(&config),
        clock.clone(),
        &config.source.prefix,
    ))?;
    // An identity that may not even list what it mounts is told so now, not by an empty folder.
    preflight.listing.as_ref().map_err(Clone::clone)?;
    let store = Arc::new(store);
    let budget = Budget::new(memory(&config));
    let in_runtime = runtime.enter();
    let cache = node_cache::open(&config, store.clone(), &budget, &clock)?;
    drop(in_runtime);
    let source: Arc<dyn Store> = match &cache {
        Some(cache) => cache.store.clone(),
        None => store.clone(),
    };
    let files = Fs::new(source, budget.clone(), clock.clone(), view(&config, &clock));
    writing::open(&config, &files, store.clone(), cache.as_ref(), runtime.handle());

    let mounted = ready.mount()?;
    let connection = mounted.connection;
    let (running, kernel) = start(&config, mounted, files.clone(), cache.as_ref(), &runtime)?;
    let cached = cache.as_ref().map(|cache| cache.store.clone());
    let part = part(&config);
    let warmed = files.clone();
    let warmer = cached.clone().map(|cached| Arc::new(Warmer::new(warmed, cached, budget, part)));
    let account = Arc::new(Account { store, kernel, cache: cached, part });
    account.log_on_signal(runtime.handle());
    let control = account::listen(&config, connection, account.clone(), warmer, runtime.handle());
    announce(&config, &preflight);
    ready.serving(Some(&preflight.region))?;
    let ended = running.wait();
    drop(control);
    // What closed files still have on its way is stored; what was never closed is thrown away.
    runtime.block_on(files.close());
    if let Some(cache) = &cache {
        runtime.block_on(cache.close());
    }
    account.log();
    match ended {
        Ended::Unmounted | Ended::Stopped => Ok(()),
        Ended::Failed(error) => Err(error).context("the kernel can no longer be heard"),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(cores().clamp(2, RUNTIME_THREADS))
        .thread_name("runtime")
        .enable_all()
        .build()
        .context("the threads for the network cannot be started")
}

/// Answers INIT and starts the threads that serve the mount; also what counts their requests.
fn start(
    config: &Config,
    mounted: Mounted,
    files: Arc<Fs>,
    cache: Option<&NodeCache>,
    runtime: &Runtime,
) -> anyhow::Result<(Running, Arc<Counts>)> {
    let mut wanted = wanted(config);
    if let Some(cache) = cache {
        cache.prepare(&mut wanted);
    }
    let session = Session::handshake(mounted.device, &wanted)
        .context("the kernel did not agree to serve the mount")?;
    if let Some(cache) = cache {
        cache.pass_through(&session, &files);
    }
    if let Err(error) = mounted.connection.set_read_ahead(READ_AHEAD_KIB) {
        tracing::info!("the kernel's read-ahead stays as it is: {error}");
    }
    let uid = rustix::process::getuid().as_raw();
    let owner = (config.view.access == Access::OwnerAndRoot).then_some(uid);
    let adapter = Adapter::new(files, runtime.handle().clone(), owner);
    let counts = adapter.counts();
    // A worker never waits for anything but the kernel, so more of them than cores only get in
    // each other's way.
    let workers = config.limits.max_threads.min(cores().max(2));
    let Some(workers) = NonZeroUsize::new(workers) else { bail!("no thread to serve with") };
    let running = session.start(workers, Arc::new(adapter));
    Ok((running.context("the threads to serve with cannot be started")?, counts))
}

fn announce(config: &Config, preflight: &Preflight) {
    for note in &config.notes {
        tracing::info!("{note}");
    }
    tracing::info!(
        region = preflight.region,
        read_only = config.view.read_only,
        memory = config.limits.memory_target,
        part = part(config),
        endpoint = preflight.endpoint,
        "{} is served at {}",
        config.subject(),
        config.directory.display(),
    );
}

/// Bytes for data in flight: the memory target less what the daemon takes otherwise, and room for
/// two parts in any case.
fn memory(config: &Config) -> u64 {
    config.limits.memory_target.saturating_sub(OVERHEAD).max(2 * part(config))
}

/// The read part size on the grid of blocks.
fn part(config: &Config) -> u64 {
    (config.limits.read_part_size / BLOCK).max(1) * BLOCK
}

fn store_config(config: &Config) -> s3::Config {
    s3::Config {
        read_deadline: config.limits.read_deadline,
        part_size: part(config),
        attributes: config.write.clone().map(|write| write.attributes).unwrap_or_default(),
        ..crate::store::config(&config.source)
    }
}

fn view(config: &Config, clock: &Clock) -> fs::Config {
    let view = &config.view;
    let memory = memory(config);
    let (behind, whole) = match config.cache {
        Some(_) => (UNWRITTEN.min(memory / 8), WHOLE),
        None => (0, WHOLE.min(memory / 4)),
    };
    fs::Config {
        prefix: config.source.prefix.clone(),
        read_only: view.read_only,
        uid: view.uid.unwrap_or_else(|| rustix::process::getuid().as_raw()),
        gid: view.gid.unwrap_or_else(|| rustix::process::getgid().as_raw()),
        dir_mode: bits(view.dir_mode),
        file_mode: bits(view.file_mode),
        ttl: ttl(view.metadata_ttl),
        negative_ttl: view.negative_ttl.map(ttl),
        mounted: clock.now(),
        names_max: NAMES,
        limits: fs::reader::Limits {
            part: part(config),
            window: (WINDOW - behind).min(memory / 2),
            behind,
            whole,
            deadline: config.limits.read_deadline,
        },
        writes: writing::rules(config),
    }
}

fn bits(mode: u32) -> u16 {
    u16::try_from(mode & 0o777).unwrap_or(0)
}

fn ttl(ttl: Ttl) -> fs::Ttl {
    match ttl {
        Ttl::Minimal => fs::Ttl::Minimal,
        Ttl::For(time) => fs::Ttl::For(time),
        Ttl::Indefinite => fs::Ttl::Indefinite,
    }
}

fn wanted(config: &Config) -> Wanted {
    let masked = config.masked;
    let mut wanted = Wanted::default();
    if let Some(write) = &config.write {
        // Nothing that is shown ever has set-id bits or capabilities.
        wanted.features = wanted.features.with(Features::HANDLE_KILLPRIV_V2);
        // Without overwriting, the kernel asks for the truncation by itself, and is refused.
        if write.overwrite {
            wanted.features = wanted.features.with(Features::ATOMIC_O_TRUNC);
        }
    }
    for (masked, feature) in [
        (masked.passthrough, Features::PASSTHROUGH),
        (masked.resend, Features::RESEND),
        (masked.readdirplus, Features::READDIRPLUS),
        (masked.large_requests, Features::LARGE_REQUESTS),
    ] {
        if masked {
            wanted.features = wanted.features.without(feature);
        }
    }
    wanted
}
