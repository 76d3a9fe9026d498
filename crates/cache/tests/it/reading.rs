//! What is asked of the store, and what is read from the disk instead.

use std::time::Duration;

use cache::{Cache, Options, Unlimited};
use object::{BLOCK, Budget, CHUNK, Clock, ErrorKind, Source, Span};

use crate::harness::{Node, PART, content, parts, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_read_asks_for_exactly_the_plan_and_a_second_one_for_nothing() {
    let node = Node::new();
    let version = node.put("a.jar", 2 * PART + 3 * BLOCK + 77).await;
    let mount = node.mount();
    assert_eq!(mount.cached.grain(), BLOCK);
    mount.fill(&version).await;
    assert_eq!(node.store.take_spans(), parts(version.size));
    assert_eq!(mount.read_all(&version).await.unwrap(), content("a.jar", version.size));
    assert_eq!(node.store.take_counts().reads, 3);
    assert_eq!(mount.cache.counts().served_bytes, version.size);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_readers_at_once_cause_one_plan() {
    let node = Node::new();
    let version = node.put("a.jar", 3 * PART + 5).await;
    node.store.set_latency(Duration::from_millis(20));
    let mount = node.mount();
    let whole = content("a.jar", version.size);
    let reads = (0..16).map(|_| mount.read_all(&version));
    for read in futures_util::future::join_all(reads).await {
        assert!(read.unwrap() == whole);
    }
    let counts = node.store.take_counts();
    assert_eq!((counts.reads, counts.bytes), (4, version.size));
}

#[tokio::test(flavor = "multi_thread")]
async fn mounts_that_share_a_directory_cause_one_plan() {
    let node = Node::new();
    let version = node.put("a.jar", 3 * PART + 5).await;
    node.store.set_latency(Duration::from_millis(20));
    let mounts = [node.mount(), node.mount(), node.mount()];
    let whole = content("a.jar", version.size);
    for read in futures_util::future::join_all(mounts.iter().map(|m| m.read_all(&version))).await {
        assert!(read.unwrap() == whole);
    }
    let counts = node.store.take_counts();
    assert_eq!((counts.reads, counts.bytes), (4, version.size));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_outlives_a_process_that_just_ends() {
    let node = Node::new();
    let version = node.put("a.jar", PART + BLOCK).await;
    let mount = node.mount();
    mount.fill(&version).await;
    mount.end().await;
    node.store.take_counts();
    let again = node.mount();
    assert!(again.read_all(&version).await.unwrap() == content("a.jar", version.size));
    assert_eq!(node.store.take_counts().reads, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_is_another_object() {
    let node = Node::new();
    let old = node.put("a.jar", BLOCK).await;
    let mount = node.mount();
    mount.fill(&old).await;
    let new = node.put("a.jar", BLOCK).await;
    mount.fill(&new).await;
    assert_eq!(node.store.take_counts().reads, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_absent_runs_are_fetched() {
    let node = Node::new();
    let version = node.put("a.jar", PART).await;
    let mount = node.mount();
    let some = Span::new(2 * BLOCK, 4 * BLOCK);
    mount.read(&version, some).await.unwrap();
    until("it is kept", || mount.cache.counts().filled_bytes == 2 * BLOCK).await;
    let read = mount.read(&version, version.whole()).await.unwrap();
    assert!(read == content("a.jar", PART));
    let spans = [some, Span::new(0, 2 * BLOCK), Span::new(4 * BLOCK, PART)];
    assert_eq!(node.store.take_spans(), spans);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_inside_a_block_fetches_the_block() {
    let node = Node::new();
    let version = node.put("a.jar", 3 * BLOCK + 10).await;
    let mount = node.mount();
    let whole = content("a.jar", version.size);
    for (start, end) in [(BLOCK + CHUNK, BLOCK + 2 * CHUNK), (3 * BLOCK, 3 * BLOCK + 10)] {
        let read = mount.read(&version, Span::new(start, end)).await.unwrap();
        let range = usize::try_from(start).unwrap()..usize::try_from(end).unwrap();
        assert!(read == whole[range]);
    }
    until("it is kept", || mount.cache.counts().filled_bytes == BLOCK + 10).await;
    let inside = Span::new(BLOCK + 3 * CHUNK, 2 * BLOCK);
    mount.read(&version, inside).await.unwrap();
    let spans = [Span::new(BLOCK, 2 * BLOCK), Span::new(3 * BLOCK, 3 * BLOCK + 10)];
    assert_eq!(node.store.take_spans(), spans);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_object_is_asked_for_whole() {
    let node = Node::new();
    let mount = node.mount();
    for size in [1, CHUNK, BLOCK - 1, BLOCK, BLOCK + 1, PART] {
        let version = node.put(&format!("small-{size}"), size).await;
        let read = mount.read(&version, version.whole()).await.unwrap();
        assert!(read == content(version.key.as_str(), size));
        assert_eq!(node.store.take_spans(), [version.whole()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_is_finished_when_the_reader_lets_go() {
    let node = Node::new();
    let version = node.put("a.jar", PART).await;
    node.store.set_latency(Duration::from_millis(100));
    let mount = node.mount();
    let lease = node.budget.lease(PART).await;
    let flight = mount.cached.read(&version, version.whole(), lease);
    until("it was asked for", || !node.store.take_spans().is_empty()).await;
    drop(flight);
    until("it is kept", || mount.cache.counts().filled_bytes == PART).await;
    mount.read_all(&version).await.unwrap();
    assert_eq!(node.store.take_counts().reads, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_for_readers_who_are_gone_is_kept_to_the_last_byte() {
    let node = Node::new();
    let version = node.put("a.jar", 8 * PART).await;
    node.store.set_latency(Duration::from_millis(500));
    let mount = node.mount();
    let mut flights = Vec::new();
    for span in parts(version.size) {
        let lease = node.budget.lease(PART).await;
        flights.push(mount.cached.read(&version, span, lease));
    }
    let mut asked = 0;
    until("all was asked for", || {
        asked += node.store.take_spans().len();
        asked == 8
    })
    .await;
    assert_eq!(node.budget.used(), 8 * PART);
    drop(flights);
    until("all is kept", || mount.cache.counts().filled_bytes == 8 * PART).await;
    until("no memory is held", || node.budget.used() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_the_store_reaches_the_reader_and_nothing_of_it_stays() {
    let node = Node::new();
    let version = node.put("a.jar", PART).await;
    let mount = node.mount();
    node.store.set_failing(Some(ErrorKind::Server));
    let error = mount.read_all(&version).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server);
    node.store.set_failing(None);
    assert!(mount.read_all(&version).await.unwrap() == content("a.jar", PART));
    until("no memory is held", || node.budget.used() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_memory_is_enough_and_given_back() {
    let mut node = Node::new();
    node.budget = Budget::new(2 * PART);
    let version = node.put("a.jar", 10 * PART).await;
    let mount = node.mount();
    let whole = content("a.jar", version.size);
    for _ in 0..3 {
        assert!(mount.read_all(&version).await.unwrap() == whole);
    }
    let counts = node.store.take_counts();
    assert_eq!((counts.reads, counts.bytes), (10, version.size));
    until("no memory is held", || node.budget.used() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_end_reads_go_on_and_nothing_is_written() {
    let node = Node::new();
    let (one, two) = (node.put("one", BLOCK).await, node.put("two", BLOCK).await);
    let mount = node.mount();
    mount.read_all(&one).await.unwrap();
    mount.cache.close().await;
    assert!(mount.read_all(&one).await.unwrap() == content("one", BLOCK));
    assert!(mount.read_all(&two).await.unwrap() == content("two", BLOCK));
    assert!(!node.file(&two, "map").exists());
    assert_eq!(node.store.take_counts().reads, 2);
    let next = node.mount_in_boot("boot-2");
    next.read_all(&one).await.unwrap();
    assert_eq!(next.cache.counts().served_bytes, BLOCK);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_buckets_never_share_bytes() {
    let node = Node::new();
    let version = node.put("a.jar", BLOCK).await;
    let mount = node.mount();
    mount.fill(&version).await;
    let cache = Cache::open(Options {
        dir: node.path(),
        boot: "boot-1".into(),
        budget: node.budget.clone(),
        clock: Clock::start(),
        spacious: Unlimited::spacious(),
        fresh: u64::MAX,
    });
    let scope = cache::Scope { bucket: "others".into(), ..crate::harness::scope() };
    let other = cache.unwrap().around(scope, node.store.clone());
    let lease = node.budget.lease(BLOCK).await;
    other.read(&version, version.whole(), lease).landed(0).await.unwrap();
    assert_eq!(node.store.take_counts().reads, 2);
}
