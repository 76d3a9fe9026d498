//! What is known of names and which nodes the kernel holds: a state machine over plain data.
//!
//! A [`Node`] stands for one version of one file, or for one directory. Its number is counted up
//! and never used again, since the kernel's pages belong to it; the node that a path stands for
//! now is its *current* node. A file that is seen to have changed gets a new node, and the old
//! one goes on with its old version until the kernel lets go of it. A version can have several
//! nodes, see [`succession`].
//!
//! What was seen of a name is kept in up to three places, and the youngest counts: the current
//! node, the snapshot of the directory, and the list of absences.

mod absence;
mod filling;
mod know;
mod own;
mod path;
mod record;
mod succession;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use object::Time;

use crate::attr::{Kind, NodeId, ROOT};
use crate::directory::Snapshot;
use crate::fact::Fact;
use crate::ttl::{AFTER_CLOSE, GRANT, IDLE_HANDLE, Policy, Window, millis};

pub(crate) use know::{Known, Trust};
pub(crate) use own::{Amended, amend};
pub use record::{BadRecord, Name, Record};

/// See the module.
pub(crate) struct Tree {
    policy: Policy,
    /// Names in nodes and snapshots together, above which the oldest that nobody holds go.
    names_max: usize,
    nodes: HashMap<NodeId, Node>,
    /// The current node of each path, by the path's hash.
    current: HashMap<u64, NodeId>,
    directories: HashMap<NodeId, Directory>,
    absences: absence::Absences,
    /// Nodes the kernel let go of, oldest first; some may have been taken up again.
    forgotten: VecDeque<NodeId>,
    /// Nodes that were looked at in the store just now, and not opened since.
    grants: HashMap<NodeId, Time>,
    /// When opens were last answered by ESTALE, by the path's hash.
    told: HashMap<u64, Time>,
    own: own::Own,
    next: NodeId,
    snapshot_names: usize,
    snapshot_bytes: u64,
}

/// A node. There may be millions: this and its share of two maps is all that one takes.
pub(crate) struct Node {
    pub(crate) fact: Arc<Fact>,
    pub(crate) parent: NodeId,
    /// Hash of the path.
    hash: u64,
    /// When the fact was last seen to hold, in milliseconds since the epoch.
    seen: u64,
    /// Lookups the kernel has not forgotten.
    lookups: u32,
    /// Open handles.
    opens: u32,
    /// Nodes that have this as parent.
    children: u32,
    /// The store no longer had this version when its bytes were asked for.
    gone: bool,
    /// Bytes of it were given out.
    served: bool,
    /// In the queue of forgotten nodes.
    queued: bool,
    /// A directory that stays, whatever the store has, until it is removed here.
    kept: bool,
}

/// What is known of a directory beyond its node. Exists while it has a handle or a snapshot.
#[derive(Default)]
struct Directory {
    snapshot: Option<Arc<Snapshot>>,
    handles: u32,
    window: Option<Window>,
}

impl Tree {
    /// A tree with a root, whose path is the key prefix `prefix` (empty, or ending in `/`).
    pub(crate) fn new(policy: Policy, names_max: usize, prefix: &str) -> Self {
        let root = Node::new(Fact::directory(prefix), ROOT, path::of_prefix(prefix));
        Self {
            policy,
            names_max,
            nodes: HashMap::from([(ROOT, root)]),
            current: HashMap::new(),
            directories: HashMap::new(),
            absences: absence::Absences::default(),
            forgotten: VecDeque::new(),
            grants: HashMap::new(),
            told: HashMap::new(),
            own: own::Own::default(),
            next: ROOT + 1,
            snapshot_names: 0,
            snapshot_bytes: 0,
        }
    }

    /// The node with this number, if the kernel can still mean it.
    pub(crate) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    /// The key that `id` stands for: a file's own, or a directory's prefix (empty, or ending in
    /// `/`).
    pub(crate) fn key(&self, id: NodeId) -> String {
        let mut parts = Vec::new();
        let mut next = id;
        while let Some(node) = self.nodes.get(&next) {
            if node.fact.kind == Kind::Directory && next != ROOT {
                parts.push("/");
            }
            parts.push(&node.fact.name);
            if next == ROOT {
                break;
            }
            next = node.parent;
        }
        parts.reverse();
        parts.concat()
    }

