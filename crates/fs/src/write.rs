//! Making, writing and publishing files.

use std::sync::Arc;
use std::time::Duration;

use object::{Condition, Key, Meta, Sink};

use crate::attr::{Entry, HandleId, Kind, NodeId, OpenMode, OpenOptions, Opened};
use crate::errno::Errno;
use crate::fact::{Fact, Tag};
use crate::filesystem::{Fs, Shared};
use crate::handles::Writable;
use crate::look::Age;
use crate::names;
use crate::tree::{Known, Trust};
use crate::ttl::GRANT;
use crate::writer::{Memory, PartSizes, Phase, Rules, Writer};
use crate::writers::AFTER_CLOSE;

const OVERWRITE: &str =
    "an object can be replaced only under --allow-overwrite, and only as a whole (O_TRUNC)";
const APPEND: &str = "an object cannot be appended to or changed in place: copy it, change the copy, and replace it (--allow-overwrite); --incremental-upload comes later";
const READ_BACK: &str = "what is being written cannot be read by whom it is written, only once it is closed: write it to a local disk, and copy it";
const WRITTEN: &str = "the file is being written by somebody else: it can be opened for writing or removed once that is closed";

/// Where changes go, and what files are written by.
pub(crate) struct Outlet {
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) rules: Rules,
}

impl Fs {
    /// From now on files can be written and names changed, in `sink`, which is the store's other
    /// half; a read-only mount stays one. To be called once, before the first operation.
    pub fn write_to(&self, sink: Arc<dyn Sink>) {
        let shared = &self.shared;
        let writes = &shared.config.writes;
        let sizes = PartSizes::new(writes.part_size, writes.part_fixed, shared.budget.total());
        let rules = Rules {
            sizes,
            largest: sizes.largest_object(),
            checksum: writes.checksum,
            in_flight: writes.parts_in_flight,
            deadline: shared.config.limits.deadline,
        };
        let memory = Memory::new(shared.budget.clone());
        let first = shared.outlet.set(Outlet { sink, memory, rules }).is_ok();
        debug_assert!(first, "there is one store");
    }

    /// Bytes of the largest object that can be written; `None` where nothing can be.
    pub fn largest_object(&self) -> Option<u64> {
        self.shared.outlet.get().map(|outlet| outlet.rules.largest)
    }

    /// Makes the file `name` in the directory `parent` and opens it for writing, or opens what is
    /// there, unless that is excluded. Counts one lookup.
    ///
    /// # Errors
    /// [`Errno::Exists`]; [`Errno::ReadOnly`]; [`Errno::Invalid`] and [`Errno::NameTooLong`] for a
    /// name no key can have; [`Errno::NotFound`] in a directory that is gone; and as
    /// [`Fs::open`] and [`Fs::lookup`].
    pub async fn create(
        &self,
        parent: NodeId,
        name: &[u8],
        options: OpenOptions,
    ) -> Result<(Entry, Opened), Errno> {
        let shared = &self.shared;
        shared.outlet()?;
        if options.sync {
            return Err(Errno::Invalid);
        }
        let name = names::component(name)?;
        // What was found can have changed by the time it is opened, as in open(2).
        for _ in 0..2 {
            let opened = match shared.stands("create", parent, name).await? {
                None => {
                    let Some(id) = shared.make_file(parent, name)? else { continue };
                    shared.open_new(id)
                }
                Some(_) if options.exclusive => return Err(Errno::Exists),
                Some(id) => self.open(id, options).await.map(|opened| (id, opened)),
            };
            match opened {
                Err(Errno::Stale) => {}
                Err(errno) => return Err(errno),
                Ok((id, opened)) => {
                    let now = shared.clock.now();
                    let entry = shared.entry(&mut shared.tree(), id, now).ok_or(Errno::Stale)?;
                    return Ok((entry, opened));
                }
            }
        }
        Err(Errno::Stale)
    }

