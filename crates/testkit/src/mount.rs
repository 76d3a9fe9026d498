//! One running `mount-s3` under test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::process::{Ran, run, until};
use crate::server::Server;

/// The variable by which every process of one mount is found, whatever its name is.
const MARK: &str = "TESTKIT_MOUNT";

/// Unmounted means: no process is left within this time.
const GOODBYE: Duration = Duration::from_secs(10);

static MOUNTS: AtomicU32 = AtomicU32::new(0);

/// What is mounted where, not started yet.
#[derive(Debug)]
pub struct Start {
    binary: PathBuf,
    mark: String,
    scratch: TempDir,
    directory: PathBuf,
    environment: Vec<(String, String)>,
    words: Vec<String>,
}

impl Start {
    /// `binary` is the `mount-s3` under test. Fails where this machine cannot mount.
    pub fn new(binary: &str, server: &Server) -> Self {
        demand_a_kernel();
        let scratch = tempfile::tempdir().expect("a directory can be made");
        let directory = scratch.path().join("mnt");
        std::fs::create_dir(&directory).expect("the mount point can be made");
        let number = MOUNTS.fetch_add(1, Ordering::Relaxed);
        let environment = server.environment();
        Self {
            binary: binary.into(),
            mark: format!("{}-{number}", std::process::id()),
            directory,
            scratch,
            environment: environment.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
            words: ["--endpoint-url", server.endpoint(), "--force-path-style"]
                .map(str::to_owned)
                .into(),
        }
    }

    /// Adds words to the command line.
    #[must_use]
    pub fn words(mut self, words: &[&str]) -> Self {
        self.words.extend(words.iter().map(|&word| word.to_owned()));
        self
    }

    /// Sets a variable of the environment, which otherwise has only `PATH` and credentials.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes a variable out of the environment.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.environment.retain(|(set, _)| set != name);
        self
    }

    /// Mounts at this directory instead of a fresh one.
    #[must_use]
    pub fn at(mut self, directory: &Path) -> Self {
        directory.clone_into(&mut self.directory);
        self
    }

    /// The mount point.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A command of the binary with the environment of this mount and no words yet.
    pub fn bare(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env(MARK, &self.mark).envs(self.environment.iter().cloned());
        command
    }

    /// The command that mounts `bucket`, logging into a directory of its own.
    pub fn command(&self, bucket: &str) -> Command {
        let mut command = self.bare();
        command.arg(bucket).arg(&self.directory).args(&self.words);
        command.arg("--log-directory").arg(self.logs());
        command
    }

    fn logs(&self) -> PathBuf {
        self.scratch.path().join("log")
    }

    /// What the log says so far.
    pub fn log(&self) -> String {
        let Ok(files) = std::fs::read_dir(self.logs()) else { return String::new() };
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(entry.ok()?.path()).ok()
        };
        files.filter_map(read).collect()
    }

    /// The processes of this mount that are alive.
    pub fn processes(&self) -> Vec<u32> {
        let mark = format!("{MARK}={}", self.mark);
        let marked = |pid: &u32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes())
        };
        pids().filter(marked).collect()
    }

    /// Mounts in the background: answers when the command has returned and succeeded.
    #[track_caller]
    pub fn mount(self, bucket: &str) -> Mount {
        let ran = run(&mut self.command(bucket));
        assert!(ran.code == Some(0), "mount-s3 failed: {ran:#?}\nlog:\n{}", self.log());
        let mount = Mount { start: self, left: false };
        assert!(is_mounted(mount.directory()), "nothing is mounted: {ran:#?}");
        mount
    }

    /// A start that has to fail: runs it, sees that nothing is mounted and no process is
    /// left, and answers how it ended.
    #[track_caller]
    pub fn refused(self, bucket: &str) -> Ran {
        let ran = run(&mut self.command(bucket));
        self.assert_nothing_is_left();
        ran
    }

    /// Panics where the directory is a mount or a process is left.
    #[track_caller]
    pub fn assert_nothing_is_left(&self) {
        assert!(!is_mounted(&self.directory), "{} is mounted", self.directory.display());
        until("every process has ended", GOODBYE, || self.processes().is_empty());
    }
}

