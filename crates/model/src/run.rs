//! Runs steps, and compares what is answered: circumstances, and descriptors.

use std::time::Duration;

use rustix::io::Errno;

use crate::expect::Opened;
use crate::state::{Reading, State, World, Writing};
use crate::{Answer, DIRECTORIES, Fd, How, Judged, KEYS, Length, Restart, Rules, Step, System};

/// More than one part of an upload, in bytes.
pub(crate) const MUCH: usize = 6 << 20;

/// The model of one mount and its store.
pub struct Model {
    pub(crate) world: World,
    judged: Judged,
}

type Checked = Result<(), String>;

/// Demands that an answer is one of those that are right.
pub(crate) fn demand<T: std::fmt::Debug + PartialEq>(answer: &T, right: &[T]) -> Checked {
    match right.contains(answer) {
        true => Ok(()),
        false => Err(format!("answered {answer:?}, right is {right:?}")),
    }
}

pub(crate) fn text(byte: char, len: usize) -> String {
    byte.to_string().repeat(len)
}

impl Model {
    /// An empty store, mounted at `now`.
    pub fn new(rules: Rules, now: Duration) -> Self {
        Self { world: World::new(rules, now), judged: Judged::default() }
    }

    /// What was compared so far.
    pub fn judged(&self) -> Judged {
        self.judged
    }

    /// Notes that one of so many answers was right.
    pub(crate) fn judge(&mut self, right: usize) {
        match right {
            1 => self.judged.exact += 1,
            _ => self.judged.loose += 1,
        }
    }

    /// Runs one step on the system and here.
    ///
    /// # Errors
    /// How they differ.
    pub fn step(&mut self, system: &mut dyn System, step: &Step) -> Checked {
        self.world.asked = system.now();
        if !system.can(step) || !self.is_clear(system, step) {
            return Ok(());
        }
        self.judged.steps += 1;
        match *step {
            // Going on with such a file copies what it had, and what comes of that, and of trouble
            // besides, is a matter of which request comes first.
            Step::Put(key) | Step::Remove(key) if self.world.goes_on_by_a_copy(key) => {}
            Step::Put(_) | Step::Remove(_) => self.behind_our_back(system, step),
            Step::Pass(ms) => system.pass(Duration::from_millis(ms)),
            Step::Settle => system.pass(self.world.rules.ages.open.max(self.world.rules.ages.name)),
            Step::Trouble(trouble) => {
                system.trouble(trouble);
                self.world.trouble = trouble;
            }
            Step::Forget => system.forget(),
            Step::Evict => system.evict(),
            Step::Restart(how) => self.restart(system, how)?,
            Step::Cat(_)
            | Step::Stat(_)
            | Step::StatDirectory(_)
            | Step::List(_)
            | Step::Truncate(..)
            | Step::Unlink(_)
            | Step::Mkdir(_)
            | Step::Rmdir(_)
            | Step::Rename(..) => self.name(system, step)?,
            _ => self.descriptor(system, step)?,
        }
        for fd in std::mem::take(&mut self.world.litter) {
            let _ = system.close(fd);
        }
        // Changes made at one moment of the clock have no order that listings would know.
        system.pass(Duration::from_millis(2));
        Ok(())
    }

    /// Whether the answer to `step` tells what was done, and is not waited for in vain for long.
    fn is_clear(&self, system: &dyn System, step: &Step) -> bool {
        let world = &self.world;
        let flushed = |key: &usize| world.writing.get(key).is_some_and(|w| w.flushed);
        match step {
            Step::Open(key, How::Read) | Step::Cat(key) => {
                !flushed(key) || world.writing[key].published.is_some() || system.is_patient()
            }
            Step::Open(key, _) | Step::Killed(key, _) | Step::Unlink(key)
                if flushed(key) && !system.is_patient() =>
            {
                false
            }
            Step::Open(key, How::Both) => {
                let may = world.may_open(*key, How::Both);
                let reads = may.iter().any(|may| matches!(may, Opened::Reads(..)));
                let writes = may.iter().any(|may| matches!(may, Opened::New | Opened::Over));
                !(reads && writes)
            }
            Step::Truncate(key, length) => {
                let size = |state: &State| state.as_ref().map(|(_, text)| text.len());
                let cuts = match length {
                    Length::Zero => true,
                    Length::Same => size(world.current(*key)).unwrap_or(0) == 0,
                    Length::More => false,
                };
                let states = world.shown(*key);
                let empty = states.iter().filter(|state| size(state) == Some(0)).count();
                let clear = empty == 0 || empty == states.len();
                !world.writing.contains_key(key) && (!cuts || clear)
            }
            Step::Rename(from, to) => from != to,
            _ => true,
        }
    }

    fn behind_our_back(&mut self, system: &mut dyn System, step: &Step) {
        match *step {
            Step::Put(key) => {
                let version = self.world.versions + 1;
                let text = match version % 8 {
                    0 => String::new(),
                    more => format!("{version} {}", text('x', more as usize)),
                };
                system.put(KEYS[key], &text);
                self.world.change(key, Some(&text), system.now());
            }
            Step::Remove(key) => {
                system.remove(KEYS[key]);
                self.world.change(key, None, system.now());
            }
            _ => {}
        }
    }

