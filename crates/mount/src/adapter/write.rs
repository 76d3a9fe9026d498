//! Requests that write or change something.

use fs::{Errno, Operation};
use fuse::{Delivery, Op, Reply};
use object::CHUNK;

use super::{Adapter, convert, refuse};

/// Chunks of bytes that are kept of all WRITEs that wait. What comes beyond is taken piece by
/// piece, so that many who wait do not take memory that nobody counts.
pub(super) const WAITING: usize = (16 << 20) / CHUNK as usize;

impl Adapter {
    /// Answers a request that changes something, or that there is no answer to.
    pub(super) fn change(&self, node: u64, op: &Op<'_>, reply: Reply) {
        match *op {
            Op::Create { name, flags, .. } => self.create(node, name, flags, reply),
            Op::Mknod { name, mode, .. } if mode & libc::S_IFMT == libc::S_IFREG => {
                self.mknod(node, name, reply);
            }
            Op::Mkdir { name, .. } => self.mkdir(node, name, reply),
            Op::Unlink { name } => {
                let (fs, name) = (self.fs.clone(), name.to_vec());
                self.run(async move { answer(reply, fs.unlink(node, &name).await) });
            }
            Op::Rmdir { name } => {
                let (fs, name) = (self.fs.clone(), name.to_vec());
                self.run(async move { answer(reply, fs.rmdir(node, &name).await) });
            }
            Op::Rename { name, new_parent, new_name, flags } => {
                let (fs, name, new_name) = (self.fs.clone(), name.to_vec(), new_name.to_vec());
                let flags = convert::rename_flags(flags);
                self.run(async move {
                    answer(reply, fs.rename(node, &name, new_parent, &new_name, flags).await);
                });
            }
            Op::Setattr(wanted) => self.setattr(node, &wanted, reply),
            Op::Write { fh, offset, data, .. } => self.write(fh, offset, data, reply),
            Op::Flush { fh } => {
                let fs = self.fs.clone();
                self.run(async move { answer(reply, fs.flush(fh).await) });
            }
            Op::Fsync { fh, .. } => {
                let fs = self.fs.clone();
                self.run(async move { answer(reply, fs.fsync(fh).await) });
            }
            Op::Mknod { .. } => refuse(reply, self.fs.refuse(Operation::Special, node)),
            Op::Symlink { .. } => refuse(reply, self.fs.refuse(Operation::Symlink, node)),
            Op::Link { .. } => refuse(reply, self.fs.refuse(Operation::Link, node)),
            _ => refuse(reply, Errno::Unsupported),
        }
    }

    pub(super) fn release(&self, handle: u64, reply: Reply) {
        // What the file system does after it has answered goes on there.
        let _runtime = self.runtime.enter();
        self.fs.release(handle);
        reply.ok();
    }

    fn create(&self, parent: u64, name: &[u8], flags: u32, reply: Reply) {
        let (fs, shape, counts) = (self.fs.clone(), self.shape, self.counts.clone());
        let (name, options) = (name.to_vec(), convert::open_options(flags));
        self.run(async move {
            match fs.create(parent, &name, options).await {
                Ok((entry, opened)) => {
                    counts.opened(opened.mode);
                    let answer = (shape.entry(&entry), convert::opened(&opened));
                    if reply.created(&answer.0, &answer.1) == Delivery::Lost {
                        fs.abandon(opened.handle);
                        fs.forget(entry.node, 1);
                    }
                }
                Err(errno) => refuse(reply, errno),
            }
        });
    }

    fn mknod(&self, parent: u64, name: &[u8], reply: Reply) {
        let (fs, shape, name) = (self.fs.clone(), self.shape, name.to_vec());
        self.run(async move {
            match fs.mknod(parent, &name).await {
                Ok(entry) => {
                    if reply.entry(&shape.entry(&entry)) == Delivery::Lost {
                        fs.forget(entry.node, 1);
                    }
                }
                Err(errno) => refuse(reply, errno),
            }
        });
    }

    fn mkdir(&self, parent: u64, name: &[u8], reply: Reply) {
        let (fs, shape, name) = (self.fs.clone(), self.shape, name.to_vec());
        self.run(async move {
            match fs.mkdir(parent, &name).await {
                Ok(entry) => {
                    if reply.entry(&shape.entry(&entry)) == Delivery::Lost {
                        fs.forget(entry.node, 1);
                    }
                }
                Err(errno) => refuse(reply, errno),
            }
        });
    }

    fn setattr(&self, node: u64, wanted: &fuse::Setattr, reply: Reply) {
        let (fs, shape) = (self.fs.clone(), self.shape);
        let (handle, change) = (wanted.fh, convert::change(wanted));
        self.run(async move {
            match fs.setattr(node, handle, change).await {
                Ok((attr, ttl)) => reply.attr(&shape.attr(&attr), ttl),
                Err(errno) => refuse(reply, errno),
            }
        });
    }

    /// The bytes are the worker's, and only as long as it is here: what can be taken is taken at
    /// once, and what has to wait is copied.
    fn write(&self, handle: u64, offset: u64, data: &[u8], reply: Reply) {
        let taken = {
            let _runtime = self.runtime.enter();
            self.fs.write_now(handle, offset, data)
        };
        let rest = data.get(taken as usize..).unwrap_or_default();
        if rest.is_empty() && !data.is_empty() {
            return reply.written(taken);
        }
        let chunk = usize::try_from(CHUNK).unwrap_or(usize::MAX);
        let room = u32::try_from(rest.len().div_ceil(chunk)).unwrap_or(u32::MAX);
        let room = self.waiting.clone().try_acquire_many_owned(room).ok();
        let kept = if room.is_some() { rest } else { &rest[..rest.len().min(chunk)] };
        let (fs, bytes) = (self.fs.clone(), kept.to_vec());
        self.run(async move {
            match fs.write(handle, offset.saturating_add(u64::from(taken)), &bytes).await {
                Ok(more) => reply.written(taken + more),
                // The next one is told.
                Err(_) if taken > 0 => reply.written(taken),
                Err(errno) => refuse(reply, errno),
            }
            drop(room);
        });
    }
}

fn answer(reply: Reply, done: Result<(), Errno>) {
    match done {
        Ok(()) => reply.ok(),
        Err(errno) => refuse(reply, errno),
    }
}
