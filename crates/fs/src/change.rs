//! Changing names and attributes.

use std::sync::Arc;
use std::time::Duration;

use object::{ErrorKind, Key, ListingRequest};

use crate::attr::{Attr, Change, Entry, HandleId, Kind, NodeId, OpenOptions, ROOT};
use crate::errno::Errno;
use crate::filesystem::{Fs, Shared};
use crate::names;
use crate::writer::Writer;
use crate::writers::AFTER_CLOSE;

const DELETE: &str =
    "an object can be deleted, or moved by a copy and a delete, only under --allow-delete";
const RENAME: &str = "nothing in a bucket can be renamed: what copies and deletes instead goes on (mv, rsync, Spark), what does not has to do it on a local disk (git clone --separate-git-dir)";
const WRITTEN: &str = "the file is being written: it can be removed once that is closed";
const TRUNCATE: &str =
    "an object cannot be cut or grown, only be emptied, and that under --allow-overwrite";
const GROW: &str = "a file that is being written cannot be cut or grown, only be emptied";
const ATTRIBUTES: &str = "an object has no mode, owner or times that could be set: --ignore-attribute-changes has it succeed and do nothing";

/// How a file is to be renamed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RenameFlags {
    /// Not over something that is there (`RENAME_NOREPLACE`).
    pub no_replace: bool,
    /// In a way that nothing here can be renamed in (`RENAME_EXCHANGE`, `RENAME_WHITEOUT`).
    pub others: bool,
}

/// What the store has of a directory.
enum Remote {
    Nothing,
    /// Nothing but an object that makes it visible.
    Marker,
    Names,
}

impl Fs {
    /// Makes the directory `name` in `parent`. It is here only, and stays until it is removed
    /// here; others see it as soon as there is a file below it. Counts one lookup.
    ///
    /// # Errors
    /// [`Errno::Exists`]; [`Errno::ReadOnly`]; [`Errno::NotFound`] in a directory that is gone; and
    /// as [`Fs::lookup`].
    pub async fn mkdir(&self, parent: NodeId, name: &[u8]) -> Result<Entry, Errno> {
        let shared = &self.shared;
        shared.outlet()?;
        let name = names::component(name)?;
        if shared.stands("mkdir", parent, name).await?.is_some() {
            return Err(Errno::Exists);
        }
        let mut tree = shared.tree();
        let now = shared.clock.now();
        // What goes on below it has a `/` more.
        names::join(&tree.key(parent), name).and_then(|path| names::join(&path, "/"))?;
        let id = tree.make_directory(parent, name, now).ok_or(Errno::Exists)?;
        shared.entry(&mut tree, id, now).ok_or(Errno::Stale)
    }

    /// Removes the file `name` from `parent`. Whoever has it open goes on reading it, as long as
    /// its bytes can be had. The directory stays, even if this was the last name in it.
    ///
    /// # Errors
    /// [`Errno::NotFound`]; [`Errno::IsDirectory`]; [`Errno::ReadOnly`]; [`Errno::NotPermitted`]
    /// where nothing may be deleted, and for a file that is being written; [`Errno::Access`] and
    /// [`Errno::Io`] when the store does not do it.
    pub async fn unlink(&self, parent: NodeId, name: &[u8]) -> Result<(), Errno> {
        let shared = &self.shared;
        let outlet = shared.outlet()?;
        let name = names::component(name)?;
        let path = names::join(&shared.tree().key(parent), name)?;
        if !shared.writers.ended(&path, AFTER_CLOSE, shared.config.limits.deadline).await {
            return Err(shared.refuse_by("unlink", &path, WRITTEN));
        }
        let id = shared.stands("unlink", parent, name).await?.ok_or(Errno::NotFound)?;
        {
            let mut tree = shared.tree();
            let fact = &tree.node(id).ok_or(Errno::Stale)?.fact;
            match fact.kind {
                Kind::Directory => return Err(Errno::IsDirectory),
                Kind::File if fact.is_unpublished() => {
                    tree.drop_unpublished(id);
                    return Ok(());
                }
                Kind::File => {}
            }
        }
        if !shared.config.writes.allow_delete {
            return Err(shared.refuse_by("unlink", &path, DELETE));
        }
        let key = Key::new(&path).map_err(|_| Errno::NameTooLong)?;
        let deleted = outlet.sink.delete(&key).await;
        deleted.map_err(|error| delete_failed("unlink", &path, &error))?;
        shared.tree().unlink(parent, name, shared.clock.now());
        Ok(())
    }

