//! The process that owns the mount.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fuse::Device;
use fuse::mount::table::{self, Connection};
use rustix::process::{PidfdFlags, pidfd_open};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

use super::link::{Answer, Request};
use super::orphans::Orphans;
use super::{Assignment, Deadline, Link, Place, detach_stdio, start};
use crate::flags::Config;
use crate::log::{self, Delivery};
use crate::message::{Cause, cannot_mount};
use crate::mountpoint;
use crate::state::{Identity, Process, Record, Records};

/// How long the daemon may take until it serves, seconds.
pub(super) const START_SECONDS: u64 = 30;
/// How long files that are still open after unmounting are served.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long after that the daemon may take to throw away what was not published. What it does not
/// get to is in its journal.
const CLEARANCE: Duration = Duration::from_secs(3);
/// How long the end of a daemon may take once it has let go of everything.
const LAST_BREATH: Duration = Duration::from_millis(300);

/// Keeps a mount that outlives the command that made it.
pub(super) fn run_in_background(config: &Config, place: &Place, words: Vec<OsString>) -> ExitCode {
    // A session of its own: neither the terminal nor its signals reach it. It fails for a leader
    // of a process group, which a child just started is not.
    let _ = rustix::process::setsid();
    let audience = match io::stdout().as_fd().try_clone_to_owned() {
        Ok(pipe) => Audience::Launcher(pipe),
        Err(error) => return fail(&Cause::NotStarted(error.to_string()), config),
    };
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null");
    if let Err(error) = null.and_then(|null| Ok(rustix::stdio::dup2_stdout(null)?)) {
        return fail(&Cause::NotStarted(error.to_string()), config);
    }
    run(config, place, words, audience)
}

/// Keeps a mount until it ends or Ctrl-C is pressed.
pub(super) fn run_in_foreground(config: &Config, place: &Place, words: Vec<OsString>) -> ExitCode {
    run(config, place, words, Audience::Terminal)
}

fn fail(cause: &Cause, config: &Config) -> ExitCode {
    tracing::error!("{cause:?}");
    crate::complain(cannot_mount(cause, config));
    ExitCode::FAILURE
}

fn run(config: &Config, place: &Place, words: Vec<OsString>, audience: Audience) -> ExitCode {
    // A name is for people; a process without one works as well.
    let _ = rustix::thread::set_name(c"mount-s3-keeper");
    // It is for the daemon; here it would end the mount when it is sent to all of our name.
    let _ = signal_hook::flag::register(SIGUSR1, Arc::default());
    // A log that cannot be opened is reported by the daemon, which needs it more.
    let sink = log::open(&config.log, &place.log_file).unwrap_or(log::Sink::Nowhere);
    let _log = log::start(&config.log, sink, Delivery::Immediate);
    match Keeper::start(config, place, words, audience) {
        Ok(mut keeper) => keeper.tend(),
        Err(error) => fail(&Cause::NotStarted(error.to_string()), config),
    }
}

/// A socket that gets a byte for every SIGTERM, SIGINT and SIGHUP.
pub(super) fn signals() -> io::Result<UnixStream> {
    let (signals, write) = UnixStream::pair()?;
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
    }
    Ok(signals)
}

/// Who is told that the mount serves.
enum Audience {
    /// The launcher, by a byte on its pipe.
    Launcher(OwnedFd),
    /// The user, by a line.
    Terminal,
    /// Nobody any more.
    Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Serving,
    /// The end was asked for, or enforced.
    Stopping,
    /// Nobody is served any more; the daemon has what it does at its end to do.
    Clearing,
    /// Killed; the last wait.
    Killed,
}

/// The mount while there is one. The device is held beside the daemon's, so that a daemon's
/// death alone does not end the connection: how it ends is decided here.
struct Mount {
    device: Device,
    connection: Connection,
}

struct Keeper<'a> {
    config: &'a Config,
    records: Records,
    daemon: Child,
    link: Link,
    signals: UnixStream,
    orphans: Orphans,
    audience: Audience,
    phase: Phase,
    deadline: Deadline,
    mount: Option<Mount>,
}

