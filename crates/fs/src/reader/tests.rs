use std::time::Duration;

use object::{CHUNK, Clock, MemStore, Store, Time};

use super::*;

const MIB: u64 = 1 << 20;

fn content(size: u64) -> Vec<u8> {
    (0..size).map(|i| (i * 31 + i / 4096) as u8).collect()
}

async fn reader(size: u64, budget: u64) -> (Arc<MemStore>, Arc<Reader>, Arc<Budget>) {
    let store = MemStore::new(Clock::start());
    store.put("a.jar", content(size), Time::from_secs(1));
    let budget = Budget::new(budget);
    let reader = reader_of(&store, &budget, "a.jar").await;
    (store, reader, budget)
}

async fn reader_of(store: &Arc<MemStore>, budget: &Arc<Budget>, key: &str) -> Arc<Reader> {
    let limits = Limits {
        part: 2 * MIB,
        window: 8 * MIB,
        behind: 0,
        whole: 4 * MIB,
        // That of a mount, unless it is given another.
        deadline: Duration::from_secs(20),
    };
    let meta = store.head(&object::Key::new(key).unwrap()).await.unwrap();
    let reader = Reader::new(store.clone(), Arc::new(meta.version), budget.clone(), limits);
    reader.open();
    reader
}

async fn check(reader: &Reader, offset: u64, len: u32) {
    let slices = reader.read(offset, len).await.unwrap();
    let bytes: Vec<u8> = slices.iter().flatten().copied().collect();
    let all = content(reader.version().size);
    let end = (offset + u64::from(len)).min(all.len() as u64);
    assert!(bytes == all[offset as usize..end as usize], "{offset}+{len}");
}

#[tokio::test]
async fn a_whole_read_is_exact_and_holds_little_at_its_end() {
    let (store, reader, budget) = reader(9 * MIB + 77, 64 * MIB).await;
    store.take_counts();
    for offset in (0..9 * MIB + 77).step_by(CHUNK as usize) {
        check(&reader, offset, CHUNK as u32).await;
    }
    let counts = store.take_counts();
    assert_eq!((counts.reads, counts.bytes), (5, 9 * MIB + 77));
    assert!(reader.held() <= 2 * MIB && budget.used() <= 2 * MIB);
    // The kernel lost the last pages: they are still here.
    check(&reader, 9 * MIB, 77).await;
    assert_eq!(store.take_counts().reads, 0);
}

#[tokio::test]
async fn a_request_that_overtakes_the_first_one_does_not_change_the_plan() {
    const SIZE: u64 = 8 * MIB + 1;
    let (store, reader, _) = reader(SIZE, 64 * MIB).await;
    store.take_counts();
    let other = reader.clone();
    let overtaking = tokio::spawn(async move { check(&other, CHUNK, CHUNK as u32).await });
    tokio::task::yield_now().await;
    check(&reader, 0, CHUNK as u32).await;
    overtaking.await.unwrap();
    for offset in (2 * CHUNK..SIZE).step_by(CHUNK as usize) {
        check(&reader, offset, CHUNK as u32).await;
    }
    let counts = store.take_counts();
    assert_eq!((counts.reads, counts.bytes), (5, SIZE));
}

#[tokio::test]
async fn sixteen_readers_at_once_are_one_plan() {
    let (store, reader, _) = reader(8 * MIB, 64 * MIB).await;
    store.set_latency(Duration::from_millis(5));
    store.take_counts();
    let reads = (0..16).map(|_| {
        let reader = reader.clone();
        tokio::spawn(async move { check(&reader, 0, 128 << 10).await })
    });
    for read in reads.collect::<Vec<_>>() {
        read.await.unwrap();
    }
    assert_eq!(store.take_counts().reads, 4);
}

