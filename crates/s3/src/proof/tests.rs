use object::{Algorithm, Budget, CHUNK, Checksum as Sum, Meta, Span, StorageState, Time, Version};

use super::*;

const MD5_OF_HELLO: &str = "5d41402abc4b2a76b9719d911017c592";

fn body(bytes: &[u8]) -> Body {
    let budget = Budget::new(CHUNK);
    let mut body = Body::new(Some(Algorithm::Crc32c));
    body.append(bytes, &mut budget.try_lease(CHUNK, 0).unwrap());
    body
}

fn meta(etag: &str, size: u64) -> Meta {
    let version = Version { key: Key::new("k").unwrap(), etag: ETag::new(etag), size };
    Meta { version, modified: Time::default(), storage: StorageState::Online }
}

fn part(etag: &str) -> Part {
    Part { number: 1, etag: ETag::new(etag), span: Span::new(0, 5), checksum: None }
}

async fn holds(body: &Body, meta: &Meta, told: Option<&str>) -> bool {
    let proof = Proof {
        key: &meta.version.key,
        size: body.len(),
        checksum: body.checksum(),
        made_of: MadeOf::Body(body),
    };
    proof.holds(meta, told.and_then(|t| Checksum::parse("x-amz-checksum-crc32c", t))).await
}

#[tokio::test]
async fn an_object_of_the_same_checksum_is_the_one_whatever_its_etag() {
    let hello = body(b"hello");
    // CRC-32C of "hello".
    assert!(holds(&hello, &meta("any", 5), Some("mnG7TA==")).await);
    assert!(!holds(&hello, &meta(MD5_OF_HELLO, 5), Some("AAAAAA==")).await);
    assert!(!holds(&hello, &meta("any", 6), Some("mnG7TA==")).await);
}

#[tokio::test]
async fn without_a_checksum_of_one_kind_the_etag_decides() {
    let hello = body(b"hello");
    assert!(holds(&hello, &meta(MD5_OF_HELLO, 5), None).await);
    assert!(!holds(&hello, &meta("5d41402abc4b2a76b9719d911017c593", 5), None).await);
}

#[tokio::test]
async fn the_etag_of_parts_is_the_md5_of_their_md5s() {
    let holds = async |parts: &[Part], etag: &str| {
        let meta = meta(etag, 10);
        let checksum = Some(Sum { algorithm: Algorithm::Crc64Nvme, value: 1 });
        let made_of = MadeOf::Parts(parts);
        Proof { key: &meta.version.key, size: 10, checksum, made_of }.holds(&meta, None).await
    };
    // printf '5d41402abc4b2a76b9719d911017c592%.0s' 1 2 | xxd -r -p | md5sum
    let two = [part(MD5_OF_HELLO), part(MD5_OF_HELLO)];
    assert!(holds(&two, "616b22817b80eed9f65c3aa38cd29054-2").await);
    assert!(!holds(&two, "616b22817b80eed9f65c3aa38cd29054-3").await);
    assert!(
        !holds(&[part("no md5"), part(MD5_OF_HELLO)], "616b22817b80eed9f65c3aa38cd29054-2").await
    );
}
