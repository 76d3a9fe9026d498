use std::io::ErrorKind;
use std::time::Duration;

use aws_sdk_s3::types::ChecksumAlgorithm;
use lab::{Config, Fault, Lab, Rule, Which, synthetic};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::client::{PATIENCE, Raw, body, client, code, get, lab_with, raw};

const SIZE: u64 = 300_000;

/// An open lab with the synthetic object `k`.
async fn open_lab() -> Lab {
    let lab = lab_with(Config { anonymous: true, ..Config::default() }).await;
    lab.put_synthetic("bucket", "k", SIZE, 1).unwrap();
    lab
}

/// What a GET of `k` meets under `fault`.
async fn under(fault: Fault) -> Raw {
    let lab = open_lab().await;
    lab.rules().add(Rule::new("GetObject", fault));
    let met = get(&lab, "/bucket/k", "Range: bytes=0-299999\r\n").await;
    assert_eq!(lab.rules().standing()[0].fired, 1);
    met
}

#[tokio::test]
async fn statuses_are_s3s() {
    for (fault, status, name) in [
        (Fault::SlowDown, 503, "SlowDown"),
        (Fault::InternalError, 500, "InternalError"),
        (Fault::Deny, 403, "AccessDenied"),
        (Fault::Conflict, 409, "ConditionalRequestConflict"),
        (Fault::Full, 507, "QuotaExceeded"),
    ] {
        let met = under(fault).await;
        assert_eq!(met.status(), status);
        assert!(String::from_utf8_lossy(&met.body).contains(&format!("<Code>{name}</Code>")));
        let id = met.header("x-amz-request-id").unwrap();
        assert!(
            String::from_utf8_lossy(&met.body).contains(&format!("<RequestId>{id}</RequestId>"))
        );
    }
}

#[tokio::test]
async fn a_store_without_conditions_refuses_those_of_writes_only() {
    let lab = lab_with(Config::default()).await;
    let s3 = client(&lab);
    lab.rules().add(Rule::new("*", Fault::NoConditions));
    let put = || s3.put_object().bucket("bucket").key("k").body(body(b"x"));
    assert_eq!(code(put().if_none_match("*").send().await), "NotImplemented");
    let etag = put().send().await.unwrap().e_tag.unwrap();
    s3.get_object().bucket("bucket").key("k").if_match(etag).send().await.unwrap();
}

#[tokio::test]
async fn a_store_that_sums_up_no_copies_refuses_them_into_uploads_with_checksums_only() {
    let lab = lab_with(Config::default()).await;
    let s3 = client(&lab);
    s3.put_object().bucket("bucket").key("k").body(body(b"x")).send().await.unwrap();
    lab.rules().add(Rule::new("UploadPartCopy", Fault::NoCopySums));
    let copy = async |algorithm| {
        let begin = s3.create_multipart_upload().bucket("bucket").key("copy");
        let begun = begin.set_checksum_algorithm(algorithm).send().await.unwrap();
        let copy = s3.upload_part_copy().bucket("bucket").key("copy").copy_source("bucket/k");
        copy.upload_id(begun.upload_id.unwrap()).part_number(1).send().await
    };
    assert_eq!(code(copy(Some(ChecksumAlgorithm::Crc32)).await), "InvalidArgument");
    copy(None).await.unwrap();
}

#[tokio::test]
async fn latency_comes_before_the_first_byte() {
    let begun = Instant::now();
    let met = under(Fault::Latency { ms: 150 }).await;
    assert!(begun.elapsed() >= Duration::from_millis(150));
    assert_eq!(synthetic::check("k", 1, 0, &met.body), Ok(()));
}

#[tokio::test]
async fn bandwidth_limits_the_body() {
    let begun = Instant::now();
    let met = under(Fault::Bandwidth { bytes_per_second: 1_000_000 }).await;
    // The first piece is sent at once.
    assert!(begun.elapsed() >= Duration::from_millis(250), "{:?}", begun.elapsed());
    assert_eq!(met.body.len() as u64, SIZE);
    assert_eq!(synthetic::check("k", 1, 0, &met.body), Ok(()));
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let met = under(Fault::Reset).await;
    assert_eq!((met.head.as_str(), met.ended), ("", Some(ErrorKind::ConnectionReset)));
    let met = under(Fault::ResetBody { at: Some(1000) }).await;
    assert_eq!(met.ended, Some(ErrorKind::ConnectionReset));
    assert!(met.body.len() <= 1000);
}

#[tokio::test]
async fn a_truncated_body_ends_early_and_orderly() {
    for (at, length) in
        [(Some(1000), 1000), (Some(0), 0), (None, SIZE / 2), (Some(u64::MAX), SIZE - 1)]
    {
        let met = under(Fault::Truncate { at }).await;
        assert_eq!((met.status(), met.ended), (206, None));
        assert_eq!(met.header("content-length"), Some("300000"));
        assert_eq!(met.body.len() as u64, length);
        assert_eq!(synthetic::check("k", 1, 0, &met.body), Ok(()));
    }
}

#[tokio::test]
async fn an_overlong_body_has_more_bytes_than_its_length_says() {
    let met = under(Fault::Overlong { extra: 7 }).await;
    assert_eq!(met.header("content-length"), Some("300000"));
    assert_eq!(met.body.len() as u64, SIZE + 7);
    assert_eq!(synthetic::check("k", 1, 0, &met.body[..SIZE as usize]), Ok(()));
}

