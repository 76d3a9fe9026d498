//! Reading directories: order, cookies, large ones.

use std::collections::BTreeSet;
use std::time::Duration;

use fs::{Errno, Kind, ROOT, Ttl};

use crate::mount::{MINUTE, Mount, texts};

#[tokio::test]
async fn a_directory_is_sorted_by_name_with_the_dots_first() {
    let mount = Mount::new(MINUTE);
    for key in ["b", "a", "a!", "a-1", "a/x", "a.txt", "c/", "B", "\u{e9}"] {
        mount.put(key, "x");
    }
    let handle = mount.fs.opendir(ROOT).await.unwrap();
    let entries = mount.drain(handle, 0, 3, false).await.unwrap();
    assert_eq!(texts(&entries), [".", "..", "B", "a", "a!", "a-1", "a.txt", "b", "c", "\u{e9}"]);
    assert_eq!(entries[3].kind, Kind::Directory);
    assert!(entries.iter().all(|entry| entry.entry.is_none()));
}

#[tokio::test]
async fn each_entry_with_attributes_counts_as_one_lookup() {
    let mount = Mount::new(MINUTE);
    mount.put("a", "x");
    let handle = mount.fs.opendir(ROOT).await.unwrap();
    let entries = mount.drain(handle, 0, 10, true).await.unwrap();
    let node = entries[2].entry.unwrap().node;
    assert!(entries[0].entry.is_none() && entries[1].entry.is_none());
    mount.put("a", "newer");
    mount.pass(Duration::from_secs(60));
    assert_ne!(mount.walk("a").await.unwrap().node, node);
    mount.fs.getattr(node, None).await.unwrap();
    mount.fs.forget(node, 1);
    assert_eq!(mount.fs.getattr(node, None).await.unwrap_err(), Errno::Stale);
}

#[tokio::test]
async fn a_handle_can_go_back_to_any_place_and_to_the_start() {
    let mount = Mount::new(Ttl::Minimal);
    mount.fill("f", 100);
    let handle = mount.fs.opendir(ROOT).await.unwrap();
    let all = mount.drain(handle, 0, 7, false).await.unwrap();
    let place = all[49].cookie;
    mount.store.delete("f00000");
    mount.put("e", "x");
    // A place of the same pass shows what the pass showed.
    assert_eq!(mount.drain(handle, place, 7, false).await.unwrap(), all[50..]);
    // The start shows what is there now.
    let again = texts(&mount.drain(handle, 0, 7, false).await.unwrap());
    assert_eq!(again[2..4], ["e", "f00001"]);
    // Places that no entry named are no trouble.
    for cookie in [102, 5000, u64::MAX - 1, u64::MAX] {
        assert_eq!(mount.drain(handle, cookie, 7, false).await.unwrap(), []);
    }
    mount.fs.releasedir(handle);
    assert_eq!(mount.drain(handle, 0, 7, false).await, Err(Errno::BadHandle));
}

#[tokio::test]
async fn a_directory_too_large_for_a_snapshot_is_streamed_whole_and_each_name_once() {
    const NAMES: usize = 105_000;
    let mount = Mount::new(MINUTE);
    // The object comes first, its directory after all the others.
    mount.put("part", "x");
    mount.put("part/x", "x");
    mount.fill("part-", NAMES);
    let handle = mount.fs.opendir(ROOT).await.unwrap();
    let all = mount.drain(handle, 0, 5000, false).await.unwrap();
    let names: BTreeSet<_> = texts(&all).into_iter().collect();
    assert_eq!((all.len(), names.len()), (NAMES + 3, NAMES + 3));
    let part = all.iter().find(|entry| *entry.name == *b"part").unwrap();
    assert_eq!(part.kind, Kind::Directory);
    assert_eq!(mount.asked(), (0, 106, 0));
    // Back by a little, back to a page that was let go of, back to the first.
    for from in [NAMES - 100, NAMES - 4000, 104_000, 3] {
        let some = mount.fs.readdir(handle, from as u64, 50, |_| 1, false).await.unwrap();
        assert_eq!(some, all[from..from + 50], "{from}");
    }
    // Lookups in it are asked for one by one.
    mount.asked();
    mount.stat("part-00007").await.unwrap();
    assert_eq!(mount.asked(), (0, 1, 0));
}

#[tokio::test]
async fn a_directory_that_vanished_is_empty_and_a_file_is_none() {
    let mount = Mount::new(Ttl::Minimal);
    mount.put("d/a", "x");
    mount.put("f", "x");
    let directory = mount.walk("d").await.unwrap().node;
    mount.store.delete("d/a");
    assert_eq!(mount.ls(directory).await.unwrap(), Vec::<String>::new());
    let file = mount.walk("f").await.unwrap().node;
    assert_eq!(mount.fs.opendir(file).await, Err(Errno::NotDirectory));
    assert_eq!(mount.find(file, "x").await, Err(Errno::NotDirectory));
}

#[tokio::test]
async fn readers_of_two_directories_do_not_wait_for_each_other() {
    let mount = Mount::new(MINUTE);
    mount.put("a/x", "x");
    mount.put("b/x", "x");
    let (a, b) = (mount.walk("a").await.unwrap().node, mount.walk("b").await.unwrap().node);
    mount.ls(a).await.unwrap();
    let listed = mount.fs.opendir(a).await.unwrap();
    let slow = mount.fs.opendir(b).await.unwrap();
    mount.store.set_latency(Duration::from_secs(3600));
    let mut waiting = Box::pin(mount.fs.readdir(slow, 0, 10, |_| 1, false));
    assert!(futures_util::FutureExt::now_or_never(&mut waiting).is_none());
    assert_eq!(mount.drain(listed, 0, 10, false).await.unwrap().len(), 3);
}
