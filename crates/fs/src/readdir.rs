//! Reading directories.

use std::collections::VecDeque;
use std::sync::Arc;

use object::{Result as StoreResult, Time};

use crate::attr::{DirEntry, HandleId, Kind, NodeId, ROOT};
use crate::directory::Snapshot;
use crate::errno::Errno;
use crate::fact::Fact;
use crate::filesystem::{Fs, Shared};
use crate::list::{Collected, Place};
use crate::tree::{Amended, Tree, amend};

/// Names before the current one that a stream remembers: more than one reply holds, so that the
/// kernel can ask for the part of a reply again that the application had no room for.
const REMEMBERED: u64 = 2048;
/// The places of `.` and `..`.
const DOTS: u64 = 2;

/// One handle's way over the names of a directory.
pub(crate) enum Pass {
    /// All names are here.
    Whole(Arc<Snapshot>),
    /// They come page by page.
    Stream(Stream),
}

/// The names of a large directory around the place where a handle is.
pub(crate) struct Stream {
    names: VecDeque<(Arc<Fact>, Time)>,
    /// Number of the first of `names`.
    first: u64,
    place: Place,
    began: Time,
    /// What this mount changed, as far as no page showed its name yet.
    left: Amended,
    /// Where each page begins: the number of its first name, how to fetch it, and what was left of
    /// the changes.
    pages: Vec<(u64, Place, Amended)>,
}

impl Fs {
    /// Opens the directory `node`.
    ///
    /// # Errors
    /// [`Errno::Stale`] for a node that is not known; [`Errno::NotDirectory`].
    #[allow(clippy::unused_async)] // a directory may have to be asked for before it is opened
    pub async fn opendir(&self, node: NodeId) -> Result<HandleId, Errno> {
        {
            let mut tree = self.shared.tree();
            match tree.node(node).ok_or(Errno::Stale)?.fact.kind {
                Kind::Directory => tree.open_directory(node),
                Kind::File => return Err(Errno::NotDirectory),
            }
        }
        Ok(self.shared.handles.lock().open_directory(node))
    }

    /// The entries of an open directory from `cookie` on (0, or one that an entry named), as many
    /// as cost no more than `room` together; none at the end. With `plus`, each but `.` and `..`
    /// comes with what a lookup says, and counts as one. From cookie 0 the directory is read
    /// anew.
    ///
    /// Sorted by the bytes of the name, but above 100,000 names in the order of the store.
    ///
    /// # Errors
    /// [`Errno::BadHandle`]; [`Errno::Access`] and [`Errno::Io`] when the store does not say.
    pub async fn readdir(
        &self,
        handle: HandleId,
        cookie: u64,
        room: usize,
        cost: fn(name_len: usize) -> usize,
        plus: bool,
    ) -> Result<Vec<DirEntry>, Errno> {
        let shared = &self.shared;
        let open = shared.handles.lock().directory(handle).ok_or(Errno::BadHandle)?;
        let node = open.node;
        let failed = |error: object::Error| {
            let prefix = shared.tree().key(node);
            Errno::of(error.kind()).report("readdir", &prefix, &error)
        };
        let mut slot = open.pass.lock().await;
        if cookie == 0 {
            *slot = None;
        }
        let pass = match &mut *slot {
            Some(pass) => pass,
            none => none.insert(shared.begin(node).await.map_err(failed)?),
        };
        shared.reach(node, pass, cookie.saturating_sub(DOTS)).await.map_err(failed)?;

        let now = shared.clock.now();
        let mut tree = shared.tree();
        tree.extend_window(node, pass.began(), now);
        let mut entries = Vec::new();
        let mut left = room;
        for number in cookie..u64::MAX {
            let Some(entry) = shared.dir_entry(&tree, node, pass, number) else { break };
            let Some(rest) = left.checked_sub(cost(entry.name.len())) else { break };
            left = rest;
            let told = plus.then(|| pass.name(number)).flatten();
            let entry = match told {
                Some((fact, seen)) => {
                    DirEntry { entry: shared.tell(&mut tree, node, fact, seen), ..entry }
                }
                None => entry,
            };
            entries.push(entry);
        }
        Ok(entries)
    }
}

impl Shared {
    /// Begins a pass over the directory `node`.
    async fn begin(self: &Arc<Self>, node: NodeId) -> StoreResult<Pass> {
        let known = self.tree().snapshot(node, self.clock.now());
        if let Some(snapshot) = known {
            return Ok(Pass::Whole(self.amended(node, snapshot)));
        }
        Ok(match self.collect(node).await? {
            Collected::Whole(snapshot) => Pass::Whole(self.amended(node, snapshot)),
            Collected::Head(head) => {
                let own = self.tree().amendments(node, head.fetched);
                let mut left = own.clone();
                let shown = head.names.iter().filter_map(|fact| amend(&mut left, fact));
                let names = shown.map(|fact| (fact, head.fetched)).collect();
                let pages = vec![(0, Place::default(), own)];
                let (place, began) = (head.place.clone(), head.fetched);
                Pass::Stream(Stream { names, first: 0, place, began, left, pages })
            }
        })
    }

