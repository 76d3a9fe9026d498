//! Names that come and go by what is done here.

use std::time::Duration;

use fs::{Change, Errno, Kind, Lookup, OpenMode, OpenOptions, ROOT, RenameFlags, Ttl, Writes};
use object::{ErrorKind, MemWrites};

use crate::mount::{MINUTE, Mount, allowing, config};

const SECOND: Duration = Duration::from_secs(1);

fn allowed(ttl: Ttl) -> Mount {
    Mount::with(allowing(config(ttl)))
}

#[tokio::test]
async fn what_was_written_is_seen_and_read_without_a_look() {
    for ttl in [MINUTE, Ttl::Indefinite] {
        let mount = Mount::new(ttl);
        mount.put("d/old", "x");
        let directory = mount.walk("d").await.unwrap().node;
        mount.ls(directory).await.unwrap();
        mount.asked();
        mount.echo("d/new", "hello").await.unwrap();
        let entry = mount.walk("d/new").await.unwrap();
        assert_eq!(entry.attr.size, 5);
        assert!(entry.ttl > 50 * SECOND);
        assert_eq!(mount.ls(directory).await.unwrap(), ["new", "old"]);
        assert_eq!(mount.asked(), (0, 0, 0));
        assert_eq!(mount.cat("d/new").await.unwrap(), "hello");
        assert_eq!(mount.asked(), (0, 0, 1));
    }
}

#[tokio::test]
async fn in_minimal_mode_a_written_file_is_looked_at_like_any_other() {
    let mount = Mount::new(Ttl::Minimal);
    mount.echo("a", "hello").await.unwrap();
    mount.pass(SECOND);
    mount.asked();
    assert_eq!(mount.cat("a").await.unwrap(), "hello");
    assert_eq!(mount.asked(), (0, 1, 1));
}

#[tokio::test]
async fn a_file_keeps_its_node_when_it_is_published() {
    let mount = Mount::new(MINUTE);
    let (node, handle) = mount.open_new("a").await.unwrap();
    let ino = mount.fs.getattr(node, None).await.unwrap().0.ino;
    mount.write(handle, 0, b"x").await.unwrap();
    mount.close(handle).await.unwrap();
    let entry = mount.walk("a").await.unwrap();
    assert_eq!((entry.node, entry.attr.ino), (node, ino));
    let opened = mount.fs.open(node, OpenOptions::default()).await.unwrap();
    assert_eq!(opened.mode, OpenMode::Cached { keep: true });
}

#[tokio::test]
async fn the_kernel_is_not_to_remember_what_is_being_written() {
    let mount = Mount::new(Ttl::Indefinite);
    let (node, handle) = mount.open_new("a").await.unwrap();
    let entry = mount.find(ROOT, "a").await.unwrap();
    assert_eq!((entry.node, entry.ttl, entry.attr_ttl), (node, Duration::ZERO, Duration::ZERO));
    mount.close(handle).await.unwrap();
    assert!(mount.find(ROOT, "a").await.unwrap().ttl > SECOND);
}

#[tokio::test]
async fn a_new_file_is_listed_and_excluded_before_it_is_published_but_not_read() {
    let mount = Mount::new(MINUTE);
    mount.put("b", "x");
    let (_, handle) = mount.open_new("a").await.unwrap();
    mount.write(handle, 0, b"four").await.unwrap();
    assert_eq!(mount.ls(ROOT).await.unwrap(), ["a", "b"]);
    assert_eq!(mount.cat("a").await, Err(Errno::NotPermitted));
    let exclusive = OpenOptions { write: true, exclusive: true, ..OpenOptions::default() };
    assert_eq!(mount.fs.create(ROOT, b"a", exclusive).await.unwrap_err(), Errno::Exists);
    assert_eq!(mount.mkdir("a").await, Err(Errno::Exists));
    assert_eq!(mount.open_new("a").await.unwrap_err(), Errno::NotPermitted);
    assert_eq!(mount.rm("a").await, Err(Errno::NotPermitted));
    mount.close(handle).await.unwrap();
    assert_eq!(mount.cat("a").await.unwrap(), "four");
}

