//! The tree as plain values, to be written out and restored by a successor.

use std::sync::Arc;
use std::time::Duration;

use object::{ETag, StorageState, Time};

use super::own::amend_all;
use super::{Node, Tree};
use crate::attr::{HandleId, Kind, NodeId, OpenMode, ROOT};
use crate::directory::Snapshot;
use crate::fact::{Fact, Tag};

/// One piece of what a file system has to remember to answer as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The numbers that the next node and the next handle get.
    Next {
        /// Node.
        node: NodeId,
        /// Handle.
        handle: HandleId,
    },
    /// A node other than the root.
    Node {
        /// Its number.
        id: NodeId,
        /// The directory it is in; always a smaller number, or the root's.
        parent: NodeId,
        /// What it stands for.
        name: Name,
        /// When that was last seen to hold, in milliseconds since the epoch.
        seen_ms: u64,
        /// Lookups the kernel has not forgotten.
        lookups: u32,
        /// Whether its path stands for it now.
        current: bool,
        /// Whether the store was seen to have its version no longer.
        gone: bool,
        /// Whether the kernel may have bytes of it.
        served: bool,
        /// Whether it is a directory that stays until it is removed here.
        kept: bool,
    },
    /// All names of a directory.
    Snapshot {
        /// The directory.
        node: NodeId,
        /// When it was listed.
        fetched: Time,
        /// The names.
        names: Vec<Name>,
    },
    /// A name that is not there.
    Absence {
        /// The directory it was looked for in.
        parent: NodeId,
        /// The name.
        name: String,
        /// When, in milliseconds since the epoch.
        seen_ms: u64,
    },
    /// An open file.
    File {
        /// Its number.
        handle: HandleId,
        /// What was opened.
        node: NodeId,
        /// Who serves its bytes. A backing file keeps its number on the kernel's connection.
        mode: OpenMode,
    },
    /// A file that is open for writing. What was not published dies with whoever wrote it.
    Written {
        /// Its number.
        handle: HandleId,
        /// What was opened.
        node: NodeId,
    },
    /// An open directory.
    Directory {
        /// Its number.
        handle: HandleId,
        /// What was opened.
        node: NodeId,
    },
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The last component of the path.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Size in bytes.
    pub size: u64,
    /// Last modification in seconds since the epoch.
    pub modified_secs: u64,
    /// The version of a file, where it is known.
    pub etag: Option<String>,
    /// Whether the bytes of a file can be had.
    pub storage: StorageState,
}

/// Records that are not those of one file system.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// A node whose directory is not there.
    #[error("node {0} is in a directory that is not there")]
    Orphan(NodeId),
    /// Two nodes of one number.
    #[error("node {0} is there twice")]
    Twice(NodeId),
    /// A handle on a node that is not there, or that cannot be opened, or not like that beside
    /// its other handles.
    #[error("handle {0} is open on a node that cannot be opened")]
    Handle(HandleId),
}

impl Tree {
    /// The tree as records: nodes by their number, so that a directory comes before its names.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut ids: Vec<_> = self.nodes.keys().copied().filter(|id| *id != ROOT).collect();
        ids.sort_unstable();
        let nodes = ids.iter().filter_map(|id| {
            let node = self.nodes.get(id)?;
            let lost = node.fact.is_unpublished();
            Some(Record::Node {
                id: *id,
                parent: node.parent,
                name: Name::of(&node.fact),
                seen_ms: node.seen,
                lookups: node.lookups,
                current: self.current.get(&node.hash) == Some(id) && !lost,
                gone: node.gone || lost,
                served: node.served,
                kept: node.kept,
            })
        });
        let snapshots = self.directories.iter().filter_map(|(id, directory)| {
            let snapshot = directory.snapshot.as_ref()?;
            // What was listed beside a file that is not published outlasts it.
            let facts = amend_all(self.lasting(*id, snapshot.fetched), snapshot.facts());
            let names = facts.iter().map(|fact| Name::of(fact)).collect();
            Some(Record::Snapshot { node: *id, fetched: snapshot.fetched, names })
        });
        let absences = self.absences.iter().map(|(parent, name, seen_ms)| Record::Absence {
            parent,
            name: name.to_owned(),
            seen_ms,
        });
        nodes.chain(snapshots).chain(absences).collect()
    }

    /// The number that the next node gets.
    pub(crate) fn next_node(&self) -> NodeId {
        self.next
    }

    /// Takes up what one record says of the tree; those of handles say nothing of it.
    pub(crate) fn restore(&mut self, record: Record) -> Result<(), BadRecord> {
        match record {
            Record::Next { node, .. } => self.next = self.next.max(node),
            Record::Snapshot { node, fetched, names } => {
                let facts = names.into_iter().map(Name::fact).collect();
                self.install(node, &Arc::new(Snapshot::new(facts, fetched, None)));
            }
            Record::Absence { parent, name, seen_ms } => {
                self.vanish(parent, &name, Time(Duration::from_millis(seen_ms)));
            }
            node @ Record::Node { .. } => self.restore_node(node)?,
            Record::File { .. } | Record::Written { .. } | Record::Directory { .. } => {}
        }
        Ok(())
    }

    fn restore_node(&mut self, record: Record) -> Result<(), BadRecord> {
        let Record::Node { id, parent, name, seen_ms, lookups, current, gone, served, kept } =
            record
        else {
            return Ok(());
        };
        if self.nodes.contains_key(&id) {
            return Err(BadRecord::Twice(id));
        }
        let above = self.nodes.get_mut(&parent).ok_or(BadRecord::Orphan(id))?;
        let fact = name.fact();
        let hash = super::path::child(above, &fact.name);
        above.children += 1;
        let mut node = Node::new(fact, parent, hash);
        (node.seen, node.lookups) = (seen_ms, lookups);
        (node.gone, node.served) = (gone, served);
        self.nodes.insert(id, node);
        self.next = self.next.max(id.saturating_add(1));
        if current {
            self.current.insert(hash, id);
        }
        if kept {
            self.keep(id);
        }
        if lookups == 0 {
            self.queue(id);
        }
        Ok(())
    }
}

impl Name {
    fn of(fact: &Fact) -> Self {
        Self {
            name: fact.name.to_string(),
            kind: fact.kind,
            size: fact.size,
            modified_secs: fact.modified,
            etag: fact.tag.etag().map(|etag| etag.as_str().to_owned()),
            storage: fact.storage,
        }
    }

    fn fact(self) -> Arc<Fact> {
        Arc::new(Fact {
            name: self.name.into(),
            size: self.size,
            modified: self.modified_secs,
            tag: self.etag.map_or(Tag::Unconfirmed, |etag| Tag::of(&ETag::new(&etag))),
            storage: self.storage,
            kind: self.kind,
        })
    }
}
