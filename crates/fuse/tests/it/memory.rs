//! A file system in memory on a real mount, which counts what it is asked.

use fuse::mount::table::{self, Connection};
use fuse::mount::{self, Access, MountOptions};
use fuse::{
    Attr, Control, Device, DirBuf, DirBufError, DirFormat, DirMode, Dirent, Entry, Handler, Op,
    OpenMode, Opened, Reply, Request, Running, Session, Wanted,
};
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// How many ordinary files there are: `file-000`, `file-001`, …
pub(crate) const FILES: u64 = 100;
/// The file whose requests are held when the workload says so.
pub(crate) const STUCK: &str = "stuck";
/// Size of every file.
pub(crate) const SIZE: u64 = 4 << 20;
const ROOT: u64 = fuse::abi::ROOT_ID;
const FIRST: u64 = 2;
const TTL: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(10);

/// Which requests about the stuck file are not answered at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    Prompt,
    HoldReads,
    HoldLookups,
    HoldOpens,
}

/// The bytes of every file: a function of the place.
pub(crate) fn content(offset: u64, size: usize) -> Vec<u8> {
    (offset..offset + size as u64).map(|at| (at.wrapping_mul(31) ^ (at >> 9)) as u8).collect()
}

fn name(nodeid: u64) -> String {
    match nodeid - FIRST {
        FILES => STUCK.to_owned(),
        index => format!("file-{index:03}"),
    }
}

fn attr(nodeid: u64) -> Attr {
    let (mode, size) = if nodeid == ROOT { (0o40755, 0) } else { (0o100_644, SIZE) };
    Attr { ino: 1000 + nodeid, size, blocks: size / 512, mode, nlink: 1, ..Attr::default() }
}

fn entry(nodeid: u64) -> Entry {
    Entry { nodeid, ttl: TTL, attr: attr(nodeid), attr_ttl: TTL, ..Entry::default() }
}

#[derive(Debug)]
struct Held {
    reply: Reply,
    offset: u64,
    size: u32,
}

/// The handler. Counts by operation; see [`Memory::count`].
#[derive(Debug)]
pub(crate) struct Memory {
    workload: Workload,
    pub(crate) mode: Mutex<OpenMode>,
    counts: Mutex<HashMap<&'static str, u64>>,
    held: Mutex<Vec<Held>>,
    arrived: Condvar,
}

impl Memory {
    pub(crate) fn new(workload: Workload) -> Arc<Memory> {
        Arc::new(Memory {
            workload,
            mode: Mutex::new(OpenMode::Cached { keep: true }),
            counts: Mutex::default(),
            held: Mutex::default(),
            arrived: Condvar::new(),
        })
    }

    /// How often an operation was asked for; also "resent", and "largest" for READ.
    pub(crate) fn count(&self, operation: &str) -> u64 {
        self.counts.lock().unwrap().get(operation).copied().unwrap_or(0)
    }

    fn add(&self, operation: &'static str) {
        *self.counts.lock().unwrap().entry(operation).or_default() += 1;
    }

    /// Waits until a request is held.
    pub(crate) fn await_held(&self) {
        let held = self.held.lock().unwrap();
        let none = |held: &mut Vec<Held>| held.is_empty();
        let (held, _) = self.arrived.wait_timeout_while(held, PATIENCE, none).unwrap();
        assert!(!held.is_empty(), "no request to hold came");
    }

    /// Drops the held requests.
    pub(crate) fn release_held(&self) {
        let held = std::mem::take(&mut *self.held.lock().unwrap());
        drop(held);
    }

    /// Answers the held READs with the file's bytes.
    pub(crate) fn answer_held(&self) {
        for held in std::mem::take(&mut *self.held.lock().unwrap()) {
            held.reply.data(&[&content(held.offset, held.size as usize)]);
        }
    }

    fn hold(&self, reply: Reply, offset: u64, size: u32) {
        self.held.lock().unwrap().push(Held { reply, offset, size });
        self.arrived.notify_all();
    }

    fn is_stuck(&self, workload: Workload, nodeid: u64) -> bool {
        self.workload == workload && nodeid == FIRST + FILES
    }

    fn lookup(&self, wanted: &[u8], reply: Reply) {
        self.add("lookup");
        match (FIRST..=FIRST + FILES).find(|nodeid| name(*nodeid).as_bytes() == wanted) {
            Some(nodeid) if self.is_stuck(Workload::HoldLookups, nodeid) => {
                self.hold(reply, 0, 0);
            }
            Some(nodeid) => drop(reply.entry(&entry(nodeid))),
            None => drop(reply.entry(&Entry::negative(TTL))),
        }
    }

    fn open(&self, nodeid: u64, reply: Reply) {
        self.add("open");
        if self.is_stuck(Workload::HoldOpens, nodeid) {
            return self.hold(reply, 0, 0);
        }
        let mode = *self.mode.lock().unwrap();
        let _ = reply.opened(&Opened { fh: nodeid, mode, no_flush: true });
    }

