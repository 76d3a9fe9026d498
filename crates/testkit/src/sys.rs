//! The three system calls that no safe interface offers: mapping a file, a signal that
//! interrupts one thread again and again, and memory that `O_DIRECT` accepts.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A mapped file. Its bytes are never touched by this process itself, only handed to system
/// calls: a page that cannot be had is then an error, not a SIGBUS.
#[derive(Debug)]
pub struct Mapping {
    address: *mut libc::c_void,
    length: usize,
}

impl Mapping {
    /// Maps the first `length` bytes of `file` for reading, shared.
    pub fn of(file: &File, length: usize) -> std::io::Result<Self> {
        Self::new(file, length, libc::PROT_READ, libc::MAP_SHARED)
    }

    /// The same, but a copy of its own from the first change on.
    pub fn private(file: &File, length: usize) -> std::io::Result<Self> {
        Self::new(file, length, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE)
    }

    /// The same, shared, so that what is put there goes to the file.
    pub fn writable(file: &File, length: usize) -> std::io::Result<Self> {
        Self::new(file, length, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED)
    }

    fn new(
        file: &File,
        length: usize,
        protection: libc::c_int,
        flags: libc::c_int,
    ) -> std::io::Result<Self> {
        let (anywhere, fd) = (std::ptr::null_mut(), file.as_raw_fd());
        // SAFETY: a new mapping at an address the kernel chooses; it aliases nothing, and it is
        // unmapped only in Drop.
        let address = unsafe { libc::mmap(anywhere, length, protection, flags, fd, 0) };
        if address == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        Ok(Self { address, length })
    }

    /// Writes `length` mapped bytes from `offset` on to the start of `to`; how many were
    /// written. EFAULT is a page that could not be read.
    pub fn copy_to(&self, offset: usize, length: usize, to: &File) -> std::io::Result<usize> {
        assert!(offset + length <= self.length, "outside the mapping");
        // SAFETY: the range is inside the mapping (asserted), and the kernel checks every
        // page of it before it copies.
        let written =
            unsafe { libc::pwrite(to.as_raw_fd(), self.address.byte_add(offset), length, 0) };
        usize::try_from(written).map_err(|_| std::io::Error::last_os_error())
    }

    /// Puts the first `length` bytes of `from` into the mapping, from `offset` on; how many were
    /// put. EFAULT is a page that could not be written to.
    pub fn copy_from(&self, from: &File, offset: usize, length: usize) -> std::io::Result<usize> {
        assert!(offset + length <= self.length, "outside the mapping");
        // SAFETY: as in `copy_to`; no reference to the mapped bytes exists anywhere.
        let read =
            unsafe { libc::pread(from.as_raw_fd(), self.address.byte_add(offset), length, 0) };
        usize::try_from(read).map_err(|_| std::io::Error::last_os_error())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, and nothing borrows from it.
        unsafe { libc::munmap(self.address, self.length) };
    }
}

static RINGS: AtomicU64 = AtomicU64::new(0);

extern "C" fn ring(_signal: libc::c_int) {
    RINGS.fetch_add(1, Ordering::Relaxed);
}

/// A SIGALRM at the thread that made it, again and again, handled with `SA_RESTART`: a
/// system call that is allowed to restart must never be seen to fail with EINTR.
#[derive(Debug)]
pub struct Alarm {
    stop: Arc<AtomicBool>,
    bell: Option<JoinHandle<()>>,
}

impl Alarm {
    /// Rings every `period` from now on until it is dropped.
    pub fn every(period: Duration) -> Self {
        // SAFETY: an all-zero sigaction is a valid one; the handler only adds to an atomic,
        // which is allowed in a signal handler; gettid and getpid have no preconditions.
        let (process, thread) = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = ring as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART;
            assert!(libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()) == 0);
            (libc::getpid(), libc::gettid())
        };
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let bell = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(period);
                // SAFETY: a signal to a thread of this process; where it is gone, ESRCH.
                unsafe { libc::syscall(libc::SYS_tgkill, process, thread, libc::SIGALRM) };
            }
        });
        Self { stop, bell: Some(bell) }
    }

    /// How often any alarm of this process has rung.
    pub fn rings() -> u64 {
        RINGS.load(Ordering::Relaxed)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(bell) = self.bell.take() {
            let _ = bell.join();
        }
    }
}

/// Bytes whose address is a multiple of 4096, as `O_DIRECT` wants it.
#[derive(Debug)]
pub struct Aligned {
    bytes: Vec<u8>,
    begin: usize,
    length: usize,
}

impl Aligned {
    /// `length` zero bytes.
    pub fn new(length: usize) -> Self {
        const ALIGNMENT: usize = 4096;
        let bytes = vec![0; length + ALIGNMENT];
        let begin = bytes.as_ptr().align_offset(ALIGNMENT);
        Self { bytes, begin, length }
    }

    /// The bytes.
    pub fn get_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.begin..self.begin + self.length]
    }
}
