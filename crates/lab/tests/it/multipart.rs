use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart,
    EncodingType, MultipartUpload,
};

use lab::{Backing, Config};

use crate::client::{body, client, code, lab, lab_with};

const PART: usize = 5 << 20;

async fn begin(s3: &Client, key: &str) -> String {
    let created = s3.create_multipart_upload().bucket("bucket").key(key).send().await.unwrap();
    created.upload_id.unwrap()
}

async fn part(s3: &Client, key: &str, id: &str, number: i32, bytes: &[u8]) -> CompletedPart {
    let put = s3.upload_part().bucket("bucket").key(key).upload_id(id).part_number(number);
    let done = put.body(body(bytes)).send().await.unwrap();
    CompletedPart::builder().part_number(number).set_e_tag(done.e_tag).build()
}

fn list(parts: &[&CompletedPart]) -> CompletedMultipartUpload {
    let parts = parts.iter().map(|part| (*part).clone()).collect();
    CompletedMultipartUpload::builder().set_parts(Some(parts)).build()
}

#[tokio::test]
async fn parts_become_one_object_with_s3s_etag_and_checksum() {
    let lab = lab().await;
    let s3 = client(&lab);
    let id = begin(&s3, "k").await;
    let two = part(&s3, "k", &id, 2, b"tail").await;
    let one = part(&s3, "k", &id, 1, &vec![b'a'; PART]).await;

    let listed =
        s3.list_parts().bucket("bucket").key("k").upload_id(&id).max_parts(1).send().await.unwrap();
    assert_eq!((listed.parts().len(), listed.is_truncated()), (1, Some(true)));
    let next = s3.list_parts().bucket("bucket").key("k").upload_id(&id);
    let next =
        next.part_number_marker(listed.next_part_number_marker().unwrap()).send().await.unwrap();
    assert_eq!(next.parts()[0].part_number(), Some(2));
    let uploads = s3.list_multipart_uploads().bucket("bucket").send().await.unwrap();
    assert_eq!(uploads.uploads()[0].upload_id(), Some(id.as_str()));
    assert_eq!(code(s3.get_object().bucket("bucket").key("k").send().await), "NoSuchKey");

    let complete = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&id);
    let done = complete.multipart_upload(list(&[&one, &two])).send().await.unwrap();
    // printf of the two binary MD5s | md5sum, then the number of parts.
    let etag = done.e_tag().unwrap();
    assert!(etag.ends_with("-2\""), "{etag}");
    let got = s3.get_object().bucket("bucket").key("k").checksum_mode(ChecksumMode::Enabled);
    let got = got.send().await.unwrap();
    assert_eq!(got.e_tag(), Some(etag));
    assert_eq!(got.checksum_type(), Some(&ChecksumType::FullObject));
    assert!(got.checksum_crc64_nvme().is_some());
    // The SDK compares the full-object checksum with the bytes.
    let bytes = got.body.collect().await.unwrap().into_bytes();
    assert_eq!(bytes.len(), PART + 4);
    assert!(bytes.ends_with(b"aatail"));
    let across =
        s3.get_object().bucket("bucket").key("k").range(format!("bytes={}-{}", PART - 2, PART + 1));
    let across = across.send().await.unwrap().body.collect().await.unwrap().to_vec();
    assert_eq!(across, b"aata");
    assert!(
        s3.list_multipart_uploads().bucket("bucket").send().await.unwrap().uploads().is_empty()
    );
}

#[tokio::test]
async fn a_completion_that_does_not_fit_is_refused_and_may_be_repaired() {
    let lab = lab().await;
    let s3 = client(&lab);
    let id = begin(&s3, "k").await;
    let small = part(&s3, "k", &id, 1, b"small").await;
    let tail = part(&s3, "k", &id, 2, b"tail").await;
    let complete = |parts: &[&CompletedPart]| {
        let complete = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&id);
        complete.multipart_upload(list(parts)).send()
    };
    assert_eq!(code(complete(&[&tail, &small]).await), "InvalidPartOrder");
    assert_eq!(code(complete(&[&small, &tail]).await), "EntityTooSmall");
    let missing = CompletedPart::builder().part_number(3).e_tag("\"x\"").build();
    assert_eq!(code(complete(&[&missing]).await), "InvalidPart");
    complete(&[&tail]).await.unwrap();
    assert_eq!(code(complete(&[&tail]).await), "NoSuchUpload");
    let got = s3.get_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"tail");
}

