//! Mounting without privileges, by the set-uid program `fusermount3`.

use super::{Access, MountError, MountOptions};
use crate::device::Device;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// Mounts on `path` as [`super::mount`] does, through `program` (usually `fusermount3`): it
/// mounts as root for the calling user and passes the descriptor back over a socket.
/// `MountOptions::uid` and `gid` are the caller's whatever they say.
///
/// # Errors
/// [`MountError::Fusermount`] with what the program printed.
pub fn mount(program: &OsStr, path: &Path, options: &MountOptions) -> Result<Device, MountError> {
    let failed = |message: String| {
        let program = program.to_string_lossy().into_owned();
        MountError::Fusermount { program, message }
    };
    let (ours, theirs) = UnixStream::pair().map_err(|e| failed(e.to_string()))?;
    // The socket becomes the child's descriptor 0: inherited without tampering with
    // close-on-exec between fork and exec.
    let mut child = Command::new(program)
        .arg("-o")
        .arg(option_list(options))
        .arg("--")
        .arg(path)
        .env("_FUSE_COMMFD", "0")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed(e.to_string()))?;
    let received = receive_descriptor(&ours);
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        // What cannot be read is missing from the message only.
        let _ = stderr.read_to_string(&mut said);
    }
    let status = child.wait().map_err(|e| failed(e.to_string()))?;
    match received {
        Ok(Some(fd)) if status.success() => Ok(Device::from_fd(fd)),
        Ok(_) => Err(failed(format!("{status}: {}", said.trim()))),
        Err(e) => Err(failed(format!("{e}: {}", said.trim()))),
    }
}

/// Unmounts through `program`; lazily, as [`super::detach`] does, when `lazy`.
///
/// # Errors
/// [`MountError::Fusermount`] with what the program printed.
pub fn unmount(program: &OsStr, path: &Path, lazy: bool) -> Result<(), MountError> {
    let output = Command::new(program)
        .arg(if lazy { "-uz" } else { "-u" })
        .arg("--")
        .arg(path)
        .stdin(Stdio::null())
        .output();
    let message = match output {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(e) => e.to_string(),
    };
    Err(MountError::Fusermount { program: program.to_string_lossy().into_owned(), message })
}

fn option_list(options: &MountOptions) -> String {
    let mut list = String::from(if options.read_only { "ro" } else { "rw" });
    list.push_str(",nosuid,nodev");
    if options.default_permissions {
        list.push_str(",default_permissions");
    }
    if options.access == Access::Everyone {
        list.push_str(",allow_other");
    }
    // The program splits at commas unless a backslash precedes them.
    let escape = |text: &str| text.replace('\\', "\\\\").replace(',', "\\,");
    list.push_str(",subtype=");
    list.push_str(&escape(&options.subtype));
    list.push_str(",fsname=");
    list.push_str(&escape(&options.source));
    list
}

/// Receives one descriptor by SCM_RIGHTS; `None` when the peer closed without sending one.
fn receive_descriptor(socket: &UnixStream) -> io::Result<Option<OwnedFd>> {
    /// Room for one control message with one descriptor, aligned as its header must be.
    const CONTROL_WORDS: usize = 8;
    let mut control = [0u64; CONTROL_WORDS];
    let mut byte = 0u8;
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // SAFETY: a zeroed msghdr is valid: no name, no parts, no control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    loop {
        // SAFETY: the message points to a byte and a control buffer that outlive the call.
        let length =
            unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        if length >= 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: recvmsg filled the message in; the macros stay inside its control buffer.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if header.is_null()
            || (*header).cmsg_level != libc::SOL_SOCKET
            || (*header).cmsg_type != libc::SCM_RIGHTS
            || (*header).cmsg_len < libc::CMSG_LEN(size_of::<i32>() as u32) as usize
        {
            return Ok(None);
        }
        let fd = std::ptr::read_unaligned(libc::CMSG_DATA(header).cast::<i32>());
        Ok(Some(OwnedFd::from_raw_fd(fd)))
    }
}