    fn read(&self, nodeid: u64, offset: u64, size: u32, reply: Reply) {
        self.add("read");
        let mut counts = self.counts.lock().unwrap();
        let largest = counts.entry("largest").or_default();
        *largest = (*largest).max(u64::from(size));
        drop(counts);
        if self.is_stuck(Workload::HoldReads, nodeid) {
            return self.hold(reply, offset, size);
        }
        let size = u64::from(size).min(SIZE.saturating_sub(offset));
        let bytes = content(offset, size as usize);
        let (head, tail) = bytes.split_at(bytes.len() / 2);
        reply.data(&[head, tail]);
    }

    fn list(&self, format: DirFormat, from: u64, size: u32, reply: Reply) {
        self.add(if format == DirFormat::Readdir { "readdir" } else { "readdirplus" });
        let mut buffer = DirBuf::new(format, size);
        for nodeid in FIRST + from..=FIRST + FILES {
            let name = name(nodeid);
            let next_offset = nodeid - FIRST + 1;
            let dirent = Dirent {
                ino: 1000 + nodeid,
                next_offset,
                kind: libc::DT_REG,
                name: name.as_bytes(),
            };
            match buffer.push(&dirent, Some(&entry(nodeid))) {
                Ok(()) => {}
                Err(DirBufError::Full) => break,
                Err(error) => panic!("{error}"),
            }
        }
        let _ = reply.dirents(&buffer);
    }
}

impl Handler for Memory {
    fn handle(&self, request: Request<'_>, reply: Reply) {
        if request.resent {
            self.add("resent");
        }
        match request.op {
            Op::Lookup { name } => self.lookup(name, reply),
            Op::Getattr { .. } => {
                self.add("getattr");
                reply.attr(&attr(request.nodeid), TTL);
            }
            Op::Open { .. } => self.open(request.nodeid, reply),
            Op::Read { offset, size, .. } => self.read(request.nodeid, offset, size, reply),
            Op::Opendir { .. } => drop(reply.opened_dir(0, DirMode::Uncached)),
            Op::Readdir { offset, size, .. } => {
                self.list(DirFormat::Readdir, offset, size, reply);
            }
            Op::Readdirplus { offset, size, .. } => {
                self.list(DirFormat::Readdirplus, offset, size, reply);
            }
            Op::Release { .. } | Op::Releasedir { .. } | Op::Flush { .. } => reply.ok(),
            Op::Forget { .. } | Op::BatchForget(_) => reply.none(),
            _ => reply.error(libc::ENOSYS),
        }
    }
}

/// Fails, saying what is missing, where real mounts cannot be made.
pub(crate) fn require_fuse() {
    // SAFETY: no arguments, cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    assert!(root, "this test mounts a file system: run it as root");
    if let Err(error) = Device::open() {
        panic!(
            "this test needs /dev/fuse ({error}): load the fuse module, or start the container with --device /dev/fuse --cap-add SYS_ADMIN"
        );
    }
}

/// The options of the tests' mounts.
pub(crate) fn options() -> MountOptions {
    MountOptions {
        source: "mountpoint-s3".into(),
        subtype: "mountpoint-s3".into(),
        read_only: false,
        access: Access::Everyone,
        uid: 0,
        gid: 0,
        default_permissions: true,
    }
}

/// A directory with a mount on it, which is detached in the end.
pub(crate) struct Point(tempfile::TempDir);

impl Point {
    pub(crate) fn new() -> (Point, Device) {
        Point::with(&options())
    }

    pub(crate) fn with(options: &MountOptions) -> (Point, Device) {
        require_fuse();
        let dir = tempfile::Builder::new().prefix("fuse it ").tempdir().unwrap();
        let device = mount::mount(dir.path(), options).unwrap();
        (Point(dir), device)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    pub(crate) fn connection(&self) -> Connection {
        table::mount_at(self.0.path()).unwrap().unwrap().connection().unwrap()
    }
}

impl Drop for Point {
    fn drop(&mut self) {
        // A test may have unmounted already.
        let _ = mount::detach(self.0.path());
    }
}

/// A served mount.
pub(crate) struct Mounted {
    pub(crate) point: Point,
    pub(crate) fs: Arc<Memory>,
    pub(crate) control: Control,
    pub(crate) running: Option<Running>,
    pub(crate) notifier: fuse::Notifier,
    pub(crate) backing: Option<fuse::Backing>,
}

impl Mounted {
    pub(crate) fn new(workload: Workload) -> Mounted {
        Mounted::with(workload, &Wanted::default())
    }

    pub(crate) fn with(workload: Workload, wanted: &Wanted) -> Mounted {
        let (point, device) = Point::new();
        let fs = Memory::new(workload);
        let session = Session::handshake(device, wanted).unwrap();
        let (notifier, backing) = (session.notifier().unwrap(), session.backing());
        let running = start(session, &fs);
        let control = running.control();
        Mounted { point, fs, control, running: Some(running), notifier, backing }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.point.path(name)
    }
}

/// Serves a session by two workers.
pub(crate) fn start(session: Session, fs: &Arc<Memory>) -> Running {
    session.start(NonZeroUsize::new(2).unwrap(), fs.clone()).unwrap()
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = mount::detach(&self.point.root());
        self.fs.release_held();
        self.control.stop();
    }
}
