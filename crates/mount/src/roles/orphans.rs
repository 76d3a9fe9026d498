//! Burying orphans, which the first process of a container inherits.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use signal_hook::consts::SIGCHLD;

/// The dead children that are not ours: what a probe started before it was killed, for example.
/// Unless process 1 asks how they ended they stay in the table of processes for ever.
#[derive(Debug)]
pub(super) struct Orphans {
    deaths: UnixStream,
    /// Never written to where orphans are another process's business.
    _silence: Option<UnixStream>,
}

impl Orphans {
    /// Watches for orphans in process 1; elsewhere there are none.
    ///
    /// # Errors
    /// No descriptors are left.
    pub(super) fn watch() -> io::Result<Self> {
        let (deaths, write) = UnixStream::pair()?;
        if std::process::id() != 1 {
            return Ok(Self { deaths, _silence: Some(write) });
        }
        signal_hook::low_level::pipe::register(SIGCHLD, write)?;
        Ok(Self { deaths, _silence: None })
    }

    /// Buries those who died. The end of `child` is left for whoever waits for it.
    pub(super) fn bury(&mut self, child: u32) {
        // How many died is not said by the number of signals.
        let _ = self.deaths.read(&mut [0; 16]);
        // Orphans are given to the first thread, and this process has one only.
        let children = std::fs::read_to_string("/proc/self/task/1/children").unwrap_or_default();
        let adopted = children.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok());
        for pid in adopted.filter(|pid| u32::try_from(*pid) != Ok(child)) {
            if let Some(pid) = Pid::from_raw(pid) {
                // One that lives is passed by.
                let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
            }
        }
    }
}

impl AsFd for Orphans {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.deaths.as_fd()
    }
}
