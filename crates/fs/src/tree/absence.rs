//! Names that were looked for and are not there.

use std::collections::{HashMap, VecDeque};

use crate::attr::NodeId;

/// Absences kept at most; the oldest goes first. A program that tries a long search path asks
/// for a few hundred names.
const MAX: usize = 16_384;

#[derive(Default)]
pub(super) struct Absences {
    seen: HashMap<u64, Absence>,
    order: VecDeque<u64>,
}

struct Absence {
    parent: NodeId,
    name: Box<str>,
    /// Milliseconds since the epoch.
    seen: u64,
}

impl Absences {
    /// `name` in `parent`, whose path has this hash, was absent at `seen`.
    pub(super) fn insert(&mut self, hash: u64, parent: NodeId, name: &str, seen: u64) {
        let absence = Absence { parent, name: name.into(), seen };
        if self.seen.insert(hash, absence).is_none() {
            self.order.push_back(hash);
        }
        while self.order.len() > MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.seen.remove(&oldest);
            }
        }
    }

    /// The path was seen to be there.
    pub(super) fn remove(&mut self, hash: u64) {
        // Its place in the order stays, and passes on its turn.
        self.seen.remove(&hash);
    }

    /// When `name` in `parent` was seen to be absent, in milliseconds since the epoch.
    pub(super) fn get(&self, hash: u64, parent: NodeId, name: &str) -> Option<u64> {
        let absence = self.seen.get(&hash)?;
        (absence.parent == parent && *absence.name == *name).then_some(absence.seen)
    }

    /// All absences: directory, name, and when it was seen.
    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, &str, u64)> {
        self.seen.values().map(|absence| (absence.parent, &*absence.name, absence.seen))
    }
}
