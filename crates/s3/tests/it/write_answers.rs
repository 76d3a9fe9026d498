//! Answers to writes that are not what was hoped for.

use std::time::Duration;

use object::{Condition, ETag, ErrorKind, Meta, Result, Sink, Time};
use s3::{Attributes, Config, Encryption, S3};
use tokio::time::Instant;

use crate::reading::{config, connect};
use crate::script::{Act, Script};
use crate::writing::{body, bytes, first_part, key, upload};

/// A success with these headers and this document.
pub(crate) fn ok(headers: &str, text: &str) -> Vec<Act> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n", text.len());
    vec![Act::Send([head.as_str(), text].concat().into_bytes())]
}

pub(crate) fn refusal(status: &str, code: &str) -> Vec<Act> {
    let body = format!("<Error><Code>{code}</Code><RequestId>R9</RequestId></Error>");
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
    vec![Act::Send([head, body].concat().into_bytes())]
}

const COMPLETED: &str = "<?xml version=\"1.0\"?><CompleteMultipartUploadResult>\
                         <ETag>&quot;e-1&quot;</ETag></CompleteMultipartUploadResult>";

async fn client(answer: impl Fn(usize, &str) -> Vec<Act> + Send + Sync + 'static) -> (Script, S3) {
    client_with(|_| {}, answer).await
}

async fn client_with(
    change: impl FnOnce(&mut Config),
    answer: impl Fn(usize, &str) -> Vec<Act> + Send + Sync + 'static,
) -> (Script, S3) {
    let script = Script::start(answer).await;
    let mut config = config(&script.endpoint());
    change(&mut config);
    let s3 = connect(config).await;
    (script, s3)
}

async fn put(s3: &S3, condition: &Condition) -> Result<Meta> {
    s3.put(&key("k"), &body(b"hello"), condition).await
}

async fn complete(s3: &S3) -> Result<Meta> {
    let parts = [first_part(5, "5d41402abc4b2a76b9719d911017c592")];
    s3.complete(&upload(), &parts, &Condition::Absent).await
}

#[tokio::test]
async fn a_put_says_what_it_sends_and_learns_what_was_made() {
    let (script, s3) =
        client(|_, _| ok("ETag: \"e\"\r\nDate: Thu, 01 Jan 1970 00:00:30 GMT\r\n", "")).await;
    let meta = put(&s3, &Condition::Absent).await.unwrap();
    assert_eq!(meta.version.etag, ETag::new("e"));
    assert_eq!((meta.version.size, meta.modified), (5, Time::from_secs(30)));
    let head = &script.gets()[0];
    assert!(head.starts_with("PUT /bucket/k HTTP/1.1\r\n") || head.starts_with("PUT /k HTTP"));
    for line in [
        "content-length: 5",
        "if-none-match: *",
        "x-amz-checksum-crc64nvme: M3eFcAZSQlc=",
        "x-amz-content-sha256: UNSIGNED-PAYLOAD",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
    }
    assert!(!head.contains("content-type"), "{head}");
    assert_eq!(script.bodies(), [b"hello"]);
    let stats = s3.stats();
    assert_eq!((stats.puts, stats.bytes_sent, stats.retries), (1, 5, 0));
}

#[tokio::test]
async fn a_body_of_many_buffers_arrives_as_it_is() {
    let content = bytes(3_000_001, 5);
    let (script, s3) = client(|_, _| ok("ETag: \"e\"\r\n", "")).await;
    s3.put(&key("k"), &body(&content), &Condition::Any).await.unwrap();
    assert!(script.bodies() == [content], "other bytes arrived");
    assert!(!script.gets()[0].contains("if-"));
}

