use super::*;
use crate::Budget;

fn flight(start: u64, end: u64) -> (Arc<Flight>, Pilot) {
    let span = Span::new(start, end);
    let lease = Budget::new(1 << 30).try_lease(span.len(), 0).unwrap();
    Flight::new(span, lease)
}

fn land(pilot: &mut Pilot, byte: u8) {
    let mut buffer = pilot.buffer(0).unwrap();
    buffer.fill(byte);
    pilot.land(buffer);
}

#[tokio::test]
async fn a_chunk_can_be_read_before_the_rest_has_arrived() {
    let (flight, mut pilot) = flight(CHUNK, 3 * CHUNK + 5);
    land(&mut pilot, 1);
    assert_eq!(flight.landed(1).await.unwrap()[0], 1);
    assert!(flight.chunk(2).is_none() && !flight.is_over());
    land(&mut pilot, 2);
    land(&mut pilot, 3);
    assert_eq!(flight.landed(3).await.unwrap().len(), 5);
    assert!(pilot.buffer(0).is_none());
    pilot.finish(Ok(()));
    assert!(flight.outcome().unwrap().is_ok());
}

#[tokio::test]
async fn all_who_wait_for_a_chunk_are_woken_by_it() {
    let (flight, mut pilot) = flight(0, CHUNK);
    let waiters: Vec<_> = (0..5)
        .map(|_| {
            let flight = flight.clone();
            tokio::spawn(async move { flight.landed(0).await.map(|c| c[3]) })
        })
        .collect();
    while flight.lock().waiting.len() < 5 {
        tokio::task::yield_now().await;
    }
    land(&mut pilot, 8);
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap().unwrap(), 8);
    }
}

#[tokio::test]
async fn a_failure_reaches_those_who_wait_and_spares_what_has_landed() {
    let (flight, mut pilot) = flight(0, 2 * CHUNK);
    land(&mut pilot, 1);
    pilot.finish(Err(Error::new(ErrorKind::Timeout, "late")));
    assert_eq!(flight.landed(0).await.unwrap()[0], 1);
    assert_eq!(flight.landed(1).await.err().unwrap().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn an_end_before_the_last_byte_is_an_error() {
    let (flight, pilot) = flight(0, CHUNK);
    pilot.finish(Ok(()));
    assert_eq!(flight.landed(0).await.err().unwrap().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_dropped_pilot_leaves_nobody_waiting() {
    let (flight, pilot) = flight(0, CHUNK);
    drop(pilot);
    assert_eq!(flight.landed(0).await.err().unwrap().kind(), ErrorKind::Abandoned);
}

#[tokio::test]
async fn the_pilot_learns_that_nobody_waits() {
    let (flight, pilot) = flight(0, CHUNK);
    let second = flight.clone();
    let pilot = tokio::spawn(async move {
        pilot.abandoned().await;
        pilot
    });
    drop(flight);
    tokio::task::yield_now().await;
    assert!(!pilot.is_finished(), "somebody still holds it");
    drop(second);
    pilot.await.unwrap();
}

#[tokio::test]
async fn a_released_chunk_gives_its_memory_back() {
    let budget = Budget::new(1 << 20);
    let lease = budget.try_lease(CHUNK, 0).unwrap();
    let (flight, mut pilot) = Flight::new(Span::new(0, CHUNK), lease);
    land(&mut pilot, 1);
    pilot.finish(Ok(()));
    assert_eq!(budget.used(), CHUNK);
    flight.release(0);
    assert_eq!(budget.used(), 0);
    assert_eq!(flight.landed(0).await.err().unwrap().kind(), ErrorKind::Abandoned);
}

#[tokio::test]
async fn a_chunk_of_one_flight_is_shown_in_another_without_a_copy() {
    let (first, mut pilot) = flight(0, 2 * CHUNK);
    land(&mut pilot, 1);
    land(&mut pilot, 2);
    let (second, mut pilot) = flight(CHUNK, 2 * CHUNK);
    pilot.share(first.landed(1).await.unwrap());
    pilot.finish(Ok(()));
    let (one, other) = (first.chunk(1).unwrap(), second.landed(1).await.unwrap());
    assert!(Arc::ptr_eq(&one, &other) && second.outcome().unwrap().is_ok());
}
