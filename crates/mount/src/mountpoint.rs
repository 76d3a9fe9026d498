//! The directory to mount on: what is there, and whether it may be used.
//!
//! Looking at a path can block for ever when a daemon hangs, so only a child process does it
//! (see [`probe`]); this process reads the mount table, which never blocks.

pub mod probe;

use std::io;
use std::path::{Path, PathBuf};

use fuse::Device;
use fuse::mount::table::{self, Connection, MountEntry};
use fuse::mount::{MountError, MountOptions, fusermount};

use crate::flags::Config;
use crate::flags::config::Access;
use crate::message::Cause;
use crate::state::{Identity, Record, Records};
use probe::{Finding, Probe};

/// Type of our mounts in the mount table.
pub const KIND: &str = "fuse.mountpoint-s3";
/// Behind the dot of [`KIND`].
pub const SUBTYPE: &str = "mountpoint-s3";

/// What a directory is good for.
#[derive(Debug)]
pub enum Site {
    /// It can be mounted on.
    Free {
        /// The directory, absolute and without symbolic links.
        path: PathBuf,
        /// A dead mount was taken away to make it so.
        cleared: bool,
    },
    /// What is wanted is mounted there already.
    Served(Record),
}

/// A mount of ours on a directory.
#[derive(Debug)]
pub struct Found {
    /// The directory, absolute and without symbolic links.
    pub path: PathBuf,
    /// Its line in the mount table.
    pub entry: MountEntry,
    /// Its connection to the kernel.
    pub connection: Connection,
    /// What is known about it.
    pub record: Option<Record>,
    /// Whether it answers.
    pub finding: Finding,
}

/// What lies on a directory.
#[derive(Debug)]
pub enum Occupant {
    /// No mount.
    Nobody(Probe),
    /// A mount of ours.
    Ours(Box<Found>),
    /// Another file system.
    Foreign(MountEntry),
}

/// Looks at `directory`, without ever waiting for whoever serves it.
///
/// # Errors
/// Neither the child process nor the mount table can be used.
pub fn look(directory: &Path, records: &Records) -> Result<Occupant, Cause> {
    let probe = probe::ask(directory).map_err(|e| Cause::NotStarted(e.to_string()))?;
    let mounts = table::mounts().map_err(|e| Cause::DirectoryUnusable(e.to_string()))?;
    let Some(entry) = mounts.into_iter().rfind(|mount| mount.path == probe.path) else {
        return Ok(Occupant::Nobody(probe));
    };
    match entry.connection() {
        Some(connection) if entry.kind == KIND => Ok(Occupant::Ours(Box::new(Found {
            record: records.read(connection),
            path: probe.path,
            finding: probe.finding,
            connection,
            entry,
        }))),
        _ if is_fillable(&entry) => Ok(Occupant::Nobody(probe)),
        _ => Ok(Occupant::Foreign(entry)),
    }
}

/// Whether a mount is there to be mounted on: an automounter's own.
pub fn is_fillable(entry: &MountEntry) -> bool {
    entry.kind == "autofs"
}

/// Whether `wanted` can be mounted on `directory`. A dead mount of ours is taken away.
///
/// # Errors
/// Why not.
pub fn prepare(directory: &Path, wanted: &Identity, records: &Records) -> Result<Site, Cause> {
    let connections: Vec<Connection> = table::mounts()
        .map_err(|e| Cause::DirectoryUnusable(e.to_string()))?
        .iter()
        .filter_map(MountEntry::connection)
        .collect();
    records.sweep(&connections);
    let mut cleared = false;
    // Dead mounts can lie on top of each other; each round takes one away.
    loop {
        match look(directory, records)? {
            Occupant::Nobody(probe) => return free(probe, cleared),
            Occupant::Foreign(entry) => {
                let source = entry.source.to_string_lossy().into_owned();
                return Err(Cause::ForeignMount { kind: entry.kind, source });
            }
            Occupant::Ours(found) => match found.finding {
                Finding::Dead => {
                    clear(&found, records)?;
                    cleared = true;
                }
                Finding::Silent => return Err(Cause::HungMount),
                _ => return compare(*found, wanted),
            },
        }
    }
}

