use std::time::Duration;

use super::*;

#[test]
fn it_is_ours_until_an_answer_tells_and_then_goes_on_from_what_was_told() {
    let ours = Clock::start();
    let clock = StoreClock::new(ours.clone());
    let apart = |one: Time, other: Time| one.since(other).max(other.since(one));
    assert!(apart(clock.now(), ours.now()) < Duration::from_secs(1));
    for (date, seconds) in [
        ("Thu, 01 Jan 1970 00:00:09 GMT", 9),
        ("Fri, 31 Dec 2100 23:59:59 GMT", 4_133_980_799),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
    ] {
        clock.heard(date);
        ours.advance(Duration::from_secs(100));
        assert!(apart(clock.now(), Time::from_secs(seconds + 100)) < Duration::from_secs(1));
    }
    clock.heard("yesterday");
    assert!(apart(clock.now(), Time::from_secs(784_111_877)) < Duration::from_secs(1));
}
