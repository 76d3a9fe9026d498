//! What operations cost in requests: the cells of `docs/metadata.md`, as (HEADs, LISTs, GETs).

use std::time::Duration;

use fs::{Errno, Lookup, OpenMode, OpenOptions, ROOT, Ttl};
use futures_util::FutureExt;
use futures_util::future::join_all;
use object::{ErrorKind, StorageState};

use crate::mount::{MINUTE, Mount, config};

const NAMES: usize = 10_000;
/// Files opened and read one by one: fewer, since each takes its time.
const FILES: usize = 1000;
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn within_a_ttl_a_directory_is_listed_once() {
    let mount = Mount::new(MINUTE);
    mount.fill("f", NAMES);
    assert_eq!(mount.ls(ROOT).await.unwrap().len(), NAMES);
    assert_eq!(mount.asked(), (0, 10, 0));
    mount.pass(59 * SECOND);
    assert_eq!(mount.ls(ROOT).await.unwrap().len(), NAMES);
    assert_eq!(mount.asked(), (0, 0, 0));
    mount.pass(SECOND);
    mount.ls(ROOT).await.unwrap();
    assert_eq!(mount.asked(), (0, 10, 0));
}

#[tokio::test]
async fn within_a_ttl_listed_files_are_read_by_gets_alone() {
    let mount = Mount::new(MINUTE);
    mount.fill("f", FILES);
    mount.ls(ROOT).await.unwrap();
    mount.asked();
    for number in 0..FILES {
        assert_eq!(mount.cat(&format!("f{number:05}")).await.unwrap(), "four");
    }
    assert_eq!(mount.asked(), (0, 0, FILES as u64));
}

#[tokio::test]
async fn within_a_ttl_a_missing_name_is_asked_for_once() {
    let mount = Mount::new(MINUTE);
    assert_eq!(mount.find(ROOT, "no").await, Err(Errno::NotFound));
    assert_eq!(mount.find(ROOT, "no").await, Err(Errno::NotFound));
    assert_eq!(mount.asked(), (0, 1, 0));
    mount.pass(60 * SECOND);
    assert_eq!(mount.find(ROOT, "no").await, Err(Errno::NotFound));
    assert_eq!(mount.asked(), (0, 1, 0));
}

#[tokio::test]
async fn within_a_ttl_a_listing_also_answers_for_names_it_does_not_have() {
    let mount = Mount::new(MINUTE);
    mount.put("d/a", "x");
    mount.ls(ROOT).await.unwrap();
    mount.asked();
    assert_eq!(mount.find(ROOT, "no").await, Err(Errno::NotFound));
    assert_eq!(mount.asked(), (0, 0, 0));
}

#[tokio::test]
async fn minimal_lists_anew_for_each_pass_and_asks_nothing_for_the_stats_under_it() {
    let mount = Mount::new(Ttl::Minimal);
    mount.fill("f", NAMES);
    for _ in 0..2 {
        assert_eq!(mount.ls(ROOT).await.unwrap().len(), NAMES);
        assert_eq!(mount.asked(), (0, 10, 0));
        mount.pass(2 * SECOND);
    }
}

#[tokio::test]
async fn minimal_trusts_a_listing_for_a_second_after_its_handle_is_closed() {
    let mount = Mount::new(Ttl::Minimal);
    mount.put("a", "x");
    mount.ls(ROOT).await.unwrap();
    mount.asked();
    mount.pass(SECOND * 9 / 10);
    mount.stat("a").await.unwrap();
    assert_eq!(mount.asked(), (0, 0, 0));
    mount.pass(SECOND * 2 / 10);
    mount.stat("a").await.unwrap();
    assert_eq!(mount.asked(), (0, 1, 0));
}

#[tokio::test]
async fn minimal_does_not_trust_a_listing_for_as_long_as_somebody_forgets_to_close_it() {
    let mount = Mount::new(Ttl::Minimal);
    mount.put("a", "x");
    let handle = mount.fs.opendir(ROOT).await.unwrap();
    mount.drain(handle, 0, 10, true).await.unwrap();
    mount.pass(25 * SECOND);
    mount.stat("a").await.unwrap();
    assert_eq!(mount.asked(), (0, 1, 0));
    mount.pass(10 * SECOND);
    mount.stat("a").await.unwrap();
    assert_eq!(mount.asked(), (0, 1, 0));
}

#[tokio::test]
async fn minimal_asks_one_round_and_one_get_for_each_open_and_read() {
    let mount = Mount::new(Ttl::Minimal);
    mount.fill("f", FILES);
    mount.ls(ROOT).await.unwrap();
    mount.pass(2 * SECOND);
    mount.asked();
    for number in 0..FILES {
        mount.cat(&format!("f{number:05}")).await.unwrap();
    }
    assert_eq!(mount.asked(), (0, FILES as u64, FILES as u64));
}

