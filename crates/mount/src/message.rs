//! Failures as people read them: what failed, why, and the command that fixes it.

mod store;

use std::fmt;

use fuse::mount::MountError;

use crate::flags::{Config, SourceConfig, Usage};
use crate::log::LogError;

/// A failure, ready to be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What failed.
    pub what: String,
    /// Why.
    pub why: String,
    /// What to do about it.
    pub fix: String,
}

impl Problem {
    fn new(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), fix: fix.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one_line = |text: &str| crate::log::one_line(text);
        writeln!(f, "mount-s3: {}", one_line(&self.what))?;
        writeln!(f, "  why: {}", one_line(&self.why))?;
        writeln!(f, "  fix: {}", one_line(&self.fix))
    }
}

impl std::error::Error for Problem {}

impl From<&Usage> for Problem {
    fn from(usage: &Usage) -> Self {
        Problem::new("the command line makes no sense", usage.to_string(), usage.fix())
    }
}

/// The causes of failures that are told around a mount, apart from those that the store brings.
#[derive(Debug)]
pub enum Cause {
    /// The directory does not exist.
    DirectoryMissing,
    /// It is something else.
    NotADirectory,
    /// It cannot be looked at.
    DirectoryUnusable(String),
    /// Another file system is mounted on it.
    ForeignMount {
        /// Type of that file system.
        kind: String,
        /// What is mounted.
        source: String,
    },
    /// A mount of ours is there that differs, with how.
    OtherMount(String),
    /// A mount of ours is there and nobody knows which.
    UnknownMount,
    /// A mount of ours is there and does not answer.
    HungMount,
    /// A dead mount is there and cannot be taken away.
    DeadMountStays(String),
    /// Somebody else has just mounted there.
    Overtaken,
    /// Nothing is mounted there.
    NotMounted,
    /// The mount is in use, by these processes.
    Busy(Vec<String>),
    /// Unmounting failed.
    UnmountFailed(String),
    /// The processes of the mount did not end.
    ProcessesStay(Vec<u32>),
    /// Mounting failed.
    Mount(MountError),
    /// `/dev/fuse` does not exist.
    NoFuse,
    /// `/dev/fuse` is there and cannot be opened.
    FuseDenied(String),
    /// A process of ours could not be started.
    NotStarted(String),
    /// So few files may be open that no mount can be served.
    FewFiles {
        /// The limit.
        allowed: u64,
        /// What a mount needs.
        needed: u64,
    },
    /// The mount did not serve within this many seconds.
    TooSlow(u64),
    /// The daemon ended before it served, and did not say why.
    DaemonDied(String),
}

impl Cause {
    /// The failure to do `what` with `directory` for this cause.
    pub fn problem(&self, what: &str, directory: &std::path::Path) -> Problem {
        let d = directory.display();
        let umount = format!("mount-s3 umount {d}");
        let (why, fix) = match self {
            Cause::DirectoryMissing => {
                ("the directory does not exist".into(), format!("mkdir -p {d}"))
            }
            Cause::NotADirectory => {
                ("it is a file, not a directory".into(), "give an existing directory".into())
            }
            Cause::DirectoryUnusable(why) => (why.clone(), format!("ls -ld {d}")),
            Cause::ForeignMount { kind, source } => (
                format!("{source} (type {kind}) is mounted there"),
                format!("umount {d}, or give another directory"),
            ),
            Cause::OtherMount(how) => (format!("another mount of ours is there: {how}"), umount),
            Cause::UnknownMount => {
                ("a mount is there already, and no record tells what it shows".into(), umount)
            }
            Cause::HungMount => ("a mount of ours is there and does not answer".into(), umount),
            Cause::DeadMountStays(why) => (
                format!("a dead mount is there and cannot be taken away: {why}"),
                format!("sudo umount -l {d}"),
            ),
            Cause::Overtaken => (
                "another command has just mounted there".into(),
                "run it again: the same mount is welcome, another one is named".into(),
            ),
            Cause::NotMounted => {
                ("nothing is mounted there".into(), "findmnt -t fuse.mountpoint-s3".into())
            }
            Cause::Busy(who) => (busy(who), format!("end them, or: {umount} --lazy")),
            Cause::UnmountFailed(why) => (why.clone(), format!("sudo umount -l {d}")),
            Cause::ProcessesStay(pids) => {
                let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
                (
                    format!("its processes have not ended: {}", pids.join(" ")),
                    format!("kill -9 {}", pids.join(" ")),
                )
            }
            Cause::Mount(error) => mount_refused(error, directory),
            Cause::NoFuse => no_fuse(),
            Cause::FuseDenied(why) => fuse_denied(why),
            Cause::NotStarted(why) => (
                format!("a process of ours could not be started: {why}"),
                "check limits and memory: ulimit -u; free -m".into(),
            ),
            Cause::FewFiles { allowed, needed } => few_files(*allowed, *needed),
            Cause::TooSlow(seconds) => (
                format!("it did not serve within {seconds} seconds"),
                "see what it waits for: run it again with --foreground --debug".into(),
            ),
            Cause::DaemonDied(how) => (
                format!("the daemon ended: {how}"),
                "run it again with --foreground --debug".into(),
            ),
        };
        Problem::new(what, why, fix)
    }
}