    /// Whether the path of `id` stands for it now.
    pub(crate) fn is_current(&self, id: NodeId) -> bool {
        let hash = self.nodes.get(&id).map(|node| node.hash);
        id == ROOT || hash.and_then(|hash| self.current.get(&hash)) == Some(&id)
    }

    /// The node that `name` in `parent` stood for when it was last seen.
    pub(crate) fn current(&self, parent: NodeId, name: &str) -> Option<NodeId> {
        let hash = path::child(self.nodes.get(&parent)?, name);
        let id = *self.current.get(&hash)?;
        // Two paths may have one hash.
        let node = self.nodes.get(&id)?;
        (node.parent == parent && *node.fact.name == *name).then_some(id)
    }

    /// The node of what was seen as `fact` in `parent` at `seen`: the current one when it is the
    /// same version (or was seen later), else a new one, which is current from now on. `None`
    /// when there is no such parent.
    pub(crate) fn admit(&mut self, parent: NodeId, fact: &Arc<Fact>, seen: Time) -> Option<NodeId> {
        self.shrink();
        let seen = millis(seen);
        let hash = path::child(self.nodes.get(&parent)?, &fact.name);
        let old = self.current(parent, &fact.name);
        if old.is_none() && fact.is_unpublished() {
            return None;
        }
        if old.is_some_and(|id| self.is_here(id)) && fact.kind == Kind::File {
            return old;
        }
        if let Some(node) = old.and_then(|id| self.nodes.get_mut(&id)) {
            let same = node.fact.same_version(fact);
            if same && seen >= node.seen {
                node.gone &= seen == node.seen;
                node.fact = node.fact.updated(fact);
                node.seen = seen;
            }
            if same || seen < node.seen {
                return old;
            }
        }
        if self.absences.get(hash, parent, &fact.name).is_some_and(|at| at > seen) {
            return None;
        }
        Some(self.place(Node { seen, ..Node::new(fact.clone(), parent, hash) }))
    }

    /// Gives `node` a number; it is the current node of its path from now on.
    fn place(&mut self, node: Node) -> NodeId {
        let (parent, hash) = (node.parent, node.hash);
        let id = self.next;
        self.next += 1;
        self.nodes.insert(id, node);
        if let Some(parent) = self.nodes.get_mut(&parent) {
            parent.children += 1;
        }
        self.absences.remove(hash);
        if let Some(old) = self.current.insert(hash, id) {
            self.drop_unheld(old);
        }
        self.queue(id);
        id
    }

    /// `name` in `parent` was seen to be absent at `seen`.
    pub(crate) fn vanish(&mut self, parent: NodeId, name: &str, seen: Time) {
        let Some(hash) = self.nodes.get(&parent).map(|node| path::child(node, name)) else {
            return;
        };
        if let Some(id) = self.current(parent, name) {
            let later = self.nodes.get(&id).is_some_and(|node| node.seen > millis(seen));
            if later || self.is_here(id) {
                return;
            }
            self.current.remove(&hash);
            self.drop_unheld(id);
        }
        self.absences.insert(hash, parent, name, millis(seen));
    }

