//! Runs steps, and compares what is answered: names.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustix::io::Errno;

use crate::expect::Opened;
use crate::run::{Model, demand};
use crate::state::{State, below};
use crate::{Answer, DIRECTORIES, How, KEYS, Length, Step, System};

type Checked = Result<(), String>;

impl Model {
    pub(crate) fn name(&mut self, system: &mut dyn System, step: &Step) -> Checked {
        match *step {
            Step::Cat(key) => self.cat(system, key),
            Step::Stat(key) => self.stat(system, key),
            Step::StatDirectory(number) => self.stat_directory(system, DIRECTORIES[number]),
            Step::List(number) => self.list(system, Self::listed(number)),
            Step::Truncate(key, length) => self.truncate(system, key, length),
            Step::Unlink(key) => self.unlink(system, key),
            Step::Mkdir(number) => self.mkdir(system, DIRECTORIES[number]),
            Step::Rmdir(number) => self.rmdir(system, DIRECTORIES[number]),
            Step::Rename(from, to) => self.rename(system, from, to),
            _ => Ok(()),
        }
    }

    fn cat(&mut self, system: &mut dyn System, key: usize) -> Checked {
        let may = self.world.may_open(key, How::Read);
        let text = |opened: &Opened| match opened {
            Opened::Reads(_, text) => Ok(Arc::clone(text)),
            Opened::Fails(errno) => Err(*errno),
            Opened::New | Opened::Over => Err(Errno::BADF),
        };
        let mut right: Vec<Answer<Arc<str>>> = may.iter().map(text).collect();
        // What was there when it was opened may be gone when it is read.
        if self.world.since(key, self.world.rules.ages.open).len() > 1 {
            right.push(Err(Errno::STALE));
        }
        self.judge(right.len());
        let answer = system.open(KEYS[key], How::Read).and_then(|fd| {
            let text = system.read(fd);
            system.close(fd).and(text)
        });
        let answer = answer.map(Arc::from);
        match right.contains(&answer) {
            true => Ok(()),
            false => {
                Err(format!("answered {:?}, right is {:?}", brief(&answer), brief_all(&right)))
            }
        }
    }

    fn stat(&mut self, system: &mut dyn System, key: usize) -> Checked {
        let world = &self.world;
        let (own, may_own) = world.is_own(key);
        let mut right = Vec::new();
        if let Some(writing) = world.writing.get(&key) {
            right.push(Ok(Some(writing.text.len() as u64)));
        }
        if !own {
            right.extend(world.shown(key).iter().map(|state| match state {
                Some((_, text)) => Ok(Some(text.len() as u64)),
                None => Err(Errno::NOENT),
            }));
        }
        if !may_own && world.is_lost(KEYS[key]) {
            right.push(Err(Errno::NOENT));
        }
        right.dedup();
        // What failed still shows what was written, while it is open.
        let failed = world.broken.contains_key(&key);
        self.judge(right.len() + usize::from(failed));
        match system.stat(KEYS[key]) {
            Ok(Some(_)) if failed => Ok(()),
            answer => demand(&answer, &right),
        }
    }

    fn stat_directory(&mut self, system: &mut dyn System, directory: &str) -> Checked {
        let (must, may) =
            (self.world.directory_must_be(directory), self.world.directory_may_be(directory));
        self.judge(if must == may { 1 } else { 2 });
        match system.stat(directory) {
            Ok(None) if may => Ok(()),
            Err(Errno::NOENT) if !must => Ok(()),
            answer => Err(format!("answered {answer:?}; it must be there: {must}, may: {may}")),
        }
    }

