//! What opening and publishing a file have to come to.

use std::sync::Arc;

use rustix::io::Errno;

use crate::state::{State, World};
use crate::{Answer, How, KEYS, Trouble};

/// What an open may come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// A file of its own.
    New,
    /// A file in place of an object.
    Over,
    /// A version that is read.
    Reads(u64, Arc<str>),
    Fails(Errno),
}

impl World {
    /// All that opening `key` may come to.
    pub(crate) fn may_open(&self, key: usize, how: How) -> Vec<Opened> {
        let mut may: Vec<Opened> = match (how, self.writing.contains_key(&key)) {
            (How::Read, _) => self.may_open_to_read(key),
            (_, true) => self.may_open_beside(key, how),
            (_, false) => {
                self.shown(key).iter().map(|state| self.open_to_write(state, how)).collect()
            }
        };
        if self.is_lost(KEYS[key]) {
            may.push(Opened::Fails(Errno::NOENT));
        }
        may.dedup();
        may
    }

    fn may_open_to_read(&self, key: usize) -> Vec<Opened> {
        let states = self.since(key, self.rules.ages.open);
        let stored = states.into_iter().map(|state| match state {
            Some((version, text)) => Opened::Reads(*version, text.clone()),
            None => Opened::Fails(Errno::NOENT),
        });
        let refused = Opened::Fails(Errno::PERM);
        match self.is_own(key) {
            (true, _) => vec![refused],
            (false, true) => stored.chain([refused]).collect(),
            (false, false) => stored.collect(),
        }
    }

    /// While somebody writes it.
    fn may_open_beside(&self, key: usize, how: How) -> Vec<Opened> {
        let absent = !self.is_own(key).1 && self.may_be_absent(key);
        let mut may = match how {
            How::Exclusive => vec![Opened::Fails(Errno::EXIST)],
            _ => vec![Opened::Fails(Errno::PERM)],
        };
        match how {
            How::Over if absent => may.push(Opened::Fails(Errno::NOENT)),
            _ if absent => may.push(Opened::Fails(Errno::PERM)),
            _ => {}
        }
        may
    }

    fn open_to_write(&self, state: &State, how: How) -> Opened {
        let Some((version, text)) = state else {
            return match how {
                How::Over => Opened::Fails(Errno::NOENT),
                _ => Opened::New,
            };
        };
        let whole = how == How::New || text.is_empty();
        match how {
            How::Exclusive => Opened::Fails(Errno::EXIST),
            How::Both if !whole => Opened::Reads(*version, text.clone()),
            _ if whole && self.rules.overwrite => Opened::Over,
            _ => Opened::Fails(Errno::PERM),
        }
    }

    /// What asking the store for a new version comes to that it takes only if `holds`, and whether
    /// it has it afterwards.
    fn stores(&self, holds: Answer<()>) -> (Answer<()>, bool) {
        match self.trouble {
            Some(Trouble::Full) => (Err(Errno::NOSPC), false),
            Some(Trouble::Lost) if !self.rules.heals => (Err(Errno::IO), holds.is_ok()),
            _ => (holds, holds.is_ok()),
        }
    }

    /// What asking the store to delete something comes to, and whether that is done.
    pub(crate) fn deletes(&self) -> (Answer<()>, bool) {
        match self.trouble {
            Some(Trouble::Full) => (Err(Errno::IO), false),
            Some(Trouble::Lost) if !self.rules.heals => (Err(Errno::IO), true),
            _ => (Ok(()), true),
        }
    }

    /// A new version of `key` is asked for. Answers what is said, and what it is.
    pub(crate) fn put(
        &mut self,
        key: usize,
        text: &str,
        holds: Answer<()>,
        now: std::time::Duration,
    ) -> Answer<u64> {
        self.requests.0 += 1;
        match self.stores(holds) {
            (Ok(()), _) => Ok(self.own_change(key, Some(text), now)),
            (Err(errno), done) => {
                if done {
                    // Nobody knows here: it is as if somebody else had done it.
                    self.change(key, Some(text), now);
                }
                Err(errno)
            }
        }
    }

    /// What publishing `key` has to answer; it is as if it had. `last` is a chance to publish that
    /// nothing was written.
    pub(crate) fn publish(
        &mut self,
        key: usize,
        last: bool,
        now: std::time::Duration,
    ) -> Answer<()> {
        let Some(writing) = self.writing.get(&key) else { return Ok(()) };
        if !(writing.dirty || (last && writing.empty)) {
            return Ok(());
        }
        let current = self.current(key).as_ref().map(|(version, _)| *version);
        let holds = match writing.published {
            Some(own) if current != Some(own) => Err(Errno::STALE),
            None if !self.rules.overwrite && current.is_some() => Err(Errno::EXIST),
            _ => Ok(()),
        };
        let text = writing.text.clone();
        let answer = self.put(key, &text, holds, now);
        match (answer, self.writing.get_mut(&key)) {
            (Ok(version), Some(writing)) => {
                writing.published = Some(version);
                (writing.dirty, writing.empty) = (false, false);
            }
            (Err(errno), _) => self.give_up(key, errno),
            (Ok(_), None) => {}
        }
        answer.map(|_| ())
    }
}