    fn restart(&mut self, system: &mut dyn System, how: Restart) -> Checked {
        if how == Restart::Clean {
            self.close_all(system)?;
        }
        system.restart(how);
        let now = system.now();
        let world = &mut self.world;
        if how != Restart::Succeeded {
            world.begin_anew(now);
            return Ok(());
        }
        for key in 0..KEYS.len() {
            world.give_up(key, Errno::IO);
            if let Some(broken) = world.broken.get_mut(&key) {
                (broken.errno, broken.here) = (Errno::IO, false);
            }
        }
        Ok(())
    }

    fn close_all(&mut self, system: &mut dyn System) -> Checked {
        for key in 0..KEYS.len() {
            self.close(system, key)?;
            self.close(system, key)?;
        }
        for reading in std::mem::take(&mut self.world.reading) {
            demand(&system.close(reading.fd), &[Ok(())])?;
        }
        Ok(())
    }

    fn descriptor(&mut self, system: &mut dyn System, step: &Step) -> Checked {
        match *step {
            Step::Open(key, how) => self.open(system, key, how),
            Step::Write(key, len) => self.write(system, key, &text('w', usize::from(len) + 1)),
            Step::WriteMuch(key) => self.write(system, key, &text('m', MUCH)),
            Step::WriteElsewhere(key) => self.write_elsewhere(system, key),
            Step::Flush(key) => {
                let Some(fd) = self.fd(key) else { return Ok(()) };
                let answer = system.flush(fd);
                let right = self.published(key, false, system);
                if let Some(writing) = self.world.writing.get_mut(&key) {
                    writing.flushed = true;
                }
                demand(&answer, &[right])
            }
            Step::Fsync(key) => {
                let Some(fd) = self.fd(key) else { return Ok(()) };
                let answer = system.fsync(fd);
                let right = self.published(key, true, system);
                demand(&answer, &[right])
            }
            Step::Close(key) => self.close(system, key),
            Step::Killed(key, len) => self.killed(system, key, usize::from(len) + 1),
            Step::Ftruncate(key, length) => self.ftruncate(system, key, length),
            Step::Fstat(key) => {
                let Some(writing) = self.world.writing.get(&key) else { return Ok(()) };
                let right = writing.text.len() as u64;
                self.judge(1);
                demand(&system.fstat(self.world.writing[&key].fd), &[Ok(right)])
            }
            Step::Read(number) => self.read(system, number),
            Step::CloseReader(number) if number < self.world.reading.len() => {
                let reading = self.world.reading.swap_remove(number);
                demand(&system.close(reading.fd), &[Ok(())])
            }
            _ => Ok(()),
        }
    }

    /// The descriptor that writes a key, or did before it failed.
    fn fd(&self, key: usize) -> Option<Fd> {
        let writing = self.world.writing.get(&key).map(|writing| writing.fd);
        writing.or(self.world.broken.get(&key).map(|broken| broken.fd))
    }

    fn published(&mut self, key: usize, last: bool, system: &dyn System) -> Answer<()> {
        self.judge(1);
        match (self.world.writing.contains_key(&key), self.world.broken.get(&key)) {
            (false, Some(broken)) => Err(broken.errno),
            _ => self.world.publish(key, last, system.now()),
        }
    }

    fn open(&mut self, system: &mut dyn System, key: usize, how: How) -> Checked {
        let may = self.world.may_open(key, how);
        let answer = system.open(KEYS[key], how);
        self.opened(key, &may, answer)?;
        if let Some(writing) = self.world.writing.get_mut(&key)
            && (how, answer.is_ok()) == (How::Append, true)
        {
            writing.appends = true;
        }
        Ok(())
    }

    /// Takes up what an open came to.
    fn opened(&mut self, key: usize, may: &[Opened], answer: Answer<Fd>) -> Checked {
        self.judge(may.len());
        let reads = may.iter().filter_map(|may| match may {
            Opened::Reads(version, text) => Some((*version, text.clone())),
            _ => None,
        });
        let of: Vec<_> = reads.collect();
        let (may_be_new, may_replace) = (may.contains(&Opened::New), may.contains(&Opened::Over));
        let wrong = || Err(format!("open answered {answer:?}, it may come to {may:?}"));
        match answer {
            Err(errno) if may.contains(&Opened::Fails(errno)) => Ok(()),
            Err(_) => wrong(),
            Ok(fd) if may_be_new || may_replace => {
                let writing = Writing {
                    fd,
                    appends: false,
                    may_be_new,
                    may_replace,
                    text: String::new(),
                    published: None,
                    dirty: false,
                    empty: true,
                    flushed: false,
                };
                self.world.writing.insert(key, writing);
                Ok(())
            }
            Ok(_) if of.is_empty() => wrong(),
            Ok(fd) => {
                self.world.reading.push(Reading { fd, key, of });
                Ok(())
            }
        }
    }

