//! The file system's parts, and the operations that need no store.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use object::{Budget, Clock, Result as StoreResult, StorageState, Store, Time};

use crate::advice::Advice;
use crate::attr::{Attr, Entry, HandleId, Kind, NodeId, OpenMode, ROOT, Statfs};
use crate::backing::Backings;
use crate::config::Config;
use crate::directory::Hidden;
use crate::fact::{Fact, Tag};
use crate::flights::Flights;
use crate::handles::{Closed, Handles};
use crate::list::Collected;
use crate::look::Sight;
use crate::reader::Reader;
use crate::tree::{BadRecord, Node, Record, Tree};
use crate::ttl::Policy;
use crate::write::Outlet;
use crate::writers::{Background, Writers};

/// A bucket, or the part of it below a prefix, as a directory.
pub struct Fs {
    pub(crate) shared: Arc<Shared>,
}

/// What operations and the questions they have out share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    pub(crate) policy: Policy,
    pub(crate) handles: Handles,
    pub(crate) hidden: Hidden,
    pub(crate) looks: Flights<(NodeId, Box<str>), StoreResult<Sight>>,
    /// By directory, and up to how many names it is listed.
    pub(crate) listings: Flights<(NodeId, usize), StoreResult<Collected>>,
    /// Held by who finds out why the first read of a file was refused.
    pub(crate) correcting: tokio::sync::Mutex<()>,
    /// Where files are made known to the kernel, if it reads any by itself.
    pub(crate) backings: OnceLock<Arc<dyn Backings>>,
    /// Whether no name goes on to another node of its version: an overlayfs seems to lie on the
    /// mount, and it takes a name whose node is another for a file that is gone.
    pub(crate) names_stay: AtomicBool,
    /// Where changes go, if anything may be changed.
    pub(crate) outlet: OnceLock<Outlet>,
    pub(crate) writers: Writers,
    pub(crate) advice: Advice,
    /// What goes on after its request was answered.
    pub(crate) background: Background,
    /// Whether listings show the entity tags that objects have.
    listed_tags: AtomicBool,
    tree: Mutex<Tree>,
}

impl Fs {
    /// A file system over `store`, whose memory is counted in `budget`.
    pub fn new(
        store: Arc<dyn Store>,
        budget: Arc<Budget>,
        clock: Clock,
        mut config: Config,
    ) -> Arc<Self> {
        if !config.prefix.is_empty() && !config.prefix.ends_with('/') {
            config.prefix.push('/');
        }
        let policy = Policy::new(config.ttl, config.negative_ttl);
        let tree = Mutex::new(Tree::new(policy, config.names_max, &config.prefix));
        let shared = Shared {
            store,
            budget,
            clock,
            config,
            policy,
            handles: Handles::default(),
            hidden: Hidden::default(),
            looks: Flights::new(),
            listings: Flights::new(),
            correcting: tokio::sync::Mutex::default(),
            backings: OnceLock::new(),
            names_stay: AtomicBool::new(false),
            outlet: OnceLock::new(),
            writers: Writers::default(),
            advice: Advice::default(),
            background: Background::default(),
            listed_tags: AtomicBool::new(true),
            tree,
        };
        Arc::new(Self { shared: Arc::new(shared) })
    }

    /// From now on, files that the store has whole are opened by the kernel itself, through
    /// `backings`. To be called once, before the first open.
    pub fn pass_through(&self, backings: Arc<dyn Backings>) {
        let first = self.shared.backings.set(backings).is_ok();
        debug_assert!(first, "there is one kernel");
    }

    /// The kernel takes back `count` lookups of `node`. What is known of its name stays.
    pub fn forget(&self, node: NodeId, count: u64) {
        self.shared.tree().forget(node, count);
    }

    /// Closes a file. A handle that is not open is one whose release was sent again. What is to
    /// be published even if nothing was written is published after this has answered; see
    /// [`Fs::settle`]. Must be called inside a runtime.
    pub fn release(&self, handle: HandleId) {
        let closed = self.shared.handles.lock().close_file(handle);
        let Some(Closed { node, backing, writer }) = closed else { return };
        match writer {
            Some(writer) => self.shared.end_write(node, writer, true),
            None => self.shared.tree().close_file(node),
        }
        if let Some(backing) = backing {
            self.shared.give_up(backing);
        }
    }

    /// Closes a directory. A handle that is not open is one whose release was sent again.
    pub fn releasedir(&self, handle: HandleId) {
        let closed = self.shared.handles.lock().close_directory(handle);
        if let Some(node) = closed {
            let now = self.shared.clock.now();
            self.shared.tree().close_directory(node, now);
        }
    }

    /// The size of the file system: 1 PiB and 2^32 names, all of it free.
    pub fn statfs(&self) -> Statfs {
        const BLOCK_SIZE: u32 = 4096;
        const BLOCKS: u64 = (1 << 50) / BLOCK_SIZE as u64;
        const FILES: u64 = 1 << 32;
        Statfs {
            block_size: BLOCK_SIZE,
            blocks: BLOCKS,
            blocks_free: BLOCKS,
            files: FILES,
            files_free: FILES,
            name_max: 255,
        }
    }

