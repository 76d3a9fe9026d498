//! Every fault the lab knows, against reads that must be right all the same.

use std::sync::Arc;
use std::time::Duration;

use lab::{Fault, Rule, Which};
use object::{CHUNK, ErrorKind, Key, Span, Store};

use crate::lab_reads::{client, lab, reads_right, synthetic_object};
use crate::reading::{config, connect, read, version};

/// A ranged read is right although the first GET meets this fault, and takes `gets` of them.
async fn cured(fault: Fault, gets: u64) {
    let lab = lab().await;
    let mut config = config(&lab.endpoint());
    config.stall = Duration::from_millis(300);
    let s3 = connect(config).await;
    lab.reset_counters();
    let big = synthetic_object(&lab, "big", 9 << 20);
    lab.rules().add(Rule::new("GetObject", fault).which(Which::First(1)));
    reads_right(&s3, &big, Span::new(1 << 20, 4 << 20)).await;
    assert_eq!(lab.counters().requests("GetObject"), gets, "{fault:?}");
}

#[tokio::test]
async fn one_more_get_cures_each_fault_of_one_answer() {
    for fault in [
        Fault::SlowDown,
        Fault::InternalError,
        Fault::Reset,
        Fault::AnswerLost,
        Fault::ResetBody { at: Some(300_000) },
        Fault::Truncate { at: Some(300_000) },
        Fault::WrongContentRange,
        Fault::Stall,
        Fault::StallBody { at: Some(300_000) },
        Fault::ErrorInBody,
    ] {
        cured(fault, 2).await;
    }
    cured(Fault::Overlong { extra: 100 }, 1).await;
    cured(Fault::Latency { ms: 50 }, 1).await;
}

#[tokio::test]
async fn a_flipped_bit_of_a_whole_object_is_found_by_its_checksum() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    let bytes: Vec<u8> = (0..3 * CHUNK).map(|i| (i % 255) as u8).collect();
    let etag = lab.put_object("bucket", "k", bytes.clone()).await.unwrap();
    let object = version("k", &etag, bytes.len() as u64);
    let flip = Fault::FlipBit { at: Some(200_000) };
    lab.rules().add(Rule::new("GetObject", flip).which(Which::First(2)));
    let got = read(&s3, &object, object.whole()).await.unwrap();
    assert!(got == bytes, "wrong bytes");
    assert_eq!(lab.counters().requests("GetObject"), 3);
}

#[tokio::test]
async fn denied_is_denied_at_once() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    let object = synthetic_object(&lab, "k", 1000);
    lab.rules().add(Rule::new("GetObject", Fault::Deny));
    let error = read(&s3, &object, object.whole()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(lab.counters().requests("GetObject"), 1);
    lab.rules().clear();
    lab.rules().add(Rule::new("HeadObject", Fault::Deny));
    let error = s3.head(&Key::new("k").unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(lab.counters().requests("HeadObject"), 1);
}

#[tokio::test]
async fn a_storm_of_503_lowers_the_requests_at_once_and_is_outlived() {
    let lab = lab().await;
    let s3 = Arc::new(client(&lab).await);
    let big = synthetic_object(&lab, "big", 64 << 20);
    lab.rules().add(Rule::new("GetObject", Fault::SlowDown).which(Which::First(40)));
    let mut reads = tokio::task::JoinSet::new();
    for part in 0..32_u64 {
        let (s3, big) = (s3.clone(), big.clone());
        reads.spawn(async move {
            reads_right(&s3, &big, Span::new(part << 20, (part + 1) << 20)).await;
        });
    }
    reads.join_all().await;
    assert_eq!(lab.counters().requests("GetObject"), 72);
    assert_eq!(s3.stats().throttled, 40);
    assert!(s3.concurrency() < 64, "{}", s3.concurrency());
}

#[tokio::test]
async fn under_a_share_of_all_faults_reads_are_right() {
    let lab = lab().await;
    let mut config = config(&lab.endpoint());
    config.stall = Duration::from_millis(200);
    let s3 = Arc::new(connect(config).await);
    let big = synthetic_object(&lab, "big", 64 << 20);
    let faults = [
        Fault::SlowDown,
        Fault::InternalError,
        Fault::Reset,
        Fault::ResetBody { at: None },
        Fault::StallBody { at: None },
        Fault::Truncate { at: None },
        Fault::Overlong { extra: 10 },
        Fault::WrongContentRange,
        Fault::ErrorInBody,
    ];
    for (seed, fault) in (1..).zip(faults) {
        let which = Which::Share { probability: 0.03, seed };
        lab.rules().add(Rule::new("GetObject", fault).which(which));
    }
    let mut reads = tokio::task::JoinSet::new();
    for worker in 0..8_u64 {
        let (s3, big) = (s3.clone(), big.clone());
        reads.spawn(async move {
            for n in 0..40_u64 {
                let start = (worker * 40 + n) * 131_072 % (60 << 20);
                reads_right(&s3, &big, Span::new(start, start + (1 << 20))).await;
            }
        });
    }
    reads.join_all().await;
}
