use super::*;
use crate::{Budget, CHUNK, Clock, Store};

fn body(bytes: &[u8]) -> Body {
    let len = (bytes.len() as u64).next_multiple_of(CHUNK);
    let (mut body, mut lease) = (Body::new(None), Budget::new(len).try_lease(len, 0).unwrap());
    assert_eq!(body.append(bytes, &mut lease), bytes.len());
    body
}

fn key() -> Key {
    Key::new("k").unwrap()
}

#[tokio::test]
async fn a_condition_decides_whether_a_put_is_carried_out() {
    let store = MemStore::new(Clock::start());
    let sink: &dyn Sink = &*store;
    let first = sink.put(&key(), &body(b"1"), &Condition::Absent).await.unwrap();
    let again = sink.put(&key(), &body(b"2"), &Condition::Absent).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Changed);
    let is_first = Condition::Is(first.version.etag);
    sink.put(&key(), &body(b"3"), &is_first).await.unwrap();
    assert_eq!(
        sink.put(&key(), &body(b"4"), &is_first).await.unwrap_err().kind(),
        ErrorKind::Changed
    );
    assert_eq!(&*store.bytes("k").unwrap(), b"3");
    assert_eq!(store.take_writes().puts, 4);
}

#[tokio::test]
async fn an_upload_is_seen_when_it_is_complete_and_then_over() {
    let store = MemStore::new(Clock::start());
    let sink: &dyn Sink = &*store;
    let upload = sink.begin_upload(&key()).await.unwrap();
    let large = vec![7; PART_MIN as usize];
    let first = sink.put_part(&upload, 1, 0, &body(&large)).await.unwrap();
    let last = sink.put_part(&upload, 5, PART_MIN, &body(b"end")).await.unwrap();
    assert_eq!(store.head(&key()).await.unwrap_err().kind(), ErrorKind::NotFound);
    let parts = [first, last];
    let meta = sink.complete(&upload, &parts, &Condition::Absent).await.unwrap();
    assert_eq!(meta.version.size, PART_MIN + 3);
    assert!(sink.uploads("").await.unwrap().is_empty());
    let again = sink.complete(&upload, &parts, &Condition::Any).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NoSuchUpload);

    let next = sink.begin_upload(&key()).await.unwrap();
    let copied = Span::new(0, PART_MIN);
    let copy = sink.copy_part(&next, 1, &meta.version, copied).await.unwrap();
    let end = sink.put_part(&next, 2, PART_MIN, &body(b"other")).await.unwrap();
    let meta = sink.complete(&next, &[copy, end], &Condition::Is(meta.version.etag)).await;
    assert_eq!(meta.unwrap().version.size, PART_MIN + 5);
}

#[tokio::test]
async fn a_part_that_is_too_small_or_out_of_place_is_refused() {
    let store = MemStore::new(Clock::start());
    let sink: &dyn Sink = &*store;
    let upload = sink.begin_upload(&key()).await.unwrap();
    let small = sink.put_part(&upload, 1, 0, &body(b"a")).await.unwrap();
    let next = sink.put_part(&upload, 2, 1, &body(b"b")).await.unwrap();
    let far = sink.put_part(&upload, 2, 9, &body(b"b")).await.unwrap();
    for parts in [&[small.clone(), next.clone()][..], &[small, far], &[]] {
        let refused = sink.complete(&upload, parts, &Condition::Any).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
    sink.abort(&upload).await.unwrap();
    let gone = sink.put_part(&upload, 3, 0, &body(b"c")).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NoSuchUpload);
    assert!(store.open_uploads().is_empty());
}
