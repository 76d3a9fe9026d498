//! Random histories of a bucket that is changed through the file system and behind its back,
//! against a small model of what each answer may be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fs::{Errno, HandleId, Kind, ROOT, Ttl, Writes};
use object::{ErrorKind, Time};
use proptest::prelude::*;

use crate::mount::{Mount, THEN, config, texts};

const KEYS: [&str; 5] = ["a", "a!", "d/x", "d/y", "e/f/g"];
const DIRECTORIES: [&str; 3] = ["d", "e", "e/f"];
/// What the test's own running takes, beyond the time it lets pass.
const SLACK: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
enum Step {
    Put(usize),
    Delete(usize),
    Pass(u64),
    Failing(bool),
    Open(usize),
    Write(usize, u8),
    WriteElsewhere(usize),
    Flush(usize),
    Fsync(usize),
    Close(usize),
    Release(usize),
    Unlink(usize),
    Mkdir(usize),
    Rmdir(usize),
    Cat(usize),
    Stat(usize),
    StatDirectory(usize),
    List(usize),
    Forget,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || 0..KEYS.len();
    let directory = || 0..DIRECTORIES.len();
    let step = prop_oneof![
        3 => key().prop_map(Step::Put),
        2 => key().prop_map(Step::Delete),
        3 => prop::sample::select(vec![30u64, 150, 1200, 9000, 12_000]).prop_map(Step::Pass),
        1 => any::<bool>().prop_map(Step::Failing),
        6 => key().prop_map(Step::Open),
        6 => (key(), any::<u8>()).prop_map(|(key, len)| Step::Write(key, len)),
        1 => key().prop_map(Step::WriteElsewhere),
        2 => key().prop_map(Step::Flush),
        2 => key().prop_map(Step::Fsync),
        4 => key().prop_map(Step::Close),
        1 => key().prop_map(Step::Release),
        3 => key().prop_map(Step::Unlink),
        2 => directory().prop_map(Step::Mkdir),
        2 => directory().prop_map(Step::Rmdir),
        4 => key().prop_map(Step::Cat),
        3 => key().prop_map(Step::Stat),
        2 => directory().prop_map(Step::StatDirectory),
        3 => (0..=DIRECTORIES.len()).prop_map(Step::List),
        1 => Just(Step::Forget),
    ];
    prop::collection::vec(step, 1..60)
}

/// What a key stands for in the store: which of its versions, and its text.
type State = Option<(u64, String)>;

/// A file that is open for writing.
struct Writing {
    handle: HandleId,
    /// It was made here.
    new: bool,
    text: String,
    /// Its own last version.
    published: Option<u64>,
    dirty: bool,
    empty: bool,
    flushed: bool,
    failed: Option<Errno>,
}

impl Writing {
    /// Whether only this mount has it.
    fn is_own(&self) -> bool {
        self.new && self.published.is_none() && self.failed.is_none()
    }
}

struct World {
    mount: Mount,
    overwrite: bool,
    /// How old what is said of a file may be: by an open, and by anything else.
    ages: (Duration, Duration),
    versions: u64,
    failing: bool,
    /// Each key's states, from a time on.
    history: [Vec<(Time, State)>; KEYS.len()],
    /// When each key was last changed here: nothing older is to be seen of it.
    floors: [Time; KEYS.len()],
    writing: BTreeMap<usize, Writing>,
    /// Directories that stay until they are removed here.
    kept: BTreeSet<&'static str>,
    looked_up: BTreeMap<u64, u64>,
    /// Requests that have to have been made: PUTs and DELETEs.
    requests: (u64, u64),
}

impl World {
    fn new(ttl: Ttl, overwrite: bool) -> Self {
        let writes = Writes { allow_overwrite: overwrite, allow_delete: true, ..Writes::default() };
        let ages = match ttl {
            Ttl::For(time) => (time + SLACK, time + SLACK),
            _ => (Duration::from_millis(100) + SLACK, Duration::from_millis(1100) + SLACK),
        };
        Self {
            mount: Mount::with(fs::Config { writes, ..config(ttl) }),
            overwrite,
            ages,
            versions: 0,
            failing: false,
            history: std::array::from_fn(|_| vec![(Time::default(), None)]),
            floors: [Time::default(); KEYS.len()],
            writing: BTreeMap::new(),
            kept: BTreeSet::new(),
            looked_up: BTreeMap::new(),
            requests: (0, 0),
        }
    }

