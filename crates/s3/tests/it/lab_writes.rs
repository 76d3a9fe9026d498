//! Objects that are put, deleted and read back, against the lab.

use std::io::Write;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::ChecksumMode;
use lab::Lab;
use object::{Algorithm, CHUNK, Condition, ErrorKind, Meta, Sink, Store};
use s3::{Attributes, Config, Encryption, S3};

use crate::lab_reads::{client, lab};
use crate::reading::{config, connect, read};
use crate::writing::{body, body_with, bytes, key};

/// Puts an object and reads it back.
pub(crate) async fn puts(s3: &S3, name: &str, content: &[u8], condition: &Condition) -> Meta {
    let meta = s3.put(&key(name), &body(content), condition).await.unwrap();
    reads_back(s3, &meta, content).await;
    meta
}

/// What is stored is this, as HEAD and GET say.
pub(crate) async fn reads_back(s3: &S3, meta: &Meta, content: &[u8]) {
    let told = s3.head(&meta.version.key).await.unwrap();
    assert_eq!(told.version, meta.version);
    // The clock of the answer is read a moment after that of the object.
    let apart = meta.modified.secs().abs_diff(told.modified.secs());
    assert!(apart <= 1, "{apart} s apart");
    let version = Arc::new(meta.version.clone());
    let got = read(s3, &version, version.whole()).await.unwrap();
    assert!(got == content, "other bytes came back");
}

/// What the lab says of an object to the AWS SDK's own client.
pub(crate) async fn headed(lab: &Lab, name: &str) -> HeadObjectOutput {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(lab.endpoint())
        .force_path_style(true)
        .credentials_provider(Credentials::new("LABACCESSKEY", "lab-secret-key", None, None, ""));
    let head = Client::from_conf(config.build()).head_object().bucket("bucket").key(name);
    head.checksum_mode(ChecksumMode::Enabled).send().await.unwrap()
}

#[tokio::test]
async fn objects_of_any_size_take_one_put_and_come_back_as_they_were() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    let sizes = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 8 << 20];
    for size in sizes {
        let content = bytes(size as usize, 1);
        puts(&s3, &format!("d/o {size}+ü"), &content, &Condition::Absent).await;
    }
    let sent: u64 = sizes.iter().sum();
    assert_eq!(lab.counters().requests("PutObject"), 6);
    assert_eq!(lab.counters().operation("PutObject").bytes_in, sent);
    assert_eq!((s3.stats().puts, s3.stats().bytes_sent), (6, sent));
}

#[tokio::test]
async fn checksums_are_those_that_were_asked_for() {
    let lab = lab().await;
    for (algorithm, sent) in [
        (Some(Algorithm::Crc64Nvme), Some(Algorithm::Crc64Nvme)),
        (Some(Algorithm::Crc32c), Some(Algorithm::Crc32c)),
        // Of another kind, or not computed: none is sent.
        (Some(Algorithm::Crc32c), Some(Algorithm::Crc64Nvme)),
        (None, Some(Algorithm::Crc32c)),
        (Some(Algorithm::Crc32c), None),
    ] {
        let attributes = Attributes { checksums: algorithm, ..Attributes::default() };
        let s3 = connect(Config { attributes, ..config(&lab.endpoint()) }).await;
        let content = body_with(b"123456789", sent);
        s3.put(&key("k"), &content, &Condition::Any).await.unwrap();
        let told = headed(&lab, "k").await;
        let crc32c = algorithm == Some(Algorithm::Crc32c) && algorithm == sent;
        assert_eq!(told.checksum_crc32_c(), crc32c.then_some("4waSgw=="));
        // Without one the store computes its own.
        assert_eq!(told.checksum_crc64_nvme(), (!crc32c).then_some("rosUhgp5mIg="));
    }
}

#[tokio::test]
async fn conditions_are_judged_by_the_store() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    let first = puts(&s3, "k", b"one", &Condition::Absent).await;
    let put = async |condition: &Condition, name: &str| {
        s3.put(&key(name), &body(b"two"), condition).await.map_err(|e| e.kind())
    };
    assert_eq!(put(&Condition::Absent, "k").await, Err(ErrorKind::Changed));
    let is = Condition::Is(first.version.etag);
    assert_eq!(put(&is, "not there").await, Err(ErrorKind::Changed));
    let second = put(&is, "k").await.unwrap();
    assert_eq!(put(&is, "k").await, Err(ErrorKind::Changed));
    reads_back(&s3, &second, b"two").await;
    let counters = lab.counters();
    assert_eq!((counters.requests("PutObject"), counters.requests("HeadObject")), (5, 2));
}

