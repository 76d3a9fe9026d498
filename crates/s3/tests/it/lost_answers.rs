//! Answers that were lost, and what is found out about what they would have said.

use std::time::Duration;

use object::{Condition, ETag, ErrorKind, Meta, Result, Sink, Time};
use s3::S3;

use crate::reading::{config, connect};
use crate::script::{Act, Script};
use crate::write_answers::{ok, refusal};
use crate::writing::{body, first_part, key, upload};

/// CRC-64/NVME of "hello", as headers have it.
const CRC_OF_HELLO: &str = "M3eFcAZSQlc=";
const MD5_OF_HELLO: &str = "5d41402abc4b2a76b9719d911017c592";

/// The answer to a HEAD of an object.
fn head(size: u64, etag: &str, extra: &str) -> Vec<Act> {
    let text = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nETag: \"{etag}\"\r\n\
         Last-Modified: Thu, 01 Jan 1970 00:01:00 GMT\r\n{extra}\r\n"
    );
    vec![Act::Send(text.into_bytes())]
}

/// A script: the first request for the object meets `first`, later ones `then`, HEADs `head`.
async fn script(
    first: fn() -> Vec<Act>,
    then: fn() -> Vec<Act>,
    head: impl Fn() -> Vec<Act> + Send + Sync + 'static,
) -> (Script, S3) {
    let script = Script::start(move |n, asked| match n {
        _ if asked.starts_with("HEAD") => head(),
        0 => first(),
        _ => then(),
    })
    .await;
    let mut config = config(&script.endpoint());
    config.max_attempts = 3;
    config.stall = Duration::from_millis(40);
    let s3 = connect(config).await;
    (script, s3)
}

async fn put(s3: &S3, condition: &Condition) -> Result<Meta> {
    s3.put(&key("k"), &body(b"hello"), condition).await
}

fn lost() -> Vec<Act> {
    vec![Act::Reset]
}

fn changed() -> Vec<Act> {
    refusal("412", "PreconditionFailed")
}

#[tokio::test]
async fn a_412_after_a_lost_answer_is_a_success_if_the_object_is_what_was_sent() {
    let crc = format!("x-amz-checksum-crc64nvme: {CRC_OF_HELLO}\r\n");
    // By its checksum, and by its ETag where there is none.
    for (etag, extra) in [("any", crc.clone()), (MD5_OF_HELLO, String::new())] {
        let (script, s3) = script(lost, changed, move || head(5, etag, &extra)).await;
        let meta = put(&s3, &Condition::Absent).await.unwrap();
        assert_eq!((meta.version.etag, meta.version.size), (ETag::new(etag), 5));
        assert_eq!(meta.modified, Time::from_secs(60));
        assert_eq!(script.methods(), ["PUT", "PUT", "HEAD"]);
        assert!(script.gets()[2].contains("x-amz-checksum-mode: ENABLED"));
    }
}

#[tokio::test]
async fn a_412_after_a_lost_answer_is_the_truth_if_the_object_is_another() {
    let other = "x-amz-checksum-crc64nvme: AAAAAAAAAAA=\r\n";
    for answer in [
        head(6, MD5_OF_HELLO, ""),
        head(5, MD5_OF_HELLO, other),
        head(5, "other", ""),
        refusal("403", "AccessDenied"),
    ] {
        let (script, s3) = script(lost, changed, move || answer.clone()).await;
        let error = put(&s3, &Condition::Absent).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Changed, "{error:?}");
        assert_eq!(script.methods(), ["PUT", "PUT", "HEAD"]);
    }
}