fn no_fuse() -> (String, String) {
    (
        "/dev/fuse does not exist: this kernel or container has no FUSE".into(),
        "modprobe fuse; in a container: --device /dev/fuse --cap-add SYS_ADMIN".into(),
    )
}

fn fuse_denied(why: &str) -> (String, String) {
    (
        format!("/dev/fuse cannot be opened: {why}"),
        "run as root, or chmod 0666 /dev/fuse; in a container add --device /dev/fuse".into(),
    )
}

fn few_files(allowed: u64, needed: u64) -> (String, String) {
    (
        format!("only {allowed} files may be open, and a mount needs {needed}"),
        "raise the limit: ulimit -n 4096; in a systemd unit: LimitNOFILE=4096; in a container: \
         --ulimit nofile=4096"
            .into(),
    )
}

fn busy(who: &[String]) -> String {
    if who.is_empty() {
        return "it is in use".into();
    }
    format!("it is in use by {}", who.join(", "))
}

fn mount_refused(error: &MountError, directory: &std::path::Path) -> (String, String) {
    let mut why = error.to_string();
    let cause = std::error::Error::source(error).map(ToString::to_string);
    if let Some(cause) = &cause {
        why = format!("{why}: {cause}");
    }
    let fix = match error {
        MountError::Device(e) if e.kind() == std::io::ErrorKind::NotFound => return no_fuse(),
        MountError::Device(_) => "run as root; in a container: --device /dev/fuse".into(),
        MountError::MountPoint(_) => format!("ls -ld {}", directory.display()),
        MountError::Fusermount { message, .. } if message.contains("user_allow_other") => {
            "echo user_allow_other | sudo tee -a /etc/fuse.conf, or drop --allow-other".into()
        }
        MountError::Fusermount { message, .. } if message.contains("no write access") => {
            format!("give a directory of your own: ls -ld {}; or run as root", directory.display())
        }
        MountError::Fusermount { .. } => {
            "install fuse3 (apt-get install fuse3, dnf install fuse3), or run as root".into()
        }
        MountError::Refused(_) | MountError::Nul(_) => {
            "run as root; in a container: --cap-add SYS_ADMIN --security-opt apparmor=unconfined"
                .into()
        }
    };
    (why, fix)
}

/// The failure of a daemon as people read it: our own problems as they are, the store's by their
/// meaning, anything else with its chain of causes.
pub fn explain(error: &anyhow::Error, config: &Config) -> Problem {
    for cause in error.chain() {
        if let Some(problem) = cause.downcast_ref::<Problem>() {
            return problem.clone();
        }
        if let Some(error) = cause.downcast_ref::<object::Error>() {
            return of_store(error, &cannot_be_mounted(config), &config.source);
        }
        if let Some(error) = cause.downcast_ref::<LogError>() {
            return Problem::new(
                format!("{} cannot be mounted", config.subject()),
                format!("{error}: {}", error.source),
                "give a directory that can be written with --log-directory, or drop it: the \
                 syslog is used then",
            );
        }
    }
    Problem::new(
        format!("{} cannot be served", config.subject()),
        format!("{error:#}"),
        "run it again with --foreground --debug",
    )
}

/// The failure to do `what` with the store that `source` names.
pub fn of_store(error: &object::Error, what: &str, source: &SourceConfig) -> Problem {
    store::problem(error, what, source)
}

/// The failure to mount what `config` asks for.
pub fn cannot_mount(cause: &Cause, config: &Config) -> Problem {
    cause.problem(&cannot_be_mounted(config), &config.directory)
}

fn cannot_be_mounted(config: &Config) -> String {
    format!("{} cannot be mounted at {}", config.subject(), config.directory.display())
}

#[cfg(test)]
mod tests;
