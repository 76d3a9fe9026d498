//! One mount's journal, while the mount lives.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cache::{Scope, lock};
use object::{Key, Time, Upload};

use super::place::Place;
use super::record::{Entry, Intent, Open, Record};

/// How many names are tried for a new journal.
const NAMES: u32 = 1_000;
/// A journal of this size in bytes in which nothing is open begins anew.
const IDLE: u64 = 64 << 10;
/// One of this size is written anew with what is open. [`super::leftovers`] reads more.
pub(super) const LONG: u64 = 1 << 20;

/// The file in which a mount notes its uploads, locked until the mount ends. All calls are disk
/// IO.
#[derive(Debug)]
pub struct Journal {
    place: Arc<Place>,
    scope: Scope,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: Arc<File>,
    name: String,
    /// Bytes written.
    size: u64,
    /// The number of the last intent.
    last: u64,
    open: Open,
}

impl Journal {
    /// An empty journal in `place` of uploads in `scope`.
    ///
    /// # Errors
    /// Of the disk.
    pub fn create(place: Arc<Place>, scope: Scope) -> io::Result<Self> {
        let (file, name) = fresh(&place)?;
        let file = Arc::new(file);
        let state = State { file, name, size: 0, last: 0, open: Open::default() };
        Ok(Self { place, scope, state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the store is going to be asked, `at` this time by its clock, to begin an upload
    /// of `key`; answers the number of this intent. When this returns, the end of this process
    /// does not undo it, but a loss of power may: see [`Journal::secure`].
    ///
    /// # Errors
    /// Of the disk: then nobody will look for the upload before it has an id.
    pub fn intended(&self, key: &Key, at: Time) -> io::Result<u64> {
        let mut state = self.lock();
        state.last += 1;
        let number = state.last;
        let (scope, key) = (self.scope.clone(), key.as_str().to_owned());
        let intent = Intent { number, scope, key, at: at.secs() };
        self.begin(&mut state, vec![Record::Intended(intent)])?;
        Ok(number)
    }

    /// Makes what was noted last until after a loss of power.
    ///
    /// # Errors
    /// Of the disk.
    pub fn secure(&self) -> io::Result<()> {
        let file = self.lock().file.clone();
        file.sync_data()
    }

    /// Notes that `upload` was begun, which was the `intent`. When this returns, not even a loss
    /// of power undoes it.
    ///
    /// # Errors
    /// Of the disk: then nobody will know of the upload.
    pub fn begun(&self, intent: Option<u64>, upload: &Upload) -> io::Result<()> {
        let mut records = vec![Record::Begun(Entry::of(&self.scope, upload))];
        records.extend(intent.map(Record::Settled));
        self.begin(&mut self.lock(), records)?;
        self.secure()
    }

    /// Notes that nothing was begun that was the `intent`. That this is lost does no harm: it is
    /// then looked for in vain.
    ///
    /// # Errors
    /// Of the disk.
    pub fn settled(&self, intent: u64) -> io::Result<()> {
        self.end(&mut self.lock(), Record::Settled(intent))
    }

    /// Notes that `upload` was completed or thrown away. Of one that was not noted to have begun
    /// nothing is noted. That this is lost does no harm: the upload is then thrown away again.
    ///
    /// # Errors
    /// Of the disk.
    pub fn ended(&self, upload: &Upload) -> io::Result<()> {
        let mut state = self.lock();
        match state.open.uploads.contains_key(&*upload.id) {
            true => self.end(&mut state, Record::Ended(upload.id.to_string())),
            false => Ok(()),
        }
    }

    fn begin(&self, state: &mut State, records: Vec<Record>) -> io::Result<()> {
        if !self.place.holds(&state.name, &state.file) {
            // Somebody cleared the directory away; what is open is to be found all the same.
            self.write_anew(state)?;
        }
        state.append(&records)?;
        records.into_iter().for_each(|record| state.open.hear(record));
        Ok(())
    }

    fn end(&self, state: &mut State, record: Record) -> io::Result<()> {
        state.open.hear(record.clone());
        if state.open.is_empty() && state.size >= IDLE {
            state.file.set_len(0)?;
            state.size = 0;
            return Ok(());
        }
        state.append(&[record])?;
        if state.size >= LONG {
            self.write_anew(state)?;
        }
        Ok(())
    }

    /// Writes what is open into a new file, before the old one goes.
    fn write_anew(&self, state: &mut State) -> io::Result<()> {
        let (mut file, name) = fresh(&self.place)?;
        let mut text = Vec::new();
        for record in state.open.records() {
            text.extend(record.line()?);
        }
        file.write_all(&text)?;
        file.sync_data()?;
        let (old, old_name) = (&state.file, &state.name);
        if self.place.holds(old_name, old) {
            self.place.remove(old_name)?;
        }
        state.size = text.len() as u64;
        state.file = Arc::new(file);
        state.name = name;
        Ok(())
    }
}

impl State {
    fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let lines = records.iter().map(Record::line).collect::<io::Result<Vec<_>>>()?.concat();
        // A part of a line that is left when the disk is full is passed over when read.
        self.size = self.size.saturating_add(lines.len() as u64);
        self.file.as_ref().write_all(&lines)
    }
}

/// A journal with nothing to tell leaves nothing behind; one with open uploads is for the next
/// mount.
impl Drop for Journal {
    fn drop(&mut self) {
        let state = self.lock();
        if state.open.is_empty() && self.place.holds(&state.name, &state.file) {
            // One that stays is found empty by the next mount, and removed.
            let _ = self.place.remove(&state.name);
        }
    }
}

/// A new file that is locked and has a name.
fn fresh(place: &Place) -> io::Result<(File, String)> {
    let pid = std::process::id();
    for number in 0..NAMES {
        let Some((file, name)) = place.make(&format!("{pid}-{number}"))? else { continue };
        // Whoever looks for journals of the dead may have found it before it was locked.
        if lock::try_lock(&file, lock::WHOLE)? && place.holds(&name, &file) {
            return Ok((file, name));
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "no name for a journal is free"))
}

#[cfg(test)]
mod tests;
