use proptest::prelude::*;

use super::*;

const MIB: u64 = 1 << 20;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn at(seconds: u64) -> Time {
    Time::from_secs(1_000_000 + seconds)
}

fn once(what: u64, used: u64) -> Candidate<u64> {
    let used = at(used);
    Candidate { what, bytes: MIB, used, pinned: false, protected: false, busy: false }
}

fn again(what: u64, used: u64) -> Candidate<u64> {
    Candidate { protected: true, ..once(what, used) }
}

#[track_caller]
fn check(sample: Vec<Candidate<u64>>, is_all: bool, wanted: u64, expected: &[u64]) {
    let chosen = victims(sample, is_all, at(1000), wanted);
    let chosen: Vec<u64> = chosen.into_iter().map(|candidate| candidate.what).collect();
    assert_eq!(chosen, expected);
}

#[test]
fn the_longest_unused_goes_first_and_no_more_than_is_wanted() {
    let sample = vec![once(1, 30), once(2, 10), once(3, 20)];
    check(sample, true, 2 * MIB, &[2, 3]);
}

#[test]
fn of_a_sample_only_the_worst_quarter_goes() {
    let sample = (0..8).map(|number| once(number, number)).collect();
    check(sample, false, 100 * MIB, &[0, 1]);
}

#[test]
fn what_was_used_again_outlives_what_was_used_later_but_once() {
    check(vec![again(1, 1), once(2, 900), once(3, 950)], true, 9 * MIB, &[2, 3]);
}

#[test]
fn what_is_protected_above_its_share_goes_back_on_probation() {
    let mut sample: Vec<_> = (0..9).map(|number| again(number, 10 + number)).collect();
    sample.push(once(9, 500));
    // Nine of ten are above four fifths by one.
    check(sample, true, 100 * MIB, &[0, 9]);
}

#[test]
fn what_was_not_used_for_two_days_is_not_protected_any_more() {
    let sample = vec![again(1, 0), once(2, 0), once(3, 0)];
    let chosen = victims(sample, true, at(0) + 3 * DAY, 9 * MIB);
    assert_eq!(chosen.len(), 3);
}

#[test]
fn pinned_and_busy_ones_stay() {
    let pinned = Candidate { pinned: true, ..once(1, 1) };
    let busy = Candidate { busy: true, ..once(2, 2) };
    check(vec![pinned, busy], true, 9 * MIB, &[]);
}

#[test]
fn when_the_others_are_being_filled_protected_ones_stay() {
    let mut sample = vec![again(1, 1), again(2, 2)];
    sample.extend((3..6).map(|number| Candidate { busy: true, ..once(number, 900) }));
    check(sample, true, 9 * MIB, &[]);
}

#[test]
fn a_use_right_after_the_filling_is_the_same_use() {
    assert!(!is_used_again(at(10), at(20)));
    assert!(is_used_again(at(10), at(40)));
    assert!(!is_used_again(at(10), at(5)));
}

/// A cache of the policy alone: what is resident, and how it was used.
struct Model {
    resident: Vec<Candidate<u64>>,
    filled: Vec<Time>,
    room: u64,
    random: fastrand::Rng,
}

impl Model {
    fn new(room: u64) -> Self {
        let random = fastrand::Rng::with_seed(7);
        Self { resident: Vec::new(), filled: Vec::new(), room, random }
    }

    /// Says whether it was there.
    fn read(&mut self, what: u64, bytes: u64, now: Time) -> bool {
        if let Some(at) = self.resident.iter().position(|candidate| candidate.what == what) {
            self.resident[at].used = now;
            self.resident[at].protected |= is_used_again(self.filled[at], now);
            return true;
        }
        let sum =
            |model: &Self| model.resident.iter().map(|candidate| candidate.bytes).sum::<u64>();
        while sum(self) + bytes > self.room {
            self.evict(now, bytes);
        }
        let fresh = Candidate { bytes, used: now, ..once(what, 0) };
        self.resident.push(fresh);
        self.filled.push(now);
        false
    }

    fn evict(&mut self, now: Time, wanted: u64) {
        let size = self.resident.len().min(64);
        let mut sample = self.resident.clone();
        self.random.shuffle(&mut sample);
        sample.truncate(size);
        for victim in victims(sample, size == self.resident.len(), now, wanted) {
            let at = self.resident.iter().position(|c| c.what == victim.what).unwrap();
            self.resident.remove(at);
            self.filled.remove(at);
        }
    }
}

#[test]
fn a_scan_of_sixteen_times_the_cache_leaves_the_hot_ones() {
    let mut model = Model::new(256 * MIB);
    for round in 0..2 {
        for jar in 0..5 {
            model.read(jar, 20 * MIB, at(round * 60));
        }
    }
    for file in 0..4096 {
        model.read(100 + file, MIB, at(70 + file / 100));
    }
    let hits = (0..5).filter(|jar| model.read(*jar, 20 * MIB, at(100))).count();
    assert_eq!(hits, 5);
}

#[test]
fn a_new_working_set_takes_the_place_of_an_old_one() {
    let mut model = Model::new(256 * MIB);
    let mut now = at(0);
    for set in 0..3 {
        for _ in 0..3 {
            for file in 0..200 {
                model.read(set * 1000 + file, MIB, now);
            }
            now = now + DAY;
        }
        now = now + DAY;
    }
    let hits = (0..200).filter(|file| model.read(2000 + file, MIB, now)).count();
    assert_eq!(hits, 200);
}

proptest! {
    #[test]
    fn nobody_goes_who_is_pinned_or_busy_and_no_more_than_it_takes(
        seeds in proptest::collection::vec((0..50u64, 0..1000u64, 0..16u8), 0..100),
        is_all: bool,
        wanted in 0..2000u64,
    ) {
        let sample: Vec<_> = seeds.iter().enumerate().map(|(what, &(bytes, used, flags))| {
            let [pinned, protected, busy] = [1, 2, 4].map(|flag| flags & flag != 0);
            Candidate { what, bytes, used: at(used), pinned, protected, busy }
        }).collect();
        let chosen = victims(sample, is_all, at(1000), wanted);
        prop_assert!(chosen.iter().all(|candidate| !candidate.pinned && !candidate.busy));
        let but_last: u64 = chosen.iter().rev().skip(1).map(|candidate| candidate.bytes).sum();
        prop_assert!(chosen.is_empty() || but_last < wanted);
    }
}
