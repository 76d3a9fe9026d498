//! A file system over a store in memory, with or without a cache, as the model's [`System`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cache::{Cache, Census, Options, Scope, Unlimited};
use fs::{Change, Config, Errno, Fs, HandleId, NodeId, OpenOptions, ROOT, RenameFlags};
use model::{Answer, Fd, How, Restart, Step, System, Trouble};
use object::{Budget, Clock, ErrorKind, MemStore, Mishap, Sink, Store};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::mount::{Mount, THEN, texts};

/// Reads come in such pieces.
const PIECE: u32 = 1 << 20;

pub(super) struct Driven {
    mount: Mount,
    config: Config,
    cache: Option<Cached>,
    /// What is open, and on which node.
    open: BTreeMap<Fd, NodeId>,
    /// Uploads may have been left open.
    pub(super) died: bool,
    budget: Arc<Budget>,
    runtime: Runtime,
}

struct Cached {
    dir: TempDir,
    cache: Arc<Cache>,
}

impl Cached {
    fn path(&self) -> PathBuf {
        self.dir.path().join("cache")
    }
}

fn number(errno: Errno) -> model::Errno {
    model::Errno::from_raw_os_error(errno.raw())
}

impl Driven {
    pub(super) fn new(config: Config, cached: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let clock = Clock::start();
        let store = MemStore::new(clock.clone());
        let budget = Budget::new(256 << 20);
        let in_runtime = runtime.enter();
        let cache = cached.then(|| {
            let dir = tempfile::Builder::new().prefix("model-").tempdir_in("/dev/shm").unwrap();
            let cache = open(dir.path().join("cache"), &clock, &budget);
            Cached { dir, cache }
        });
        let fs = begin(&config, &store, &clock, &budget, cache.as_ref());
        let mount = Mount::of(store, fs, clock);
        drop(in_runtime);
        Self { mount, config, cache, open: BTreeMap::new(), died: false, budget, runtime }
    }

    pub(super) fn open_uploads(&self) -> Vec<object::Key> {
        self.mount.store.open_uploads()
    }

    /// What takes the place of the file system.
    fn next(&self) -> Arc<Fs> {
        let _in_runtime = self.runtime.enter();
        let Mount { store, clock, .. } = &self.mount;
        begin(&self.config, store, clock, &self.budget, self.cache.as_ref())
    }

    async fn open_once(&self, path: &str, how: How) -> Result<(NodeId, HandleId), Errno> {
        let (read, write) = (
            OpenOptions { read: true, ..OpenOptions::default() },
            OpenOptions { write: true, ..OpenOptions::default() },
        );
        let options = match how {
            How::Read => read,
            How::New => OpenOptions { truncate: true, ..write },
            How::Exclusive => OpenOptions { exclusive: true, ..write },
            How::Append => OpenOptions { append: true, ..write },
            How::Over => write,
            How::Both => OpenOptions { read: true, ..write },
        };
        if matches!(how, How::Read | How::Over) {
            let node = self.mount.walk(path).await?.node;
            return Ok((node, self.mount.fs.open(node, options).await?.handle));
        }
        if how == How::Exclusive {
            let (parent, name) = self.mount.above(path).await?;
            if self.mount.find(parent, name).await.is_ok() {
                return Err(Errno::Exists);
            }
        }
        self.mount.open_with(path, options).await
    }

    /// As the kernel does: a second time after ESTALE, and no third.
    async fn open_twice(&self, path: &str, how: How) -> Result<(NodeId, HandleId), Errno> {
        match self.open_once(path, how).await {
            Err(Errno::Stale) => self.open_once(path, how).await,
            other => other,
        }
    }

    async fn resize(&self, path: &str, size: u64) -> Result<(), Errno> {
        let change = Change { size: Some(size), ..Change::default() };
        let node = self.mount.walk(path).await?.node;
        self.mount.fs.setattr(node, None, change).await.map(|_| ())
    }

    async fn read_all(&self, handle: HandleId) -> Result<String, Errno> {
        let mut bytes = Vec::new();
        loop {
            let slices = self.mount.fs.read(handle, bytes.len() as u64, PIECE).await?;
            let before = bytes.len();
            slices.iter().for_each(|slice| bytes.extend_from_slice(slice));
            if bytes.len() == before {
                return Ok(String::from_utf8(bytes).unwrap());
            }
        }
    }

