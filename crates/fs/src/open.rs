//! Opening and reading files.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use object::{Error, ErrorKind, Key, Meta, StorageState, Version};

use crate::attr::{HandleId, Kind, NodeId, OpenMode, OpenOptions, Opened};
use crate::backing::Backing;
use crate::errno::Errno;
use crate::fact::{Fact, Tag};
use crate::filesystem::{Fs, Shared};
use crate::handles::OpenFile;
use crate::look::Age;
use crate::probe::{Found, probe};
use crate::reader::{Reader, Slices};
use crate::tree::{Known, Trust};

const BOTH: &str = "the kernel reads this file from the cache for somebody else: it can be opened for reading only";

/// What is known before a file is opened.
enum Standing {
    /// The node is what its name stands for.
    Current,
    /// The store has to be asked.
    Unknown { parent: NodeId, name: Box<str> },
}

impl Fs {
    /// Opens the file `node`, for writing from its start or for reading.
    ///
    /// # Errors
    /// [`Errno::Stale`] when its name stands for another version, which a lookup then finds, or
    /// when another node of the same version is of more use: the kernel looks the name up again
    /// by itself and opens what it finds;
    /// [`Errno::NotFound`] when it stands for nothing; [`Errno::IsDirectory`];
    /// [`Errno::Access`] for an archived object; [`Errno::ReadOnly`] for writing;
    /// [`Errno::NotPermitted`] for writing what may not be replaced, or not in this way, or is
    /// being written, and for reading what is not published; [`Errno::Invalid`] for synchronous
    /// writes; [`Errno::Io`].
    pub async fn open(&self, node: NodeId, options: OpenOptions) -> Result<Opened, Errno> {
        let shared = &self.shared;
        let writes = options.write || options.truncate;
        if writes {
            shared.outlet()?;
        }
        if options.sync {
            return Err(Errno::Invalid);
        }
        if shared.tree().node(node).ok_or(Errno::Stale)?.fact.kind == Kind::Directory {
            return Err(Errno::IsDirectory);
        }
        if writes && let Some(opened) = shared.open_to_write(node, options).await? {
            return Ok(opened);
        }
        self.open_to_read(node, options).await
    }

    async fn open_to_read(&self, node: NodeId, options: OpenOptions) -> Result<Opened, Errno> {
        let shared = &self.shared;
        let written = shared.is_written(node).await;
        if shared.tree().node(node).ok_or(Errno::Stale)?.fact.is_unpublished() {
            return Err(Errno::NotPermitted);
        }
        if options.no_atime {
            shared.names_stay.store(true, Ordering::Relaxed);
        }
        if let Standing::Unknown { parent, name } = shared.standing(node, options.direct)? {
            let sight = shared.look("open", parent, &name, Age::None).await?;
            let mut tree = shared.tree();
            let now = shared.clock.now();
            match shared.learn(&mut tree, parent, &name, &sight) {
                Some(id) if tree.is_same(id, node) => tree.use_grant(id, now),
                Some(_) => {
                    tree.tell_stale(node, now);
                    return Err(Errno::Stale);
                }
                None => return Err(Errno::NotFound),
            };
        }
        shared.make_readable(node).await?;
        let reader = shared.reader_of(node).ok_or(Errno::Stale)?;
        if options.write {
            return shared.open_past(node, reader);
        }
        if written {
            // The kernel's pages of a node are one version's, and this node's next is under way.
            return shared.open_handle(node, reader, true, None);
        }
        let file = shared.backing_file(reader.version()).await;
        // The file is let go of here, without a lock: if it was evicted, that frees its space.
        shared.open_handle(node, reader, options.direct, file.as_ref())
    }

