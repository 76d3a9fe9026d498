//! What goes over the wire, byte by byte, with a stand-in for the kernel.

use crate::fake::{self, Answer, FORGET, STATFS, WRITE};
use fuse::{
    Attr, Control, Delivery, DirBuf, DirFormat, Dirent, Ended, Entry, Features, HandshakeError, Op,
    OpenMode, Opened, Reply, Session, Statfs, Timespec, Wanted,
};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// A session whose replies arrive in a channel instead of being answered.
fn held() -> (fake::Kernel, fuse::Running, Receiver<Reply>) {
    let (kernel, device) = fake::pair();
    let (sender, replies): (Sender<Reply>, _) = channel();
    let sender = std::sync::Mutex::new(sender);
    let (running, _) = fake::serve(device, 2, move |_, reply| {
        sender.lock().unwrap().send(reply).unwrap();
    });
    (kernel, running, replies)
}

fn next(replies: &Receiver<Reply>) -> Reply {
    replies.recv_timeout(Duration::from_secs(10)).expect("the request within 10 s")
}

/// What the kernel gets for a request answered by `answer`.
fn answered(answer: impl FnOnce(Reply)) -> Answer {
    let (kernel, _running, replies) = held();
    kernel.send(STATFS, 100, &[]);
    answer(next(&replies));
    let answer = kernel.answer();
    assert_eq!(answer.unique, 100);
    answer
}

#[test]
fn the_handshake_answers_init_with_what_both_sides_have() {
    let (kernel, device) = fake::pair();
    kernel.offer(45);
    let session = Session::handshake(device, &Wanted::default()).unwrap();
    let answer = kernel.answer();
    assert_eq!((answer.error, answer.unique, answer.body.len()), (0, 2, 64));
    let flags = 1 | 1 << 5 | 1 << 13 | 1 << 18 | 1 << 22 | 1 << 25 | 1 << 30;
    assert_eq!(answer.body[..16], words(&[7, 45, 131_072, flags]));
    assert_eq!(answer.body[16..28], words(&[64 | 48 << 16, 1 << 20, 1]));
    assert_eq!(answer.body[28..40], words(&[256, 1 << 5 | 1 << 7, 1]));
    assert!(session.init().features.has(Features::RESEND));
}

#[test]
fn a_connection_in_use_is_not_taken_for_a_fresh_one() {
    let (kernel, device) = fake::pair();
    kernel.send(STATFS, 8, &[]);
    let error = Session::handshake(device, &Wanted::default()).unwrap_err();
    assert!(matches!(error, HandshakeError::NotInit));
    assert_eq!(kernel.answer(), Answer { error: -libc::EIO, unique: 8, body: vec![] });
}

#[test]
fn an_ancient_kernel_is_told_so() {
    let (kernel, device) = fake::pair();
    kernel.offer(12);
    let error = Session::handshake(device, &Wanted::default()).unwrap_err();
    assert!(matches!(error, HandshakeError::Version { major: 7, minor: 12 }));
    assert_eq!(kernel.answer().error, -libc::EPROTO);
}

#[test]
fn an_adopted_session_serves_without_init() {
    let (kernel, device) = fake::pair();
    let (_running, _) = fake::serve(device, 1, |request, reply| {
        assert_eq!((request.uid, request.nodeid), (1000, 1));
        reply.statfs(&Statfs { blocks: 5, frsize: 4096, ..Statfs::default() });
    });
    kernel.send(STATFS, 30, &[]);
    let answer = kernel.answer();
    assert_eq!((answer.error, answer.unique, answer.body.len()), (0, 30, 80));
    assert_eq!(answer.body[..8], 5u64.to_ne_bytes());
    assert_eq!(answer.body[48..52], 4096u32.to_ne_bytes());
}

#[test]
fn an_entry_keeps_nodeid_and_inode_number_apart() {
    let mtime = Timespec { seconds: -1, nanos: 5 };
    let attr = Attr { ino: 0xabcd, size: 10, mode: 0o100_444, mtime, ..Attr::default() };
    let ttl = Duration::from_millis(2500);
    let entry = Entry { nodeid: 77, generation: 1, ttl, attr, attr_ttl: Duration::MAX };
    let body = answered(|reply| assert_eq!(reply.entry(&entry), Delivery::Done)).body;
    assert_eq!(body.len(), 128);
    let long = |at: usize| u64::from_ne_bytes(body[at..at + 8].try_into().unwrap());
    assert_eq!((long(0), long(8), long(16)), (77, 1, 2));
    assert_eq!(long(24), u64::from(u32::MAX));
    assert_eq!(body[32..36], 500_000_000u32.to_ne_bytes());
    assert_eq!((long(40), long(48), long(72).cast_signed()), (0xabcd, 10, -1));
    assert_eq!(body[100..104], 0o100_444u32.to_ne_bytes());
}