impl<'a> Keeper<'a> {
    fn start(
        config: &'a Config,
        place: &Place,
        words: Vec<OsString>,
        audience: Audience,
    ) -> io::Result<Self> {
        let signals = signals()?;
        let orphans = Orphans::watch()?;
        let (link, theirs) = Link::pair()?;
        let daemon = start(&Assignment::Daemon(place.clone()), "mount-s3", words)
            .stdin(Stdio::from(theirs.into_fd()))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()?;
        // Only after the daemon was started: it reads relative paths from where the user was.
        std::env::set_current_dir("/")?;
        let uid = rustix::process::geteuid().as_raw();
        Ok(Self {
            config,
            records: Records::of_user(uid, config.runtime_directory.as_deref()),
            daemon,
            link,
            signals,
            orphans,
            audience,
            phase: Phase::Starting,
            deadline: Deadline::after(Duration::from_secs(START_SECONDS)),
            mount: None,
        })
    }

    /// Does what comes until the daemon has ended, then cleans up.
    fn tend(&mut self) -> ExitCode {
        loop {
            let mut sources: Vec<&dyn AsFd> = vec![&self.link, &self.signals, &self.orphans];
            if let Audience::Launcher(pipe) = &self.audience {
                sources.push(pipe);
            }
            let ready = self.deadline.wait(&sources).unwrap_or_else(|error| {
                tracing::error!("waiting failed: {error}");
                self.deadline = Deadline::after(Duration::ZERO);
                Vec::new()
            });
            let is_ready = |index: usize| ready.get(index).copied().unwrap_or(false);
            if is_ready(0) {
                match self.link.receive::<Request>() {
                    Ok(Some((request, _))) => self.obey(request),
                    Ok(None) | Err(_) => return self.end(),
                }
            } else if is_ready(1) {
                // How many signals came does not matter.
                let _ = self.signals.read(&mut [0; 16]);
                self.stop();
            } else if is_ready(2) {
                self.orphans.bury(self.daemon.id());
            } else if is_ready(3) {
                tracing::warn!("the command that waited for the mount is gone");
                self.audience = Audience::Told;
                self.stop();
            } else if self.deadline.has_passed() && self.give_up() {
                return self.end();
            }
        }
    }

    fn obey(&mut self, request: Request) {
        match request {
            Request::Mount => self.mount(),
            Request::Serving { region } => self.announce(region),
            Request::Unmount => self.stop(),
        }
    }

    fn mount(&mut self) {
        let answer = match self.make_mount() {
            Ok(mount) => {
                let connection = mount.connection.number;
                self.record(mount.connection, None);
                let answer = Answer::Mounted { connection };
                let sent = self.link.send(&answer, Some(mount.device.as_fd()));
                self.mount = Some(mount);
                sent
            }
            Err(cause) => {
                let problem = cannot_mount(&cause, self.config);
                let answer = Answer::Refused(problem.what, problem.why, problem.fix);
                self.link.send(&answer, None)
            }
        };
        if let Err(error) = answer {
            tracing::error!("the daemon cannot be answered: {error}");
        }
    }

    fn make_mount(&self) -> Result<Mount, Cause> {
        if self.phase != Phase::Starting || self.mount.is_some() {
            return Err(Cause::UnmountFailed("the mount is about to end".into()));
        }
        let directory = &self.config.directory;
        // The launcher looked a while ago, and the kernel would put one mount above the other.
        let _turn = self.records.turn();
        let there = table::mount_at(directory).ok().flatten();
        if there.is_some_and(|entry| !mountpoint::is_fillable(&entry)) {
            return Err(Cause::Overtaken);
        }
        let device = mountpoint::mount(self.config).map_err(Cause::Mount)?;
        match table::mount_at(directory).map(|entry| entry.and_then(|e| e.connection())) {
            Ok(Some(connection)) => Ok(Mount { device, connection }),
            _ => {
                let _ = mountpoint::detach(directory);
                Err(Cause::DirectoryUnusable("the mount table does not show the mount".into()))
            }
        }
    }

    fn record(&self, connection: Connection, region: Option<String>) {
        let written = Process::of(std::process::id())
            .and_then(|keeper| Ok((keeper, Process::of(self.daemon.id())?)))
            .and_then(|(keeper, daemon)| {
                let directory = self.config.directory.display().to_string();
                let identity = Identity::of(self.config);
                let record = Record { keeper, daemon, directory, identity, region };
                self.records.write(connection, &record)
            });
        if let Err(error) = written {
            tracing::warn!("the record of this mount cannot be written: {error}");
        }
    }

    /// The mount serves: says so, and lets go of the user's terminal.
    fn announce(&mut self, region: Option<String>) {
        let Some(mount) = &self.mount else { return };
        self.record(mount.connection, region);
        if self.phase == Phase::Starting {
            self.phase = Phase::Serving;
            self.deadline = Deadline::never();
        }
        match std::mem::replace(&mut self.audience, Audience::Told) {
            Audience::Launcher(pipe) => {
                if let Err(error) = detach_stdio(true) {
                    tracing::warn!("the terminal is still held: {error}");
                }
                if rustix::io::write(&pipe, b"s").is_err() {
                    self.stop();
                }
            }
            Audience::Terminal => crate::say(&format!(
                "{} is mounted at {}\n",
                self.config.subject(),
                self.config.directory.display()
            )),
            Audience::Told => {}
        }
    }