    fn change(&mut self, key: usize, text: Option<String>) -> u64 {
        self.versions += 1;
        let state = text.map(|text| (self.versions, text));
        self.history[key].push((self.mount.clock.now(), state));
        self.versions
    }

    /// The same for a change made here.
    fn own_change(&mut self, key: usize, text: Option<String>) -> u64 {
        let version = self.change(key, text);
        self.floors[key] = self.history[key].last().unwrap().0;
        version
    }

    fn now(&self, key: usize) -> &State {
        &self.history[key].last().unwrap().1
    }

    /// The states that an answer as old as `age` may be of.
    fn since(&self, key: usize, age: Duration) -> Vec<&State> {
        let from = Time(self.mount.clock.now().0.saturating_sub(age)).max(self.floors[key]);
        let history = &self.history[key];
        let first = history.iter().rposition(|(at, _)| *at <= from).unwrap_or(0);
        history[first..].iter().map(|(_, state)| state).collect()
    }

    fn may_be_absent(&self, key: usize, age: Duration) -> bool {
        self.since(key, age).contains(&&None)
    }

    fn below(directory: &str) -> Vec<usize> {
        let prefix = format!("{directory}/");
        (0..KEYS.len()).filter(|key| KEYS[*key].starts_with(&prefix)).collect()
    }

    /// Whether this mount has something in a directory that the store has not, or writes there.
    fn has_own_below(&self, directory: &str) -> bool {
        let prefix = format!("{directory}/");
        let own = |key: &usize| self.writing.contains_key(key);
        Self::below(directory).iter().any(own) || self.kept.iter().any(|k| k.starts_with(&prefix))
    }

    fn directory_must_be(&self, directory: &str) -> bool {
        let always = |key: &usize| !self.may_be_absent(*key, self.ages.1);
        self.kept.contains(directory)
            || self.has_own_below(directory)
            || Self::below(directory).iter().any(always)
    }

    fn directory_may_be(&self, directory: &str) -> bool {
        let ever = |key: &usize| self.since(*key, self.ages.1).iter().any(|s| s.is_some());
        self.directory_must_be(directory) || Self::below(directory).iter().any(ever)
    }

    /// Whether the directory of `key` may seem not to be there.
    fn is_lost(&self, key: usize) -> bool {
        DIRECTORIES.iter().any(|directory| {
            KEYS[key].starts_with(&format!("{directory}/")) && !self.directory_must_be(directory)
        })
    }

    async fn run(&mut self, step: Step) {
        match step {
            Step::Put(key) => {
                let version = self.versions + 1;
                let text = format!("{version} {}", "x".repeat(version as usize % 7));
                self.mount.store.put(KEYS[key], text.as_bytes(), THEN);
                self.change(key, Some(text));
            }
            Step::Delete(key) => {
                self.mount.store.delete(KEYS[key]);
                self.change(key, None);
            }
            Step::Pass(ms) => self.mount.pass(Duration::from_millis(ms)),
            Step::Failing(failing) => {
                self.failing = failing;
                self.mount.store.set_writes_failing(failing.then_some(ErrorKind::Full));
            }
            Step::Open(key) => self.open(key).await,
            Step::Write(key, len) => self.write(key, usize::from(len)).await,
            Step::WriteElsewhere(key) => self.write_elsewhere(key).await,
            Step::Flush(key) => self.publish(key, false).await,
            Step::Fsync(key) => self.publish(key, true).await,
            Step::Close(key) => {
                self.publish(key, false).await;
                self.release(key).await;
            }
            Step::Release(key) => self.release(key).await,
            Step::Unlink(key) => self.unlink(key).await,
            Step::Mkdir(number) => self.mkdir(DIRECTORIES[number]).await,
            Step::Rmdir(number) => self.rmdir(DIRECTORIES[number]).await,
            Step::Cat(key) => self.cat(key).await,
            Step::Stat(key) => self.stat(key).await,
            Step::StatDirectory(number) => self.stat_directory(DIRECTORIES[number]).await,
            Step::List(0) => self.list(ROOT, "").await,
            Step::List(number) => {
                let directory = DIRECTORIES[number - 1];
                if let Ok(entry) = self.mount.walk(directory).await {
                    self.list(entry.node, &format!("{directory}/")).await;
                }
            }
            Step::Forget => {
                for (node, count) in std::mem::take(&mut self.looked_up) {
                    self.mount.fs.forget(node, count);
                }
            }
        }
        // Changes made at one moment of the clock have no order that listings would know.
        self.mount.pass(Duration::from_millis(2));
    }