#[test]
fn an_opened_file_and_a_listing_are_packed_for_the_kernel() {
    let opened = Opened { fh: 6, mode: OpenMode::Cached { keep: true }, no_flush: false };
    let body = answered(|reply| assert_eq!(reply.opened(&opened), Delivery::Done)).body;
    assert_eq!(body, words(&[6, 0, 2, 0]));
    let mut listing = DirBuf::new(DirFormat::Readdir, 4096);
    let name = Dirent { ino: 3, next_offset: 1, kind: libc::DT_REG, name: b"ab" };
    listing.push(&name, None).unwrap();
    let body = answered(|reply| assert_eq!(reply.dirents(&listing), Delivery::Done)).body;
    assert_eq!(body, [words(&[3, 0, 1, 0, 2, 8]), b"ab\0\0\0\0\0\0".to_vec()].concat());
}

#[test]
fn data_in_any_number_of_parts_is_one_message() {
    for count in [0, 1, 15, 16, 17, 1022, 1023, 1024, 3000] {
        let parts: Vec<Vec<u8>> = (0..count).map(|n: u32| n.to_ne_bytes().to_vec()).collect();
        let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let answer = answered(|reply| reply.data(&slices));
        assert_eq!((answer.error, answer.body == parts.concat()), (0, true), "{count} parts");
    }
}

#[test]
fn an_error_is_negative_on_the_wire_and_always_one_the_kernel_takes() {
    assert_eq!(answered(|reply| reply.error(libc::ENOENT)).error, -libc::ENOENT);
    for odd in [0, -5, 512, i32::MIN, i32::MAX] {
        assert_eq!(answered(|reply| reply.error(odd)).error, -libc::EIO);
    }
}

#[test]
fn a_reply_dropped_unused_answers_eio() {
    assert_eq!(answered(drop).error, -libc::EIO);
}

#[test]
fn a_panic_in_the_handler_fails_one_request_only() {
    let (kernel, device) = fake::pair();
    let (_running, _) = fake::serve(device, 1, |request, reply| {
        assert_ne!(request.unique, 50, "a bug");
        reply.ok();
    });
    kernel.send(STATFS, 50, &[]);
    assert_eq!(kernel.answer(), Answer { error: -libc::EIO, unique: 50, body: vec![] });
    kernel.send(STATFS, 52, &[]);
    assert_eq!(kernel.answer().error, 0);
}

#[test]
fn malformed_arguments_are_answered_and_the_session_goes_on() {
    let (kernel, device) = fake::pair();
    let (_running, _) = fake::serve(device, 1, |_, reply| reply.ok());
    kernel.send(1, 60, b"no final NUL");
    assert_eq!(kernel.answer(), Answer { error: -libc::EIO, unique: 60, body: vec![] });
    kernel.send(STATFS, 62, &[]);
    assert_eq!((kernel.answer().unique, 0), (62, 0));
}

#[test]
fn forgets_are_handed_over_and_never_answered() {
    let (kernel, device) = fake::pair();
    let (sender, forgotten) = channel();
    let sender = std::sync::Mutex::new(sender);
    let (_running, control) = fake::serve(device, 1, move |request, reply| match request.op {
        Op::Forget { lookups } => sender.lock().unwrap().send(lookups).unwrap(),
        _ => reply.ok(),
    });
    kernel.send(FORGET, 70, &3u64.to_ne_bytes());
    kernel.send(STATFS, 72, &[]);
    assert_eq!(kernel.answer().unique, 72);
    assert_eq!(forgotten.try_recv(), Ok(3));
    assert_eq!(control.in_flight(), 0);
}

#[test]
fn a_resent_request_is_marked_and_its_number_echoed() {
    let (kernel, device) = fake::pair();
    let (_running, _) = fake::serve(device, 1, |request, reply| {
        assert!(request.resent);
        reply.ok();
    });
    let unique = 80 | 1 << 63;
    kernel.send(STATFS, unique, &[]);
    assert_eq!(kernel.answer(), Answer { error: 0, unique, body: vec![] });
}

#[test]
fn resend_is_sixteen_bytes_and_only_where_it_was_agreed_upon() {
    let (kernel, device) = fake::pair();
    let session = Session::adopt(device, fake::init_state());
    session.resend().unwrap();
    assert_eq!(kernel.answer(), Answer { error: 7, unique: 0, body: vec![] });
    let mut masked = fake::init_state();
    masked.features = masked.features.without(Features::RESEND);
    let session = Session::adopt(fake::pair().1, masked);
    assert!(session.resend().is_err());
}

#[test]
fn notifications_are_laid_out_as_the_kernel_reads_them() {
    let (kernel, device) = fake::pair();
    let session = Session::adopt(device, fake::init_state());
    let notifier = session.notifier().unwrap();
    notifier.inval_inode(5, 4096, -1).unwrap();
    notifier.inval_entry(1, b"abc").unwrap();
    notifier.delete(1, 5, b"abc").unwrap();
    notifier.forget_names().unwrap();
    let inode = [5u64.to_ne_bytes(), 4096u64.to_ne_bytes(), (-1i64).to_ne_bytes()].concat();
    assert_eq!(kernel.answer(), Answer { error: 2, unique: 0, body: inode });
    let entry = [words(&[1, 0, 3, 0]), b"abc\0".to_vec()].concat();
    assert_eq!(kernel.answer(), Answer { error: 3, unique: 0, body: entry });
    let delete = [words(&[1, 0, 5, 0, 3, 0]), b"abc\0".to_vec()].concat();
    assert_eq!(kernel.answer(), Answer { error: 6, unique: 0, body: delete });
    assert_eq!(kernel.answer(), Answer { error: 8, unique: 0, body: vec![] });
}

