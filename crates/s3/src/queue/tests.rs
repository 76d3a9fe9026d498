use std::sync::Arc;

use object::{Budget, Flight, Span};
use proptest::prelude::*;

use super::*;
use crate::checksum::Checksum;

fn flight(len: u64) -> (Arc<Budget>, Arc<Flight>, Pilot) {
    let budget = Budget::new(64 << 20);
    let lease = budget.try_lease(len, 0).unwrap();
    let (flight, pilot) = Flight::new(Span::new(CHUNK, CHUNK + len), lease);
    (budget, flight, pilot)
}

fn content(len: u64) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect()
}

fn landed(flight: &Flight) -> Vec<u8> {
    flight.span().chunks().filter_map(|n| flight.chunk(n)).flat_map(|c| c.to_vec()).collect()
}

/// Feeds the bytes in pieces of `step`, as a socket would.
fn feed(queue: &mut Queue, pilot: &mut Pilot, bytes: &[u8], step: usize, v: &mut Option<Verifier>) {
    let mut rest = bytes;
    while !rest.is_empty() {
        queue.stock(pilot, u64::MAX);
        let n = queue.copy(&rest[..rest.len().min(step)]);
        assert!(n > 0, "no room for bytes of the span");
        queue.advance(n, pilot, v);
        rest = &rest[n..];
    }
}

fn verifier() -> Option<Verifier> {
    Checksum::parse("x-amz-checksum-crc32", "AAAAAA==").map(Checksum::verifier)
}

#[test]
fn held_bytes_land_only_when_released() {
    let len = 3 * CHUNK + 5;
    let (_budget, flight, mut pilot) = flight(len);
    let (mut queue, bytes) = (Queue::default(), content(len));
    feed(&mut queue, &mut pilot, &bytes, 100_000, &mut verifier());
    assert_eq!(landed(&flight), b"");
    queue.release(&mut pilot);
    assert_eq!(landed(&flight), bytes);
}

#[test]
fn forgotten_bytes_can_be_read_again_into_the_same_lease() {
    let len = 12 * CHUNK + 1;
    let (_budget, flight, mut pilot) = flight(len);
    let (mut queue, bytes) = (Queue::default(), content(len));
    let mut wrong = bytes.clone();
    wrong.iter_mut().for_each(|b| *b = !*b);
    feed(
        &mut queue,
        &mut pilot,
        &wrong[..5 * usize::try_from(CHUNK).unwrap() + 9],
        77_777,
        &mut verifier(),
    );
    queue.forget();
    feed(&mut queue, &mut pilot, &bytes, 300_000, &mut None);
    assert_eq!(landed(&flight), bytes);
}

#[test]
fn a_full_queue_has_no_room() {
    let (_budget, _flight, mut pilot) = flight(10);
    let mut queue = Queue::default();
    feed(&mut queue, &mut pilot, &content(10), 10, &mut None);
    queue.stock(&mut pilot, u64::MAX);
    assert!(queue.is_full());
    assert_eq!(queue.copy(b"more"), 0);
    assert!(queue.front().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn bytes_land_as_they_came_whatever_the_pieces_and_the_failures(
        len in 1u64..20 * CHUNK, step in 1000usize..2_000_000, cuts in proptest::collection::vec(0.0f64..1.0, 0..4),
    ) {
        let (budget, flight, mut pilot) = flight(len);
        let (mut queue, bytes) = (Queue::default(), content(len));
        let offset = |pilot: &Pilot| usize::try_from(pilot.landed() - CHUNK).unwrap();
        for cut in cuts {
            let rest = &bytes[offset(&pilot)..];
            let some = (rest.len() as f64 * cut) as usize;
            feed(&mut queue, &mut pilot, &rest[..some], step, &mut None);
            queue.forget();
        }
        let at = offset(&pilot);
        feed(&mut queue, &mut pilot, &bytes[at..], step, &mut None);
        prop_assert_eq!(landed(&flight), bytes);
        drop((queue, pilot, flight));
        prop_assert_eq!(budget.used(), 0);
    }
}

#[test]
fn no_buffer_is_taken_for_bytes_behind_the_end() {
    let (_budget, _flight, mut pilot) = flight(4 * CHUNK);
    let mut queue = Queue::default();
    queue.stock(&mut pilot, 2 * CHUNK + 1);
    assert_eq!(queue.slices().len(), 2);
    queue.stock(&mut pilot, u64::MAX);
    assert_eq!(queue.slices().len(), 4);
}
