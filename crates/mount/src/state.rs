//! Who serves which mount: one small file per mount, written by its keeper.
//!
//! The files lie in `/run/mount-s3/` (for users other than root in `$XDG_RUNTIME_DIR/mount-s3/`,
//! or in `/tmp/mount-s3-UID/` where that is not set), a directory with mode 0700 that belongs to
//! the user. A file is named after the mount's connection: the minor number of its device.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use fuse::mount::table::Connection;
use serde::{Deserialize, Serialize};

use crate::flags::config::Config;

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since the boot (proc(5), field 22 of `stat`).
    pub started: u64,
}

impl Process {
    /// The process that has the number `pid` now.
    ///
    /// # Errors
    /// There is none.
    pub fn of(pid: u32) -> io::Result<Self> {
        match stat_fields(pid)? {
            Some((_, started)) => Ok(Self { pid, started }),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Whether it still runs. One that has ended and was not waited for does not.
    pub fn is_alive(self) -> bool {
        matches!(stat_fields(self.pid),
            Ok(Some((state, started))) if started == self.started && !matches!(state, 'Z' | 'X'))
    }
}

/// State and start time of a process.
fn stat_fields(pid: u32) -> io::Result<Option<(char, u64)>> {
    Ok(parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat"))?))
}

/// Fields 3 and 22 of `/proc/PID/stat`. The name in field 2 may hold blanks and parentheses.
fn parse_stat(text: &str) -> Option<(char, u64)> {
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// What is known about a mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The process that owns the mount.
    pub keeper: Process,
    /// The process that serves it.
    pub daemon: Process,
    /// Where it is mounted, for people.
    pub directory: String,
    /// What is mounted.
    pub identity: Identity,
    /// The region that was found, where there is one.
    pub region: Option<String>,
}

/// What makes two mounts the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The bucket.
    pub bucket: String,
    /// The prefix, empty or ending in `/`.
    pub prefix: String,
    /// The service's address, where one was given.
    pub endpoint: Option<String>,
    /// Whether the kernel refuses writes.
    pub read_only: bool,
    /// Whether files may be replaced.
    #[serde(default)]
    pub overwrite: bool,
    /// Whether files may be deleted.
    #[serde(default)]
    pub delete: bool,
}

impl Identity {
    /// The identity of the mount that `config` asks for.
    pub fn of(config: &Config) -> Self {
        Self {
            bucket: config.source.bucket.to_string(),
            prefix: config.source.prefix.clone(),
            endpoint: config.source.endpoint_url.clone(),
            read_only: config.view.read_only,
            overwrite: config.write.as_ref().is_some_and(|write| write.overwrite),
            delete: config.write.as_ref().is_some_and(|write| write.delete),
        }
    }

    /// How `self`, which is mounted, differs from `wanted`; `None` when it does not.
    pub fn difference(&self, wanted: &Identity) -> Option<String> {
        let endpoint = |url: &Option<String>| url.clone().unwrap_or_else(|| "AWS".into());
        let mode = |read_only| if read_only { "read-only" } else { "read-write" };
        let allowed = |is| if is { "allowed" } else { "refused" };
        let prefix = |text: &str| if text.is_empty() { "none".into() } else { format!("`{text}`") };
        let mut differences = Vec::new();
        let mut compare = |what: &str, is: String, wanted: String| {
            if is != wanted {
                differences.push(format!("{what} is {is}, not {wanted}"));
            }
        };
        compare("the bucket", self.bucket.clone(), wanted.bucket.clone());
        compare("the prefix", prefix(&self.prefix), prefix(&wanted.prefix));
        compare("the endpoint", endpoint(&self.endpoint), endpoint(&wanted.endpoint));
        compare("the mount", mode(self.read_only).into(), mode(wanted.read_only).into());
        if !self.read_only && !wanted.read_only {
            let (is, as_wanted) = (allowed(self.overwrite), allowed(wanted.overwrite));
            compare("overwriting", is.into(), as_wanted.into());
            let (is, as_wanted) = (allowed(self.delete), allowed(wanted.delete));
            compare("deleting", is.into(), as_wanted.into());
        }
        (!differences.is_empty()).then(|| differences.join("; "))
    }
}

/// The directory of records.
#[derive(Clone, Debug)]
pub struct Records {
    directory: PathBuf,
}

impl Records {
    /// The records of the user `uid`. `runtime` is `XDG_RUNTIME_DIR`; root's are in `/run`.
    pub fn of_user(uid: u32, runtime: Option<&Path>) -> Self {
        let directory = match runtime {
            _ if uid == 0 => PathBuf::from("/run/mount-s3"),
            Some(runtime) => runtime.join("mount-s3"),
            None => PathBuf::from(format!("/tmp/mount-s3-{uid}")),
        };
        Self { directory }
    }

    /// The records in `directory`.
    pub fn in_directory(directory: PathBuf) -> Self {
        Self { directory }
    }

    fn file(&self, connection: Connection) -> PathBuf {
        self.directory.join(format!("{}.json", connection.number))
    }

    /// Where the daemon of `connection` listens, in a directory that is made if need be.
    ///
    /// # Errors
    /// The directory cannot be made or is not ours alone.
    pub fn socket(&self, connection: Connection) -> io::Result<PathBuf> {
        self.prepare()?;
        Ok(self.socket_file(connection))
    }

    fn socket_file(&self, connection: Connection) -> PathBuf {
        self.directory.join(format!("{}.sock", connection.number))
    }

    /// Makes the directory, or sees that an existing one is ours alone.
    fn prepare(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        self.check()
    }

    /// A directory that others can write to could name processes for us to end.
    fn check(&self) -> io::Result<()> {
        let found = fs::symlink_metadata(&self.directory)?;
        let ours = found.is_dir()
            && found.uid() == rustix::process::geteuid().as_raw()
            && found.mode() & 0o022 == 0;
        if ours {
            return Ok(());
        }
        let why = format!("{} does not belong to this user alone", self.directory.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
    }

    /// Waits until no other process of this user is about to mount, and keeps them waiting until
    /// the file is closed. `None` where nothing can be written: then nobody waits.
    pub fn turn(&self) -> Option<File> {
        self.prepare().ok()?;
        let file = File::create(self.directory.join("turn")).ok()?;
        file.lock().ok()?;
        Some(file)
    }

    /// Writes the record of `connection`, whole or not at all.
    ///
    /// # Errors
    /// The directory cannot be made or is not ours, or the file cannot be written.
    pub fn write(&self, connection: Connection, record: &Record) -> io::Result<()> {
        self.prepare()?;
        let draft = self.directory.join(format!(".{}.new", connection.number));
        fs::write(&draft, serde_json::to_vec(record)?)?;
        fs::rename(draft, self.file(connection))
    }

    /// The record of `connection`, when there is one that can be read.
    pub fn read(&self, connection: Connection) -> Option<Record> {
        self.check().ok()?;
        serde_json::from_slice(&fs::read(self.file(connection)).ok()?).ok()
    }

    /// The file that is there while the node is announced.
    pub fn announced(&self) -> PathBuf {
        self.directory.join("announced")
    }

    /// Notes whether the node is announced.
    ///
    /// # Errors
    /// The directory cannot be made or is not ours, or the file cannot be changed.
    pub fn note_announced(&self, announced: bool) -> io::Result<()> {
        self.prepare()?;
        match (announced, self.announced()) {
            (true, file) => File::create(file).map(drop),
            (false, file) => match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }

    /// Removes the record of `connection`, and the socket that a killed daemon left.
    pub fn remove(&self, connection: Connection) {
        // A record that stays behind is recognised as stale by its processes.
        let _ = fs::remove_file(self.file(connection));
        let _ = fs::remove_file(self.socket_file(connection));
    }

    /// Removes the records whose processes have all ended, except those of the connections that
    /// are still `mounted`: these are dealt with when their directory is looked at.
    pub fn sweep(&self, mounted: &[Connection]) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(number) = name.to_str().and_then(|n| n.strip_suffix(".json")?.parse().ok())
            else {
                continue;
            };
            let connection = Connection { number };
            let stale =
                self.read(connection).is_some_and(|r| !r.keeper.is_alive() && !r.daemon.is_alive());
            if stale && !mounted.contains(&connection) {
                self.remove(connection);
            }
        }
    }
}

#[cfg(test)]
mod tests;
