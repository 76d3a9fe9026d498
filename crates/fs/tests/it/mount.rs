//! A file system over a [`MemStore`], used the way a kernel that caches nothing would.

use std::sync::Arc;
use std::time::Duration;

use fs::reader::Limits;
use fs::{
    Attr, Config, DirEntry, Entry, Errno, Fs, HandleId, Lookup, NodeId, OpenOptions, ROOT, Ttl,
};
use object::{Budget, Clock, MemCounts, MemStore, Store, Time};

/// When everything was modified, unless a test says otherwise.
pub(crate) const THEN: Time = Time(Duration::from_secs(1_700_000_000));
/// `--metadata-ttl 60`.
pub(crate) const MINUTE: Ttl = Ttl::For(Duration::from_secs(60));

pub(crate) struct Mount {
    pub(crate) store: Arc<MemStore>,
    pub(crate) fs: Arc<Fs>,
    pub(crate) clock: Clock,
}

pub(crate) fn config(ttl: Ttl) -> Config {
    Config {
        prefix: String::new(),
        read_only: false,
        uid: 11,
        gid: 12,
        dir_mode: 0o755,
        file_mode: 0o644,
        ttl,
        negative_ttl: None,
        mounted: Time::from_secs(1_800_000_000),
        names_max: 1_000_000,
        limits: Limits {
            part: 8 << 20,
            window: 32 << 20,
            behind: 0,
            whole: 64 << 20,
            deadline: Duration::from_secs(20),
        },
    }
}

pub(crate) fn over(store: Arc<dyn Store>, clock: &Clock, config: Config) -> Arc<Fs> {
    Fs::new(store, Budget::new(256 << 20), clock.clone(), config)
}

impl Mount {
    pub(crate) fn new(ttl: Ttl) -> Self {
        Self::with(config(ttl))
    }

    pub(crate) fn with(config: Config) -> Self {
        let clock = Clock::start();
        let store = MemStore::new(clock.clone());
        let fs = over(store.clone(), &clock, config);
        Self { store, fs, clock }
    }

    /// An object whose bytes are `text`.
    pub(crate) fn put(&self, key: &str, text: &str) {
        self.store.put(key, text.as_bytes(), THEN);
    }

    /// `count` objects `prefix0000`, `prefix0001`, … of four bytes.
    pub(crate) fn fill(&self, prefix: &str, count: usize) {
        for number in 0..count {
            self.put(&format!("{prefix}{number:05}"), "four");
        }
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// HEADs, LISTs and GETs since the last call of this.
    pub(crate) fn asked(&self) -> (u64, u64, u64) {
        let MemCounts { heads, lists, reads, .. } = self.store.take_counts();
        (heads, lists, reads)
    }

    pub(crate) async fn find(&self, parent: NodeId, name: &str) -> Result<Entry, Errno> {
        match self.fs.lookup(parent, name.as_bytes()).await? {
            Lookup::Found(entry) => Ok(entry),
            Lookup::Absent { .. } => Err(Errno::NotFound),
        }
    }

    /// Walks `path`, every component anew.
    pub(crate) async fn walk(&self, path: &str) -> Result<Entry, Errno> {
        let mut node = ROOT;
        let mut found = Err(Errno::NotFound);
        for name in path.split('/') {
            let entry = self.find(node, name).await?;
            node = entry.node;
            found = Ok(entry);
        }
        found
    }

    pub(crate) async fn stat(&self, path: &str) -> Result<Attr, Errno> {
        Ok(self.walk(path).await?.attr)
    }

    /// open(2): LOOKUP and OPEN, and both once more after ESTALE.
    pub(crate) async fn open(&self, path: &str) -> Result<(NodeId, HandleId), Errno> {
        let node = self.walk(path).await?.node;
        match self.fs.open(node, OpenOptions::default()).await {
            Ok(opened) => Ok((node, opened.handle)),
            Err(Errno::Stale) => {
                let node = self.walk(path).await?.node;
                let opened = self.fs.open(node, OpenOptions::default()).await?;
                Ok((node, opened.handle))
            }
            Err(other) => Err(other),
        }
    }

    pub(crate) async fn read(&self, handle: HandleId) -> Result<String, Errno> {
        let slices = self.fs.read(handle, 0, 1 << 20).await?;
        let bytes: Vec<u8> = slices.iter().flatten().copied().collect();
        Ok(String::from_utf8(bytes).unwrap())
    }

    pub(crate) async fn cat(&self, path: &str) -> Result<String, Errno> {
        let (_, handle) = self.open(path).await?;
        let text = self.read(handle).await;
        self.fs.release(handle);
        text
    }

    /// All entries from `cookie` on, in replies of `room` entries.
    pub(crate) async fn drain(
        &self,
        handle: HandleId,
        mut cookie: u64,
        room: usize,
        plus: bool,
    ) -> Result<Vec<DirEntry>, Errno> {
        let mut all = Vec::new();
        loop {
            let some = self.fs.readdir(handle, cookie, room, |_| 1, plus).await?;
            let Some(last) = some.last() else { return Ok(all) };
            assert!(last.cookie > cookie, "a listing moves on");
            cookie = last.cookie;
            all.extend(some);
        }
    }

    /// `ls -l`: reads the directory with attributes, then looks at every name; closes after it.
    pub(crate) async fn ls(&self, directory: NodeId) -> Result<Vec<String>, Errno> {
        let handle = self.fs.opendir(directory).await?;
        let entries = self.drain(handle, 0, 500, true).await?;
        let mut names = Vec::new();
        for entry in &entries[2..] {
            let name = String::from_utf8(entry.name.to_vec()).unwrap();
            let found = self.find(directory, &name).await?;
            assert_eq!(found.attr.ino, entry.ino);
            names.push(name);
        }
        self.fs.releasedir(handle);
        Ok(names)
    }
}

/// Names as text.
pub(crate) fn texts(entries: &[DirEntry]) -> Vec<String> {
    entries.iter().map(|entry| String::from_utf8(entry.name.to_vec()).unwrap()).collect()
}
