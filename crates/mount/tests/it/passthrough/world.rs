//! A mount served in this process: the real kernel, session, adapter and file system over a store
//! in memory, which can be given the local files that a cache would have.

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::mount::adapter::{Adapter, Counted, Counts, Passthrough};
use fs::reader::Limits;
use fs::{Fs, Ttl};
use fuse::mount::{self, Access, MountOptions};
use fuse::{Device, InitState, Running, Session, Wanted};
use object::{Budget, Clock, MemStore, Store, Time};
use testkit::exerciser::Target;
use tokio::runtime::{Builder, Runtime};

/// Synthetic content has a version; here it is always this.
const VERSION: u64 = 1;

/// How a [`World`] is mounted.
pub(super) struct Setting {
    pub(super) wanted: Wanted,
    pub(super) read_only: bool,
    pub(super) ttl: Ttl,
    /// Where the local files lie.
    pub(super) cache: PathBuf,
}

pub(super) struct World {
    pub(super) store: Arc<MemStore>,
    pub(super) passthrough: Option<Arc<Passthrough>>,
    setting: Setting,
    clock: Clock,
    files: Arc<Fs>,
    counts: Arc<Counts>,
    point: tempfile::TempDir,
    /// Keeps the connection while nobody serves it.
    keeper: Device,
    init: InitState,
    running: Option<Running>,
    runtime: Runtime,
}

impl World {
    pub(super) fn new(setting: Setting) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let clock = Clock::start();
        let store = MemStore::new(clock.clone());
        let files = file_system(store.clone(), &clock, &setting);
        let point = tempfile::Builder::new().prefix("mount it ").tempdir().unwrap();
        let device = mount::mount(point.path(), &options(&setting)).unwrap();
        let keeper = device.duplicate().unwrap();
        let session = Session::handshake(device, &setting.wanted).unwrap();
        let init = *session.init();
        let mut world = Self {
            store,
            passthrough: None,
            setting,
            clock,
            files,
            counts: Arc::default(),
            point,
            keeper,
            init,
            running: None,
            runtime,
        };
        world.serve(session);
        world
    }

    fn serve(&mut self, session: Session) {
        self.passthrough = session.backing().map(|kernel| Arc::new(Passthrough::new(kernel)));
        if let Some(passthrough) = &self.passthrough {
            self.files.pass_through(passthrough.clone());
        }
        let adapter = Adapter::new(self.files.clone(), self.runtime.handle().clone(), None);
        self.counts = adapter.counts();
        let workers = NonZeroUsize::new(2).unwrap();
        self.running = Some(session.start(workers, Arc::new(adapter)).unwrap());
    }

    /// Another daemon goes on with the connection, from the records of this one.
    pub(super) fn succeed(&mut self) {
        drop(self.running.take());
        let records = self.files.records();
        self.files = file_system(self.store.clone(), &self.clock, &self.setting);
        self.runtime.block_on(async { self.files.restore(records) }).unwrap();
        self.serve(Session::adopt(self.keeper.duplicate().unwrap(), self.init));
    }

    pub(super) fn root(&self) -> &Path {
        self.point.path()
    }

    pub(super) fn path(&self, key: &str) -> PathBuf {
        self.root().join(key)
    }

    pub(super) fn counted(&self) -> Counted {
        self.counts.now()
    }

    /// Puts a synthetic object.
    pub(super) fn put(&self, key: &str, size: u64) -> Target {
        let bytes = synthetic(key, size);
        self.store.put(key, bytes, Time::from_secs(1_700_000_000));
        Target { path: self.path(key), key: key.to_owned(), version: VERSION, size }
    }

    /// The cache now has the whole object, in a file that it never writes again.
    pub(super) fn complete(&self, key: &str, bytes: &[u8]) {
        let mut file = tempfile::NamedTempFile::new_in(&self.setting.cache).unwrap();
        file.write_all(bytes).unwrap();
        let file = file.persist(self.setting.cache.join(key)).unwrap();
        self.store.set_backing(key, Some(Arc::new(file)));
    }

    pub(super) fn complete_target(&self, target: &Target) {
        self.complete(&target.key, &synthetic(&target.key, target.size));
    }

    /// The cache has it no longer.
    pub(super) fn evict(&self, key: &str) {
        self.store.set_backing(key, None);
        let _ = std::fs::remove_file(self.setting.cache.join(key));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = mount::detach(self.point.path());
        drop(self.running.take());
    }
}

fn synthetic(key: &str, size: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(size).unwrap()];
    lab::synthetic::fill(key, VERSION, 0, &mut bytes);
    bytes
}

fn options(setting: &Setting) -> MountOptions {
    MountOptions {
        source: "mountpoint-s3".into(),
        subtype: "mountpoint-s3".into(),
        read_only: setting.read_only,
        access: Access::Everyone,
        uid: 0,
        gid: 0,
        default_permissions: true,
    }
}

fn file_system(store: Arc<dyn Store>, clock: &Clock, setting: &Setting) -> Arc<Fs> {
    let config = fs::Config {
        prefix: String::new(),
        read_only: setting.read_only,
        uid: 0,
        gid: 0,
        dir_mode: 0o755,
        file_mode: 0o755,
        ttl: setting.ttl,
        negative_ttl: None,
        mounted: clock.now(),
        names_max: 100_000,
        limits: Limits {
            part: 8 << 20,
            window: 32 << 20,
            behind: 0,
            whole: 64 << 20,
            deadline: Duration::from_secs(20),
        },
        writes: fs::Writes::default(),
    };
    Fs::new(store, Budget::new(256 << 20), clock.clone(), config)
}

/// A file system mounted for a test, and taken away in the end.
pub(super) struct Scratch(tempfile::TempDir);

impl Scratch {
    /// A tmpfs of `mebibytes`.
    pub(super) fn tmpfs(mebibytes: u32) -> Self {
        Self::mounted("tmpfs", &format!("size={mebibytes}m"))
    }

    /// An overlayfs on the directory `lower`, whose changes go to `layers`.
    pub(super) fn overlayfs(lower: &Path, layers: &Path) -> Self {
        let layer = |name: &str| {
            let path = layers.join(name);
            std::fs::create_dir(&path).unwrap();
            path.display().to_string()
        };
        let (lower, upper, work) = (lower.display(), layer("upper"), layer("work"));
        Self::mounted("overlay", &format!("lowerdir={lower},upperdir={upper},workdir={work}"))
    }

    fn mounted(kind: &str, data: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = std::ffi::CString::new(data).unwrap();
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount(kind, directory.path(), kind, flags, data.as_c_str()).unwrap();
        Self(directory)
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.0.path(), rustix::mount::UnmountFlags::DETACH);
    }
}
