//! INTERRUPT: lets killed callers go, and only them.
//!
//! The kernel sends one INTERRUPT per request, at the first signal of any kind; answering the
//! request with EINTR then would break programs whose signal handlers restart system calls. So
//! a thread of its own looks whether the caller has SIGKILL pending (every fatal signal becomes
//! one, and so does the end of the process), and looks again while the request is unanswered.

use crate::pending::Caller;
use crate::reply::Channel;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often callers that were signalled are looked at.
const TICK: Duration = Duration::from_millis(10);
/// After which a READ whose caller cannot be looked at is let go.
const UNKNOWN_READ: Duration = Duration::from_secs(2);

/// What is known about a signalled caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// SIGKILL is pending, or the thread is gone.
    Killed,
    /// It goes on when the request is answered.
    Alive,
    /// Its pid is not known here.
    Unknown,
}

/// One INTERRUPT that was not settled at once.
#[derive(Clone, Copy, Debug)]
struct Watched {
    unique: u64,
    since: Instant,
    /// The request was not in the table at the first look.
    missed: bool,
}

#[derive(Debug, Default)]
struct State {
    watched: Vec<Watched>,
    closed: bool,
}

/// The set of signalled, unanswered requests.
#[derive(Debug, Default)]
pub(crate) struct Interrupts {
    state: Mutex<State>,
    wake: Condvar,
}

impl Interrupts {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in an INTERRUPT; called by the workers.
    pub(crate) fn push(&self, unique: u64) {
        self.lock().watched.push(Watched { unique, since: now(), missed: false });
        self.wake.notify_one();
    }

    /// Ends [`Interrupts::run`].
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// The body of the watching thread: asleep while nothing is watched.
    pub(crate) fn run(&self, channel: &Arc<Channel>, pids_known: bool) {
        let mut watched: Vec<Watched> = Vec::new();
        loop {
            let mut state = self.lock();
            if state.watched.is_empty() && !state.closed {
                state = if watched.is_empty() {
                    self.wake.wait(state).unwrap_or_else(PoisonError::into_inner)
                } else {
                    let timed = self.wake.wait_timeout(state, TICK);
                    timed.unwrap_or_else(PoisonError::into_inner).0
                };
            }
            if state.closed {
                return;
            }
            watched.append(&mut state.watched);
            drop(state);
            watched.retain_mut(|one| look(one, channel, pids_known));
        }
    }
}

/// Looks once; false when there is nothing more to watch.
fn look(watched: &mut Watched, channel: &Arc<Channel>, pids_known: bool) -> bool {
    let Some(caller) = channel.pending.caller(watched.unique) else {
        // Answered meanwhile, or the INTERRUPT overtook its request, which another worker is
        // about to register. EAGAIN has the kernel send the INTERRUPT again if the request still
        // exists; it is ignored (ENOENT) if not.
        if watched.missed {
            let unique = watched.unique | crate::abi::UNIQUE_INTERRUPT;
            let _ = channel.device.write_header(unique, -libc::EAGAIN);
        }
        return !std::mem::replace(&mut watched.missed, true);
    };
    watched.missed = false;
    let fate = if pids_known { fate_of(caller.pid) } else { Fate::Unknown };
    if !frees(fate, caller, now().duration_since(watched.since)) {
        return true;
    }
    if let Some((unique, hook)) = channel.pending.claim_unique(watched.unique) {
        let _ = channel.device.write_header(unique, -libc::EINTR);
        if let Some(hook) = hook {
            hook();
        }
    }
    false
}

/// The rule: who is answered with EINTR, `waited` after the INTERRUPT.
fn frees(fate: Fate, caller: Caller, waited: Duration) -> bool {
    match fate {
        Fate::Killed => true,
        Fate::Alive => false,
        Fate::Unknown => caller.reads && waited >= UNKNOWN_READ,
    }
}

fn fate_of(pid: u32) -> Fate {
    if pid == 0 {
        return Fate::Unknown;
    }
    match std::fs::read_to_string(format!("/proc/{pid}/status")) {
        Ok(status) => fate_in(&status),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Fate::Killed,
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Fate::Killed,
        Err(_) => Fate::Unknown,
    }
}

/// Reads a thread's fate from the text of its `/proc/TID/status`, see proc(5).
fn fate_in(status: &str) -> Fate {
    let pending = status
        .lines()
        .filter_map(|line| line.strip_prefix("SigPnd:").or(line.strip_prefix("ShdPnd:")))
        .map(|mask| u64::from_str_radix(mask.trim(), 16));
    let mut seen = false;
    for mask in pending {
        match mask {
            Ok(mask) if mask & 1 << (libc::SIGKILL - 1) != 0 => return Fate::Killed,
            Ok(_) => seen = true,
            Err(_) => return Fate::Unknown,
        }
    }
    if seen { Fate::Alive } else { Fate::Unknown }
}

/// The pid namespace of this process, as the inode of its `/proc` link; 0 if unknown.
pub(crate) fn own_pid_namespace() -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |link| link.ino())
}

/// Whether pids from the namespace `origin` mean the same under this process's `/proc`.
pub(crate) fn pids_known(origin: u64) -> bool {
    let procfs_is_ours = std::fs::read_link("/proc/self")
        .is_ok_and(|link| link.as_os_str() == std::process::id().to_string().as_str());
    origin != 0 && origin == own_pid_namespace() && procfs_is_ours
}

#[allow(clippy::disallowed_methods, reason = "the kernel's callers live in real time")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
