use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::{BLOCK, Budget, Flight, Pilot, Span};

fn flight(blocks: u64, backlog: &Arc<Backlog>) -> (Arc<Flight>, Pilot) {
    let span = Span::new(0, blocks * BLOCK);
    let lease = Budget::new(span.len()).try_lease(span.len(), 0).unwrap();
    let (flight, pilot) = Flight::new(span, lease);
    flight.lead_into(backlog.clone());
    (flight, pilot)
}

fn land_to(pilot: &mut Pilot, end: u64) {
    while pilot.landed() < end {
        let buffer = pilot.buffer(0).unwrap();
        pilot.land(buffer);
    }
}

async fn goes_on(pilot: &Pilot) -> bool {
    timeout(Duration::from_millis(10), pilot.clear_to_land()).await.is_ok()
}

#[tokio::test]
async fn a_flight_pauses_while_its_consumer_is_behind() {
    let backlog = Backlog::new(2);
    let (flight, mut pilot) = flight(4, &backlog);
    let pause_at = pilot.pause_at();
    land_to(&mut pilot, pause_at);
    assert!(goes_on(&pilot).await);
    let pause_at = pilot.pause_at();
    land_to(&mut pilot, pause_at);
    assert_eq!(backlog.waiting(), 2);
    assert!(!goes_on(&pilot).await);
    flight.consumed(1);
    assert!(goes_on(&pilot).await);
}

#[tokio::test]
async fn a_block_of_which_only_a_part_has_come_holds_up_nobody() {
    let backlog = Backlog::new(1);
    let (_slow, mut slow) = flight(1, &backlog);
    land_to(&mut slow, BLOCK / 2);
    let (_other, other) = flight(1, &backlog);
    assert_eq!(backlog.waiting(), 0);
    assert!(goes_on(&other).await);
}

#[tokio::test]
async fn one_flight_waits_for_what_another_brought_and_goes_on_without_it() {
    let backlog = Backlog::new(1);
    let (full, mut full_pilot) = flight(2, &backlog);
    let (_other, other_pilot) = flight(2, &backlog);
    land_to(&mut full_pilot, BLOCK);
    assert!(!goes_on(&other_pilot).await);
    drop(full);
    assert_eq!(backlog.waiting(), 0);
    assert!(goes_on(&other_pilot).await);
}

#[tokio::test]
async fn what_is_not_wanted_does_not_count_when_it_comes() {
    let backlog = Backlog::new(1);
    let (flight, mut pilot) = flight(3, &backlog);
    flight.consumed(3);
    land_to(&mut pilot, 3 * BLOCK);
    assert_eq!(backlog.waiting(), 0);
    assert!(goes_on(&pilot).await);
}

#[tokio::test]
async fn what_landed_before_there_was_a_backlog_counts() {
    let span = Span::new(0, 2 * BLOCK);
    let lease = Budget::new(span.len()).try_lease(span.len(), 0).unwrap();
    let (flight, mut pilot) = Flight::new(span, lease);
    land_to(&mut pilot, BLOCK);
    assert!(goes_on(&pilot).await, "there is nothing to wait for");
    let backlog = Backlog::new(1);
    flight.lead_into(backlog.clone());
    assert_eq!(backlog.waiting(), 1);
    assert!(!goes_on(&pilot).await);
}

#[tokio::test]
async fn a_slow_flight_that_was_let_go_on_holds_up_nobody() {
    let backlog = Backlog::new(1);
    let (full, mut full_pilot) = flight(2, &backlog);
    land_to(&mut full_pilot, BLOCK);
    let mut others = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (flight, pilot) = flight(2, &backlog);
        others.spawn(async move {
            pilot.clear_to_land().await;
            // It brings nothing.
            flight
        });
    }
    let waiting = timeout(Duration::from_millis(10), others.join_next()).await;
    assert!(waiting.is_err());
    full.consumed(1);
    assert_eq!(timeout(Duration::from_secs(1), others.join_all()).await.unwrap().len(), 3);
}
