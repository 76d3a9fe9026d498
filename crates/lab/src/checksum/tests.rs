use proptest::prelude::*;

use super::*;

fn digests(bytes: &[u8]) -> Digests {
    let mut hasher = Hasher::new(&Algorithm::ALL);
    hasher.update(bytes);
    hasher.finish()
}

#[test]
fn known_answers() {
    // The check values of the CRC catalogue, and the digests of RFC 1321 and FIPS 180-2.
    let found = digests(b"123456789");
    assert_eq!(found.value(Algorithm::Crc32), Some(&0xcbf4_3926_u32.to_be_bytes()[..]));
    assert_eq!(found.value(Algorithm::Crc32c), Some(&0xe306_9283_u32.to_be_bytes()[..]));
    assert_eq!(
        found.value(Algorithm::Crc64Nvme),
        Some(&0xae8b_1486_0a79_9888_u64.to_be_bytes()[..])
    );
    let abc = digests(b"abc");
    assert_eq!(abc.etag(), "900150983cd24fb0d6963f7d28e17f72");
    assert_eq!(
        hex(abc.value(Algorithm::Sha1).unwrap()),
        "a9993e364706816aba3e25717850c26c9cd0d89d"
    );
}

proptest! {
    #[test]
    fn combined_parts_have_the_checksum_of_the_whole(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..6),
    ) {
        let whole = digests(&parts.concat());
        let parts: Vec<_> = parts.iter().map(|p| digests(p)).collect();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            prop_assert_eq!(multipart(&parts, algorithm, false), whole.checksum(algorithm));
        }
        prop_assert_eq!(multipart(&parts, Algorithm::Sha256, false), None);
    }
}