    async fn read_directory(&self, path: &str) -> Result<Vec<String>, Errno> {
        let node = match path {
            "" => ROOT,
            path => self.mount.walk(path).await?.node,
        };
        let handle = self.mount.fs.opendir(node).await?;
        let shown = self.mount.drain(handle, 0, 3, true).await?;
        self.mount.fs.releasedir(handle);
        Ok(texts(&shown[2..]))
    }

    /// A flush that nobody waits for any more is still under way when the file is closed.
    async fn kill(&self, handle: HandleId) {
        self.mount.store.set_latency(Duration::from_millis(5));
        let fs = self.mount.fs.clone();
        let flush = tokio::spawn(async move { fs.flush(handle).await });
        tokio::task::yield_now().await;
        self.mount.fs.release(handle);
        let _ = flush.await;
        self.mount.fs.settle().await;
        self.mount.store.set_latency(Duration::ZERO);
    }
}

fn open(dir: PathBuf, clock: &Clock, budget: &Arc<Budget>) -> Arc<Cache> {
    let (clock, budget, boot) = (clock.clone(), budget.clone(), "boot".into());
    let spacious = Unlimited::spacious();
    Cache::open(Options { dir, boot, budget, clock, spacious, fresh: u64::MAX }).unwrap()
}

/// A file system wired as a mount wires it.
fn begin(
    config: &Config,
    store: &Arc<MemStore>,
    clock: &Clock,
    budget: &Arc<Budget>,
    cached: Option<&Cached>,
) -> Arc<Fs> {
    let (source, sink): (Arc<dyn Store>, Arc<dyn Sink>) = match cached {
        None => (store.clone(), store.clone()),
        Some(Cached { cache, .. }) => {
            let scope = Scope { endpoint: "https://s3.example".into(), bucket: "bucket".into() };
            (cache.around(scope.clone(), store.clone()), cache.before(scope, store.clone()))
        }
    };
    let fs = Fs::new(source, budget.clone(), clock.clone(), config.clone());
    fs.write_to(sink);
    fs
}

impl System for Driven {
    fn now(&self) -> Duration {
        self.mount.clock.now().0
    }

    fn pass(&mut self, time: Duration) {
        self.mount.pass(time);
    }

    fn can(&self, step: &Step) -> bool {
        *step != Step::Evict || self.cache.is_some()
    }

    fn is_patient(&self) -> bool {
        false
    }

    fn put(&mut self, key: &str, text: &str) {
        self.mount.store.put(key, text.as_bytes(), THEN);
    }

    fn remove(&mut self, key: &str) {
        self.mount.store.delete(key);
    }

    fn stored(&mut self, key: &str) -> Option<String> {
        self.mount.stored(key)
    }

    fn trouble(&mut self, trouble: Option<Trouble>) {
        self.mount.store.set_mishap(trouble.map(|trouble| match trouble {
            Trouble::Full => Mishap::Refused(ErrorKind::Full),
            Trouble::Lost => Mishap::Lost,
        }));
    }

    fn settle(&mut self, _puts: u64) {
        self.runtime.block_on(self.mount.fs.settle());
    }

    fn asked(&mut self) -> Option<(u64, u64)> {
        let writes = self.mount.store.take_writes();
        Some((writes.puts + writes.completed, writes.deletes))
    }

    fn restart(&mut self, how: Restart) {
        self.died |= matches!(how, Restart::Killed | Restart::Succeeded);
        if matches!(how, Restart::Clean | Restart::Ended) {
            self.runtime.block_on(self.mount.fs.close());
        }
        if let Some(cached) = &mut self.cache {
            if matches!(how, Restart::Clean | Restart::Ended) {
                self.runtime.block_on(cached.cache.close());
            }
            let _in_runtime = self.runtime.enter();
            cached.cache = open(cached.path(), &self.mount.clock, &self.budget);
        }
        let next = self.next();
        if how == Restart::Succeeded {
            let _in_runtime = self.runtime.enter();
            next.restore(self.mount.fs.records()).unwrap();
        } else {
            self.open.clear();
        }
        self.mount.fs = next;
    }