    /// Begins the end: the mount leaves the tree; files that are open are served a little longer.
    fn stop(&mut self) {
        if matches!(self.phase, Phase::Stopping | Phase::Clearing | Phase::Killed) {
            return;
        }
        self.phase = Phase::Stopping;
        self.deadline = Deadline::after(FAREWELL);
        if self.mount.is_none() {
            // Nothing is served yet, so nothing can be lost.
            let _ = self.daemon.kill();
            return;
        }
        let directory = &self.config.directory;
        if let Err(why) = mountpoint::unmount(directory) {
            tracing::warn!("{} is still in use and detached: {why}", directory.display());
            if let Err(error) = mountpoint::detach(directory) {
                tracing::error!("{} stays mounted: {error}", directory.display());
            }
        }
    }

    /// What was waited for did not come. `true` when nothing more can be done.
    fn give_up(&mut self) -> bool {
        match self.phase {
            Phase::Starting => {
                let cause = Cause::TooSlow(START_SECONDS);
                crate::complain(cannot_mount(&cause, self.config));
                self.serve_no_more();
            }
            Phase::Serving => self.serve_no_more(),
            Phase::Stopping => {
                self.phase = Phase::Clearing;
                self.deadline = Deadline::after(CLEARANCE);
                self.serve_no_more();
                return false;
            }
            Phase::Clearing => {}
            Phase::Killed => return true,
        }
        self.phase = Phase::Killed;
        self.deadline = Deadline::after(FAREWELL);
        let _ = self.daemon.kill();
        false
    }

    /// Has the kernel answer everybody with an error. Where fusectl is missing, the death of the
    /// daemon and of our device does the same.
    fn serve_no_more(&self) {
        if let Some(mount) = &self.mount {
            let _ = mount.connection.abort();
        }
    }

    /// The daemon is gone: nothing of the mount may stay behind.
    fn end(&mut self) -> ExitCode {
        let status = self.status();
        let clean = status.is_some_and(|status| status.success());
        let served = matches!(self.audience, Audience::Told);
        if let Some(mount) = self.mount.take() {
            self.release(mount, clean);
        }
        let asked_for = matches!(self.phase, Phase::Stopping | Phase::Clearing);
        if !clean && !asked_for {
            let how = status.map_or("it does not end".into(), |status| status.to_string());
            tracing::error!("the daemon ended: {how}");
            // A daemon that ends by itself has said why; one that was killed for being late
            // was spoken for.
            let silent = status.is_some_and(|s| s.signal().is_some() || s.code() != Some(1));
            if !served && silent && self.phase != Phase::Killed {
                crate::complain(cannot_mount(&Cause::DaemonDied(how), self.config));
            }
        }
        if served && (clean || asked_for) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// How the daemon ended; `None` when its process is not quite gone yet.
    fn status(&mut self) -> Option<ExitStatus> {
        let pid = i32::try_from(self.daemon.id()).ok().and_then(rustix::process::Pid::from_raw)?;
        // Its files are closed before it ends. Kernels without pidfds (before 5.3) are waited for.
        if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) {
            let ended = Deadline::after(LAST_BREATH).readable(&[&pidfd]);
            if !ended.unwrap_or(false) {
                return None;
            }
        }
        self.daemon.wait().ok()
    }

    /// Takes the mount away. After a clean end it is gone already, and its number may have been
    /// given to a mount that followed, ours or another's: the record tells whose that is.
    fn release(&self, mount: Mount, clean: bool) {
        let record = self.records.read(mount.connection);
        let ours = record.is_none_or(|record| record.keeper.pid == std::process::id());
        if ours && !clean {
            // Everybody who waits for an answer gets an error now.
            let _ = mount.connection.abort();
            let directory = &self.config.directory;
            let still = table::mount_at(directory).ok().flatten().and_then(|e| e.connection());
            if still == Some(mount.connection)
                && let Err(error) = mountpoint::detach(directory)
            {
                tracing::error!("{} stays mounted: {error}", directory.display());
            }
        }
        if ours {
            self.records.remove(mount.connection);
        }
        // Without fusectl, closing the last descriptor is what ends the connection.
        drop(mount.device);
    }
}
