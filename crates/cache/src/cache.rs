//! A node cache as one process uses it.

use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use object::{Backlog, Budget, Clock, Reclaim, Sink, Store, Version};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use crate::backing::Backings;
use crate::cached::Cached;
use crate::directory::{DirectoryError, Opened, Warning};
use crate::disk::{Disk, Opening};
use crate::filling::{BACKLOG, Filling, writers};
use crate::fresh::Fresh;
use crate::health::Road;
use crate::identity::Scope;
use crate::ledger::overhead;
use crate::map::MapError;
use crate::map::codec::{Header, Mark};
use crate::names::Names;
use crate::object::{Object, Step};
use crate::schedule::{AtomicBool, Mutex};
use crate::space::{Reservation, Spacious};
use crate::stats::{Counts, Stats};
use crate::sync::{self, Syncer};
use crate::table::{Table, lock};
use crate::write_through::WriteThrough;

/// How often an object that is not what it must be is made anew before it is read without.
const TRIES: usize = 3;
/// How long the end waits for fetches that are under way.
const END_WITHIN: Duration = Duration::from_secs(10);

/// What it takes to open a [`Cache`].
pub struct Options {
    /// The directory that was given; ours is made inside.
    pub dir: PathBuf,
    /// The running boot of the node (`/proc/sys/kernel/random/boot_id`).
    pub boot: String,
    /// What pays for bytes read from the disk.
    pub budget: Arc<Budget>,
    /// The time for the ledger.
    pub clock: Clock,
    /// How much may be written.
    pub spacious: Spacious,
    /// How many bytes may be written within a minute through the page cache, to stay there; more
    /// goes past it.
    pub fresh: u64,
}

/// The cache of one directory for all mounts of a process. Lives inside a runtime.
pub struct Cache {
    pub(crate) budget: Arc<Budget>,
    pub(crate) stats: Stats,
    pub(crate) reading: Road,
    pub(crate) writing: Road,
    /// Who may write to the disk now.
    pub(crate) writers: Semaphore,
    /// What has come and waits for the disk.
    pub(crate) backlog: Arc<Backlog>,
    pub(crate) fresh: Fresh,
    pub(crate) clock: Clock,
    opening: Opening,
    disk: Mutex<Arc<Disk>>,
    pub(crate) table: Arc<Table>,
    fillings: Mutex<Vec<Weak<Filling>>>,
    pub(crate) syncer: Syncer,
    pub(crate) backings: Backings,
    pub(crate) names: Names,
    ending: AtomicBool,
    warnings: Vec<Warning>,
}

/// What an object was dropped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It is not what was written.
    Damaged,
    /// The disk cannot read it.
    Unreadable,
}

impl Cache {
    /// Opens the cache. Disk IO; must be called inside a runtime.
    ///
    /// # Errors
    /// Why the directory must not or cannot be used, and what to do about it.
    pub fn open(options: Options) -> Result<Arc<Self>, DirectoryError> {
        let Options { dir, boot, budget, clock, spacious, fresh } = options;
        let opening = Opening { dir, boot, spacious };
        let table = Arc::<Table>::default();
        let disk = opening.open(&table)?;
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let [reading, writing] = Road::of_a_disk(["used", "written to"]);
        let cache = Arc::new(Self {
            budget: budget.clone(),
            stats: Stats::default(),
            reading,
            writing,
            writers: Semaphore::new(writers(cores)),
            backlog: Backlog::new(BACKLOG),
            fresh: Fresh::new(fresh, Instant::now()),
            clock,
            opening,
            warnings: disk.directory.warnings().to_vec(),
            disk: Mutex::new(disk),
            table,
            fillings: Mutex::default(),
            syncer: Syncer::default(),
            backings: Backings::default(),
            names: Names::default(),
            ending: AtomicBool::new(false),
        });
        let weak = Arc::downgrade(&cache);
        budget.register(weak);
        Syncer::start(&cache);
        Ok(cache)
    }

    /// `store`, of which what was read once is read from this cache. `scope` is the store's name.
    pub fn around(self: &Arc<Self>, scope: Scope, store: Arc<dyn Store>) -> Arc<Cached> {
        Arc::new(Cached::new(self.clone(), scope, store))
    }

    /// `sink`, of which what is stored is in this cache afterwards. `scope` is the store's name.
    pub fn before(self: &Arc<Self>, scope: Scope, sink: Arc<dyn Sink>) -> Arc<WriteThrough> {
        Arc::new(WriteThrough::new(self.clone(), scope, sink))
    }

    /// What whoever chose the directory should know.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// What it did since it was opened.
    pub fn counts(&self) -> Counts {
        self.stats.counts()
    }

    /// Ends the use of the cache: what is being fetched is finished, within limits, everything is
    /// brought to the disk, and if this process is the last one that uses the directory, then the
    /// next boot need not check anything. Reads go on from the store afterwards.
    pub async fn close(self: &Arc<Self>) {
        self.ending.store(true, Ordering::Release);
        let fillings = std::mem::take(&mut *lock(&self.fillings));
        let ends = async {
            for filling in fillings.iter().filter_map(Weak::upgrade) {
                filling.over().await;
            }
        };
        // What takes longer is lost, and no more than that.
        let _ = timeout(END_WITHIN, ends).await;
        self.blocking(sync::sync).await;
        let disk = self.current();
        let left = spawn_blocking(move || disk.epoch.leave(&disk.directory));
        if let Ok(Err(error)) = left.await {
            self.writing.failed(&error, Instant::now());
        }
    }

    /// Whether absent blocks may be fetched into the cache now.
    pub(crate) fn may_fill(&self) -> bool {
        !self.ending.load(Ordering::Acquire) && self.writing.usable(Instant::now())
    }

