//! A stand-in for the kernel's side of `/dev/fuse`: a SEQPACKET socket keeps message borders.

use fuse::{Control, Device, Handler, InitState, Reply, Request, Running, Session, Wanted};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

pub(crate) const STATFS: u32 = 17;
pub(crate) const INIT: u32 = 26;
pub(crate) const INTERRUPT: u32 = 36;
pub(crate) const FORGET: u32 = 2;
pub(crate) const READ: u32 = 15;
pub(crate) const WRITE: u32 = 16;

/// The kernel's end.
pub(crate) struct Kernel(File);

/// One answer: error (0 or negative), the request's number, and the body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) error: i32,
    pub(crate) unique: u64,
    pub(crate) body: Vec<u8>,
}

/// Both ends of a fresh connection.
pub(crate) fn pair() -> (Kernel, Device) {
    let mut fds = [0; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: room for two descriptors.
    let result = unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) };
    assert_eq!(result, 0);
    let patience = libc::timeval { tv_sec: 10, tv_usec: 0 };
    let size = size_of_val(&patience) as libc::socklen_t;
    // SAFETY: the option is a timeval of that size; both descriptors are ours.
    let (kernel, device) = unsafe {
        let option = (&raw const patience).cast();
        libc::setsockopt(fds[0], libc::SOL_SOCKET, libc::SO_RCVTIMEO, option, size);
        (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1]))
    };
    (Kernel(kernel.into()), Device::from_fd(device))
}

/// Sets a device to non-blocking mode, as an event loop that had it before may have left it.
pub(crate) fn set_nonblocking(device: &Device) {
    let fd = device.as_fd().as_raw_fd();
    // SAFETY: an open descriptor and integers.
    let result = unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_RDWR | libc::O_NONBLOCK) };
    assert_eq!(result, 0);
}

impl Kernel {
    pub(crate) fn send_as(&self, pid: u32, opcode: u32, unique: u64, body: &[u8]) {
        let mut bytes = Vec::new();
        bytes.extend((40 + body.len() as u32).to_ne_bytes());
        bytes.extend(opcode.to_ne_bytes());
        bytes.extend(unique.to_ne_bytes());
        bytes.extend(1u64.to_ne_bytes());
        for word in [1000, 100, pid, 0] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(body);
        assert_eq!((&self.0).write(&bytes).unwrap(), bytes.len());
    }

    pub(crate) fn send(&self, opcode: u32, unique: u64, body: &[u8]) {
        self.send_as(0, opcode, unique, body);
    }

    pub(crate) fn read(&self, unique: u64, pid: u32) {
        self.send_as(pid, READ, unique, &[0; 40]);
    }

    pub(crate) fn interrupt(&self, unique: u64) {
        self.send(INTERRUPT, unique | 1, &unique.to_ne_bytes());
    }

    /// The next answer; fails after 10 s.
    pub(crate) fn answer(&self) -> Answer {
        let mut bytes = vec![0; 2 << 20];
        // A socket with a deadline is not restarted after a signal, and other tests' children
        // end with SIGCHLD.
        let length = loop {
            match (&self.0).read(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result.expect("an answer within 10 s"),
            }
        };
        bytes.truncate(length);
        assert!(length >= 16, "an answer without a header: {bytes:?}");
        assert_eq!(u32::from_ne_bytes(bytes[..4].try_into().unwrap()) as usize, length);
        Answer {
            error: i32::from_ne_bytes(bytes[4..8].try_into().unwrap()),
            unique: u64::from_ne_bytes(bytes[8..16].try_into().unwrap()),
            body: bytes.split_off(16),
        }
    }

    pub(crate) fn offer(&self, minor: u32) {
        let mut body = Vec::new();
        for word in [7, minor, 131_072, u32::MAX, u32::MAX] {
            body.extend(word.to_ne_bytes());
        }
        body.resize(64, 0);
        self.send(INIT, 2, &body);
    }

    /// Whether the peer still reads; room in its queue is not looked at.
    pub(crate) fn fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

/// A handler from a closure.
pub(crate) struct Closure<F>(pub(crate) F);

impl<F: Fn(Request<'_>, Reply) + Send + Sync + 'static> Handler for Closure<F> {
    fn handle(&self, request: Request<'_>, reply: Reply) {
        (self.0)(request, reply);
    }
}

/// An INIT result as a real handshake gives it.
pub(crate) fn init_state() -> InitState {
    let (kernel, device) = pair();
    kernel.offer(45);
    *Session::handshake(device, &Wanted::default()).unwrap().init()
}

/// A session on the stand-in, served by `workers` threads.
pub(crate) fn serve(
    device: Device,
    workers: usize,
    handler: impl Fn(Request<'_>, Reply) + Send + Sync + 'static,
) -> (Running, Control) {
    let session = Session::adopt(device, init_state());
    let workers = NonZeroUsize::new(workers).unwrap();
    let running = session.start(workers, Arc::new(Closure(handler))).unwrap();
    let control = running.control();
    (running, control)
}
