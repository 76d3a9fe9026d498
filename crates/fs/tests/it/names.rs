//! Keys of every kind, prefixes, and policies that allow little.

use fs::{Errno, ROOT, Ttl};
use object::ErrorKind;

use crate::mount::{MINUTE, Mount, config};

#[tokio::test]
async fn keys_that_are_no_paths_are_hidden_and_harm_nothing() {
    let mount = Mount::new(MINUTE);
    let long = "x".repeat(256);
    let keys = ["ok", "/lead", "d//e", "d/./f", "d/../g", "n\0l", "c\u{1}\n", "e/", long.as_str()];
    for key in keys {
        mount.put(key, "x");
    }
    assert_eq!(mount.ls(ROOT).await.unwrap(), ["c\u{1}\n", "d", "e", "ok"]);
    let directory = mount.walk("d").await.unwrap().node;
    assert_eq!(mount.ls(directory).await.unwrap(), Vec::<String>::new());
    let marked = mount.walk("e").await.unwrap().node;
    assert_eq!(mount.ls(marked).await.unwrap(), Vec::<String>::new());
    assert_eq!(mount.cat("c\u{1}\n").await.unwrap(), "x");
    for (name, want) in [(&b".."[..], Errno::Invalid), (b"\xff", Errno::Invalid)] {
        assert_eq!(mount.fs.lookup(ROOT, name).await, Err(want));
    }
    assert_eq!(mount.fs.lookup(ROOT, long.as_bytes()).await, Err(Errno::NameTooLong));
}

#[tokio::test]
async fn a_path_longer_than_any_key_is_refused_without_asking() {
    let mount = Mount::new(MINUTE);
    let part = "y".repeat(250);
    let deep = [part.as_str(); 4].join("/");
    mount.put(&format!("{deep}/a"), "x");
    let parent = mount.walk(&deep).await.unwrap().node;
    mount.asked();
    assert_eq!(mount.find(parent, &"z".repeat(100)).await, Err(Errno::NameTooLong));
    assert_eq!(mount.asked(), (0, 0, 0));
}

#[tokio::test]
async fn a_prefix_becomes_the_root_and_nothing_outside_shows() {
    let mount = Mount::with(fs::Config { prefix: "in/side".into(), ..config(MINUTE) });
    for key in ["in/side/a", "in/side/d/b", "in/sides", "out", "in/side"] {
        mount.put(key, key);
    }
    assert_eq!(mount.ls(ROOT).await.unwrap(), ["a", "d"]);
    assert_eq!(mount.cat("d/b").await.unwrap(), "in/side/d/b");
    assert_eq!(mount.find(ROOT, "out").await, Err(Errno::NotFound));
    let handle = mount.fs.opendir(ROOT).await.unwrap();
    let entries = mount.drain(handle, 0, 10, false).await.unwrap();
    assert_eq!((entries[0].ino, entries[1].ino), (ROOT, ROOT));
}

#[tokio::test]
async fn who_may_list_only_below_a_directory_still_finds_it() {
    let mount = Mount::new(Ttl::Minimal);
    mount.put("jars/a.jar", "x");
    mount.put("file", "x");
    for prefix in ["", "jars", "file", "gone"] {
        mount.store.deny_list(prefix);
    }
    assert_eq!(mount.cat("jars/a.jar").await.unwrap(), "x");
    // Denied LIST, HEAD and LIST of the directory; then one LIST for the file.
    assert_eq!(mount.asked(), (1, 3, 1));
    assert_eq!(mount.ls(ROOT).await, Err(Errno::Access));
    assert_eq!(mount.stat("file").await.unwrap().size, 1);
    assert_eq!(mount.find(ROOT, "gone").await, Err(Errno::NotFound));
    mount.store.deny_list("file/");
    mount.pass(std::time::Duration::from_secs(1));
    assert_eq!(mount.stat("file").await.unwrap().size, 1);
    mount.store.set_failing(Some(ErrorKind::Denied));
    assert_eq!(mount.find(ROOT, "other").await, Err(Errno::Access));
}

#[tokio::test]
async fn what_a_failure_means_reaches_the_application() {
    let cases = [
        (ErrorKind::Denied, Errno::Access),
        (ErrorKind::Archived, Errno::Access),
        (ErrorKind::Timeout, Errno::Io),
        (ErrorKind::Throttled, Errno::Io),
        (ErrorKind::Corrupt, Errno::Io),
        (ErrorKind::Changed, Errno::Stale),
        (ErrorKind::NotFound, Errno::Stale),
    ];
    for (kind, want) in cases {
        let mount = Mount::new(MINUTE);
        mount.put("a", "x");
        let (_, handle) = mount.open("a").await.unwrap();
        mount.store.set_failing(Some(kind));
        assert_eq!(mount.read(handle).await, Err(want), "{kind:?}");
        if matches!(want, Errno::Access | Errno::Io) {
            assert_eq!(mount.find(ROOT, "other").await, Err(want), "{kind:?}");
        }
    }
}
