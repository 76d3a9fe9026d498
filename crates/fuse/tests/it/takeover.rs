//! A successor goes on with the connection of a session that is gone.

use crate::memory::{Memory, Point, SIZE, STUCK, Workload, content, start};
use fuse::{Features, InitState, ResendError, Session, Wanted};
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

/// Reads the stuck file in another thread, past the page cache.
fn reader(point: &Point) -> JoinHandle<io::Result<Vec<u8>>> {
    let path = point.path(STUCK);
    std::thread::spawn(move || {
        let mut file = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map(|_| bytes)
    })
}

#[test]
fn a_successor_answers_what_its_predecessor_left_behind() {
    for _ in 0..10 {
        let (point, device) = Point::new();
        let keeper = device.duplicate().unwrap();
        let first = Memory::new(Workload::HoldReads);
        let session = Session::handshake(device, &Wanted::default()).unwrap();
        let stored = session.init().to_bytes();
        let running = start(session, &first);
        let reader = reader(&point);
        first.await_held();
        running.control().stop();
        assert!(running.control().abandon() >= 1);
        drop((running, first));

        let init = InitState::from_bytes(&stored).unwrap();
        let session = Session::adopt(keeper, init);
        session.resend().expect("a kernel with RESEND (6.9 or later)");
        let second = Memory::new(Workload::Prompt);
        let _running = start(session, &second);
        assert!(reader.join().unwrap().unwrap() == content(0, SIZE as usize));
        assert!(second.count("resent") >= 1);
        drop(point);
    }
}

#[test]
fn an_interrupt_sent_before_the_takeover_still_frees_the_killed() {
    let (point, device) = Point::new();
    let keeper = device.duplicate().unwrap();
    let first = Memory::new(Workload::HoldReads);
    let session = Session::handshake(device, &Wanted::default()).unwrap();
    let init = *session.init();
    let running = start(session, &first);
    let input = format!("if={}", point.path(STUCK));
    let mut child = std::process::Command::new("dd")
        .args([&input, "iflag=direct", "bs=4096", "of=/dev/null"])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    first.await_held();
    running.control().stop();
    running.control().abandon();
    drop((running, first));
    child.kill().unwrap();

    let session = Session::adopt(keeper, init);
    session.resend().unwrap();
    let second = Memory::new(Workload::HoldReads);
    let _running = start(session, &second);
    let (gone, news) = channel();
    let watch = std::thread::spawn(move || gone.send(child.wait().unwrap()).unwrap());
    let status = news.recv_timeout(Duration::from_secs(10));
    second.release_held();
    watch.join().unwrap();
    assert!(!status.expect("the killed program is gone within 10 s").success());
    drop(point);
}

#[test]
fn without_resend_a_cloned_device_fails_what_was_left_behind_and_nobody_hangs() {
    let (point, keeper) = Point::new();
    let default = Wanted::default();
    let features = default.features.without(Features::RESEND);
    let wanted = Wanted { features, ..default };
    let session = Session::handshake(keeper.duplicate().unwrap(), &wanted).unwrap();
    assert!(matches!(session.resend(), Err(ResendError::Unsupported)));
    let init = *session.init();
    drop(session);

    let first = Memory::new(Workload::HoldReads);
    let running = start(Session::adopt(keeper.clone_connection().unwrap(), init), &first);
    let left = reader(&point);
    first.await_held();
    running.control().stop();
    running.control().abandon();
    drop((running, first));
    let error = left.join().unwrap().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ECONNABORTED));

    let second = Memory::new(Workload::Prompt);
    let _running = start(Session::adopt(keeper.clone_connection().unwrap(), init), &second);
    assert!(reader(&point).join().unwrap().unwrap() == content(0, SIZE as usize));
    drop(point);
}
