use super::*;

fn part(start: u64, bytes: &str, known: bool) -> Part {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
    digest.update(bytes.as_bytes());
    let sum = Checksum { algorithm: Algorithm::Crc64Nvme, value: digest.finalize() };
    Part {
        number: 1,
        etag: ETag::new("e"),
        span: Span::new(start, start + bytes.len() as u64),
        checksum: known.then_some(sum),
    }
}

#[test]
fn the_checksum_of_all_is_put_together_from_those_of_the_parts() {
    let all = whole(&[part(0, "123", true), part(3, "456", true), part(6, "789", true)]);
    // The catalogue's check value.
    assert_eq!(all.map(|sum| sum.value), Some(0xae8b_1486_0a79_9888));
}

#[test]
fn it_is_left_out_where_a_part_does_not_know_its_own_or_bytes_are_missing() {
    assert_eq!(whole(&[part(0, "123", true), part(3, "456", false)]), None);
    assert_eq!(whole(&[part(0, "123", true), part(4, "456", true)]), None);
    assert_eq!(whole(&[part(1, "123", true)]), None);
    assert_eq!(whole(&[]), None);
}