#[tokio::test]
async fn minimal_asks_twice_for_a_name_missing_twice() {
    let mount = Mount::new(Ttl::Minimal);
    for _ in 0..2 {
        let answer = mount.fs.lookup(ROOT, b"no").await;
        assert_eq!(answer, Ok(Lookup::Absent { ttl: Duration::ZERO }));
        assert_eq!(mount.asked(), (0, 1, 0));
    }
}

#[tokio::test]
async fn minimal_opens_see_the_newest_version_even_right_after_a_listing() {
    let mount = Mount::new(Ttl::Minimal);
    mount.put("a", "old");
    mount.ls(ROOT).await.unwrap();
    mount.put("a", "newer");
    mount.asked();
    assert_eq!(mount.cat("a").await.unwrap(), "newer");
    // The open looks once; the lookup after ESTALE and the second open use what it saw.
    assert_eq!(mount.asked(), (0, 1, 1));
}

#[tokio::test]
async fn minimal_allows_one_open_per_look_and_only_at_once() {
    let mount = Mount::new(Ttl::Minimal);
    mount.put("a", "x");
    let node = mount.walk("a").await.unwrap().node;
    assert_eq!(mount.asked(), (0, 1, 0));
    mount.fs.open(node, OpenOptions::default()).await.unwrap();
    assert_eq!(mount.asked(), (0, 0, 0));
    mount.fs.open(node, OpenOptions::default()).await.unwrap();
    assert_eq!(mount.asked(), (0, 1, 0));
    mount.pass(SECOND);
    mount.walk("a").await.unwrap();
    mount.pass(SECOND / 5);
    mount.asked();
    mount.fs.open(node, OpenOptions::default()).await.unwrap();
    assert_eq!(mount.asked(), (0, 1, 0));
}

#[tokio::test]
async fn indefinite_asks_once_for_ever_but_not_for_what_is_missing() {
    let mount = Mount::new(Ttl::Indefinite);
    mount.put("a", "x");
    mount.ls(ROOT).await.unwrap();
    mount.asked();
    mount.pass(1_000_000 * SECOND);
    assert_eq!(mount.ls(ROOT).await.unwrap(), ["a"]);
    assert_eq!(mount.cat("a").await.unwrap(), "x");
    assert_eq!(mount.asked(), (0, 0, 1));
    assert_eq!(mount.find(ROOT, "b").await, Err(Errno::NotFound));
    assert_eq!(mount.find(ROOT, "b").await, Err(Errno::NotFound));
    assert_eq!(mount.asked(), (0, 1, 0));
    mount.put("b", "y");
    mount.pass(5 * SECOND);
    assert_eq!(mount.cat("b").await.unwrap(), "y");
    assert_eq!(mount.asked(), (0, 1, 1));
}

#[tokio::test]
async fn a_negative_ttl_of_its_own_is_kept() {
    let negative_ttl = Some(Ttl::For(10 * SECOND));
    let mount = Mount::with(fs::Config { negative_ttl, ..config(Ttl::Minimal) });
    let answer = mount.fs.lookup(ROOT, b"no").await.unwrap();
    assert!(matches!(answer, Lookup::Absent { ttl } if ttl > 9 * SECOND));
    mount.find(ROOT, "no").await.unwrap_err();
    assert_eq!(mount.asked(), (0, 1, 0));
    mount.pass(10 * SECOND);
    mount.find(ROOT, "no").await.unwrap_err();
    assert_eq!(mount.asked(), (0, 1, 0));
}

#[tokio::test]
async fn the_root_is_known_without_asking() {
    for ttl in [Ttl::Minimal, MINUTE, Ttl::Indefinite] {
        let mount = Mount::new(ttl);
        let (attr, _) = mount.fs.getattr(ROOT, None).await.unwrap();
        assert_eq!((attr.ino, attr.nlink, attr.mode), (ROOT, 2, 0o755));
        mount.fs.opendir(ROOT).await.unwrap();
        assert_eq!(mount.asked(), (0, 0, 0));
    }
}

#[tokio::test]
async fn a_lone_lookup_asks_again_only_where_its_page_ends_before_the_directory() {
    let mount = Mount::new(MINUTE);
    mount.put("lone", "x");
    mount.put("lone2", "x");
    mount.put("dir/a", "x");
    mount.fill("part-", 50);
    mount.put("part", "x");
    mount.fill("tree-", 50);
    mount.put("tree/x", "x");
    for (name, lists, size) in [("lone", 1, 1), ("dir", 1, 0), ("part", 2, 1), ("tree", 2, 0)] {
        assert_eq!(mount.find(ROOT, name).await.unwrap().attr.size, size);
        assert_eq!(mount.asked(), (0, lists, 0), "{name}");
    }
}

