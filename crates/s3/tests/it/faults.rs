//! Silence, deadlines, abandoned reads, secrets.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use object::{CHUNK, ErrorKind, Span};
use s3::Identity;
use tokio::time::Instant;

use crate::reading::{PATIENCE, config, connect, read, start, version};
use crate::script::{Act, Script};

fn whole(size: u64, extra: &str) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nETag: \"e\"\r\n{extra}\r\n")
            .into_bytes();
    bytes.resize(bytes.len() + size as usize, b'x');
    bytes
}

#[tokio::test]
async fn a_silent_connection_is_given_up_for_another() {
    let script = Script::start(|n, _| match n {
        0 => vec![Act::Stall],
        1 => vec![Act::Send(whole(1000, "")[..500].to_vec()), Act::Stall],
        _ => vec![Act::Send(whole(1000, ""))],
    })
    .await;
    let mut config = config(&script.endpoint());
    config.stall = Duration::from_millis(200);
    let s3 = connect(config).await;
    let begun = Instant::now();
    let bytes = read(&s3, &version("k", "e", 1000), Span::new(0, 1000)).await.unwrap();
    assert_eq!(bytes.len(), 1000);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!((s3.stats().gets, s3.stats().hedges), (3, 2));
    script.ended(0).await;
    script.ended(1).await;
}

#[tokio::test]
async fn silence_costs_no_more_than_the_stated_extra_requests() {
    let script = Script::start(|_, _| vec![Act::Stall]).await;
    let mut config = config(&script.endpoint());
    config.stall = Duration::from_millis(50);
    config.read_deadline = Duration::from_secs(3);
    let s3 = Arc::new(connect(config).await);
    let mut reads = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let s3 = s3.clone();
        reads.spawn(async move {
            read(&s3, &version("k", "e", 1000), Span::new(0, 1000)).await.unwrap_err().kind()
        });
    }
    assert!(reads.join_all().await.iter().all(|kind| *kind == ErrorKind::Timeout));
    // 16 at once, and one in two seconds.
    let stats = s3.stats();
    assert!((16..=18).contains(&stats.hedges), "{stats:?}");
    // And whatever was silent for a second, a third of the time, twice.
    let failed = stats.gets - 30 - stats.hedges;
    assert!((1..=60).contains(&failed), "{stats:?}");
}

#[tokio::test]
async fn a_read_ends_at_its_deadline_whatever_happens() {
    let drip = || {
        let byte = || [Act::Send(b"x".to_vec()), Act::Wait(Duration::from_millis(50))];
        let head = [Act::Send(whole(1000, "")[..60].to_vec())].into_iter();
        head.chain((0..900).flat_map(|_| byte())).collect::<Vec<_>>()
    };
    let stalled = Script::start(|_, _| vec![Act::Stall]).await;
    let dripping = Script::start(move |_, _| drip()).await;
    for script in [stalled, dripping] {
        let mut config = config(&script.endpoint());
        config.read_deadline = Duration::from_secs(1);
        let s3 = connect(config).await;
        let begun = Instant::now();
        let error = read(&s3, &version("k", "e", 1000), Span::new(0, 1000)).await.unwrap_err();
        let took = begun.elapsed();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
        assert!((900..1500).contains(&took.as_millis()), "{took:?}");
    }
}

#[tokio::test]
async fn an_abandoned_read_closes_its_connection() {
    let script =
        Script::start(|_, _| vec![Act::Send(whole(1000, "")[..500].to_vec()), Act::Stall]).await;
    let mut config = config(&script.endpoint());
    config.stall = PATIENCE;
    let s3 = connect(config).await;
    let (budget, flight) = start(&s3, &version("k", "e", 1000), Span::new(0, 1000));
    while script.gets().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(flight);
    tokio::time::timeout(Duration::from_secs(2), script.ended(0)).await.expect("still open");
    assert_eq!(budget.used(), 0);
    assert_eq!(s3.stats().gets, 1);
}

#[tokio::test]
async fn a_flipped_byte_is_shown_to_nobody() {
    // CRC32C of 1000 times "x" differs from the one promised, until the third answer.
    let script = Script::start(|n, _| {
        let promised = if n < 2 { "x-amz-checksum-crc32c: AAAAAA==\r\n" } else { "" };
        vec![Act::Send(whole(1000, promised))]
    })
    .await;
    let s3 = connect(config(&script.endpoint())).await;
    let bytes = read(&s3, &version("k", "e", 1000), Span::new(0, 1000)).await.unwrap();
    assert_eq!((bytes.len(), s3.stats().gets), (1000, 3));
    assert_eq!(s3.stats().connections, 3, "a retry goes over another connection");
}

#[tokio::test]
async fn an_object_that_is_always_wrong_ends_as_corrupt_and_shows_no_chunk() {
    let size = 2 * CHUNK;
    let script = Script::start(move |_, _| {
        vec![Act::Send(whole(size, "x-amz-checksum-crc64nvme: AAAAAAAAAAA=\r\n"))]
    })
    .await;
    let mut config = config(&script.endpoint());
    config.max_attempts = 3;
    let s3 = connect(config).await;
    let (_budget, flight) = start(&s3, &version("k", "e", size), Span::new(0, size));
    let error = flight.landed(0).await.err().unwrap();
    assert_eq!((error.kind(), script.gets().len()), (ErrorKind::Corrupt, 3));
    assert!(flight.chunk(0).is_none());
}

#[tokio::test]
async fn no_secret_is_in_a_message_or_a_debug_text() {
    let script = Script::start(|_, _| {
        vec![Act::Send(b"HTTP/1.1 403 X\r\nContent-Length: 0\r\n\r\n".to_vec())]
    })
    .await;
    let keys = Credentials::new("AKID", "s3cr3t-key", Some("t0k3n".into()), None, "test");
    let mut config = config(&script.endpoint());
    config.identity = Identity::Provider(SharedCredentialsProvider::new(keys));
    let s3 = connect(config.clone()).await;
    let error = read(&s3, &version("k", "e", 9), Span::new(0, 9)).await.unwrap_err();
    let sent = script.gets().concat();
    let signature = sent.split("Signature=").nth(1).unwrap()[..64].to_owned();
    let shown = format!("{config:?} {s3:?} {error} {error:?}");
    for secret in ["s3cr3t-key", "t0k3n", &signature] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(sent.contains("t0k3n"));
}
