use aws_sdk_s3::types::ChecksumMode;
use lab::synthetic;

use crate::client::{client, lab};

#[tokio::test]
async fn a_synthetic_object_of_any_size_is_right_at_every_offset() {
    let lab = lab().await;
    let s3 = client(&lab);
    let size = 5 << 40;
    let etag = lab.put_synthetic("bucket", "huge", size, 3).unwrap();
    assert_eq!(etag, synthetic::etag("huge", 3, size));
    for at in [0, 262_143, 8 << 20, (5 << 40) - 700_000] {
        let get = s3.get_object().bucket("bucket").key("huge");
        let got = get.range(format!("bytes={at}-{}", at + 699_999)).send().await.unwrap();
        assert_eq!(got.e_tag().unwrap().trim_matches('"'), etag);
        let bytes = got.body.collect().await.unwrap().into_bytes();
        assert_eq!(bytes.len(), 700_000);
        assert_eq!(synthetic::check("huge", 3, at, &bytes), Ok(()));
        assert!(synthetic::check("huge", 2, at, &bytes).is_err());
    }
}

#[tokio::test]
async fn another_version_has_other_bytes_and_another_etag() {
    let lab = lab().await;
    let s3 = client(&lab);
    let first = lab.put_synthetic("bucket", "k", 100, 1).unwrap();
    let second = lab.put_synthetic("bucket", "k", 100, 2).unwrap();
    assert_ne!(first, second);
    let got = s3.get_object().bucket("bucket").key("k").send().await.unwrap();
    let bytes = got.body.collect().await.unwrap().into_bytes();
    assert_eq!(synthetic::check("k", 2, 0, &bytes), Ok(()));
}

#[tokio::test]
async fn a_small_synthetic_object_has_a_true_checksum_and_a_large_one_none() {
    let lab = lab().await;
    let s3 = client(&lab);
    lab.put_synthetic("bucket", "small", 3_000_000, 1).unwrap();
    lab.put_synthetic("bucket", "large", 1 << 30, 1).unwrap();
    let get =
        |key: &str| s3.get_object().bucket("bucket").key(key).checksum_mode(ChecksumMode::Enabled);
    let got = get("small").send().await.unwrap();
    assert!(got.checksum_crc64_nvme().is_some());
    // The SDK fails here if the value is not that of the bytes.
    let bytes = got.body.collect().await.unwrap().into_bytes();
    assert_eq!(synthetic::check("small", 1, 0, &bytes), Ok(()));
    let head = s3.head_object().bucket("bucket").key("large").checksum_mode(ChecksumMode::Enabled);
    assert_eq!(head.send().await.unwrap().checksum_crc64_nvme(), None);
}

#[tokio::test]
async fn copies_of_synthetic_objects_are_their_sources_bytes() {
    let lab = lab().await;
    let s3 = client(&lab);
    lab.put_synthetic("bucket", "from", 1 << 40, 9).unwrap();
    s3.copy_object().copy_source("bucket/from").bucket("bucket").key("to").send().await.unwrap();
    let got =
        s3.get_object().bucket("bucket").key("to").range("bytes=1000-1999").send().await.unwrap();
    let bytes = got.body.collect().await.unwrap().into_bytes();
    assert_eq!(synthetic::check("from", 9, 1000, &bytes), Ok(()));
}
