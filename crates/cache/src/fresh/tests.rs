use super::*;

const MIB: u64 = 1 << 20;

#[test]
fn what_is_above_the_bound_goes_past_the_page_cache_until_time_has_passed() {
    let now = Instant::now();
    let fresh = Fresh::new(60 * MIB, now);
    assert!(fresh.admits(40 * MIB, now));
    assert!(!fresh.admits(21 * MIB, now), "more than there is room for");
    assert!(fresh.admits(20 * MIB, now));
    assert!(!fresh.admits(1, now));
    let later = now + Duration::from_secs(10);
    assert!(!fresh.admits(11 * MIB, later));
    assert!(fresh.admits(9 * MIB, later));
}

#[test]
fn after_the_while_all_of_it_may_be_written_again_and_no_more() {
    let now = Instant::now();
    let fresh = Fresh::new(60 * MIB, now);
    assert!(fresh.admits(60 * MIB, now));
    let later = now + 10 * WHILE;
    assert!(fresh.admits(60 * MIB, later));
    assert!(!fresh.admits(1, later));
}

#[test]
fn small_steps_of_time_lose_nothing_and_without_a_bound_all_is_admitted() {
    let mut now = Instant::now();
    let fresh = Fresh::new(60 * MIB, now);
    assert!(fresh.admits(60 * MIB, now));
    for _ in 0..10_000 {
        now += Duration::from_millis(1);
        assert!(!fresh.admits(60 * MIB, now));
    }
    assert!(fresh.admits(9 * MIB, now), "ten seconds are a sixth");
    assert!(Fresh::new(u64::MAX, now).admits(1 << 50, now));
}
