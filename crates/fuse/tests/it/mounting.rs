//! How mounts look and end.

use crate::memory::{Memory, Mounted, Point, STUCK, Workload, options, require_fuse, start};
use fuse::mount::table::{self, MountEntry};
use fuse::mount::{self, Access, MountError, MountOptions, fusermount};
use fuse::{Ended, Session, Wanted};
use std::ffi::OsStr;

fn shown(point: &Point) -> MountEntry {
    table::mount_at(&point.root()).unwrap().expect("the mount in the table")
}

fn has(options: &[String], wanted: &[&str]) -> bool {
    wanted.iter().all(|want| options.iter().any(|option| option == want))
}

#[test]
fn the_mount_table_shows_type_source_and_options() {
    let (point, _device) = Point::new();
    let entry = shown(&point);
    assert_eq!(
        (entry.kind.as_str(), entry.source.to_str()),
        ("fuse.mountpoint-s3", Some("mountpoint-s3"))
    );
    assert_eq!(entry.mount_options, ["rw", "nosuid", "nodev", "relatime"]);
    let wanted = ["rw", "user_id=0", "group_id=0", "default_permissions", "allow_other"];
    assert!(has(&entry.fs_options, &wanted), "{entry:?}");
}

#[test]
fn a_read_only_mount_of_the_owners_is_shown_as_one() {
    let only = MountOptions { read_only: true, access: Access::Owner, uid: 7, gid: 8, ..options() };
    let (point, _device) = Point::with(&only);
    let entry = shown(&point);
    assert_eq!(entry.mount_options, ["ro", "nosuid", "nodev", "relatime"]);
    assert!(has(&entry.fs_options, &["user_id=7", "group_id=8"]), "{entry:?}");
    assert!(!has(&entry.fs_options, &["allow_other"]), "{entry:?}");
}

#[test]
fn unmounting_ends_the_session() {
    let mut mount = Mounted::new(Workload::Prompt);
    std::fs::metadata(mount.path("file-000")).unwrap();
    mount::unmount(&mount.point.root()).unwrap();
    assert!(matches!(mount.running.take().unwrap().wait(), Ended::Unmounted));
    assert_eq!(table::mount_at(&mount.point.root()).unwrap(), None);
}

#[test]
fn a_mount_that_nobody_serves_is_found_and_detached_at_once() {
    let (point, _device) = Point::new();
    assert!(table::mount_at(&point.root()).unwrap().is_some());
    mount::detach(&point.root()).unwrap();
    assert_eq!(table::mount_at(&point.root()).unwrap(), None);
}

#[test]
fn an_aborted_connection_lets_its_callers_go() {
    mount::mount_control().unwrap();
    let mut mount = Mounted::new(Workload::HoldReads);
    let path = mount.path(STUCK);
    let reader = std::thread::spawn(move || std::fs::read(path));
    mount.fs.await_held();
    let connection = mount.point.connection();
    assert!(connection.waiting().unwrap() >= 1);
    connection.abort().unwrap();
    reader.join().unwrap().unwrap_err();
    assert!(matches!(mount.running.take().unwrap().wait(), Ended::Unmounted));
}

#[test]
fn fusermount_mounts_the_same_way() {
    require_fuse();
    let program = OsStr::new("fusermount3");
    let dir = tempfile::tempdir().unwrap();
    let named = MountOptions { source: "s3://a,b\\c".into(), ..options() };
    let device =
        fusermount::mount(program, dir.path(), &named).expect("fusermount3 works (package fuse3)");
    let entry = table::mount_at(dir.path()).unwrap().unwrap();
    assert_eq!(entry.kind, "fuse.mountpoint-s3");
    assert_eq!(entry.source, "s3://a,b\\c");
    assert!(has(&entry.fs_options, &["default_permissions", "allow_other"]), "{entry:?}");
    let session = Session::handshake(device, &Wanted::default()).unwrap();
    let running = start(session, &Memory::new(Workload::Prompt));
    std::fs::metadata(dir.path().join("file-001")).unwrap();
    fusermount::unmount(program, dir.path(), false).unwrap();
    assert!(matches!(running.wait(), Ended::Unmounted));
}

#[test]
fn fusermounts_complaint_is_passed_on() {
    let missing = std::path::Path::new("/nonexistent/point");
    let error = fusermount::mount(OsStr::new("fusermount3"), missing, &options()).unwrap_err();
    let MountError::Fusermount { program, message } = error else { panic!("{error:?}") };
    assert_eq!(program, "fusermount3");
    assert!(message.contains("/nonexistent/point"), "{message}");
    let error = fusermount::mount(OsStr::new("no-such-program"), missing, &options()).unwrap_err();
    assert!(matches!(error, MountError::Fusermount { .. }));
}