    /// At most `len` bytes of an open file from `offset`, fewer only at its end. Reads of one
    /// file do not wait for each other.
    ///
    /// # Errors
    /// [`Errno::BadHandle`]; [`Errno::Stale`] when the store no longer has the version that was
    /// opened; [`Errno::Access`]; [`Errno::Io`].
    pub async fn read(&self, handle: HandleId, offset: u64, len: u32) -> Result<Slices, Errno> {
        let shared = &self.shared;
        let file = shared.handles.lock().file(handle);
        let Some(file) = file else { return Err(shared.unreadable(handle)) };
        let mut answer = file.reader.read(offset, len).await;
        if let Err(error) = &answer
            && error.kind() == ErrorKind::Changed
            && let Some(corrected) = shared.correct(&file).await
        {
            answer = corrected.reader.read(offset, len).await;
        }
        match answer {
            Ok(slices) => {
                if !slices.is_empty() && !file.served.swap(true, Ordering::Relaxed) {
                    shared.tree().mark_served(file.node);
                }
                Ok(slices)
            }
            Err(error) => Err(shared.read_failed(&file, &error)),
        }
    }
}

impl Shared {
    fn standing(&self, id: NodeId, fresh: bool) -> Result<Standing, Errno> {
        let mut tree = self.tree();
        let now = self.clock.now();
        let node = tree.node(id).ok_or(Errno::Stale)?;
        if node.fact.kind == Kind::Directory {
            return Err(Errno::IsDirectory);
        }
        let (parent, name, own) = (node.parent, node.fact.name.clone(), node.fact.clone());
        let gone = node.is_gone();
        let current = tree.is_current(id);
        if self.policy.opens_look() {
            return match current && tree.use_grant(id, now) {
                true => Ok(Standing::Current),
                false => Ok(Standing::Unknown { parent, name }),
            };
        }
        match tree.know(parent, &name, now, Trust::Opened) {
            _ if fresh => Ok(Standing::Unknown { parent, name }),
            Known::Present(fact, _) if !gone && fact.same_version(&own) => Ok(Standing::Current),
            Known::Present(..) => {
                tree.tell_stale(id, now);
                Err(Errno::Stale)
            }
            Known::Absent(_) => Err(Errno::NotFound),
            Known::Unknown => Ok(Standing::Unknown { parent, name }),
        }
    }

    /// The local file of the whole of `version`, if the kernel can read one by itself.
    async fn backing_file(&self, version: &Arc<Version>) -> Option<Arc<File>> {
        if !self.backings.get().is_some_and(|backings| backings.available()) {
            self.store.opened(version);
            return None;
        }
        let file = self.store.backing(version).await?;
        // What the kernel reads nobody checks any more, and a mapping beyond the end of a file
        // kills its reader.
        let size = file.metadata().map(|metadata| metadata.len());
        if !matches!(size, Ok(size) if size == version.size) {
            tracing::warn!(key = version.key.as_str(), ?size, "a cached file has a wrong size");
            return None;
        }
        Some(file)
    }

    /// Opens a handle, on `file` if that is given and the kernel allows it beside the other
    /// handles of `node`. Where those forbid it, the name may go on to another node.
    fn open_handle(
        &self,
        node: NodeId,
        reader: Arc<Reader>,
        direct: bool,
        file: Option<&Arc<File>>,
    ) -> Result<Opened, Errno> {
        let mut handles = self.handles.lock();
        let mut tree = self.tree();
        let hindered = file.is_some() && !direct && handles.is_paged(node);
        let free = !self.names_stay.load(Ordering::Relaxed);
        if hindered && free && tree.move_on(node, self.clock.now()) {
            return Err(Errno::Stale);
        }
        let opened = handles.open_file(node, reader, direct, || {
            let file = file?;
            let id = self.backings.get()?.register(file)?;
            Some(Backing { id, file: Some(file.clone()) })
        });
        tree.open_file(node);
        if matches!(opened.mode, OpenMode::Backed { .. }) {
            tree.mark_served(node);
        }
        Ok(opened)
    }

    /// Opens a handle that reads, though its descriptor is one for writing too. What goes to a
    /// shared mapping by such a descriptor goes to the kernel's pages, which others read, or to the
    /// local file, which the kernel opens in the way that the descriptor was: so it gets neither.
    fn open_past(&self, node: NodeId, reader: Arc<Reader>) -> Result<Opened, Errno> {
        let mut handles = self.handles.lock();
        let mut tree = self.tree();
        if handles.is_backed(node) {
            let key = tree.key(node);
            if self.names_stay.load(Ordering::Relaxed) {
                drop((handles, tree));
                return Err(self.refuse_by("open", &key, BOTH));
            }
            // Beside a handle on a local file the kernel takes none that is not on it.
            tree.move_on_to_write(node);
            return Err(Errno::Stale);
        }
        let opened = handles.open_file(node, reader, true, || None);
        tree.open_file(node);
        Ok(opened)
    }

