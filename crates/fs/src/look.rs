//! Looking at names: lookup and getattr.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use object::{Result as StoreResult, Time};

use crate::attr::{Attr, HandleId, Kind, Lookup, NodeId, ROOT};
use crate::errno::Errno;
use crate::fact::Fact;
use crate::filesystem::{Fs, Shared};
use crate::names;
use crate::probe::{Found, Probe, probe};
use crate::tree::{Known, Tree, Trust};
use crate::ttl::GRANT;

/// What a look at the store showed of a name, and when.
#[derive(Clone)]
pub(crate) struct Sight {
    fact: Option<Arc<Fact>>,
    seen: Time,
}

/// How old an answer may be that a look is satisfied with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// As old as the TTL allows: an earlier process may have kept it.
    Ttl,
    /// The store has to be asked now.
    None,
}

impl Fs {
    /// What `name` in the directory `parent` stands for. Counts one lookup when it is found. Must be
    /// called inside a runtime.
    ///
    /// # Errors
    /// [`Errno::Invalid`] and [`Errno::NameTooLong`] for a name no key can have;
    /// [`Errno::NotDirectory`]; [`Errno::Stale`] for a parent that is not known;
    /// [`Errno::Access`] and [`Errno::Io`] when the store does not say.
    pub async fn lookup(&self, parent: NodeId, name: &[u8]) -> Result<Lookup, Errno> {
        let name = names::component(name)?;
        let shared = &self.shared;
        if let Some(known) = shared.recall(parent, name)? {
            if matches!(known, Lookup::Absent { .. }) {
                shared.list_again_for_absences(parent);
            }
            return Ok(known);
        }
        if shared.list_for_absences(parent).await
            && let Some(known) = shared.recall(parent, name)?
        {
            return Ok(known);
        }
        let sight = shared.look("lookup", parent, name, Age::Ttl).await?;
        let mut tree = shared.tree();
        let now = shared.clock.now();
        match shared.learn(&mut tree, parent, name, &sight) {
            Some(id) => {
                let entry = shared.entry(&mut tree, id, now).ok_or(Errno::Stale)?;
                Ok(Lookup::Found(entry))
            }
            None => {
                let ttl = shared.policy.absent_left(sight.seen, now).unwrap_or_default();
                Ok(Lookup::Absent { ttl })
            }
        }
    }

    /// The attributes of `node`, and how long the kernel may show them without asking. An open
    /// file's are those of the version that was opened, whatever its name stands for by now.
    ///
    /// # Errors
    /// [`Errno::Stale`] for a node that is not known, or whose name stands for something else;
    /// [`Errno::NotFound`] when it stands for nothing; [`Errno::Access`] and [`Errno::Io`] when
    /// the store does not say.
    pub async fn getattr(
        &self,
        node: NodeId,
        handle: Option<HandleId>,
    ) -> Result<(Attr, Duration), Errno> {
        let shared = &self.shared;
        let Some((parent, name)) = shared.must_look(node, handle)? else {
            return shared.own_attr(node);
        };
        let sight = shared.look("getattr", parent, &name, Age::Ttl).await?;
        let mut tree = shared.tree();
        match shared.learn(&mut tree, parent, &name, &sight) {
            Some(id) if id == node || tree.is_same(id, node) => {}
            Some(_) => return Err(Errno::Stale),
            None => return Err(Errno::NotFound),
        }
        drop(tree);
        shared.own_attr(node)
    }
}

impl Shared {
    /// The answer to a lookup, when memory has it.
    fn recall(&self, parent: NodeId, name: &str) -> Result<Option<Lookup>, Errno> {
        let mut tree = self.tree();
        let now = self.clock.now();
        match tree.node(parent).ok_or(Errno::Stale)?.fact.kind {
            Kind::Directory => {}
            Kind::File => return Err(Errno::NotDirectory),
        }
        Ok(match tree.know(parent, name, now, Trust::Shown) {
            Known::Present(fact, seen) => {
                let id = tree.admit(parent, &fact, seen).ok_or(Errno::Stale)?;
                self.entry(&mut tree, id, now).map(Lookup::Found)
            }
            Known::Absent(ttl) => Some(Lookup::Absent { ttl }),
            Known::Unknown => None,
        })
    }

