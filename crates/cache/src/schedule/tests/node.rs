//! Processes on one node, and what is known of what they do.

use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Mutex, OnceLock};

use ::object::{BLOCK, Budget, Clock, ETag, Flight, Key, Pilot, Time, Version};
use tempfile::TempDir;

use super::turns::exploring;
use crate::backing::hand_out;
use crate::cache::{Broken, Cache, Options};
use crate::directory::{Files, Opened};
use crate::evict::Room;
use crate::filling::{Filling, write_down};
use crate::identity::{Identity, Scope};
use crate::ledger::Limit;
use crate::map::codec::Record;
use crate::object::{BlockRead, Loss, Object, Step};
use crate::schedule::{give_way, step};
use crate::seal::intact;
use crate::space::{Reservation, Unlimited};
use crate::sync::sync;

/// Of all explorations, so that memory is asked of the system but once.
static BUDGET: OnceLock<Arc<Budget>> = OnceLock::new();

/// A directory, and what was done in it.
pub(super) struct Node {
    pub(super) dir: TempDir,
    seen: Mutex<Seen>,
}

/// A process that uses it.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) node: Arc<Node>,
    pub(super) cache: Arc<Cache>,
    pub(super) room: Option<Arc<Room>>,
}

/// Blocks by the inode of their map, and their number.
#[derive(Default)]
struct Seen {
    fetching: HashSet<(u64, u64)>,
    kept: HashSet<(u64, u64)>,
    /// Whether power was cut.
    lost: bool,
}

/// A fetch that was begun.
pub(super) struct Begun {
    filling: Arc<Filling>,
    pilot: Pilot,
    room: Reservation,
}

pub(super) fn scope() -> Scope {
    Scope { endpoint: "e".into(), bucket: "b".into() }
}

pub(super) fn version(key: &str, size: u64) -> Arc<Version> {
    Arc::new(Version { key: Key::new(key).unwrap(), etag: ETag::new("t"), size })
}

/// What every byte of a block is. None is zero, as a hole would be.
pub(super) fn byte_of(version: &Version, number: u64) -> u8 {
    let key = version.key.as_str().bytes().fold(1, u8::wrapping_add);
    key.wrapping_add(number as u8).max(1)
}

/// Without a branch for each byte.
fn is_all(bytes: &[u8], byte: u8) -> bool {
    bytes.iter().fold(0, |differs, found| differs | (found ^ byte)) == 0
}

impl Node {
    pub(super) fn new() -> Arc<Self> {
        let dir = tempfile::Builder::new().prefix("cache-schedule-").tempdir_in("/dev/shm");
        Arc::new(Self { dir: dir.unwrap(), seen: Mutex::default() })
    }

    pub(super) fn process(self: &Arc<Self>) -> Process {
        self.process_in("boot-1", None)
    }

    /// A process in that boot of the node, with a limit in bytes or without.
    pub(super) fn process_in(self: &Arc<Self>, boot: &str, limit: Option<u64>) -> Process {
        let made = Arc::<OnceLock<Arc<Room>>>::default();
        let spacious = match limit {
            None => Unlimited::spacious(),
            Some(bytes) => {
                let made = made.clone();
                Box::new(move |directory: &_, epoch| {
                    let limit = Limit::Bytes(bytes);
                    let room = Room::open(Arc::clone(directory), limit, epoch, Clock::start());
                    let room = Arc::new(room.map_err(std::io::Error::other)?);
                    Ok(made.get_or_init(|| room).clone() as _)
                })
            }
        };
        let cache = Cache::open(Options {
            dir: self.dir.path().to_owned(),
            boot: boot.into(),
            budget: BUDGET.get_or_init(|| Budget::new(1 << 40)).clone(),
            clock: Clock::start(),
            spacious,
            fresh: u64::MAX,
        });
        Process { node: self.clone(), cache: cache.unwrap(), room: made.get().cloned() }
    }

    /// A block is lost by a power cut.
    pub(super) fn lose(self: &Arc<Self>, process: &Process, version: &Version, number: u64) {
        let map = files_of(process, version).unwrap().map.file().metadata().unwrap().ino();
        self.seen(|seen| {
            seen.lost = true;
            seen.kept.remove(&(map, number));
        });
    }

    fn seen<R>(&self, see: impl FnOnce(&mut Seen) -> R) -> R {
        see(&mut self.seen.lock().unwrap())
    }
}

impl Seen {
    fn begin(&mut self, map: u64, blocks: Range<u64>) {
        for number in blocks {
            assert!(!self.kept.contains(&(map, number)), "{number} is there and fetched again");
            assert!(self.fetching.insert((map, number)), "{number} is fetched by two at once");
        }
    }

