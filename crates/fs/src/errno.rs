//! What the kernel is told when something fails.

use object::{Condition, Error, ErrorKind};

/// A failure as POSIX names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Errno {
    /// EPERM: the operation is not allowed on this mount.
    #[error("operation not permitted")]
    NotPermitted,
    /// ENOENT: there is no such name.
    #[error("no such file or directory")]
    NotFound,
    /// EIO: the store failed, or did not answer in time.
    #[error("input/output error")]
    Io,
    /// EBADF: no such handle.
    #[error("bad handle")]
    BadHandle,
    /// ENOMEM: no memory became free for what was written before the deadline.
    #[error("cannot allocate memory")]
    NoMemory,
    /// EACCES: the identity in use may not do this, or the object is archived.
    #[error("permission denied")]
    Access,
    /// EEXIST: the name is taken.
    #[error("file exists")]
    Exists,
    /// EXDEV: a name cannot be given to something else here; programs copy and delete instead.
    #[error("invalid cross-device link")]
    CrossDevice,
    /// ENOTDIR: a file stands where a directory is needed.
    #[error("not a directory")]
    NotDirectory,
    /// EISDIR: a directory stands where a file is needed.
    #[error("is a directory")]
    IsDirectory,
    /// EINVAL: a name or argument that nothing can have.
    #[error("invalid argument")]
    Invalid,
    /// EFBIG: more bytes than an object of this mount can have.
    #[error("file too large")]
    TooLarge,
    /// ENOSPC: the store, or a quota in it, is full.
    #[error("no space left on device")]
    NoSpace,
    /// EROFS: the mount is read-only.
    #[error("read-only file system")]
    ReadOnly,
    /// ENAMETOOLONG: a component above 255 bytes, or a key above 1,024.
    #[error("name too long")]
    NameTooLong,
    /// ENOSYS: the kernel is to emulate the operation, or to stop asking.
    #[error("not implemented")]
    Unsupported,
    /// ENOTEMPTY: the directory has entries.
    #[error("directory not empty")]
    NotEmpty,
    /// ETIMEDOUT: given up by a deadline outside the store.
    #[error("timed out")]
    TimedOut,
    /// ESTALE: the node is no longer what its name stands for; the kernel looks the name up again.
    #[error("stale file handle")]
    Stale,
}

impl Errno {
    /// The number, as in Linux's `include/uapi/asm-generic/errno{-base,}.h`.
    pub fn raw(self) -> i32 {
        match self {
            Self::NotPermitted => 1,
            Self::NotFound => 2,
            Self::Io => 5,
            Self::BadHandle => 9,
            Self::NoMemory => 12,
            Self::Access => 13,
            Self::Exists => 17,
            Self::CrossDevice => 18,
            Self::NotDirectory => 20,
            Self::IsDirectory => 21,
            Self::Invalid => 22,
            Self::TooLarge => 27,
            Self::NoSpace => 28,
            Self::ReadOnly => 30,
            Self::NameTooLong => 36,
            Self::Unsupported => 38,
            Self::NotEmpty => 39,
            Self::TimedOut => 110,
            Self::Stale => 116,
        }
    }

    /// What a failure of the store means to whoever looks at names.
    pub(crate) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Changed => Self::Stale,
            ErrorKind::Denied | ErrorKind::Archived => Self::Access,
            _ => Self::Io,
        }
    }

    /// What a failure of the store means to whoever reads an object that was there.
    pub(crate) fn of_read(kind: ErrorKind) -> Self {
        match Self::of(kind) {
            Self::NotFound => Self::Stale,
            other => other,
        }
    }

    /// What a failure of the store means to whoever writes an object under `condition`.
    pub(crate) fn of_write(kind: ErrorKind, condition: &Condition) -> Self {
        match (kind, condition) {
            // Somebody else made the name, or replaced what this mount had put there.
            (ErrorKind::Changed, Condition::Absent) => Self::Exists,
            (ErrorKind::Changed, _) => Self::Stale,
            // It is gone, and what is written on top of it cannot be copied from it.
            (ErrorKind::NotFound, Condition::Is(_)) => Self::Stale,
            (ErrorKind::Denied, _) => Self::Access,
            (ErrorKind::Full, _) => Self::NoSpace,
            (ErrorKind::TooLarge, _) => Self::TooLarge,
            _ => Self::Io,
        }
    }

    /// Says once, in one line, that writing the object `key` failed, and what helps.
    pub(crate) fn report_write(self, operation: &'static str, key: &str, error: &Error) -> Self {
        let request_id = error.request_id().unwrap_or("none");
        let advice = match self {
            Self::Exists => {
                "somebody else made this name meanwhile: with --allow-overwrite it would be replaced"
            }
            Self::Stale => "somebody else replaced or deleted the object while it was written to",
            Self::Access => {
                "the identity in use needs s3:PutObject and s3:AbortMultipartUpload here"
            }
            Self::NoSpace => "the store or a quota in it is full",
            Self::TooLarge => {
                "--write-part-size and --memory-target say how large an object can be"
            }
            _ => "what was not published before is lost",
        };
        tracing::warn!(operation, key = ?key, request_id, errno = %self, "{error:?} ({advice})");
        self
    }

    /// Says once, in one line, that `operation` failed on the object or directory `key`. Whoever
    /// gets the errno back needs no line of its own.
    pub(crate) fn report(self, operation: &'static str, key: &str, error: &Error) -> Self {
        let request_id = error.request_id().unwrap_or("none");
        match self {
            Self::NotFound => tracing::debug!(operation, key = ?key, request_id, "{error:?}"),
            _ => tracing::warn!(operation, key = ?key, request_id, errno = %self, "{error:?}"),
        }
        self
    }
}