#[tokio::test]
async fn create_opens_what_is_there_unless_that_is_excluded() {
    let mount = allowed(MINUTE);
    mount.put("a", "old");
    let cut = OpenOptions { write: true, truncate: true, ..OpenOptions::default() };
    let exclusive = OpenOptions { exclusive: true, ..cut };
    assert_eq!(mount.fs.create(ROOT, b"a", exclusive).await.unwrap_err(), Errno::Exists);
    let (entry, opened) = mount.fs.create(ROOT, b"a", cut).await.unwrap();
    mount.write(opened.handle, 0, b"new").await.unwrap();
    mount.close(opened.handle).await.unwrap();
    assert_eq!(mount.cat("a").await.unwrap(), "new");
    mount.fs.forget(entry.node, 1);
}

#[tokio::test]
async fn after_a_flush_readers_see_what_was_published_and_go_on_with_it() {
    let mount = Mount::new(MINUTE);
    let (_, writing) = mount.open_new("a").await.unwrap();
    mount.write(writing, 0, b"one").await.unwrap();
    mount.fs.fsync(writing).await.unwrap();
    let (node, reading) = mount.open("a").await.unwrap();
    assert_eq!(mount.read(reading).await.unwrap(), "one");
    mount.write(writing, 3, b" two").await.unwrap();
    mount.close(writing).await.unwrap();
    // Pages of the first version may be there, so the second has another node.
    assert_ne!(mount.walk("a").await.unwrap().node, node);
    assert_eq!(mount.cat("a").await.unwrap(), "one two");
    assert_eq!(mount.fs.open(node, OpenOptions::default()).await.unwrap_err(), Errno::Stale);
    assert_eq!(mount.read(reading).await, Ok("one".into()));
}

#[tokio::test]
async fn a_node_that_is_being_written_is_read_past_the_page_cache() {
    let mount = Mount::new(MINUTE);
    let (node, writing) = mount.open_new("a").await.unwrap();
    mount.write(writing, 0, b"one").await.unwrap();
    mount.fs.fsync(writing).await.unwrap();
    let opened = mount.fs.open(node, OpenOptions::default()).await.unwrap();
    assert_eq!(opened.mode, OpenMode::Direct);
}

#[tokio::test]
async fn replacing_shows_the_old_version_until_the_new_one_is_published() {
    let mount = allowed(MINUTE);
    mount.put("a", "old");
    let (old, reading) = mount.open("a").await.unwrap();
    assert_eq!(mount.read(reading).await.unwrap(), "old");
    let (new, writing) = mount.open_new("a").await.unwrap();
    assert_ne!(old, new);
    mount.write(writing, 0, b"newer").await.unwrap();
    assert_eq!(mount.cat("a").await.unwrap(), "old");
    mount.close(writing).await.unwrap();
    assert_eq!(mount.cat("a").await.unwrap(), "newer");
    assert_eq!(mount.stat("a").await.unwrap().size, 5);
    // The reader keeps its version, as long as its bytes can be had.
    assert_eq!(mount.fs.getattr(old, None).await.unwrap().0.size, 3);
    assert_eq!(mount.read(reading).await.unwrap(), "old");
}

#[tokio::test]
async fn a_file_is_replaced_again_and_again_under_its_readers() {
    let mount = allowed(MINUTE);
    mount.echo("a", "0").await.unwrap();
    let mut handles = Vec::new();
    for number in 1..10 {
        let (_, handle) = mount.open("a").await.unwrap();
        let before = mount.read(handle).await.unwrap();
        handles.push((handle, before));
        mount.echo("a", &"x".repeat(number)).await.unwrap();
        assert_eq!(mount.cat("a").await.unwrap(), "x".repeat(number));
    }
    for (handle, text) in handles {
        assert_eq!(mount.read(handle).await.unwrap(), text);
    }
}

#[tokio::test]
async fn a_truncated_file_is_published_empty_at_its_end_only() {
    let mount = allowed(MINUTE);
    mount.put("a", "old");
    let (_, handle) = mount.open_new("a").await.unwrap();
    mount.fs.flush(handle).await.unwrap();
    assert_eq!(mount.stored("a").unwrap(), "old");
    mount.fs.release(handle);
    mount.fs.settle().await;
    assert_eq!(mount.stored("a").unwrap(), "");
    assert_eq!(mount.stat("a").await.unwrap().size, 0);
}

#[tokio::test]
async fn a_failed_replacement_leaves_the_old_version() {
    let mount = allowed(MINUTE);
    mount.put("a", "old");
    mount.store.set_writes_failing(Some(ErrorKind::Full));
    assert_eq!(mount.echo("a", "newer").await, Err(Errno::NoSpace));
    mount.store.set_writes_failing(None);
    assert_eq!(mount.cat("a").await.unwrap(), "old");
    assert_eq!(mount.stat("a").await.unwrap().size, 3);
}

