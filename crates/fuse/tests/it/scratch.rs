//! A file system in memory that takes everything and remembers what it was asked.

use crate::memory::Point;
use fuse::mount;
use fuse::{
    Attr, Control, DirBuf, DirFormat, DirMode, Entry, Handler, Op, OpenMode, Opened, Reply,
    Request, Running, Session, Setattr, Wanted,
};
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const TTL: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct State {
    names: HashMap<String, u64>,
    nodes: HashMap<u64, Node>,
    log: Vec<String>,
    /// Operations that are not answered, with `|` between them.
    hold: &'static str,
    held: Vec<Reply>,
    no_flush: bool,
    late: bool,
    writing: u64,
    writing_most: u64,
}

struct Node {
    mode: u32,
    bytes: Vec<u8>,
}

/// The handler.
#[derive(Default)]
pub(crate) struct Scratch {
    state: Mutex<State>,
    changed: Condvar,
}

impl Scratch {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was asked since the last call.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().log)
    }

    /// Waits until something that begins with `word` was asked.
    pub(crate) fn await_log(&self, word: &str) {
        self.await_that("it was not asked", |state| {
            state.log.iter().any(|line| line.starts_with(word))
        });
    }

    fn await_that(&self, otherwise: &str, holds: impl Fn(&State) -> bool) {
        let not_yet = |state: &mut State| !holds(state);
        let (state, _) = self.changed.wait_timeout_while(self.lock(), PATIENCE, not_yet).unwrap();
        assert!(holds(&state), "{otherwise}: {:?}", state.log);
    }

    /// Makes a file.
    pub(crate) fn make(&self, name: &str, bytes: &[u8]) {
        let mut state = self.lock();
        let node = state.add(name, 0o100_644);
        state.nodes.get_mut(&node).unwrap().bytes = bytes.to_vec();
    }

    /// A file's bytes.
    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        let state = self.lock();
        state.nodes[&state.names[name]].bytes.clone()
    }

    /// From now on these operations are not answered.
    pub(crate) fn hold(&self, operations: &'static str) {
        self.lock().hold = operations;
    }

    /// Waits until a request is held.
    pub(crate) fn await_held(&self) {
        self.await_that("no request to hold came", |state| !state.held.is_empty());
    }

    /// Drops the held requests, and holds no more.
    pub(crate) fn release_held(&self) {
        let held = std::mem::take(&mut *self.lock()).held;
        drop(held);
    }

    /// Answers the held requests, and holds no more.
    pub(crate) fn answer_held(&self) {
        let held = {
            let mut state = self.lock();
            state.hold = "";
            std::mem::take(&mut state.held)
        };
        held.into_iter().for_each(Reply::ok);
    }

    /// From now on a WRITE is answered a little later, by another thread.
    pub(crate) fn answer_writes_late(&self) {
        self.lock().late = true;
    }

    /// How many WRITEs there were at once.
    pub(crate) fn most_writes_at_once(&self) -> u64 {
        self.lock().writing_most
    }

    /// From now on opens do without FLUSH.
    pub(crate) fn open_without_flush(&self) {
        self.lock().no_flush = true;
    }

    fn written(self: &Arc<Self>, late: bool, size: u32, reply: Reply) {
        if !late {
            self.lock().writing -= 1;
            return reply.written(size);
        }
        let this = self.clone();
        std::thread::spawn(move || {
            std::thread::park_timeout(Duration::from_millis(2));
            this.lock().writing -= 1;
            reply.written(size);
        });
    }
}

impl State {
    fn add(&mut self, name: &str, mode: u32) -> u64 {
        let node = 2 + self.nodes.len() as u64;
        self.names.insert(name.to_owned(), node);
        self.nodes.insert(node, Node { mode, bytes: Vec::new() });
        node
    }

    fn attr(&self, nodeid: u64) -> Attr {
        let (mode, size) = match self.nodes.get(&nodeid) {
            Some(node) => (node.mode, node.bytes.len() as u64),
            None => (0o40_755, 0),
        };
        Attr { ino: nodeid, size, mode, nlink: 1, ..Attr::default() }
    }

    fn entry(&self, nodeid: u64) -> Entry {
        Entry { nodeid, ttl: TTL, attr: self.attr(nodeid), attr_ttl: TTL, generation: 0 }
    }

    fn opened(&self, fh: u64) -> Opened {
        let mode = OpenMode::Direct { parallel_writes: false };
        Opened { fh, mode, no_flush: self.no_flush }
    }

    fn write(&mut self, nodeid: u64, offset: u64, data: &[u8]) {
        self.writing += 1;
        self.writing_most = self.writing_most.max(self.writing);
        let Some(node) = self.nodes.get_mut(&nodeid) else { return };
        let end = offset as usize + data.len();
        node.bytes.resize(node.bytes.len().max(end), 0);
        node.bytes[offset as usize..end].copy_from_slice(data);
    }

    /// Does what changes names.
    fn name(&mut self, op: &Op<'_>, reply: Reply) {
        match *op {
            Op::Create { name, mode, .. } => {
                let node = self.add(&text(name), mode);
                let _ = reply.created(&self.entry(node), &self.opened(node));
            }
            Op::Mknod { name, mode, .. } => {
                let node = self.add(&text(name), mode);
                let _ = reply.entry(&self.entry(node));
            }
            Op::Mkdir { name, mode, .. } => {
                let node = self.add(&text(name), mode | 0o40_000);
                let _ = reply.entry(&self.entry(node));
            }
            Op::Rename { name, new_name, .. } => {
                let node = self.names.remove(&text(name)).unwrap();
                self.names.insert(text(new_name), node);
                reply.ok();
            }
            Op::Unlink { name } | Op::Rmdir { name } => {
                self.names.remove(&text(name));
                reply.ok();
            }
            _ => reply.error(libc::ENOSYS),
        }
    }

