use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const MIB: u64 = 1 << 20;
const PART: u64 = 8 * MIB;

fn limits() -> Limits {
    Limits {
        part: PART,
        window: 6 * PART,
        behind: 0,
        whole: 40 * MIB,
        deadline: Duration::from_secs(30),
    }
}

/// A reader with all the memory in the world: whatever was fetched stays held.
struct Machine {
    planner: Planner,
    seen: Seen,
    fetched: Vec<Span>,
}

#[derive(Default)]
struct Seen(BTreeSet<u64>);

impl Known for Seen {
    fn held(&self, chunk: u64) -> bool {
        self.0.contains(&chunk)
    }

    fn seen(&self, chunk: u64) -> bool {
        self.held(chunk)
    }
}

impl Machine {
    fn new(size: u64) -> Self {
        Self::over(size, CHUNK)
    }

    fn over(size: u64, grain: u64) -> Self {
        let planner = Planner::new(size, limits(), grain);
        Self { planner, seen: Seen::default(), fetched: vec![] }
    }

    fn read(&mut self, start: u64, len: u64) {
        let need = Span::new(start, (start + len).min(self.planner.size));
        self.planner.note(need);
        for span in self.planner.demand(need, &self.seen) {
            self.planner.issued(span);
            self.fetch(span);
        }
        assert!(need.chunks().all(|c| self.seen.held(c)), "{need} is not covered by its demand");
        let mut ahead = vec![];
        self.planner.ahead(need.end, u64::MAX, &self.seen, |span| {
            ahead.push(span);
            true
        });
        ahead.into_iter().for_each(|span| self.fetch(span));
    }

    fn fetch(&mut self, span: Span) {
        assert!(!span.is_empty() && span.end <= self.planner.size, "{span}");
        assert!(span.start.is_multiple_of(CHUNK));
        for chunk in span.chunks() {
            assert!(self.seen.0.insert(chunk), "chunk {chunk} of {span} is fetched twice");
        }
        self.fetched.push(span);
    }

    fn read_to_end(&mut self, step: u64) -> usize {
        for start in (0..self.planner.size).step_by(step as usize) {
            self.read(start, step);
        }
        assert_eq!(self.fetched.iter().map(|s| s.len()).sum::<u64>(), self.planner.size);
        self.fetched.len()
    }
}

#[test]
fn where_blocks_are_kept_whole_blocks_are_fetched() {
    let mut machine = Machine::over(100 * MIB, BLOCK);
    machine.read(50 * MIB + 5 * CHUNK, 4096);
    machine.read(70 * MIB + 7 * CHUNK, 2 * CHUNK);
    assert_eq!(
        machine.fetched,
        [Span::new(50 * MIB, 51 * MIB), Span::new(70 * MIB, 72 * MIB)],
        "a random read takes the blocks it touches"
    );
    let mut machine = Machine::over(100 * MIB + 5, BLOCK);
    assert_eq!(machine.read_to_end(128 << 10), 13, "and a stream its parts");
}

#[test]
fn what_is_read_before_a_whole_object_is_kept_is_fetched_by_the_parts_of_its_plan() {
    let mut machine = Machine::over(40 * MIB - 3, BLOCK);
    machine.planner.note(Span::new(40 * MIB - 200, 40 * MIB - 3));
    let [tail] = machine.planner.demand(Span::new(40 * MIB - 200, 40 * MIB - 3), &machine.seen)[..]
    else {
        panic!("one fetch for the tail")
    };
    machine.planner.issued(tail);
    machine.fetch(tail);
    let whole = machine.planner.take_whole(&machine.seen);
    assert_eq!(whole.len(), 5);
    assert_eq!(whole.iter().map(|s| s.len()).sum::<u64>() + tail.len(), 40 * MIB - 3);
    let need = Span::new(13 * MIB, 13 * MIB + 5000);
    machine.planner.note(need);
    assert_eq!(machine.planner.demand(need, &machine.seen), [whole[1]]);
    assert!(machine.planner.take_whole(&machine.seen).is_empty(), "once");
}