    async fn open(&mut self, key: usize) {
        // Whoever comes after a flush waits for the close: not here.
        if self.writing.contains_key(&key) {
            if !self.writing[&key].flushed && self.writing[&key].failed.is_none() {
                let second = self.mount.open_new(KEYS[key]).await.map(|_| ());
                assert_eq!(second, Err(Errno::NotPermitted), "{}", KEYS[key]);
            }
            return;
        }
        let found = self.mount.walk(KEYS[key]).await;
        let opened = self.mount.open_new(KEYS[key]).await;
        let new = match (found, &opened) {
            (Ok(entry), Ok(_)) => {
                assert!(self.overwrite && entry.attr.kind == Kind::File);
                false
            }
            (Ok(_), Err(Errno::NotPermitted)) if !self.overwrite => return,
            (Err(Errno::NotFound), Ok(_)) => true,
            (Err(Errno::NotFound), Err(Errno::NotFound)) if self.is_lost(key) => return,
            (found, opened) => panic!("{}: {found:?}, {opened:?}", KEYS[key]),
        };
        let ever = self.since(key, self.ages.1).iter().any(|state| state.is_some());
        assert!(if new { self.may_be_absent(key, self.ages.1) } else { ever });
        let (_, handle) = opened.unwrap();
        let writing = Writing {
            handle,
            new,
            text: String::new(),
            published: None,
            dirty: false,
            empty: true,
            flushed: false,
            failed: None,
        };
        self.writing.insert(key, writing);
    }

    async fn write(&mut self, key: usize, len: usize) {
        let Some(writing) = self.writing.get_mut(&key) else { return };
        let more = "w".repeat(len + 1);
        let written =
            self.mount.write(writing.handle, writing.text.len() as u64, more.as_bytes()).await;
        assert_eq!(written, writing.failed.map_or(Ok(()), Err));
        if writing.failed.is_none() {
            writing.text.push_str(&more);
            writing.dirty = true;
            writing.flushed = false;
        }
    }

    async fn write_elsewhere(&mut self, key: usize) {
        let Some(writing) = self.writing.get_mut(&key) else { return };
        let elsewhere = writing.text.len() as u64 + 1;
        let written = self.mount.write(writing.handle, elsewhere, b"x").await;
        let failed = *writing.failed.get_or_insert(Errno::Invalid);
        assert_eq!(written, Err(failed));
    }

    /// What publishing has to answer; the model goes on as if it had.
    fn expect_publish(&mut self, key: usize, last: bool) -> Result<(), Errno> {
        let Some(writing) = self.writing.get(&key) else { return Ok(()) };
        if let Some(failed) = writing.failed {
            return Err(failed);
        }
        let due = writing.dirty || (last && writing.empty);
        if !due {
            return Ok(());
        }
        let now = self.now(key).as_ref().map(|(version, _)| *version);
        let outcome = match writing.published {
            _ if self.failing => Err(Errno::NoSpace),
            Some(own) if now != Some(own) => Err(Errno::Stale),
            None if writing.new && !self.overwrite && now.is_some() => Err(Errno::Exists),
            _ => Ok(()),
        };
        self.requests.0 += 1;
        let text = writing.text.clone();
        let version = outcome.is_ok().then(|| self.own_change(key, Some(text)));
        let writing = self.writing.get_mut(&key).unwrap();
        match outcome {
            Ok(()) => {
                writing.published = version;
                (writing.dirty, writing.empty) = (false, false);
            }
            Err(errno) => writing.failed = Some(errno),
        }
        outcome
    }