#[tokio::test]
async fn a_completion_does_not_overwrite_when_told_not_to() {
    let lab = lab().await;
    let s3 = client(&lab);
    let id = begin(&s3, "k").await;
    let only = part(&s3, "k", &id, 1, b"mine").await;
    lab.put_object("bucket", "k", "theirs").await.unwrap();
    let complete = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&id);
    let complete = complete.multipart_upload(list(&[&only]));
    assert_eq!(code(complete.clone().if_none_match("*").send().await), "PreconditionFailed");
    // The upload is still there.
    complete.send().await.unwrap();
}

#[tokio::test]
async fn an_object_of_parts_is_as_old_as_its_upload() {
    let lab = lab().await;
    let s3 = client(&lab);
    let id = begin(&s3, "k").await;
    let only = part(&s3, "k", &id, 1, b"x").await;
    let uploads = s3.list_multipart_uploads().bucket("bucket").send().await.unwrap();
    let begun = *uploads.uploads()[0].initiated().unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let complete = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&id);
    complete.multipart_upload(list(&[&only])).send().await.unwrap();
    let told = s3.head_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(told.last_modified().unwrap().secs(), begun.secs());
}

#[tokio::test]
async fn crcs_may_cover_the_object_and_crc64nvme_must() {
    let lab = lab().await;
    let s3 = client(&lab);
    let create = |algorithm: ChecksumAlgorithm, kind: ChecksumType| {
        let create = s3.create_multipart_upload().bucket("bucket").key("k");
        create.checksum_algorithm(algorithm).checksum_type(kind).send()
    };
    create(ChecksumAlgorithm::Crc32C, ChecksumType::FullObject).await.unwrap();
    create(ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject).await.unwrap();
    create(ChecksumAlgorithm::Sha256, ChecksumType::Composite).await.unwrap();
    let wrong = create(ChecksumAlgorithm::Crc64Nvme, ChecksumType::Composite).await;
    assert_eq!(code(wrong), "InvalidRequest");
    let wrong = create(ChecksumAlgorithm::Sha256, ChecksumType::FullObject).await;
    assert_eq!(code(wrong), "InvalidRequest");
}

#[tokio::test]
async fn uploads_are_listed_in_pages() {
    let lab = lab().await;
    let s3 = client(&lab);
    let mut begun = vec![];
    for key in ["a b", "a b", "c", "d/1", "d/2"] {
        begun.push((key.to_owned(), begin(&s3, key).await));
    }
    begun.sort();
    let (mut listed, mut marker) = (vec![], (None, None));
    loop {
        let request = s3.list_multipart_uploads().bucket("bucket").max_uploads(2);
        let request = request.set_key_marker(marker.0).set_upload_id_marker(marker.1);
        let page = request.encoding_type(EncodingType::Url).send().await.unwrap();
        let line = |upload: &MultipartUpload| {
            (upload.key().unwrap().replace('+', " "), upload.upload_id().unwrap().to_owned())
        };
        listed.extend(page.uploads().iter().map(line));
        if page.is_truncated() != Some(true) {
            break;
        }
        assert_eq!(page.uploads().len(), 2);
        let key = page.next_key_marker().map(|key| key.replace('+', " "));
        marker = (key, page.next_upload_id_marker);
    }
    assert_eq!(listed, begun);
    let below = s3.list_multipart_uploads().bucket("bucket").prefix("d/").send().await.unwrap();
    assert_eq!(below.uploads().len(), 2);
    // Without an id, the marker is behind all uploads of its key.
    let after = s3.list_multipart_uploads().bucket("bucket").key_marker("a b").send();
    assert_eq!(after.await.unwrap().uploads().len(), 3);
}