    /// The name to look at before the attributes of `node` may be shown; `None` when what is
    /// known will do.
    fn must_look(
        &self,
        id: NodeId,
        handle: Option<HandleId>,
    ) -> Result<Option<(NodeId, Box<str>)>, Errno> {
        let tree = self.tree();
        let node = tree.node(id).ok_or(Errno::Stale)?;
        let (parent, name) = (node.parent, &node.fact.name);
        if id == ROOT || handle.is_some() || node.is_open() || !tree.is_current(id) {
            return Ok(None);
        }
        match tree.know(parent, name, self.clock.now(), Trust::Shown) {
            Known::Present(fact, _) if fact.same_version(&node.fact) => Ok(None),
            Known::Present(..) => Err(Errno::Stale),
            Known::Absent(_) => Err(Errno::NotFound),
            Known::Unknown => Ok(Some((parent, name.clone()))),
        }
    }

    pub(crate) fn own_attr(&self, id: NodeId) -> Result<(Attr, Duration), Errno> {
        let tree = self.tree();
        let node = tree.node(id).ok_or(Errno::Stale)?;
        let ttl = tree.ttl(id, self.clock.now());
        Ok((self.attr(&tree, id, node), ttl))
    }

    /// Asks the store for `name` in `parent`, with all who ask at the same time.
    pub(crate) async fn look(
        self: &Arc<Self>,
        operation: &'static str,
        parent: NodeId,
        name: &str,
        age: Age,
    ) -> Result<Sight, Errno> {
        let (path, doubted) = {
            let tree = self.tree();
            (names::join(&tree.key(parent), name)?, tree.is_doubted(parent, name))
        };
        let now = self.clock.now();
        // What the store has denied since is not to be heard again from an earlier answer.
        let since = if doubted || age == Age::None { now } else { self.policy.oldest(now) };
        // An open in minimal mode must not be answered by a question asked long before it.
        let age = if self.policy.opens_look() { GRANT } else { Duration::MAX };
        let (shared, asked) = (self.clone(), path.clone());
        let flight = self.looks.join((parent, name.into()), (now, age), || {
            async move { shared.ask(&asked, now, since).await }.boxed()
        });
        flight.await.map_err(|error| Errno::of(error.kind()).report(operation, &path, &error))
    }

    async fn ask(&self, path: &str, asked: Time, since: Time) -> StoreResult<Sight> {
        let Probe { mut found, mut fetched } = probe(&*self.store, path, since).await?;
        if let (Found::Nothing, Some(then)) = (&found, fetched)
            && then < asked
            && self.policy.absent_left(then, asked).is_none()
        {
            // An old answer tells what was there, not what has come since.
            Probe { found, fetched } = probe(&*self.store, path, asked).await?;
        }
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        let fact = match found {
            Found::Directory => Some(Fact::directory(name)),
            Found::File(meta) => Some(Fact::file(name, &meta, self.listed(&meta))),
            Found::Nothing => None,
        };
        // What minimal mode trusts for 100 ms has to be counted from the answer, or a store that
        // takes as long would be asked again by each call of one open.
        let seen = match self.policy.opens_look() {
            true => self.clock.now(),
            false => fetched.map_or(asked, |fetched| fetched.min(asked)),
        };
        Ok(Sight { fact, seen })
    }

    /// Takes into the tree what was seen of a name, and answers the node it stands for.
    pub(crate) fn learn(
        &self,
        tree: &mut Tree,
        parent: NodeId,
        name: &str,
        sight: &Sight,
    ) -> Option<NodeId> {
        match &sight.fact {
            Some(fact) => {
                let id = tree.admit(parent, fact, sight.seen)?;
                if self.policy.opens_look() && fact.kind == Kind::File {
                    tree.grant(id, self.clock.now());
                }
                Some(id)
            }
            None => {
                tree.vanish(parent, name, sight.seen);
                // It is still there if it was made here, or since.
                tree.current(parent, name)
            }
        }
    }
}