    /// Makes the file `name` in the directory `parent`. It is here only, until it is opened for
    /// writing and closed. Counts one lookup.
    ///
    /// # Errors
    /// As [`Fs::create`], with everything excluded.
    pub async fn mknod(&self, parent: NodeId, name: &[u8]) -> Result<Entry, Errno> {
        let shared = &self.shared;
        shared.outlet()?;
        let name = names::component(name)?;
        if shared.stands("mknod", parent, name).await?.is_some() {
            return Err(Errno::Exists);
        }
        let id = shared.make_file(parent, name)?.ok_or(Errno::Exists)?;
        let now = shared.clock.now();
        shared.entry(&mut shared.tree(), id, now).ok_or(Errno::Stale)
    }

    /// Takes as much of `bytes`, which are to go to `offset` of an open file, as can be taken
    /// without waiting for anything, and says how much that was; [`Fs::write`] takes the rest, and
    /// says what is wrong. Must be called inside a runtime.
    pub fn write_now(&self, handle: HandleId, offset: u64, bytes: &[u8]) -> u32 {
        let Ok((node, writer)) = self.shared.writer_of(handle) else { return 0 };
        let taken = writer.write_now(offset, bytes);
        self.shared.note_written(node, offset, taken)
    }

    /// Writes `bytes` to `offset` of an open file, which has to be its end. Answers how many were
    /// taken: fewer only if memory became short on the way.
    ///
    /// # Errors
    /// [`Errno::BadHandle`] for one that was not opened for writing; [`Errno::Invalid`] for
    /// another offset than the end; [`Errno::TooLarge`]; [`Errno::NoMemory`] when none came free in
    /// time. And why an earlier part of the file could not be stored: see [`Fs::flush`]. Of all but
    /// [`Errno::NoMemory`] the file does not recover: the same is said to every later call.
    pub async fn write(&self, handle: HandleId, offset: u64, bytes: &[u8]) -> Result<u32, Errno> {
        let (node, writer) = self.shared.writer_of(handle)?;
        match writer.write(offset, bytes).await {
            Ok(taken) => Ok(self.shared.note_written(node, offset, taken)),
            Err(errno) => {
                self.shared.note_failure(node, &writer).await;
                Err(errno)
            }
        }
    }

    /// A descriptor of an open file was closed: publishes the bytes that were written since the
    /// last time. Writing may go on by another descriptor.
    ///
    /// # Errors
    /// [`Errno::BadHandle`]; [`Errno::Exists`] when somebody else made the name meanwhile;
    /// [`Errno::Stale`] when somebody else replaced what this file had published;
    /// [`Errno::Access`], [`Errno::NoSpace`], [`Errno::TooLarge`] and [`Errno::Io`] when the store
    /// did not take it. The name then shows what was published before.
    pub async fn flush(&self, handle: HandleId) -> Result<(), Errno> {
        let published = self.publish(handle, false).await;
        if let Ok((_, writer)) = self.shared.writer_of(handle) {
            writer.enter(Phase::Closed);
        }
        published
    }

    /// Publishes an open file as it is now, even if it is empty.
    ///
    /// # Errors
    /// As [`Fs::flush`].
    pub async fn fsync(&self, handle: HandleId) -> Result<(), Errno> {
        self.publish(handle, true).await
    }

    async fn publish(&self, handle: HandleId, last: bool) -> Result<(), Errno> {
        match self.shared.writable(handle)? {
            Writable::No => Ok(()),
            Writable::Lost => Err(Errno::Io),
            Writable::Yes(node, writer) => self.shared.publish(node, &writer, last).await,
        }
    }

    /// Closes a file whose handle never reached anybody: nothing of it is published.
    pub fn abandon(&self, handle: HandleId) {
        let writer = self.shared.handles.lock().writable(handle);
        match writer {
            Some(Writable::Yes(node, writer)) => {
                self.shared.handles.lock().close_file(handle);
                self.shared.end_write(node, writer, false);
            }
            _ => self.release(handle),
        }
    }

    /// Waits until everything that goes on in the background is done.
    pub async fn settle(&self) {
        self.shared.background.done().await;
    }

    /// Throws away what is written and not published, so that no upload is left behind. To be
    /// called when no operation will come any more.
    pub async fn close(&self) {
        self.settle().await;
        for writer in self.shared.writers.all() {
            writer.abandon().await;
        }
    }
}

