//! What changes cost in requests: the cells of `docs/metadata.md` about writing.

use std::time::Duration;

use fs::{Change, Errno, OpenOptions, ROOT, RenameFlags, Ttl};
use object::MemWrites;

use crate::mount::{MINUTE, Mount, allowing, config};

const MIB: usize = 1 << 20;
/// Longer than `minimal` trusts anything.
const PAUSE: Duration = Duration::from_secs(2);
const NONE: MemWrites =
    MemWrites { puts: 0, begun: 0, parts: 0, copies: 0, completed: 0, aborted: 0, deletes: 0 };
const PUT: MemWrites = MemWrites { puts: 1, ..NONE };
const DELETE: MemWrites = MemWrites { deletes: 1, ..NONE };

/// Has `operation` done once for each column of the table, beside these objects: it has to cost
/// these LISTs, and these changes.
async fn costs(keys: &[&str], lists: [u64; 3], writes: MemWrites, operation: impl AsyncFn(&Mount)) {
    let columns = [("minimal", Ttl::Minimal), ("listed", MINUTE), ("not listed", MINUTE)];
    for ((column, ttl), lists) in columns.into_iter().zip(lists) {
        let mount = Mount::with(allowing(config(ttl)));
        keys.iter().for_each(|key| mount.put(key, "four"));
        if column != "not listed" {
            mount.ls(ROOT).await.unwrap();
            mount.pass(PAUSE);
        }
        mount.asked();
        operation(&mount).await;
        let spent = (mount.asked(), mount.store.take_writes());
        assert_eq!(spent, ((0, lists, 0), writes), "{column}");
    }
}

/// A new file that was just opened; what that cost is not counted.
async fn written(mount: &Mount, bytes: usize) {
    let (_, handle) = mount.open_new("new").await.unwrap();
    mount.asked();
    mount.write(handle, 0, &vec![7; bytes]).await.unwrap();
    mount.close(handle).await.unwrap();
}

#[tokio::test]
async fn writing_and_closing_costs_one_put_or_an_upload_and_no_look() {
    let upload = MemWrites { begun: 1, parts: 3, completed: 1, ..NONE };
    costs(&[], [0, 0, 0], PUT, async |mount| written(mount, 0).await).await;
    costs(&[], [0, 0, 0], PUT, async |mount| written(mount, 8 * MIB).await).await;
    costs(&[], [0, 0, 0], upload, async |mount| written(mount, 20 * MIB).await).await;
}

#[tokio::test]
async fn each_flush_of_something_new_costs_one_put_or_a_copy_and_an_upload() {
    let flushed = async |mount: &Mount, first: usize| {
        let (_, handle) = mount.open_new("new").await.unwrap();
        mount.asked();
        mount.write(handle, 0, &vec![7; first]).await.unwrap();
        for _ in 0..2 {
            mount.fs.flush(handle).await.unwrap();
        }
        mount.write(handle, first as u64, b"more").await.unwrap();
        mount.close(handle).await.unwrap();
    };
    let puts = MemWrites { puts: 2, ..NONE };
    costs(&[], [0, 0, 0], puts, async |mount| flushed(mount, 100).await).await;
    let uploads = MemWrites { begun: 2, parts: 3 + 1, copies: 1, completed: 2, ..NONE };
    costs(&[], [0, 0, 0], uploads, async |mount| flushed(mount, 20 * MIB).await).await;
}

#[tokio::test]
async fn replacing_a_file_costs_its_look_and_what_is_written() {
    costs(&["a"], [1, 0, 1], PUT, async |mount| mount.echo("a", "new").await.unwrap()).await;
}

#[tokio::test]
async fn replacing_a_file_that_was_read_costs_no_look_more() {
    let replace = async |mount: &Mount| {
        mount.cat("a").await.unwrap();
        mount.pass(PAUSE);
        mount.asked();
        mount.echo("a", "new").await.unwrap();
    };
    costs(&["a"], [1, 0, 0], PUT, replace).await;
}

