//! Every fault the lab knows, against writes that must be right all the same.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use lab::{Fault, Lab, Rule, Which};
use object::{Condition, ErrorKind, Sink};
use s3::{Config, S3};

use crate::lab_reads::lab;
use crate::lab_writes::{puts, reads_back};
use crate::reading::{config, connect};
use crate::writing::{body, bytes, key};

async fn client(lab: &Lab) -> S3 {
    let s3 = connect(Config { stall: Duration::from_millis(60), ..config(&lab.endpoint()) }).await;
    lab.reset_counters();
    s3
}

/// Requests of these operations.
fn counts<const N: usize>(lab: &Lab, operations: [&str; N]) -> [u64; N] {
    let counters = lab.counters();
    operations.map(|operation| counters.requests(operation))
}

#[tokio::test]
async fn one_more_put_cures_each_fault_of_one_answer() {
    for fault in [
        Fault::SlowDown,
        Fault::InternalError,
        Fault::Conflict,
        Fault::NoConditions,
        Fault::Reset,
        Fault::Stall,
    ] {
        let lab = lab().await;
        let s3 = client(&lab).await;
        lab.rules().add(Rule::new("PutObject", fault).which(Which::First(1)));
        let content = bytes(3_000_000, 1);
        puts(&s3, "k", &content, &Condition::Absent).await;
        // The one HEAD is the test's own.
        assert_eq!(counts(&lab, ["PutObject", "HeadObject"]), [2, 1], "{fault:?}");
    }
}

#[tokio::test]
async fn a_lost_answer_to_a_conditional_put_costs_a_head() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    lab.rules().add(Rule::new("PutObject", Fault::AnswerLost).which(Which::First(1)));
    puts(&s3, "k", b"mine", &Condition::Absent).await;
    assert_eq!(counts(&lab, ["PutObject", "HeadObject"]), [2, 2]);
}

#[tokio::test]
async fn an_upload_survives_each_fault_at_each_of_its_steps() {
    let steps =
        ["CreateMultipartUpload", "UploadPart", "UploadPartCopy", "CompleteMultipartUpload"];
    let faults = [
        (Fault::SlowDown, 0),
        (Fault::InternalError, 0),
        (Fault::Conflict, 0),
        (Fault::Reset, 0),
        // HEADs after a completion whose answer was lost.
        (Fault::AnswerLost, 1),
        (Fault::ErrorInBody, 1),
        (Fault::Truncate { at: None }, 1),
    ];
    for (step, name) in steps.iter().enumerate() {
        for (fault, heads) in faults {
            let lab = lab().await;
            let s3 = client(&lab).await;
            let old = puts(&s3, "old", &bytes(5 << 20, 2), &Condition::Any).await;
            lab.reset_counters();
            lab.rules().add(Rule::new(name, fault).which(Which::First(1)));
            let upload = s3.begin_upload(&key("k")).await.unwrap();
            let first = s3.copy_part(&upload, 1, &old.version, old.version.whole()).await.unwrap();
            let second = s3.put_part(&upload, 2, 5 << 20, &body(b"tail")).await.unwrap();
            let meta = s3.complete(&upload, &[first, second], &Condition::Absent).await.unwrap();
            // The part's answer has no body that could be harmed.
            let bodiless = *name == "UploadPart" && matches!(fault, Fault::Truncate { .. });
            let mut expected = [1; 4];
            expected[step] += u64::from(!bodiless);
            assert_eq!(counts(&lab, steps), expected, "{name} {fault:?}");
            let heads = if step == 3 { heads } else { 0 };
            assert_eq!(counts(&lab, ["HeadObject"]), [heads], "{name} {fault:?}");
            let content = [bytes(5 << 20, 2), b"tail".to_vec()].concat();
            reads_back(&s3, &meta, &content).await;
        }
    }
}

