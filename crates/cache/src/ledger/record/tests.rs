use proptest::prelude::*;

use super::*;

prop_compose! {
    fn any_walk()(place: u16, looking: bool, found: u64, late: i64) -> Walk {
        Walk { place, looking, found, late }
    }
}

prop_compose! {
    fn any_header()(
        sizes: [u64; 3],
        settled: i64,
        walk in proptest::option::of(any_walk()),
        generation: u32,
    ) -> Header {
        let [epoch, doubt, reconciled] = sizes;
        Header { epoch, settled, doubt, reconciled, walk, generation }
    }
}

proptest! {
    #[test]
    fn a_header_reads_as_it_was_written(header in any_header()) {
        prop_assert_eq!(Header::decode(&header.encode()), Some(header));
    }

    #[test]
    fn every_flipped_byte_of_a_header_is_noticed(
        header in any_header(), at in 0..HEADER_USED, flip in 1..=255u8,
    ) {
        let mut bytes = header.encode();
        bytes[at] ^= flip;
        prop_assert_eq!(Header::decode(&bytes), None);
    }

    #[test]
    fn any_bytes_decode_without_a_panic(bytes: Vec<u8>, index in 0..SLOTS) {
        let _ = Header::decode(&bytes);
        let _ = decode_slot(index, &bytes);
    }

    #[test]
    fn a_slot_reads_as_it_was_written_and_only_in_its_place(
        index in 0..SLOTS, other in 0..SLOTS, reserved: u64,
    ) {
        let bytes = encode_slot(index, reserved);
        prop_assert_eq!(decode_slot(index, &bytes), Some(reserved));
        if index != other && reserved != 0 {
            prop_assert_eq!(decode_slot(other, &bytes), None);
        }
    }

    #[test]
    fn every_flipped_byte_of_a_slot_is_noticed(
        index in 0..SLOTS, reserved: u64, at in 0..SLOT_LEN, flip in 1..=255u8,
    ) {
        let mut bytes = encode_slot(index, reserved);
        bytes[at] ^= flip;
        prop_assert_ne!(decode_slot(index, &bytes), Some(reserved));
    }
}

#[test]
fn a_new_files_zeros_are_empty_slots_and_no_header() {
    assert_eq!(decode_slot(7, &[0; SLOT_LEN]), Some(0));
    assert_eq!(Header::decode(&[0; HEADER_LEN]), None);
}
