//! Where lines end up.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::line::Severity;

/// One line, without its newline.
pub(super) struct Line {
    pub(super) severity: Severity,
    pub(super) text: String,
}

/// Takes lines from whoever logs.
pub(super) trait Outlet: Send + Sync {
    /// Takes a line, or loses it; never fails.
    fn deliver(&self, line: Line);

    /// Waits until the lines taken so far are written, for at most `patience`.
    fn drain(&self, _patience: Duration) {}
}

/// Where lines end up.
#[derive(Debug)]
pub enum Sink {
    /// They do not.
    Nowhere,
    /// On standard error.
    Stderr,
    /// In a file opened for appending.
    File(File),
    /// In the system's log.
    Syslog(Syslog),
}

impl Sink {
    /// The system's log at `/dev/log`, whether or not it is there yet.
    pub fn syslog() -> Self {
        Sink::Syslog(Syslog::new("/dev/log"))
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        match self {
            Sink::Nowhere => Ok(()),
            Sink::Stderr => io::stderr().write_all(format!("{}\n", line.text).as_bytes()),
            // One write per line: several processes append to the same file.
            Sink::File(file) => file.write_all(format!("{}\n", line.text).as_bytes()),
            Sink::Syslog(syslog) => syslog.send(line),
        }
    }
}

/// The system's log, spoken to by datagrams that are lost when it does not take them at once.
///
/// The head has no time in it: the local time zone would be needed, and every syslog daemon
/// stamps what comes without (RFC 3164, 4.3.2).
#[derive(Debug)]
pub struct Syslog {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Syslog {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), socket: None }
    }

    fn connect(path: &Path) -> io::Result<UnixDatagram> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect(path)?;
        Ok(socket)
    }

    /// Sends one line. A log that was restarted is connected to again, once per line.
    fn send(&mut self, line: &Line) -> io::Result<()> {
        /// The facility "user-level messages" (RFC 5424, 6.2.1).
        const USER: u8 = 1 << 3;
        let priority = USER | line.severity as u8;
        let datagram = format!("<{priority}>mount-s3[{}]: {}", std::process::id(), line.text);
        if let Some(socket) = &self.socket {
            match socket.send(datagram.as_bytes()) {
                Ok(_) => return Ok(()),
                Err(full) if full.kind() == io::ErrorKind::WouldBlock => return Err(full),
                Err(_) => self.socket = None,
            }
        }
        let socket = Self::connect(&self.path)?;
        let sent = socket.send(datagram.as_bytes()).map(drop);
        self.socket = Some(socket);
        sent
    }
}

/// Lines written by whoever logs.
pub(super) struct Direct(Mutex<Sink>);

impl Direct {
    pub(super) fn new(sink: Sink) -> Self {
        Self(Mutex::new(sink))
    }
}

impl Outlet for Direct {
    fn deliver(&self, line: Line) {
        if let Ok(mut sink) = self.0.lock() {
            // There is nowhere to complain about the log.
            let _ = sink.write(&line);
        }
    }
}

/// Lines that wait for the writing thread at most.
const WAITING_MAX: usize = 4_096;

enum Work {
    Line(Line),
    /// Everything before this was written: say so.
    Mark(SyncSender<()>),
}

/// Lines written by a thread of their own; when it falls behind, lines are lost and counted.
pub(super) struct Queue {
    work: SyncSender<Work>,
    lost: Arc<AtomicU64>,
}

impl Queue {
    pub(super) fn start(sink: Sink) -> Self {
        let (work, waiting) = sync_channel(WAITING_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lost);
        let thread = std::thread::Builder::new().name("log".into());
        // Without the thread every line is lost and counted: the process still does its work.
        drop(thread.spawn(move || write_all(sink, &waiting, &counter)));
        Self { work, lost }
    }
}

impl Outlet for Queue {
    fn deliver(&self, line: Line) {
        if self.work.try_send(Work::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn drain(&self, patience: Duration) {
        let (mark, written) = sync_channel(1);
        if self.work.try_send(Work::Mark(mark)).is_ok() {
            // Past the deadline the lines are given up.
            let _ = written.recv_timeout(patience);
        }
    }
}

fn write_all(mut sink: Sink, waiting: &Receiver<Work>, lost: &AtomicU64) {
    while let Ok(work) = waiting.recv() {
        let line = match work {
            Work::Line(line) => line,
            Work::Mark(mark) => {
                let _ = mark.send(());
                continue;
            }
        };
        let missing = lost.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let text = format!("{missing} log lines were lost: the log did not keep up");
            if sink.write(&Line { severity: Severity::Warning, text }).is_err() {
                lost.fetch_add(missing, Ordering::Relaxed);
            }
        }
        if sink.write(&line).is_err() {
            lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
