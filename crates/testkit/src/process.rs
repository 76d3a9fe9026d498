//! Child processes that are bounded in time and never outlive their parent.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// The exit code; None after a signal.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Ran {
    /// Standard output of a command that had to succeed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.code == Some(0), "the command failed: {self:#?}");
        self.stdout
    }

    /// Both outputs, one after the other.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs a command to its end, for at most a minute.
#[track_caller]
pub fn run(command: &mut Command) -> Ran {
    run_within(command, Duration::from_secs(60))
}

/// Runs a command to its end; panics where it takes longer than `limit`. Its outputs count
/// as ended only when every process that holds them has let go of them.
#[track_caller]
pub fn run_within(command: &mut Command, limit: Duration) -> Ran {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    let group = pid_of(&child);
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(limit) {
        Ok(output) => output.expect("its output can be read").into(),
        Err(_) => {
            let where_it_was = kernel_stack(group);
            let _ = kill_process_group(group, Signal::KILL);
            panic!("{command:?} did not end within {limit:?}; it was in\n{where_it_was}");
        }
    }
}

/// The name of a process, and where in the kernel it is: whether it waits for the mount under
/// test or for something else, as a slow disk.
fn kernel_stack(pid: Pid) -> String {
    let read = |file: &str| {
        let path = format!("/proc/{}/{file}", pid.as_raw_nonzero());
        std::fs::read_to_string(path).unwrap_or_else(|error| format!("{error}\n"))
    };
    format!("{}{}", read("comm"), read("stack"))
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Waits until `happened` is true; panics after `limit`, saying what was waited for.
#[track_caller]
pub fn until(what: &str, limit: Duration, mut happened: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
    begun.elapsed()
}

/// A child process that ends with its parent, whatever ends the parent: a shell holds the
/// other end of a pipe and kills it at end of file.
#[derive(Debug)]
pub struct Leash {
    shell: Child,
    hold: Option<ChildStdin>,
}

const KENNEL: &str = r#""$@" </dev/null & child=$!; cat >/dev/null; kill -9 $child; wait $child"#;

impl Leash {
    /// Starts `command` on a leash; its outputs go to `log`.
    pub fn start(command: &Command, log: &std::path::Path) -> std::io::Result<Self> {
        let output = std::fs::File::create(log)?;
        let mut shell = Command::new("sh");
        shell.args(["-c", KENNEL, "kennel"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let mut shell = shell
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()?;
        let hold = shell.stdin.take();
        Ok(Self { shell, hold })
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        drop(self.hold.take());
        let _ = self.shell.wait();
    }
}
