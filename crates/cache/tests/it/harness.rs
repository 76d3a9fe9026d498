//! A cache in a directory of its own around a store in memory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cache::{Cache, Cached, Identity, Options, Scope, Unlimited};
use object::{BLOCK, Budget, Clock, Key, MemStore, Result, Source, Span, Store, Time, Version};
use tempfile::TempDir;

/// The read part of the plans in these tests, in bytes.
pub(crate) const PART: u64 = 8 * BLOCK;

pub(crate) struct Node {
    pub(crate) dir: TempDir,
    pub(crate) store: Arc<MemStore>,
    pub(crate) budget: Arc<Budget>,
    /// Bytes that may stay in the page cache.
    pub(crate) fresh: u64,
}

pub(crate) struct Mount {
    pub(crate) cache: Arc<Cache>,
    pub(crate) cached: Arc<Cached>,
    budget: Arc<Budget>,
}

pub(crate) fn scope() -> Scope {
    Scope { endpoint: "https://s3.example".into(), bucket: "jars".into() }
}

/// What the byte at each offset of a key's object is.
pub(crate) fn content(key: &str, size: u64) -> Vec<u8> {
    let seed = key.bytes().fold(17_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; usize::try_from(size).unwrap()];
    random.fill(&mut bytes);
    bytes
}

impl Node {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("cache-it-").tempdir().unwrap();
        let store = MemStore::new(Clock::start());
        Self { dir, store, budget: Budget::new(1 << 30), fresh: u64::MAX }
    }

    /// On a file system in memory, where bringing bytes to the disk takes no time.
    pub(crate) fn in_memory() -> Self {
        let dir = tempfile::Builder::new().prefix("cache-it-").tempdir_in("/dev/shm").unwrap();
        Self { dir, ..Self::new() }
    }

    pub(crate) async fn put(&self, key: &str, size: u64) -> Arc<Version> {
        self.store.put(key, content(key, size), Time::from_secs(1));
        let meta = self.store.head(&Key::new(key).unwrap()).await.unwrap();
        self.store.take_counts();
        Arc::new(meta.version)
    }

    /// A process that mounts, in this boot of the node.
    pub(crate) fn mount(&self) -> Mount {
        self.mount_in_boot("boot-1")
    }

    pub(crate) fn mount_in_boot(&self, boot: &str) -> Mount {
        let cache = Cache::open(Options {
            dir: self.path(),
            boot: boot.into(),
            budget: self.budget.clone(),
            clock: Clock::start(),
            spacious: Unlimited::spacious(),
            fresh: self.fresh,
        });
        let cache = cache.unwrap();
        let cached = cache.around(scope(), self.store.clone());
        Mount { cache, cached, budget: self.budget.clone() }
    }

    /// A process that reads a version to its end, has its file sealed, and just ends.
    pub(crate) async fn warm(&self, version: &Arc<Version>) {
        let mount = self.mount();
        mount.file_after_fill(version).await;
        mount.end().await;
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    /// The path of a file of a version: `map` or `data`.
    pub(crate) fn file(&self, version: &Version, kind: &str) -> PathBuf {
        object_file(&self.path(), version, kind)
    }

    /// Changes one byte of a version's file.
    pub(crate) fn flip(&self, version: &Version, kind: &str, at: u64) {
        let path = self.file(version, kind);
        let file = File::options().read(true).write(true).open(path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[!byte[0]], at).unwrap();
    }
}

pub(crate) fn object_file(dir: &Path, version: &Version, kind: &str) -> PathBuf {
    let identity = Identity::of(&scope(), version);
    dir.join(format!("mount-s3/objects/{:02x}/{identity}.{kind}", identity.shard()))
}

impl Mount {
    pub(crate) async fn read(&self, version: &Arc<Version>, span: Span) -> Result<Vec<u8>> {
        let lease = self.budget.lease(span.len()).await;
        let flight = self.cached.read(version, span, lease);
        let mut bytes = Vec::new();
        for number in span.chunks() {
            bytes.extend_from_slice(&flight.landed(number).await?);
            flight.release(number);
        }
        Ok(bytes)
    }

    /// Reads all by parts, as a plan does.
    pub(crate) async fn read_all(&self, version: &Arc<Version>) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for span in parts(version.size) {
            bytes.extend(self.read(version, span).await?);
        }
        Ok(bytes)
    }

    /// Reads all and waits until all of it is recorded.
    pub(crate) async fn fill(&self, version: &Arc<Version>) {
        let before = self.cache.counts().filled_bytes;
        self.read_all(version).await.unwrap();
        until("all is recorded", || self.cache.counts().filled_bytes - before == version.size)
            .await;
    }

    /// Ends without any clean-up, once nothing of it is at work any more.
    pub(crate) async fn end(self) {
        let cache = Arc::downgrade(&self.cache);
        drop(self);
        until("nothing is at work", || cache.strong_count() == 0).await;
    }

    pub(crate) async fn file_after_fill(&self, version: &Arc<Version>) -> Arc<File> {
        self.fill(version).await;
        self.file(version).await
    }

    /// The file of a version, once there is one.
    pub(crate) async fn file(&self, version: &Arc<Version>) -> Arc<File> {
        let wait = async {
            loop {
                if let Some(file) = self.cached.backing(version).await {
                    return file;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap()
    }
}

pub(crate) fn parts(size: u64) -> Vec<Span> {
    let starts = (0..size).step_by(usize::try_from(PART).unwrap());
    starts.map(|start| Span::new(start, (start + PART).min(size))).collect()
}

/// Waits until `done`, at most 20 s.
pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(20), wait).await.is_err() {
        panic!("waited in vain until {what}");
    }
}

/// All bytes of a file.
pub(crate) fn bytes_of(file: &Arc<File>) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}