#[tokio::test]
async fn a_flipped_bit_changes_one_byte() {
    for (at, wrong) in [(Some(0), 0), (Some(270_000), 270_000), (None, SIZE / 2)] {
        let mut met = under(Fault::FlipBit { at }).await;
        let offset = synthetic::check("k", 1, 0, &met.body).unwrap_err().offset;
        assert_eq!(offset, wrong);
        met.body[wrong as usize] ^= 1;
        assert_eq!(synthetic::check("k", 1, 0, &met.body), Ok(()));
    }
}

#[tokio::test]
async fn headers_and_bodies_lie_when_told_to() {
    let met = under(Fault::WrongContentRange).await;
    assert_eq!(met.header("content-range"), Some("bytes 1-300000/300000"));
    assert_eq!(met.body.len() as u64, SIZE);
    let met = under(Fault::ErrorInBody).await;
    assert_eq!(met.status(), 206);
    assert!(String::from_utf8_lossy(&met.body).contains("<Code>InternalError</Code>"));
    assert_eq!(met.header("content-length"), Some(met.body.len().to_string().as_str()));
}

#[tokio::test]
async fn a_stalled_request_is_answered_when_its_rule_is_removed() {
    for fault in [Fault::Stall, Fault::StallBody { at: Some(100_000) }] {
        let lab = open_lab().await;
        let id = lab.rules().add(Rule::new("GetObject", fault));
        let stalled = get(&lab, "/bucket/k", "");
        tokio::pin!(stalled);
        let waited = tokio::time::timeout(Duration::from_millis(300), stalled.as_mut()).await;
        assert!(waited.is_err());
        let sent = lab.counters().operation("GetObject").bytes_out;
        assert_eq!(sent, if fault == Fault::Stall { 0 } else { 100_000 });
        // Others are served meanwhile.
        assert_eq!(get(&lab, "/bucket?list-type=2", "").await.status(), 200);
        assert!(lab.rules().remove(id));
        let met = stalled.await;
        assert_eq!(met.body.len() as u64, SIZE);
        assert_eq!(synthetic::check("k", 1, 0, &met.body), Ok(()));
    }
}

#[tokio::test]
async fn a_client_that_leaves_a_stalled_request_is_counted_as_unanswered() {
    let lab = open_lab().await;
    lab.rules().add(Rule::new("GetObject", Fault::Stall));
    let mut tcp = TcpStream::connect(lab.address()).await.unwrap();
    tcp.write_all(b"GET /bucket/k HTTP/1.1\r\nHost: lab\r\n\r\n").await.unwrap();
    let seen = async |wanted: u64, count: fn(&Lab) -> u64| {
        let deadline = Instant::now() + PATIENCE;
        while count(&lab) != wanted {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    seen(1, |lab| lab.counters().requests("GetObject")).await;
    drop(tcp);
    seen(1, |lab| lab.counters().operation("GetObject").unanswered).await;
}

#[tokio::test]
async fn a_lost_answer_was_carried_out() {
    let lab = open_lab().await;
    let s3 = client(&lab);
    lab.rules().add(Rule::new("PutObject", Fault::AnswerLost).which(Which::Nth(1)));
    let put =
        || s3.put_object().bucket("bucket").key("new").if_none_match("*").body(body(b"x")).send();
    assert!(put().await.is_err());
    assert_eq!(code(put().await), "PreconditionFailed");
    let put = lab.counters().operation("PutObject");
    assert_eq!((put.requests, put.unanswered, put.answered_4xx), (2, 1, 1));
    // A reset before the answer, in contrast, leaves nothing behind.
    lab.rules().add(Rule::new("PutObject", Fault::Reset));
    assert!(s3.put_object().bucket("bucket").key("none").body(body(b"x")).send().await.is_err());
    lab.rules().clear();
    assert_eq!(code(s3.get_object().bucket("bucket").key("none").send().await), "NoSuchKey");
}

#[tokio::test]
async fn a_connection_goes_on_behind_faults_that_do_not_end_it() {
    let lab = open_lab().await;
    lab.rules().add(Rule::new("GetObject", Fault::FlipBit { at: Some(1) }).which(Which::Nth(1)));
    let mut tcp = TcpStream::connect(lab.address()).await.unwrap();
    let mut bodies = Vec::new();
    for _ in 0..2 {
        tcp.write_all(b"GET /bucket/k HTTP/1.1\r\nHost: lab\r\n\r\n").await.unwrap();
        let mut received = Vec::new();
        let head = loop {
            received.push(tcp.read_u8().await.unwrap());
            if received.ends_with(b"\r\n\r\n") {
                break received.len();
            }
        };
        received.resize(head + SIZE as usize, 0);
        tcp.read_exact(&mut received[head..]).await.unwrap();
        bodies.push(received.split_off(head));
    }
    assert_eq!(synthetic::check("k", 1, 0, &bodies[0]), Err(synthetic::Mismatch { offset: 1 }));
    assert_eq!(synthetic::check("k", 1, 0, &bodies[1]), Ok(()));
    assert_eq!(lab.counters().operation("GetObject").bytes_out, 2 * SIZE);
    assert_eq!(lab.counters().connections, 1);
}

#[tokio::test]
async fn faults_of_the_body_leave_answers_without_one_alone() {
    let lab = open_lab().await;
    for fault in [
        Fault::Truncate { at: None },
        Fault::FlipBit { at: None },
        Fault::Overlong { extra: 5 },
        Fault::ResetBody { at: None },
    ] {
        lab.rules().add(Rule::new("HeadObject", fault));
    }
    let head = "HEAD /bucket/k HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n";
    let met = raw(&lab, head).await;
    assert_eq!(
        (met.status(), met.header("content-length"), met.ended),
        (200, Some("300000"), None)
    );
    assert!(met.body.is_empty());
}