    fn list(&mut self, system: &mut dyn System, path: &str) -> Checked {
        let shown = match system.list(path) {
            Ok(shown) => shown,
            Err(Errno::NOENT) if !path.is_empty() && !self.world.directory_must_be(path) => {
                return Ok(());
            }
            Err(errno) => return Err(format!("listing answered {errno:?}")),
        };
        if !path.is_empty() && !self.world.directory_may_be(path) {
            return Err(format!("a directory that is not there is listed: {shown:?}"));
        }
        if !shown.is_sorted_by(|a, b| a < b) {
            return Err(format!("not sorted, or a name twice: {shown:?}"));
        }
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let paths = KEYS.iter().chain(&DIRECTORIES).filter_map(|path| path.strip_prefix(&prefix));
        let names: BTreeSet<&str> = paths.filter_map(|rest| rest.split('/').next()).collect();
        if let Some(strange) = shown.iter().find(|name| !names.contains(name.as_str())) {
            return Err(format!("{strange} is in {shown:?}"));
        }
        for name in names {
            let path = format!("{prefix}{name}");
            let (must, may) = self.presence(&path);
            self.judge(if must == may { 1 } else { 2 });
            match shown.iter().any(|shown| shown == name) {
                false if must => return Err(format!("{path} is missing in {shown:?}")),
                true if !may => return Err(format!("{path} is too much in {shown:?}")),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether a listing must show a path, and whether it may.
    fn presence(&self, path: &str) -> (bool, bool) {
        let world = &self.world;
        let Some(key) = KEYS.iter().position(|key| *key == path) else {
            return (world.directory_must_be(path), world.directory_may_be(path));
        };
        let (own, may_own) = world.is_own(key);
        let states = world.shown(key);
        (own || !states.contains(&&None), may_own || states.iter().any(|state| state.is_some()))
    }

    fn truncate(&mut self, system: &mut dyn System, key: usize, length: Length) -> Checked {
        let current = self.world.current(key).as_ref().map_or(0, |(_, text)| text.len() as u64);
        let length = match length {
            Length::Zero => 0,
            Length::Same => current,
            Length::More => current + 1,
        };
        let overwrite = self.world.rules.overwrite;
        let size = |state: &State| state.as_ref().map(|(_, text)| text.len() as u64);
        let sizes: Vec<_> = self.world.shown(key).into_iter().map(size).collect();
        let emptied = |size: Option<u64>| size.is_some_and(|size| size > 0) && length == 0;
        let tried = sizes.iter().any(|size| emptied(*size)) && overwrite;
        let mut right: Vec<Answer<()>> = sizes
            .iter()
            .filter(|size| !(tried && emptied(**size)))
            .map(|size| match size {
                None => Err(Errno::NOENT),
                Some(size) if *size == length => Ok(()),
                Some(_) => Err(Errno::PERM),
            })
            .collect();
        if self.world.is_lost(KEYS[key]) {
            right.push(Err(Errno::NOENT));
        }
        let answer = system.truncate(KEYS[key], length);
        // Where it may have been tried, absence is the one other answer.
        if tried && (answer != Err(Errno::NOENT) || !right.contains(&answer)) {
            right.push(self.world.put(key, "", Ok(()), system.now()).map(|_| ()));
            system.settle(self.world.requests.0);
        }
        right.dedup();
        self.judge(right.len());
        demand(&answer, &right)
    }

    fn unlink(&mut self, system: &mut dyn System, key: usize) -> Checked {
        let world = &mut self.world;
        let (own, _) = world.is_own(key);
        let busy = world.writing.contains_key(&key);
        let ever = busy || world.shown(key).iter().any(|state| state.is_some());
        let absent = !own && (world.may_be_absent(key) || world.is_lost(KEYS[key]));
        let (deleted, done) = world.deletes();
        let mut right = Vec::new();
        if absent {
            right.push(Err(Errno::NOENT));
        }
        let tried = ever && !busy && world.rules.delete;
        if ever {
            right.push(if tried { deleted } else { Err(Errno::PERM) });
        }
        let answer = system.unlink(KEYS[key]);
        let now = system.now();
        if tried && answer == deleted {
            world.requests.1 += 1;
            match (deleted, KEYS[key].rsplit_once('/')) {
                (Ok(()), parent) => {
                    world.own_change(key, None, now);
                    world.kept.extend(parent.map(|(directory, _)| directory));
                }
                // Nobody knows here: it is as if somebody else had done it.
                (Err(_), _) if done => drop(world.change(key, None, now)),
                (Err(_), _) => {}
            }
        }
        self.judge(right.len());
        demand(&answer, &right)
    }

    fn mkdir(&mut self, system: &mut dyn System, directory: &'static str) -> Checked {
        let world = &mut self.world;
        let (must, may) = (world.directory_must_be(directory), world.directory_may_be(directory));
        let lost = world.is_lost(directory);
        let answer = system.mkdir(directory);
        let fits = match answer {
            Ok(()) => {
                world.kept.insert(directory);
                !must
            }
            Err(Errno::EXIST) => may,
            Err(Errno::NOENT) => lost,
            Err(_) => false,
        };
        self.judge(if must == may && !lost { 1 } else { 2 });
        match fits {
            true => Ok(()),
            false => Err(format!(
                "answered {answer:?}; it must be there: {must}, may: {may}, lost: {lost}"
            )),
        }
    }

    fn rmdir(&mut self, system: &mut dyn System, directory: &'static str) -> Checked {
        let world = &mut self.world;
        let (must, may) = (world.directory_must_be(directory), world.directory_may_be(directory));
        let stored = below(directory).any(|key| world.current(key).is_some());
        let full = stored || world.has_own_below(directory);
        let answer = system.rmdir(directory);
        let fits = match answer {
            Ok(()) => {
                world.kept.remove(directory);
                world.kept.extend(directory.rsplit_once('/').map(|(above, _)| above));
                // Nothing older is to be seen of what was below it either.
                world.raise(directory, system.now());
                may && !full
            }
            Err(Errno::NOTEMPTY) => may && full,
            Err(Errno::NOENT) => !must,
            Err(_) => false,
        };
        self.judge(if must == may { 1 } else { 2 });
        match fits {
            true => Ok(()),
            false => Err(format!(
                "answered {answer:?}; it must be there: {must}, may: {may}, full: {full}"
            )),
        }
    }

    fn rename(&mut self, system: &mut dyn System, from: usize, to: usize) -> Checked {
        let (must, may) = self.presence(KEYS[from]);
        let lost = self.world.is_lost(KEYS[from]) || self.world.is_lost(KEYS[to]);
        let mut right = Vec::new();
        // Who is left to copy has to be able to delete: what is here only goes with its writer.
        let (own, perhaps) = self.world.is_own(from);
        if may && (self.world.rules.delete || own || perhaps) {
            right.push(Err(Errno::XDEV));
        }
        if may && !self.world.rules.delete && !own {
            right.push(Err(Errno::PERM));
        }
        if !must || lost {
            right.push(Err(Errno::NOENT));
        }
        self.judge(right.len());
        demand(&system.rename(KEYS[from], KEYS[to]), &right)
    }
}

fn brief(answer: &Answer<Arc<str>>) -> Answer<String> {
    let cut = |text: &Arc<str>| text.chars().take(40).collect();
    answer.as_ref().map(cut).map_err(|errno| *errno)
}

fn brief_all(answers: &[Answer<Arc<str>>]) -> Vec<Answer<String>> {
    answers.iter().map(brief).collect()
}