    async fn publish(&mut self, key: usize, sync: bool) {
        let Some(handle) = self.writing.get(&key).map(|writing| writing.handle) else { return };
        let answer = match sync {
            true => self.mount.fs.fsync(handle).await,
            false => self.mount.fs.flush(handle).await,
        };
        assert_eq!(answer, self.expect_publish(key, sync), "{}", KEYS[key]);
        if let Some(writing) = self.writing.get_mut(&key) {
            writing.flushed |= !sync;
        }
    }

    async fn release(&mut self, key: usize) {
        let Some(handle) = self.writing.get(&key).map(|writing| writing.handle) else { return };
        self.mount.fs.release(handle);
        self.mount.fs.settle().await;
        let _ = self.expect_publish(key, true);
        self.writing.remove(&key);
    }

    async fn unlink(&mut self, key: usize) {
        let writing = self.writing.get(&key).filter(|writing| writing.failed.is_none());
        if writing.is_some_and(|writing| writing.flushed) {
            return;
        }
        let busy = writing.is_some();
        let answer = self.mount.rm(KEYS[key]).await;
        match answer {
            Ok(()) => {
                assert!(!busy && !self.failing);
                self.requests.1 += 1;
                self.own_change(key, None);
                if let Some((directory, _)) = KEYS[key].rsplit_once('/') {
                    self.kept.insert(directory);
                }
            }
            Err(Errno::NotPermitted) => assert!(busy),
            Err(Errno::NotFound) => assert!(self.may_be_absent(key, self.ages.1)),
            Err(Errno::Io) => {
                assert!(self.failing && !busy);
                self.requests.1 += 1;
            }
            other => panic!("{}: {other:?}", KEYS[key]),
        }
    }

    async fn mkdir(&mut self, directory: &'static str) {
        match self.mount.mkdir(directory).await {
            Ok(_) => {
                assert!(!self.directory_must_be(directory), "{directory}");
                self.kept.insert(directory);
            }
            Err(Errno::Exists) => assert!(self.directory_may_be(directory), "{directory}"),
            Err(Errno::NotFound) => {
                let above = directory.split_once('/').unwrap().0;
                assert!(!self.directory_must_be(above), "{directory}");
            }
            Err(other) => panic!("{directory}: {other:?}"),
        }
    }

    async fn rmdir(&mut self, directory: &'static str) {
        let stored = Self::below(directory).iter().any(|key| self.now(*key).is_some());
        let full = stored || self.has_own_below(directory);
        match self.mount.rmdir(directory).await {
            Ok(()) => {
                assert!(!full, "{directory}");
                self.kept.remove(directory);
                if let Some((above, _)) = directory.rsplit_once('/') {
                    self.kept.insert(above);
                }
                // Nothing older is to be seen of what was below it either.
                let now = self.mount.clock.now();
                Self::below(directory).iter().for_each(|key| self.floors[*key] = now);
            }
            Err(Errno::NotEmpty) => assert!(full, "{directory}"),
            Err(Errno::NotFound) => assert!(!self.directory_must_be(directory), "{directory}"),
            Err(other) => panic!("{directory}: {other:?}"),
        }
    }

    async fn cat(&mut self, key: usize) {
        let answer = self.mount.cat(KEYS[key]).await;
        let own = self.writing.get(&key).is_some_and(Writing::is_own);
        let had = self.since(key, self.ages.0);
        let fits = match &answer {
            Ok(text) => !own && had.iter().any(|s| s.as_ref().is_some_and(|(_, t)| t == text)),
            Err(Errno::NotPermitted) => own,
            Err(Errno::NotFound) => !own && (had.contains(&&None) || self.is_lost(key)),
            Err(Errno::Stale) => !own && had.len() > 1,
            Err(_) => false,
        };
        assert!(fits, "{}: {answer:?} of {had:?}", KEYS[key]);
    }