fn free(probe: Probe, cleared: bool) -> Result<Site, Cause> {
    match probe.finding {
        Finding::Directory => Ok(Site::Free { path: probe.path, cleared }),
        Finding::File => Err(Cause::NotADirectory),
        Finding::Missing => Err(Cause::DirectoryMissing),
        Finding::Dead => Err(Cause::DirectoryUnusable(
            "a dead mount lies above it (transport endpoint is not connected)".into(),
        )),
        Finding::Silent => Err(Cause::DirectoryUnusable("looking at it takes too long".into())),
        Finding::Error(why) => Err(Cause::DirectoryUnusable(why)),
    }
}

fn compare(found: Found, wanted: &Identity) -> Result<Site, Cause> {
    let record = found.record.ok_or(Cause::UnknownMount)?;
    match record.identity.difference(wanted) {
        None => Ok(Site::Served(record)),
        Some(difference) => Err(Cause::OtherMount(difference)),
    }
}

/// Takes a dead mount away. Whoever still waits for it gets an error.
fn clear(found: &Found, records: &Records) -> Result<(), Cause> {
    // Without permission for it, or when it is gone, detaching is what counts.
    let _ = found.connection.abort();
    detach(&found.path).map_err(Cause::DeadMountStays)?;
    records.remove(found.connection);
    Ok(())
}

/// Mounts what `config` describes, as root by mount(2), else by `fusermount3`.
///
/// # Errors
/// See [`MountError`].
pub fn mount(config: &Config) -> Result<Device, MountError> {
    let user = rustix::process::geteuid();
    let options = MountOptions {
        source: SUBTYPE.into(),
        subtype: SUBTYPE.into(),
        read_only: config.view.read_only,
        access: match config.view.access {
            Access::Owner => fuse::mount::Access::Owner,
            // The kernel lets everybody in; the file system turns all but two away.
            Access::OwnerAndRoot | Access::Everyone => fuse::mount::Access::Everyone,
        },
        uid: user.as_raw(),
        gid: rustix::process::getegid().as_raw(),
        default_permissions: true,
    };
    if user.is_root() {
        return fuse::mount::mount(&config.directory, &options);
    }
    fusermount::mount(FUSERMOUNT.as_ref(), &config.directory, &options)
}

/// Why unmounting failed.
#[derive(Debug, thiserror::Error)]
pub enum UnmountError {
    /// Files are open in it, or a process stands in it.
    #[error("it is in use")]
    Busy,
    /// What the system said.
    #[error("{0}")]
    Other(String),
}

/// Unmounts `path`, as root by umount2(2), else by `fusermount3`.
///
/// # Errors
/// See [`UnmountError`].
pub fn unmount(path: &Path) -> Result<(), UnmountError> {
    if rustix::process::geteuid().is_root() {
        return fuse::mount::unmount(path).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy => UnmountError::Busy,
            _ => UnmountError::Other(error.to_string()),
        });
    }
    fusermount::unmount(FUSERMOUNT.as_ref(), path, false).map_err(|error| {
        let text = error.to_string();
        if text.contains("busy") { UnmountError::Busy } else { UnmountError::Other(text) }
    })
}

/// Takes the mount on `path` out of the tree at once, as root by umount2(2), else by
/// `fusermount3`.
///
/// # Errors
/// What the system said.
pub fn detach(path: &Path) -> Result<(), String> {
    if rustix::process::geteuid().is_root() {
        return fuse::mount::detach(path).map_err(|e| e.to_string());
    }
    fusermount::unmount(FUSERMOUNT.as_ref(), path, true).map_err(|e| e.to_string())
}

/// The program that mounts for users other than root.
const FUSERMOUNT: &str = "fusermount3";