    /// A listing of `node` with what this mount changed since.
    fn amended(&self, node: NodeId, listed: Arc<Snapshot>) -> Arc<Snapshot> {
        match self.tree().amended(node, listed.facts(), listed.fetched) {
            Some(facts) => Arc::new(Snapshot::new(facts, listed.fetched, None)),
            None => listed,
        }
    }

    /// Sees to it that the name with this number is here, if there is one.
    async fn reach(&self, node: NodeId, pass: &mut Pass, number: u64) -> StoreResult<()> {
        let Pass::Stream(stream) = pass else { return Ok(()) };
        let prefix = self.tree().key(node);
        stream.go_back(number);
        while number >= stream.end() && !stream.place.is_over() {
            let begins = (stream.end(), stream.place.clone(), stream.left.clone());
            let (mut place, mut names) = (stream.place.clone(), Vec::new());
            let seen = self.next_page(&prefix, &mut place, &mut names).await?;
            stream.pages.push(begins);
            stream.place = place;
            let mut shown: Vec<_> =
                names.iter().filter_map(|fact| amend(&mut stream.left, fact)).collect();
            if stream.place.is_over() {
                shown.extend(std::mem::take(&mut stream.left).into_values().flatten());
            }
            stream.names.extend(shown.into_iter().map(|fact| (fact, seen)));
            stream.let_go(number);
        }
        Ok(())
    }

    fn dir_entry(&self, tree: &Tree, node: NodeId, pass: &Pass, number: u64) -> Option<DirEntry> {
        let directory = tree.node(node)?;
        let (name, kind, ino): (&[u8], _, _) = match number {
            0 => (b".", Kind::Directory, self.attr(tree, node, directory).ino),
            1 => {
                let above = directory.parent;
                (
                    b"..",
                    Kind::Directory,
                    tree.node(above).map_or(ROOT, |n| self.attr(tree, above, n).ino),
                )
            }
            _ => {
                let (fact, _) = pass.name(number)?;
                (fact.name.as_bytes(), fact.kind, directory.child_ino(fact))
            }
        };
        Some(DirEntry { cookie: number + 1, name: name.into(), kind, ino, entry: None })
    }

    /// What a lookup would say of a listed name, unless more is known of it since.
    fn tell(
        &self,
        tree: &mut Tree,
        parent: NodeId,
        fact: &Arc<Fact>,
        seen: Time,
    ) -> Option<crate::attr::Entry> {
        let id = tree.admit(parent, fact, seen)?;
        if tree.node(id)?.is_gone() {
            return None;
        }
        self.entry(tree, id, self.clock.now())
    }
}

impl Pass {
    /// The name at this place of the directory, where it is here.
    fn name(&self, number: u64) -> Option<(&Arc<Fact>, Time)> {
        let number = number.checked_sub(DOTS)?;
        match self {
            Self::Whole(snapshot) => {
                let fact = snapshot.facts().get(usize::try_from(number).ok()?)?;
                Some((fact, snapshot.fetched))
            }
            Self::Stream(stream) => {
                let index = usize::try_from(number.checked_sub(stream.first)?).ok()?;
                stream.names.get(index).map(|(fact, seen)| (fact, *seen))
            }
        }
    }

    fn began(&self) -> Time {
        match self {
            Self::Whole(snapshot) => snapshot.fetched,
            Self::Stream(stream) => stream.began,
        }
    }
}

impl Stream {
    /// Number after the last name that is here.
    fn end(&self) -> u64 {
        self.first + self.names.len() as u64
    }

    /// Goes back to the page in which `number` is, when that was let go of.
    fn go_back(&mut self, number: u64) {
        if number >= self.first {
            return;
        }
        while self.pages.len() > 1 && self.pages.last().is_some_and(|(first, ..)| *first > number) {
            self.pages.pop();
        }
        if let Some((first, place, left)) = self.pages.pop() {
            self.names.clear();
            self.first = first;
            self.place = place;
            self.left = left;
        }
    }

    /// Lets go of names that lie well before `number`.
    fn let_go(&mut self, number: u64) {
        let gone = number.saturating_sub(REMEMBERED).saturating_sub(self.first);
        let gone = usize::try_from(gone).unwrap_or(usize::MAX).min(self.names.len());
        self.names.drain(..gone);
        self.first += gone as u64;
    }
}