#[tokio::test]
async fn who_comes_right_after_a_close_waits_until_it_is_over() {
    let mount = allowed(MINUTE);
    let (_, handle) = mount.open_new("a").await.unwrap();
    mount.write(handle, 0, b"x").await.unwrap();
    mount.fs.flush(handle).await.unwrap();
    // The kernel tells of the last close a little later than close(2) returns.
    let late = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        mount.fs.release(handle);
    };
    let (opened, ()) = futures_util::future::join(mount.open_new("a"), late).await;
    let (_, handle) = opened.unwrap();
    mount.fs.flush(handle).await.unwrap();
    mount.store.set_latency(Duration::from_millis(20));
    mount.fs.release(handle);
    mount.rm("a").await.unwrap();
    assert_eq!(mount.stored("a"), None);
}

#[tokio::test]
async fn deleting_is_one_request_and_the_name_is_gone_at_once() {
    let mount = allowed(MINUTE);
    mount.put("d/a", "x");
    mount.put("d/b", "x");
    let directory = mount.walk("d").await.unwrap().node;
    mount.ls(directory).await.unwrap();
    let (_, handle) = mount.open("d/a").await.unwrap();
    assert_eq!(mount.read(handle).await.unwrap(), "x");
    mount.asked();
    mount.rm("d/a").await.unwrap();
    assert_eq!(mount.store.take_writes(), MemWrites { deletes: 1, ..MemWrites::default() });
    assert_eq!(mount.ls(directory).await.unwrap(), ["b"]);
    let absent = mount.fs.lookup(directory, b"a").await.unwrap();
    assert!(matches!(absent, Lookup::Absent { ttl } if ttl > 50 * SECOND));
    assert_eq!(mount.rm("d/a").await, Err(Errno::NotFound));
    assert_eq!(mount.asked(), (0, 0, 0));
    assert_eq!(mount.read(handle).await.unwrap(), "x");
    mount.put("d/a", "again");
    mount.pass(61 * SECOND);
    assert_eq!(mount.cat("d/a").await.unwrap(), "again");
}

#[tokio::test]
async fn what_may_not_be_deleted_stays() {
    let mount = Mount::new(MINUTE);
    mount.put("a", "x");
    mount.put("d/b", "x");
    assert_eq!(mount.rm("a").await, Err(Errno::NotPermitted));
    assert_eq!(mount.rm("d").await, Err(Errno::IsDirectory));
    assert_eq!(mount.rm("c").await, Err(Errno::NotFound));
    assert_eq!(mount.cat("a").await.unwrap(), "x");
    let mount = allowed(MINUTE);
    mount.put("a", "x");
    mount.store.set_writes_failing(Some(ErrorKind::Denied));
    assert_eq!(mount.rm("a").await, Err(Errno::Access));
    assert_eq!(mount.cat("a").await.unwrap(), "x");
    assert_eq!(mount.store.take_writes().deletes, 1);
}

#[tokio::test]
async fn a_file_made_here_alone_is_removed_without_asking() {
    let mount = Mount::new(MINUTE);
    mount.fs.mknod(ROOT, b"a").await.unwrap();
    assert_eq!(mount.fs.mknod(ROOT, b"a").await.unwrap_err(), Errno::Exists);
    assert_eq!(mount.stat("a").await.unwrap().size, 0);
    mount.rm("a").await.unwrap();
    assert_eq!(mount.store.take_writes(), MemWrites::default());
    assert_eq!(mount.stat("a").await.unwrap_err(), Errno::NotFound);
    // Opened and closed, it is there for everybody.
    let node = mount.fs.mknod(ROOT, b"a").await.unwrap().node;
    let write = OpenOptions { write: true, ..OpenOptions::default() };
    let opened = mount.fs.open(node, write).await.unwrap();
    mount.write(opened.handle, 0, b"x").await.unwrap();
    mount.close(opened.handle).await.unwrap();
    assert_eq!(mount.stored("a").unwrap(), "x");
}

