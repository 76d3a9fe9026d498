//! Several nodes of one version: a name whose node the kernel holds in one IO mode goes on to a
//! new node, which can be opened in the other.
//!
//! Whoever opens the old node is told ESTALE and looks the name up again, but only once: the
//! kernel tries a second time and no third (`do_filp_open`). So where a name was the reason for
//! an ESTALE just now, the nodes of its version are opened as they are, whichever is asked for.
//! That bounds the nodes, too. Overlayfs does not try again at all, see `names_stay`.

use std::time::Duration;

use object::Time;

use super::{Node, Tree};
use crate::attr::NodeId;

/// How long after an ESTALE its opener may come again: a lookup lies between, which is given up
/// after the deadline of a request.
const PAUSE: Duration = Duration::from_secs(60);
/// Names remembered before the outdated are sorted out.
const TOLD: usize = 1024;

impl Tree {
    /// Whether both nodes stand for the same version of the same file.
    pub(crate) fn is_same(&self, one: NodeId, other: NodeId) -> bool {
        match (self.nodes.get(&one), self.nodes.get(&other)) {
            (Some(one), Some(other)) => is_same(one, other),
            _ => false,
        }
    }

    /// An open of `id` was answered by ESTALE, whatever for.
    pub(crate) fn tell_stale(&mut self, id: NodeId, now: Time) {
        let Some(node) = self.nodes.get(&id) else { return };
        let hash = node.hash;
        if self.told.len() >= TOLD {
            self.told.retain(|_, told| now.since(*told) < PAUSE);
        }
        self.told.insert(hash, now);
    }

    /// Has the name of the file `id` stand for another node of the same version, which is made if
    /// there is none. Answers whether the opener of `id` is to be sent there by ESTALE.
    pub(crate) fn move_on(&mut self, id: NodeId, now: Time) -> bool {
        let Some(node) = self.nodes.get(&id) else { return false };
        if self.told.get(&node.hash).is_some_and(|told| now.since(*told) < PAUSE) {
            return false;
        }
        let Some(&current) = self.current.get(&node.hash) else { return false };
        if current == id {
            let seen = node.seen;
            let node = Node { seen, ..Node::new(node.fact.clone(), node.parent, node.hash) };
            let new = self.place(node);
            if self.policy.opens_look() {
                // This open has looked at the store, and is about to come again.
                self.grant(new, now);
            }
        } else if !self.is_same(current, id) {
            return false;
        }
        self.tell_stale(id, now);
        true
    }

    /// Has the name of the file `id`, of which somebody may have bytes, stand for a new node of the
    /// same version, that can be written.
    pub(crate) fn move_on_to_write(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.get(&id) {
            let seen = node.seen;
            let node = Node { seen, ..Node::new(node.fact.clone(), node.parent, node.hash) };
            self.place(node);
        }
    }

    /// The version of `id` turned out to be gone from the store.
    pub(crate) fn mark_gone(&mut self, id: NodeId) {
        let hash = self.nodes.get(&id).map(|node| node.hash);
        let current = hash.and_then(|hash| self.current.get(&hash)).copied();
        let alike = current.filter(|current| self.is_same(*current, id));
        for id in [Some(id), alike].into_iter().flatten() {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.gone = true;
            }
        }
    }
}

fn is_same(one: &Node, other: &Node) -> bool {
    one.parent == other.parent
        && one.fact.name == other.fact.name
        && one.fact.same_version(&other.fact)
}