    fn forget(&mut self) {
        let nodes = self.mount.take_lookups();
        for (node, count) in nodes {
            // What is open is not forgotten.
            let kept = self.open.values().any(|open| *open == node);
            self.mount.fs.forget(node, if kept { count - 1 } else { count });
            if kept {
                self.mount.note_lookup(node);
            }
        }
    }

    fn evict(&mut self) {
        if let Some(cached) = &self.cache {
            Census::clear(&cached.path()).unwrap();
        }
    }

    fn open(&mut self, path: &str, how: How) -> Answer<Fd> {
        let opened = self.runtime.block_on(self.open_twice(path, how));
        let (node, handle) = opened.map_err(number)?;
        self.open.insert(handle, node);
        Ok(handle)
    }

    fn write(&mut self, fd: Fd, offset: u64, text: &str) -> Answer<()> {
        self.runtime.block_on(self.mount.write(fd, offset, text.as_bytes())).map_err(number)
    }

    fn read(&mut self, fd: Fd) -> Answer<String> {
        self.runtime.block_on(self.read_all(fd)).map_err(number)
    }

    fn flush(&mut self, fd: Fd) -> Answer<()> {
        self.runtime.block_on(self.mount.fs.flush(fd)).map_err(number)
    }

    fn fsync(&mut self, fd: Fd) -> Answer<()> {
        self.runtime.block_on(self.mount.fs.fsync(fd)).map_err(number)
    }

    fn close(&mut self, fd: Fd) -> Answer<()> {
        self.open.remove(&fd);
        self.runtime.block_on(self.mount.close(fd)).map_err(number)
    }

    fn killed(&mut self, path: &str, text: &str) -> Answer<()> {
        let opened = self.runtime.block_on(self.open_twice(path, How::New));
        let (_, handle) = opened.map_err(number)?;
        self.write(handle, 0, text)?;
        self.runtime.block_on(self.kill(handle));
        Ok(())
    }

    fn ftruncate(&mut self, fd: Fd, length: u64) -> Answer<()> {
        let change = Change { size: Some(length), ..Change::default() };
        let done = self.runtime.block_on(self.mount.fs.setattr(self.open[&fd], Some(fd), change));
        done.map(|_| ()).map_err(number)
    }

    fn fstat(&mut self, fd: Fd) -> Answer<u64> {
        let told = self.runtime.block_on(self.mount.fs.getattr(self.open[&fd], Some(fd)));
        told.map(|(attr, _)| attr.size).map_err(number)
    }

    fn truncate(&mut self, path: &str, length: u64) -> Answer<()> {
        let done = self.runtime.block_on(async {
            match self.resize(path, length).await {
                Err(Errno::Stale) => self.resize(path, length).await,
                other => other,
            }
        });
        done.map_err(number)
    }

    fn stat(&mut self, path: &str) -> Answer<Option<u64>> {
        let attr = self.runtime.block_on(self.mount.stat(path)).map_err(number)?;
        Ok((attr.kind == fs::Kind::File).then_some(attr.size))
    }

    fn unlink(&mut self, path: &str) -> Answer<()> {
        self.runtime.block_on(self.mount.rm(path)).map_err(number)
    }

    fn mkdir(&mut self, path: &str) -> Answer<()> {
        self.runtime.block_on(self.mount.mkdir(path)).map(|_| ()).map_err(number)
    }

    fn rmdir(&mut self, path: &str) -> Answer<()> {
        self.runtime.block_on(self.mount.rmdir(path)).map_err(number)
    }

    fn rename(&mut self, from: &str, to: &str) -> Answer<()> {
        let done = self.runtime.block_on(async {
            let (parent, name) = self.mount.above(from).await?;
            let (new_parent, new_name) = self.mount.above(to).await?;
            self.mount.find(parent, name).await?;
            let (name, new_name) = (name.as_bytes(), new_name.as_bytes());
            self.mount.fs.rename(parent, name, new_parent, new_name, RenameFlags::default()).await
        });
        done.map_err(number)
    }

    fn list(&mut self, path: &str) -> Answer<Vec<String>> {
        self.runtime.block_on(self.read_directory(path)).map_err(number)
    }
}
