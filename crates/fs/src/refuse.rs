//! Operations that nothing here can be changed by.

use crate::attr::{Kind, NodeId};
use crate::errno::Errno;
use crate::filesystem::Fs;

/// An operation that no store has, or that the kernel does without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Create a device, a pipe or a socket.
    Special,
    /// Create a symbolic link.
    Symlink,
    /// Create a second name.
    Link,
    /// Reserve or punch space.
    Fallocate,
    /// Copy from file to file.
    CopyFileRange,
    /// Set or remove an extended attribute.
    Setxattr,
}

impl Fs {
    /// Why `operation` on `node` (the directory, where a name in one is meant) is not carried
    /// out.
    pub fn refuse(&self, operation: Operation, node: NodeId) -> Errno {
        use Operation as Op;
        let kind = self.shared.tree().node(node).map(|node| node.fact.kind);
        match (operation, kind) {
            (_, None) => Errno::Stale,
            // Kernels look for these once, and then do without.
            (Op::Fallocate | Op::CopyFileRange | Op::Setxattr, _) => Errno::Unsupported,
            _ if self.shared.outlet().is_err() => Errno::ReadOnly,
            (Op::Special | Op::Symlink | Op::Link, Some(Kind::File)) => Errno::NotDirectory,
            (Op::Special, Some(Kind::Directory)) => Errno::Invalid,
            (Op::Symlink | Op::Link, Some(Kind::Directory)) => Errno::NotPermitted,
        }
    }
}