#[tokio::test]
async fn a_lab_that_keeps_nothing_knows_what_came_by_its_checksum() {
    let kept = lab().await;
    let forgotten = lab_with(Config { backing: Backing::Nowhere, ..Config::default() }).await;
    let mut told = vec![];
    for lab in [&kept, &forgotten] {
        let s3 = client(lab);
        let id = begin(&s3, "k").await;
        let one = part(&s3, "k", &id, 1, &vec![b'a'; PART]).await;
        let two = part(&s3, "k", &id, 2, b"tail").await;
        let complete = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&id);
        complete.multipart_upload(list(&[&one, &two])).send().await.unwrap();
        let head = s3.head_object().bucket("bucket").key("k");
        let head = head.checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
        told.push((head.content_length, head.checksum_crc64_nvme));
    }
    assert_eq!(told[0], told[1]);
    let get = client(&forgotten).get_object().bucket("bucket").key("k").send().await;
    assert_eq!(code(get), "NotImplemented");
}

#[tokio::test]
async fn an_aborted_upload_is_gone() {
    let lab = lab().await;
    let s3 = client(&lab);
    let id = begin(&s3, "k").await;
    part(&s3, "k", &id, 1, b"x").await;
    let abort = s3.abort_multipart_upload().bucket("bucket").key("k").upload_id(&id);
    abort.clone().send().await.unwrap();
    assert_eq!(code(abort.send().await), "NoSuchUpload");
    let put =
        s3.upload_part().bucket("bucket").key("k").upload_id(&id).part_number(1).body(body(b"x"));
    assert_eq!(code(put.send().await), "NoSuchUpload");
}

#[tokio::test]
async fn parts_are_copied_by_range() {
    let lab = lab().await;
    let s3 = client(&lab);
    lab.put_synthetic("bucket", "from", 1 << 30, 1).unwrap();
    let id = begin(&s3, "k").await;
    let copy = |number: i32, range: &str| {
        let copy = s3.upload_part_copy().copy_source("bucket/from").bucket("bucket").key("k");
        copy.upload_id(&id).part_number(number).copy_source_range(range).send()
    };
    let first = copy(1, &format!("bytes=1000-{}", 999 + PART)).await.unwrap();
    assert_eq!(code(copy(2, "bytes=5-1073741824").await), "InvalidArgument");
    let second = part(&s3, "k", &id, 2, b"tail").await;
    let first = CompletedPart::builder()
        .part_number(1)
        .set_e_tag(first.copy_part_result.unwrap().e_tag)
        .build();
    let complete = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&id);
    complete.multipart_upload(list(&[&first, &second])).send().await.unwrap();
    let got = s3.get_object().bucket("bucket").key("k").send().await.unwrap();
    let bytes = got.body.collect().await.unwrap().into_bytes();
    assert_eq!(lab::synthetic::check("from", 1, 1000, &bytes[..PART]), Ok(()));
    assert_eq!(&bytes[PART..], b"tail");
}

#[tokio::test]
async fn a_composite_checksum_covers_the_parts_checksums() {
    let lab = lab().await;
    let s3 = client(&lab);
    let create = s3.create_multipart_upload().bucket("bucket").key("k");
    let created = create.checksum_algorithm(ChecksumAlgorithm::Crc32C).send().await.unwrap();
    let id = created.upload_id.unwrap();
    let put = s3.upload_part().bucket("bucket").key("k").upload_id(&id).part_number(1);
    let done =
        put.checksum_algorithm(ChecksumAlgorithm::Crc32C).body(body(b"x")).send().await.unwrap();
    let only = CompletedPart::builder()
        .part_number(1)
        .set_e_tag(done.e_tag)
        .set_checksum_crc32_c(done.checksum_crc32_c)
        .build();
    let complete = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&id);
    complete.multipart_upload(list(&[&only])).send().await.unwrap();
    let head = s3.head_object().bucket("bucket").key("k").checksum_mode(ChecksumMode::Enabled);
    let head = head.send().await.unwrap();
    assert_eq!(head.checksum_type(), Some(&ChecksumType::Composite));
    assert!(head.checksum_crc32_c().unwrap().ends_with("-1"));
}