#[tokio::test]
async fn o_direct_looks_afresh_within_a_ttl() {
    let mount = Mount::new(MINUTE);
    mount.put("a", "x");
    let node = mount.walk("a").await.unwrap().node;
    mount.asked();
    let direct = OpenOptions { direct: true, ..OpenOptions::default() };
    let opened = mount.fs.open(node, direct).await.unwrap();
    assert!(matches!(opened.mode, OpenMode::Direct));
    assert_eq!(mount.asked(), (0, 1, 0));
    mount.put("a", "newer");
    assert_eq!(mount.fs.open(node, direct).await.unwrap_err(), Errno::Stale);
}

#[tokio::test]
async fn many_who_ask_the_same_at_once_cost_one_request() {
    let mount = Mount::new(MINUTE);
    mount.fill("f", 2500);
    mount.store.set_latency(Duration::from_millis(20));
    let answers = join_all((0..16).map(|_| mount.find(ROOT, "f00001"))).await;
    let nodes: Vec<_> = answers.into_iter().map(|entry| entry.unwrap().node).collect();
    assert!(nodes.iter().all(|node| *node == nodes[0]));
    assert_eq!(mount.asked(), (0, 1, 0));
    for names in join_all((0..16).map(|_| mount.ls(ROOT))).await {
        assert_eq!(names.unwrap().len(), 2500);
    }
    assert_eq!(mount.asked(), (0, 3, 0));
}

#[tokio::test]
async fn a_listing_that_fails_half_way_is_an_error_and_nothing_is_kept_of_it() {
    let mount = Mount::new(MINUTE);
    mount.fill("f", 3000);
    mount.store.set_latency(Duration::from_millis(20));
    let listing = mount.ls(ROOT);
    let failing = async {
        while mount.asked().1 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        mount.store.set_failing(Some(ErrorKind::Server));
    };
    let (names, ()) = futures_util::future::join(listing, failing).await;
    assert_eq!(names, Err(Errno::Io));
    mount.store.set_failing(None);
    mount.store.set_latency(Duration::ZERO);
    mount.asked();
    mount.find(ROOT, "f00001").await.unwrap();
    assert_eq!(mount.asked(), (0, 1, 0));
    assert_eq!(mount.ls(ROOT).await.unwrap().len(), 3000);
    assert_eq!(mount.asked(), (0, 3, 0));
}

#[tokio::test]
async fn what_memory_has_is_answered_at_the_first_poll() {
    let mount = Mount::new(MINUTE);
    mount.put("a", "x");
    mount.ls(ROOT).await.unwrap();
    let answer = mount.fs.lookup(ROOT, b"a").now_or_never().unwrap();
    let Ok(Lookup::Found(entry)) = answer else { panic!("{answer:?}") };
    mount.fs.getattr(entry.node, None).now_or_never().unwrap().unwrap();
    mount.fs.lookup(ROOT, b"no").now_or_never().unwrap().unwrap();
    let options = OpenOptions::default();
    mount.fs.open(entry.node, options).now_or_never().unwrap().unwrap();
    let handle = mount.fs.opendir(ROOT).now_or_never().unwrap().unwrap();
    mount.fs.readdir(handle, 0, 10, |_| 1, true).now_or_never().unwrap().unwrap();
}

#[tokio::test]
async fn a_stat_does_not_wait_for_a_read() {
    let mount = Mount::new(MINUTE);
    mount.put("a", "x");
    let (node, handle) = mount.open("a").await.unwrap();
    mount.store.set_latency(Duration::from_secs(3600));
    let mut read = Box::pin(mount.fs.read(handle, 0, 10));
    assert!((&mut read).now_or_never().is_none());
    mount.fs.getattr(node, None).now_or_never().unwrap().unwrap();
}

#[tokio::test]
async fn an_archived_object_is_shown_without_rights_and_not_opened() {
    let mount = Mount::new(MINUTE);
    mount.put("cold", "x");
    mount.put("maybe", "x");
    mount.store.set_storage("cold", StorageState::Archived);
    mount.store.set_storage("maybe", StorageState::Unknown);
    assert_eq!(mount.stat("cold").await.unwrap().mode, 0);
    assert_eq!(mount.cat("cold").await, Err(Errno::Access));
    mount.asked();
    // Only a HEAD can say; the store says Unknown still.
    assert_eq!(mount.cat("maybe").await, Err(Errno::Access));
    assert_eq!(mount.asked(), (1, 1, 0));
}

#[tokio::test]
async fn a_ttl_below_a_listings_length_does_not_cost_a_look_per_name() {
    let mount = Mount::new(Ttl::For(SECOND));
    mount.fill("f", 2000);
    let handle = mount.fs.opendir(ROOT).await.unwrap();
    mount.drain(handle, 0, 500, true).await.unwrap();
    mount.pass(5 * SECOND);
    for number in 0..2000 {
        mount.stat(&format!("f{number:05}")).await.unwrap();
    }
    assert_eq!(mount.asked(), (0, 2, 0));
    // Opening is held to the TTL.
    mount.cat("f00000").await.unwrap();
    assert_eq!(mount.asked(), (0, 1, 1));
}
