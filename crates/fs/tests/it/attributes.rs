//! What is shown of files and directories, and for how long.

use std::time::Duration;

use fs::{Attr, Errno, Kind, Lookup, OpenMode, OpenOptions, ROOT, Ttl};

use crate::mount::{MINUTE, Mount, THEN, config};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn files_show_their_object_and_everything_else_is_the_mounts() {
    let mount = Mount::new(MINUTE);
    mount.put("d/a", "hello");
    let file = mount.stat("d/a").await.unwrap();
    let (uid, gid) = (11, 12);
    let want = Attr {
        ino: file.ino,
        size: 5,
        modified: THEN,
        kind: Kind::File,
        mode: 0o644,
        uid,
        gid,
        nlink: 1,
    };
    assert_eq!(file, want);
    let mounted = config(MINUTE).mounted;
    for (path, directory) in [
        ("d", mount.stat("d").await.unwrap()),
        ("the root", mount.fs.getattr(ROOT, None).await.unwrap().0),
    ] {
        let ino = directory.ino;
        let kind = Kind::Directory;
        let want = Attr { ino, size: 0, modified: mounted, kind, mode: 0o755, uid, gid, nlink: 2 };
        assert_eq!(directory, want, "{path}");
    }
}

#[tokio::test]
async fn a_file_that_is_written_shows_its_bytes_and_the_time_of_the_last_of_them() {
    let mount = Mount::new(MINUTE);
    let (node, handle) = mount.open_new("a").await.unwrap();
    let began = mount.clock.now();
    mount.pass(5 * SECOND);
    mount.write(handle, 0, b"hello").await.unwrap();
    let (attr, ttl) = mount.fs.getattr(node, Some(handle)).await.unwrap();
    assert_eq!((attr.size, attr.mode, attr.nlink, ttl), (5, 0o644, 1, Duration::ZERO));
    assert!(attr.modified.since(began) >= 5 * SECOND, "{attr:?}");
}

#[tokio::test]
async fn a_file_is_written_past_the_page_cache() {
    let mount = Mount::new(MINUTE);
    let options = OpenOptions { read: true, write: true, ..OpenOptions::default() };
    let (_, opened) = mount.fs.create(ROOT, b"a", options).await.unwrap();
    // So the kernel refuses a shared mapping of it that could be written to.
    assert_eq!((opened.mode, opened.written), (OpenMode::Direct, true));
}

#[tokio::test]
async fn attributes_cost_one_look_or_none_and_tell_what_became_of_the_name() {
    let mount = Mount::new(Ttl::Minimal);
    for key in ["same", "replaced", "gone", "open"] {
        mount.put(key, "x");
    }
    let same = mount.walk("same").await.unwrap().node;
    let replaced = mount.walk("replaced").await.unwrap().node;
    let gone = mount.walk("gone").await.unwrap().node;
    let (open, handle) = mount.open("open").await.unwrap();
    mount.put("replaced", "another");
    mount.store.delete("gone");
    mount.store.delete("open");
    mount.pass(2 * SECOND);
    mount.asked();
    for (node, handle, want, looks) in [
        (same, None, Ok(1), 1),
        (replaced, None, Err(Errno::Stale), 1),
        (gone, None, Err(Errno::NotFound), 1),
        (open, Some(handle), Ok(1), 0),
        (9999, None, Err(Errno::Stale), 0),
    ] {
        let size = mount.fs.getattr(node, handle).await.map(|(attr, _)| attr.size);
        assert_eq!((size, mount.asked()), (want, (0, looks, 0)), "{node}");
    }
}

#[tokio::test]
async fn an_open_file_keeps_its_attributes_when_its_name_becomes_a_directory() {
    let mount = Mount::new(Ttl::Minimal);
    mount.put("a", "old");
    let (node, handle) = mount.open("a").await.unwrap();
    mount.put("a/b", "y");
    mount.pass(SECOND);
    assert_eq!(mount.stat("a").await.unwrap().kind, Kind::Directory);
    let (attr, _) = mount.fs.getattr(node, Some(handle)).await.unwrap();
    assert_eq!((attr.kind, attr.size), (Kind::File, 3));
    assert_eq!(mount.fs.open(node, OpenOptions::default()).await.unwrap_err(), Errno::Stale);
}

#[tokio::test]
async fn the_kernel_gets_what_is_left_of_the_time_for_names_and_attributes_alike() {
    let mount = Mount::new(MINUTE);
    mount.put("a", "x");
    mount.walk("a").await.unwrap();
    mount.fs.lookup(ROOT, b"no").await.unwrap();
    mount.pass(40 * SECOND);
    mount.asked();
    let entry = mount.walk("a").await.unwrap();
    let (_, attr_ttl) = mount.fs.getattr(entry.node, None).await.unwrap();
    let absent = mount.fs.lookup(ROOT, b"no").await.unwrap();
    let Lookup::Absent { ttl: absent } = absent else { panic!("{absent:?}") };
    for left in [entry.ttl, entry.attr_ttl, attr_ttl, absent] {
        assert!(left > 19 * SECOND && left <= 20 * SECOND, "{left:?}");
    }
    assert_eq!(mount.asked(), (0, 0, 0));
}

#[tokio::test]
async fn whoever_makes_or_lists_a_name_ends_its_absence() {
    let mount = Mount::new(MINUTE);
    mount.put("gone", "x");
    for name in ["made", "listed"] {
        assert_eq!(mount.find(ROOT, name).await, Err(Errno::NotFound));
    }
    mount.walk("gone").await.unwrap();
    mount.echo("made", "x").await.unwrap();
    mount.put("listed", "y");
    mount.store.delete("gone");
    mount.asked();
    assert_eq!(mount.stat("made").await.unwrap().size, 1);
    assert_eq!(mount.find(ROOT, "listed").await, Err(Errno::NotFound));
    assert_eq!(mount.asked(), (0, 0, 0));
    // A listing shows what came, and tells what went.
    assert_eq!(mount.ls(ROOT).await.unwrap(), ["listed", "made"]);
    assert_eq!(mount.find(ROOT, "gone").await, Err(Errno::NotFound));
    assert_eq!(mount.asked(), (0, 1, 0));
}