    /// All that a successor needs to answer as this file system does.
    pub fn records(&self) -> Vec<Record> {
        let handles = self.shared.handles.lock();
        let tree = self.shared.tree();
        let next = Record::Next { node: tree.next_node(), handle: handles.next_handle() };
        let mut records = vec![next];
        records.extend(tree.records());
        records.extend(handles.records());
        records
    }

    /// Takes up where the file system that wrote `records` stopped. This one must be new, and
    /// made over the same store with the same prefix. Must be called inside a runtime.
    ///
    /// # Errors
    /// What the records contradict themselves in; the file system is then of no use.
    pub fn restore(&self, records: Vec<Record>) -> Result<(), BadRecord> {
        for record in records {
            match record {
                Record::File { handle, node, mode } => self.restore_file(handle, node, mode)?,
                Record::Written { handle, node } => self.restore_written(handle, node)?,
                Record::Directory { handle, node } => {
                    let mut tree = self.shared.tree();
                    let directory = tree.node(node).filter(|n| n.fact.kind == Kind::Directory);
                    directory.ok_or(BadRecord::Handle(handle))?;
                    tree.open_directory(node);
                    drop(tree);
                    self.shared.handles.lock().open_directory_as(handle, node);
                }
                Record::Next { handle, .. } => {
                    self.shared.handles.lock().skip_to(handle);
                    self.shared.tree().restore(record)?;
                }
                other => self.shared.tree().restore(other)?,
            }
        }
        Ok(())
    }

    fn restore_file(
        &self,
        handle: HandleId,
        node: NodeId,
        mode: OpenMode,
    ) -> Result<(), BadRecord> {
        let reader = self.shared.reader_of(node).ok_or(BadRecord::Handle(handle))?;
        self.shared.tree().open_file(node);
        let possible = self.shared.handles.lock().restore_file(handle, node, mode, reader);
        possible.then_some(()).ok_or(BadRecord::Handle(handle))
    }

    fn restore_written(&self, handle: HandleId, node: NodeId) -> Result<(), BadRecord> {
        let mut tree = self.shared.tree();
        tree.node(node).ok_or(BadRecord::Handle(handle))?;
        tree.open_file(node);
        drop(tree);
        self.shared.handles.lock().restore_written(handle, node);
        Ok(())
    }
}

impl Shared {
    /// The tree. Never held while anything is waited for, and always taken after the handles.
    pub(crate) fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader for the version that `node` stands for; `None` when that is not a file, or not
    /// known to its tag.
    pub(crate) fn reader_of(&self, node: NodeId) -> Option<Arc<Reader>> {
        let version = {
            let tree = self.tree();
            let fact = tree.node(node)?.fact.clone();
            let file = fact.kind == Kind::File;
            file.then(|| tree.key(node)).and_then(|key| fact.version(&key))?
        };
        Some(Reader::new(self.store.clone(), version, self.budget.clone(), self.config.limits))
    }

    /// What the kernel is shown of a node.
    pub(crate) fn attr(&self, tree: &Tree, id: NodeId, node: &Node) -> Attr {
        let fact: &Fact = &node.fact;
        let (mode, nlink, modified) = match fact.kind {
            Kind::Directory => (self.config.dir_mode, 2, self.config.mounted),
            Kind::File if fact.storage == StorageState::Archived => (0, 1, fact.modified()),
            Kind::File => (self.config.file_mode, 1, fact.modified()),
        };
        let ino = if id == ROOT { ROOT } else { node.ino() };
        let (uid, gid) = (self.config.uid, self.config.gid);
        let (size, modified) = match tree.written(id) {
            Some(written) => (written.size, written.modified),
            None => (fact.size, modified),
        };
        Attr { ino, size, modified, kind: fact.kind, mode, uid, gid, nlink }
    }

    /// The answer to a lookup that found `id`. Counts one lookup.
    pub(crate) fn entry(&self, tree: &mut Tree, id: NodeId, now: Time) -> Option<Entry> {
        tree.refer(id);
        let ttl = tree.ttl(id, now);
        let attr = self.attr(tree, id, tree.node(id)?);
        Some(Entry { node: id, attr, ttl, attr_ttl: ttl })
    }

    /// Whether listings show the entity tags that objects have.
    pub(crate) fn listed_tags(&self) -> bool {
        self.listed_tags.load(Ordering::Relaxed)
    }

    /// Listings turned out to show other entity tags than objects have.
    pub(crate) fn distrust_listed_tags(&self) {
        if self.listed_tags.swap(false, Ordering::Relaxed) {
            tracing::warn!(
                "this store lists other ETags than its objects have: opening a file asks for it"
            );
            self.tree().drop_snapshots();
        }
    }

    /// The tag of an object as a listing showed it.
    pub(crate) fn listed(&self, meta: &object::Meta) -> Tag {
        if self.listed_tags() { Tag::of(&meta.version.etag) } else { Tag::Unconfirmed }
    }
}
