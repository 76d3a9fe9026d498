use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use super::link::{Answer, Link, Request};
use super::{Assignment, Deadline, Place};
use crate::log::FileName;

#[test]
fn an_assignment_survives_the_environment_whatever_the_directorys_name() {
    let directory = OsStr::from_bytes(b"/mnt/\xff\xfe \n\"x\"");
    let place = Place::new(directory.into(), FileName::now());
    for assignment in
        [Assignment::Probe, Assignment::Keeper(place.clone()), Assignment::Daemon(place)]
    {
        let text = serde_json::to_string(&assignment).unwrap();
        assert_eq!(Assignment::read(&text), Some(assignment));
    }
    assert_eq!(Assignment::read("nonsense"), None);
}

#[test]
fn messages_arrive_whole_and_with_their_descriptor() {
    let (keeper, daemon) = Link::pair().unwrap();
    daemon.send(&Request::Mount, None).unwrap();
    daemon.send(&Request::Serving { region: Some("eu-west-1".into()) }, None).unwrap();
    let (first, none) = keeper.receive::<Request>().unwrap().unwrap();
    assert!(first == Request::Mount && none.is_none());
    let (second, _) = keeper.receive::<Request>().unwrap().unwrap();
    assert_eq!(second, Request::Serving { region: Some("eu-west-1".into()) });

    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"the device").unwrap();
    file.rewind().unwrap();
    keeper.send(&Answer::Mounted { connection: 7 }, Some(file.as_fd())).unwrap();
    let (answer, fd) = daemon.receive::<Answer>().unwrap().unwrap();
    assert_eq!(answer, Answer::Mounted { connection: 7 });
    let mut text = String::new();
    File::from(fd.unwrap()).read_to_string(&mut text).unwrap();
    assert_eq!(text, "the device");
}

#[test]
fn the_other_end_sees_a_link_close() {
    let (keeper, daemon) = Link::pair().unwrap();
    drop(daemon);
    assert!(Deadline::after(Duration::from_secs(10)).readable(&[&keeper]).unwrap());
    assert!(keeper.receive::<Request>().unwrap().is_none());
    assert!(keeper.send(&Request::Mount, None).is_err());
}

#[test]
fn a_message_that_is_none_is_an_error_and_no_panic() {
    let (keeper, daemon) = Link::pair().unwrap();
    daemon.send(&"gibberish", None).unwrap();
    assert!(keeper.receive::<Request>().is_err());
    assert!(daemon.send(&"x".repeat(100_000), None).is_err());
}

#[test]
fn a_deadline_passes_when_nothing_comes_and_tells_who_is_ready() {
    let (keeper, daemon) = Link::pair().unwrap();
    assert!(!Deadline::after(Duration::from_millis(5)).readable(&[&keeper]).unwrap());
    daemon.send(&Request::Unmount, None).unwrap();
    assert_eq!(Deadline::never().wait(&[&daemon, &keeper]).unwrap(), [false, true]);
    assert!(!Deadline::never().has_passed() && Deadline::after(Duration::ZERO).has_passed());
}
