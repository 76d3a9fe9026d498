use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use lab::{Config, Fault, Rule};

use crate::client::{body, client, code, get, lab, lab_with, raw, settings};

fn signed_by(key: &str, secret: &str) -> Credentials {
    Credentials::new(key, secret, None, None, "test")
}

#[tokio::test]
async fn buckets_are_created_found_listed_and_deleted() {
    let lab = lab().await;
    let s3 = client(&lab);
    s3.create_bucket().bucket("second").send().await.unwrap();
    assert_eq!(code(s3.create_bucket().bucket("second").send().await), "BucketAlreadyOwnedByYou");
    let names = s3.list_buckets().send().await.unwrap().buckets.unwrap();
    let names: Vec<_> = names.iter().filter_map(|bucket| bucket.name()).collect();
    assert_eq!(names, ["bucket", "second"]);
    let head = s3.head_bucket().bucket("second").send().await.unwrap();
    assert_eq!(head.bucket_region(), Some("us-east-1"));
    assert_eq!(code(s3.head_bucket().bucket("third").send().await), "NotFound");
    let place = s3.get_bucket_location().bucket("second").send().await.unwrap();
    assert!(place.location_constraint().is_none_or(|place| place.as_str().is_empty()));
    lab.put_object("second", "k", "x").await.unwrap();
    assert_eq!(code(s3.delete_bucket().bucket("second").send().await), "BucketNotEmpty");
    lab.delete_object("second", "k").unwrap();
    s3.delete_bucket().bucket("second").send().await.unwrap();
    assert_eq!(code(s3.head_bucket().bucket("second").send().await), "NotFound");
}

#[tokio::test]
async fn a_wrong_key_or_secret_is_refused_by_name() {
    let lab = lab().await;
    let with = |key: &str, secret: &str| {
        Client::from_conf(settings(&lab).credentials_provider(signed_by(key, secret)).build())
    };
    let list = |s3: Client| async move { s3.list_objects_v2().bucket("bucket").send().await };
    assert_eq!(code(list(with("NOBODY", "x")).await), "InvalidAccessKeyId");
    assert_eq!(code(list(with("LABACCESSKEY", "x")).await), "SignatureDoesNotMatch");
    let put = with("LABACCESSKEY", "x").put_object().bucket("bucket").key("k").body(body(b"x"));
    assert_eq!(code(put.send().await), "SignatureDoesNotMatch");
    assert_eq!(lab.counters().operation("Rejected").answered_4xx, 3);
    assert_eq!(lab.counters().requests("ListObjectsV2"), 0);
}

#[tokio::test]
async fn unsigned_requests_need_a_lab_that_allows_them() {
    let closed = lab().await;
    closed.put_object("bucket", "k", "x").await.unwrap();
    let refused = get(&closed, "/bucket/k", "").await;
    assert_eq!(refused.status(), 403);
    assert!(String::from_utf8_lossy(&refused.body).contains("<Code>AccessDenied</Code>"));
    // The region is said all the same: that is how a client finds it.
    assert_eq!(refused.header("x-amz-bucket-region"), Some("us-east-1"));
    let open = lab_with(Config { anonymous: true, ..Config::default() }).await;
    open.put_object("bucket", "k", "x").await.unwrap();
    let given = get(&open, "/bucket/k", "").await;
    assert_eq!((given.status(), given.body.as_slice()), (200, &b"x"[..]));
    assert!(given.header("x-amz-request-id").is_some());
}

#[tokio::test]
async fn a_request_for_another_region_is_told_the_right_one() {
    let lab = lab_with(Config { region: "eu-west-1".to_owned(), ..Config::default() }).await;
    let s3 = client(&lab);
    let refused = s3.list_objects_v2().bucket("bucket").send().await;
    let raw = refused.as_ref().err().unwrap().raw_response().unwrap();
    assert_eq!(raw.headers().get("x-amz-bucket-region"), Some("eu-west-1"));
    let text = String::from_utf8_lossy(raw.body().bytes().unwrap()).into_owned();
    assert!(text.contains("<Region>eu-west-1</Region>"), "{text}");
    assert_eq!(code(refused), "AuthorizationHeaderMalformed");
    let right = Client::from_conf(settings(&lab).region(Region::new("eu-west-1")).build());
    right.list_objects_v2().bucket("bucket").send().await.unwrap();
    let place = right.get_bucket_location().bucket("bucket").send().await.unwrap();
    assert_eq!(place.location_constraint().unwrap().as_str(), "eu-west-1");
    let here = BucketLocationConstraint::from("eu-west-1");
    let here = CreateBucketConfiguration::builder().location_constraint(here).build();
    let create = right.create_bucket().bucket("second");
    assert_eq!(code(create.clone().send().await), "IllegalLocationConstraintException");
    create.create_bucket_configuration(here).send().await.unwrap();
}

