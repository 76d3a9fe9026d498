use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn any_window_of_the_content_agrees_with_a_longer_fill(
        offset in 0_u64..2_000_000, start in 0_usize..600_000, length in 0_usize..600_000,
    ) {
        let mut whole = vec![0; start + length];
        fill("k", 7, offset, &mut whole);
        let mut window = vec![0; length];
        fill("k", 7, offset + start as u64, &mut window);
        prop_assert_eq!(&whole[start..], &window[..]);
        prop_assert_eq!(check("k", 7, offset, &whole), Ok(()));
    }

    #[test]
    fn one_flipped_bit_is_found_where_it_is(
        offset in 0_u64..u64::from(u32::MAX), at in 0_usize..300_000, bit in 0_u32..8,
    ) {
        let mut bytes = vec![0; 300_000];
        fill("k", 1, offset, &mut bytes);
        bytes[at] ^= 1 << bit;
        prop_assert_eq!(check("k", 1, offset, &bytes), Err(Mismatch { offset: offset + at as u64 }));
    }

    #[test]
    fn frames_joined_are_the_content(offset in 0_u64..1_000_000, limit in 1_usize..400_000) {
        let mut joined = Vec::new();
        while joined.len() < 700_000 {
            joined.extend_from_slice(&Pattern::new("k", 3).frame(offset + joined.len() as u64, limit));
        }
        prop_assert_eq!(check("k", 3, offset, &joined), Ok(()));
    }
}

#[test]
fn another_version_key_or_place_does_not_pass_for_the_content() {
    let mut bytes = vec![0; 4096];
    fill("k", 1, 8 << 20, &mut bytes);
    assert!(check("k", 2, 8 << 20, &bytes).is_err());
    assert!(check("l", 1, 8 << 20, &bytes).is_err());
    for shift in 0..40 {
        assert!(check("k", 1, (8 << 20) + (1_u64 << shift), &bytes).is_err(), "shift 2^{shift}");
    }
}

#[test]
fn blocks_that_changed_places_show_even_at_the_rings_own_period() {
    let mut bytes = vec![0; STAMP];
    fill("k", 1, 0, &mut bytes);
    assert!(check("k", 1, BLOCK * RING as u64, &bytes).is_err());
}

#[test]
fn the_ring_length_is_prime() {
    assert!((2..=2048).all(|divisor| !RING.is_multiple_of(divisor)));
}
