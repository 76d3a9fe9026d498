use std::time::Duration;

use futures_util::future::join_all;
use object::{Budget, Clock, Condition, Key, MemStore};

use super::*;

const MIB: u64 = 1 << 20;

struct Desk {
    store: Arc<MemStore>,
    budget: Arc<Budget>,
    memory: Arc<Memory>,
    rules: Rules,
}

fn desk(budget: u64) -> Desk {
    let store = MemStore::new(Clock::start());
    let budget = Budget::new(budget);
    let sizes = PartSizes::new(8 * MIB, true, budget.total());
    let rules = Rules {
        sizes,
        largest: sizes.largest_object(),
        checksum: None,
        in_flight: 8,
        deadline: Duration::from_secs(20),
    };
    Desk { store, memory: Memory::new(budget.clone()), budget, rules }
}

impl Desk {
    fn writer(&self, key: &str) -> Arc<Writer> {
        let key = Key::new(key).unwrap();
        Writer::new(self.store.clone(), self.memory.clone(), self.rules, key, Condition::Absent)
    }
}

async fn write(writer: &Writer, from: u64, to: u64) -> Result<(), Errno> {
    static PIECE: [u8; 128 << 10] = [7; 128 << 10];
    let mut at = from;
    while at < to {
        let piece = &PIECE[..(to - at).min(PIECE.len() as u64) as usize];
        at += writer.write(at, piece).await? as u64;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_writers_in_little_memory_all_finish() {
    let desk = Arc::new(desk(64 * MIB));
    desk.store.set_latency(Duration::from_millis(1));
    let tasks = (0..200).map(|number| {
        let desk = desk.clone();
        tokio::spawn(async move {
            let writer = desk.writer(&number.to_string());
            write(&writer, 0, 20 * MIB).await.unwrap();
            writer.publish(true).await.unwrap();
            desk.store.delete(&number.to_string());
        })
    });
    for task in join_all(tasks.collect::<Vec<_>>()).await {
        task.unwrap();
    }
    assert!(desk.budget.peak() <= 48 * MIB, "{}", desk.budget.peak());
    assert_eq!(desk.budget.used(), 0);
    let writes = desk.store.take_writes();
    assert_eq!((writes.begun, writes.parts, writes.completed), (200, 600, 200));
}

#[tokio::test]
async fn idle_beginnings_do_not_keep_others_from_writing() {
    let desk = desk(64 * MIB);
    let idle: Vec<_> = (0..96).map(|number| desk.writer(&format!("idle{number}"))).collect();
    // A quarter of the writers' 48 MiB is for beginnings, in chunks of 128 KiB.
    for writer in &idle {
        assert_eq!(writer.write_now(0, b"a line"), 6);
    }
    assert_eq!(desk.budget.used(), 12 * MIB);
    let writer = desk.writer("a");
    write(&writer, 0, 20 * MIB).await.unwrap();
    writer.publish(true).await.unwrap();
}

#[tokio::test]
async fn a_part_that_is_large_enough_is_sent_early_when_others_wait_and_its_writer_idles() {
    let desk = desk(24 * MIB);
    let (sleeper, other) = (desk.writer("sleeper"), desk.writer("other"));
    write(&sleeper, 0, 6 * MIB).await.unwrap();
    write(&other, 0, 7 * MIB).await.unwrap();
    let writes = desk.store.take_writes();
    assert_eq!((writes.begun, writes.parts), (1, 1));
    other.publish(true).await.unwrap();
    write(&sleeper, 6 * MIB, 9 * MIB).await.unwrap();
    assert_eq!(sleeper.publish(true).await.unwrap().unwrap().version.size, 9 * MIB);
}

#[tokio::test]
async fn what_is_published_need_not_be_in_memory_when_others_wait() {
    let desk = desk(24 * MIB);
    let (sleeper, other) = (desk.writer("sleeper"), desk.writer("other"));
    write(&sleeper, 0, 6 * MIB).await.unwrap();
    sleeper.publish(true).await.unwrap();
    write(&other, 0, 7 * MIB).await.unwrap();
    other.publish(true).await.unwrap();
    drop(other);
    desk.store.take_writes();
    write(&sleeper, 6 * MIB, 7 * MIB).await.unwrap();
    assert_eq!(sleeper.publish(true).await.unwrap().unwrap().version.size, 7 * MIB);
    let writes = desk.store.take_writes();
    assert_eq!((writes.puts, writes.begun, writes.copies, writes.parts), (0, 1, 1, 1));
}

#[tokio::test]
async fn all_memory_comes_back_from_what_is_given_up() {
    let desk = desk(64 * MIB);
    let writer = desk.writer("a");
    desk.store.set_latency(Duration::from_secs(60));
    write(&writer, 0, 7 * MIB).await.unwrap();
    assert!(desk.budget.used() >= 7 * MIB);
    writer.abandon().await;
    assert_eq!(desk.budget.used(), 0);
    assert_eq!(writer.publish(true).await, Err(Errno::Io));
}

#[tokio::test]
async fn more_than_an_object_can_have_is_refused_as_too_large() {
    let mut desk = desk(64 * MIB);
    desk.rules.largest = 10;
    let writer = desk.writer("a");
    assert_eq!(writer.write(0, b"0123456789").await, Ok(10));
    assert_eq!(writer.write(10, b"x").await, Err(Errno::TooLarge));
    assert_eq!(writer.publish(true).await, Err(Errno::TooLarge));
    assert_eq!(desk.store.take_writes().puts, 0);
}
