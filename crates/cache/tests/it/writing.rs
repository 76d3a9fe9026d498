//! What is stored is in the cache.

use std::sync::Arc;

use cache::WriteThrough;
use object::{BLOCK, Body, Budget, CHUNK, Condition, ErrorKind, Key, Sink, Span, Store, Version};

use crate::harness::{Mount, Node, PART, bytes_of, content, scope};

fn body(bytes: &[u8]) -> Body {
    let len = (bytes.len() as u64).next_multiple_of(CHUNK);
    let mut lease = Budget::new(len).try_lease(len, 0).unwrap();
    let mut body = Body::new(None);
    assert_eq!(body.append(bytes, &mut lease), bytes.len());
    body
}

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

fn sink(node: &Node, mount: &Mount) -> Arc<WriteThrough> {
    mount.cache.before(scope(), node.store.clone())
}

/// How many files objects have in the cache's directory.
fn files(node: &Node) -> usize {
    let shards = std::fs::read_dir(node.path().join("mount-s3/objects"));
    let shards = shards.into_iter().flatten().map(|shard| shard.unwrap().path());
    shards.map(|shard| std::fs::read_dir(shard).unwrap().count()).sum()
}

/// Uploads `bytes` in parts, the last ones first.
async fn upload(sink: &dyn Sink, name: &str, bytes: &[u8]) -> Arc<Version> {
    let upload = sink.begin_upload(&key(name)).await.unwrap();
    let cut: Vec<_> = (1..).zip(bytes.chunks(PART as usize)).collect();
    let mut parts = Vec::new();
    for (number, bytes) in cut.into_iter().rev() {
        let offset = u64::from(number - 1) * PART;
        parts.push(sink.put_part(&upload, number, offset, &body(bytes)).await.unwrap());
    }
    parts.reverse();
    Arc::new(sink.complete(&upload, &parts, &Condition::Absent).await.unwrap().version)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_is_read_back_without_the_store() {
    for size in [1, CHUNK - 1, 3 * BLOCK, PART - 5] {
        let node = Node::new();
        let mount = node.mount();
        let bytes = content("new", size);
        let put = sink(&node, &mount).put(&key("new"), &body(&bytes), &Condition::Absent).await;
        let version = Arc::new(put.unwrap().version);
        assert_eq!(mount.read_all(&version).await.unwrap(), bytes);
        assert_eq!(bytes_of(&mount.file(&version).await), bytes);
        assert_eq!(node.store.take_counts().reads, 0);
        let counts = mount.cache.counts();
        assert_eq!((counts.written_bytes, counts.verifications), (size, 0));
        mount.end().await;
        assert_eq!(node.mount().read_all(&version).await.unwrap(), bytes);
        assert_eq!(node.store.take_counts().reads, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_uploaded_in_parts_is_read_back_without_the_store() {
    let node = Node::new();
    let mount = node.mount();
    let bytes = content("new", 3 * PART + BLOCK / 2);
    let version = upload(&*sink(&node, &mount), "new", &bytes).await;
    assert_eq!(mount.read_all(&version).await.unwrap(), bytes);
    assert_eq!(bytes_of(&mount.file(&version).await), bytes);
    assert_eq!(node.store.take_counts().reads, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_the_store_copied_come_from_the_cache_too() {
    let node = Node::new();
    let mount = node.mount();
    let sink = sink(&node, &mount);
    let first = upload(&*sink, "new", &content("new", 2 * PART)).await;
    let upload = sink.begin_upload(&key("new")).await.unwrap();
    let copied = sink.copy_part(&upload, 1, &first, first.whole()).await.unwrap();
    let end = sink.put_part(&upload, 2, 2 * PART, &body(b"end")).await.unwrap();
    let is_first = Condition::Is(first.etag.clone());
    let meta = sink.complete(&upload, &[copied, end], &is_first).await.unwrap();
    let version = Arc::new(meta.version);
    let expected = [&content("new", 2 * PART)[..], b"end"].concat();
    assert_eq!(mount.read_all(&version).await.unwrap(), expected);
    assert_eq!(node.store.take_counts().reads, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_did_not_take_leaves_nothing() {
    let node = Node::new();
    let mount = node.mount();
    let sink = sink(&node, &mount);
    node.put("taken", 5).await;
    let refused = sink.put(&key("taken"), &body(b"other"), &Condition::Absent).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Changed);
    let upload = sink.begin_upload(&key("dropped")).await.unwrap();
    sink.put_part(&upload, 1, 0, &body(&content("dropped", PART))).await.unwrap();
    sink.abort(&upload).await.unwrap();
    sink.put(&key("empty"), &body(b""), &Condition::Absent).await.unwrap();
    assert_eq!(files(&node), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_all_there_is_fetched() {
    let node = Node::new();
    let mount = node.mount();
    let sink = sink(&node, &mount);
    let bytes = content("new", 6 * BLOCK);
    // The second part begins within a block.
    let upload = sink.begin_upload(&key("new")).await.unwrap();
    let border = (5 * BLOCK + 7) as usize;
    let first = sink.put_part(&upload, 1, 0, &body(&bytes[..border])).await.unwrap();
    let rest = body(&bytes[border..]);
    let last = sink.put_part(&upload, 2, border as u64, &rest).await.unwrap();
    let meta = sink.complete(&upload, &[first, last], &Condition::Absent).await.unwrap();
    assert_eq!(files(&node), 0);
    let version = Arc::new(meta.version);
    assert_eq!(mount.read(&version, Span::new(0, BLOCK)).await.unwrap(), bytes[..BLOCK as usize]);
    assert_eq!(node.store.take_counts().reads, 1);
    assert_eq!(node.store.head(&key("new")).await.unwrap().version, *version);
}
