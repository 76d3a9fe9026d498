//! Open files and directories, the readers they share, and who writes them.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::attr::{HandleId, NodeId, OpenMode, Opened};
use crate::backing::{Backing, Mode};
use crate::readdir::Pass;
use crate::reader::Reader;
use crate::tree::Record;
use crate::writer::Writer;

/// All that is open.
#[derive(Default)]
pub(crate) struct Handles(Mutex<Table>);

#[derive(Default)]
pub(crate) struct Table {
    next: HandleId,
    open: HashMap<HandleId, Open>,
    readers: HashMap<NodeId, Shared>,
}

enum Open {
    File(NodeId, OpenMode),
    /// Without a writer it is a predecessor's, whose bytes died with it.
    Written(NodeId, Option<Arc<Writer>>),
    Directory(Arc<OpenDirectory>),
}

/// The one reader of a node.
struct Shared {
    file: OpenFile,
    mode: Mode,
    handles: u32,
}

/// A file that is open, as all its handles see it.
#[derive(Clone)]
pub(crate) struct OpenFile {
    pub(crate) node: NodeId,
    pub(crate) reader: Arc<Reader>,
    /// Whether it has given a byte.
    pub(crate) served: Arc<AtomicBool>,
}

/// What closing a handle on a file leaves to do.
pub(crate) struct Closed {
    pub(crate) node: NodeId,
    /// The backing file that no handle is open on any more.
    pub(crate) backing: Option<Backing>,
    /// Who wrote it.
    pub(crate) writer: Option<Arc<Writer>>,
}

/// A file that is open for writing, or for reading only.
pub(crate) enum Writable {
    /// It is written through this, as this node.
    Yes(NodeId, Arc<Writer>),
    /// What was written to it is lost.
    Lost,
    /// It is read.
    No,
}

/// A directory that is open.
pub(crate) struct OpenDirectory {
    pub(crate) node: NodeId,
    /// Where the handle's pass over the names is. One call at a time moves it.
    pub(crate) pass: tokio::sync::Mutex<Option<Pass>>,
}

impl Handles {
    /// The table.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Whether a handle on the file `node` is open that keeps the kernel from reading a local
    /// file for it.
    pub(crate) fn is_paged(&self, node: NodeId) -> bool {
        self.readers.get(&node).is_some_and(|shared| shared.mode.is_paged())
    }

    /// Whether a handle on the file `node` is open that the kernel serves from a local file.
    pub(crate) fn is_backed(&self, node: NodeId) -> bool {
        self.readers.get(&node).is_some_and(|shared| shared.mode.is_backed())
    }

    /// Opens a handle on the file `node`, with the reader that it has, or with `reader`;
    /// `register` is asked for a backing file if one can be used.
    pub(crate) fn open_file(
        &mut self,
        node: NodeId,
        reader: Arc<Reader>,
        direct: bool,
        register: impl FnOnce() -> Option<Backing>,
    ) -> Opened {
        let handle = self.number();
        let mode = self.shared(node, reader).mode.open(direct, register);
        self.open.insert(handle, Open::File(node, mode));
        Opened { handle, mode, written: false }
    }

    /// The same for a handle that a predecessor opened, and whether it can have done so.
    pub(crate) fn restore_file(
        &mut self,
        handle: HandleId,
        node: NodeId,
        mode: OpenMode,
        reader: Arc<Reader>,
    ) -> bool {
        let possible = self.shared(node, reader).mode.restore(mode);
        self.open.insert(handle, Open::File(node, mode));
        self.skip_to(handle.saturating_add(1));
        possible
    }

    /// Opens a handle that writes `node` through `writer`.
    pub(crate) fn open_written(&mut self, node: NodeId, writer: Arc<Writer>) -> HandleId {
        let handle = self.number();
        self.open.insert(handle, Open::Written(node, Some(writer)));
        handle
    }

    /// The same for a handle that a predecessor opened: what it wrote is lost.
    pub(crate) fn restore_written(&mut self, handle: HandleId, node: NodeId) {
        self.open.insert(handle, Open::Written(node, None));
        self.skip_to(handle.saturating_add(1));
    }

    /// What can be written through a handle; `None` for one that is not a file's.
    pub(crate) fn writable(&self, handle: HandleId) -> Option<Writable> {
        match self.open.get(&handle)? {
            Open::File(..) => Some(Writable::No),
            Open::Written(node, Some(writer)) => Some(Writable::Yes(*node, writer.clone())),
            Open::Written(_, None) => Some(Writable::Lost),
            Open::Directory(_) => None,
        }
    }