    /// Removes the directory `name` from `parent`: one that is here only, and empty, or in the
    /// store only as an object that marks it.
    ///
    /// # Errors
    /// [`Errno::NotFound`]; [`Errno::NotDirectory`]; [`Errno::NotEmpty`]; [`Errno::ReadOnly`];
    /// [`Errno::NotPermitted`] for a marker where nothing may be deleted; [`Errno::Access`] and
    /// [`Errno::Io`] when the store does not say, or does not do it.
    pub async fn rmdir(&self, parent: NodeId, name: &[u8]) -> Result<(), Errno> {
        let shared = &self.shared;
        let outlet = shared.outlet()?;
        let name = names::component(name)?;
        let id = shared.stands("rmdir", parent, name).await?.ok_or(Errno::NotFound)?;
        let prefix = {
            let tree = shared.tree();
            if tree.node(id).ok_or(Errno::Stale)?.fact.kind == Kind::File {
                return Err(Errno::NotDirectory);
            }
            tree.key(id)
        };
        match shared.remote("rmdir", &prefix).await? {
            Remote::Names => return Err(Errno::NotEmpty),
            Remote::Marker if shared.tree().has_own(id) => return Err(Errno::NotEmpty),
            Remote::Marker if !shared.config.writes.allow_delete => {
                return Err(shared.refuse_by("rmdir", &prefix, DELETE));
            }
            Remote::Marker => {
                let key = Key::new(&prefix).map_err(|_| Errno::NameTooLong)?;
                let deleted = outlet.sink.delete(&key).await;
                deleted.map_err(|error| delete_failed("rmdir", &prefix, &error))?;
            }
            Remote::Nothing => {}
        }
        let mut tree = shared.tree();
        let now = shared.clock.now();
        if tree.has_own(id) {
            return Err(Errno::NotEmpty);
        }
        tree.rmdir(id, now);
        Ok(())
    }

    /// Gives what is `name` in `parent` another name: no object can be renamed, so programs are
    /// told to copy it and to delete it, or, where they could not delete it, to leave it.
    ///
    /// # Errors
    /// [`Errno::CrossDevice`] where there is something to rename, and [`Errno::NotPermitted`]
    /// where it may not be deleted; [`Errno::NotFound`]; [`Errno::Exists`] where nothing is to be
    /// replaced; [`Errno::NotEmpty`] for a directory with names in it, which nothing can replace
    /// anywhere; [`Errno::Invalid`] for other flags; [`Errno::NameTooLong`]; [`Errno::ReadOnly`];
    /// and as [`Fs::lookup`].
    pub async fn rename(
        &self,
        parent: NodeId,
        name: &[u8],
        new_parent: NodeId,
        new_name: &[u8],
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        let shared = &self.shared;
        shared.outlet()?;
        let (name, new_name) = (names::component(name)?, names::component(new_name)?);
        if flags.others {
            return Err(Errno::Invalid);
        }
        let id = shared.stands("rename", parent, name).await?.ok_or(Errno::NotFound)?;
        match shared.stands("rename", new_parent, new_name).await? {
            Some(_) if flags.no_replace => Err(Errno::Exists),
            Some(target) if shared.holds_names("rename", target).await? => Err(Errno::NotEmpty),
            _ => Err(shared.rename_refused(id)),
        }
    }

    /// Changes attributes of `node`, and answers them all, and for how long they may be shown.
    ///
    /// # Errors
    /// [`Errno::ReadOnly`]; [`Errno::NotPermitted`] for what no object has, unless that is to be
    /// kept quiet, and for a length that it cannot be given; [`Errno::IsDirectory`] for the length
    /// of one; and as [`Fs::flush`].
    pub async fn setattr(
        &self,
        node: NodeId,
        handle: Option<HandleId>,
        change: Change,
    ) -> Result<(Attr, Duration), Errno> {
        let shared = &self.shared;
        shared.outlet()?;
        shared.tree().node(node).ok_or(Errno::Stale)?;
        let writer = shared.writer_at(node);
        match (change.size, writer) {
            (Some(size), Some(writer)) => shared.resize_written(node, &writer, size).await?,
            (Some(size), None) => self.resize(node, size).await?,
            (None, _) if change.others || change.modified.is_some() => {
                shared.may_set(node)?;
                if let (Some(time), Some(written)) =
                    (change.modified, shared.tree().written_mut(node))
                {
                    written.modified = time;
                }
            }
            (None, _) => return self.getattr(node, handle).await,
        }
        shared.own_attr(node)
    }

