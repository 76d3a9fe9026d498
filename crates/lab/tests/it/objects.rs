use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, Delete, MetadataDirective, ObjectIdentifier,
    OptionalObjectAttributes, ServerSideEncryption, StorageClass,
};
use lab::Restore;

use crate::client::{body, client, code, lab};

#[tokio::test]
async fn what_is_put_is_got_whole_and_in_ranges() {
    let lab = lab().await;
    let s3 = client(&lab);
    let put = s3.put_object().bucket("bucket").key("a b/ü+%").body(body(b"0123456789"));
    let put = put.content_type("text/x").metadata("who", "me").send().await.unwrap();
    // MD5 of "0123456789".
    assert_eq!(put.e_tag(), Some("\"781e5e245d69b566979b86e28d23f2c7\""));

    let get = || s3.get_object().bucket("bucket").key("a b/ü+%");
    let whole = get().send().await.unwrap();
    assert_eq!(whole.content_type(), Some("text/x"));
    assert_eq!(whole.metadata().unwrap()["who"], "me");
    assert_eq!(whole.accept_ranges(), Some("bytes"));
    assert_eq!(whole.body.collect().await.unwrap().to_vec(), b"0123456789");
    for (range, bytes, answered) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=7-99", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=-99", "0123456789", "bytes 0-9/10"),
    ] {
        let part = get().range(range).send().await.unwrap();
        assert_eq!(part.content_range(), Some(answered), "{range}");
        assert_eq!(part.content_length(), Some(bytes.len() as i64), "{range}");
        assert_eq!(part.body.collect().await.unwrap().to_vec(), bytes.as_bytes(), "{range}");
    }
    for range in ["bytes=10-", "bytes=-0"] {
        let refused = get().range(range).send().await;
        let raw = refused.as_ref().err().unwrap().raw_response().unwrap();
        assert_eq!(raw.status().as_u16(), 416);
        assert_eq!(raw.headers().get("content-range"), Some("bytes */10"));
        assert_eq!(code(refused), "InvalidRange");
    }
    let head = s3.head_object().bucket("bucket").key("a b/ü+%").send().await.unwrap();
    assert_eq!(head.content_length(), Some(10));
    assert_eq!(head.last_modified().unwrap().subsec_nanos(), 0);
}

#[tokio::test]
async fn an_empty_object_has_no_range_to_give() {
    let lab = lab().await;
    let s3 = client(&lab);
    s3.put_object().bucket("bucket").key("e").send().await.unwrap();
    let get = s3.get_object().bucket("bucket").key("e");
    assert!(get.clone().send().await.unwrap().body.collect().await.unwrap().to_vec().is_empty());
    assert_eq!(code(get.clone().range("bytes=0-0").send().await), "InvalidRange");
    assert_eq!(code(get.range("bytes=-5").send().await), "InvalidRange");
}

#[tokio::test]
async fn reads_are_conditional() {
    let lab = lab().await;
    let s3 = client(&lab);
    let etag = lab.put_object("bucket", "k", "one").await.unwrap();
    let get = || s3.get_object().bucket("bucket").key("k");
    let head = || s3.head_object().bucket("bucket").key("k");
    assert!(get().if_match(format!("\"{etag}\"")).send().await.is_ok());
    assert!(head().if_match("*").send().await.is_ok());
    assert_eq!(code(get().if_match("\"other\"").send().await), "PreconditionFailed");
    assert_eq!(code(head().if_match("\"other\"").send().await), "412");
    let unchanged = get().if_none_match(format!("\"{etag}\"")).send().await;
    assert_eq!(unchanged.as_ref().err().unwrap().raw_response().unwrap().status().as_u16(), 304);
    assert!(get().if_none_match("\"other\"").send().await.is_ok());
    let modified = head().send().await.unwrap().last_modified;
    assert!(get().set_if_unmodified_since(modified).send().await.is_ok());
    let unmodified = get().set_if_modified_since(modified).send().await;
    assert_eq!(unmodified.err().unwrap().raw_response().unwrap().status().as_u16(), 304);
}

#[tokio::test]
async fn writes_are_conditional() {
    let lab = lab().await;
    let s3 = client(&lab);
    let put = |bytes: &[u8]| s3.put_object().bucket("bucket").key("k").body(body(bytes));
    assert_eq!(code(put(b"0").if_match("\"x\"").send().await), "NoSuchKey");
    let first = put(b"1").if_none_match("*").send().await.unwrap();
    assert_eq!(code(put(b"2").if_none_match("*").send().await), "PreconditionFailed");
    put(b"3").if_match(first.e_tag().unwrap()).send().await.unwrap();
    assert_eq!(code(put(b"4").if_match(first.e_tag().unwrap()).send().await), "PreconditionFailed");
    let got = s3.get_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"3");
}

