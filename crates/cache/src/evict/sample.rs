//! A look at some of the objects, and removal of what is none.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use object::Time;
use rustix::fs::{AtFlags, FileType, statat, unlinkat};

use super::policy::{Candidate, is_used_again};
use crate::directory::{Directory, Files, Opened, names};
use crate::identity::Identity;
use crate::ledger::{is_held, pages, pair_charge};
use crate::map::MapError;
use crate::map::codec::Damage;

/// How many objects a sample has, more or less. In a large cache they are all of one shard: to
/// read its names costs more than to look at some objects, and identities are random anyway.
const SAMPLE: usize = 64;
/// Files that belong to no object are removed when they are older: others may be making one.
const ORPHAN_AFTER: Duration = Duration::from_secs(60);
/// Who fills an object for longer without touching it has been stopped.
const STUCK_AFTER: Duration = Duration::from_secs(10 * 60);

/// What was seen.
pub(super) struct Sample {
    pub(super) candidates: Vec<Candidate<Identity>>,
    /// What cannot be used: to be removed before anything else.
    pub(super) damaged: Vec<Identity>,
    /// Files of no object that were removed: their shard, and what they had been charged.
    pub(super) removed: Vec<(u8, u64)>,
    /// Whether this is everything there is.
    pub(super) is_all: bool,
}

/// Looks at objects of random shards. Reads the names in a few shards and opens a few objects,
/// however many there are.
///
/// # Errors
/// A directory cannot be read.
pub(super) fn sample(directory: &Directory, now: Time) -> io::Result<Sample> {
    let mut shards = directory.shards()?;
    fastrand::shuffle(&mut shards);
    let mut sample =
        Sample { candidates: Vec::new(), damaged: Vec::new(), removed: Vec::new(), is_all: true };
    for number in shards {
        if sample.candidates.len() >= SAMPLE {
            sample.is_all = false;
            break;
        }
        let Some(shard) = directory.shard(number)? else { continue };
        let mut identities = sample.sort_names(&shard, number, now)?;
        if identities.len() > SAMPLE {
            fastrand::shuffle(&mut identities);
            identities.truncate(SAMPLE);
            sample.is_all = false;
        }
        for identity in identities {
            sample.look(directory, &shard, identity, now);
        }
    }
    Ok(sample)
}

impl Sample {
    /// Tells objects from other files, and removes these.
    fn sort_names(&mut self, shard: &OwnedFd, number: u8, now: Time) -> io::Result<Vec<Identity>> {
        let names = names(shard)?;
        let object = |name: &str| {
            let identity = Identity::parse(name.strip_suffix(".map")?)?;
            (identity.shard() == number).then_some(identity)
        };
        let objects: HashSet<Identity> = names.iter().filter_map(|name| object(name)).collect();
        let is_data = |name: &str| {
            let identity = name.strip_suffix(".data").and_then(Identity::parse);
            identity.is_some_and(|identity| objects.contains(&identity))
        };
        for name in names.iter().filter(|name| object(name).is_none() && !is_data(name)) {
            if let Some(bytes) = remove_orphan(shard, name, now) {
                self.removed.push((number, bytes));
            }
        }
        Ok(objects.into_iter().collect())
    }

    fn look(&mut self, directory: &Directory, shard: &OwnedFd, identity: Identity, now: Time) {
        match candidate(directory, shard, identity, now) {
            Ok(Some(candidate)) => self.candidates.push(candidate),
            // Evicted by somebody else meanwhile, or the disk does not let us look.
            Ok(None) | Err(MapError::Io(_)) => {}
            Err(MapError::Damaged(_)) => self.damaged.push(identity),
        }
    }
}

fn candidate(
    directory: &Directory,
    shard: &OwnedFd,
    what: Identity,
    now: Time,
) -> Result<Option<Candidate<Identity>>, MapError> {
    let files = match directory.open_object(&what)? {
        Opened::Found(files) => files,
        Opened::Absent => return Ok(None),
        Opened::Damaged => return Err(Damage::Content.into()),
    };
    let mark = files.map.mark()?;
    let used = files.map.last_use()?;
    let filling = is_being_filled(&files, used, now)?;
    Ok(Some(Candidate {
        what,
        bytes: pair_charge(shard, &what.to_string())?,
        used,
        pinned: mark.pinned,
        protected: mark.protected,
        busy: filling || is_held(&files.data),
    }))
}

/// Whether somebody else fills the object, which was used last at `used`, and makes progress.
pub(super) fn is_being_filled(files: &Files, used: Time, now: Time) -> io::Result<bool> {
    Ok(now.since(used) < STUCK_AFTER
        && files.map.claimed(0..files.map.header().blocks().max(1))?.is_some())
}

impl Files {
    /// Notes that the object was used, after its map was touched: from its second use on it is
    /// protected from eviction by others that are used once. `opened` says that it was opened
    /// again after it had become complete; other reads may still be those it was filled for,
    /// unless they come much later.
    ///
    /// # Errors
    /// Of the disk, or that the mark is damaged.
    pub fn note_use(&self, opened: bool) -> Result<(), MapError> {
        if self.map.mark()?.protected {
            return Ok(());
        }
        let meta = self.data.metadata()?;
        // Data is written by filling alone.
        let filled = Time::from_secs(u64::try_from(meta.mtime()).unwrap_or(0));
        if opened || is_used_again(filled, self.map.last_use()?) {
            self.map.change_mark(|mark| mark.protected = true)?;
        }
        Ok(())
    }
}

/// Removes a file that belongs to no object, if it is old; answers what it had been charged.
/// Only data ever was: the rest is gone as soon as it is made, or not ours.
fn remove_orphan(shard: &OwnedFd, name: &str, now: Time) -> Option<u64> {
    let stat = statat(shard, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let changed = Time::from_secs(u64::try_from(stat.st_ctime).unwrap_or(0));
    if now.since(changed) < ORPHAN_AFTER {
        return None;
    }
    let flags = match FileType::from_raw_mode(stat.st_mode) {
        // One that is not empty stays: it is not ours.
        FileType::Directory => AtFlags::REMOVEDIR,
        _ => AtFlags::empty(),
    };
    unlinkat(shard, name, flags).ok()?;
    let charged = match name.strip_suffix(".data").and_then(Identity::parse) {
        Some(_) => {
            let allocated = stat.st_blocks.cast_unsigned().saturating_mul(512);
            pages(allocated).min(pages(stat.st_size.cast_unsigned()))
        }
        None => 0,
    };
    Some(charged)
}
