//! Between kernel and file system: FUSE requests become calls of [`Fs`], its answers replies.
//!
//! A worker must never wait. So each call is a future that the worker polls once: what memory
//! can answer is answered there and then, on the worker's own stack, and only what has to wait
//! for the store moves to the runtime.

mod convert;
mod counts;
mod passthrough;
mod write;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use fs::{Errno, Fs, Lookup};
use fuse::{Delivery, DirBuf, DirFormat, DirMode, Handler, Op, Reply, Request};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use convert::Shape;

pub use counts::{Counted, Counts};
pub use passthrough::{Passthrough, stack_depth};

/// The largest READ answered; the kernel never asks for more than was agreed in INIT.
const READ_MAX: u32 = 16 << 20;

/// Hands the kernel's requests to the file system.
pub struct Adapter {
    fs: Arc<Fs>,
    runtime: Handle,
    shape: Shape,
    /// The only uid besides root that is served, under `--allow-root`.
    owner: Option<u32>,
    counts: Arc<Counts>,
    /// Room for bytes of WRITEs that wait, in chunks.
    waiting: Arc<Semaphore>,
}

impl Adapter {
    /// An adapter for `fs` whose waiting happens on `runtime`. With an `owner`, nobody but that
    /// uid and root is served: the kernel itself can only tell "owner" from "everybody".
    pub fn new(fs: Arc<Fs>, runtime: Handle, owner: Option<u32>) -> Self {
        let waiting = Arc::new(Semaphore::new(write::WAITING));
        Self { fs, runtime, shape: Shape::default(), owner, counts: Arc::default(), waiting }
    }

    /// The counters of what the kernel asks for.
    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    /// Runs a call until it would wait, and the rest of it on the runtime.
    fn run(&self, call: impl Future<Output = ()> + Send + 'static) {
        let mut call: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(call);
        let _runtime = self.runtime.enter();
        if call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            self.runtime.spawn(call);
        }
    }

    fn lookup(&self, parent: u64, name: &[u8], reply: Reply) {
        let (fs, shape, name) = (self.fs.clone(), self.shape, name.to_vec());
        self.run(async move {
            match fs.lookup(parent, &name).await {
                Ok(Lookup::Found(entry)) => {
                    if reply.entry(&shape.entry(&entry)) == Delivery::Lost {
                        fs.forget(entry.node, 1);
                    }
                }
                Ok(Lookup::Absent { ttl }) if ttl.is_zero() => refuse(reply, Errno::NotFound),
                Ok(Lookup::Absent { ttl }) => {
                    let _ = reply.entry(&fuse::Entry::negative(ttl));
                }
                Err(errno) => refuse(reply, errno),
            }
        });
    }

    fn getattr(&self, node: u64, handle: Option<u64>, reply: Reply) {
        let (fs, shape) = (self.fs.clone(), self.shape);
        self.run(async move {
            match fs.getattr(node, handle).await {
                Ok((attr, ttl)) => reply.attr(&shape.attr(&attr), ttl),
                Err(errno) => refuse(reply, errno),
            }
        });
    }

    fn open(&self, node: u64, flags: u32, reply: Reply) {
        let (fs, options, counts) =
            (self.fs.clone(), convert::open_options(flags), self.counts.clone());
        self.run(async move {
            match fs.open(node, options).await {
                Ok(opened) => {
                    counts.opened(opened.mode);
                    if reply.opened(&convert::opened(&opened)) == Delivery::Lost {
                        fs.abandon(opened.handle);
                    }
                }
                Err(errno) => {
                    if errno == Errno::Stale {
                        counts.stale();
                    }
                    refuse(reply, errno);
                }
            }
        });
    }

    fn read(&self, handle: u64, offset: u64, size: u32, reply: Reply) {
        let fs = self.fs.clone();
        self.run(async move {
            match fs.read(handle, offset, size.min(READ_MAX)).await {
                Ok(slices) => {
                    let parts: Vec<&[u8]> = slices.iter().collect();
                    reply.data(&parts);
                }
                Err(errno) => refuse(reply, errno),
            }
        });
    }

    fn opendir(&self, node: u64, reply: Reply) {
        let fs = self.fs.clone();
        self.run(async move {
            match fs.opendir(node).await {
                Ok(handle) => {
                    if reply.opened_dir(handle, DirMode::Uncached) == Delivery::Lost {
                        fs.releasedir(handle);
                    }
                }
                Err(errno) => refuse(reply, errno),
            }
        });
    }

    fn readdir(&self, listing: Listing, reply: Reply) {
        let (fs, shape) = (self.fs.clone(), self.shape);
        self.run(async move {
            let Listing { handle, offset, size, format } = listing;
            let (cost, plus) = match format {
                DirFormat::Readdir => (plain_cost as fn(usize) -> usize, false),
                DirFormat::Readdirplus => (plus_cost as fn(usize) -> usize, true),
            };
            let room = usize::try_from(size).unwrap_or(usize::MAX);
            let entries = match fs.readdir(handle, offset, room, cost, plus).await {
                Ok(entries) => entries,
                Err(errno) => return refuse(reply, errno),
            };
            let mut buffer = DirBuf::new(format, size);
            let mut counted = Vec::new();
            let mut rest = entries.iter();
            for entry in rest.by_ref() {
                let found = entry.entry.as_ref().map(|e| shape.entry(e));
                let pushed = buffer.push(&convert::dirent(entry), found.as_ref());
                let node = entry.entry.as_ref().map(|e| e.node);
                if pushed.is_err() {
                    // The kernel asks again from the last record that fitted.
                    node.into_iter().for_each(|node| fs.forget(node, 1));
                    break;
                }
                counted.extend(node);
            }
            rest.filter_map(|e| e.entry.as_ref()).for_each(|e| fs.forget(e.node, 1));
            if reply.dirents(&buffer) == Delivery::Lost {
                counted.into_iter().for_each(|node| fs.forget(node, 1));
            }
        });
    }
}