    /// Gives a file that nobody writes the length `size`.
    async fn resize(&self, node: NodeId, size: u64) -> Result<(), Errno> {
        let shared = &self.shared;
        let (key, fact) = {
            let tree = shared.tree();
            (tree.key(node), tree.node(node).ok_or(Errno::Stale)?.fact.clone())
        };
        match (fact.kind, size) {
            (Kind::Directory, _) => Err(Errno::IsDirectory),
            (Kind::File, size) if size == fact.size => Ok(()),
            (Kind::File, 0) if shared.config.writes.allow_overwrite => {
                let options = OpenOptions { write: true, truncate: true, ..OpenOptions::default() };
                let opened = self.open(node, options).await?;
                let published = self.fsync(opened.handle).await;
                self.release(opened.handle);
                published
            }
            (Kind::File, _) => Err(shared.refuse_by("truncate", &key, TRUNCATE)),
        }
    }
}

impl Shared {
    /// Who writes the file `node`.
    fn writer_at(&self, node: NodeId) -> Option<Arc<Writer>> {
        let key = {
            let tree = self.tree();
            tree.written(node)?;
            tree.key(node)
        };
        self.writers.of(&key).filter(|(written, _)| *written == node).map(|(_, writer)| writer)
    }

    async fn resize_written(
        &self,
        node: NodeId,
        writer: &Arc<Writer>,
        size: u64,
    ) -> Result<(), Errno> {
        let written = self.tree().written(node).ok_or(Errno::Stale)?.size;
        if size == written {
            return Ok(());
        }
        if size > 0 {
            return Err(self.refuse_by("truncate", writer.key.as_str(), GROW));
        }
        writer.truncate().await?;
        if let Some(written) = self.tree().written_mut(node) {
            written.size = 0;
        }
        Ok(())
    }

    /// Why `id` is not renamed. Who would copy it for nothing, as it cannot be deleted afterwards,
    /// is not made to.
    fn rename_refused(&self, id: NodeId) -> Errno {
        let (key, here) = {
            let tree = self.tree();
            let unpublished = tree.node(id).is_some_and(|node| node.fact.is_unpublished());
            (tree.key(id), unpublished)
        };
        if !here && !self.config.writes.allow_delete {
            return self.refuse_by("rename", &key, DELETE);
        }
        self.advice.tell("rename", &key, RENAME, self.clock.now());
        Errno::CrossDevice
    }

    /// Whether attributes may be set that no object has: of what is here only, they may, and mean
    /// nothing.
    fn may_set(&self, id: NodeId) -> Result<(), Errno> {
        let tree = self.tree();
        let node = tree.node(id).ok_or(Errno::Stale)?;
        let here = tree.written(id).is_some() || tree.is_kept(id) || node.fact.is_unpublished();
        if here || self.config.writes.quiet_attributes {
            return Ok(());
        }
        let key = if id == ROOT { String::new() } else { tree.key(id) };
        drop(tree);
        Err(self.refuse_by("setattr", &key, ATTRIBUTES))
    }

    /// Whether `id` is a directory with anything in it, here or in the store.
    async fn holds_names(&self, operation: &'static str, id: NodeId) -> Result<bool, Errno> {
        let prefix = {
            let tree = self.tree();
            if tree.node(id).ok_or(Errno::Stale)?.fact.kind == Kind::File {
                return Ok(false);
            }
            if tree.has_own(id) {
                return Ok(true);
            }
            tree.key(id)
        };
        Ok(matches!(self.remote(operation, &prefix).await?, Remote::Names))
    }

    /// What the store has now of the directory with this prefix.
    async fn remote(&self, operation: &'static str, prefix: &str) -> Result<Remote, Errno> {
        let request = ListingRequest {
            prefix: prefix.to_owned(),
            delimited: false,
            max_keys: 2,
            token: None,
        };
        let page = self.store.list(&request).await;
        let page =
            page.map_err(|error| Errno::of(error.kind()).report(operation, prefix, &error))?;
        let mut keys = page.objects.iter().map(|meta| meta.version.key.as_str());
        Ok(match (keys.next(), keys.next()) {
            (None, _) => Remote::Nothing,
            (Some(key), None) if key == prefix => Remote::Marker,
            _ => Remote::Names,
        })
    }
}

fn delete_failed(operation: &'static str, key: &str, error: &object::Error) -> Errno {
    let errno = match error.kind() {
        ErrorKind::NotFound => Errno::Io,
        kind => Errno::of(kind),
    };
    errno.report(operation, key, error)
}