#[test]
fn workers_leave_when_stopped_and_late_answers_still_arrive() {
    let (kernel, running, replies) = held();
    let control = running.control();
    kernel.send(STATFS, 90, &[]);
    let reply = next(&replies);
    control.stop();
    assert_eq!(control.in_flight(), 1);
    assert!(matches!(running.wait(), Ended::Stopped));
    reply.ok();
    assert_eq!(kernel.answer(), Answer { error: 0, unique: 90, body: vec![] });
}

#[test]
fn abandoned_requests_are_left_for_a_successor() {
    let (kernel, running, replies) = held();
    let control = running.control();
    kernel.send(STATFS, 92, &[]);
    let reply = next(&replies);
    control.stop();
    assert_eq!(control.abandon(), 1);
    assert!(!reply.is_awaited());
    drop(reply);
    let mut byte = 0u8;
    let flags = libc::MSG_DONTWAIT;
    // SAFETY: room for one byte.
    let got = unsafe { libc::recv(kernel.fd(), (&raw mut byte).cast(), 1, flags) };
    assert!(got <= 0, "an abandoned request was answered");
}

#[test]
fn the_session_ends_when_the_other_side_does() {
    let (kernel, device) = fake::pair();
    let (running, _) = fake::serve(device, 3, |_, reply| reply.ok());
    drop(kernel);
    assert!(matches!(running.wait(), Ended::Unmounted));
}

#[test]
fn a_device_in_non_blocking_mode_is_waited_for() {
    let (kernel, device) = fake::pair();
    fake::set_nonblocking(&device);
    let (running, control) = fake::serve(device, 2, |_, reply| reply.ok());
    for unique in [102, 104, 106] {
        kernel.send(STATFS, unique, &[]);
        assert_eq!(kernel.answer().unique, unique);
    }
    control.stop();
    assert!(matches!(running.wait(), Ended::Stopped));
}

#[test]
fn workers_can_be_stopped_where_all_signals_are_blocked() {
    let blocked = std::thread::spawn(|| {
        // SAFETY: a zeroed set is valid and lives for the calls.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
        }
        let (kernel, device) = fake::pair();
        let (running, control) = fake::serve(device, 2, |_, reply| reply.ok());
        kernel.send(STATFS, 108, &[]);
        assert_eq!(kernel.answer().unique, 108);
        control.stop();
        running.wait()
    });
    assert!(matches!(blocked.join().unwrap(), Ended::Stopped));
}

#[test]
fn a_handler_may_stop_its_own_session() {
    let (kernel, device) = fake::pair();
    let own: Arc<OnceLock<Control>> = Arc::default();
    let seen = own.clone();
    let (running, control) = fake::serve(device, 2, move |_, reply| {
        if let Some(control) = seen.get() {
            control.stop();
        }
        reply.ok();
    });
    let _ = own.set(control);
    kernel.send(STATFS, 110, &[]);
    assert_eq!(kernel.answer().unique, 110);
    assert!(matches!(running.wait(), Ended::Stopped));
}

#[test]
fn a_write_that_comes_again_is_marked_and_carries_its_bytes() {
    let (kernel, device) = fake::pair();
    let (sender, seen) = channel();
    let sender = std::sync::Mutex::new(sender);
    let (_running, _) = fake::serve(device, 1, move |request, reply| {
        let Op::Write { fh, offset, data, from_cache, .. } = request.op else { panic!("no WRITE") };
        let write = (request.resent, fh, offset, data.to_vec(), from_cache);
        sender.lock().unwrap().send(write).unwrap();
        reply.written(data.len() as u32);
    });
    let bytes = vec![7; 1 << 16];
    for (unique, resent) in [(80, false), (80 | 1 << 63, true)] {
        let arguments = words(&[5, 0, 0, 256, 1 << 16, 0, 0, 0, 0, 0]);
        kernel.send(WRITE, unique, &[arguments, bytes.clone()].concat());
        let answer = kernel.answer();
        assert_eq!((answer.error, answer.unique, answer.body), (0, unique, words(&[1 << 16, 0])));
        assert_eq!(seen.try_recv(), Ok((resent, 5, 256 << 32, bytes.clone(), false)));
    }
}

#[test]
fn a_created_file_is_an_entry_and_an_open_handle_in_one_answer() {
    let entry = Entry { nodeid: 9, ..Entry::default() };
    let mode = OpenMode::Direct { parallel_writes: false };
    let opened = Opened { fh: 6, mode, no_flush: false };
    let body = answered(|reply| assert_eq!(reply.created(&entry, &opened), Delivery::Done)).body;
    assert_eq!(body.len(), 128 + 16);
    assert_eq!((&body[..8], &body[128..]), (&words(&[9, 0])[..], &words(&[6, 0, 1, 0])[..]));
}
