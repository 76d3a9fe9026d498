//! What is known of a name, and whether that is young enough to answer by.

use std::sync::Arc;
use std::time::Duration;

use object::Time;

use super::{Tree, millis, path};
use crate::attr::{NodeId, ROOT};
use crate::fact::Fact;

/// What a name is known to stand for.
pub(crate) enum Known {
    /// This, seen then.
    Present(Arc<Fact>, Time),
    /// Nothing, and for this long.
    Absent(Duration),
    /// Nobody knows, or what is known is too old.
    Unknown,
}

/// What a look is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Showing a name: what a listing in use shows will do.
    Shown,
    /// Opening a file: only what is within its TTL will do.
    Opened,
}

impl Tree {
    /// What is known of `name` in `parent`.
    pub(crate) fn know(&self, parent: NodeId, name: &str, now: Time, trust: Trust) -> Known {
        let mut above = parent;
        while above != ROOT
            && let Some(node) = self.nodes.get(&above)
        {
            // What is below a directory that is known to have gone has gone with it.
            if let Known::Absent(left) = self.know_one(node.parent, &node.fact.name, now, trust) {
                return Known::Absent(left);
            }
            above = node.parent;
        }
        self.know_one(parent, name, now, trust)
    }

    fn know_one(&self, parent: NodeId, name: &str, now: Time, trust: Trust) -> Known {
        if let Some(id) = self.current(parent, name)
            && self.is_here(id)
            && let Some(node) = self.nodes.get(&id)
        {
            return Known::Present(node.fact.clone(), node.seen());
        }
        let Some((seen, fact)) = self.last_seen(parent, name) else { return Known::Unknown };
        let Some(fact) = fact else {
            return match self.policy.absent_left(seen, now) {
                Some(left) => Known::Absent(left),
                None if self.is_absent_while_filled(parent, seen, now) => {
                    Known::Absent(Duration::ZERO)
                }
                None => Known::Unknown,
            };
        };
        let gone = self.current(parent, name).and_then(|id| self.nodes.get(&id));
        if gone.is_some_and(|node| node.gone && node.fact.same_version(&fact)) {
            return Known::Unknown;
        }
        let window = match trust {
            Trust::Shown => self.directories.get(&parent).and_then(|d| d.window),
            Trust::Opened => None,
        };
        match self.policy.left(fact.kind, seen, now, window) {
            Some(_) => Known::Present(fact, seen),
            None => Known::Unknown,
        }
    }

    /// Whether the store denied having what `name` in `parent` is known to stand for.
    pub(crate) fn is_doubted(&self, parent: NodeId, name: &str) -> bool {
        let node = self.current(parent, name).and_then(|id| self.nodes.get(&id));
        node.is_some_and(|node| node.gone)
    }

    /// The youngest sight of `name` in `parent`, with what was seen; `None` for absence.
    fn last_seen(&self, parent: NodeId, name: &str) -> Option<(Time, Option<Arc<Fact>>)> {
        let hash = path::child(self.nodes.get(&parent)?, name);
        let node = self.current(parent, name).and_then(|id| self.nodes.get(&id));
        let own = match node {
            Some(node) => Some((node.seen, Some(&node.fact))),
            None => self.absences.get(hash, parent, name).map(|seen| (seen, None)),
        };
        let snapshot = self.directories.get(&parent).and_then(|d| d.snapshot.as_ref());
        let listed = snapshot.map(|s| (millis(s.fetched), s.get(name)));
        let changed = self.changed(parent, name).map(|(at, fact)| (millis(at), fact));
        // Of several at one time the first: the same listing may have made the node, which then
        // knows no less.
        let sights = [own, changed, listed].into_iter().flatten();
        let (seen, fact) = sights.reduce(|best, one| if one.0 > best.0 { one } else { best })?;
        Some((Time(Duration::from_millis(seen)), fact.cloned()))
    }
}
