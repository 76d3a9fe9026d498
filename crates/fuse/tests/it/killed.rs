//! Daemons killed with SIGKILL while a program waits for them: the descriptor is held by the
//! test, as a keeper would.

use crate::memory::{Point, content};
use fuse::Device;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

const SIZE: u64 = 8 << 20;
const PATIENCE: Duration = Duration::from_secs(20);
const NEVER: &str = "18446744073709551615";

/// A daemon process, killed in the end.
struct Daemon {
    process: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Daemon {
    fn start(device: &Device, init: &str, hold: &str) -> Daemon {
        let mut process = Command::new(env!("CARGO_BIN_EXE_toyfs"))
            .args([init, hold])
            .stdin(device.duplicate().unwrap().into_fd())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Daemon { process, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the daemon ended early");
        line.trim().to_owned()
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `dd` of the whole file.
fn dd(point: &Point, to: &str) -> Child {
    Command::new("dd")
        .args([&format!("if={}", point.path("file")), &format!("of={to}"), "bs=64K"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The end of a program, or a panic (after letting it go) when there is none.
fn end_of(mut child: Child, point: &Point) -> ExitStatus {
    let (done, news) = channel();
    let watch = std::thread::spawn(move || done.send(child.wait().unwrap()));
    let ended = news.recv_timeout(PATIENCE);
    if ended.is_err() {
        point.connection().abort().unwrap();
    }
    watch.join().unwrap().unwrap();
    ended.expect("the program ends")
}

#[test]
fn a_killed_daemons_reader_gets_every_byte_from_the_successor_fifty_times() {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    for round in 0..50_u64 {
        let (point, device) = Point::new();
        let copy = tempfile::NamedTempFile::new().unwrap();
        // Each round is killed at another place of the file.
        let hold = ((seed + round).wrapping_mul(0x9e37_79b9_7f4a_7c15) % SIZE).to_string();
        let mut first = Daemon::start(&device, "new", &hold);
        let init = first.line();
        let reader = dd(&point, copy.path().to_str().unwrap());
        assert_eq!(first.line(), "holding");
        first.kill();
        let second = Daemon::start(&device, &init, NEVER);
        assert!(end_of(reader, &point).success(), "round {round}, killed at {hold}");
        assert!(std::fs::read(copy.path()).unwrap() == content(0, SIZE as usize), "round {round}");
        second.kill();
    }
}

#[test]
fn without_resend_a_killed_daemons_reader_does_not_hang() {
    let (point, device) = Point::new();
    let copy = tempfile::NamedTempFile::new().unwrap();
    let to = copy.path().to_str().unwrap();
    let mut first = Daemon::start(&device, "new-clone", "1000000");
    let init = first.line();
    let reader = dd(&point, to);
    assert_eq!(first.line(), "holding");
    first.kill();
    // What the dead had read is failed by the kernel; what it had not waits for the successor.
    // So the reader may see an error, or read on, but neither waits for ever nor reads wrongly.
    let _second = Daemon::start(&device, &init, NEVER);
    let ended = end_of(reader, &point);
    let bytes = std::fs::read(to).unwrap();
    assert!(bytes == content(0, bytes.len()));
    assert!(!ended.success() || bytes.len() as u64 == SIZE);
    assert!(end_of(dd(&point, to), &point).success());
    assert!(std::fs::read(to).unwrap() == content(0, SIZE as usize));
}
