use super::*;

fn agrees(header: &str, value: &str, bytes: &[u8]) -> Option<bool> {
    let mut verifier = Checksum::parse(header, value)?.verifier();
    bytes.chunks(3).for_each(|b| verifier.update(b));
    Some(verifier.agrees())
}

// The catalogue's check values for "123456789": 0xe3069283, 0xcbf43926, 0xae8b14860a799888.
#[test]
fn the_check_values_of_the_catalogue_agree() {
    let text = b"123456789";
    assert_eq!(agrees("x-amz-checksum-crc32c", "4waSgw==", text), Some(true));
    assert_eq!(agrees("x-amz-checksum-crc32", "y/Q5Jg==", text), Some(true));
    assert_eq!(agrees("x-amz-checksum-crc64nvme", "rosUhgp5mIg=", text), Some(true));
}

#[test]
fn one_wrong_byte_shows() {
    assert_eq!(agrees("x-amz-checksum-crc32c", "4waSgw==", b"123456780"), Some(false));
    assert_eq!(agrees("x-amz-checksum-crc64nvme", "rosUhgp5mIg=", b"023456789"), Some(false));
}

#[test]
fn composites_and_hashes_are_not_taken_for_the_objects_own() {
    assert_eq!(Checksum::parse("x-amz-checksum-crc32c", "4waSgw==-3"), None);
    assert_eq!(Checksum::parse("x-amz-checksum-crc32c", "rosUhgp5mIg="), None);
    assert_eq!(Checksum::parse("x-amz-checksum-sha256", "4waSgw=="), None);
    assert_eq!(Checksum::parse("x-amz-checksum-crc32", "not base64"), None);
}

#[test]
fn what_is_sent_reads_as_what_is_told() {
    for (algorithm, value, told) in [
        (Algorithm::Crc64Nvme, 0xae8b_1486_0a79_9888, "rosUhgp5mIg="),
        (Algorithm::Crc32c, 0xe306_9283, "4waSgw=="),
    ] {
        let sum = object::Checksum { algorithm, value };
        assert_eq!(text(sum), told);
        let parsed = Checksum::parse(header(algorithm), told).unwrap();
        assert_eq!((parsed.known(), parsed.agrees(sum)), (Some(sum), Some(true)));
        assert_eq!(parsed.agrees(object::Checksum { value: 1, ..sum }), Some(false));
    }
    let other = Checksum::parse("x-amz-checksum-crc32", "y/Q5Jg==").unwrap();
    let sum = object::Checksum { algorithm: Algorithm::Crc32c, value: 0xcbf4_3926 };
    assert_eq!(other.agrees(sum), None);
}