    /// Does disk IO on a thread where it disturbs nobody; nothing when the process is ending.
    pub(crate) async fn blocking<R: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Cache>) -> R + Send + 'static,
    ) -> Option<R> {
        let cache = self.clone();
        spawn_blocking(move || work(&cache)).await.ok()
    }

    /// The object of `version`, opened if it is there, made if it is not and `make` is set;
    /// nothing when there is none, or none can be made, or the disk fails. Disk IO.
    pub(crate) fn object(
        &self,
        scope: &Scope,
        version: &Arc<Version>,
        make: bool,
    ) -> Option<Arc<Object>> {
        if !self.reading.usable(Instant::now()) {
            return None;
        }
        match self.try_object(scope, version, make) {
            Ok(object) => {
                self.reading.worked(Instant::now());
                object.inspect(|object| self.table.used(object))
            }
            Err(error) => {
                self.reading.failed(&error, Instant::now());
                None
            }
        }
    }

    fn try_object(
        &self,
        scope: &Scope,
        version: &Arc<Version>,
        make: bool,
    ) -> io::Result<Option<Arc<Object>>> {
        let header = Header::new(scope, version);
        let slot = self.table.slot(&header.identity);
        let mut slot = lock(&slot);
        if let Some(object) = slot.upgrade().filter(|object| !object.is_gone()) {
            return Ok(Some(object));
        }
        for _ in 0..TRIES {
            let disk = self.disk()?;
            match disk.directory.open_object(&header.identity)? {
                Opened::Found(files) => {
                    let object = Arc::new(Object::new(version.clone(), files, disk));
                    *slot = Arc::downgrade(&object);
                    return Ok(Some(object));
                }
                Opened::Damaged => {
                    if let Err(error) = disk.space.unlink(&header.identity) {
                        self.writing.failed(&error, Instant::now());
                        return Ok(None);
                    }
                    self.stats.dropped_damaged.add(1);
                    tracing::warn!("the cached {} was damaged and is dropped", version.key);
                }
                Opened::Absent if make => {
                    if !self.make(&disk, &header) {
                        return Ok(None);
                    }
                }
                Opened::Absent => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Makes the files of an object; false when it cannot have any now.
    fn make(&self, disk: &Disk, header: &Header) -> bool {
        let needs = overhead(header.size);
        let Some(mut room) = Reservation::new(disk, needs) else {
            return false;
        };
        let mark = Mark { epoch: disk.epoch.number(), ..Mark::default() };
        match disk.directory.make_or_open(header, &mark) {
            Ok((found, made)) => {
                // Whoever else made it has paid.
                if made {
                    room.settle(&header.identity, needs);
                }
                !matches!(found, Opened::Absent)
            }
            // It was taken away meanwhile, which is said when another one takes its place.
            Err(_) if !disk.directory.is_there() => false,
            Err(error) => {
                self.writing.failed(&error, Instant::now());
                false
            }
        }
    }

    /// The next thing to do about `blocks` of `object`, of which `begin` is to fetch what is absent,
    /// if it is given; nothing when the disk fails. Disk IO.
    pub(crate) fn step(
        &self,
        object: &Arc<Object>,
        blocks: Range<u64>,
        begin: Option<impl FnMut(Range<u64>) -> Option<Arc<Filling>>>,
    ) -> Option<Step> {
        match object.step(blocks, Instant::now(), begin) {
            Ok(step) => Some(step),
            Err(MapError::Damaged(_)) => Some(Step::Broken),
            Err(MapError::Io(error)) => {
                self.reading.failed(&error, Instant::now());
                None
            }
        }
    }

    /// The directory to use now: the one there is, or another one when it was taken away. Disk
    /// IO.
    pub(crate) fn disk(&self) -> io::Result<Arc<Disk>> {
        let mut disk = lock(&self.disk);
        if !disk.directory.is_there() {
            *disk = self.opening.open(&self.table).map_err(io::Error::other)?;
            let path = disk.directory.path().display();
            tracing::warn!("the cache's directory had been taken away; {path} is used now");
        }
        Ok(disk.clone())
    }

    /// The directory in use, whether or not it is still there.
    pub(crate) fn current(&self) -> Arc<Disk> {
        lock(&self.disk).clone()
    }

    /// Unlinks an object that cannot be used, if its files are still these.
    pub(crate) fn drop_object(&self, object: &Arc<Object>, why: Broken) {
        if !object.leave() {
            return;
        }
        self.table.forget(object);
        match why {
            Broken::Damaged => self.stats.dropped_damaged.add(1),
            Broken::Unreadable => self.stats.dropped_unreadable.add(1),
        }
        let what = match why {
            Broken::Damaged => "is damaged",
            Broken::Unreadable => "cannot be read",
        };
        tracing::warn!("the cached {} {what} and is dropped", object.version.key);
        if !object.files.unlinked().unwrap_or(true)
            && let Err(error) = object.disk.space.unlink(object.identity())
        {
            self.writing.failed(&error, Instant::now());
        }
    }

    /// A fetch begins whose bytes are kept.
    pub(crate) fn begun(&self, filling: &Arc<Filling>) {
        let mut fillings = lock(&self.fillings);
        fillings.retain(|filling| filling.strong_count() > 0);
        fillings.push(Arc::downgrade(filling));
    }
}

impl Reclaim for Cache {
    fn reclaim(&self, bytes: u64, urgent: bool) -> u64 {
        let Ok(fillings) = self.fillings.try_lock() else { return 0 };
        let mut freed = 0;
        for filling in fillings.iter().filter_map(Weak::upgrade) {
            if freed >= bytes || !urgent {
                break;
            }
            freed += filling.give_up_waiting();
        }
        freed
    }
}
