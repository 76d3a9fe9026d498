//! What is published of a file that is written, when, and in how many requests.

use std::time::Duration;

use fs::{Change, Errno, HandleId, OpenOptions, ROOT, Ttl, Writes};
use object::{ErrorKind, MemWrites};

use crate::mount::{MINUTE, Mount, THEN, allowing, config};

const MIB: usize = 1 << 20;
const NONE: MemWrites =
    MemWrites { puts: 0, begun: 0, parts: 0, copies: 0, completed: 0, aborted: 0, deletes: 0 };

fn bytes(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|i| (i * 31 + i / 4096) as u8).collect()
}

async fn new(mount: &Mount, path: &str) -> HandleId {
    mount.open_new(path).await.unwrap().1
}

fn overwriting() -> Mount {
    Mount::with(allowing(config(MINUTE)))
}

#[tokio::test]
async fn a_small_file_is_one_put_at_its_close_and_nobody_sees_it_before() {
    let mount = Mount::new(MINUTE);
    let handle = new(&mount, "a").await;
    mount.write(handle, 0, b"hello ").await.unwrap();
    mount.write(handle, 6, b"world").await.unwrap();
    assert_eq!((mount.store.take_writes(), mount.stored("a")), (NONE, None));
    assert_eq!(mount.stat("a").await.unwrap().size, 11);
    mount.close(handle).await.unwrap();
    assert_eq!(mount.store.take_writes(), MemWrites { puts: 1, ..NONE });
    assert_eq!(mount.stored("a").unwrap(), "hello world");
}

#[tokio::test]
async fn many_small_files_are_as_many_puts_and_one_listing() {
    for ttl in [MINUTE, Ttl::Minimal] {
        let mount = Mount::new(ttl);
        mount.put("d/x", "x");
        mount.walk("d").await.unwrap();
        let parent = mount.walk("d").await.unwrap().node;
        mount.asked();
        for number in 0..1000 {
            let name = format!("{number}");
            // The kernel has looked the name up, or a listing has; then CREATE asks nothing.
            let options = OpenOptions { write: true, ..OpenOptions::default() };
            mount.find(parent, &name).await.unwrap_err();
            let (_, opened) = mount.fs.create(parent, name.as_bytes(), options).await.unwrap();
            mount.write(opened.handle, 0, &[7; 4096]).await.unwrap();
            mount.close(opened.handle).await.unwrap();
        }
        assert_eq!(mount.store.take_writes(), MemWrites { puts: 1000, ..NONE });
        assert_eq!(mount.asked(), (0, 1000, 0));
    }
}

#[tokio::test]
async fn a_file_of_exactly_one_part_is_one_put_and_one_byte_more_an_upload() {
    let mount = Mount::new(MINUTE);
    for (name, len, want) in [
        ("one", 8 * MIB, MemWrites { puts: 1, ..NONE }),
        ("more", 8 * MIB + 1, MemWrites { begun: 1, parts: 2, completed: 1, ..NONE }),
    ] {
        let handle = new(&mount, name).await;
        mount.write(handle, 0, &bytes(0, len)).await.unwrap();
        mount.close(handle).await.unwrap();
        assert_eq!(mount.store.take_writes(), want);
        assert!(*mount.store.bytes(name).unwrap() == *bytes(0, len));
    }
    assert!(mount.store.open_uploads().is_empty());
}