impl Shared {
    /// Where changes go.
    pub(crate) fn outlet(&self) -> Result<&Outlet, Errno> {
        self.outlet.get().filter(|_| !self.config.read_only).ok_or(Errno::ReadOnly)
    }

    fn writable(&self, handle: HandleId) -> Result<Writable, Errno> {
        self.handles.lock().writable(handle).ok_or(Errno::BadHandle)
    }

    fn writer_of(&self, handle: HandleId) -> Result<(NodeId, Arc<Writer>), Errno> {
        match self.writable(handle)? {
            Writable::Yes(node, writer) => Ok((node, writer)),
            Writable::Lost => Err(Errno::Io),
            Writable::No => Err(Errno::BadHandle),
        }
    }

    /// Why nothing is read by `handle`.
    pub(crate) fn unreadable(&self, handle: HandleId) -> Errno {
        if let Ok((_, writer)) = self.writer_of(handle) {
            self.advice.tell("read", writer.key.as_str(), READ_BACK, self.clock.now());
        }
        Errno::BadHandle
    }

    /// What `name` in `parent` stands for, as something is about to be done to it.
    pub(crate) async fn stands(
        self: &Arc<Self>,
        operation: &'static str,
        parent: NodeId,
        name: &str,
    ) -> Result<Option<NodeId>, Errno> {
        {
            let mut tree = self.tree();
            let above = tree.node(parent).ok_or(Errno::Stale)?;
            match above.fact.kind {
                Kind::Directory if tree.is_current(parent) => {}
                Kind::Directory => return Err(Errno::NotFound),
                Kind::File => return Err(Errno::NotDirectory),
            }
            names::join(&tree.key(parent), name)?;
            let now = self.clock.now();
            match tree.know(parent, name, now, Trust::Opened) {
                Known::Present(fact, seen) => return Ok(tree.admit(parent, &fact, seen)),
                Known::Absent(_) => return Ok(None),
                // The kernel has looked the name up for this very call.
                Known::Unknown => {
                    if let Some(seen) = tree.just_seen(parent, name, now, GRANT) {
                        return Ok(seen);
                    }
                }
            }
        }
        let sight = self.look(operation, parent, name, Age::None).await?;
        Ok(self.learn(&mut self.tree(), parent, name, &sight))
    }

    /// Makes a file; `None` when it has come to be there meanwhile.
    fn make_file(&self, parent: NodeId, name: &str) -> Result<Option<NodeId>, Errno> {
        let now = self.clock.now();
        let mut tree = self.tree();
        names::join(&tree.key(parent), name)?;
        Ok(tree.make_file(parent, name, now))
    }

    fn open_new(&self, id: NodeId) -> Result<(NodeId, Opened), Errno> {
        match self.begin_write(id) {
            Ok(opened) => Ok((id, opened)),
            Err(errno) => {
                self.tree().drop_unpublished(id);
                Err(errno)
            }
        }
    }

    /// Opens the file `id` for writing, if it is opened for that: whether by `O_RDWR` something is
    /// read or written is decided by what it is opened on.
    pub(crate) async fn open_to_write(
        &self,
        id: NodeId,
        options: OpenOptions,
    ) -> Result<Option<Opened>, Errno> {
        self.outlet()?;
        let (key, deadline) = (self.tree().key(id), self.config.limits.deadline);
        if !self.writers.ended(&key, AFTER_CLOSE, deadline).await {
            return Err(self.refuse_by("open", &key, WRITTEN));
        }
        let now = self.clock.now();
        let mut tree = self.tree();
        let fact = tree.node(id).ok_or(Errno::Stale)?.fact.clone();
        if !tree.is_current(id) {
            tree.tell_stale(id, now);
            return Err(Errno::Stale);
        }
        if !fact.is_unpublished() {
            let may = self.config.writes.allow_overwrite;
            // To append to nothing is to replace it.
            let whole = options.truncate || fact.size == 0;
            match (whole, options.append, options.read) {
                (true, ..) if may => {}
                (false, true, _) => return Err(self.refuse_by("open", &key, APPEND)),
                (false, false, true) => return Ok(None),
                _ => return Err(self.refuse_by("open", &key, OVERWRITE)),
            }
            if !tree.is_untouched(id) {
                // Whoever reads goes on with this node, and the kernel comes back with the other.
                tree.move_on_to_write(id);
                return Err(Errno::Stale);
            }
        }
        drop(tree);
        self.begin_write(id).map(Some)
    }

