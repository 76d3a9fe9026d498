//! One mount's journal, while the mount lives.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cache::{Scope, lock};
use object::Upload;

use super::place::Place;
use super::record::{Entry, Record};

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
    open: BTreeMap<String, Entry>,
}

impl Journal {
    /// An empty journal in `place` of uploads in `scope`.
    ///
    /// # Errors
    /// Of the disk.
    pub fn create(place: Arc<Place>, scope: Scope) -> io::Result<Self> {
        let (file, name) = fresh(&place)?;
        let file = Arc::new(file);
        let state = State { file, name, size: 0, open: BTreeMap::new() };
        Ok(Self { place, scope, state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that `upload` was begun. When this returns, not even a loss of power undoes it.
    ///
    /// # Errors
    /// Of the disk: then nobody will know of the upload.
    pub fn begun(&self, upload: &Upload) -> io::Result<()> {
        let entry = Entry::of(&self.scope, upload);
        let file = {
            let mut state = self.lock();
            if !self.place.holds(&state.name, &state.file) {
                // Somebody cleared the directory away; what is open is to be found all the same.
                self.write_anew(&mut state)?;
            }
            state.append(&Record::Begun(entry.clone()))?;
            state.open.insert(entry.id.clone(), entry);
            state.file.clone()
        };
        file.sync_data()
    }

    /// Notes that `upload` was completed or thrown away. Of one that was not noted to have begun
    /// nothing is noted. That this is lost does no harm: the upload is then thrown away again.
    ///
    /// # Errors
    /// Of the disk.
    pub fn ended(&self, upload: &Upload) -> io::Result<()> {
        let mut state = self.lock();
        let id = upload.id.to_string();
        if state.open.remove(&id).is_none() {
            return Ok(());
        }
        if state.open.is_empty() && state.size >= IDLE {
            state.file.set_len(0)?;
            state.size = 0;
            return Ok(());
        }
        state.append(&Record::Ended(id))?;
        if state.size >= LONG {
            self.write_anew(&mut state)?;
        }
        Ok(())
    }

    /// Writes what is open into a new file, before the old one goes.
    fn write_anew(&self, state: &mut State) -> io::Result<()> {
        let (mut file, name) = fresh(&self.place)?;
        let mut text = Vec::new();
        for entry in state.open.values() {
            text.extend(Record::Begun(entry.clone()).line()?);
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
    fn append(&mut self, record: &Record) -> io::Result<()> {
        let line = record.line()?;
        // A part of a line that is left when the disk is full is passed over when read.
        self.size = self.size.saturating_add(line.len() as u64);
        self.file.as_ref().write_all(&line)
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