    fn write(&mut self, system: &mut dyn System, key: usize, more: &str) -> Checked {
        let Some(fd) = self.fd(key) else { return Ok(()) };
        self.judge(1);
        match (self.world.writing.get_mut(&key), self.world.broken.get(&key)) {
            (Some(writing), _) => {
                let answer = system.write(fd, writing.text.len() as u64, more);
                writing.text.push_str(more);
                (writing.dirty, writing.flushed) = (true, false);
                demand(&answer, &[Ok(())])
            }
            (None, Some(broken)) => demand(&system.write(fd, 0, more), &[Err(broken.errno)]),
            (None, None) => Ok(()),
        }
    }

    fn write_elsewhere(&mut self, system: &mut dyn System, key: usize) -> Checked {
        let Some(writing) = self.world.writing.get(&key).filter(|w| !w.appends) else {
            return Ok(());
        };
        let answer = system.write(writing.fd, writing.text.len() as u64 + 1, "x");
        self.world.give_up(key, Errno::INVAL);
        demand(&answer, &[Err(Errno::INVAL)])
    }

    fn close(&mut self, system: &mut dyn System, key: usize) -> Checked {
        let Some(fd) = self.fd(key) else { return Ok(()) };
        let answer = system.close(fd);
        let right = self.published(key, false, system);
        let told = self.world.requests.0;
        let _ = self.world.publish(key, true, system.now());
        let late = self.world.requests.0 > told;
        // What failed just now is closed as well.
        match self.world.writing.remove(&key) {
            Some(_) => {}
            None => drop(self.world.broken.remove(&key)),
        }
        if late {
            system.settle(told + 1);
        }
        demand(&answer, &[right])
    }

    fn killed(&mut self, system: &mut dyn System, key: usize, len: usize) -> Checked {
        let may = self.world.may_open(key, How::New);
        let text = text('k', len);
        let answer = system.killed(KEYS[key], &text);
        self.opened(key, &may, answer.map(|()| Fd::MAX))?;
        if answer.is_err() {
            return Ok(());
        }
        if let Some(writing) = self.world.writing.get_mut(&key) {
            (writing.text, writing.dirty) = (text, true);
        }
        let broken = self.world.broken.remove(&key);
        // There is nobody to tell.
        let _ = self.world.publish(key, true, system.now());
        self.world.writing.remove(&key);
        self.world.broken.remove(&key);
        self.world.broken.extend(broken.map(|broken| (key, broken)));
        system.settle(self.world.requests.0);
        Ok(())
    }

    fn ftruncate(&mut self, system: &mut dyn System, key: usize, length: Length) -> Checked {
        let Some(writing) = self.world.writing.get_mut(&key) else { return Ok(()) };
        let now = writing.text.len() as u64;
        let (length, right) = match length {
            Length::Zero => (0, Ok(())),
            Length::Same => (now, Ok(())),
            Length::More => (now + 1, Err(Errno::PERM)),
        };
        if length == 0 && now > 0 {
            writing.text.clear();
            (writing.dirty, writing.empty, writing.flushed) = (false, true, false);
        }
        let answer = system.ftruncate(writing.fd, length);
        self.judge(1);
        demand(&answer, &[right])
    }

    /// A descriptor gives one version or none, whatever happens to its name.
    fn read(&mut self, system: &mut dyn System, number: usize) -> Checked {
        let Some(reading) = self.world.reading.get_mut(number) else { return Ok(()) };
        let (key, fd) = (reading.key, reading.fd);
        let answer = system.read(fd);
        let mut of = std::mem::take(&mut reading.of);
        let current = self.world.current(key).as_ref().map(|(version, _)| *version);
        let changed = of.iter().any(|(version, _)| Some(*version) != current);
        let right = of.len() + usize::from(changed);
        let fits = match &answer {
            Ok(text) => {
                of.retain(|(_, had)| **had == **text);
                !of.is_empty()
            }
            Err(errno) => *errno == Errno::STALE && changed,
        };
        if !fits {
            let answer = answer.map(|text| text.chars().take(40).collect::<String>());
            return Err(format!("read answered {answer:?}; the version opened is not of it"));
        }
        self.world.reading[number].of = of;
        self.judge(right);
        Ok(())
    }

    /// Closes what is open, and compares the store with what it has to have.
    ///
    /// # Errors
    /// How they differ.
    pub fn end(&mut self, system: &mut dyn System) -> Checked {
        self.world.asked = system.now();
        self.close_all(system)?;
        for (key, name) in KEYS.iter().enumerate() {
            let right = self.world.current(key).as_ref().map(|(_, text)| text.to_string());
            let stored = system.stored(name);
            if stored != right {
                let of = |text: Option<String>| {
                    text.map(|t| (t.len(), t.chars().take(20).collect::<String>()))
                };
                return Err(format!("{name}: stored {:?}, right is {:?}", of(stored), of(right)));
            }
        }
        match system.asked() {
            Some(asked) if asked != self.world.requests => {
                Err(format!("asked {asked:?} (puts, deletes), right is {:?}", self.world.requests))
            }
            _ => Ok(()),
        }
    }

    /// A directory's path by its number in [`Step::List`].
    pub(crate) fn listed(number: usize) -> &'static str {
        number.checked_sub(1).map_or("", |number| DIRECTORIES[number])
    }
}
