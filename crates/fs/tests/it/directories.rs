//! Directories that are made and removed here.

use std::time::Duration;

use fs::{Errno, Kind, OpenOptions, ROOT, Ttl};
use object::MemWrites;

use crate::mount::{MINUTE, Mount, allowing, config};

const SECOND: Duration = Duration::from_secs(1);

fn allowed(ttl: Ttl) -> Mount {
    Mount::with(allowing(config(ttl)))
}

#[tokio::test]
async fn a_directory_made_here_stays_until_it_is_removed_here() {
    for ttl in [MINUTE, Ttl::Minimal] {
        let mount = allowed(ttl);
        mount.mkdir("d").await.unwrap();
        let below = mount.mkdir("d/e").await.unwrap();
        assert_eq!(mount.mkdir("d").await, Err(Errno::Exists));
        assert_eq!(mount.store.take_writes(), MemWrites::default());
        mount.pass(100 * SECOND);
        assert_eq!(mount.ls(below).await.unwrap(), Vec::<String>::new());
        assert_eq!(mount.rmdir("d").await, Err(Errno::NotEmpty));
        mount.echo("d/e/f", "x").await.unwrap();
        assert_eq!(mount.stored("d/e/f").unwrap(), "x");
        assert_eq!(mount.rmdir("d/e").await, Err(Errno::NotEmpty));
        mount.rm("d/e/f").await.unwrap();
        mount.pass(100 * SECOND);
        assert_eq!(mount.stat("d/e").await.unwrap().kind, Kind::Directory);
        mount.rmdir("d/e").await.unwrap();
        mount.pass(100 * SECOND);
        assert_eq!(mount.stat("d/e").await.unwrap_err(), Errno::NotFound);
        mount.rmdir("d").await.unwrap();
        assert_eq!(mount.ls(ROOT).await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_tree_is_removed_from_below_like_any_other() {
    for ttl in [MINUTE, Ttl::Minimal] {
        let mount = allowed(ttl);
        mount.put("d/e/f", "x");
        mount.put("d/g", "x");
        for path in ["d/e/f", "d/g"] {
            mount.rm(path).await.unwrap();
            mount.pass(2 * SECOND);
        }
        for path in ["d/e", "d"] {
            mount.rmdir(path).await.unwrap();
            mount.pass(2 * SECOND);
        }
        assert_eq!(mount.stat("d").await.unwrap_err(), Errno::NotFound);
    }
}

#[tokio::test]
async fn a_marker_is_deleted_with_its_directory_where_that_is_allowed() {
    let mount = Mount::new(MINUTE);
    mount.put("d/", "");
    assert_eq!(mount.rmdir("d").await, Err(Errno::NotPermitted));
    let mount = allowed(MINUTE);
    mount.put("d/", "");
    mount.put("e/", "");
    mount.put("e/x", "x");
    mount.put("f", "x");
    mount.rmdir("d").await.unwrap();
    assert_eq!(mount.store.take_writes().deletes, 1);
    assert_eq!(mount.rmdir("e").await, Err(Errno::NotEmpty));
    assert_eq!(mount.rmdir("f").await, Err(Errno::NotDirectory));
    assert_eq!(mount.rmdir("g").await, Err(Errno::NotFound));
    assert_eq!(mount.ls(ROOT).await.unwrap(), ["e", "f"]);
}

#[tokio::test]
async fn nothing_is_made_in_a_directory_that_was_removed() {
    let mount = Mount::new(MINUTE);
    let node = mount.mkdir("d").await.unwrap();
    mount.rmdir("d").await.unwrap();
    let write = OpenOptions { write: true, ..OpenOptions::default() };
    assert_eq!(mount.fs.create(node, b"a", write).await.unwrap_err(), Errno::NotFound);
    assert_eq!(mount.fs.mkdir(node, b"a").await.unwrap_err(), Errno::NotFound);
    let file = mount.fs.mknod(ROOT, b"f").await.unwrap().node;
    assert_eq!(mount.fs.create(file, b"a", write).await.unwrap_err(), Errno::NotDirectory);
}

#[tokio::test]
async fn a_directory_in_the_store_comes_before_a_file_here() {
    let mount = Mount::new(MINUTE);
    let (_, handle) = mount.open_new("a").await.unwrap();
    mount.write(handle, 0, b"x").await.unwrap();
    mount.put("a/b", "y");
    mount.ls(ROOT).await.unwrap();
    assert_eq!(mount.stat("a").await.unwrap().kind, Kind::Directory);
    assert_eq!(mount.cat("a/b").await.unwrap(), "y");
    mount.close(handle).await.unwrap();
    assert_eq!(mount.stored("a").unwrap(), "x");
    assert_eq!(mount.stat("a").await.unwrap().kind, Kind::Directory);
}

#[tokio::test]
async fn a_directory_here_comes_before_an_object_in_the_store() {
    let mount = Mount::new(Ttl::Minimal);
    mount.mkdir("a").await.unwrap();
    mount.put("a", "x");
    mount.pass(SECOND);
    assert_eq!(mount.ls(ROOT).await.unwrap(), ["a"]);
    assert_eq!(mount.stat("a").await.unwrap().kind, Kind::Directory);
}

#[tokio::test]
async fn a_directory_with_a_file_that_is_not_published_stays_when_its_last_object_goes() {
    let mount = Mount::new(Ttl::Minimal);
    mount.put("d/e/a", "x");
    let (_, handle) = mount.open_new("d/e/b").await.unwrap();
    mount.store.delete("d/e/a");
    mount.pass(2 * SECOND);
    assert_eq!(mount.stat("d/e/b").await.unwrap().size, 0);
    mount.write(handle, 0, b"x").await.unwrap();
    mount.close(handle).await.unwrap();
    assert_eq!(mount.cat("d/e/b").await.unwrap(), "x");
    mount.store.delete("d/e/b");
    mount.pass(2 * SECOND);
    assert_eq!(mount.stat("d").await.unwrap_err(), Errno::NotFound);
}

#[tokio::test]
async fn directories_above_one_that_stays_are_listed() {
    let mount = allowed(MINUTE);
    mount.put("e/f/g", "x");
    mount.rm("e/f/g").await.unwrap();
    assert_eq!(mount.ls(ROOT).await.unwrap(), ["e"]);
    let (_, handle) = mount.open_new("e/f/g").await.unwrap();
    assert_eq!(mount.rmdir("e/f").await, Err(Errno::NotEmpty));
    mount.close(handle).await.unwrap();
    assert_eq!(mount.ls(ROOT).await.unwrap(), ["e"]);
}

#[tokio::test]
async fn a_directory_stays_while_a_file_in_it_is_replaced() {
    let mount = allowed(MINUTE);
    mount.put("d/a", "old");
    let (_, handle) = mount.open_new("d/a").await.unwrap();
    mount.store.delete("d/a");
    assert_eq!(mount.ls(ROOT).await.unwrap(), ["d"]);
    mount.pass(61 * SECOND);
    assert_eq!(mount.ls(ROOT).await.unwrap(), ["d"]);
    mount.write(handle, 0, b"new").await.unwrap();
    mount.close(handle).await.unwrap();
    assert_eq!(mount.ls(ROOT).await.unwrap(), ["d"]);
    assert_eq!(mount.cat("d/a").await.unwrap(), "new");
}

#[tokio::test]
async fn a_directory_first_seen_empty_is_there_once_something_is_published_in_it() {
    let mount = allowed(MINUTE);
    mount.put("d/x", "x");
    let (_, handle) = mount.open_new("d/a").await.unwrap();
    mount.store.delete("d/x");
    mount.pass(61 * SECOND);
    // The listing that is kept from now on has no `d`.
    assert_eq!(mount.ls(ROOT).await.unwrap(), ["d"]);
    mount.write(handle, 0, b"new").await.unwrap();
    mount.close(handle).await.unwrap();
    assert_eq!(mount.ls(ROOT).await.unwrap(), ["d"]);
    assert_eq!(mount.cat("d/a").await.unwrap(), "new");
}
