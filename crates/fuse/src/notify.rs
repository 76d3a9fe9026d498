//! Notifications to the kernel, sent from a thread of their own: invalidating waits for locks
//! that the kernel may hold while it waits for one of our answers.

use crate::abi::{self, Plain, notify as code};
use crate::device::Device;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// Notifications waiting at most.
const QUEUE: usize = 1024;

/// One thing the kernel shall forget or do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Notice {
    Inode { nodeid: u64, offset: i64, length: i64 },
    Entry { parent: u64, name: Box<[u8]> },
    Delete { parent: u64, child: u64, name: Box<[u8]> },
    Epoch,
}

/// Why a notification was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// The kernel is slower than the caller; [`Notifier::forget_names`] says it all at once.
    #[error("{QUEUE} notifications are waiting for the kernel")]
    Full,
    /// The connection has ended.
    #[error("the connection has ended")]
    Closed,
    /// The kernel does not know this notification.
    #[error("the kernel does not know this notification")]
    Unsupported,
}

/// Queues notifications; cheap to clone. The thread ends with the last clone.
#[derive(Clone, Debug)]
pub struct Notifier {
    queue: SyncSender<Notice>,
    minor: u32,
}

impl Notifier {
    pub(crate) fn start(device: Arc<Device>, minor: u32) -> io::Result<Notifier> {
        let (queue, notices) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("fuse-notify".into());
        thread.spawn(move || send_all(&device, &notices))?;
        Ok(Notifier { queue, minor })
    }

    /// Drops cached pages of a node and its attributes: `length` bytes from `offset`, to the end
    /// if 0. With a negative offset, the attributes only.
    ///
    /// # Errors
    /// [`NotifyError::Full`] or [`NotifyError::Closed`].
    pub fn inval_inode(&self, nodeid: u64, offset: i64, length: i64) -> Result<(), NotifyError> {
        self.push(Notice::Inode { nodeid, offset, length })
    }

    /// Makes the kernel look a name up again.
    ///
    /// # Errors
    /// [`NotifyError::Full`] or [`NotifyError::Closed`].
    pub fn inval_entry(&self, parent: u64, name: &[u8]) -> Result<(), NotifyError> {
        self.push(Notice::Entry { parent, name: name.into() })
    }

    /// Says that a name no longer exists, so that watchers learn of it. Does nothing if the
    /// name leads to another node by now.
    ///
    /// # Errors
    /// [`NotifyError::Full`] or [`NotifyError::Closed`].
    pub fn delete(&self, parent: u64, child: u64, name: &[u8]) -> Result<(), NotifyError> {
        self.push(Notice::Delete { parent, child, name: name.into() })
    }

    /// Makes the kernel look every name up again when it is next used (INC_EPOCH, 7.44).
    ///
    /// # Errors
    /// [`NotifyError::Unsupported`], [`NotifyError::Full`] or [`NotifyError::Closed`].
    pub fn forget_names(&self) -> Result<(), NotifyError> {
        if self.minor < abi::MINOR_INC_EPOCH {
            return Err(NotifyError::Unsupported);
        }
        self.push(Notice::Epoch)
    }

    fn push(&self, notice: Notice) -> Result<(), NotifyError> {
        self.queue.try_send(notice).map_err(|error| match error {
            TrySendError::Full(_) => NotifyError::Full,
            TrySendError::Disconnected(_) => NotifyError::Closed,
        })
    }
}

fn send_all(device: &Device, notices: &Receiver<Notice>) {
    for notice in notices {
        match send(device, &notice) {
            Ok(()) => {}
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => return,
            // The kernel has no such node or name in its caches, so there is nothing to forget.
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => tracing::debug!(?notice, %error, "notification refused"),
        }
    }
}

fn send(device: &Device, notice: &Notice) -> io::Result<()> {
    match notice {
        Notice::Inode { nodeid, offset, length } => {
            let body = abi::NotifyInvalInode { ino: *nodeid, off: *offset, len: *length };
            write(device, code::INVAL_INODE, &[body.as_bytes()])
        }
        Notice::Entry { parent, name } => {
            let namelen = name.len() as u32;
            let body = abi::NotifyInvalEntry { parent: *parent, namelen, flags: 0 };
            write(device, code::INVAL_ENTRY, &[body.as_bytes(), name, b"\0"])
        }
        Notice::Delete { parent, child, name } => {
            let namelen = name.len() as u32;
            let body = abi::NotifyDelete { parent: *parent, child: *child, namelen, padding: 0 };
            write(device, code::DELETE, &[body.as_bytes(), name, b"\0"])
        }
        Notice::Epoch => write(device, code::INC_EPOCH, &[]),
    }
}

fn write(device: &Device, code: i32, body: &[&[u8]]) -> io::Result<()> {
    let length = size_of::<abi::OutHeader>() + body.iter().map(|part| part.len()).sum::<usize>();
    let header = abi::OutHeader { len: length as u32, error: code, unique: 0 };
    let parts = std::iter::once(header.as_bytes()).chain(body.iter().copied());
    device.write(&parts.map(IoSlice::new).collect::<Vec<_>>())
}
