use object::{Backlog, Budget};

use super::*;

/// A filling of four blocks, of which nothing has landed, that leads into `backlog`.
fn filling(backlog: &Arc<Backlog>) -> (Arc<Filling>, object::Pilot) {
    let lease = Budget::new(4 * BLOCK).try_lease(4 * BLOCK, 0).unwrap();
    let (flight, pilot) = Flight::new(Span::new(0, 4 * BLOCK), lease);
    flight.lead_into(backlog.clone());
    (Filling::new(0..4, flight), pilot)
}

fn land(pilot: &mut object::Pilot, blocks: u64) {
    for _ in 0..blocks * (BLOCK / CHUNK) {
        let buffer = pilot.buffer(0).unwrap();
        pilot.land(buffer);
    }
}

#[test]
fn what_the_disk_has_makes_room_for_what_the_network_brings() {
    let backlog = Backlog::new(8);
    let (filling, mut pilot) = filling(&backlog);
    land(&mut pilot, 3);
    assert_eq!(backlog.waiting(), 3);
    filling.reach(2);
    assert_eq!(backlog.waiting(), 1);
}

#[test]
fn what_ends_early_keeps_nobody_waiting() {
    let backlog = Backlog::new(8);
    let (filling, mut pilot) = filling(&backlog);
    land(&mut pilot, 1);
    filling.reach(filling.blocks.end);
    land(&mut pilot, 3);
    assert_eq!(backlog.waiting(), 0);
}

#[test]
fn a_chunk_is_let_go_of_when_the_disk_and_the_first_reader_have_it() {
    let (filling, mut pilot) = filling(&Backlog::new(8));
    land(&mut pilot, 2);
    filling.reach(1);
    assert!(filling.flight.chunk(0).is_some(), "the reader has not got it");
    filling.taken(BLOCK / CHUNK + 1);
    assert!(filling.flight.chunk(0).is_none());
    assert!(filling.flight.chunk(BLOCK / CHUNK).is_some(), "the disk has not got it");
}