#[tokio::test]
async fn every_checksum_is_verified_kept_and_given_back() {
    let lab = lab().await;
    let s3 = client(&lab);
    let bytes = vec![7; 200_000];
    for algorithm in [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32C,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Sha256,
    ] {
        // The SDK sends the value in an aws-chunked trailer, and checks what it gets back.
        let put = s3.put_object().bucket("bucket").key("k").body(body(&bytes));
        put.checksum_algorithm(algorithm.clone()).send().await.unwrap();
        let get = s3.get_object().bucket("bucket").key("k").checksum_mode(ChecksumMode::Enabled);
        let got = get.clone().send().await.unwrap();
        assert_eq!(got.checksum_type(), Some(&ChecksumType::FullObject));
        let head = s3.head_object().bucket("bucket").key("k");
        let head = head.checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
        let values = [
            (ChecksumAlgorithm::Crc32, got.checksum_crc32(), head.checksum_crc32()),
            (ChecksumAlgorithm::Crc32C, got.checksum_crc32_c(), head.checksum_crc32_c()),
            (ChecksumAlgorithm::Crc64Nvme, got.checksum_crc64_nvme(), head.checksum_crc64_nvme()),
            (ChecksumAlgorithm::Sha1, got.checksum_sha1(), head.checksum_sha1()),
            (ChecksumAlgorithm::Sha256, got.checksum_sha256(), head.checksum_sha256()),
        ];
        for (kept, from_get, from_head) in values {
            assert_eq!(from_get.is_some(), kept == algorithm);
            assert_eq!(from_get, from_head);
        }
        assert_eq!(got.body.collect().await.unwrap().to_vec(), bytes);
        let ranged = get.range("bytes=0-9").send().await.unwrap();
        assert_eq!(ranged.checksum_type(), None);
    }
}

#[tokio::test]
async fn a_body_that_is_not_what_was_promised_is_refused() {
    let lab = lab().await;
    let s3 = client(&lab);
    let put = || s3.put_object().bucket("bucket").key("k").body(body(b"bytes"));
    assert_eq!(code(put().checksum_crc32_c("AAAAAA==").send().await), "BadDigest");
    assert_eq!(code(put().checksum_crc64_nvme("AAAAAAAAAAA=").send().await), "BadDigest");
    assert_eq!(code(put().content_md5("AAAAAAAAAAAAAAAAAAAAAA==").send().await), "BadDigest");
    assert_eq!(code(s3.head_object().bucket("bucket").key("k").send().await), "NotFound");
}

#[tokio::test]
async fn copies_keep_or_replace_what_is_said_about_an_object() {
    let lab = lab().await;
    let s3 = client(&lab);
    let put = s3.put_object().bucket("bucket").key("from/ü").body(body(b"bytes"));
    let etag = put.metadata("a", "1").send().await.unwrap().e_tag.unwrap();
    let copy =
        |to: &str| s3.copy_object().copy_source("bucket/from%2F%C3%BC").bucket("bucket").key(to);
    let copied = copy("to").send().await.unwrap();
    assert_eq!(copied.copy_object_result().unwrap().e_tag(), Some(etag.as_str()));
    let head = s3.head_object().bucket("bucket").key("to").send().await.unwrap();
    assert_eq!(head.metadata().unwrap()["a"], "1");
    let replaced = copy("to").metadata_directive(MetadataDirective::Replace).metadata("b", "2");
    replaced.send().await.unwrap();
    let head = s3.head_object().bucket("bucket").key("to").send().await.unwrap();
    assert_eq!(head.metadata().unwrap().keys().collect::<Vec<_>>(), ["b"]);
    let refused = copy("to").copy_source_if_match("\"x\"").send().await;
    assert_eq!(code(refused), "PreconditionFailed");
    assert_eq!(code(copy("from/ü").send().await), "InvalidRequest");
}

