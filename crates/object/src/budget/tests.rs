use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

#[test]
fn leases_add_up_and_come_back() {
    let budget = Budget::new(10 * CHUNK);
    let mut lease = budget.try_lease(3 * CHUNK, 0).unwrap();
    let buffer = lease.buffer(CHUNK);
    assert_eq!((budget.used(), lease.bytes()), (3 * CHUNK, 2 * CHUNK));
    drop(lease);
    assert_eq!(budget.used(), CHUNK);
    drop(buffer);
    assert_eq!((budget.used(), budget.peak()), (0, 3 * CHUNK));
}

#[test]
fn work_done_ahead_leaves_the_spare_free() {
    let budget = Budget::new(4 * CHUNK);
    let held = budget.try_lease(2 * CHUNK, CHUNK).unwrap();
    assert!(budget.try_lease(CHUNK + 1, CHUNK).is_none());
    assert!(budget.try_lease(CHUNK, CHUNK).is_some());
    drop(held);
}

#[tokio::test]
async fn waiters_are_served_in_turn_and_nobody_overtakes_them() {
    let budget = Budget::new(4);
    let held = budget.lease(3).await;
    let first = tokio::spawn({
        let budget = budget.clone();
        async move { budget.lease(4).await }
    });
    while budget.lock().waiting.is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(budget.try_lease(1, 0).is_none(), "a waiter is ahead");
    drop(held);
    assert_eq!(first.await.unwrap().bytes(), 4);
}

#[tokio::test]
async fn a_waiter_that_left_does_not_keep_its_bytes() {
    let budget = Budget::new(4);
    let held = budget.lease(4).await;
    let gone = tokio::spawn({
        let budget = budget.clone();
        async move { budget.lease(4).await }
    });
    while budget.lock().waiting.is_empty() {
        tokio::task::yield_now().await;
    }
    gone.abort();
    assert!(gone.await.is_err());
    drop(held);
    assert_eq!((budget.used(), budget.lease(4).await.bytes()), (0, 4));
}

#[tokio::test]
async fn a_lease_above_the_budget_is_granted_alone() {
    let budget = Budget::new(4);
    assert_eq!(budget.lease(100).await.bytes(), 100);
}

struct Hoard(Mutex<Vec<Lease>>, AtomicU64);

impl Reclaim for Hoard {
    fn reclaim(&self, bytes: u64, _urgent: bool) -> u64 {
        self.1.fetch_add(1, Ordering::Relaxed);
        let mut freed = 0;
        while freed < bytes {
            let Some(lease) = self.0.lock().unwrap().pop() else { break };
            freed += lease.bytes();
        }
        freed
    }
}

#[tokio::test]
async fn somebody_who_waits_gets_the_bytes_that_others_keep_for_nobody() {
    let budget = Budget::new(4);
    let leases = (0..4).map(|_| budget.try_lease(1, 0).unwrap()).collect();
    let hoard = Arc::new(Hoard(Mutex::new(leases), AtomicU64::new(0)));
    let weak: Weak<Hoard> = Arc::downgrade(&hoard);
    budget.register(weak);
    assert_eq!(budget.lease(2).await.bytes(), 2);
    assert_eq!(hoard.0.lock().unwrap().len(), 2, "no more than was needed was dropped");
}

#[test]
fn buffers_are_used_again_and_the_pool_stays_inside_the_budget() {
    let budget = Budget::new(2 * CHUNK);
    let mut lease = budget.try_lease(2 * CHUNK, 0).unwrap();
    let mut buffer = lease.buffer(CHUNK);
    buffer[7] = 9;
    drop(buffer);
    let mut again = budget.try_lease(CHUNK, 0).unwrap();
    assert_eq!(again.buffer(CHUNK)[7], 9);
    drop(lease);
    assert!(budget.lock().pool.len() as u64 * CHUNK <= budget.total());
}

#[tokio::test]
async fn one_who_gave_up_waiting_keeps_nobody_else_waiting() {
    let budget = Budget::new(100);
    let _kept = budget.lease(60).await;
    let patience = Duration::from_millis(30);
    assert!(timeout(patience, budget.lease(80)).await.is_err());
    assert!(budget.try_lease(40, 0).is_some(), "nobody waits any more");
    let large = tokio::spawn({
        let budget = budget.clone();
        async move { timeout(patience, budget.lease(80)).await.is_err() }
    });
    tokio::task::yield_now().await;
    let small = timeout(Duration::from_secs(5), budget.lease(40)).await;
    assert_eq!(small.unwrap().bytes(), 40);
    assert!(large.await.unwrap());
}

#[test]
fn a_whole_chunk_begins_on_a_page_border_also_when_it_is_used_again() {
    let budget = Budget::new(4 * CHUNK);
    for _ in 0..3 {
        let mut lease = budget.try_lease(3 * CHUNK, 0).unwrap();
        let buffers: Vec<_> = (0..3).map(|_| lease.buffer(CHUNK)).collect();
        for buffer in &buffers {
            assert_eq!((buffer.len() as u64, buffer.as_ptr().addr() % 4096), (CHUNK, 0));
        }
    }
    assert_eq!(budget.try_lease(CHUNK, 0).unwrap().buffer(5).len(), 5);
}
