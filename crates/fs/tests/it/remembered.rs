//! Over a store that remembers listings, as one behind a node cache does: what a file system that
//! starts anew still has to ask for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fs::{Config, Errno, ROOT, Ttl};
use object::{
    Clock, Flight, Key, Lease, Listing, ListingRequest, MemStore, Meta, Result, Source, Span,
    Store, Time, Version,
};

use crate::mount::{MINUTE, Mount, THEN, config, over};

type Question = (String, bool, u16, Option<String>);

struct Remembering {
    store: Arc<MemStore>,
    pages: Mutex<HashMap<Question, Listing>>,
}

impl Source for Remembering {
    fn read(&self, version: &Arc<Version>, span: Span, lease: Lease) -> Arc<Flight> {
        self.store.read(version, span, lease)
    }
}

#[async_trait]
impl Store for Remembering {
    async fn head(&self, key: &Key) -> Result<Meta> {
        self.store.head(key).await
    }

    async fn list(&self, request: &ListingRequest) -> Result<Listing> {
        let page = self.store.list(request).await?;
        let ListingRequest { prefix, delimited, max_keys, token } = request.clone();
        self.pages.lock().unwrap().insert((prefix, delimited, max_keys, token), page.clone());
        Ok(page)
    }

    async fn list_since(&self, request: &ListingRequest, since: Time) -> Result<Listing> {
        let ListingRequest { prefix, delimited, max_keys, token } = request.clone();
        let page = self.pages.lock().unwrap().get(&(prefix, delimited, max_keys, token)).cloned();
        match page.filter(|page| page.fetched >= since) {
            Some(page) => Ok(page),
            None => self.list(request).await,
        }
    }
}

/// A node: mounts on it come and go, what was listed stays.
struct Node {
    memory: Arc<Remembering>,
    clock: Clock,
    config: Config,
}

impl Node {
    fn new(ttl: Ttl) -> Self {
        let clock = Clock::start();
        let store = MemStore::new(clock.clone());
        let memory = Arc::new(Remembering { store, pages: Mutex::default() });
        Self { memory, clock, config: config(ttl) }
    }

    fn mount(&self) -> Mount {
        let fs = over(self.memory.clone(), &self.clock, self.config.clone());
        Mount::of(self.memory.store.clone(), fs, self.clock.clone())
    }
}

#[tokio::test]
async fn an_indefinite_mount_that_starts_anew_asks_for_nothing_it_has_seen() {
    let node = Node::new(Ttl::Indefinite);
    let first = node.mount();
    first.fill("d/f", 2500);
    first.put("other/x", "xyz");
    assert_eq!(first.ls(first.walk("d").await.unwrap().node).await.unwrap().len(), 2500);
    assert_eq!(first.cat("other/x").await.unwrap(), "xyz");
    drop(first);
    let again = node.mount();
    again.asked();
    again.pass(Duration::from_secs(1_000_000));
    assert_eq!(again.ls(again.walk("d").await.unwrap().node).await.unwrap().len(), 2500);
    assert_eq!(again.cat("other/x").await.unwrap(), "xyz");
    assert_eq!(again.asked(), (0, 0, 1));
}

#[tokio::test]
async fn a_ttl_goes_on_from_where_it_was() {
    let node = Node::new(MINUTE);
    let first = node.mount();
    first.put("a", "one");
    first.ls(ROOT).await.unwrap();
    first.pass(Duration::from_secs(40));
    let again = node.mount();
    again.asked();
    let entry = again.walk("a").await.unwrap();
    assert_eq!(again.asked(), (0, 1, 0), "a lone lookup is another question than a listing");
    assert!(entry.ttl > Duration::from_secs(59), "{:?}", entry.ttl);
    again.ls(ROOT).await.unwrap();
    assert_eq!(again.asked(), (0, 0, 0));
    again.pass(Duration::from_secs(21));
    let third = node.mount();
    third.ls(ROOT).await.unwrap();
    assert_eq!(third.asked(), (0, 1, 0));
    let entry = third.walk("a").await.unwrap();
    assert!(entry.ttl <= Duration::from_secs(60), "{:?}", entry.ttl);
}

#[tokio::test]
async fn what_an_old_answer_does_not_show_may_have_come_since() {
    let node = Node::new(Ttl::Indefinite);
    let first = node.mount();
    first.put("name-2", "x");
    assert_eq!(first.find(ROOT, "name").await, Err(Errno::NotFound));
    first.ls(ROOT).await.unwrap();
    first.put("name", "new");
    first.pass(Duration::from_secs(6));
    let again = node.mount();
    again.asked();
    assert_eq!(again.cat("name").await.unwrap(), "new");
    assert_eq!(again.asked(), (0, 1, 1));
}

#[tokio::test]
async fn a_version_the_store_denies_is_not_heard_of_again_from_an_old_answer() {
    let node = Node::new(Ttl::Indefinite);
    let first = node.mount();
    first.put("a", "old");
    first.ls(ROOT).await.unwrap();
    first.store.put("a", *b"newer", THEN);
    let again = node.mount();
    again.ls(ROOT).await.unwrap();
    let (_, handle) = again.open("a").await.unwrap();
    assert_eq!(again.read(handle).await, Err(Errno::Stale));
    assert_eq!(again.cat("a").await.unwrap(), "newer");
}

#[tokio::test]
async fn minimal_mode_hears_from_the_store_itself() {
    let node = Node::new(Ttl::Minimal);
    let first = node.mount();
    first.put("a", "one");
    first.ls(ROOT).await.unwrap();
    let again = node.mount();
    again.asked();
    again.ls(ROOT).await.unwrap();
    assert_eq!(again.asked(), (0, 1, 0));
}