#[tokio::test]
async fn a_listing_older_than_what_was_done_here_does_not_undo_it() {
    let mount = allowed(MINUTE);
    mount.put("gone", "x");
    mount.put("kept", "x");
    mount.store.set_latency(Duration::from_millis(50));
    let listing = mount.ls(ROOT);
    let doing = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        mount.store.set_latency(Duration::ZERO);
        mount.echo("new", "x").await.unwrap();
        mount.rm("gone").await.unwrap();
    };
    let (names, ()) = futures_util::future::join(listing, doing).await;
    assert_eq!(names.unwrap(), ["kept", "new"]);
    assert_eq!(mount.ls(ROOT).await.unwrap(), ["kept", "new"]);
    // A younger one does.
    mount.store.delete("new");
    mount.pass(60 * SECOND);
    assert_eq!(mount.ls(ROOT).await.unwrap(), ["kept"]);
}

#[tokio::test]
async fn renaming_is_left_to_who_asks() {
    let mount = allowed(MINUTE);
    for key in ["a", "b", "d/c", "full/c", "marked/"] {
        mount.put(key, "x");
    }
    for path in ["empty", "holds", "holds/made"] {
        mount.mkdir(path).await.unwrap();
    }
    let plain = RenameFlags::default();
    let cases = [
        ("a", "new", plain, Errno::CrossDevice),
        ("a", "b", plain, Errno::CrossDevice),
        ("d", "e", plain, Errno::CrossDevice),
        ("d", "empty", plain, Errno::CrossDevice),
        ("d", "marked", plain, Errno::CrossDevice),
        ("d", "full", plain, Errno::NotEmpty),
        ("d", "holds", plain, Errno::NotEmpty),
        ("no", "new", plain, Errno::NotFound),
        ("a", "b", RenameFlags { no_replace: true, ..plain }, Errno::Exists),
        ("a", "new", RenameFlags { no_replace: true, ..plain }, Errno::CrossDevice),
        ("a", "b", RenameFlags { others: true, ..plain }, Errno::Invalid),
    ];
    for (from, to, flags, want) in cases {
        let renamed = mount.fs.rename(ROOT, from.as_bytes(), ROOT, to.as_bytes(), flags).await;
        assert_eq!(renamed, Err(want), "{from:?} {to:?} {flags:?}");
    }
}

#[tokio::test]
async fn what_could_not_be_deleted_is_not_even_copied_to_be_renamed() {
    let mount = Mount::new(MINUTE);
    mount.put("a", "x");
    mount.put("d/c", "x");
    let (_, handle) = mount.open_new("new").await.unwrap();
    for (from, want) in [
        ("a", Errno::NotPermitted),
        ("d", Errno::NotPermitted),
        ("new", Errno::CrossDevice),
        ("no", Errno::NotFound),
    ] {
        let renamed = mount.fs.rename(ROOT, from.as_bytes(), ROOT, b"to", RenameFlags::default());
        assert_eq!(renamed.await, Err(want), "{from}");
    }
    mount.close(handle).await.unwrap();
}

#[tokio::test]
async fn attributes_can_be_set_of_what_is_here_only_and_else_quietly() {
    let loud = Mount::new(MINUTE);
    let writes = Writes { quiet_attributes: true, ..Writes::default() };
    let quiet = Mount::with(fs::Config { writes, ..config(MINUTE) });
    let others = Change { others: true, ..Change::default() };
    for (mount, want) in [(&loud, Err(Errno::NotPermitted)), (&quiet, Ok(()))] {
        mount.put("a", "x");
        mount.put("d/x", "x");
        for path in ["a", "d"] {
            let entry = mount.walk(path).await.unwrap();
            let set = mount.fs.setattr(entry.node, None, others).await;
            assert_eq!(set.map(|(attr, _)| assert_eq!(attr, entry.attr)), want);
        }
        assert_eq!(mount.fs.setattr(ROOT, None, others).await.map(|_| ()), want);
        let made = mount.mkdir("made").await.unwrap();
        mount.fs.setattr(made, None, others).await.unwrap();
    }
    let (node, handle) = loud.open_new("new").await.unwrap();
    let then = object::Time::from_secs(12345);
    let change = Change { modified: Some(then), ..others };
    let (attr, _) = loud.fs.setattr(node, Some(handle), change).await.unwrap();
    assert_eq!(attr.modified, then);
    let none = loud.fs.setattr(node, Some(handle), Change::default()).await.unwrap();
    assert_eq!(none.0, attr);
}

