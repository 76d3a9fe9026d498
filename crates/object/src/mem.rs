//! A store in memory, for tests of the layers above.

mod sink;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use sink::Uploads;
pub use sink::{MemWrites, Mishap};

use crate::{
    Clock, ETag, Error, ErrorKind, Flight, Key, Lease, Listing, ListingRequest, Meta, Pilot,
    Result, Source, Span, StorageState, Store, Time, Version,
};

/// How often a [`MemStore`] was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemCounts {
    /// Calls of [`Source::read`].
    pub reads: u64,
    /// Bytes asked for by them.
    pub bytes: u64,
    /// Calls of [`Source::opened`].
    pub opened: u64,
    /// Calls of [`Store::head`].
    pub heads: u64,
    /// Calls of [`Store::list`].
    pub lists: u64,
}

/// A [`Store`] over a sorted map, which counts, can be slow, and can refuse.
pub struct MemStore {
    state: Arc<Mutex<State>>,
    clock: Clock,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, (Meta, Arc<[u8]>)>,
    backings: HashMap<Version, Arc<File>>,
    counts: MemCounts,
    spans: Vec<Span>,
    latency: Duration,
    failing: Option<ErrorKind>,
    denied_lists: Vec<String>,
    puts: u64,
    uploads: Uploads,
}

impl State {
    /// Makes a new version, modified at `modified`, what `key` stands for.
    fn insert(&mut self, key: &Key, bytes: Arc<[u8]>, modified: Time) -> Meta {
        self.puts += 1;
        let etag = ETag::new(&format!("{:032x}", self.puts));
        let version = Version { key: key.clone(), etag, size: bytes.len() as u64 };
        let modified = Time::from_secs(modified.secs());
        let meta = Meta { version, modified, storage: StorageState::Online };
        self.objects.insert(key.as_str().to_owned(), (meta.clone(), bytes));
        meta
    }
}