#[tokio::test]
async fn parts_are_sent_while_the_next_are_written_and_no_more_than_allowed_at_once() {
    let mount = Mount::new(MINUTE);
    let handle = new(&mount, "a").await;
    mount.write(handle, 0, &bytes(0, 17 * MIB)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(mount.store.take_writes(), MemWrites { begun: 1, parts: 2, ..NONE });
    mount.write(handle, 17 * MIB as u64, &bytes(17 * MIB, 40 * MIB)).await.unwrap();
    mount.close(handle).await.unwrap();
    assert_eq!(mount.store.take_writes(), MemWrites { parts: 6, completed: 1, ..NONE });
    assert!(*mount.store.bytes("a").unwrap() == *bytes(0, 57 * MIB));
}

#[tokio::test]
async fn an_empty_file_is_published_at_its_end_and_not_by_a_flush() {
    let mount = Mount::new(MINUTE);
    let handle = new(&mount, "a").await;
    mount.fs.flush(handle).await.unwrap();
    assert_eq!(mount.store.take_writes(), NONE);
    assert_eq!(mount.stat("a").await.unwrap().size, 0);
    mount.fs.release(handle);
    mount.fs.settle().await;
    assert_eq!(mount.store.take_writes(), MemWrites { puts: 1, ..NONE });
    let handle = new(&mount, "b").await;
    mount.fs.fsync(handle).await.unwrap();
    mount.fs.fsync(handle).await.unwrap();
    mount.close(handle).await.unwrap();
    assert_eq!(mount.store.take_writes(), MemWrites { puts: 1, ..NONE });
    assert_eq!(
        (mount.stored("a").unwrap(), mount.stored("b").unwrap()),
        (String::new(), String::new())
    );
}

#[tokio::test]
async fn a_handle_that_reached_nobody_publishes_nothing() {
    let mount = Mount::new(MINUTE);
    let handle = new(&mount, "a").await;
    mount.fs.abandon(handle);
    mount.fs.settle().await;
    assert_eq!(mount.store.take_writes(), NONE);
    assert_eq!(mount.stat("a").await.unwrap_err(), Errno::NotFound);
    mount.put("b", "x");
    let (_, handle) = mount.open("b").await.unwrap();
    mount.fs.abandon(handle);
    assert_eq!(mount.read(handle).await.unwrap_err(), Errno::BadHandle);
}

#[tokio::test]
async fn a_flush_with_nothing_new_sends_nothing() {
    let mount = Mount::new(MINUTE);
    let handle = new(&mount, "a").await;
    mount.write(handle, 0, b"x").await.unwrap();
    for _ in 0..3 {
        mount.fs.flush(handle).await.unwrap();
        mount.fs.fsync(handle).await.unwrap();
    }
    mount.close(handle).await.unwrap();
    assert_eq!(mount.store.take_writes(), MemWrites { puts: 1, ..NONE });
}

#[tokio::test]
async fn a_descriptor_that_several_write_to_in_turn_gives_all_their_bytes() {
    let mount = Mount::new(MINUTE);
    let handle = new(&mount, "a").await;
    mount.write(handle, 0, b"a\n").await.unwrap();
    mount.fs.flush(handle).await.unwrap();
    assert_eq!(mount.stored("a").unwrap(), "a\n");
    mount.write(handle, 2, b"b\n").await.unwrap();
    assert_eq!(mount.stored("a").unwrap(), "a\n");
    mount.close(handle).await.unwrap();
    assert_eq!(mount.stored("a").unwrap(), "a\nb\n");
    assert_eq!(mount.store.take_writes(), MemWrites { puts: 2, ..NONE });
}

#[tokio::test]
async fn a_small_file_that_grows_large_after_a_flush_is_uploaded_from_memory() {
    let mount = Mount::new(MINUTE);
    let handle = new(&mount, "a").await;
    mount.write(handle, 0, &bytes(0, 3 * MIB)).await.unwrap();
    mount.fs.flush(handle).await.unwrap();
    mount.write(handle, 3 * MIB as u64, &bytes(3 * MIB, 10 * MIB)).await.unwrap();
    mount.close(handle).await.unwrap();
    let want = MemWrites { puts: 1, begun: 1, parts: 2, completed: 1, ..NONE };
    assert_eq!(mount.store.take_writes(), want);
    assert!(*mount.store.bytes("a").unwrap() == *bytes(0, 13 * MIB));
}

#[tokio::test]
async fn a_large_file_goes_on_after_a_flush_by_a_copy_of_what_was_published() {
    let mount = Mount::new(MINUTE);
    let handle = new(&mount, "a").await;
    mount.write(handle, 0, &bytes(0, 9 * MIB)).await.unwrap();
    mount.fs.fsync(handle).await.unwrap();
    mount.store.take_writes();
    mount.write(handle, 9 * MIB as u64, &bytes(9 * MIB, 7)).await.unwrap();
    mount.fs.flush(handle).await.unwrap();
    let want = MemWrites { begun: 1, copies: 1, parts: 1, completed: 1, ..NONE };
    assert_eq!(mount.store.take_writes(), want);
    let more = 9 * MIB + 7;
    mount.write(handle, more as u64, &bytes(more, 20 * MIB)).await.unwrap();
    mount.close(handle).await.unwrap();
    assert_eq!(mount.store.take_writes(), MemWrites { parts: 3, ..want });
    assert!(*mount.store.bytes("a").unwrap() == *bytes(0, more + 20 * MIB));
    assert!(mount.store.open_uploads().is_empty());
}

#[tokio::test]
async fn a_write_out_of_order_ends_the_file_and_every_later_call_says_so() {
    for (first, offset) in [(10, 5u64), (10, 11), (0, 1), (9 * MIB, 0)] {
        let mount = Mount::new(MINUTE);
        let handle = new(&mount, "a").await;
        mount.write(handle, 0, &bytes(0, first)).await.unwrap();
        assert_eq!(mount.write(handle, offset, b"x").await, Err(Errno::Invalid));
        assert_eq!(mount.write(handle, first as u64, b"x").await, Err(Errno::Invalid));
        assert_eq!(mount.fs.fsync(handle).await, Err(Errno::Invalid));
        assert_eq!(mount.close(handle).await, Err(Errno::Invalid));
        assert_eq!(mount.store.open_uploads(), []);
        assert_eq!(mount.store.take_writes().puts, 0);
        assert_eq!(mount.stat("a").await.unwrap_err(), Errno::NotFound);
    }
}

#[tokio::test]
async fn what_was_flushed_stays_when_a_later_write_fails() {
    let mount = Mount::new(MINUTE);
    let handle = new(&mount, "a").await;
    mount.write(handle, 0, b"flushed").await.unwrap();
    mount.fs.flush(handle).await.unwrap();
    mount.write(handle, 7, b"more").await.unwrap();
    assert_eq!(mount.write(handle, 0, b"x").await, Err(Errno::Invalid));
    assert_eq!(mount.close(handle).await, Err(Errno::Invalid));
    assert_eq!(mount.cat("a").await.unwrap(), "flushed");
    assert_eq!(mount.stat("a").await.unwrap().size, 7);
}

#[tokio::test]
async fn what_the_store_says_reaches_close_and_every_later_call() {
    let cases = [
        (ErrorKind::Denied, Errno::Access),
        (ErrorKind::Full, Errno::NoSpace),
        (ErrorKind::TooLarge, Errno::TooLarge),
        (ErrorKind::Throttled, Errno::Io),
        (ErrorKind::Timeout, Errno::Io),
    ];
    for (kind, want) in cases {
        let mount = Mount::new(MINUTE);
        let handle = new(&mount, "a").await;
        mount.write(handle, 0, b"x").await.unwrap();
        mount.store.set_writes_failing(Some(kind));
        assert_eq!(mount.fs.flush(handle).await, Err(want));
        mount.store.set_writes_failing(None);
        assert_eq!(mount.fs.flush(handle).await, Err(want));
        assert_eq!(mount.fs.fsync(handle).await, Err(want));
        assert_eq!(mount.write(handle, 1, b"x").await, Err(want));
        assert_eq!(mount.close(handle).await, Err(want));
        assert_eq!(mount.store.take_writes(), MemWrites { puts: 1, ..NONE });
        assert_eq!(mount.stat("a").await.unwrap_err(), Errno::NotFound);
        mount.echo("a", "again").await.unwrap();
    }
}

#[tokio::test]
async fn a_part_that_fails_in_the_background_is_told_to_the_next_write() {
    let mount = Mount::new(MINUTE);
    let handle = new(&mount, "a").await;
    mount.write(handle, 0, &bytes(0, 9 * MIB)).await.unwrap();
    mount.store.set_writes_failing(Some(ErrorKind::Full));
    mount.write(handle, 9 * MIB as u64, &bytes(0, 8 * MIB)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    mount.store.set_writes_failing(None);
    assert_eq!(mount.write(handle, 17 * MIB as u64, b"x").await, Err(Errno::NoSpace));
    assert_eq!(mount.close(handle).await, Err(Errno::NoSpace));
    assert_eq!(mount.store.open_uploads(), []);
    assert_eq!(mount.stat("a").await.unwrap_err(), Errno::NotFound);
}

#[tokio::test]
async fn a_file_larger_than_an_object_can_be_is_refused_and_nothing_of_it_left() {
    let writes = Writes { part_size: 5 << 20, part_fixed: true, ..Writes::default() };
    let mount = Mount::with(fs::Config { writes, ..config(MINUTE) });
    assert_eq!(mount.fs.largest_object(), Some(50_000 << 20));
    let handle = new(&mount, "a").await;
    mount.write(handle, 0, b"x").await.unwrap();
    // The offset is looked at first.
    assert_eq!(mount.write(handle, 50_000 << 20, b"x").await, Err(Errno::Invalid));
}

#[tokio::test]
async fn a_new_name_that_somebody_else_makes_meanwhile_is_not_replaced() {
    for len in [3, 9 * MIB] {
        let mount = Mount::new(MINUTE);
        let handle = new(&mount, "a").await;
        mount.write(handle, 0, &bytes(0, len)).await.unwrap();
        mount.put("a", "theirs");
        assert_eq!(mount.close(handle).await, Err(Errno::Exists));
        assert_eq!(mount.stored("a").unwrap(), "theirs");
        assert_eq!(mount.cat("a").await.unwrap(), "theirs");
        assert_eq!(mount.store.open_uploads(), []);
    }
    let mount = overwriting();
    let handle = new(&mount, "a").await;
    mount.write(handle, 0, b"ours").await.unwrap();
    mount.put("a", "theirs");
    mount.close(handle).await.unwrap();
    assert_eq!(mount.cat("a").await.unwrap(), "ours");
}

#[tokio::test]
async fn going_on_with_what_somebody_else_replaced_fails_as_stale() {
    for len in [3, 9 * MIB] {
        let mount = overwriting();
        let handle = new(&mount, "a").await;
        mount.write(handle, 0, &bytes(0, len)).await.unwrap();
        mount.fs.flush(handle).await.unwrap();
        mount.put("a", "theirs");
        mount.write(handle, len as u64, b"more").await.unwrap();
        assert_eq!(mount.close(handle).await, Err(Errno::Stale));
        assert_eq!(mount.stored("a").unwrap(), "theirs");
        assert_eq!(mount.store.open_uploads(), []);
    }
}

#[tokio::test]
async fn going_on_with_what_somebody_else_deleted_fails_as_stale() {
    for len in [3, 9 * MIB] {
        let mount = overwriting();
        let handle = new(&mount, "a").await;
        mount.write(handle, 0, &bytes(0, len)).await.unwrap();
        mount.fs.flush(handle).await.unwrap();
        // Before there is anything to copy it for.
        mount.store.delete("a");
        mount.write(handle, len as u64, b"more").await.unwrap();
        assert_eq!(mount.close(handle).await, Err(Errno::Stale));
        assert_eq!(mount.stored("a"), None);
        assert_eq!(mount.store.open_uploads(), []);
    }
}

#[tokio::test]
async fn truncating_to_nothing_begins_anew_and_any_other_length_is_refused() {
    let mount = Mount::new(MINUTE);
    let (node, handle) = mount.open_new("a").await.unwrap();
    let size = |size| Change { size: Some(size), ..Change::default() };
    mount.write(handle, 0, &bytes(0, 9 * MIB)).await.unwrap();
    mount.fs.setattr(node, Some(handle), size(9 << 20)).await.unwrap();
    for other in [1, 10 << 20] {
        let refused = mount.fs.setattr(node, Some(handle), size(other)).await;
        assert_eq!(refused.unwrap_err(), Errno::NotPermitted);
    }
    let (attr, ttl) = mount.fs.setattr(node, Some(handle), size(0)).await.unwrap();
    assert_eq!((attr.size, ttl), (0, Duration::ZERO));
    assert_eq!(mount.store.open_uploads(), []);
    mount.write(handle, 0, b"anew").await.unwrap();
    mount.close(handle).await.unwrap();
    assert_eq!(mount.cat("a").await.unwrap(), "anew");
}

#[tokio::test]
async fn memory_that_does_not_come_free_in_time_is_told_and_the_file_lives_on() {
    let base = config(MINUTE);
    let limits = fs::reader::Limits { deadline: Duration::from_millis(300), ..base.limits };
    let clock = object::Clock::start();
    let store = object::MemStore::new(clock.clone());
    let budget = object::Budget::new(24 << 20);
    let fs = fs::Fs::new(store.clone(), budget, clock.clone(), fs::Config { limits, ..base });
    fs.write_to(store.clone());
    let mount = Mount::of(store, fs, clock);
    let (holder, other) = (new(&mount, "a").await, new(&mount, "b").await);
    mount.write(holder, 0, &bytes(0, MIB)).await.unwrap();
    mount.write(other, 0, &bytes(0, MIB / 4)).await.unwrap();
    assert_eq!(mount.fs.write(other, (MIB / 4) as u64, b"x").await, Err(Errno::NoMemory));
    mount.close(holder).await.unwrap();
    mount.write(other, (MIB / 4) as u64, &bytes(MIB / 4, MIB)).await.unwrap();
    mount.close(other).await.unwrap();
    assert!(*mount.store.bytes("b").unwrap() == *bytes(0, MIB / 4 + MIB));
}

#[tokio::test]
async fn what_was_not_published_at_the_end_of_the_mount_is_thrown_away() {
    let mount = Mount::new(MINUTE);
    let handle = new(&mount, "a").await;
    mount.write(handle, 0, &bytes(0, 9 * MIB)).await.unwrap();
    assert_eq!(mount.store.open_uploads().len(), 1);
    mount.fs.close().await;
    assert_eq!(mount.store.open_uploads(), []);
    assert_eq!(mount.close(handle).await, Err(Errno::Io));
}

#[tokio::test]
async fn how_a_file_can_be_opened_for_writing() {
    let plain = OpenOptions::default();
    let write = OpenOptions { write: true, ..plain };
    let cut = OpenOptions { truncate: true, ..write };
    let append = OpenOptions { append: true, ..write };
    let both = OpenOptions { read: true, ..write };
    // What, on an object, with overwriting and without.
    let cases = [
        (write, Some(Errno::NotPermitted), Some(Errno::NotPermitted)),
        (append, Some(Errno::NotPermitted), Some(Errno::NotPermitted)),
        (cut, None, Some(Errno::NotPermitted)),
        (OpenOptions { append: true, ..cut }, None, Some(Errno::NotPermitted)),
        (OpenOptions { read: true, ..cut }, None, Some(Errno::NotPermitted)),
        (both, None, None),
        (OpenOptions { sync: true, ..cut }, Some(Errno::Invalid), Some(Errno::Invalid)),
    ];
    for (options, overwriting_says, plain_says) in cases {
        for (mount, want) in [(overwriting(), overwriting_says), (Mount::new(MINUTE), plain_says)] {
            mount.store.put("a", *b"x", THEN);
            let node = mount.walk("a").await.unwrap().node;
            let opened = mount.fs.open(node, options).await;
            assert_eq!(opened.err(), want, "{options:?}");
        }
    }
    // Opened for both, without being cut, an object is read.
    let mount = Mount::new(MINUTE);
    mount.put("a", "x");
    let (_, handle) = mount.open_with("a", both).await.unwrap();
    assert_eq!(mount.read(handle).await.unwrap(), "x");
    assert_eq!(mount.write(handle, 0, b"y").await, Err(Errno::BadHandle));
    assert_eq!(mount.fs.fsync(handle).await, Ok(()));
    // A new file takes all of them but one.
    for (number, options) in [write, cut, append, both].into_iter().enumerate() {
        let (_, handle) = mount.open_with(&format!("new{number}"), options).await.unwrap();
        mount.write(handle, 0, b"y").await.unwrap();
        assert_eq!(mount.read(handle).await.unwrap_err(), Errno::BadHandle);
        mount.close(handle).await.unwrap();
    }
    let sync = OpenOptions { sync: true, ..write };
    assert_eq!(mount.open_with("sync", sync).await.unwrap_err(), Errno::Invalid);
    assert_eq!(mount.fs.write(77, 0, b"x").await, Err(Errno::BadHandle));
    let directory = mount.fs.opendir(ROOT).await.unwrap();
    assert_eq!(mount.fs.flush(directory).await, Err(Errno::BadHandle));
}