#[tokio::test]
async fn deleted_objects_are_gone_and_may_be_deleted_again() {
    let lab = lab().await;
    let s3 = client(&lab).await;
    puts(&s3, "k", b"x", &Condition::Any).await;
    for _ in 0..2 {
        s3.delete(&key("k")).await.unwrap();
    }
    assert_eq!(s3.head(&key("k")).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(lab.counters().requests("DeleteObject"), 2);
    assert_eq!(s3.stats().deletes, 2);
}

#[tokio::test]
async fn attributes_are_kept_with_the_object() {
    let lab = lab().await;
    let attributes = Attributes {
        encryption: Some(Encryption::Kms),
        kms_key: Some("arn:aws:kms:us-east-1:1:key/2".into()),
        storage_class: Some("STANDARD_IA".into()),
        infer_content_type: true,
        ..Attributes::default()
    };
    let s3 = connect(Config { attributes, ..config(&lab.endpoint()) }).await;
    puts(&s3, "put.json", b"{}", &Condition::Any).await;
    let upload = s3.begin_upload(&key("parts.json")).await.unwrap();
    let part = s3.put_part(&upload, 1, 0, &body(b"{}")).await.unwrap();
    s3.complete(&upload, &[part], &Condition::Any).await.unwrap();
    for name in ["put.json", "parts.json"] {
        let told = headed(&lab, name).await;
        assert_eq!(told.content_type(), Some("application/json"));
        assert_eq!(told.storage_class().map(|c| c.as_str()), Some("STANDARD_IA"));
        assert_eq!(told.server_side_encryption().map(|e| e.as_str()), Some("aws:kms"));
        assert_eq!(told.ssekms_key_id(), Some("arn:aws:kms:us-east-1:1:key/2"));
    }
}

#[tokio::test]
async fn every_request_names_the_account_that_has_to_own_the_bucket() {
    let lab = lab().await;
    let owned = |owner: &str| Config {
        expected_bucket_owner: Some(owner.into()),
        requester_pays: true,
        ..config(&lab.endpoint())
    };
    let ours = connect(owned("lab")).await;
    let meta = puts(&ours, "k", b"x", &Condition::Any).await;
    let (other, preflight) = S3::connect(owned("1234"), object::Clock::start(), "").await.unwrap();
    let kinds = [
        preflight.listing.map(|_| ()),
        other.put(&key("k"), &body(b"y"), &Condition::Any).await.map(|_| ()),
        other.delete(&key("k")).await,
        other.head(&key("k")).await.map(|_| ()),
        other.uploads("").await.map(|_| ()),
        read(&other, &Arc::new(meta.version.clone()), meta.version.whole()).await.map(|_| ()),
    ]
    .map(|outcome| outcome.map_err(|e| e.kind()));
    assert_eq!(kinds, [Err(ErrorKind::Denied); 6]);
    reads_back(&ours, &meta, b"x").await;
}

#[tokio::test]
async fn objects_go_over_tls_as_they_are() {
    let lab = Lab::start(lab::Config { tls: true, ..lab::Config::default() }).await.unwrap();
    lab.create_bucket("bucket").unwrap();
    let mut bundle = tempfile::NamedTempFile::new().unwrap();
    bundle.write_all(lab.ca_pem().unwrap().as_bytes()).unwrap();
    let s3 =
        connect(Config { ca_bundle: Some(bundle.path().into()), ..config(&lab.endpoint()) }).await;
    for size in [0, 1, 300_000, 8 << 20] {
        puts(&s3, &format!("o{size}"), &bytes(size, 3), &Condition::Absent).await;
    }
    assert_eq!(lab.counters().requests("PutObject"), 4);
    assert_eq!(s3.stats().connections, 1);
}

#[tokio::test]
async fn many_puts_at_once_share_the_connections() {
    let lab = lab().await;
    let s3 = Arc::new(connect(Config { max_connections: 16, ..config(&lab.endpoint()) }).await);
    lab.reset_counters();
    let mut writes = tokio::task::JoinSet::new();
    for n in 0..200_usize {
        let s3 = s3.clone();
        writes.spawn(async move {
            let content = bytes(4096, n);
            let meta = s3.put(&key(&format!("o{n}")), &body(&content), &Condition::Absent).await;
            reads_back(&s3, &meta.unwrap(), &content).await;
        });
    }
    writes.join_all().await;
    assert_eq!(lab.counters().requests("PutObject"), 200);
    assert!(s3.stats().connections <= 16, "{}", s3.stats().connections);
}
