//! Open files and directories, and the readers they share.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::attr::{HandleId, NodeId};
use crate::readdir::Pass;
use crate::reader::Reader;
use crate::tree::Record;

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
    File(NodeId),
    Directory(Arc<OpenDirectory>),
}

/// The one reader of a node.
struct Shared {
    file: OpenFile,
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
    /// Opens a handle on the file `node`, with the reader that it has, or that `make` makes.
    pub(crate) fn open_file(
        &mut self,
        node: NodeId,
        make: impl FnOnce() -> Arc<Reader>,
    ) -> HandleId {
        let handle = self.number();
        self.open_file_as(handle, node, make);
        handle
    }

    /// The same for a handle that has its number already.
    pub(crate) fn open_file_as(
        &mut self,
        handle: HandleId,
        node: NodeId,
        make: impl FnOnce() -> Arc<Reader>,
    ) {
        let shared = self.readers.entry(node).or_insert_with(|| Shared {
            file: OpenFile { node, reader: make(), served: Arc::default() },
            handles: 0,
        });
        shared.handles += 1;
        shared.file.reader.open();
        self.open.insert(handle, Open::File(node));
        self.skip_to(handle.saturating_add(1));
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
            Open::File(node) => self.readers.get(node).map(|shared| shared.file.clone()),
            Open::Directory(_) => None,
        }
    }

    /// The directory behind a handle.
    pub(crate) fn directory(&self, handle: HandleId) -> Option<Arc<OpenDirectory>> {
        match self.open.get(&handle)? {
            Open::File(_) => None,
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

    /// Closes a handle on a file, and answers its node. A handle that is not there is one whose
    /// release was sent again.
    pub(crate) fn close_file(&mut self, handle: HandleId) -> Option<NodeId> {
        let Some(Open::File(node)) = self.open.get(&handle) else { return None };
        let node = *node;
        self.open.remove(&handle);
        if let Some(shared) = self.readers.get_mut(&node) {
            shared.handles = shared.handles.saturating_sub(1);
            shared.file.reader.close();
            if shared.handles == 0 {
                self.readers.remove(&node);
            }
        }
        Some(node)
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
            Open::File(node) => Record::File { handle, node: *node },
            Open::Directory(directory) => Record::Directory { handle, node: directory.node },
        };
        self.open.iter().map(record).collect()
    }

    fn number(&mut self) -> HandleId {
        self.next += 1;
        self.next
    }
}
