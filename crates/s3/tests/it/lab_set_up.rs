//! Regions, styles, TLS, identities.

use std::io::Write;
use std::time::Duration;

use lab::Lab;
use object::{Bucket, Clock, ErrorKind, ListingRequest, Store};
use s3::{Config, Identity, S3};
use tokio::time::Instant;

use crate::lab_reads::{reads_right, synthetic_object};
use crate::reading::{config, connect};
use crate::script::Script;

async fn lab(change: impl FnOnce(&mut lab::Config)) -> Lab {
    let mut config = lab::Config::default();
    change(&mut config);
    let lab = Lab::start(config).await.unwrap();
    lab.create_bucket("bucket").unwrap();
    lab
}

async fn fails(config: Config) -> object::Error {
    S3::connect(config, Clock::start(), "").await.unwrap_err()
}

/// Connects and reads an object.
async fn works(lab: &Lab, config: Config) -> (S3, s3::Preflight) {
    let object = synthetic_object(lab, "k", 3_000_000);
    let (s3, preflight) = S3::connect(config, Clock::start(), "").await.unwrap();
    reads_right(&s3, &object, object.whole()).await;
    (s3, preflight)
}

#[tokio::test]
async fn connecting_takes_one_list_of_one_key() {
    let lab = lab(|_| {}).await;
    let (_, preflight) = works(&lab, config(&lab.endpoint())).await;
    assert_eq!(lab.counters().requests("ListObjectsV2"), 1);
    assert_eq!(lab.counters().total().requests, 2);
    assert_eq!(preflight.region, "us-east-1");
    assert_eq!(preflight.access_key.as_deref(), Some("LABACCESSKEY"));
    assert_eq!(preflight.listing.unwrap().objects.len(), 1);
}

#[tokio::test]
async fn the_region_is_found_when_none_is_given() {
    let lab = lab(|c| c.region = "eu-north-1".into()).await;
    let (s3, preflight) = works(&lab, Config { region: None, ..config(&lab.endpoint()) }).await;
    assert_eq!(preflight.region, "eu-north-1");
    assert_eq!(s3.stats().lists, 2);
}

#[tokio::test]
async fn a_wrong_region_is_refused_naming_the_right_one() {
    let lab = lab(|c| c.region = "eu-north-1".into()).await;
    let error = fails(config(&lab.endpoint())).await;
    assert_eq!(error.kind(), ErrorKind::WrongRegion, "{error:?}");
    assert!(error.to_string().contains("eu-north-1"), "{error}");
}

#[tokio::test]
async fn a_bucket_is_found_by_path_when_that_is_forced() {
    let lab = lab(|_| {}).await;
    let endpoint = format!("http://localhost:{}", lab.address().port());
    let (_, preflight) = works(&lab, Config { force_path_style: true, ..config(&endpoint) }).await;
    assert_eq!(preflight.endpoint, format!("{endpoint}/bucket"));
}

#[tokio::test]
async fn tls_is_spoken_to_those_whom_the_bundle_trusts_only() {
    let lab = lab(|c| c.tls = true).await;
    let mut bundle = tempfile::NamedTempFile::new().unwrap();
    bundle.write_all(lab.ca_pem().unwrap().as_bytes()).unwrap();
    let trusting = Config { ca_bundle: Some(bundle.path().into()), ..config(&lab.endpoint()) };
    works(&lab, trusting).await;
    let begun = Instant::now();
    let error = fails(config(&lab.endpoint())).await;
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
    assert!(error.to_string().contains("certificate"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_bundle_without_certificates_is_refused() {
    let bundle = tempfile::NamedTempFile::new().unwrap();
    let config = Config { ca_bundle: Some(bundle.path().into()), ..config("https://127.0.0.1:1") };
    assert_eq!(fails(config).await.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn nobody_may_read_where_nobody_is_let_in() {
    let open = lab(|c| c.anonymous = true).await;
    let anonymous = |lab: &Lab| Config { identity: Identity::Anonymous, ..config(&lab.endpoint()) };
    let (_, preflight) = works(&open, anonymous(&open)).await;
    assert_eq!(preflight.access_key, None);
    let closed = lab(|_| {}).await;
    let connected = S3::connect(anonymous(&closed), Clock::start(), "").await.unwrap();
    assert_eq!(connected.1.listing.unwrap_err().kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_named() {
    let lab = lab(|_| {}).await;
    let config = Config { bucket: Bucket::new("other").unwrap(), ..config(&lab.endpoint()) };
    let error = fails(config).await;
    assert_eq!(error.kind(), ErrorKind::NoSuchBucket);
    assert!(error.to_string().contains("other"), "{error}");
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_unreachable_at_once() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let begun = Instant::now();
    let error = fails(config(&endpoint)).await;
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_endpoint_that_was_there_is_waited_for() {
    let script = Script::start(|_, _| Vec::new()).await;
    let s3 = connect(config(&script.endpoint())).await;
    let address = script.stop().await;
    let request =
        ListingRequest { prefix: String::new(), delimited: true, max_keys: 1000, token: None };
    let again = async {
        while s3.stats().lists < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Script::start_at(address, |_, _| Vec::new()).await
    };
    let (listed, _script) = tokio::join!(s3.list(&request), again);
    assert_eq!(listed.unwrap().objects.len(), 0);
}