#[test]
fn five_jars_read_from_the_start_cost_82_fetches_whatever_the_request_size() {
    for step in [16 << 10, 128 << 10, MIB] {
        let count = |size: u64| Machine::new(size).read_to_end(step);
        let sum: usize = [10, 40, 90, 180, 350].map(|mb: u64| count(mb * 1_000_000)).iter().sum();
        assert_eq!(sum, 82);
    }
}

#[test]
fn five_jars_opened_at_their_end_first_cost_at_most_one_fetch_more_each() {
    let count = |size: u64| {
        let mut machine = Machine::new(size);
        machine.read(size / 4096 * 4096, 4096);
        machine.read((size - 700_000) / 4096 * 4096, 16384);
        machine.read(0, 16 << 10);
        let fetches = machine.read_to_end(128 << 10);
        assert!(fetches as u64 <= size.div_ceil(PART) + 1, "{size}: {fetches}");
        fetches
    };
    let sum: usize = [10, 40, 90, 180, 350].map(|mb: u64| count(mb * 1_000_000)).iter().sum();
    assert!((82..=87).contains(&sum), "{sum}");
}

#[test]
fn a_promise_asks_for_the_whole_window_at_once_and_a_small_look_does_not() {
    let mut machine = Machine::new(100 * MIB);
    machine.read(0, 128 << 10);
    assert_eq!(machine.fetched.len(), 7, "the part that is needed and the window of six");
    let mut machine = Machine::new(100 * MIB);
    machine.read(0, 4096);
    assert_eq!(machine.fetched, [Span::new(0, PART)]);
}

#[test]
fn random_reads_fetch_small_spans() {
    let mut machine = Machine::new(1 << 30);
    for i in 1..20 {
        machine.read(i * 37 * MIB + 4096, 4096);
    }
    assert_eq!(machine.fetched.len(), 19);
    assert!(machine.fetched.iter().all(|s| s.len() == CHUNK));
}

#[test]
fn a_stream_that_begins_in_the_middle_earns_its_window() {
    let mut machine = Machine::new(1 << 30);
    for i in 0..(32 * MIB / CHUNK) {
        machine.read(100 * MIB + i * CHUNK, CHUNK);
    }
    assert!(machine.fetched.len() < 14, "{:?}", machine.fetched);
}

#[test]
fn a_tail_of_a_small_enough_object_brings_the_rest_in_the_background() {
    let mut machine = Machine::new(30 * MIB);
    machine.read(30 * MIB - 4096, 4096);
    let total: u64 = machine.fetched.iter().map(|s| s.len()).sum();
    assert_eq!((total, machine.fetched.len()), (30 * MIB, 5));
}

#[test]
fn an_object_of_one_part_is_one_fetch_wherever_it_is_touched_first() {
    for start in [0, 4 * MIB, PART - 4096] {
        let mut machine = Machine::new(PART);
        machine.read(start, 4096);
        assert_eq!(machine.fetched, [Span::new(0, PART)]);
    }
}

proptest! {
    #[test]
    fn a_sequential_read_is_exact_however_the_kernel_shuffles_it(
        size in 1..(120 * MIB),
        step in prop::sample::select(vec![32u64 << 10, 128 << 10, 512 << 10]),
        swaps in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let mut starts: Vec<u64> = (0..size).step_by(step as usize).collect();
        // Neighbours change places, so that no request is out of order by more than the slack.
        let mut last = 0;
        for swap in swaps {
            let at = swap.index(starts.len());
            if at + 1 < starts.len() && at > last + 1 {
                starts.swap(at, at + 1);
                last = at;
            }
        }
        let mut machine = Machine::new(size);
        for start in starts {
            machine.read(start, step);
        }
        prop_assert_eq!(machine.fetched.len() as u64, size.div_ceil(PART));
    }

    #[test]
    fn any_reads_are_covered_and_no_byte_is_fetched_twice(
        size in 1..(200 * MIB),
        reads in prop::collection::vec((any::<prop::sample::Index>(), 1..(2 * MIB)), 1..60),
    ) {
        let mut machine = Machine::new(size);
        for (at, len) in reads {
            machine.read(at.index(size as usize) as u64, len);
        }
    }
}
