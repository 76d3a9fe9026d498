//! Answers that are not what was asked for.

use std::time::Duration;

use object::{CHUNK, ErrorKind, Span};
use s3::Stats;
use tokio::time::Instant;

use crate::reading::{bytes_of, config, connect, read, start, version};
use crate::script::{Act, Script};

const SIZE: u64 = 3 * CHUNK + 77;

fn content() -> Vec<u8> {
    (0..SIZE).map(|i| (i * 31 % 251) as u8).collect()
}

/// The right answer to the GET with this head.
fn right(head: &str) -> Vec<Act> {
    vec![Act::Send(answer(head, &[]))]
}

/// The right answer with some texts in it replaced.
fn answer(head: &str, changes: &[(&str, &str)]) -> Vec<u8> {
    let content = content();
    let range = head.lines().find_map(|l| l.strip_prefix("range: bytes="));
    let (mut text, body) = match range.and_then(|r| r.split_once('-')) {
        Some((first, last)) => {
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            let line = format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{last}/{SIZE}\r\n\
                 Content-Length: {}\r\n",
                last + 1 - first
            );
            (line, content[first..=last].to_vec())
        }
        None => (format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n"), content),
    };
    text += "ETag: \"e\"\r\nx-amz-request-id: RID\r\n\r\n";
    for (from, to) in changes {
        assert!(text.contains(from), "{from} not in {text}");
        text = text.replace(from, to);
    }
    [text.into_bytes(), body].concat()
}

fn refusal(status: &str, code: &str) -> Vec<Act> {
    let body = format!("<Error><Code>{code}</Code><RequestId>R9</RequestId></Error>");
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
    vec![Act::Send([head, body].concat().into_bytes())]
}

/// Reads everything but the first chunk while the first GET meets `first`, and the others are
/// answered rightly. The bytes must be right; answers what was asked.
async fn survives(first: impl Fn(&str) -> Vec<Act> + Send + Sync + 'static) -> (Stats, Script) {
    let answer = move |n, head: &str| if n == 0 { first(head) } else { right(head) };
    let script = Script::start(answer).await;
    let s3 = connect(config(&script.endpoint())).await;
    let bytes = read(&s3, &version("k", "e", SIZE), Span::new(CHUNK, SIZE)).await.unwrap();
    assert!(bytes == content()[CHUNK as usize..], "wrong bytes");
    (s3.stats(), script)
}

/// As [`survives`], and takes exactly one more GET.
async fn is_retried(first: impl Fn(&str) -> Vec<Act> + Send + Sync + 'static) {
    let (stats, script) = survives(first).await;
    assert_eq!((stats.gets, stats.retries, script.gets().len()), (2, 1, 2));
}

async fn is_retried_when_changed(from: &'static str, to: &'static str) {
    is_retried(move |head| vec![Act::Send(answer(head, &[(from, to)]))]).await;
}

/// The kind that a read ends with when every GET gets this refusal, and how many there were.
async fn ends_with(status: &'static str, code: &'static str) -> (ErrorKind, usize) {
    let script = Script::start(move |_, _| refusal(status, code)).await;
    let mut config = config(&script.endpoint());
    config.max_attempts = 3;
    let s3 = connect(config).await;
    let error = read(&s3, &version("k", "e", SIZE), Span::new(0, CHUNK)).await.unwrap_err();
    assert_eq!(error.request_id(), Some("R9"));
    (error.kind(), script.gets().len())
}

#[tokio::test]
async fn a_right_answer_takes_one_get() {
    let (stats, script) = survives(right).await;
    assert_eq!((stats.gets, stats.lists, stats.retries), (1, 1, 0));
    assert_eq!(stats.bytes, SIZE - CHUNK);
    let head = &script.gets()[0];
    assert!(head.contains(&format!("range: bytes={CHUNK}-{}\r\n", SIZE - 1)), "{head}");
    assert!(head.contains("if-match: \"e\"\r\n"), "{head}");
}

#[tokio::test]
async fn a_part_of_another_range_is_refused() {
    is_retried_when_changed("bytes 131072-", "bytes 131073-").await;
}

#[tokio::test]
async fn a_range_of_an_object_of_another_size_is_refused() {
    is_retried_when_changed("/393293", "/393294").await;
}

#[tokio::test]
async fn a_whole_object_instead_of_a_range_is_refused() {
    is_retried_when_changed("206 Partial Content", "200 OK").await;
}

#[tokio::test]
async fn another_length_is_refused() {
    is_retried_when_changed("Content-Length: 262221", "Content-Length: 262220").await;
}

#[tokio::test]
async fn an_answer_without_length_is_refused() {
    is_retried_when_changed("Content-Length: 262221\r\n", "").await;
}

#[tokio::test]
async fn an_answer_without_etag_or_with_another_is_refused() {
    is_retried_when_changed("ETag: \"e\"\r\n", "").await;
    is_retried_when_changed("\"e\"", "\"f\"").await;
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    is_retried(|_| vec![Act::Send(b"\x16\x03\x01 hello\r\n\r\n".to_vec())]).await;
}

#[tokio::test]
async fn a_head_without_end_is_refused_after_64_kib() {
    is_retried(|_| {
        let bomb = format!("HTTP/1.1 200 OK\r\nx: {}", "a".repeat(200 << 10));
        vec![Act::Send(bomb.into_bytes()), Act::Stall]
    })
    .await;
}

