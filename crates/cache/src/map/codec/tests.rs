use object::ETag;
use proptest::prelude::*;

use super::*;

fn header() -> Header {
    let scope = Scope { endpoint: "https://s3.example".into(), bucket: "jars".into() };
    let key = Key::new("spark/core.jar").unwrap();
    Header::new(&scope, &Version { key, etag: ETag::new("abc-7"), size: 12_345_678 })
}

fn seals() -> impl Strategy<Value = Option<Seal>> {
    let fields = any::<(u64, u64, (i64, u32), (i64, u32))>();
    proptest::option::of(fields.prop_map(|(inode, size, modified, changed)| Seal {
        inode,
        size,
        modified,
        changed,
    }))
}

proptest! {
    #[test]
    fn a_header_is_read_back_as_it_was_written(
        endpoint in ".{0,100}", bucket in "[a-z]{3,63}", key in ".{1,200}", etag in ".{0,80}",
        size in 0..=MAX_SIZE,
    ) {
        let scope = Scope { endpoint, bucket };
        let version = Version { key: Key::new(&key).unwrap(), etag: ETag::new(&etag), size };
        let header = Header::new(&scope, &version);
        prop_assert_eq!(Header::decode(&header.encode().unwrap()), Ok(header));
    }

    #[test]
    fn a_mark_is_read_back_as_it_was_written_and_by_its_own_object_only(
        epoch: u64, pinned: bool, protected: bool, verified: bool, seal in seals(), other: [u8; 32],
    ) {
        let mark = Mark { epoch, pinned, protected, verified, seal };
        let identity = header().identity;
        prop_assert_eq!(Mark::decode(&mark.encode(&identity), &identity), Ok(mark));
        prop_assert_eq!(
            Mark::decode(&mark.encode(&identity), &Identity(other)), Err(Damage::Checksum)
        );
    }

    #[test]
    fn a_record_is_read_back_in_its_own_place_only(crc32c: u32, number: u64, other: u64) {
        prop_assume!(number != other);
        let identity = header().identity;
        let bytes = Record::encode(&identity, number, crc32c);
        prop_assert_eq!(Record::decode(&bytes, &identity, number), Record::Present(crc32c));
        prop_assert_eq!(Record::decode(&bytes, &identity, other), Record::Damaged);
        prop_assert_eq!(Record::decode(&bytes, &Identity([0; 32]), number), Record::Damaged);
    }

    #[test]
    fn any_bytes_can_be_decoded(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
        let identity = header().identity;
        prop_assert!(Header::decode(&bytes).is_err());
        prop_assert!(Mark::decode(&bytes, &identity).is_err());
        let _ = Record::decode(&bytes, &identity, 0);
    }

    #[test]
    fn a_flip_in_a_record_is_seen(crc32c: u32, number: u64, at in 0..RECORD, flip in 1..=255u8) {
        let identity = header().identity;
        let mut bytes = Record::encode(&identity, number, crc32c);
        bytes[at] ^= flip;
        prop_assert_eq!(Record::decode(&bytes, &identity, number), Record::Damaged);
    }
}

#[test]
fn every_flip_of_a_byte_of_the_header_is_seen() {
    let header = header();
    let mut whole = header.encode().unwrap();
    let mark = Mark { epoch: 3, pinned: true, ..Mark::default() };
    whole[MARK].copy_from_slice(&mark.encode(&header.identity));
    for at in 0..HEADER {
        for flip in 1..=255 {
            let mut bytes = whole;
            bytes[at] ^= flip;
            let read = Header::decode(&bytes).and_then(|h| Mark::decode(&bytes[MARK], &h.identity));
            assert!(read.is_err(), "byte {at} flipped by {flip:#x}");
        }
    }
}

#[test]
fn a_header_of_another_format_or_cut_short_is_refused_as_such() {
    let good = header().encode().unwrap();
    let mut bytes = good;
    put(&mut bytes, 8, &2u32.to_le_bytes());
    let sum = crc(&[&bytes[..TEXT.end]]);
    put(&mut bytes, TEXT.end, &sum.to_le_bytes());
    assert_eq!(Header::decode(&bytes), Err(Damage::Format));
    assert_eq!(Header::decode(b"#!/bin/sh\n"), Err(Damage::Checksum));
    for len in 0..TEXT.end + 4 {
        assert!(Header::decode(&good[..len]).is_err());
    }
}

#[test]
fn names_that_are_too_long_are_refused() {
    let etag = ETag::new(&"e".repeat(3452));
    let scope = Scope { endpoint: String::new(), bucket: String::new() };
    let version = Version { key: Key::new("k").unwrap(), etag, size: 0 };
    assert_eq!(Header::new(&scope, &version).encode().err(), Some(Damage::TooLong));
    let etag = ETag::new(&"e".repeat(3451));
    let header = Header::new(&scope, &Version { etag, ..version });
    assert_eq!(Header::decode(&header.encode().unwrap()), Ok(header));
}