#[tokio::test]
async fn an_object_can_be_emptied_where_it_may_be_replaced_and_not_cut() {
    let size = |size| Change { size: Some(size), ..Change::default() };
    for (mount, want) in [(Mount::new(MINUTE), Err(Errno::NotPermitted)), (allowed(MINUTE), Ok(0))]
    {
        mount.put("a", "x y");
        mount.put("d/x", "x");
        let node = mount.walk("a").await.unwrap().node;
        let cut = mount.fs.setattr(node, None, size(1)).await;
        assert_eq!(cut.unwrap_err(), Errno::NotPermitted);
        assert_eq!(mount.fs.setattr(node, None, size(3)).await.unwrap().0.size, 3);
        let emptied = mount.fs.setattr(node, None, size(0)).await;
        assert_eq!(emptied.map(|(attr, _)| attr.size), want);
        mount.fs.settle().await;
        assert_eq!(mount.stored("a").unwrap().len() as u64, want.unwrap_or(3));
        assert_eq!(mount.stat("a").await.unwrap().size, want.unwrap_or(3));
        let directory = mount.walk("d").await.unwrap().node;
        let refused = mount.fs.setattr(directory, None, size(0)).await;
        assert_eq!(refused.unwrap_err(), Errno::IsDirectory);
    }
}

#[tokio::test]
async fn names_that_no_key_can_have_are_refused() {
    let mount = allowed(MINUTE);
    let write = OpenOptions { write: true, ..OpenOptions::default() };
    let long = "x".repeat(256);
    let cases: [(&[u8], Errno); 4] = [
        (b"..", Errno::Invalid),
        (b"\xff", Errno::Invalid),
        (b"a\0b", Errno::Invalid),
        (long.as_bytes(), Errno::NameTooLong),
    ];
    for (name, want) in cases {
        assert_eq!(mount.fs.create(ROOT, name, write).await.unwrap_err(), want);
        assert_eq!(mount.fs.mkdir(ROOT, name).await.unwrap_err(), want);
        assert_eq!(mount.fs.mknod(ROOT, name).await.unwrap_err(), want);
        assert_eq!(mount.fs.unlink(ROOT, name).await.unwrap_err(), want);
        assert_eq!(mount.fs.rmdir(ROOT, name).await.unwrap_err(), want);
        for (from, to) in [(name, &b"a"[..]), (b"a", name)] {
            let renamed = mount.fs.rename(ROOT, from, ROOT, to, RenameFlags::default()).await;
            assert_eq!(renamed.unwrap_err(), want);
        }
    }
    assert_eq!(mount.asked(), (0, 0, 0));
    let part = "y".repeat(250);
    let mut node = ROOT;
    for _ in 0..4 {
        node = mount.fs.mkdir(node, part.as_bytes()).await.unwrap().node;
    }
    let (fits, over) = ("z".repeat(20), "z".repeat(21));
    assert_eq!(
        mount.fs.create(node, over.as_bytes(), write).await.unwrap_err(),
        Errno::NameTooLong
    );
    assert_eq!(mount.fs.mkdir(node, over.as_bytes()).await.unwrap_err(), Errno::NameTooLong);
    let (_, opened) = mount.fs.create(node, fits.as_bytes(), write).await.unwrap();
    mount.close(opened.handle).await.unwrap();
    assert_eq!(mount.store.take_writes().puts, 1);
}

#[tokio::test]
async fn a_read_only_mount_changes_nothing() {
    let frozen = Mount::with(allowing(fs::Config { read_only: true, ..config(MINUTE) }));
    frozen.put("a", "x");
    let node = frozen.walk("a").await.unwrap().node;
    let write = OpenOptions { write: true, truncate: true, ..OpenOptions::default() };
    let size = Change { size: Some(0), ..Change::default() };
    assert_eq!(frozen.fs.create(ROOT, b"b", write).await.unwrap_err(), Errno::ReadOnly);
    assert_eq!(frozen.fs.mknod(ROOT, b"b").await.unwrap_err(), Errno::ReadOnly);
    assert_eq!(frozen.fs.mkdir(ROOT, b"b").await.unwrap_err(), Errno::ReadOnly);
    assert_eq!(frozen.fs.unlink(ROOT, b"a").await, Err(Errno::ReadOnly));
    assert_eq!(frozen.fs.rmdir(ROOT, b"a").await, Err(Errno::ReadOnly));
    assert_eq!(frozen.fs.open(node, write).await.unwrap_err(), Errno::ReadOnly);
    assert_eq!(frozen.fs.setattr(node, None, size).await.unwrap_err(), Errno::ReadOnly);
    let flags = RenameFlags::default();
    assert_eq!(frozen.fs.rename(ROOT, b"a", ROOT, b"b", flags).await, Err(Errno::ReadOnly));
    assert_eq!(frozen.store.take_writes(), MemWrites::default());
}