    /// Opens the file `id`, which nobody reads, for writing from its start.
    pub(crate) fn begin_write(&self, id: NodeId) -> Result<Opened, Errno> {
        let outlet = self.outlet()?;
        let (key, new) = {
            let tree = self.tree();
            (tree.key(id), tree.node(id).ok_or(Errno::Stale)?.fact.is_unpublished())
        };
        let first = match new && !self.config.writes.allow_overwrite {
            true => Condition::Absent,
            false => Condition::Any,
        };
        let key = Key::new(&key).map_err(|_| Errno::NameTooLong)?;
        let (sink, memory) = (outlet.sink.clone(), outlet.memory.clone());
        let writer = Writer::new(sink, memory, outlet.rules, key, first);
        if !self.writers.begin(id, &writer) {
            return Err(self.refuse_by("open", writer.key.as_str(), WRITTEN));
        }
        let handle = self.handles.lock().open_written(id, writer);
        self.tree().begin_write(id, self.clock.now());
        Ok(Opened { handle, mode: OpenMode::Direct, written: true })
    }

    /// Refuses an operation, and says what would help.
    pub(crate) fn refuse_by(
        &self,
        operation: &'static str,
        key: &str,
        advice: &'static str,
    ) -> Errno {
        self.advice.tell(operation, key, advice, self.clock.now());
        Errno::NotPermitted
    }

    /// Waits for a writer of what `id` stands for that looks as if it was about to end. Says
    /// whether it is still being written.
    pub(crate) async fn is_written(&self, id: NodeId) -> bool {
        /// Readers need not wait for it: they can read what was published.
        const PATIENCE: Duration = Duration::from_millis(100);
        let key = {
            let tree = self.tree();
            if tree.written(id).is_none() {
                return false;
            }
            tree.key(id)
        };
        !self.writers.ended(&key, PATIENCE, self.config.limits.deadline).await
    }

    fn note_written(&self, node: NodeId, offset: u64, taken: usize) -> u32 {
        let now = self.clock.now();
        if taken > 0
            && let Some(written) = self.tree().written_mut(node)
        {
            written.size = written.size.max(offset + taken as u64);
            written.modified = now;
        }
        u32::try_from(taken).unwrap_or(u32::MAX)
    }

    /// What failed for good is not there any more under its name, unless it was published before.
    async fn note_failure(&self, node: NodeId, writer: &Arc<Writer>) {
        if writer.failure().await.is_some() {
            self.writers.end(writer);
            self.tree().drop_unpublished(node);
        }
    }

    /// Publishes what was written to `node`.
    pub(crate) async fn publish(
        &self,
        node: NodeId,
        writer: &Arc<Writer>,
        last: bool,
    ) -> Result<(), Errno> {
        match writer.publish(last).await {
            Ok(None) => Ok(()),
            Ok(Some(meta)) => {
                self.published(node, &meta);
                Ok(())
            }
            Err(errno) => {
                self.note_failure(node, writer).await;
                Err(errno)
            }
        }
    }

    fn published(&self, node: NodeId, meta: &Meta) {
        let now = self.clock.now();
        let mut tree = self.tree();
        let Some(name) = tree.node(node).map(|node| node.fact.name.clone()) else { return };
        tree.publish(node, Fact::file(&name, meta, Tag::of(&meta.version.etag)), now);
    }

    /// The last descriptor of a file that was written is closed; what is due is published, unless
    /// nothing is wanted of it.
    pub(crate) fn end_write(self: &Arc<Self>, node: NodeId, writer: Arc<Writer>, wanted: bool) {
        writer.enter(Phase::Ending);
        let shared = self.clone();
        self.background.spawn(async move {
            // Why it failed was said in the log; there is nobody else to tell.
            match wanted {
                true => drop(shared.publish(node, &writer, true).await),
                false => {
                    writer.abandon().await;
                    shared.note_failure(node, &writer).await;
                }
            }
            shared.writers.end(&writer);
            shared.tree().end_write(node);
            writer.enter(Phase::Over);
        });
    }
}