#[tokio::test]
async fn presigned_requests_are_verified() {
    let lab = lab().await;
    lab.put_object("bucket", "k", "bytes").await.unwrap();
    let hour = PresigningConfig::expires_in(Duration::from_secs(3600)).unwrap();
    let signed = client(&lab).get_object().bucket("bucket").key("k").presigned(hour).await.unwrap();
    let path = signed.uri().strip_prefix(lab.endpoint().as_str()).unwrap();
    let host = format!("Host: {}\r\n", lab.address());
    let ask = |path: String| {
        let request = format!("GET {path} HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
        let lab = &lab;
        async move { raw(lab, &request).await }
    };
    let given = ask(path.to_owned()).await;
    assert_eq!((given.status(), given.body.as_slice()), (200, &b"bytes"[..]));
    let refused = ask(path.replace("/k?", "/l?")).await;
    assert_eq!(refused.status(), 403);
    assert!(String::from_utf8_lossy(&refused.body).contains("SignatureDoesNotMatch"));
}

#[tokio::test]
async fn buckets_are_named_by_virtual_hosts_below_the_domain() {
    let domain = Some("s3.lab.test".to_owned());
    let lab = lab_with(Config { anonymous: true, domain, ..Config::default() }).await;
    lab.put_object("bucket", "k", "x").await.unwrap();
    for (host, path) in [
        ("bucket.s3.lab.test", "/k"),
        ("bucket.s3.lab.test:9000", "/k"),
        ("s3.lab.test", "/bucket/k"),
        ("elsewhere", "/bucket/k"),
        ("127.0.0.1:9000", "/bucket/k"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let given = raw(&lab, &request).await;
        assert_eq!((given.status(), given.body.as_slice()), (200, &b"x"[..]), "{host}{path}");
    }
    // Signed by the SDK, virtual-host style.
    let hour = PresigningConfig::expires_in(Duration::from_secs(3600)).unwrap();
    let s3 = settings(&lab).endpoint_url("http://s3.lab.test").force_path_style(false).build();
    let get = Client::from_conf(s3).get_object().bucket("bucket").key("k");
    let signed = get.presigned(hour).await.unwrap();
    let path = signed.uri().strip_prefix("http://bucket.s3.lab.test").unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: bucket.s3.lab.test\r\nConnection: close\r\n\r\n");
    assert_eq!(raw(&lab, &request).await.status(), 200);
}

#[tokio::test]
async fn tls_is_trusted_through_the_labs_own_authority_only() {
    let lab = lab_with(Config { tls: true, ..Config::default() }).await;
    lab.put_synthetic("bucket", "k", 3_000_000, 1).unwrap();
    let with = |trust: TrustStore| {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(TlsContext::builder().with_trust_store(trust).build().unwrap())
            .build_https();
        Client::from_conf(settings(&lab).http_client(http).build())
    };
    let trusting = with(TrustStore::empty().with_pem_certificate(lab.ca_pem().unwrap()));
    let got = trusting.get_object().bucket("bucket").key("k").send().await.unwrap();
    let bytes = got.body.collect().await.unwrap().into_bytes();
    assert_eq!(lab::synthetic::check("k", 1, 0, &bytes), Ok(()));
    assert_eq!(lab.counters().operation("GetObject").bytes_out, 3_000_000);
    let other = lab_with(Config { tls: true, ..Config::default() }).await;
    let doubting = with(TrustStore::empty().with_pem_certificate(other.ca_pem().unwrap()));
    assert!(doubting.get_object().bucket("bucket").key("k").send().await.is_err());
}

#[tokio::test]
async fn deny_rules_imitate_a_policy_limited_to_a_prefix() {
    let lab = lab().await;
    let s3 = client(&lab);
    lab.put_object("bucket", "data/k", "x").await.unwrap();
    lab.put_object("bucket", "other/k", "x").await.unwrap();
    lab.rules().add(Rule::new("ListObjects*", Fault::Deny).except("data/*"));
    lab.rules().add(Rule::new("*Object", Fault::Deny).except("data/*"));
    let list = |prefix: &str| s3.list_objects_v2().bucket("bucket").prefix(prefix).send();
    assert_eq!(list("data/").await.unwrap().key_count(), Some(1));
    assert_eq!(code(list("").await), "AccessDenied");
    assert_eq!(code(list("other/").await), "AccessDenied");
    let get = |key: &str| s3.get_object().bucket("bucket").key(key).send();
    assert!(get("data/k").await.is_ok());
    assert_eq!(code(get("other/k").await), "AccessDenied");
    // Without the right to list the whole bucket, a missing key is not said to be missing.
    assert_eq!(code(get("data/missing").await), "AccessDenied");
}

#[tokio::test]
async fn whoever_expects_another_owner_is_refused() {
    let lab = lab().await;
    let s3 = client(&lab);
    lab.put_object("bucket", "k", "x").await.unwrap();
    let get =
        |owner: &str| s3.get_object().bucket("bucket").key("k").expected_bucket_owner(owner).send();
    assert!(get("lab").await.is_ok());
    assert_eq!(code(get("111122223333").await), "AccessDenied");
}