/// A mounted bucket. Dropping it unmounts it, and panics where a process stays behind or
/// the log tells of a panic.
#[derive(Debug)]
pub struct Mount {
    start: Start,
    left: bool,
}

impl Mount {
    /// The mount point.
    pub fn directory(&self) -> &Path {
        self.start.directory()
    }

    /// A path under the mount point.
    pub fn path(&self, key: &str) -> PathBuf {
        self.directory().join(key)
    }

    /// How it was started.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// The daemon: the process whose parent is the keeper.
    #[track_caller]
    pub fn daemon(&self) -> u32 {
        let processes = self.start.processes();
        let child = processes.iter().find(|&&pid| processes.contains(&parent(pid)));
        *child.unwrap_or_else(|| panic!("no daemon among {processes:?}"))
    }

    /// The keeper: the daemon's parent.
    #[track_caller]
    pub fn keeper(&self) -> u32 {
        parent(self.daemon())
    }

    /// Says that the test itself ends this mount; dropping it only checks that it is gone.
    pub fn leave_to_the_test(&mut self) {
        self.left = true;
    }

    fn end(&self) -> Result<(), String> {
        if !self.left && is_mounted(self.directory()) {
            let _ = unmount(self.directory(), UnmountFlags::DETACH);
        }
        let gone = || !is_mounted(self.directory()) && self.start.processes().is_empty();
        let deadline = std::time::Instant::now() + GOODBYE;
        while !gone() {
            if std::time::Instant::now() > deadline {
                return Err(self.clear_away());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let log = self.start.log();
        match log.lines().find(|line| line.contains("panicked")) {
            Some(line) => Err(format!("the log tells of a panic: {line}")),
            None => Ok(()),
        }
    }

    /// Ends by force what did not end by itself; what that was.
    fn clear_away(&self) -> String {
        let processes = self.start.processes();
        let mounted = is_mounted(self.directory());
        let _ = unmount(self.directory(), UnmountFlags::DETACH);
        for &pid in &processes {
            kill(pid, Signal::KILL);
        }
        format!("left behind: processes {processes:?}, mounted: {mounted}")
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let ended = self.end();
        if std::thread::panicking() {
            eprintln!("{:?}\nlog:\n{}", ended, tail(&self.start.log()));
            return;
        }
        assert!(ended.is_ok(), "{ended:?}\nlog:\n{}", tail(&self.start.log()));
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc can be listed");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// The parent of a process; 0 where it is gone.
fn parent(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    line.and_then(|pid| pid.trim().parse().ok()).unwrap_or(0)
}

/// Sends a signal to a process, which may be gone.
pub fn kill(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let _ = pid.map(|pid| kill_process(pid, signal));
}

/// The line of a mount point in `/proc/mounts`.
pub fn mount_line(directory: &Path) -> Option<String> {
    let wanted = directory.to_str().expect("test paths are text");
    let mounts = std::fs::read_to_string("/proc/mounts").expect("/proc/mounts can be read");
    let line = mounts.lines().rev().find(|line| line.split(' ').nth(1) == Some(wanted));
    line.map(str::to_owned)
}

/// Whether something is mounted at a directory. Never asks the mount itself.
pub fn is_mounted(directory: &Path) -> bool {
    mount_line(directory).is_some()
}

fn demand_a_kernel() {
    assert!(rustix::process::geteuid().is_root(), "these tests mount: run them as root");
    assert!(
        Path::new("/dev/fuse").exists(),
        "these tests need /dev/fuse: modprobe fuse; in a container --device /dev/fuse --cap-add SYS_ADMIN"
    );
}
