//! Right bytes and exact requests, against the lab.

use std::sync::Arc;

use lab::{Lab, synthetic};
use object::{CHUNK, ErrorKind, Key, ListingRequest, Span, StorageState, Store, Version};
use s3::S3;

use crate::reading::{config, connect, read, version};

pub(crate) async fn lab() -> Lab {
    let lab = Lab::start(lab::Config::default()).await.unwrap();
    lab.create_bucket("bucket").unwrap();
    lab
}

pub(crate) async fn client(lab: &Lab) -> S3 {
    let s3 = connect(config(&lab.endpoint())).await;
    lab.reset_counters();
    s3
}

pub(crate) fn synthetic_object(lab: &Lab, key: &str, size: u64) -> Arc<Version> {
    let etag = lab.put_synthetic("bucket", key, size, 1).unwrap();
    version(key, &etag, size)
}

/// Reads a span of a synthetic object and checks every byte.
pub(crate) async fn reads_right(s3: &S3, version: &Arc<Version>, span: Span) {
    let bytes = read(s3, version, span).await.unwrap();
    assert_eq!(bytes.len() as u64, span.len());
    synthetic::check(version.key.as_str(), 1, span.start, &bytes).unwrap();
}

#[tokio::test]
async fn every_span_takes_one_get_and_brings_the_right_bytes() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    let big = synthetic_object(&lab, "dir/big object+ü", 20_000_001);
    for span in [(0, CHUNK), (CHUNK, 9 << 20), (16 << 20, 20_000_001), (0, 8 << 20)] {
        reads_right(&s3, &big, Span::new(span.0, span.1)).await;
    }
    assert_eq!(lab.counters().requests("GetObject"), 4);
    assert_eq!(s3.stats().gets, 4);
    assert_eq!(lab.counters().total().requests, 4);
}

#[tokio::test]
async fn whole_objects_of_any_size_up_to_a_part_are_right() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    for size in [1, CHUNK - 1, CHUNK, CHUNK + 1, 8 << 20] {
        let object = synthetic_object(&lab, &format!("o{size}"), size);
        reads_right(&s3, &object, object.whole()).await;
    }
    assert_eq!(lab.counters().requests("GetObject"), 5);
}

#[tokio::test]
async fn many_reads_at_once_are_right_and_share_connections() {
    let lab = lab().await;
    let s3 = Arc::new(client(&lab).await);
    let big = synthetic_object(&lab, "big", 64 << 20);
    let mut reads = tokio::task::JoinSet::new();
    for part in 0..64_u64 {
        let (s3, big) = (s3.clone(), big.clone());
        let span = Span::new(part << 20, (part + 1) << 20);
        reads.spawn(async move { reads_right(&s3, &big, span).await });
    }
    reads.join_all().await;
    assert_eq!(lab.counters().requests("GetObject"), 64);
    assert_eq!(s3.stats().bytes, 64 << 20);
}

#[tokio::test]
async fn an_overwritten_object_is_changed_and_a_deleted_one_is_gone() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    let old = synthetic_object(&lab, "k", 1000);
    lab.put_synthetic("bucket", "k", 1000, 2).unwrap();
    let error = read(&s3, &old, old.whole()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
    lab.delete_object("bucket", "k").unwrap();
    let error = read(&s3, &old, old.whole()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(lab.counters().requests("GetObject"), 2);
}

#[tokio::test]
async fn heads_and_listings_agree() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    let keys = ["a b+c", "d/e", "d/f%20g", "ü\u{1F980}", "x//y", "z\u{1}"];
    for key in keys {
        synthetic_object(&lab, key, 77);
    }
    let mut request =
        ListingRequest { prefix: String::new(), delimited: false, max_keys: 2, token: None };
    let mut listed = Vec::new();
    loop {
        let page = s3.list(&request).await.unwrap();
        listed.extend(page.objects);
        request.token = page.next;
        if request.token.is_none() {
            break;
        }
    }
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    let names: Vec<_> = listed.iter().map(|m| m.version.key.as_str()).collect();
    assert_eq!(names, sorted);
    for meta in &listed {
        assert_eq!(s3.head(&meta.version.key).await.unwrap(), *meta);
        reads_right(&s3, &Arc::new(meta.version.clone()), meta.version.whole()).await;
    }
    assert_eq!(lab.counters().requests("ListObjectsV2"), 3);
    assert_eq!(lab.counters().requests("HeadObject"), 6);
    assert_eq!((s3.stats().lists, s3.stats().heads), (4, 6));
}

#[tokio::test]
async fn delimited_listings_roll_up() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    for key in ["p/a", "p/d/1", "p/d/2", "p/e f/1", "q"] {
        synthetic_object(&lab, key, 1);
    }
    let request =
        ListingRequest { prefix: "p/".into(), delimited: true, max_keys: 1000, token: None };
    let page = s3.list(&request).await.unwrap();
    assert_eq!(page.objects.len(), 1);
    assert_eq!(page.prefixes, ["p/d/", "p/e f/"]);
    assert_eq!(page.next, None);
}

#[tokio::test]
async fn missing_keys_are_not_found_and_archives_are_told() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    let missing = Key::new("nope").unwrap();
    assert_eq!(s3.head(&missing).await.unwrap_err().kind(), ErrorKind::NotFound);
    let etag = lab.put_archived(("bucket", "cold"), "bytes", "GLACIER").await.unwrap();
    let meta = s3.head(&Key::new("cold").unwrap()).await.unwrap();
    assert_eq!(meta.storage, StorageState::Archived);
    let cold = version("cold", &etag, 5);
    let error = read(&s3, &cold, cold.whole()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Archived);
}
