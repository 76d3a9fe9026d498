//! Complete objects as files.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::time::UNIX_EPOCH;

use cache::{Directory, Identity, Opened};
use object::{BLOCK, Source};

use crate::harness::{Node, PART, bytes_of, content, scope, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_object_becomes_a_file_that_can_only_be_read() {
    let node = Node::new();
    let version = node.put("a.jar", PART + 3).await;
    let mount = node.mount();
    assert!(mount.cached.backing(&version).await.is_none());
    assert!(!node.file(&version, "map").exists(), "asking makes nothing");
    mount.fill(&version).await;
    let file = mount.file(&version).await;
    assert!(bytes_of(&file) == content("a.jar", PART + 3));
    assert!(file.write_all_at(b"x", 0).is_err());
    until("the seal is counted", || mount.cache.counts().seals == 1).await;
    assert_eq!(mount.cache.counts().verifications, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_object_is_no_file() {
    let node = Node::new();
    let version = node.put("a.jar", PART).await;
    let mount = node.mount();
    mount.read(&version, object::Span::new(0, PART - BLOCK)).await.unwrap();
    until("it is kept", || mount.cache.counts().filled_bytes == PART - BLOCK).await;
    assert!(mount.cached.backing(&version).await.is_none());
    mount.read(&version, object::Span::new(PART - BLOCK, PART)).await.unwrap();
    mount.file(&version).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_process_hands_out_a_sealed_file_at_once() {
    let node = Node::new();
    let version = node.put("a.jar", PART).await;
    node.warm(&version).await;
    let mount = node.mount();
    assert!(mount.cached.backing(&version).await.is_some());
    assert!(mount.cached.backing(&version).await.is_some());
    assert_eq!(mount.cache.counts().verifications, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_as_it_was_sealed_is_compared_before_it_is_handed_out() {
    let node = Node::new();
    let version = node.put("a.jar", PART).await;
    node.warm(&version).await;
    let path = node.file(&version, "data");
    let changes: [fn(&std::path::Path); 3] = [
        |path| fs::set_permissions(path, Permissions::from_mode(0o640)).unwrap(),
        |path| {
            let times = FileTimes::new().set_modified(UNIX_EPOCH);
            File::options().write(true).open(path).unwrap().set_times(times).unwrap();
        },
        |path| {
            let copy = path.with_extension("copy");
            fs::copy(path, &copy).unwrap();
            fs::rename(copy, path).unwrap();
        },
    ];
    for change in changes {
        change(&path);
        let mount = node.mount();
        assert!(mount.cached.backing(&version).await.is_none());
        assert!(bytes_of(&mount.file(&version).await) == content("a.jar", PART));
        assert_eq!(mount.cache.counts().verifications, 1);
        mount.end().await;
    }
    assert_eq!(node.store.take_counts().reads, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_other_bytes_is_dropped_and_fetched_anew() {
    let node = Node::new();
    let version = node.put("a.jar", PART).await;
    node.warm(&version).await;
    node.flip(&version, "data", 5 * BLOCK + 17);
    let mount = node.mount();
    while mount.cache.counts().dropped_damaged == 0 {
        assert!(mount.cached.backing(&version).await.is_none());
    }
    assert!(mount.cached.backing(&version).await.is_none());
    mount.fill(&version).await;
    assert!(bytes_of(&mount.file(&version).await) == content("a.jar", PART));
    assert_eq!(node.store.take_counts().reads, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_object_that_others_wrote_is_compared_before_it_is_sealed() {
    let node = Node::new();
    let version = node.put("a.jar", 2 * BLOCK).await;
    let one = node.mount();
    one.read(&version, object::Span::new(0, BLOCK)).await.unwrap();
    until("it is kept", || one.cache.counts().filled_bytes == BLOCK).await;
    one.end().await;
    node.flip(&version, "data", 17);
    let two = node.mount();
    two.read(&version, object::Span::new(BLOCK, 2 * BLOCK)).await.unwrap();
    until("it is dropped", || two.cache.counts().dropped_damaged == 1).await;
    assert_eq!(two.cache.counts().seals, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_power_cut_all_blocks_are_compared_before_a_file_is_handed_out() {
    let node = Node::new();
    let (one, two) = (node.put("one", PART).await, node.put("two", PART).await);
    node.warm(&one).await;
    node.warm(&two).await;
    let mount = node.mount_in_boot("boot-2");
    assert!(mount.cached.backing(&one).await.is_none());
    assert!(bytes_of(&mount.file(&one).await) == content("one", PART));
    assert_eq!(mount.cache.counts().verifications, 1);
    mount.end().await;
    let mount = node.mount_in_boot("boot-2");
    assert!(mount.cached.backing(&one).await.is_some(), "once is enough");
    mount.cache.close().await;
    mount.end().await;
    let mount = node.mount_in_boot("boot-3");
    assert!(mount.cached.backing(&one).await.is_some(), "the end was clean");
    assert!(mount.cached.backing(&two).await.is_none(), "nobody has looked since the cut");
    mount.file(&two).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_a_power_cut_took_is_fetched_and_the_others_are_used() {
    let node = Node::new();
    let version = node.put("a.jar", 2 * PART).await;
    let mount = node.mount();
    mount.read(&version, object::Span::new(0, PART)).await.unwrap();
    until("it is kept", || mount.cache.counts().filled_bytes == PART).await;
    mount.end().await;
    node.store.take_spans();
    node.flip(&version, "data", 3 * BLOCK);
    let mount = node.mount_in_boot("boot-2");
    assert!(mount.read_all(&version).await.unwrap() == content("a.jar", 2 * PART));
    let spans = [(3 * BLOCK, 4 * BLOCK), (PART, 2 * PART)];
    assert_eq!(node.store.take_spans(), spans.map(|(start, end)| object::Span::new(start, end)));
    let counts = mount.cache.counts();
    assert_eq!((counts.absent_after_crash, counts.dropped_damaged), (1, 0));
    assert!(bytes_of(&mount.file(&version).await) == content("a.jar", 2 * PART));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evicted_object_is_no_file_any_more_but_its_holder_reads_on() {
    let node = Node::new();
    let version = node.put("a.jar", PART).await;
    let mount = node.mount();
    let file = mount.file_after_fill(&version).await;
    for kind in ["map", "data"] {
        fs::remove_file(node.file(&version, kind)).unwrap();
    }
    assert!(mount.cached.backing(&version).await.is_none());
    assert!(bytes_of(&file) == content("a.jar", PART));
    assert!(mount.read_all(&version).await.unwrap() == content("a.jar", PART));
    assert!(bytes_of(&mount.file(&version).await) == content("a.jar", PART));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_opens_a_complete_object_keeps_it_from_eviction_whatever_reads_it() {
    let node = Node::new();
    let version = node.put("used", 3 * BLOCK).await;
    let is_protected = || {
        let directory = Directory::open(&node.path()).unwrap();
        let Opened::Found(files) =
            directory.open_object(&Identity::of(&scope(), &version)).unwrap()
        else {
            panic!("it is not there");
        };
        files.map.mark().unwrap().protected
    };
    let mount = node.mount();
    mount.fill(&version).await;
    until("it is sealed", || mount.cache.counts().seals == 1).await;
    assert!(!is_protected(), "that it was filled is no second use");
    mount.cached.opened(&version);
    until("it is protected", is_protected).await;
}
