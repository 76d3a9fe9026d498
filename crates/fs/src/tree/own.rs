//! What this mount changed by itself: names that no store has yet, directories that stay although
//! no key goes on below them, and changes that a listing asked for earlier does not show.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use object::Time;

use super::filling::Fillings;
use super::{Node, Tree, millis, path};
use crate::attr::{Kind, NodeId, ROOT};
use crate::fact::{Fact, Tag};

/// Changes of one directory remembered beside its listing, before it is listed anew.
const CHANGES: usize = 1024;
/// How long a listing may be on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Default)]
pub(super) struct Own {
    /// By directory, and by name.
    changes: HashMap<NodeId, HashMap<Box<str>, Change>>,
    /// How many names below a directory only this mount has, or is writing: while there are any,
    /// the directory is there.
    below: HashMap<NodeId, u32>,
    written: HashMap<NodeId, Written>,
    pub(super) fillings: Fillings,
}

/// What was done to a name.
#[derive(Default)]
struct Change {
    /// It is this node's, whatever listings show.
    here: Option<NodeId>,
    /// It stood for this from that time on; `None` for nothing.
    since: Option<(Time, Option<Arc<Fact>>)>,
}

/// What is shown of a file while it is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Bytes written.
    pub(crate) size: u64,
    /// When, or as it was set.
    pub(crate) modified: Time,
}

/// What a pass over a directory has to show instead of what a listing does; `None` for nothing.
pub(crate) type Amended = HashMap<Box<str>, Option<Arc<Fact>>>;

impl Tree {
    /// Makes a file in `parent` that only this mount has; `None` when it has something of this
    /// name already, or when there is no such parent.
    pub(crate) fn make_file(&mut self, parent: NodeId, name: &str, now: Time) -> Option<NodeId> {
        let id = self.make(parent, Fact::unpublished(name, now), now)?;
        self.note_made(parent, now);
        Some(id)
    }

    /// Makes a directory in `parent`, which stays until it is removed here.
    pub(crate) fn make_directory(
        &mut self,
        parent: NodeId,
        name: &str,
        now: Time,
    ) -> Option<NodeId> {
        self.make(parent, Fact::directory(name), now)
    }

    fn make(&mut self, parent: NodeId, fact: Arc<Fact>, now: Time) -> Option<NodeId> {
        self.shrink();
        let hash = path::child(self.nodes.get(&parent)?, &fact.name);
        if self.current(parent, &fact.name).is_some_and(|id| self.is_here(id)) {
            return None;
        }
        let own = fact.is_unpublished();
        let id = self.place(Node { seen: millis(now), ..Node::new(fact, parent, hash) });
        match own {
            true => self.count_below(parent, 1),
            false => self.keep(id),
        }
        self.mark(id);
        Some(id)
    }