#[tokio::test]
async fn a_body_cut_short_is_gone_on_with_where_it_ended() {
    for act in [Act::Close, Act::Reset] {
        let (stats, script) = survives(move |head| {
            let mut all = answer(head, &[]);
            all.truncate(all.len() - 100);
            vec![Act::Send(all), Act::Wait(Duration::from_millis(100)), act.clone()]
        })
        .await;
        assert_eq!(stats.gets, 2);
        let again = &script.gets()[1];
        assert!(again.contains(&format!("range: bytes={}-", 2 * CHUNK)), "{again}");
    }
}

#[tokio::test]
async fn an_over_long_body_ends_where_it_should_and_its_connection_is_not_used_again() {
    let (stats, script) =
        survives(|head| vec![Act::Send([answer(head, &[]), b"HTTP/1.1 extra".to_vec()].concat())])
            .await;
    assert_eq!(stats.gets, 1);
    script.ended(0).await;
}

#[tokio::test]
async fn a_connection_is_used_again_unless_the_server_closes_it() {
    for (changes, connections) in [(vec![], 1), (vec![("ETag", "Connection: close\r\nETag")], 2)] {
        let changes: Vec<(&'static str, &'static str)> = changes;
        let script = Script::start(move |_, h| vec![Act::Send(answer(h, &changes))]).await;
        let s3 = connect(config(&script.endpoint())).await;
        for _ in 0..2 {
            read(&s3, &version("k", "e", SIZE), Span::new(0, CHUNK)).await.unwrap();
        }
        assert_eq!(s3.stats().connections, connections);
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_costs_no_attempt() {
    let script = Script::start(|_, head| vec![Act::Send(answer(head, &[])), Act::Close]).await;
    let mut config = config(&script.endpoint());
    config.max_attempts = 1;
    let s3 = connect(config).await;
    for _ in 0..20 {
        read(&s3, &version("k", "e", SIZE), Span::new(0, CHUNK)).await.unwrap();
    }
    assert_eq!(s3.stats().retries, 0);
}

#[tokio::test]
async fn refusals_that_nothing_cures_are_asked_once() {
    assert_eq!(ends_with("404", "NoSuchKey").await, (ErrorKind::NotFound, 1));
    assert_eq!(ends_with("412", "PreconditionFailed").await, (ErrorKind::Changed, 1));
    assert_eq!(ends_with("403", "AccessDenied").await, (ErrorKind::Denied, 1));
    assert_eq!(ends_with("403", "InvalidObjectState").await, (ErrorKind::Archived, 1));
    assert_eq!(ends_with("301", "PermanentRedirect").await, (ErrorKind::WrongRegion, 1));
}

#[tokio::test]
async fn failures_of_the_store_are_asked_as_often_as_allowed() {
    assert_eq!(ends_with("500", "InternalError").await, (ErrorKind::Server, 3));
    assert_eq!(ends_with("503", "SlowDown").await, (ErrorKind::Throttled, 3));
    assert_eq!(ends_with("429", "TooMany").await, (ErrorKind::Throttled, 3));
}

#[tokio::test]
async fn an_expired_token_is_renewed_once() {
    assert_eq!(ends_with("400", "ExpiredToken").await, (ErrorKind::Credentials, 2));
}

#[tokio::test]
async fn a_chunked_refusal_is_understood_and_its_connection_kept() {
    let script = Script::start(|n, head| match n {
        0 => vec![Act::Send(
            b"HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n\
              1c\r\n<Error><Code>SlowDown</Code>\r\n0\r\n\r\n"
                .to_vec(),
        )],
        _ => right(head),
    })
    .await;
    let s3 = connect(config(&script.endpoint())).await;
    read(&s3, &version("k", "e", SIZE), Span::new(0, CHUNK)).await.unwrap();
    let stats = s3.stats();
    assert_eq!((stats.gets, stats.throttled, stats.connections), (2, 1, 1));
}

#[tokio::test]
async fn an_empty_object_takes_no_request() {
    let script = Script::start(|_, head| right(head)).await;
    let s3 = connect(config(&script.endpoint())).await;
    let (_, flight) = start(&s3, &version("k", "e", 0), Span::new(0, 0));
    assert!(flight.outcome().unwrap().is_ok());
    assert_eq!(bytes_of(&flight).await.unwrap(), b"");
    assert_eq!(script.gets().len(), 0);
}

#[tokio::test]
async fn a_span_outside_the_object_is_refused_without_a_request() {
    let script = Script::start(|_, head| right(head)).await;
    let s3 = connect(config(&script.endpoint())).await;
    let (_, flight) = start(&s3, &version("k", "e", 10), Span::new(0, 11));
    assert_eq!(flight.outcome().unwrap().unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(script.gets().len(), 0);
}

#[tokio::test]
async fn a_store_away_is_told_before_the_deadline() {
    let script = Script::start(|_, _| vec![Act::Reset]).await;
    let mut config = config(&script.endpoint());
    config.max_attempts = 4;
    let s3 = connect(config).await;
    let begun = Instant::now();
    let error = read(&s3, &version("k", "e", SIZE), Span::new(0, CHUNK)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(script.gets().len(), 4);
}
