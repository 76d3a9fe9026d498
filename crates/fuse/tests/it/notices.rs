//! Notifications, as the kernel acts on them.

use crate::memory::{Mounted, Workload};
use std::sync::mpsc::channel;
use std::time::Duration;

/// Repeats `probe` until it holds; fails after some seconds.
fn eventually(what: &str, mut probe: impl FnMut() -> bool) {
    let (_keep, never) = channel::<()>();
    for _ in 0..500 {
        if probe() {
            return;
        }
        let _ = never.recv_timeout(Duration::from_millis(10));
    }
    panic!("{what} did not happen");
}

#[test]
fn an_invalidated_name_is_looked_up_again() {
    let mount = Mounted::new(Workload::Prompt);
    let path = mount.path("file-003");
    std::fs::metadata(&path).unwrap();
    std::fs::metadata(&path).unwrap();
    assert_eq!(mount.fs.count("lookup"), 1);
    mount.notifier.inval_entry(1, b"file-003").unwrap();
    eventually("a second lookup", || {
        std::fs::metadata(&path).unwrap();
        mount.fs.count("lookup") == 2
    });
}

#[test]
fn an_invalidated_node_is_read_again() {
    let mount = Mounted::new(Workload::Prompt);
    let path = mount.path("file-004");
    let before = std::fs::read(&path).unwrap();
    let reads = mount.fs.count("read");
    mount.notifier.inval_inode(6, 0, 0).unwrap();
    eventually("another read", || {
        assert_eq!(std::fs::read(&path).unwrap(), before);
        mount.fs.count("read") > reads
    });
}

#[test]
fn forgetting_all_names_has_each_looked_up_once_more() {
    let mount = Mounted::new(Workload::Prompt);
    let paths = ["file-001", "file-002"].map(|name| mount.path(name));
    let stat_all = || assert!(paths.iter().all(|path| std::fs::metadata(path).is_ok()));
    stat_all();
    stat_all();
    assert_eq!(mount.fs.count("lookup"), 2);
    mount.notifier.forget_names().expect("a kernel with INC_EPOCH (6.16 or later)");
    eventually("two more lookups", || {
        stat_all();
        mount.fs.count("lookup") == 4
    });
}

#[test]
fn notices_about_what_the_kernel_does_not_know_do_no_harm() {
    let mount = Mounted::new(Workload::Prompt);
    mount.notifier.inval_inode(999, 0, 0).unwrap();
    mount.notifier.inval_entry(999, b"nothing").unwrap();
    mount.notifier.delete(1, 999, b"nothing").unwrap();
    let path = mount.path("file-001");
    std::fs::metadata(&path).unwrap();
    mount.notifier.inval_entry(1, b"file-001").unwrap();
    eventually("a later notice taking effect", || {
        std::fs::metadata(&path).unwrap();
        mount.fs.count("lookup") == 2
    });
}
