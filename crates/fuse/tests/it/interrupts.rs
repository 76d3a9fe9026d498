//! INTERRUPT: by the protocol on the stand-in, and by real signals on a real mount.

use crate::fake::{self, Answer, STATFS};
use crate::memory::{Mounted, STUCK, Workload};
use fuse::Delivery;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::os::unix::thread::JoinHandleExt;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

/// A pid that no process has any more.
fn gone() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    pid
}

#[test]
fn a_killed_callers_request_is_answered_and_its_handler_told() {
    let (kernel, device) = fake::pair();
    let (sender, replies) = channel();
    let (told, news) = channel();
    let (sender, told) = (Mutex::new(sender), Mutex::new(told));
    let (_running, control) = fake::serve(device, 2, move |_, reply| {
        let told = told.lock().unwrap().clone();
        reply.on_interrupt(move || told.send(()).unwrap());
        sender.lock().unwrap().send(reply).unwrap();
    });
    kernel.read(20, gone());
    let reply = replies.recv_timeout(PATIENCE).unwrap();
    assert!(reply.is_awaited());
    kernel.interrupt(20);
    assert_eq!(kernel.answer(), Answer { error: -libc::EINTR, unique: 20, body: vec![] });
    news.recv_timeout(PATIENCE).unwrap();
    assert!(!reply.is_awaited());
    assert_eq!(reply.entry(&fuse::Entry::default()), Delivery::Lost);
    assert_eq!(control.in_flight(), 0);
}

#[test]
fn a_living_callers_request_stays_until_it_is_answered() {
    let (kernel, device) = fake::pair();
    let (sender, replies) = channel();
    let sender = Mutex::new(sender);
    let (_running, _) = fake::serve(device, 2, move |_, reply| {
        sender.lock().unwrap().send(reply).unwrap();
    });
    kernel.read(22, std::process::id());
    let alive = replies.recv_timeout(PATIENCE).unwrap();
    kernel.interrupt(22);
    // A second request that is freed after the first was looked at shows that it was spared.
    kernel.read(24, gone());
    let _dead = replies.recv_timeout(PATIENCE).unwrap();
    kernel.interrupt(24);
    assert_eq!(kernel.answer().unique, 24);
    assert!(alive.is_awaited());
    alive.data(&[b"bytes"]);
    assert_eq!(kernel.answer(), Answer { error: 0, unique: 22, body: b"bytes".to_vec() });
}

#[test]
fn a_read_by_an_unknown_caller_is_let_go_after_two_seconds_and_nothing_else_is() {
    let (kernel, device) = fake::pair();
    let (sender, replies) = channel();
    let sender = Mutex::new(sender);
    let (_running, control) = fake::serve(device, 2, move |_, reply| {
        sender.lock().unwrap().send(reply).unwrap();
    });
    kernel.send(STATFS, 26, &[]);
    kernel.read(28, 0);
    let _held: Vec<_> = (0..2).map(|_| replies.recv_timeout(PATIENCE).unwrap()).collect();
    let begun = now();
    kernel.interrupt(26);
    kernel.interrupt(28);
    let answer = kernel.answer();
    let waited = begun.elapsed();
    assert_eq!((answer.error, answer.unique), (-libc::EINTR, 28));
    assert!(waited >= Duration::from_secs(2), "let go after {waited:?}");
    assert_eq!(control.in_flight(), 1);
}

#[test]
fn an_interrupt_that_overtakes_its_request_is_asked_for_again() {
    let (kernel, device) = fake::pair();
    let (_running, _) = fake::serve(device, 1, |_, reply| reply.ok());
    kernel.interrupt(40);
    assert_eq!(kernel.answer(), Answer { error: -libc::EAGAIN, unique: 41, body: vec![] });
}

/// Starts a program that will wait for a held request, and waits until it does.
fn waiting(mount: &Mounted, program: &str, arguments: &[&str]) -> Child {
    let path = mount.path(STUCK);
    let arguments = arguments.iter().map(|argument| argument.replace("FILE", &path));
    let child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    mount.fs.await_held();
    child
}

/// How long a killed child takes to be gone. One that stays is let go, to fail the test.
fn time_to_die(mount: &Mounted, mut child: Child) -> Duration {
    let (gone, news) = channel();
    let begun = now();
    child.kill().unwrap();
    let watch = std::thread::spawn(move || {
        child.wait().unwrap();
        gone.send(begun.elapsed()).unwrap();
    });
    let took = news.recv_timeout(PATIENCE);
    mount.fs.release_held();
    watch.join().unwrap();
    took.expect("the killed program is gone within 10 s")
}