    async fn stat(&mut self, key: usize) {
        let answer = self.mount.walk(KEYS[key]).await;
        if let Ok(entry) = &answer {
            *self.looked_up.entry(entry.node).or_default() += 1;
        }
        let writing = self.writing.get(&key).filter(|writing| writing.failed.is_none());
        let own = writing.is_some_and(Writing::is_own);
        let had = self.since(key, self.ages.1);
        let fits = match &answer {
            Ok(entry) => {
                let size = entry.attr.size;
                let written = writing.is_some_and(|w| w.text.len() as u64 == size);
                let stored = |s: &&&State| s.as_ref().is_some_and(|(_, t)| t.len() as u64 == size);
                // What fails after a flush still shows what was written while it is open.
                let failed = self.writing.get(&key).is_some_and(|w| w.failed.is_some());
                written || failed || (!own && had.iter().any(|s| stored(&s)))
            }
            Err(Errno::NotFound) => !own && (had.contains(&&None) || self.is_lost(key)),
            Err(_) => false,
        };
        assert!(fits, "{}: {answer:?} of {had:?}", KEYS[key]);
    }

    async fn stat_directory(&mut self, directory: &str) {
        match self.mount.walk(directory).await {
            Ok(entry) => {
                assert_eq!(entry.attr.kind, Kind::Directory);
                assert!(self.directory_may_be(directory), "{directory}");
            }
            Err(errno) => {
                assert_eq!(errno, Errno::NotFound);
                assert!(!self.directory_must_be(directory), "{directory}");
            }
        }
    }

    async fn list(&self, directory: fs::NodeId, prefix: &str) {
        let handle = self.mount.fs.opendir(directory).await.unwrap();
        let shown = self.mount.drain(handle, 0, 3, true).await.unwrap();
        self.mount.fs.releasedir(handle);
        let shown = texts(&shown[2..]);
        assert!(shown.is_sorted_by(|a, b| a < b), "{shown:?}");
        let names = KEYS.iter().chain(&DIRECTORIES).filter_map(|path| path.strip_prefix(prefix));
        let names: BTreeSet<&str> = names.map(|rest| rest.split('/').next().unwrap()).collect();
        for name in names {
            let path = format!("{prefix}{name}");
            let (always, ever) = match KEYS.iter().position(|key| *key == path) {
                None => (self.directory_must_be(&path), self.directory_may_be(&path)),
                Some(key) => {
                    let own = self.writing.get(&key).is_some_and(Writing::is_own);
                    let had = self.since(key, self.ages.1);
                    (own || !had.contains(&&None), own || had.iter().any(|s| s.is_some()))
                }
            };
            let is_shown = shown.iter().any(|shown| shown == name);
            assert!(is_shown || !always, "{path} is missing in {shown:?}");
            assert!(!is_shown || ever, "{path} is too much in {shown:?}");
        }
    }

    /// At the end, the store has what it has to have, and was not asked more than it had to be.
    async fn end(&mut self) {
        for key in 0..KEYS.len() {
            self.release(key).await;
        }
        for (key, name) in KEYS.iter().enumerate() {
            let text = self.now(key).as_ref().map(|(_, text)| text.clone());
            assert_eq!(self.mount.stored(name), text, "{name}");
        }
        let writes = self.mount.store.take_writes();
        assert_eq!((writes.puts, writes.deletes), self.requests);
        assert_eq!(self.mount.store.open_uploads(), []);
    }
}

fn run(steps: Vec<Step>, minimal: bool, overwrite: bool) {
    let ttl = if minimal { Ttl::Minimal } else { Ttl::For(Duration::from_secs(10)) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(ttl, overwrite);
        for step in steps {
            world.run(step).await;
        }
        world.end().await;
    });
}

proptest! {
    // `PROPTEST_CASES` runs more of them; a failure prints its seed and its shrunk steps.
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn what_is_done_here_is_seen_at_once_and_what_others_do_within_the_mode_s_age(
        steps in steps(),
        minimal in any::<bool>(),
        overwrite in any::<bool>(),
    ) {
        run(steps, minimal, overwrite);
    }
}
