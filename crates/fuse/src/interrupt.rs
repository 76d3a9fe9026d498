//! INTERRUPT: lets killed callers go, and only them.
//!
//! The kernel sends one INTERRUPT per request, at the first signal of any kind; answering the
//! request with EINTR then would break programs whose signal handlers restart system calls. So
//! a thread of its own looks whether the caller has SIGKILL pending (every fatal signal becomes
//! one, and so does the end of the process), and looks again while the request is unanswered.
//!
//! A FLUSH can have a caller that is dead already: the kernel closes the files of a process that
//! a signal ended, and waits for each FLUSH in a state that nothing but its answer ends. After
//! SIGKILL that signal is still pending, and is seen as above; after any other, SIGTERM or a
//! crash, it is not. So the caller of a FLUSH that is not answered at once is looked at, once.
//! One that ended by itself waits, as for any close.

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

/// One INTERRUPT that was not settled at once, or one FLUSH.
#[derive(Clone, Copy, Debug)]
struct Watched {
    unique: u64,
    /// When the INTERRUPT came; without one, this is a FLUSH.
    since: Option<Instant>,
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
        self.watch(Watched { unique, since: Some(now()), missed: false });
    }

    /// Takes in a FLUSH that was not answered at once; called by the workers.
    pub(crate) fn push_flush(&self, unique: u64) {
        self.watch(Watched { unique, since: None, missed: false });
    }

    fn watch(&self, watched: Watched) {
        self.lock().watched.push(watched);
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
    let Some(since) = watched.since else {
        let caller = channel.pending.caller(watched.unique).filter(|_| pids_known);
        if caller.is_some_and(|caller| was_killed(caller.pid)) {
            free(watched.unique, channel);
        }
        return false;
    };
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
    if !frees(fate, caller, now().duration_since(since)) {
        return true;
    }
    free(watched.unique, channel);
    false
}

/// Answers the request with EINTR, and tells its handler.
fn free(unique: u64, channel: &Arc<Channel>) {
    if let Some((unique, hook)) = channel.pending.claim_unique(unique) {
        let _ = channel.device.write_header(unique, -libc::EINTR);
        if let Some(hook) = hook {
            hook();
        }
    }
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

/// Whether a thread that closes its files does so because a signal killed it.
fn was_killed(pid: u32) -> bool {
    pid != 0 && std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| killed_in(&s))
}

/// Reads from the text of `/proc/TID/stat`, see proc(5), whether the thread is on its way out
/// (bit 2 of field 9, `PF_EXITING`) by a signal (the lower seven bits of field 52, the exit code,
/// which is 0 for those who may not see it).
fn killed_in(stat: &str) -> bool {
    // The name in field 2 may hold blanks and parentheses.
    let Some((_, fields)) = stat.rsplit_once(')') else { return false };
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let exiting = number(9).is_some_and(|flags| flags & 4 != 0);
    exiting && number(52).is_some_and(|code| code & 0x7f != 0)
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