#[tokio::test]
async fn objects_are_deleted_one_by_one_and_in_bulk() {
    let lab = lab().await;
    let s3 = client(&lab);
    for key in ["a", "b", "c"] {
        lab.put_object("bucket", key, "x").await.unwrap();
    }
    s3.delete_object().bucket("bucket").key("a").send().await.unwrap();
    s3.delete_object().bucket("bucket").key("a").send().await.unwrap();
    lab.rules().add(lab::Rule::new("DeleteObject", lab::Fault::Deny).on("c"));
    let ids = ["b", "c"].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder().set_objects(Some(ids.to_vec())).build().unwrap();
    let done = s3.delete_objects().bucket("bucket").delete(delete).send().await.unwrap();
    assert_eq!(done.deleted()[0].key(), Some("b"));
    assert_eq!(done.errors()[0].code(), Some("AccessDenied"));
    let left = s3.list_objects_v2().bucket("bucket").send().await.unwrap();
    assert_eq!(left.contents().iter().filter_map(|o| o.key()).collect::<Vec<_>>(), ["c"]);
    assert_eq!(code(s3.get_object().bucket("bucket").key("b").send().await), "NoSuchKey");
    assert_eq!(code(s3.get_object().bucket("nowhere").key("b").send().await), "NoSuchBucket");
}

#[tokio::test]
async fn a_deletion_may_demand_a_version() {
    let lab = lab().await;
    let s3 = client(&lab);
    let etag = lab.put_object("bucket", "k", "x").await.unwrap();
    let delete = |etag: &str| {
        s3.delete_object().bucket("bucket").key("k").if_match(format!("\"{etag}\"")).send()
    };
    assert_eq!(code(delete("other").await), "PreconditionFailed");
    delete(&etag).await.unwrap();
    assert_eq!(code(s3.get_object().bucket("bucket").key("k").send().await), "NoSuchKey");
    // There is nothing left to be another version.
    delete(&etag).await.unwrap();
}

#[tokio::test]
async fn the_encryption_that_was_asked_for_is_told_again() {
    let lab = lab().await;
    let s3 = client(&lab);
    let put = s3.put_object().bucket("bucket").key("k").body(body(b"x"));
    let put = put.server_side_encryption(ServerSideEncryption::AwsKms).ssekms_key_id("arn");
    let told = put.send().await.unwrap();
    assert_eq!(told.server_side_encryption(), Some(&ServerSideEncryption::AwsKms));
    let told = s3.head_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(told.ssekms_key_id(), Some("arn"));
    let create = s3.create_multipart_upload().bucket("bucket").key("k");
    let told = create.server_side_encryption(ServerSideEncryption::Aes256).send().await.unwrap();
    assert_eq!(told.server_side_encryption(), Some(&ServerSideEncryption::Aes256));
}

#[tokio::test]
async fn archived_objects_are_listed_and_not_given_until_restored() {
    let lab = lab().await;
    let s3 = client(&lab);
    let put = s3.put_object().bucket("bucket").key("k").body(body(b"cold"));
    put.storage_class(StorageClass::Glacier).send().await.unwrap();
    let get = s3.get_object().bucket("bucket").key("k");
    let head = s3.head_object().bucket("bucket").key("k");
    assert_eq!(code(get.clone().send().await), "InvalidObjectState");
    let seen = head.clone().send().await.unwrap();
    assert_eq!(seen.storage_class(), Some(&StorageClass::Glacier));
    assert_eq!(seen.restore(), None);

    lab.set_restore("bucket", "k", Some(Restore::InProgress)).unwrap();
    assert_eq!(code(get.clone().send().await), "InvalidObjectState");
    assert_eq!(head.clone().send().await.unwrap().restore(), Some("ongoing-request=\"true\""));

    // The year 2100.
    lab.set_restore("bucket", "k", Some(Restore::UntilUnixMs(4_102_444_800_000))).unwrap();
    assert_eq!(get.clone().send().await.unwrap().body.collect().await.unwrap().to_vec(), b"cold");
    let said = head.send().await.unwrap().restore.unwrap();
    assert_eq!(said, "ongoing-request=\"false\", expiry-date=\"Fri, 01 Jan 2100 00:00:00 GMT\"");
    let list = s3.list_objects_v2().bucket("bucket");
    let list = list.optional_object_attributes(OptionalObjectAttributes::RestoreStatus);
    let line = list.send().await.unwrap().contents.unwrap().remove(0);
    assert_eq!(line.storage_class().unwrap().as_str(), "GLACIER");
    assert_eq!(line.restore_status().unwrap().is_restore_in_progress(), Some(false));

    lab.set_restore("bucket", "k", Some(Restore::UntilUnixMs(1))).unwrap();
    assert_eq!(code(get.send().await), "InvalidObjectState");
}
