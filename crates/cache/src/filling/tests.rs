use object::Budget;

use super::*;

const PER_BLOCK: u64 = BLOCK / CHUNK;

/// A filling of four blocks, of which nothing has landed; all of it would be here and there.
fn filling() -> Arc<Filling> {
    let lease = Budget::new(4 * BLOCK).try_lease(4 * BLOCK, 0).unwrap();
    let (flight, _pilot) = Flight::new(Span::new(0, 4 * BLOCK), lease);
    Filling::new(0..4, flight)
}

/// Whether a reader that has `blocks` of them may go on at once.
async fn goes_on(filling: &Filling, blocks: u64, ahead: &Arc<Semaphore>) -> bool {
    let taken = filling.taken(blocks * PER_BLOCK, ahead);
    timeout(Duration::from_millis(10), taken).await.is_ok()
}

#[tokio::test]
async fn a_reader_goes_on_while_the_disk_is_near() {
    let (filling, ahead) = (filling(), Arc::new(Semaphore::new(2)));
    assert!(goes_on(&filling, 1, &ahead).await);
    assert!(goes_on(&filling, 2, &ahead).await);
    assert!(!goes_on(&filling, 3, &ahead).await, "the disk is two blocks behind");
    filling.reach(1);
    assert!(goes_on(&filling, 3, &ahead).await);
    filling.reach(4);
    assert_eq!(ahead.available_permits(), 2);
}

#[tokio::test]
async fn a_fetch_that_hangs_within_a_block_holds_up_nobody() {
    let (slow, other, ahead) = (filling(), filling(), Arc::new(Semaphore::new(1)));
    for chunk in 1..PER_BLOCK {
        slow.taken(chunk, &ahead).await;
    }
    assert!(goes_on(&other, 1, &ahead).await);
}

#[tokio::test]
async fn a_disk_that_hangs_does_not_hold_up_a_reader_for_long() {
    let (filling, ahead) = (filling(), Arc::new(Semaphore::new(0)));
    let reading = timeout(2 * PATIENCE, filling.taken(PER_BLOCK, &ahead));
    assert!(reading.await.is_ok());
}

#[tokio::test]
async fn what_ends_early_lets_readers_go_on() {
    let (failing, ahead) = (filling(), Arc::new(Semaphore::new(1)));
    assert!(goes_on(&failing, 1, &ahead).await);
    failing.reach(failing.blocks.end);
    assert!(goes_on(&filling(), 1, &ahead).await);
}