#[tokio::test]
async fn emptying_a_file_costs_its_look_and_a_put_and_other_lengths_nothing() {
    let resize = async |mount: &Mount, size: u64| {
        let node = mount.walk("a").await.unwrap().node;
        let change = Change { size: Some(size), ..Change::default() };
        mount.fs.setattr(node, None, change).await.map(|_| ())
    };
    costs(&["a"], [1, 0, 1], PUT, async |mount| resize(mount, 0).await.unwrap()).await;
    costs(&["a"], [1, 0, 1], NONE, async |mount| resize(mount, 4).await.unwrap()).await;
    let refused = async |mount: &Mount| {
        assert_eq!(resize(mount, 1).await, Err(Errno::NotPermitted));
    };
    costs(&["a"], [1, 0, 1], NONE, refused).await;
}

#[tokio::test]
async fn setting_attributes_costs_the_look_alone() {
    let refused = async |mount: &Mount| {
        let node = mount.walk("a").await.unwrap().node;
        let change = Change { others: true, ..Change::default() };
        let set = mount.fs.setattr(node, None, change).await;
        assert_eq!(set.map(|_| ()), Err(Errno::NotPermitted));
    };
    costs(&["a"], [1, 0, 1], NONE, refused).await;
}

#[tokio::test]
async fn removing_a_file_costs_its_look_and_a_delete() {
    costs(&["a"], [1, 0, 1], DELETE, async |mount| mount.rm("a").await.unwrap()).await;
    let unpublished = async |mount: &Mount| {
        mount.fs.mknod(ROOT, b"new").await.unwrap();
        mount.asked();
        mount.rm("new").await.unwrap();
    };
    costs(&[], [0, 0, 0], NONE, unpublished).await;
}

#[tokio::test]
async fn making_a_directory_costs_the_look_that_finds_nothing() {
    let mkdir = async |mount: &Mount| assert!(mount.mkdir("d").await.is_ok());
    costs(&["a"], [1, 0, 1], NONE, mkdir).await;
}

#[tokio::test]
async fn removing_a_directory_costs_its_look_and_a_listing_and_a_delete_if_it_is_marked() {
    let made_here = async |mount: &Mount| {
        mount.mkdir("d").await.unwrap();
        mount.pass(PAUSE);
        mount.asked();
        mount.rmdir("d").await.unwrap();
    };
    costs(&["a"], [1, 1, 1], NONE, made_here).await;
    costs(&["d/"], [2, 1, 2], DELETE, async |mount| mount.rmdir("d").await.unwrap()).await;
    let full = async |mount: &Mount| {
        assert_eq!(mount.rmdir("d").await, Err(Errno::NotEmpty));
    };
    costs(&["d/x"], [2, 1, 2], NONE, full).await;
}

#[tokio::test]
async fn renaming_costs_the_looks_at_both_names_and_is_refused() {
    let refused = async |mount: &Mount| {
        mount.find(ROOT, "a").await.unwrap();
        mount.find(ROOT, "b").await.unwrap_err();
        let renamed = mount.fs.rename(ROOT, b"a", ROOT, b"b", RenameFlags::default()).await;
        assert_eq!(renamed, Err(Errno::CrossDevice));
    };
    costs(&["a"], [2, 0, 2], NONE, refused).await;
}

#[tokio::test]
async fn opening_to_replace_asks_for_nothing_once_the_name_was_looked_up() {
    let open = async |mount: &Mount| {
        let node = mount.walk("a").await.unwrap().node;
        mount.asked();
        let options = OpenOptions { write: true, truncate: true, ..OpenOptions::default() };
        let opened = mount.fs.open(node, options).await.unwrap();
        mount.fs.abandon(opened.handle);
        mount.fs.settle().await;
    };
    costs(&["a"], [0, 0, 0], NONE, open).await;
}
