//! Operations that would change something.

use crate::attr::{Kind, NodeId};
use crate::errno::Errno;
use crate::filesystem::Fs;

/// An operation that changes the file system, or that the kernel does without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Create and open a file in one step.
    Create,
    /// Create a file.
    Mknod,
    /// Create a directory.
    Mkdir,
    /// Remove a file.
    Unlink,
    /// Remove a directory.
    Rmdir,
    /// Give a name to something that has another.
    Rename,
    /// Create a symbolic link.
    Symlink,
    /// Create a second name.
    Link,
    /// Change mode, owner, size or times.
    Setattr,
    /// Write to a file.
    Write,
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
            (_, Some(_)) if self.shared.config.read_only => Errno::ReadOnly,
            (Op::Write, Some(_)) => Errno::BadHandle,
            // The kernel makes it of Mknod and open; and it copies and removes instead.
            (Op::Create | Op::Rename, Some(_)) => Errno::Unsupported,
            (Op::Mknod | Op::Mkdir | Op::Unlink | Op::Rmdir, Some(Kind::File)) => {
                Errno::NotDirectory
            }
            (_, Some(_)) => Errno::NotPermitted,
        }
    }
}