    fn end(&mut self, map: u64, blocks: Range<u64>) {
        for number in blocks {
            assert!(self.fetching.remove(&(map, number)));
        }
    }
}

fn inode(object: &Object) -> u64 {
    object.files.map.file().metadata().unwrap().ino()
}

impl Process {
    pub(super) fn object(&self, version: &Arc<Version>) -> Option<Arc<Object>> {
        self.cache.object(&scope(), version, true)
    }

    /// Reads blocks as a reader does: what is absent is fetched, all of it.
    pub(super) fn read(&self, version: &Arc<Version>, blocks: Range<u64>) {
        self.read_with(version, blocks, Self::fill);
    }

    /// The same; `fill` is to finish what is begun, and says whether its process lives on.
    pub(super) fn read_with(
        &self,
        version: &Arc<Version>,
        blocks: Range<u64>,
        fill: fn(&Self, &Arc<Object>, Begun) -> bool,
    ) {
        let mut at = blocks.start;
        while at < blocks.end {
            // There may be no room for it.
            let Some(object) = self.object(version) else { return };
            let mut begun = None;
            let begin = |absent| {
                begun = self.begin(&object, absent);
                begun.as_ref().map(|begun: &Begun| begun.filling.clone())
            };
            match self.cache.step(&object, at..blocks.end, Some(begin)).expect("the disk works") {
                Step::Present(found) => at = self.read_present(&object, found),
                Step::Begun(_) => {
                    if !fill(self, &object, begun.take().unwrap()) {
                        return;
                    }
                }
                Step::Join(filling) => wait_until(|| !filling.brings(at)),
                Step::Elsewhere(_) => wait_until(|| {
                    let here = object.progress(at..at + 1).unwrap() > 0;
                    here || !object.is_claimed(at).unwrap() || object.is_gone()
                }),
                Step::Absent(end) => at = end,
                Step::Stuck(_) => panic!("nobody was stuck"),
                Step::Broken => self.cache.drop_object(&object, Broken::Damaged),
                Step::Gone => give_way(),
            }
        }
    }

    /// Reads present blocks; answers up to where they were right.
    fn read_present(&self, object: &Arc<Object>, blocks: Range<u64>) -> u64 {
        let end = blocks.end;
        for number in blocks {
            if self.is_right(object, number) {
                continue;
            }
            assert!(self.node.seen(|seen| seen.lost), "{number} is said to be there and is bad");
            match object.lose(number) {
                Ok(Loss::Absent) => {}
                Ok(Loss::Elsewhere) => wait_until(|| !object.is_claimed(number).unwrap()),
                _ => self.cache.drop_object(object, Broken::Damaged),
            }
            return number;
        }
        end
    }

    /// Whether a block can be read; panics when its bytes are wrong and nobody noticed.
    fn is_right(&self, object: &Arc<Object>, number: u64) -> bool {
        let span = object.span(number..number + 1);
        let lease = self.cache.budget.try_lease(span.len(), 0).unwrap();
        let BlockRead::Good(chunks) = object.read_block(number, span, lease).unwrap() else {
            return false;
        };
        let byte = byte_of(&object.version, number);
        assert!(chunks.iter().all(|chunk| is_all(chunk, byte)), "wrong bytes of {number}");
        let _ = object.touch(tokio::time::Instant::now());
        true
    }

    fn begin(&self, object: &Arc<Object>, absent: Range<u64>) -> Option<Begun> {
        let span = object.span(absent.clone());
        let room = Reservation::new(&object.disk, span.len())?;
        self.node.seen(|seen| seen.begin(inode(object), absent.clone()));
        let lease = self.cache.budget.try_lease(span.len(), 0).unwrap();
        let (flight, pilot) = Flight::new(span, lease);
        if span == object.version.whole() {
            object.came_whole.store(true, std::sync::atomic::Ordering::Release);
        }
        Some(Begun { filling: Filling::new(absent, flight), pilot, room })
    }

    /// Writes all that was to be fetched.
    pub(super) fn fill(&self, object: &Arc<Object>, begun: Begun) -> bool {
        self.fill_some(object, begun, u64::MAX)
    }

    /// The store fails after the first block.
    pub(super) fn fail(&self, object: &Arc<Object>, begun: Begun) -> bool {
        self.fill_some(object, begun, 1)
    }

