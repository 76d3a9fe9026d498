//! A disk that fails: readers never notice.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use object::BLOCK;

use crate::harness::{Mount, Node, PART, content, until};

/// A small file system in memory, gone with this.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(path: &'a Path, bytes: u64) -> Self {
        fs::create_dir(path).unwrap();
        let options = format!("size={bytes},mode=0700");
        run(&["mount", "-t", "tmpfs", "-o", &options, "none", path.to_str().unwrap()]);
        Self(path)
    }

    fn remount(&self, how: &str) {
        run(&["mount", "-o", &format!("remount,{how}"), self.0.to_str().unwrap()]);
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

fn run(command: &[&str]) {
    let status = Command::new(command[0]).args(&command[1..]).status().unwrap();
    assert!(status.success(), "{command:?}");
}

/// Reads a new object until one is kept.
async fn until_it_works(node: &Node, mount: &Mount) {
    for attempt in 0..200 {
        let before = mount.cache.counts().filled_bytes;
        let version = node.put(&format!("again-{attempt}"), 1000).await;
        assert!(mount.read_all(&version).await.unwrap() == content(version.key.as_str(), 1000));
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if mount.cache.counts().filled_bytes > before {
                return;
            }
        }
    }
    panic!("the cache did not come back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_read_from_and_not_noticed_by_readers() {
    let node = Node::new();
    let path = node.path();
    let disk = SmallDisk::mount(&path, 6 * BLOCK);
    let (small, large) = (node.put("small", 2 * BLOCK).await, node.put("large", PART).await);
    let mount = node.mount();
    mount.fill(&small).await;
    assert!(mount.read_all(&large).await.unwrap() == content("large", PART));
    until("the disk is full", || mount.cache.counts().filled_bytes > 4 * BLOCK).await;
    assert!(mount.read_all(&large).await.unwrap() == content("large", PART));
    node.store.take_counts();
    assert!(mount.read_all(&small).await.unwrap() == content("small", 2 * BLOCK));
    assert_eq!(node.store.take_counts().reads, 0, "what is there is read from there");
    disk.remount(&format!("size={}", 64 * BLOCK));
    until_it_works(&node, &mount).await;
    assert!(mount.read_all(&large).await.unwrap() == content("large", PART));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_becomes_read_only_is_read_from() {
    let node = Node::new();
    let path = node.path();
    let disk = SmallDisk::mount(&path, 64 * BLOCK);
    let (one, two) = (node.put("one", PART).await, node.put("two", PART).await);
    let mount = node.mount();
    mount.fill(&one).await;
    mount.file(&one).await;
    mount.end().await;
    let mount = node.mount();
    // Files that are open for writing keep a file system writable.
    let made = Command::new("mount").args(["-o", "remount,ro"]).arg(&path).status().unwrap();
    if !made.success() {
        run(&["mount", "--bind", path.to_str().unwrap(), path.to_str().unwrap()]);
        run(&["mount", "-o", "remount,ro,bind", path.to_str().unwrap()]);
    }
    assert!(mount.read_all(&one).await.unwrap() == content("one", PART));
    assert!(mount.read_all(&two).await.unwrap() == content("two", PART));
    let _ = Command::new("umount").arg("-l").arg(&path).status();
    drop(disk);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_deleted_is_made_again() {
    let node = Node::new();
    let mount = node.mount();
    for keep_outer in [true, false] {
        let version = node.put("a.jar", PART).await;
        mount.fill(&version).await;
        let gone = if keep_outer { node.path().join("mount-s3") } else { node.path() };
        fs::remove_dir_all(gone).unwrap();
        assert!(mount.read_all(&version).await.unwrap() == content("a.jar", PART));
        until_it_works(&node, &mount).await;
        assert!(node.path().join("mount-s3/format").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_replaced_is_left_for_the_new_one() {
    let node = Node::new();
    let version = node.put("a.jar", PART).await;
    let mount = node.mount();
    mount.fill(&version).await;
    fs::rename(node.path().join("mount-s3"), node.path().join("old")).unwrap();
    until_it_works(&node, &mount).await;
    assert!(mount.read_all(&version).await.unwrap() == content("a.jar", PART));
    assert!(node.path().join("mount-s3/objects").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_may_not_be_used_any_more_is_not() {
    let node = Node::new();
    let mount = node.mount();
    fs::remove_dir_all(node.path().join("mount-s3")).unwrap();
    std::os::unix::fs::symlink("/tmp", node.path().join("mount-s3")).unwrap();
    let version = node.put("a.jar", PART).await;
    assert!(mount.read_all(&version).await.unwrap() == content("a.jar", PART));
    fs::remove_file(node.path().join("mount-s3")).unwrap();
    until_it_works(&node, &mount).await;
    assert!(mount.read_all(&version).await.unwrap() == content("a.jar", PART));
}
