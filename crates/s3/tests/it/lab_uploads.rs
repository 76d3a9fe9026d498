//! Uploads in parts, against the lab.

use std::sync::Arc;

use lab::{Fault, Rule, synthetic};
use object::{Algorithm, Condition, ErrorKind, Key, Part, Sink, Span, Store, Version};
use s3::{Attributes, Config};

use crate::lab_reads::{client, lab, synthetic_object};
use crate::lab_writes::{headed, puts, reads_back};
use crate::reading::{config, connect, read};
use crate::writing::{body, body_with, bytes, key};

const PART: usize = 5 << 20;

#[tokio::test]
async fn parts_become_one_object_under_the_checksum_of_all_their_bytes() {
    let lab = lab().await;
    for algorithm in [Some(Algorithm::Crc64Nvme), Some(Algorithm::Crc32c), None] {
        let attributes = Attributes { checksums: algorithm, ..Attributes::default() };
        let s3 = connect(Config { attributes, ..config(&lab.endpoint()) }).await;
        lab.reset_counters();
        let content = bytes(2 * PART + 1000, 9);
        let upload = s3.begin_upload(&key("k")).await.unwrap();
        let mut parts = Vec::new();
        // In any order, and with a number left out.
        for (number, start) in [(5_u16, 2 * PART), (1, 0), (3, PART)] {
            let piece = &content[start..content.len().min(start + PART)];
            let piece = body_with(piece, algorithm);
            parts.push(s3.put_part(&upload, number, start as u64, &piece).await.unwrap());
        }
        parts.sort_by_key(|part| part.number);
        let meta = s3.complete(&upload, &parts, &Condition::Any).await.unwrap();
        assert!(meta.version.etag.as_str().ends_with("-3"));
        assert_eq!(meta.modified, upload.begun);
        reads_back(&s3, &meta, &content).await;
        let told = headed(&lab, "k").await;
        let crc32c = algorithm == Some(Algorithm::Crc32c);
        assert_eq!(told.checksum_crc32_c().is_some(), crc32c);
        assert_eq!(told.checksum_type().map(|t| t.as_str()), Some("FULL_OBJECT"));
        let counters = lab.counters();
        let count = |name: &str| counters.requests(name);
        assert_eq!(
            [count("CreateMultipartUpload"), count("UploadPart"), count("PutObject")],
            [1, 3, 0]
        );
        assert_eq!(count("CompleteMultipartUpload"), 1);
        let stats = s3.stats();
        assert_eq!((stats.begun, stats.parts, stats.completed, stats.puts), (1, 3, 1, 0));
        assert_eq!(stats.bytes_sent, content.len() as u64);
    }
}

#[tokio::test]
async fn a_completion_under_a_condition_that_does_not_hold_leaves_the_upload_open() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    let upload = s3.begin_upload(&key("k")).await.unwrap();
    let part = s3.put_part(&upload, 1, 0, &body(b"mine")).await.unwrap();
    puts(&s3, "k", b"theirs", &Condition::Absent).await;
    let parts = [part];
    let error = s3.complete(&upload, &parts, &Condition::Absent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
    let found = s3.uploads("").await.unwrap();
    assert_eq!(found.len(), 1);
    let meta = s3.complete(&upload, &parts, &Condition::Any).await.unwrap();
    reads_back(&s3, &meta, b"mine").await;
    let error = s3.put_part(&upload, 2, 4, &body(b"x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchUpload);
}

#[tokio::test]
async fn parts_are_copied_by_the_store_while_the_version_is_the_one() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    let size = 2 * PART as u64;
    let from = synthetic_object(&lab, "d/from +ü", size + 7);
    let upload = s3.begin_upload(&key("k")).await.unwrap();
    let first = s3.copy_part(&upload, 1, &from, Span::new(0, size)).await.unwrap();
    assert!(first.checksum.is_some(), "the store tells it");
    let second = s3.put_part(&upload, 2, size, &body(b"tail")).await.unwrap();
    let parts = [first, second];
    let meta = s3.complete(&upload, &parts, &Condition::Absent).await.unwrap();
    let version = Arc::new(meta.version.clone());
    assert_eq!(version.size, size + 4);
    let got = read(&s3, &version, version.whole()).await.unwrap();
    synthetic::check(from.key.as_str(), 1, 0, &got[..size as usize]).unwrap();
    assert_eq!(&got[size as usize..], b"tail");
    let counters = lab.counters();
    assert_eq!(counters.requests("UploadPartCopy"), 1);
    assert_eq!(counters.operation("UploadPart").bytes_in, 4);
    assert_eq!((s3.stats().copies, s3.stats().bytes_sent), (1, 4));
}

#[tokio::test]
async fn a_store_that_sums_up_no_copies_takes_them_into_uploads_without_checksums() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    lab.rules().add(Rule::new("UploadPartCopy", Fault::NoCopySums));
    let size = PART as u64;
    let from = synthetic_object(&lab, "from", size);
    let upload = s3.begin_upload_from(&from).await.unwrap();
    assert!(s3.doubts_copies());
    let refused = s3.copy_part(&upload, 1, &from, from.whole()).await.unwrap_err();
    assert_eq!((refused.kind(), s3.doubts_copies()), (ErrorKind::Invalid, false));
    s3.abort(&upload).await.unwrap();
    let upload = s3.begin_upload_from(&from).await.unwrap();
    let first = s3.copy_part(&upload, 1, &from, from.whole()).await.unwrap();
    let second = s3.put_part(&upload, 2, size, &body(b"tail")).await.unwrap();
    let changed = Condition::Is(from.etag.clone());
    let meta = s3.complete(&upload, &[first, second], &changed).await.unwrap();
    assert_eq!(meta.version.size, size + 4);
    // Others have checksums all the same.
    let upload = s3.begin_upload(&key("k")).await.unwrap();
    let refused = s3.copy_part(&upload, 1, &meta.version, meta.version.whole()).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn that_copies_are_summed_up_is_known_after_the_first() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    let from = synthetic_object(&lab, "from", PART as u64);
    let upload = s3.begin_upload_from(&from).await.unwrap();
    let none = Version { key: key("none"), ..(*from).clone() };
    s3.copy_part(&upload, 1, &none, none.whole()).await.unwrap_err();
    assert!(s3.doubts_copies(), "that something else is wrong says nothing");
    let first = s3.copy_part(&upload, 1, &from, from.whole()).await.unwrap();
    assert!(first.checksum.is_some() && !s3.doubts_copies());
}

