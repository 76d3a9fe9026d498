//! From a path to the version it stands for, for who works beside the kernel.

use std::sync::Arc;

use object::Version;

use crate::attr::{Kind, NodeId, ROOT};
use crate::errno::Errno;
use crate::filesystem::{Fs, Shared};
use crate::look::Age;
use crate::names;
use crate::tree::{Known, Trust};

impl Fs {
    /// The version of the file at `path`: names below the root, with `/` between them. Whatever
    /// memory or a listing still trusted tells costs no request. No lookup is counted: the kernel
    /// knows of nothing.
    ///
    /// # Errors
    /// [`Errno::NotFound`]; [`Errno::IsDirectory`]; [`Errno::NotDirectory`] for a path that goes
    /// on below a file; [`Errno::Invalid`] and [`Errno::NameTooLong`] for names no key can have;
    /// [`Errno::Access`] also for an archived object; [`Errno::Stale`] when the object changed
    /// meanwhile; [`Errno::Io`] when the store does not say.
    pub async fn version_at(&self, path: &str) -> Result<Arc<Version>, Errno> {
        let mut node = ROOT;
        for name in path.split('/') {
            node = self.shared.find(node, names::component(name.as_bytes())?).await?;
        }
        if self.shared.kind(node)? == Kind::Directory {
            return Err(Errno::IsDirectory);
        }
        self.shared.make_readable(node).await?;
        let tree = self.shared.tree();
        let fact = &tree.node(node).ok_or(Errno::Stale)?.fact;
        fact.version(&tree.key(node)).ok_or(Errno::Stale)
    }
}

impl Shared {
    /// The node that `name` in `parent` stands for.
    async fn find(self: &Arc<Self>, parent: NodeId, name: &str) -> Result<NodeId, Errno> {
        if self.kind(parent)? != Kind::Directory {
            return Err(Errno::NotDirectory);
        }
        {
            let mut tree = self.tree();
            match tree.know(parent, name, self.clock.now(), Trust::Shown) {
                Known::Present(fact, seen) => {
                    return tree.admit(parent, &fact, seen).ok_or(Errno::Stale);
                }
                Known::Absent(_) => return Err(Errno::NotFound),
                Known::Unknown => {}
            }
        }
        let sight = self.look("find", parent, name, Age::Ttl).await?;
        self.learn(&mut self.tree(), parent, name, &sight).ok_or(Errno::NotFound)
    }

    fn kind(&self, node: NodeId) -> Result<Kind, Errno> {
        Ok(self.tree().node(node).ok_or(Errno::Stale)?.fact.kind)
    }
}