/// What a READDIR or READDIRPLUS asks for.
struct Listing {
    handle: u64,
    offset: u64,
    size: u32,
    format: DirFormat,
}

impl Handler for Adapter {
    fn handle(&self, request: Request<'_>, reply: Reply) {
        let Request { nodeid, uid, op, .. } = request;
        if self.owner.is_some_and(|owner| uid != owner && uid != 0) && asks_for_access(&op) {
            return refuse(reply, Errno::Access);
        }
        self.counts.request(&op);
        match op {
            Op::Lookup { name } => self.lookup(nodeid, name, reply),
            Op::Getattr { fh } => self.getattr(nodeid, fh, reply),
            Op::Open { flags } => self.open(nodeid, flags, reply),
            Op::Read { fh, offset, size, .. } => self.read(fh, offset, size, reply),
            Op::Opendir { .. } => self.opendir(nodeid, reply),
            Op::Readdir { fh: handle, offset, size } => {
                self.readdir(Listing { handle, offset, size, format: DirFormat::Readdir }, reply);
            }
            Op::Readdirplus { fh: handle, offset, size } => {
                let format = DirFormat::Readdirplus;
                self.readdir(Listing { handle, offset, size, format }, reply);
            }
            Op::Forget { lookups } => self.fs.forget(nodeid, lookups),
            Op::BatchForget(forgets) => forgets.for_each(|(node, n)| self.fs.forget(node, n)),
            Op::Release { fh, .. } => self.release(fh, reply),
            Op::Releasedir { fh } => {
                self.fs.releasedir(fh);
                reply.ok();
            }
            Op::Statfs => reply.statfs(&convert::statfs(&self.fs.statfs())),
            Op::Fsyncdir { .. } | Op::Destroy => reply.ok(),
            other => self.change(nodeid, &other, reply),
        }
    }
}

/// Whether a request is somebody's first step to a node's content, rather than a later step with
/// a handle, or the kernel's own bookkeeping.
fn asks_for_access(op: &Op<'_>) -> bool {
    !matches!(
        op,
        Op::Forget { .. }
            | Op::BatchForget(_)
            | Op::Release { .. }
            | Op::Releasedir { .. }
            | Op::Read { .. }
            | Op::Write { .. }
            | Op::Flush { .. }
            | Op::Fsync { .. }
            | Op::Statfs
            | Op::Destroy
    )
}

fn plain_cost(name: usize) -> usize {
    fuse::record_size(DirFormat::Readdir, name)
}

fn plus_cost(name: usize) -> usize {
    fuse::record_size(DirFormat::Readdirplus, name)
}

fn refuse(reply: Reply, errno: Errno) {
    reply.error(errno.raw());
}