    fn fill_some(&self, object: &Arc<Object>, mut begun: Begun, most: u64) -> bool {
        let (filling, map) = (begun.filling.clone(), inode(object));
        let blocks = filling.blocks.clone();
        for number in blocks.start..blocks.end.min(blocks.start.saturating_add(most)) {
            begun.put(object, number);
            self.node.seen(|seen| seen.kept.insert((map, number)));
        }
        let Begun { pilot, room, .. } = begun;
        pilot.finish(Ok(()));
        filling.reach(blocks.end);
        drop(room);
        self.node.seen(|seen| seen.end(map, blocks));
        filling.end(&self.cache, object);
        true
    }

    /// The process is killed when it has recorded the first block.
    pub(super) fn die(&self, object: &Arc<Object>, mut begun: Begun) -> bool {
        let blocks = begun.filling.blocks.clone();
        begun.put(object, blocks.start);
        self.node.seen(|seen| {
            seen.kept.insert((inode(object), blocks.start));
            seen.end(inode(object), blocks);
        });
        false
    }

    /// What is done every 2 s.
    pub(super) fn tick(&self) {
        sync(&self.cache);
        self.cache.table.close_deleted();
        self.cache.backings.close_unused();
        // So early that no walk is due.
        self.cache.disk().unwrap().space.tend(Time::from_secs(1)).unwrap();
    }

    /// The file of a sealed object, every byte of which is right.
    pub(super) fn hand_out(&self, version: &Arc<Version>) -> Option<Arc<File>> {
        let object = self.cache.object(&scope(), version, false)?;
        let file = match hand_out(&self.cache, &object) {
            Ok(file) => file?,
            Err(_) => {
                self.cache.drop_object(&object, Broken::Damaged);
                return None;
            }
        };
        assert_right(&file, version);
        Some(file)
    }
}

impl Begun {
    /// A block arrives and is kept.
    fn put(&mut self, object: &Object, number: u64) {
        let block = object.span(number..number + 1);
        for _ in block.chunks() {
            let mut buffer = self.pilot.buffer(0).unwrap();
            buffer.fill(byte_of(&object.version, number));
            self.pilot.land(buffer);
        }
        let chunk = |number| self.filling.flight.chunk(number).unwrap();
        let chunks: Vec<_> = block.chunks().map(chunk).collect();
        let sealed = exploring(false, || object.mark().unwrap().seal.is_some());
        assert!(!sealed, "a sealed object is written to");
        write_down(object, None, number, &chunks).unwrap();
        self.room.settle(object.identity(), block.len());
        self.filling.reach(number + 1);
    }
}

pub(super) fn wait_until(mut is_so: impl FnMut() -> bool) {
    give_way();
    while !is_so() {
        give_way();
    }
}

/// All of a file is what it must be.
pub(super) fn assert_right(file: &File, version: &Version) {
    let mut bytes = vec![0; BLOCK as usize];
    for number in 0..version.size.div_ceil(BLOCK) {
        let at = number * BLOCK;
        bytes.truncate((version.size - at).min(BLOCK) as usize);
        step();
        file.read_exact_at(&mut bytes, at).unwrap();
        let byte = byte_of(version, number);
        assert!(is_all(&bytes, byte), "wrong bytes of {number} in a file");
    }
}

/// What another process finds of an object, if there is one.
pub(super) fn files_of(process: &Process, version: &Version) -> Option<Files> {
    let identity = Identity::of(&scope(), version);
    match process.cache.current().directory.open_object(&identity).unwrap() {
        Opened::Found(files) => Some(files),
        Opened::Absent => None,
        Opened::Damaged => panic!("damaged"),
    }
}

/// Nobody claims blocks of an object any more; if it is sealed it is complete, and what is there
/// is right.
pub(super) fn assert_at_rest(process: &Process, version: &Arc<Version>) {
    let Some(files) = files_of(process, version) else { return };
    let all = 0..files.map.header().blocks();
    assert_eq!(files.map.claimed(all.clone()).unwrap(), None, "a claim is left");
    let present = |record: &Record| matches!(record, Record::Present(_));
    let complete = files.map.records(all).unwrap().iter().all(present);
    assert!(complete || files.map.mark().unwrap().seal.is_none(), "sealed and not complete");
    if complete {
        assert_right(&files.data, version);
    }
}

/// The object is complete, right and sealed, as all processes find it, and never was anything
/// else.
pub(super) fn assert_sealed(processes: &[Process], version: &Arc<Version>) {
    // Sealing gives all claims back.
    processes.iter().for_each(|process| assert_at_rest(process, version));
    processes.iter().for_each(Process::tick);
    for process in processes {
        assert_at_rest(process, version);
        let object = process.object(version).unwrap();
        assert!(intact(&object).unwrap().is_some(), "not sealed");
        assert!(process.hand_out(version).is_some());
        let counts = process.cache.counts();
        assert_eq!((counts.dropped_damaged, counts.dropped_unreadable), (0, 0));
    }
}
