//! Which node a name stands for, and for how long.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fs::{Errno, Kind, OpenOptions, ROOT, Ttl};
use object::{
    Clock, ETag, Flight, Key, Lease, Listing, ListingRequest, MemStore, Meta, Result, Source, Span,
    Store, Version,
};

use crate::mount::{MINUTE, Mount, THEN, config, over};

#[tokio::test]
async fn an_overwritten_name_gets_a_new_node_and_the_same_inode_number() {
    let mount = Mount::new(Ttl::Minimal);
    mount.put("a", "old");
    let (old, handle) = mount.open("a").await.unwrap();
    let before = mount.fs.getattr(old, None).await.unwrap().0;
    assert_eq!(mount.read(handle).await.unwrap(), "old");
    mount.put("a", "newer");
    mount.pass(Duration::from_secs(1));
    let new = mount.walk("a").await.unwrap();
    assert_ne!(new.node, old);
    assert_eq!(new.attr.ino, before.ino);
    assert_eq!(new.attr.size, 5);
    // The open handle's fstat goes on with what was opened; opening the old node does not.
    assert_eq!(mount.fs.getattr(old, None).await.unwrap().0, before);
    assert_eq!(mount.fs.open(old, OpenOptions::default()).await.unwrap_err(), Errno::Stale);
    mount.fs.release(handle);
    mount.fs.forget(old, 2);
    assert_eq!(mount.fs.getattr(old, None).await.unwrap_err(), Errno::Stale);
}

#[tokio::test]
async fn a_name_that_did_not_change_keeps_its_node_over_forget() {
    let mount = Mount::new(MINUTE);
    mount.put("a", "x");
    let node = mount.walk("a").await.unwrap().node;
    mount.fs.forget(node, 1);
    mount.asked();
    assert_eq!(mount.walk("a").await.unwrap().node, node);
    assert_eq!(mount.asked(), (0, 0, 0));
    mount.pass(Duration::from_secs(60));
    assert_eq!(mount.walk("a").await.unwrap().node, node);
}

#[tokio::test]
async fn a_file_replaced_by_a_directory_is_another_node() {
    let mount = Mount::new(Ttl::Minimal);
    mount.put("a", "x");
    let file = mount.walk("a").await.unwrap();
    mount.put("a/b", "y");
    mount.pass(Duration::from_secs(1));
    let directory = mount.walk("a").await.unwrap();
    assert_ne!((directory.node, directory.attr.ino), (file.node, file.attr.ino));
    assert_eq!(directory.attr.kind, Kind::Directory);
    assert_eq!(mount.cat("a/b").await.unwrap(), "y");
    assert_eq!(mount.fs.open(file.node, OpenOptions::default()).await.unwrap_err(), Errno::Stale);
}

#[tokio::test]
async fn inode_numbers_are_the_same_on_every_mount() {
    let one = Mount::new(MINUTE);
    for key in ["d/e/f", "d/g", "h"] {
        one.put(key, "x");
    }
    one.walk("h").await.unwrap();
    let other = over(one.store.clone(), &one.clock, config(Ttl::Minimal));
    let other = Mount::of(one.store.clone(), other, one.clock.clone());
    for path in ["d", "d/e", "d/e/f", "d/g", "h"] {
        assert_eq!(one.stat(path).await.unwrap().ino, other.stat(path).await.unwrap().ino);
    }
    let below = fs::Config { prefix: "d/".into(), ..config(MINUTE) };
    let below = over(one.store.clone(), &one.clock, below);
    let below = Mount::of(one.store.clone(), below, one.clock.clone());
    assert_eq!(below.stat("e/f").await.unwrap().ino, one.stat("d/e/f").await.unwrap().ino);
}

#[tokio::test]
async fn within_a_ttl_the_opened_version_is_served_or_refused_but_never_mixed() {
    let mount = Mount::new(MINUTE);
    mount.put("a", "old");
    mount.walk("a").await.unwrap();
    mount.put("a", "newer");
    let (old, handle) = mount.open("a").await.unwrap();
    assert_eq!(mount.read(handle).await, Err(Errno::Stale));
    // The failure is remembered: the next open does not run into it again.
    assert_eq!(mount.cat("a").await.unwrap(), "newer");
    assert_eq!(mount.read(handle).await, Err(Errno::Stale));
    assert_eq!(mount.fs.getattr(old, None).await.unwrap().0.size, 3);
}

