use super::*;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

#[test]
fn parts_grow_with_their_number_up_to_an_eighth_of_the_memory() {
    let sizes = PartSizes::new(8 * MIB, false, 512 * MIB);
    let at = [1, 1000, 1001, 2000, 2001, 3001, 10_000].map(|number| sizes.size(number) / MIB);
    assert_eq!(at, [8, 8, 16, 16, 32, 64, 64]);
    assert_eq!(sizes.largest_object(), (1000 * (8 + 16 + 32) + 7000 * 64) * MIB);
}

#[test]
fn fixed_parts_do_not_grow_and_small_memory_does_not_shrink_them() {
    assert_eq!(PartSizes::new(8 * MIB, true, 64 * GIB).largest_object(), 80_000 * MIB);
    assert_eq!(PartSizes::new(8 * MIB, false, 24 * MIB).largest_object(), 80_000 * MIB);
}

#[test]
fn parts_keep_to_what_the_store_takes() {
    assert_eq!(PartSizes::new(1, true, 0).size(1), 5 * MIB);
    let huge = PartSizes::new(u64::MAX, false, u64::MAX);
    assert_eq!((huge.size(1), huge.size(10_000)), (5 * GIB, 5 * GIB));
    assert_eq!(huge.largest_object(), 50_000 * GIB);
}

#[test]
fn copies_cover_everything_and_none_is_too_small_or_too_large() {
    for size in [5 * MIB, 5 * GIB, 5 * GIB + 1, 10 * GIB + MIB, 48_000 * GIB + 3] {
        let spans = copies(size);
        assert_eq!(spans.len() as u64, size.div_ceil(5 * GIB));
        assert_eq!((spans[0].start, spans[spans.len() - 1].end), (0, size));
        assert!(spans.windows(2).all(|two| two[0].end == two[1].start));
        assert!(spans.iter().all(|span| (5 * MIB..=5 * GIB).contains(&span.len())), "{size}");
    }
}
