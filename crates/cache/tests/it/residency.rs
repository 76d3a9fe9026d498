//! Filling the cache before anybody reads, and saying what is there.

use std::sync::Arc;
use std::time::Duration;

use cache::{Cache, Limit, Options, Residency, Room, Unkept};
use object::{BLOCK, Clock, ErrorKind, Span, Version};

use crate::harness::{Mount, Node, PART, content, parts, scope, until};

const SIZE: u64 = 3 * PART + 12_345;

impl Mount {
    async fn keep(&self, node: &Node, version: &Arc<Version>, span: Span) -> Result<(), Unkept> {
        let lease = node.budget.lease(span.len()).await;
        self.cached.keep(version, span, lease).await
    }

    async fn keep_all(&self, node: &Node, version: &Arc<Version>) {
        for span in parts(version.size) {
            self.keep(node, version, span).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_told_block_by_block_and_only_the_rest_is_fetched() {
    let node = Node::new();
    let version = node.put("jar", SIZE).await;
    let mount = node.mount();
    let nothing = Residency { bytes: 0, complete: false, pinned: false };
    assert_eq!(mount.cached.residency(&version).await, nothing);
    assert_eq!(mount.cached.absent(&version).await, [version.whole()]);
    let middle = Span::new(PART, PART + 2 * BLOCK);
    mount.keep(&node, &version, middle).await.unwrap();
    let left = [Span::new(0, middle.start), Span::new(middle.end, SIZE)];
    assert_eq!(mount.cached.residency(&version).await.bytes, 2 * BLOCK);
    assert_eq!(mount.cached.absent(&version).await, left);
    assert!(!mount.cached.sealed(&version).await);
    mount.keep_all(&node, &version).await;
    let found = mount.cached.residency(&version).await;
    assert_eq!(found, Residency { bytes: SIZE, complete: true, pinned: false });
    assert!(mount.cached.absent(&version).await.is_empty());
    let fetched: u64 = node.store.take_spans().iter().map(|span| span.len()).sum();
    assert_eq!((fetched, mount.cache.counts().served_bytes), (SIZE, 0));
    assert_eq!(node.budget.used(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_is_sealed_and_read_by_the_next_process_without_a_request() {
    let node = Node::new();
    let versions = [node.put("jar", SIZE).await, node.put("small", 77).await];
    let mount = node.mount();
    for version in &versions {
        mount.keep_all(&node, version).await;
        assert!(mount.cached.sealed(version).await);
    }
    mount.end().await;
    node.store.take_spans();
    let mount = node.mount();
    for version in &versions {
        assert!(mount.cached.sealed(version).await);
        let bytes = mount.read_all(version).await.unwrap();
        assert_eq!(bytes, content(version.key.as_str(), version.size));
    }
    assert!(node.store.take_spans().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_and_those_who_keep_share_their_fetches() {
    let node = Node::new();
    node.store.set_latency(Duration::from_millis(50));
    let version = node.put("jar", SIZE).await;
    let mount = node.mount();
    let reading = mount.read_all(&version);
    let keeping = mount.keep_all(&node, &version);
    let (bytes, ()) = tokio::join!(reading, keeping);
    assert_eq!(bytes.unwrap(), content("jar", SIZE));
    let fetched: u64 = node.store.take_spans().iter().map(|span| span.len()).sum();
    assert_eq!(fetched, SIZE);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_is_finished_when_nobody_waits_any_more() {
    let node = Node::new();
    node.store.set_latency(Duration::from_millis(50));
    let version = node.put("jar", PART).await;
    let mount = node.mount();
    let begun = mount.keep(&node, &version, version.whole());
    assert!(tokio::time::timeout(Duration::from_millis(10), begun).await.is_err());
    until("it is kept", || mount.cache.counts().filled_bytes == PART).await;
    until("all memory is free", || node.budget.used() == 0).await;
    assert!(mount.cached.sealed(&version).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_no_room_for_is_not_fetched() {
    let node = Node::new();
    let version = node.put("jar", SIZE).await;
    let clock = Clock::start();
    let options = Options {
        dir: node.path(),
        boot: "boot-1".into(),
        budget: node.budget.clone(),
        clock: clock.clone(),
        spacious: Room::spacious(Limit::Bytes(4 << 20), clock),
        fresh: u64::MAX,
    };
    let cached = Cache::open(options).unwrap().around(scope(), node.store.clone());
    let lease = node.budget.lease(PART).await;
    let kept = cached.keep(&version, Span::new(0, PART), lease).await;
    assert!(matches!(kept, Err(Unkept::NoRoom)), "{kept:?}");
    assert!(node.store.take_spans().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_refuses_is_told() {
    let node = Node::new();
    let version = node.put("jar", PART).await;
    node.store.set_failing(Some(ErrorKind::Denied));
    let mount = node.mount();
    match mount.keep(&node, &version, version.whole()).await {
        Err(Unkept::Store(error)) => assert_eq!(error.kind(), ErrorKind::Denied),
        other => panic!("{other:?}"),
    }
    node.store.set_failing(None);
    mount.keep_all(&node, &version).await;
    assert!(mount.cached.residency(&version).await.complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_set_and_taken_back_and_needs_an_object() {
    let node = Node::new();
    let version = node.put("jar", 5).await;
    let mount = node.mount();
    assert!(!mount.cached.pin(&version, true).await);
    mount.keep_all(&node, &version).await;
    for pinned in [true, false] {
        assert!(mount.cached.pin(&version, pinned).await);
        assert_eq!(mount.cached.residency(&version).await.pinned, pinned);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_object_is_complete_without_anything() {
    let node = Node::new();
    let version = node.put("empty", 0).await;
    let mount = node.mount();
    assert!(mount.cached.residency(&version).await.complete);
    assert!(mount.cached.absent(&version).await.is_empty());
    assert!(mount.cached.sealed(&version).await);
}