    /// No handle is open on `backing` any more: its space is not to stay taken.
    pub(crate) fn give_up(&self, backing: Backing) {
        if let Some(backings) = self.backings.get() {
            backings.give_up(backing.id);
        }
        drop(backing.file);
    }

    /// Finds out by HEAD what a listing left open of `node`: whether an archived object was
    /// restored, and its entity tag where listings are not to be trusted with that.
    pub(crate) async fn make_readable(&self, node: NodeId) -> Result<(), Errno> {
        let (fact, key) = {
            let tree = self.tree();
            (tree.node(node).ok_or(Errno::Stale)?.fact.clone(), tree.key(node))
        };
        match (fact.storage, &fact.tag) {
            (_, Tag::Unpublished) => return Err(Errno::NotPermitted),
            (StorageState::Archived, _) => return Err(Errno::Access),
            (StorageState::Online, Tag::Sum(..) | Tag::Text(_)) => return Ok(()),
            (StorageState::Unknown, _) | (_, Tag::Unconfirmed) => {}
        }
        let meta = self.head(&key).await.map_err(|error| {
            let errno = Errno::of(error.kind());
            if errno == Errno::NotFound {
                self.tree().mark_gone(node);
            }
            errno.report("open", &key, &error)
        })?;
        let confirmed = Fact::file(&fact.name, &meta, Tag::of(&meta.version.etag));
        if !fact.same_version(&confirmed) {
            self.tree().mark_gone(node);
            return Err(Errno::Stale);
        }
        if meta.storage != StorageState::Online {
            return Err(Errno::Access);
        }
        self.tree().repoint(node, confirmed);
        Ok(())
    }

    async fn head(&self, key: &str) -> object::Result<Meta> {
        let key = Key::new(key).map_err(|bad| Error::new(ErrorKind::Invalid, bad.to_string()))?;
        self.store.head(&key).await
    }

    /// After a store refused the version of `file`: the file to read instead, when it is the same
    /// version and only a listing had shown another entity tag for it.
    async fn correct(&self, file: &OpenFile) -> Option<OpenFile> {
        let refused = file.reader.version();
        // One asks, the others find the new reader.
        let _turn = self.correcting.lock().await;
        let now_open = self.handles.lock().reopened(file)?;
        if !Arc::ptr_eq(&now_open.reader, &file.reader) {
            return Some(now_open);
        }
        let fact = {
            let tree = self.tree();
            // Once the kernel has pages of a node, the node's bytes are settled.
            tree.node(file.node).filter(|node| !node.is_served())?.fact.clone()
        };
        let key = refused.key.as_str();
        let meta = self.head(key).await.ok()?;
        let alike = meta.version.size == fact.size && meta.modified == fact.modified();
        if !alike || meta.version.etag == refused.etag {
            return None;
        }
        // A listing that still shows the refused tag is wrong; one that shows the new one was
        // just older than a change within the same second.
        match probe(&*self.store, key, self.clock.now()).await.ok()?.found {
            Found::File(listed) if listed.version.etag == refused.etag => {}
            _ => return None,
        }
        self.distrust_listed_tags();
        let confirmed = Fact::file(&fact.name, &meta, Tag::of(&meta.version.etag));
        self.tree().repoint(file.node, confirmed);
        let reader = self.reader_of(file.node)?;
        let mut handles = self.handles.lock();
        handles.replace_reader(file.node, reader);
        handles.reopened(file)
    }

    fn read_failed(&self, file: &OpenFile, error: &Error) -> Errno {
        let errno = Errno::of_read(error.kind());
        if errno == Errno::Stale {
            self.tree().mark_gone(file.node);
        }
        errno.report("read", file.reader.version().key.as_str(), error)
    }
}
