//! What there is: objects and their past, and what this mount has of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use crate::run::MUCH;
use crate::{DIRECTORIES, Fd, KEYS, Rules, Trouble};

/// What a key stands for in the store: which version of all, and its text.
pub(crate) type State = Option<(u64, Arc<str>)>;

/// A file that is open for writing.
pub(crate) struct Writing {
    pub(crate) fd: Fd,
    /// The kernel writes to its end, wherever it is told to.
    pub(crate) appends: bool,
    /// It may be that it was made here, and it may be that it replaces an object; mostly one is
    /// known.
    pub(crate) may_be_new: bool,
    pub(crate) may_replace: bool,
    pub(crate) text: String,
    /// Its own last version.
    pub(crate) published: Option<u64>,
    /// Bytes are not published.
    pub(crate) dirty: bool,
    /// An empty object is due at the end.
    pub(crate) empty: bool,
    /// A descriptor was closed since the last write.
    pub(crate) flushed: bool,
}

/// One that failed for good, and is still open.
pub(crate) struct Broken {
    pub(crate) fd: Fd,
    pub(crate) errno: Errno,
    /// Its name still counts as one that is written here.
    pub(crate) here: bool,
}

/// A file that is open for reading.
pub(crate) struct Reading {
    pub(crate) fd: Fd,
    pub(crate) key: usize,
    /// What it may have been opened on; one, once a byte was seen.
    pub(crate) of: Vec<(u64, Arc<str>)>,
}

pub(crate) struct World {
    pub(crate) rules: Rules,
    /// When the step that is judged began.
    pub(crate) asked: Duration,
    pub(crate) versions: u64,
    pub(crate) trouble: Option<Trouble>,
    /// Each key's states, from a time on.
    history: [Vec<(Duration, State)>; KEYS.len()],
    /// When each key was last changed here: nothing older is to be seen of it.
    floors: [Duration; KEYS.len()],
    pub(crate) writing: BTreeMap<usize, Writing>,
    pub(crate) broken: BTreeMap<usize, Broken>,
    pub(crate) reading: Vec<Reading>,
    /// Descriptors of no further interest.
    pub(crate) litter: Vec<Fd>,
    /// Directories that stay until they are removed here.
    pub(crate) kept: BTreeSet<&'static str>,
    /// Requests that have to have been made: new versions and deletions.
    pub(crate) requests: (u64, u64),
}

impl World {
    pub(crate) fn new(rules: Rules, now: Duration) -> Self {
        Self {
            rules,
            asked: now,
            versions: 0,
            trouble: None,
            history: std::array::from_fn(|_| vec![(Duration::ZERO, None)]),
            floors: [Duration::ZERO; KEYS.len()],
            writing: BTreeMap::new(),
            broken: BTreeMap::new(),
            reading: Vec::new(),
            litter: Vec::new(),
            kept: BTreeSet::new(),
            requests: (0, 0),
        }
    }

    /// From `now` on the key stands for `text`, whoever did that.
    pub(crate) fn change(&mut self, key: usize, text: Option<&str>, now: Duration) -> u64 {
        self.versions += 1;
        self.history[key].push((now, text.map(|text| (self.versions, text.into()))));
        self.versions
    }

    /// The same for a change made here.
    pub(crate) fn own_change(&mut self, key: usize, text: Option<&str>, now: Duration) -> u64 {
        self.floors[key] = now;
        self.change(key, text, now)
    }

    /// Nothing older is to be seen of the keys below `directory`.
    pub(crate) fn raise(&mut self, directory: &str, now: Duration) {
        below(directory).for_each(|key| self.floors[key] = now);
    }

    /// A process that knows nothing took over.
    pub(crate) fn begin_anew(&mut self, now: Duration) {
        self.writing.clear();
        self.broken.clear();
        self.reading.clear();
        self.litter.clear();
        self.kept.clear();
        if !self.rules.remembers {
            self.floors = [now; KEYS.len()];
        }
    }

    pub(crate) fn current(&self, key: usize) -> &State {
        &self.history[key].last().expect("there is always a state").1
    }

    /// The states that an answer as old as `age` may be of.
    pub(crate) fn since(&self, key: usize, age: Duration) -> Vec<&State> {
        let from = self.asked.saturating_sub(age).max(self.floors[key]);
        let history = &self.history[key];
        let first = history.iter().rposition(|(at, _)| *at <= from).unwrap_or(0);
        history[first..].iter().map(|(_, state)| state).collect()
    }

    /// Whether `key` is written to and has been published, with more than a part.
    pub(crate) fn goes_on_by_a_copy(&self, key: usize) -> bool {
        let writing = self.writing.get(&key).filter(|writing| writing.published.is_some());
        writing.is_some_and(|writing| writing.text.len() >= MUCH)
    }

    /// The states that may be shown of a name.
    pub(crate) fn shown(&self, key: usize) -> Vec<&State> {
        self.since(key, self.rules.ages.name)
    }

    pub(crate) fn may_be_absent(&self, key: usize) -> bool {
        self.shown(key).contains(&&None)
    }

    /// Whether only this mount has the file: surely, or perhaps.
    pub(crate) fn is_own(&self, key: usize) -> (bool, bool) {
        let writing = self.writing.get(&key).filter(|writing| writing.published.is_none());
        writing.map_or((false, false), |w| (!w.may_replace, w.may_be_new))
    }

    /// Whether this mount has something in a directory that the store has not, or writes there.
    pub(crate) fn has_own_below(&self, directory: &str) -> bool {
        let prefix = format!("{directory}/");
        let own = |key: usize| {
            self.writing.contains_key(&key) || self.broken.get(&key).is_some_and(|b| b.here)
        };
        below(directory).any(own) || self.kept.iter().any(|kept| kept.starts_with(&prefix))
    }

    pub(crate) fn directory_must_be(&self, directory: &str) -> bool {
        self.kept.contains(directory)
            || self.has_own_below(directory)
            || below(directory).any(|key| !self.may_be_absent(key))
    }

    pub(crate) fn directory_may_be(&self, directory: &str) -> bool {
        let ever = |key: usize| self.shown(key).iter().any(|state| state.is_some());
        self.directory_must_be(directory) || below(directory).any(ever)
    }

    /// Whether a directory above `path` may seem not to be there.
    pub(crate) fn is_lost(&self, path: &str) -> bool {
        let above = |directory: &&str| path.starts_with(&format!("{directory}/"));
        DIRECTORIES.iter().filter(|d| above(d)).any(|directory| !self.directory_must_be(directory))
    }

    /// The file `key` failed for good.
    pub(crate) fn give_up(&mut self, key: usize, errno: Errno) {
        let Some(Writing { fd, .. }) = self.writing.remove(&key) else { return };
        let before = self.broken.insert(key, Broken { fd, errno, here: true });
        self.litter.extend(before.map(|broken| broken.fd));
    }
}

/// The keys in a directory.
pub(crate) fn below(directory: &str) -> impl Iterator<Item = usize> {
    let prefix = format!("{directory}/");
    (0..KEYS.len()).filter(move |key| KEYS[*key].starts_with(&prefix))
}