#[tokio::test]
async fn nothing_is_copied_of_another_version_or_of_none() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    let old = synthetic_object(&lab, "from", 6 << 20);
    let upload = s3.begin_upload(&key("k")).await.unwrap();
    lab.put_synthetic("bucket", "from", 6 << 20, 2).unwrap();
    let copy = async |from: &Version| s3.copy_part(&upload, 1, from, from.whole()).await;
    assert_eq!(copy(&old).await.unwrap_err().kind(), ErrorKind::Changed);
    let none = Version { key: key("none"), ..(*old).clone() };
    assert_eq!(copy(&none).await.unwrap_err().kind(), ErrorKind::Changed);
    assert_eq!(lab.counters().requests("UploadPartCopy"), 2);
}

#[tokio::test]
async fn aborted_uploads_are_gone_and_may_be_aborted_again() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    let upload = s3.begin_upload(&key("k")).await.unwrap();
    let part: Part = s3.put_part(&upload, 1, 0, &body(b"x")).await.unwrap();
    for _ in 0..2 {
        s3.abort(&upload).await.unwrap();
    }
    assert_eq!(s3.uploads("").await.unwrap(), []);
    let error = s3.complete(&upload, &[part], &Condition::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchUpload);
    let stats = s3.stats();
    assert_eq!((stats.aborted, stats.upload_lists, stats.heads), (2, 1, 1));
}

#[tokio::test]
async fn whether_an_upload_has_parts_is_known_while_it_is_open() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    let upload = s3.begin_upload(&key("a b/ü")).await.unwrap();
    assert!(!s3.has_parts(&upload).await.unwrap());
    for number in 1..=2 {
        s3.put_part(&upload, number, 0, &body(b"x")).await.unwrap();
        assert!(s3.has_parts(&upload).await.unwrap());
    }
    s3.abort(&upload).await.unwrap();
    let gone = s3.has_parts(&upload).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NoSuchUpload);
    assert_eq!((lab.counters().requests("ListParts"), s3.stats().upload_lists), (4, 4));
}

#[tokio::test]
async fn the_time_is_the_stores_own() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    let upload = s3.begin_upload(&key("k")).await.unwrap();
    assert!(s3.now().secs().abs_diff(upload.begun.secs()) <= 1);
}

#[tokio::test]
async fn all_open_uploads_below_a_prefix_are_listed_page_by_page() {
    let lab = lab().await;
    let s3 = Arc::new(client(&lab).await);
    let mut begun = tokio::task::JoinSet::new();
    for n in 0..1100_u32 {
        let s3 = s3.clone();
        // Many of one key, so that a page ends among them.
        let name = format!("d/{} +ü&%2B\u{1}", n / 300);
        begun.spawn(async move { s3.begin_upload(&key(&name)).await.unwrap() });
    }
    let mut begun = begun.join_all().await;
    s3.begin_upload(&key("other")).await.unwrap();
    let mut listed = s3.uploads("d/").await.unwrap();
    assert_eq!(lab.counters().requests("ListMultipartUploads"), 2);
    let order = |upload: &object::Upload| (upload.key.clone(), upload.id.clone());
    begun.sort_by_key(order);
    listed.sort_by_key(order);
    let names = |uploads: &[object::Upload]| uploads.iter().map(order).collect::<Vec<(Key, _)>>();
    assert!(names(&listed) == names(&begun), "other uploads were listed");
    let apart =
        |(a, b): (&object::Upload, &object::Upload)| a.begun.secs().abs_diff(b.begun.secs()) <= 1;
    assert!(listed.iter().zip(&begun).all(apart));
    assert_eq!(s3.uploads("nothing").await.unwrap(), []);
    let gone = s3.head(&key("other")).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound, "nobody sees an upload");
}
