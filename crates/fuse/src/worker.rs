//! Calling worker threads back from a blocking read.
//!
//! Workers wait in read(2) on the device: one system call per request, and the kernel wakes one
//! of them. The price is that only a signal gets them out. Polling beside a second descriptor
//! instead would add a call to every request and wake all of them each time.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a signal may take to show before it is sent again: it may have come just before
/// the read began.
const PATIENCE: Duration = Duration::from_millis(1);

/// The workers of one session.
#[derive(Debug)]
pub(crate) struct Crew {
    dismissed: AtomicBool,
    threads: Mutex<Vec<libc::pid_t>>,
    left: Condvar,
}

impl Crew {
    /// Also prepares the process: the wake-up signal gets a handler that does nothing.
    pub(crate) fn new() -> io::Result<Crew> {
        catch_wake_signal()?;
        Ok(Crew {
            dismissed: AtomicBool::new(false),
            threads: Mutex::default(),
            left: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<libc::pid_t>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the calling thread a member until the value is dropped.
    pub(crate) fn join(&self) -> Member<'_> {
        unblock_wake_signal();
        let thread = own_id();
        self.lock().push(thread);
        Member { crew: self, thread }
    }

    /// Tells every member to leave, and waits until all have; except for the caller, which
    /// leaves when it comes to it.
    pub(crate) fn dismiss(&self) {
        self.dismissed.store(true, Ordering::SeqCst);
        let own = own_id();
        let mut threads = self.lock();
        while threads.iter().any(|thread| *thread != own) {
            for thread in threads.iter().filter(|thread| **thread != own) {
                // SAFETY: plain integers. The thread exists: it cannot leave while we hold the
                // lock; and the signal's handler is in place.
                unsafe {
                    libc::syscall(libc::SYS_tgkill, libc::getpid(), *thread, wake_signal());
                }
            }
            let waited = self.left.wait_timeout(threads, PATIENCE);
            threads = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A worker's membership.
pub(crate) struct Member<'a> {
    crew: &'a Crew,
    thread: libc::pid_t,
}

impl Member<'_> {
    pub(crate) fn is_dismissed(&self) -> bool {
        self.crew.dismissed.load(Ordering::SeqCst)
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        self.crew.lock().retain(|thread| *thread != self.thread);
        self.crew.left.notify_all();
    }
}

/// A real-time signal that neither the C library nor the Rust runtimes use.
fn wake_signal() -> libc::c_int {
    libc::SIGRTMIN() + 7
}

fn own_id() -> libc::pid_t {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::gettid() }
}

/// Programs that wait for signals in one place block them everywhere else, and threads inherit
/// that: a worker must not.
fn unblock_wake_signal() {
    // SAFETY: a zeroed signal set is valid, and all pointers live for the calls, which cannot
    // fail for a signal number that exists.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, wake_signal());
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
    }
}

extern "C" fn ignore(_signal: libc::c_int) {}

fn catch_wake_signal() -> io::Result<()> {
    let handler: extern "C" fn(libc::c_int) = ignore;
    // SAFETY: a zeroed sigaction is valid: no flags, so that system calls end with EINTR, and
    // an empty mask. The handler does nothing and so is safe in a signal.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as libc::sighandler_t;
        libc::sigaction(wake_signal(), &raw const action, std::ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