#[tokio::test]
async fn a_file_deleted_under_its_reader_is_stale_and_then_absent() {
    let mount = Mount::new(MINUTE);
    mount.put("a", "old");
    let (_, handle) = mount.open("a").await.unwrap();
    mount.store.delete("a");
    assert_eq!(mount.read(handle).await, Err(Errno::Stale));
    assert_eq!(mount.cat("a").await, Err(Errno::NotFound));
}

#[tokio::test]
async fn below_a_directory_that_went_everything_is_absent_without_asking() {
    let mount = Mount::new(MINUTE);
    mount.put("d/a", "x");
    let directory = mount.walk("d").await.unwrap().node;
    mount.store.delete("d/a");
    mount.pass(Duration::from_secs(61));
    assert_eq!(mount.find(ROOT, "d").await, Err(Errno::NotFound));
    mount.asked();
    assert_eq!(mount.find(directory, "b").await, Err(Errno::NotFound));
    assert_eq!(mount.asked(), (0, 0, 0));
}

#[tokio::test]
async fn nodes_the_kernel_let_go_of_are_dropped_oldest_first_beyond_the_limit() {
    let mount = Mount::with(fs::Config { names_max: 10, ..config(Ttl::Indefinite) });
    mount.fill("f", 20);
    let held = mount.walk("f00000").await.unwrap().node;
    for number in 1..20 {
        let node = mount.walk(&format!("f{number:05}")).await.unwrap().node;
        mount.fs.forget(node, 1);
    }
    mount.asked();
    mount.walk("f00019").await.unwrap();
    mount.fs.getattr(held, None).await.unwrap();
    assert_eq!(mount.asked(), (0, 0, 0));
    mount.walk("f00001").await.unwrap();
    assert_eq!(mount.asked(), (0, 1, 0));
}

/// A store whose listings show other entity tags than its objects have.
struct OddTags(Arc<MemStore>);

impl Source for OddTags {
    fn read(&self, version: &Arc<Version>, span: Span, lease: Lease) -> Arc<Flight> {
        self.0.read(version, span, lease)
    }
}

#[async_trait]
impl Store for OddTags {
    async fn head(&self, key: &Key) -> Result<Meta> {
        self.0.head(key).await
    }

    async fn list(&self, request: &ListingRequest) -> Result<Listing> {
        let mut page = self.0.list(request).await?;
        for meta in &mut page.objects {
            meta.version.etag = ETag::new(&format!("listed-{}", meta.version.etag));
        }
        Ok(page)
    }
}

#[tokio::test]
async fn a_store_that_lists_other_tags_is_found_out_and_read_all_the_same() {
    let clock = Clock::start();
    let store = MemStore::new(clock.clone());
    let fs = over(Arc::new(OddTags(store.clone())), &clock, config(MINUTE));
    let mount = Mount::of(store, fs, clock);
    mount.put("a", "aaa");
    mount.put("b", "bb");
    let node = mount.walk("a").await.unwrap().node;
    assert_eq!(mount.cat("a").await.unwrap(), "aaa");
    mount.asked();
    assert_eq!(mount.cat("a").await.unwrap(), "aaa");
    assert_eq!(mount.walk("a").await.unwrap().node, node);
    assert_eq!(mount.asked(), (0, 0, 1));
    // From now on an open asks for the tag.
    assert_eq!(mount.cat("b").await.unwrap(), "bb");
    assert_eq!(mount.asked(), (1, 1, 1));
    mount.ls(ROOT).await.unwrap();
    mount.asked();
    assert_eq!(mount.cat("b").await.unwrap(), "bb");
    assert_eq!(mount.asked(), (0, 0, 1));
}

#[tokio::test]
async fn an_overwrite_within_one_second_is_not_taken_for_odd_tags() {
    let mount = Mount::new(MINUTE);
    mount.put("a", "old");
    mount.walk("a").await.unwrap();
    mount.store.put("a", *b"new", THEN);
    let (_, handle) = mount.open("a").await.unwrap();
    assert_eq!(mount.read(handle).await, Err(Errno::Stale));
    assert_eq!(mount.cat("a").await.unwrap(), "new");
    mount.asked();
    mount.cat("a").await.unwrap();
    assert_eq!(mount.asked(), (0, 0, 1));
}