#[tokio::test]
async fn a_failure_of_the_store_after_it_had_everything_is_as_good_as_a_lost_answer() {
    for first in [
        || refusal("500", "InternalError"),
        || refusal("503", "SlowDown"),
        || vec![Act::Stall],
        || vec![Act::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".to_vec()), Act::Close],
        || vec![Act::Send(b"nonsense\r\n\r\n".to_vec())],
    ] {
        let (script, s3) = script(first, changed, || head(5, MD5_OF_HELLO, "")).await;
        put(&s3, &Condition::Is(ETag::new("old"))).await.unwrap();
        assert_eq!(script.methods(), ["PUT", "PUT", "HEAD"]);
    }
}

#[tokio::test]
async fn without_doubt_nobody_asks() {
    // A refusal at once, a refusal after one that was refused, and a success after a lost answer.
    let (script_1, s3) = script(changed, changed, || head(5, MD5_OF_HELLO, "")).await;
    let error = put(&s3, &Condition::Absent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
    assert_eq!(script_1.methods(), ["PUT"]);
    let conflict = || refusal("409", "ConditionalRequestConflict");
    let (script_2, s3) = script(conflict, changed, || head(5, MD5_OF_HELLO, "")).await;
    let error = put(&s3, &Condition::Absent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
    assert_eq!(script_2.methods(), ["PUT", "PUT"]);
    let (script_3, s3) = script(lost, || ok("ETag: \"e\"\r\n", ""), || head(5, "e", "")).await;
    put(&s3, &Condition::Any).await.unwrap();
    assert_eq!(script_3.methods(), ["PUT", "PUT"]);
    assert_eq!(script_3.bodies(), [b"hello", b"hello"]);
}

#[tokio::test]
async fn a_request_that_was_not_sent_to_its_end_leaves_no_doubt() {
    let script = Script::start(|n, _| match n {
        0 => vec![Act::Unread, Act::Reset],
        _ => changed(),
    })
    .await;
    let s3 = connect(config(&script.endpoint())).await;
    let big = body(&vec![7; 40 << 20]);
    let error = s3.put(&key("k"), &big, &Condition::Absent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed, "{error:?}");
    assert_eq!(script.methods(), ["PUT", "PUT"]);
}

#[tokio::test]
async fn whatever_the_last_answer_was_a_lost_one_is_asked_after() {
    let (script, s3) = script(lost, lost, || head(5, MD5_OF_HELLO, "")).await;
    put(&s3, &Condition::Any).await.unwrap();
    assert_eq!(script.methods(), ["PUT", "PUT", "PUT", "HEAD"]);
}

#[tokio::test]
async fn an_upload_that_is_gone_after_a_lost_completion_is_asked_after() {
    // md5(md5 of "hello" as bytes), of one part.
    let gone = || refusal("404", "NoSuchUpload");
    let made = "62109206880d38a4010a98e11243924a-1";
    for (etag, outcome) in [(made, Ok(())), ("other-1", Err(ErrorKind::NoSuchUpload))] {
        let (script, s3) = script(lost, gone, move || head(5, etag, "")).await;
        let parts = [first_part(5, MD5_OF_HELLO)];
        let done = s3.complete(&upload(), &parts, &Condition::Absent).await;
        assert_eq!(done.map(|_| ()).map_err(|e| e.kind()), outcome);
        assert_eq!(script.methods(), ["POST", "POST", "HEAD"]);
    }
}

#[tokio::test]
async fn a_completion_that_was_carried_out_before_is_none_to_complain_of() {
    // Whoever asks again after a failure need not have lost the answer just now.
    let gone = || refusal("404", "NoSuchUpload");
    let made = "62109206880d38a4010a98e11243924a-1";
    let (script, s3) = script(gone, gone, move || head(5, made, "")).await;
    let parts = [first_part(5, MD5_OF_HELLO)];
    s3.complete(&upload(), &parts, &Condition::Absent).await.unwrap();
    assert_eq!(script.methods(), ["POST", "HEAD"]);
}

#[tokio::test]
async fn what_is_gone_after_a_lost_answer_was_deleted() {
    let gone = || refusal("404", "NoSuchKey");
    let (script, s3) = script(lost, gone, || head(5, "e", "")).await;
    s3.delete(&key("k")).await.unwrap();
    assert_eq!(script.methods(), ["DELETE", "DELETE"]);
    assert_eq!(s3.stats().deletes, 2);
}
