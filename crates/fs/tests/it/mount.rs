//! A file system over a [`MemStore`], used the way a kernel that caches nothing would.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fs::reader::Limits;
use fs::{
    Attr, Config, DirEntry, Entry, Errno, Fs, HandleId, Lookup, NodeId, OpenOptions, ROOT, Ttl,
    Writes,
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
    /// Nodes that lookups have found, and how often since they were last taken.
    looked_up: Mutex<BTreeMap<NodeId, u64>>,
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
        writes: Writes::default(),
    }
}

/// `config` with everything allowed.
pub(crate) fn allowing(config: Config) -> Config {
    let writes = Writes { allow_overwrite: true, allow_delete: true, ..config.writes };
    Config { writes, ..config }
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
        fs.write_to(store.clone());
        Self::of(store, fs, clock)
    }

    /// A file system that was made already.
    pub(crate) fn of(store: Arc<MemStore>, fs: Arc<Fs>, clock: Clock) -> Self {
        Self { store, fs, clock, looked_up: Mutex::default() }
    }

    /// The lookups that `forget` is owed for.
    pub(crate) fn take_lookups(&self) -> BTreeMap<NodeId, u64> {
        std::mem::take(&mut self.looked_up.lock().unwrap())
    }

    /// `node` was found once more.
    pub(crate) fn note_lookup(&self, node: NodeId) {
        *self.looked_up.lock().unwrap().entry(node).or_default() += 1;
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
            Lookup::Found(entry) => {
                self.note_lookup(entry.node);
                Ok(entry)
            }
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

    /// open(2) with `O_CREAT | O_TRUNC | O_WRONLY`: LOOKUP, and CREATE or OPEN; once more after
    /// ESTALE.
    pub(crate) async fn open_new(&self, path: &str) -> Result<(NodeId, HandleId), Errno> {
        let options = OpenOptions { write: true, truncate: true, ..OpenOptions::default() };
        match self.open_with(path, options).await {
            Err(Errno::Stale) => self.open_with(path, options).await,
            other => other,
        }
    }

    /// One try of open(2) with `O_CREAT` and what else is given.
    pub(crate) async fn open_with(
        &self,
        path: &str,
        options: OpenOptions,
    ) -> Result<(NodeId, HandleId), Errno> {
        let (parent, name) = self.above(path).await?;
        match self.find(parent, name).await {
            Ok(entry) => {
                let opened = self.fs.open(entry.node, options).await?;
                Ok((entry.node, opened.handle))
            }
            Err(Errno::NotFound) => {
                let (entry, opened) = self.fs.create(parent, name.as_bytes(), options).await?;
                self.note_lookup(entry.node);
                Ok((entry.node, opened.handle))
            }
            Err(other) => Err(other),
        }
    }

    /// The directory that `path` is in, and its name there.
    pub(crate) async fn above<'a>(&self, path: &'a str) -> Result<(NodeId, &'a str), Errno> {
        match path.rsplit_once('/') {
            Some((above, name)) => Ok((self.walk(above).await?.node, name)),
            None => Ok((ROOT, path)),
        }
    }

    /// write(2) until everything is written.
    pub(crate) async fn write(
        &self,
        handle: HandleId,
        mut offset: u64,
        mut bytes: &[u8],
    ) -> Result<(), Errno> {
        while !bytes.is_empty() {
            let now = self.fs.write_now(handle, offset, bytes) as usize;
            let taken = match &bytes[now..] {
                [] => now,
                rest => now + self.fs.write(handle, offset + now as u64, rest).await? as usize,
            };
            offset += taken as u64;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// close(2), and what the kernel and we do after it.
    pub(crate) async fn close(&self, handle: HandleId) -> Result<(), Errno> {
        let closed = self.fs.flush(handle).await;
        self.fs.release(handle);
        self.fs.settle().await;
        closed
    }

    /// `printf text > path`
    pub(crate) async fn echo(&self, path: &str, text: &str) -> Result<(), Errno> {
        let (_, handle) = self.open_new(path).await?;
        let written = self.write(handle, 0, text.as_bytes()).await;
        let closed = self.close(handle).await;
        written.and(closed)
    }

    /// `rm path`
    pub(crate) async fn rm(&self, path: &str) -> Result<(), Errno> {
        let (parent, name) = self.above(path).await?;
        self.find(parent, name).await?;
        self.fs.unlink(parent, name.as_bytes()).await
    }

    /// `mkdir path`
    pub(crate) async fn mkdir(&self, path: &str) -> Result<NodeId, Errno> {
        let (parent, name) = self.above(path).await?;
        match self.find(parent, name).await {
            Ok(_) => Err(Errno::Exists),
            Err(Errno::NotFound) => {
                let made = self.fs.mkdir(parent, name.as_bytes()).await?.node;
                self.note_lookup(made);
                Ok(made)
            }
            Err(other) => Err(other),
        }
    }

    /// `rmdir path`
    pub(crate) async fn rmdir(&self, path: &str) -> Result<(), Errno> {
        let (parent, name) = self.above(path).await?;
        self.find(parent, name).await?;
        self.fs.rmdir(parent, name.as_bytes()).await
    }

    /// The bytes of an object in the store, as text.
    pub(crate) fn stored(&self, key: &str) -> Option<String> {
        self.store.bytes(key).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
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
            let found = some.iter().filter_map(|entry| entry.entry.as_ref());
            found.for_each(|entry| self.note_lookup(entry.node));
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
