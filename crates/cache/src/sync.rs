//! Brings what was written to the disk, and seals what became complete.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::fs::syncfs;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::cache::Cache;
use crate::disk::Disk;
use crate::ledger::{mark, unmark};
use crate::object::Object;
use crate::schedule::Mutex;
use crate::seal::seal;
use crate::table::lock;

/// How often it is done, at least, when something was written.
const EVERY: Duration = Duration::from_secs(2);
/// From so many objects on, the file system is asked to bring everything to the disk.
const MANY: usize = 16;
/// No more objects than this wait, for their files are open.
const WAITING: usize = 256;

/// What waits to be brought to the disk.
#[derive(Default)]
pub(crate) struct Syncer {
    written: Mutex<Vec<Arc<Object>>>,
    soon: Arc<Notify>,
}

impl Syncer {
    /// Begins the work, which ends with the cache.
    pub(crate) fn start(cache: &Arc<Cache>) {
        let weak = Arc::downgrade(cache);
        tokio::spawn(async move {
            while let Some(cache) = weak.upgrade() {
                let awaited = Arc::downgrade(&cache);
                cache.blocking(tick).await;
                drop(cache);
                wait(&awaited).await;
            }
        });
    }

    /// Something was written to the object.
    pub(crate) fn written(&self, object: &Arc<Object>) {
        let mut written = lock(&self.written);
        // Beyond the bound it is sealed when somebody asks for its file.
        if written.len() < WAITING && !object.unsynced.swap(true, Ordering::AcqRel) {
            // Its file is open until it is on the disk: evicting it would free nothing. Where it
            // cannot be marked, too much is evicted.
            let _ = mark(&object.files.data);
            written.push(object.clone());
        }
        if object.wrote_all() || written.len() == WAITING {
            self.soon.notify_one();
        }
    }
}

/// Waits for the next time without keeping the cache from ending.
async fn wait(cache: &Weak<Cache>) {
    let Some(soon) = cache.upgrade().map(|cache| cache.syncer.soon.clone()) else { return };
    tokio::select! {
        () = sleep(EVERY) => {}
        () = soon.notified() => {}
    }
}

fn tick(cache: &Arc<Cache>) {
    sync(cache);
    cache.table.close_deleted();
    cache.backings.close_unused();
    match cache.disk() {
        Ok(disk) => {
            if let Err(error) = disk.space.tend(cache.clock.now()) {
                cache.writing.failed(&error, Instant::now());
            }
        }
        Err(error) => cache.reading.failed(&error, Instant::now()),
    }
}

/// Does it now. Disk IO.
pub(crate) fn sync(cache: &Arc<Cache>) {
    let written = std::mem::take(&mut *lock(&cache.syncer.written));
    if written.is_empty() {
        return;
    }
    let many = written.len() >= MANY;
    // What is written from now on has to be brought to the disk again.
    written.iter().for_each(|object| object.unsynced.store(false, Ordering::Release));
    if let Err(error) = settle(cache, &written, many) {
        cache.writing.failed(&error, Instant::now());
    }
    let done = written.iter().filter(|object| !object.unsynced.load(Ordering::Acquire));
    done.for_each(|object| drop(unmark(&object.files.data)));
}

/// Brings objects to the disk, and seals what is complete.
fn settle(cache: &Arc<Cache>, written: &[Arc<Object>], many: bool) -> io::Result<()> {
    let disk = cache.current();
    durable(&disk, written, many)?;
    for object in written {
        seal(cache, object, !many);
    }
    if many { Ok(syncfs(disk.directory.as_fd())?) } else { Ok(()) }
}

fn durable(disk: &Disk, written: &[Arc<Object>], many: bool) -> io::Result<()> {
    if many {
        return Ok(syncfs(disk.directory.as_fd())?);
    }
    for object in written {
        object.files.data.sync_data()?;
        object.files.map.file().sync_data()?;
        object.disk.directory.sync_names(object.identity())?;
    }
    Ok(())
}