    /// The directory `id` stays from now on, whatever the store has, until it is removed here.
    pub(super) fn keep(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id).filter(|node| id != ROOT && !node.kept) else {
            return;
        };
        node.kept = true;
        let parent = node.parent;
        self.count_below(parent, 1);
        self.mark(id);
    }

    /// The file or directory `id` is no longer there because of this mount alone.
    fn unmake(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.is_own()) else { return };
        let parent = node.parent;
        if node.fact.is_unpublished() {
            node.fact = Arc::new(Fact { tag: Tag::Unconfirmed, ..Fact::clone(&node.fact) });
        }
        node.kept = false;
        self.count_below(parent, -1);
        self.mark(id);
    }

    /// Has listings show `id` as long as it is there because of this mount.
    fn mark(&mut self, id: NodeId) {
        let here = self.is_here(id) && self.is_current(id);
        let Some(node) = self.nodes.get(&id) else { return };
        let (parent, name) = (node.parent, &node.fact.name);
        if here {
            let changes = self.own.changes.entry(parent).or_default();
            changes.entry(name.clone()).or_default().here = Some(id);
            return;
        }
        let Some(changes) = self.own.changes.get_mut(&parent) else { return };
        if let Some(change) = changes.get_mut(name)
            && change.here == Some(id)
        {
            change.here = None;
            if change.since.is_none() {
                changes.remove(name);
            }
        }
        if changes.is_empty() {
            self.own.changes.remove(&parent);
        }
    }

    /// The file `id` was made here, and will never be in the store: its name stands for what the
    /// store has.
    pub(crate) fn drop_unpublished(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id).filter(|n| n.fact.is_unpublished()) else {
            return;
        };
        let hash = node.hash;
        node.gone = true;
        self.unmake(id);
        if self.current.get(&hash) == Some(&id) {
            self.current.remove(&hash);
        }
        self.let_go(id);
    }

    /// What was written as `id` is in the store since `now`, as `fact`. Its name stands for that:
    /// the same node if nobody can have bytes of what it stood for before, else a new one.
    pub(crate) fn publish(&mut self, id: NodeId, fact: Arc<Fact>, now: Time) {
        let Some(node) = self.nodes.get(&id) else { return };
        let (parent, hash, alone) = (node.parent, node.hash, !node.served && node.opens <= 1);
        let seen = after(now);
        self.unmake_file(id, &fact);
        let current = self.current(parent, &fact.name);
        let hidden = current
            .filter(|current| *current != id)
            .and_then(|current| self.nodes.get(&current))
            .is_some_and(|node| node.fact.kind == Kind::Directory);
        if hidden {
            return;
        }
        self.note(parent, fact.name.clone(), Some(fact.clone()), now);
        self.confirm_above(parent, now);
        match self.nodes.get_mut(&id) {
            Some(node) if alone && current == Some(id) => {
                (node.fact, node.seen, node.gone) = (fact, seen, false);
                self.absences.remove(hash);
            }
            _ => {
                self.place(Node { seen, ..Node::new(fact, parent, hash) });
            }
        }
    }

    /// Something is below `directory` in the store since `now`: so it is there, and all above it,
    /// whatever a listing asked for earlier says.
    fn confirm_above(&mut self, directory: NodeId, now: Time) {
        let mut above = directory;
        while above != ROOT
            && self.is_current(above)
            && let Some(node) = self.nodes.get_mut(&above)
        {
            node.seen = node.seen.max(after(now));
            let (parent, fact) = (node.parent, node.fact.clone());
            self.note(parent, fact.name.clone(), Some(fact), now);
            above = parent;
        }
    }

    /// A file that was made here stands for `fact` from now on.
    fn unmake_file(&mut self, id: NodeId, fact: &Arc<Fact>) {
        if self.nodes.get(&id).is_some_and(|node| node.fact.is_unpublished()) {
            self.unmake(id);
            self.repoint(id, fact.clone());
        }
    }

    /// The object `name` in `parent` was deleted by this mount at `now`. The directory stays.
    pub(crate) fn unlink(&mut self, parent: NodeId, name: &str, now: Time) {
        if let Some(id) = self.current(parent, name) {
            self.drop_unpublished(id);
        }
        self.vanish(parent, name, Time(Duration::from_millis(after(now))));
        self.note(parent, name.into(), None, now);
        self.keep(parent);
    }

    /// The directory `id` was removed by this mount at `now`. The one above it stays.
    pub(crate) fn rmdir(&mut self, id: NodeId, now: Time) {
        let Some(node) = self.nodes.get(&id) else { return };
        let (parent, name) = (node.parent, node.fact.name.clone());
        if node.kept {
            self.unmake(id);
        }
        self.vanish(parent, &name, Time(Duration::from_millis(after(now))));
        self.note(parent, name, None, now);
        self.keep(parent);
    }

    /// Whether the name of `id` is there because of this mount, whatever the store has.
    pub(super) fn is_here(&self, id: NodeId) -> bool {
        self.own.below.contains_key(&id) || self.nodes.get(&id).is_some_and(Node::is_own)
    }

    /// Whether anything in the directory `id` is there because of this mount.
    pub(crate) fn has_own(&self, id: NodeId) -> bool {
        self.own.below.contains_key(&id)
    }

    /// Whether the directory `id` stays until it is removed here.
    pub(crate) fn is_kept(&self, id: NodeId) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.kept)
    }

    fn count_below(&mut self, directory: NodeId, by: i32) {
        let mut above = directory;
        while above != ROOT
            && let Some(node) = self.nodes.get(&above)
        {
            let parent = node.parent;
            let count = self.own.below.entry(above).or_default();
            *count = count.saturating_add_signed(by);
            if *count == 0 {
                self.own.below.remove(&above);
            }
            self.mark(above);
            above = parent;
        }
        if by < 0 && directory != ROOT {
            self.let_go(directory);
        }
    }

    /// From `now` on, `name` in `directory` stands for `fact`, or for nothing.
    fn note(&mut self, directory: NodeId, name: Box<str>, fact: Option<Arc<Fact>>, now: Time) {
        let changes = self.own.changes.entry(directory).or_default();
        changes.entry(name).or_default().since = Some((now, fact));
        if changes.len().is_multiple_of(CHANGES) {
            self.settle(directory, now);
        }
    }

    /// Has a directory that was changed often listed anew, and forgets those changes that no
    /// listing on its way can be older than.
    fn settle(&mut self, directory: NodeId, now: Time) {
        self.drop_snapshot(directory);
        self.forget_changes(directory, |at| now.since(at) > ON_ITS_WAY);
    }

    /// Forgets those changes of a directory that are settled, by when they were made.
    pub(super) fn forget_changes(&mut self, directory: NodeId, settled: impl Fn(Time) -> bool) {
        let Some(changes) = self.own.changes.get_mut(&directory) else { return };
        changes.retain(|_, change| {
            change.since.take_if(|(at, _)| settled(*at));
            change.here.is_some() || change.since.is_some()
        });
        if changes.is_empty() {
            self.own.changes.remove(&directory);
        }
    }

    /// What a listing of `directory` fetched at `fetched` does not show as it is.
    pub(crate) fn amendments(&self, directory: NodeId, fetched: Time) -> Amended {
        self.amendments_by(directory, fetched, |_| true)
    }

    /// The same by what is still here when another process takes over.
    pub(super) fn lasting(&self, directory: NodeId, fetched: Time) -> Amended {
        self.amendments_by(directory, fetched, |node| node.kept)
    }

    fn amendments_by(
        &self,
        directory: NodeId,
        fetched: Time,
        is_here: impl Fn(&Node) -> bool,
    ) -> Amended {
        let Some(changes) = self.own.changes.get(&directory) else { return Amended::new() };
        let known = changes.iter().filter_map(|(name, change)| {
            let here = change.here.and_then(|id| self.nodes.get(&id));
            if let Some(node) = here.filter(|node| is_here(node)) {
                return Some((name.clone(), Some(node.fact.clone())));
            }
            let (_, fact) = change.since.as_ref().filter(|(at, _)| *at >= fetched)?;
            Some((name.clone(), fact.clone()))
        });
        known.collect()
    }

    /// The names of a directory as a listing fetched at `fetched` and this mount's own changes
    /// show them; `None` where they are the listing's own.
    pub(crate) fn amended(
        &self,
        directory: NodeId,
        facts: &[Arc<Fact>],
        fetched: Time,
    ) -> Option<Vec<Arc<Fact>>> {
        let changes = self.amendments(directory, fetched);
        (!changes.is_empty()).then(|| amend_all(changes, facts))
    }

    /// A file is being written as `id`.
    pub(crate) fn begin_write(&mut self, id: NodeId, now: Time) {
        self.open_file(id);
        self.own.written.insert(id, Written { size: 0, modified: now });
        if let Some(parent) = self.nodes.get(&id).map(|node| node.parent) {
            self.count_below(parent, 1);
        }
    }

    /// Whether a file in `directory` is being written.
    pub(super) fn is_written_in(&self, directory: NodeId) -> bool {
        let parent = |id| self.nodes.get(id).map(|node| node.parent);
        self.own.written.keys().any(|id| parent(id) == Some(directory))
    }

    /// What is shown of `id`, while it is being written.
    pub(crate) fn written(&self, id: NodeId) -> Option<Written> {
        self.own.written.get(&id).copied()
    }

    /// The same, to be changed.
    pub(crate) fn written_mut(&mut self, id: NodeId) -> Option<&mut Written> {
        self.own.written.get_mut(&id)
    }

    /// `id` is no longer being written.
    pub(crate) fn end_write(&mut self, id: NodeId) {
        if self.own.written.remove(&id).is_none() {
            return;
        }
        if let Some(parent) = self.nodes.get(&id).map(|node| node.parent) {
            self.count_below(parent, -1);
        }
        self.close_file(id);
    }

    /// Nothing is known of the directory `id` any more.
    pub(super) fn forget_directory(&mut self, id: NodeId) {
        self.own.changes.remove(&id);
        self.own.fillings.remove(&id);
    }

    /// What this mount did to `name` in `directory`, and when, as far as that is remembered;
    /// `None` in it for a name that was taken away.
    pub(super) fn changed(
        &self,
        directory: NodeId,
        name: &str,
    ) -> Option<(Time, Option<&Arc<Fact>>)> {
        let (at, fact) = self.own.changes.get(&directory)?.get(name)?.since.as_ref()?;
        Some((*at, fact.as_ref()))
    }

    /// Whether nobody but a writer can have the file `id`: it can then be replaced as it is.
    pub(crate) fn is_untouched(&self, id: NodeId) -> bool {
        self.nodes.get(&id).is_some_and(|node| !node.served && node.opens == 0)
    }

    /// Whether something has just been seen of `name` in `parent`, not longer than `age` ago, and
    /// what: its node, or nothing.
    pub(crate) fn just_seen(
        &self,
        parent: NodeId,
        name: &str,
        now: Time,
        age: Duration,
    ) -> Option<Option<NodeId>> {
        let young = |seen: u64| now.since(Time(Duration::from_millis(seen))) <= age;
        if let Some(id) = self.current(parent, name) {
            let node = self.nodes.get(&id)?;
            return (young(node.seen) && !node.gone).then_some(Some(id));
        }
        let hash = path::child(self.nodes.get(&parent)?, name);
        let seen = self.absences.get(hash, parent, name)?;
        young(seen).then_some(None)
    }
}

impl Node {
    /// Whether it is there because of this mount alone.
    fn is_own(&self) -> bool {
        self.kept || self.fact.is_unpublished()
    }
}

/// What is to be shown for a listed name, which is struck off the changes. A directory in the
/// store comes before a file here.
pub(crate) fn amend(changes: &mut Amended, listed: &Arc<Fact>) -> Option<Arc<Fact>> {
    match changes.remove(&listed.name) {
        Some(Some(_)) if listed.kind == Kind::Directory => Some(listed.clone()),
        Some(change) => change,
        None => Some(listed.clone()),
    }
}

/// All that is to be shown for listed names.
pub(super) fn amend_all(mut changes: Amended, listed: &[Arc<Fact>]) -> Vec<Arc<Fact>> {
    let mut all: Vec<_> = listed.iter().filter_map(|fact| amend(&mut changes, fact)).collect();
    all.extend(changes.into_values().flatten());
    all
}

/// The first millisecond in which what happened by `time` is over: what was seen then or later
/// was seen after it.
fn after(time: Time) -> u64 {
    millis(time).saturating_add(1)
}