#[tokio::test]
async fn what_nothing_cures_is_told_at_once_and_in_full() {
    for (fault, kind, told) in [
        (Fault::Deny, ErrorKind::Denied, "s3:PutObject"),
        (Fault::Full, ErrorKind::Full, "QuotaExceeded"),
    ] {
        let lab = lab().await;
        let s3 = client(&lab).await;
        lab.rules().add(Rule::new("PutObject", fault));
        is_told(&lab, &s3, (kind, told)).await;
    }
}

#[tokio::test]
async fn a_refusal_is_heard_over_tls_while_the_body_is_being_sent() {
    let lab = Lab::start(lab::Config { tls: true, ..lab::Config::default() }).await.unwrap();
    lab.create_bucket("bucket").unwrap();
    let mut bundle = tempfile::NamedTempFile::new().unwrap();
    bundle.write_all(lab.ca_pem().unwrap().as_bytes()).unwrap();
    let s3 =
        connect(Config { ca_bundle: Some(bundle.path().into()), ..config(&lab.endpoint()) }).await;
    lab.rules().add(Rule::new("PutObject", Fault::Deny));
    is_told(&lab, &s3, (ErrorKind::Denied, "s3:PutObject")).await;
    assert!(s3.stats().bytes_sent < 40 << 20, "{}", s3.stats().bytes_sent);
}

/// The failure of a large put has this kind and says this, and is found out with one request.
async fn is_told(lab: &Lab, s3: &S3, (kind, told): (ErrorKind, &str)) {
    let big = body(&vec![1; 40 << 20]);
    let error = s3.put(&key("d/k"), &big, &Condition::Absent).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.message().contains(told), "{error}");
    assert!(error.message().starts_with("storing s3://bucket/d/k: "), "{error}");
    assert!(error.request_id().is_some());
    assert_eq!(counts(lab, ["PutObject", "HeadObject"]), [1, 0]);
}

#[tokio::test]
async fn a_storm_of_503_lowers_the_requests_at_once_and_is_outlived() {
    let lab = lab().await;
    let s3 = Arc::new(client(&lab).await);
    lab.rules().add(Rule::new("PutObject", Fault::SlowDown).which(Which::First(40)));
    let mut writes = tokio::task::JoinSet::new();
    for n in 0..64_usize {
        let s3 = s3.clone();
        writes.spawn(async move {
            s3.put(&key(&format!("o{n}")), &body(&bytes(4096, n)), &Condition::Any).await.unwrap()
        });
    }
    writes.join_all().await;
    assert_eq!(counts(&lab, ["PutObject"]), [104]);
    assert_eq!(s3.stats().throttled, 40);
    assert!(s3.concurrency() < 64, "{}", s3.concurrency());
}

#[tokio::test]
async fn under_a_share_of_all_faults_every_write_is_right_and_told_so() {
    let lab = lab().await;
    let s3 = Arc::new(client(&lab).await);
    let faults = [
        Fault::SlowDown,
        Fault::InternalError,
        Fault::Conflict,
        Fault::Reset,
        Fault::AnswerLost,
        Fault::Stall,
    ];
    for (seed, fault) in (1..).zip(faults) {
        let which = Which::Share { probability: 0.04, seed };
        lab.rules().add(Rule::new("PutObject", fault).which(which));
    }
    let mut writes = tokio::task::JoinSet::new();
    for worker in 0..8_usize {
        let s3 = s3.clone();
        writes.spawn(async move {
            let mut made = Vec::new();
            for n in 0..25 {
                let content = bytes(100_000, worker * 25 + n);
                let name = key(&format!("{worker}/{n}"));
                let meta = s3.put(&name, &body(&content), &Condition::Absent).await.unwrap();
                made.push((meta, content));
            }
            made
        });
    }
    let made = writes.join_all().await.concat();
    lab.rules().clear();
    assert_eq!(made.len(), 200);
    for (meta, content) in made {
        reads_back(&s3, &meta, &content).await;
    }
}