    /// Notes what is asked; whether it is to be held.
    fn note(&mut self, line: String) -> bool {
        let word = line.split(' ').next().unwrap_or_default();
        let held = self.hold.split('|').any(|held| held == word);
        self.log.push(line);
        held
    }
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn has(flags: u32, flag: i32) -> bool {
    flags & flag.cast_unsigned() == flag.cast_unsigned()
}

/// The request in words.
fn line(op: &Op<'_>) -> String {
    match op {
        Op::Lookup { name } => format!("lookup {}", text(name)),
        Op::Getattr { .. } => "getattr".into(),
        Op::Create { name, .. } => format!("create {}", text(name)),
        Op::Mknod { name, mode, .. } => format!("mknod {} {mode:o}", text(name)),
        Op::Mkdir { name, mode, .. } => format!("mkdir {} {:o}", text(name), mode | 0o40_000),
        Op::Unlink { name } => format!("unlink {}", text(name)),
        Op::Rmdir { name } => format!("rmdir {}", text(name)),
        Op::Rename { name, new_name, flags, .. } => {
            format!("rename {} {} {flags}", text(name), text(new_name))
        }
        Op::Open { flags } => {
            let truncate = if has(*flags, libc::O_TRUNC) { " truncate" } else { "" };
            let append = if has(*flags, libc::O_APPEND) { " append" } else { "" };
            format!("open{truncate}{append}")
        }
        Op::Write { offset, data, flags, .. } => {
            let sync = if has(*flags, libc::O_SYNC) { " sync" } else { "" };
            format!("write {offset}+{}{sync}", data.len())
        }
        Op::Flush { .. } => "flush".into(),
        Op::Fsync { data_only, .. } => if *data_only { "fsync data" } else { "fsync" }.into(),
        Op::Fsyncdir { .. } => "fsyncdir".into(),
        Op::Release { .. } => "release".into(),
        Op::Setattr(change) => format!("setattr{}", changes(change)),
        Op::Forget { .. } | Op::BatchForget(_) => "forget".into(),
        Op::Opendir { .. } => "opendir".into(),
        Op::Releasedir { .. } => "releasedir".into(),
        other => format!("other {other:?}"),
    }
}

fn changes(change: &Setattr) -> String {
    let Setattr { fh, mode, uid, gid, size, atime, mtime } = change;
    [
        fh.map(|_| " fh".to_owned()),
        mode.map(|mode| format!(" mode={mode:o}")),
        uid.map(|uid| format!(" uid={uid}")),
        gid.map(|gid| format!(" gid={gid}")),
        size.map(|size| format!(" size={size}")),
        atime.map(|time| format!(" atime={time:?}")),
        mtime.map(|time| format!(" mtime={time:?}")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The handler as the session holds it.
struct Shared(Arc<Scratch>);

impl Handler for Shared {
    fn handle(&self, request: Request<'_>, reply: Reply) {
        let Request { nodeid, op, .. } = request;
        let fs = &self.0;
        let mut state = fs.lock();
        let held = state.note(line(&op));
        fs.changed.notify_all();
        if held {
            return state.held.push(reply);
        }
        match op {
            Op::Lookup { name } => match state.names.get(&text(name)) {
                Some(node) => {
                    let _ = reply.entry(&state.entry(*node));
                }
                None => reply.error(libc::ENOENT),
            },
            Op::Getattr { .. } => reply.attr(&state.attr(nodeid), TTL),
            Op::Create { .. }
            | Op::Mknod { .. }
            | Op::Mkdir { .. }
            | Op::Rename { .. }
            | Op::Unlink { .. }
            | Op::Rmdir { .. } => state.name(&op, reply),
            Op::Open { flags } => {
                if has(flags, libc::O_TRUNC) {
                    state.nodes.get_mut(&nodeid).unwrap().bytes.clear();
                }
                let _ = reply.opened(&state.opened(nodeid));
            }
            Op::Setattr(change) => {
                if let (Some(size), Some(node)) = (change.size, state.nodes.get_mut(&nodeid)) {
                    node.bytes.resize(size as usize, 0);
                }
                reply.attr(&state.attr(nodeid), TTL);
            }
            Op::Write { offset, data, .. } => {
                state.write(nodeid, offset, data);
                let (late, size) = (state.late, data.len() as u32);
                drop(state);
                fs.written(late, size, reply);
            }
            Op::Opendir { .. } => {
                let _ = reply.opened_dir(0, DirMode::Uncached);
            }
            Op::Readdir { size, .. } => {
                let _ = reply.dirents(&DirBuf::new(DirFormat::Readdir, size));
            }
            Op::Forget { .. } | Op::BatchForget(_) => reply.none(),
            Op::Flush { .. }
            | Op::Fsync { .. }
            | Op::Fsyncdir { .. }
            | Op::Release { .. }
            | Op::Releasedir { .. } => reply.ok(),
            _ => reply.error(libc::ENOSYS),
        }
    }
}

/// A served mount.
pub(crate) struct Mounted {
    point: Point,
    pub(crate) fs: Arc<Scratch>,
    control: Control,
    _running: Running,
}

impl Mounted {
    pub(crate) fn new(wanted: &Wanted) -> Mounted {
        let (point, device) = Point::new();
        let fs = Arc::new(Scratch::default());
        let session = Session::handshake(device, wanted).unwrap();
        let workers = NonZeroUsize::new(3).unwrap();
        let running = session.start(workers, Arc::new(Shared(fs.clone()))).unwrap();
        Mounted { point, fs, control: running.control(), _running: running }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.point.path(name)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = mount::detach(&self.point.root());
        self.fs.release_held();
        self.control.stop();
    }
}
