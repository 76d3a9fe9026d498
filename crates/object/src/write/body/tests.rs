use super::*;
use crate::Budget;

fn lease(chunks: u64) -> Lease {
    Budget::new(chunks * CHUNK).try_lease(chunks * CHUNK, 0).unwrap()
}

fn sample(len: u64) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

#[test]
fn bytes_come_out_as_they_went_in_however_they_were_cut() {
    let bytes = sample(2 * CHUNK + 77);
    let (mut body, mut lease) = (Body::new(None), lease(3));
    for piece in bytes.chunks(100_003) {
        assert_eq!(body.append(piece, &mut lease), piece.len());
    }
    assert_eq!(body.slices().collect::<Vec<_>>().concat(), bytes);
    assert_eq!(body.len(), bytes.len() as u64);
    assert_eq!(body.checksum(), None);
}

#[test]
fn no_more_is_taken_than_there_is_memory_for() {
    let (mut body, mut lease) = (Body::new(None), lease(1));
    assert_eq!(body.append(&sample(CHUNK + 5), &mut lease), CHUNK as usize);
    assert_eq!((body.room(), lease.bytes()), (0, 0));
}

#[test]
fn a_body_that_was_sent_can_go_on() {
    let (mut body, mut lease) = (Body::new(Some(Algorithm::Crc32c)), lease(2));
    body.append(b"a\n", &mut lease);
    let before = body.checksum().unwrap();
    body.append(b"b\n", &mut lease);
    assert_ne!(body.checksum().unwrap(), before);
    assert_eq!(body.slices().collect::<Vec<_>>().concat(), b"a\nb\n");
}

#[test]
fn checksums_of_neighbours_are_put_together() {
    // The check values of the CRC catalogue for "123456789".
    for (algorithm, whole) in
        [(Algorithm::Crc32c, 0xe306_9283), (Algorithm::Crc64Nvme, 0xae8b_1486_0a79_9888)]
    {
        let sum = |bytes: &[u8]| {
            let mut body = Body::new(Some(algorithm));
            body.append(bytes, &mut lease(1));
            body.checksum().unwrap()
        };
        assert_eq!(sum(b"123456789").value, whole);
        assert_eq!(sum(b"1234").then(sum(b"56789"), 5), Some(sum(b"123456789")));
    }
    let other = Checksum { algorithm: Algorithm::Crc32c, value: 1 };
    assert_eq!(Checksum { algorithm: Algorithm::Crc64Nvme, value: 1 }.then(other, 1), None);
}