    /// What the handles of `node` share, for one handle more.
    fn shared(&mut self, node: NodeId, reader: Arc<Reader>) -> &mut Shared {
        let shared = self.readers.entry(node).or_insert_with(|| Shared {
            file: OpenFile { node, reader, served: Arc::default() },
            mode: Mode::default(),
            handles: 0,
        });
        shared.handles += 1;
        shared.file.reader.open();
        shared
    }

    /// Opens a handle on the directory `node`.
    pub(crate) fn open_directory(&mut self, node: NodeId) -> HandleId {
        let handle = self.number();
        self.open_directory_as(handle, node);
        handle
    }

    /// The same for a handle that has its number already.
    pub(crate) fn open_directory_as(&mut self, handle: HandleId, node: NodeId) {
        let directory = OpenDirectory { node, pass: tokio::sync::Mutex::new(None) };
        self.open.insert(handle, Open::Directory(Arc::new(directory)));
        self.skip_to(handle.saturating_add(1));
    }

    /// The file behind a handle.
    pub(crate) fn file(&self, handle: HandleId) -> Option<OpenFile> {
        match self.open.get(&handle)? {
            Open::File(node, _) => self.readers.get(node).map(|shared| shared.file.clone()),
            Open::Written(..) | Open::Directory(_) => None,
        }
    }

    /// The directory behind a handle.
    pub(crate) fn directory(&self, handle: HandleId) -> Option<Arc<OpenDirectory>> {
        match self.open.get(&handle)? {
            Open::File(..) | Open::Written(..) => None,
            Open::Directory(directory) => Some(directory.clone()),
        }
    }

    /// `file` as its handles see it now, if any is still open.
    pub(crate) fn reopened(&self, file: &OpenFile) -> Option<OpenFile> {
        self.readers.get(&file.node).map(|shared| shared.file.clone())
    }

    /// Puts `reader` in the place of the one that the handles of `node` share.
    pub(crate) fn replace_reader(&mut self, node: NodeId, reader: Arc<Reader>) {
        let Some(shared) = self.readers.get_mut(&node) else { return };
        for _ in 0..shared.handles {
            reader.open();
            shared.file.reader.close();
        }
        shared.file.reader = reader;
    }

    /// Closes a handle on a file. A handle that is not there is one whose release was sent again.
    pub(crate) fn close_file(&mut self, handle: HandleId) -> Option<Closed> {
        if let Some(Open::Written(node, writer)) = self.open.get(&handle) {
            let closed = Closed { node: *node, backing: None, writer: writer.clone() };
            self.open.remove(&handle);
            return Some(closed);
        }
        let Some(&Open::File(node, mode)) = self.open.get(&handle) else { return None };
        self.open.remove(&handle);
        let mut closed = Closed { node, backing: None, writer: None };
        if let Some(shared) = self.readers.get_mut(&node) {
            closed.backing = shared.mode.close(mode);
            shared.handles = shared.handles.saturating_sub(1);
            shared.file.reader.close();
            if shared.handles == 0 {
                self.readers.remove(&node);
            }
        }
        Some(closed)
    }

    /// Closes a handle on a directory, and answers its node.
    pub(crate) fn close_directory(&mut self, handle: HandleId) -> Option<NodeId> {
        let Some(Open::Directory(directory)) = self.open.get(&handle) else { return None };
        let node = directory.node;
        self.open.remove(&handle);
        Some(node)
    }

    /// The number that the next handle gets.
    pub(crate) fn next_handle(&self) -> HandleId {
        self.next + 1
    }

    /// Gives no number below `next` any more.
    pub(crate) fn skip_to(&mut self, next: HandleId) {
        self.next = self.next.max(next.saturating_sub(1));
    }

    /// The open handles as records.
    pub(crate) fn records(&self) -> Vec<Record> {
        let record = |(&handle, open): (&HandleId, &Open)| match open {
            Open::File(node, mode) => Record::File { handle, node: *node, mode: *mode },
            Open::Written(node, _) => Record::Written { handle, node: *node },
            Open::Directory(directory) => Record::Directory { handle, node: directory.node },
        };
        self.open.iter().map(record).collect()
    }

    fn number(&mut self) -> HandleId {
        self.next += 1;
        self.next
    }
}
