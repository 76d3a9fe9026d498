use proptest::prelude::*;

use super::*;

const GIB: u64 = 1 << 30;

#[test]
fn a_limit_above_the_disk_is_clamped_and_says_so() {
    let bound = Limit::Bytes(50 * GIB).bound(GIB);
    assert!(bound.clamped);
    assert_eq!(bound.bytes, Some(GIB - GIB / 100 * 5));
}

#[test]
fn a_limit_that_fits_is_taken_as_it_is() {
    let bound = Limit::Bytes(10 * GIB).bound(100 * GIB);
    assert_eq!((bound.bytes, bound.clamped), (Some(10 * GIB), false));
    assert_eq!(bound.keep_free, GIB);
}

#[test]
fn without_a_limit_only_free_space_counts() {
    let bound = Limit::default().bound(100 * GIB);
    assert_eq!(bound.room(u64::MAX, 0, 6 * GIB), 6 * GIB - bound.keep_free);
    assert_eq!(bound.room(0, 2 * GIB, 6 * GIB), 0);
}

proptest! {
    #[test]
    fn no_bound_exceeds_the_disk(asked: u64, disk: u64, percent: u8) {
        for limit in [Limit::Bytes(asked), Limit::KeepFree(percent)] {
            let bound = limit.bound(disk);
            prop_assert!(bound.keep_free <= disk);
            prop_assert!(bound.bytes.unwrap_or(0) <= disk - bound.keep_free);
            prop_assert!(bound.slack() <= disk);
        }
    }

    #[test]
    fn a_slab_holds_what_is_asked_and_fits_the_room(room: u64, asked: u64) {
        match Bound::slab(room, asked) {
            Some(slab) => prop_assert!(asked <= slab && slab <= room),
            None => prop_assert!(asked > room),
        }
    }
}
