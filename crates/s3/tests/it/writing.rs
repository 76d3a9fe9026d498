//! Writing through a client.

use object::{Algorithm, Body, Budget, CHUNK, ETag, Key, Part, Span, Time, Upload};

/// A body of these bytes with a checksum of this kind.
pub(crate) fn body_with(bytes: &[u8], algorithm: Option<Algorithm>) -> Body {
    let room = (bytes.len() as u64).next_multiple_of(CHUNK);
    let mut body = Body::new(algorithm);
    let mut lease = Budget::new(room.max(CHUNK)).try_lease(room, 0).unwrap();
    assert_eq!(body.append(bytes, &mut lease), bytes.len());
    body
}

pub(crate) fn body(bytes: &[u8]) -> Body {
    body_with(bytes, Some(Algorithm::Crc64Nvme))
}

pub(crate) fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

pub(crate) fn upload() -> Upload {
    Upload { key: key("k"), id: "u+1".into(), begun: Time::from_secs(77) }
}

/// Part 1, of so many bytes from the first on.
pub(crate) fn first_part(size: u64, etag: &str) -> Part {
    Part { number: 1, etag: ETag::new(etag), span: Span::new(0, size), checksum: None }
}

/// Bytes that differ everywhere.
pub(crate) fn bytes(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| ((i + seed) * 31 % 251) as u8).collect()
}
