use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tracing_subscriber::fmt::MakeWriter;

use super::file::{FileName, create_in};
use super::line::{LineWriter, escape};
use super::sink::{Direct, Line, Outlet, Queue, Sink, Syslog};
use super::{check_filter, filter};
use crate::log::line::Severity;

#[test]
fn a_name_with_a_newline_cannot_write_a_line_of_its_own() {
    let forged = escape("open \"a\nERROR all is lost\r\u{1b}[31m\u{2028}x\"\n", 1_000);
    assert_eq!(forged, "open \"a\\nERROR all is lost\\r\\u{1b}[31m\\u{2028}x\"");
}

proptest! {
    #[test]
    fn a_line_is_one_line_and_bounded(text in any::<String>(), most in 0usize..100) {
        let line = escape(&text, most);
        prop_assert!(!line.chars().any(char::is_control));
        prop_assert!(line.len() <= most + 16);
    }
}

#[test]
fn the_file_is_named_by_the_time_in_utc() {
    let name = |seconds| FileName::new(object::Time::from_secs(seconds), 0x12ab_cdef);
    assert_eq!(name(0).as_str(), "mountpoint-s3-1970-01-01T00-00-00Z.abcdef.log");
    assert_eq!(name(951_827_696).as_str(), "mountpoint-s3-2000-02-29T12-34-56Z.abcdef.log");
    assert_eq!(name(1_798_761_599).as_str(), "mountpoint-s3-2026-12-31T23-59-59Z.abcdef.log");
}

#[test]
fn directory_and_file_are_made_for_owner_and_group_only() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("a/b");
    let name = FileName::new(object::Time::from_secs(1), 1);
    create_in(&directory, &name).unwrap().write_all(b"one\n").unwrap();
    create_in(&directory, &name).unwrap().write_all(b"two\n").unwrap();
    let file = directory.join(name.as_str());
    assert_eq!(fs::read_to_string(&file).unwrap(), "one\ntwo\n");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(file) & !0o640, 0);
    assert_eq!(mode(directory) & !0o750, 0);
}

#[test]
fn lines_reach_a_file_through_the_queue_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let queue = Arc::new(Queue::start(Sink::File(fs::File::create(&path).unwrap())));
    let writer = LineWriter::new(queue.clone(), false);
    for number in 0..100 {
        writeln!(writer.make_writer(), "line {number}").unwrap();
    }
    queue.drain(Duration::from_secs(10));
    let text = fs::read_to_string(path).unwrap();
    let expected: String = (0..100).map(|number| format!("line {number}\n")).collect();
    assert_eq!(text, expected);
}

#[test]
fn a_log_that_takes_nothing_holds_nobody_up() {
    // The other end never reads: the writing thread blocks as soon as the pipe is full.
    let (stuck, mut reader) = UnixStream::pair().unwrap();
    let file = fs::File::from(std::os::fd::OwnedFd::from(stuck));
    let queue = Queue::start(Sink::File(file));
    let text = "x".repeat(1_000);
    for _ in 0..20_000 {
        queue.deliver(Line { severity: Severity::Info, text: text.clone() });
    }
    // Reading lets it go on, and the loss is told.
    let reading = std::thread::spawn(move || {
        let mut all = String::new();
        let mut buffer = [0; 65_536];
        while !all.contains("log lines were lost") {
            let length = reader.read(&mut buffer).unwrap();
            assert!(length > 0, "the loss was not told");
            all.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
    });
    while !reading.is_finished() {
        queue.deliver(Line { severity: Severity::Info, text: "go on".into() });
        std::thread::yield_now();
    }
    reading.join().unwrap();
}

#[test]
fn the_syslog_gets_priority_tag_and_text_and_a_restart_is_survived() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let outlet = Direct::new(Sink::Syslog(Syslog::new(&path)));
    let line = |text: &str| Line { severity: Severity::Warning, text: text.into() };
    // Nobody listens yet.
    outlet.deliver(line("lost"));
    for text in ["one", "two"] {
        let server = UnixDatagram::bind(&path).unwrap();
        server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        outlet.deliver(line(text));
        let mut buffer = [0; 200];
        let length = server.recv(&mut buffer).unwrap();
        let expected = format!("<12>mount-s3[{}]: {text}", std::process::id());
        assert_eq!(std::str::from_utf8(&buffer[..length]).unwrap(), expected);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_syslog_that_does_not_read_holds_nobody_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let _server = UnixDatagram::bind(&path).unwrap();
    let outlet = Direct::new(Sink::Syslog(Syslog::new(&path)));
    for _ in 0..10_000 {
        outlet.deliver(Line { severity: Severity::Info, text: "x".repeat(500) });
    }
}

#[test]
fn filters_are_checked_before_anything_starts() {
    assert_eq!(check_filter(&filter(false)), Ok(()));
    assert_eq!(check_filter(&filter(true)), Ok(()));
    assert_eq!(check_filter("warn,mount=trace"), Ok(()));
    assert!(check_filter("a=b=c").is_err());
}