impl MemStore {
    /// An empty store.
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self { state: Arc::default(), clock })
    }

    /// Puts an object; each put makes a new version, modified at `modified`.
    pub fn put(&self, key: &str, bytes: impl Into<Arc<[u8]>>, modified: Time) {
        if let Ok(name) = Key::new(key) {
            self.lock().insert(&name, bytes.into(), modified);
        }
    }

    /// Marks an object as archived, restored or of unknown state.
    pub fn set_storage(&self, key: &str, storage: StorageState) {
        if let Some((meta, _)) = self.lock().objects.get_mut(key) {
            meta.storage = storage;
        }
    }

    /// From now on `file` is what [`Source::backing`] answers for the version that `key` has
    /// now; without a file, nothing is.
    pub fn set_backing(&self, key: &str, file: Option<Arc<File>>) {
        let mut state = self.lock();
        let Some(version) = state.objects.get(key).map(|(meta, _)| meta.version.clone()) else {
            return;
        };
        match file {
            Some(file) => drop(state.backings.insert(version, file)),
            None => drop(state.backings.remove(&version)),
        }
    }

    /// Deletes an object.
    pub fn delete(&self, key: &str) {
        self.lock().objects.remove(key);
    }

    /// Every later answer takes this long.
    pub fn set_latency(&self, latency: Duration) {
        self.lock().latency = latency;
    }

    /// Every later request fails with this, until it is set to `None`.
    pub fn set_failing(&self, kind: Option<ErrorKind>) {
        self.lock().failing = kind;
    }

    /// Refuses listings of exactly this prefix, as a policy on `s3:prefix` does.
    pub fn deny_list(&self, prefix: &str) {
        self.lock().denied_lists.push(prefix.to_owned());
    }

    /// The counts since the last call of this.
    pub fn take_counts(&self) -> MemCounts {
        std::mem::take(&mut self.lock().counts)
    }

    /// The spans read since the last call of this, in order.
    pub fn take_spans(&self) -> Vec<Span> {
        std::mem::take(&mut self.lock().spans)
    }

    async fn pause(&self) -> Result<()> {
        let (latency, failing) = {
            let state = self.lock();
            (state.latency, state.failing)
        };
        tokio::time::sleep(latency).await;
        failing.map_or(Ok(()), |kind| Err(Error::new(kind, "told to fail")))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Source for MemStore {
    fn opened(&self, _version: &Arc<Version>) {
        self.lock().counts.opened += 1;
    }

    async fn backing(&self, version: &Arc<Version>) -> Option<Arc<File>> {
        self.lock().backings.get(version).cloned()
    }

    fn read(&self, version: &Arc<Version>, span: Span, lease: Lease) -> Arc<Flight> {
        let (flight, pilot) = Flight::new(span, lease);
        let (latency, answer) = {
            let mut state = self.lock();
            state.counts.reads += 1;
            state.counts.bytes += span.len();
            state.spans.push(span);
            let answer = match (state.failing, state.objects.get(version.key.as_str())) {
                (Some(kind), _) => Err(Error::new(kind, "told to fail")),
                (None, None) => Err(Error::new(ErrorKind::NotFound, "no such object")),
                (None, Some((meta, bytes))) if meta.version == **version => Ok(bytes.clone()),
                (None, Some(_)) => Err(Error::new(ErrorKind::Changed, "another version")),
            };
            (state.latency, answer)
        };
        tokio::spawn(async move {
            let wait = tokio::time::sleep(latency);
            let abandoned = tokio::select! {
                () = pilot.abandoned() => true,
                () = wait => false,
            };
            match answer {
                _ if abandoned => drop(pilot),
                Ok(bytes) => land(pilot, &bytes),
                Err(error) => pilot.finish(Err(error)),
            }
        });
        flight
    }
}

fn land(mut pilot: Pilot, bytes: &[u8]) {
    while let Some(mut buffer) = pilot.buffer(0) {
        let start = usize::try_from(pilot.landed()).unwrap_or(usize::MAX);
        let Some(from) = bytes.get(start..).and_then(|b| b.get(..buffer.len())) else { break };
        buffer.copy_from_slice(from);
        pilot.land(buffer);
    }
    pilot.finish(Ok(()));
}

#[async_trait]
impl Store for MemStore {
    async fn head(&self, key: &Key) -> Result<Meta> {
        self.lock().counts.heads += 1;
        self.pause().await?;
        let state = self.lock();
        let found = state.objects.get(key.as_str()).map(|(meta, _)| meta.clone());
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no object {key}")))
    }

    async fn list(&self, request: &ListingRequest) -> Result<Listing> {
        self.lock().counts.lists += 1;
        let fetched = self.clock.now();
        self.pause().await?;
        let state = self.lock();
        if state.denied_lists.contains(&request.prefix) {
            return Err(Error::new(ErrorKind::Denied, "listing of this prefix denied"));
        }
        Ok(page(&state.objects, request, fetched))
    }
}

fn page(
    objects: &BTreeMap<String, (Meta, Arc<[u8]>)>,
    request: &ListingRequest,
    fetched: Time,
) -> Listing {
    let mut listing = Listing { objects: vec![], prefixes: vec![], next: None, fetched };
    let mut last = String::new();
    let after = request.token.clone().unwrap_or_default();
    let keys = objects.range(request.prefix.clone()..);
    for (key, (meta, _)) in keys.take_while(|(k, _)| k.starts_with(&request.prefix)) {
        let rest = &key[request.prefix.len()..];
        let (entry, rolled_up) = match rest.find('/').filter(|_| request.delimited) {
            Some(slash) => (&key[..=request.prefix.len() + slash], true),
            None => (key.as_str(), false),
        };
        if entry <= after.as_str() || entry == last {
            continue;
        }
        if listing.objects.len() + listing.prefixes.len() == usize::from(request.max_keys) {
            listing.next = Some(last);
            return listing;
        }
        match rolled_up {
            true => listing.prefixes.push(entry.to_owned()),
            false => listing.objects.push(meta.clone()),
        }
        last = entry.to_owned();
    }
    listing
}
