//! The names of one directory: from pages of a listing to a snapshot, or to a stream.
//!
//! A store lists by the bytes of whole keys, so the object `a` comes before `a!`, `a-1`, `a.txt`
//! and all that begins like them, and the directory `a/` after: perhaps pages later. A snapshot
//! is complete and simply sorted. A directory too large for one is streamed in the store's order
//! by [`KeyOrder`], which keeps an object back until its directory could no longer come.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use object::{Lease, Listing, Time};

use crate::attr::Kind;
use crate::fact::{Fact, Tag};
use crate::names::{self, Reason, Shown};

/// All names of a directory as one listing showed them, sorted by their bytes.
pub(crate) struct Snapshot {
    facts: Box<[Arc<Fact>]>,
    /// When the first page was asked for.
    pub(crate) fetched: Time,
    /// The memory it takes; given back with it. None when it is not kept.
    lease: Option<Lease>,
}

impl Snapshot {
    /// The snapshot of `facts`, in any order. Of an object and a directory of one name the
    /// directory stays.
    pub(crate) fn new(mut facts: Vec<Arc<Fact>>, fetched: Time, lease: Option<Lease>) -> Self {
        let rank = |fact: &Fact| fact.kind == Kind::File;
        facts.sort_by(|a, b| (&a.name, rank(a)).cmp(&(&b.name, rank(b))));
        facts.dedup_by(|later, kept| later.name == kept.name);
        Self { facts: facts.into(), fetched, lease }
    }

    /// What it takes of the budget, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.lease.as_ref().map_or(0, Lease::bytes)
    }

    /// Whether there was memory to keep it.
    pub(crate) fn is_kept(&self) -> bool {
        self.lease.is_some()
    }

    /// The names in order.
    pub(crate) fn facts(&self) -> &[Arc<Fact>] {
        &self.facts
    }

    /// What is known of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Fact>> {
        let place = self.facts.binary_search_by(|fact| (*fact.name).cmp(name)).ok()?;
        self.facts.get(place)
    }
}

/// What the names of `facts` take in memory, in bytes, with the nodes that are made of them.
pub(crate) fn cost(facts: &[Arc<Fact>]) -> u64 {
    /// A fact with its counts, its place in the snapshot, and the allocator's share.
    const EACH: u64 = 112;
    facts.iter().map(|fact| EACH + fact.name.len() as u64).sum()
}

/// Says once per reason that keys are hidden.
#[derive(Default)]
pub(crate) struct Hidden(Mutex<HashSet<Reason>>);

impl Hidden {
    fn tell(&self, key: &str, reason: Reason) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(reason) {
            let rule = reason.rule();
            tracing::warn!(key = ?key, "hidden, and so are others like it: {rule}");
        }
    }
}

/// A name as a page showed it, with the key or rolled-up prefix it came from.
pub(crate) struct Sighting<'a> {
    key: &'a str,
    pub(crate) fact: Arc<Fact>,
}

/// The names that `page` shows in the directory of `prefix`, in the order of their keys.
/// `tags` says whether the listing's entity tags are the objects' own.
pub(crate) fn sightings<'a>(
    prefix: &str,
    page: &'a Listing,
    tags: bool,
    hidden: &Hidden,
) -> Vec<Sighting<'a>> {
    let mut seen = Vec::with_capacity(page.objects.len() + page.prefixes.len());
    let objects = page.objects.iter().map(|meta| (meta.version.key.as_str(), Some(meta)));
    let prefixes = page.prefixes.iter().map(|prefix| (prefix.as_str(), None));
    for (key, meta) in objects.chain(prefixes) {
        let fact = match (names::shown(prefix, key), meta) {
            (Shown::File(name), Some(meta)) => {
                let tag = if tags { Tag::of(&meta.version.etag) } else { Tag::Unconfirmed };
                Fact::file(name, meta, tag)
            }
            (Shown::Directory(name), _) => Fact::directory(name),
            (Shown::Marker | Shown::File(_), _) => continue,
            (Shown::Hidden(reason), _) => {
                hidden.tell(key, reason);
                continue;
            }
        };
        seen.push(Sighting { key, fact });
    }
    seen.sort_by_key(|sighting| sighting.key);
    seen
}

/// Merges the object and the directory of one name while a listing goes by in the order of keys.
#[derive(Clone, Default)]
pub(crate) struct KeyOrder {
    /// Objects whose directory may still come: each name begins with the one before it.
    held: Vec<Arc<Fact>>,
}

impl KeyOrder {
    /// Takes the next name, and appends to `out` what can no longer change.
    pub(crate) fn push(&mut self, sighting: Sighting<'_>, prefix: &str, out: &mut Vec<Arc<Fact>>) {
        let key = sighting.key.strip_prefix(prefix).unwrap_or(sighting.key);
        self.held.retain(|held| {
            let directory = held.name.bytes().chain(*b"/");
            match key.bytes().take(held.name.len() + 1).cmp(directory) {
                // The key lies before `held/`: it can still come.
                std::cmp::Ordering::Less => true,
                std::cmp::Ordering::Equal => false,
                std::cmp::Ordering::Greater => {
                    out.push(held.clone());
                    false
                }
            }
        });
        match sighting.fact.kind {
            Kind::File => self.held.push(sighting.fact),
            Kind::Directory => out.push(sighting.fact),
        }
    }

    /// Appends what was kept back to the end.
    pub(crate) fn finish(&mut self, out: &mut Vec<Arc<Fact>>) {
        out.append(&mut self.held);
    }
}

#[cfg(test)]
mod tests;