#[tokio::test]
async fn what_is_not_published_is_not_read_in_any_mode() {
    let mount = Mount::new(Ttl::Minimal);
    mount.open_new("a").await.unwrap();
    mount.pass(SECOND);
    assert_eq!(mount.cat("a").await, Err(Errno::NotPermitted));
}

#[tokio::test]
async fn changes_in_a_large_directory_are_shown_in_a_stream_and_each_name_once() {
    const NAMES: usize = 101_000;
    let mount = allowed(MINUTE);
    mount.fill("f", NAMES);
    mount.rm("f00005").await.unwrap();
    mount.rm("f100500").await.unwrap();
    mount.echo("f00007", "longer").await.unwrap();
    mount.echo("new", "x").await.unwrap();
    mount.mkdir("made").await.unwrap();
    let handle = mount.fs.opendir(ROOT).await.unwrap();
    let all = crate::mount::texts(&mount.drain(handle, 0, 5000, false).await.unwrap());
    let names: std::collections::BTreeSet<_> = all.iter().cloned().collect();
    assert_eq!((all.len(), names.len()), (NAMES + 2, NAMES + 2));
    for (name, shown) in
        [("f00005", false), ("f100500", false), ("f00007", true), ("new", true), ("made", true)]
    {
        assert_eq!(names.contains(name), shown, "{name}");
    }
    // Back to the start, and to the end again.
    let from = NAMES as u64 - 4000;
    let some = mount.fs.readdir(handle, from, 50, |_| 1, false).await.unwrap();
    assert_eq!(crate::mount::texts(&some), all[from as usize..from as usize + 50]);
    let rest = mount.drain(handle, from, 5000, false).await.unwrap();
    assert_eq!(crate::mount::texts(&rest), all[from as usize..]);
}

#[tokio::test]
async fn many_changes_in_a_listed_directory_cost_a_listing_and_not_memory_without_end() {
    let mount = allowed(MINUTE);
    mount.put("d/x", "x");
    let directory = mount.walk("d").await.unwrap().node;
    mount.ls(directory).await.unwrap();
    for number in 0..1100 {
        mount.echo(&format!("d/{number:04}"), "x").await.unwrap();
    }
    mount.asked();
    assert_eq!(mount.ls(directory).await.unwrap().len(), 1101);
    assert_eq!(mount.asked(), (0, 2, 0));
}

#[tokio::test]
async fn a_successor_keeps_directories_and_has_lost_what_was_not_published() {
    let mount = allowed(MINUTE);
    mount.put("old", "x");
    mount.ls(ROOT).await.unwrap();
    mount.mkdir("made").await.unwrap();
    let (_, half) = mount.open_new("half").await.unwrap();
    mount.write(half, 0, b"published").await.unwrap();
    mount.fs.fsync(half).await.unwrap();
    mount.write(half, 9, b" and not").await.unwrap();
    let (new, lost) = mount.open_new("lost").await.unwrap();
    mount.write(lost, 0, b"x").await.unwrap();
    mount.rm("old").await.unwrap();

    let fs = crate::mount::over(mount.store.clone(), &mount.clock, allowing(config(MINUTE)));
    fs.write_to(mount.store.clone());
    fs.restore(mount.fs.records()).unwrap();
    let (store, clock) = (mount.store.clone(), mount.clock.clone());
    let next = Mount::of(store, fs, clock);
    assert_eq!(next.ls(ROOT).await.unwrap(), ["half", "made"]);
    assert_eq!(next.cat("half").await.unwrap(), "published");
    assert_eq!(next.stat("lost").await.unwrap_err(), Errno::NotFound);
    for handle in [half, lost] {
        assert_eq!(next.write(handle, 0, b"x").await, Err(Errno::Io));
        assert_eq!(next.close(handle).await, Err(Errno::Io));
        assert_eq!(next.close(handle).await, Err(Errno::BadHandle));
    }
    next.fs.getattr(new, None).await.unwrap();
    next.fs.forget(new, 1);
    assert_eq!(next.fs.getattr(new, None).await.unwrap_err(), Errno::Stale);
    next.pass(100 * SECOND);
    assert_eq!(next.stat("made").await.unwrap().kind, Kind::Directory);
    next.rmdir("made").await.unwrap();
}