/// Kills 20 waiting programs. The machine may be busy, so two stragglers are forgiven.
fn check_killed(workload: Workload, program: &str, arguments: &[&str]) {
    let mount = Mounted::new(workload);
    let mut times: Vec<_> =
        (0..20).map(|_| time_to_die(&mount, waiting(&mount, program, arguments))).collect();
    times.sort();
    println!("{program}: median {:?}, worst {:?}", times[10], times[19]);
    assert!(times[17] < Duration::from_millis(50), "{times:?}");
    assert!(times[19] < Duration::from_secs(2), "{times:?}");
}

#[test]
fn a_killed_reader_of_a_direct_read_is_gone_at_once() {
    check_killed(Workload::HoldReads, "dd", &["if=FILE", "iflag=direct", "bs=4096"]);
}

#[test]
fn a_killed_stat_is_gone_at_once() {
    check_killed(Workload::HoldLookups, "stat", &["FILE"]);
}

#[test]
fn a_killed_open_is_gone_at_once() {
    check_killed(Workload::HoldOpens, "cat", &["FILE"]);
}

#[test]
fn a_kill_that_follows_a_harmless_signal_is_noticed() {
    let mount = Mounted::new(Workload::HoldReads);
    let child = waiting(&mount, "dd", &["if=FILE", "iflag=direct", "bs=4096"]);
    // dd prints its progress on SIGUSR1: the kernel's one INTERRUPT is spent on it.
    // SAFETY: plain integers.
    unsafe { libc::kill(child.id().cast_signed(), libc::SIGUSR1) };
    await_killable(child.id());
    let took = time_to_die(&mount, child);
    assert!(took < Duration::from_millis(500), "{took:?}");
}

/// Waits until the kernel, having sent its INTERRUPT, waits for nothing but SIGKILL: such a
/// thread shows state D.
fn await_killable(pid: u32) {
    for _ in 0..1000 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        if stat.contains(") D ") {
            return;
        }
        pause(Duration::from_millis(5));
    }
    panic!("the signal did not reach the waiting thread");
}

extern "C" fn ignore(_signal: libc::c_int) {}

/// Gives SIGALRM a handler that does nothing and has system calls restarted.
fn restart_after_alarms() {
    let handler: extern "C" fn(libc::c_int) = ignore;
    // SAFETY: a valid sigaction with a handler that does nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        assert_eq!(libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()), 0);
    }
}

#[test]
fn a_restarting_signal_handler_sees_no_eintr() {
    restart_after_alarms();
    let mount = Mounted::new(Workload::HoldReads);
    let path = mount.path(STUCK);
    let reader = std::thread::spawn(move || {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).custom_flags(libc::O_DIRECT).open(path)?;
        let mut buffer = vec![0; 4096];
        file.read(&mut buffer).map(|length| (length, buffer))
    });
    mount.fs.await_held();
    for _ in 0..60 {
        // SAFETY: the thread is not joined yet, so its id is valid.
        unsafe { libc::pthread_kill(reader.as_pthread_t(), libc::SIGALRM) };
        pause(Duration::from_millis(5));
    }
    mount.fs.answer_held();
    let (length, buffer) = reader.join().unwrap().expect("no EINTR");
    assert_eq!(length, 4096);
    assert_eq!(buffer, crate::memory::content(0, 4096));
}

#[test]
fn a_storm_of_signals_neither_loses_nor_fails_a_read() {
    restart_after_alarms();
    let mount = Mounted::new(Workload::Prompt);
    let readers: Vec<_> = (0..4)
        .map(|index| {
            let path = mount.path(&format!("file-00{index}"));
            std::thread::spawn(move || {
                let mut options = OpenOptions::new();
                let file = options.read(true).custom_flags(libc::O_DIRECT).open(path).unwrap();
                let mut buffer = vec![0; 4096];
                for round in 0..2000u64 {
                    let offset = round % 1000 * 4096;
                    assert_eq!(file.read_at(&mut buffer, offset).unwrap(), 4096);
                    assert!(buffer == crate::memory::content(offset, 4096));
                }
            })
        })
        .collect();
    while readers.iter().any(|reader| !reader.is_finished()) {
        for reader in &readers {
            // SAFETY: no thread is joined yet, so the ids are valid.
            unsafe { libc::pthread_kill(reader.as_pthread_t(), libc::SIGALRM) };
        }
        std::thread::yield_now();
    }
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    // The files' RELEASEs may still be on their way.
    for _ in 0..2000 {
        if mount.control.in_flight() == 0 {
            return;
        }
        pause(Duration::from_millis(5));
    }
    panic!("{} requests were forgotten", mount.control.in_flight());
}

fn pause(time: Duration) {
    let (_keep, never) = channel::<()>();
    let _ = never.recv_timeout(time);
}

#[allow(clippy::disallowed_methods, reason = "the kernel acts in real time")]
fn now() -> Instant {
    Instant::now()
}
