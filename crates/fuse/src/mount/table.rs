//! The mount table, and the kernel's knobs for one FUSE connection.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// One line of `/proc/self/mountinfo`, see proc(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountEntry {
    /// Major and minor number of the device (`st_dev`).
    pub device: (u32, u32),
    /// Where it is mounted, as seen by this process.
    pub path: PathBuf,
    /// Options of this mount: `rw`, `nosuid`, …
    pub mount_options: Vec<String>,
    /// File system type with subtype, such as `fuse.mountpoint-s3`.
    pub kind: String,
    /// What is mounted.
    pub source: OsString,
    /// Options of the file system: `user_id=0`, `allow_other`, …
    pub fs_options: Vec<String>,
}

impl MountEntry {
    /// The FUSE connection behind the mount; `None` for other file systems.
    pub fn connection(&self) -> Option<Connection> {
        let fuse = self.kind == "fuse" || self.kind.starts_with("fuse.");
        fuse.then_some(Connection { number: self.device.1 })
    }
}

/// All mounts this process sees, in the order they were made.
///
/// # Errors
/// `/proc` cannot be read.
pub fn mounts() -> io::Result<Vec<MountEntry>> {
    Ok(parse(&std::fs::read("/proc/self/mountinfo")?))
}

/// The topmost mount whose root is exactly `path`. Never touches the mount itself, so that it
/// answers at once for a dead or hung one. `path` is absolute and free of symbolic links.
///
/// # Errors
/// `/proc` cannot be read.
pub fn mount_at(path: &Path) -> io::Result<Option<MountEntry>> {
    // Components drop a trailing slash, and "." within.
    let path: PathBuf = path.components().collect();
    Ok(mounts()?.into_iter().rfind(|mount| mount.path == path))
}

/// Reads the text of a mountinfo file; lines that are none are left out.
pub fn parse(text: &[u8]) -> Vec<MountEntry> {
    text.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|byte| *byte == b' ');
    // Mount id and parent id come first; the root within the file system follows the device.
    let device = String::from_utf8(fields.nth(2)?.to_vec()).ok()?;
    let (major, minor) = device.split_once(':')?;
    let path = unescape(fields.nth(1)?);
    let mount_options = options(fields.next()?);
    let mut fields = fields.skip_while(|field| *field != b"-").skip(1);
    let kind = String::from_utf8_lossy(&unescape(fields.next()?)).into_owned();
    let source = OsString::from_vec(unescape(fields.next()?));
    Some(MountEntry {
        device: (major.parse().ok()?, minor.parse().ok()?),
        path: PathBuf::from(OsString::from_vec(path)),
        mount_options,
        kind,
        source,
        fs_options: options(fields.next()?),
    })
}

fn options(field: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(&unescape(field)).split(',').map(String::from).collect()
}

/// Undoes the kernel's `\ooo` escapes of space, tab, newline and backslash.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        plain.push(octal.unwrap_or(*first));
        rest = tail.get(if octal.is_some() { 3 } else { 0 }..).unwrap_or_default();
    }
    plain
}

/// A FUSE connection by its number: the minor device number of its mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The number.
    pub number: u32,
}

/// Where fusectl is mounted by convention.
pub(super) const CONTROL: &str = "/sys/fs/fuse/connections";

impl Connection {
    fn control(self, file: &str) -> PathBuf {
        [CONTROL, &self.number.to_string(), file].iter().collect()
    }

    /// Ends the connection: everybody waiting for it gets an error, at once.
    ///
    /// # Errors
    /// ENOENT: the connection is gone, or fusectl is not mounted on `/sys/fs/fuse/connections`.
    pub fn abort(self) -> io::Result<()> {
        std::fs::write(self.control("abort"), "1")
    }

    /// How many requests wait for an answer, read or unread.
    ///
    /// # Errors
    /// As for [`Connection::abort`].
    pub fn waiting(self) -> io::Result<u64> {
        let text = std::fs::read_to_string(self.control("waiting"))?;
        text.trim().parse().map_err(io::Error::other)
    }

    /// Sets the mount's read-ahead window in KiB and returns the former one. The window is 128
    /// by default and cannot be raised in INIT. Needs root; a mount works without it, with more
    /// and smaller requests.
    ///
    /// # Errors
    /// No permission, or `/sys` is missing or read-only, as it is in most containers.
    pub fn set_read_ahead(self, kib: u32) -> io::Result<u32> {
        let file = format!("/sys/class/bdi/0:{}/read_ahead_kb", self.number);
        let before = std::fs::read_to_string(&file)?;
        std::fs::write(&file, kib.to_string())?;
        before.trim().parse().map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests;