#[tokio::test]
async fn a_refusal_while_the_body_is_being_sent_is_heard() {
    for end in [Act::Close, Act::Reset, Act::Stall] {
        let (script, s3) = client(move |_, _| {
            let mut acts = vec![Act::Unread];
            acts.extend(refusal("403", "AccessDenied"));
            acts.extend([Act::Wait(Duration::from_millis(200)), end.clone()]);
            acts
        })
        .await;
        let begun = Instant::now();
        let big = body(&vec![7; 40 << 20]);
        let error = s3.put(&key("k"), &big, &Condition::Any).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
        assert_eq!(error.request_id(), Some("R9"));
        assert!(error.message().contains("s3:PutObject"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert_eq!(script.gets().len(), 1);
        assert!(s3.stats().bytes_sent < 40 << 20, "{}", s3.stats().bytes_sent);
        // The rest of the body must not be taken for another request.
        script.ended(0).await;
    }
}

#[tokio::test]
async fn a_success_that_was_not_waited_for_is_none() {
    let (script, s3) = client(|n, _| match n {
        0 => {
            let mut acts = vec![Act::Unread];
            acts.extend(ok("ETag: \"e\"\r\n", ""));
            acts.push(Act::Stall);
            acts
        }
        _ => ok("ETag: \"f\"\r\n", ""),
    })
    .await;
    let big = body(&vec![7; 40 << 20]);
    let meta = s3.put(&key("k"), &big, &Condition::Any).await.unwrap();
    assert_eq!((meta.version.etag, script.gets().len()), (ETag::new("f"), 2));
}

#[tokio::test]
async fn an_interim_answer_is_no_answer() {
    let (script, s3) = client(|_, _| {
        let go_on = Act::Send(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec());
        let mut acts = vec![go_on];
        acts.extend(ok("ETag: \"e\"\r\n", ""));
        acts
    })
    .await;
    put(&s3, &Condition::Any).await.unwrap();
    assert_eq!(script.gets().len(), 1);
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_given_up_for_another_connection() {
    let (script, s3) = client_with(
        |config| config.stall = Duration::from_millis(40),
        |n, _| match n {
            0 => vec![Act::Unread, Act::Wait(Duration::from_secs(60))],
            _ => ok("ETag: \"e\"\r\n", ""),
        },
    )
    .await;
    let big = body(&vec![7; 40 << 20]);
    s3.put(&key("k"), &big, &Condition::Any).await.unwrap();
    assert_eq!((script.gets().len(), s3.stats().hedges), (2, 1));
}

#[tokio::test]
async fn a_write_ends_at_its_deadline() {
    let (_script, s3) = client_with(
        |config| config.write_deadline = Duration::from_secs(1),
        |n, _| match n {
            0 => refusal("500", "InternalError"),
            _ => vec![Act::Stall],
        },
    )
    .await;
    let begun = Instant::now();
    let error = s3.delete(&key("k")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    assert!(error.message().contains("InternalError"), "{error}");
    assert!((900..1500).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_write_that_is_given_up_closes_its_connection() {
    let (script, s3) = client(|_, _| vec![Act::Stall]).await;
    let (name, five) = (key("k"), body(b"hello"));
    let write = s3.put(&name, &five, &Condition::Any);
    assert!(tokio::time::timeout(Duration::from_millis(300), write).await.is_err());
    tokio::time::timeout(Duration::from_secs(2), script.ended(0)).await.expect("still open");
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_costs_no_attempt() {
    let (_script, s3) = client_with(
        |config| config.max_attempts = 1,
        |_, _| {
            let mut acts = ok("ETag: \"e\"\r\n", "");
            acts.push(Act::Close);
            acts
        },
    )
    .await;
    for _ in 0..20 {
        put(&s3, &Condition::Any).await.unwrap();
    }
    assert_eq!(s3.stats().retries, 0);
}

#[tokio::test]
async fn an_error_below_a_200_is_an_error_and_white_space_before_a_result_is_none() {
    let (script, s3) = client(|n, _| match n {
        0 => ok("", " \r\n <?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code></Error>"),
        _ => {
            let text = format!("   \r\n{COMPLETED}");
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n \r\n".to_vec();
            let rest = format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len()).into_bytes();
            vec![Act::Send(head), Act::Wait(Duration::from_millis(50)), Act::Send(rest)]
        }
    })
    .await;
    let meta = complete(&s3).await.unwrap();
    assert_eq!((meta.version.etag, meta.version.size), (ETag::new("e-1"), 5));
    assert_eq!(meta.modified, Time::from_secs(77), "it is as old as its upload");
    assert_eq!(script.methods(), ["POST", "POST"]);
    let head = &script.gets()[0];
    assert!(head.contains("k?uploadId=u%2B1 HTTP/1.1\r\n"), "{head}");
    let text = String::from_utf8(script.bodies().remove(0)).unwrap();
    assert!(text.contains("<PartNumber>1</PartNumber>"), "{text}");
    assert_eq!(s3.stats().completed, 2);
}

#[tokio::test]
async fn an_error_below_a_200_keeps_its_meaning() {
    let told = |code: &str| format!("<Error><Code>{code}</Code></Error>");
    for (code, kind) in [
        ("AccessDenied", ErrorKind::Denied),
        ("PreconditionFailed", ErrorKind::Changed),
        ("InvalidPart", ErrorKind::Server),
    ] {
        let text = told(code);
        let (_script, s3) = client_with(
            |c| c.max_attempts = 2,
            move |_, asked| match asked {
                head if head.starts_with("HEAD") => refusal("404", "NoSuchKey"),
                _ => ok("", &text),
            },
        )
        .await;
        assert_eq!(complete(&s3).await.unwrap_err().kind(), kind, "{code}");
    }
}

#[tokio::test]
async fn an_object_without_an_etag_is_looked_at_before_it_is_believed() {
    let empty = "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>";
    let (script, s3) = client(move |_, asked| match asked {
        head if head.starts_with("HEAD") => refusal("404", "NoSuchKey"),
        _ => ok("", empty),
    })
    .await;
    assert_eq!(complete(&s3).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(put(&s3, &Condition::Any).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(script.methods(), ["POST", "HEAD", "PUT", "HEAD"]);
}

#[tokio::test]
async fn a_store_without_conditions_is_used_without_them() {
    let (script, s3) = client(|_, head| match head.contains("if-") {
        true => refusal("501", "NotImplemented"),
        false => ok("ETag: \"e\"\r\n", ""),
    })
    .await;
    put(&s3, &Condition::Absent).await.unwrap();
    assert_eq!(script.gets().len(), 2);
    put(&s3, &Condition::Is(ETag::new("e"))).await.unwrap();
    assert_eq!(script.gets().len(), 3, "it is not tried again");
}

#[tokio::test]
async fn what_is_not_implemented_without_a_condition_is_told_at_once() {
    let (script, s3) = client(|_, _| refusal("501", "NotImplemented")).await;
    let error = put(&s3, &Condition::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("--upload-checksums off"), "{error}");
    assert_eq!(script.methods(), ["PUT"]);
}

#[tokio::test]
async fn a_put_in_conflict_is_sent_again_and_an_upload_has_to_be_begun_anew() {
    let (script, s3) = client(|n, _| match n {
        0 => refusal("409", "ConditionalRequestConflict"),
        1 => refusal("409", "OperationAborted"),
        _ => ok("ETag: \"e\"\r\n", ""),
    })
    .await;
    put(&s3, &Condition::Absent).await.unwrap();
    assert_eq!(script.gets().len(), 3);
    let (script, s3) = client_with(
        |config| config.max_attempts = 2,
        |_, head| match head.starts_with("DELETE") {
            true => vec![Act::Send(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())],
            false => refusal("409", "ConditionalRequestConflict"),
        },
    )
    .await;
    assert_eq!(complete(&s3).await.unwrap_err().kind(), ErrorKind::NoSuchUpload);
    assert_eq!(script.methods(), ["POST", "POST", "DELETE"]);
    assert_eq!((s3.stats().completed, s3.stats().aborted), (2, 1));
}

fn encrypted(config: &mut Config) {
    config.attributes = Attributes { encryption: Some(Encryption::Kms), ..Attributes::default() };
}

#[tokio::test]
async fn an_object_that_is_encrypted_otherwise_does_not_stay() {
    let (script, s3) = client_with(encrypted, |_, _| {
        ok("ETag: \"e\"\r\nx-amz-server-side-encryption: AES256\r\n", "")
    })
    .await;
    let error = put(&s3, &Condition::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.message().contains("--sse"), "{error}");
    assert_eq!(script.methods(), ["PUT", "DELETE"]);
    let [put, delete] = &script.gets()[..] else { panic!("other requests") };
    assert!(put.contains("x-amz-server-side-encryption: aws:kms\r\n"), "{put}");
    assert!(delete.contains("if-match: \"e\"\r\n"), "only that one: {delete}");
}

#[tokio::test]
async fn an_upload_that_would_be_encrypted_otherwise_is_not_begun() {
    let begun = "<R><UploadId>u</UploadId></R>";
    let (script, s3) = client_with(encrypted, move |_, _| ok("", begun)).await;
    assert_eq!(s3.begin_upload(&key("k")).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(script.methods(), ["POST", "DELETE"]);
}

#[tokio::test]
async fn an_object_of_another_checksum_does_not_stay() {
    let (script, s3) =
        client(|_, _| ok("ETag: \"e\"\r\nx-amz-checksum-crc64nvme: AAAAAAAAAAA=\r\n", "")).await;
    assert_eq!(put(&s3, &Condition::Any).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(script.methods(), ["PUT", "DELETE"]);
}

#[tokio::test]
async fn an_upload_is_begun_when_the_store_says_so_with_an_id_of_any_characters() {
    let (script, s3) = client(|_, _| {
        let text = "<R><Bucket>b</Bucket><UploadId>a&amp;b/c+d==</UploadId></R>";
        ok("Date: Thu, 01 Jan 1970 00:00:30 GMT\r\n", text)
    })
    .await;
    let upload = s3.begin_upload(&key("k")).await.unwrap();
    assert_eq!((&*upload.id, upload.begun), ("a&b/c+d==", Time::from_secs(30)));
    let head = &script.gets()[0];
    assert!(head.contains("k?uploads HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-length: 0\r\n"), "{head}");
    assert!(head.contains("x-amz-checksum-algorithm: CRC64NVME\r\n"), "{head}");
    assert!(head.contains("x-amz-checksum-type: FULL_OBJECT\r\n"), "{head}");
    s3.put_part(&upload, 7, 0, &body(b"x")).await.unwrap_err();
    let head = &script.gets()[1];
    assert!(head.contains("k?partNumber=7&uploadId=a%26b/c%2Bd%3D%3D HTTP"), "{head}");
}

#[tokio::test]
async fn an_upload_without_an_id_is_refused() {
    let (_script, s3) = client(|_, _| ok("", "<R></R>")).await;
    assert_eq!(s3.begin_upload(&key("k")).await.unwrap_err().kind(), ErrorKind::Corrupt);
}