#[tokio::test]
async fn reads_beyond_the_end_are_short_or_empty() {
    let (_, reader, _) = reader(1000, 64 * MIB).await;
    check(&reader, 900, 4096).await;
    assert!(reader.read(1000, 10).await.unwrap().is_empty());
    assert!(reader.read(u64::MAX, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn memory_stays_inside_a_small_budget_and_all_bytes_come() {
    let (store, reader, budget) = reader(24 * MIB, 5 * MIB).await;
    store.take_counts();
    for offset in (0..24 * MIB).step_by(CHUNK as usize) {
        check(&reader, offset, CHUNK as u32).await;
    }
    assert!(budget.peak() <= 5 * MIB, "{}", budget.peak());
    assert_eq!(store.take_counts().reads, 12);
}

#[tokio::test]
async fn one_who_waits_gets_memory_that_a_sleeping_reader_keeps() {
    let store = MemStore::new(Clock::start());
    store.put("a", content(8 * MIB), Time::from_secs(1));
    store.put("b", content(8 * MIB), Time::from_secs(1));
    let budget = Budget::new(6 * MIB);
    let (a, b) = (reader_of(&store, &budget, "a").await, reader_of(&store, &budget, "b").await);
    check(&a, 0, 128 << 10).await;
    check(&b, 0, 128 << 10).await;
    for offset in (0..8 * MIB).step_by(CHUNK as usize) {
        check(&b, offset, CHUNK as u32).await;
    }
    for offset in (0..8 * MIB).step_by(CHUNK as usize) {
        check(&a, offset, CHUNK as u32).await;
    }
    assert!(budget.peak() <= 6 * MIB);
}

#[tokio::test]
async fn many_readers_under_pressure_all_finish_with_right_bytes() {
    let store = MemStore::new(Clock::start());
    store.set_latency(Duration::from_millis(1));
    let budget = Budget::new(8 * MIB);
    let mut tasks = vec![];
    store.take_counts();
    for i in 0..12 {
        let key = format!("k{i}");
        store.put(&key, content(6 * MIB), Time::from_secs(1));
        let reader = reader_of(&store, &budget, &key).await;
        tasks.push(tokio::spawn(async move {
            for offset in (0..6 * MIB).step_by(CHUNK as usize) {
                check(&reader, offset, CHUNK as u32).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert!(budget.peak() <= 8 * MIB);
    let counts = store.take_counts();
    assert_eq!((counts.reads, counts.bytes), (12 * 3, 12 * 6 * MIB), "nothing was fetched twice");
}

#[tokio::test]
async fn what_makes_room_for_the_rest_of_a_read_is_not_its_beginning() {
    let (_, reader, budget) = reader(8 * MIB, 2 * MIB + CHUNK).await;
    for offset in (0..2 * MIB).step_by(CHUNK as usize) {
        check(&reader, offset, CHUNK as u32).await;
    }
    assert_eq!(budget.used(), 2 * CHUNK, "the last of what was given is still kept");
    check(&reader, 2 * MIB - CHUNK, 2 * CHUNK as u32).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_across_parts_under_pressure_wait_and_do_not_fail() {
    let store = MemStore::new(Clock::start());
    store.set_latency(Duration::from_millis(1));
    let budget = Budget::new(6 * MIB);
    let mut tasks = vec![];
    for i in 0..16 {
        let key = format!("k{i}");
        store.put(&key, content(6 * MIB), Time::from_secs(1));
        let reader = reader_of(&store, &budget, &key).await;
        tasks.push(tokio::spawn(async move {
            for round in 0..3 {
                let border = 2 * MIB * (1 + (i + round) % 2);
                check(&reader, border - 3 * CHUNK, 6 * CHUNK as u32).await;
                check(&reader, (i * 7 + round * 11) % 40 * CHUNK, 5 * CHUNK as u32).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert!(budget.peak() <= 6 * MIB);
}

#[tokio::test]
async fn a_failed_fetch_fails_the_read_and_the_next_read_tries_anew() {
    let (store, reader, _) = reader(5 * MIB, 64 * MIB).await;
    store.set_failing(Some(ErrorKind::Unreachable));
    assert_eq!(reader.read(0, 4096).await.err().unwrap().kind(), ErrorKind::Unreachable);
    store.set_failing(None);
    check(&reader, 0, 4096).await;
}

#[tokio::test]
async fn bytes_the_kernel_lost_are_fetched_again_as_a_plan() {
    let (store, reader, _) = reader(8 * MIB, 64 * MIB).await;
    for _ in 0..2 {
        store.take_counts();
        for offset in (0..8 * MIB).step_by(CHUNK as usize) {
            check(&reader, offset, CHUNK as u32).await;
        }
        assert_eq!(store.take_counts().reads, 4);
    }
}

#[tokio::test]
async fn the_last_close_gives_everything_up() {
    let (store, reader, budget) = reader(8 * MIB, 64 * MIB).await;
    check(&reader, 0, 128 << 10).await;
    store.set_latency(Duration::from_secs(60));
    assert!(reader.held() > 0);
    assert!(reader.close());
    assert_eq!(reader.held(), 0);
    // The fetches learn of it when they are next run.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn a_read_ends_at_its_deadline() {
    let store = MemStore::new(Clock::start());
    store.put("a", content(4096), Time::from_secs(1));
    let budget = Budget::new(MIB);
    let meta = store.head(&object::Key::new("a").unwrap()).await.unwrap();
    let deadline = Duration::from_millis(50);
    let limits = Limits { part: 2 * MIB, window: 8 * MIB, behind: 0, whole: 4 * MIB, deadline };
    let reader = Reader::new(store.clone(), Arc::new(meta.version), budget, limits);
    store.set_latency(Duration::from_secs(60));
    assert_eq!(reader.read(0, 4096).await.err().unwrap().kind(), ErrorKind::Timeout);
    // The kernel asks once more, and is not kept waiting a second time.
    store.set_latency(Duration::ZERO);
    assert_eq!(reader.read(0, 4096).await.err().unwrap().kind(), ErrorKind::Timeout);
    tokio::time::sleep(ECHO).await;
    reader.close();
    assert_eq!(reader.read(0, 4096).await.unwrap().len(), 4096);
}
