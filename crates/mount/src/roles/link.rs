//! What daemon and keeper say to each other.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::{Deserialize, Serialize};

/// The largest message, bytes. What people read is cut to fit.
const MESSAGE_MAX: usize = 16 * 1024;

/// What the daemon says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The store has answered: mount.
    Mount,
    /// The mount is served. The store is in this region, where there is one.
    Serving {
        /// The region.
        region: Option<String>,
    },
    /// A signal asks for the end.
    Unmount,
}

/// What the keeper answers to [`Request::Mount`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It is mounted; the device comes along.
    Mounted {
        /// Number of the connection.
        connection: u32,
    },
    /// It could not be mounted: what, why and fix.
    Refused(String, String, String),
}

/// One end of the socket between keeper and daemon. Messages arrive whole; when a process dies,
/// the other end sees the link close, however it died.
#[derive(Debug)]
pub struct Link(OwnedFd);

impl Link {
    /// Both ends.
    ///
    /// # Errors
    /// No descriptors are left.
    pub(crate) fn pair() -> io::Result<(Link, Link)> {
        let (one, other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Link(one), Link(other)))
    }

    /// The end that this process was started with as its standard input.
    ///
    /// # Errors
    /// No descriptors are left.
    pub(crate) fn inherited() -> io::Result<Link> {
        Ok(Link(io::stdin().as_fd().try_clone_to_owned()?))
    }

    /// Another descriptor of the same end.
    pub(crate) fn duplicate(&self) -> io::Result<Link> {
        Ok(Link(self.0.try_clone()?))
    }

    /// The descriptor, to hand it on.
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// Sends a message, with a descriptor where there is one to give.
    ///
    /// # Errors
    /// The other end is closed.
    pub(crate) fn send(
        &self,
        message: &impl Serialize,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        if bytes.len() > MESSAGE_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        loop {
            match sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for a message; `None` when the other end is closed.
    ///
    /// # Errors
    /// The socket failed, or what came is no message.
    pub(crate) fn receive<M: for<'a> Deserialize<'a>>(
        &self,
    ) -> io::Result<Option<(M, Option<OwnedFd>)>> {
        let mut bytes = vec![0; MESSAGE_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let length = loop {
            let parts = &mut [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.0, parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Ok(received) => break received.bytes,
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        };
        if length == 0 {
            return Ok(None);
        }
        let message = serde_json::from_slice(bytes.get(..length).unwrap_or_default())?;
        let descriptor = control.drain().find_map(|part| match part {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        Ok(Some((message, descriptor)))
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