    /// Bytes of `id` were given out.
    pub(crate) fn mark_served(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.served = true;
        }
    }

    /// The same version of `id` is now known better, as `fact`.
    pub(crate) fn repoint(&mut self, id: NodeId, fact: Arc<Fact>) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.fact = fact;
            node.gone = false;
        }
    }

    /// Allows one open of `id` without another look, from `now` on for a short while.
    pub(crate) fn grant(&mut self, id: NodeId, now: Time) {
        if self.grants.len() >= 1024 {
            self.grants.retain(|_, granted| now.since(*granted) <= GRANT);
        }
        self.grants.insert(id, now);
    }

    /// Uses up the grant of `id`, and says whether there was one.
    pub(crate) fn use_grant(&mut self, id: NodeId, now: Time) -> bool {
        self.grants.remove(&id).is_some_and(|granted| now.since(granted) <= GRANT)
    }

    /// The kernel was told of `id` once more.
    pub(crate) fn refer(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.lookups = node.lookups.saturating_add(1);
        }
    }

    /// The kernel takes back `count` lookups of `id`.
    pub(crate) fn forget(&mut self, id: NodeId, count: u64) {
        let Some(node) = self.nodes.get_mut(&id).filter(|_| id != ROOT) else { return };
        node.lookups = node.lookups.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
        self.let_go(id);
    }

    /// A handle on the file `id` was opened.
    pub(crate) fn open_file(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.opens += 1;
        }
    }

    /// A handle on the file `id` was released.
    pub(crate) fn close_file(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.opens = node.opens.saturating_sub(1);
        }
        self.let_go(id);
    }

    /// A handle on the directory `id` was opened.
    pub(crate) fn open_directory(&mut self, id: NodeId) {
        self.open_file(id);
        self.directories.entry(id).or_default().handles += 1;
    }

    /// A pass over the directory `id`, listed at `since`, is being read.
    pub(crate) fn extend_window(&mut self, id: NodeId, since: Time, now: Time) {
        if let Some(directory) = self.directories.get_mut(&id) {
            directory.window = Some(Window::new(since, now + IDLE_HANDLE));
        }
    }

    /// A handle on the directory `id` was released.
    pub(crate) fn close_directory(&mut self, id: NodeId, now: Time) {
        if let Some(directory) = self.directories.get_mut(&id) {
            directory.handles = directory.handles.saturating_sub(1);
            if directory.handles == 0
                && let Some(window) = &mut directory.window
            {
                window.until = window.until.min(now + AFTER_CLOSE);
            }
        }
        self.close_file(id);
    }

    /// The snapshot of the directory `id`, if it may still be shown.
    pub(crate) fn snapshot(&self, id: NodeId, now: Time) -> Option<Arc<Snapshot>> {
        let snapshot = self.directories.get(&id)?.snapshot.as_ref()?;
        let fresh = self.policy.left(Kind::Directory, snapshot.fetched, now, None).is_some();
        (fresh && !self.policy.opens_look()).then(|| snapshot.clone())
    }

    /// Keeps `snapshot` as what is known of the directory `id`.
    pub(crate) fn install(&mut self, id: NodeId, snapshot: &Arc<Snapshot>) {
        let newest = self.directories.get(&id).and_then(|d| d.snapshot.as_ref());
        let outdated = newest.is_some_and(|newest| newest.fetched > snapshot.fetched);
        if outdated || !self.nodes.contains_key(&id) {
            return;
        }
        self.forget_changes(id, |at| at < snapshot.fetched);
        self.snapshot_names += snapshot.facts().len();
        self.snapshot_bytes += snapshot.bytes();
        let directory = self.directories.entry(id).or_default();
        if let Some(old) = directory.snapshot.replace(snapshot.clone()) {
            self.snapshot_names -= old.facts().len();
            self.snapshot_bytes -= old.bytes();
        }
        self.shrink();
    }

    /// What all snapshots take of the budget, in bytes.
    pub(crate) fn snapshot_bytes(&self) -> u64 {
        self.snapshot_bytes
    }

    /// Lets go of the oldest snapshot that no handle is open on, and says whether there was one.
    pub(crate) fn drop_oldest_snapshot(&mut self) -> bool {
        let unused = self.directories.iter().filter(|(_, directory)| directory.handles == 0);
        let dated = unused.filter_map(|(id, d)| Some((d.snapshot.as_ref()?.fetched, *id)));
        let Some((_, id)) = dated.min() else { return false };
        self.drop_snapshot(id);
        true
    }

    /// Lets go of all snapshots: what they say turned out not to be so.
    pub(crate) fn drop_snapshots(&mut self) {
        let ids: Vec<_> = self.directories.keys().copied().collect();
        ids.into_iter().for_each(|id| self.drop_snapshot(id));
    }

    fn drop_snapshot(&mut self, id: NodeId) {
        let Some(directory) = self.directories.get_mut(&id) else { return };
        if let Some(snapshot) = directory.snapshot.take() {
            self.snapshot_names -= snapshot.facts().len();
            self.snapshot_bytes -= snapshot.bytes();
        }
        if directory.handles == 0 {
            self.directories.remove(&id);
        }
    }

    fn let_go(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get(&id) else { return };
        if node.lookups == 0 && node.opens == 0 {
            if self.current.get(&node.hash) == Some(&id) {
                self.queue(id);
                self.shrink();
            } else {
                self.drop_unheld(id);
            }
        }
    }

    fn queue(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get_mut(&id)
            && !node.queued
        {
            node.queued = true;
            self.forgotten.push_back(id);
        }
    }

    fn shrink(&mut self) {
        while self.nodes.len() + self.snapshot_names > self.names_max {
            // Nodes first: a snapshot answers for many names, and for those that are absent.
            match self.forgotten.pop_front() {
                Some(id) => {
                    if let Some(node) = self.nodes.get_mut(&id) {
                        node.queued = false;
                    }
                    self.drop_unheld(id);
                }
                None if self.drop_oldest_snapshot() => {}
                None => break,
            }
        }
    }

    /// Removes a node that neither the kernel nor a child holds, and then perhaps its parents.
    fn drop_unheld(&mut self, id: NodeId) {
        let mut next = id;
        while let Some(node) = self.nodes.get(&next)
            && next != ROOT
            && node.lookups == 0
            && node.opens == 0
            && node.children == 0
            && !self.is_here(next)
        {
            let (parent, hash) = (node.parent, node.hash);
            self.nodes.remove(&next);
            self.grants.remove(&next);
            self.drop_snapshot(next);
            self.forget_directory(next);
            if self.current.get(&hash) == Some(&next) {
                self.current.remove(&hash);
            }
            let Some(above) = self.nodes.get_mut(&parent) else { return };
            above.children = above.children.saturating_sub(1);
            if self.current.get(&above.hash) == Some(&parent) {
                // Still good for lookups; it goes when its turn comes.
                self.let_go(parent);
                return;
            }
            next = parent;
        }
    }

    /// How long the kernel may take `id` for what its name stands for.
    pub(crate) fn ttl(&self, id: NodeId, now: Time) -> Duration {
        let Some(node) = self.nodes.get(&id) else { return Duration::ZERO };
        if id == ROOT {
            return self.policy.life(Kind::Directory);
        }
        if node.fact.is_unpublished() || self.written(id).is_some() {
            // What it stands for changes with every flush: the kernel is to ask.
            return Duration::ZERO;
        }
        if node.kept {
            return self.policy.life(Kind::Directory);
        }
        let window = self.directories.get(&node.parent).and_then(|d| d.window);
        let (kind, seen) = (node.fact.kind, node.seen());
        let left = if node.gone { None } else { self.policy.left(kind, seen, now, window) };
        left.unwrap_or_default()
    }
}

impl Node {
    fn new(fact: Arc<Fact>, parent: NodeId, hash: u64) -> Self {
        Self {
            fact,
            parent,
            hash,
            seen: 0,
            lookups: 0,
            opens: 0,
            children: 0,
            gone: false,
            served: false,
            queued: false,
            kept: false,
        }
    }

    /// `st_ino`.
    pub(crate) fn ino(&self) -> u64 {
        path::ino(self.hash, self.fact.kind)
    }

    /// `st_ino` of what is seen as `fact` in this directory.
    pub(crate) fn child_ino(&self, fact: &Fact) -> u64 {
        path::ino(path::child(self, &fact.name), fact.kind)
    }

    /// Whether a file of this node is open.
    pub(crate) fn is_open(&self) -> bool {
        self.opens > 0
    }

    /// Whether its version turned out to be gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether bytes of it were given out.
    pub(crate) fn is_served(&self) -> bool {
        self.served
    }

    fn seen(&self) -> Time {
        Time(Duration::from_millis(self.seen))
    }
}

#[cfg(test)]
mod tests;
